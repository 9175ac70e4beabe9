//! AES-256-GCM with vectors of four blocks (VAES and VPCLMULQDQ of AVX-512). Source: NIST SP 800-38D, RFC 8452 appendix A.
//!
//! A record of a packet is so short that a library spends a third of its time before the first block and after the last one.
//! Here a step takes up to 512 bytes: the blocks of the counter go side by side, and the hash of the encrypted bytes is a sum
//! of products with powers of its key, which is reduced once a step.
//!
//! ```text
//!   blocks      0 … 31        32 … 63       64 … 87 and the length
//!   times    H^32 … H^1    H^32 … H^1    H^25 …        H^1
//!            └─ reduced ─► + block 32 ─► reduced ─► + block 64
//! ```
//!
//! The hash is that of RFC 8452 with its blocks turned: there a product is reduced by two multiplications.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aeskeygenassist_si128, _mm_clmulepi64_si128,
    _mm_loadu_si128, _mm_set_epi64x, _mm_set1_epi32, _mm_set1_epi64x, _mm_setzero_si128, _mm_shuffle_epi32,
    _mm_slli_si128, _mm_srli_si128, _mm_storeu_si128, _mm_xor_si128, _mm512_add_epi32, _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128, _mm512_broadcast_i32x4, _mm512_clmulepi64_epi128, _mm512_extracti32x4_epi32,
    _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_maskz_mov_epi8, _mm512_set_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_xor_si512,
    _mm512_zextsi128_si512,
};
use std::sync::Arc;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::avx512::lanes;
use crate::{TAG, equal};

/// Bytes of a block of AES.
const BLOCK: usize = 16;
/// Bytes of a vector.
const VECTOR: usize = 64;
/// Vectors of a step.
const VECTORS: usize = 8;
/// Bytes of a step.
const STEP: usize = VECTORS * VECTOR;
/// Rounds of AES-256.
const ROUNDS: usize = 14;
/// The highest power of the hash's key: a step and the length.
const POWERS: usize = STEP / BLOCK + 1;
/// Zeros behind the last power, for the vector that ends behind it.
const PADDING: usize = 3;
/// The field's polynomial, without its highest and its lowest bit, as a word.
const POLYNOMIAL: i64 = 0xc200_0000_0000_0000_u64.cast_signed();
/// The three-way exclusive or.
const XOR3: i32 = 0x96;

/// Shows that this processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide(());

impl Wide {
    pub(super) fn new() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("vpclmulqdq");
        all.then_some(Self(()))
    }
}

/// A key with all that is made of it, wiped when dropped. There is one only on a processor with the instructions.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Key {
    rounds: [[u8; BLOCK]; ROUNDS + 1],
    /// From the highest to the first, and zeros.
    powers: [[u8; BLOCK]; POWERS + PADDING],
}

impl Key {
    /// It is made where it stays, so that no copy is left anywhere.
    pub(super) fn new(_: Wide, bytes: &[u8; 32]) -> Arc<Self> {
        let empty = Self { rounds: [[0; BLOCK]; ROUNDS + 1], powers: [[0; BLOCK]; POWERS + PADDING] };
        let mut key = Arc::new(empty);
        if let Some(key) = Arc::get_mut(&mut key) {
            // SAFETY: `Wide` shows that the instructions are there.
            unsafe { expand(bytes, key) }
        }
        key
    }

    /// Encrypts `data` in place as record `number`; returns the tag.
    pub(super) fn seal(&self, number: u32, data: &mut [u8]) -> [u8; TAG] {
        // SAFETY: there is such a key only on a processor with the instructions.
        unsafe { crypt::<true, false>(self, number, &[], data) }
    }

    /// Makes `sealed`, which is as long, the encrypted bytes of `data` as record `number`; returns the tag.
    pub(super) fn seal_copy(&self, number: u32, data: &[u8], sealed: &mut [u8]) -> [u8; TAG] {
        // SAFETY: as above.
        unsafe { crypt::<true, true>(self, number, data, sealed) }
    }

