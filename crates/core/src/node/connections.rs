//! The life of meta connections: set-up, pings, end.
//!
//! Source: spec meta-protocol 2 to 5.

use std::net::SocketAddr;

use crate::crypto::sptps::stream::Stream;
use crate::crypto::sptps::{self, Params, Role};
use crate::meta::connection::{Channel, Connection, Phase, STALLED, Unit};
use crate::meta::error::PeerError;
use crate::meta::proxy::ProxyError;
use crate::name::{ConnId, NodeName, PeerId};
use crate::node::Node;
use crate::node::io::{Event, Output};
use crate::node::legacy::Handshake;
use crate::node::timers::Wake;
use crate::wire::hello::Feature;
use crate::wire::meet::{self, Token};
use crate::wire::options::Options;
use crate::wire::probe;
use crate::wire::request::Request;

/// The protocol that we speak.
const MAJOR: u16 = 17;
/// Its minor.
pub(super) const MINOR: u8 = 7;
/// Accepted connections that have not shown who they are; the rate does not limit those from this machine.
const MAX_UNKNOWN: usize = 100;
/// Connections that crossed are told from later ones by this age, in microseconds.
const CROSSING: u64 = 5_000_000;

impl Node {
    pub(super) fn on_accepted(&mut self, id: ConnId, remote: SocketAddr, local: SocketAddr) {
        let mut conn = Connection::new(id, remote, None, self.now);
        conn.local = Some(local);
        let unknown = self.connections.values().filter(|conn| !conn.is_set_up() && !conn.is_outgoing()).count();
        let admitted = self.gossip.burst.admit(self.now, remote.ip(), self.config.mesh.max_connection_burst);
        let refused = unknown >= MAX_UNKNOWN || !admitted;
        self.connections.insert(id, conn);
        if refused {
            self.terminate(id, &PeerError::Burst);
            return;
        }
        let deadline = self.now + self.config.timing.ping_timeout;
        self.timers.set(Wake::Check(id), deadline);
    }

    pub(super) fn on_connected(&mut self, id: ConnId, local: Option<SocketAddr>) {
        let now = self.now;
        let deadline = now + self.config.timing.ping_timeout;
        let Some(conn) = self.connections.get_mut(&id) else { return };
        if !matches!(conn.phase, Phase::Connecting) {
            return;
        }
        conn.local = local;
        conn.last_ping = now;
        self.timers.set(Wake::Check(id), deadline);
        if let Some(mut prelude) = conn.prelude.take() {
            let request = prelude.take_output();
            conn.phase = Phase::Proxying(prelude);
            self.send_bytes(id, request);
        } else {
            conn.phase = Phase::Id;
            if conn.is_outgoing() {
                self.send_id(id);
            }
        }
    }

    pub(super) fn on_received(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.connections.get_mut(&id) else { return };
        let mut result = conn.receive(bytes);
        while result.is_ok() {
            let Some(conn) = self.connections.get_mut(&id) else { return };
            let unit = conn.next_unit(&mut self.rng);
            let output = conn.take_output();
            self.send_bytes(id, output);
            result = match unit {
                Ok(None) => return,
                Ok(Some(unit)) => self.on_unit(id, unit),
                Err(error) => Err(error),
            };
        }
        if let Err(error) = result {
            self.terminate(id, &error);
        }
    }

    fn on_unit(&mut self, id: ConnId, unit: Unit) -> Result<(), PeerError> {
        match unit {
            Unit::Through => {
                self.send_id(id);
                Ok(())
            }
            Unit::Line(line) => {
                self.trace(id, false, &line);
                self.on_id_line(id, &line)
            }
            Unit::Secured if self.connections.get(&id).is_some_and(Connection::is_stream) => {
                self.send(id, &Request::Stream);
                Ok(())
            }
            Unit::Secured => {
                self.send_ack(id);
                Ok(())
            }
            Unit::Proof(text) => self.on_proof(id, &text),
            Unit::Request(text) => {
                self.trace(id, false, &text);
                if self.is_upgrade(id) { self.on_upgrade(id, &text) } else { self.on_request_text(id, &text) }
            }
            Unit::Packet(frame) => {
                self.on_packet(id, &frame);
                Ok(())
            }
            Unit::Raw(bytes) => self.on_raw_packet(id, &bytes),
            Unit::Invitation(bytes) => self.on_invitation_bytes(id, &bytes),
        }
    }

