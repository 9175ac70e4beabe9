//! `tinmesh doctor`: looks at this machine's part of the network, and says in plain words what is so and what to change.
//!
//! [`Report`] is also what `--json` prints, so its fields are an interface. What was not measured is said to be not known.

mod members;
mod network;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;
use serde::Serialize;
use tinmesh_os::netlink::{Address, Link};
use tinmesh_os::{clock, udp};

use super::mapping::PortMapping;
use super::place::Place;
use super::reasons::{Reason, reason};
use super::status::{Path, Status};
use crate::cli::tinmesh::commands::Form;
use crate::control::client::Client;
use crate::control::dump::HindranceLine;
use crate::control::dump::paths::PathLine;
use crate::files::keys::is_open;
use crate::tinc;
use crate::tinc_daemon::Tool;

/// The private keys, which nobody else may read.
const SECRETS: [&str; 3] = ["ed25519_key.priv", "rsa_key.priv", "invitations/ed25519_key.priv"];

/// How it is with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Good,
    /// Something to know.
    Note,
    /// Something to change.
    Bad,
    /// Not known.
    Unknown,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What.
    pub topic: &'static str,
    /// How it is.
    pub state: State,
    /// The same in words.
    pub says: String,
    /// What the user could do; `null`: nothing.
    pub advice: Option<String>,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Peer {
    /// Its name.
    pub name: String,
    /// How packets get there.
    #[serde(flatten)]
    pub path: Path,
    /// UDP round-trip time in milliseconds, if measured.
    pub rtt_ms: Option<f64>,
    /// Largest IP packet that gets there in one datagram, once that is known.
    pub mtu: Option<u32>,
    /// Seconds between packets that keep a direct path open; `null`: there is none.
    pub keepalive_s: Option<u64>,
    /// The longest silence of a direct path that is known to do no harm, in seconds; 0: none yet; `null`: not looked for.
    pub silence_kept_s: Option<u64>,
    /// The shortest that does; `null`: none is known.
    pub silence_lost_s: Option<u64>,
    /// Whether other silences are still to be tried; `null`: not looked for.
    pub learning: Option<bool>,
    /// The longest IP packet on a direct path, as the system believes; `null`: it does not know.
    pub path_told: Option<u16>,
    /// The same, as it was found; `null`: not searched to the end.
    pub path_found: Option<u16>,
    /// By how many seconds its clock is ahead of this machine's; `null`: it has not said.
    pub clock_ahead_s: Option<i64>,
    /// Why the path is not better, or why there is none; `null` if it is direct, or not known.
    pub reason: Option<String>,
    /// What the user could do; `null`: nothing.
    pub advice: Option<String>,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Report {
    /// This node's name; `null` if the daemon does not run.
    pub node: Option<String>,
    /// Whether there is nothing to change.
    pub healthy: bool,
    /// What was looked at on this machine and its network.
    pub checks: Vec<Check>,
    /// What routers pass on to this machine.
    pub port_mappings: Vec<PortMapping>,
    /// The other nodes.
    pub peers: Vec<Peer>,
}

impl Check {
    const fn new(topic: &'static str, state: State, says: String) -> Self {
        Self { topic, state, says, advice: None }
    }

    fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// Examines everything, and tells whether something is to be changed by the exit code: 0 no, 1 yes.
pub(super) fn run(place: &Place, form: Form, out: &mut dyn Write) -> Result<u8> {
    let report = examine(place)?;
    if form.json {
        super::json::print(&report, out)?;
    } else {
        write!(out, "{}", render::render(&report, super::colour_on_stdout(place.color)))?;
    }
    Ok(u8::from(!report.healthy))
}

fn examine(place: &Place) -> Result<Report> {
    let mut checks = vec![files(place), keys(place)];
    let (mut node, mut peers, mut port_mappings) = (None, Vec::new(), Vec::new());
    match place.connect() {
        Err(error) => {
            checks.push(members::clock(clock::unix_millis(), &[]));
            checks.push(Check::new("daemon", State::Bad, format!("{error:#}")));
        }
        Ok(mut client) => {
            let (status, hindrances) = Status::read_explained(&mut client, place.paths.netname.as_deref())?;
            let paths = client.paths()?;
            checks.push(members::clock(clock::unix_millis(), &paths));
            checks.push(daemon(&status));
            checks.extend(examine_network(&mut client, (&status, &hindrances), &paths)?);
            peers = peers_of(&status, &hindrances, &paths);
            (node, port_mappings) = (Some(status.node), status.port_mappings);
        }
    }
    let advised = peers.iter().any(|peer| peer.advice.is_some());
    let healthy = !advised && checks.iter().all(|check| check.state != State::Bad);
    Ok(Report { node, healthy, checks, port_mappings, peers })
}

fn files(place: &Place) -> Check {
    let (findings, outcome) = tinc::findings(&Tool::new("tinmesh", &place.options, &place.paths));
    let count = findings.len();
    let advice = place.sudo("fsck");
    match (outcome, count) {
        (Err(_), _) => {
            Check::new("files", State::Bad, "the configuration keeps the node from working".to_owned()).advise(advice)
        }
        (Ok(()), 0) => Check::new("files", State::Good, "no mistakes in the configuration".to_owned()),
        (Ok(()), 1) => Check::new("files", State::Note, "one remark about the configuration".to_owned()).advise(advice),
        (Ok(()), _) => {
            Check::new("files", State::Note, format!("{count} remarks about the configuration")).advise(advice)
        }
    }
}

fn keys(place: &Place) -> Check {
    let readable = |name: &&&str| {
        let mode = fs::metadata(place.paths.confbase.join(**name)).map(|file| file.permissions().mode());
        mode.is_ok_and(is_open)
    };
    let open: Vec<&str> = SECRETS.iter().filter(readable).copied().collect();
    if open.is_empty() {
        return Check::new("keys", State::Good, "nobody else can read the private keys".to_owned());
    }
    let paths: Vec<String> = open.iter().map(|name| place.paths.confbase.join(name).display().to_string()).collect();
    let says = format!("other users can read {}", open.join(", "));
    Check::new("keys", State::Bad, says).advise(format!("sudo chmod 600 {}", paths.join(" ")))
}

fn daemon(status: &Status) -> Check {
    let (reachable, all) = (status.reachable(), status.peers.len());
    let says = format!("runs as process {}; {reachable} of {all} other nodes are reachable", status.pid);
    match (reachable, all, status.connections.len()) {
        (0, 0, _) => Check::new("daemon", State::Note, says).advise("sudo tinmesh invite"),
        (0, _, 0) => Check::new("daemon", State::Bad, format!("{says}, and nobody is connected"))
            .advise("is this machine on-line, and is TCP let out? see: tinmesh log 3"),
        _ => Check::new("daemon", State::Good, says),
    }
}

fn examine_network(
    client: &mut Client,
    (status, hindrances): (&Status, &[HindranceLine]),
    paths: &[PathLine],
) -> Result<Vec<Check>> {
    let seen = network::Seen::of(&client.examine()?);
    let mut link = Link::open().ok();
    let addresses = link.as_mut().and_then(|link| link.addresses().ok()).unwrap_or_default();
    let own: Vec<IpAddr> = addresses.iter().map(|address| address.prefix.address).collect();
    let asked = client.ports()?.map(|_| status.port_mappings.as_slice());
    Ok(vec![
        network::datagrams(status, hindrances),
        network::nat(&seen, &own, &status.port),
        network::filter(&seen),
        network::lifetime(paths),
        network::port_mapping(asked, seen.is_translated(&own), &status.port, clock::unix_seconds()),
        network::path_mtu(status),
        members::icmp(paths, &link.map(|link| links_of(status, &addresses, link)).unwrap_or_default()),
    ])
}

/// What the links take over which nodes are reached straight, in bytes of IP packet, by node.
fn links_of(status: &Status, addresses: &[Address], mut link: Link) -> BTreeMap<String, u16> {
    let mut taken = |peer: &super::status::Peer| {
        let Path::Udp { address: Some(address) } = &peer.path else { return None };
        let own = udp::local_address_towards(address.parse().ok()?).ok()?;
        let interface = addresses.iter().find(|address| address.prefix.address == own)?.interface;
        Some((peer.name.clone(), u16::try_from(link.mtu(interface).ok()?).unwrap_or(u16::MAX)))
    };
    status.peers.iter().filter_map(&mut taken).collect()
}

/// What an unreachable node lacks. Whether that is to be changed only its owner knows: it may be off.
fn absence(peer: &super::status::Peer) -> Option<Reason> {
    let when = if peer.since.is_some() { "any more" } else { "since this daemon started" };
    let says = format!("no node that can be reached is connected with it {when}: it may be off, or off-line");
    matches!(peer.path, Path::Unreachable).then_some(Reason { says, advice: None })
}

fn peers_of(status: &Status, hindrances: &[HindranceLine], paths: &[PathLine]) -> Vec<Peer> {
    let peer = |peer: &super::status::Peer| {
        let straight = matches!(peer.path, Path::Udp { .. } | Path::Unreachable);
        let line = hindrances.iter().find(|line| line.node == peer.name && !straight);
        let why = line.and_then(reason).or_else(|| absence(peer));
        let known = paths.iter().find(|path| path.node == peer.name && path.direct);
        let lifetime = known.and_then(|path| path.lifetime);
        Peer {
            name: peer.name.clone(),
            path: peer.path.clone(),
            rtt_ms: peer.rtt_ms,
            mtu: peer.mtu,
            keepalive_s: known.map(|path| path.keepalive),
            silence_kept_s: lifetime.map(|lifetime| lifetime.stood),
            silence_lost_s: lifetime.and_then(|lifetime| lifetime.fell),
            learning: lifetime.map(|lifetime| lifetime.learning),
            path_told: known.and_then(|path| path.sizes.told),
            path_found: known.and_then(|path| path.sizes.found),
            clock_ahead_s: paths.iter().find(|path| path.node == peer.name).and_then(|path| path.clock_ahead),
            reason: why.as_ref().map(|why| why.says.clone()),
            advice: why.and_then(|why| why.advice),
        }
    };
    status.peers.iter().map(peer).collect()
}
