//! The packet path: `Fib`, `Session`, and the way of a packet through them.

pub mod fib;
pub mod session;
pub mod stats;
pub mod verdict;
