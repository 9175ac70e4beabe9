//! Replies of the daemon, as bytes for the control socket (spec: cli C.2 to C.4).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use fides::{Accepted, Refused};
use tinmesh_core::crypto::record_key::Suite;
use tinmesh_core::legacy::cipher::Cipher;
use tinmesh_core::legacy::digest::Digest;
use tinmesh_core::name::NodeName;
use tinmesh_core::node::io::{ConnectionInfo, EdgeInfo, Examination, Hindrance, NodeInfo, PathInfo};
use tinmesh_core::subnet::Subnet;
use tinmesh_core::time::Instant;
use tinmesh_core::wire::address::WireAddress;

use super::dump::AES_256_GCM;
use super::dump::paths::PathLine;
use super::dump::ports::PortLine;
use super::request::{CONTROL, kind};

/// How an address and its port are shown.
pub type Shown<'a> = &'a dyn Fn(SocketAddr) -> String;

/// What a list cannot tell by itself of this node and of time.
pub struct Local<'a> {
    /// The port that this node announces.
    pub port: u16,
    /// Seconds since 1970 of an instant.
    pub unix_seconds: &'a dyn Fn(Instant) -> u64,
    /// Addresses.
    pub shown: Shown<'a>,
}

/// The whole reply to [`Nodes`](super::request::ControlRequest::Nodes).
pub fn nodes(nodes: &[NodeInfo], local: &Local<'_>) -> String {
    list(kind::NODES, nodes, |node, out| node_line(node, local, out))
}

fn node_line(node: &NodeInfo, local: &Local<'_>, out: &mut String) -> std::fmt::Result {
    let address =
        if node.me { format!("MYSELF port {}", local.port) } else { socket_address(node.address, local.shown) };
    let name = |name: &Option<NodeName>| name.as_ref().map_or_else(|| "-".to_owned(), NodeName::to_string);
    let (mtu, min_mtu, max_mtu) = node.mtu;
    let changed = node.changed.map_or(0, local.unix_seconds);
    let rtt = node.rtt.map_or(-1, |rtt| i64::try_from(rtt.as_micros()).unwrap_or(i64::MAX));
    write!(out, "{} {} {address} ", node.name, node.node_id)?;
    let suite = node.legacy.as_ref();
    let own = if node.suite == Some(Suite::Aes256Gcm) { AES_256_GCM } else { 0 };
    let cipher = suite.and_then(|suite| suite.cipher).map_or(own, Cipher::id);
    let digest = suite.and_then(|suite| suite.digest).map_or(0, Digest::id);
    write!(out, "{cipher} {digest} {} {} ", suite.map_or(0, |suite| suite.mac_length), node.compression)?;
    write!(out, "{} {:x} {} {} ", node.options, node.status, name(&node.nexthop), name(&node.via))?;
    write!(out, "{} {mtu} {min_mtu} {max_mtu} {changed} {rtt} ", node.distance)?;
    traffic_words(node, out)
}

fn traffic_words(node: &NodeInfo, out: &mut String) -> std::fmt::Result {
    let stats = &node.stats;
    let counters = [&stats.in_packets, &stats.in_bytes, &stats.out_packets, &stats.out_bytes];
    let [in_packets, in_bytes, out_packets, out_bytes] = counters.map(|counter| counter.load(Relaxed));
    write!(out, "{in_packets} {in_bytes} {out_packets} {out_bytes}")
}

/// The whole reply to [`Traffic`](super::request::ControlRequest::Traffic).
pub fn traffic(nodes: &[NodeInfo]) -> String {
    list(kind::TRAFFIC, nodes, |node, out| {
        write!(out, "{} ", node.name)?;
        traffic_words(node, out)
    })
}

/// The whole reply to [`Edges`](super::request::ControlRequest::Edges).
pub fn edges(edges: &[EdgeInfo], shown: Shown<'_>) -> String {
    list(kind::EDGES, edges, |edge, out| {
        let address = wire_address(Some(&edge.address), shown);
        let local = wire_address(edge.local.as_ref(), shown);
        write!(out, "{} {} {address} {local} {} {}", edge.from, edge.to, edge.options, edge.weight)
    })
}

/// The whole reply to [`Subnets`](super::request::ControlRequest::Subnets).
pub fn subnets(subnets: &[(Subnet, Option<NodeName>)]) -> String {
    list(kind::SUBNETS, subnets, |(subnet, owner), out| match owner {
        Some(owner) => write!(out, "{subnet} {owner}"),
        None => write!(out, "{subnet} (broadcast)"),
    })
}

/// A control connection, for the list of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlConnection {
    /// Number, shown where tinc shows a socket.
    pub number: u32,
    /// Whether it receives packets.
    pub pcap: bool,
    /// Whether it receives log lines.
    pub log: bool,
}

/// The whole reply to [`Connections`](super::request::ControlRequest::Connections): those of the node, then the
/// control connections of this machine.
pub fn connections(connections: &[ConnectionInfo], controls: &[ControlConnection], shown: Shown<'_>) -> String {
    let mut out = String::new();
    for conn in connections {
        let name = conn.name.as_ref().map_or("<unknown>", NodeName::as_str);
        let address = socket_address(Some(conn.remote), shown);
        let number = conn.conn.number().min(i32::MAX as u64);
        let (options, status) = (conn.options, conn.status);
        let _ = writeln!(out, "{CONTROL} {} {name} {address} {options} {number} {status:x}", kind::CONNECTIONS);
    }
    for control in controls {
        let status = 0x200 | u32::from(control.pcap) << 10 | u32::from(control.log) << 11;
        let start = format_args!("{CONTROL} {} <control> localhost port unix 0", kind::CONNECTIONS);
        let _ = writeln!(out, "{start} {} {status:x}", control.number);
    }
    let _ = writeln!(out, "{CONTROL} {}", kind::CONNECTIONS);
    out
}

