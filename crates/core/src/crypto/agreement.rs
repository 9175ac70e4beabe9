//! Key agreement: X25519 on keys that travel as Edwards points.
//!
//! Source: spec sptps 5.

use curve25519_dalek::edwards::CompressedEdwardsY;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::keys::{PublicKey, SecretKey};

/// The secret that the owners of `own` and `peer` share.
///
/// `None` if `peer` is not a curve point or has small order, which no honest peer sends; tinc goes on with those.
pub fn agree(own: &SecretKey, peer: &PublicKey) -> Option<Zeroizing<[u8; 32]>> {
    let point = CompressedEdwardsY(*peer.as_bytes()).decompress()?.to_montgomery();
    let shared = Zeroizing::new(point.mul_clamped(*own.scalar()).to_bytes());
    let weak: bool = shared.ct_eq(&[0; 32]).into();
    (!weak).then_some(shared)
}
