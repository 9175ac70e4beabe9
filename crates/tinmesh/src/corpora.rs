//! The fuzz targets of the program's texts on their corpora, and on mutations of them.

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/text.rs"]
mod text;

#[test]
fn every_piece_of_every_corpus_is_survived() {
    text::TARGETS.iter().for_each(|(name, target)| replay::pieces(name, *target));
}

#[test]
fn mutations_of_every_piece_are_survived() {
    text::TARGETS.iter().for_each(|(name, target)| replay::mutations(name, *target));
}

#[test]
fn every_corpus_belongs_to_a_target() {
    for name in replay::corpora().iter().filter(|name| name.starts_with("text_")) {
        assert!(text::TARGETS.iter().any(|(target, _)| target == name), "no target named {name}");
    }
}
