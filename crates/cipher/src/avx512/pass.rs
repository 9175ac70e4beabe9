//! Sixteen blocks of ChaCha20 at once, or twice as many, each of any key, record and position. Source: RFC 8439, section 2.3.
//!
//! A vector holds one word of the state for sixteen: their state is 16 vectors, and two of these are all registers.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_loadu_si256, _mm512_add_epi32, _mm512_castsi256_si512, _mm512_mask_storeu_epi8,
    _mm512_maskz_loadu_epi8, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::LANES;
use super::lanes::{load, quarters_turned, store};
use crate::Record;
use crate::many::{BLOCK, Block, CONSTANTS};

/// The words of sixteen blocks.
type State = [__m512i; LANES];

/// The key streams at up to sixteen or thirty-two blocks, as there is room; the other lanes hold nothing of use.
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
pub(super) fn key_streams(blocks: &[Block], records: &[Record<'_>], streams: &mut [[u64; BLOCK / 8]]) {
    let (first, second) = blocks.split_at(blocks.len().min(LANES));
    let (streams, more) = streams.split_at_mut(LANES);
    let start = start_of(first, records);
    let mut state = start;
    if second.is_empty() {
        for _ in 0..10 {
            double_round(&mut state);
        }
    } else {
        // Twice as much in the same time: a round of one waits for its own results, and meanwhile the other goes on.
        let other_start = start_of(second, records);
        let mut other = other_start;
        for _ in 0..10 {
            double_round(&mut state);
            double_round(&mut other);
        }
        store_all(other, other_start, more);
    }
    store_all(state, start, streams);
}

/// Stores the blocks that the rounds made of what they began with.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
fn store_all(mut state: State, start: State, streams: &mut [[u64; BLOCK / 8]]) {
    for word in 0..LANES {
        state[word] = _mm512_add_epi32(state[word], start[word]);
    }
    for (block, stream) in streams.iter_mut().zip(transposed(state)) {
        store(block, stream);
    }
}

/// What the rounds begin with.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
fn start_of(blocks: &[Block], records: &[Record<'_>]) -> State {
    let mut state = [_mm512_setzero_si512(); LANES];
    for (word, constant) in CONSTANTS.into_iter().enumerate() {
        state[word] = _mm512_set1_epi32(constant);
    }
    let (mut positions, mut nonces) = ([0_u32; LANES], [0_u32; LANES]);
    for ((position, nonce), block) in positions.iter_mut().zip(&mut nonces).zip(blocks) {
        *position = block.number;
        *nonce = records[block.record].number.swap_bytes();
    }
    state[4..12].copy_from_slice(&keys_of(blocks, records));
    (state[12], state[15]) = (load(&positions), load(&nonces));
    state
}

/// The words of the keys, each of all blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn keys_of(blocks: &[Block], records: &[Record<'_>]) -> [__m512i; 8] {
    let one = records[blocks[0].record].key;
    if blocks.iter().all(|block| std::ptr::eq(records[block.record].key, one)) {
        let (words, _) = one.0.as_chunks::<4>();
        return std::array::from_fn(|word| _mm512_set1_epi32(i32::from_le_bytes(words[word])));
    }
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (row, block) in rows.iter_mut().zip(blocks) {
        *row = _mm512_castsi256_si512(half(&records[block.record].key.0));
    }
    let [a, b, c, d, e, f, g, h, ..] = transposed(rows);
    [a, b, c, d, e, f, g, h]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn half(key: &[u8; 32]) -> __m256i {
    // SAFETY: the reference is good for reading 32 bytes, and the instruction takes any alignment.
    unsafe { _mm256_loadu_si256(key.as_ptr().cast()) }
}

/// Combines the data at each block with its key stream.
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
pub(super) fn apply(blocks: &[Block], streams: &[[u64; BLOCK / 8]], records: &mut [Record<'_>]) {
    for (block, stream) in blocks.iter().zip(streams).filter(|(block, _)| block.number > 0) {
        let data = &mut records[block.record].data[(block.number as usize - 1) * BLOCK..];
        let bytes = data.len().min(BLOCK);
        let mask = u64::MAX >> (BLOCK - bytes);
        // SAFETY: of `data` only the bytes that it has are touched, and any alignment will do.
        unsafe {
            let combined = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, data.as_ptr().cast()), load(stream));
            _mm512_mask_storeu_epi8(data.as_mut_ptr().cast(), mask, combined);
        }
    }
}

/// A round over the columns and one over the diagonals.
#[inline]
#[target_feature(enable = "avx512f")]
fn double_round(x: &mut State) {
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
#[target_feature(enable = "avx512f")]
fn quarter_round(x: &mut State, [a, b, c, d]: [usize; 4]) {
    x[a] = _mm512_add_epi32(x[a], x[b]);
    x[d] = _mm512_rol_epi32::<16>(_mm512_xor_si512(x[d], x[a]));
    x[c] = _mm512_add_epi32(x[c], x[d]);
    x[b] = _mm512_rol_epi32::<12>(_mm512_xor_si512(x[b], x[c]));
    x[a] = _mm512_add_epi32(x[a], x[b]);
    x[d] = _mm512_rol_epi32::<8>(_mm512_xor_si512(x[d], x[a]));
    x[c] = _mm512_add_epi32(x[c], x[d]);
    x[b] = _mm512_rol_epi32::<7>(_mm512_xor_si512(x[b], x[c]));
}

/// Turns sixteen rows of sixteen words into columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: State) -> State {
    let fours: [[__m512i; 4]; 4] = std::array::from_fn(|at| {
        let [a, b, c, d] = std::array::from_fn(|row| rows[4 * at + row]);
        let (e, f) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (g, h) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        [
            _mm512_unpacklo_epi64(e, g),
            _mm512_unpackhi_epi64(e, g),
            _mm512_unpacklo_epi64(f, h),
            _mm512_unpackhi_epi64(f, h),
        ]
    });
    let mut columns = [_mm512_setzero_si512(); LANES];
    for at in 0..4 {
        let turned = quarters_turned([fours[0][at], fours[1][at], fours[2][at], fours[3][at]]);
        for (quarter, column) in turned.into_iter().enumerate() {
            columns[at + 4 * quarter] = column;
        }
    }
    columns
}
