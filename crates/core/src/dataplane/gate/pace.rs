//! `Pace`: how fast a node may send. A token bucket without tokens: of each packet it is known when the ones before it
//! would be through at the granted rate (GCRA, ITU-T I.371). One atomic number, so that workers share it without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::time::Instant;

/// So much may come at once, in nanoseconds at the granted rate …
const BURST_NANOS: u64 = 50_000_000;
/// … and at least so much, in bytes.
const BURST_BYTES: u64 = 65_536;
/// Nanoseconds that a bit takes at one kbit/s.
const NANOS: u64 = 1_000_000;

/// A rate, and when what has come would be through.
#[derive(Debug)]
pub struct Pace {
    /// Kilobits, of 1,000 bits, per second.
    kbit: u64,
    /// In nanoseconds.
    burst: u64,
    /// When what has come would be through, in nanoseconds since the origin of time.
    through: AtomicU64,
}

impl Pace {
    /// A rate of `kbit` kilobits per second from now on.
    pub const fn new(kbit: u64) -> Self {
        let (least, usual) = (cost(kbit, BURST_BYTES), BURST_NANOS);
        Self { kbit, burst: if least > usual { least } else { usual }, through: AtomicU64::new(0) }
    }

    /// The same, where another rate has counted before: what it has not let through yet takes no longer than a burst.
    #[must_use]
    pub fn after(self, before: &Self, now: Instant) -> Self {
        let through = before.through.load(Relaxed).min(nanos(now).saturating_add(self.burst));
        self.through.store(through, Relaxed);
        self
    }

    /// The rate, in kilobits per second.
    pub const fn kbit(&self) -> u64 {
        self.kbit
    }

    /// Whether more than half of a burst is waiting: about as much comes as is granted, or more.
    pub fn is_strained(&self, now: Instant) -> bool {
        self.through.load(Relaxed) > nanos(now).saturating_add(self.burst / 2)
    }

    /// Takes `len` bytes, if there is room for them now.
    pub fn take(&self, now: Instant, len: usize) -> bool {
        if self.kbit == 0 {
            return false;
        }
        let now = nanos(now);
        let cost = cost(self.kbit, len as u64);
        let end = now.saturating_add(self.burst);
        let taken = self.through.fetch_update(Relaxed, Relaxed, |through| {
            let through = through.max(now).saturating_add(cost);
            (through <= end).then_some(through)
        });
        taken.is_ok()
    }
}

const fn nanos(now: Instant) -> u64 {
    now.as_micros().saturating_mul(1_000)
}

/// How long `len` bytes take, in nanoseconds.
const fn cost(kbit: u64, len: u64) -> u64 {
    match len.saturating_mul(8 * NANOS).checked_div(kbit) {
        Some(nanos) => nanos,
        None => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(pace: &Pace, until: u64, step: u64, len: usize) -> u64 {
        let times = (0..until).step_by(step as usize);
        times.filter(|&micros| pace.take(Instant::from_micros(micros), len)).count() as u64 * len as u64
    }

    #[test]
    fn a_pace_is_strained_while_more_comes_than_it_grants_and_not_by_less() {
        let (pace, at) = (Pace::new(8_000), Instant::from_micros);
        let offer = |from: u64, step: usize| {
            (from..from + 1_000_000).step_by(step).for_each(|micros| {
                pace.take(at(micros), 1_000);
            });
            pace.is_strained(at(from + 1_000_000))
        };
        assert!(!offer(0, 2_000), "half of the rate");
        assert!(offer(1_000_000, 500), "twice the rate");
        assert!(!pace.is_strained(at(3_000_000)), "a second later");
    }

    #[test]
    fn after_a_burst_as_much_passes_as_is_granted() {
        let pace = Pace::new(8_000);
        // 8 Mbit/s are a million bytes a second; four times as much comes.
        let bytes = taken(&pace, 10_000_000, 250, 1_000);
        let (granted, burst) = (10_000_000, 65_536);
        assert!((granted..=granted + burst).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_fast_peer_has_fifty_milliseconds_at_once() {
        let pace = Pace::new(800_000);
        let at_once = (0..10_000).filter(|_| pace.take(Instant::ZERO, 1_000)).count();
        assert_eq!(at_once, 5_000);
    }

    #[test]
    fn no_rate_is_nothing() {
        assert!(!Pace::new(0).take(Instant::from_micros(1), 1));
    }

    #[test]
    fn what_was_sent_counts_by_another_rate_too() {
        let before = Pace::new(8);
        assert!(before.take(Instant::ZERO, 65_536) && !before.take(Instant::ZERO, 1));
        let after = Pace::new(8).after(&before, Instant::ZERO);
        assert!(!after.take(Instant::ZERO, 1_000));
        assert!(after.take(Instant::from_micros(1_000_001), 1_000));
    }

    #[test]
    fn a_faster_rate_does_not_wait_for_a_slower_ones_burst() {
        let before = Pace::new(1);
        assert!(before.take(Instant::ZERO, 65_536));
        let after = Pace::new(8_000).after(&before, Instant::ZERO);
        assert!(after.take(Instant::from_micros(50_000), 1_000), "the slow burst takes 524 s");
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_a_burst(
            kbit in 1..100_000_u64,
            packets in proptest::collection::vec((0..20_000_u64, 1..1_518_usize), 1..300),
        ) {
            let pace = Pace::new(kbit);
            let (mut now, mut bytes) = (0, 0);
            for (gap, len) in packets {
                now += gap;
                if pace.take(Instant::from_micros(now), len) {
                    bytes += len as u64;
                }
                let granted = now * kbit / 8_000;
                let burst = BURST_BYTES.max(kbit * 50 / 8);
                prop_assert!(bytes <= granted + burst + 300, "{bytes} > {granted} + {burst}");
            }
        }
    }
}
