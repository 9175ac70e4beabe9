//! `tinmesh join`: makes this machine a member of a network, from one line.

use std::io::Write;
use std::net::ToSocketAddrs as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tinmesh_core::invite::InviteError;
use tinmesh_core::invite::url::InviteUrl;
use tinmesh_core::name::NodeName;
use tinmesh_os::process::hostname;

use super::exchange::{Exchange, ExchangeError, Invitation, Progress};
use super::invite::parse_name;
use super::place::Place;
use super::start;
use super::status::{Peer, Status};
use crate::cli::tinmesh::JoinOptions;
use crate::files;
use crate::files::found::node_name;
use crate::files::join::{Form, Joined, Received, prepare};

/// How long the inviter may take to be reachable.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many nodes are listed.
const SHOWN: usize = 10;

pub(super) fn run(place: &Place, options: &JoinOptions, out: &mut dyn Write) -> Result<()> {
    let url = InviteUrl::parse(&options.url).map_err(|error| anyhow!("Invalid invitation URL: {error}"))?;
    place.require_root(&format!("join {}", options.url))?;
    if place.is_configured() {
        bail!(
            "This machine is in a network already: its settings are in {}.\n\
             To be in another one as well, give that a name of its own here:\n\n  \
             sudo tinmesh join {} --net NAME",
            place.paths.confbase.display(),
            options.url
        );
    }
    let wanted = options.name.as_deref().map(parse_name).transpose()?;
    let (joined, inviter) = become_member(place, &url, wanted, place.options.force)?;
    for note in &joined.notes {
        eprintln!("{note}");
    }
    if joined.netname_is_random {
        eprintln!("The name of the network is in use here: it gets another one on this machine.");
    }
    let place = place.moved_to(&joined.paths);
    start::daemon(&place).with_context(|| format!("Joined, but not up; try again: {}", place.sudo("up")))?;
    let (status, reached) = start::wait_for(&place, inviter.as_str(), PATIENCE)?;
    Ok(write!(out, "{}", text(&place, &status, &inviter, reached))?)
}

/// Does all that concerns the inviter, and leaves a whole configuration, or none.
fn become_member(place: &Place, url: &InviteUrl, wanted: Option<NodeName>, force: bool) -> Result<(Joined, NodeName)> {
    let (mut exchange, invitation) = Exchange::open(url, &mut tell).map_err(explain)?;
    let inviter = exchange.inviter().cloned().context("The inviter has no name")?;
    let name = choose_name(&mut exchange, &invitation, wanted)?;
    let received = Received { text: &invitation.file, name: name.as_ref(), form: Form::Variables, force };
    let mut rng = files::rng().context("Could not get randomness")?;
    let used_up = "The invitation is used up; ask for another";
    let prepared = prepare(&place.paths, &received, &mut rng).context(used_up)?;
    exchange.send_key(prepared.public_key()).context(used_up)?;
    Ok((prepared.commit().context(used_up)?, inviter))
}

/// The name that the inviter gives to this node, if that is not the one in the file.
fn choose_name(exchange: &mut Exchange, invitation: &Invitation, wanted: Option<NodeName>) -> Result<Option<NodeName>> {
    if !invitation.name_choice {
        if let Some(wanted) = wanted {
            eprintln!("The invitation says what this node is called; {wanted} is not asked for.");
        }
        return Ok(None);
    }
    let wanted = wanted.unwrap_or_else(|| node_name(&hostname().to_string_lossy()));
    let granted = exchange.want_name(&wanted)?;
    if granted != wanted {
        eprintln!("There is a node called {wanted} already: this one is called {granted}.");
    }
    Ok(Some(granted))
}

fn tell(progress: Progress<'_>) {
    match progress {
        Progress::Resolving(host) => eprintln!("Looking up {host}…"),
        Progress::Connecting(to) => eprintln!("Connecting to {to}…"),
        Progress::Failed { to, reason } => eprintln!("{to}: {reason}"),
        Progress::Connected(_) => {}
    }
}

fn explain(error: ExchangeError) -> anyhow::Error {
    match error {
        ExchangeError::Refused => anyhow!("{error}\nAsk for another: `sudo tinmesh invite` on any member prints one."),
        ExchangeError::NoConnection => anyhow!(
            "Nobody answers there. Is the inviting machine up, and does its firewall let TCP and UDP through to that port?"
        ),
        ExchangeError::Protocol(InviteError::WrongInviter) => anyhow!(
            "Another node answers there than the one that made this invitation: it has other keys now, or somebody \
             is in between. Ask for another invitation."
        ),
        ExchangeError::Resolve { .. }
        | ExchangeError::Closed
        | ExchangeError::Silent
        | ExchangeError::Protocol(_)
        | ExchangeError::Io(_) => error.into(),
    }
}

fn text(place: &Place, status: &Status, inviter: &NodeName, reached: bool) -> String {
    let addresses: Vec<String> = status.addresses.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "This machine is a member of {inviter}'s network:\n\n  name        {}\n  addresses   {}\n  settings    {}\n",
        status.node,
        addresses.join("  "),
        place.paths.confbase.display(),
    );
    let there: Vec<&Peer> = status.peers.iter().filter(|peer| peer.reachable).collect();
    if !there.is_empty() {
        text.push_str("\nReachable now:\n\n");
    }
    for peer in there.iter().take(SHOWN) {
        let addresses: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
        text.push_str(&format!("  {:<10}  {}\n", peer.name, addresses.join("  ")));
    }
    if there.len() > SHOWN {
        text.push_str(&format!("  … and {} more\n", there.len() - SHOWN));
    }
    if let Some(peer) = there.first().filter(|peer| !peer.addresses.is_empty()) {
        text.push_str(&format!("\nTry `ping {}`. ", ping_target(peer)));
        text.push_str(&format!("Who is there, and by which path: {}\n", place.command("status")));
    }
    if !reached {
        text.push_str(&format!(
            "\n{inviter} is not reachable yet; the daemon keeps trying. How it goes: {}\n",
            place.command("status")
        ));
    }
    text
}

/// The name of a node if the system knows it as such, else its address.
fn ping_target(peer: &Peer) -> String {
    let known = (peer.name.as_str(), 0)
        .to_socket_addrs()
        .is_ok_and(|mut found| found.any(|address| peer.addresses.contains(&address.ip())));
    let address = peer.addresses.first().map(ToString::to_string);
    address.filter(|_| !known).unwrap_or_else(|| peer.name.clone())
}

#[cfg(test)]
mod tests;
