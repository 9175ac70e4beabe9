//! Vectors of AVX2: how they are read and written, and turned.

use std::arch::x86_64::{
    __m256i, _mm256_loadu_si256, _mm256_permute2x128_si256, _mm256_storeu_si256, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

/// Bytes of a vector.
pub(super) const WIDTH: usize = 32;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(bytes: &[u8; WIDTH]) -> __m256i {
    // SAFETY: the reference is good for reading 32 bytes, and the instruction takes any alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store(bytes: &mut [u8; WIDTH], vector: __m256i) {
    // SAFETY: the reference is good for writing 32 bytes, and the instruction takes any alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
}

/// A block of a key stream, in halves.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn halves_of(block: &[u64; 8]) -> [__m256i; 2] {
    // SAFETY: both are 64 bytes, and every pattern of bits is a vector.
    unsafe { std::mem::transmute(*block) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn set_halves(block: &mut [u64; 8], halves: [__m256i; 2]) {
    // SAFETY: both are 64 bytes, and every pattern of bits is a number.
    *block = unsafe { std::mem::transmute::<[__m256i; 2], [u64; 8]>(halves) };
}

/// The four words of a vector.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn words(vector: __m256i) -> [u64; 4] {
    // SAFETY: both are 32 bytes, and every pattern of bits is a number.
    unsafe { std::mem::transmute(vector) }
}

/// Turns eight rows of eight words into columns.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn transposed(rows: [__m256i; 8]) -> [__m256i; 8] {
    let [a, b, c, d] = quarters([rows[0], rows[1], rows[2], rows[3]]);
    let [e, f, g, h] = quarters([rows[4], rows[5], rows[6], rows[7]]);
    [
        _mm256_permute2x128_si256::<0x20>(a, e),
        _mm256_permute2x128_si256::<0x20>(b, f),
        _mm256_permute2x128_si256::<0x20>(c, g),
        _mm256_permute2x128_si256::<0x20>(d, h),
        _mm256_permute2x128_si256::<0x31>(a, e),
        _mm256_permute2x128_si256::<0x31>(b, f),
        _mm256_permute2x128_si256::<0x31>(c, g),
        _mm256_permute2x128_si256::<0x31>(d, h),
    ]
}

/// Turns four words of four rows, in both halves.
#[inline]
#[target_feature(enable = "avx2")]
fn quarters(rows: [__m256i; 4]) -> [__m256i; 4] {
    let (a, b) = (_mm256_unpacklo_epi32(rows[0], rows[1]), _mm256_unpackhi_epi32(rows[0], rows[1]));
    let (c, d) = (_mm256_unpacklo_epi32(rows[2], rows[3]), _mm256_unpackhi_epi32(rows[2], rows[3]));
    [_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c), _mm256_unpacklo_epi64(b, d), _mm256_unpackhi_epi64(b, d)]
}
