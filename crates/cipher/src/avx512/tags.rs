//! Eight tags at once, one in each lane of 64 bits, or twice as many. Source: RFC 8439, section 2.5.
//!
//! The accumulators are three limbs of 44, 44 and 42 bits; the multiplier takes 52 bits of both and gives the low or the high
//! 52 bits of the product, added up in 64. Between blocks the lowest limb is below 2^50, the others below 2^45. Every lane has
//! its own key, so no powers of it are needed.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_or_si512,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use super::lanes::{load, quarters_turned, store};
use super::{DOUBLE_TOGETHER, TOGETHER};
use crate::TAG;
use crate::poly1305::{BLOCK, OneTimeKey};
use crate::runs;

/// A limb's bits, but for the highest.
const BITS: u32 = 44;
const LIMB: i64 = (1 << BITS) - 1;
/// The highest limb.
const TOP: i64 = (1 << 42) - 1;
/// Blocks of a message that one vector holds.
const AT_ONCE: usize = 4;

/// The tags of eight messages.
#[target_feature(enable = "avx512f,avx512ifma,bmi2")]
pub(super) fn eight(keys: &[OneTimeKey; TOGETHER], messages: [&[u8]; TOGETHER]) -> [[u8; TAG]; TOGETHER] {
    let absorb = |lanes: &mut Lanes, blocks: [&[[u8; BLOCK]]; TOGETHER]| {
        lanes.absorb(&blocks);
        lanes.sums()
    };
    runs::tags(keys, messages, || Lanes::new(keys), absorb)
}

/// The tags of sixteen messages. While a block of one half waits for its products, the other half goes on.
#[target_feature(enable = "avx512f,avx512ifma,bmi2")]
pub(super) fn sixteen(
    keys: &[OneTimeKey; DOUBLE_TOGETHER],
    messages: [&[u8]; DOUBLE_TOGETHER],
) -> [[u8; TAG]; DOUBLE_TOGETHER] {
    let start = || {
        let (first, second) = keys.split_at(TOGETHER);
        [Lanes::new(first), Lanes::new(second)]
    };
    let absorb = |halves: &mut [Lanes; 2], blocks: [&[[u8; BLOCK]]; DOUBLE_TOGETHER]| {
        absorb_both(halves, &blocks);
        let [one, other] = [halves[0].sums(), halves[1].sums()];
        std::array::from_fn(|at| if at < TOGETHER { one[at] } else { other[at - TOGETHER] })
    };
    runs::tags(keys, messages, start, absorb)
}

/// Absorbs as many blocks of each message: all sixteen have the same length.
#[target_feature(enable = "avx512f,avx512ifma,bmi2")]
fn absorb_both([first, second]: &mut [Lanes; 2], messages: &[&[[u8; BLOCK]]; DOUBLE_TOGETHER]) {
    let (one, other) = messages.split_at(TOGETHER);
    let groups = messages[0].len() / AT_ONCE;
    for group in 0..groups {
        let (one, other) = (words_of(one, group), words_of(other, group));
        for block in 0..AT_ONCE {
            first.absorb_block(one[2 * block], one[2 * block + 1]);
            second.absorb_block(other[2 * block], other[2 * block + 1]);
        }
    }
    first.absorb_singly(one, groups * AT_ONCE);
    second.absorb_singly(other, groups * AT_ONCE);
}

/// The words of four blocks of each of eight messages: the low and the high ones of the first blocks, of the second …
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,bmi2")]
fn words_of(messages: &[&[[u8; BLOCK]]], group: usize) -> [__m512i; 2 * AT_ONCE] {
    let blocks = |at: usize| &messages[at][group * AT_ONCE..(group + 1) * AT_ONCE];
    transposed(std::array::from_fn(|at| load(blocks(at).as_flattened())))
}

/// Eight accumulators and their factors.
struct Lanes {
    h: [__m512i; 3],
    r: [__m512i; 3],
    /// Twenty times the limbs of `r` from the second on: what wraps around the modulus, 2^132 being 20.
    wrapped: [__m512i; 2],
}

impl Lanes {
    #[target_feature(enable = "avx512f,avx512ifma,bmi2")]
    fn new(keys: &[OneTimeKey]) -> Self {
        let mut limbs = [[0; TOGETHER]; 3];
        for (lane, key) in keys.iter().enumerate() {
            for (limb, bits) in key.limbs::<3>(BITS as usize).into_iter().enumerate() {
                limbs[limb][lane] = bits;
            }
        }
        let r = limbs.map(|limb| load(&limb));
        let twenty = |x| add(_mm512_slli_epi64::<4>(x), _mm512_slli_epi64::<2>(x));
        Self { h: [_mm512_setzero_si512(); 3], r, wrapped: [twenty(r[1]), twenty(r[2])] }
    }

