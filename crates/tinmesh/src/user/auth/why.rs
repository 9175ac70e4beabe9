//! `auth why` and `auth who-can`: answers, with their reasons and what changes them.

use std::io::Write;

use anyhow::Result;
use fides::{Answer, Ignored, Key, Question, Reason, Rule, Sign, Tally, Weight};
use serde_json::{Value, json};
use tinmesh_core::trust::topics;
use tinmesh_core::trust::verdict::{Because, Verdict};

use super::book::{Book, NOW};
use super::{grammar, text};
use crate::user::json::print;

/// The question whether a key may do what words say.
///
/// # Errors
/// If they say nothing that could be asked.
pub(super) fn question(book: &Book<'_>, key: Key, topic: &str, args: &[&str]) -> Result<Question> {
    let subject = fides::Subject::Key(key);
    let name = book.names.name(&key).filter(|_| topic == topics::JOIN && args.is_empty());
    let about =
        grammar::about(&subject, topic, name.as_slice().iter().chain(args).copied().collect::<Vec<_>>().as_slice())?;
    let fides::About::Allow { topic, args, .. } = about else { return Err(grammar::unknown_topic(topic)) };
    Ok(Question { args, ..Question::new(topic, key) })
}

/// Tells whether a node may do something, and why.
pub(super) fn why(book: &mut Book<'_>, words: &[String], json: bool, out: &mut dyn Write) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [node, topic, args @ ..] = words.as_slice() else {
        anyhow::bail!("Say who, and what: tinmesh auth why NODE TOPIC")
    };
    let question = question(book, book.names.key(node)?, topic, args)?;
    let verdict = book.trust.verdict(&question, NOW);
    if json {
        return print(&as_json(book, &question, &verdict), out);
    }
    Ok(write!(out, "{}", told(book, &question, &verdict))?)
}

fn told(book: &Book<'_>, question: &Question, verdict: &Verdict) -> String {
    let answer = if verdict.allowed { "yes" } else { "no" };
    let mut lines = vec![
        format!("{answer}: {}", text::answer(question, verdict.allowed, &book.names)),
        format!("  {} is {}", book.names.show(&question.subject), question.subject),
        format!("  because {}", because(book, verdict)),
    ];
    lines.extend(statements(book, verdict));
    lines.extend(chains(book, verdict));
    let changes = changes(book, question, verdict);
    if !changes.is_empty() {
        lines.push(String::new());
        lines.push("  To change it:".to_owned());
        lines.extend(changes.into_iter().map(|change| format!("    {change}")));
    }
    lines.join("\n") + "\n"
}

/// The reason as the end of a sentence.
fn because(book: &Book<'_>, verdict: &Verdict) -> String {
    let place = &book.place;
    let votes = match &verdict.explanation.reason {
        Reason::Revoked(_) => return "the key has been revoked by its owner: nothing else is looked at".to_owned(),
        Reason::OwnWord(_) => return "this node has said so itself: other votes do not count here".to_owned(),
        Reason::Votes(tally) => counted(book, tally, verdict.explanation.answer),
        Reason::Silence(tally) => format!("nobody whose word counts has said anything ({})", needed(tally)),
    };
    match verdict.because {
        Because::Said => votes,
        Because::Founder => "it is a founder, and nobody has denied it".to_owned(),
        Because::Open => {
            format!("this network is open and nothing forbids it ({} closes it)", place.command("auth found"))
        }
        Because::NobodyIsAllowed => "everybody may, as long as nobody is allowed to in particular".to_owned(),
        Because::Closed => format!("{votes}, and what nobody allows is forbidden"),
    }
}

