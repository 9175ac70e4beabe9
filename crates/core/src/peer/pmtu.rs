//! `Pmtu`: searches the largest frame that arrives at a peer over UDP.
//!
//! Sizes are those of Ethernet frames. `min` is known to arrive, `max` is not known not to. The
//! first probe is what the system believes of the path, and if that arrives the search is over.
//! Otherwise what is left is halved until nothing is left: eight probes, with the first, leave less than eight bytes. Each
//! is sent once, so two more at the end tell whether the result arrives, and not one byte more.
//!
//! Towards tinc, twenty probes come before that, of tinc's sizes, which first fall steeply and then creep up from what
//! arrived. All come as fast as they are answered, or when the round-trip time is over; towards tinc three a second.
//!
//! ```text
//!            confirmed       1 probe (tinc: 20)         nothing left
//!   Start ──────────────► Searching ────────► Refining ──────────────┐
//!     ▲                       │  ▲                                    │
//!     │                       │  └─────── a larger size arrived ◄───┐ │
//!     │ 3 lost, or            │ min = max                           │ ▼
//!     │ "too big"             └─────────────────────────────────► Fixed
//!     └─────────────── Doubtful ◄───── verified every minute ────────┘▲
//!                          └──────────── answered ────────────────────┘
//! ```
//!
//! The twenty sizes and the verification are tinc's; the halving, and the haste, are not, but every peer
//! answers every size. Source: spec datagrams 13; RFC 8899.
//!
//! A path may be narrow only while it is loaded: then probes find sizes that data does not arrive with. So what did not arrive
//! once is not believed for a while, whatever probes say (`ceiling.rs`).

mod ceiling;

use std::time::Duration;

use crate::peer::pmtu::ceiling::Ceiling;
use crate::time::Instant;
use crate::wire::probe::{MAX_PROBE, MIN_PROBE};

/// Below this UDP is not considered usable.
const SMALLEST: u16 = 512;
/// Probes of tinc's sizes.
const PROBES: u8 = 20;
/// Where halving begins while nothing is known to arrive: less than eight bytes below the smallest size.
const FLOOR: u16 = SMALLEST - 8;
/// A probe that is not answered for so long counts as lost.
const PROBE_TIMEOUT: Duration = Duration::from_micros(333_333);
/// Time that a peer may take to answer.
const LEEWAY: Duration = Duration::from_millis(30);
/// What a peer tells of sizes that it received may be so old.
const STALE: Duration = Duration::from_secs(11);
/// The result is verified so often.
const VERIFY_INTERVAL: Duration = Duration::from_secs(60);
/// A verification that is not answered is repeated after so long.
const REPEAT_INTERVAL: Duration = Duration::from_secs(1);
/// So many lost verifications start the search again.
const MAX_LOST: u8 = 3;

/// Which sizes a search tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Those of tinc first.
    AsTinc,
    /// The middle of what is left; this is the round-trip time, if one was measured.
    Halving(Option<Duration>),
}

impl Search {
    /// A probe of this search counts as lost after so long.
    fn pace(self) -> Duration {
        match self {
            Self::AsTinc | Self::Halving(None) => PROBE_TIMEOUT,
            Self::Halving(Some(rtt)) => patience(rtt),
        }
    }
}

/// How long an answer may take.
fn patience(rtt: Duration) -> Duration {
    (rtt + rtt / 2 + LEEWAY).min(PROBE_TIMEOUT)
}

/// How far the search has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent yet.
    Start,
    /// So many sizes were tried.
    Searching { probes: u8 },
    /// The size is between `min` and this.
    Refining { high: u16 },
    /// `min` and `max` are the same.
    Fixed,
    /// They may be so no longer: so many verifications went out.
    Doubtful { lost: u8 },
}

