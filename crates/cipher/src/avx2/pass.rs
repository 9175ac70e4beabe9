//! Eight blocks of ChaCha20 at once, each of any key, record and position. Source: RFC 8439, section 2.3.
//!
//! A vector holds one word of the state for all eight: the state is 16 vectors.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_or_si256, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setr_epi32,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_xor_si256,
};

use zeroize::Zeroize;

use super::LANES;
use super::lanes::{WIDTH, halves_of, load, set_halves, store, transposed, words};
use crate::Record;
use crate::many::{BLOCK, Block, CONSTANTS, KeyStreams};

/// The key streams at up to eight blocks; the other lanes hold nothing of use.
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn key_streams(blocks: &[Block], records: &[Record<'_>], streams: &mut KeyStreams<LANES>) {
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
    let mut words = state;
    for _ in 0..10 {
        double_round(&mut words);
    }
    for word in 0..16 {
        words[word] = _mm256_add_epi32(words[word], state[word]);
    }
    let [a, b, c, d, e, f, g, h, rest @ ..] = words;
    let (firsts, seconds) = (transposed([a, b, c, d, e, f, g, h]), transposed(rest));
    for lane in 0..LANES {
        set_halves(&mut streams.0[lane], [firsts[lane], seconds[lane]]);
    }
}

/// Combines the data at each block with its key stream.
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn apply(blocks: &[Block], streams: &KeyStreams<LANES>, records: &mut [Record<'_>]) {
    for (block, stream) in blocks.iter().zip(&streams.0).filter(|(block, _)| block.number > 0) {
        let data = &mut records[block.record].data[(block.number as usize - 1) * BLOCK..];
        let [first, second] = halves_of(stream);
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
