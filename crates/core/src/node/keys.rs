//! Public keys and sessions of peers: asking, handshakes, rekeying.
//!
//! Source: spec datagrams 4, meta-protocol 6.6, 6.7, 11.

use std::time::Duration;

use crate::crypto::base64;
use crate::crypto::keys::PublicKey;
use crate::crypto::rng::Rng;
use crate::crypto::sptps::datagram::{Datagram, HandshakeProgress};
use crate::crypto::sptps::{self, Params, Role};
use crate::name::{NodeName, PeerId};
use crate::node::Node;
use crate::node::gossip::Gossiped;
use crate::node::io::{Event, Output, Persist};
use crate::node::timers::Wake;
use crate::peer::agreement::Agreement;
use crate::peer::tunnel::{Keying, Tunnel};
use crate::wire::address::WireAddress;
use crate::wire::options::Options;
use crate::wire::request::{AnsKey, KeyRequest, Request};

/// A start that crosses one of ours is ignored while ours is younger than this.
const CROSSING: Duration = Duration::from_secs(3);
/// Highest compression level that anyone may ask for.
const MAX_COMPRESSION: i32 = 12;

impl Node {
    pub(super) fn tunnel_mut(&mut self, peer: PeerId) -> Option<&mut Tunnel> {
        self.peer_mut(peer)?.tunnel.as_deref_mut()
    }

    /// A tunnel and the randomness for its handshake.
    pub(super) fn tunnel_and_rng(&mut self, peer: PeerId) -> Option<(&mut Tunnel, &mut Rng)> {
        let known = self.peers.get_mut(peer.index())?.as_mut()?;
        Some((known.tunnel.as_deref_mut()?, &mut self.rng))
    }

    pub(super) fn tunnel(&self, peer: PeerId) -> Option<&Tunnel> {
        self.peer(peer)?.tunnel.as_deref()
    }

    /// The tunnel of a reachable peer, made if there is none.
    pub(super) fn open_tunnel(&mut self, peer: PeerId) -> Option<&mut Tunnel> {
        if peer == PeerId::ME || !self.is_reachable(peer) {
            return None;
        }
        if self.peer(peer)?.tunnel.is_none() {
            self.peer_mut(peer)?.tunnel = Some(Box::default());
            self.recall(peer);
        }
        self.tunnel_mut(peer)
    }

    /// Starts a session unless there is one or it is under way.
    pub(super) fn want_key(&mut self, peer: PeerId) {
        if self.is_legacy(peer) {
            return self.want_legacy_key(peer);
        }
        let now = self.now;
        if self.open_tunnel(peer).is_some_and(|tunnel| tunnel.wants_start(now)) {
            self.start_session(peer);
        }
    }

    /// A datagram of an existing session failed: perhaps the peer lost its keys.
    pub(super) fn restart_session(&mut self, peer: PeerId) {
        let now = self.now;
        let due = !self.is_legacy(peer) && self.open_tunnel(peer).is_some_and(|tunnel| tunnel.start_is_old(now));
        if due {
            self.start_session(peer);
        }
    }

    /// A connection with `peer` has taken the place of another, and what was sent on that was lost: a start of ours that is not
    /// answered would keep the peer's own from being heard.
    pub(super) fn resume_keying(&mut self, peer: PeerId) {
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        tunnel.agreement.ask_again();
        if matches!(tunnel.keying, Keying::Waiting { initiator: true, .. }) {
            self.start_session(peer);
        }
    }

    fn start_session(&mut self, peer: PeerId) {
        let Some((name, key)) = self.peer(peer).map(|known| (known.name.clone(), known.key)) else { return };
        let Some(key) = key else {
            self.ask_key(peer, name);
            return;
        };
        let label = sptps::udp_label(&self.config.name, &name);
        let params = Params { role: Role::Initiator, key: self.key.clone(), peer: key, label };
        let (handshake, kex) = Datagram::start(params, self.config.mesh.replay_window, &mut self.rng);
        self.begin(peer, handshake, true);
        let from = self.config.name.clone();
        self.send_routed(peer, &Request::ReqKey { from, to: name, kind: KeyRequest::Start(base64::encode(&kex)) });
    }

