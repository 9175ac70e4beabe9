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

/// Smallest minor that speaks SPTPS.
const SPTPS_MINOR: u8 = 2;

impl Node {
    /// Whether packets to `peer` go under keys of tinc 1.0.
    pub(super) fn is_legacy(&self, peer: PeerId) -> bool {
        self.config.legacy.is_some()
            && self.route(peer).is_some_and(|route| route.options.minor() < SPTPS_MINOR)
            && self.peer(peer).is_some_and(|known| known.key.is_none())
    }
}
