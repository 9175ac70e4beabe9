//! Record by record, for any processor: `chacha20` finds its own instructions, and [`OneTimeKey`] has 64-bit numbers.
//!
//! ChaCha20 backends work on several blocks at a time and take as long for fewer, so block 0 is made together with the
//! first blocks of the data, and the rest of the data in whole groups.

use chacha20::cipher::array::Array;
use chacha20::cipher::consts::U64;
use chacha20::cipher::{KeyIvInit, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use zeroize::Zeroize;

use crate::poly1305::OneTimeKey;
use crate::{Key, Record, TAG, equal};

/// Blocks that a vectorised ChaCha20 makes in one go: one alone takes as long.
const LANES: usize = if cfg!(target_arch = "aarch64") { 8 } else { 4 };
/// Bytes of a group of blocks.
const GROUP: usize = LANES * 64;

type Block = Array<u8, U64>;

pub(crate) fn seal(records: &mut [Record<'_>]) {
    for record in records {
        let stream = KeyStream::of(record.key, record.number);
        let key = stream.one_time_key();
        stream.apply(record.data);
        record.tag = key.tag(record.data);
    }
}

pub(crate) fn open(records: &mut [Record<'_>]) {
    for record in records {
        let stream = KeyStream::of(record.key, record.number);
        record.genuine = stream.is_genuine(record.data, &record.tag);
        if record.genuine {
            stream.apply(record.data);
        }
    }
}

pub(crate) fn verify(key: &Key, number: u32, data: &[u8], tag: &[u8; TAG]) -> bool {
    KeyStream::of(key, number).is_genuine(data, tag)
}

/// The key stream of one record.
struct KeyStream {
    core: ChaChaCore<R20, Ietf>,
    first: [Block; LANES],
}

impl KeyStream {
    fn of(key: &Key, number: u32) -> Self {
        let mut nonce = [0; 12];
        nonce[8..].copy_from_slice(&number.to_be_bytes());
        let mut core = ChaChaCore::<R20, Ietf>::new(&key.0.into(), &nonce.into());
        let mut first = [Block::default(); LANES];
        core.write_keystream_blocks(&mut first);
        Self { core, first }
    }

    fn one_time_key(&self) -> OneTimeKey {
        let (words, _) = self.first[0].as_chunks::<8>();
        OneTimeKey::new([words[0], words[1], words[2], words[3]].map(u64::from_le_bytes))
    }

    fn is_genuine(&self, data: &[u8], tag: &[u8; TAG]) -> bool {
        equal(&self.one_time_key().tag(data), tag)
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

impl Drop for KeyStream {
    fn drop(&mut self) {
        self.first.iter_mut().for_each(|block| block.as_mut_slice().zeroize());
    }
}

/// Combines `data` with as much of the key stream as it needs.
pub(crate) fn xor(data: &mut [u8], stream: &[u8]) {
    for (byte, mask) in data.iter_mut().zip(stream) {
        *byte ^= mask;
    }
}
