//! SPTPS over a byte stream: meta connections and invitations.
//!
//! ```text
//!  plain    length 2 · type 1 · data
//!  sealed   length 2 · (type 1 · data) sealed · tag 16
//! ```
//!
//! Numbers are not on the wire; each side counts. A wrong length makes the tag fail. Source: spec sptps 9.1, 13, 17.

use crate::crypto::rng::Rng;
use crate::crypto::sptps::handshake::{Change, Handshake, Step};
use crate::crypto::sptps::{HANDSHAKE, Params, SptpsError};
use tinmesh_cipher::{Key, TAG};

/// Records that one key may number before a nonce would repeat.
const NUMBERS: u64 = 1 << 32;
/// Bytes of the length field.
const LENGTH: usize = 2;

/// What a record brought.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// A step of a handshake, first or later.
    Handshake,
    /// The last step of the first handshake: records can be sealed.
    Done,
    /// An application record.
    Record {
        /// Its type.
        kind: u8,
        /// Its data.
        data: Vec<u8>,
    },
}

/// One side of an SPTPS stream.
#[derive(Debug)]
pub struct Stream {
    handshake: Handshake,
    outbound: Direction,
    inbound: Direction,
    coming: Option<Key>,
    partial: Vec<u8>,
    output: Vec<u8>,
}

/// The records of one direction.
#[derive(Debug, Default)]
struct Direction {
    key: Option<Key>,
    next: u64,
    since: u64,
}

impl Direction {
    fn take_number(&mut self) -> Result<u32, SptpsError> {
        if self.key.is_some() && self.next >= self.since + NUMBERS {
            return Err(SptpsError::Exhausted);
        }
        let number = self.next as u32;
        self.next += 1;
        Ok(number)
    }

    fn set_key(&mut self, key: Key) {
        self.key = Some(key);
        self.since = self.next;
    }

    fn encode(&mut self, kind: u8, data: &[u8]) -> Result<Vec<u8>, SptpsError> {
        let mut record = Vec::new();
        self.append(kind, data, &mut record)?;
        Ok(record)
    }

    /// Puts one record behind what is there.
    fn append(&mut self, kind: u8, data: &[u8], to: &mut Vec<u8>) -> Result<(), SptpsError> {
        let len = u16::try_from(data.len()).map_err(|_| SptpsError::TooLong)?;
        let number = self.take_number()?;
        to.reserve(LENGTH + self.rest(len));
        to.extend_from_slice(&len.to_be_bytes());
        let start = to.len();
        to.push(kind);
        to.extend_from_slice(data);
        if let Some(key) = &self.key {
            let tag = key.seal(number, &mut to[start..]);
            to.extend_from_slice(&tag);
        }
        Ok(())
    }

    /// How many bytes follow a length field that says `len`.
    fn rest(&self, len: u16) -> usize {
        1 + usize::from(len) + if self.key.is_some() { TAG } else { 0 }
    }

    /// Type and data of what followed a length field.
    fn decode(&mut self, mut sealed: Vec<u8>) -> Result<(u8, Vec<u8>), SptpsError> {
        let number = self.take_number()?;
        if let Some(key) = &self.key {
            let (body, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(SptpsError::TooShort)?;
            if !key.open(number, body, tag) {
                return Err(SptpsError::BadTag);
            }
            sealed.truncate(sealed.len() - TAG);
        }
        let kind = *sealed.first().ok_or(SptpsError::TooShort)?;
        sealed.drain(..1);
        Ok((kind, sealed))
    }
}

impl Stream {
    /// Starts a stream; the second value is to be sent.
    pub fn new(params: Params, rng: &mut Rng) -> (Self, Vec<u8>) {
        let (handshake, kex) = Handshake::start(params, rng);
        let mut stream = Self {
            handshake,
            outbound: Direction::default(),
            inbound: Direction::default(),
            coming: None,
            partial: Vec::new(),
            output: Vec::new(),
        };
        let record = stream.outbound.encode(HANDSHAKE, &kex).expect("a KEX is shorter than the longest record");
        (stream, record)
    }

