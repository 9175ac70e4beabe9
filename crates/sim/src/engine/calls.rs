//! TCP between machines.

use std::net::SocketAddr;

use tinmesh_core::name::ConnId;
use tinmesh_core::node::io::Input;

use crate::engine::Engine;
use crate::internet::HostId;
use crate::machine::LISTENING;
use crate::queue::Event;
use crate::stream::{End, Holding, Side, Stream, StreamId};
use crate::traffic::{self, Carrier};

/// The caller's system gives up after so long, as Linux does.
const CALL_PATIENCE: std::time::Duration = std::time::Duration::from_secs(127);
/// A lost segment is sent again after at least so long (RFC 6298).
const RETRANSMISSION: std::time::Duration = std::time::Duration::from_millis(200);

impl Engine {
    /// A program calls another; `from`: the port that it chose.
    pub(super) fn call(&mut self, host: HostId, conn: ConnId, to: SocketAddr, from: Option<u16>) {
        if let Some(port) = from.filter(|_| to.port() >= LISTENING) {
            return self.open(host, conn, port, to);
        }
        let Some(source) = self.net.source(host, to) else {
            self.plan(std::time::Duration::ZERO, Event::Refuse { host, conn });
            return;
        };
        let Some((callee, seen_as)) = self.net.call(self.now, host, (from, to), &mut self.dice) else { return };
        let end = |host: HostId, conn| End { host, conn, holding: Holding::Open, epoch: self.net.host(host).epoch };
        let mut stream = Stream::new(end(host, conn), end(callee, ConnId(0)), to);
        stream.latency = self.net.host(host).link.latency + self.net.host(callee).link.latency;
        stream.seen_as = seen_as;
        stream.local = SocketAddr::new(source, seen_as.port());
        let latency = stream.latency;
        let id = self.streams.insert(stream);
        self.machine_mut(host).conns.insert(conn, (id, Side::Caller));
        self.plan(latency, Event::Ring(id));
    }

    fn gets_through(&mut self, id: StreamId) -> bool {
        let Some(stream) = self.streams.find(id) else { return false };
        let ends = [*stream.end(Side::Caller), *stream.end(Side::Callee)];
        let moved = ends.iter().any(|end| end.epoch != self.net.host(end.host).epoch);
        !moved && self.net.passes(ends[0].host, ends[1].host)
    }

    pub(super) fn on_ring(&mut self, id: StreamId) {
        let open = self.gets_through(id);
        let Some(stream) = self.streams.find(id) else { return };
        let (caller, callee) = (*stream.end(Side::Caller), *stream.end(Side::Callee));
        if caller.holding != Holding::Open {
            stream.end_mut(Side::Callee).holding = Holding::Closed;
            self.streams.sweep(id);
            return;
        }
        let (latency, seen_as, to, retry) = (stream.latency, stream.seen_as, stream.to, stream.retry);
        if !open || self.loses(caller.host, callee.host) {
            self.ring_again(id, retry);
            return;
        }
        if to.port() != self.machine(callee.host).config.port || !self.machine(callee.host).is_running() {
            self.drop_call(id);
            self.plan(latency, Event::Refuse { host: caller.host, conn: caller.conn });
            return;
        }
        let conn = self.machine_mut(callee.host).next_accepted();
        let Some(stream) = self.streams.find(id) else { return };
        stream.end_mut(Side::Callee).conn = conn;
        stream.established = true;
        self.machine_mut(callee.host).conns.insert(conn, (id, Side::Callee));
        self.plan(latency, Event::Answer(id));
        self.trace.number(id.number());
        self.feed(callee.host, Input::Accepted { conn, remote: seen_as, local: to });
    }

    fn ring_again(&mut self, id: StreamId, retry: std::time::Duration) {
        let Some(stream) = self.streams.find(id) else { return };
        let caller = *stream.end(Side::Caller);
        stream.retry = retry * 2;
        if stream.retry < CALL_PATIENCE {
            self.plan(retry, Event::Ring(id));
        } else {
            self.drop_call(id);
            self.on_refuse(caller.host, caller.conn);
        }
    }

