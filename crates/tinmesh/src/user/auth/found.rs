//! `auth found` and `auth founder`: from an open network to a closed one, and more founders than one.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use fides::{Claim, Key, Limits, Sign, Statement, Subject};
use tinmesh_core::trust::topics;

use super::book::{Book, NOW};
use super::{consent, grammar, say};
use crate::cli::tinmesh::auth::Consent;
use crate::config::edit::{self, Edit};
use crate::files;
use crate::user::place::Place;

/// The variable.
const FOUNDER: &str = "Founder";

/// Closes this network: this node becomes its founder.
pub(super) fn found(book: &mut Book<'_>, consent: Consent, out: &mut dyn Write) -> Result<()> {
    if book.trust.is_closed() {
        bail!("This network has founders already. Who they are: {}", book.place.command("auth list"));
    }
    let nodes: Vec<(String, Key)> = book.names.all().map(|(name, key)| (name.to_owned(), key)).collect();
    let names: Vec<&str> = nodes.iter().map(|(name, _)| name.as_str()).collect();
    let question = format!(
        "From here on this node lets in only nodes that were allowed to join.\n\
         It allows those that it knows: {}\n\
         Each of them may have the addresses in its host file, for 90 days; say it again before: auth allow NODE\n",
        names.join(", ")
    );
    consent::require(book.place, consent, &question)?;
    let mut claims = Vec::new();
    for (_, key) in &nodes {
        for about in say::membership(book, &Subject::Key(*key))? {
            claims.push(say::claim(book, about, Sign::Yes, None, &Limits::default()));
        }
    }
    let statements = book.say(claims)?;
    // The statements first: nobody is cut off in between.
    set_founder(book.place, Edit::Add(&book.me.to_string()))?;
    book.reload();
    book.config.founders.insert(book.me);
    say::show(book, &statements, out)?;
    eprintln!(
        "\nThis node is the founder of this network. On every other node, so that it is closed there too:\n\n  \
         sudo tinmesh auth founder add {}\n\nLet another machine in, for a week: {}",
        book.own,
        book.place.sudo("invite NAME --for 7d")
    );
    Ok(())
}

/// Believes a founder from here on.
pub(super) fn add(book: &mut Book<'_>, node: &str, out: &mut dyn Write) -> Result<()> {
    let key = book.names.key(node)?;
    let closes = !book.trust.is_closed();
    let statements = vote(book, key, Sign::Yes)?;
    set_founder(book.place, Edit::Add(&key.to_string()))?;
    book.reload();
    show(book, &statements, out)?;
    eprintln!("{} is a founder for this node: {key}", book.names.show(&key));
    if closes {
        eprintln!("This network is closed here from now on: only who founders let in may join.");
    }
    Ok(())
}

/// Believes a founder no longer.
pub(super) fn remove(book: &mut Book<'_>, node: &str, out: &mut dyn Write) -> Result<()> {
    let key = book.names.key(node)?;
    let is_configured = book.config.founders.contains(&key);
    if !is_configured && !book.trust.is_founder(key, NOW) {
        bail!("{node} is no founder. Who is: {}", book.place.command("auth list"));
    }
    if is_configured && book.config.founders.len() == 1 {
        bail!(
            "{node} is the only founder: without one this network is open to everybody. If you want that, remove the line \
             Founder from {}",
            book.place.paths.tinc_conf().display()
        );
    }
    let statements = vote(book, key, Sign::No)?;
    if is_configured {
        set_founder(book.place, Edit::Del(Some(&key.to_string())))?;
        book.reload();
    }
    show(book, &statements, out)?;
    eprintln!("For other nodes {} is a founder until two thirds of the founders say no.", book.names.show(&key));
    Ok(())
}

/// A founder's vote on who is one.
fn vote(book: &mut Book<'_>, key: Key, sign: Sign) -> Result<Vec<Arc<Statement>>> {
    if !book.is_founder() || key == book.me {
        return Ok(Vec::new());
    }
    let about = grammar::about(&Subject::Key(key), topics::FOUND, &[])?;
    let claims: Vec<Claim> = vec![say::claim(book, about, sign, None, &Limits::default())];
    book.say(claims)
}

fn show(book: &Book<'_>, statements: &[Arc<Statement>], out: &mut dyn Write) -> Result<()> {
    if statements.is_empty() { Ok(()) } else { say::show(book, statements, out) }
}

/// Changes the founders in the main file.
fn set_founder(place: &Place, edit: Edit<'_>) -> Result<()> {
    let path = place.paths.tinc_conf();
    let problem = |cause| anyhow!("Could not change {}: {}", path.display(), files::reason(&cause));
    let alone = files::lock_directory_of(&path).map_err(problem)?;
    let text = files::read(&path).map_err(problem)?;
    let edited = edit::apply(&text, FOUNDER, edit);
    if edited.changed {
        files::replace(&path, ".config.tmp", &edited.text, 0o644).map_err(problem)?;
    } else if let Edit::Del(_) = edit {
        bail!("The line Founder is not in {}: look in conf.d", path.display());
    }
    drop(alone);
    Ok(())
}
