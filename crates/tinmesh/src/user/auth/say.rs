//! `auth allow`, `deny`, `forget`, `trust`, `distrust`: this node says something.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, bail};
use fides::{About, Claim, DAY, Limits, Sign, Statement, Subject, Time};
use tinmesh_core::subnet::Subnet;
use tinmesh_core::trust::topics;

use super::book::Book;
use super::grammar::{self, Saying};
use super::text;
use crate::config::edit;
use crate::files;

/// Says that a node may do something.
pub(super) fn allow(book: &mut Book<'_>, words: &[String], out: &mut dyn Write) -> Result<()> {
    let mut saying = grammar::saying(words, Sign::Yes, &book.names, book.now())?;
    if saying.about.is_empty() {
        saying.about = membership(book, &saying.subject)?;
    }
    let claims = claims(book, &saying, Sign::Yes);
    let statements = book.say(claims)?;
    show(book, &statements, out)?;
    hint_after_allow(book, &saying);
    Ok(())
}

/// Says that a node may not do something.
pub(super) fn deny(book: &mut Book<'_>, words: &[String], out: &mut dyn Write) -> Result<()> {
    let mut saying = grammar::saying(words, Sign::No, &book.names, book.now())?;
    if saying.about.is_empty() {
        saying.about = vec![grammar::about(&saying.subject, topics::JOIN, &[])?];
    }
    let claims = claims(book, &saying, Sign::No);
    let statements = book.say(claims)?;
    show(book, &statements, out)
}

/// That a node may join, with the addresses of its host file.
pub(super) fn membership(book: &Book<'_>, subject: &Subject) -> Result<Vec<About>> {
    let mut about = grammar::abouts(subject, topics::JOIN, &[], Sign::Yes, &book.names)?;
    let name = match subject {
        Subject::Key(key) => book.names.name(key),
        Subject::Group(group) => bail!("Say what @{group} may do: see tinmesh auth allow --help"),
    };
    for subnet in name.map(|name| subnets(book, name)).unwrap_or_default() {
        about.push(grammar::about(subject, topics::OWN, &[topics::prefix_word(&subnet).as_str()])?);
    }
    Ok(about)
}

/// The addresses in a node's host file; those of this node may be in its main file too.
fn subnets(book: &Book<'_>, name: &str) -> Vec<Subnet> {
    let mut files = vec![book.place.paths.hosts().join(name)];
    if name == book.own.as_str() {
        files.push(book.place.paths.tinc_conf());
    }
    let texts = files.iter().filter_map(|path| files::read(path).ok());
    let values = texts.flat_map(|text| edit::values(&text, "Subnet"));
    values.filter_map(|value| Subnet::parse(&value).ok()).filter(Subnet::is_canonical).collect()
}

/// The claims of a sentence, and before them what they contradict, taken back.
pub(super) fn claims(book: &Book<'_>, saying: &Saying, sign: Sign) -> Vec<Claim> {
    let now = book.now();
    let mut claims = Vec::new();
    for about in &saying.about {
        if sign == Sign::Yes {
            claims.extend(contradicted(book, about).into_iter().map(|about| Claim::new(Sign::DontCare, about, 0, now)));
        }
        claims.push(claim(book, about.clone(), sign, saying.until, &saying.limits));
    }
    claims
}

/// A claim as the operator wants it: a day at a time where membership is leased.
pub(super) fn claim(book: &Book<'_>, about: About, sign: Sign, until: Option<Time>, limits: &Limits) -> Claim {
    let is_leased = book.config.lease && about.topic().is_some_and(|topic| topic.as_str() == topics::JOIN);
    let lease = (is_leased && sign == Sign::Yes).then(|| book.now().after(DAY));
    let mut claim = Claim::new(sign, about, 0, book.now());
    claim.until = match sign {
        Sign::Yes => until.or(lease).or(claim.until),
        Sign::No => until,
        Sign::DontCare => None,
    };
    limits.iter().fold(claim, |claim, (name, value)| claim.limit(name.clone(), value))
}

/// What this node has denied that a yes would contradict: its own no would win.
fn contradicted(book: &Book<'_>, about: &About) -> Vec<About> {
    let About::Allow { subject, topic, args } = about else { return Vec::new() };
    let rules = book.config.rules(book.me);
    let cover = rules.policy.topic(topic).cover;
    let own = book.trust.ledger().statements().filter(|statement| *statement.issuer() == book.me);
    let denied = own.filter(|statement| statement.claim().sign == Sign::No && statement.claim().about != *about);
    let touching = denied.filter(|statement| match &statement.claim().about {
        About::Allow { subject: of, topic: other, args: theirs } => {
            of == subject && other == topic && cover.touches(theirs, args)
        }
        About::Trust { .. } | About::Revoke => false,
    });
    touching.map(|statement| statement.claim().about.clone()).collect()
}

