//! Packet keys of tinc 1.0: what a node asks others to seal their packets for it with, and the packets under it.
//!
//! ```text
//!  datagram = E ‖ first bytes of HMAC(key ‖ IV, E)      E = encrypt(number ‖ frame)
//! ```
//!
//! The two directions have nothing to do with each other. Each node draws the key under which it wants to receive and may
//! replace it at any time; numbers then start anew. tinc loses the packets that are under way at that moment; here the
//! key before opens packets for a while longer. Source: spec legacy-1.0, 5 and 7.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zeroize::Zeroizing;

use crate::crypto::replay::ReplayWindow;
use crate::crypto::rng::Rng;
use crate::legacy::cipher::{Cipher, PacketCipher};
use crate::legacy::digest::{Digest, Mac};
use crate::packet::Packet;

/// Bytes of a number.
const NUMBER: usize = 4;
/// A key under which more packets came is replaced.
const MANY: u64 = 1 << 30;
/// A key must not number more packets.
const NUMBERS: u64 = 1 << 32;
/// Bytes that stand for a key where nothing is encrypted.
const NO_CIPHER_KEY: usize = 1;

/// How packets are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Nothing: not encrypted.
    pub cipher: Option<Cipher>,
    /// Nothing: not authenticated.
    pub digest: Option<Digest>,
    /// Length of the authentication code in bytes.
    pub mac_length: u8,
    /// Compression level of the receiver, 0–12.
    pub compression: u8,
}

impl Suite {
    /// Why packets under this suite are badly protected.
    pub fn weakness(&self) -> Option<Weakness> {
        match (self.cipher, self.digest) {
            (None, _) => Some(Weakness::NoCipher),
            (_, None) => Some(Weakness::NoCode),
            _ if self.mac_length == 0 => Some(Weakness::NoCode),
            (Some(cipher), _) if cipher.is_weak() => Some(Weakness::Cipher(cipher)),
            (_, Some(digest)) if digest.is_weak() => Some(Weakness::Digest(digest)),
            (Some(_), Some(_)) => None,
        }
    }

    /// Length of key and IV together.
    pub fn key_len(&self) -> usize {
        self.cipher.map_or(NO_CIPHER_KEY, |cipher| cipher.key_len() + cipher.iv_len())
    }

    /// Largest frame that fits a UDP payload of `len` bytes.
    pub fn frame_in(&self, len: usize) -> usize {
        let sealed = len.saturating_sub(usize::from(self.mac_length));
        let padding = self.cipher.map_or(1, Cipher::padding_len);
        let plain = if padding > 1 { (sealed / padding * padding).saturating_sub(1) } else { sealed };
        plain.saturating_sub(NUMBER)
    }
}

/// Why packets are badly protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Anyone can read them.
    #[error("no cipher")]
    NoCipher,
    /// Anyone can forge them.
    #[error("no authentication code")]
    NoCode,
    /// They can be read in part.
    #[error("the weak cipher {0}")]
    Cipher(Cipher),
    /// They might be forged.
    #[error("the weak digest {0}")]
    Digest(Digest),
}

/// Why a datagram does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than an empty packet.
    #[error("shorter than an empty packet")]
    TooShort,
    /// Not sealed with our keys, or damaged.
    #[error("the code is wrong")]
    BadTag,
    /// Genuine, but refused by the replay window.
    #[error("seen before, too old or too far ahead")]
    Replayed,
}

/// A key with what it is used for.
#[derive(Debug)]
struct Keyed {
    suite: Suite,
    cipher: Option<PacketCipher>,
    mac: Option<Mac>,
}

impl Keyed {
    fn new(suite: Suite, key: &[u8]) -> Option<Self> {
        if key.len() != suite.key_len() {
            return None;
        }
        let cipher = match suite.cipher {
            Some(cipher) => Some(PacketCipher::new(cipher, key)?),
            None => None,
        };
        let mac = match suite.digest {
            Some(digest) => Some(Mac::new(digest, key, usize::from(suite.mac_length))?).filter(|mac| !mac.is_empty()),
            None => None,
        };
        Some(Self { suite, cipher, mac })
    }

