//! Packet keys of tinc 1.0: giving, asking, renewing, and packets without them.
//!
//! A key is given as soon as there is something to send or a neighbour to speak with, so that the peer need not ask. A
//! peer's key is used only if it protects packets well, or the operator allows less: else packets go over TCP.
//! Source: spec legacy-1.0, 5, 8, 9 and 12.

use std::sync::Arc;
use std::time::Duration;

use crate::dataplane::fib::UdpTarget;
use crate::dataplane::legacy::unseal_legacy;
use crate::dataplane::record::{FRAME, PROBE};
use crate::dataplane::verdict::DropReason;
use crate::legacy::cipher::Cipher;
use crate::legacy::digest::Digest;
use crate::legacy::hex;
use crate::legacy::session::{Suite, Weakness};
use crate::name::{NodeName, PeerId};
use crate::node::Node;
use crate::node::config::Legacy;
use crate::node::io::Event;
use crate::packet::{ETHERNET_HEADER, Packet};
use crate::peer::tunnel::LegacyKeys;
use crate::wire::address::WireAddress;
use crate::wire::request::{AnsKey, KeyRequest, Request};

/// A key that was not given is asked for again after so long.
const ASK_INTERVAL: Duration = Duration::from_secs(10);
/// A key of ours opens packets for so long after its successor was given.
const OVERLAP: Duration = Duration::from_secs(10);
/// Compression may make a packet longer by so much.
const COMPRESSION_SLACK: usize = 43;

impl Node {
    fn legacy_keys(&mut self, peer: PeerId) -> Option<&mut LegacyKeys> {
        Some(self.open_tunnel(peer)?.legacy.get_or_insert_default())
    }

    /// Gives a key and asks for one, unless that was done.
    pub(in crate::node) fn want_legacy_key(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(keys) = self.legacy_keys(peer) else { return };
        let gives = keys.session.receiving().is_none();
        let asks = keys.session.sending().is_none() && keys.asked.is_none_or(|asked| now.since(asked) >= ASK_INTERVAL);
        if asks {
            keys.asked = Some(now);
        }
        if gives {
            self.give_legacy_key(peer);
        }
        if asks && let Some(to) = self.name_of(peer) {
            let from = self.config.name.clone();
            self.send_routed(peer, &Request::ReqKey { from, to, kind: KeyRequest::Legacy });
        }
    }

    /// Tells a peer how packets to us are to be sealed from now on.
    pub(in crate::node) fn give_legacy_key(&mut self, peer: PeerId) {
        let (now, window) = (self.now, self.config.mesh.replay_window);
        let Some(suite) = self.config.legacy.as_ref().map(|legacy| legacy.suite) else { return };
        if self.legacy_keys(peer).is_none() {
            return;
        }
        let Some((tunnel, rng)) = self.tunnel_and_rng(peer) else { return };
        let Some(keys) = tunnel.legacy.as_deref_mut() else { return };
        let Some((session, key)) = keys.session.with_own_key(suite, window, rng) else { return };
        keys.session = Arc::new(session);
        keys.given = Some(now);
        self.touch(peer);
        let Some(to) = self.name_of(peer) else { return };
        let answer = AnsKey {
            from: self.config.name.clone(),
            to,
            key: hex::encode(&key),
            cipher: suite.cipher.map_or(0, Cipher::id),
            digest: suite.digest.map_or(0, Digest::id),
            mac_length: i32::from(suite.mac_length),
            compression: i32::from(suite.compression),
            reflexive: None,
        };
        self.send_routed(peer, &Request::AnsKey(answer));
    }

