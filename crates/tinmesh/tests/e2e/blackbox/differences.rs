//! The list of deliberate differences, as `docs/differences.md` tells it.

use std::collections::BTreeSet;

const TEXT: &str = include_str!("../../../../../docs/differences.md");
/// Entries of these parts are shown by cases here; those of the others name their tests themselves.
const PARTS: [&str; 2] = ["## Commands", "## Control protocol"];

/// One row of a table: the part it stands in, and its cells.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) shown_here: bool,
    pub(super) cells: Vec<String>,
}

/// All entries: the rows whose first cell is a word in backticks.
pub(super) fn entries() -> Vec<Entry> {
    let mut part = "";
    let mut entries = Vec::new();
    for line in TEXT.lines() {
        if line.starts_with("## ") {
            part = line;
        }
        let cells: Vec<String> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect();
        let id = cells.first().and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`')).map(str::to_owned);
        if let Some(id) = id.filter(|_| line.starts_with("| `")) {
            entries.push(Entry { id, shown_here: PARTS.contains(&part), cells });
        }
    }
    entries
}

/// Their ids.
pub(super) fn ids() -> BTreeSet<String> {
    entries().into_iter().map(|entry| entry.id).collect()
}

#[test]
fn every_difference_says_what_each_does_and_why() {
    let entries = entries();

    assert_eq!(ids().len(), entries.len(), "no id stands there twice");
    for entry in entries {
        let cells = if entry.shown_here { 4 } else { 5 };
        assert_eq!(
            entry.cells.len(),
            cells,
            "{}: id, tinc, tinmesh, why, and what shows it if no case here does",
            entry.id
        );
        assert!(entry.cells.iter().all(|cell| !cell.is_empty()), "{} says all", entry.id);
    }
}

#[test]
fn every_difference_that_no_comparison_shows_names_a_test_that_does() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for entry in entries().iter().filter(|entry| !entry.shown_here) {
        let named: Vec<&str> = entry.cells[4].split('`').filter(|part| !part.trim().is_empty()).collect();
        let [file, test] = named[..] else { panic!("{} names {named:?}", entry.id) };
        let text = std::fs::read_to_string(tests.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("#[test]\nfn {test}(")), "{file} has no test {test} for {}", entry.id);
    }
}
