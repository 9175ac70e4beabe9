//! The mesh itself: everything a tinmesh node decides, and nothing else.
//!
//! Pure: no clock, no socket, no file, no thread, no randomness of the operating system. [`node::Node`] is a function of
//! its inputs; [`dataplane::fib::Fib`] is what it publishes for the packet path. Each module uses those below it:
//!
//! ```text
//!  node                          takes decisions; holds all below
//!   ├─ meta  invite              connections, seen requests; both ends of an invitation
//!   ├─ peer                      tunnels: keys, UDP path, path MTU
//!   ├─ dataplane                 Fib, Session, the way of a packet
//!   ├─ graph  subnet             edges and routes; who owns an address
//!   ├─ crypto                    SPTPS, keys, replay window, the seeded generator
//!   ├─ wire                      bytes ⇄ types
//!   └─ name  time  packet        vocabulary
//! ```
//!
//! `ARCHITECTURE.md` is the larger map, `docs/protocol.md` lists messages and datagrams.
#![forbid(unsafe_code)]

pub mod crypto;
pub mod dataplane;
pub mod graph;
pub mod invite;
pub mod legacy;
pub mod meta;
pub mod name;
pub mod node;
pub mod packet;
pub mod peer;
pub mod punch;
pub mod subnet;
pub mod time;
pub mod trust;
pub mod wire;
