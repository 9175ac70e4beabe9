//! `auth list`, `find`, `export`, `import`, `fsck`: the statements themselves.

use std::collections::BTreeMap;
use std::io::{Read as _, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use fides::{About, Pattern, Statement, Subject, Unchecked};
use serde_json::Value;

use super::book::{Book, NOW};
use super::text;
use crate::files;
use crate::files::statements::{kept_statements, statements_file};
use crate::tinc::Told;
use crate::user::json::print;

/// Longest input that is read, in bytes.
const MAX_INPUT: u64 = 16 << 20;
/// Statements that end sooner are told, in seconds.
const SOON: u64 = 7 * fides::DAY;

/// Lists statements by whom they are about.
pub(super) fn list(book: &mut Book<'_>, node: Option<&str>, json: bool, out: &mut dyn Write) -> Result<()> {
    let wanted = node.map(|node| book.names.subject(node)).transpose()?;
    let concerns = |statement: &&Arc<Statement>| match &wanted {
        None => true,
        Some(wanted) => *wanted == Subject::Key(*statement.issuer()) || subject(statement) == *wanted,
    };
    let statements: Vec<Arc<Statement>> = book.trust.ledger().statements().filter(concerns).cloned().collect();
    let now = book.now();
    if json {
        let all: Value = statements.iter().map(|statement| text::json(statement, &book.names, now)).collect();
        return print(&all, out);
    }
    write!(out, "{}", heading(book))?;
    let mut by_subject: BTreeMap<String, Vec<&Arc<Statement>>> = BTreeMap::new();
    for statement in &statements {
        by_subject.entry(book.names.show_subject(&subject(statement))).or_default().push(statement);
    }
    for (name, statements) in by_subject {
        writeln!(out, "\n{name}")?;
        for statement in statements {
            writeln!(out, "  {}", text::whole(statement, &book.names, now))?;
        }
    }
    if statements.is_empty() {
        writeln!(out, "\nNobody has said anything{}.", if wanted.is_some() { " of it" } else { "" })?;
    }
    Ok(())
}

/// What kind of network this is.
fn heading(book: &mut Book<'_>) -> String {
    let founders = book.trust.founders(NOW);
    if founders.is_empty() {
        return format!("This network is open: everybody may join. Close it: {}\n", book.place.sudo("auth found"));
    }
    let founders: Vec<String> = founders.iter().map(|key| format!("  {}   {key}", book.names.show(key))).collect();
    format!("This network is closed. Its founders:\n{}\n", founders.join("\n"))
}

/// Whom a statement is about.
fn subject(statement: &Statement) -> Subject {
    match &statement.claim().about {
        About::Allow { subject, .. } => subject.clone(),
        About::Trust { key, .. } => Subject::Key(*key),
        About::Revoke => Subject::Key(*statement.issuer()),
    }
}

/// Prints the statements that match a pattern.
pub(super) fn find(book: &Book<'_>, words: &[String], out: &mut dyn Write) -> Result<()> {
    let words = words.iter().flat_map(|word| word.split_whitespace());
    let key = |word: &str| book.names.key(word).map_or_else(|_| word.to_owned(), |key| key.to_string());
    // Issuer and subject: in other places, a name is only a word.
    let words: Vec<String> =
        words.enumerate().map(|(at, word)| if at == 0 || at == 3 { key(word) } else { word.to_owned() }).collect();
    let pattern: Pattern = words.join(" ").parse()?;
    for statement in book.trust.ledger().statements().filter(|statement| pattern.matches(statement)) {
        writeln!(out, "{statement}")?;
    }
    Ok(())
}

/// Prints all statements, or writes them to a file.
pub(super) fn export(book: &Book<'_>, file: Option<&Path>, out: &mut dyn Write) -> Result<()> {
    let text: String = book.trust.lines().iter().map(|line| format!("{line}\n")).collect();
    match file {
        None => Ok(out.write_all(text.as_bytes())?),
        Some(path) => files::replace(path, ".tmp", text.as_bytes(), 0o644)
            .map_err(|cause| anyhow!("Could not write {}: {}", path.display(), files::reason(&cause))),
    }
}

/// What a file says; standard input without one.
///
/// # Errors
/// If it cannot be read.
pub(super) fn input(file: Option<&Path>) -> Result<String> {
    let bytes = match file.filter(|path| *path != Path::new("-")) {
        Some(path) => files::read(path)
            .map_err(|cause| anyhow!("Could not read {}: {}", path.display(), files::reason(&cause)))?
            .to_vec(),
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes)?;
            bytes
        }
    };
    String::from_utf8(bytes).context("This is no text")
}

