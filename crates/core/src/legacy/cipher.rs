//! Ciphers by the names and numbers that OpenSSL gives them, and packets encrypted with them.
//!
//! Each packet is encrypted for itself with the same IV, as long as a key lives. Only CBC hides something then, by way of
//! the sequence number in the first block; so all other modes count as weak, and so do blocks of 64 bits.
//! Source: spec legacy-1.0, 6, 7.1 and 12.

mod block;
mod stream;

use std::fmt;

use chacha20::cipher::{StreamCipher as _, StreamCipherSeek};
use chacha20::{ChaCha20, KeyIvInit};
use zeroize::Zeroizing;

pub use self::block::Family;
use self::block::{Block, Feedback};
pub use self::stream::{BudgetExceeded, MetaStream};
use crate::packet::Packet;

/// Longest IV.
const MAX_IV: usize = 16;

/// How a block cipher is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each block for itself.
    Ecb,
    /// Each block after the one before it.
    Cbc,
    /// With feedback of whole blocks.
    Cfb,
    /// With feedback of bytes.
    Cfb8,
    /// A key stream from feedback.
    Ofb,
    /// A key stream from a counter.
    Ctr,
}

impl Mode {
    const ALL: [Self; 6] = [Self::Ecb, Self::Cbc, Self::Cfb, Self::Cfb8, Self::Ofb, Self::Ctr];

    const fn name(self) -> &'static str {
        match self {
            Self::Ecb => "ecb",
            Self::Cbc => "cbc",
            Self::Cfb => "cfb",
            Self::Cfb8 => "cfb8",
            Self::Ofb => "ofb",
            Self::Ctr => "ctr",
        }
    }

    /// Whether the last block is filled up.
    const fn pads(self) -> bool {
        matches!(self, Self::Ecb | Self::Cbc)
    }
}

/// A cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// A block cipher in a mode.
    Block(Family, Mode),
    /// `ChaCha20`, with the counter as first part of the IV.
    ChaCha20,
}

impl Cipher {
    /// OpenSSL's number of `ChaCha20`.
    const CHACHA20: i32 = 1019;

    /// All that there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let modes = |family: Family| Mode::ALL.map(|mode| Self::Block(family, mode));
        let blocks = Family::ALL.into_iter().flat_map(modes).filter(|cipher| cipher.id() != 0);
        blocks.chain([Self::ChaCha20])
    }

    /// The cipher with OpenSSL's number `id`.
    pub fn by_id(id: i32) -> Option<Self> {
        Self::all().find(|cipher| cipher.id() == id)
    }

    /// The cipher that OpenSSL calls `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let full = match name.as_str() {
            "aes128" | "aes192" | "aes256" => format!("{}-{}-cbc", &name[..3], &name[3..]),
            "aria128" | "aria192" | "aria256" => format!("{}-{}-cbc", &name[..4], &name[4..]),
            "camellia128" | "camellia192" | "camellia256" => format!("{}-{}-cbc", &name[..8], &name[8..]),
            "blowfish" | "bf" => "bf-cbc".to_owned(),
            "cast" | "cast-cbc" => "cast5-cbc".to_owned(),
            "des3" => "des-ede3-cbc".to_owned(),
            "des-ede3" => "des-ede3-ecb".to_owned(),
            "sm4" => "sm4-cbc".to_owned(),
            _ => name,
        };
        Self::all().find(|cipher| cipher.to_string() == full)
    }

    /// OpenSSL's number; 0 if it has none.
    pub const fn id(self) -> i32 {
        match self {
            Self::Block(family, mode) => family.ids()[mode as usize],
            Self::ChaCha20 => Self::CHACHA20,
        }
    }

    /// Length of a key in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Block(family, _) => family.key_len(),
            Self::ChaCha20 => 32,
        }
    }

    /// Length of an IV in bytes.
    pub const fn iv_len(self) -> usize {
        match self {
            Self::Block(_, Mode::Ecb) => 0,
            Self::Block(family, _) => family.block_len(),
            Self::ChaCha20 => MAX_IV,
        }
    }

    /// Length of the blocks to which a packet is filled up; 1 if it is not.
    pub const fn padding_len(self) -> usize {
        match self {
            Self::Block(family, mode) if mode.pads() => family.block_len(),
            Self::Block(..) | Self::ChaCha20 => 1,
        }
    }

    /// Whether so few different blocks exist that a connection would see the same one twice.
    pub const fn has_small_blocks(self) -> bool {
        matches!(self, Self::Block(family, _) if family.block_len() < 16)
    }

    /// Whether tinc can protect packets with it. With the others its key stream goes on from one packet to the next, so
    /// that nothing is understood any more after a packet that was lost.
    pub const fn is_for_packets(self) -> bool {
        !matches!(self, Self::Block(_, Mode::Ctr) | Self::ChaCha20)
    }

    /// Whether packets under this cipher are badly protected.
    pub const fn is_weak(self) -> bool {
        !matches!(self, Self::Block(family, Mode::Cbc) if family.block_len() == 16)
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(family, mode) => write!(f, "{}-{}", family.name(), mode.name()),
            Self::ChaCha20 => f.write_str("chacha20"),
        }
    }
}

