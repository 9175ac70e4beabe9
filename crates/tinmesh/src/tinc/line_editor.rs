//! The terminal of the shell: editing, history and completion of a line (spec: cli A.3).

use std::cell::RefCell;

use anyhow::Result;
use rustyline::completion::Completer;
use rustyline::config::{BellStyle, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Context, Editor, Helper};

use crate::cli::tinc::commands;
use crate::config::variables::VARIABLES;
use crate::control::client::Client;
use crate::paths::Paths;

/// What can be dumped.
const DUMPS: [&str; 6] = ["reachable", "nodes", "edges", "subnets", "connections", "graph"];

/// A terminal that lines are read from.
pub(super) struct LineEditor(Editor<Completion, MemHistory>);

impl LineEditor {
    /// Takes over the terminal.
    pub(super) fn new() -> Result<Self> {
        let config = Config::builder().completion_type(CompletionType::List).bell_style(BellStyle::None);
        let config = config.auto_add_history(false).build();
        let mut editor = Editor::with_history(config, MemHistory::new())?;
        editor.set_helper(Some(Completion::default()));
        Ok(Self(editor))
    }

    /// The next line; nothing at the end of the input. A line that the user breaks off is an empty one.
    pub(super) fn read_line(&mut self, prompt: &str, paths: &Paths) -> Result<Option<String>> {
        if let Some(completion) = self.0.helper() {
            completion.paths.replace(Some(paths.clone()));
        }
        match self.0.readline(prompt) {
            Ok(line) => Ok(Some(line)),
            Err(ReadlineError::Eof) => Ok(None),
            Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a line into the history.
    pub(super) fn remember(&mut self, line: &str) {
        // A history that is full is no reason to stop.
        let _ = self.0.add_history_entry(line);
    }
}

/// Completes words; asks the daemon for what it knows.
#[derive(Default)]
struct Completion {
    paths: RefCell<Option<Paths>>,
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let line = line.get(..position).unwrap_or_default();
        let known_items = || self.paths.borrow().as_ref().map(known_items).unwrap_or_default();
        let (start, mut candidates) = complete(line, known_items);
        if let [only] = candidates.as_mut_slice() {
            only.push(' ');
        }
        Ok((start, candidates))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

/// Names of nodes, and subnets.
fn known_items(paths: &Paths) -> Vec<String> {
    let Ok(mut client) = Client::connect(paths) else { return Vec::new() };
    let nodes = client.nodes().unwrap_or_default().into_iter().map(|node| node.name);
    let mut items: Vec<String> = nodes.collect();
    items.extend(client.subnets().unwrap_or_default().into_iter().map(|subnet| subnet.subnet));
    items
}

/// Where the last word of a line begins, and what it may become.
fn complete(line: &str, known_items: impl FnOnce() -> Vec<String>) -> (usize, Vec<String>) {
    let start = line.rfind([' ', '\t']).map_or(0, |index| index + 1);
    let (before, word) = line.split_at(start);
    let before: Vec<String> = before.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let candidates = match before.as_slice() {
        [] => commands().map(str::to_owned).collect(),
        ["dump" | "list"] => owned(&DUMPS),
        ["get" | "set" | "add" | "del"] => variables(word),
        ["info"] => known_items(),
        _ => Vec::new(),
    };
    let begins =
        |candidate: &String| candidate.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word));
    (start, candidates.into_iter().filter(begins).collect())
}

/// The variables that may follow; with the name of a node in front, only those of host files.
fn variables(word: &str) -> Vec<String> {
    let known = VARIABLES.iter();
    match word.split_once('.') {
        Some((node, _)) => {
            known.filter(|known| known.class.host).map(|known| format!("{node}.{}", known.name)).collect()
        }
        None => known.map(|known| known.name.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        complete(line, || vec!["alice".to_owned(), "10.0.0.0/8".to_owned()]).1
    }

    #[test]
    fn the_first_word_is_a_command_and_never_the_hidden_one() {
        assert_eq!(completed("gene"), ["generate-keys", "generate-rsa-keys", "generate-ed25519-keys"]);
        assert!(completed("conf").is_empty());
        assert_eq!(completed("connec"), ["connect"]);
    }

    #[test]
    fn what_follows_depends_on_the_command() {
        assert_eq!(completed("dump n"), ["nodes"]);
        assert_eq!(completed("get udpd").len(), 4);
        assert_eq!(completed("SET alice.ed"), ["alice.Ed25519PublicKey", "alice.Ed25519PublicKeyFile"]);
        assert!(completed("set alice.mode").is_empty());
        assert_eq!(completed("info a"), ["alice"]);
        assert!(completed("import a").is_empty() && completed("set Mode r").is_empty());
    }

    #[test]
    fn only_the_last_word_is_replaced() {
        assert_eq!(complete("get Subn", Vec::new), (4, vec!["Subnet".to_owned()]));
        assert_eq!(complete("sign é", Vec::new).1, Vec::<String>::new());
    }
}
