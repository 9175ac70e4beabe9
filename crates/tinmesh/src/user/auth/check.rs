//! `auth check`: statements are tried, and cases tested: nothing is changed.
//!
//! ```text
//!  # a comment
//!  fides1 …                          a statement that is tried
//!  alice may join: yes               a case, judged with all statements of the file
//!  mallory may own 10.1.0.0/16: no
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use fides::{Question, Unchecked};
use tinmesh_core::trust::{Trust, topics};

use super::book::{Book, NOW};
use super::{show, text, why};
use crate::tinc::Told;

/// A case: a question, and the answer that it should have.
struct Case {
    line: usize,
    question: Question,
    expected: bool,
}

/// Tries the statements of a file and tests its cases.
pub(super) fn run(book: &mut Book<'_>, file: Option<&Path>, out: &mut dyn Write) -> Result<()> {
    let input = show::input(file)?;
    let numbered = input.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines: Vec<(usize, &str)> = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    let (tried, cases): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(_, line)| line.starts_with("fides1"));
    let mut trial = book.trial();
    let mut failures = Vec::new();
    for (at, line) in &tried {
        match trial.accept(line, None, NOW) {
            Ok(accepted) => told_of_statement(book, line, crate::control::encode::word(&accepted), out)?,
            Err(refused) => failures.push(format!("line {at}: {refused}")),
        }
    }
    if !tried.is_empty() {
        told_of_changes(book, &mut trial, out)?;
    }
    let mut passed = 0;
    book.names.learn(trial.ledger());
    for (at, line) in cases {
        match case(book, at, line).map(|case| failure(book, &mut trial, &case)) {
            Ok(None) => passed += 1,
            Ok(Some(failure)) => failures.push(failure),
            Err(error) => failures.push(format!("line {at}: {error}")),
        }
    }
    out.flush()?;
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    if passed > 0 || !failures.is_empty() {
        writeln!(out, "{passed} cases as expected, {} failures.", failures.len())?;
    }
    if failures.is_empty() { Ok(()) } else { Err(Told.into()) }
}

fn told_of_statement(book: &Book<'_>, line: &str, outcome: &str, out: &mut dyn Write) -> Result<()> {
    let read = Unchecked::parse(line).map_err(anyhow::Error::from).and_then(|unchecked| Ok(unchecked.verify()?))?;
    Ok(writeln!(out, "{:<9} {}", format!("{outcome}:"), text::whole(&read, &book.names, book.now()))?)
}

/// What the statements would change: each question that somebody speaks of, with both answers.
fn told_of_changes(book: &mut Book<'_>, trial: &mut Trust, out: &mut dyn Write) -> Result<()> {
    let mut questions: Vec<Question> = Vec::new();
    for topic in topics::ALL {
        questions.extend(book.trust.spoken_of(topic, NOW));
        questions.extend(trial.spoken_of(topic, NOW));
    }
    for key in book.known_keys() {
        questions.extend(why::question(book, key, topics::JOIN, &[]));
    }
    let distinct: BTreeMap<String, Question> =
        questions.into_iter().map(|question| (text::typed(&question, &book.names), question)).collect();
    let mut changed = 0;
    for question in distinct.values() {
        let [before, after] = [&mut book.trust, &mut *trial].map(|trust| trust.verdict(question, NOW).allowed);
        if before != after {
            changed += 1;
            writeln!(out, "  would change: {}", text::answer(question, after, &book.names))?;
        }
    }
    if changed == 0 {
        writeln!(out, "  would change nothing")?;
    }
    Ok(())
}

/// Reads a case.
fn case(book: &Book<'_>, line: usize, text: &str) -> Result<Case> {
    let right = "write for example: alice may join: yes";
    let (asked, answer) =
        text.rsplit_once(':').ok_or_else(|| anyhow!("`{}' is no case: {right}", show::abridged(text)))?;
    let expected = match answer.trim() {
        "yes" => true,
        "no" => false,
        other => bail!("`{other}' is no answer: {right}, or no"),
    };
    let words: Vec<&str> = asked.split_whitespace().collect();
    let [node, "may", topic, args @ ..] = words.as_slice() else { bail!("`{asked}' is no question: {right}") };
    let question = why::question(book, book.names.key(node)?, topic, args)?;
    Ok(Case { line, question, expected })
}

/// What to say of a case that is not as expected.
fn failure(book: &Book<'_>, trial: &mut Trust, case: &Case) -> Option<String> {
    let verdict = trial.verdict(&case.question, NOW);
    (verdict.allowed != case.expected).then(|| {
        let typed = text::typed(&case.question, &book.names);
        format!(
            "line {}: {} (expected: {})\n  Why: {}",
            case.line,
            text::answer(&case.question, verdict.allowed, &book.names),
            if case.expected { "yes" } else { "no" },
            book.place.command(&format!("auth why {typed}"))
        )
    })
}