    /// Decrypts `data` in place; tells whether `tag` shows that it was record `number`.
    pub(super) fn open(&self, number: u32, data: &mut [u8], tag: &[u8; TAG]) -> bool {
        // SAFETY: as above.
        equal(&unsafe { crypt::<false, false>(self, number, &[], data) }, tag)
    }
}

/// Makes the round keys (FIPS 197, 5.2) and the powers of the hash's key.
#[target_feature(enable = "aes,pclmulqdq")]
fn expand(bytes: &[u8; 32], expanded: &mut Key) {
    expanded.rounds.as_flattened_mut()[..bytes.len()].copy_from_slice(bytes);
    for round in 2..=ROUNDS {
        let [far, near] = [round - 2, round - 1].map(|before| load(&expanded.rounds[before]));
        let changed = _mm_aeskeygenassist_si128::<0>(near);
        let last = if round % 2 == 0 {
            _mm_xor_si128(_mm_shuffle_epi32::<0xff>(changed), _mm_set1_epi32(1 << (round / 2 - 1)))
        } else {
            _mm_shuffle_epi32::<0xaa>(changed)
        };
        store(&mut expanded.rounds[round], _mm_xor_si128(spread(far), last));
    }
    let hash_key = u128::from_be_bytes(self::bytes(encrypt_one(expanded, [0; BLOCK])));
    let carry = (hash_key.cast_signed() >> 127).cast_unsigned();
    let first = load(&((hash_key << 1) ^ (carry & ((0xc2 << 120) | 1))).to_le_bytes());
    let mut power = first;
    for place in expanded.powers[..POWERS].iter_mut().rev() {
        store(place, power);
        power = product(power, first).reduced();
    }
}

/// Each word with all before it added.
#[inline]
#[target_feature(enable = "aes")]
fn spread(words: __m128i) -> __m128i {
    let twice = _mm_xor_si128(words, _mm_slli_si128::<4>(words));
    _mm_xor_si128(twice, _mm_slli_si128::<8>(twice))
}

/// Encrypts or decrypts the data of a record in place, or from `source` if it `COPIES`; returns its tag.
#[target_feature(enable = "avx512f,avx512bw,aes,pclmulqdq,vaes,vpclmulqdq")]
fn crypt<const SEALS: bool, const COPIES: bool>(key: &Key, number: u32, source: &[u8], data: &mut [u8]) -> [u8; TAG] {
    let mut first = [0; BLOCK];
    first[8..12].copy_from_slice(&number.to_be_bytes());
    first[15] = 1;
    let mask = encrypt_one(key, first);
    let length = 8 * data.len() as u64;
    let mut pass = Pass::new(key, number);
    let (steps, last) = data.split_at_mut(data.len().saturating_sub(1) / STEP * STEP);
    let mut rest = source;
    for step in steps.chunks_exact_mut(STEP) {
        let (part, behind) = rest.split_at(if COPIES { STEP } else { 0 });
        pass.step::<SEALS, COPIES, VECTORS>(part, step, None);
        rest = behind;
    }
    match last.len().div_ceil(VECTOR) {
        0 => pass.step::<SEALS, COPIES, 0>(rest, last, Some(length)),
        1 => pass.step::<SEALS, COPIES, 1>(rest, last, Some(length)),
        2 => pass.step::<SEALS, COPIES, 2>(rest, last, Some(length)),
        3 => pass.step::<SEALS, COPIES, 3>(rest, last, Some(length)),
        4 => pass.step::<SEALS, COPIES, 4>(rest, last, Some(length)),
        5 => pass.step::<SEALS, COPIES, 5>(rest, last, Some(length)),
        6 => pass.step::<SEALS, COPIES, 6>(rest, last, Some(length)),
        7 => pass.step::<SEALS, COPIES, 7>(rest, last, Some(length)),
        _ => pass.step::<SEALS, COPIES, VECTORS>(rest, last, Some(length)),
    }
    let sum = u128::from_le_bytes(bytes(pass.sum)).to_be_bytes();
    bytes(_mm_xor_si128(load(&sum), mask))
}