    pub(super) fn on_closed(&mut self, id: ConnId) {
        let proxying = self.connections.get(&id).is_some_and(Connection::is_proxying);
        let error = if proxying { ProxyError::Closed.into() } else { PeerError::Closed };
        self.finish(id, &error, false);
    }

    fn send_id(&mut self, id: ConnId) {
        let conn = self.connections.get(&id).filter(|conn| conn.is_outgoing());
        let minor = Some(u16::from(self.minor_for(conn.and_then(|conn| conn.name.as_ref()))));
        let line = Request::Id { name: self.config.name.to_string(), major: MAJOR, minor };
        let now = self.now;
        if let Some(conn) = self.connections.get_mut(&id) {
            conn.started = now;
        }
        let text = format!("{line}\n").into_bytes();
        self.trace(id, true, &text);
        self.send_bytes(id, text);
    }

    /// The peer says who it is (spec: meta-protocol 5.2).
    fn on_id_line(&mut self, id: ConnId, line: &[u8]) -> Result<(), PeerError> {
        let request = Request::parse(line)?;
        let Request::Id { name, major, minor } = request else {
            return Err(PeerError::Unexpected { got: request.label(), expected: "ID" });
        };
        if let Some(key) = name.strip_prefix('?') {
            return self.start_invitation(id, key);
        }
        if let Some(token) = name.strip_prefix(meet::MARK).and_then(Token::parse) {
            return self.mirror(id, token);
        }
        let name = NodeName::parse(&name).map_err(|_| PeerError::UnknownIdentity(name.escape_default().to_string()))?;
        if name == self.config.name {
            return Err(PeerError::OwnName);
        }
        let Some(conn) = self.connections.get(&id) else { return Ok(()) };
        let (outgoing, stream) = (conn.is_outgoing(), conn.is_stream());
        if let Some(wanted) = conn.name.as_ref().filter(|&wanted| *wanted != name) {
            return Err(PeerError::WrongName { got: name.to_string(), wanted: wanted.to_string() });
        }
        if major != MAJOR {
            return Err(PeerError::Version(i32::from(major)));
        }
        let minor = u8::try_from(minor.unwrap_or(0)).unwrap_or(u8::MAX);
        let handshake = self.handshake(&name, minor)?;
        if !outgoing {
            self.send_id(id);
        }
        match handshake {
            Handshake::Sptps(key) => {
                self.secure(id, name, key);
                Ok(())
            }
            Handshake::Rsa { .. } if stream => Err(PeerError::Legacy),
            Handshake::Rsa { key, upgrade } => self.start_link(id, name, key, upgrade),
        }
    }

    fn secure(&mut self, id: ConnId, name: NodeName, peer: crate::crypto::keys::PublicKey) {
        let Some(conn) = self.connections.get_mut(&id) else { return };
        let (role, label) = if conn.is_outgoing() {
            (Role::Initiator, sptps::meta_label(&self.config.name, &name))
        } else {
            (Role::Responder, sptps::meta_label(&name, &self.config.name))
        };
        let params = Params { role, key: self.key.clone(), peer, label };
        let (stream, output) = Stream::new(params, &mut self.rng);
        conn.name = Some(name);
        conn.phase = Phase::Securing(Channel::Sptps(Box::new(stream)));
        self.send_bytes(id, output);
    }

    /// Tells the peer our port, weight and options (spec: meta-protocol 5.4).
    pub(super) fn send_ack(&mut self, id: ConnId) {
        let Some(conn) = self.connections.get(&id) else { return };
        let Some(name) = conn.name.clone() else { return };
        let measured = i32::try_from(self.now.since(conn.started).as_millis()).unwrap_or(i32::MAX);
        let host = self.config.hosts.get(&name);
        let weight = host.and_then(|host| host.weight).or(self.config.link.weight).unwrap_or(measured);
        let options = self.link_options(&name).with_minor(self.own_minor());
        if let Some(conn) = self.connections.get_mut(&id) {
            conn.estimate = weight;
            conn.options = options;
        }
        self.send(id, &Request::Ack { port: self.config.port.to_string(), weight, options });
    }

