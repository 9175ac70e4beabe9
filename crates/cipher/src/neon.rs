//! With the instructions of NEON: four blocks of key streams in a pass, four tags side by side.

mod lanes;
mod pass;
mod tags;

use std::arch::is_aarch64_feature_detected;

use crate::many::{Block, KeyStreams, Vectors};
use crate::poly1305::OneTimeKey;
use crate::{Record, TAG};

/// Blocks of a pass: their state is 16 of 32 registers, so that a second one beside it would be kept in memory.
pub(crate) const LANES: usize = 4;
/// Tags made side by side.
pub(crate) const TOGETHER: usize = 4;

/// Shows that this processor has NEON, and numbers with their lowest byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn new() -> Option<Self> {
        (cfg!(target_endian = "little") && is_aarch64_feature_detected!("neon")).then_some(Self(()))
    }
}

impl Vectors<LANES, TOGETHER> for Neon {
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
