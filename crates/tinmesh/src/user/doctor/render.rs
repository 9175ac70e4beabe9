//! The text of `tinmesh doctor`.

use super::{Peer, Report, State};
use crate::user::status::Path;

/// The whole text.
pub(super) fn render(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    let width = report.checks.iter().map(|check| check.topic.len()).max().unwrap_or(0);
    for check in &report.checks {
        let mark = mark(check.state, colour);
        text.push_str(&format!("{mark} {:<width$}  {}\n", check.topic, check.says));
        if let Some(advice) = &check.advice {
            text.push_str(&format!("  {:width$}  → {advice}\n", ""));
        }
    }
    if !report.peers.is_empty() {
        text.push('\n');
    }
    let width = report.peers.iter().map(|peer| peer.name.len()).max().unwrap_or(0);
    for peer in &report.peers {
        text.push_str(&format!("{} {:<width$}  {}\n", peer_mark(peer, colour), peer.name, path(peer)));
        if let Some(reason) = &peer.reason {
            text.push_str(&format!("  {:width$}  because {reason}\n", ""));
        }
        if let Some(advice) = &peer.advice {
            text.push_str(&format!("  {:width$}  → {advice}\n", ""));
        }
    }
    let advised = report.checks.iter().any(|check| check.advice.is_some());
    text.push_str(match (report.healthy, advised) {
        (true, false) => "\nNothing to change.\n",
        (true, true) => "\nNothing has to change; lines with → say what could.\n",
        (false, _) => "\nLines with ✗ and → say what to change.\n",
    });
    text
}

fn paint(mark: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[{code}m{mark}\x1b[0m") } else { mark.to_owned() }
}

fn mark(state: State, colour: bool) -> String {
    match state {
        State::Good => paint("✓", "32", colour),
        State::Note => paint("•", "33", colour),
        State::Bad => paint("✗", "31", colour),
        State::Unknown => paint("?", "2", colour),
    }
}

fn peer_mark(peer: &Peer, colour: bool) -> String {
    mark(
        match peer.path {
            Path::Udp { .. } => State::Good,
            Path::Idle { .. } => State::Unknown,
            Path::Unreachable => State::Bad,
            Path::Tcp | Path::Relayed { .. } if peer.advice.is_some() => State::Bad,
            Path::Tcp | Path::Relayed { .. } => State::Note,
        },
        colour,
    )
}

fn path(peer: &Peer) -> String {
    let mut text = match &peer.path {
        Path::Udp { address: Some(address) } => format!("direct by UDP, {address}"),
        Path::Udp { address: None } => "direct by UDP".to_owned(),
        Path::Tcp => "direct by TCP".to_owned(),
        Path::Relayed { by } => format!("relayed by {by}"),
        Path::Idle { .. } => "not in use".to_owned(),
        Path::Unreachable => "not reachable".to_owned(),
    };
    if let Some(mtu) = peer.mtu {
        text.push_str(&format!(", packets up to {mtu} bytes"));
    }
    if let Some(rtt) = peer.rtt_ms {
        text.push_str(&format!(", {rtt:.2} ms"));
    }
    text
}
