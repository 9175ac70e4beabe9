//! The fuzz targets of the mesh core and its cipher on their corpora, and on mutations of them.

#[path = "../../../fuzz/src/batches.rs"]
mod batches;
#[path = "../../../fuzz/src/gate.rs"]
mod gate;
#[path = "../../../fuzz/src/legacy.rs"]
mod legacy;
#[path = "../../../fuzz/src/meet.rs"]
mod meet;
#[path = "../../../fuzz/src/mesh.rs"]
mod mesh;
#[path = "../../../fuzz/src/replay.rs"]
#[expect(clippy::disallowed_methods, reason = "a test reads its corpora from disk; the core does not")]
mod replay;

fn targets() -> impl Iterator<Item = &'static (&'static str, mesh::Target)> {
    mesh::TARGETS.iter().chain(&legacy::TARGETS).chain(&batches::TARGETS).chain(&gate::TARGETS).chain(&meet::TARGETS)
}

#[test]
fn every_piece_of_every_corpus_is_survived() {
    targets().for_each(|(name, target)| replay::pieces(name, *target));
}

#[test]
fn mutations_of_every_piece_are_survived() {
    targets().for_each(|(name, target)| replay::mutations(name, *target));
}

#[test]
fn the_snapshot_of_the_datagram_target_delivers_what_is_genuine() {
    assert_eq!(mesh::genuine_record(), tinmesh_core::dataplane::verdict::Verdict::Deliver);
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let is_elsewhere = |name: &str| name.starts_with("text_") || name.starts_with("fides_");
    for name in replay::corpora().iter().filter(|name| !is_elsewhere(name)) {
        assert!(targets().any(|(target, _)| target == name), "no target named {name}");
    }
}
