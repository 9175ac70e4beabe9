//! What goes beyond tinc, between two tinmesh nodes: asked for once a session is there, agreed on, and then used.
//!
//! ```text
//!  asker (who started the session)                answerer
//!    session established ──── REQ_KEY 100 ──────►  believes it, takes what both want
//!    takes what both want ◄── REQ_KEY 101 ───────
//!    renews the keys ─────────────────────────►   keys of that handshake are for the agreed cipher
//! ```
//!
//! What is agreed holds for the session: a new one, as with a node that became tinc again, begins without. Source:
//! docs/protocol.md, "Extensions".

use std::time::Duration;

use crate::crypto::base64;
use crate::crypto::keys::PublicKey;
use crate::crypto::record_key::Suite;
use crate::crypto::sptps::Role;
use crate::crypto::sptps::control::Control;
use crate::name::{NodeName, PeerId};
use crate::node::Node;
use crate::node::io::Event;
use crate::peer::tunnel::{Keying, Tunnel};
use crate::trust::gossip;
use crate::wire::health;
use crate::wire::hello::{Bond, Feature, Features, Hello};
use crate::wire::keepalive::KEEPALIVE;
use crate::wire::mapped::MAPPED;
use crate::wire::meet;
use crate::wire::options::Options;
use crate::wire::punch;
use crate::wire::relay;
use crate::wire::request::{KeyRequest, Request};

/// Hellos that come faster than this are not looked at: each costs a signature.
const MOST_OFTEN: Duration = Duration::from_millis(500);

/// Names and keys of both sides, and the key exchange of their session.
struct Sides {
    names: [NodeName; 2],
    keys: [PublicKey; 2],
    exchange: Vec<u8>,
}

impl Sides {
    fn bond(&self) -> Bond<'_> {
        let ([asker, answerer], [one, other]) = (&self.names, &self.keys);
        Bond { asker, answerer, keys: [one, other], exchange: &self.exchange }
    }
}

