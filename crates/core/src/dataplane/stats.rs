//! Counters that workers write and the control loop reads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What went to and came from one peer. Bytes are frame lengths, as tinc counts (datagrams 22).
#[derive(Debug, Default)]
pub struct PeerStats {
    /// Packets whose origin is this peer.
    pub in_packets: AtomicU64,
    /// Their bytes.
    pub in_bytes: AtomicU64,
    /// Packets sent towards this peer, before anything drops them.
    pub out_packets: AtomicU64,
    /// Their bytes.
    pub out_bytes: AtomicU64,
    /// Datagrams relayed for others towards this peer.
    pub relayed: AtomicU64,
    /// Longest frame that came by UDP since the node last asked, in bytes.
    pub max_recent_len: AtomicU32,
    /// Datagrams of this peer that failed to open.
    pub refused: AtomicU64,
}

impl PeerStats {
    /// Counts a packet that came from this peer.
    pub fn count_in(&self, bytes: usize) {
        self.in_packets.fetch_add(1, Relaxed);
        self.in_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts a packet sent towards this peer.
    pub fn count_out(&self, bytes: usize) {
        self.out_packets.fetch_add(1, Relaxed);
        self.out_bytes.fetch_add(bytes as u64, Relaxed);
    }
}