    fn link_options(&self, name: &NodeName) -> Options {
        let own = self.config.link;
        let host = self.config.hosts.get(name);
        let tcp_only = own.tcp_only || host.is_some_and(|host| host.tcp_only);
        let mut bits = Options::TINMESH;
        if tcp_only {
            bits |= Options::TCP_ONLY | Options::INDIRECT;
        }
        if own.indirect || host.is_some_and(|host| host.indirect) {
            bits |= Options::INDIRECT;
        }
        if own.pmtu_discovery && !tcp_only {
            bits |= Options::PMTU_DISCOVERY;
        }
        if host.and_then(|host| host.clamp_mss).unwrap_or(own.clamp_mss) {
            bits |= Options::CLAMP_MSS;
        }
        Options(bits)
    }

    /// The peer's ACK makes the connection active (spec: meta-protocol 5.5).
    pub(super) fn on_ack(&mut self, id: ConnId, port: &str, weight: i32, theirs: Options) -> Result<(), PeerError> {
        let Some(name) = self.connections.get(&id).and_then(|conn| conn.name.clone()) else {
            return Err(PeerError::Unexpected { got: "ACK", expected: "ID" });
        };
        let peer = self.intern(&name);
        if self.gossip_is_shut(peer) {
            return Err(PeerError::ForgedStatements);
        }
        let replaces = self.peer(peer).is_some_and(|known| known.conn.is_some());
        if !self.make_room(id, peer, theirs) {
            return Err(PeerError::Replaced);
        }
        let Some(conn) = self.connections.get_mut(&id) else { return Ok(()) };
        let mut ours = conn.options.0 & !Options::TINMESH;
        let mut bits = theirs.0;
        if ours & bits & Options::PMTU_DISCOVERY == 0 {
            ours &= !Options::PMTU_DISCOVERY;
            bits &= !Options::PMTU_DISCOVERY;
        }
        let mut options = Options((ours & 0x00ff_ffff) | bits);
        let host = self.config.hosts.get(&name);
        if let Some(clamp) = host.and_then(|host| host.clamp_mss) {
            options.0 = options.0 & !Options::CLAMP_MSS | if clamp { Options::CLAMP_MSS } else { 0 };
        }
        conn.activate(peer, options);
        let weight = i32::try_from(i64::midpoint(i64::from(weight), i64::from(conn.estimate))).unwrap_or(i32::MAX);
        let remote = conn.remote;
        let mut address = remote;
        if let Some(port) = port.parse().ok().filter(|&port: &u16| port != 0) {
            address.set_port(port);
        }
        let limit = self.config.link.pmtu.into_iter().chain(host.and_then(|host| host.pmtu)).min();
        if let Some(known) = self.peer_mut(peer) {
            known.conn = Some(id);
            known.mtu = known.mtu.min(limit.unwrap_or(u16::MAX));
        }
        self.schedule_check(id);
        self.attend_soon(peer);
        self.on_connected_with(peer);
        self.event(Event::Activated { name, remote });
        self.greet(id);
        self.announce_own_edge(id, peer, address, weight);
        if replaces {
            // Behind the edge: whoever saw the end of the other connection first takes us for unreachable until then.
            self.resume_keying(peer);
        }
        Ok(())
    }

    /// Tells a new neighbour everything, however much that is; only what comes on top of it counts as unread.
    fn greet(&mut self, id: ConnId) {
        if let Some(conn) = self.connections.get_mut(&id) {
            conn.patience = usize::MAX;
        }
        self.send_everything(id);
        if let Some(conn) = self.connections.get_mut(&id) {
            conn.patience = conn.backlog.waiting() + STALLED;
        }
    }

    /// A second connection to the same node: the newer one stays, unless two crossed; then both
    /// ends keep the one that the node with the smaller name made. Of one that was met and one that was dialled at that time
    /// they keep the latter, whoever made them: their ends may come in another order here and there.
    ///
    /// tinc always keeps the one whose ACK came last. It got the ACK on our connection half a round trip after we got
    /// its own, and that on its connection half a round trip before we got its ACK there.
    fn make_room(&mut self, id: ConnId, peer: PeerId, theirs: Options) -> bool {
        let Some(old) = self.peer(peer).and_then(|known| known.conn) else { return true };
        let (Some(new), Some(previous)) = (self.connections.get(&id), self.connections.get(&old)) else { return true };
        let one_is_met = new.is_met() != previous.is_met();
        let crossed = (one_is_met || new.is_outgoing() != previous.is_outgoing())
            && self.now.since(previous.started).as_micros() < u128::from(CROSSING);
        let kindred = theirs.has(Options::TINMESH);
        let kept = crossed
            && if one_is_met {
                !previous.is_met()
            } else if kindred {
                let ours_wins = self.peer(peer).is_some_and(|known| self.config.name < known.name);
                previous.is_outgoing() == ours_wins
            } else {
                let round_trip = previous.last_ping.since(previous.started) / 2;
                previous.is_outgoing() && self.now.since(previous.last_ping) < round_trip
            };
        if !(crossed && kindred) {
            self.drop_tunnel(peer);
        }
        if !kept {
            self.replace(old, id, peer);
        }
        !kept
    }

