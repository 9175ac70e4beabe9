//! Packets that the data plane could not finish, and those that come and go over TCP.
//!
//! Source: spec datagrams 7 to 10, meta-protocol 6.10.

use std::sync::atomic::Ordering::Relaxed;

use crate::crypto::base64;
use crate::crypto::sptps::HANDSHAKE;
use crate::dataplane::fib::{Broadcast, Fib, UdpTarget};
use crate::dataplane::record::{FIRST_PIECE, FRAME, LAST_PIECE, PROBE, REFLECTION, REFLECTION_ASKED};
use crate::dataplane::route::MIN_V4_LIMIT;
use crate::dataplane::steering::hash;
use crate::dataplane::verdict::{DropReason, Punt, Verdict};
use crate::dataplane::{ethernet, fragment};
use crate::meta::error::PeerError;
use crate::meta::queue::Form;
use crate::name::{ConnId, NodeId, PeerId};
use crate::node::Node;
use crate::node::io::Output;
use crate::packet::{ETHERNET_HEADER, MAX_FRAME, Packet};
use crate::peer::tunnel::{Keying, Waiting};
use crate::wire::datagram::{self, IDS};
use crate::wire::options::Options;
use crate::wire::request::{KeyRequest, Request};

/// Smallest minor that takes SPTPS_PACKET.
const RAW_MINOR: u8 = 7;

impl Node {
    pub(super) fn on_punt(&mut self, punt: Punt, payload: &[u8]) {
        let packet = Packet::from_payload(payload);
        self.finish_packet(punt, packet);
    }

    fn finish_packet(&mut self, punt: Punt, packet: Packet) {
        match punt {
            Punt::Plain { owner, source } => self.on_plain(owner, source, packet),
            Punt::Fragment { owner, source } => self.on_fragment(owner, source, &packet),
            Punt::Oversized { owner } => self.on_oversized(owner, &packet),
            Punt::Broadcast { source } => self.on_broadcast(source, &packet),
            Punt::Relay { origin, destination } => self.relay_over_tcp(origin, destination, &packet),
            Punt::Record { origin, kind, direct, from } => self.on_record(origin, kind, &packet, direct, from),
            Punt::Datagram { from } => self.on_datagram(packet, from),
        }
    }

    /// Sends a plain packet that was routed before to its owner.
    pub(super) fn send_plain(&mut self, owner: PeerId, source: PeerId, mut packet: Packet) {
        let fib = std::sync::Arc::clone(&self.fib);
        let kind = self.plain_kind();
        let verdict = fib.send_record(owner, source, kind, &mut packet, &mut self.scratch);
        self.on_verdict(verdict, packet);
    }

    pub(super) fn on_verdict(&mut self, verdict: Verdict, packet: Packet) {
        match verdict {
            Verdict::Transmit(target) => self.emit(Output::Transmit { target, packet }),
            Verdict::Deliver => self.emit(Output::Deliver(packet)),
            Verdict::Punt(punt) => self.finish_packet(punt, packet),
            Verdict::Drop(reason) => self.drop_packet(reason),
        }
    }

    pub(super) fn drop_packet(&mut self, reason: DropReason) {
        self.scratch.counters.count_drop(reason);
    }

    /// A plain packet without session, or that does not fit through UDP.
    fn on_plain(&mut self, owner: PeerId, source: PeerId, packet: Packet) {
        self.use_tunnel(owner);
        if self.is_legacy(owner) {
            return self.on_legacy_plain(owner, source, packet);
        }
        if self.split(owner, &packet) {
            return;
        }
        if let Some(conn) = self.peer(owner).and_then(|known| known.conn) {
            self.use_neighbour(owner);
            self.send_packet_request(conn, &packet);
            return;
        }
        let Some(tunnel) = self.open_tunnel(owner) else { return };
        let Some(session) = tunnel.session() else {
            tunnel.keep(Waiting { source, packet });
            self.want_key(owner);
            return;
        };
        let mut packet = packet;
        if session.seal(self.plain_kind(), &mut packet) {
            self.relay_over_tcp(PeerId::ME, owner, &packet);
        } else {
            self.rekey(owner);
        }
    }

