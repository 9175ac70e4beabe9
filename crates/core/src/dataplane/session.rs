//! `Session`: the keys of one finished handshake, sequence numbers and replay window.
//!
//! Shared by the node and all workers. The keys never change: a rekey makes a new `Session`, which goes on counting in the
//! numbers and the window of the old one. Those are atomic, so sealing and opening need no lock.
//!
//! ```text
//!  Session (first keys) ─── own SIG and ACK sent ──► Session (opens with old or new key)
//!        │                                               │
//!        └─ numbers, window: shared ───────────────►     └─ ACK came ──► Session (sends with the new key)
//! ```
//!
//! tinc expects packets under the new key right after our ACK; a patient session goes on with the old key until the
//! peer's ACK proves that it has the new one, because packets overtake the messages of the handshake. Then no packet is
//! lost, if the peer, too, opens with both keys for a while after the last ACK.
//!
//! Source: spec sptps 9.2, 13 to 15.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tinmesh_cipher::TAG;

use crate::crypto::record_key::{Part, RecordKey, Suite};
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
    /// Takes over when the peer's ACK comes.
    next_sending: Option<RecordKey>,
    receiving: Key,
    coming: Option<Arc<Coming>>,
    /// Whether the peer's ACK came, so that most packets come under the `coming` key.
    renewed: bool,
    numbers: Arc<Numbers>,
}

/// A key and the first number it is used for.
#[derive(Clone, Debug)]
struct Key {
    cipher: RecordKey,
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
    pub(crate) fn new(keys: &SessionKeys, next: u64, window_bytes: u16) -> Self {
        let key = |bytes: &[u8; 32]| Key { cipher: RecordKey::new(Suite::default(), bytes), since: next };
        Self {
            sending: key(&keys.sending),
            next_sending: None,
            receiving: key(&keys.receiving),
            coming: None,
            renewed: false,
            numbers: Arc::new(Numbers { out: AtomicU64::new(next), window: ReplayWindow::new(window_bytes, next) }),
        }
    }

    /// The peer is tinmesh. It may send many datagrams that do not arrive: the next one that does counts at once. And
    /// several of its threads may seal, so that some come late.
    pub(crate) fn suit_tinmesh(&self) {
        self.numbers.window.believe_jumps();
        self.numbers.window.expect_threads();
    }

    /// The session after our ACK, with new keys for `suite`: it opens what came under either key, and seals with the new one
    /// unless it is `patient`.
    pub(crate) fn after_own_ack(&self, keys: &SessionKeys, suite: Suite, patient: bool) -> Self {
        let new_sending = RecordKey::new(suite, &keys.sending);
        let new_receiving = RecordKey::new(suite, &keys.receiving);
        let since = self.numbers.window.next();
        let (sending, next_sending) = if patient {
            (self.sending.clone(), Some(new_sending))
        } else {
            (self.key_from_here_on(new_sending), None)
        };
        let coming = Coming { key: Key { cipher: new_receiving, since }, lowest: AtomicU64::new(u64::MAX) };
        let receiving = self.newest().clone();
        Self { sending, next_sending, receiving, coming: Some(Arc::new(coming)), renewed: false, ..self.same() }
    }

    /// The session after the peer's ACK: it seals with the new key, and still opens late packets under the old one.
    pub(crate) fn after_peers_ack(&self) -> Self {
        let sending = self.next_sending.clone().map_or_else(|| self.sending.clone(), |key| self.key_from_here_on(key));
        Self { sending, next_sending: None, renewed: true, ..self.same() }
    }

    /// The session without the old receiving key, if the peer's ACK came.
    pub(crate) fn without_old_key(&self) -> Option<Self> {
        let coming = self.coming.as_ref().filter(|_| self.renewed)?;
        Some(Self { receiving: coming.key.clone(), coming: None, renewed: false, ..self.same() })
    }

    /// The cipher of what is sent.
    pub fn suite(&self) -> Suite {
        self.sending.cipher.suite()
    }

    fn same(&self) -> Self {
        Self {
            sending: self.sending.clone(),
            next_sending: self.next_sending.clone(),
            receiving: self.receiving.clone(),
            coming: self.coming.clone(),
            renewed: self.renewed,
            numbers: Arc::clone(&self.numbers),
        }
    }

