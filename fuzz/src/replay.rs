//! Replays corpora, and many small mutations of each piece, without a fuzzing engine.

use std::fs;
use std::path::{Path, PathBuf};

/// Mutations of each piece of a corpus.
const MUTATIONS: u64 = 200;

/// Runs a target on every piece of its corpus; there must be some.
pub(crate) fn pieces(name: &str, target: fn(&[u8])) {
    let files = corpus(name);
    assert!(!files.is_empty(), "{name} has no corpus");
    files.iter().for_each(|file| target(&fs::read(file).expect("readable")));
}

/// Runs a target on mutations of every piece of its corpus.
pub(crate) fn mutations(name: &str, target: fn(&[u8])) {
    for file in corpus(name) {
        let piece = fs::read(&file).expect("readable");
        (0..MUTATIONS).for_each(|number| target(&mutated(&piece, number)));
    }
}

/// The names of all corpora.
pub(crate) fn corpora() -> Vec<String> {
    let entries = fs::read_dir(directory()).expect("there are corpora");
    let names = entries.map(|entry| entry.expect("readable").file_name());
    names.map(|name| name.into_string().expect("a plain name")).collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn corpus(name: &str) -> Vec<PathBuf> {
    let dir = directory().join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

/// A small change of `piece`, the same for the same number.
fn mutated(piece: &[u8], number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % (below.max(1) as u64)).expect("below a usize")
    };
    let mut bytes = piece.to_vec();
    for _ in 0..=draw(3) {
        let at = draw(bytes.len() + 1);
        match draw(4) {
            0 if at < bytes.len() => bytes[at] ^= 1 << draw(8),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.insert(at, b"0129 -:./#\n\0a\xff"[draw(14)]),
        }
    }
    bytes
}