/// One record on its way.
struct Pass<'a> {
    key: &'a Key,
    /// The next four blocks of the counter, their last words not yet turned.
    counter: __m512i,
    /// The hash of what is behind.
    sum: __m128i,
}

impl<'a> Pass<'a> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(key: &'a Key, number: u32) -> Self {
        let word = number.swap_bytes().cast_signed();
        let counter = _mm512_set_epi32(5, word, 0, 0, 4, word, 0, 0, 3, word, 0, 0, 2, word, 0, 0);
        Self { key, counter, sum: _mm_setzero_si128() }
    }

    /// Works so many vectors of data, the last of which may be shorter; with the `length` of all data in bits, they are the last.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,aes,pclmulqdq,vaes,vpclmulqdq")]
    fn step<const SEALS: bool, const COPIES: bool, const COUNT: usize>(
        &mut self,
        source: &[u8],
        data: &mut [u8],
        length: Option<u64>,
    ) {
        let streams = self.streams::<COUNT>();
        let blocks = data.len().div_ceil(BLOCK) + usize::from(length.is_some());
        let powers = &self.key.powers[POWERS - blocks..];
        let mut sums = [_mm512_setzero_si512(); 3];
        let mut before = _mm512_zextsi128_si512(self.sum);
        for (at, (stream, part)) in streams.iter().zip(data.chunks_mut(VECTOR)).enumerate() {
            // A closure would not have the instructions.
            let from = if COPIES { Some(&source[VECTOR * at..][..part.len()]) } else { None };
            let (input, output) = combine(from, part, *stream);
            let sealed = turned(if SEALS { output } else { input });
            add_product(&mut sums, _mm512_xor_si512(sealed, before), lanes::load(&powers[4 * at..][..VECTOR / BLOCK]));
            before = _mm512_setzero_si512();
        }
        let mut sum = Product(sums.map(|sum| folded(sum)));
        if let Some(length) = length {
            let first = load(&self.key.powers[POWERS - 1]);
            sum = sum.plus(product(load(&u128::from(length).to_le_bytes()), first));
        }
        self.sum = sum.reduced();
    }

    /// The key streams of the next vectors.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    fn streams<const COUNT: usize>(&mut self) -> [__m512i; COUNT] {
        let mut streams = [_mm512_setzero_si512(); COUNT];
        let four = _mm512_set_epi32(4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0);
        let key = four_times(&self.key.rounds[0]);
        for stream in &mut streams {
            *stream = _mm512_xor_si512(counter_turned(self.counter), key);
            self.counter = _mm512_add_epi32(self.counter, four);
        }
        for round in &self.key.rounds[1..ROUNDS] {
            let key = four_times(round);
            for stream in &mut streams {
                *stream = _mm512_aesenc_epi128(*stream, key);
            }
        }
        let key = four_times(&self.key.rounds[ROUNDS]);
        streams.map(|stream| _mm512_aesenclast_epi128(stream, key))
    }
}

/// A product of two blocks that is not reduced: its lower, middle and upper half, each of which overlaps the next.
#[derive(Clone, Copy)]
struct Product([__m128i; 3]);