    fn mac_len(&self) -> usize {
        self.mac.as_ref().map_or(0, Mac::len)
    }

    /// Whether the code at the end of a datagram is right; also if there is none.
    fn verify(&self, datagram: &[u8]) -> bool {
        let Some(mac) = &self.mac else { return true };
        let Some((sealed, code)) = datagram.split_at_checked(datagram.len().wrapping_sub(mac.len())) else {
            return false;
        };
        mac.verify(sealed, code)
    }
}

/// The key that a peer gave us.
#[derive(Debug)]
struct Sealer {
    keyed: Keyed,
    last: AtomicU64,
}

/// The key that we gave a peer.
#[derive(Debug)]
struct Opener {
    keyed: Keyed,
    window: ReplayWindow,
}

/// Both directions with one peer, as the packet path needs them.
#[derive(Clone, Debug, Default)]
pub struct Session {
    sealer: Option<Arc<Sealer>>,
    opener: Option<Arc<Opener>>,
    /// The key that we gave before.
    before: Option<Arc<Opener>>,
}

impl Session {
    /// The session with the key that the peer gave; nothing if that does not fit the suite.
    pub fn with_peers_key(&self, suite: Suite, key: &[u8]) -> Option<Self> {
        let sealer = Sealer { keyed: Keyed::new(suite, key)?, last: AtomicU64::new(0) };
        Some(Self { sealer: Some(Arc::new(sealer)), ..self.clone() })
    }

    /// The session without the peer's key, which is void.
    #[must_use]
    pub fn without_peers_key(&self) -> Self {
        Self { sealer: None, ..self.clone() }
    }

    /// The session with a new key of ours, and that key.
    pub fn with_own_key(&self, suite: Suite, window: u16, rng: &mut Rng) -> Option<(Self, Zeroizing<Vec<u8>>)> {
        let mut key = Zeroizing::new(vec![0; suite.key_len()]);
        rng.fill(&mut key);
        let opener = Opener { keyed: Keyed::new(suite, &key)?, window: ReplayWindow::new(window, 1) };
        let before = self.opener.clone().filter(|opener| opener.keyed.mac.is_some());
        Some((Self { opener: Some(Arc::new(opener)), before, ..self.clone() }, key))
    }

    /// The session without the key that we gave before the present one.
    pub fn without_old_key(&self) -> Option<Self> {
        self.before.as_ref()?;
        Some(Self { before: None, ..self.clone() })
    }

    /// How packets to the peer are protected, once it gave us a key.
    pub fn sending(&self) -> Option<Suite> {
        self.sealer.as_ref().map(|sealer| sealer.keyed.suite)
    }

    /// How packets from the peer are protected, once we gave it a key.
    pub fn receiving(&self) -> Option<Suite> {
        self.opener.as_ref().map(|opener| opener.keyed.suite)
    }

    /// Whether one of the keys served for so many packets that it must be replaced.
    pub fn is_worn(&self) -> bool {
        self.opener.as_ref().is_some_and(|opener| opener.window.next() > MANY)
            || self.sealer.as_ref().is_some_and(|sealer| sealer.last.load(Relaxed) > MANY)
    }

    /// Makes `packet`, which holds a frame (compressed, if the peer wants that), the datagram to send.
    ///
    /// `false` if there is no key, or no room; the packet is then as it was.
    #[must_use]
    pub fn seal(&self, packet: &mut Packet) -> bool {
        let Some(sealer) = self.sealer.as_deref() else { return false };
        let Some(number) = sealer.next_number() else { return false };
        let len = packet.len();
        if !packet.push_front(&number.to_be_bytes()) {
            return false;
        }
        if sealer.keyed.cipher.as_ref().is_some_and(|cipher| !cipher.encrypt(packet)) {
            packet.drop_front(NUMBER);
            packet.truncate(len);
            return false;
        }
        let Some(mac) = &sealer.keyed.mac else { return true };
        let (code, len) = mac.compute(packet.payload());
        packet.push_back(&code[..len])
    }

