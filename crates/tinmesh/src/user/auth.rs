//! `tinmesh auth`: who may do what, said and asked by people.
//!
//! ```text
//!  words ─► grammar ─► claims ─► Book: signed, handed to the daemon, or to its file
//!                                  │
//!  answers ◄─ text ◄─ verdicts ◄───┘ the judge of the mesh core
//! ```

pub(super) mod book;
mod check;
mod consent;
mod found;
pub(super) mod grammar;
mod keys;
mod names;
mod say;
mod show;
mod text;
mod vote;
pub(super) mod when;
mod why;

use std::io::Write;

use anyhow::Result;
use fides::Sign;

use self::book::Book;
use super::place::Place;
use crate::cli::tinmesh::auth::{Auth, AuthCommand, FounderChange};

/// Carries out a command of `tinmesh auth`.
pub(super) fn run(place: &Place, auth: &Auth, out: &mut dyn Write) -> Result<()> {
    if changes(&auth.command) {
        place.require_root("auth …")?;
    }
    let mut book = Book::open(place)?;
    let book = &mut book;
    book.only_sign = only_signs(&auth.command);
    match &auth.command {
        AuthCommand::Allow(said) => say::allow(book, &said.words, out),
        AuthCommand::Deny(said) => say::deny(book, &said.words, out),
        AuthCommand::Forget(said) => say::forget(book, &said.words, out),
        AuthCommand::Trust(said) => say::trust(book, &said.words, Sign::Yes, out),
        AuthCommand::Distrust(said) => say::trust(book, &said.words, Sign::No, out),
        AuthCommand::List { node, form } => show::list(book, node.as_deref(), form.json, out),
        AuthCommand::Why { words, form } => why::why(book, words, form.json, out),
        AuthCommand::WhoCan { words, form } => why::who_can(book, words, form.json, out),
        AuthCommand::Import { file } => show::import(book, file.as_deref(), out),
        AuthCommand::Export { file } => show::export(book, file.as_deref(), out),
        AuthCommand::Find { pattern } => show::find(book, pattern, out),
        AuthCommand::Fsck => show::fsck(book, out),
        AuthCommand::Found(consent) => found::found(book, *consent, out),
        AuthCommand::Founder { change: FounderChange::Add { node } } => found::add(book, node, out),
        AuthCommand::Founder { change: FounderChange::Remove { node } } => found::remove(book, node, out),
        AuthCommand::Vote { words, form } => vote::run(book, words, form.json, out),
        AuthCommand::Check { file } => check::run(book, file.as_deref(), out),
        AuthCommand::Revoke { with, consent } => keys::revoke(book, with.as_deref(), *consent, out),
        AuthCommand::Rekey { finish: false, consent } => keys::rekey(book, *consent, out),
        AuthCommand::Rekey { finish: true, consent } => keys::finish(book, *consent, out),
    }
}

/// Whether a command only prints what it signed.
fn only_signs(command: &AuthCommand) -> bool {
    match command {
        AuthCommand::Allow(said)
        | AuthCommand::Deny(said)
        | AuthCommand::Forget(said)
        | AuthCommand::Trust(said)
        | AuthCommand::Distrust(said) => said.print,
        AuthCommand::Found(_)
        | AuthCommand::Founder { .. }
        | AuthCommand::Vote { .. }
        | AuthCommand::List { .. }
        | AuthCommand::Why { .. }
        | AuthCommand::WhoCan { .. }
        | AuthCommand::Check { .. }
        | AuthCommand::Import { .. }
        | AuthCommand::Export { .. }
        | AuthCommand::Find { .. }
        | AuthCommand::Fsck
        | AuthCommand::Revoke { .. }
        | AuthCommand::Rekey { .. } => false,
    }
}

/// Whether a command changes what this node says, and so needs its private key.
fn changes(command: &AuthCommand) -> bool {
    match command {
        AuthCommand::Found(_)
        | AuthCommand::Founder { .. }
        | AuthCommand::Allow(_)
        | AuthCommand::Deny(_)
        | AuthCommand::Forget(_)
        | AuthCommand::Trust(_)
        | AuthCommand::Distrust(_)
        | AuthCommand::Import { .. }
        | AuthCommand::Revoke { .. }
        | AuthCommand::Rekey { .. } => true,
        AuthCommand::Vote { words, .. } => !words.is_empty(),
        AuthCommand::List { .. }
        | AuthCommand::Why { .. }
        | AuthCommand::WhoCan { .. }
        | AuthCommand::Check { .. }
        | AuthCommand::Export { .. }
        | AuthCommand::Find { .. }
        | AuthCommand::Fsck => false,
    }
}
