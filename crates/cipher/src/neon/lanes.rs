//! Vectors of NEON: how they are read and written, and turned.

use std::arch::aarch64::{
    uint32x4_t, uint64x2_t, vld1q_u8, vld1q_u32, vreinterpretq_u8_u32, vreinterpretq_u32_u8, vreinterpretq_u32_u64,
    vreinterpretq_u64_u32, vst1q_u8, vtrn1q_u32, vtrn1q_u64, vtrn2q_u32, vtrn2q_u64,
};

/// Bytes of a vector.
pub(super) const WIDTH: usize = 16;

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load(bytes: &[u8; WIDTH]) -> uint32x4_t {
    // SAFETY: the reference is good for reading 16 bytes, and the instruction takes any alignment.
    vreinterpretq_u32_u8(unsafe { vld1q_u8(bytes.as_ptr()) })
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store(bytes: &mut [u8; WIDTH], vector: uint32x4_t) {
    // SAFETY: the reference is good for writing 16 bytes, and the instruction takes any alignment.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), vreinterpretq_u8_u32(vector)) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn four(words: [u32; 4]) -> uint32x4_t {
    // SAFETY: the array is good for reading four words.
    unsafe { vld1q_u32(words.as_ptr()) }
}

/// A block of a key stream, in quarters.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn quarters_of(block: &[u64; 8]) -> [uint32x4_t; 4] {
    // SAFETY: both are 64 bytes, and every pattern of bits is a vector.
    unsafe { std::mem::transmute(*block) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn set_quarters(block: &mut [u64; 8], quarters: [uint32x4_t; 4]) {
    // SAFETY: both are 64 bytes, and every pattern of bits is a number.
    *block = unsafe { std::mem::transmute::<[uint32x4_t; 4], [u64; 8]>(quarters) };
}

/// The four words of a vector.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn words(vector: uint32x4_t) -> [u32; 4] {
    // SAFETY: both are 16 bytes, and every pattern of bits is a number.
    unsafe { std::mem::transmute(vector) }
}

/// Turns four rows of four words into columns.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn transposed([a, b, c, d]: [uint32x4_t; 4]) -> [uint32x4_t; 4] {
    let (even, odd) = (wide(vtrn1q_u32(a, b)), wide(vtrn2q_u32(a, b)));
    let (other_even, other_odd) = (wide(vtrn1q_u32(c, d)), wide(vtrn2q_u32(c, d)));
    [
        vreinterpretq_u32_u64(vtrn1q_u64(even, other_even)),
        vreinterpretq_u32_u64(vtrn1q_u64(odd, other_odd)),
        vreinterpretq_u32_u64(vtrn2q_u64(even, other_even)),
        vreinterpretq_u32_u64(vtrn2q_u64(odd, other_odd)),
    ]
}

/// The same bits as words of 64.
#[inline]
#[target_feature(enable = "neon")]
fn wide(vector: uint32x4_t) -> uint64x2_t {
    vreinterpretq_u64_u32(vector)
}
