//! TCP connections: two pipes of bytes that keep their order, take their time and break slowly.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tinmesh_core::name::ConnId;
use tinmesh_core::time::Instant;

use crate::internet::HostId;

/// What a system takes from a program before it makes it wait, in bytes.
const SYSTEM_BUFFER: usize = 256 << 10;
/// Bytes of a slow link's connection that wait with the system, until the node says how many are to.
const ROOM: usize = 8 << 10;
/// Bytes in a segment on a slow link.
const SEGMENT: usize = 1400;
/// First pause before a segment that found no way is sent again; then it doubles (RFC 6298).
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After so long without progress the system gives up, as Linux does.
const PATIENCE: Duration = Duration::from_secs(924);

/// A stream's place in the table, never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId {
    index: u32,
    generation: u32,
}

impl StreamId {
    pub(crate) const fn number(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// What a program does with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// Reads and writes.
    Open,
    /// Keeps it, but neither reads nor writes.
    Ignored,
    /// Has closed it, or was told that it ended.
    Closed,
}

/// One end of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) conn: ConnId,
    pub(crate) holding: Holding,
    /// The host's epoch when the stream was made; another one now: no packet gets through.
    pub(crate) epoch: u32,
}

/// What is under way to one end.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    /// When how many of the bytes arrive, in order.
    arrivals: VecDeque<(Instant, usize)>,
    /// Whether the sender has closed, and when that arrives.
    fin: Option<Instant>,
    /// Whether an event for the next arrival is planned.
    pub(crate) planned: bool,
    pause: Duration,
    blocked: Option<Instant>,
    line: Option<Line>,
}

/// The slowest link on the way, if any is slow.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Bytes in a second.
    pace: u32,
    /// Until when it is busy with what was sent so far.
    busy: Instant,
    /// Bytes that the system keeps for it.
    room: usize,
    /// Whether the program has more than that.
    full: bool,
}

impl Line {
    /// When these bytes are through.
    fn through(&mut self, now: Instant, bytes: usize) -> Instant {
        let takes = Duration::from_micros(bytes as u64 * 1_000_000 / u64::from(self.pace));
        self.busy = self.busy.max(now) + takes;
        self.busy
    }

    /// Bytes that are not on their way yet.
    fn unsent(&self, now: Instant) -> usize {
        (self.busy.since(now).as_micros() * u128::from(self.pace) / 1_000_000) as usize
    }
}

impl Pipe {
    fn last(&self) -> Instant {
        self.arrivals.back().map_or(Instant::ZERO, |&(at, _)| at)
    }

    pub(crate) fn push(&mut self, at: Instant, bytes: &[u8]) {
        if self.fin.is_some() || bytes.is_empty() {
            return;
        }
        self.bytes.extend(bytes);
        let at = at.max(self.last());
        match self.arrivals.back_mut().filter(|(last, _)| *last == at) {
            Some((_, count)) => *count += bytes.len(),
            None => self.arrivals.push_back((at, bytes.len())),
        }
    }

    /// Sends over a link that carries no more than `pace` bytes in a second, and takes `latency` besides.
    pub(crate) fn push_slowly(&mut self, now: Instant, (pace, latency): (u32, Duration), bytes: &[u8]) {
        for segment in bytes.chunks(SEGMENT) {
            let fresh = Line { pace, busy: now, room: ROOM, full: false };
            let through = self.line.get_or_insert(fresh).through(now, segment.len());
            self.push(through + latency, segment);
        }
    }

    /// The system is to keep so many bytes.
    pub(crate) fn keep(&mut self, room: usize) {
        if let Some(line) = &mut self.line {
            line.room = room;
        }
    }

    /// Whether the program waits until the system takes more.
    pub(crate) fn is_full(&self) -> bool {
        self.line.map_or_else(|| self.queued() > 0, |line| line.full)
    }

    pub(crate) fn finish(&mut self, at: Instant) {
        if self.fin.is_none() {
            self.fin = Some(at.max(self.last()));
        }
    }