/// The path-MTU search of one tunnel.
#[derive(Clone, Debug)]
pub struct Pmtu {
    phase: Phase,
    min: u16,
    max: u16,
    mtu: u16,
    /// When a probe was last sent.
    sent: Option<Instant>,
    /// The size that was sent last, until it is answered.
    probe: Option<u16>,
    /// The smallest size above `min` that was not answered.
    silent: Option<u16>,
    /// A probe counts as lost after so long.
    pace: Duration,
    /// What is not believed since the size was found not to arrive any more.
    ceiling: Option<Ceiling>,
}

impl Default for Pmtu {
    fn default() -> Self {
        Self::new()
    }
}

impl Pmtu {
    /// A search that has not begun.
    pub const fn new() -> Self {
        Self {
            phase: Phase::Start,
            min: 0,
            max: MAX_PROBE,
            mtu: MAX_PROBE,
            sent: None,
            probe: None,
            silent: None,
            pace: PROBE_TIMEOUT,
            ceiling: None,
        }
    }

    /// Largest size known to arrive; 0: none.
    pub const fn min(&self) -> u16 {
        self.min
    }

    /// Largest size that may arrive. The search is over when it equals [`Self::min`].
    pub const fn max(&self) -> u16 {
        self.max
    }

    /// The last result, which is kept while a search is under way.
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Whether probes are due several times a second.
    pub const fn is_searching(&self) -> bool {
        match self.phase {
            Phase::Start | Phase::Searching { .. } | Phase::Refining { .. } => true,
            Phase::Fixed | Phase::Doubtful { .. } => false,
        }
    }

    /// Forgets everything but the last result: the path is another, or UDP does not work.
    pub const fn reset(&mut self) {
        *self = Self { mtu: self.mtu, ..Self::new() };
    }

    /// There is traffic: gives the sizes of the probes that are due.
    ///
    /// `confirmed` tells whether UDP works both ways, `initial` what the system says of the path.
    pub fn on_tick(&mut self, now: Instant, confirmed: bool, initial: Option<u16>, search: Search) -> Vec<u16> {
        if !confirmed {
            self.reset();
            return Vec::new();
        }
        if !self.is_due(now) {
            return Vec::new();
        }
        self.sent = Some(now);
        self.give_up_probe();
        if search != Search::AsTinc {
            self.halve(now, initial);
        }
        self.conclude();
        match self.phase {
            Phase::Fixed => self.verify(now),
            Phase::Doubtful { lost } if lost < MAX_LOST => {
                self.phase = Phase::Doubtful { lost: lost + 1 };
                vec![self.max.max(MIN_PROBE)]
            }
            Phase::Start | Phase::Doubtful { .. } => {
                self.min = if self.phase == Phase::Start { self.min } else { 0 };
                self.max = initial.unwrap_or(MAX_PROBE).min(self.most(now));
                self.pace = search.pace();
                self.search(0, search)
            }
            Phase::Searching { probes } => {
                self.pace = search.pace();
                self.search(probes, search)
            }
            Phase::Refining { high } => {
                let size = (self.low(high) + high).div_ceil(2).max(MIN_PROBE);
                self.probe = Some(size);
                vec![size]
            }
        }
    }

    /// The first size did not arrive, or more than was thought to: what is left is halved.
    fn halve(&mut self, now: Instant, initial: Option<u16>) {
        let Phase::Searching { probes: 1.. } = self.phase else { return };
        match self.silent {
            Some(silent) => self.phase = Phase::Refining { high: (silent - 1).min(self.max) },
            // A larger size than was thought possible has just been answered.
            None if self.min > 0 && self.max == MAX_PROBE => {
                let believed = initial.map(|size| size.min(self.most(now))).filter(|&size| size >= self.min);
                self.max = believed.unwrap_or(self.max);
            }
            None => {}
        }
    }

    /// Where halving begins below `high`. After a hole all sizes come into question, else those that UDP is of use for.
    const fn low(&self, high: u16) -> u16 {
        if self.ceiling.is_none() && self.min < FLOOR && high > FLOOR { FLOOR } else { self.min }
    }