/// The whole reply to [`Statements`](super::request::ControlRequest::Statements).
pub fn statements(lines: &[String]) -> String {
    list(kind::STATEMENTS, lines, |line, out| out.write_str(line))
}

/// The whole reply to [`Hindrances`](super::request::ControlRequest::Hindrances): name, word, two numbers.
pub fn hindrances(hindrances: &[(NodeName, Hindrance)]) -> String {
    list(kind::HINDRANCES, hindrances, |(name, hindrance), out| {
        let (word, one, two) = match *hindrance {
            Hindrance::TcpOnlyHere => ("tcp-only-here", 0, 0),
            Hindrance::TcpOnlyThere => ("tcp-only-there", 0, 0),
            Hindrance::Indirect => ("indirect", 0, 0),
            Hindrance::Idle => ("idle", 0, 0),
            Hindrance::NoKeys => ("no-keys", 0, 0),
            Hindrance::NoAddress => ("no-address", 0, 0),
            Hindrance::NoAnswer { probes } => ("no-answer", u64::from(probes), 0),
            Hindrance::Guessing => ("guessing", 0, 0),
            Hindrance::Guessed { failures, wait } => ("guessed", u64::from(failures), wait.as_secs()),
            Hindrance::Lossy => ("lossy", 0, 0),
        };
        write!(out, "{name} {word} {one} {two}")
    })
}

/// The whole reply to [`Ports`](super::request::ControlRequest::Ports).
pub fn ports(lines: &[PortLine]) -> String {
    list(kind::PORTS, lines, |line, out| write!(out, "{line}"))
}

/// The whole reply to [`Paths`](super::request::ControlRequest::Paths).
pub fn paths(paths: &[PathInfo]) -> String {
    list(kind::PATHS, paths, |path, out| write!(out, "{}", PathLine::from(path)))
}

/// The whole reply to [`Examine`](super::request::ControlRequest::Examine): `seen NAME ADDRESS port PORT` for each answer, and
/// how many questions there were, and whether the filter forgives.
pub fn examination(examination: &Examination) -> String {
    let mut lines: Vec<String> =
        examination.seen.iter().map(|(name, seen)| format!("seen {name} {} port {}", seen.ip(), seen.port())).collect();
    lines.push(format!("asked {} {}", examination.asked, u8::from(examination.forgives)));
    list(kind::EXAMINE, &lines, |line, out| out.write_str(line))
}

/// The reply to [`Accept`](super::request::ControlRequest::Accept): `18 65 OUTCOME`, or `18 65 refused WHY`.
pub fn accepted(outcomes: &[Result<Accepted, Refused>]) -> String {
    let lines = outcomes.iter().map(|outcome| match outcome {
        Ok(accepted) => format!("{CONTROL} {} {}\n", kind::ACCEPT, word(accepted)),
        Err(refused) => format!("{CONTROL} {} refused {refused}\n", kind::ACCEPT),
    });
    lines.collect()
}

/// What became of a statement, in one word.
pub const fn word(accepted: &Accepted) -> &'static str {
    match accepted {
        Accepted::New(_) => "new",
        Accepted::Kept => "kept",
        Accepted::Waiting => "waiting",
        Accepted::Known => "known",
        Accepted::Outdated => "outdated",
    }
}

/// The reply to a request that lists nothing: `18 TYPE RESULT`.
pub fn done(kind: u32, result: i32) -> String {
    format!("{CONTROL} {kind} {result}\n")
}

/// The reply to a request that is not implemented.
pub fn unknown() -> String {
    format!("{CONTROL} -1\n")
}

/// One message for a client that follows the log.
pub fn log_line(message: &str) -> Vec<u8> {
    format!("{CONTROL} {} {}\n{message}", kind::LOG, message.len()).into_bytes()
}

/// A packet for a client that watches: no newline behind it (spec: cli C.4).
pub fn packet(frame: &[u8]) -> Vec<u8> {
    [format!("{CONTROL} {} {}\n", kind::PCAP, frame.len()).as_bytes(), frame].concat()
}

fn list<T>(kind: u32, items: &[T], line: impl Fn(&T, &mut String) -> std::fmt::Result) -> String {
    let mut out = String::new();
    for item in items {
        let _ = write!(out, "{CONTROL} {kind} ");
        let _ = line(item, &mut out);
        out.push('\n');
    }
    let _ = writeln!(out, "{CONTROL} {kind}");
    out
}

fn socket_address(address: Option<SocketAddr>, shown: Shown<'_>) -> String {
    address.map_or_else(|| "unknown port unknown".to_owned(), shown)
}

fn wire_address(address: Option<&WireAddress>, shown: Shown<'_>) -> String {
    match address {
        Some(WireAddress::Ip(address)) => socket_address(Some(*address), shown),
        Some(WireAddress::Text(text)) => format!("{} port {}", printable(&text.0), printable(&text.1)),
        Some(WireAddress::Unspecified) | None => "unspec port unspec".to_owned(),
    }
}

/// A member's text, fit for a terminal.
fn printable(text: &str) -> String {
    text.replace(|c: char| !c.is_ascii_graphic(), "?")
}

#[cfg(test)]
mod tests;
