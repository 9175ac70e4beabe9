//! Many records with vectors: a pass makes several blocks of key streams, and several tags go side by side.
//!
//! A full packet is 22 blocks and the one of its one-time key, which fills passes badly; so a pass takes its blocks from
//! whichever records come next, and the keys of the tags are blocks like others.
//!
//! ```text
//!  seal: blocks of records 0, 1, 2 … ─ a pass at a time ─► applied; enough records complete ─► their tags
//!  open: keys of some records ─► their tags ─► blocks of the genuine ─ a pass at a time ─► applied
//! ```

use zeroize::Zeroize;

use crate::poly1305::OneTimeKey;
use crate::{Record, TAG, equal};

/// Bytes of a block of ChaCha20.
pub(crate) const BLOCK: usize = 64;
/// The first words of a state of ChaCha20: "expand 32-byte k".
pub(crate) const CONSTANTS: [i32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
/// One-time keys that wait for the end of their records: of those that a pass touches, and of incomplete groups.
const WAITING: usize = 64;

/// Instructions that make `LANES` blocks of key streams in one pass, and `TOGETHER` tags side by side.
///
/// A value exists only if this processor has them.
pub(crate) trait Vectors<const LANES: usize, const TOGETHER: usize>: Copy {
    /// Makes the key streams at up to `LANES` blocks.
    fn key_streams(self, blocks: &[Block], records: &[Record<'_>], streams: &mut KeyStreams<LANES>);

    /// Combines the data at each block with its key stream; block 0 has no data.
    fn apply(self, blocks: &[Block], streams: &KeyStreams<LANES>, records: &mut [Record<'_>]);

    /// The tags of as many messages.
    fn tags(self, keys: &[OneTimeKey; TOGETHER], messages: [&[u8]; TOGETHER]) -> [[u8; TAG]; TOGETHER];
}

/// One block of one record's key stream.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// The place of the record among the others.
    pub(crate) record: usize,
    /// Its position: 0 is the one-time key, the data begins at 1.
    pub(crate) number: u32,
}

/// Key streams of a pass, wiped when dropped.
#[repr(align(64))]
pub(crate) struct KeyStreams<const LANES: usize>(pub(crate) [[u64; BLOCK / 8]; LANES]);

impl<const LANES: usize> KeyStreams<LANES> {
    /// The one-time key, if that is what a lane holds.
    fn key(&self, lane: usize) -> [u64; 4] {
        let [a, b, c, d, ..] = self.0[lane];
        [a, b, c, d]
    }
}

impl<const LANES: usize> Drop for KeyStreams<LANES> {
    fn drop(&mut self) {
        self.0.as_flattened_mut().zeroize();
    }
}

/// The blocks that are to be made next, and what was made.
struct Pass<V, const LANES: usize, const TOGETHER: usize> {
    vectors: V,
    blocks: [Block; LANES],
    used: usize,
    streams: KeyStreams<LANES>,
}

impl<V: Vectors<LANES, TOGETHER>, const LANES: usize, const TOGETHER: usize> Pass<V, LANES, TOGETHER> {
    fn new(vectors: V) -> Self {
        let streams = KeyStreams([[0; BLOCK / 8]; LANES]);
        Self { vectors, blocks: [Block { record: 0, number: 0 }; LANES], used: 0, streams }
    }

    /// Adds a block; tells whether no other has room.
    fn push(&mut self, record: usize, number: u32) -> bool {
        self.blocks[self.used] = Block { record, number };
        self.used += 1;
        self.used == LANES
    }

    fn is_full(&self) -> bool {
        self.used == LANES
    }

    /// Makes the key streams of the blocks.
    fn make(&mut self, records: &[Record<'_>]) {
        if self.used > 0 {
            self.vectors.key_streams(&self.blocks[..self.used], records, &mut self.streams);
        }
    }

    /// Combines the data with the key streams made, and begins anew.
    fn apply(&mut self, records: &mut [Record<'_>]) {
        self.vectors.apply(&self.blocks[..self.used], &self.streams, records);
        self.used = 0;
    }

    /// Makes the blocks, keeps those that are keys, and applies the others.
    fn encrypt(&mut self, records: &mut [Record<'_>], keys: &mut [[u64; 4]; WAITING]) {
        self.make(records);
        for (lane, block) in self.blocks[..self.used].iter().enumerate().filter(|(_, block)| block.number == 0) {
            keys[block.record % WAITING] = self.streams.key(lane);
        }
        self.apply(records);
    }

    fn decrypt(&mut self, records: &mut [Record<'_>]) {
        self.make(records);
        self.apply(records);
    }
}

pub(crate) fn seal<V, const LANES: usize, const TOGETHER: usize>(vectors: V, records: &mut [Record<'_>])
where
    V: Vectors<LANES, TOGETHER>,
{
    let (mut pass, mut keys, mut tagged) = (Pass::new(vectors), [[0; 4]; WAITING], 0);
    for record in 0..records.len() {
        for number in 0..=blocks(records[record].data) {
            if pass.push(record, number) {
                pass.encrypt(records, &mut keys);
            }
        }
        let complete = if pass.used == 0 { record + 1 } else { pass.blocks[0].record };
        while complete - tagged >= TOGETHER {
            set_tags(vectors, &mut records[tagged..tagged + TOGETHER], &keys, tagged);
            tagged += TOGETHER;
        }
    }
    pass.encrypt(records, &mut keys);
    while tagged < records.len() {
        let end = records.len().min(tagged + TOGETHER);
        set_tags(vectors, &mut records[tagged..end], &keys, tagged);
        tagged = end;
    }
    keys[..records.len().min(WAITING)].as_flattened_mut().zeroize();
}

/// Sets the tags of up to `TOGETHER` encrypted records, of which the first is the `first` of all.
fn set_tags<V, const LANES: usize, const TOGETHER: usize>(
    vectors: V,
    records: &mut [Record<'_>],
    keys: &[[u64; 4]; WAITING],
    first: usize,
) where
    V: Vectors<LANES, TOGETHER>,
{
    let keys = std::array::from_fn(|at| OneTimeKey::new(keys[(first + at) % WAITING]));
    let tags = tags(vectors, &keys, records);
    for (record, tag) in records.iter_mut().zip(tags) {
        record.tag = tag;
    }
}

fn tags<V, const LANES: usize, const TOGETHER: usize>(
    vectors: V,
    keys: &[OneTimeKey; TOGETHER],
    records: &[Record<'_>],
) -> [[u8; TAG]; TOGETHER]
where
    V: Vectors<LANES, TOGETHER>,
{
    let mut messages: [&[u8]; TOGETHER] = [&[]; TOGETHER];
    for (message, record) in messages.iter_mut().zip(records) {
        *message = record.data;
    }
    vectors.tags(keys, messages)
}

pub(crate) fn open<V, const LANES: usize, const TOGETHER: usize>(vectors: V, records: &mut [Record<'_>])
where
    V: Vectors<LANES, TOGETHER>,
{
    let mut pass = Pass::new(vectors);
    for first in (0..records.len()).step_by(LANES) {
        let count = LANES.min(records.len() - first);
        let made = check(vectors, records, first, count);
        for record in first..first + count {
            if !records[record].genuine {
                continue;
            }
            for number in made[record - first] + 1..=blocks(records[record].data) {
                if pass.push(record, number) {
                    pass.decrypt(records);
                }
            }
        }
    }
    pass.decrypt(records);
}

/// Compares the tags of `count` records. Where fewer than a pass has room for leave lanes free, their first blocks are made in
/// these and applied to what is genuine; tells how many of each.
fn check<V, const LANES: usize, const TOGETHER: usize>(
    vectors: V,
    records: &mut [Record<'_>],
    first: usize,
    count: usize,
) -> [u32; LANES]
where
    V: Vectors<LANES, TOGETHER>,
{
    let (mut pass, mut made) = (Pass::new(vectors), [0; LANES]);
    for record in first..first + count {
        pass.push(record, 0);
    }
    for record in first..first + count {
        while !pass.is_full() && made[record - first] < blocks(records[record].data) {
            made[record - first] += 1;
            pass.push(record, made[record - first]);
        }
    }
    pass.make(records);
    for group in (0..count).step_by(TOGETHER) {
        let keys = std::array::from_fn(|at| OneTimeKey::new(pass.streams.key(group + at)));
        let end = count.min(group + TOGETHER);
        let tags = tags(vectors, &keys, &records[first + group..first + end]);
        for (record, tag) in records[first + group..first + end].iter_mut().zip(tags) {
            record.genuine = equal(&record.tag, &tag);
        }
    }
    for block in &mut pass.blocks[..pass.used] {
        if !records[block.record].genuine {
            block.number = 0;
        }
    }
    pass.apply(records);
    made
}

/// Blocks that the data of a record spans.
fn blocks(data: &[u8]) -> u32 {
    data.len().div_ceil(BLOCK) as u32
}
