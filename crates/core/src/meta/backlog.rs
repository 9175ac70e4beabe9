//! `Backlog`: how many sealed bytes wait on a connection, and for how many there is room.
//!
//! What is sealed has its place and can neither be dropped nor overtaken, so that no more of it should wait than leaves
//! within a few milliseconds. How much that is shows while more waits.

use std::time::Duration;

use crate::time::Instant;

/// What waits sealed, or with the system, should leave within this.
const DELAY: Duration = Duration::from_millis(10);
/// How fast the connection empties is measured over this.
const WINDOW: Duration = Duration::from_millis(20);
/// Room on the slowest connection, in bytes.
const LEAST: usize = 4 << 10;
/// Room while nothing is known.
const UNKNOWN: usize = 8 << 10;
/// Room on the fastest connection.
const MOST: usize = 256 << 10;

/// What waits on one connection. All sizes are bytes.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    waiting: usize,
    room: usize,
    /// What the system was last told of it.
    told: usize,
    /// Since when more waits than there is room for, or the last measurement.
    since: Option<Instant>,
    /// What has left since then.
    left: usize,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { waiting: 0, room: UNKNOWN, told: UNKNOWN, since: None, left: 0 }
    }
}

impl Backlog {
    /// So much waits.
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether something that can also wait elsewhere may be added beside so many bytes.
    pub const fn has_room_beside(&self, bytes: usize) -> bool {
        self.waiting + bytes < self.room
    }

    /// For so much there is room; also with the system, besides.
    #[cfg(test)]
    const fn room(&self) -> usize {
        self.room
    }

    /// The room, if the system ought to be told of it: it has changed by a quarter.
    pub const fn take_room(&mut self) -> Option<usize> {
        if self.room.abs_diff(self.told) * 4 < self.told {
            return None;
        }
        self.told = self.room;
        Some(self.room)
    }

    /// So much was added.
    pub const fn add(&mut self, bytes: usize) {
        self.waiting += bytes;
    }

    /// So much still waits after the system took some; `more`: something waits elsewhere for room.
    pub fn on_written(&mut self, now: Instant, waiting: usize, more: bool) {
        let left = self.waiting.saturating_sub(waiting);
        self.waiting = waiting;
        if waiting == 0 && !more {
            self.since = None;
            return;
        }
        let Some(since) = self.since else {
            (self.since, self.left) = (Some(now), 0);
            return;
        };
        self.left += left;
        let took = now.since(since);
        if took >= WINDOW {
            let soon = self.left as u128 * DELAY.as_micros() / took.as_micros();
            let soon = usize::try_from(soon).unwrap_or(MOST).clamp(LEAST, MOST);
            self.room = usize::midpoint(self.room, soon);
            (self.since, self.left) = (Some(now), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(1_000 * ms)
    }

    /// A connection on which something always waits, and from which so much leaves in each of `times` milliseconds.
    fn busy(backlog: &mut Backlog, times: u64, each_ms: usize) {
        backlog.on_written(at(0), 10_000, true);
        for ms in 0..times {
            backlog.add(each_ms);
            backlog.on_written(at(ms), 10_000, true);
        }
    }

    #[test]
    fn there_is_room_for_what_leaves_in_ten_milliseconds() {
        let mut backlog = Backlog::default();
        backlog.add(10_000);
        busy(&mut backlog, 500, 12_500);
        assert!((120_000..126_000).contains(&backlog.room()), "{}", backlog.room());
        assert!(backlog.has_room_beside(100_000));
        assert!(!backlog.has_room_beside(120_000));
    }

    #[test]
    fn on_a_slow_connection_little_waits_and_on_none_more_than_a_quarter_of_a_mebibyte() {
        let mut slow = Backlog::default();
        busy(&mut slow, 500, 12);
        assert!((LEAST..LEAST + 500).contains(&slow.room()), "{}", slow.room());

        let mut fast = Backlog::default();
        busy(&mut fast, 500, 1_000_000);
        assert!((MOST - 1_000..=MOST).contains(&fast.room()), "{}", fast.room());
    }

    #[test]
    fn the_system_is_told_of_large_changes_only() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.take_room(), None);
        busy(&mut backlog, 500, 12_500);
        assert_eq!(backlog.take_room(), Some(backlog.room()));
        busy(&mut backlog, 500, 13_000);
        assert_eq!(backlog.take_room(), None);
    }

    #[test]
    fn a_connection_that_nothing_waits_for_says_nothing_of_its_speed() {
        let mut backlog = Backlog::default();
        for ms in 0..500 {
            backlog.add(100);
            backlog.on_written(at(ms), 0, false);
        }
        assert_eq!(backlog.room(), UNKNOWN);
    }
}
