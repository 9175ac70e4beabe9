//! Connections for packets only, beside the meta connection with a neighbour: when there are some, who makes them, how they
//! begin and end. Which packet takes which is in `peer/streams.rs`.
//!
//! ```text
//!  who dialled the meta connection                 the other end
//!    much goes over TCP: dials once more
//!    ID, key exchange as on any connection ◄─────►
//!    STREAM ─────────────────────────────────────► agreed on, and not too many?
//!    (ACK, sent before that, is not looked at) ◄── STREAM
//!    packets ◄───────────────────────────────────►
//! ```
//!
//! They end with the meta connection. Source: docs/protocol.md, "Streams".

use std::time::Duration;

use crate::meta::connection::{Connection, Purpose};
use crate::meta::error::PeerError;
use crate::meta::proxy::Prelude;
use crate::name::{ConnId, PeerId};
use crate::node::Node;
use crate::node::io::Event;
use crate::node::timers::Wake;
use crate::peer::streams::Streams;
use crate::wire::hello::Feature;
use crate::wire::options::Options;
use crate::wire::request::Request;

/// Distance of looks whether a stream is still needed.
const LOOK: Duration = Duration::from_secs(5);
/// A stream that ends within this is not replaced at once.
const SOON: Duration = Duration::from_secs(10);

impl Node {
    /// Whether a connection carries packets only.
    pub fn is_stream(&self, id: ConnId) -> bool {
        self.connections.get(&id).is_some_and(Connection::is_stream)
    }

    /// The connection for a packet of a flow to the neighbour at the other end of `meta`.
    pub(super) fn carrier(&mut self, meta: ConnId, flow: u64, bytes: usize) -> ConnId {
        let now = self.now;
        let Some(peer) = self.connections.get(&meta).and_then(|conn| conn.peer) else { return meta };
        self.note_carried(peer, bytes);
        let streams = self.peer_mut(peer).and_then(|known| known.streams.as_deref_mut());
        streams.and_then(|streams| streams.choose(now, flow, bytes)).unwrap_or(meta)
    }

    /// A packet goes to a neighbour over TCP, or came from there.
    pub(super) fn note_carried(&mut self, peer: PeerId, bytes: usize) {
        let now = self.now;
        let Some(known) = self.peer_mut(peer) else { return };
        if known.streams.get_or_insert_default().note(now, bytes) {
            self.open_stream(peer);
        }
    }

    /// Makes a connection as the meta connection was made, if this node made it.
    fn open_stream(&mut self, peer: PeerId) {
        if !self.uses(peer, Feature::Streams) || self.gossip_is_shut(peer) {
            return self.prepare_streams(peer);
        }
        let meta = self.peer(peer).and_then(|known| self.connections.get(&known.conn?));
        let Some(meta) = meta.filter(|meta| meta.is_active() && meta.was_dialled()) else { return };
        let (Some(name), address) = (meta.name.clone(), meta.remote) else { return };
        let prelude = self.config.proxy.as_ref().map(|proxy| match &meta.beyond {
            Some((name, port)) => Prelude::named(proxy, name, *port),
            None => Prelude::new(proxy, address),
        });
        let Ok(prelude) = prelude.transpose() else { return };
        if !self.is_member(&name) || prelude.is_none() && address.ip().is_unspecified() {
            return;
        }
        let id = self.call(name, address, prelude, Purpose::Stream);
        if let Some(streams) = self.streams_mut(peer) {
            streams.on_dialled(id);
        }
    }

    /// Nodes that speak TCP only have no session with their neighbours, but can agree on nothing without one.
    fn prepare_streams(&mut self, peer: PeerId) {
        let wanted = self.config.mesh.extensions.has(Feature::Streams);
        if wanted && self.options_of(peer).has(Options::TINMESH) {
            self.want_key(peer);
        }
    }

    fn streams_mut(&mut self, peer: PeerId) -> Option<&mut Streams> {
        self.peer_mut(peer)?.streams.as_deref_mut()
    }

