//! Four blocks of ChaCha20 at once, each of any key, record and position. Source: RFC 8439, section 2.3.
//!
//! A vector holds one word of the state for all four: the state is 16 vectors.

use std::arch::aarch64::{
    uint8x16_t, uint32x4_t, vaddq_u32, vdupq_n_u32, veorq_u32, vqtbl1q_u8, vreinterpretq_u8_u32, vreinterpretq_u16_u32,
    vreinterpretq_u32_u8, vreinterpretq_u32_u16, vrev32q_u16, vshlq_n_u32, vsriq_n_u32,
};

use zeroize::Zeroize;

use super::LANES;
use super::lanes::{WIDTH, four, load, quarters_of, set_quarters, store, transposed, words};
use crate::Record;
use crate::many::{BLOCK, Block, CONSTANTS, KeyStreams};

/// From which place each byte comes when words turn left by 8 bits.
const PLACES_OF_8: [u8; WIDTH] = [3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14];

/// The key streams at up to four blocks; the other lanes hold nothing of use.
#[target_feature(enable = "neon")]
pub(super) fn key_streams(blocks: &[Block], records: &[Record<'_>], streams: &mut KeyStreams<LANES>) {
    let zero = vdupq_n_u32(0);
    let (mut keys, mut more, mut positions, mut nonces) = ([zero; LANES], [zero; LANES], [0; LANES], [0; LANES]);
    for (lane, block) in blocks.iter().enumerate() {
        let Record { key, number, .. } = &records[block.record];
        if let ([first, second], _) = key.0.as_chunks() {
            (keys[lane], more[lane]) = (load(first), load(second));
        }
        positions[lane] = block.number;
        nonces[lane] = number.swap_bytes();
    }
    let mut state = [zero; 16];
    for (word, constant) in CONSTANTS.into_iter().enumerate() {
        state[word] = vdupq_n_u32(constant as u32);
    }
    state[4..8].copy_from_slice(&transposed(keys));
    state[8..12].copy_from_slice(&transposed(more));
    state[12] = four(positions);
    state[15] = four(nonces);
    let mut words = state;
    let places = vreinterpretq_u8_u32(load(&PLACES_OF_8));
    for _ in 0..10 {
        double_round(&mut words, places);
    }
    for word in 0..16 {
        words[word] = vaddq_u32(words[word], state[word]);
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, rest @ ..] = words;
    let (firsts, seconds) = (transposed([a, b, c, d]), transposed([e, f, g, h]));
    let (thirds, fourths) = (transposed([i, j, k, l]), transposed(rest));
    for lane in 0..LANES {
        set_quarters(&mut streams.0[lane], [firsts[lane], seconds[lane], thirds[lane], fourths[lane]]);
    }
}

/// Combines the data at each block with its key stream.
#[target_feature(enable = "neon")]
pub(super) fn apply(blocks: &[Block], streams: &KeyStreams<LANES>, records: &mut [Record<'_>]) {
    for (block, stream) in blocks.iter().zip(&streams.0).filter(|(block, _)| block.number > 0) {
        let data = &mut records[block.record].data[(block.number as usize - 1) * BLOCK..];
        let quarters = quarters_of(stream);
        let (full, rest) = data.as_chunks_mut::<WIDTH>();
        for (bytes, stream) in full.iter_mut().zip(quarters) {
            let combined = veorq_u32(load(bytes), stream);
            store(bytes, combined);
        }
        if let Some(stream) = quarters.get(full.len()) {
            combine_part(rest, *stream);
        }
    }
}

/// Combines less than a vector.
#[inline]
#[target_feature(enable = "neon")]
fn combine_part(data: &mut [u8], stream: uint32x4_t) {
    let mut stream = words(stream);
    let (full, rest) = data.as_chunks_mut::<4>();
    for (bytes, mask) in full.iter_mut().zip(stream) {
        *bytes = (u32::from_le_bytes(*bytes) ^ mask).to_le_bytes();
    }
    if let Some(mask) = stream.get(full.len()) {
        for (byte, mask) in rest.iter_mut().zip(mask.to_le_bytes()) {
            *byte ^= mask;
        }
    }
    stream.zeroize();
}

/// A round over the columns and one over the diagonals.
#[inline]
#[target_feature(enable = "neon")]
fn double_round(x: &mut [uint32x4_t; 16], places_of_8: uint8x16_t) {
    quarter_round(x, [0, 4, 8, 12], places_of_8);
    quarter_round(x, [1, 5, 9, 13], places_of_8);
    quarter_round(x, [2, 6, 10, 14], places_of_8);
    quarter_round(x, [3, 7, 11, 15], places_of_8);
    quarter_round(x, [0, 5, 10, 15], places_of_8);
    quarter_round(x, [1, 6, 11, 12], places_of_8);
    quarter_round(x, [2, 7, 8, 13], places_of_8);
    quarter_round(x, [3, 4, 9, 14], places_of_8);
}

#[inline]
#[target_feature(enable = "neon")]
fn quarter_round(x: &mut [uint32x4_t; 16], [a, b, c, d]: [usize; 4], places_of_8: uint8x16_t) {
    x[a] = vaddq_u32(x[a], x[b]);
    x[d] = left_16(veorq_u32(x[d], x[a]));
    x[c] = vaddq_u32(x[c], x[d]);
    x[b] = left::<12, 20>(veorq_u32(x[b], x[c]));
    x[a] = vaddq_u32(x[a], x[b]);
    x[d] = left_8(veorq_u32(x[d], x[a]), places_of_8);
    x[c] = vaddq_u32(x[c], x[d]);
    x[b] = left::<7, 25>(veorq_u32(x[b], x[c]));
}

/// Turns each word left by `BY` bits; `REST` is what is missing to 32.
#[inline]
#[target_feature(enable = "neon")]
fn left<const BY: i32, const REST: i32>(x: uint32x4_t) -> uint32x4_t {
    vsriq_n_u32::<REST>(vshlq_n_u32::<BY>(x), x)
}

#[inline]
#[target_feature(enable = "neon")]
fn left_16(x: uint32x4_t) -> uint32x4_t {
    vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(x)))
}

#[inline]
#[target_feature(enable = "neon")]
fn left_8(x: uint32x4_t, places: uint8x16_t) -> uint32x4_t {
    vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(x), places))
}
