//! What the node decides about peers that are spoken to in the protocol of tinc 1.0.
//!
//! That is done only if the configuration has an RSA key, and never with a node whose Ed25519 key is known, whatever its
//! connection or somebody else's edge says: nobody can talk two newer nodes into the old protocol.
//! Source: spec legacy-1.0, meta-protocol 5.2, 5.6, 6.6, 6.7, 11.2.

mod keys;
mod links;

pub(super) use self::links::Handshake;

use crate::name::PeerId;
use crate::node::Node;
use crate::node::gossip::Gossiped;
use crate::wire::request::Request;

/// Smallest minor that speaks SPTPS.
const SPTPS_MINOR: u8 = 2;

impl Node {
    /// Whether packets to `peer` go under keys of tinc 1.0.
    pub(super) fn is_legacy(&self, peer: PeerId) -> bool {
        self.config.legacy.is_some()
            && self.route(peer).is_some_and(|route| route.options.minor() < SPTPS_MINOR)
            && self.peer(peer).is_some_and(|known| known.key.is_none())
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
