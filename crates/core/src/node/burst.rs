//! `Burst`: how many new connections come in.
//!
//! Counters that drain by one each second: one of all connections, and one of each source that came lately, so that a
//! source that does not stop stays out and costs the others nothing. Source: spec meta-protocol 2.3.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::time::Instant;

/// Sources counted by themselves at most.
const SOURCES: usize = 256;

/// Limits new connections.
#[derive(Debug, Default)]
pub(super) struct Burst {
    all: Counter,
    sources: BTreeMap<IpAddr, Counter>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    level: u32,
    last: Instant,
}

impl Counter {
    /// What is left of it. Parts of a second count for the next time.
    fn drain(&mut self, now: Instant) {
        let drained = u32::try_from(now.since(self.last).as_secs()).unwrap_or(u32::MAX);
        if drained > 0 {
            self.level = self.level.saturating_sub(drained);
            self.last = now;
        }
    }
}

impl Burst {
    /// Whether another connection from `source` may come in; loopback always may.
    pub(super) fn admit(&mut self, now: Instant, source: IpAddr, limit: u32) -> bool {
        if source.is_loopback() {
            return true;
        }
        if !self.admit_source(now, source, limit) {
            return false;
        }
        self.all.drain(now);
        if self.all.level >= limit {
            return false;
        }
        self.all.level += 1;
        true
    }

    /// Attempts that are refused count too, up to as many again: whoever goes on stays out for that long afterwards.
    fn admit_source(&mut self, now: Instant, source: IpAddr, limit: u32) -> bool {
        self.sources.retain(|_, counter| {
            counter.drain(now);
            counter.level > 0
        });
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&source) {
            return true;
        }
        let counter = self.sources.entry(source).or_insert(Counter { level: 0, last: now });
        counter.level = (counter.level + 1).min(limit.saturating_mul(2));
        counter.level <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn source(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_burst_is_limited_and_drains_by_one_each_second() {
        let mut burst = Burst::default();
        assert_eq!((0..20).filter(|&n| burst.admit(at(100), source(n), 10)).count(), 10);
        assert_eq!((20..40).filter(|&n| burst.admit(at(103), source(n), 10)).count(), 3);
        assert!(burst.admit(at(103), "127.0.0.1".parse().unwrap(), 10));
        assert!(burst.admit(at(103), "::1".parse().unwrap(), 10));
    }

    #[test]
    fn who_does_not_stop_stays_out_and_others_come_in() {
        let mut burst = Burst::default();
        let mut come_in = 0;
        for tenth in 0..600 {
            let now = at(100) + Duration::from_millis(100 * tenth);
            come_in += u32::from(burst.admit(now, source(1), 10));
            if tenth % 50 == 49 {
                assert!(burst.admit(now, source(2), 10), "after {tenth} attempts of the other");
            }
        }
        assert!(come_in < 15, "{come_in} of 600 came in");

        assert!(!burst.admit(at(165), source(1), 10));
        assert!(burst.admit(at(176), source(1), 10));
    }

    #[test]
    fn many_sources_take_no_more_memory() {
        let mut burst = Burst::default();
        for number in 0..100_000_u32 {
            burst.admit(at(1), IpAddr::from(number.to_be_bytes()), 10);
        }
        assert_eq!(burst.sources.len(), SOURCES);
    }
}
