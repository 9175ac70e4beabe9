//! AES-256-GCM over records (NIST SP 800-38D), between nodes that agreed on it.
//!
//! The record's number is the nonce, as with the other cipher; there is no further data. Processors with instructions for AES
//! need a third of the time of ChaCha20-Poly1305, one record after the other, so there is nothing to gain from many at once.
//! Those with instructions for four blocks at once have code of our own (`gcm/wide.rs`), as records are short; others have a library.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::{Backend, TAG};

#[cfg(target_arch = "x86_64")]
mod wide;

/// The AES-256-GCM key of one direction. Clones share it; it is wiped when the last one is dropped.
#[derive(Clone)]
pub struct Key(Kind);

#[derive(Clone)]
enum Kind {
    Library(Arc<LessSafeKey>),
    #[cfg(target_arch = "x86_64")]
    Wide(Arc<wide::Key>),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The key with these bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        Self::with(Backend::best(), key)
    }

    /// The same with a chosen backend, for tests and measurements: vectors of four blocks with AVX-512, the library with others.
    pub fn with(backend: Backend, key: &[u8; 32]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = wide::Wide::new().filter(|_| Some(backend) == Backend::avx512()) {
            return Self(Kind::Wide(wide::Key::new(wide, key)));
        }
        let _ = backend;
        let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are the length of such a key");
        Self(Kind::Library(Arc::new(LessSafeKey::new(key))))
    }

    /// Encrypts what is in front of the last [`TAG`] bytes of `sealed` in place as record `number`, and puts the tag there.
    /// Shorter ones are left alone.
    pub fn seal(&self, number: u32, sealed: &mut [u8]) {
        let Some((data, tag)) = sealed.split_last_chunk_mut::<TAG>() else { return };
        match &self.0 {
            Kind::Library(key) => {
                // Only data of more than 64 GiB is refused.
                if let Ok(made) = key.seal_in_place_separate_tag(nonce(number), Aad::empty(), data) {
                    tag.copy_from_slice(made.as_ref());
                }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Wide(key) => *tag = key.seal(number, data),
        }
    }

    /// Makes the first `data.len() + TAG` bytes of `sealed` record `number` with `data`; nothing if these are more than it has.
    pub fn seal_copy(&self, number: u32, data: &[u8], sealed: &mut [u8]) {
        let Some(sealed) = sealed.get_mut(..data.len() + TAG) else { return };
        match &self.0 {
            Kind::Library(_) => {
                sealed[..data.len()].copy_from_slice(data);
                self.seal(number, sealed);
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Wide(key) => {
                if let Some((place, tag)) = sealed.split_last_chunk_mut::<TAG>() {
                    *tag = key.seal_copy(number, data, place);
                }
            }
        }
    }

    /// Decrypts what is in front of the last [`TAG`] bytes of `sealed` in place if these show that it is record `number`; tells
    /// whether they do. If not, what is left of it means nothing.
    #[must_use]
    pub fn open(&self, number: u32, sealed: &mut [u8]) -> bool {
        match &self.0 {
            Kind::Library(key) => sealed.len() >= TAG && key.open_in_place(nonce(number), Aad::empty(), sealed).is_ok(),
            #[cfg(target_arch = "x86_64")]
            Kind::Wide(key) => {
                let parts = sealed.split_last_chunk_mut::<TAG>();
                parts.is_some_and(|(data, tag)| key.open(number, data, tag))
            }
        }
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

    fn all(key: [u8; 32]) -> Vec<Key> {
        Backend::all().map(|backend| Key::with(backend, &key)).collect()
    }

    /// Test case 14 of "The Galois/Counter Mode of Operation" (McGrew, Viega): a block of zeros under a key of zeros.
    #[test]
    fn the_cipher_is_that_of_its_authors() {
        for key in all([0; 32]) {
            let mut sealed = [0; 16 + TAG];
            key.seal(0, &mut sealed);
            assert_eq!(
                sealed,
                [
                    0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18,
                    0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19
                ]
            );
        }
    }

    #[test]
    fn records_open_with_their_key_and_number_only() {
        for (key, other) in all([7; 32]).into_iter().zip(all([8; 32])) {
            for len in [0, 1, 15, 16, 17, 1400] {
                let mut sealed = vec![3; len + TAG];
                key.seal(9, &mut sealed);
                assert!(!key.open(10, &mut sealed.clone()) && !other.open(9, &mut sealed.clone()));
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

    /// Every length up to some steps, so that each way to end is taken, and one that is far longer than a packet.
    #[test]
    fn all_backends_seal_every_length_alike_and_open_what_others_sealed() {
        let keys = all(std::array::from_fn(|at| (31 * at) as u8));
        for len in (0..1_600).chain([65_000]) {
            let number = (len as u32).wrapping_mul(0x0101_0101);
            let data: Vec<u8> = (0..len + TAG).map(|at| (at * at + len) as u8).collect();
            let mut first = data.clone();
            keys[0].seal(number, &mut first);
            for (at, key) in keys.iter().enumerate() {
                let mut sealed = data.clone();
                key.seal(number, &mut sealed);
                assert_eq!(sealed, first, "{len} bytes, key {at}");
                let mut copy = vec![0xaa; len + TAG + 1];
                key.seal_copy(number, &data[..len], &mut copy);
                assert_eq!((&copy[..len + TAG], copy[len + TAG]), (&first[..], 0xaa), "{len} bytes, key {at}");
                assert!(key.open(number, &mut sealed), "{len} bytes, key {at}");
                assert_eq!(sealed[..len], data[..len], "{len} bytes, key {at}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn all_backends_seal_alike(
            key: [u8; 32], number: u32, mut data in proptest::collection::vec(proptest::num::u8::ANY, TAG..2_000),
        ) {
            let mut first = data.clone();
            let keys = all(key);
            keys[0].seal(number, &mut first);
            for key in &keys[1..] {
                let plain = data.clone();
                key.seal(number, &mut data);
                proptest::prop_assert_eq!(&data, &first);
                data = plain;
            }
        }
    }
}
