//! Budgets: how much work others may cause.

use crate::time::Time;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Times per second, in the long run.
    pub per_second: u32,
    /// Times at once.
    pub burst: u32,
}

/// What is left of a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    left: u32,
    since: Time,
}

impl Budget {
    pub(crate) const fn full(rate: Rate, now: Time) -> Self {
        Self { left: rate.burst, since: now }
    }

    /// Whether there is something left.
    pub(crate) fn is_open(&mut self, rate: Rate, now: Time) -> bool {
        self.refill(rate, now);
        self.left > 0
    }

    /// Uses it once, if there is something left.
    pub(crate) fn take(&mut self, rate: Rate, now: Time) -> bool {
        let is_open = self.is_open(rate, now);
        self.left = self.left.saturating_sub(1);
        is_open
    }

    pub(crate) fn is_full(&mut self, rate: Rate, now: Time) -> bool {
        self.refill(rate, now);
        self.left == rate.burst
    }

    fn refill(&mut self, rate: Rate, now: Time) {
        let seconds = now.0.saturating_sub(self.since.0);
        let gained = seconds.saturating_mul(u64::from(rate.per_second)).min(u64::from(rate.burst));
        self.left = self.left.saturating_add(u32::try_from(gained).unwrap_or(u32::MAX)).min(rate.burst);
        self.since = self.since.max(now);
    }
}

/// Signatures that one neighbour may have verified.
const VERIFICATIONS: Rate = Rate { per_second: 200, burst: 2_000 };
/// Lines that one neighbour may have read.
const LINES: Rate = Rate { per_second: 2_000, burst: 20_000 };
/// Wrong signatures after which a neighbour is shut out.
const PATIENCE: u32 = 3;
/// For how long, in seconds.
const SHUT_OUT: u64 = 600;

/// A neighbour that passes statements on, and what it may cost.
///
/// Who passes on a statement has verified it. So a wrong signature is the fault of who sends it, and after three it is
/// shut out for ten minutes.
#[derive(Clone, Debug)]
pub struct Neighbour {
    lines: Budget,
    verifications: Budget,
    wrong: u32,
    shut_until: Time,
}

impl Neighbour {
    /// A neighbour that has done nothing yet.
    pub const fn new(now: Time) -> Self {
        Self {
            lines: Budget::full(LINES, now),
            verifications: Budget::full(VERIFICATIONS, now),
            wrong: 0,
            shut_until: Time(0),
        }
    }

    /// Whether it is to be disconnected, and not to be let in again yet.
    pub fn is_shut_out(&self, now: Time) -> bool {
        now < self.shut_until
    }

    pub(crate) fn may_send(&mut self, now: Time) -> bool {
        !self.is_shut_out(now) && self.lines.take(LINES, now)
    }

    pub(crate) fn may_have_verified(&mut self, now: Time) -> bool {
        self.verifications.take(VERIFICATIONS, now)
    }

    pub(crate) fn on_wrong_signature(&mut self, now: Time) {
        self.wrong += 1;
        if self.wrong >= PATIENCE {
            self.wrong = 0;
            self.shut_until = now.after(SHUT_OUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_fills_up_to_its_burst_and_a_clock_that_goes_back_fills_nothing() {
        let rate = Rate { per_second: 10, burst: 100 };
        let mut budget = Budget::full(rate, Time(1_000));
        let used = |budget: &mut Budget, now| (0..1_000).filter(|_| budget.take(rate, Time(now))).count();
        assert_eq!(used(&mut budget, 1_000), 100);
        assert_eq!(used(&mut budget, 1_001), 10);
        assert_eq!(used(&mut budget, 500), 0);
        assert_eq!(used(&mut budget, 1_001), 0);
        assert_eq!(used(&mut budget, u64::MAX), 100);
    }

    #[test]
    fn three_wrong_signatures_shut_a_neighbour_out_for_ten_minutes() {
        let mut neighbour = Neighbour::new(Time(1_000));
        neighbour.on_wrong_signature(Time(1_000));
        neighbour.on_wrong_signature(Time(1_001));
        assert!(neighbour.may_send(Time(1_001)));
        neighbour.on_wrong_signature(Time(1_002));
        assert!(!neighbour.may_send(Time(1_002)));
        assert!(neighbour.may_send(Time(1_602)));
    }
}