    fn begin(&mut self, peer: PeerId, mut handshake: Datagram, initiator: bool) {
        let now = self.now;
        if self.options_of(peer).has(Options::TINMESH) {
            handshake.be_patient();
        }
        let Some(tunnel) = self.open_tunnel(peer) else { return };
        tunnel.agreement = Agreement::default();
        tunnel.keying = Keying::Waiting { handshake: Box::new(handshake), initiator };
        tunnel.last_start = Some(now);
        self.disconnect_gossip(peer);
        self.touch(peer);
    }

    pub(super) fn ask_key(&mut self, peer: PeerId, name: NodeName) {
        let now = self.now;
        if self.open_tunnel(peer).is_some_and(|tunnel| tunnel.may_ask_key(now)) {
            let from = self.config.name.clone();
            self.send_routed(peer, &Request::ReqKey { from, to: name, kind: KeyRequest::PublicKeyWanted });
        }
    }

    /// Sends a request to the neighbour that is next on the way to `peer`.
    pub(super) fn send_routed(&mut self, peer: PeerId, request: &Request) {
        let conn = self.nexthop(peer).and_then(|nexthop| self.peer(nexthop)?.conn);
        if let Some(conn) = conn {
            self.send(conn, request);
        }
    }

    /// Passes a routed request on as it came.
    fn pass_on(&mut self, to: PeerId, text: &[u8]) {
        let conn = self.nexthop(to).and_then(|nexthop| self.peer(nexthop)?.conn);
        if let Some(conn) = conn {
            self.send_text(conn, &[text, b"\n"].concat());
        }
    }

    pub(super) fn on_req_key(&mut self, from: &Gossiped<'_>, origin: &NodeName, to: &NodeName, kind: KeyRequest) {
        let (Some(origin), Some(to)) = (self.mesh.graph.find(origin), self.mesh.graph.find(to)) else { return };
        let carries = matches!(kind, KeyRequest::Start(_) | KeyRequest::Datagram(_));
        if carries && self.route(to).is_none_or(|route| route.via == PeerId::ME) {
            self.consider_udp_info(PeerId::ME, origin);
        }
        if to == PeerId::ME {
            if self.is_reachable(origin) && origin != PeerId::ME {
                self.on_key_request(origin, kind);
            }
            return;
        }
        if self.config.mesh.tunnel_server || !self.is_reachable(to) {
            return;
        }
        if let KeyRequest::Datagram(text) = kind {
            self.relay_text(from.conn, origin, to, &text);
            return;
        }
        self.pass_on(to, from.text);
    }

    fn on_key_request(&mut self, origin: PeerId, kind: KeyRequest) {
        if self.speaks_only_legacy() && kind != KeyRequest::Legacy {
            return;
        }
        match kind {
            KeyRequest::PublicKeyWanted => self.on_public_key_wanted(origin),
            KeyRequest::PublicKey(text) => self.on_public_key(origin, &text),
            KeyRequest::Start(text) => self.on_session_start(origin, &text),
            KeyRequest::Datagram(text) => {
                if let Some(datagram) = base64::decode(text.as_bytes()) {
                    self.on_datagram_over_tcp(origin, &datagram);
                }
            }
            KeyRequest::Hello(text) => self.on_hello(origin, &text),
            KeyRequest::HelloAnswer(text) => self.on_hello_answer(origin, &text),
            KeyRequest::Sealed(text) => self.on_sealed(origin, &text),
            KeyRequest::Legacy if self.is_legacy(origin) => self.give_legacy_key(origin),
            KeyRequest::Legacy | KeyRequest::Other(_) => {}
        }
    }

    fn on_public_key_wanted(&mut self, origin: PeerId) {
        let Some((name, key)) = self.peer(origin).map(|known| (known.name.clone(), known.key)) else { return };
        if key.is_none() {
            self.ask_key(origin, name.clone());
        }
        let from = self.config.name.clone();
        let kind = KeyRequest::PublicKey(self.key.public().to_base64());
        self.send_routed(origin, &Request::ReqKey { from, to: name, kind });
    }

