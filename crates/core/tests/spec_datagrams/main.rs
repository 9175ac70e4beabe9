//! A walk through the page `datagrams` of the specification, section by section: a node among nodes that are played by
//! hand (`bench.rs`). The formats are replayed from tinc's own bytes in `golden/` and `packets/`; the arithmetic of path
//! MTU discovery in `peer/pmtu/tests.rs`; compression and record kinds (6, 10) in `packets/`; broadcasts (19) in the walk
//! through `routing`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod paths;
mod sessions;
mod stations;
