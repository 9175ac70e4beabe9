//! The fuzz targets of the library on their corpora, and on mutations of them.

#[path = "../../../fuzz/src/replay.rs"]
#[expect(clippy::disallowed_methods, reason = "a test reads its corpora from disk; the library does not")]
mod replay;
#[path = "../../../fuzz/src/statements.rs"]
mod statements;

#[test]
fn every_piece_of_every_corpus_is_survived() {
    statements::TARGETS.iter().for_each(|(name, target)| replay::pieces(name, *target));
}

#[test]
fn mutations_of_every_piece_are_survived() {
    statements::TARGETS.iter().for_each(|(name, target)| replay::mutations(name, *target));
}

#[test]
fn every_corpus_belongs_to_a_target() {
    for name in replay::corpora().iter().filter(|name| name.starts_with("fides_")) {
        assert!(statements::TARGETS.iter().any(|(target, _)| target == name), "no target named {name}");
    }
}