    fn on_public_key(&mut self, origin: PeerId, text: &str) {
        let Ok(key) = PublicKey::from_base64(text) else { return };
        if self.trust.is_closed() {
            // Statements say which keys members have.
            return;
        }
        let Some(known) = self.peer_mut(origin).filter(|known| known.key.is_none()) else { return };
        known.key = Some(key);
        let name = known.name.clone();
        let waits = known.tunnel.is_some();
        self.touch(origin);
        self.emit(Output::Persist(Persist::PublicKey { name, key }));
        if waits {
            self.want_key(origin);
        }
    }

    /// The peer starts a session (spec: datagrams 4.2).
    fn on_session_start(&mut self, origin: PeerId, text: &str) {
        let Some((name, key)) = self.peer(origin).map(|known| (known.name.clone(), known.key)) else { return };
        let Some(key) = key else {
            self.ask_key(origin, name);
            return;
        };
        let Some(kex) = base64::decode(text.as_bytes()) else { return };
        if self.keeps_own_start(origin, &name) {
            return;
        }
        let label = sptps::udp_label(&name, &self.config.name);
        let params = Params { role: Role::Responder, key: self.key.clone(), peer: key, label };
        let (handshake, own) = Datagram::start(params, self.config.mesh.replay_window, &mut self.rng);
        self.begin(origin, handshake, false);
        self.send_handshake(origin, &own);
        self.on_handshake(origin, &kex);
        self.consider_mtu_info(PeerId::ME, origin, crate::packet::MAX_FRAME as i32);
    }

    /// When both sides start at once, one start must win: against tinc ours (tinc always yields),
    /// among tinmesh nodes that of the smaller name.
    fn keeps_own_start(&self, origin: PeerId, name: &NodeName) -> bool {
        let Some(tunnel) = self.tunnel(origin) else { return false };
        let young = tunnel.last_start.is_some_and(|start| self.now.since(start) < CROSSING);
        let ours = matches!(tunnel.keying, Keying::Waiting { initiator: true, .. });
        let wins = !self.options_of(origin).has(Options::TINMESH) || self.config.name < *name;
        young && ours && wins
    }

    fn send_handshake(&mut self, peer: PeerId, datagram: &[u8]) {
        let Some(to) = self.name_of(peer) else { return };
        let answer = AnsKey {
            from: self.config.name.clone(),
            to,
            key: base64::encode(datagram),
            cipher: -1,
            digest: -1,
            mac_length: -1,
            compression: i32::from(self.config.policy.compression),
            reflexive: None,
        };
        self.send_routed(peer, &Request::AnsKey(answer));
    }

    pub(super) fn on_ans_key(&mut self, from: &Gossiped<'_>, mut answer: AnsKey) {
        let (Some(origin), Some(to)) = (self.mesh.graph.find(&answer.from), self.mesh.graph.find(&answer.to)) else {
            return;
        };
        if to != PeerId::ME {
            if self.config.mesh.tunnel_server || !self.is_reachable(to) {
                return;
            }
            let usable = answer.reflexive.is_none() && self.peer(to).is_some_and(|known| known.min_mtu() > 0);
            match self.peer(origin).and_then(|known| known.udp).filter(|_| usable) {
                Some(target) => {
                    answer.reflexive = Some(WireAddress::Ip(target.to));
                    self.send_routed(to, &Request::AnsKey(answer));
                }
                None => self.pass_on(to, from.text),
            }
            return;
        }
        if origin == PeerId::ME || !(0..=MAX_COMPRESSION).contains(&answer.compression) {
            return;
        }
        if self.is_legacy(origin) {
            return self.on_legacy_key(origin, &answer);
        }
        let Some(datagram) = base64::decode(answer.key.as_bytes()) else { return };
        let Some(tunnel) = self.tunnel_mut(origin) else { return };
        tunnel.compression = u8::try_from(answer.compression).unwrap_or(0);
        if !self.on_handshake(origin, &datagram) {
            return;
        }
        let ready = self.tunnel(origin).is_some_and(|tunnel| matches!(tunnel.keying, Keying::Ready(_)));
        if let Some(address) = answer.reflexive.as_ref().and_then(WireAddress::ip).filter(|_| ready) {
            self.adopt_reflexive(origin, address);
        }
        self.consider_mtu_info(PeerId::ME, origin, crate::packet::MAX_FRAME as i32);
    }

