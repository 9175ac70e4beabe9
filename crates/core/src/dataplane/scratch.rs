//! `Scratch`: what one worker needs beside a `Fib`: buffers, the time, its counters.

use std::fmt;

use crate::dataplane::batch::Unsealed;
use crate::dataplane::capture::Capture;
use crate::dataplane::compress::Codec;
use crate::dataplane::follow::{Admitted, Followers, Way};
use crate::dataplane::icmp::ErrorBudget;
use crate::dataplane::legacy::SearchBudget;
use crate::dataplane::stats::Counters;
use crate::dataplane::strangers::Strangers;
use crate::dataplane::tally::Tally;
use crate::subnet::{Address, Owner};
use crate::time::Instant;

/// Working memory of one worker. Nothing is allocated per packet: what a packet needs is here.
pub struct Scratch {
    /// The time of the current batch.
    pub now: Instant,
    /// Which of the node's UDP sockets took the datagrams of the current batch.
    pub socket: u16,
    /// How the packets of this worker ended.
    pub counters: Counters,
    /// Type of service or traffic class that the last packet is to have outside; 0: none.
    pub priority: u8,
    /// Stations that the node does not know.
    pub strangers: Strangers,
    /// Copies for whoever watches.
    pub capture: Capture,
    /// Whether packets are framed and not sealed: whoever works a batch seals them together.
    pub(super) defers: bool,
    /// The last packet, if it still has to be sealed.
    pub(super) unsealed: Option<Unsealed>,
    /// The address that was looked up last in this batch, and what was found.
    pub(super) found: Option<(Address, Option<Owner>)>,
    /// How the last packet of this batch was sent, if others may follow it.
    pub(super) way: Option<Way>,
    /// The last packet of this batch, if others may follow it to the device.
    pub(super) admitted: Option<Admitted>,
    /// How many did, either way.
    pub(super) followers: Followers,
    pub(super) tally: Tally,
    pub(super) codec: Codec,
    pub(super) errors: ErrorBudget,
    pub(super) searches: SearchBudget,
}

impl Scratch {
    /// Empty working memory.
    pub fn new() -> Self {
        Self {
            now: Instant::ZERO,
            socket: 0,
            counters: Counters::default(),
            priority: 0,
            strangers: Strangers::default(),
            capture: Capture::default(),
            defers: false,
            unsealed: None,
            found: None,
            way: None,
            admitted: None,
            followers: Followers::default(),
            tally: Tally::default(),
            codec: Codec::new(),
            errors: ErrorBudget::default(),
            searches: SearchBudget::default(),
        }
    }

    /// From now on packets are of one batch.
    pub(super) const fn start_batch(&mut self) {
        self.defers = true;
        self.found = None;
        self.way = None;
        self.admitted = None;
    }

    /// The packets of the batch are decided on.
    pub(super) fn end_batch(&mut self) {
        self.defers = false;
        self.tally.end();
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("now", &self.now).field("counters", &self.counters).finish_non_exhaustive()
    }
}
