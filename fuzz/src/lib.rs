//! The bodies of the fuzz targets: what is done with a piece of input, and what must be true of it.
//!
//! A normal test replays the corpora (`crates/core/tests/corpora.rs`), so nothing here needs a fuzzing engine.

mod mesh;

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = mesh::TARGETS.iter().find(|(target, _)| *target == name).expect("a target of that name");
    target(data);
}
