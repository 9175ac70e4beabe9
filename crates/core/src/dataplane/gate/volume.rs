//! `Volume`: how much others carry for a node on one day (UTC). Counts in one atomic number, so that workers share it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::time::Instant;

const DAY: u64 = 86_400;
/// A number of a day and of bytes share 64 bits.
const BYTE_BITS: u32 = 48;
const BYTES: u64 = (1 << BYTE_BITS) - 1;

/// The time of day, as the node is told it.
#[derive(Debug, Default)]
pub struct Wall {
    /// Seconds since 1970 at the origin of time.
    origin: AtomicU64,
}

impl Wall {
    /// It is `unix` seconds after 1970.
    pub fn tell(&self, now: Instant, unix: u64) {
        self.origin.store(unix.saturating_sub(now.as_micros() / 1_000_000), Relaxed);
    }

    /// Days since 1970.
    pub fn day(&self, now: Instant) -> u16 {
        let unix = self.origin.load(Relaxed).saturating_add(now.as_micros() / 1_000_000);
        (unix / DAY) as u16
    }
}

/// What one day may hold, and what today holds.
#[derive(Debug)]
pub struct Volume {
    limit: u64,
    /// The day's number, above its bytes.
    spent: AtomicU64,
}

impl Volume {
    /// `limit` bytes a day, at most 2^48 − 1, of which as much is gone as of `before`.
    pub fn new(limit: u64, before: Option<&Self>) -> Self {
        let spent = before.map_or(0, |before| before.spent.load(Relaxed));
        Self { limit: limit.min(BYTES), spent: AtomicU64::new(spent) }
    }

    /// Bytes a day.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes `len` bytes of a day, if there is room for them.
    pub fn take(&self, day: u16, len: usize) -> bool {
        let taken = self.spent.fetch_update(Relaxed, Relaxed, |spent| {
            let before = if spent >> BYTE_BITS == u64::from(day) { spent & BYTES } else { 0 };
            let bytes = before + len as u64;
            (bytes <= self.limit).then_some(u64::from(day) << BYTE_BITS | bytes)
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_holds_so_much_and_the_next_one_begins_anew() {
        let volume = Volume::new(2_500, None);
        assert!(volume.take(20_000, 1_000) && volume.take(20_000, 1_000) && !volume.take(20_000, 1_000));
        assert!(volume.take(20_000, 500) && !volume.take(20_000, 1));
        assert!(volume.take(20_001, 2_500));
    }

    #[test]
    fn another_limit_goes_on_counting() {
        let before = Volume::new(1_000, None);
        assert!(before.take(1, 900));
        let after = Volume::new(1_500, Some(&before));
        assert!(!after.take(1, 601) && after.take(1, 600));
    }

    #[test]
    fn the_day_changes_at_midnight_utc() {
        let wall = Wall::default();
        wall.tell(Instant::from_micros(5_000_000), 20_000 * DAY - 1);
        assert_eq!(wall.day(Instant::from_micros(5_900_000)), 19_999);
        assert_eq!(wall.day(Instant::from_micros(6_000_000)), 20_000);
    }
}
