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
        self.space.get(..len).filter(|_| len < data.len())
    }

    fn deflate(&mut self, level: u8, data: &[u8]) -> Option<usize> {
        let place = self.deflate.get_mut(usize::from(level) - 1)?;
        let deflate = place.get_or_insert_with(|| Compress::new(Compression::new(u32::from(level)), true));
        deflate.reset();
        let status = deflate.compress(data, &mut *self.space, FlushCompress::Finish).ok()?;
        finished(status, deflate.total_out())
    }

    /// Undoes the compression of a level; only its family matters.
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