    fn drop_call(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.find(id) {
            stream.end_mut(Side::Caller).holding = Holding::Closed;
            stream.end_mut(Side::Callee).holding = Holding::Closed;
            self.streams.sweep(id);
        }
    }

    pub(super) fn on_answer(&mut self, id: StreamId) {
        let Some(stream) = self.streams.find(id) else { return };
        let (caller, local) = (*stream.end(Side::Caller), stream.local);
        if caller.holding == Holding::Open {
            self.feed(caller.host, Input::Connected { conn: caller.conn, local: Some(local) });
        }
    }

    pub(super) fn on_refuse(&mut self, host: HostId, conn: ConnId) {
        self.machine_mut(host).conns.remove(&conn);
        self.feed(host, Input::Closed { conn });
    }

    fn loses(&mut self, a: HostId, b: HostId) -> bool {
        self.dice.chance(self.net.host(a).link.loss) || self.dice.chance(self.net.host(b).link.loss)
    }

    pub(super) fn write(&mut self, host: HostId, conn: ConnId, bytes: &[u8]) {
        let Some(&(id, side)) = self.machine(host).conns.get(&conn) else { return };
        if !self.flows.is_empty() {
            assert!(!traffic::is_clear(bytes), "a test packet is readable on a connection of {host:?}");
        }
        let machine = self.machine_mut(host);
        machine.work.meta_sent += 1;
        machine.work.meta_bytes += bytes.len() as u64;
        if machine.written.last() != Some(&conn) {
            machine.written.push(conn);
        }
        let Some(stream) = self.streams.find(id) else { return };
        let other = stream.end(side.other()).host;
        let late = self.loses(host, other);
        let pace = [host, other].into_iter().filter_map(|end| self.net.host(end).link.pace).min();
        let now = self.now;
        let Some(stream) = self.streams.find(id) else { return };
        let extra = if late { RETRANSMISSION.max(stream.latency * 2) } else { std::time::Duration::ZERO };
        let latency = stream.latency + extra;
        match pace {
            Some(pace) => stream.pipe(side.other()).push_slowly(now, (pace, latency), bytes),
            None => stream.pipe(side.other()).push(now + latency, bytes),
        }
        self.plan_bytes(id, side.other());
    }

    fn plan_bytes(&mut self, id: StreamId, side: Side) {
        let now = self.now;
        let pause = self.settings.reading_pause;
        let Some(stream) = self.streams.find(id) else { return };
        let pipe = stream.pipe(side);
        if let (false, Some(next)) = (pipe.planned, pipe.next()) {
            pipe.planned = true;
            self.queue.push(next.max(now) + pause, Event::Bytes(id, side));
        }
    }

    /// Bytes that still wait in the program.
    pub(super) fn queued(&mut self, host: HostId, conn: ConnId) -> usize {
        let Some(&(id, side)) = self.machine(host).conns.get(&conn) else { return 0 };
        let now = self.now;
        self.streams.find(id).map_or(0, |stream| stream.pipe(side.other()).tell_queued(now))
    }

    /// The sender's system is to keep no more than so many bytes.
    pub(super) fn keep(&mut self, host: HostId, conn: ConnId, room: usize) {
        let Some(&(id, side)) = self.machine(host).conns.get(&conn) else { return };
        if let Some(stream) = self.streams.find(id) {
            stream.pipe(side.other()).keep(room);
        }
    }