    /// When something arrives next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.arrivals.front().map(|&(at, _)| at).or(self.fin)
    }

    /// Moves what has arrived into `into`; tells whether the end has come.
    pub(crate) fn take(&mut self, now: Instant, into: &mut Vec<u8>) -> bool {
        self.pause = Duration::ZERO;
        self.blocked = None;
        let due = self.arrivals.iter().take_while(|&&(at, _)| at <= now).count();
        let count: usize = self.arrivals.drain(..due).map(|(_, count)| count).sum();
        into.extend(self.bytes.drain(..count));
        if self.bytes.is_empty() {
            self.bytes.shrink_to(0);
        }
        self.arrivals.is_empty() && self.fin.is_some_and(|at| at <= now)
    }

    /// Nothing got through; tells when to try again, or that the system gives up.
    pub(crate) fn block(&mut self, now: Instant) -> Option<Instant> {
        let since = *self.blocked.get_or_insert(now);
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        (now.since(since) < PATIENCE).then(|| now + self.pause)
    }

    /// Whether what is sent does not get through at present.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Bytes that the system has not taken from the program yet.
    fn queued(&self) -> usize {
        self.bytes.len().saturating_sub(SYSTEM_BUFFER)
    }

    /// The same, for the program.
    pub(crate) fn tell_queued(&mut self, now: Instant) -> usize {
        let Some(line) = &mut self.line else { return self.queued() };
        let queued = line.unsent(now).saturating_sub(line.room);
        line.full = queued > 0;
        queued
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { planned: self.planned, ..Self::default() };
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Stream {
    ends: [End; 2],
    /// What is under way to each end.
    pipes: [Pipe; 2],
    pub(crate) latency: Duration,
    /// Where the caller wanted to go, and as whom it appears to the callee.
    pub(crate) to: SocketAddr,
    pub(crate) seen_as: SocketAddr,
    pub(crate) local: SocketAddr,
    /// Pause before the next attempt to reach the callee.
    pub(crate) retry: Duration,
    pub(crate) established: bool,
}

impl Stream {
    pub(crate) fn new(caller: End, callee: End, to: SocketAddr) -> Self {
        Self {
            ends: [caller, callee],
            pipes: [Pipe::default(), Pipe::default()],
            latency: Duration::ZERO,
            to,
            seen_as: to,
            local: to,
            retry: Duration::from_secs(1),
            established: false,
        }
    }

    pub(crate) const fn end(&self, side: Side) -> &End {
        &self.ends[side as usize]
    }

    pub(crate) const fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    /// What is under way to `side`.
    pub(crate) const fn pipe(&mut self, side: Side) -> &mut Pipe {
        &mut self.pipes[side as usize]
    }

    /// Whether both ends use it and neither direction is stuck.
    pub(crate) fn is_healthy(&self) -> bool {
        let open = self.ends.iter().all(|end| end.holding == Holding::Open);
        self.established && open && !self.pipes.iter().any(Pipe::is_blocked)
    }

    fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.holding == Holding::Closed)
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    stream: Option<Stream>,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Streams {
    pub(crate) fn insert(&mut self, stream: Stream) -> StreamId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("memory ends long before")
        });
        let slot = &mut self.slots[index as usize];
        slot.stream = Some(stream);
        StreamId { index, generation: slot.generation }
    }

    pub(crate) fn find(&mut self, id: StreamId) -> Option<&mut Stream> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.stream.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// Forgets a stream that neither end holds any more.
    pub(crate) fn sweep(&mut self, id: StreamId) {
        if self.find(id).is_some_and(|stream| stream.is_over()) {
            let slot = &mut self.slots[id.index as usize];
            slot.stream = None;
            slot.generation += 1;
            self.free.push(id.index);
        }
    }

    /// Pairs of hosts with a healthy connection.
    pub(crate) fn healthy(&self) -> impl Iterator<Item = (HostId, HostId)> {
        let streams = self.slots.iter().filter_map(|slot| slot.stream.as_ref());
        streams.filter(|stream| stream.is_healthy()).map(|stream| (stream.ends[0].host, stream.ends[1].host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn bytes_keep_their_order_even_if_later_ones_would_be_quicker() {
        let mut pipe = Pipe::default();
        pipe.push(at(100), b"slow ");
        pipe.push(at(50), b"quick");
        pipe.finish(at(10));
        let mut got = Vec::new();
        assert!(!pipe.take(at(99), &mut got));
        assert!(got.is_empty());
        assert!(pipe.take(at(100), &mut got));
        assert_eq!(got, b"slow quick");
    }

    #[test]
    fn a_blocked_pipe_is_tried_ever_more_rarely_and_then_given_up() {
        let mut pipe = Pipe::default();
        pipe.push(at(0), &[1]);
        let mut now = at(0);
        let mut tries = 0;
        while let Some(next) = pipe.block(now) {
            assert!(next.since(now) <= LONGEST_PAUSE);
            now = next;
            tries += 1;
        }
        assert!(now.since(at(0)) >= PATIENCE && tries < 30, "{tries}");
    }

    #[test]
    fn a_number_of_a_forgotten_stream_finds_nothing() {
        let address = "198.18.0.1:655".parse().expect("an address");
        let end = End { host: HostId(0), conn: ConnId(1), holding: Holding::Open, epoch: 0 };
        let mut streams = Streams::default();
        let first = streams.insert(Stream::new(end, end, address));
        streams.sweep(first);
        assert!(streams.find(first).is_some());
        for side in [Side::Caller, Side::Callee] {
            streams.find(first).expect("is there").end_mut(side).holding = Holding::Closed;
        }
        streams.sweep(first);
        let second = streams.insert(Stream::new(end, end, address));
        assert!(streams.find(first).is_none() && streams.find(second).is_some());
    }
}
