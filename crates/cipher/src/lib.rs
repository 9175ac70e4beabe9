//! The cipher of SPTPS records: ChaCha20, and Poly1305 over the bare ciphertext, over many records in one pass.
//!
//! The record's number is the nonce. Block 0 of the key stream is the one-time key of the tag, the data begins at block 1.
//! This is not the AEAD of RFC 8439: its tag also covers padding and lengths. Source: spec sptps 7.
//!
//! ```text
//!  seal  open                 many records, each with its own key, number and length
//!        │
//!     backend                  the instructions of this processor, asked for once
//!     ┌──┴────────┐
//!     │          many          which blocks and tags go side by side
//!     │     ┌──────┼────┐
//!  portable avx2 avx512 neon   the same bytes from each (tests, and the fuzz target `batches`)
//!     └─────┴──┬───┴────┘
//!           poly1305           one record's tag with 64-bit numbers
//! ```
//!
//! Nothing here allocates, keeps state between calls, or knows what a packet is.
#![cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(unsafe_code, reason = "vector instructions; each use says why it is sound")
)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod backend;
pub mod gcm;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod many;
#[cfg(target_arch = "aarch64")]
mod neon;
mod poly1305;
mod portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod runs;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use crate::backend::{Backend, LIMIT};

/// Length of a tag, in bytes.
pub const TAG: usize = 16;
/// As many records as it takes to gain all that there is to gain; a call takes any number of them.
pub const BATCH: usize = 64;

/// The ChaCha20-Poly1305 key of one direction, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The key with these bytes.
    pub const fn new(key: &[u8; 32]) -> Self {
        Self(*key)
    }

    /// Encrypts `data` in place as record `number` and returns its tag.
    pub fn seal(&self, number: u32, data: &mut [u8]) -> [u8; TAG] {
        let mut record = Record::new(self, number, data);
        seal(std::slice::from_mut(&mut record));
        record.tag
    }

    /// Decrypts `data` in place if `tag` shows that it is record `number`; tells whether it is.
    #[must_use]
    pub fn open(&self, number: u32, data: &mut [u8], tag: &[u8; TAG]) -> bool {
        let mut record = Record { tag: *tag, ..Record::new(self, number, data) };
        open(std::slice::from_mut(&mut record));
        record.genuine
    }

    /// Whether `tag` shows that `data` is record `number`.
    #[must_use]
    pub fn verify(&self, number: u32, data: &[u8], tag: &[u8; TAG]) -> bool {
        portable::verify(self, number, data, tag)
    }
}

/// One record to seal or to open.
#[derive(Debug)]
pub struct Record<'a, K = Key> {
    /// The key of its direction.
    pub key: &'a K,
    /// Its number, never used twice with the same key.
    pub number: u32,
    /// What is encrypted or decrypted in place.
    pub data: &'a mut [u8],
    /// Its tag: set by sealing, compared by opening.
    pub tag: [u8; TAG],
    /// Whether the tag was right; set by opening.
    pub genuine: bool,
}

impl<'a, K> Record<'a, K> {
    /// A record whose tag is not known yet.
    pub fn new(key: &'a K, number: u32, data: &'a mut [u8]) -> Self {
        Self { key, number, data, tag: [0; TAG], genuine: false }
    }
}

/// Encrypts every record in place and sets its tag.
pub fn seal(records: &mut [Record<'_>]) {
    seal_with(Backend::best(), records);
}

/// Finds out which records are genuine and decrypts those in place; the others stay as they are.
pub fn open(records: &mut [Record<'_>]) {
    open_with(Backend::best(), records);
}

/// Compares tags in the same time whatever they are.
fn equal(one: &[u8; TAG], other: &[u8; TAG]) -> bool {
    u128::from_le_bytes(*one).ct_eq(&u128::from_le_bytes(*other)).into()
}

/// [`seal`] with a chosen backend, for tests and measurements.
pub fn seal_with(backend: Backend, records: &mut [Record<'_>]) {
    backend.seal(records);
}

/// [`open`] with a chosen backend, for tests and measurements.
pub fn open_with(backend: Backend, records: &mut [Record<'_>]) {
    backend.open(records);
}