    /// Feeds a handshake datagram to the session; tells whether it was accepted.
    pub(super) fn on_handshake(&mut self, peer: PeerId, datagram: &[u8]) -> bool {
        let progress = self.tunnel_and_rng(peer).and_then(|(tunnel, rng)| match &mut tunnel.keying {
            Keying::Waiting { handshake, .. } | Keying::Ready(handshake) => Some(handshake.on_handshake(datagram, rng)),
            Keying::Absent => None,
        });
        match progress {
            Some(Ok(progress)) => {
                self.on_progress(peer, progress);
                true
            }
            Some(Err(_)) => {
                self.restart_session(peer);
                false
            }
            None => {
                self.want_key(peer);
                false
            }
        }
    }

    pub(super) fn on_progress(&mut self, peer: PeerId, progress: HandshakeProgress) {
        for datagram in &progress.send {
            self.send_handshake(peer, datagram);
        }
        if progress.session.is_some() {
            self.note_start(peer);
            self.touch(peer);
        }
        if progress.established {
            self.on_established(peer);
        }
    }

    fn on_established(&mut self, peer: PeerId) {
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        tunnel.keying = match std::mem::take(&mut tunnel.keying) {
            Keying::Waiting { handshake, .. } | Keying::Ready(handshake) => Keying::Ready(handshake),
            Keying::Absent => Keying::Absent,
        };
        tunnel.rekeying = None;
        let waiting = std::mem::take(&mut tunnel.waiting);
        let early = std::mem::take(&mut tunnel.early);
        self.touch(peer);
        self.refresh_routes();
        self.publish_if_dirty();
        for datagram in early {
            self.on_datagram_over_tcp(peer, &datagram);
        }
        for kept in waiting {
            self.send_plain(peer, kept.source, kept.packet);
        }
        self.attend_soon(peer);
        self.consider_hello(peer);
    }

    /// Renews the keys of all sessions (spec: sptps 15).
    pub(super) fn on_key_expire(&mut self) {
        let next = self.now + self.config.timing.key_expire + self.jitter();
        self.timers.set(Wake::KeyExpire, next);
        for peer in self.mesh.graph.ids() {
            self.rekey(peer);
        }
        self.renew_legacy_keys();
    }

    pub(super) fn rekey(&mut self, peer: PeerId) {
        let now = self.now;
        let Some((tunnel, rng)) = self.tunnel_and_rng(peer) else { return };
        let kex = match &mut tunnel.keying {
            Keying::Ready(handshake) => handshake.rekey(rng),
            Keying::Absent | Keying::Waiting { .. } => return,
        };
        let stuck = tunnel.rekey_is_stuck(now);
        match kex {
            Ok(kex) => {
                self.note_start(peer);
                self.send_handshake(peer, &kex);
            }
            Err(_) if stuck => self.start_session(peer),
            Err(_) => {}
        }
    }

    /// While keys change, packets that cannot be opened are no reason to start anew.
    fn note_start(&mut self, peer: PeerId) {
        let now = self.now;
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.last_start = Some(now);
        }
    }

    /// The key before the present one goes when no packet under it can be under way any more.
    pub(super) fn forget_old_key(&mut self, peer: PeerId) {
        let now = self.now;
        self.care_for_legacy_keys(peer);
        let Some(tunnel) = self.tunnel_mut(peer).filter(|tunnel| tunnel.start_is_old(now)) else { return };
        let forgot = match &mut tunnel.keying {
            Keying::Ready(handshake) => handshake.forget_old_key(),
            Keying::Absent | Keying::Waiting { .. } => false,
        };
        if forgot {
            self.touch(peer);
        }
    }

    /// A node joined by invitation, or its key became known otherwise.
    pub(super) fn learn_key(&mut self, name: &NodeName, key: PublicKey) -> PeerId {
        let peer = self.intern(name);
        if let Some(known) = self.peer_mut(peer) {
            known.key = Some(key);
        }
        self.touch(peer);
        self.event(Event::Note(format!("Learnt the key of {name}")));
        peer
    }
}