    /// A request on a stream, or the one that makes a connection a stream.
    pub(super) fn on_stream_request(&mut self, id: ConnId, request: &Request) -> Result<(), PeerError> {
        let Some(conn) = self.connections.get_mut(&id) else { return Ok(()) };
        let expected = if conn.is_set_up() { "a packet" } else { "STREAM" };
        match request {
            Request::Packet { len } if conn.is_set_up() => conn.expect_packet(usize::from(*len)),
            Request::SptpsPacket { len } if conn.is_set_up() => conn.expect_raw(usize::from(*len)),
            Request::TermReq => Err(PeerError::Terminated),
            Request::Stream if !conn.is_set_up() => self.start_stream(id),
            // The other end said this before it knew.
            Request::Ack { .. } if !conn.is_set_up() && conn.is_outgoing() => Ok(()),
            Request::Id { .. }
            | Request::Ack { .. }
            | Request::Ping
            | Request::Pong
            | Request::AddSubnet { .. }
            | Request::DelSubnet { .. }
            | Request::AddEdge { .. }
            | Request::DelEdge { .. }
            | Request::KeyChanged { .. }
            | Request::ReqKey { .. }
            | Request::AnsKey(_)
            | Request::Packet { .. }
            | Request::SptpsPacket { .. }
            | Request::UdpInfo { .. }
            | Request::MtuInfo { .. }
            | Request::Stream => Err(PeerError::Unexpected { got: request.label(), expected }),
        }
    }

    /// Both ends want this connection for packets, if this one does.
    fn start_stream(&mut self, id: ConnId) -> Result<(), PeerError> {
        let now = self.now;
        let Some(conn) = self.connections.get_mut(&id) else { return Ok(()) };
        let outgoing = conn.is_outgoing();
        if outgoing && !conn.is_stream() {
            return Err(PeerError::Unexpected { got: Request::Stream.label(), expected: "ACK" });
        }
        conn.purpose = Purpose::Stream;
        let peer = conn.name.as_ref().and_then(|name| self.mesh.graph.find(name)).ok_or(PeerError::Surplus)?;
        let known = self.peer(peer).ok_or(PeerError::Surplus)?;
        let meta = known.conn.and_then(|meta| self.connections.get(&meta)).ok_or(PeerError::Surplus)?;
        let options = meta.options;
        let wanted = if outgoing {
            known.streams.as_ref().is_some_and(|streams| streams.is_dialled(id))
        } else {
            !meta.is_outgoing() && !meta.is_met() && self.uses(peer, Feature::Streams) && !self.gossip_is_shut(peer)
        };
        let room = known.streams.as_ref().is_none_or(|streams| streams.has_room());
        if !wanted || !room {
            return Err(PeerError::Surplus);
        }
        if !outgoing {
            self.send(id, &Request::Stream);
        }
        if let Some(conn) = self.connections.get_mut(&id) {
            conn.activate(peer, options);
        }
        if let Some(known) = self.peer_mut(peer) {
            known.streams.get_or_insert_default().on_up(now, id);
        }
        self.timers.set(Wake::Check(id), now + LOOK);
        if let Some(name) = self.name_of(peer) {
            self.event(Event::Note(format!("Packets to {name} take one more connection")));
        }
        Ok(())
    }

    /// Closes a stream for which there is too little to carry.
    pub(super) fn look_at_stream(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.connections.get(&id) else { return };
        let (peer, called) = (conn.peer, !conn.is_outgoing());
        let streams = peer.and_then(|peer| self.streams_mut(peer));
        if streams.is_none_or(|streams| streams.is_idle(now, called)) {
            self.terminate(id, &PeerError::Superfluous);
        } else {
            self.timers.set(Wake::Check(id), now + LOOK);
        }
    }

    /// A stream ended, or did not come about.
    pub(super) fn on_stream_end(&mut self, conn: &Connection) {
        let now = self.now;
        let soon = now.since(conn.started) < SOON;
        let peer = conn.name.as_ref().and_then(|name| self.mesh.graph.find(name));
        if let Some(streams) = peer.and_then(|peer| self.streams_mut(peer)) {
            streams.on_end(now, conn.id, soon);
        }
    }

    /// The meta connection with a neighbour ended.
    pub(super) fn end_streams(&mut self, peer: PeerId) {
        let streams = self.peer_mut(peer).and_then(|known| known.streams.take());
        for id in streams.iter().flat_map(|streams| streams.all()) {
            self.terminate(id, &PeerError::Superfluous);
        }
    }
}
