//! What the invited node may do: options of `invite`, and the lines of the invitation file that carry it.

use anyhow::{Result, bail};
use fides::{About, Sign, Subject};
use tinmesh_core::invite::rights::{ALLOW, ALLOW_FOR};
use tinmesh_core::trust::{self, Trust, topics};

use crate::cli::tinmesh::InviteRights;
use crate::config::edit;
use crate::files;
use crate::user::auth::book::{Book, NOW};
use crate::user::auth::{grammar, when};
use crate::user::place::Place;

/// Statements that an invitation carries at most.
const MAX_STATEMENTS: usize = 32;

/// A line of an invitation file: variable and value.
pub(super) type Line = (&'static str, String);

/// The lines of an invitation about who may do what; none in an open network. `addresses` are those that the new node
/// gets.
///
/// # Errors
/// If this node may not invite, or a right is none.
pub(super) fn lines(place: &Place, rights: &InviteRights, addresses: &[String]) -> Result<Vec<Line>> {
    if !wants_any(rights) && !mentions_founder(place)? {
        return Ok(Vec::new());
    }
    let mut book = Book::open(place)?;
    if !book.trust.is_closed() {
        if wants_any(rights) {
            bail!(
                "This network is open: everybody may do everything in it. Close it first: {}",
                place.sudo("auth found")
            );
        }
        return Ok(Vec::new());
    }
    refuse_unless_heard(&mut book, place)?;
    let mut lines = trust_lines(&mut book, place)?;
    if let Some(duration) = &rights.duration {
        lines.push((ALLOW_FOR, when::duration(duration)?.to_string()));
    }
    lines.extend(rights.own.iter().map(|prefix| ("Subnet", prefix.clone())));
    lines.extend(allowed(&book, rights, addresses)?.into_iter().map(|right| (ALLOW, right)));
    Ok(lines)
}

/// Whether the operator asked for any right.
fn wants_any(rights: &InviteRights) -> bool {
    *rights != InviteRights::default()
}

/// Whether the settings may name a founder: an open network needs no look at its statements.
fn mentions_founder(place: &Place) -> Result<bool> {
    let in_main = !edit::values(&files::read(&place.paths.tinc_conf())?, "Founder").is_empty();
    Ok(in_main || place.paths.conf_d().exists())
}

/// Each right as statements write it, behind the key.
fn allowed(book: &Book<'_>, rights: &InviteRights, addresses: &[String]) -> Result<Vec<String>> {
    let mut sentences: Vec<String> = Vec::new();
    sentences.extend(addresses.iter().chain(&rights.own).map(|prefix| format!("{} {prefix}", topics::OWN)));
    sentences.extend(rights.tag.iter().map(|group| format!("{} {group}", topics::TAG)));
    sentences.extend(rights.rate.iter().map(|rate| format!("{} {rate}", topics::RATE)));
    sentences.extend(rights.relay.then(|| topics::RELAY.to_owned()));
    sentences.extend(rights.can_invite.then(|| topics::INVITE.to_owned()));
    let mut allowed = Vec::new();
    for sentence in sentences {
        // The key is not known yet; any stands for it.
        let words: Vec<String> =
            std::iter::once(book.me.to_string()).chain(sentence.split_whitespace().map(str::to_owned)).collect();
        let saying = grammar::saying(&words, Sign::Yes, &book.names, book.now())?;
        for about in saying.about {
            let About::Allow { topic, args, .. } = about else { continue };
            let words = std::iter::once(topic.to_string()).chain(args.iter().map(ToString::to_string));
            let limits = saying.limits.iter().map(|(name, value)| format!("{name}={value}"));
            allowed.push(words.chain(limits).collect::<Vec<_>>().join(" "));
        }
    }
    Ok(allowed)
}

/// Refuses where nobody else would believe this node.
fn refuse_unless_heard(book: &mut Book<'_>, place: &Place) -> Result<()> {
    if !book.trust.allows(&fides::Question::new(topics::word(topics::INVITE), book.me), NOW) {
        bail!(
            "This node may not invite anybody. A founder can allow it:\n\n  sudo tinmesh auth allow {} invite\n\n\
             Who the founders are: {}",
            book.own,
            place.command("auth list")
        );
    }
    if book.is_founder() || place.options.force {
        return Ok(());
    }
    let Some(founder) = book.trust.founders(NOW).first().copied() else { return Ok(()) };
    let mut elsewhere = Trust::new(book.config.clone(), &trust::public_key(&founder));
    elsewhere.clock_mut().tell(NOW, tinmesh_os::clock::unix_millis());
    elsewhere.import(&book.trust.lines().join("\n"), NOW);
    if elsewhere.is_heard(topics::JOIN, book.me, NOW) {
        return Ok(());
    }
    bail!(
        "This node may invite, but the others do not believe it who may join. A founder can change that:\n\n  \
         sudo tinmesh auth trust {} for join own\n\n--force makes the invitation all the same.",
        book.own
    )
}

/// Whom the new node is to believe, and why it may let this one in.
fn trust_lines(book: &mut Book<'_>, place: &Place) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = book.trust.founders(NOW).iter().map(|key| ("Founder", key.to_string())).collect();
    let settings = files::read(&place.paths.tinc_conf())?;
    for variable in ["Quorum", "Lease"] {
        lines.extend(edit::values(&settings, variable).into_iter().map(|value| (variable, value)));
    }
    let mut proof: Vec<String> = Vec::new();
    for question in own_questions(book) {
        let verdict = book.trust.verdict(&question, NOW);
        proof.extend(
            verdict
                .explanation
                .proof
                .iter()
                .map(ToString::to_string)
                .filter(|line| !proof.contains(line))
                .collect::<Vec<_>>(),
        );
    }
    lines.extend(proof.into_iter().take(MAX_STATEMENTS).map(|line| ("Statement", line)));
    Ok(lines)
}

/// What the new node asks of this one at first.
fn own_questions(book: &Book<'_>) -> Vec<fides::Question> {
    let name = topics::join(book.me, &book.own);
    let own = book.trust.ledger().statements().filter_map(|statement| match &statement.claim().about {
        About::Allow { subject: Subject::Key(key), topic, args }
            if *key == book.me && topic.as_str() == topics::OWN =>
        {
            Some(fides::Question { args: args.clone(), ..fides::Question::new(topic.clone(), *key) })
        }
        About::Allow { .. } | About::Trust { .. } | About::Revoke => None,
    });
    std::iter::once(name).chain(own).collect()
}