    fn is_due(&self, now: Instant) -> bool {
        let waited = |interval| self.sent.is_none_or(|sent| now.since(sent) >= interval);
        match self.phase {
            Phase::Start => true,
            Phase::Searching { .. } | Phase::Refining { .. } => self.probe.is_none() || waited(self.pace),
            Phase::Fixed => waited(VERIFY_INTERVAL) || self.was_freed(now),
            Phase::Doubtful { .. } => waited(REPEAT_INTERVAL),
        }
    }

    /// Whether larger sizes are believed again and were not tried since.
    fn was_freed(&self, now: Instant) -> bool {
        self.ceiling.zip(self.sent).is_some_and(|(ceiling, sent)| ceiling.was_lifted_since(sent, now))
    }

    /// The last size was not answered in time.
    fn give_up_probe(&mut self) {
        let Some(size) = self.probe.take().filter(|&size| size > self.min) else { return };
        self.silent = Some(self.silent.map_or(size, |silent| silent.min(size)));
        if let Phase::Refining { high } = &mut self.phase {
            *high = (*high).min(size - 1);
        }
    }

    /// Ends the search, or its first part, if nothing is left of it.
    fn conclude(&mut self) {
        match self.phase {
            Phase::Start | Phase::Searching { .. } if self.min >= self.max => self.fix(),
            Phase::Searching { probes: PROBES.. } => {
                let high = self.silent.unwrap_or(self.max).min(self.max);
                if self.min >= SMALLEST && self.min < high {
                    self.phase = Phase::Refining { high };
                } else {
                    self.fix();
                }
            }
            Phase::Refining { high } if self.min >= high || high < MIN_PROBE => self.fix(),
            Phase::Start | Phase::Searching { .. } | Phase::Refining { .. } | Phase::Fixed | Phase::Doubtful { .. } => {
            }
        }
    }

    fn fix(&mut self) {
        self.min = self.min.min(self.max);
        self.max = self.min;
        self.mtu = self.min;
        self.phase = Phase::Fixed;
        self.probe = None;
        self.silent = None;
    }

    /// Asks for the size that is fixed, and for one that would mean that the path has grown.
    fn verify(&mut self, now: Instant) -> Vec<u16> {
        self.phase = Phase::Doubtful { lost: 1 };
        let grown = Some(self.max.max(SMALLEST) + 1).filter(|&size| size < MAX_PROBE && size <= self.most(now));
        std::iter::once(self.max.max(MIN_PROBE)).chain(grown).collect()
    }

    fn search(&mut self, probes: u8, search: Search) -> Vec<u16> {
        let size = match search {
            Search::AsTinc => probe_size(self.min, self.max, probes),
            Search::Halving(_) => self.max.max(MIN_PROBE),
        };
        self.phase = Phase::Searching { probes: probes + 1 };
        self.probe = Some(size);
        vec![size]
    }

    /// Largest size that an answer is believed of.
    fn most(&self, now: Instant) -> u16 {
        self.ceiling.and_then(|ceiling| ceiling.limit(now)).unwrap_or(MAX_PROBE)
    }

    /// Largest size that the search still takes for possible.
    const fn believed(&self) -> u16 {
        match self.phase {
            Phase::Refining { high } => high,
            Phase::Start | Phase::Searching { .. } | Phase::Fixed | Phase::Doubtful { .. } => self.max,
        }
    }

    /// The peer told that it received `len` bytes, perhaps a while ago.
    pub fn on_told(&mut self, now: Instant, len: u16) {
        if len.min(MAX_PROBE) <= self.believed() || !self.has_shrunk(now) {
            self.on_reply(now, len);
        }
    }