    fn key_from_here_on(&self, cipher: RecordKey) -> Key {
        Key { cipher, since: self.numbers.out.load(Relaxed) }
    }

    fn newest(&self) -> &Key {
        self.coming.as_ref().map_or(&self.receiving, |coming| &coming.key)
    }

    /// Makes `packet`, which holds the data of a record of type `kind`, the datagram to send.
    ///
    /// `false`, and no change, if the packet has no room or the key has served for too long and must be renewed first.
    #[must_use]
    pub fn seal(&self, kind: u8, packet: &mut Packet) -> bool {
        let framed = self.frame(kind, packet);
        let number = if framed { self.take_numbers(1) } else { 0 };
        if framed && let Some(part) = self.to_seal(number, packet.payload_mut()) {
            part.key.seal(part.number, part.sealed);
        }
        framed
    }

    /// Gives `packet` its type and room for number and tag; it still has to be [numbered](Self::take_numbers) and sealed:
    /// [`to_seal`](Self::to_seal).
    #[must_use]
    pub(super) fn frame(&self, kind: u8, packet: &mut Packet) -> bool {
        let len = packet.len();
        if self.numbers.out.load(Relaxed) >= self.sending.since + NUMBERS - RESERVE || !packet.push_back(&[0; TAG]) {
            return false;
        }
        let has_room = packet.push_front(&[0, 0, 0, 0, kind]);
        if !has_room {
            packet.truncate(len);
        }
        has_room
    }

    /// Takes the numbers of so many framed packets; returns the first. All of a batch at once: what is shared between threads
    /// waits for everything that was written before.
    pub(super) fn take_numbers(&self, count: u64) -> u64 {
        self.numbers.out.fetch_add(count, Relaxed)
    }

    /// Gives a framed datagram its number, and tells what has to be sealed of it.
    pub(super) fn to_seal<'a>(&'a self, number: u64, datagram: &'a mut [u8]) -> Option<Part<'a>> {
        let (front, sealed) = datagram.split_first_chunk_mut::<4>()?;
        let number = number as u32;
        *front = number.to_be_bytes();
        (sealed.len() > TAG).then_some(Part { key: &self.sending.cipher, number, sealed })
    }

    /// Seals a framed datagram as this number into the first bytes of `place`, if its cipher does that as easily as in place; tells
    /// how many they are.
    pub(super) fn seal_copy(&self, number: u64, datagram: &[u8], place: &mut [u8]) -> Option<usize> {
        let key = self.sending.cipher.copying()?;
        let (_, sealed) = datagram.split_first_chunk::<4>()?;
        let (data, _) = sealed.split_last_chunk::<TAG>()?;
        let (front, rest) = place.get_mut(..datagram.len())?.split_first_chunk_mut::<4>()?;
        *front = (number as u32).to_be_bytes();
        key.seal_copy(number as u32, data, rest);
        Some(datagram.len())
    }

    /// What has to be opened of a datagram together with others; `None`: it has to be [opened](Self::open) alone, because
    /// it may be under either of two keys.
    pub(super) fn to_open<'a>(&'a self, datagram: &'a mut [u8]) -> Option<Part<'a>> {
        let (number, sealed) = split(datagram)?;
        let (key, _) = self.only_key(number)?;
        Some(Part { key, number, sealed })
    }

