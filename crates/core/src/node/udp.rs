//! Keeping tunnels up: probes, addresses of peers, path MTU.
//!
//! Source: spec datagrams 7.5, 11 to 13, 16, 17.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::dataplane::fib::UdpTarget;
use crate::dataplane::legacy::seal_legacy;
use crate::dataplane::record::PROBE;
use crate::dataplane::route::MIN_V6_LIMIT;
use crate::dataplane::session::OVERHEAD;
use crate::name::{NodeId, PeerId};
use crate::node::Node;
use crate::node::io::{Activity, Event, Output};
use crate::node::timers::Wake;
use crate::packet::{MAX_FRAME, Packet};
use crate::peer::pmtu::{Pmtu, Search};
use crate::peer::tunnel::{Pace, Tunnel};
use crate::time::Instant;
use crate::wire::datagram::{self, IDS};
use crate::wire::options::Options;
use crate::wire::probe::{self, Probe};

/// A tunnel in use is looked after this often while something is open.
const BUSY_INTERVAL: Duration = Duration::from_millis(334);
/// A tunnel in use, or to a neighbour, is looked after at least this often.
const CALM_INTERVAL: Duration = Duration::from_secs(1);
/// Gratuitous replies come a little more often than requests.
const GRATUITOUS_LEAD: Duration = Duration::from_secs(1);
/// A confirmed address that is silent for this long beyond the keep-alive gives way to another.
const PATIENCE: Duration = Duration::from_secs(2);
/// A request that answers one from an unconfirmed peer does not follow another sooner.
const QUICK_AGAIN: Duration = Duration::from_millis(100);

/// All that others see of a search.
pub(super) fn sizes(pmtu: &Pmtu) -> (u16, u16, u16) {
    (pmtu.min(), pmtu.max(), pmtu.mtu())
}

/// Bytes of the IP and UDP headers of a datagram to this address.
pub(super) const fn headers(to: SocketAddr) -> usize {
    if to.is_ipv4() { 28 } else { 48 }
}

impl Node {
    pub(super) fn on_activity(&mut self, peers: &[Activity]) {
        for activity in peers {
            let peer = activity.peer;
            if let Some(tunnel) = self.tunnel_mut(peer) {
                tunnel.probing.max_recent_len = tunnel.probing.max_recent_len.max(activity.max_recent_len);
            }
            if activity.sent {
                self.note_talk(peer);
            }
            if activity.sent || activity.relayed {
                self.watch(peer);
                self.use_tunnel(peer);
            }
            if activity.came_relayed {
                self.consider_udp_info(PeerId::ME, peer);
                self.consider_mtu_info(PeerId::ME, peer, MAX_FRAME as i32);
            }
            if activity.refused {
                self.restart_session(peer);
            }
        }
    }

    /// There is traffic towards `peer`.
    pub(super) fn use_tunnel(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(tunnel) = self.open_tunnel(peer) else { return };
        tunnel.used = Some(now);
        self.attend_soon(peer);
    }

    /// Looks after the tunnel to `peer` in this `handle`.
    pub(super) fn attend_soon(&mut self, peer: PeerId) {
        let at = self.now;
        self.timers.set_earlier(Wake::Attend(peer), at);
    }

    pub(super) fn on_attend(&mut self, peer: PeerId) {
        let now = self.now;
        let neighbour = self.is_neighbour(peer);
        if neighbour {
            self.open_tunnel(peer);
        }
        let Some(used) = self.tunnel(peer).map(|tunnel| tunnel.is_used(now)) else { return };
        if !used && !neighbour {
            return;
        }
        self.forget_old_key(peer);
        self.forget_answered(peer);
        self.consider_hello(peer);
        self.attend(peer, used);
        self.follow_place(peer);
        self.consider_punching(peer);
        self.consider_meeting(peer);
        let busy = used && self.tunnel(peer).is_some_and(|tunnel| !tunnel.confirmed || tunnel.pmtu.is_searching());
        let eager = self.tunnel(peer).is_some_and(|tunnel| tunnel.is_eager() || used && tunnel.health.is_tense(now));
        let doubtful = self.tunnel(peer).and_then(|tunnel| tunnel.watch.due());
        let pace = self.tunnel(peer).map_or(BUSY_INTERVAL, |tunnel| tunnel.pmtu.pace().min(BUSY_INTERVAL));
        let next = doubtful.unwrap_or(now + if busy || eager { pace } else { CALM_INTERVAL });
        self.timers.set_earlier(Wake::Attend(peer), next);
    }

