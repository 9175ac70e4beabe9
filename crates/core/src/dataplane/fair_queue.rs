//! `FairQueue`: packets of the device that wait for their turn, by flow, and not for long (RFC 8290, in small).
//!
//! A device's own queue is long and knows no flows: one TCP stream at full speed fills it, and everybody waits behind it. So
//! a worker takes packets out as fast as they come. Here each flow waits in its own line, a flow that was silent goes
//! first, and a flow whose packets wait too long loses some, which is what tells TCP to go slower (CoDel, RFC 8289).
//!
//! It holds numbers of places; the packets are elsewhere. All packets of a flow leave in the order in which they came.

use std::time::Duration;

use crate::dataplane::ip::{self, Family, TCP, V4_FRAGMENT, V4_PROTOCOL, V6_NEXT};
use crate::time::Instant;

/// Packets that can wait.
pub const PLACES: usize = 48;
/// Lines; flows share them by chance.
const LINES: usize = 32;
/// Bytes that a line may send before the next one gets its turn.
const QUANTUM: i32 = 32 * 1024;
/// A wait that is always allowed.
const TARGET: Duration = Duration::from_millis(1);
/// Packets may wait longer than that for so long before one is dropped.
const INTERVAL: Duration = Duration::from_millis(20);
const UDP: u8 = 17;

/// The line of a packet: a number made of its addresses and ports.
pub fn flow(packet: &[u8], network: usize) -> u32 {
    let header = packet.get(network..).unwrap_or_default();
    let (addresses, protocol, transport) = match Family::of(header) {
        Some(Family::V4) => {
            let whole = ip::word(header, V4_FRAGMENT).is_some_and(|word| word & (ip::OFFSET | ip::MF) == 0);
            let transport = ip::v4_header_len(header).filter(|_| whole);
            (header.get(12..20), ip::byte(header, V4_PROTOCOL), transport)
        }
        Some(Family::V6) => (header.get(8..40), ip::byte(header, V6_NEXT), Some(ip::V6_HEADER)),
        None => (header.get(..12), None, None),
    };
    let ports = match (protocol, transport) {
        (Some(TCP | UDP), Some(at)) => header.get(at..at + 4),
        _ => None,
    };
    let bytes = addresses.unwrap_or_default().iter().chain(ports.unwrap_or_default()).copied();
    // FNV-1a: short, and good enough to spread flows over lines.
    bytes.chain(protocol).fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[derive(Clone, Copy, Debug)]
struct Place {
    next: Option<u8>,
    bytes: u32,
    since: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    head: Option<u8>,
    tail: Option<u8>,
    /// Bytes that it may still send in this round.
    credit: i32,
    /// Whether it is in one of the rounds.
    listed: bool,
    /// When its packets will have waited too long for too long.
    late: Option<Instant>,
    /// Packets dropped since it is late, 0 while it is not.
    drops: u32,
}

/// A round of lines, each at most once.
#[derive(Clone, Copy, Debug)]
struct Round {
    lines: [u8; LINES],
    start: usize,
    len: usize,
}

impl Round {
    const EMPTY: Self = Self { lines: [0; LINES], start: 0, len: 0 };

    fn push(&mut self, line: u8) {
        self.lines[(self.start + self.len) % LINES] = line;
        self.len += 1;
    }

    const fn first(&self) -> Option<u8> {
        if self.len == 0 { None } else { Some(self.lines[self.start]) }
    }

    const fn pop(&mut self) {
        self.start = (self.start + 1) % LINES;
        self.len -= 1;
    }
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The packet at this place goes on.
    Goes(u8),
    /// The packet at this place is dropped: its flow is too fast.
    Dropped(u8),
}

/// See the module.
#[derive(Debug)]
pub struct FairQueue {
    places: [Place; PLACES],
    free: [u8; PLACES],
    free_count: usize,
    waiting: usize,
    lines: [Line; LINES],
    /// Lines that had nothing before, and all others.
    rounds: [Round; 2],
}

impl Default for FairQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl FairQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            places: [Place { next: None, bytes: 0, since: Instant::ZERO }; PLACES],
            free: std::array::from_fn(|place| place as u8),
            free_count: PLACES,
            waiting: 0,
            lines: [Line::default(); LINES],
            rounds: [Round::EMPTY; 2],
        }
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// The place where the next packet may be put; `None`: all are taken.
    pub const fn free_place(&self) -> Option<u8> {
        match self.free_count {
            0 => None,
            count => Some(self.free[count - 1]),
        }
    }

    /// The packet at the [free place](Self::free_place), of `bytes` bytes and of `flow`, waits from `now` on.
    pub fn push(&mut self, flow: u32, bytes: usize, now: Instant) {
        let Some(place) = self.free_place() else { return };
        self.free_count -= 1;
        self.waiting += 1;
        let number = flow as usize % LINES;
        self.places[usize::from(place)] = Place { next: None, bytes: bytes as u32, since: now };
        let line = &mut self.lines[number];
        match line.tail {
            Some(tail) => self.places[usize::from(tail)].next = Some(place),
            None => line.head = Some(place),
        }
        line.tail = Some(place);
        if !line.listed {
            line.listed = true;
            line.credit = QUANTUM;
            self.rounds[0].push(number as u8);
        }
    }

    /// The packet whose turn it is. Its place has to be [given back](Self::release).
    pub fn pop(&mut self, now: Instant) -> Option<Next> {
        loop {
            let round = usize::from(self.rounds[0].len == 0);
            let number = self.rounds[round].first()?;
            let line = &mut self.lines[usize::from(number)];
            if line.credit <= 0 {
                line.credit += QUANTUM;
                self.rounds[round].pop();
                self.rounds[1].push(number);
                continue;
            }
            let Some(place) = line.head else {
                self.rounds[round].pop();
                // A line that had its turn as a silent one waits behind the others before it counts as silent again.
                if round == 0 && self.rounds[1].len > 0 {
                    self.rounds[1].push(number);
                } else {
                    line.listed = false;
                }
                continue;
            };
            return Some(self.take(number, place, now));
        }
    }

    /// The place of a packet that came out is free again.
    pub fn release(&mut self, place: u8) {
        if let Some(free) = self.free.get_mut(self.free_count) {
            *free = place;
            self.free_count += 1;
        }
    }

    fn take(&mut self, number: u8, place: u8, now: Instant) -> Next {
        let Place { next, bytes, since } = self.places[usize::from(place)];
        let line = &mut self.lines[usize::from(number)];
        line.head = next;
        if next.is_none() {
            line.tail = None;
        }
        self.waiting -= 1;
        if line.is_due(now.since(since), now) {
            return Next::Dropped(place);
        }
        line.credit -= bytes.cast_signed();
        Next::Goes(place)
    }
}

