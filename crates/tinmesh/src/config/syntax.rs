//! The line syntax of configuration files, host files and the option `-o`.
//!
//! Source: spec configuration 3, 3.3.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tinmesh_core::name::NodeName;

/// Where a setting was written. The order of places is the precedence of settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On the command line, as the option of this number.
    Option(usize),
    /// In a file.
    File {
        /// Line number, from 1.
        line: usize,
        /// The file.
        path: Arc<Path>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(number) => write!(f, "command line option {number}"),
            Self::File { line, path } => write!(f, "{} line {line}", path.display()),
        }
    }
}

/// One variable with its value, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable's name in the spelling found; empty for an indented line.
    pub variable: String,
    /// The value.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

impl Setting {
    /// Whether this sets the variable called `name`.
    pub fn is(&self, name: &str) -> bool {
        self.variable.eq_ignore_ascii_case(name)
    }
}

/// A line that is not of the form `VARIABLE = VALUE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// In a file.
    #[error("No value for variable `{variable}' on line {line} while reading config file {}", path.display())]
    InFile {
        /// The variable.
        variable: String,
        /// The line.
        line: usize,
        /// The file.
        path: PathBuf,
    },
    /// In an option.
    #[error("No value for variable `{variable}' in command line option {number}")]
    InOption {
        /// The variable.
        variable: String,
        /// Which option, from 1.
        number: usize,
    },
}

/// A setting of the command line: `-o [NAME.]VARIABLE=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The node that it is about, if it names one.
    pub node: Option<String>,
    /// The setting.
    pub setting: Setting,
}

impl Override {
    /// Reads the `number`th option, counted from 1.
    ///
    /// # Errors
    /// If it has no value.
    pub fn parse(text: &str, number: usize) -> Result<Self, SyntaxError> {
        let (word, value) = split(text);
        if value.is_empty() {
            return Err(SyntaxError::InOption { variable: word.to_owned(), number });
        }
        let (node, variable) = match word.split_once('.') {
            Some((node, variable)) => (Some(node.to_owned()), variable),
            None => (None, word),
        };
        let setting = Setting { variable: variable.to_owned(), value: value.to_owned(), place: Place::Option(number) };
        Ok(Self { node, setting })
    }

    /// Whether this is about the node called `name`.
    pub fn is_about(&self, name: &NodeName) -> bool {
        self.node.as_deref() == Some(name.as_str())
    }
}

/// Cuts a line into variable and value; either may be empty.
pub fn split(line: &str) -> (&str, &str) {
    let blank = |c| c == ' ' || c == '\t';
    let line = line.trim_end_matches(blank);
    let end = line.find(|c| blank(c) || c == '=').unwrap_or(line.len());
    let (variable, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(blank);
    let value = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(blank);
    (variable, value)
}

/// What a line of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Empty, or a comment.
    Skipped,
    /// Part of a key block.
    Block,
    /// A setting, or an attempt at one.
    Setting,
}

/// Tells settings from comments and from key blocks, line by line.
#[derive(Debug, Default)]
pub struct Lines {
    in_block: bool,
}

impl Lines {
    /// Looks at the next line, which has no line end.
    pub fn next(&mut self, line: &[u8]) -> LineKind {
        if self.in_block {
            self.in_block = !line.starts_with(b"-----END");
            return LineKind::Block;
        }
        if line.is_empty() || line.starts_with(b"#") {
            return LineKind::Skipped;
        }
        self.in_block = line.starts_with(b"-----BEGIN");
        if self.in_block { LineKind::Block } else { LineKind::Setting }
    }
}

/// The line on which a key block begins that has no end, if there is one: nothing behind it counts.
pub fn unclosed_block(text: &[u8]) -> Option<usize> {
    let mut kinds = Lines::default();
    let mut begin = None;
    for (index, line) in lines(text).enumerate() {
        let was_in_block = kinds.in_block;
        kinds.next(line);
        begin = match (was_in_block, kinds.in_block) {
            (false, true) => Some(index + 1),
            (true, true) => begin,
            (_, false) => None,
        };
    }
    begin
}

/// The lines of a text without their ends; a last line without newline is one too.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    lines.pop_if(|last| last.is_empty());
    lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Reads the text of a file.