    pub(super) fn on_bytes(&mut self, id: StreamId, side: Side) {
        let now = self.now;
        let open = self.gets_through(id);
        let Some(stream) = self.streams.find(id) else { return };
        let pipe = stream.pipe(side);
        pipe.planned = false;
        if !open {
            let again = pipe.block(now);
            pipe.planned = again.is_some();
            match again {
                Some(at) => self.queue.push(at, Event::Bytes(id, side)),
                None => self.give_up(id, side),
            }
            return;
        }
        match stream.end(side).holding {
            Holding::Open => self.read(id, side),
            Holding::Ignored => self.discard(id, side),
            Holding::Closed => {
                stream.pipe(side).clear();
                let (latency, sender) = (stream.latency, stream.end(side.other()).holding);
                if sender == Holding::Open {
                    self.plan(latency, Event::Reset(id, side.other()));
                }
                self.streams.sweep(id);
            }
        }
    }

    fn read(&mut self, id: StreamId, side: Side) {
        let now = self.now;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let Some(stream) = self.streams.find(id) else { return };
        let over_full = stream.pipe(side).is_full();
        let over = stream.pipe(side).take(now, &mut buffer);
        let (end, sender) = (*stream.end(side), *stream.end(side.other()));
        self.trace.bytes(&buffer);
        for piece in self.pieces(buffer.len()) {
            if self.machine(end.host).conns.contains_key(&end.conn) {
                self.carrier = Carrier::Tcp(sender.host);
                self.feed(end.host, Input::Received { conn: end.conn, bytes: &buffer[piece] });
            }
        }
        self.buffer = buffer;
        if over_full && sender.holding == Holding::Open {
            let bytes = self.queued(sender.host, sender.conn);
            self.feed(sender.host, Input::Queued { conn: sender.conn, bytes });
        }
        if over {
            self.end(id, side);
        } else {
            self.plan_bytes(id, side);
        }
    }

    /// Where what arrived is cut before the program gets it.
    fn pieces(&mut self, len: usize) -> Vec<std::ops::Range<usize>> {
        let mut cuts = vec![0, len];
        while self.settings.cut && len > 1 && self.dice.chance(300) {
            cuts.push(usize::try_from(self.dice.below(len as u64)).unwrap_or(0));
        }
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| pair[0]..pair[1]).filter(|range| !range.is_empty()).collect()
    }

    fn discard(&mut self, id: StreamId, side: Side) {
        let now = self.now;
        let mut nowhere = Vec::new();
        let Some(stream) = self.streams.find(id) else { return };
        if stream.pipe(side).take(now, &mut nowhere) {
            stream.end_mut(side).holding = Holding::Closed;
            self.streams.sweep(id);
        } else {
            self.plan_bytes(id, side);
        }
    }

    /// No way was found for very long: the sender's system reports an error, the receiver never hears of it.
    fn give_up(&mut self, id: StreamId, side: Side) {
        if let Some(stream) = self.streams.find(id) {
            stream.pipe(side).clear();
        }
        self.end(id, side.other());
    }

    /// One end learns that the stream is over.
    pub(super) fn end(&mut self, id: StreamId, side: Side) {
        let Some(stream) = self.streams.find(id) else { return };
        let end = stream.end_mut(side);
        let told = std::mem::replace(&mut end.holding, Holding::Closed) == Holding::Open;
        let end = *end;
        self.streams.sweep(id);
        if told && self.machine_mut(end.host).conns.remove(&end.conn).is_some() {
            self.feed(end.host, Input::Closed { conn: end.conn });
        }
    }

    pub(super) fn hang_up(&mut self, host: HostId, conn: ConnId, tarpit: bool) {
        if self.forget_opening(host, conn) {
            return;
        }
        let Some((id, side)) = self.machine_mut(host).conns.remove(&conn) else { return };
        let now = self.now;
        let Some(stream) = self.streams.find(id) else { return };
        stream.end_mut(side).holding = if tarpit { Holding::Ignored } else { Holding::Closed };
        if !tarpit && stream.established {
            let at = now + stream.latency;
            stream.pipe(side.other()).finish(at);
            self.plan_bytes(id, side.other());
        }
        self.streams.sweep(id);
    }
}
