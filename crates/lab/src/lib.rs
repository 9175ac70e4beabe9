//! The simulator's Internet for real packets: NATs, firewalls and providers between programs that know nothing of it.
//!
//! ```text
//!  namespace: program ─ eth0 (TUN) ─┐                        ┌─ eth0 (TUN) ─ program: namespace
//!                                   └─ Underlay ─ Internet ──┘
//!                                      thread      of tinmesh-sim
//! ```
//!
//! One thread reads the packets of all devices, asks `tinmesh_sim::Internet` what becomes of each, rewrites addresses,
//! ports and checksums (`ip`), waits as long as the wires take, and writes it to the device of whoever gets it. So a cell
//! of the laboratory is the same for nodes in virtual time and for daemons. It carries UDP and TCP over IPv4; ICMP it only
//! makes itself, for packets that are too long.
//!
//! Needs root. For tests and study; never shipped.
#![forbid(unsafe_code)]

pub mod ip;
pub mod netns;
mod underlay;

pub use underlay::{Underlay, UnderlayPlan};