    /// Makes `packet`, whose record was [to open](Self::to_open) and either was `genuine` or was not, the data of that record.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn finish_open(&self, packet: &mut Packet, genuine: bool) -> Result<u8, OpenError> {
        self.open_with(packet, |number, _| self.only_key(number).filter(|_| genuine).map(|(_, opener)| opener))
    }

    /// The one key that record `number` can be under: the old one is not used behind the first record under the new one.
    fn only_key(&self, number: u32) -> Option<(&RecordKey, Opener<'_>)> {
        let Some(coming) = self.coming.as_deref() else {
            return Some((&self.receiving.cipher, Opener::Receiving));
        };
        let passed = number.wrapping_sub(coming.key.since as u32);
        let full = coming.key.since + u64::from(passed);
        let is_new = passed < u32::MAX / 2 && full >= coming.lowest.load(Relaxed);
        is_new.then_some((&coming.key.cipher, Opener::Coming(coming)))
    }

    /// Makes `packet`, which holds a datagram, the data of its record, and returns the record's type.
    ///
    /// # Errors
    /// If it was not sealed for us, or its number is refused; what is left of the payload means nothing then.
    pub fn open(&self, packet: &mut Packet) -> Result<u8, OpenError> {
        self.open_with(packet, |number, sealed| self.decrypt(number, sealed))
    }

    /// Leaves the data of the record in `packet`, which `decrypt` decrypts and tells the key of; returns the record's type.
    fn open_with<'a>(
        &'a self,
        packet: &mut Packet,
        decrypt: impl FnOnce(u32, &mut [u8]) -> Option<Opener<'a>>,
    ) -> Result<u8, OpenError> {
        let (number, sealed) = split(packet.payload_mut()).ok_or(OpenError::TooShort)?;
        let opener = decrypt(number, sealed).ok_or(OpenError::BadTag)?;
        self.admit(number, opener).map_err(|_| OpenError::Replayed)?;
        let kind = sealed.first().copied().unwrap_or(u8::MAX);
        packet.truncate(packet.len() - TAG);
        packet.drop_front(OVERHEAD - TAG);
        if kind > HANDSHAKE { Err(OpenError::BadType(kind)) } else { Ok(kind) }
    }

    /// Whether `datagram` would open: who sent it, when the address does not tell (spec: datagrams 8.1).
    pub fn would_open(&self, datagram: &[u8]) -> bool {
        let Some((number, sealed)) = datagram.split_first_chunk::<4>() else { return false };
        let number = u32::from_be_bytes(*number);
        let since = match self.try_keys(|key| key.verify(number, sealed)) {
            Some(Opener::Receiving) => self.receiving.since,
            Some(Opener::Coming(coming)) => coming.key.since,
            None => return false,
        };
        sealed.len() > TAG && self.numbers.window.would_accept(number, since)
    }

    /// Seals a record of the handshake that renews the keys; `None` if even the reserve of numbers is used up.
    pub(crate) fn seal_handshake(&self, data: &[u8]) -> Option<Vec<u8>> {
        let end = self.sending.since + NUMBERS;
        let number = Some(self.numbers.out.load(Relaxed)).filter(|&next| next < end).map(|_| self.take_numbers(1));
        let number = number.filter(|&number| number < end)?;
        let mut datagram = [&[0; 4], [HANDSHAKE].as_slice(), data, &[0; TAG]].concat();
        let part = self.to_seal(number, &mut datagram)?;
        part.key.seal(part.number, part.sealed);
        Some(datagram)
    }

    /// Opens a datagram that came over meta connections, where it may be overtaken by any number of packets.
    ///
    /// So it may be older than the window. That is safe: each key sees one handshake, and its order is checked.
    pub(crate) fn open_handshake(&self, datagram: &[u8]) -> Result<(u8, Vec<u8>), OpenError> {
        let mut datagram = datagram.to_vec();
        let (number, sealed) = split(&mut datagram).ok_or(OpenError::TooShort)?;
        let opener = self.decrypt(number, sealed).ok_or(OpenError::BadTag)?;
        match self.admit(number, opener) {
            Ok(()) | Err(Refusal::TooOld | Refusal::FarAhead) => {}
            Err(Refusal::Seen) => return Err(OpenError::Replayed),
        }
        let (record, _) = sealed.split_last_chunk::<TAG>().ok_or(OpenError::TooShort)?;
        let (kind, data) = record.split_first().ok_or(OpenError::TooShort)?;
        Ok((*kind, data.to_vec()))
    }

    /// Decrypts a record in place; which key opened it.
    fn decrypt(&self, number: u32, sealed: &mut [u8]) -> Option<Opener<'_>> {
        match self.only_key(number) {
            Some((key, opener)) => key.open(number, sealed).then_some(opener),
            None => self.try_keys(|key| key.try_open(number, sealed)),
        }
    }

    /// The first key, the more likely one before the other, with which something goes well.
    fn try_keys(&self, mut fits: impl FnMut(&RecordKey) -> bool) -> Option<Opener<'_>> {
        let Some(coming) = self.coming.as_deref() else {
            return fits(&self.receiving.cipher).then_some(Opener::Receiving);
        };
        let mut order = [(&self.receiving.cipher, Opener::Receiving), (&coming.key.cipher, Opener::Coming(coming))];
        if self.renewed {
            order.reverse();
        }
        order.into_iter().find(|(key, _)| fits(key)).map(|(_, opener)| opener)
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

