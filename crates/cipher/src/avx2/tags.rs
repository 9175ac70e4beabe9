//! Four tags at once, one in each lane of 64 bits. Source: RFC 8439, section 2.5.
//!
//! The accumulators are five limbs of 26 bits, so that products of 32 bits add up in 64: between blocks the limbs are below
//! 2^26 + 2^12, and the products of a block below 2^58. Every lane has its own key, so no powers of it are needed.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_add_epi64, _mm256_and_si256, _mm256_mul_epu32, _mm256_or_si256, _mm256_set_m128i,
    _mm256_set1_epi64x, _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

use super::TOGETHER;
use super::lanes::words;
use crate::TAG;
use crate::poly1305::{BLOCK, OneTimeKey, whole};
use crate::runs;

/// A limb's bits.
const LIMB: u64 = (1 << 26) - 1;

/// The tags of four messages.
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn tags(keys: &[OneTimeKey; TOGETHER], messages: [&[u8]; TOGETHER]) -> [[u8; TAG]; TOGETHER] {
    let absorb = |lanes: &mut Lanes, blocks: [&[[u8; BLOCK]]; TOGETHER]| {
        lanes.absorb(blocks);
        lanes.sums()
    };
    runs::tags(keys, messages, || Lanes::new(keys), absorb)
}

/// Four accumulators and their factors.
struct Lanes {
    h: [__m256i; 5],
    r: [__m256i; 5],
    /// Five times the limbs of `r` from the second on: what wraps around the modulus.
    wrapped: [__m256i; 4],
}

impl Lanes {
    #[target_feature(enable = "avx2,bmi2")]
    fn new(keys: &[OneTimeKey; TOGETHER]) -> Self {
        let zero = _mm256_setzero_si256();
        let limbs: [[u64; 5]; TOGETHER] = [keys[0].limbs(26), keys[1].limbs(26), keys[2].limbs(26), keys[3].limbs(26)];
        let (mut r, mut wrapped) = ([zero; 5], [zero; 4]);
        for limb in 0..5 {
            r[limb] = four([limbs[0][limb], limbs[1][limb], limbs[2][limb], limbs[3][limb]]);
        }
        for limb in 0..4 {
            wrapped[limb] = times_5(r[limb + 1]);
        }
        Self { h: [zero; 5], r, wrapped }
    }

    /// Absorbs as many blocks of each message: all four have the same length.
    #[target_feature(enable = "avx2,bmi2")]
    fn absorb(&mut self, messages: [&[[u8; BLOCK]]; TOGETHER]) {
        let (mut h, r, s) = (self.h, self.r, self.wrapped);
        let [first, second, third, fourth] = messages;
        for (((a, b), c), d) in first.iter().zip(second).zip(third).zip(fourth) {
            let m = limbs_of([a, b, c, d]);
            for limb in 0..5 {
                h[limb] = _mm256_add_epi64(h[limb], m[limb]);
            }
            h = carried([
                sum([mul(h[0], r[0]), mul(h[1], s[3]), mul(h[2], s[2]), mul(h[3], s[1]), mul(h[4], s[0])]),
                sum([mul(h[0], r[1]), mul(h[1], r[0]), mul(h[2], s[3]), mul(h[3], s[2]), mul(h[4], s[1])]),
                sum([mul(h[0], r[2]), mul(h[1], r[1]), mul(h[2], r[0]), mul(h[3], s[3]), mul(h[4], s[2])]),
                sum([mul(h[0], r[3]), mul(h[1], r[2]), mul(h[2], r[1]), mul(h[3], r[0]), mul(h[4], s[3])]),
                sum([mul(h[0], r[4]), mul(h[1], r[3]), mul(h[2], r[2]), mul(h[3], r[1]), mul(h[4], r[0])]),
            ]);
        }
        self.h = h;
    }

    /// The accumulators as [`OneTimeKey::finish`] takes them.
    #[target_feature(enable = "avx2,bmi2")]
    fn sums(&self) -> [[u64; 3]; TOGETHER] {
        let [h0, h1, h2, h3, h4] = self.h;
        let limbs = [words(h0), words(h1), words(h2), words(h3), words(h4)];
        std::array::from_fn(|lane| whole(limbs.map(|limb| limb[lane])))
    }
}

/// One block of each message, in limbs, with the bit above.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn limbs_of(blocks: [&[u8; BLOCK]; TOGETHER]) -> [__m256i; 5] {
    let [a, b, c, d] = blocks;
    let (even, odd) = (two(a, c), two(b, d));
    let (low, high) = (_mm256_unpacklo_epi64(even, odd), _mm256_unpackhi_epi64(even, odd));
    let mask = _mm256_set1_epi64x(LIMB as i64);
    let middle = _mm256_or_si256(_mm256_srli_epi64::<52>(low), _mm256_slli_epi64::<12>(high));
    [
        _mm256_and_si256(low, mask),
        _mm256_and_si256(_mm256_srli_epi64::<26>(low), mask),
        _mm256_and_si256(middle, mask),
        _mm256_and_si256(_mm256_srli_epi64::<14>(high), mask),
        _mm256_or_si256(_mm256_srli_epi64::<40>(high), _mm256_set1_epi64x(1 << 24)),
    ]
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn two(low: &[u8; BLOCK], high: &[u8; BLOCK]) -> __m256i {
    // SAFETY: both references are good for reading 16 bytes, and the instruction takes any alignment.
    let (low, high) = unsafe { (_mm_loadu_si128(low.as_ptr().cast()), _mm_loadu_si128(high.as_ptr().cast())) };
    _mm256_set_m128i(high, low)
}

/// Brings the products back to limbs, in two chains side by side.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn carried([d0, d1, d2, d3, d4]: [__m256i; 5]) -> [__m256i; 5] {
    let mask = _mm256_set1_epi64x(LIMB as i64);
    let (d1, d4) = (add(d1, above(d0)), add(d4, above(d3)));
    let (h0, h3) = (_mm256_and_si256(d0, mask), _mm256_and_si256(d3, mask));
    let (d2, h0) = (add(d2, above(d1)), add(h0, times_5(above(d4))));
    let (h1, h4) = (_mm256_and_si256(d1, mask), _mm256_and_si256(d4, mask));
    let (h3, h1) = (add(h3, above(d2)), add(h1, above(h0)));
    let (h2, h0) = (_mm256_and_si256(d2, mask), _mm256_and_si256(h0, mask));
    let h4 = add(h4, above(h3));
    [h0, h1, h2, _mm256_and_si256(h3, mask), h4]
}

/// What is carried into the next limb.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn above(limb: __m256i) -> __m256i {
    _mm256_srli_epi64::<26>(limb)
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn times_5(x: __m256i) -> __m256i {
    add(x, _mm256_slli_epi64::<2>(x))
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn sum([a, b, c, d, e]: [__m256i; 5]) -> __m256i {
    add(add(add(a, b), add(c, d)), e)
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi64(a, b)
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn mul(a: __m256i, b: __m256i) -> __m256i {
    _mm256_mul_epu32(a, b)
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn four(w: [u64; TOGETHER]) -> __m256i {
    _mm256_setr_epi64x(w[0] as i64, w[1] as i64, w[2] as i64, w[3] as i64)
}