    /// Makes `packet`, which holds a datagram, its frame (still compressed, if we want that).
    ///
    /// # Errors
    /// If it was not sealed for us, or its number is refused.
    pub fn open(&self, packet: &mut Packet) -> Result<(), OpenError> {
        let opener = self.opener_of(packet.payload()).ok_or(OpenError::BadTag)?;
        if packet.len() < NUMBER + opener.keyed.mac_len() {
            return Err(OpenError::TooShort);
        }
        packet.truncate(packet.len() - opener.keyed.mac_len());
        if opener.keyed.cipher.as_ref().is_some_and(|cipher| !cipher.decrypt(packet)) {
            return Err(OpenError::BadTag);
        }
        let number = packet.payload().first_chunk::<NUMBER>().copied().ok_or(OpenError::TooShort)?;
        opener.window.accept(u32::from_be_bytes(number), 1).map_err(|_| OpenError::Replayed)?;
        packet.drop_front(NUMBER);
        Ok(())
    }

    /// Whether the peer sealed `datagram`, as far as can be told without its address.
    pub fn is_authentic(&self, datagram: &[u8]) -> bool {
        let openers = self.opener.iter().chain(&self.before);
        openers.filter(|opener| opener.keyed.mac.is_some()).any(|opener| opener.keyed.verify(datagram))
    }

    /// Whether nothing but the address tells that a datagram is the peer's.
    pub fn is_anonymous(&self) -> bool {
        self.opener.as_ref().is_some_and(|opener| opener.keyed.mac.is_none())
    }

    fn opener_of(&self, datagram: &[u8]) -> Option<&Opener> {
        let openers = self.before.iter().filter(|before| before.keyed.mac.is_some());
        let mut openers = self.opener.iter().chain(openers);
        openers.find(|opener| opener.keyed.verify(datagram)).map(AsRef::as_ref)
    }
}

