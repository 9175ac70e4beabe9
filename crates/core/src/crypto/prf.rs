//! tinc's key derivation: HMAC-SHA-512 in a chain that starts from zeroes.
//!
//! Source: spec sptps 6.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

/// Fills `output` from `secret` and `seed`.
pub fn derive(secret: &[u8], seed: &[u8], output: &mut [u8]) {
    let mut link = Zeroizing::new([0; 64]);
    for piece in output.chunks_mut(64) {
        link = hmac(secret, link.as_slice(), seed);
        piece.copy_from_slice(&hmac(secret, link.as_slice(), seed)[..piece.len()]);
    }
}

fn hmac(key: &[u8], link: &[u8], seed: &[u8]) -> Zeroizing<[u8; 64]> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(link);
    mac.update(seed);
    Zeroizing::new(mac.finalize().into_bytes().into())
}