    /// Absorbs as many blocks of each message: all eight have the same length.
    #[target_feature(enable = "avx512f,avx512ifma,bmi2")]
    fn absorb(&mut self, messages: &[&[[u8; BLOCK]]; TOGETHER]) {
        let groups = messages[0].len() / AT_ONCE;
        for group in 0..groups {
            let words = words_of(messages, group);
            for block in 0..AT_ONCE {
                self.absorb_block(words[2 * block], words[2 * block + 1]);
            }
        }
        self.absorb_singly(messages, groups * AT_ONCE);
    }

    /// Absorbs the blocks from the one numbered `first` on, which are not enough to be turned.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,bmi2")]
    fn absorb_singly(&mut self, messages: &[&[[u8; BLOCK]]], first: usize) {
        (first..messages[0].len()).for_each(|block| {
            let words: [u128; TOGETHER] = std::array::from_fn(|at| u128::from_le_bytes(messages[at][block]));
            self.absorb_block(load(&words.map(|word| word as u64)), load(&words.map(|word| (word >> 64) as u64)));
        });
    }

    /// One block of each message, by its words.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,bmi2")]
    fn absorb_block(&mut self, low: __m512i, high: __m512i) {
        let ([r0, r1, r2], [s1, s2]) = (self.r, self.wrapped);
        let limb = _mm512_set1_epi64(LIMB);
        let middle = _mm512_or_si512(_mm512_srli_epi64::<BITS>(low), _mm512_slli_epi64::<20>(high));
        let end = _mm512_or_si512(_mm512_srli_epi64::<24>(high), _mm512_set1_epi64(1 << 40));
        let h0 = add(self.h[0], _mm512_and_si512(low, limb));
        let h1 = add(self.h[1], _mm512_and_si512(middle, limb));
        let h2 = add(self.h[2], end);

        let (low_0, high_0) = product([h0, h1, h2], [r0, s2, s1]);
        let (low_1, high_1) = product([h0, h1, h2], [r1, r0, s2]);
        let (low_2, high_2) = product([h0, h1, h2], [r2, r1, r0]);

        let low_1 = add(low_1, add(_mm512_srli_epi64::<BITS>(low_0), _mm512_slli_epi64::<8>(high_0)));
        let low_2 = add(low_2, add(_mm512_srli_epi64::<BITS>(low_1), _mm512_slli_epi64::<8>(high_1)));
        let above = add(_mm512_srli_epi64::<42>(low_2), _mm512_slli_epi64::<10>(high_2));
        let above = add(above, _mm512_slli_epi64::<2>(above));
        self.h = [
            add(_mm512_and_si512(low_0, limb), above),
            _mm512_and_si512(low_1, limb),
            _mm512_and_si512(low_2, _mm512_set1_epi64(TOP)),
        ];
    }

    /// The accumulators as [`OneTimeKey::finish`] takes them.
    #[target_feature(enable = "avx512f,avx512ifma,bmi2")]
    fn sums(&self) -> [[u64; 3]; TOGETHER] {
        let [h0, h1, h2] = self.h.map(|limb| words(limb));
        std::array::from_fn(|lane| {
            let low = u128::from(h0[lane]) + (u128::from(h1[lane]) << BITS);
            let high = (low >> 64) + (u128::from(h2[lane]) << (2 * BITS - 64));
            [low as u64, high as u64, (high >> 64) as u64]
        })
    }
}

/// The sum of three products, its low and its high 52 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,bmi2")]
fn product(h: [__m512i; 3], by: [__m512i; 3]) -> (__m512i, __m512i) {
    let (mut low, mut high) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    for limb in [2, 1, 0] {
        low = _mm512_madd52lo_epu64(low, h[limb], by[limb]);
        high = _mm512_madd52hi_epu64(high, h[limb], by[limb]);
    }
    (low, high)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,bmi2")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi64(a, b)
}

/// Turns eight rows of eight words into columns.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,bmi2")]
fn transposed(rows: [__m512i; TOGETHER]) -> [__m512i; TOGETHER] {
    let pairs: [[__m512i; 2]; 4] = std::array::from_fn(|at| {
        let (a, b) = (rows[2 * at], rows[2 * at + 1]);
        [_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)]
    });
    let mut columns = [_mm512_setzero_si512(); TOGETHER];
    for at in 0..2 {
        let turned = quarters_turned([pairs[0][at], pairs[1][at], pairs[2][at], pairs[3][at]]);
        for (quarter, column) in turned.into_iter().enumerate() {
            columns[at + 2 * quarter] = column;
        }
    }
    columns
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,bmi2")]
fn words(vector: __m512i) -> [u64; TOGETHER] {
    let mut words = [0; TOGETHER];
    store(&mut words, vector);
    words
}