    /// Looks after the tunnel to `peer` and those that it leans on (spec: datagrams 11).
    fn attend(&mut self, peer: PeerId, with_mtu: bool) {
        let Some(route) = self.packet_route(peer) else { return };
        let nexthop = route.nexthop;
        let neighbour = self.is_neighbour(peer);
        if neighbour && (self.config.link.tcp_only || route.options.has(Options::TCP_ONLY)) {
            return;
        }
        self.want_key(peer);
        let Some(relay) = self.relay_of(peer) else { return };
        if relay != peer {
            if self.options_of(relay).has_ids() {
                self.use_relay(relay, with_mtu);
            }
            return;
        }
        self.watch(peer);
        self.attend_doubts(peer);
        if with_mtu {
            self.attend_health(peer);
        }
        self.learn_keepalive(peer);
        self.probe_udp(peer);
        if with_mtu {
            self.probe_mtu(peer);
        }
        if nexthop != peer && self.leans_on_next_hop(peer) && self.options_of(nexthop).has_ids() {
            self.use_relay(nexthop, with_mtu);
        }
        if with_mtu {
            self.consider_relays(peer);
        }
    }

    /// Whether packets to `peer` may go by the next node: there is no straight path, or none that takes any packet of 1,280 bytes,
    /// as while its size is searched for. Then that node's path is looked after as well.
    fn leans_on_next_hop(&self, peer: PeerId) -> bool {
        !self.is_confirmed(peer) || self.peer(peer).is_none_or(|known| known.min_mtu() < MIN_V6_LIMIT)
    }

    /// At most once at a time: forged edges may make two nodes each other's relay.
    fn use_relay(&mut self, relay: PeerId, with_mtu: bool) {
        let now = self.now;
        if with_mtu && self.tunnel(relay).is_none_or(|tunnel| tunnel.used != Some(now)) {
            self.use_tunnel(relay);
        }
    }

    /// Sends requests and gratuitous replies when they are due (spec: datagrams 12.1).
    fn probe_udp(&mut self, peer: PeerId) {
        if !self.config.mesh.udp_discovery {
            return;
        }
        let (now, slow) = (self.now, self.config.timing.udp_interval);
        let (keepalive, base) = (self.keepalive(peer), self.keepalive_base());
        let minor = self.options_of(peer).minor();
        let firing = self.is_firing(peer);
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        if !tunnel.has_keys() {
            return;
        }
        let probing = &mut tunnel.probing;
        let lead = keepalive.saturating_sub(GRATUITOUS_LEAD);
        let gratuitous =
            minor >= 3 && tunnel.confirmed && probing.reply_sent.is_none_or(|sent| now.since(sent) >= lead);
        let mut reply = None;
        if gratuitous {
            probing.reply_sent = Some(now);
            reply = Some(std::mem::take(&mut probing.max_recent_len)).filter(|&len| len != 0);
        }
        let interval = tunnel.probe_interval(now, Pace { slow, keepalive, base });
        let due = !firing && tunnel.probing.sent.is_none_or(|sent| now.since(sent) >= interval);
        let crossed = tunnel.probing.source.is_some() && tunnel.probing.unanswered > 0;
        if due {
            tunnel.probing.sent = Some(now);
            tunnel.probing.timing = Some(now);
            tunnel.probing.unanswered += 1;
        }
        if let Some(len) = reply {
            let data = probe::encode_gratuitous(len, self.rng.bytes());
            self.send_probe(peer, None, &data);
        }
        if due && crossed {
            self.doubt(peer);
        }
        if due {
            for target in self.probe_targets(peer) {
                self.send_request(peer, target, probe::MIN_PROBE);
            }
        }
    }

