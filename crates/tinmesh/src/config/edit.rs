//! Editing of configuration files: comments, order and mode are kept.
//!
//! Source: spec cli B.2.

use super::syntax::{LineKind, Lines, split};
use super::variables::Variable;

/// What to do to a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Give it this value; others go.
    Set(&'a str),
    /// Give it this value besides those that it has.
    Add(&'a str),
    /// Take this value away; `None`: all.
    Del(Option<&'a str>),
}

/// A file after an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// Its text.
    pub text: Vec<u8>,
    /// Values that are no longer there.
    pub removed: Vec<String>,
    /// Whether the text is another.
    pub changed: bool,
}

/// A line of a file, with its end.
struct Line<'a> {
    bytes: &'a [u8],
    /// The value, if the line sets the variable in question.
    value: Option<String>,
}

fn find<'a>(text: &'a [u8], variable: &str) -> Vec<Line<'a>> {
    let mut kinds = Lines::default();
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines
        .map(|bytes| {
            let bare = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            let is_setting = kinds.next(bare) == LineKind::Setting;
            let bare = String::from_utf8_lossy(bare);
            let (name, value) = split(&bare);
            let matches = is_setting && name.eq_ignore_ascii_case(variable);
            Line { bytes, value: matches.then(|| value.to_owned()) }
        })
        .collect()
}

/// The values of a variable, in the order of the file.
pub fn values(text: &[u8], variable: &str) -> Vec<String> {
    find(text, variable).into_iter().filter_map(|line| line.value).filter(|value| !value.is_empty()).collect()
}

/// Does what was asked to the text of a file.
pub fn apply(text: &[u8], variable: &str, edit: Edit<'_>) -> Edited {
    let multiple = Variable::find(variable).is_some_and(|known| known.class.multiple);
    let lines = find(text, variable);
    let edited = match edit {
        Edit::Set(value) => set(&lines, variable, value),
        Edit::Add(value) if multiple => add(&lines, variable, value),
        Edit::Add(value) => set(&lines, variable, value),
        Edit::Del(value) => del(&lines, value),
    };
    Edited { changed: edited.text != text, ..edited }
}

fn set(lines: &[Line<'_>], variable: &str, value: &str) -> Edited {
    let (mut text, mut removed, mut written) = (Vec::new(), Vec::new(), false);
    for line in lines {
        let Some(old) = &line.value else {
            push_line(&mut text, line.bytes);
            continue;
        };
        if !old.eq_ignore_ascii_case(value) {
            removed.push(old.clone());
        }
        if !std::mem::replace(&mut written, true) {
            push_setting(&mut text, variable, value);
        }
    }
    if !written {
        push_setting(&mut text, variable, value);
    }
    Edited { text, removed, changed: true }
}

fn add(lines: &[Line<'_>], variable: &str, value: &str) -> Edited {
    let mut text = Vec::new();
    lines.iter().for_each(|line| push_line(&mut text, line.bytes));
    let present = |line: &Line<'_>| line.value.as_deref().is_some_and(|old| same(variable, old, value));
    if !lines.iter().any(present) {
        push_setting(&mut text, variable, value);
    }
    Edited { text, removed: Vec::new(), changed: true }
}

/// Names of nodes differ by case; tinc takes them for equal here and then does not connect.
fn same(variable: &str, old: &str, value: &str) -> bool {
    if variable.eq_ignore_ascii_case("ConnectTo") { old == value } else { old.eq_ignore_ascii_case(value) }
}

fn del(lines: &[Line<'_>], value: Option<&str>) -> Edited {
    let (mut text, mut removed) = (Vec::new(), Vec::new());
    for line in lines {
        match &line.value {
            Some(old) if value.is_none_or(|value| old.eq_ignore_ascii_case(value)) => removed.push(old.clone()),
            Some(_) | None => push_line(&mut text, line.bytes),
        }
    }
    Edited { text, removed, changed: true }
}

fn push_line(text: &mut Vec<u8>, line: &[u8]) {
    text.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        text.push(b'\n');
    }
}

fn push_setting(text: &mut Vec<u8>, variable: &str, value: &str) {
    let name = Variable::find(variable).map_or(variable, |known| known.name);
    text.extend_from_slice(format!("{name} = {value}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "# my network\nName = me\nconnectto=a\n# a comment\nConnectTo = b\nPort = 1\nPort = 2";

    fn edited(variable: &str, edit: Edit<'_>) -> (String, Vec<String>) {
        let edited = apply(FILE.as_bytes(), variable, edit);
        (String::from_utf8(edited.text).unwrap(), edited.removed)
    }

    #[test]
    fn setting_replaces_the_first_value_in_place_and_takes_the_others_away() {
        let (text, removed) = edited("port", Edit::Set("3"));
        assert_eq!(text, "# my network\nName = me\nconnectto=a\n# a comment\nConnectTo = b\nPort = 3\n");
        assert_eq!(removed, ["1", "2"]);
    }

    #[test]
    fn setting_what_is_not_there_appends_it() {
        let (text, _) = edited("mode", Edit::Set("hub"));
        assert_eq!(text, format!("{FILE}\nMode = hub\n"));
    }

    #[test]
    fn adding_appends_unless_the_value_is_there() {
        assert_eq!(edited("ConnectTo", Edit::Add("c")).0, format!("{FILE}\nConnectTo = c\n"));
        assert_eq!(edited("ConnectTo", Edit::Add("a")).0, format!("{FILE}\n"));
    }

    #[test]
    fn node_names_that_differ_by_case_are_different() {
        assert_eq!(edited("ConnectTo", Edit::Add("A")).0, format!("{FILE}\nConnectTo = A\n"));
    }

    #[test]
    fn adding_a_single_valued_variable_sets_it() {
        assert_eq!(edited("Port", Edit::Add("3")), edited("Port", Edit::Set("3")));
    }

    #[test]
    fn deleting_takes_one_value_or_all() {
        assert_eq!(edited("ConnectTo", Edit::Del(Some("B"))).1, ["b"]);
        assert_eq!(edited("ConnectTo", Edit::Del(None)).1, ["a", "b"]);
        assert!(edited("ConnectTo", Edit::Del(Some("c"))).1.is_empty());
    }

    #[test]
    fn lines_of_key_blocks_are_left_alone() {
        let text = b"-----BEGIN X-----\nPort=1\n-----END X-----\n";
        assert_eq!(apply(text, "Port", Edit::Del(None)).text, text);
    }

    proptest! {
        #[test]
        fn a_value_that_was_set_is_the_only_one_and_other_lines_stay(
            before in "([a-zA-Z#]{1,8} ?=? ?[a-z]{1,5}\n){0,6}",
            value in "[a-z0-9]{1,8}",
        ) {
            let edited = apply(before.as_bytes(), "Device", Edit::Set(&value));
            prop_assert_eq!(values(&edited.text, "device"), [value]);
            let after = String::from_utf8(edited.text).unwrap();
            let rest = after.lines().filter(|line| !line.starts_with("Device = "));
            prop_assert!(rest.eq(before.lines().filter(|line| !line.to_lowercase().starts_with("device "))));
        }
    }
}