    pub(super) const fn plain_kind(&self) -> u8 {
        self.config.policy.mode.record_kind()
    }

    fn on_fragment(&mut self, owner: PeerId, source: PeerId, packet: &Packet) {
        let relay = self.relay_of(owner).unwrap_or(owner);
        let mtu = usize::from(self.entry_mtu(relay).max(MIN_V4_LIMIT));
        let header = if self.plain_kind() == FRAME { ethernet::header_len(packet.payload()) } else { 0 };
        let (header, whole) = packet.payload().split_at(header);
        for mut fragment in fragment::split(whole, mtu - header.len().max(ETHERNET_HEADER)) {
            if fragment.push_front(header) {
                self.send_plain(owner, source, fragment);
            }
        }
    }

    fn entry_mtu(&self, peer: PeerId) -> u16 {
        self.fib.peer(peer).map_or(MAX_FRAME as u16, |entry| entry.mtu)
    }

    /// Gives a packet for everyone to the device, and copies of it to others (spec: routing 7).
    fn on_broadcast(&mut self, source: PeerId, packet: &Packet) {
        let fib = std::sync::Arc::clone(&self.fib);
        if source != PeerId::ME && !fib.lets_in(source, packet.payload(), self.now) {
            self.drop_packet(DropReason::Filtered);
        } else if source != PeerId::ME {
            let mut copy = packet.clone();
            let verdict = fib.deliver(&mut copy);
            self.on_verdict(verdict, copy);
        }
        for peer in self.receivers(&fib, source) {
            self.send_plain(peer, source, packet.clone());
        }
    }

    /// Who gets a copy of a packet for everyone from us.
    fn receivers(&self, fib: &Fib, source: PeerId) -> Vec<PeerId> {
        match self.config.policy.broadcast {
            _ if self.config.mesh.tunnel_server => Vec::new(),
            Broadcast::No => Vec::new(),
            Broadcast::Mst => {
                let behind = self.nexthop(source);
                fib.tree.iter().copied().filter(|&peer| Some(peer) != behind).collect()
            }
            Broadcast::Direct if source != PeerId::ME => Vec::new(),
            Broadcast::Direct => {
                let others = fib.peers.iter().flatten().filter(|entry| entry.peer != PeerId::ME && entry.reachable);
                let direct = others
                    .filter(|entry| entry.via == entry.peer || entry.via == PeerId::ME && entry.nexthop == entry.peer);
                direct.map(|entry| entry.peer).collect()
            }
        }
    }

    /// Sends a sealed datagram towards its destination on the neighbour's meta connection (spec: datagrams 7.4).
    pub(super) fn relay_over_tcp(&mut self, origin: PeerId, destination: PeerId, packet: &Packet) {
        if origin != PeerId::ME {
            self.use_tunnel(destination);
        }
        let Some(nexthop) = self.packet_route(destination).map(|route| route.nexthop) else { return };
        let Some(conn) = self.peer(nexthop).and_then(|known| known.conn) else { return };
        if nexthop != destination && !self.fib.may_relay(nexthop) {
            return self.drop_packet(DropReason::RelayDenied);
        }
        let raw = self.connections.get(&conn).is_some_and(|conn| conn.options.minor() >= RAW_MINOR);
        if raw {
            let (Some(from), Some(to)) = (self.peer(origin), self.peer(destination)) else { return };
            let ids = datagram::ids(to.node_id, from.node_id);
            let flow = hash([&ids]);
            self.queue_packet(conn, flow, Form::Raw, [&ids, packet.payload()]);
        } else if let (Some(from), Some(to)) = (self.name_of(origin), self.name_of(destination)) {
            let kind = KeyRequest::Datagram(base64::encode(packet.payload()));
            let flow = hash([from.as_str().as_bytes(), to.as_str().as_bytes()]);
            let text = format!("{}\n", Request::ReqKey { from, to, kind });
            if text.len() <= Request::MAX_LEN + 1 {
                self.queue_packet(conn, flow, Form::Text, [text.as_bytes(), &[]]);
            }
        }
    }