/// Takes back what this node said of another.
pub(super) fn forget(book: &mut Book<'_>, words: &[String], out: &mut dyn Write) -> Result<()> {
    let (node, topic) = match words {
        [node] => (node, None),
        [node, topic] if topics::ALL.contains(&topic.as_str()) => (node, Some(topics::word(topic))),
        [_, topic] => return Err(grammar::unknown_topic(topic)),
        _ => bail!("Say of whom, and perhaps in which topic: tinmesh auth forget NODE [TOPIC]"),
    };
    let subject = book.names.subject(node)?;
    let is_about = |about: &About| match about {
        About::Allow { subject: of, .. } => *of == subject,
        About::Trust { key, .. } => Subject::Key(*key) == subject,
        About::Revoke => false,
    };
    let own = book.trust.ledger().statements().filter(|statement| *statement.issuer() == book.me);
    let standing = own.filter(|statement| {
        let claim = statement.claim();
        let in_topic = topic.is_none() || claim.about.topic() == topic.as_ref();
        claim.sign != Sign::DontCare && is_about(&claim.about) && in_topic
    });
    let now = book.now();
    let claims: Vec<Claim> =
        standing.map(|statement| Claim::new(Sign::DontCare, statement.claim().about.clone(), 0, now)).collect();
    if claims.is_empty() {
        bail!(
            "This node has said nothing of {node} there. What others say: {}",
            book.place.command(&format!("auth list {node}"))
        );
    }
    let statements = book.say(claims)?;
    show(book, &statements, out)
}

/// Says that the word of a node counts, or that it does not.
pub(super) fn trust(book: &mut Book<'_>, words: &[String], sign: Sign, out: &mut dyn Write) -> Result<()> {
    let (abouts, depth) = grammar::introduction(words, &book.names)?;
    let now = book.now();
    let claims = abouts.into_iter().map(|about| {
        let claim = Claim::new(sign, about, 0, now);
        if sign == Sign::Yes { claim.depth(depth) } else { claim }
    });
    let statements = book.say(claims.collect())?;
    show(book, &statements, out)
}

/// Prints the lines of new statements; what they mean goes beside.
pub(super) fn show(book: &Book<'_>, statements: &[Arc<Statement>], out: &mut dyn Write) -> Result<()> {
    let now = book.now();
    for statement in statements {
        eprintln!("{}", text::whole(statement, &book.names, now));
    }
    for key in keys(statements) {
        eprintln!("  {} is {key}", book.names.show(&key));
    }
    for statement in statements {
        writeln!(out, "{statement}")?;
    }
    out.flush()?;
    if book.only_sign {
        eprintln!("It was only signed: it acts where it is imported, with tinmesh auth import.");
    } else if !book.has_daemon() {
        eprintln!("The daemon does not run here: others hear of it when it does, or where the line is imported.");
    }
    Ok(())
}

/// The keys that statements are about.
fn keys(statements: &[Arc<Statement>]) -> std::collections::BTreeSet<fides::Key> {
    let key = |statement: &Arc<Statement>| match &statement.claim().about {
        About::Allow { subject: Subject::Key(key), .. } | About::Trust { key, .. } => Some(*key),
        About::Allow { .. } | About::Revoke => None,
    };
    statements.iter().filter_map(key).collect()
}

/// What should be known behind a yes that does not yet suffice.
fn hint_after_allow(book: &mut Book<'_>, saying: &Saying) {
    if !book.trust.is_closed() {
        eprintln!("This network is open: everybody may join. Close it: {}", book.place.sudo("auth found"));
        return;
    }
    let Subject::Key(key) = saying.subject else { return };
    for about in &saying.about {
        let About::Allow { topic, args, .. } = about else { continue };
        let question = fides::Question { args: args.clone(), ..fides::Question::new(topic.clone(), key) };
        let verdict = book.trust.verdict(&question, super::book::NOW);
        let heard = book.trust.is_heard(topic.as_str(), book.me, super::book::NOW);
        let is_root = book.is_founder();
        let votes = verdict.explanation.missing.as_ref().map_or(0, |missing| missing.voices);
        if votes > 0 && !verdict.allowed {
            eprintln!("It takes {votes} more: others vote with {}", book.place.sudo("auth vote"));
        } else if heard && !is_root && !book.trust.is_founder(key, super::book::NOW) {
            eprintln!(
                "This node is no founder: elsewhere its word counts only where a founder says so. See {}",
                book.place.command(&format!("auth why {}", text::typed(&question, &book.names)))
            );
            return;
        }
    }
}
