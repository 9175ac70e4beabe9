//! Poly1305 with 64-bit numbers: a one-time authenticator of one record. Source: RFC 8439, section 2.5.
//!
//! The accumulator is `h[0] + h[1] 2^64 + h[2] 2^128`, smaller than 5 * 2^128 between blocks. The modulus is 2^130 - 5 and
//! `r` has its lowest two bits of `r[1]` clear, so that `2^128 r[1] = 5 (r[1] / 4)`: one multiplication of 130 by 124 bits is
//! four of 64 bits and two small ones. No branch and no address depends on a secret.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::TAG;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;
/// The bits of `r` that are not forced to zero.
const CLAMP: [u64; 2] = [0x0fff_fffc_0fff_ffff, 0x0fff_fffc_0fff_fffc];

/// The key of one tag.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct OneTimeKey {
    r: [u64; 2],
    /// 5/4 of `r[1]`.
    r1_reduced: u64,
    pad: u128,
}

impl OneTimeKey {
    /// The key of these 32 bytes, as words.
    #[inline]
    pub(crate) fn new([r0, r1, pad0, pad1]: [u64; 4]) -> Self {
        let r = [r0 & CLAMP[0], r1 & CLAMP[1]];
        Self { r, r1_reduced: r[1] + (r[1] >> 2), pad: number([pad0, pad1]) }
    }

    /// `r` in limbs of so many bits.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(crate) fn limbs<const LIMBS: usize>(&self, bits: usize) -> [u64; LIMBS] {
        let r = number(self.r);
        std::array::from_fn(|limb| (r >> (bits * limb)) as u64 & ((1 << bits) - 1))
    }

    /// The tag of `message`.
    pub(crate) fn tag(&self, message: &[u8]) -> [u8; TAG] {
        self.finish([0; 3], message, 0)
    }

    /// The tag of `message`, of which the first `absorbed` blocks are already in `h`.
    #[inline]
    pub(crate) fn finish(&self, mut h: [u64; 3], message: &[u8], absorbed: usize) -> [u8; TAG] {
        let (blocks, tail) = message.as_chunks::<BLOCK>();
        for block in blocks.iter().skip(absorbed) {
            h = self.absorb(h, u128::from_le_bytes(*block), 1);
        }
        if !tail.is_empty() {
            let end = 1 << (8 * tail.len());
            h = self.absorb(h, last(message, tail) | end, 0);
        }
        reduced(h).wrapping_add(self.pad).to_le_bytes()
    }

    /// `(h + block + top 2^128) r`, partly reduced.
    #[inline(always)]
    fn absorb(&self, h: [u64; 3], block: u128, top: u64) -> [u64; 3] {
        let ([m0, m1], [r0, r1]) = (words(block), self.r);
        let (h0, carry) = wide(h[0] as u128 + m0 as u128);
        let (h1, carry) = wide(h[1] as u128 + m1 as u128 + carry as u128);
        let h2 = h[2] + carry + top;

        let low = product(h0, r0) + product(h1, self.r1_reduced);
        let middle = product(h0, r1) + product(h1, r0) + u128::from(h2 * self.r1_reduced);
        let (h0, carry) = wide(low);
        let (h1, carry) = wide(middle + u128::from(carry));
        let h2 = h2 * r0 + carry;

        let (h0, carry) = wide(h0 as u128 + u128::from((h2 >> 2) + (h2 & !3)));
        let (h1, carry) = wide(h1 as u128 + u128::from(carry));
        [h0, h1, (h2 & 3) + carry]
    }
}

/// The low 128 bits of `h` modulo 2^130 - 5.
fn reduced(h: [u64; 3]) -> u128 {
    let low = number([h[0], h[1]]);
    let (less, carry) = low.overflowing_add(5);
    let above = h[2] + u64::from(carry) >= 4;
    let mask = u128::from(above).wrapping_neg();
    (less & mask) | (low & !mask)
}

/// The bytes of `tail`, the end of `message`, as a number.
#[inline]
fn last(message: &[u8], tail: &[u8]) -> u128 {
    match message.last_chunk::<BLOCK>() {
        Some(end) => u128::from_le_bytes(*end) >> (8 * (BLOCK - tail.len())),
        None => tail.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte)),
    }
}

/// The number of five limbs of 26 bits, each of which may be a little longer: what [`OneTimeKey::limbs`] takes apart, as
/// [`OneTimeKey::finish`] wants it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
pub(crate) fn whole(limbs: [u64; 5]) -> [u64; 3] {
    let [h0, h1, h2, h3, h4] = limbs.map(u128::from);
    let low = h0 + (h1 << 26) + (h2 << 52);
    let high = (low >> 64) + (h3 << 14) + (h4 << 40);
    [low as u64, high as u64, (high >> 64) as u64]
}

fn number([low, high]: [u64; 2]) -> u128 {
    u128::from(low) | u128::from(high) << 64
}

fn words(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

/// The low word and what is carried.
fn wide(number: u128) -> (u64, u64) {
    (number as u64, (number >> 64) as u64)
}

fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

#[cfg(test)]
mod tests {
    use poly1305::Poly1305;
    use poly1305::universal_hash::KeyInit;
    use proptest::prelude::*;

    use super::*;

    fn oracle(key: [u8; 32], message: &[u8]) -> [u8; TAG] {
        Poly1305::new(&key.into()).compute_unpadded(message).into()
    }

    fn ours(key: [u8; 32], message: &[u8]) -> [u8; TAG] {
        let (words, _) = key.as_chunks::<8>();
        OneTimeKey::new(std::array::from_fn(|at| u64::from_le_bytes(words[at]))).tag(message)
    }

    #[test]
    fn the_example_of_rfc_8439_has_its_tag() {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&0x85d6_be78_5755_6d33_7f44_52fe_42d5_06a8_u128.to_be_bytes());
        key[16..].copy_from_slice(&0x0103_808a_fb0d_b2fd_4abf_f6af_4149_f51b_u128.to_be_bytes());
        let tag = ours(key, b"Cryptographic Forum Research Group");
        assert_eq!(u128::from_be_bytes(tag), 0xa806_1dc1_3051_36c6_c22b_8baf_0c01_27a9);
    }

    #[test]
    fn messages_and_keys_of_all_ones_carry_everywhere() {
        for len in 0..200 {
            for (fill, key) in [(255, [255; 32]), (255, [2; 32]), (0, [255; 32]), (251, [0; 32])] {
                let message = vec![fill; len];
                assert_eq!(ours(key, &message), oracle(key, &message), "{len} of {fill}");
            }
        }
    }

    /// With `r` = 1, `h` is the sum of the blocks: the last reduction meets every case.
    #[test]
    fn sums_around_the_modulus_are_reduced() {
        let mut key = [0; 32];
        key[0] = 1;
        for last in 0..=255 {
            let mut message = [255; 48];
            message[32] = last;
            message[33..].fill(255);
            assert_eq!(ours(key, &message), oracle(key, &message), "{last}");
            message[..16].fill(0);
            message[0] = last;
            assert_eq!(ours(key, &message), oracle(key, &message), "{last}");
        }
    }

    proptest! {
        #[test]
        fn every_message_has_the_tag_of_the_crate(key: [u8; 32], message in prop::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_eq!(ours(key, &message), oracle(key, &message));
        }
    }
}