impl Node {
    /// Says hello to a tinmesh node if this node started the session with it and they have not agreed yet.
    pub(super) fn consider_hello(&mut self, peer: PeerId) {
        let (now, wanted) = (self.now, self.config.mesh.extensions);
        if wanted.is_empty() || !self.options_of(peer).has(Options::TINMESH) {
            return;
        }
        if !self.tunnel(peer).is_some_and(|tunnel| tunnel.agreement.is_due(now)) {
            return;
        }
        let Some(sides) = self.sides(peer, Role::Initiator) else { return };
        let hello = Hello::ask(&sides.bond(), wanted, &self.key);
        self.send_extension(peer, KeyRequest::Hello(hello.encode()));
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.agreement.note_asked(hello, now);
        }
    }

    pub(super) fn on_hello(&mut self, origin: PeerId, text: &str) {
        let (now, wanted) = (self.now, self.config.mesh.extensions);
        if wanted.is_empty() {
            return;
        }
        let Some(sides) = self.sides(origin, Role::Responder) else { return };
        let Some(tunnel) = self.tunnel_mut(origin) else { return };
        if tunnel.agreement.last.is_some_and(|last| now.since(last) < MOST_OFTEN) {
            return;
        }
        tunnel.agreement.last = Some(now);
        let Some(hello) = Hello::decode(text).filter(|hello| hello.is_asked(&sides.bond())) else { return };
        let answer = Hello::answer(&sides.bond(), &hello, wanted, &self.key);
        self.send_extension(origin, KeyRequest::HelloAnswer(answer.encode()));
        self.agree(origin, wanted.both(hello.features()));
    }

    pub(super) fn on_hello_answer(&mut self, origin: PeerId, text: &str) {
        let Some(sides) = self.sides(origin, Role::Initiator) else { return };
        let wanted = self.config.mesh.extensions;
        let Some(asked) = self.tunnel_mut(origin).and_then(|tunnel| tunnel.agreement.asked.take()) else { return };
        let Some(answer) = Hello::decode(text) else { return };
        if !answer.is_answer(&sides.bond(), &asked) {
            return;
        }
        let features = wanted.both(answer.features());
        self.agree(origin, features);
        if features.has(Feature::Aes256Gcm) {
            self.rekey(origin);
        }
    }

    fn agree(&mut self, peer: PeerId, features: Features) {
        let suite = if features.has(Feature::Aes256Gcm) { Suite::Aes256Gcm } else { Suite::default() };
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        tunnel.agreement.done = true;
        tunnel.agreement.features = features;
        match &mut tunnel.keying {
            Keying::Ready(handshake) => handshake.change_suite(suite),
            Keying::Absent | Keying::Waiting { .. } => {}
        }
        if let Some(session) = self.tunnel(peer).and_then(Tunnel::session) {
            session.suit_tinmesh();
        }
        if let Some(name) = self.name_of(peer) {
            self.event(Event::Note(format!("{name} and this node agreed on: {features}")));
        }
        self.prepare_reflecting(peer);
        self.on_agreed_to_relay(peer);
        self.on_agreed(peer);
        self.tell_mapped(peer);
        self.tell_keepalive(peer);
    }

    /// Both sides of a session in which this node has `role`, which is that of who asks for initiators; nothing while keys
    /// are being made.
    fn sides(&self, peer: PeerId, role: Role) -> Option<Sides> {
        let known = self.peer(peer)?;
        let Keying::Ready(handshake) = &known.tunnel.as_deref()?.keying else { return None };
        if handshake.role() != role || !handshake.is_settled() {
            return None;
        }
        let exchange = handshake.exchange()?.to_vec();
        let (own, other) = ((self.config.name.clone(), self.key.public()), (known.name.clone(), known.key?));
        let [asker, answerer] = match role {
            Role::Initiator => [own, other],
            Role::Responder => [other, own],
        };
        Some(Sides { names: [asker.0, answerer.0], keys: [asker.1, answerer.1], exchange })
    }

    /// Whether both sides of the session with `peer` use a feature.
    pub(super) fn uses(&self, peer: PeerId, feature: Feature) -> bool {
        self.tunnel(peer).is_some_and(|tunnel| tunnel.agreement.features.has(feature))
    }

    /// Sends a message to a tinmesh node, sealed so that nobody on the way can read or change it.
    pub(super) fn send_sealed(&mut self, peer: PeerId, message: &[u8]) {
        let sealed = self.control_mut(peer).and_then(|control| control.seal(message));
        if let Some(sealed) = sealed {
            self.send_extension(peer, KeyRequest::Sealed(base64::encode(&sealed)));
        }
    }

    /// The same to each node that agreed on a feature.
    pub(super) fn send_sealed_to_all(&mut self, feature: Feature, message: &[u8]) {
        for peer in self.mesh.graph.ids() {
            if self.uses(peer, feature) {
                self.send_sealed(peer, message);
            }
        }
    }

    pub(super) fn on_sealed(&mut self, origin: PeerId, text: &str) {
        let Some(sealed) = base64::decode(text.as_bytes()) else { return };
        let message = self.control_mut(origin).and_then(|control| control.open(&sealed));
        let Some((kind, message)) = message.as_deref().and_then(<[u8]>::split_first) else { return };
        match *kind {
            kind if gossip::KINDS.contains(&kind) => self.on_statements_message(origin, kind, message),
            kind if punch::KINDS.contains(&kind) => self.on_punch_message(origin, kind, message),
            kind if meet::KINDS.contains(&kind) => self.on_meet_message(origin, kind, message),
            MAPPED => self.on_mapped_message(origin, message),
            KEEPALIVE => self.on_keepalive_message(origin, message),
            kind if relay::KINDS.contains(&kind) => self.on_relay_message(origin, kind, message),
            kind if health::KINDS.contains(&kind) => self.on_health_message(origin, kind, message),
            _ => {}
        }
    }

    fn control_mut(&mut self, peer: PeerId) -> Option<&mut Control> {
        let tunnel = self.tunnel_mut(peer).filter(|tunnel| tunnel.agreement.done)?;
        match &mut tunnel.keying {
            Keying::Ready(handshake) => handshake.control_mut(),
            Keying::Absent | Keying::Waiting { .. } => None,
        }
    }

    fn send_extension(&mut self, peer: PeerId, kind: KeyRequest) {
        let (from, to) = (self.config.name.clone(), self.name_of(peer));
        if let Some(to) = to {
            self.send_routed(peer, &Request::ReqKey { from, to, kind });
        }
    }
}
