//! What the node decides about peers that are spoken to in the protocol of tinc 1.0.
//!
//! That is done only if the configuration has an RSA key, and never with a node whose Ed25519 key is known, whatever its
//! connection or somebody else's edge says: nobody can talk two newer nodes into the old protocol. Only an operator can:
//! by `ExperimentalProtocol = no` the node speaks nothing else.
//! Source: spec legacy-1.0, meta-protocol 5.2, 5.6, 6.6, 6.7, 11.2.

mod keys;
mod links;

pub(super) use self::links::Handshake;

use crate::name::{NodeName, PeerId};
use crate::node::Node;
use crate::node::connections::MINOR;
use crate::node::gossip::Gossiped;
use crate::wire::request::Request;

/// Smallest minor that speaks SPTPS.
const SPTPS_MINOR: u8 = 2;

impl Node {
    /// Whether packets to `peer` go under keys of tinc 1.0.
    pub(super) fn is_legacy(&self, peer: PeerId) -> bool {
        self.config.legacy.is_some() && self.is_old(peer)
    }

    /// Whether only the protocol of tinc 1.0 works with a reachable `peer`; this node may have no key for that.
    pub(super) fn is_old(&self, peer: PeerId) -> bool {
        let Some(route) = self.route(peer) else { return false };
        let unknown = self.peer(peer).is_some_and(|known| known.key.is_none());
        self.speaks_only_legacy() || route.options.minor() < SPTPS_MINOR && unknown
    }

    /// Whether this node speaks nothing but the protocol of tinc 1.0.
    pub(super) fn speaks_only_legacy(&self) -> bool {
        self.config.legacy.as_ref().is_some_and(|legacy| legacy.only)
    }

    /// The minor that this node announces on its edges.
    pub(super) fn own_minor(&self) -> u8 {
        if self.speaks_only_legacy() { 0 } else { MINOR }
    }

    /// Whether a connection in the protocol of tinc 1.0 can be made: both ends have RSA keys.
    pub(super) fn may_dial_old(&self, name: &NodeName) -> bool {
        self.config.legacy.is_some() && self.config.hosts.get(name).is_some_and(|host| host.rsa.is_some())
    }

    /// What a neighbour with tinc 1.0 says of itself counts also if it was said before, and is passed on as new: after a
    /// restart tinc 1.0 draws the same nonces again, so that its edge looks like a duplicate of the one that is gone.
    pub(super) fn told_anew(&mut self, from: &Gossiped<'_>, request: &Request) -> Option<Vec<u8>> {
        let conn = self.connections.get(&from.conn).filter(|conn| conn.is_legacy())?;
        let (Request::AddSubnet { owner: subject, .. } | Request::AddEdge { from: subject, .. }) = request else {
            return None;
        };
        if conn.name.as_ref() != Some(subject) {
            return None;
        }
        let text = std::str::from_utf8(from.text).ok()?;
        let mut words = text.splitn(3, ' ');
        let (number, _, rest) = (words.next()?, words.next()?, words.next()?);
        Some(format!("{number} {:x} {rest}", self.rng.next_u32()).into_bytes())
    }
}
