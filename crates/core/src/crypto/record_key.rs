//! The key of one direction of a session between nodes, for the cipher that both agreed on; and many records at once.
//!
//! tinc knows ChaCha20-Poly1305 only. Two tinmesh nodes that said so in their hellos change to AES-256-GCM when they renew
//! their keys. Records look the same under both: their number is the nonce, the tag has 16 bytes.

use arrayvec::ArrayVec;
use tinmesh_cipher::{self as cipher, Record, TAG, gcm};

use crate::dataplane::batch::BATCH;

/// Longest record of which a copy is opened, in bytes.
const LONGEST: usize = 2048;

/// What seals the records of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suite {
    /// ChaCha20-Poly1305 as tinc has it.
    #[default]
    ChaCha20Poly1305,
    /// AES-256-GCM, between tinmesh nodes only.
    Aes256Gcm,
}

impl Suite {
    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::Aes256Gcm => "aes-256-gcm",
        }
    }
}

/// A key and its cipher, wiped when dropped.
#[derive(Clone, Debug)]
pub enum RecordKey {
    /// See [`Suite::ChaCha20Poly1305`].
    ChaCha20Poly1305(cipher::Key),
    /// See [`Suite::Aes256Gcm`].
    Aes256Gcm(gcm::Key),
}

impl RecordKey {
    /// The key with these bytes.
    pub fn new(suite: Suite, bytes: &[u8; 32]) -> Self {
        match suite {
            Suite::ChaCha20Poly1305 => Self::ChaCha20Poly1305(cipher::Key::new(bytes)),
            Suite::Aes256Gcm => Self::Aes256Gcm(gcm::Key::new(bytes)),
        }
    }

    /// The cipher.
    pub const fn suite(&self) -> Suite {
        match self {
            Self::ChaCha20Poly1305(_) => Suite::ChaCha20Poly1305,
            Self::Aes256Gcm(_) => Suite::Aes256Gcm,
        }
    }

    /// Encrypts what is in front of the last [`TAG`] bytes of `sealed` in place as record `number`, and puts the tag there.
    pub fn seal(&self, number: u32, sealed: &mut [u8]) {
        match self {
            Self::ChaCha20Poly1305(key) => {
                if let Some((data, tag)) = sealed.split_last_chunk_mut::<TAG>() {
                    *tag = key.seal(number, data);
                }
            }
            Self::Aes256Gcm(key) => key.seal(number, sealed),
        }
    }

    /// The key with which a record can be sealed into another place at no cost.
    pub(crate) const fn copying(&self) -> Option<&gcm::Key> {
        match self {
            Self::ChaCha20Poly1305(_) => None,
            Self::Aes256Gcm(key) => Some(key),
        }
    }

    /// Decrypts what is in front of the last [`TAG`] bytes of `sealed` in place if these show that it is record `number`; tells
    /// whether they do. If not, what is left of it means nothing.
    #[must_use]
    pub fn open(&self, number: u32, sealed: &mut [u8]) -> bool {
        match self {
            Self::ChaCha20Poly1305(key) => match sealed.split_last_chunk_mut::<TAG>() {
                Some((data, tag)) => key.open(number, data, tag),
                None => false,
            },
            Self::Aes256Gcm(key) => key.open(number, sealed),
        }
    }

    /// As [`open`](Self::open), but what is not genuine stays as it was. Nothing longer than a packet is genuine.
    #[must_use]
    pub fn try_open(&self, number: u32, sealed: &mut [u8]) -> bool {
        match self {
            Self::ChaCha20Poly1305(_) => self.open(number, sealed),
            Self::Aes256Gcm(key) => {
                let mut space = [0; LONGEST];
                let opened = open_copy(key, number, sealed, &mut space);
                opened.is_some_and(|opened| {
                    sealed.copy_from_slice(opened);
                    true
                })
            }
        }
    }

    /// Whether the last [`TAG`] bytes of `sealed` show that it is record `number`; nothing longer than a packet is.
    #[must_use]
    pub fn verify(&self, number: u32, sealed: &[u8]) -> bool {
        match self {
            Self::ChaCha20Poly1305(key) => {
                sealed.split_last_chunk::<TAG>().is_some_and(|(data, tag)| key.verify(number, data, tag))
            }
            Self::Aes256Gcm(key) => open_copy(key, number, sealed, &mut [0; LONGEST]).is_some(),
        }
    }
}

/// Opens a copy of `sealed`, in `space`; `None` if it is not genuine or does not fit.
fn open_copy<'a>(key: &gcm::Key, number: u32, sealed: &[u8], space: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let copy = space.get_mut(..sealed.len())?;
    copy.copy_from_slice(sealed);
    key.open(number, copy).then_some(copy)
}

/// A record of a batch: its key, its number, and its data with the tag behind it.
#[derive(Debug)]
pub struct Part<'a> {
    /// Its key.
    pub key: &'a RecordKey,
    /// Its number.
    pub number: u32,
    /// What is encrypted or decrypted in place, and the tag.
    pub sealed: &'a mut [u8],
}

/// The records of a batch, by cipher, each with its place in the batch.
#[derive(Default)]
pub struct Records<'a> {
    chacha: ArrayVec<Record<'a>, BATCH>,
    tags: ArrayVec<(usize, &'a mut [u8; TAG]), BATCH>,
    aes: ArrayVec<(usize, &'a gcm::Key, u32, &'a mut [u8]), BATCH>,
}

impl<'a> Records<'a> {
    /// Adds the record at `place`, at most [`BATCH`] of them.
    pub fn push(&mut self, place: usize, part: Part<'a>) {
        let Part { key, number, sealed } = part;
        match key {
            RecordKey::ChaCha20Poly1305(key) => {
                if let Some((data, tag)) = sealed.split_last_chunk_mut::<TAG>() {
                    self.chacha.push(Record { tag: *tag, ..Record::new(key, number, data) });
                    self.tags.push((place, tag));
                }
            }
            RecordKey::Aes256Gcm(key) => self.aes.push((place, key, number, sealed)),
        }
    }

    /// Seals all.
    pub fn seal(mut self) {
        cipher::seal(&mut self.chacha);
        self.chacha.iter().zip(self.tags).for_each(|(record, (_, tag))| *tag = record.tag);
        self.aes.into_iter().for_each(|(_, key, number, sealed)| key.seal(number, sealed));
    }

    /// Opens all, and tells `each` the place of every record and whether it was genuine.
    pub fn open(mut self, mut each: impl FnMut(usize, bool)) {
        cipher::open(&mut self.chacha);
        self.chacha.iter().zip(self.tags).for_each(|(record, (place, _))| each(place, record.genuine));
        self.aes.into_iter().for_each(|(place, key, number, sealed)| each(place, key.open(number, sealed)));
    }
}
