//! Frames: entries one after the other.
//!
//! | byte 0 | then |
//! | --- | --- |
//! | 1 | range, 2 bytes that say which of its 16 parts are not empty, 8 bytes of hash for each of these |
//! | 2 | range, 1 byte number of names, 8 bytes each, rising: all names in the range |
//! | 3 | 1 byte number of names, 8 bytes each: items that are asked for |
//!
//! A range is a byte, how many times four bits all names in it share, and these, in as many bytes as they need. All
//! numbers are big endian.

use crate::reconcile::PARTS;

/// Names in one entry, at most.
pub(super) const MAX_NAMES: usize = 128;
/// Times four bits in a name.
const MAX_DEPTH: u8 = 16;

/// The bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no frame of a reconciliation: the other side is broken, or of another version")]
pub struct FrameError;

/// All names that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    /// How many times four bits.
    depth: u8,
    /// What they begin with; the rest is zero.
    first: u64,
}

impl Range {
    pub(super) const ALL: Self = Self { depth: 0, first: 0 };

    fn new(depth: u8, first: u64) -> Option<Self> {
        let range = Self { depth, first };
        (depth <= MAX_DEPTH && first & range.rest() == 0).then_some(range)
    }

    /// The bits that differ within it.
    const fn rest(self) -> u64 {
        match self.depth {
            0 => u64::MAX,
            MAX_DEPTH.. => 0,
            depth => (1 << (64 - 4 * depth as u32)) - 1,
        }
    }

    pub(super) const fn first(self) -> u64 {
        self.first
    }

    pub(super) const fn last(self) -> u64 {
        self.first | self.rest()
    }

    /// Whether it has room for one name only.
    pub(super) const fn is_single(self) -> bool {
        self.depth >= MAX_DEPTH
    }

    /// Its sixteen parts; none if it has room for one name only.
    pub(super) fn parts(self) -> impl Iterator<Item = Self> {
        let parts = if self.is_single() { 0 } else { PARTS };
        let shift = 60_u32.saturating_sub(4 * u32::from(self.depth));
        (0..parts).map(move |part| Self { depth: self.depth + 1, first: self.first | part << shift })
    }
}

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The hashes of the parts of a range, 0 for an empty one.
    Hashes { range: Range, hashes: [u64; 16] },
    /// All names in a range.
    Names { range: Range, names: Vec<u64> },
    /// Names of items that it lacks.
    Wanted(Vec<u64>),
}

pub(super) fn encode(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    match entry {
        Entry::Hashes { range, hashes } => {
            bytes.push(1);
            encode_range(*range, &mut bytes);
            let present = hashes.iter().fold(0_u16, |bits, hash| bits << 1 | u16::from(*hash != 0));
            bytes.extend(present.to_be_bytes());
            bytes.extend(hashes.iter().filter(|hash| **hash != 0).flat_map(|hash| hash.to_be_bytes()));
        }
        Entry::Names { range, names } => {
            bytes.push(2);
            encode_range(*range, &mut bytes);
            encode_names(names, &mut bytes);
        }
        Entry::Wanted(names) => {
            bytes.push(3);
            encode_names(names, &mut bytes);
        }
    }
    bytes
}

fn encode_range(range: Range, bytes: &mut Vec<u8>) {
    bytes.push(range.depth);
    bytes.extend(range.first.to_be_bytes().iter().take(usize::from(range.depth.div_ceil(2))));
}

fn encode_names(names: &[u64], bytes: &mut Vec<u8>) {
    bytes.push(u8::try_from(names.len()).expect("at most 128 names go into an entry"));
    bytes.extend(names.iter().flat_map(|name| name.to_be_bytes()));
}

/// Reads a frame.
pub(super) fn decode(frame: &[u8]) -> Result<Vec<Entry>, FrameError> {
    if frame.len() > super::MAX_FRAME {
        return Err(FrameError);
    }
    let (mut rest, mut entries) = (frame, Vec::new());
    while let [kind, tail @ ..] = rest {
        rest = tail;
        entries.push(match kind {
            1 => Entry::Hashes { range: decode_range(&mut rest)?, hashes: decode_hashes(&mut rest)? },
            2 => {
                let (range, names) = (decode_range(&mut rest)?, decode_names(&mut rest)?);
                let is_within = names.iter().all(|name| (range.first()..=range.last()).contains(name));
                if !is_within || !names.is_sorted_by(|one, other| one < other) {
                    return Err(FrameError);
                }
                Entry::Names { range, names }
            }
            3 => Entry::Wanted(decode_names(&mut rest)?),
            _ => return Err(FrameError),
        });
    }
    Ok(entries)
}

fn decode_range(rest: &mut &[u8]) -> Result<Range, FrameError> {
    let depth = take::<1>(rest)?[0];
    let length = usize::from(depth.div_ceil(2));
    if depth > MAX_DEPTH || rest.len() < length {
        return Err(FrameError);
    }
    let (shared, tail) = rest.split_at(length);
    *rest = tail;
    let mut first = [0; 8];
    first[..length].copy_from_slice(shared);
    Range::new(depth, u64::from_be_bytes(first)).ok_or(FrameError)
}

fn decode_hashes(rest: &mut &[u8]) -> Result<[u64; 16], FrameError> {
    let present = u16::from_be_bytes(take(rest)?);
    let mut hashes = [0; 16];
    for (part, hash) in hashes.iter_mut().enumerate() {
        if present >> (15 - part) & 1 == 1 {
            *hash = u64::from_be_bytes(take(rest)?);
            if *hash == 0 {
                return Err(FrameError);
            }
        }
    }
    Ok(hashes)
}

fn decode_names(rest: &mut &[u8]) -> Result<Vec<u64>, FrameError> {
    let count = usize::from(take::<1>(rest)?[0]);
    if count > MAX_NAMES {
        return Err(FrameError);
    }
    (0..count).map(|_| take(rest).map(u64::from_be_bytes)).collect()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], FrameError> {
    let (bytes, tail) = rest.split_first_chunk().ok_or(FrameError)?;
    *rest = tail;
    Ok(*bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_of_a_range_are_the_range() {
        let mut range = Range::ALL;
        while !range.is_single() {
            let parts: Vec<Range> = range.parts().collect();
            assert_eq!((parts[0].first(), parts[15].last()), (range.first(), range.last()));
            assert!(parts.windows(2).all(|pair| pair[0].last() + 1 == pair[1].first()));
            range = parts[9];
        }
        assert_eq!(range.parts().count(), 0);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(frame in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..60)) {
            if let Ok(entries) = decode(&frame) {
                prop_assert_eq!(entries.iter().flat_map(encode).collect::<Vec<u8>>(), frame);
            }
        }

        #[test]
        fn what_is_written_is_read_back(hashes: [u64; 16], names in prop::collection::btree_set(any::<u64>(), 0..100)) {
            let names: Vec<u64> = names.into_iter().collect();
            let range = Range::ALL.parts().nth(5).unwrap();
            let all = [Entry::Hashes { range, hashes }, Entry::Names { range: Range::ALL, names: names.clone() }];
            let bytes: Vec<u8> = all.iter().flat_map(encode).collect();
            prop_assert_eq!(decode(&bytes), Ok(all.to_vec()));
            prop_assert_eq!(decode(&encode(&Entry::Wanted(names.clone()))), Ok(vec![Entry::Wanted(names)]));
        }
    }
}
