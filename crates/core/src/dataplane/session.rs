//! `Session`: the keys of one finished handshake, sequence numbers and replay window.
//!
//! Shared by the node and all workers; everything that changes is atomic.

/// Keys and counters of an established datagram session.
#[derive(Debug)]
pub struct Session;
