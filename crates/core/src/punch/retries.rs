//! `Retries`: how often attempts with a peer failed, and when the next may begin.

use std::time::Duration;

use crate::time::Instant;

/// Rounds that follow each other quickly, while few ports come into question.
const QUICK_ROUNDS: u32 = 3;
const QUICK_PAUSE: Duration = Duration::from_secs(1);
/// The first long pause; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// Attempts that a peer may begin within [`CALLS_IN`]: a pause of a second comes twice, then one of a minute.
const CALLS: u32 = 4;
const CALLS_IN: Duration = Duration::from_secs(60);

/// How attempts with one peer went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// Attempts that failed since the last success or change of network.
    pub failures: u32,
    /// When the next may begin.
    pub not_before: Instant,
}

/// Attempts that a peer began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    since: Instant,
    count: u32,
}

impl Calls {
    /// Counts one; tells whether it is one of the first four in a minute.
    pub fn admit(&mut self, now: Instant) -> bool {
        if self.count == 0 || now.since(self.since) >= CALLS_IN {
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= CALLS
    }
}

impl Retries {
    /// Whether an attempt failed, and the next may not begin yet.
    pub fn pauses(&self, now: Instant) -> bool {
        self.failures > 0 && now < self.not_before
    }

    /// Notes how an attempt ended; `narrow`: few ports came into question.
    pub fn note(&mut self, direct: bool, narrow: bool, now: Instant) {
        if direct {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let pause = if narrow && self.failures < QUICK_ROUNDS {
            QUICK_PAUSE
        } else {
            let doubled = self.failures.saturating_sub(if narrow { QUICK_ROUNDS } else { 1 }).min(6);
            (PAUSE * (1 << doubled)).min(LONGEST_PAUSE)
        };
        self.not_before = now + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_success_forgets_them() {
        let mut retries = Retries::default();
        let pauses: Vec<u64> = (0..12)
            .map(|_| {
                retries.note(false, false, Instant::ZERO);
                retries.not_before.since(Instant::ZERO).as_secs()
            })
            .collect();
        assert_eq!(&pauses[..7], [60, 120, 240, 480, 960, 1_920, 3_600]);
        assert!(pauses[7..].iter().all(|&pause| pause == 3_600));
        retries.note(true, false, Instant::ZERO);
        assert_eq!(retries.failures, 0);
        let quick: Vec<u64> = (0..3)
            .map(|_| {
                retries.note(false, true, Instant::ZERO);
                retries.not_before.since(Instant::ZERO).as_secs()
            })
            .collect();
        assert_eq!(quick, [1, 1, 60]);
    }
}
