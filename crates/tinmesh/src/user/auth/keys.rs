//! `auth revoke` and `auth rekey`: the end of a key, and its successor.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use fides::{About, Claim, Sign, Subject};
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::trust::{self, topics};

use super::book::Book;
use super::{consent, say};
use crate::cli::tinmesh::auth::Consent;
use crate::files;
use crate::files::keys::{self, Algorithm};

/// Declares a key void, for ever.
pub(super) fn revoke(book: &mut Book<'_>, with: Option<&Path>, consent: Consent, out: &mut dyn Write) -> Result<()> {
    let secret = match with {
        Some(path) => keys::read_private(path, &mut Vec::new())?,
        None => keys::read_private(&book.place.paths.private_key(), &mut Vec::new())?,
    };
    let key = trust::key(&secret.public());
    let question = format!(
        "The key of {} ({key}) becomes void, for ever: all that it ever said, and all that it may do.",
        book.names.show(&key)
    );
    consent::require(book.place, consent, &question)?;
    say_revocation(book, &secret, out)
}

fn say_revocation(book: &mut Book<'_>, secret: &SecretKey, out: &mut dyn Write) -> Result<()> {
    let claim = Claim::new(Sign::No, About::Revoke, 0, book.now());
    let statements = book.say_with(secret, vec![claim])?;
    say::show(book, &statements, out)
}

/// The file with the key that this node had before.
fn old_key(book: &Book<'_>) -> PathBuf {
    book.place.paths.confbase.join("fides").join("old_key.priv")
}

/// Makes a new key, for which the old one vouches.
pub(super) fn rekey(book: &mut Book<'_>, consent: Consent, out: &mut dyn Write) -> Result<()> {
    let (private, kept) = (book.place.paths.private_key(), old_key(book));
    if kept.exists() {
        bail!(
            "The key before this one is not revoked yet. Do that first, once the others know the new one:\n\n  {}",
            book.place.sudo("auth rekey --finish")
        );
    }
    let host_file = book.place.paths.host_file(&book.own);
    let question = format!(
        "This node gets a new key. The others know it by its host file: each of them needs the new {}\n\
         before this node can join again.",
        host_file.display()
    );
    consent::require(book.place, consent, &question)?;
    let old = keys::read_private(&private, &mut Vec::new())?;
    let new = SecretKey::generate(&mut files::rng().context("Could not get randomness")?);
    let new_key = trust::key(&new.public());
    let claims = vouching(book, new_key);
    let statements = book.say_with(&old, claims)?;
    keep_old(&kept, &old)?;
    let problem = |path: &Path, cause| anyhow!("Could not write {}: {}", path.display(), files::reason(&cause));
    keys::append_private(&private, &new).map_err(|cause| problem(&private, cause))?;
    let line = keys::public_line(&new.public());
    keys::append(&host_file, Algorithm::Ed25519, line.as_bytes(), 0o644).map_err(|cause| problem(&host_file, cause))?;
    say::show(book, &statements, out)?;
    eprintln!(
        "\nThe new key is {new_key}. What is left to do:\n\n  \
         1. The others replace hosts/{own} by the new one: {export}\n  \
         2. A founder says: sudo tinmesh auth allow {own}\n  \
         3. Here: {restart}\n  \
         4. Here: {finish}",
        own = book.own,
        export = book.place.command("export"),
        restart = book.place.sudo("restart"),
        finish = book.place.sudo("auth rekey --finish"),
    );
    Ok(())
}

/// What is said of the old key, said of the new one by the old.
fn vouching(book: &Book<'_>, new: fides::Key) -> Vec<Claim> {
    let now = book.now();
    let mut abouts = std::collections::BTreeSet::new();
    for statement in book.trust.ledger().statements() {
        let claim = statement.claim();
        if let About::Allow { subject: Subject::Key(of), topic, args } = &claim.about
            && claim.sign == Sign::Yes
            && *of == book.me
        {
            abouts.insert(About::Allow { subject: Subject::Key(new), topic: topic.clone(), args: args.clone() });
        }
    }
    let name = topics::word(book.own.as_str());
    let join = topics::word(topics::JOIN);
    abouts.insert(About::Allow { subject: Subject::Key(new), topic: join, args: vec![name] });
    abouts.into_iter().map(|about| Claim::new(Sign::Yes, about, 0, now)).collect()
}

fn keep_old(path: &Path, old: &SecretKey) -> Result<()> {
    if let Some(directory) = path.parent() {
        files::make_dir(directory, 0o755)?;
    }
    files::write_new(path, old.to_file().as_bytes(), 0o600)
        .map(drop)
        .map_err(|cause| anyhow!("Could not write {}: {}", path.display(), files::reason(&cause)))
}

/// Revokes the key that this node had before.
pub(super) fn finish(book: &mut Book<'_>, consent: Consent, out: &mut dyn Write) -> Result<()> {
    let kept = old_key(book);
    if !kept.exists() {
        bail!("No key waits to be revoked here. A new key: {}", book.place.sudo("auth rekey"));
    }
    let old = keys::read_private(&kept, &mut Vec::new())?;
    let question =
        "The old key of this node becomes void, for ever. Whoever knows only that one does not know this node.";
    consent::require(book.place, consent, question)?;
    say_revocation(book, &old, out)?;
    fs::remove_file(&kept).map_err(|cause| anyhow!("Could not remove {}: {}", kept.display(), files::reason(&cause)))
}
