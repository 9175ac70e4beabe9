//! `Session`: the keys of one finished handshake, sequence numbers and replay window.
//!
//! Shared by the node and all workers. The keys never change: a rekey makes a new `Session`, which goes on counting in the
//! numbers and the window of the old one. Those are atomic, so sealing and opening need no lock.
//!
//! ```text
//!  Session (first keys) ─── own SIG and ACK sent ──► Session (sends with the new key,
//!        │                                                    opens with old or new)
//!        └─ numbers, window: shared ───────────────► ─── ACK came ──► Session (new keys)
//! ```
//!
//! Source: spec sptps 9.2, 13 to 15.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::crypto::aead::{Cipher, Genuine, TAG};
use crate::crypto::replay::{Refusal, ReplayWindow};
use crate::crypto::sptps::{HANDSHAKE, SessionKeys};
use crate::packet::Packet;

/// Bytes that sealing adds: number, type, tag.
pub const OVERHEAD: usize = 4 + 1 + TAG;
/// Numbers that one key may number before a nonce would repeat.
const NUMBERS: u64 = 1 << 32;
/// Numbers that are kept for the handshake which replaces the key.
const RESERVE: u64 = 1 << 16;

/// Why a datagram does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than the overhead.
    #[error("shorter than an empty record")]
    TooShort,
    /// Not sealed with our keys, or damaged.
    #[error("the tag is wrong")]
    BadTag,
    /// Genuine, but refused by the replay window.
    #[error("seen before, too old or too far ahead")]
    Replayed,
    /// Genuine, but of a type that nobody sends.
    #[error("record type {0} does not exist")]
    BadType(u8),
}

impl OpenError {
    /// Whether the datagram is genuine and only came at the wrong time, so that the keys are in order.
    pub const fn is_replay(self) -> bool {
        match self {
            Self::Replayed => true,
            Self::TooShort | Self::BadTag | Self::BadType(_) => false,
        }
    }
}

/// Keys and counters of an established datagram session.
#[derive(Debug)]
pub struct Session {
    sending: Key,
    receiving: Key,
    coming: Option<Coming>,
    numbers: Arc<Numbers>,
}

/// A key and the first number it is used for.
#[derive(Clone, Debug)]
struct Key {
    cipher: Cipher,
    since: u64,
}

/// A receiving key that the peer uses as soon as it has sent its ACK, which may arrive later than its packets.
#[derive(Debug)]
struct Coming {
    key: Key,
    /// Lowest number seen under this key: the old key is good for earlier ones only.
    lowest: AtomicU64,
}

/// What goes on counting through rekeys.
#[derive(Debug)]
struct Numbers {
    out: AtomicU64,
    window: ReplayWindow,
}

/// Which key opened a record.
#[derive(Clone, Copy)]
enum Opener<'a> {
    Receiving,
    Coming(&'a Coming),
}

impl Session {
    /// The session after the first handshake, whose records had the numbers below `next` in both directions.
    pub(crate) fn new(keys: SessionKeys, next: u64, window_bytes: u16) -> Self {
        Self {
            sending: Key { cipher: keys.sending, since: next },
            receiving: Key { cipher: keys.receiving, since: next },
            coming: None,
            numbers: Arc::new(Numbers { out: AtomicU64::new(next), window: ReplayWindow::new(window_bytes, next) }),
        }
    }

    /// The session after our ACK: it seals with the new key, and opens what came under either.
    pub(crate) fn after_own_ack(&self, keys: SessionKeys) -> Self {
        let since = self.numbers.window.next();
        Self {
            sending: Key { cipher: keys.sending, since: self.numbers.out.load(Relaxed) },
            receiving: self.receiving.clone(),
            coming: Some(Coming { key: Key { cipher: keys.receiving, since }, lowest: AtomicU64::new(u64::MAX) }),
            numbers: Arc::clone(&self.numbers),
        }
    }

    /// The session after the peer's ACK: the old receiving key is gone.
    pub(crate) fn after_peers_ack(&self) -> Self {
        Self {
            sending: self.sending.clone(),
            receiving: self.coming.as_ref().map_or(&self.receiving, |coming| &coming.key).clone(),
            coming: None,
            numbers: Arc::clone(&self.numbers),
        }
    }

    /// Makes `packet`, which holds the data of a record of type `kind`, the datagram to send.
    ///
    /// `false`, and no change, if the packet has no room or the key has served for too long and must be renewed first.
    #[must_use]
    pub fn seal(&self, kind: u8, packet: &mut Packet) -> bool {
        let len = packet.len();
        if !packet.push_back(&[0; TAG]) {
            return false;
        }
        if !packet.push_front(&[0, 0, 0, 0, kind]) {
            packet.truncate(len);
            return false;
        }
        let Some(number) = self.next_number(NUMBERS - RESERVE) else {
            packet.drop_front(OVERHEAD - TAG);
            packet.truncate(len);
            return false;
        };
        seal_in_place(&self.sending.cipher, number, packet.payload_mut());
        true
    }

