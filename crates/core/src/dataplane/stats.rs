//! Counters that workers write and the control loop reads.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::dataplane::verdict::{DropReason, Verdict};

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
    /// Datagrams of this peer that came through a relay.
    pub came_relayed: AtomicU64,
    /// Datagrams with packets sent straight to this peer, our own and those of others.
    pub straight_out: AtomicU64,
    /// Datagrams with packets that came straight from this peer, its own and those of others.
    pub straight_in: AtomicU64,
    /// Most data that one datagram straight from this peer held since the node last asked, in bytes
    /// of record data, as a probe counts.
    pub max_recent_len: AtomicU32,
    /// Datagrams of this peer with a wrong tag: perhaps it has other keys. Replayed ones do not
    /// count, because anyone on the way can make them.
    pub refused: AtomicU64,
}

impl PeerStats {
    /// Notes how much data came in one datagram straight from this peer.
    pub fn note_recent_len(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if self.max_recent_len.load(Relaxed) < bytes {
            self.max_recent_len.fetch_max(bytes, Relaxed);
        }
    }

    /// Counts a packet sent towards this peer.
    pub fn count_out(&self, bytes: usize) {
        self.out_packets.fetch_add(1, Relaxed);
        self.out_bytes.fetch_add(bytes as u64, Relaxed);
    }
}

/// How the packets of one worker ended. Plain fields: whoever reads them sums up the workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets sealed and given to the network.
    pub transmitted: u64,
    /// Packets given to the device.
    pub delivered: u64,
    /// Packets given to the node.
    pub punted: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Counts the end of a packet.
    pub fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Transmit(_) => self.transmitted += 1,
            Verdict::Deliver => self.delivered += 1,
            Verdict::Punt(_) => self.punted += 1,
            Verdict::Drop(reason) => self.count_drop(*reason),
        }
    }

    /// Counts a packet that was lost after its verdict, as when a queue is full.
    pub fn count_drop(&mut self, reason: DropReason) {
        self.count_drops(reason, 1);
    }

    /// Counts so many of them.
    pub fn count_drops(&mut self, reason: DropReason, count: u64) {
        self.dropped[reason as usize] += count;
    }

    /// Packets dropped for `reason`.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }
}

impl AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        self.transmitted += other.transmitted;
        self.delivered += other.delivered;
        self.punted += other.punted;
        for (own, other) in self.dropped.iter_mut().zip(other.dropped) {
            *own += other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_counted_by_reason_and_summed_over_workers() {
        let mut one = Counters::default();
        one.count(&Verdict::Deliver);
        one.count(&Verdict::Drop(DropReason::NoRoute));
        let mut two = Counters::default();
        two.count(&Verdict::Drop(DropReason::NoRoute));
        two.count_drop(DropReason::NoBroadcast);

        one += &two;

        assert_eq!((one.delivered, one.transmitted, one.punted), (1, 0, 0));
        assert_eq!(one.dropped(DropReason::NoRoute), 2);
        assert_eq!(one.dropped(DropReason::NoBroadcast), 1);
        assert_eq!(one.dropped(DropReason::TooShort), 0);
    }
}
