//! With the instructions of AVX2: eight blocks of key streams in a pass, four tags side by side.

mod lanes;
mod pass;
mod tags;

use crate::many::{Block, KeyStreams, Vectors};
use crate::poly1305::OneTimeKey;
use crate::{Record, TAG};

/// Blocks of a pass.
pub(crate) const LANES: usize = 8;
/// Tags made side by side.
pub(crate) const TOGETHER: usize = 4;

/// Shows that this processor has AVX2 and BMI2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")).then_some(Self(()))
    }
}

impl Vectors<LANES, TOGETHER> for Avx2 {
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
