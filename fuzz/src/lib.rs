//! The bodies of the fuzz targets: what is done with a piece of input, and what must be true of it.
//!
//! Normal tests replay the corpora (`crates/core/tests/corpora.rs`, `crates/fides/tests/corpora.rs`,
//! `crates/tinmesh/src/corpora.rs`), so the bodies need no fuzzing engine. The program is no library: its modules are taken
//! in as they are, by symbolic links.

mod batches;
#[allow(dead_code, unused_imports, reason = "the targets use a part of the program")]
mod config;
#[allow(dead_code, unused_imports, reason = "the targets use a part of the program")]
mod control;
#[allow(dead_code, unused_imports, reason = "the targets use a part of the program")]
mod files;
#[allow(dead_code, reason = "the targets use a part of the program")]
mod daemon {
    pub mod errands {
        pub mod request;
    }
}
mod gate;
mod legacy;
mod meet;
mod mesh;
#[allow(dead_code, unused_imports, reason = "the targets use a part of the program")]
mod paths;
mod statements;
mod text;

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let mesh = mesh::TARGETS.iter().chain(&legacy::TARGETS).chain(&batches::TARGETS).chain(&gate::TARGETS);
    let mut targets = mesh.chain(&statements::TARGETS).chain(&meet::TARGETS).chain(&text::TARGETS);
    let (_, target) = targets.find(|(target, _)| *target == name).expect("a target of that name");
    target(data);
}
