//! Compression of single packets (spec: datagrams 6).
//!
//! Each method's tables are made when a peer first asks for it, and kept.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use lz4_flex::block::CompressTable;
use lzokay::compress::Dict;

/// Largest packet that may come out of a compressed one, in bytes: tinc's buffers hold no more.
pub(super) const MAX_OUTPUT: usize = 1673;
/// Room for the result of any method on the largest frame, in bytes; some want more than they use.
const SPACE: usize = 2048;

/// The family of a compression level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// Levels 1 to 9.
    Zlib,
    /// Levels 10 and 11; one compressor serves both.
    Lzo,
    /// Level 12.
    Lz4,
}

impl Method {
    const fn of_level(level: u8) -> Option<Self> {
        match level {
            1..=9 => Some(Self::Zlib),
            10 | 11 => Some(Self::Lzo),
            12 => Some(Self::Lz4),
            _ => None,
        }
    }
}

/// Compressors and decompressors of one worker, and the buffer they write to.
pub(super) struct Codec {
    deflate: [Option<Compress>; 9],
    inflate: Option<Decompress>,
    lzo: Option<Box<Dict>>,
    lz4: Option<CompressTable>,
    space: Box<[u8; SPACE]>,
}

impl Codec {
    pub(super) fn new() -> Self {
        Self { deflate: Default::default(), inflate: None, lzo: None, lz4: None, space: Box::new([0; SPACE]) }
    }

    /// Compresses `data`; nothing if it does not get smaller.
    pub(super) fn compress(&mut self, level: u8, data: &[u8]) -> Option<&[u8]> {
        Method::of_level(level)?;
        self.pack(level, data).filter(|small| small.len() < data.len())
    }

    /// Compresses `data`, also if it gets larger; nothing if there is no such level.
    ///
    /// Never part of its callers: some compressors have 64 KiB on the stack, each page of which is touched at the start.
    #[inline(never)]
    pub(super) fn pack(&mut self, level: u8, data: &[u8]) -> Option<&[u8]> {
        let len = match Method::of_level(level)? {
            Method::Zlib => self.deflate(level, data),
            Method::Lzo => {
                let dict = self.lzo.get_or_insert_with(Dict::new);
                lzokay::compress::compress_no_alloc(data, &mut *self.space, dict).ok()
            }
            Method::Lz4 => {
                let table = self.lz4.get_or_insert_with(CompressTable::small);
                lz4_flex::block::compress_into_with_table(data, &mut *self.space, table).ok()
            }
        }?;
        self.space.get(..len)
    }

    fn deflate(&mut self, level: u8, data: &[u8]) -> Option<usize> {
        let place = self.deflate.get_mut(usize::from(level) - 1)?;
        let deflate = place.get_or_insert_with(|| Compress::new(Compression::new(u32::from(level)), true));
        deflate.reset();
        let status = deflate.compress(data, &mut *self.space, FlushCompress::Finish).ok()?;
        finished(status, deflate.total_out())
    }

    /// Undoes the compression of a level; only its family matters.
    #[inline(never)]
    pub(super) fn decompress(&mut self, level: u8, data: &[u8]) -> Option<&[u8]> {
        let (output, _) = self.space.split_at_mut(MAX_OUTPUT);
        let len = match Method::of_level(level)? {
            Method::Zlib => {
                let inflate = self.inflate.get_or_insert_with(|| Decompress::new(true));
                inflate.reset(true);
                let status = inflate.decompress(data, output, FlushDecompress::Finish).ok()?;
                finished(status, inflate.total_out())
            }
            Method::Lzo => lzokay::decompress::decompress(data, output).ok(),
            Method::Lz4 => lz4_flex::block::decompress_into(data, output).ok(),
        }?;
        output.get(..len)
    }
}