    /// Makes `packet`, which holds a datagram, the data of its record, and returns the record's type.
    ///
    /// # Errors
    /// If it was not sealed for us, or its number is refused; the payload is then as it was.
    pub fn open(&self, packet: &mut Packet) -> Result<u8, OpenError> {
        let (number, body, tag) = split(packet.payload_mut()).ok_or(OpenError::TooShort)?;
        let (genuine, opener) = self.verify(number, body, tag).ok_or(OpenError::BadTag)?;
        self.admit(number, opener).map_err(|_| OpenError::Replayed)?;
        genuine.decrypt(body);
        let kind = body.first().copied().unwrap_or(u8::MAX);
        packet.truncate(packet.len() - TAG);
        packet.drop_front(OVERHEAD - TAG);
        if kind > HANDSHAKE { Err(OpenError::BadType(kind)) } else { Ok(kind) }
    }

    /// Whether `datagram` would open: who sent it, when the address does not tell (spec: datagrams 8.1).
    pub fn would_open(&self, datagram: &[u8]) -> bool {
        let Some((number, sealed)) = datagram.split_first_chunk::<4>() else { return false };
        let Some((body, tag)) = sealed.split_last_chunk::<TAG>() else { return false };
        let number = u32::from_be_bytes(*number);
        let since = match self.verify(number, body, tag).map(|(_, opener)| opener) {
            Some(Opener::Receiving) => self.receiving.since,
            Some(Opener::Coming(coming)) => coming.key.since,
            None => return false,
        };
        !body.is_empty() && self.numbers.window.would_accept(number, since)
    }

    /// Seals a record of the handshake that renews the keys; `None` if even the reserve of numbers is used up.
    pub(crate) fn seal_handshake(&self, data: &[u8]) -> Option<Vec<u8>> {
        let number = self.next_number(NUMBERS)?;
        let mut datagram = [&[0, 0, 0, 0, HANDSHAKE], data, &[0; TAG]].concat();
        seal_in_place(&self.sending.cipher, number, &mut datagram);
        Some(datagram)
    }

    /// Opens a datagram that came over meta connections, where it may be overtaken by any number of packets.
    ///
    /// So it may be older than the window. That is safe: each key sees one handshake, and its order is checked.
    pub(crate) fn open_handshake(&self, datagram: &[u8]) -> Result<(u8, Vec<u8>), OpenError> {
        let mut datagram = datagram.to_vec();
        let (number, body, tag) = split(&mut datagram).ok_or(OpenError::TooShort)?;
        let (genuine, opener) = self.verify(number, body, tag).ok_or(OpenError::BadTag)?;
        match self.admit(number, opener) {
            Ok(()) | Err(Refusal::TooOld | Refusal::FarAhead) => {}
            Err(Refusal::Seen) => return Err(OpenError::Replayed),
        }
        genuine.decrypt(body);
        let (kind, data) = body.split_first().ok_or(OpenError::TooShort)?;
        Ok((*kind, data.to_vec()))
    }

    fn next_number(&self, limit: u64) -> Option<u32> {
        let end = self.sending.since + limit;
        if self.numbers.out.load(Relaxed) >= end {
            return None;
        }
        let number = self.numbers.out.fetch_add(1, Relaxed);
        (number < end).then_some(number as u32)
    }

    fn verify(&self, number: u32, body: &[u8], tag: &[u8; TAG]) -> Option<(Genuine, Opener<'_>)> {
        if let Some(genuine) = self.receiving.cipher.verify(number, body, tag) {
            return Some((genuine, Opener::Receiving));
        }
        let coming = self.coming.as_ref()?;
        Some((coming.key.cipher.verify(number, body, tag)?, Opener::Coming(coming)))
    }

    fn admit(&self, number: u32, opener: Opener<'_>) -> Result<(), Refusal> {
        match opener {
            Opener::Coming(coming) => {
                let full = self.numbers.window.accept(number, coming.key.since)?;
                coming.lowest.fetch_min(full, Relaxed);
            }
            Opener::Receiving => {
                let full = self.numbers.window.accept(number, self.receiving.since)?;
                if self.coming.as_ref().is_some_and(|coming| full > coming.lowest.load(Relaxed)) {
                    return Err(Refusal::TooOld);
                }
            }
        }
        Ok(())
    }
}

/// Number, sealed type and data, tag.
fn split(datagram: &mut [u8]) -> Option<(u32, &mut [u8], &[u8; TAG])> {
    let (number, sealed) = datagram.split_first_chunk_mut::<4>()?;
    let (body, tag) = sealed.split_last_chunk_mut::<TAG>()?;
    (!body.is_empty()).then_some((u32::from_be_bytes(*number), body, tag))
}

/// Fills in number and tag of a datagram that has room for them, and encrypts what is between.
fn seal_in_place(cipher: &Cipher, number: u32, datagram: &mut [u8]) {
    let Some((front, sealed)) = datagram.split_first_chunk_mut::<4>() else { return };
    let Some((body, tag)) = sealed.split_last_chunk_mut::<TAG>() else { return };
    *front = number.to_be_bytes();
    *tag = cipher.seal(number, body);
}
