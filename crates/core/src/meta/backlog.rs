//! `Backlog`: how many bytes wait on a connection, and how many may before packets are dropped.
//!
//! What leaves in 50 ms may wait: less would stop a stream in the tunnel whose bursts are longer, and more would make
//! everything on the connection late. How much that is shows while something waits.

use std::time::Duration;

use crate::time::Instant;

/// What waits should leave within this.
const DELAY: Duration = Duration::from_millis(50);
/// How fast the connection empties is measured over this.
const WINDOW: Duration = Duration::from_millis(20);
/// Bytes that may wait on the slowest connection.
const LEAST: usize = 16 << 10;
/// Bytes that may wait while nothing is known.
const UNKNOWN: usize = 256 << 10;
/// Bytes that may wait on the fastest connection.
const MOST: usize = 1 << 20;

/// What waits on one connection. All sizes are bytes.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    waiting: usize,
    limit: usize,
    /// Since when something waits, or the last measurement.
    since: Option<Instant>,
    /// What has left since then.
    left: usize,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { waiting: 0, limit: UNKNOWN, since: None, left: 0 }
    }
}

impl Backlog {
    /// So much waits.
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// So much may wait.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// So much was added.
    pub const fn add(&mut self, bytes: usize) {
        self.waiting += bytes;
    }

    /// So much still waits after the system took some.
    pub fn on_written(&mut self, now: Instant, waiting: usize) {
        let left = self.waiting.saturating_sub(waiting);
        self.waiting = waiting;
        if waiting == 0 {
            self.since = None;
            // It may have become faster, and that would not show any more.
            self.limit = self.limit.max(UNKNOWN.min(2 * self.limit));
            return;
        }
        let Some(since) = self.since else {
            (self.since, self.left) = (Some(now), 0);
            return;
        };
        self.left += left;
        let took = now.since(since);
        if took >= WINDOW {
            self.measure(took);
            (self.since, self.left) = (Some(now), 0);
        }
    }

    fn measure(&mut self, took: Duration) {
        let soon = self.left as u128 * DELAY.as_micros() / took.as_micros();
        let soon = usize::try_from(soon).unwrap_or(MOST).clamp(LEAST, MOST);
        self.limit = usize::midpoint(self.limit, soon);
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
        for ms in 0..times {
            backlog.add(each_ms);
            backlog.on_written(at(ms), 10_000);
        }
    }

    #[test]
    fn what_leaves_in_fifty_milliseconds_may_wait() {
        let mut backlog = Backlog::default();
        backlog.add(10_000);
        busy(&mut backlog, 500, 12_500);
        assert!((600_000..650_000).contains(&backlog.limit()), "{}", backlog.limit());
    }

    #[test]
    fn on_a_slow_connection_little_waits_and_on_none_more_than_a_mebibyte() {
        let mut slow = Backlog::default();
        slow.add(10_000);
        busy(&mut slow, 500, 12);
        assert!((LEAST..LEAST + 1_000).contains(&slow.limit()), "{}", slow.limit());

        let mut fast = Backlog::default();
        fast.add(10_000);
        busy(&mut fast, 500, 1_000_000);
        assert!((MOST - 1_000..=MOST).contains(&fast.limit()), "{}", fast.limit());
    }

    #[test]
    fn a_connection_that_was_slow_is_tried_again_when_nothing_waits() {
        let mut backlog = Backlog::default();
        backlog.add(10_000);
        busy(&mut backlog, 500, 12);
        for ms in 500..510 {
            backlog.add(1_000);
            backlog.on_written(at(ms), 0);
        }
        assert_eq!(backlog.limit(), UNKNOWN);
    }
}
