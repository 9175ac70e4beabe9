//! What must vary from run to run is replaced, by narrow rules; everything else is compared to the byte.

use super::case::Case;

/// A text of this case without what is chance.
pub(super) fn text(case: &Case, text: &str) -> String {
    let text = dates(text).replace("/var/run/", "/run/");
    let text = case.masks.iter().fold(text, |text, mask| number_after(&text, mask));
    let text = text.replace(" rtt N", "");
    let noise = |line: &&str| !case.noise.is_empty() && line.contains(case.noise);
    let text: String = text.split_inclusive('\n').filter(|line| !noise(line)).collect();
    if case.new_keys { keys(&progress(&text)) } else { text }
}

/// Dates with times become a word.
fn dates(text: &str) -> String {
    let shape = b"0000-00-00 00:00:00";
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let fits = rest.len() >= shape.len()
            && rest
                .bytes()
                .zip(shape)
                .all(|(byte, like)| if *like == b'0' { byte.is_ascii_digit() } else { byte == *like });
        if fits {
            out.push_str("DATE");
            rest = &rest[shape.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The number (also hexadecimal, also with a point) after `mask` becomes `N`.
fn number_after(text: &str, mask: &str) -> String {
    let mut pieces = text.split(mask);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let tail = piece.strip_prefix("inf").unwrap_or(piece);
        let tail = tail.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == '.');
        out.push_str(mask);
        if tail.len() < piece.len() {
            out.push('N');
        }
        out.push_str(tail);
    }
    out
}

/// Without the lines that show how the search for prime numbers goes.
fn progress(text: &str) -> String {
    let dots = |line: &&str| line.trim_end().ends_with(['p', 'q']) && line.starts_with(['.', '+', '*', '-']);
    text.split_inclusive('\n').filter(|line| !dots(line)).collect()
}

/// The bodies of PEM blocks and the values of `Ed25519PublicKey` become a word.
fn keys(text: &str) -> String {
    let mut inside = false;
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start_matches('#');
        if bare.starts_with("-----END") {
            inside = false;
            out.push_str("KEY\n");
        }
        match bare.split_once("Ed25519PublicKey = ") {
            Some(("", value)) if value.trim_end().len() == 43 => out.push_str("Ed25519PublicKey = KEY\n"),
            _ if inside => {}
            _ => out.push_str(line),
        }
        inside |= bare.starts_with("-----BEGIN");
    }
    out
}

#[test]
fn only_what_must_vary_is_replaced() {
    let case = super::case::same("").masked(&["socket "]).new_keys();

    let dated = text(&case, "2026-11-25 12:00:00 NOTICE in /var/run/x, socket 12 status 200");
    let key = text(&case, "-----BEGIN X-----\nAAAA\nBBBB\n-----END X-----\nPort = 1\n");

    assert_eq!(dated, "DATE NOTICE in /run/x, socket N status 200");
    assert_eq!(key, "-----BEGIN X-----\nKEY\n-----END X-----\nPort = 1\n");
}