/// Takes in statements from elsewhere. Older ones come first: what is said later may make room for them.
pub(super) fn import(book: &mut Book<'_>, file: Option<&Path>, out: &mut dyn Write) -> Result<()> {
    let text = input(file)?;
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim().to_owned()));
    let mut lines: Vec<(usize, String)> =
        numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    lines.sort_by_key(|(_, line)| line.split(' ').nth(2).and_then(|serial| serial.parse::<u64>().ok()));
    let handed: Vec<String> = lines.iter().map(|(_, line)| line.clone()).collect();
    let outcomes = book.hand_in(&handed)?;
    let mut failed = false;
    for ((at, line), outcome) in lines.iter().zip(outcomes) {
        let what = shown(book, line);
        match outcome {
            Ok(word) => writeln!(out, "{:<9} {what}", format!("{word}:"))?,
            Err(why) => {
                failed = true;
                eprintln!("line {at}: {why}\n  {}", abridged(line));
            }
        }
    }
    if failed { Err(Told.into()) } else { Ok(()) }
}

/// A line that is a statement, as a sentence.
fn shown(book: &Book<'_>, line: &str) -> String {
    let read = Unchecked::parse(line).ok().and_then(|unchecked| unchecked.verify().ok());
    read.map_or_else(|| abridged(line), |statement| text::whole(&statement, &book.names, book.now()))
}

/// The beginning of a line that may be anything, fit for a terminal.
pub(super) fn abridged(line: &str) -> String {
    let short: String = line.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}

/// Looks for mistakes in what this node knows.
pub(super) fn fsck(book: &mut Book<'_>, out: &mut dyn Write) -> Result<()> {
    let path = statements_file(&book.place.paths.confbase);
    let mut errors = Vec::new();
    let kept = kept_statements(&book.place.paths.confbase)?;
    for (at, line) in kept.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let read = Unchecked::parse(line).map_err(|error| error.to_string());
        if let Err(why) = read.and_then(|unchecked| unchecked.verify().map_err(|error| error.to_string())) {
            errors.push(format!("{}, line {}: {why}\n  Remove that line.", path.display(), at + 1));
        }
    }
    let has_kept = errors.len();
    let refused = book.report.refused.iter().filter(|_| has_kept == 0);
    errors.extend(refused.map(|(at, error)| format!("Statement {at} is left out: {error}")));
    for evidence in book.trust.ledger().all_evidence() {
        let (name, topic) = (book.names.show(evidence.issuer()), evidence.topic());
        errors.push(format!(
            "{name} contradicts itself in {topic}: its word does not count there until a founder pardons it"
        ));
    }
    let warnings = warnings(book);
    for text in errors.iter().chain(&warnings) {
        writeln!(out, "{text}")?;
    }
    let count = book.trust.ledger().len();
    writeln!(out, "{count} statements, {} errors, {} warnings.", errors.len(), warnings.len())?;
    if errors.is_empty() { Ok(()) } else { Err(Told.into()) }
}

/// What is not wrong, but may surprise.
fn warnings(book: &mut Book<'_>) -> Vec<String> {
    let (now, mut warnings) = (book.now(), Vec::new());
    for statement in book.trust.ledger().statements() {
        let ends = statement.claim().until.filter(|until| *until > now && until.0 - now.0 < SOON);
        if ends.is_some() && statement.claim().sign == fides::Sign::Yes {
            warnings.push(format!("Ends soon: {}", text::whole(statement, &book.names, now)));
        }
    }
    if book.trust.is_closed() {
        let nodes: Vec<(String, fides::Key)> = book.names.all().map(|(name, key)| (name.to_owned(), key)).collect();
        for (name, key) in nodes {
            let Ok(node) = tinmesh_core::name::NodeName::parse(&name) else { continue };
            if !book.trust.may_join(key, &node, NOW) {
                let why = book.place.command(&format!("auth why {name} join"));
                warnings.push(format!("{name} has a host file here but may not join: {why}"));
            }
        }
    }
    warnings
}
