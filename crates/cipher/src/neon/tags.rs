//! Four tags at once. Source: RFC 8439, section 2.5.
//!
//! The accumulators are five limbs of 26 bits, one message in each lane of 32 bits; products are of 64 bits, so they take two
//! vectors: the lower two messages and the upper two. Between blocks the limbs are below 2^26 + 2^12, and the products of a
//! block below 2^58. Every lane has its own key, so no powers of it are needed.

use std::arch::aarch64::{
    uint32x4_t, uint64x2_t, vaddq_u32, vaddq_u64, vandq_u32, vandq_u64, vdupq_n_u32, vdupq_n_u64, vget_low_u32,
    vmull_high_u32, vmull_u32, vorrq_u32, vreinterpretq_u32_u64, vshlq_n_u32, vshlq_n_u64, vshrq_n_u32, vshrq_n_u64,
    vsliq_n_u32, vuzp1q_u32,
};

use super::TOGETHER;
use super::lanes::{four, load, transposed, words};
use crate::TAG;
use crate::poly1305::{BLOCK, OneTimeKey, whole};
use crate::runs;

/// A limb's bits.
const LIMB: u32 = (1 << 26) - 1;

/// Numbers of 64 bits: of the lower two messages and the upper two.
type Products = [uint64x2_t; 2];

/// The tags of four messages.
#[target_feature(enable = "neon")]
pub(super) fn tags(keys: &[OneTimeKey; TOGETHER], messages: [&[u8]; TOGETHER]) -> [[u8; TAG]; TOGETHER] {
    let absorb = |lanes: &mut Lanes, blocks: [&[[u8; BLOCK]]; TOGETHER]| {
        lanes.absorb(blocks);
        lanes.sums()
    };
    runs::tags(keys, messages, || Lanes::new(keys), absorb)
}

/// Four accumulators and their factors.
struct Lanes {
    h: [uint32x4_t; 5],
    r: [uint32x4_t; 5],
    /// Five times the limbs of `r` from the second on: what wraps around the modulus.
    wrapped: [uint32x4_t; 4],
}

impl Lanes {
    #[target_feature(enable = "neon")]
    fn new(keys: &[OneTimeKey; TOGETHER]) -> Self {
        let zero = vdupq_n_u32(0);
        let limbs: [[u64; 5]; TOGETHER] = [keys[0].limbs(26), keys[1].limbs(26), keys[2].limbs(26), keys[3].limbs(26)];
        let (mut r, mut wrapped) = ([zero; 5], [zero; 4]);
        for limb in 0..5 {
            r[limb] = four([limbs[0][limb], limbs[1][limb], limbs[2][limb], limbs[3][limb]].map(|limb| limb as u32));
        }
        for limb in 0..4 {
            wrapped[limb] = vaddq_u32(r[limb + 1], vshlq_n_u32::<2>(r[limb + 1]));
        }
        Self { h: [zero; 5], r, wrapped }
    }

    /// Absorbs as many blocks of each message: all four have the same length.
    #[target_feature(enable = "neon")]
    fn absorb(&mut self, messages: [&[[u8; BLOCK]]; TOGETHER]) {
        let (mut h, r, s) = (self.h, self.r, self.wrapped);
        let [first, second, third, fourth] = messages;
        for (((a, b), c), d) in first.iter().zip(second).zip(third).zip(fourth) {
            let m = limbs_of([a, b, c, d]);
            for limb in 0..5 {
                h[limb] = vaddq_u32(h[limb], m[limb]);
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
    #[target_feature(enable = "neon")]
    fn sums(&self) -> [[u64; 3]; TOGETHER] {
        let [h0, h1, h2, h3, h4] = self.h;
        let limbs = [words(h0), words(h1), words(h2), words(h3), words(h4)];
        std::array::from_fn(|lane| whole(limbs.map(|limb| u64::from(limb[lane]))))
    }
}

/// One block of each message, in limbs, with the bit above.
#[inline]
#[target_feature(enable = "neon")]
fn limbs_of([a, b, c, d]: [&[u8; BLOCK]; TOGETHER]) -> [uint32x4_t; 5] {
    let [w0, w1, w2, w3] = transposed([load(a), load(b), load(c), load(d)]);
    let mask = vdupq_n_u32(LIMB);
    [
        vandq_u32(w0, mask),
        vandq_u32(vsliq_n_u32::<6>(vshrq_n_u32::<26>(w0), w1), mask),
        vandq_u32(vsliq_n_u32::<12>(vshrq_n_u32::<20>(w1), w2), mask),
        vandq_u32(vsliq_n_u32::<18>(vshrq_n_u32::<14>(w2), w3), mask),
        vorrq_u32(vshrq_n_u32::<8>(w3), vdupq_n_u32(1 << 24)),
    ]
}

/// Brings the products back to limbs, in two chains side by side.
#[inline]
#[target_feature(enable = "neon")]
fn carried([d0, d1, d2, d3, d4]: [Products; 5]) -> [uint32x4_t; 5] {
    let (d1, d4) = (add(d1, above(d0)), add(d4, above(d3)));
    let (h0, h3) = (below(d0), below(d3));
    let (d2, h0) = (add(d2, above(d1)), add(h0, times_5(above(d4))));
    let (h1, h4) = (below(d1), below(d4));
    let (h3, h1) = (add(h3, above(d2)), add(h1, above(h0)));
    let (h2, h0) = (below(d2), below(h0));
    let h4 = add(h4, above(h3));
    [joined(h0), joined(h1), joined(h2), joined(below(h3)), joined(h4)]
}

/// What is carried into the next limb.
#[inline]
#[target_feature(enable = "neon")]
fn above([lower, upper]: Products) -> Products {
    [vshrq_n_u64::<26>(lower), vshrq_n_u64::<26>(upper)]
}

/// What stays in the limb.
#[inline]
#[target_feature(enable = "neon")]
fn below([lower, upper]: Products) -> Products {
    let mask = vdupq_n_u64(u64::from(LIMB));
    [vandq_u64(lower, mask), vandq_u64(upper, mask)]
}

#[inline]
#[target_feature(enable = "neon")]
fn times_5(x: Products) -> Products {
    add(x, [vshlq_n_u64::<2>(x[0]), vshlq_n_u64::<2>(x[1])])
}

/// One after the other, as the instruction does that multiplies and adds.
#[inline]
#[target_feature(enable = "neon")]
fn sum([a, b, c, d, e]: [Products; 5]) -> Products {
    add(add(add(add(a, b), c), d), e)
}

#[inline]
#[target_feature(enable = "neon")]
fn add([a, b]: Products, [c, d]: Products) -> Products {
    [vaddq_u64(a, c), vaddq_u64(b, d)]
}

#[inline]
#[target_feature(enable = "neon")]
fn mul(a: uint32x4_t, b: uint32x4_t) -> Products {
    [vmull_u32(vget_low_u32(a), vget_low_u32(b)), vmull_high_u32(a, b)]
}

/// The limbs of all four messages, each of which fits in 32 bits.
#[inline]
#[target_feature(enable = "neon")]
fn joined([lower, upper]: Products) -> uint32x4_t {
    vuzp1q_u32(vreinterpretq_u32_u64(lower), vreinterpretq_u32_u64(upper))
}
