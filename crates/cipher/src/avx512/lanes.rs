//! Vectors of AVX-512: how they are read and written, and turned.

use std::arch::x86_64::{__m512i, _mm512_loadu_si512, _mm512_shuffle_i64x2, _mm512_storeu_si512};

/// The vector that these 64 bytes are.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn load<T>(parts: &[T]) -> __m512i {
    assert!(size_of_val(parts) == 64, "a vector is 64 bytes");
    // SAFETY: the slice is good for reading 64 bytes, as was just seen, and the instruction takes any alignment.
    unsafe { _mm512_loadu_si512(parts.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store(words: &mut [u64; 8], vector: __m512i) {
    // SAFETY: the reference is good for writing 64 bytes, and the instruction takes any alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}

/// Turns four rows of four quarters into columns.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn quarters_turned([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (low, high) = (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b));
    let (more, most) = (_mm512_shuffle_i64x2::<0x88>(c, d), _mm512_shuffle_i64x2::<0xdd>(c, d));
    [
        _mm512_shuffle_i64x2::<0x88>(low, more),
        _mm512_shuffle_i64x2::<0x88>(high, most),
        _mm512_shuffle_i64x2::<0xdd>(low, more),
        _mm512_shuffle_i64x2::<0xdd>(high, most),
    ]
}
