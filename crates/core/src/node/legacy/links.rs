//! Meta connections in the protocol of tinc 1.0, and those that only exchange Ed25519 keys.
//!
//! Source: spec legacy-1.0, 3; meta-protocol 5.2, 5.6.

use super::SPTPS_MINOR;
use crate::crypto::keys::PublicKey;
use crate::crypto::sptps::Role;
use crate::legacy::link::{Link, Proof};
use crate::legacy::rsa;
use crate::meta::connection::{Channel, Phase};
use crate::meta::error::PeerError;
use crate::name::{ConnId, NodeName};
use crate::node::Node;
use crate::node::io::{Event, Output, Persist};

/// How a connection is to be secured.
#[derive(Debug)]
pub(in crate::node) enum Handshake {
    /// By SPTPS, with the owner of this key.
    Sptps(PublicKey),
    /// By RSA; only to exchange Ed25519 keys if `upgrade`.
    Rsa {
        /// The peer's key.
        key: rsa::PublicKey,
        /// Whether no traffic follows.
        upgrade: bool,
    },
}

impl Node {
    /// The minor to announce: 1 asks for the exchange of Ed25519 keys.
    pub(in crate::node) fn minor_for(&self, peer: Option<&NodeName>) -> u8 {
        let stranger = peer.is_some_and(|name| self.known_key(name).is_none());
        if stranger && self.config.legacy.is_some() { self.own_minor().min(1) } else { self.own_minor() }
    }

    /// The Ed25519 key of a node.
    pub(in crate::node) fn known_key(&self, name: &NodeName) -> Option<PublicKey> {
        let learnt = self.mesh.graph.find(name).and_then(|peer| self.peer(peer)?.key);
        learnt.or_else(|| self.config.hosts.get(name).and_then(|host| host.key))
    }

    /// How a connection with `name` is to be secured, which announced this minor.
    pub(in crate::node) fn handshake(&mut self, name: &NodeName, minor: u8) -> Result<Handshake, PeerError> {
        self.refuse_strangers(name)?;
        let by_statement = self.member_key(name);
        let host = self.config.hosts.get(name);
        let only = self.speaks_only_legacy();
        let (known, minor) = if only { (None, 0) } else { (by_statement.or_else(|| self.known_key(name)), minor) };
        if host.is_none() && known.is_none() {
            return Err(PeerError::UnknownIdentity(name.to_string()));
        }
        match known {
            Some(key) if minor >= SPTPS_MINOR => return Ok(Handshake::Sptps(key)),
            Some(_) if minor == 0 && self.config.legacy.is_some() => return Err(PeerError::RolledBack),
            Some(_) | None => {}
        }
        let own = self.config.legacy.as_ref();
        match host.and_then(|host| host.rsa.clone()).filter(|_| own.is_some()) {
            Some(key) => Ok(Handshake::Rsa { key, upgrade: minor > 0 }),
            None if known.is_none() && minor >= SPTPS_MINOR => Err(PeerError::NoKey(name.to_string())),
            None if own.is_some() => Err(PeerError::NoRsaKey(name.to_string())),
            None => Err(PeerError::Legacy),
        }
    }

    /// Starts the authentication by RSA.
    pub(in crate::node) fn start_link(
        &mut self,
        id: ConnId,
        name: NodeName,
        key: rsa::PublicKey,
        upgrade: bool,
    ) -> Result<(), PeerError> {
        let Some(conn) = self.connections.get_mut(&id) else { return Ok(()) };
        let role = if conn.is_outgoing() { Role::Initiator } else { Role::Responder };
        let started = Link::start(role, key, upgrade, &mut self.rng);
        let (link, request) = started.ok_or_else(|| PeerError::NoRsaKey(name.to_string()))?;
        conn.name = Some(name);
        conn.phase = Phase::Securing(Channel::Legacy(Box::new(link)));
        self.send_bytes(id, request);
        Ok(())
    }

    /// The peer proves who it is.
    pub(in crate::node) fn on_proof(&mut self, id: ConnId, request: &[u8]) -> Result<(), PeerError> {
        let Some(legacy) = self.config.legacy.clone() else { return Err(PeerError::Legacy) };
        let Some(link) = self.connections.get_mut(&id).and_then(|conn| conn.link_mut()) else { return Ok(()) };
        let proof = Proof { key: &legacy.key, weak: legacy.weak, rng: &mut self.rng };
        let progress = link.on_request(request, proof)?;
        let upgrade = link.is_upgrade();
        self.send_bytes(id, progress.send);
        if progress.authenticated && upgrade {
            let key = format!("4 {}\n", self.key.public().to_base64());
            self.send_text(id, key.as_bytes());
        } else if progress.authenticated {
            self.send_ack(id);
        }
        Ok(())
    }

    /// Whether a connection only exchanges Ed25519 keys.
    pub(in crate::node) fn is_upgrade(&mut self, id: ConnId) -> bool {
        let link = self.connections.get_mut(&id).and_then(|conn| conn.link_mut());
        link.is_some_and(|link| link.is_upgrade())
    }

    /// The peer tells its Ed25519 key: ACK with a key in it, or good-bye after that.
    pub(in crate::node) fn on_upgrade(&mut self, id: ConnId, request: &[u8]) -> Result<(), PeerError> {
        if request == b"7" {
            return Err(PeerError::Upgraded);
        }
        let Some(conn) = self.connections.get(&id) else { return Ok(()) };
        let (outgoing, name) = (conn.is_outgoing(), conn.name.clone());
        let text = std::str::from_utf8(request).ok().and_then(|text| text.strip_prefix("4 "));
        let key = text.and_then(|text| PublicKey::from_base64(text.trim()).ok());
        let (Some(key), Some(name)) = (key, name) else {
            return Err(PeerError::Unexpected { got: "request", expected: "ACK with an Ed25519 key" });
        };
        match self.known_key(&name) {
            Some(known) if known != key => return Err(PeerError::OtherKey),
            Some(_) => {}
            None => self.learn_upgrade(&name, key),
        }
        self.send_text(id, b"7\n");
        if outgoing {
            self.dial_anew(&name);
            return Err(PeerError::Upgraded);
        }
        Ok(())
    }

    fn learn_upgrade(&mut self, name: &NodeName, key: PublicKey) {
        self.learn_key(name, key);
        self.event(Event::Note(format!("{name} speaks a newer protocol from now on")));
        self.emit(Output::Persist(Persist::PublicKey { name: name.clone(), key }));
    }
}