    /// A probe of `len` bytes was answered.
    pub fn on_reply(&mut self, now: Instant, len: u16) {
        let (len, most) = (len.min(MAX_PROBE), self.most(now));
        if len > most {
            return;
        }
        if self.probe.is_some_and(|size| size <= len) {
            self.probe = None;
        }
        self.silent = self.silent.filter(|&silent| silent > len);
        if len > self.max {
            self.min = len;
            self.max = most;
            self.phase = Phase::Searching { probes: 1 };
            return;
        }
        match &mut self.phase {
            phase @ (Phase::Fixed | Phase::Doubtful { .. }) if len == self.max => {
                *phase = Phase::Fixed;
                self.sent = Some(now);
            }
            // What was taken for too large only got lost.
            Phase::Refining { high } if len >= *high => *high = self.max,
            Phase::Start | Phase::Searching { .. } | Phase::Refining { .. } | Phase::Fixed | Phase::Doubtful { .. } => {
            }
        }
        if len > self.min {
            self.min = len;
            if self.is_searching() && self.min >= self.max {
                self.fix();
            }
        }
    }

    /// Datagrams of the size that was known to arrive do not, and nothing says so: what is below it is halved, so that eight
    /// probes leave less than eight bytes. They are given little more than the round-trip time.
    ///
    /// Tells whether that is so: if smaller and smaller sizes do not arrive, it is not for their size.
    pub fn on_hole(&mut self, now: Instant, rtt: Duration) -> bool {
        let lost = if self.min > MIN_PROBE { self.min } else { SMALLEST };
        if lost <= SMALLEST && self.ceiling.is_some_and(|ceiling| ceiling.limit(now).is_some()) {
            return false;
        }
        let ceiling = Ceiling::lower(self.ceiling, now, lost);
        let high = ceiling.size;
        let (mtu, phase) = (self.mtu.min(high), Phase::Refining { high });
        *self = Self { max: high, mtu, phase, pace: patience(rtt), ceiling: Some(ceiling), ..Self::new() };
        true
    }

    /// Whether the path was found to be narrower than before a short time ago.
    pub fn has_shrunk(&self, now: Instant) -> bool {
        self.ceiling.is_some_and(|ceiling| ceiling.age(now) < STALE)
    }

    /// How long to wait for an answer.
    pub const fn pace(&self) -> Duration {
        match self.phase {
            Phase::Searching { .. } | Phase::Refining { .. } => self.pace,
            Phase::Start | Phase::Fixed | Phase::Doubtful { .. } => PROBE_TIMEOUT,
        }
    }

    /// The system refused to send `len` bytes because the path does not take so much.
    pub fn on_too_big(&mut self, len: u16) {
        let limit = len.saturating_sub(1).max(SMALLEST);
        self.max = self.max.min(limit);
        self.mtu = self.mtu.min(limit);
        self.probe = None;
        if limit < self.min {
            self.min = 0;
            self.phase = Phase::Start;
            return;
        }
        match &mut self.phase {
            // The size was not tried: the next takes its place.
            Phase::Searching { probes } => *probes = probes.saturating_sub(1),
            Phase::Refining { high } => *high = (*high).min(limit),
            Phase::Start | Phase::Fixed | Phase::Doubtful { .. } => {}
        }
        if self.is_searching() && self.min >= self.max {
            self.fix();
        }
    }
}

/// The size to try after so many others. In single precision, because others do so.
fn probe_size(min: u16, max: u16, probes: u8) -> u16 {
    let low = min.max(SMALLEST);
    let range = max.saturating_sub(low);
    if range == 0 {
        return low.clamp(MIN_PROBE, MAX_PROBE);
    }
    let slope = if max == MAX_PROBE { 0.97 } else { 1.0_f32 };
    let position = f32::from(7 - probes % 8);
    let offset = f32::from(range).powf(slope * position / 7.0).round_ties_even();
    (low + offset as u16).clamp(MIN_PROBE, MAX_PROBE)
}

#[cfg(test)]
mod tests;
