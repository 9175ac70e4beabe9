//! The licences of all dependencies, on every system, against the list of what the project takes.
//!
//! `deny.toml` says the same to cargo-deny, for those who have it.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::shell::{cargo, output};

/// What a dependency may be under.
const ALLOWED: [&str; 11] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unicode-3.0",
    "BSL-1.0",
    "Unlicense",
];

/// All crates whose licence does not allow what ours allows.
pub(crate) fn breaches() -> Result<Vec<String>> {
    let options = ["tree", "--workspace", "--target", "all", "--prefix", "none", "--format", "{p}|{l}"];
    let tree = output(&mut cargo(&options))?;
    let crates: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let split = crates.iter().filter_map(|line| line.split_once('|'));
    let bad = split.filter(|(_, licence)| !allowed(licence));
    Ok(bad.map(|(name, licence)| format!("{name}: licence {licence:?}")).collect())
}

/// True if an SPDX expression can be fulfilled with the list: one alternative, all of its parts.
fn allowed(expression: &str) -> bool {
    let mut rest = expression.trim();
    any_of(&mut rest) && rest.is_empty()
}

fn any_of(rest: &mut &str) -> bool {
    let mut found = all_of(rest);
    while take(rest, "OR") || take(rest, "/") {
        found |= all_of(rest);
    }
    found
}

fn all_of(rest: &mut &str) -> bool {
    let mut good = one(rest);
    while take(rest, "AND") {
        good &= one(rest);
    }
    good
}

fn one(rest: &mut &str) -> bool {
    if take(rest, "(") {
        let good = any_of(rest);
        return take(rest, ")") && good;
    }
    let mut name = word(rest).to_owned();
    if take(rest, "WITH") {
        name = format!("{name} WITH {}", word(rest));
    }
    ALLOWED.contains(&name.as_str())
}

fn word<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find([' ', '(', ')', '/']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after.trim_start();
    word
}

fn take(rest: &mut &str, token: &str) -> bool {
    let Some(after) = rest.strip_prefix(token) else { return false };
    *rest = after.trim_start();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_alternative_is_enough() {
        assert!(allowed("MIT OR Apache-2.0"));
        assert!(allowed("MIT OR Apache-2.0 OR LGPL-2.1-or-later"));
        assert!(allowed("Unlicense/MIT"));
        assert!(!allowed("GPL-2.0-only OR MPL-2.0"));
    }

    #[test]
    fn all_parts_of_an_alternative_must_be_good() {
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!allowed("(MIT OR Apache-2.0) AND MPL-2.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR MIT"));
    }

    #[test]
    fn no_licence_is_no_permission() {
        assert!(!allowed(""));
        assert!(!allowed("MIT MIT"));
    }
}