impl Product {
    #[inline]
    #[target_feature(enable = "sse2")]
    fn plus(self, other: Self) -> Self {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        Self([_mm_xor_si128(a, d), _mm_xor_si128(b, e), _mm_xor_si128(c, f)])
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    fn reduced(self) -> __m128i {
        let [low, middle, high] = self.0;
        let polynomial = _mm_set1_epi64x(POLYNOMIAL);
        let mut low = _mm_xor_si128(low, _mm_slli_si128::<8>(middle));
        for _ in 0..2 {
            let carried = _mm_clmulepi64_si128::<0x00>(low, polynomial);
            low = _mm_xor_si128(_mm_shuffle_epi32::<0x4e>(low), carried);
        }
        _mm_xor_si128(low, _mm_xor_si128(high, _mm_srli_si128::<8>(middle)))
    }
}

#[inline]
#[target_feature(enable = "pclmulqdq")]
fn product(a: __m128i, b: __m128i) -> Product {
    let (one, other) = (_mm_clmulepi64_si128::<0x01>(a, b), _mm_clmulepi64_si128::<0x10>(a, b));
    Product([_mm_clmulepi64_si128::<0x00>(a, b), _mm_xor_si128(one, other), _mm_clmulepi64_si128::<0x11>(a, b)])
}

/// Combines up to four blocks with their key stream, in place or `from` as many bytes elsewhere; returns what they were and are,
/// with zeros behind the end.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn combine(from: Option<&[u8]>, part: &mut [u8], stream: __m512i) -> (__m512i, __m512i) {
    let bytes = part.as_mut_ptr();
    let source = match from {
        Some(from) => from[..part.len()].as_ptr(),
        None => bytes.cast_const(),
    };
    if part.len() == VECTOR {
        // SAFETY: `part` and what stands for it are good for reading 64 bytes, and any alignment will do.
        let input = unsafe { _mm512_loadu_si512(source.cast()) };
        let output = _mm512_xor_si512(input, stream);
        // SAFETY: `part` is good for writing 64 bytes, and any alignment will do.
        unsafe { _mm512_storeu_si512(bytes.cast(), output) };
        return (input, output);
    }
    let mask = u64::MAX >> (VECTOR - part.len());
    // SAFETY: only as many bytes are read as `part` has, and what stands for it; any alignment will do.
    let input = unsafe { _mm512_maskz_loadu_epi8(mask, source.cast()) };
    let output = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(input, stream));
    // SAFETY: of `part` only the bytes that it has are written, and any alignment will do.
    unsafe { _mm512_mask_storeu_epi8(bytes.cast(), mask, output) };
    (input, output)
}

/// Adds the products of four blocks to sums of lower, middle and upper halves.
#[inline]
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn add_product([low, middle, high]: &mut [__m512i; 3], a: __m512i, b: __m512i) {
    *low = _mm512_xor_si512(*low, _mm512_clmulepi64_epi128::<0x00>(a, b));
    let (one, other) = (_mm512_clmulepi64_epi128::<0x01>(a, b), _mm512_clmulepi64_epi128::<0x10>(a, b));
    *middle = _mm512_ternarylogic_epi64::<XOR3>(*middle, one, other);
    *high = _mm512_xor_si512(*high, _mm512_clmulepi64_epi128::<0x11>(a, b));
}

/// The sum of the four blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn folded(blocks: __m512i) -> __m128i {
    let a = _mm_xor_si128(_mm512_extracti32x4_epi32::<0>(blocks), _mm512_extracti32x4_epi32::<1>(blocks));
    let b = _mm_xor_si128(_mm512_extracti32x4_epi32::<2>(blocks), _mm512_extracti32x4_epi32::<3>(blocks));
    _mm_xor_si128(a, b)
}

/// Four blocks, their bytes in the other order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn turned(blocks: __m512i) -> __m512i {
    let order = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order))
}

/// Four blocks, the bytes of their last words in the other order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn counter_turned(blocks: __m512i) -> __m512i {
    let order = _mm_set_epi64x(0x0c0d_0e0f_0b0a_0908, 0x0706_0504_0302_0100);
    _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order))
}

#[inline]
#[target_feature(enable = "aes")]
fn encrypt_one(key: &Key, block: [u8; BLOCK]) -> __m128i {
    let mut state = _mm_xor_si128(load(&block), load(&key.rounds[0]));
    for round in &key.rounds[1..ROUNDS] {
        state = _mm_aesenc_si128(state, load(round));
    }
    _mm_aesenclast_si128(state, load(&key.rounds[ROUNDS]))
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(block: &[u8; BLOCK]) -> __m128i {
    // SAFETY: the reference is good for reading 16 bytes, and the instruction takes any alignment.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(block: &mut [u8; BLOCK], vector: __m128i) {
    // SAFETY: the reference is good for writing 16 bytes, and the instruction takes any alignment.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn bytes(vector: __m128i) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    store(&mut bytes, vector);
    bytes
}

/// A vector of one block only.
#[inline]
#[target_feature(enable = "avx512f")]
fn four_times(block: &[u8; BLOCK]) -> __m512i {
    _mm512_broadcast_i32x4(load(block))
}
