//! Time, which always comes from outside, and how sure one is of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::key::Key;

/// Seconds of a day.
pub const DAY: u64 = 86_400;
/// How far ahead the start of a statement may lie and still count: clocks differ.
pub const AHEAD: u64 = 600;
/// Neighbours whose times are remembered.
const VOUCHERS: usize = 64;

/// Seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The time `seconds` later.
    #[must_use]
    pub const fn after(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The time `seconds` earlier.
    #[must_use]
    pub const fn before(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What is known of the present: it lies between two times.
///
/// A decision holds for all of it: where the answer changes in between, the most restrictive one is given. With a span
/// at least as wide as the error of a clock, that error never widens what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    now: Time,
    earliest: Time,
    latest: Time,
    denials_end: bool,
}

impl Span {
    /// The present is known to the second.
    pub const fn at(now: Time) -> Self {
        Self { now, earliest: now, latest: now, denials_end: true }
    }

    /// The clock says `now` and may be wrong by `error` seconds, either way.
    pub const fn around(now: Time, error: u64) -> Self {
        Self { now, earliest: now.before(error), latest: now.after(error), denials_end: true }
    }

    /// There is no clock; others vouch for `now` ([`VouchedClock`]). They may lie: what is denied stays denied, even if
    /// the denial has an end.
    pub const fn vouched(now: Time) -> Self {
        Self { now, earliest: now, latest: now, denials_end: false }
    }

    /// What the clock says.
    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// The first moment that the present may be.
    pub const fn earliest(&self) -> Time {
        self.earliest
    }

    /// The last moment that the present may be.
    pub const fn latest(&self) -> Time {
        self.latest
    }

    /// Whether a no may end.
    pub(crate) const fn denials_end(&self) -> bool {
        self.denials_end
    }

    /// One moment of the span.
    pub(crate) const fn moment(&self, now: Time) -> Moment {
        Moment { yes: now, no: if self.denials_end { now } else { Time(0) } }
    }
}

/// The times at which a yes and a no are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) yes: Time,
    pub(crate) no: Time,
}

/// The time of a machine without a clock: the latest that two neighbours vouch for. It never goes back.
///
/// ```
/// use fides::{Key, Time, VouchedClock};
///
/// let mut clock = VouchedClock::default();
/// clock.vouch(Key::from_bytes([1; 32]), Time(1_000_000));
/// assert_eq!(clock.now(), None, "one could lie");
/// clock.vouch(Key::from_bytes([2; 32]), Time(999_990));
/// assert_eq!(clock.now(), Some(Time(999_990)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct VouchedClock {
    vouchers: BTreeMap<Key, Time>,
    now: Option<Time>,
}

impl VouchedClock {
    /// A trusted neighbour says what time it is.
    pub fn vouch(&mut self, neighbour: Key, time: Time) {
        if self.vouchers.len() >= VOUCHERS && !self.vouchers.contains_key(&neighbour) {
            return;
        }
        let said = self.vouchers.entry(neighbour).or_insert(time);
        *said = time.max(*said);
        let mut times: Vec<Time> = self.vouchers.values().copied().collect();
        times.sort_unstable();
        let second = times.len().checked_sub(2).map(|at| times[at]);
        self.now = self.now.max(second);
    }

    /// A neighbour is no longer one: its word is forgotten, the time that it helped to find is not.
    pub fn forget(&mut self, neighbour: &Key) {
        self.vouchers.remove(neighbour);
    }

    /// The time, once two have vouched for it.
    pub const fn now(&self) -> Option<Time> {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_liar_moves_a_vouched_clock_neither_forward_nor_back() {
        let mut clock = VouchedClock::default();
        let honest = |number| Key::from_bytes([number; 32]);
        clock.vouch(honest(1), Time(500));
        clock.vouch(honest(2), Time(501));
        let before = clock.now();

        clock.vouch(Key::from_bytes([9; 32]), Time(u64::MAX));
        assert_eq!(clock.now(), Some(Time(501)), "the best of the honest");
        clock.vouch(Key::from_bytes([9; 32]), Time(0));
        assert!(clock.now() >= before);
    }

    #[test]
    fn a_vouched_clock_remembers_a_bounded_number_of_neighbours() {
        let mut clock = VouchedClock::default();
        for number in 0..=255 {
            clock.vouch(Key::from_bytes([number; 32]), Time(1));
        }
        assert_eq!(clock.vouchers.len(), VOUCHERS);
    }
}
