//! Compressed packets between ours and theirs, with every method that both know.

use crate::lab::mesh::{self, v4, v6, wait_for_direct};
use crate::lab::traffic::ping_whole;
use crate::lab::{Daemon, Kind, Lab};

/// Both ask for packets at `level`; the pattern of a large ping compresses well.
fn compressed_packets_arrive(level: u8) {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Tinc11]);
    for daemon in &mesh {
        daemon.config(&format!("Compression = {level}"));
    }
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_for_direct(alice, "bob", &v4(2));
    wait_for_direct(bob, "alice", &v4(1));

    assert!(asked_for(alice, "bob", level) && asked_for(bob, "alice", level));
    for size in [100, 1200] {
        assert!(ping_whole(&alice.namespace, &v4(2), size), "{size} bytes from ours at level {level}");
        assert!(ping_whole(&bob.namespace, &v6(1), size), "{size} bytes from theirs at level {level}");
    }
}

/// Whether `daemon` compresses what it sends to `peer` at `level`.
fn asked_for(daemon: &Daemon, peer: &str, level: u8) -> bool {
    let nodes = daemon.tinc(&["dump", "nodes"]);
    nodes.lines().any(|line| line.starts_with(&format!("{peer} ")) && line.contains(&format!(" compression {level} ")))
}

#[test]
fn fast_zlib_works_both_ways() {
    compressed_packets_arrive(1);
}

#[test]
fn the_best_zlib_works_both_ways() {
    compressed_packets_arrive(9);
}

#[test]
fn fast_lzo_works_both_ways() {
    compressed_packets_arrive(10);
}

#[test]
fn the_best_lzo_works_both_ways() {
    compressed_packets_arrive(11);
}
