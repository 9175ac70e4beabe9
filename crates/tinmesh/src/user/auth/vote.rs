//! `auth vote`: what is not decided, and this node's vote on it.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use fides::{About, Limits, Question, Sign, Statement, Subject, Votes};
use serde_json::{Value, json};

use super::book::{Book, NOW};
use super::grammar::Saying;
use super::{say, text};
use crate::user::json::print;

/// Lists open questions, or votes on one.
pub(super) fn run(book: &mut Book<'_>, words: &[String], json: bool, out: &mut dyn Write) -> Result<()> {
    let open = book.trust.open_questions(NOW);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] if json => {
            print(&open.iter().map(|(question, votes)| as_json(book, question, votes)).collect::<Value>(), out)
        }
        [] => list(book, &open, out),
        ["yes", number] => vote(book, pick(&open, number)?, Sign::Yes, out),
        ["no", number] => vote(book, pick(&open, number)?, Sign::No, out),
        _ => bail!("Say yes or no, and the number of a question: tinmesh auth vote yes 1"),
    }
}

fn pick<'a>(open: &'a [(Question, Votes)], number: &str) -> Result<&'a Question> {
    let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let found = at.and_then(|at| open.get(at)).map(|(question, _)| question);
    found.ok_or_else(|| anyhow!("There is no open question `{number}': tinmesh auth vote lists them"))
}

fn list(book: &Book<'_>, open: &[(Question, Votes)], out: &mut dyn Write) -> Result<()> {
    for (number, (question, votes)) in open.iter().enumerate() {
        let what = text::answer(question, true, &book.names);
        let (yes, no) = (votes.trusted.yes, votes.trusted.no);
        writeln!(out, "{:>3}  {what}?   {yes} yes, {no} no", number + 1)?;
        for statement in about(book, question) {
            writeln!(out, "       {}", text::whole(&statement, &book.names, book.now()))?;
        }
    }
    if open.is_empty() {
        return Ok(writeln!(out, "Nothing is open.")?);
    }
    Ok(writeln!(out, "\nVote: {}", book.place.sudo("auth vote yes|no N"))?)
}

/// What was said of exactly this.
fn about(book: &Book<'_>, question: &Question) -> Vec<Arc<Statement>> {
    let about = what(question);
    let all = book.trust.ledger().statements();
    all.filter(|statement| statement.claim().about == about && statement.claim().sign != Sign::DontCare)
        .cloned()
        .collect()
}

fn what(question: &Question) -> About {
    let subject = Subject::Key(question.subject);
    About::Allow { subject, topic: question.topic.clone(), args: question.args.clone() }
}

/// Says the same as who asked for it: as long, and as much.
fn vote(book: &mut Book<'_>, question: &Question, sign: Sign, out: &mut dyn Write) -> Result<()> {
    let proposal = about(book, question).into_iter().find(|statement| statement.claim().sign == Sign::Yes);
    let now = book.now();
    let until = proposal.as_ref().and_then(|proposal| proposal.claim().until).filter(|until| *until > now);
    let limits = proposal.map(|proposal| proposal.claim().limits.clone()).filter(|_| sign == Sign::Yes);
    let saying = Saying {
        subject: Subject::Key(question.subject),
        about: vec![what(question)],
        until: until.filter(|_| sign == Sign::Yes),
        limits: limits.unwrap_or_else(Limits::default),
    };
    let claims = say::claims(book, &saying, sign);
    let statements = book.say(claims)?;
    say::show(book, &statements, out)?;
    let verdict = book.trust.verdict(question, NOW);
    eprintln!("So far: {}", text::answer(question, verdict.allowed, &book.names));
    Ok(())
}

fn as_json(book: &Book<'_>, question: &Question, votes: &Votes) -> Value {
    let count = |count: fides::Count| json!({ "yes": count.yes, "no": count.no });
    json!({
        "question": text::typed(question, &book.names),
        "key": question.subject.to_string(),
        "topic": question.topic.as_str(),
        "trusted": count(votes.trusted),
        "all": count(votes.all),
    })
}
