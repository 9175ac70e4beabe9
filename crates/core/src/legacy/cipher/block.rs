//! The block ciphers, and their modes.

use std::fmt;

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use super::{MAX_IV, Mode};

/// Blocks that are decrypted at a time.
const BATCH: usize = 8;

/// A block cipher, with the length of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// AES.
    Aes128,
    /// AES.
    Aes192,
    /// AES.
    Aes256,
    /// ARIA.
    Aria128,
    /// ARIA.
    Aria192,
    /// ARIA.
    Aria256,
    /// Camellia.
    Camellia128,
    /// Camellia.
    Camellia192,
    /// Camellia.
    Camellia256,
    /// SM4.
    Sm4,
    /// DES three times, with three keys.
    DesEde3,
    /// Blowfish with 16 bytes of key.
    Blowfish,
    /// CAST-128.
    Cast5,
}

impl Family {
    pub(super) const ALL: [Self; 13] = [
        Self::Aes128,
        Self::Aes192,
        Self::Aes256,
        Self::Aria128,
        Self::Aria192,
        Self::Aria256,
        Self::Camellia128,
        Self::Camellia192,
        Self::Camellia256,
        Self::Sm4,
        Self::DesEde3,
        Self::Blowfish,
        Self::Cast5,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Aes128 => "aes-128",
            Self::Aes192 => "aes-192",
            Self::Aes256 => "aes-256",
            Self::Aria128 => "aria-128",
            Self::Aria192 => "aria-192",
            Self::Aria256 => "aria-256",
            Self::Camellia128 => "camellia-128",
            Self::Camellia192 => "camellia-192",
            Self::Camellia256 => "camellia-256",
            Self::Sm4 => "sm4",
            Self::DesEde3 => "des-ede3",
            Self::Blowfish => "bf",
            Self::Cast5 => "cast5",
        }
    }

    /// OpenSSL's numbers of the modes in their order; 0 where it has none.
    pub(super) const fn ids(self) -> [i32; 6] {
        match self {
            Self::Aes128 => [418, 419, 421, 653, 420, 904],
            Self::Aes192 => [422, 423, 425, 654, 424, 905],
            Self::Aes256 => [426, 427, 429, 655, 428, 906],
            Self::Aria128 => [1065, 1066, 1067, 1083, 1068, 1069],
            Self::Aria192 => [1070, 1071, 1072, 1084, 1073, 1074],
            Self::Aria256 => [1075, 1076, 1077, 1085, 1078, 1079],
            Self::Camellia128 => [754, 751, 757, 763, 766, 963],
            Self::Camellia192 => [755, 752, 758, 764, 767, 967],
            Self::Camellia256 => [756, 753, 759, 765, 768, 971],
            Self::Sm4 => [1133, 1134, 1137, 0, 1135, 1139],
            Self::DesEde3 => [33, 44, 61, 659, 63, 0],
            Self::Blowfish => [92, 91, 93, 0, 94, 0],
            Self::Cast5 => [109, 108, 110, 0, 111, 0],
        }
    }

    pub(super) const fn key_len(self) -> usize {
        match self {
            Self::Aes128 | Self::Aria128 | Self::Camellia128 | Self::Sm4 | Self::Blowfish | Self::Cast5 => 16,
            Self::Aes192 | Self::Aria192 | Self::Camellia192 | Self::DesEde3 => 24,
            Self::Aes256 | Self::Aria256 | Self::Camellia256 => 32,
        }
    }

    pub(super) const fn block_len(self) -> usize {
        match self {
            Self::DesEde3 | Self::Blowfish | Self::Cast5 => 8,
            Self::Aes128
            | Self::Aes192
            | Self::Aes256
            | Self::Aria128
            | Self::Aria192
            | Self::Aria256
            | Self::Camellia128
            | Self::Camellia192
            | Self::Camellia256
            | Self::Sm4 => 16,
        }
    }
}