    /// A text request carries a datagram between two others.
    pub(super) fn relay_text(&mut self, conn: ConnId, origin: PeerId, destination: PeerId, text: &str) {
        let Some(datagram) = base64::decode(text.as_bytes()) else { return };
        self.relay_datagram(conn, origin, destination, &datagram);
    }

    fn relay_datagram(&mut self, conn: ConnId, origin: PeerId, destination: PeerId, datagram: &[u8]) {
        let Some(sender) = self.connections.get(&conn).and_then(|conn| conn.peer) else { return };
        self.use_tunnel(destination);
        let mut packet = Packet::from_payload(datagram);
        let fib = std::sync::Arc::clone(&self.fib);
        let verdict = fib.forward(sender, origin, destination, &mut packet, &mut self.scratch);
        self.on_verdict(verdict, packet);
    }

    /// The bytes of an SPTPS_PACKET request (spec: datagrams 9.2).
    pub(super) fn on_raw_packet(&mut self, conn: ConnId, bytes: &[u8]) -> Result<(), PeerError> {
        let Some((to, from, sealed)) = datagram::split(bytes) else {
            return Err(PeerError::Unexpected { got: "SPTPS_PACKET without ids", expected: "ids and a datagram" });
        };
        if let Some(neighbour) = self.connections.get(&conn).and_then(|conn| conn.peer) {
            self.note_carried(neighbour, sealed.len());
        }
        let known = |id: NodeId| self.fib.by_id.get(&id).copied();
        let (Some(to), Some(from)) = (known(to), known(from)) else { return Ok(()) };
        self.refresh_routes_between([Some(from), Some(to)]);
        if !self.is_reachable(to) || from == PeerId::ME {
            return Ok(());
        }
        if to == PeerId::ME || self.route(to).is_some_and(|route| route.via == PeerId::ME) {
            self.consider_udp_info(PeerId::ME, from);
        }
        if to == PeerId::ME {
            self.on_datagram_over_tcp(from, sealed);
        } else {
            self.relay_datagram(conn, from, to, sealed);
        }
        Ok(())
    }

    /// A sealed record for us that came over TCP.
    pub(super) fn on_datagram_over_tcp(&mut self, origin: PeerId, datagram: &[u8]) {
        let Some(session) = self.tunnel(origin).and_then(|tunnel| tunnel.session()) else {
            self.keep_early(origin, datagram);
            self.want_key(origin);
            return;
        };
        let mut packet = Packet::from_payload(datagram);
        match session.open(&mut packet) {
            Ok(HANDSHAKE) => {
                self.on_opened_handshake(origin, packet.payload());
            }
            Ok(PROBE | REFLECTION_ASKED | REFLECTION) => {}
            Ok(kind) => {
                self.deliver_record(origin, kind, packet);
                self.consider_mtu_info(PeerId::ME, origin, MAX_FRAME as i32);
            }
            Err(error) => {
                if !error.is_replay() {
                    self.restart_session(origin);
                }
            }
        }
    }

    fn keep_early(&mut self, origin: PeerId, datagram: &[u8]) {
        if let Some(tunnel) = self.tunnel_mut(origin) {
            tunnel.keep_early(datagram);
        }
    }

    pub(super) fn deliver_record(&mut self, origin: PeerId, kind: u8, mut packet: Packet) {
        if matches!(kind, FIRST_PIECE | LAST_PIECE) {
            return self.on_piece(origin, kind, packet.payload());
        }
        let fib = std::sync::Arc::clone(&self.fib);
        let verdict = fib.accept_record(origin, kind, &mut packet, &mut self.scratch);
        self.on_verdict(verdict, packet);
    }