///
/// # Errors
/// If a line has no value.
pub fn parse(text: &[u8], path: &Path) -> Result<Vec<Setting>, SyntaxError> {
    let shared: Arc<Path> = path.into();
    let mut kinds = Lines::default();
    let mut settings = Vec::new();
    for (index, line) in lines(text).enumerate() {
        if kinds.next(line) != LineKind::Setting {
            continue;
        }
        let line = String::from_utf8_lossy(line);
        let (variable, value) = split(&line);
        let number = index + 1;
        if value.is_empty() {
            let path = path.to_owned();
            return Err(SyntaxError::InFile { variable: variable.to_owned(), line: number, path });
        }
        let place = Place::File { line: number, path: Arc::clone(&shared) };
        settings.push(Setting { variable: variable.to_owned(), value: value.to_owned(), place });
    }
    Ok(settings)
}

/// Settings in order of precedence.
#[derive(Clone, Debug, Default)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// Puts settings in order.
    pub fn new(mut settings: Vec<Setting>) -> Self {
        settings.sort_by(|a, b| Ord::cmp(&a.place, &b.place));
        Self(settings)
    }

    /// All values of a variable, the strongest first.
    pub fn all<'a>(&'a self, variable: &'a str) -> impl Iterator<Item = &'a Setting> {
        self.0.iter().filter(move |setting| setting.is(variable))
    }

    /// The value of a variable.
    pub fn first(&self, variable: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.is(variable))
    }

    /// Every setting.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let settings = parse(text.as_bytes(), Path::new("/t/tinc.conf")).unwrap();
        settings.into_iter().map(|setting| (setting.variable, setting.value)).collect()
    }

    #[test]
    fn all_spellings_of_a_setting_are_equal() {
        for line in ["Port 655", "Port=655", "Port =655", "Port\t=\t655", "Port = 655 \t", "Port = 655\r\n"] {
            assert_eq!(parsed(line), [("Port".to_owned(), "655".to_owned())], "{line:?}");
        }
    }

    #[test]
    fn only_the_first_equals_sign_is_syntax() {
        assert_eq!(parsed("Port = = 655"), [("Port".to_owned(), "= 655".to_owned())]);
    }

    #[test]
    fn comments_empty_lines_and_key_blocks_are_skipped() {
        let text =
            "# a\n\nName = x\n-----BEGIN RSA PUBLIC KEY-----\nPort = 1\n-----END RSA PUBLIC KEY-----\nPort = 2 # b\n";
        let expected = [("Name", "x"), ("Port", "2 # b")];
        assert_eq!(parsed(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_block_without_end_is_found() {
        let begin = "-----BEGIN X-----\n";
        assert_eq!(unclosed_block(format!("a = b\n{begin}c\n-----END X-----\nd = e\n").as_bytes()), None);
        assert_eq!(unclosed_block(format!("a = b\n{begin}c\n{begin}").as_bytes()), Some(2));
        assert_eq!(unclosed_block(b""), None);
    }

    #[test]
    fn an_indented_setting_has_no_name() {
        assert_eq!(parsed(" Port = 655"), [(String::new(), "Port = 655".to_owned())]);
    }

    #[test]
    fn a_missing_value_is_told_with_line_and_file() {
        for (text, variable) in [("Name = x\nPort =", "Port"), ("\n  \t", "")] {
            let error = parse(text.as_bytes(), Path::new("/t/tinc.conf")).unwrap_err();
            let expected =
                format!("No value for variable `{variable}' on line 2 while reading config file /t/tinc.conf");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn an_option_may_name_a_node_and_is_told_by_number() {
        let option = Override::parse("bob.Port 655", 2).unwrap();
        assert_eq!((option.node.as_deref(), option.setting.variable.as_str()), (Some("bob"), "Port"));
        let error = Override::parse("Foo", 1).unwrap_err();
        assert_eq!(error.to_string(), "No value for variable `Foo' in command line option 1");
    }

    #[test]
    fn options_come_first_then_line_numbers_decide_then_paths() {
        let file = |text: &str, path: &str| parse(text.as_bytes(), Path::new(path)).unwrap();
        let mut all = file("\n\nPort = 3", "/t/hosts/me");
        all.extend(file("\nPort = 2\nPort = 4", "/t/tinc.conf"));
        all.push(Override::parse("port=1", 1).unwrap().setting);

        let settings = Settings::new(all);

        let values: Vec<&str> = settings.all("PORT").map(|setting| setting.value.as_str()).collect();
        assert_eq!(values, ["1", "2", "3", "4"]);
        assert_eq!(settings.first("Port").map(|setting| setting.value.as_str()), Some("1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(settings) = parse(&text, Path::new("x")) {
                for setting in settings {
                    prop_assert!(!setting.value.is_empty() && !setting.variable.contains(['=', ' ', '\t']));
                }
            }
        }
    }
}
