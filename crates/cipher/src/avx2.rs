//! Many records with the instructions of AVX2: a pass makes eight blocks of key streams, four tags go side by side.
//!
//! A full packet is 22 blocks and the one of its one-time key, which fills passes badly; so a pass takes its blocks from
//! whichever records come next, and the keys of the tags are blocks like others.
//!
//! ```text
//!  seal: blocks of records 0, 1, 2 … ─ eight at a time ─► applied; four records complete ─► their tags
//!  open: keys of eight records ─► their tags ─► blocks of the genuine ─ eight at a time ─► applied
//! ```

mod lanes;
mod pass;
mod tags;

use std::arch::x86_64::{__m256i, _mm256_setzero_si256};

use zeroize::Zeroize;

use self::lanes::words;
use self::pass::{Block, KeyStream, LANES, Pass};
use self::tags::{TOGETHER, tags};
use crate::poly1305::OneTimeKey;
use crate::{Record, TAG, equal};

/// Bytes of a block of ChaCha20.
const BLOCK: usize = 64;
/// One-time keys that wait for the end of their records: of those that a pass touches, and of incomplete fours.
const WAITING: usize = 16;

type Keys = [__m256i; WAITING];

#[target_feature(enable = "avx2,bmi2")]
pub(crate) fn seal(records: &mut [Record<'_>]) {
    let (mut pass, mut keys, mut tagged) = (Pass::new(), [_mm256_setzero_si256(); WAITING], 0);
    for record in 0..records.len() {
        for number in 0..=blocks(records[record].data) {
            if pass.push(Block { record, number }) {
                encrypt(&mut pass, records, &mut keys);
            }
        }
        let complete = pass.blocks().first().map_or(record + 1, |block| block.record);
        while complete - tagged >= TOGETHER {
            set_tags(&mut records[tagged..tagged + TOGETHER], &keys, tagged);
            tagged += TOGETHER;
        }
    }
    encrypt(&mut pass, records, &mut keys);
    while tagged < records.len() {
        let end = records.len().min(tagged + TOGETHER);
        set_tags(&mut records[tagged..end], &keys, tagged);
        tagged = end;
    }
    keys.zeroize();
}

/// Makes the blocks of `pass`, keeps those that are keys, and applies the others.
#[target_feature(enable = "avx2,bmi2")]
fn encrypt(pass: &mut Pass, records: &mut [Record<'_>], keys: &mut Keys) {
    let stream = KeyStream::of(pass.blocks(), records);
    for (lane, block) in pass.blocks().iter().enumerate() {
        if block.number == 0 {
            keys[block.record % WAITING] = stream.key(lane);
        } else {
            apply(&stream, lane, *block, records);
        }
    }
    pass.clear();
}

/// Sets the tags of up to four encrypted records, of which the first is the `first` of all.
#[target_feature(enable = "avx2,bmi2")]
fn set_tags(records: &mut [Record<'_>], keys: &Keys, first: usize) {
    let keys = std::array::from_fn(|at| OneTimeKey::new(words(keys[(first + at) % WAITING])));
    let tags = tags_of(records, &keys);
    for (record, tag) in records.iter_mut().zip(tags) {
        record.tag = tag;
    }
}

#[target_feature(enable = "avx2,bmi2")]
fn tags_of(records: &[Record<'_>], keys: &[OneTimeKey; TOGETHER]) -> [[u8; TAG]; TOGETHER] {
    let mut messages: [&[u8]; TOGETHER] = [&[]; TOGETHER];
    for (message, record) in messages.iter_mut().zip(records) {
        *message = record.data;
    }
    tags(keys, messages)
}

#[target_feature(enable = "avx2,bmi2")]
pub(crate) fn open(records: &mut [Record<'_>]) {
    let mut pass = Pass::new();
    for first in (0..records.len()).step_by(LANES) {
        let count = LANES.min(records.len() - first);
        let mut made = check(records, first, count);
        for record in first..first + count {
            if !records[record].genuine {
                continue;
            }
            for number in made[record - first] + 1..=blocks(records[record].data) {
                if pass.push(Block { record, number }) {
                    decrypt(&mut pass, records);
                }
            }
        }
        made.zeroize();
    }
    decrypt(&mut pass, records);
}

/// Compares the tags of `count` records. Where fewer than eight leave lanes free, their first blocks are made in these and
/// applied to what is genuine; tells how many of each.
#[target_feature(enable = "avx2,bmi2")]
fn check(records: &mut [Record<'_>], first: usize, count: usize) -> [u32; LANES] {
    let (mut pass, mut made) = (Pass::new(), [0; LANES]);
    for record in first..first + count {
        pass.push(Block { record, number: 0 });
    }
    for record in first..first + count {
        while pass.blocks().len() < LANES && made[record - first] < blocks(records[record].data) {
            made[record - first] += 1;
            pass.push(Block { record, number: made[record - first] });
        }
    }
    let stream = KeyStream::of(pass.blocks(), records);
    for four in (0..count).step_by(TOGETHER) {
        let keys = std::array::from_fn(|at| OneTimeKey::new(words(stream.key(four + at))));
        let end = count.min(four + TOGETHER);
        let tags = tags_of(&records[first + four..first + end], &keys);
        for (record, tag) in records[first + four..first + end].iter_mut().zip(tags) {
            record.genuine = equal(&record.tag, &tag);
        }
    }
    for (lane, block) in pass.blocks().iter().enumerate().skip(count) {
        if records[block.record].genuine {
            apply(&stream, lane, *block, records);
        }
    }
    made
}

#[target_feature(enable = "avx2,bmi2")]
fn decrypt(pass: &mut Pass, records: &mut [Record<'_>]) {
    let stream = KeyStream::of(pass.blocks(), records);
    for (lane, block) in pass.blocks().iter().enumerate() {
        apply(&stream, lane, *block, records);
    }
    pass.clear();
}

/// Combines the data at a block with its key stream.
#[target_feature(enable = "avx2,bmi2")]
fn apply(stream: &KeyStream, lane: usize, block: Block, records: &mut [Record<'_>]) {
    stream.apply(lane, &mut records[block.record].data[(block.number as usize - 1) * BLOCK..]);
}

/// Blocks that the data of a record spans.
fn blocks(data: &[u8]) -> u32 {
    data.len().div_ceil(BLOCK) as u32
}
