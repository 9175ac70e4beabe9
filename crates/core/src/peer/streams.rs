//! `Streams`: connections beside the meta connection that carry packets where UDP does not, and which flow takes which.
//!
//! A lost segment holds up everything behind it in its connection, and makes that connection slower. So flows that send
//! much are spread over several, and what sends little stays with the requests, where nothing large is in front of it.
//!
//! ```text
//!  packet ─► lane of its flow ─┬─ sends little ─► meta connection
//!                              └─ sends much ───► the stream with the fewest lanes, as long as both last
//! ```
//!
//! They are opened one after the other while much goes over TCP, and closed when that has not been so for a while. Source:
//! docs/protocol.md, "Streams".

use std::time::Duration;

use crate::name::ConnId;
use crate::time::Instant;

/// Streams with one neighbour at most.
pub const MOST: usize = 3;
/// Packets over TCP are counted over this.
const WINDOW: Duration = Duration::from_secs(1);
/// Bytes of packets, of both directions, that make another stream worth it, in one window.
const MUCH: usize = 128 << 10;
/// Streams stay open for so long without that. They outlast trials of UDP, which come every half minute and fail within
/// seconds.
const LINGER: Duration = Duration::from_secs(20);
/// After an attempt that failed, or a stream that ended soon, the next one waits for so long.
const REST: Duration = Duration::from_secs(30);
/// Flows that are told apart: so many that a small one seldom shares a lane with a large one.
const LANES: usize = 1024;
/// Bytes that a lane may send at once, and in each second, and still be small.
const SMALL: usize = 32 << 10;
/// What a lane sent before such a pause has arrived, so that it may take another way without being overtaken.
const PAUSE: Duration = Duration::from_secs(1);

/// Connections for packets with one neighbour.
#[derive(Debug, Default)]
pub struct Streams {
    /// Those that carry packets.
    up: Vec<ConnId>,
    /// The one that is being made.
    dialled: Option<ConnId>,
    lanes: Vec<Lane>,
    /// The window, and the bytes in it.
    since: Instant,
    bytes: usize,
    /// When much went the last time.
    busy: Instant,
    rests_until: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    stream: Option<ConnId>,
    last: Instant,
    /// Bytes that it sent beyond what is small.
    level: usize,
}

impl Streams {
    /// Counts a packet that came or goes over TCP; tells, at most once in a window, that another stream is worth it.
    pub fn note(&mut self, now: Instant, bytes: usize) -> bool {
        if now.since(self.since) >= WINDOW {
            (self.since, self.bytes) = (now, 0);
        }
        let before = self.bytes;
        self.bytes += bytes;
        if before >= MUCH || self.bytes < MUCH {
            return false;
        }
        self.busy = now;
        self.up.len() < MOST && self.dialled.is_none() && now >= self.rests_until
    }

    /// Whether little went over TCP for long; who was called waits longer, so that only one end decides.
    pub fn is_idle(&self, now: Instant, called: bool) -> bool {
        now.since(self.busy) > if called { 3 * LINGER } else { LINGER }
    }

    /// Whether there may be one more.
    pub const fn has_room(&self) -> bool {
        self.up.len() < MOST
    }

    /// Whether this one is being made.
    pub fn is_dialled(&self, conn: ConnId) -> bool {
        self.dialled == Some(conn)
    }

    /// All that there are, also the one that is being made.
    pub fn all(&self) -> impl Iterator<Item = ConnId> {
        self.up.iter().copied().chain(self.dialled)
    }

    /// This one is being made.
    pub const fn on_dialled(&mut self, conn: ConnId) {
        self.dialled = Some(conn);
    }

    /// Another one carries packets: the large flows are spread anew.
    pub fn on_up(&mut self, now: Instant, conn: ConnId) {
        self.dialled.take_if(|dialled| *dialled == conn);
        self.up.push(conn);
        self.busy = now;
        self.lanes.resize_with(LANES, Lane::default);
        self.lanes.iter_mut().for_each(|lane| lane.stream = None);
    }

    /// One ended, or did not come about; `soon`: it was of little use. Its flows take others.
    pub fn on_end(&mut self, now: Instant, conn: ConnId, soon: bool) {
        let failed = self.dialled.take_if(|dialled| *dialled == conn).is_some();
        let carried = self.up.contains(&conn);
        if failed || carried && soon {
            self.rests_until = now + REST;
        }
        self.up.retain(|&up| up != conn);
        self.lanes.iter_mut().filter(|lane| lane.stream == Some(conn)).for_each(|lane| lane.stream = None);
        if self.up.is_empty() {
            self.lanes = Vec::new();
        }
    }

