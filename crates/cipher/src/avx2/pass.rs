//! Eight blocks of ChaCha20 at once, each of any key, record and position. Source: RFC 8439, section 2.3.
//!
//! A vector holds one word of the state for all eight: the state is 16 vectors.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_or_si256, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setr_epi32,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_xor_si256,
};

use zeroize::Zeroize;

use super::lanes::{WIDTH, load, store, transposed, words};
use crate::Record;

/// Blocks of a pass.
pub(super) const LANES: usize = 8;
/// The first words of the state: "expand 32-byte k".
const CONSTANTS: [i32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// One block of one record's key stream.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// The place of the record among the others.
    pub(super) record: usize,
    /// Its position: 0 is the one-time key, the data begins at 1.
    pub(super) number: u32,
}

/// The blocks that are to be made next.
pub(super) struct Pass {
    blocks: [Block; LANES],
    used: usize,
}

impl Pass {
    pub(super) fn new() -> Self {
        Self { blocks: [Block { record: 0, number: 0 }; LANES], used: 0 }
    }

    /// Adds a block; tells whether no other has room.
    pub(super) fn push(&mut self, block: Block) -> bool {
        self.blocks[self.used] = block;
        self.used += 1;
        self.used == LANES
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks[..self.used]
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }
}

/// Eight blocks of key streams, in halves.
pub(super) struct KeyStream([[__m256i; 2]; LANES]);

impl KeyStream {
    /// The key streams at up to eight blocks; the other lanes hold nothing of use.
    #[target_feature(enable = "avx2,bmi2")]
    pub(super) fn of(blocks: &[Block], records: &[Record<'_>]) -> Self {
        let zero = _mm256_setzero_si256();
        let (mut keys, mut positions, mut nonces) = ([zero; LANES], [0; LANES], [0; LANES]);
        for (lane, block) in blocks.iter().enumerate() {
            keys[lane] = load(&records[block.record].key.0);
            positions[lane] = block.number as i32;
            nonces[lane] = records[block.record].number.swap_bytes() as i32;
        }
        let mut state = [zero; 16];
        for (word, constant) in CONSTANTS.into_iter().enumerate() {
            state[word] = _mm256_set1_epi32(constant);
        }
        state[4..12].copy_from_slice(&transposed(keys));
        state[12] = eight(positions);
        state[15] = eight(nonces);
        Self::from_state(state)
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    fn from_state(state: [__m256i; 16]) -> Self {
        let mut words = state;
        for _ in 0..10 {
            double_round(&mut words);
        }
        for word in 0..16 {
            words[word] = _mm256_add_epi32(words[word], state[word]);
        }
        let [a, b, c, d, e, f, g, h, rest @ ..] = words;
        let (firsts, seconds) = (transposed([a, b, c, d, e, f, g, h]), transposed(rest));
        let mut halves = [[_mm256_setzero_si256(); 2]; LANES];
        for lane in 0..LANES {
            halves[lane] = [firsts[lane], seconds[lane]];
        }
        Self(halves)
    }

    /// The one-time key, if that is what a lane holds.
    #[target_feature(enable = "avx2,bmi2")]
    pub(super) fn key(&self, lane: usize) -> __m256i {
        self.0[lane][0]
    }

    /// Combines the first 64 bytes of `data`, or all if it is less, with the key stream of a lane.
    #[target_feature(enable = "avx2,bmi2")]
    pub(super) fn apply(&self, lane: usize, data: &mut [u8]) {
        let [first, second] = self.0[lane];
        let (halves, rest) = data.as_chunks_mut::<WIDTH>();
        match halves {
            [] => combine_part(rest, first),
            [half] => {
                combine(half, first);
                combine_part(rest, second);
            }
            [half, other, ..] => {
                combine(half, first);
                combine(other, second);
            }
        }
    }
}

impl Drop for KeyStream {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn combine(half: &mut [u8; WIDTH], stream: __m256i) {
    let combined = _mm256_xor_si256(load(half), stream);
    store(half, combined);
}

/// Combines less than a vector.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn combine_part(data: &mut [u8], stream: __m256i) {
    let mut stream = words(stream);
    let (full, rest) = data.as_chunks_mut::<8>();
    for (bytes, mask) in full.iter_mut().zip(stream) {
        *bytes = (u64::from_le_bytes(*bytes) ^ mask).to_le_bytes();
    }
    if let Some(mask) = stream.get(full.len()) {
        for (byte, mask) in rest.iter_mut().zip(mask.to_le_bytes()) {
            *byte ^= mask;
        }
    }
    stream.zeroize();
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn eight(w: [i32; LANES]) -> __m256i {
    _mm256_setr_epi32(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
}

/// A round over the columns and one over the diagonals.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn double_round(x: &mut [__m256i; 16]) {
    quarter_round(x, [0, 4, 8, 12]);
    quarter_round(x, [1, 5, 9, 13]);
    quarter_round(x, [2, 6, 10, 14]);
    quarter_round(x, [3, 7, 11, 15]);
    quarter_round(x, [0, 5, 10, 15]);
    quarter_round(x, [1, 6, 11, 12]);
    quarter_round(x, [2, 7, 8, 13]);
    quarter_round(x, [3, 4, 9, 14]);
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn quarter_round(x: &mut [__m256i; 16], [a, b, c, d]: [usize; 4]) {
    x[a] = _mm256_add_epi32(x[a], x[b]);
    x[d] = left_16(_mm256_xor_si256(x[d], x[a]));
    x[c] = _mm256_add_epi32(x[c], x[d]);
    x[b] = left::<12, 20>(_mm256_xor_si256(x[b], x[c]));
    x[a] = _mm256_add_epi32(x[a], x[b]);
    x[d] = left_8(_mm256_xor_si256(x[d], x[a]));
    x[c] = _mm256_add_epi32(x[c], x[d]);
    x[b] = left::<7, 25>(_mm256_xor_si256(x[b], x[c]));
}

/// Turns each word left by `BY` bits; `REST` is what is missing to 32.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn left<const BY: i32, const REST: i32>(x: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_slli_epi32::<BY>(x), _mm256_srli_epi32::<REST>(x))
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn left_16(x: __m256i) -> __m256i {
    let places = _mm256_setr_epi8(
        2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
    );
    _mm256_shuffle_epi8(x, places)
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn left_8(x: __m256i) -> __m256i {
    let places = _mm256_setr_epi8(
        3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
    );
    _mm256_shuffle_epi8(x, places)
}