fn counted(book: &Book<'_>, tally: &Tally, answer: Answer) -> String {
    let names = |keys: &std::collections::BTreeSet<Key>| {
        let names: Vec<String> = keys.iter().map(|key| book.names.show(key)).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    let verb = match answer {
        Answer::Allow => "the votes suffice",
        Answer::Deny => "it is denied",
        Answer::Unknown => "the votes do not suffice",
    };
    format!("{verb}: {} for it, {} against it ({})", names(&tally.yes), names(&tally.no), needed(tally))
}

/// The rule by which votes are counted.
fn needed(tally: &Tally) -> String {
    let voices = |number: usize| if number == 1 { "one voice".to_owned() } else { format!("{number} voices") };
    match tally.rule {
        Rule::DenyOverrides => format!("{} allows, any no denies", voices(tally.quorum)),
        Rule::Majority => format!("more yes than no, and at least {}", voices(tally.quorum)),
        Rule::Quorum => format!("it takes {} more for it than against it", voices(tally.quorum)),
        Rule::TwoThirds => format!("it takes two thirds of {} founders", tally.founders),
    }
}

/// Each statement about the question, those that count first.
fn statements(book: &Book<'_>, verdict: &Verdict) -> Vec<String> {
    let now = book.now();
    let all = &verdict.explanation.statements;
    let counting: Vec<_> = all.iter().filter(|weighed| weighed.weight.is_ok()).collect();
    let ignored: Vec<_> = all.iter().filter_map(|weighed| Some((&weighed.statement, weighed.weight.err()?))).collect();
    let mut lines = Vec::new();
    if !counting.is_empty() {
        lines.extend([String::new(), "  What counts:".to_owned()]);
    }
    for weighed in counting {
        lines.push(format!("    {}", text::whole(&weighed.statement, &book.names, now)));
        if let Ok(Weight { voice, .. }) = weighed.weight
            && voice != *weighed.statement.issuer()
        {
            lines.push(format!("      in the voice of {}, who alone brought it in", book.names.show(&voice)));
        }
    }
    if !ignored.is_empty() {
        lines.extend([String::new(), "  What was said but does not count:".to_owned()]);
    }
    for (statement, reason) in ignored {
        lines.push(format!("    {}", text::whole(statement, &book.names, now)));
        lines.push(format!("      {reason}{}", remedy(book, statement.issuer(), reason, verdict)));
    }
    lines
}

/// What makes an ignored statement count, if that is in somebody's power.
fn remedy(book: &Book<'_>, issuer: &Key, reason: Ignored, verdict: &Verdict) -> String {
    let topic = verdict.explanation.statements.first().and_then(|weighed| weighed.statement.claim().about.topic());
    let topic = topic.map_or("join", fides::Word::as_str);
    let name = book.names.show(issuer);
    match reason {
        Ignored::Untrusted | Ignored::Contested => {
            format!(": {}", book.place.sudo(&format!("auth trust {name} for {topic}")))
        }
        Ignored::NotFounder => format!(": {}", book.place.sudo(&format!("auth founder add {name}"))),
        Ignored::NotTheirs => format!(": {}", book.place.sudo(&format!("auth allow {name} {topic} …"))),
        Ignored::Muted => ": a founder can pardon it".to_owned(),
        Ignored::DontCare
        | Ignored::NotYet
        | Ignored::Over
        | Ignored::NotMember
        | Ignored::TooNarrow
        | Ignored::TooLittle => String::new(),
    }
}

/// Who brought in those whose word counts, unless they are roots.
fn chains(book: &Book<'_>, verdict: &Verdict) -> Vec<String> {
    let now = book.now();
    let introduced = verdict.explanation.introductions.iter().filter(|introduction| !introduction.vouching.is_empty());
    let mut lines: Vec<String> = introduced
        .flat_map(|introduction| introduction.vouching.iter().chain(&introduction.warning))
        .map(|statement| format!("    {}", text::whole(statement, &book.names, now)))
        .collect();
    if !lines.is_empty() {
        lines.insert(0, "  Why their word counts:".to_owned());
        lines.insert(0, String::new());
    }
    lines
}

/// What to type to have it otherwise.
fn changes(book: &Book<'_>, question: &Question, verdict: &Verdict) -> Vec<String> {
    let typed = text::typed(question, &book.names);
    let place = book.place;
    if matches!(verdict.explanation.reason, Reason::Revoked(_)) {
        return vec!["it cannot be changed: the node needs a new key".to_owned()];
    }
    if verdict.allowed {
        return vec![place.sudo(&format!("auth deny {typed}"))];
    }
    let mut lines = Vec::new();
    let missing = verdict.explanation.missing.as_ref();
    for statement in missing.map(|missing| missing.withdrawals.as_slice()).unwrap_or_default() {
        let Some(words) = text::forgetting(statement, &book.names) else { continue };
        lines.push(format!("on {}: {}", book.names.show(statement.issuer()), place.sudo(&words)));
    }
    let voices = missing.map_or(0, |missing| missing.voices);
    let of: Vec<String> =
        missing.into_iter().flat_map(|missing| missing.of.keys()).map(|key| book.names.show(key)).collect();
    if voices > 0 && !of.is_empty() {
        let who = if voices == 1 { "on one of".to_owned() } else { format!("on {voices} of") };
        lines.push(format!("{who} {}: {}", of.join(", "), place.sudo(&format!("auth allow {typed}"))));
    } else if voices > 0 {
        lines.push(format!(
            "nobody is left who could say yes: bring somebody in with {}",
            place.sudo("auth trust NODE for TOPIC")
        ));
    }
    lines
}

fn as_json(book: &Book<'_>, question: &Question, verdict: &Verdict) -> Value {
    let now = book.now();
    let explanation = &verdict.explanation;
    let statements = explanation.statements.iter().map(|weighed| {
        let mut value = text::json(&weighed.statement, &book.names, now);
        value["counts"] = weighed.weight.is_ok().into();
        value["ignored"] = weighed.weight.err().map(|reason| reason.to_string()).into();
        value
    });
    let missing = explanation.missing.as_ref();
    json!({
        "question": text::typed(question, &book.names),
        "key": question.subject.to_string(),
        "allowed": verdict.allowed,
        "answer": match explanation.answer {
            Answer::Allow => "allow",
            Answer::Deny => "deny",
            Answer::Unknown => "unknown",
        },
        "because": because(book, verdict),
        "statements": statements.collect::<Vec<_>>(),
        "missing_voices": missing.map(|missing| missing.voices),
        "proof": explanation.proof.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Lists the nodes that may do something.
pub(super) fn who_can(book: &mut Book<'_>, words: &[String], json: bool, out: &mut dyn Write) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [topic, args @ ..] = words.as_slice() else { return Err(grammar::unknown_topic("")) };
    let mut able = Vec::new();
    for key in book.known_keys() {
        let question = question(book, key, topic, args)?;
        let verdict = book.trust.verdict(&question, NOW);
        if verdict.allowed {
            let yes = verdict
                .explanation
                .statements
                .iter()
                .filter(|weighed| matches!(weighed.weight, Ok(Weight { sign: Sign::Yes, .. })));
            able.push((key, yes.filter_map(|weighed| weighed.statement.claim().until).max(), because(book, &verdict)));
        }
    }
    if json {
        let all: Value = able
            .iter()
            .map(|(key, until, because)| {
                json!({
                    "name": book.names.name(key), "key": key.to_string(), "until": until.map(|until| until.0),
                    "because": because,
                })
            })
            .collect();
        return print(&all, out);
    }
    for (key, until, because) in &able {
        let until = until.map_or_else(String::new, |until| format!(", until {} UTC", super::when::text(until)));
        writeln!(out, "{:<12} {because}{until}", book.names.show(key))?;
    }
    if able.is_empty() {
        writeln!(out, "Nobody that is known here.")?;
    }
    Ok(())
}
