//! What the packets of a batch add to the counters of nodes, added once for all of them: several threads share these, and
//! to add to six of them for each packet costs as much as to seal a twentieth of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::dataplane::fib::PeerEntry;
use crate::dataplane::stats::PeerStats;

/// Nodes whose sums are kept at once; most batches have to do with two or three.
const NODES: usize = 8;

/// The sums of a batch. Outside of a batch everything is added at once.
#[derive(Debug, Default)]
pub(super) struct Tally {
    gathers: bool,
    nodes: [Node; NODES],
}

#[derive(Debug, Default)]
struct Node {
    stats: Option<Arc<PeerStats>>,
    sums: Sums,
}

/// As [`PeerStats`].
#[derive(Debug, Default)]
struct Sums {
    in_packets: u64,
    in_bytes: u64,
    out_packets: u64,
    out_bytes: u64,
    relayed: u64,
    came_relayed: u64,
    straight_out: u64,
    straight_in: u64,
}

impl Tally {
    /// A batch begins.
    pub(super) const fn begin(&mut self) {
        self.gathers = true;
    }

    /// The batch ends: everything is added.
    pub(super) fn end(&mut self) {
        self.gathers = false;
        self.nodes.iter_mut().for_each(Node::settle);
    }

    /// A packet of `bytes` bytes came from a node.
    pub(super) fn count_in(&mut self, node: &PeerEntry, bytes: usize) {
        self.count_all_in(node, 1, bytes as u64);
    }

    /// So many packets, of `bytes` bytes in all, came from a node.
    pub(super) fn count_all_in(&mut self, node: &PeerEntry, packets: u64, bytes: u64) {
        self.add(node, |sums| {
            sums.in_packets += packets;
            sums.in_bytes += bytes;
        });
    }

    /// A packet of `bytes` bytes goes towards a node.
    pub(super) fn count_out(&mut self, node: &PeerEntry, bytes: usize) {
        self.count_all_out(node, 1, bytes as u64);
    }

    /// So many packets, of `bytes` bytes in all, go towards a node.
    pub(super) fn count_all_out(&mut self, node: &PeerEntry, packets: u64, bytes: u64) {
        self.add(node, |sums| {
            sums.out_packets += packets;
            sums.out_bytes += bytes;
        });
    }

    /// A datagram is relayed towards a node.
    pub(super) fn count_relayed(&mut self, node: &PeerEntry) {
        self.add(node, |sums| sums.relayed += 1);
    }

    /// A datagram of a node came through a relay.
    pub(super) fn count_came_relayed(&mut self, node: &PeerEntry) {
        self.add(node, |sums| sums.came_relayed += 1);
    }

    /// A datagram with a packet goes straight to a node.
    pub(super) fn count_straight_out(&mut self, node: &PeerEntry) {
        self.count_all_straight_out(node, 1);
    }

    /// So many datagrams with packets go straight to a node.
    pub(super) fn count_all_straight_out(&mut self, node: &PeerEntry, datagrams: u64) {
        self.add(node, |sums| sums.straight_out += datagrams);
    }

    /// A datagram with a packet came straight from a node.
    pub(super) fn count_straight_in(&mut self, node: &PeerEntry) {
        self.count_all_straight_in(node, 1);
    }

    /// So many datagrams with packets came straight from a node.
    pub(super) fn count_all_straight_in(&mut self, node: &PeerEntry, datagrams: u64) {
        self.add(node, |sums| sums.straight_in += datagrams);
    }

    fn add(&mut self, node: &PeerEntry, more: impl FnOnce(&mut Sums)) {
        let is_own = |place: &Node| place.stats.as_ref().is_some_and(|stats| Arc::ptr_eq(stats, &node.stats));
        let place = self.nodes.iter().position(|place| is_own(place) || place.stats.is_none());
        let own = &mut self.nodes[place.unwrap_or_else(|| node.peer.index() % NODES)];
        if !is_own(own) {
            own.settle();
            own.stats = Some(Arc::clone(&node.stats));
        }
        more(&mut own.sums);
        if !self.gathers {
            own.settle();
        }
    }
}

impl Node {
    /// Adds the sums to the counters of the node that they belong to, and forgets both.
    fn settle(&mut self) {
        let Some(stats) = self.stats.take() else { return };
        let sums = std::mem::take(&mut self.sums);
        add(&stats.in_packets, sums.in_packets);
        add(&stats.in_bytes, sums.in_bytes);
        add(&stats.out_packets, sums.out_packets);
        add(&stats.out_bytes, sums.out_bytes);
        add(&stats.relayed, sums.relayed);
        add(&stats.came_relayed, sums.came_relayed);
        add(&stats.straight_out, sums.straight_out);
        add(&stats.straight_in, sums.straight_in);
    }
}

fn add(counter: &AtomicU64, sum: u64) {
    if sum > 0 {
        counter.fetch_add(sum, Relaxed);
    }
}
