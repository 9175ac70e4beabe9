//! Replays the corpora of all fuzz targets, and many small mutations of each piece, without a fuzzing engine.
#![expect(clippy::disallowed_methods, reason = "a test reads its corpora from disk; the core does not")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../../fuzz/src/mesh.rs"]
mod mesh;

/// Mutations of each piece of a corpus.
const MUTATIONS: u64 = 200;

fn corpus(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
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

#[test]
fn every_piece_of_every_corpus_is_survived() {
    for (name, target) in mesh::TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in &files {
            target(&fs::read(file).expect("readable"));
        }
    }
}

#[test]
fn mutations_of_every_piece_are_survived() {
    for (name, target) in mesh::TARGETS {
        for file in corpus(name) {
            let piece = fs::read(&file).expect("readable");
            (0..MUTATIONS).for_each(|number| target(&mutated(&piece, number)));
        }
    }
}

#[test]
fn the_snapshot_of_the_datagram_target_delivers_what_is_genuine() {
    assert_eq!(mesh::genuine_record(), tinmesh_core::dataplane::verdict::Verdict::Deliver);
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for entry in fs::read_dir(dir).expect("there are corpora") {
        let name = entry.expect("readable").file_name().into_string().expect("a plain name");
        assert!(mesh::TARGETS.iter().any(|(target, _)| *target == name), "no target named {name}");
    }
}
