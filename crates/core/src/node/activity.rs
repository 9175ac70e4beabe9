//! `Sampler`: turns the counters of the packet path into [`Activity`] for the node.
//!
//! Counters are written by workers with every packet; whoever runs the node samples them a few
//! times a second while packets move.

use std::sync::atomic::Ordering::Relaxed;

use crate::dataplane::fib::Fib;
use crate::dataplane::stats::PeerStats;
use crate::name::PeerId;
use crate::node::io::Activity;

/// What the counters said the last time.
#[derive(Debug, Default)]
pub struct Sampler {
    seen: Vec<Seen>,
    activity: Vec<Activity>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    sent: u64,
    relayed: u64,
    came_relayed: u64,
    refused: u64,
}

impl Sampler {
    /// What happened since the last call, peer by peer; peers without news are left out.
    pub fn sample(&mut self, fib: &Fib) -> &[Activity] {
        self.activity.clear();
        self.seen.resize(fib.peers.len(), Seen::default());
        for (seen, entry) in self.seen.iter_mut().zip(&fib.peers) {
            let Some(entry) = entry.as_ref().filter(|entry| entry.peer != PeerId::ME) else { continue };
            let before = std::mem::replace(seen, Seen::of(&entry.stats));
            let max_recent_len = u16::try_from(entry.stats.max_recent_len.swap(0, Relaxed)).unwrap_or(u16::MAX);
            if before != *seen || max_recent_len != 0 {
                self.activity.push(Activity {
                    peer: entry.peer,
                    sent: before.sent != seen.sent,
                    relayed: before.relayed != seen.relayed,
                    came_relayed: before.came_relayed != seen.came_relayed,
                    max_recent_len,
                    refused: before.refused != seen.refused,
                });
            }
        }
        &self.activity
    }
}

impl Seen {
    fn of(stats: &PeerStats) -> Self {
        Self {
            sent: stats.out_packets.load(Relaxed),
            relayed: stats.relayed.load(Relaxed),
            came_relayed: stats.came_relayed.load(Relaxed),
            refused: stats.refused.load(Relaxed),
        }
    }
}
