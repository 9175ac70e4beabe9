//! A world of tinmesh nodes in virtual time, on a simulated Internet. For tests and study; never shipped.

pub mod dice;
pub mod internet;
pub mod nat;