impl Sealer {
    fn next_number(&self) -> Option<u32> {
        if self.last.load(Relaxed) + 1 >= NUMBERS {
            return None;
        }
        u32::try_from(self.last.fetch_add(1, Relaxed) + 1).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: Suite = Suite {
        cipher: Some(Cipher::Block(crate::legacy::cipher::Family::Aes256, crate::legacy::cipher::Mode::Cbc)),
        digest: Some(Digest::Sha256),
        mac_length: 4,
        compression: 0,
    };

    /// The sending half of one node, the receiving half of another.
    fn pair(suite: Suite) -> (Session, Session) {
        let (receiver, key) = Session::default().with_own_key(suite, 16, &mut Rng::from_seed([1; 32])).unwrap();
        (Session::default().with_peers_key(suite, &key).unwrap(), receiver)
    }

    fn sealed(session: &Session, frame: &[u8]) -> Packet {
        let mut packet = Packet::from_payload(frame);
        assert!(session.seal(&mut packet));
        packet
    }

    #[test]
    fn a_packet_opens_once_and_changed_ones_do_not() {
        let (sender, receiver) = pair(SUITE);
        let mut packet = sealed(&sender, b"frame");
        let mut copy = packet.clone();
        let mut damaged = packet.clone();
        damaged.payload_mut()[3] ^= 1;

        assert_eq!(receiver.open(&mut damaged), Err(OpenError::BadTag));
        assert_eq!((receiver.open(&mut packet), packet.payload()), (Ok(()), &b"frame"[..]));
        assert_eq!(receiver.open(&mut copy), Err(OpenError::Replayed));
    }

    #[test]
    fn a_jump_far_ahead_is_believed_at_the_fifth_time() {
        let (sender, receiver) = pair(SUITE);
        let mut packets: Vec<Packet> = (0..400).map(|_| sealed(&sender, b"frame")).collect();
        assert_eq!(receiver.open(&mut packets[0]), Ok(()));
        let verdicts: Vec<bool> = packets[300..306].iter_mut().map(|packet| receiver.open(packet).is_ok()).collect();
        assert_eq!(verdicts, [false, false, false, false, true, true]);
    }

    #[test]
    fn packets_under_the_key_before_open_until_it_is_forgotten() {
        let (sender, receiver) = pair(SUITE);
        let (mut late, mut later) = (sealed(&sender, b"late"), sealed(&sender, b"later"));
        let (renewed, key) = receiver.with_own_key(SUITE, 16, &mut Rng::from_seed([2; 32])).unwrap();
        let sender = sender.with_peers_key(SUITE, &key).unwrap();

        assert_eq!(renewed.open(&mut sealed(&sender, b"new")), Ok(()));
        assert_eq!(renewed.open(&mut late), Ok(()));
        assert_eq!(renewed.without_old_key().unwrap().open(&mut later), Err(OpenError::BadTag));
    }

    #[test]
    fn a_key_that_does_not_fit_its_cipher_is_refused() {
        let plain = Suite { cipher: None, ..SUITE };
        assert!(Session::default().with_peers_key(plain, &[1; 48]).is_none(), "a cipher number flipped to 0");
        assert!(Session::default().with_peers_key(SUITE, &[1]).is_none());
        assert!(Session::default().with_peers_key(Suite { mac_length: 33, ..SUITE }, &[1; 48]).is_none());
    }

    #[test]
    fn codes_have_the_length_that_was_asked_for_and_every_bit_of_them_counts() {
        for digest in Digest::ALL {
            for mac_length in [1, 4, digest.size() as u8] {
                let (sender, receiver) = pair(Suite { digest: Some(*digest), mac_length, ..SUITE });
                let packet = sealed(&sender, &[7; 60]);
                assert_eq!(packet.len(), 80 + usize::from(mac_length), "{digest}: 64 bytes are padded to 80");
                for bit in 0..8 * usize::from(mac_length) {
                    let mut forged = packet.clone();
                    forged.payload_mut()[80 + bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(receiver.open(&mut forged), Err(OpenError::BadTag), "{digest} {bit}");
                }
                assert_eq!(receiver.open(&mut packet.clone()), Ok(()), "{digest}");
            }
        }
    }

    #[test]
    fn a_packet_that_was_cut_or_grew_does_not_open() {
        for cipher in Cipher::all() {
            let (sender, receiver) = pair(Suite { cipher: Some(cipher), mac_length: 16, ..SUITE });
            let packet = sealed(&sender, &[7; 60]);
            for len in 0..packet.len() {
                let mut cut = Packet::from_payload(&packet.payload()[..len]);
                assert!(receiver.open(&mut cut).is_err(), "{cipher} {len}");
            }
            let mut longer = Packet::from_payload(&[packet.payload(), &[0]].concat());
            assert!(receiver.open(&mut longer).is_err(), "{cipher}");
            assert_eq!(receiver.open(&mut packet.clone()), Ok(()), "{cipher}");
        }
    }

    #[test]
    fn only_packets_with_a_code_tell_who_sent_them() {
        let (sender, receiver) = pair(SUITE);
        let packet = sealed(&sender, b"frame");
        assert!(receiver.is_authentic(packet.payload()) && !receiver.is_anonymous());
        let (sender, receiver) = pair(Suite { digest: None, ..SUITE });
        let packet = sealed(&sender, b"frame");
        assert!(!receiver.is_authentic(packet.payload()) && receiver.is_anonymous());
    }

    #[test]
    fn the_largest_frame_is_the_largest_that_fits() {
        for cipher in Cipher::all().map(Some).chain([None]) {
            let suite = Suite { cipher, ..SUITE };
            let (sender, _) = pair(suite);
            for room in [100, 101, 115, 116, 500] {
                let frame = suite.frame_in(room);
                assert!(sealed(&sender, &vec![1; frame]).len() <= room, "{cipher:?} {room}");
                assert!(sealed(&sender, &vec![1; frame + 1]).len() > room, "{cipher:?} {room}");
            }
        }
    }

    #[test]
    fn garbage_of_any_length_is_refused() {
        for suite in [SUITE, Suite { cipher: None, ..SUITE }, Suite { digest: None, ..SUITE }] {
            let (_, receiver) = pair(suite);
            for len in 0..80 {
                let _ = receiver.open(&mut Packet::from_payload(&vec![0x5a; len]));
            }
        }
        assert_eq!(pair(SUITE).1.open(&mut Packet::from_payload(&[0; 70])), Err(OpenError::BadTag));
    }
}