/// A block cipher with its key.
pub(super) enum Block {
    Aes128(Box<aes::Aes128>),
    Aes192(Box<aes::Aes192>),
    Aes256(Box<aes::Aes256>),
    Aria128(Box<aria::Aria128>),
    Aria192(Box<aria::Aria192>),
    Aria256(Box<aria::Aria256>),
    Camellia128(Box<camellia::Camellia128>),
    Camellia192(Box<camellia::Camellia192>),
    Camellia256(Box<camellia::Camellia256>),
    Sm4(Box<sm4::Sm4>),
    DesEde3(Box<des::TdesEde3>),
    Blowfish(Box<blowfish::Blowfish>),
    Cast5(Box<cast5::Cast5>),
}

/// Does the same with whatever cipher it is.
macro_rules! with_cipher {
    ($block:expr, $cipher:ident => $act:expr) => {
        match $block {
            Block::Aes128($cipher) => $act,
            Block::Aes192($cipher) => $act,
            Block::Aes256($cipher) => $act,
            Block::Aria128($cipher) => $act,
            Block::Aria192($cipher) => $act,
            Block::Aria256($cipher) => $act,
            Block::Camellia128($cipher) => $act,
            Block::Camellia192($cipher) => $act,
            Block::Camellia256($cipher) => $act,
            Block::Sm4($cipher) => $act,
            Block::DesEde3($cipher) => $act,
            Block::Blowfish($cipher) => $act,
            Block::Cast5($cipher) => $act,
        }
    };
}

impl Block {
    /// Nothing if the key has the wrong length.
    pub(super) fn new(family: Family, key: &[u8]) -> Option<Self> {
        if key.len() != family.key_len() {
            return None;
        }
        fn boxed<C: KeyInit>(key: &[u8]) -> Option<Box<C>> {
            C::new_from_slice(key).ok().map(Box::new)
        }
        Some(match family {
            Family::Aes128 => Self::Aes128(boxed(key)?),
            Family::Aes192 => Self::Aes192(boxed(key)?),
            Family::Aes256 => Self::Aes256(boxed(key)?),
            Family::Aria128 => Self::Aria128(boxed(key)?),
            Family::Aria192 => Self::Aria192(boxed(key)?),
            Family::Aria256 => Self::Aria256(boxed(key)?),
            Family::Camellia128 => Self::Camellia128(boxed(key)?),
            Family::Camellia192 => Self::Camellia192(boxed(key)?),
            Family::Camellia256 => Self::Camellia256(boxed(key)?),
            Family::Sm4 => Self::Sm4(boxed(key)?),
            Family::DesEde3 => Self::DesEde3(boxed(key)?),
            Family::Blowfish => Self::Blowfish(boxed(key)?),
            Family::Cast5 => Self::Cast5(boxed(key)?),
        })
    }

    /// Length of a block in bytes.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::DesEde3(_) | Self::Blowfish(_) | Self::Cast5(_) => 8,
            Self::Aes128(_)
            | Self::Aes192(_)
            | Self::Aes256(_)
            | Self::Aria128(_)
            | Self::Aria192(_)
            | Self::Aria256(_)
            | Self::Camellia128(_)
            | Self::Camellia192(_)
            | Self::Camellia256(_)
            | Self::Sm4(_) => 16,
        }
    }

    /// Encrypts whole blocks, each for itself.
    pub(super) fn encrypt_each(&self, data: &mut [u8]) {
        with_cipher!(self, cipher => cipher.encrypt_blocks(Array::slice_as_chunks_mut(data).0));
    }

    /// Decrypts whole blocks, each for itself.
    pub(super) fn decrypt_each(&self, data: &mut [u8]) {
        with_cipher!(self, cipher => cipher.decrypt_blocks(Array::slice_as_chunks_mut(data).0));
    }

    /// Encrypts whole blocks, each mixed with the one before it.
    pub(super) fn encrypt_chain(&self, iv: &[u8], data: &mut [u8]) {
        with_cipher!(self, cipher => encrypt_chain(&**cipher, iv, data));
    }

    /// Decrypts whole blocks that were mixed with the one before each.
    pub(super) fn decrypt_chain(&self, iv: &[u8], data: &mut [u8]) {
        with_cipher!(self, cipher => decrypt_chain(&**cipher, iv, data));
    }

    /// Encrypts or decrypts any number of bytes in a mode with feedback.
    pub(super) fn feed(&self, mode: Mode, state: &mut Feedback, encrypts: bool, data: &mut [u8]) {
        with_cipher!(self, cipher => feed(&**cipher, mode, state, encrypts, data));
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Block(..)")
    }
}