    /// Takes bytes up to the end of one record at most, and tells how many.
    ///
    /// # Errors
    /// If the record is refused; the stream is then of no more use.
    pub fn feed(&mut self, bytes: &[u8], rng: &mut Rng) -> Result<(usize, Option<StreamEvent>), SptpsError> {
        let length_bytes = self.collect(bytes, LENGTH);
        let Some(&length) = self.partial.first_chunk::<LENGTH>() else { return Ok((length_bytes, None)) };
        let whole = LENGTH + self.inbound.rest(u16::from_be_bytes(length));
        let rest_bytes = self.collect(&bytes[length_bytes..], whole);
        let consumed = length_bytes + rest_bytes;
        if self.partial.len() < whole {
            return Ok((consumed, None));
        }
        let sealed = std::mem::take(&mut self.partial).split_off(LENGTH);
        let (kind, data) = self.inbound.decode(sealed)?;
        Ok((consumed, Some(self.on_record(kind, data, rng)?)))
    }

    /// Adds to the partial record until it has `wanted` bytes, and tells how many were added.
    fn collect(&mut self, bytes: &[u8], wanted: usize) -> usize {
        let count = wanted.saturating_sub(self.partial.len()).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..count]);
        count
    }

    fn on_record(&mut self, kind: u8, data: Vec<u8>, rng: &mut Rng) -> Result<StreamEvent, SptpsError> {
        match kind {
            HANDSHAKE => {
                let step = self.handshake.on_message(&data, rng)?;
                self.apply(step)
            }
            ..HANDSHAKE if self.inbound.key.is_some() => Ok(StreamEvent::Record { kind, data }),
            ..HANDSHAKE => Err(SptpsError::TooEarly),
            _ => Err(SptpsError::BadType(kind)),
        }
    }

    fn apply(&mut self, step: Step) -> Result<StreamEvent, SptpsError> {
        for message in step.send {
            let record = self.outbound.encode(HANDSHAKE, &message)?;
            self.output.extend_from_slice(&record);
        }
        match step.change {
            Change::None => {}
            Change::First(keys) => {
                self.outbound.set_key(Key::new(&keys.sending));
                self.inbound.set_key(Key::new(&keys.receiving));
                return Ok(StreamEvent::Done);
            }
            Change::Sending(keys) => {
                self.outbound.set_key(Key::new(&keys.sending));
                self.coming = Some(Key::new(&keys.receiving));
            }
            Change::Receiving => {
                if let Some(key) = self.coming.take() {
                    self.inbound.set_key(key);
                }
            }
        }
        Ok(StreamEvent::Handshake)
    }

    /// One application record.
    ///
    /// # Errors
    /// If the handshake is not done, the data too long, or the key used up.
    pub fn seal(&mut self, kind: u8, data: &[u8]) -> Result<Vec<u8>, SptpsError> {
        let mut record = Vec::new();
        self.seal_into(kind, data, &mut record)?;
        Ok(record)
    }

    /// Puts one application record behind what is there.
    ///
    /// # Errors
    /// As [`Stream::seal`]; nothing is added then.
    pub fn seal_into(&mut self, kind: u8, data: &[u8], to: &mut Vec<u8>) -> Result<(), SptpsError> {
        if kind >= HANDSHAKE {
            return Err(SptpsError::BadType(kind));
        }
        if self.outbound.key.is_none() {
            return Err(SptpsError::TooEarly);
        }
        self.outbound.append(kind, data, to)
    }

    /// Starts renewing the keys.
    ///
    /// # Errors
    /// If a handshake is under way.
    pub fn rekey(&mut self, rng: &mut Rng) -> Result<(), SptpsError> {
        let kex = self.handshake.rekey(rng)?;
        let record = self.outbound.encode(HANDSHAKE, &kex)?;
        self.output.extend_from_slice(&record);
        Ok(())
    }

    /// Handshake bytes that are to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::keys::SecretKey;
    use crate::crypto::rng::Rng;
    use crate::crypto::sptps::Role;

    fn pair(rng: &mut Rng) -> (Stream, Stream) {
        let (key, peer) = (SecretKey::from_seed(&[2; 32]), SecretKey::from_seed(&[3; 32]));
        let label = b"label".to_vec();
        let params = Params { role: Role::Initiator, key: key.clone(), peer: peer.public(), label: label.clone() };
        let (mut one, kex) = Stream::new(params, rng);
        let (mut other, answer) =
            Stream::new(Params { role: Role::Responder, key: peer, peer: key.public(), label }, rng);
        other.feed(&kex, rng).unwrap();
        one.feed(&answer, rng).unwrap();
        assert_eq!(other.feed(&one.take_output(), rng).unwrap().1, Some(StreamEvent::Done));
        assert_eq!(one.feed(&other.take_output(), rng).unwrap().1, Some(StreamEvent::Done));
        (one, other)
    }

    #[test]
    fn nothing_is_sealed_before_the_handshake_is_done() {
        let (key, peer) = (SecretKey::from_seed(&[2; 32]), SecretKey::from_seed(&[3; 32]).public());
        let params = Params { role: Role::Initiator, key, peer, label: Vec::new() };
        let (mut stream, _) = Stream::new(params, &mut Rng::from_seed([1; 32]));

        assert_eq!(stream.seal(0, b"early"), Err(SptpsError::TooEarly));
    }

    #[test]
    fn records_are_limited_by_the_length_field_and_by_type() {
        let (mut one, _) = pair(&mut Rng::from_seed([1; 32]));

        assert_eq!(one.seal(0, &[0; 65_535]).map(|record| record.len()), Ok(65_554));
        assert_eq!(one.seal(0, &[0; 65_536]), Err(SptpsError::TooLong));
        assert_eq!(one.seal(128, &[]), Err(SptpsError::BadType(128)));
    }

    #[test]
    fn a_key_never_numbers_two_records_alike() {
        let (mut one, _) = pair(&mut Rng::from_seed([1; 32]));
        one.outbound.next = 2 + NUMBERS - 1;

        assert!(one.seal(0, b"last").is_ok());
        assert_eq!(one.seal(0, b"one more"), Err(SptpsError::Exhausted));
    }

    proptest! {
        #[test]
        fn records_cut_anywhere_come_out_whole(
            lengths in prop::collection::vec(0_usize..3000, 1..8),
            cuts in prop::collection::vec(1_usize..700, 1..40),
        ) {
            let rng = &mut Rng::from_seed([1; 32]);
            let (mut one, mut other) = pair(rng);
            let datas: Vec<_> = lengths.iter().map(|&len| vec![len as u8; len]).collect();
            let wire: Vec<u8> = datas.iter().flat_map(|data| one.seal(7, data).unwrap()).collect();

            let (mut rest, mut received) = (wire.as_slice(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (consumed, event) = other.feed(&rest[..rest.len().min(*cut)], rng).unwrap();
                rest = &rest[consumed..];
                if let Some(StreamEvent::Record { kind: 7, data }) = event {
                    received.push(data);
                }
            }

            prop_assert_eq!(received, datas);
        }

        #[test]
        fn a_changed_byte_is_never_taken(at in 2_usize..60, change in 1_u8..) {
            let rng = &mut Rng::from_seed([1; 32]);
            let (mut one, mut other) = pair(rng);
            let mut wire = one.seal(0, &[1; 41]).unwrap();
            wire[at] ^= change;

            prop_assert_eq!(other.feed(&wire, rng), Err(SptpsError::BadTag));
        }

        #[test]
        fn noise_in_place_of_a_handshake_is_refused_or_waited_for(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let rng = &mut Rng::from_seed([1; 32]);
            let peer = SecretKey::from_seed(&[3; 32]).public();
            let params = Params { role: Role::Responder, key: SecretKey::from_seed(&[2; 32]), peer, label: Vec::new() };
            let (mut stream, _) = Stream::new(params, rng);

            let fed = stream.feed(&noise, rng);

            let event = fed.ok().and_then(|(_, event)| event);
            prop_assert!(event.is_none() || event == Some(StreamEvent::Handshake));
        }
    }
}