    /// The peer may have started anew, or dropped the session with the connection, as tinc does.
    fn drop_tunnel(&mut self, peer: PeerId) {
        if let Some(known) = self.peer_mut(peer) {
            known.tunnel = None;
        }
        self.timers.cancel(Wake::UdpSilent(peer));
        self.attend_soon(peer);
        self.touch(peer);
    }

    fn replace(&mut self, old: ConnId, new: ConnId, peer: PeerId) {
        if let Some(known) = self.peer_mut(peer) {
            known.conn = Some(new);
        }
        self.end_streams(peer);
        self.connections.get_mut(&old).map(|conn| conn.peer.take());
        self.finish(old, &PeerError::Replaced, true);
    }

    fn schedule_check(&mut self, id: ConnId) {
        let Some(conn) = self.connections.get_mut(&id) else { return };
        conn.last_ping = self.now;
        conn.pinged = false;
        conn.doubtful = false;
        let next = self.now + self.config.timing.ping_interval + self.jitter();
        self.timers.set(Wake::Check(id), next);
    }

    pub(super) fn on_check(&mut self, id: ConnId) {
        let Some(conn) = self.connections.get_mut(&id) else { return };
        conn.queue.release();
        if conn.is_stream() && conn.is_set_up() {
            return self.look_at_stream(id);
        }
        if !conn.is_active() {
            let error = match conn.phase {
                Phase::Proxying(_) => ProxyError::Silent.into(),
                Phase::Mirroring(_) => PeerError::Superfluous,
                Phase::Connecting | Phase::Id | Phase::Securing(_) | Phase::Active(_) | Phase::Inviting(_) => {
                    PeerError::HandshakeTimeout
                }
            };
            self.terminate(id, &error);
            return;
        }
        if !conn.pinged {
            conn.pinged = true;
            conn.last_ping = self.now;
            self.send(id, &Request::Ping);
        } else if !conn.doubtful {
            conn.doubtful = true;
            self.dial_beside(id);
        } else if !self.is_waited_for(id) {
            self.terminate(id, &PeerError::PingTimeout);
            return;
        }
        self.ask_beside(id);
        let next = self.now + self.config.timing.ping_timeout / 2;
        self.timers.set(Wake::Check(id), next);
    }

    /// Asks the other end of a connection that somebody else dialled by UDP whether it is there.
    fn ask_beside(&mut self, id: ConnId) {
        let Some(conn) = self.connections.get(&id).filter(|conn| conn.doubtful && !conn.is_outgoing()) else { return };
        let Some(peer) = conn.peer.filter(|&peer| self.uses(peer, Feature::Health)) else { return };
        let confirmed = self.peer(peer).filter(|known| known.is_confirmed());
        if let Some(target) = confirmed.and_then(|known| known.udp) {
            self.send_request(peer, target, probe::MIN_PROBE);
        }
    }

    /// Whether a connection that somebody else dialled may have died alone, as with a mapping of a NAT: while its other end
    /// answers by UDP it stays, so that nobody loses a neighbour, until that end has asked too and has dialled again.
    fn is_waited_for(&self, id: ConnId) -> bool {
        let timing = self.config.timing;
        let Some(conn) = self.connections.get(&id).filter(|conn| !conn.is_outgoing()) else { return false };
        let patient = self.now.since(conn.last_ping) < timing.ping_interval + timing.ping_timeout * 2;
        let Some(peer) = conn.peer.filter(|&peer| patient && self.uses(peer, Feature::Health)) else { return false };
        let asked = self.now.since(conn.last_ping).min(timing.ping_timeout / 2);
        let heard = self.tunnel(peer).filter(|tunnel| tunnel.confirmed).and_then(|tunnel| tunnel.probing.heard);
        heard.is_some_and(|at| self.now.since(at) <= asked)
    }

    pub(super) fn on_pong(&mut self, id: ConnId) {
        let Some(conn) = self.connections.get(&id) else { return };
        let (peer, remote, dialled) = (conn.peer, conn.remote, conn.was_dialled());
        self.schedule_check(id);
        if let Some(peer) = peer.filter(|_| dialled) {
            self.keep_dialled(peer, id);
            self.dialling_succeeded(peer, remote);
        }
    }