fn finished(status: Status, len: u64) -> Option<usize> {
    match status {
        Status::StreamEnd => usize::try_from(len).ok(),
        Status::Ok | Status::BufError => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::MAX_FRAME;

    #[test]
    fn every_level_makes_text_smaller_and_gives_it_back() {
        let text: Vec<u8> =
            b"the quick brown fox jumps over the lazy dog; ".iter().copied().cycle().take(MAX_FRAME).collect();
        let mut codec = Codec::new();
        for level in 1..=12 {
            let small = codec.compress(level, &text).unwrap().to_vec();
            assert!(small.len() < text.len() / 4, "level {level}: {}", small.len());
            assert_eq!(codec.decompress(level, &small), Some(&text[..]), "level {level}");
        }
    }

    #[test]
    fn levels_of_a_family_understand_each_other() {
        let mut codec = Codec::new();
        let zlib = codec.compress(9, &[7; 600]).unwrap().to_vec();
        assert_eq!(codec.decompress(1, &zlib), Some(&[7; 600][..]));
        let lzo = codec.compress(11, &[7; 600]).unwrap().to_vec();
        assert_eq!(codec.decompress(10, &lzo), Some(&[7; 600][..]));
        assert_eq!(codec.decompress(1, &lzo), None);
    }

    #[test]
    fn level_0_and_unknown_levels_do_nothing() {
        let mut codec = Codec::new();
        for level in [0, 13, 255] {
            assert_eq!(codec.compress(level, &[0; 100]), None);
            assert_eq!(codec.decompress(level, &[0; 100]), None);
        }
    }

    #[test]
    fn no_output_is_longer_than_the_buffers_of_tinc() {
        let mut codec = Codec::new();
        for level in [1, 10, 12] {
            let fits = compress_any(level, &[0; MAX_OUTPUT]);
            assert_eq!(codec.decompress(level, &fits).map(<[u8]>::len), Some(MAX_OUTPUT), "level {level}");
            let bomb = compress_any(level, &[0; MAX_OUTPUT + 1]);
            assert_eq!(codec.decompress(level, &bomb), None, "level {level}");
            let bomb = compress_any(level, &vec![0; 1 << 20]);
            assert_eq!(codec.decompress(level, &bomb), None, "level {level}");
        }
    }

    fn compress_any(level: u8, data: &[u8]) -> Vec<u8> {
        match Method::of_level(level).unwrap() {
            Method::Zlib => {
                let mut output = Vec::with_capacity(data.len() + 100);
                let mut deflate = Compress::new(Compression::new(6), true);
                deflate.compress_vec(data, &mut output, FlushCompress::Finish).unwrap();
                output
            }
            Method::Lzo => lzokay::compress::compress(data).unwrap(),
            Method::Lz4 => lz4_flex::block::compress(data),
        }
    }

    proptest! {
        #[test]
        fn what_does_not_get_smaller_stays(data in proptest::collection::vec(any::<u8>(), 0..MAX_FRAME), level in 1..=12_u8) {
            let mut codec = Codec::new();
            if let Some(small) = codec.compress(level, &data).map(<[u8]>::to_vec) {
                prop_assert!(small.len() < data.len());
                prop_assert_eq!(codec.decompress(level, &small), Some(&data[..]));
            }
        }

        #[test]
        fn garbage_does_no_harm(
            mut data in proptest::collection::vec(any::<u8>(), 0..200), level in 1..=12_u8, zlib: bool,
        ) {
            if zlib && data.len() > 1 {
                data[..2].copy_from_slice(&[0x78, 0x9c]);
            }
            let mut codec = Codec::new();
            if let Some(plain) = codec.decompress(level, &data) {
                prop_assert!(plain.len() <= MAX_OUTPUT);
            }
        }

        #[test]
        fn damaged_packets_do_no_harm(
            data in proptest::collection::vec(0..4_u8, 20..MAX_FRAME),
            level in 1..=12_u8,
            at in any::<prop::sample::Index>(),
            value: u8,
        ) {
            let mut codec = Codec::new();
            let Some(mut small) = codec.compress(level, &data).map(<[u8]>::to_vec) else { return Ok(()) };
            let at = at.index(small.len());
            small[at] = value;
            if let Some(plain) = codec.decompress(level, &small) {
                prop_assert!(plain.len() <= MAX_OUTPUT);
            }
        }
    }
}
