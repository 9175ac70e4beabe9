//! TCP between machines that call each other at once, from port to port: no one of the two listens.
//!
//! ```text
//!  SYN ─ sender's access, NATs on the way out ─ filters of the receiver's NATs ─ receiver's access ─► does it call too? joined
//!                                              └ dropped, or refused by a reset
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use tinmesh_core::name::ConnId;
use tinmesh_core::node::io::Input;

use crate::engine::Engine;
use crate::internet::{Fate, HostId, Parcel};
use crate::isp::Protocol;
use crate::queue::Event;
use crate::stream::{End, Holding, Side, Stream, StreamId};

/// Length of a SYN, in bytes of IP packet.
const LEN: usize = 60;
/// A SYN is sent again after so long, then after twice as long, and so on (RFC 6298).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The system gives up after so long, as Linux does.
const PATIENCE: Duration = Duration::from_secs(127);

/// A call under way from a port that its program chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    port: u16,
    to: SocketAddr,
}

/// A SYN on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syn {
    host: HostId,
    conn: ConnId,
    pause: Duration,
}

impl Engine {
    /// A program calls another machine's port on which nobody listens.
    pub(super) fn open(&mut self, host: HostId, conn: ConnId, port: u16, to: SocketAddr) {
        self.machine_mut(host).openings.insert(conn, Opening { port, to });
        self.on_syn(Syn { host, conn, pause: FIRST_PAUSE });
    }

    /// Sends a SYN, and plans the next.
    pub(super) fn on_syn(&mut self, syn: Syn) {
        let Syn { host, conn, pause } = syn;
        let Some(&Opening { port, to }) = self.machine(host).openings.get(&conn) else { return };
        let Some(source) = self.net.source(host, to) else { return self.on_syn_refused(syn) };
        if pause > PATIENCE {
            return self.on_syn_refused(syn);
        }
        self.plan(pause, Event::Syn(Syn { pause: pause * 2, ..syn }));
        let from = SocketAddr::new(source, port);
        let mut parcel = self.net.parcel(host, Protocol::Tcp, (from, to), LEN);
        if let Fate::Travels { after, .. } = self.net.depart(self.now, &mut parcel, &mut self.dice) {
            self.plan(after, Event::SynArrives(syn, Box::new(parcel)));
        }
    }

    /// A SYN has crossed the Internet up to the receiver's network.
    pub(super) fn on_syn_arrives(&mut self, syn: Syn, mut parcel: Box<Parcel>) {
        let resets = self.net.resets(&parcel);
        match self.net.enter(self.now, &mut parcel, &mut self.dice) {
            Some((receiver, Fate::Travels { after, .. })) => {
                self.plan(after, Event::SynReaches(syn, receiver, parcel));
            }
            None if resets => self.reset(syn),
            Some(_) | None => {}
        }
    }

    /// A SYN has reached a machine.
    pub(super) fn on_syn_reaches(&mut self, syn: Syn, receiver: HostId, parcel: &Parcel) {
        let mut openings = self.machine(receiver).openings.iter();
        let calls = |opening: &Opening| opening.port == parcel.to.port() && opening.to == parcel.from;
        match openings.find(|(_, opening)| calls(opening)).map(|(&conn, _)| conn) {
            Some(conn) => self.join((syn.host, syn.conn), (receiver, conn)),
            None => self.reset(syn),
        }
    }

    fn reset(&mut self, syn: Syn) {
        let latency = self.net.host(syn.host).link.latency;
        self.plan(latency, Event::SynRefused(syn));
    }

    /// Both SYNs crossed.
    fn join(&mut self, caller: (HostId, ConnId), callee: (HostId, ConnId)) {
        let Some(opening) = self.machine_mut(caller.0).openings.remove(&caller.1) else { return };
        let Some(other) = self.machine_mut(callee.0).openings.remove(&callee.1) else { return };
        let end = |(host, conn)| End { host, conn, holding: Holding::Open, epoch: self.net.host(host).epoch };
        let mut stream = Stream::new(end(caller), end(callee), opening.to);
        stream.latency = self.net.host(caller.0).link.latency + self.net.host(callee.0).link.latency;
        stream.seen_as = other.to;
        stream.established = true;
        let latency = stream.latency;
        let id = self.streams.insert(stream);
        self.machine_mut(caller.0).conns.insert(caller.1, (id, Side::Caller));
        self.machine_mut(callee.0).conns.insert(callee.1, (id, Side::Callee));
        self.plan(latency, Event::Joined(id));
    }

    pub(super) fn on_joined(&mut self, id: StreamId) {
        for side in [Side::Caller, Side::Callee] {
            let Some(end) = self.streams.find(id).map(|stream| *stream.end(side)) else { return };
            if end.holding == Holding::Open {
                self.feed(end.host, Input::Connected { conn: end.conn, local: None });
            }
        }
    }

    /// A call is over before it came about; false: it was none of these.
    pub(super) fn forget_opening(&mut self, host: HostId, conn: ConnId) -> bool {
        self.machine_mut(host).openings.remove(&conn).is_some()
    }

    /// A call failed, if it goes on still.
    pub(super) fn on_syn_refused(&mut self, Syn { host, conn, .. }: Syn) {
        if self.forget_opening(host, conn) {
            self.feed(host, Input::Closed { conn });
        }
    }
}