    /// Sends a request on an encrypted connection, unless it is longer than tinc takes: a far node can make others
    /// repeat a text of its own with a longer nonce, and the neighbour would drop us for it.
    pub(super) fn send(&mut self, id: ConnId, request: &Request) {
        let text = format!("{request}\n");
        if text.len() <= Request::MAX_LEN + 1 {
            self.send_text(id, text.as_bytes());
        }
    }

    /// Sends the text of a request, with its end, on an encrypted connection.
    pub(super) fn send_text(&mut self, id: ConnId, text: &[u8]) {
        self.trace(id, true, text);
        let mut sealed = Vec::new();
        if self.connections.get_mut(&id).is_some_and(|conn| conn.seal_into(text, &mut sealed)) {
            self.send_bytes(id, sealed);
        }
    }

    pub(super) fn send_bytes(&mut self, id: ConnId, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let Some(conn) = self.connections.get_mut(&id) else { return };
        conn.backlog.add(bytes.len());
        let (queued, patience) = (conn.backlog.waiting(), conn.patience);
        self.emit(Output::Send { conn: id, bytes });
        if queued > patience {
            self.terminate(id, &PeerError::Stalled(queued));
        }
    }

    /// Connections on which all requests are allowed, but for `except`.
    pub(super) fn active(&self, except: Option<ConnId>) -> Vec<ConnId> {
        self.connections
            .values()
            .filter(|conn| conn.is_active() && Some(conn.id) != except)
            .map(|conn| conn.id)
            .collect()
    }

    /// Ends a connection from our side.
    pub(super) fn terminate(&mut self, id: ConnId, error: &PeerError) {
        self.finish(id, error, true);
    }

    fn finish(&mut self, id: ConnId, error: &PeerError, ours: bool) {
        let Some(conn) = self.connections.remove(&id) else { return };
        self.timers.cancel(Wake::Check(id));
        let strange = !conn.is_set_up();
        if ours {
            let slow = error.deserves_tarpit() || matches!(error, PeerError::HandshakeTimeout);
            let tarpit = strange && !conn.is_outgoing() && slow;
            self.emit(Output::Close { conn: id, tarpit });
        }
        self.report_end(&conn, error, strange);
        if let Some(peer) = conn.peer.filter(|&peer| self.peer(peer).is_some_and(|known| known.conn == Some(id))) {
            self.lose_neighbour(peer);
        }
        if conn.is_stream() {
            self.on_stream_end(&conn);
        } else {
            self.dial_after(&conn);
        }
    }

    fn report_end(&mut self, conn: &Connection, error: &PeerError, strange: bool) {
        let remote = conn.remote;
        let reason = error.to_string();
        if strange && matches!(conn.phase, Phase::Connecting) {
            let name = conn.name.as_ref().map_or("a node", NodeName::as_str);
            self.event(Event::Note(format!("Could not connect to {name} ({} port {})", remote.ip(), remote.port())));
        } else if let (PeerError::Proxy(error), Some(name)) = (error, &conn.name) {
            self.event(Event::ProxyFailed { name: name.clone(), remote, reason: error.to_string() });
        } else if strange && error.deserves_tarpit() {
            self.event(Event::Refused { remote, reason: format!("peer {reason}") });
        } else if conn.is_stream() {
            let name = conn.name.as_ref().map_or("a node", NodeName::as_str);
            self.event(Event::Note(format!("A connection for packets with {name} ended: {reason}")));
        } else {
            self.event(Event::Disconnected { name: conn.name.clone(), remote, reason });
        }
    }

    fn lose_neighbour(&mut self, peer: PeerId) {
        if let Some(known) = self.peer_mut(peer) {
            known.conn = None;
        }
        self.end_streams(peer);
        self.touch(peer);
        if self.mesh.graph.remove_edge(PeerId::ME, peer).is_some() {
            self.broadcast_edge_gone(PeerId::ME, peer);
            self.dirty.lost.insert(peer);
            self.dirty.routes = true;
        }
    }

    /// The machine slept: every connection is suspect.
    pub(super) fn on_woke(&mut self) {
        self.forget_nat();
        self.ask_anew();
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.terminate(id, &PeerError::Woke);
        }
        self.retry_waiting();
    }
}