impl Line {
    /// Whether a packet that waited for so long has to be dropped: the line is late for a whole interval, and then at ever
    /// shorter distances (RFC 8289, 5).
    fn is_due(&mut self, waited: Duration, now: Instant) -> bool {
        if waited < TARGET || self.head.is_none() {
            self.late = None;
            self.drops = 0;
            return false;
        }
        let Some(late) = self.late else {
            self.late = Some(now + INTERVAL);
            return false;
        };
        if now < late {
            return false;
        }
        self.drops += 1;
        self.late = Some(now + INTERVAL.div_f64(f64::from(self.drops + 1).sqrt()));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    /// Takes a packet out and gives its place back.
    fn get(queue: &mut FairQueue, now: Instant) -> Option<Next> {
        let next = queue.pop(now)?;
        let (Next::Goes(place) | Next::Dropped(place)) = next;
        queue.release(place);
        Some(next)
    }

    fn put(queue: &mut FairQueue, flow: u32, bytes: usize, now: Instant) -> u8 {
        let place = queue.free_place().unwrap();
        queue.push(flow, bytes, now);
        place
    }

    #[test]
    fn a_silent_flow_goes_before_a_busy_one() {
        let mut queue = FairQueue::new();
        let busy: Vec<u8> = (0..10).map(|_| put(&mut queue, 1, 60_000, at(0))).collect();
        assert_eq!(get(&mut queue, at(1)), Some(Next::Goes(busy[0])));

        let silent = put(&mut queue, 2, 84, at(2));

        assert_eq!(get(&mut queue, at(3)), Some(Next::Goes(silent)));
        assert_eq!(get(&mut queue, at(4)), Some(Next::Goes(busy[1])));
    }

    #[test]
    fn busy_flows_share_by_bytes() {
        let mut queue = FairQueue::new();
        let mut sent = [0_usize; 2];
        let mut owner = [0_usize; PLACES];
        let fill = |queue: &mut FairQueue, owner: &mut [usize; PLACES]| {
            for (flow, bytes) in [(0, 60_000), (1, 1_400)] {
                for _ in 0..8 {
                    let place = put(queue, flow as u32, bytes, at(0));
                    owner[usize::from(place)] = flow;
                }
            }
        };
        fill(&mut queue, &mut owner);
        for _ in 0..4_000 {
            let Some(Next::Goes(place)) = get(&mut queue, at(1)) else { panic!("nobody waits long") };
            let flow = owner[usize::from(place)];
            let bytes = [60_000, 1_400][flow];
            sent[flow] += bytes;
            owner[usize::from(put(&mut queue, flow as u32, bytes, at(0)))] = flow;
        }
        let [one, other] = sent.map(|bytes| bytes as f64);
        assert!((0.9..1.1).contains(&(one / other)), "{sent:?}");
    }

    #[test]
    fn a_flow_that_waits_too_long_for_too_long_loses_packets_and_recovers() {
        let mut queue = FairQueue::new();
        let (mut now, mut dropped) = (0, 0);
        // Always ten wait, so each waits for two milliseconds.
        for _ in 0..10 {
            put(&mut queue, 1, 60_000, at(0));
        }
        for _ in 0..1_000 {
            now += 200;
            dropped += u32::from(matches!(get(&mut queue, at(now)), Some(Next::Dropped(_))));
            put(&mut queue, 1, 60_000, at(now));
        }
        assert!((10..100).contains(&dropped), "{dropped}");

        // Now each waits for a tenth of that.
        for _ in 0..10 {
            get(&mut queue, at(now));
        }
        for _ in 0..1_000 {
            put(&mut queue, 1, 60_000, at(now));
            now += 200;
            assert!(matches!(get(&mut queue, at(now)), Some(Next::Goes(_))));
        }
    }

    proptest! {
        #[test]
        fn every_packet_comes_out_once_and_in_the_order_of_its_flow(
            steps in prop::collection::vec((any::<bool>(), 0_u32..6, 1_usize..65_000), 1..400),
        ) {
            let mut queue = FairQueue::new();
            let mut now = 0;
            let mut order: Vec<std::collections::VecDeque<u8>> = vec![std::collections::VecDeque::new(); 6];
            let mut waiting = 0;
            for (push, flow, bytes) in steps.into_iter().chain(std::iter::repeat_n((false, 0, 0), PLACES)) {
                now += 150;
                if push && let Some(place) = queue.free_place() {
                    queue.push(flow, bytes, at(now));
                    order[flow as usize].push_back(place);
                    waiting += 1;
                } else {
                    let popped = get(&mut queue, at(now));
                    prop_assert_eq!(popped.is_some(), waiting > 0);
                    if let Some(Next::Goes(place) | Next::Dropped(place)) = popped {
                        waiting -= 1;
                        let line = order.iter_mut().find(|line| line.front() == Some(&place));
                        prop_assert!(line.is_some(), "it is the first of its flow");
                        line.unwrap().pop_front();
                    }
                }
            }
            prop_assert!(queue.is_empty() && get(&mut queue, at(now)).is_none());
        }
    }

    #[test]
    fn flows_are_told_apart_by_addresses_and_ports() {
        let packet = |source: u8, port: u8, protocol: u8| {
            let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, source, 10, 0, 0, 9];
            packet.extend_from_slice(&[0, port, 0, 80]);
            packet
        };
        assert_eq!(flow(&packet(1, 1, TCP), 0), flow(&packet(1, 1, TCP), 0));
        assert_ne!(flow(&packet(1, 1, TCP), 0), flow(&packet(2, 1, TCP), 0));
        assert_ne!(flow(&packet(1, 1, TCP), 0), flow(&packet(1, 2, TCP), 0));
        assert_eq!(flow(&packet(1, 1, 1), 0), flow(&packet(1, 2, 1), 0), "ICMP has no ports");
        flow(&[], 0);
        flow(&[0x60], 14);
    }
}