/// A cipher with key and IV, for packets.
pub struct PacketCipher {
    keyed: Keyed,
    iv: Zeroizing<[u8; MAX_IV]>,
}

enum Keyed {
    Block(Block, Mode),
    ChaCha20(Zeroizing<[u8; 32]>),
}

impl PacketCipher {
    /// `key` is key and IV, one after the other; nothing if that has another length.
    pub fn new(cipher: Cipher, key: &[u8]) -> Option<Self> {
        if key.len() != cipher.key_len() + cipher.iv_len() {
            return None;
        }
        let (key, own_iv) = key.split_at(cipher.key_len());
        let mut iv = Zeroizing::new([0; MAX_IV]);
        iv[..own_iv.len()].copy_from_slice(own_iv);
        let keyed = match cipher {
            Cipher::Block(family, mode) => Keyed::Block(Block::new(family, key)?, mode),
            Cipher::ChaCha20 => Keyed::ChaCha20(Zeroizing::new(key.try_into().ok()?)),
        };
        Some(Self { keyed, iv })
    }

    /// Encrypts a packet in place; `false`, and no change, if there is no room for the padding.
    #[must_use]
    pub fn encrypt(&self, packet: &mut Packet) -> bool {
        match &self.keyed {
            Keyed::Block(block, mode) => {
                if mode.pads() && !pad(packet, block.len()) {
                    return false;
                }
                match mode {
                    Mode::Ecb => block.encrypt_each(packet.payload_mut()),
                    Mode::Cbc => block.encrypt_chain(&self.iv[..], packet.payload_mut()),
                    Mode::Cfb | Mode::Cfb8 | Mode::Ofb | Mode::Ctr => {
                        block.feed(*mode, &mut Feedback::new(block, &self.iv[..]), true, packet.payload_mut());
                    }
                }
            }
            Keyed::ChaCha20(key) => chacha20(key, &self.iv).apply_keystream(packet.payload_mut()),
        }
        true
    }

    /// Decrypts a packet in place; `false` if it was not encrypted so.
    #[must_use]
    pub fn decrypt(&self, packet: &mut Packet) -> bool {
        match &self.keyed {
            Keyed::Block(block, mode) => {
                if mode.pads() && (packet.is_empty() || !packet.len().is_multiple_of(block.len())) {
                    return false;
                }
                match mode {
                    Mode::Ecb => block.decrypt_each(packet.payload_mut()),
                    Mode::Cbc => block.decrypt_chain(&self.iv[..], packet.payload_mut()),
                    Mode::Cfb | Mode::Cfb8 | Mode::Ofb | Mode::Ctr => {
                        block.feed(*mode, &mut Feedback::new(block, &self.iv[..]), false, packet.payload_mut());
                    }
                }
                !mode.pads() || unpad(packet, block.len())
            }
            Keyed::ChaCha20(key) => {
                chacha20(key, &self.iv).apply_keystream(packet.payload_mut());
                true
            }
        }
    }
}

impl fmt::Debug for PacketCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketCipher(..)")
    }
}

/// The key stream as OpenSSL starts it: a counter of 32 bits, then a nonce of 96.
fn chacha20(key: &[u8; 32], iv: &[u8; MAX_IV]) -> ChaCha20 {
    let (counter, nonce) = iv.split_first_chunk::<4>().expect("an IV of 16 bytes has 4");
    let nonce: [u8; 12] = nonce.try_into().expect("an IV of 16 bytes has 12 more");
    let mut cipher = ChaCha20::new(&(*key).into(), &nonce.into());
    cipher.seek(u64::from(u32::from_le_bytes(*counter)) * 64);
    cipher
}

/// Fills up the last block; a whole one if the last is full.
fn pad(packet: &mut Packet, block: usize) -> bool {
    let count = block - packet.len() % block;
    packet.push_back(&[count as u8; MAX_IV][..count])
}

fn unpad(packet: &mut Packet, block: usize) -> bool {
    let count = usize::from(packet.payload().last().copied().unwrap_or(0));
    let valid = (1..=block).contains(&count)
        && packet.payload()[packet.len() - count..].iter().all(|&byte| usize::from(byte) == count);
    if valid {
        packet.truncate(packet.len() - count);
    }
    valid
}

#[cfg(test)]
mod tests;