    /// Where to send a request: to the confirmed address, or to all that may be right; but to one at a time where even
    /// guesses did not help.
    fn probe_targets(&mut self, peer: PeerId) -> Vec<UdpTarget> {
        let Some(known) = self.peer(peer) else { return Vec::new() };
        let current = known.udp;
        if known.is_confirmed() {
            return current.into_iter().collect();
        }
        let announced = self.announced_addresses(peer);
        let tunnel = known.tunnel.as_deref();
        let mapped = tunnel.map(|tunnel| tunnel.agreement.mapped).unwrap_or_default();
        let guessed = tunnel.is_some_and(|tunnel| tunnel.retries.failures > 0);
        let mut candidates: Vec<SocketAddr> = current.iter().map(|target| target.to).collect();
        if !announced.is_empty() {
            candidates.push(announced[self.rng.below(announced.len())]);
        }
        if self.config.mesh.local_discovery {
            let local = self.local_addresses(peer);
            if !local.is_empty() {
                candidates.push(local[self.rng.below(local.len())]);
            }
        }
        if guessed && !candidates.is_empty() {
            candidates = vec![candidates[self.rng.below(candidates.len())]];
        }
        candidates.extend(mapped.addresses());
        let mut targets: Vec<UdpTarget> = Vec::new();
        for target in candidates.into_iter().filter_map(|address| self.target(address)) {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        targets
    }

    /// Addresses that `peer` has in its own network, but for those that this node has in its.
    fn local_addresses(&self, peer: PeerId) -> Vec<SocketAddr> {
        let graph = &self.mesh.graph;
        let of = |node| graph.edges(node).filter_map(|edge| edge.local.as_ref()?.ip());
        let own: BTreeSet<SocketAddr> = of(PeerId::ME).collect();
        of(peer).filter(|address| !own.contains(address)).collect()
    }

    /// Whether UDP works both ways with `peer`.
    pub(super) fn is_confirmed(&self, peer: PeerId) -> bool {
        self.peer(peer).is_some_and(crate::peer::Peer::is_confirmed)
    }

    /// How many addresses plain probes to `peer` may go to, at most.
    pub(super) fn plain_targets(&self, peer: PeerId) -> usize {
        let mapped = self.tunnel(peer).map(|tunnel| tunnel.agreement.mapped).unwrap_or_default();
        let local = self.local_addresses(peer);
        let current = self.peer(peer).and_then(|known| known.udp).map(|target| target.to);
        let all = self.announced_addresses(peer).into_iter().chain(mapped.addresses()).chain(local).chain(current);
        all.filter(SocketAddr::is_ipv4).collect::<BTreeSet<_>>().len()
    }

    /// The socket that can reach `address`.
    pub(super) fn target(&self, address: SocketAddr) -> Option<UdpTarget> {
        Some(UdpTarget { to: address, socket: self.socket_for(address.is_ipv4())? })
    }

    /// The socket that the node listens on, for IPv4 or IPv6.
    pub(super) fn socket_for(&self, v4: bool) -> Option<u16> {
        let index = self.config.sockets.iter().position(|socket| socket.is_ipv4() == v4)?;
        u16::try_from(index).ok()
    }

    pub(super) fn send_request(&mut self, peer: PeerId, target: UdpTarget, len: u16) {
        let mut noise = vec![0; usize::from(len)];
        self.rng.fill(&mut noise);
        let data = probe::encode_request(len, &noise);
        let now = self.now;
        if let (Some(tunnel), Some(mark)) = (self.tunnel_mut(peer), probe::mark(&data)) {
            tunnel.probing.asked.note(mark, target, now);
        }
        self.send_probe(peer, Some(target), &data);
    }

    /// Seals a probe and sends it to `target`, or to where `peer` is.
    fn send_probe(&mut self, peer: PeerId, target: Option<UdpTarget>, data: &[u8]) {
        let Some(known) = self.peer(peer) else { return };
        let Some(tunnel) = known.tunnel.as_deref() else { return };
        let Some(target) = target.or(known.udp) else { return };
        let mut packet = Packet::from_payload(data);
        if let Some(keys) = tunnel.legacy.as_deref().filter(|_| self.is_legacy(peer)) {
            let session = std::sync::Arc::clone(&keys.session);
            if seal_legacy(&session, &mut packet, &mut self.scratch) {
                self.emit(Output::Ask { target, packet });
            }
            return;
        }
        self.send_straight(peer, target, PROBE, packet);
    }

    /// Seals a record of this node's own, and sends it to `target` without a relay.
    pub(super) fn send_straight(&mut self, peer: PeerId, target: UdpTarget, kind: u8, mut packet: Packet) {
        let Some(session) = self.tunnel(peer).and_then(Tunnel::session) else { return };
        if !session.seal(kind, &mut packet) {
            self.rekey(peer);
            return;
        }
        if self.options_of(peer).has_ids() {
            let ids = datagram::ids(NodeId::NULL, self.config.name.id());
            if !packet.push_front(&ids) {
                return;
            }
        }
        self.emit(Output::Ask { target, packet });
    }

    /// A probe came in (spec: datagrams 12.3).
    pub(super) fn on_probe(&mut self, peer: PeerId, data: &[u8], direct: bool, from: UdpTarget) {
        let Some(probe) = Probe::parse(data).filter(|_| direct) else { return };
        // Probes count as received: so the first gratuitous reply confirms us to the peer as soon as it is confirmed
        // here. A relay of tinc drops what we send through it before that.
        if let Some(tunnel) = self.tunnel_mut(peer) {
            let len = u16::try_from(data.len()).unwrap_or(u16::MAX);
            tunnel.probing.max_recent_len = tunnel.probing.max_recent_len.max(len);
        }
        match probe {
            Probe::Request { .. } if !self.may_answer_guess(peer, from, data) => {}
            Probe::Request { .. } => {
                let minor = self.options_of(peer).minor();
                let reply = probe::encode_reply(data, minor);
                self.send_probe(peer, Some(from), &reply);
                self.on_probed_from(peer, from);
                self.note_answered(peer);
            }
            Probe::Reply { len } => {
                let asked = self.tunnel_mut(peer).zip(probe::mark(data));
                let target = asked.and_then(|(tunnel, mark)| tunnel.probing.asked.answer(mark));
                match target {
                    Some(target) => self.on_probe_reply(peer, len, target, (from.to, true)),
                    // That datagrams come from there says nothing of those that go elsewhere.
                    None if self.peer(peer).is_some_and(|known| known.is_source(from.to)) => {}
                    None => self.on_probe_reply(peer, len, from, (from.to, false)),
                }
            }
        }
    }

    fn note_answered(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        if tunnel.probing.answered.replace(now).is_none() {
            self.touch(peer);
        }
    }

    /// A peer that has not asked for so long may have lost its path to us.
    fn forget_answered(&mut self, peer: PeerId) {
        let (now, patience) = (self.now, self.longest_silence(peer));
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        if tunnel.probing.answered.take_if(|at| now.since(*at) > patience).is_some() {
            self.touch(peer);
        }
    }

    /// The peer can send from there: unless we know better, that is where it is.
    ///
    /// A request of ours follows, but not to each of theirs: it makes the peer do the same, without end.
    fn on_probed_from(&mut self, peer: PeerId, target: UdpTarget) {
        let (now, calm) = (self.now, self.config.timing.udp_interval);
        let Some(known) = self.peer_mut(peer) else { return };
        let confirmed = known.is_confirmed();
        let current = known.udp == Some(target) || known.is_source(target.to);
        let Some(probing) = known.tunnel.as_deref_mut().map(|tunnel| &mut tunnel.probing) else { return };
        let waited = |since: Option<Instant>, time| since.is_none_or(|since| now.since(since) >= time);
        let due = match (current, confirmed) {
            (true, true) => false,
            (true, false) => waited(probing.sent, QUICK_AGAIN),
            (false, true) => waited(probing.elsewhere, calm),
            (false, false) => true,
        };
        if !due {
            return;
        }
        if confirmed {
            probing.elsewhere = Some(now);
            self.doubt(peer);
        } else {
            self.adopt(peer, target);
        }
        self.send_request(peer, target, probe::MIN_PROBE);
    }

    /// A reply came from `source` to a request that went to `target`, or unasked.
    fn on_probe_reply(&mut self, peer: PeerId, len: u16, target: UdpTarget, (source, asked): (SocketAddr, bool)) {
        let (now, keepalive, patience) = (self.now, self.keepalive(peer), self.longest_silence(peer));
        let answers = asked || !self.options_of(peer).has(Options::TINMESH);
        let Some(known) = self.peer_mut(peer) else { return };
        let straight = known.is_source(target.to) && source == target.to;
        if straight {
            known.udp = Some(target);
        }
        let current = known.udp == Some(target);
        let Some(tunnel) = known.tunnel.as_deref_mut() else { return };
        let silent = tunnel.probing.heard.is_none_or(|heard| now.since(heard) > keepalive + PATIENCE);
        if !current && tunnel.confirmed && !silent {
            tunnel.probing.alternative = Some((target, now));
            return;
        }
        if !current {
            tunnel.reset_path();
            known.udp = Some(target);
        }
        let own = known.udp.map(|target| target.to);
        let Some(tunnel) = known.tunnel.as_deref_mut() else { return };
        let source = Some(source).filter(|_| own != Some(source));
        let moved = std::mem::replace(&mut tunnel.probing.source, source) != source;
        let newly = !std::mem::replace(&mut tunnel.confirmed, true);
        let probing = &mut tunnel.probing;
        if let Some(sent) = probing.timing.take() {
            probing.rtt = Some(now.since(sent));
        }
        probing.heard = Some(now);
        probing.unanswered = 0;
        let before = sizes(&tunnel.pmtu);
        // What has come unasked may be told of now and have come before the doubts.
        if answers {
            tunnel.watch.on_reply(now, len, tunnel.pmtu.min());
        }
        if asked {
            tunnel.pmtu.on_reply(now, len);
        } else {
            tunnel.pmtu.on_told(now, len);
        }
        let changed = before != sizes(&tunnel.pmtu);
        if self.config.mesh.udp_discovery {
            self.timers.set(Wake::UdpSilent(peer), now + patience);
        }
        if newly {
            self.punch_at(now);
            self.on_confirmed(peer, target);
        }
        if newly || changed || moved || !current {
            self.touch(peer);
        }
        if let Some(source) = source.filter(|_| moved) {
            self.try_straight(peer, source, target);
        }
        let busy = self.tunnel(peer).is_some_and(|tunnel| tunnel.is_used(now) && tunnel.pmtu.is_searching());
        // The first probe of a size waits for what the system says of the path.
        if busy && !newly {
            self.attend_soon(peer);
        }
    }

    /// Replies come from elsewhere: as a NAT may close the port that nothing leaves from, that address is better, if it works.
    fn try_straight(&mut self, peer: PeerId, source: SocketAddr, target: UdpTarget) {
        self.send_request(peer, UdpTarget { to: source, ..target }, probe::MIN_PROBE);
    }

    fn on_confirmed(&mut self, peer: PeerId, target: UdpTarget) {
        self.emit(Output::PathMtu(target.to));
        let Some(name) = self.name_of(peer) else { return };
        self.event(Event::PathChanged { name, direct: true, address: Some(target.to) });
        self.recall_silences(peer);
        let edge = self.mesh.graph.edge(PeerId::ME, peer).and_then(|edge| edge.address.ip());
        if let Some(address) = edge {
            self.remember_address(peer, address);
        }
    }

    pub(super) fn on_udp_silent(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(tunnel) = self.tunnel_mut(peer).filter(|tunnel| tunnel.confirmed) else { return };
        let failed = tunnel.health.failed(now);
        tunnel.reset_path();
        tunnel.health = failed.unwrap_or_else(|| std::mem::take(&mut tunnel.health));
        tunnel.probing.rtt = None;
        self.touch(peer);
        if let Some(name) = self.name_of(peer) {
            self.event(Event::PathChanged { name, direct: false, address: None });
        }
    }

    /// Takes `target` for the peer's address; nothing but probes goes there until it answers.
    pub(super) fn adopt(&mut self, peer: PeerId, target: UdpTarget) {
        let Some(known) = self.peer_mut(peer) else { return };
        if known.udp == Some(target) {
            return;
        }
        known.udp = Some(target);
        if let Some(tunnel) = known.tunnel.as_deref_mut() {
            tunnel.reset_path();
        }
        self.touch(peer);
    }

    /// A peer's address as others see it; tried at once.
    pub(super) fn adopt_reflexive(&mut self, peer: PeerId, address: SocketAddr) {
        let Some(target) = self.target(address) else { return };
        if self.is_confirmed(peer) {
            return;
        }
        self.adopt(peer, target);
        self.send_request(peer, target, probe::MIN_PROBE);
    }

    /// A packet that is not a probe came straight from an address that is not the peer's.
    pub(super) fn on_data_from(&mut self, peer: PeerId, target: UdpTarget) {
        if self.peer(peer).is_some_and(|known| known.udp == Some(target) || known.is_source(target.to)) {
            return;
        }
        if !self.follow(peer, target) {
            self.adopt(peer, target);
            self.send_request(peer, target, probe::MIN_PROBE);
        }
    }

    /// Searches the path MTU while there is traffic (spec: datagrams 13.2).
    fn probe_mtu(&mut self, peer: PeerId) {
        if !self.options_of(peer).has(Options::PMTU_DISCOVERY) {
            return;
        }
        let (now, without_discovery) = (self.now, !self.config.mesh.udp_discovery);
        let is_ours = self.options_of(peer).has(Options::TINMESH);
        let Some(known) = self.peer(peer) else { return };
        let initial = known.udp.and_then(|target| self.initial_mtu(peer, target));
        let target = known.udp;
        let Some(tunnel) = self.tunnel_mut(peer).filter(|tunnel| tunnel.has_keys()) else { return };
        let before = sizes(&tunnel.pmtu);
        let search = if is_ours { Search::Halving(tunnel.probing.rtt) } else { Search::AsTinc };
        let probes = tunnel.pmtu.on_tick(now, tunnel.confirmed || without_discovery, initial, search);
        if before != sizes(&tunnel.pmtu) {
            self.touch(peer);
        }
        for len in probes {
            if let Some(target) = target {
                self.send_request(peer, target, len);
            }
        }
    }

    /// The largest frame that fits what the system says of the path (spec: datagrams 13.4).
    pub(super) fn initial_mtu(&self, peer: PeerId, target: UdpTarget) -> Option<u16> {
        let path = self.tunnel(peer)?.probing.path_mtu?;
        let rest = self.frame_in(peer, usize::from(path).checked_sub(headers(target.to))?);
        u16::try_from(rest.min(MAX_FRAME)).ok().filter(|_| path >= 512)
    }

    /// Largest frame to `peer` that fits so many bytes of UDP payload.
    pub(super) fn frame_in(&self, peer: PeerId, len: usize) -> usize {
        if let Some(frame) = self.legacy_frame_in(peer, len) {
            return frame;
        }
        let ids = if self.options_of(peer).has_ids() { IDS } else { 0 };
        len.saturating_sub(OVERHEAD + ids)
    }

    pub(super) fn on_path_mtu(&mut self, to: SocketAddr, mtu: Option<u16>) {
        for peer in self.peers_at(to) {
            let Some(tunnel) = self.tunnel_mut(peer) else { continue };
            let before = std::mem::replace(&mut tunnel.probing.path_mtu, mtu);
            if before.zip(mtu).is_some_and(|(before, mtu)| mtu < before) {
                tunnel.probing.narrowed += 1;
            }
            self.attend_soon(peer);
            let Some(target) = self.peer(peer).and_then(|known| known.udp) else { continue };
            let limit = self.initial_mtu(peer, target);
            let Some(tunnel) = self.tunnel_mut(peer) else { continue };
            if let Some(limit) = limit.filter(|&limit| limit < tunnel.pmtu.max()) {
                tunnel.pmtu.on_too_big(limit + 1);
                self.touch(peer);
            }
        }
    }

    pub(super) fn peers_at(&self, address: SocketAddr) -> Vec<PeerId> {
        let at =
            |peer: &PeerId| self.peer(*peer).is_some_and(|known| known.udp.is_some_and(|target| target.to == address));
        self.mesh.graph.ids().into_iter().filter(at).collect()
    }
}
