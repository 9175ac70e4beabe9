//! `Clock`: the wall time by which statements hold, as the node is told it.
//!
//! A machine without a clock takes the latest time that two trusted neighbours vouch for, and until then the latest at
//! which anything that it kept was said.

use fides::{Key, Span, Time, VouchedClock};

use crate::time::Instant;

/// The wall time, as far as it is known.
#[derive(Debug, Default)]
pub struct Clock {
    /// A moment and what time it was then, in milliseconds since 1970.
    told: Option<(Instant, u64)>,
    /// When the last neighbour vouched, so that the time goes on from there.
    vouched_at: Instant,
    vouched: VouchedClock,
    /// The latest time of a kept statement.
    floor: Time,
    /// Seconds by which the told time may be wrong.
    pub(super) error: u64,
}

impl Clock {
    pub(super) fn new(error: u64) -> Self {
        Self { error, ..Self::default() }
    }

    /// The operating system says what time it is.
    pub const fn tell(&mut self, now: Instant, unix_ms: u64) {
        self.told = Some((now, unix_ms));
    }

    /// Whether the operating system said what time it is.
    pub const fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// A trusted neighbour says what time it is.
    pub fn vouch(&mut self, neighbour: Key, time: Time, now: Instant) {
        let before = self.vouched.now();
        self.vouched.vouch(neighbour, time);
        if self.vouched.now() != before {
            self.vouched_at = now;
        }
    }

    /// It is at least as late as when these lines were said: they were kept by this node itself.
    pub(super) fn learn_from(&mut self, lines: &str) {
        let begins = lines.lines().filter_map(|line| line.split(' ').nth(3)?.parse().ok().map(Time));
        self.floor = begins.fold(self.floor, Time::max);
    }

    /// What is known of the present.
    pub fn span(&self, now: Instant) -> Span {
        let Some((at, unix_ms)) = self.told else { return Span::vouched(self.vouched_now(now)) };
        let elapsed = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
        Span::around(Time(unix_ms.saturating_add(elapsed) / 1_000), self.error)
    }

    fn vouched_now(&self, now: Instant) -> Time {
        let vouched = self.vouched.now().map(|time| time.after(now.since(self.vouched_at).as_secs()));
        vouched.map_or(self.floor, |time| time.max(self.floor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_told_time_goes_on_by_itself() {
        let mut clock = Clock::new(30);
        clock.tell(Instant::from_micros(5_000_000), 1_800_000_000_400);
        let span = clock.span(Instant::from_micros(65_700_000));
        assert_eq!((span.earliest(), span.latest()), (Time(1_800_000_031), Time(1_800_000_091)));
    }

    #[test]
    fn without_a_clock_two_neighbours_vouch_and_the_past_is_known() {
        let mut clock = Clock::new(0);
        assert_eq!(clock.span(Instant::ZERO).latest(), Time(0));
        clock.learn_from("fides1 KEY 5 1700000000 1800000000 + allow\nnonsense\n");
        assert_eq!(clock.span(Instant::ZERO).latest(), Time(1_700_000_000));
        clock.vouch(Key::from_bytes([1; 32]), Time(1_800_000_000), Instant::ZERO);
        assert_eq!(clock.span(Instant::ZERO).latest(), Time(1_700_000_000), "one could lie");
        clock.vouch(Key::from_bytes([2; 32]), Time(1_750_000_000), Instant::ZERO);
        assert_eq!(clock.span(Instant::from_micros(9_000_000)).latest(), Time(1_750_000_009));
    }
}
