//! The house rules that a reader of text can check (CONTRIBUTING.md).

use std::fs;

use anyhow::{Context, Result};

use crate::shell::{command, output, root};

/// Longest file, tests not counted.
const MAX_LINES: usize = 600;
/// Where `unsafe` may stand.
const UNSAFE: [&str; 2] = ["crates/os/", "crates/cipher/src/"];
/// How far above an `unsafe` its reason may stand.
const REASON_WITHIN: usize = 6;
/// Notes to oneself, cut so that this file does not break its own rule.
const NOTES: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("db", "g!("),
    concat!("to", "do!("),
    concat!("unim", "plemented!("),
];
/// Hosts of package registries and paths of one machine.
const PLACES: [&str; 5] = [
    concat!("deb.", "debian.org"),
    concat!("crates", ".io"),
    concat!("static.", "rust-lang.org"),
    concat!("snapshot.", "debian.org"),
    concat!("/wo", "rk/"),
];
/// Ends of type names that say nothing.
const EMPTY_NAMES: [&str; 6] = ["Manager", "Handler", "Helper", "Util", "Impl", "Context"];
/// Words of the mesh: the library of statements is useful without one, and knows none of them.
const MESH_WORDS: [&str; 9] = ["vpn", "tinc", "tinmesh", "mesh", "tunnel", "subnet", "udp", "packet", "router"];
/// Files that may name what they must: the lock file names its registry.
const FREE: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];

/// All breaches in the files that git knows.
pub(crate) fn breaches() -> Result<Vec<String>> {
    let listed = output(&mut command("git", &["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    let mut breaches = Vec::new();
    for path in listed.lines().filter(|path| !FREE.contains(path) && root().join(path).is_file()) {
        let bytes = fs::read(root().join(path)).with_context(|| path.to_owned())?;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        breaches.extend(places(path, &text));
        breaches.extend(mesh_words(path, &text));
        if path.ends_with(".rs") {
            breaches.extend(file(path, &text));
        }
    }
    Ok(breaches)
}

fn places(path: &str, text: &str) -> Vec<String> {
    let found = PLACES.iter().filter(|place| text.contains(**place));
    found.map(|place| format!("{path}: names {place}")).collect()
}

/// Words of the mesh in the library of statements.
fn mesh_words(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("crates/fides/") {
        return Vec::new();
    }
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    let found = words.filter(|word| MESH_WORDS.contains(&word.as_str()));
    found.map(|word| format!("{path}: knows no mesh, but says {word}")).collect()
}

/// The rules for one source file.
fn file(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut breaches = Vec::new();
    if !path.ends_with("/tests.rs") && !lines.first().is_some_and(|line| line.starts_with("//!")) {
        breaches.push(format!("{path}: does not start with what it is for (//!)"));
    }
    let length = lines.iter().position(|line| line.starts_with("mod tests")).unwrap_or(lines.len());
    if length > MAX_LINES && !is_test(path) {
        breaches.push(format!("{path}: {length} lines, more than {MAX_LINES}"));
    }
    for (at, line) in lines.iter().enumerate() {
        let spot = format!("{path}:{}", at + 1);
        breaches.extend(NOTES.iter().filter(|note| line.contains(**note)).map(|note| format!("{spot}: {note}")));
        let code = line.split("//").next().unwrap_or_default();
        breaches.extend(empty_name(code).map(|name| format!("{spot}: the name {name} says nothing")));
        if is_unsafe(code) {
            breaches.extend(
                unsafe_breach(path, &lines[at.saturating_sub(REASON_WITHIN)..at]).map(|b| format!("{spot}: {b}")),
            );
        }
    }
    breaches
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/")
}

fn is_unsafe(code: &str) -> bool {
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|word| code.contains(word))
        && !code.contains('"')
}

fn unsafe_breach(path: &str, above: &[&str]) -> Option<&'static str> {
    if !UNSAFE.iter().any(|place| path.starts_with(place)) {
        return Some("unsafe outside crates/os and crates/cipher");
    }
    let reasoned = above.iter().any(|line| line.contains("SAFETY:"));
    (!reasoned).then_some("unsafe without a SAFETY: comment")
}

/// The name of a type that ends in a word without meaning.
fn empty_name(code: &str) -> Option<&str> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let kind = words.iter().position(|word| ["struct", "enum", "trait"].contains(word))?;
    let name = words.get(kind + 1)?.split(|c: char| !c.is_alphanumeric()).next()?;
    EMPTY_NAMES.iter().any(|end| name.ends_with(end)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_purpose_is_found() {
        assert_eq!(file("crates/core/src/a.rs", "fn a() {}").len(), 1);
        assert_eq!(file("crates/core/src/a.rs", "//! For a.\nfn a() {}"), [""; 0]);
    }

    #[test]
    fn the_library_of_statements_says_no_word_of_the_mesh() {
        assert_eq!(mesh_words("crates/fides/src/a.rs", "//! Signs each UDP-packet.").len(), 2);
        assert_eq!(mesh_words("crates/fides/src/a.rs", "//! Signs each statement."), [""; 0]);
        assert_eq!(mesh_words("crates/core/src/a.rs", "//! Signs each packet."), [""; 0]);
    }

    #[test]
    fn unsafe_needs_its_crate_and_its_reason() {
        let bare = "//! For a.\nfn a() { unsafe { b() } }";
        assert!(file("crates/core/src/a.rs", bare)[0].contains("outside crates/os"));
        assert!(file("crates/os/src/a.rs", bare)[0].contains("SAFETY"));
        let reasoned = "//! For a.\n// SAFETY: b has no preconditions.\nfn a() { unsafe { b() } }";
        assert_eq!(file("crates/os/src/a.rs", reasoned), [""; 0]);
        assert_eq!(file("crates/cipher/src/a.rs", reasoned), [""; 0]);
    }

    #[test]
    fn notes_names_and_length_are_found() {
        let note = format!("//! For a.\n// {} later", NOTES[0]);
        assert_eq!(file("crates/core/src/a.rs", &note).len(), 1);
        assert_eq!(file("crates/core/src/a.rs", "//! For a.\npub struct PeerManager;").len(), 1);
        let long = format!("//! For a.\n{}", "\n".repeat(MAX_LINES));
        assert_eq!(file("crates/core/src/a.rs", &long).len(), 1);
        let tested = format!("//! For a.\nmod tests {{\n{}", "\n".repeat(MAX_LINES));
        assert_eq!(file("crates/core/src/a.rs", &tested), [""; 0]);
    }
}
