//! Puts a report where readers see it: between two marks in the README and in docs/performance.md.

use std::fs;

use anyhow::{Context, Result};

use super::super::shell::{root, say};
use super::report::Report;

const BEGIN: &str = "<!-- cargo xtask bench: begin -->\n";
const END: &str = "<!-- cargo xtask bench: end -->\n";
/// The documents, and where the picture is as seen from them.
const README: (&str, &str) = ("README.md", "docs/bench.svg");
const DETAILS: (&str, &str) = ("docs/performance.md", "bench.svg");

/// Replaces what an earlier run said.
pub(super) fn publish(report: &Report, picture: &str) -> Result<()> {
    fs::write(root().join(README.1), picture)?;
    for ((name, _), text) in [(README, report.short(README.1)), (DETAILS, report.long(DETAILS.1))] {
        let path = root().join(name);
        let document = fs::read_to_string(&path).context(name)?;
        fs::write(&path, replaced(&document, &text).with_context(|| format!("{name} has not both marks"))?)?;
    }
    say(&format!("{}, {} and {} have the new figures", README.0, DETAILS.0, README.1));
    Ok(())
}

/// The document with `text` between the marks.
fn replaced(document: &str, text: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{text}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_documents_have_a_place_for_the_figures() {
        for (name, picture) in [README, DETAILS] {
            let document = fs::read_to_string(root().join(name)).unwrap();
            let again = replaced(&replaced(&document, "first").unwrap(), "second").unwrap();
            assert!(again.contains("second") && !again.contains(&format!("{BEGIN}first")), "{name}");
            assert!(root().join(name).parent().unwrap().join(picture).exists(), "{name} has no picture {picture}");
        }
    }
}