    pub(super) fn on_record(&mut self, origin: PeerId, kind: u8, packet: &Packet, direct: bool, from: UdpTarget) {
        match kind {
            PROBE => self.on_probe(origin, packet.payload(), direct, from),
            HANDSHAKE => self.on_opened_handshake(origin, packet.payload()),
            REFLECTION_ASKED if direct => self.on_reflection_asked(origin, packet.payload(), from),
            REFLECTION if direct => self.on_reflection(origin, packet.payload(), from),
            FIRST_PIECE | LAST_PIECE => self.on_piece(origin, kind, packet.payload()),
            _ => {}
        }
    }

    fn on_opened_handshake(&mut self, peer: PeerId, data: &[u8]) {
        let Some((tunnel, rng)) = self.tunnel_and_rng(peer) else { return };
        let progress = match &mut tunnel.keying {
            Keying::Ready(handshake) => handshake.on_record(data, rng).ok(),
            Keying::Absent | Keying::Waiting { .. } => None,
        };
        if let Some(progress) = progress {
            self.on_progress(peer, progress);
        }
    }

    /// A datagram whose sender or address the data plane does not know (spec: datagrams 8.1).
    fn on_datagram(&mut self, mut packet: Packet, from: UdpTarget) {
        if let Some(origin) = self.fib.legacy_sender(from.to, packet.payload(), true) {
            return self.on_legacy_datagram(origin, packet, from);
        }
        let Some((destination, source, _)) = datagram::split(packet.payload()) else {
            return self.drop_packet(DropReason::TooShort);
        };
        let direct = destination == NodeId::NULL;
        let Some(&origin) = self.fib.by_id.get(&source).filter(|&&origin| origin != PeerId::ME) else {
            return self.drop_packet(DropReason::UnknownId);
        };
        packet.drop_front(IDS);
        let Some(session) = self.tunnel(origin).and_then(|tunnel| tunnel.session()) else {
            self.keep_early(origin, packet.payload());
            self.on_unknown_datagram(origin);
            return;
        };
        if !direct {
            self.on_datagram_over_tcp(origin, packet.payload());
            return;
        }
        match session.open(&mut packet) {
            Ok(kind @ (PROBE | HANDSHAKE | REFLECTION_ASKED | REFLECTION)) => {
                self.on_record(origin, kind, &packet, true, from)
            }
            Ok(kind) => {
                if let Some(known) = self.peer(origin) {
                    known.stats.straight_in.fetch_add(1, Relaxed);
                }
                self.on_data_from(origin, from);
                self.deliver_record(origin, kind, packet);
            }
            Err(error) => {
                self.drop_packet(if error.is_replay() { DropReason::Replayed } else { DropReason::BadTag });
                let known = self.peer(origin).and_then(|known| known.udp).is_some_and(|target| target.to == from.to);
                if known && !error.is_replay() {
                    self.restart_session(origin);
                }
            }
        }
    }

    /// A peer sends datagrams with keys that we do not have (any more).
    fn on_unknown_datagram(&mut self, origin: PeerId) {
        let waiting = self.tunnel(origin).is_some_and(|tunnel| !tunnel.wants_start(self.now));
        if self.is_reachable(origin) && !waiting {
            self.want_key(origin);
        }
    }

    /// The frame of a PACKET request: as if sent by the neighbour (spec: datagrams 9.1).
    pub(super) fn on_packet(&mut self, conn: ConnId, frame: &[u8]) {
        let Some(peer) = self.connections.get(&conn).and_then(|conn| conn.peer) else { return };
        let Some(kind) = frame.get(12..14).filter(|_| frame.len() <= MAX_FRAME) else { return };
        if kind == [0, 0] {
            return;
        }
        self.use_neighbour(peer);
        self.note_carried(peer, frame.len());
        let packet = Packet::from_payload(frame);
        self.deliver_record(peer, FRAME, packet);
    }

    pub(super) fn use_neighbour(&mut self, peer: PeerId) {
        if !self.options_of(peer).has(Options::TCP_ONLY) {
            self.want_key(peer);
        }
    }
}
