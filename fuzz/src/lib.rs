//! The bodies of the fuzz targets: what is done with a piece of input, and what must be true of it.
//!
//! Normal tests replay the corpora (`crates/core/tests/corpora.rs`, `crates/tinmesh/src/corpora.rs`), so the bodies need
//! no fuzzing engine. The program is no library: its modules are taken in as they are.

#[path = "../../crates/tinmesh/src/config.rs"]
#[allow(dead_code, unused_imports, reason = "the targets use a part of the program")]
mod config;
#[path = "../../crates/tinmesh/src/control.rs"]
#[allow(dead_code, unused_imports, reason = "the targets use a part of the program")]
mod control;
#[path = "../../crates/tinmesh/src/files.rs"]
#[allow(dead_code, unused_imports, reason = "the targets use a part of the program")]
mod files;
mod mesh;
#[path = "../../crates/tinmesh/src/paths.rs"]
#[allow(dead_code, unused_imports, reason = "the targets use a part of the program")]
mod paths;
mod text;

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let mut targets = mesh::TARGETS.iter().chain(&text::TARGETS);
    let (_, target) = targets.find(|(target, _)| *target == name).expect("a target of that name");
    target(data);
}