/// Number; type, data and tag, which are sealed.
fn split(datagram: &mut [u8]) -> Option<(u32, &mut [u8])> {
    let (number, sealed) = datagram.split_first_chunk_mut::<4>()?;
    (sealed.len() > TAG).then_some((u32::from_be_bytes(*number), sealed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::crypto::keys::SecretKey;
    use crate::crypto::rng::Rng;
    use crate::crypto::sptps::datagram::{Datagram, HandshakeProgress};
    use crate::crypto::sptps::{Params, Role};

    /// Both sides of a session, and the randomness they draw from.
    struct Pair {
        one: Datagram,
        other: Datagram,
        rng: Rng,
    }

    impl Pair {
        fn established() -> Self {
            let mut rng = Rng::from_seed([1; 32]);
            let (key, peer) = (SecretKey::from_seed(&[2; 32]), SecretKey::from_seed(&[3; 32]));
            let params = |role, key: &SecretKey, peer: &SecretKey| Params {
                role,
                key: key.clone(),
                peer: peer.public(),
                label: b"label".to_vec(),
            };
            let (one, kex) = Datagram::start(params(Role::Initiator, &key, &peer), 16, &mut rng);
            let (other, answer) = Datagram::start(params(Role::Responder, &peer, &key), 16, &mut rng);
            let mut pair = Self { one, other, rng };
            pair.tell_other(&kex);
            let sig = pair.tell_one(&answer).send.remove(0);
            let sig = pair.tell_other(&sig).send.remove(0);
            assert!(pair.tell_one(&sig).established);
            pair
        }

        fn tell_one(&mut self, datagram: &[u8]) -> HandshakeProgress {
            self.one.on_handshake(datagram, &mut self.rng).unwrap()
        }

        fn tell_other(&mut self, datagram: &[u8]) -> HandshakeProgress {
            self.other.on_handshake(datagram, &mut self.rng).unwrap()
        }

        fn sessions(&self) -> (Arc<Session>, Arc<Session>) {
            (self.one.session().unwrap(), self.other.session().unwrap())
        }

        /// A rekey that `one` starts, up to the ACK of `other`, which is returned and not yet delivered.
        fn rekey_up_to_ack(&mut self) -> Vec<u8> {
            let kex = self.one.rekey(&mut self.rng).unwrap();
            let kex = self.tell_other(&kex).send.remove(0);
            let sig = self.tell_one(&kex).send.remove(0);
            let mut sig_and_ack = self.tell_other(&sig).send;
            let ack = self.tell_one(&sig_and_ack.remove(0)).send.remove(0);
            assert!(self.tell_other(&ack).established);
            sig_and_ack.remove(0)
        }
    }

    fn sealed(session: &Session, data: &[u8]) -> Packet {
        let mut packet = Packet::from_payload(data);
        assert!(session.seal(0, &mut packet));
        packet
    }

    #[test]
    fn packets_open_once_on_the_other_side_only() {
        let (one, other) = Pair::established().sessions();
        let mut packet = sealed(&one, b"data");
        let mut copy = packet.clone();
        assert!(other.would_open(packet.payload()) && !one.would_open(packet.payload()));

        assert_eq!(one.open(&mut packet.clone()), Err(OpenError::BadTag));
        assert_eq!((other.open(&mut packet), packet.payload()), (Ok(0), b"data".as_slice()));
        assert!(!other.would_open(copy.payload()));
        assert_eq!(other.open(&mut copy), Err(OpenError::Replayed));
        assert_eq!(other.open(&mut Packet::from_payload(&[0; 20])), Err(OpenError::TooShort));
    }

    #[test]
    fn a_packet_without_room_for_a_tag_is_left_alone() {
        let (one, other) = Pair::established().sessions();
        let mut full = Packet::from_payload(&[7; crate::packet::CAPACITY]);
        while full.push_back(&[7]) {}
        let before = full.payload().to_vec();

        assert!(!one.seal(0, &mut full));

        assert_eq!(full.payload(), before);
        assert_eq!(other.open(&mut sealed(&one, b"next")), Ok(0));
        assert_eq!(other.numbers.window.next(), 3);
    }

    #[test]
    fn packets_under_the_new_key_may_overtake_the_ack() {
        let mut pair = Pair::established();
        let mut late = sealed(&pair.other.session().unwrap(), b"old key");
        let ack = pair.rekey_up_to_ack();
        let (one, other) = pair.sessions();

        for _ in 0..500 {
            assert_eq!(one.open(&mut sealed(&other, b"new key")), Ok(0));
        }
        let progress = pair.tell_one(&ack);

        assert!(progress.established);
        assert_eq!(one.open(&mut late), Err(OpenError::Replayed));
        assert_eq!(progress.session.unwrap().open(&mut sealed(&other, b"new key")), Ok(0));
    }

    #[test]
    fn the_old_key_opens_late_packets_until_it_is_forgotten_and_none_after_that() {
        let mut pair = Pair::established();
        let old = pair.other.session().unwrap();
        let [mut late, mut later, mut latest] = [b"1", b"2", b"3"].map(|data| sealed(&old, data));
        let ack = pair.rekey_up_to_ack();
        let (one, other) = pair.sessions();
        assert_eq!(one.open(&mut sealed(&other, b"new key")), Ok(0));

        assert_eq!(one.open(&mut late), Ok(0));
        assert_eq!(one.open(&mut sealed(&old, b"old key after the new one")), Err(OpenError::BadTag));
        let renewed = pair.tell_one(&ack).session.unwrap();

        assert_eq!(renewed.open(&mut later), Ok(0));
        assert!(pair.one.forget_old_key());
        assert_eq!(pair.one.session().unwrap().open(&mut latest), Err(OpenError::BadTag));
    }

    #[test]
    fn a_rekey_goes_on_counting() {
        let mut pair = Pair::established();
        let first = sealed(&pair.one.session().unwrap(), b"").payload()[..4].to_vec();
        let ack = pair.rekey_up_to_ack();
        pair.tell_one(&ack);

        let second = sealed(&pair.one.session().unwrap(), b"").payload()[..4].to_vec();

        assert_eq!((first, second), (vec![0, 0, 0, 2], vec![0, 0, 0, 6]));
    }

    #[test]
    fn a_key_that_served_for_too_long_still_seals_its_own_renewal() {
        let mut pair = Pair::established();
        let (one, _) = pair.sessions();
        one.numbers.out.store(2 + NUMBERS - RESERVE, Relaxed);
        let mut packet = Packet::from_payload(b"data");

        assert!(!one.seal(0, &mut packet));
        assert_eq!(packet.payload(), b"data");
        let ack = pair.rekey_up_to_ack();
        pair.tell_one(&ack);

        assert!(pair.one.session().unwrap().seal(0, &mut packet));
    }

    #[test]
    fn threads_never_seal_with_the_same_number() {
        let (one, _) = Pair::established().sessions();
        let numbers = || -> Vec<Vec<u8>> { (0..500).map(|_| sealed(&one, b"").payload()[..4].to_vec()).collect() };

        let (some, others) = std::thread::scope(|scope| {
            let others = scope.spawn(numbers);
            (numbers(), others.join().unwrap())
        });

        let all: BTreeSet<_> = some.iter().chain(&others).collect();
        assert_eq!(all.len(), 1000);
    }

    proptest! {
        #[test]
        fn any_datagram_opens_or_is_refused_and_left_alone(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let (one, _) = Pair::established().sessions();
            let mut packet = Packet::from_payload(&bytes);

            let opened = one.open(&mut packet);

            prop_assert!(matches!(opened, Err(OpenError::TooShort | OpenError::BadTag)));
            prop_assert_eq!(packet.payload(), bytes);
        }
    }
}
