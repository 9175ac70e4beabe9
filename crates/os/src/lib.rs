//! The operating system (Linux): devices, sockets, processes. It knows no protocol.
//!
//! ```text
//!  device  udp  tcp              what carries packets and meta connections
//!  netlink                       addresses and routes; notices that they changed
//!  poll  signals  clock          waiting, signals as something to read, time
//!  process  child  janitor       rights, what started programs inherit, a process that cleans up
//!  sandbox  servant              giving up rights for good; a process that keeps them and does errands
//!  local_time                    the wall clock as text
//! ```
//!
//! Everything that can wait is non-blocking and has a descriptor for the [`poll::Poller`], except for questions to
//! [`netlink::Link`]; nothing here decides anything.
#![expect(unsafe_code, reason = "some system calls have no safe wrapper; each use says why it is sound")]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod child;
pub mod clock;
pub mod device;
pub mod janitor;
pub mod local_time;
#[cfg(test)]
mod namespace;
pub mod netlink;
pub mod poll;
pub mod process;
pub mod sandbox;
pub mod servant;
pub mod signals;
pub mod tcp;
pub mod udp;
