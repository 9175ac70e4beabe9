//! The packet path: `Fib`, `Session`, and the way of a packet through them.
//!
//! A worker calls [`fib::Fib::outbound`] for each packet of the device and [`fib::Fib::inbound`] for
//! each datagram; both end in exactly one [`verdict::Verdict`], allocate nothing, log nothing and take
//! no lock.

mod arp;
pub mod batch;
pub mod capture;
mod carrier;
mod compress;
pub mod ethernet;
pub mod fib;
mod follow;
pub(crate) mod fragment;
pub mod gate;
mod icmp;
mod inbound;
mod ip;
pub(crate) mod legacy;
mod mss;
mod ndp;
pub mod offload;
mod outbound;
mod outbox;
pub(crate) mod record;
pub mod relaying;
pub(crate) mod route;
pub mod scratch;
pub mod session;
pub mod stats;
pub mod steering;
pub mod strangers;
mod switch;
mod tally;
mod transport;
mod ttl;
pub mod verdict;
