//! The cipher of SPTPS records: ChaCha20, and Poly1305 over the bare ciphertext.
//!
//! The record's number is the nonce. Block 0 of the key stream is the one-time key of the tag, the data begins at block 1.
//! This is not the AEAD of RFC 8439: its tag also covers padding and lengths. Source: spec sptps 7.
//!
//! ChaCha20 backends work on several blocks at a time and take as long for fewer, so block 0 is made together with the
//! first blocks of the data, and the rest of the data in whole groups.

use chacha20::cipher::array::Array;
use chacha20::cipher::consts::U64;
use chacha20::cipher::{KeyIvInit, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of a tag, in bytes.
pub const TAG: usize = 16;
/// Blocks that a vectorised ChaCha20 makes in one go.
const LANES: usize = 4;
/// Bytes of a group of blocks.
const GROUP: usize = LANES * 64;

type Block = Array<u8, U64>;

/// The key of one direction, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Cipher([u8; 32]);

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher(..)")
    }
}

impl Cipher {
    /// The cipher with this key.
    pub const fn new(key: &[u8; 32]) -> Self {
        Self(*key)
    }

    /// Encrypts `data` in place as record `number` and returns its tag.
    pub fn seal(&self, number: u32, data: &mut [u8]) -> [u8; TAG] {
        let pass = self.pass(number);
        let authenticator = pass.authenticator();
        pass.apply(data);
        authenticator.compute_unpadded(data).into()
    }

    /// Decrypts `data` in place if `tag` shows that it is record `number`; tells whether it is.
    #[must_use]
    pub fn open(&self, number: u32, data: &mut [u8], tag: &[u8; TAG]) -> bool {
        let genuine = self.verify(number, data, tag);
        let accepted = genuine.is_some();
        if let Some(genuine) = genuine {
            genuine.decrypt(data);
        }
        accepted
    }

    /// Checks `tag`; `None` unless `data` is record `number`.
    pub fn verify(&self, number: u32, data: &[u8], tag: &[u8; TAG]) -> Option<Genuine> {
        let pass = self.pass(number);
        let expected: [u8; TAG] = pass.authenticator().compute_unpadded(data).into();
        bool::from(expected.ct_eq(tag)).then_some(Genuine(pass))
    }

    /// Seals many records, each under its own key.
    pub fn seal_all(records: &mut [Record<'_>]) {
        for record in records {
            record.tag = record.cipher.seal(record.number, record.data);
        }
    }

    /// Opens many records, each under its own key; those that are not genuine are left as they are.
    pub fn open_all(records: &mut [Record<'_>]) {
        for record in records {
            record.genuine = record.cipher.open(record.number, record.data, &record.tag);
        }
    }

    fn pass(&self, number: u32) -> Pass {
        let mut nonce = [0; 12];
        nonce[8..].copy_from_slice(&number.to_be_bytes());
        let mut core = ChaChaCore::<R20, Ietf>::new(&self.0.into(), &nonce.into());
        let mut first = [Block::default(); LANES];
        core.write_keystream_blocks(&mut first);
        Pass { core, first }
    }
}

/// A record among many that are worked together.
#[derive(Debug)]
pub struct Record<'a> {
    /// Its key.
    pub cipher: &'a Cipher,
    /// Its number.
    pub number: u32,
    /// What is encrypted or decrypted in place.
    pub data: &'a mut [u8],
    /// Made by sealing, checked by opening.
    pub tag: [u8; TAG],
    /// Whether opening found the tag right.
    pub genuine: bool,
}

/// Leave to decrypt a record whose tag was right.
pub struct Genuine(Pass);

impl Genuine {
    /// Decrypts the verified `data` in place.
    pub fn decrypt(self, data: &mut [u8]) {
        self.0.apply(data);
    }
}

/// The key stream of one record.
struct Pass {
    core: ChaChaCore<R20, Ietf>,
    first: [Block; LANES],
}

impl Pass {
    fn authenticator(&self) -> Poly1305 {
        let mut key = poly1305::Key::default();
        key.copy_from_slice(&self.first[0][..32]);
        Poly1305::new(&key)
    }

    fn apply(mut self, data: &mut [u8]) {
        let (head, rest) = data.split_at_mut(data.len().min(GROUP - 64));
        xor(head, Block::slice_as_flattened(&self.first[1..]));
        let (groups, tail) = rest.split_at_mut(rest.len() / GROUP * GROUP);
        self.core.apply_keystream_blocks(Block::slice_as_chunks_mut(groups).0);
        if !tail.is_empty() {
            self.core.write_keystream_blocks(&mut self.first);
            xor(tail, Block::slice_as_flattened(&self.first));
        }
    }
}

fn xor(data: &mut [u8], stream: &[u8]) {
    for (byte, mask) in data.iter_mut().zip(stream) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The construction, word for word: one key stream, 64 bytes of it in front of the data.
    fn sealed_plainly(key: &[u8; 32], number: u32, data: &[u8]) -> (Vec<u8>, [u8; TAG]) {
        use chacha20::cipher::StreamCipher;
        let mut nonce = [0; 12];
        nonce[8..].copy_from_slice(&number.to_be_bytes());
        let mut bytes = [&[0; 64], data].concat();
        chacha20::ChaCha20::new(key.into(), &nonce.into()).apply_keystream(&mut bytes);
        let ciphertext = bytes.split_off(64);
        let one_time = poly1305::Key::try_from(&bytes[..32]).unwrap();
        let tag = Poly1305::new(&one_time).compute_unpadded(&ciphertext);
        (ciphertext, tag.into())
    }

    proptest! {
        #[test]
        fn every_length_is_sealed_as_the_construction_says(
            key: [u8; 32],
            number: u32,
            data in prop::collection::vec(any::<u8>(), 0..1700),
        ) {
            let mut sealed = data.clone();
            let tag = Cipher::new(&key).seal(number, &mut sealed);
            prop_assert_eq!((&sealed, tag), (&sealed_plainly(&key, number, &data).0, sealed_plainly(&key, number, &data).1));

            prop_assert!(Cipher::new(&key).open(number, &mut sealed, &tag));
            prop_assert_eq!(sealed, data);
        }

        #[test]
        fn a_changed_bit_is_refused_and_nothing_is_decrypted(bit in 0_usize..(100 + TAG) * 8) {
            let cipher = Cipher::new(&[1; 32]);
            let mut record = vec![5; 100];
            let tag = cipher.seal(9, &mut record);
            record.extend_from_slice(&tag);
            record[bit / 8] ^= 1 << (bit % 8);
            let (data, tag) = record.split_last_chunk_mut::<TAG>().unwrap();
            let before = data.to_vec();

            prop_assert!(!cipher.open(9, data, tag));
            prop_assert_eq!(data, before);
        }
    }
}
