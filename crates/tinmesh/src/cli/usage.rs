//! The usage texts of `tinc` and `tincd`, read as definitions: what manual pages and completions are made from.

use super::getopt::Argument;

/// A line of a usage text: what is typed, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is typed.
    pub term: String,
    /// What it does.
    pub about: String,
    /// Whether it belongs to the line above.
    pub nested: bool,
}

/// An option as its line shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionWords {
    /// Its letter.
    pub short: Option<char>,
    /// Its long name, without dashes.
    pub long: String,
    /// Whether it takes an argument.
    pub argument: Argument,
    /// What stands for the argument.
    pub value: String,
}

/// All lines of a usage text that describe something, in order. They have their descriptions in one column.
pub fn entries(usage: &str) -> Vec<Entry> {
    let lines = usage.lines().filter(|line| line.starts_with("  "));
    let column = lines.clone().find_map(|line| {
        let indent = line.len() - line.trim_start().len();
        let gap = indent + line.get(indent..)?.find("  ")?;
        Some(gap + line.get(gap..)?.find(|c| c != ' ')?)
    });
    let column = column.unwrap_or(0);
    let entry = |line: &str| {
        let (term, about) = line.split_at_checked(column)?;
        let nested = term.starts_with("    ") && !term.trim_start().starts_with('-');
        let about = about.trim_start_matches("- ");
        Some(Entry { term: term.trim().to_owned(), about: about.to_owned(), nested })
    };
    lines.filter_map(entry).collect()
}

impl Entry {
    /// The option that is described, if it is one.
    pub fn option(&self) -> Option<OptionWords> {
        let (before, rest) = self.term.split_once("--")?;
        let short = before.strip_prefix('-').and_then(|letter| letter.chars().next());
        let end = rest.find(['=', '[']).unwrap_or(rest.len());
        let (long, argument) = rest.split_at_checked(end)?;
        let (argument, value) = match argument.strip_prefix("[=") {
            Some(value) => (Argument::Optional, value.trim_end_matches(']')),
            None => match argument.strip_prefix('=') {
                Some(value) => (Argument::Required, value),
                None => (Argument::None, ""),
            },
        };
        Some(OptionWords { short, long: long.to_owned(), argument, value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{tinc, tincd};

    fn option(usage: &str, long: &str) -> (OptionWords, String) {
        let found = entries(usage).into_iter().filter_map(|entry| Some((entry.option()?, entry.about)));
        found.into_iter().find(|(option, _)| option.long == long).unwrap()
    }

    #[test]
    fn options_have_letters_arguments_and_descriptions() {
        let usage = tincd::usage("tincd");
        let (setting, about) = option(&usage, "option");
        assert_eq!((setting.short, setting.argument), (Some('o'), Argument::Required));
        assert_eq!((setting.value.as_str(), about.as_str()), ("[HOST.]KEY=VALUE", "Set a configuration option."));
        let (logfile, _) = option(&usage, "logfile");
        assert_eq!((logfile.short, logfile.argument, logfile.value.as_str()), (None, Argument::Optional, "FILENAME"));
        assert_eq!(option(&usage, "no-detach").0.argument, Argument::None);
    }

    #[test]
    fn commands_are_told_from_options_and_lists_belong_to_dump() {
        let entries = entries(&tinc::usage("tinc"));
        let at = entries.iter().position(|entry| entry.term == "dump | list").unwrap();
        assert!(!entries[at].nested && entries[at].option().is_none());
        assert_eq!(entries[at + 1].term, "[reachable] nodes");
        assert!(entries[at + 1].nested && entries[at + 1].about.starts_with("all known nodes"));
    }
}