fn xor(data: &mut [u8], other: &[u8]) {
    for (byte, other) in data.iter_mut().zip(other) {
        *byte ^= other;
    }
}

fn encrypt_chain<C: BlockCipherEncrypt>(cipher: &C, iv: &[u8], data: &mut [u8]) {
    let (blocks, _) = Array::<u8, C::BlockSize>::slice_as_chunks_mut(data);
    let mut before = iv;
    for block in blocks {
        xor(block, before);
        cipher.encrypt_block(block);
        before = &*block;
    }
}

fn decrypt_chain<C: BlockCipherDecrypt>(cipher: &C, iv: &[u8], data: &mut [u8]) {
    let (blocks, _) = Array::<u8, C::BlockSize>::slice_as_chunks_mut(data);
    let mut before = Array::<u8, C::BlockSize>::default();
    let len = before.len();
    before.copy_from_slice(&iv[..len]);
    for batch in blocks.chunks_mut(BATCH) {
        let mut sealed: [Array<u8, C::BlockSize>; BATCH] = Default::default();
        sealed[..batch.len()].clone_from_slice(batch);
        cipher.decrypt_blocks(batch);
        for (block, next) in batch.iter_mut().zip(sealed) {
            xor(block, &before);
            before = next;
        }
    }
}

/// Where a mode with feedback stands.
pub(super) struct Feedback {
    register: Zeroizing<[u8; MAX_IV]>,
    pad: Zeroizing<[u8; MAX_IV]>,
    /// Bytes of the pad that are used up.
    used: usize,
}

impl Feedback {
    pub(super) fn new(block: &Block, iv: &[u8]) -> Self {
        let mut register = Zeroizing::new([0; MAX_IV]);
        register[..block.len()].copy_from_slice(&iv[..block.len()]);
        Self { register, pad: Zeroizing::default(), used: block.len() }
    }

    fn refill<C: BlockCipherEncrypt>(&mut self, cipher: &C, mode: Mode) {
        let len = C::block_size();
        let mut block = Array::<u8, C::BlockSize>::default();
        block.copy_from_slice(&self.register[..len]);
        cipher.encrypt_block(&mut block);
        self.pad[..len].copy_from_slice(&block);
        self.used = 0;
        match mode {
            Mode::Ofb => self.register[..len].copy_from_slice(&block),
            Mode::Ctr => count(&mut self.register[..len]),
            Mode::Cfb | Mode::Cfb8 | Mode::Ecb | Mode::Cbc => {}
        }
    }

    /// Takes up a byte of what is sent.
    fn take(&mut self, mode: Mode, len: usize, sent: u8) {
        match mode {
            Mode::Cfb => self.register[self.used] = sent,
            Mode::Cfb8 => {
                self.register.copy_within(1..len, 0);
                self.register[len - 1] = sent;
            }
            Mode::Ofb | Mode::Ctr | Mode::Ecb | Mode::Cbc => {}
        }
        self.used = if mode == Mode::Cfb8 { len } else { self.used + 1 };
    }
}

fn count(number: &mut [u8]) {
    for byte in number.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
}

fn feed<C: BlockCipherEncrypt>(cipher: &C, mode: Mode, state: &mut Feedback, encrypts: bool, data: &mut [u8]) {
    let len = C::block_size();
    for byte in data {
        if state.used == len {
            state.refill(cipher, mode);
        }
        let before = *byte;
        *byte ^= state.pad[state.used];
        state.take(mode, len, if encrypts { *byte } else { before });
    }
}
