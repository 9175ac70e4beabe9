//! With the instructions of AVX-512: sixteen blocks of key streams in a pass, eight tags side by side, or twice as many.

pub(crate) mod lanes;
mod pass;
mod tags;

use crate::many::{Block, KeyStreams, Vectors};
use crate::poly1305::OneTimeKey;
use crate::{Record, TAG};

/// Blocks of a pass.
pub(crate) const LANES: usize = 16;
/// Tags made side by side.
pub(crate) const TOGETHER: usize = 8;
/// The same with two vectors of each, where there is enough to do.
pub(crate) const DOUBLE_LANES: usize = 2 * LANES;
pub(crate) const DOUBLE_TOGETHER: usize = 2 * TOGETHER;
/// From so many records on there is.
pub(crate) const MANY: usize = 12;

/// Shows that this processor has AVX-512 with multiplication of 52 bits (F, BW and IFMA), and BMI2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn new() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("bmi2");
        all.then_some(Self(()))
    }
}

impl Vectors<LANES, TOGETHER> for Avx512 {
    fn key_streams(self, blocks: &[Block], records: &[Record<'_>], streams: &mut KeyStreams<LANES>) {
        // SAFETY: there is such a value only on a processor with the instructions.
        unsafe { pass::key_streams(blocks, records, &mut streams.0) }
    }

    fn apply(self, blocks: &[Block], streams: &KeyStreams<LANES>, records: &mut [Record<'_>]) {
        // SAFETY: as above.
        unsafe { pass::apply(blocks, &streams.0, records) }
    }

    fn tags(self, keys: &[OneTimeKey; TOGETHER], messages: [&[u8]; TOGETHER]) -> [[u8; TAG]; TOGETHER] {
        // SAFETY: as above.
        unsafe { tags::eight(keys, messages) }
    }
}

/// Two vectors side by side: while one waits for what it has just computed, the other goes on.
#[derive(Clone, Copy)]
pub(crate) struct Double(pub(crate) Avx512);

impl Vectors<DOUBLE_LANES, DOUBLE_TOGETHER> for Double {
    fn key_streams(self, blocks: &[Block], records: &[Record<'_>], streams: &mut KeyStreams<DOUBLE_LANES>) {
        // SAFETY: there is an `Avx512` only on a processor with the instructions.
        unsafe { pass::key_streams(blocks, records, &mut streams.0) }
    }

    fn apply(self, blocks: &[Block], streams: &KeyStreams<DOUBLE_LANES>, records: &mut [Record<'_>]) {
        // SAFETY: as above.
        unsafe { pass::apply(blocks, &streams.0, records) }
    }

    fn tags(
        self,
        keys: &[OneTimeKey; DOUBLE_TOGETHER],
        messages: [&[u8]; DOUBLE_TOGETHER],
    ) -> [[u8; TAG]; DOUBLE_TOGETHER] {
        // SAFETY: as above.
        unsafe { tags::sixteen(keys, messages) }
    }
}
