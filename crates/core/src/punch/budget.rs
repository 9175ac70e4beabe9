//! `Budget`: how fast this host may send to endpoints that have not answered, and answer questions of others.

use std::time::Duration;

use crate::time::Instant;

/// Distance of two probes in the long run: 87 a second, which leaves room for probes of other kinds below 100.
const PACE: Duration = Duration::from_micros(11_500);
/// Probes that may go at once after a pause.
const PROBES: u32 = 4;
/// Answers that may: two nodes that prepare an attempt with each other ask at the same time.
pub const ANSWERS: u32 = 24;

/// A bucket of probes, or of answers.
#[derive(Debug, Default)]
pub struct Budget<const BURST: u32 = PROBES> {
    /// When the bucket will be full again.
    full: Instant,
}

impl<const BURST: u32> Budget<BURST> {
    /// Takes a probe out, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let full = self.full.max(now);
        if full.since(now) >= PACE * BURST {
            return false;
        }
        self.full = full + PACE;
        true
    }

    /// When there will be a probe.
    pub fn next(&self, now: Instant) -> Instant {
        let wait = self.full.since(now).saturating_sub(PACE * (BURST - 1));
        now + wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_its_share() {
        let (mut budget, mut now) = (Budget::<PROBES>::default(), Instant::from_micros(5_000_000));
        let mut sent = Vec::new();
        while sent.len() < 1_000 {
            if budget.take(now) {
                sent.push(now);
            } else {
                assert!(budget.next(now) > now);
                now = budget.next(now);
            }
        }
        for (at, first) in sent.iter().enumerate() {
            let within = sent[at..].iter().take_while(|time| time.since(*first) < Duration::from_secs(1)).count();
            assert!(within <= 92, "{within}");
        }
    }

    #[test]
    fn what_two_nodes_ask_at_once_is_answered() {
        let mut budget = Budget::<ANSWERS>::default();
        let now = Instant::from_micros(5_000_000);
        assert_eq!((0..100).filter(|_| budget.take(now)).count(), 24);
    }
}
