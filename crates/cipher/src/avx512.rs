//! With the instructions of AVX-512: sixteen blocks of key streams in a pass, eight tags side by side.

mod lanes;
mod pass;
mod tags;

use crate::many::{Block, KeyStreams, Vectors};
use crate::poly1305::OneTimeKey;
use crate::{Record, TAG};

/// Blocks of a pass.
pub(crate) const LANES: usize = 16;
/// Tags made side by side.
pub(crate) const TOGETHER: usize = 8;

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
        unsafe { pass::key_streams(blocks, records, streams) }
    }

    fn apply(self, blocks: &[Block], streams: &KeyStreams<LANES>, records: &mut [Record<'_>]) {
        // SAFETY: as above.
        unsafe { pass::apply(blocks, streams, records) }
    }

    fn tags(self, keys: &[OneTimeKey; TOGETHER], messages: [&[u8]; TOGETHER]) -> [[u8; TAG]; TOGETHER] {
        // SAFETY: as above.
        unsafe { tags::tags(keys, messages) }
    }
}
