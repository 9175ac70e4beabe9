//! `docs/evidence.md` names tests that are there, for every page of the specification.

use std::path::Path;

/// The pages, and how many rows each has at least.
const PAGES: [(&str, usize); 8] = [
    ("cli", 20),
    ("configuration", 20),
    ("routing", 20),
    ("invitations", 10),
    ("meta-protocol", 35),
    ("datagrams", 35),
    ("sptps", 20),
    ("legacy-1.0", 12),
];

#[test]
fn every_page_of_the_specification_has_tests_and_they_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = std::fs::read_to_string(root.join("../docs/evidence.md")).unwrap();
    for (page, least) in PAGES {
        let start = format!("{page}\n");
        let part = document.split("\n## ").find(|part| part.starts_with(&start)).unwrap_or_else(|| panic!("no {page}"));
        let rows: Vec<&str> = part.lines().filter(|line| line.contains(".rs` | `")).collect();
        assert!(rows.len() >= least, "{page} has {} rows", rows.len());
        for row in rows {
            let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
            let [file, test] = quoted[..] else { panic!("{row:?} has a file and a test") };
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test} for {page}");
        }
    }
}
