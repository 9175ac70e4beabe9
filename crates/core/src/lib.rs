//! The mesh itself: everything a tinmesh node decides, and nothing else.
//!
//! Pure: no clock, no socket, no file, no thread, no randomness of the operating system. See
//! `ARCHITECTURE.md` for the map.
#![forbid(unsafe_code)]

pub mod crypto;
pub mod dataplane;
pub mod graph;
pub mod invite;
pub mod meta;
pub mod name;
pub mod node;
pub mod packet;
pub mod peer;
pub mod subnet;
pub mod time;
pub mod wire;
