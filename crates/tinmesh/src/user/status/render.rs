//! The text of `tinmesh status`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Path, Peer, Protocol, Status};
use crate::user::units;

/// Bytes per second from and to each node, between two looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates(BTreeMap<String, (u64, u64)>);

impl Rates {
    /// From what was `before` to what is `after`, `passed` later.
    pub(crate) fn between(before: &Status, after: &Status, passed: Duration) -> Self {
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |before: u64, after: u64| after.saturating_sub(before).saturating_mul(1000) / millis;
        let old: BTreeMap<&str, &Peer> = before.peers.iter().map(|peer| (peer.name.as_str(), peer)).collect();
        let rates = after.peers.iter().filter_map(|peer| {
            let old = old.get(peer.name.as_str())?;
            let received = rate(old.received.bytes, peer.received.bytes);
            Some((peer.name.clone(), (received, rate(old.sent.bytes, peer.sent.bytes))))
        });
        Self(rates.collect())
    }
}

/// Colours by what they say.
#[derive(Clone, Copy)]
enum Colour {
    Good,
    Fair,
    Bad,
    Faint,
    Strong,
}

impl Colour {
    fn paint(self, text: &str, wanted: bool) -> String {
        let code = match self {
            Self::Good => "32",
            Self::Fair => "33",
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Strong => "1",
        };
        if wanted { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Behind the path of nodes that are spoken to in the protocol of tinc 1.0.
const LEGACY_MARK: &str = " (tinc 1.0)";
/// What that means.
const LEGACY_NOTE: &str =
    "\n(tinc 1.0): spoken to in the weak protocol of tinc 1.0; tinc 1.1 or tinmesh there ends that.\n";

/// The whole text. `now` is in seconds since 1970; with `rates`, traffic is shown per second.
pub(crate) fn render(status: &Status, now: u64, rates: Option<&Rates>, colour: bool) -> String {
    let mut text = head(status, now, colour);
    if status.peers.is_empty() {
        text.push_str("\nNo other node is known yet: `sudo tinmesh invite` prints a line for another machine.\n");
        return text;
    }
    let titles = ["NODE", "ADDRESS", "PATH", "RTT", "MTU", "RECEIVED", "SENT"];
    let rows: Vec<[String; 7]> = status.peers.iter().map(|peer| row(peer, now, rates)).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).chain([titles[column].len()]).max().unwrap_or(0)
    });
    text.push('\n');
    text.push_str(&Colour::Faint.paint(&line(&titles.map(str::to_owned), &widths), colour));
    text.push('\n');
    for (peer, row) in status.peers.iter().zip(&rows) {
        text.push_str(&path_colour(&peer.path).paint(&line(row, &widths), colour));
        text.push('\n');
    }
    for peer in &status.peers {
        if let Some(reason) = &peer.reason {
            text.push_str(&format!("\n{} is not reached straight by UDP: {reason}", peer.name));
        }
    }
    if status.peers.iter().any(|peer| peer.reason.is_some()) {
        text.push_str("\nMore: tinmesh doctor\n");
    }
    if status.peers.iter().any(is_legacy) {
        text.push_str(LEGACY_NOTE);
    }
    text
}

fn head(status: &Status, now: u64, colour: bool) -> String {
    let network = status.network.as_ref().map(|network| format!(" in network {network}")).unwrap_or_default();
    let (reachable, all) = (status.reachable(), status.peers.len());
    let name = Colour::Strong.paint(&status.node, colour);
    let mut text = format!("{name}{network} is up: {reachable} of {all} other nodes reachable\n");
    let mut field = |title: &str, content: String| {
        if !content.is_empty() {
            text.push_str(&format!("  {title:<13}{content}\n"));
        }
    };
    let addresses: Vec<String> = status.addresses.iter().map(ToString::to_string).collect();
    field("addresses", addresses.join("  "));
    let ranges = status.subnets.iter().filter(|range| !addresses.contains(range));
    field("subnets", ranges.cloned().collect::<Vec<_>>().join("  "));
    let connections = status.connections.iter().map(|connection| {
        let node = connection.node.as_deref().unwrap_or("(not yet known)");
        connection.address.as_ref().map_or_else(|| node.to_owned(), |address| format!("{node} at {address}"))
    });
    field("connections", connections.collect::<Vec<_>>().join(", "));
    field("router", status.port_mappings.iter().filter_map(|mapping| mapping.says(now)).collect::<Vec<_>>().join("; "));
    field("daemon", format!("process {}, port {}", status.pid, status.port));
    text
}

const fn path_colour(path: &Path) -> Colour {
    match path {
        Path::Udp { .. } => Colour::Good,
        Path::Tcp | Path::Relayed { .. } => Colour::Fair,
        Path::Idle { .. } => Colour::Faint,
        Path::Unreachable => Colour::Bad,
    }
}

fn row(peer: &Peer, now: u64, rates: Option<&Rates>) -> [String; 7] {
    let dash = || "-".to_owned();
    let address = peer.addresses.first().map(ToString::to_string);
    let traffic = match rates {
        None => [peer.received.bytes, peer.sent.bytes].map(units::bytes),
        Some(Rates(rates)) => match rates.get(&peer.name) {
            Some((received, sent)) => [received, sent].map(|rate| format!("{}/s", units::bytes(*rate))),
            None => [dash(), dash()],
        },
    };
    let [received, sent] = traffic;
    [
        peer.name.clone(),
        address.or_else(|| peer.subnets.first().cloned()).unwrap_or_else(dash),
        path_text(peer, now),
        peer.rtt_ms.map_or_else(dash, |millis| units::round_trip(Duration::from_secs_f64(millis / 1000.0))),
        peer.mtu.map_or_else(dash, |mtu| mtu.to_string()),
        received,
        sent,
    ]
}

/// Whether a node is spoken to in the protocol of tinc 1.0.
fn is_legacy(peer: &Peer) -> bool {
    peer.protocol == Some(Protocol::Legacy)
}

fn path_text(peer: &Peer, now: u64) -> String {
    let path = bare_path_text(peer, now);
    if is_legacy(peer) { format!("{path}{LEGACY_MARK}") } else { path }
}

fn bare_path_text(peer: &Peer, now: u64) -> String {
    match &peer.path {
        Path::Udp { address: Some(address) } => format!("direct, UDP {address}"),
        Path::Udp { address: None } => "direct, UDP".to_owned(),
        Path::Tcp => "direct, TCP".to_owned(),
        Path::Relayed { by } => format!("relayed by {by}"),
        Path::Idle { next } if *next == peer.name => "idle, connected".to_owned(),
        Path::Idle { next } => format!("idle, known through {next}"),
        Path::Unreachable => match peer.since {
            Some(since) => format!("unreachable for {}", units::roughly(now.saturating_sub(since))),
            None => "never seen".to_owned(),
        },
    }
}

/// Cells in columns; numbers to the right.
fn line(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padded = if column < 3 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
        text.push_str(if column == 0 { "" } else { "  " });
        text.push_str(&padded);
    }
    text
}