    /// The stream for a packet of so many bytes; `None`: it goes on the meta connection.
    pub fn choose(&mut self, now: Instant, flow: u64, bytes: usize) -> Option<ConnId> {
        let index = (flow % LANES as u64) as usize;
        let lane = self.lanes.get_mut(index)?;
        let silent = now.since(std::mem::replace(&mut lane.last, now));
        if silent >= PAUSE {
            (lane.stream, lane.level) = (None, 0);
        }
        let drained = silent.as_millis() as usize * SMALL / 1_000;
        lane.level = (lane.level.saturating_sub(drained) + bytes).min(2 * SMALL);
        if lane.stream.is_none() && lane.level > SMALL {
            let chosen = self.emptiest(now);
            self.lanes.get_mut(index)?.stream = chosen;
            return chosen;
        }
        lane.stream
    }

    /// The stream that the fewest lanes take.
    fn emptiest(&self, now: Instant) -> Option<ConnId> {
        let lanes = |conn: ConnId| {
            let takes = |lane: &&Lane| lane.stream == Some(conn) && now.since(lane.last) < PAUSE;
            self.lanes.iter().filter(takes).count()
        };
        self.up.iter().copied().min_by_key(|&conn| lanes(conn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1_400;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(1_000 * ms + 100_000_000)
    }

    /// Two streams.
    fn streams() -> Streams {
        let mut streams = Streams::default();
        streams.on_up(at(0), ConnId(1));
        streams.on_up(at(0), ConnId(2));
        streams
    }

    /// Where a flow goes that sends a packet in each of these milliseconds, in turn.
    fn ways(streams: &mut Streams, flow: u64, times: std::ops::Range<u64>) -> Vec<Option<ConnId>> {
        let mut ways: Vec<_> = times.map(|ms| streams.choose(at(ms), flow, PACKET)).collect();
        ways.dedup();
        ways
    }

    #[test]
    fn a_small_flow_stays_with_the_requests_and_a_large_one_takes_one_stream() {
        let mut streams = streams();
        for ms in 0..600 {
            assert_eq!(streams.choose(at(100 * ms), 5, 100), None);
        }
        let large = ways(&mut streams, 6, 60_000..61_000);
        assert_eq!(large, [None, Some(ConnId(1))]);
        assert_eq!(ways(&mut streams, 7, 60_900..61_000), [None, Some(ConnId(2))]);
    }

    #[test]
    fn flows_are_spread_evenly_and_anew_when_a_stream_comes_or_goes() {
        let mut streams = streams();
        let count = |streams: &mut Streams, times: std::ops::Range<u64>| {
            let mut counts = std::collections::BTreeMap::new();
            for flow in 0..6 {
                let ways = ways(streams, flow, times.clone());
                *counts.entry(*ways.last().expect("some packets")).or_insert(0) += 1;
            }
            counts.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(count(&mut streams, 0..100), [(Some(ConnId(1)), 3), (Some(ConnId(2)), 3)]);
        streams.on_up(at(100), ConnId(3));
        assert_eq!(count(&mut streams, 100..200), [1, 2, 3].map(|conn| (Some(ConnId(conn)), 2)));
        streams.on_end(at(200), ConnId(2), false);
        assert_eq!(count(&mut streams, 200..300), [1, 3].map(|conn| (Some(ConnId(conn)), 3)));
        streams.on_end(at(300), ConnId(1), false);
        streams.on_end(at(300), ConnId(3), false);
        assert_eq!(count(&mut streams, 300..400), [(None, 6)]);
    }

    #[test]
    fn streams_are_opened_one_after_the_other_while_much_goes_over_tcp() {
        let mut streams = Streams::default();
        let mut opened = Vec::new();
        for ms in 0..6_000 {
            if streams.note(at(ms), PACKET) {
                streams.on_dialled(ConnId(ms));
                opened.push(ms);
            }
            if let Some(&last) = opened.last().filter(|&&last| last + 50 == ms) {
                streams.on_up(at(ms), ConnId(last));
            }
        }
        assert!(matches!(opened[..], [0..1_000, 1_000..2_000, 2_000..3_000]), "{opened:?}");
        assert!(!streams.has_room());
        assert!(!streams.is_idle(at(25_000), false));
        assert!(streams.is_idle(at(27_000), false) && !streams.is_idle(at(27_000), true));
        assert!(streams.is_idle(at(67_000), true));
    }

    #[test]
    fn little_opens_nothing_and_what_fails_is_not_tried_again_soon() {
        let mut streams = Streams::default();
        let slow = |streams: &mut Streams| (0..600).any(|at_ms| streams.note(at(100 * at_ms), PACKET));
        assert!(!slow(&mut streams));
        let quick = |streams: &mut Streams, from: u64, to: u64| (from..to).find(|&ms| streams.note(at(ms), PACKET));
        assert!(quick(&mut streams, 60_000, 61_000).is_some());
        streams.on_dialled(ConnId(1));
        streams.on_end(at(61_000), ConnId(1), false);
        assert_eq!(quick(&mut streams, 61_000, 91_000), None);
        assert!(quick(&mut streams, 91_000, 93_000).is_some());
    }
}
