//! AES-256-GCM over records (NIST SP 800-38D), between nodes that agreed on it.
//!
//! The record's number is the nonce, as with the other cipher; there is no further data. Processors with instructions for AES
//! need a third of the time of ChaCha20-Poly1305, one record after the other, so there is nothing to gain from many at once.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::TAG;

/// The AES-256-GCM key of one direction. Clones share it; it is wiped when the last one is dropped.
#[derive(Clone)]
pub struct Key(Arc<LessSafeKey>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The key with these bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are the length of such a key");
        Self(Arc::new(LessSafeKey::new(key)))
    }

    /// Encrypts what is in front of the last [`TAG`] bytes of `sealed` in place as record `number`, and puts the tag there.
    /// Shorter ones are left alone.
    pub fn seal(&self, number: u32, sealed: &mut [u8]) {
        let Some((data, tag)) = sealed.split_last_chunk_mut::<TAG>() else { return };
        let made = self.0.seal_in_place_separate_tag(nonce(number), Aad::empty(), data);
        // Only data of more than 64 GiB is refused.
        if let Ok(made) = made {
            tag.copy_from_slice(made.as_ref());
        }
    }

    /// Decrypts what is in front of the last [`TAG`] bytes of `sealed` in place if these show that it is record `number`; tells
    /// whether they do. If not, what is left of it means nothing.
    #[must_use]
    pub fn open(&self, number: u32, sealed: &mut [u8]) -> bool {
        sealed.len() >= TAG && self.0.open_in_place(nonce(number), Aad::empty(), sealed).is_ok()
    }
}

fn nonce(number: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 14 of "The Galois/Counter Mode of Operation" (McGrew, Viega): a block of zeros under a key of zeros.
    #[test]
    fn the_cipher_is_that_of_its_authors() {
        let mut sealed = [0; 16 + TAG];
        Key::new(&[0; 32]).seal(0, &mut sealed);
        assert_eq!(
            sealed,
            [
                0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0,
                0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19
            ]
        );
    }

    #[test]
    fn records_open_with_their_key_and_number_only() {
        let key = Key::new(&[7; 32]);
        for len in [0, 1, 15, 16, 17, 1400] {
            let mut sealed = vec![3; len + TAG];
            key.seal(9, &mut sealed);
            assert!(!key.open(10, &mut sealed.clone()) && !Key::new(&[8; 32]).open(9, &mut sealed.clone()));
            for at in [0, len / 2, len + TAG - 1] {
                let mut damaged = sealed.clone();
                damaged[at] ^= 0x10;
                assert!(!key.open(9, &mut damaged), "byte {at} of {len}");
            }
            assert!(key.open(9, &mut sealed));
            assert_eq!(sealed[..len], vec![3; len]);
        }
        assert!(!key.open(9, &mut [0; TAG - 1]));
    }
}