    /// A peer tells how packets to it are to be sealed.
    pub(in crate::node) fn on_legacy_key(&mut self, peer: PeerId, answer: &AnsKey) {
        let Some(legacy) = self.config.legacy.clone() else { return };
        let Some(suite) = suite_of(answer) else {
            let AnsKey { cipher, digest, mac_length, .. } = answer;
            let what = format!("cipher {cipher}, digest {digest} and MACLength {mac_length}, which do not exist here");
            return self.refuse_legacy_key(peer, &what);
        };
        if let Some(cipher) = suite.cipher.filter(|cipher| !cipher.is_for_packets()) {
            let what = format!("{cipher}, with which tinc cannot read on after a lost packet: change Cipher there");
            return self.refuse_legacy_key(peer, &what);
        }
        if let Some(weakness) = suite.weakness().filter(|&weakness| !may_use(&legacy, weakness)) {
            return self.refuse_legacy_key(peer, &remedy(weakness));
        }
        let Some(keys) = self.legacy_keys(peer) else { return };
        let key = hex::decode(&answer.key);
        let Some(session) = key.and_then(|key| keys.session.with_peers_key(suite, &key)) else { return };
        keys.session = Arc::new(session);
        keys.refused = false;
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.compression = suite.compression;
        }
        self.touch(peer);
        if let Some(address) = answer.reflexive.as_ref().and_then(WireAddress::ip) {
            self.adopt_reflexive(peer, address);
        }
        self.attend_soon(peer);
    }

    fn refuse_legacy_key(&mut self, peer: PeerId, what: &str) {
        let told = self.legacy_keys(peer).is_none_or(|keys| std::mem::replace(&mut keys.refused, true));
        if let Some(name) = self.name_of(peer).filter(|_| !told) {
            self.event(Event::Note(format!("{name} wants packets with {what}; they go over TCP until then")));
        }
    }

    /// A peer's key is void.
    pub(in crate::node) fn on_key_changed(&mut self, name: &NodeName) {
        let Some(peer) = self.mesh.graph.find(name).filter(|&peer| self.is_legacy(peer)) else { return };
        let Some(keys) = self.tunnel_mut(peer).and_then(|tunnel| tunnel.legacy.as_deref_mut()) else { return };
        keys.session = Arc::new(keys.session.without_peers_key());
        keys.asked = None;
        self.touch(peer);
        self.attend_soon(peer);
    }

    /// Renews the keys that we gave to others.
    pub(in crate::node) fn renew_legacy_keys(&mut self) {
        let given = |peer: &PeerId| self.tunnel(*peer).is_some_and(|tunnel| tunnel.legacy.is_some());
        let peers: Vec<PeerId> = self.mesh.graph.ids().into_iter().filter(given).collect();
        if peers.is_empty() || self.config.legacy.is_none() {
            return;
        }
        let (nonce, name) = (self.rng.next_u32(), self.config.name.clone());
        self.broadcast(&Request::KeyChanged { nonce, name });
        for peer in peers.into_iter().filter(|&peer| self.is_legacy(peer)).collect::<Vec<_>>() {
            self.give_legacy_key(peer);
        }
    }

    /// Drops our key before the present one, and replaces keys that numbered too many packets.
    pub(in crate::node) fn care_for_legacy_keys(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(keys) = self.tunnel_mut(peer).and_then(|tunnel| tunnel.legacy.as_deref_mut()) else { return };
        let over = keys.given.is_some_and(|given| now.since(given) >= OVERLAP);
        if let Some(session) = keys.session.without_old_key().filter(|_| over) {
            keys.session = Arc::new(session);
            self.touch(peer);
        } else if keys.session.is_worn() && over {
            keys.session = Arc::new(keys.session.without_peers_key());
            keys.asked = None;
            self.give_legacy_key(peer);
            self.want_legacy_key(peer);
        }
    }

    /// A plain packet that cannot go by UDP: to the neighbour itself, or by the best means of the next node on the way.
    pub(in crate::node) fn on_legacy_plain(&mut self, owner: PeerId, source: PeerId, packet: Packet) {
        let Some(relay) = self.relay_of(owner) else { return };
        if relay == owner
            && let Some(conn) = self.peer(owner).and_then(|known| known.conn)
        {
            self.use_neighbour(owner);
            self.send_packet_request(conn, &packet);
            return;
        }
        let next = if relay == owner { self.nexthop(owner) } else { Some(relay) };
        match next.filter(|&next| next != source && next != owner) {
            Some(next) if !self.fib.may_relay(next) => self.drop_packet(DropReason::RelayDenied),
            Some(next) => self.send_plain(next, source, packet),
            None => self.drop_packet(DropReason::RoutingLoop),
        }
    }

    /// A datagram of tinc 1.0 from an address where its sender was not known to be.
    pub(in crate::node) fn on_legacy_datagram(&mut self, origin: PeerId, mut packet: Packet, from: UdpTarget) {
        let keys = self.tunnel(origin).and_then(|tunnel| tunnel.legacy.as_deref());
        let Some(session) = keys.map(|keys| Arc::clone(&keys.session)) else { return };
        if let Err(reason) = unseal_legacy(&session, &mut packet, &mut self.scratch) {
            return self.drop_packet(reason);
        }
        if packet.payload()[ETHERNET_HEADER - 2..ETHERNET_HEADER] == [0, 0] {
            return self.on_record(origin, PROBE, &packet, true, from);
        }
        self.on_data_from(origin, from);
        self.deliver_record(origin, FRAME, packet);
    }

    /// Largest frame to `peer` that fits so many bytes of UDP payload, if under a key of tinc 1.0.
    ///
    /// A probe is random: compression makes it longer, and what is refused must be less than what was tried.
    pub(in crate::node) fn legacy_frame_in(&self, peer: PeerId, len: usize) -> Option<usize> {
        let suite = self.legacy_suite(peer)?;
        let slack = if suite.compression == 0 { 0 } else { COMPRESSION_SLACK };
        Some(suite.frame_in(len).saturating_sub(slack))
    }

    /// How packets to `peer` are protected, if under a key of tinc 1.0.
    pub(in crate::node) fn legacy_suite(&self, peer: PeerId) -> Option<Suite> {
        self.tunnel(peer)?.legacy.as_ref().filter(|_| self.is_legacy(peer))?.session.sending()
    }
}

/// What is weak is used only if the operator allows it, and nothing at all only if we want the same of others: nobody on
/// the way can make us send in the clear by changing a number.
fn may_use(legacy: &Legacy, weakness: Weakness) -> bool {
    match weakness {
        Weakness::NoCipher => legacy.suite.cipher.is_none(),
        Weakness::NoCode => legacy.suite.weakness() == Some(Weakness::NoCode) || legacy.suite.cipher.is_none(),
        Weakness::Cipher(_) | Weakness::Digest(_) => legacy.weak,
    }
}

fn remedy(weakness: Weakness) -> String {
    let what = match weakness {
        Weakness::NoCipher => "set Cipher = none here too, if you really want that",
        Weakness::NoCode => "set Digest = none here too, if you really want that",
        Weakness::Cipher(_) | Weakness::Digest(_) => "change it there, or set LegacyWeakCiphers = yes here",
    };
    format!("{weakness}: {what}")
}

/// What the fields of an answer say; nothing if there is no such thing. Without digest the length of codes means nothing.
fn suite_of(answer: &AnsKey) -> Option<Suite> {
    let cipher = match answer.cipher {
        0 => None,
        id => Some(Cipher::by_id(id)?),
    };
    let digest = match answer.digest {
        0 => None,
        id => Some(Digest::by_id(id)?),
    };
    let mac_length = match digest {
        None => 0,
        Some(digest) => u8::try_from(answer.mac_length).ok().filter(|&len| usize::from(len) <= digest.size())?,
    };
    Some(Suite { cipher, digest, mac_length, compression: u8::try_from(answer.compression).ok()? })
}
