//! Lists: nodes, edges, subnets, connections (spec: cli B.4).

use std::fmt;
use std::io::Write;

use anyhow::{Result, bail};

use super::graph::{self, Style};
use super::{Tool, print_line};
use crate::cli::tinc::try_line;
use crate::control::dump::{ConnectionLine, EdgeLine, NodeLine, SubnetLine};

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Nodes.
    Nodes {
        /// Only those that can be reached.
        reachable: bool,
    },
    /// Edges.
    Edges,
    /// Subnets.
    Subnets,
    /// Connections.
    Connections,
    /// A drawing.
    Graph(Style),
}

/// Whether the words ask for a list that is made from files, without the daemon.
pub fn is_of_files(words: &[String]) -> bool {
    matches!(words, [what] if what.eq_ignore_ascii_case("invitations"))
}

impl What {
    /// What is wrong with words for which the daemon need not be asked.
    fn hopeless(words: &[String]) -> Option<&'static str> {
        match words {
            [first, second] if first.eq_ignore_ascii_case("reachable") => {
                (!second.eq_ignore_ascii_case("nodes")).then_some("`reachable' only supported for nodes.")
            }
            [_] => None,
            [] | [_, _, ..] => Some("Invalid number of arguments."),
        }
    }

    /// Reads the words after `dump`.
    ///
    /// # Errors
    /// If there is no such list; the text names `program`.
    pub fn parse(program: &str, words: &[String]) -> Result<Self> {
        let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let problem = match lower[..] {
            ["nodes"] => return Ok(Self::Nodes { reachable: false }),
            ["reachable", "nodes"] => return Ok(Self::Nodes { reachable: true }),
            ["edges"] => return Ok(Self::Edges),
            ["subnets"] => return Ok(Self::Subnets),
            ["connections"] => return Ok(Self::Connections),
            ["graph"] => return Ok(Self::Graph(Style::Undirected)),
            ["digraph"] => return Ok(Self::Graph(Style::Directed)),
            ["reachable", _] => "`reachable' only supported for nodes.".to_owned(),
            [] | [_, _, ..] => "Invalid number of arguments.".to_owned(),
            [_] => format!("Unknown dump type '{}'.", words.first().map_or("", String::as_str)),
        };
        bail!("{problem}\n{}", try_line(program).trim_end())
    }
}

pub(super) fn run(tool: &Tool<'_>, words: &[String], out: &mut dyn Write) -> Result<()> {
    if let Some(problem) = What::hopeless(words) {
        bail!("{problem}\n{}", try_line(tool.program).trim_end());
    }
    let mut client = tool.connect()?;
    match What::parse(tool.program, words)? {
        What::Nodes { reachable } => {
            let nodes = client.nodes()?;
            print_all(nodes.iter().filter(|node| node.is_reachable() || !reachable), out)
        }
        What::Edges => print_all(&client.edges()?, out),
        What::Subnets => print_all(&client.subnets()?, out),
        What::Connections => print_all(&client.connections()?, out),
        What::Graph(style) => {
            let (nodes, edges) = (client.nodes()?, client.edges()?);
            Ok(write!(out, "{}", graph::draw(style, &nodes, &edges))?)
        }
    }
}

fn print_all<T: fmt::Display>(lines: impl IntoIterator<Item = T>, out: &mut dyn Write) -> Result<()> {
    lines.into_iter().try_for_each(|line| print_line(out, line))
}

impl fmt::Display for NodeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [cipher, digest, maclength] = self.legacy;
        write!(f, "{} id {} at {} ", self.name, self.id, self.endpoint)?;
        write!(f, "cipher {cipher} digest {digest} maclength {maclength} compression {} ", self.compression)?;
        write!(f, "options {:x} status {:04x} nexthop {} via {} ", self.options, self.status, self.nexthop, self.via)?;
        write!(f, "distance {} pmtu {} (min {} max {}) ", self.distance, self.mtu, self.min_mtu, self.max_mtu)?;
        let traffic = &self.traffic;
        write!(f, "rx {} {} tx {} {}", traffic.in_packets, traffic.in_bytes, traffic.out_packets, traffic.out_bytes)?;
        match self.rtt {
            Some(rtt) => write!(f, " rtt {}.{:03}", rtt.as_millis(), rtt.subsec_micros() % 1000),
            None => Ok(()),
        }
    }
}

impl fmt::Display for EdgeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} at {} local {} ", self.from, self.to, self.endpoint, self.local)?;
        write!(f, "options {:x} weight {}", self.options, self.weight)
    }
}

impl fmt::Display for SubnetLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subnet = self.subnet.strip_suffix("#10").unwrap_or(&self.subnet);
        write!(f, "{subnet} owner {}", self.owner)
    }
}

impl fmt::Display for ConnectionLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ", self.name, self.endpoint)?;
        write!(f, "options {:x} socket {} status {:x}", self.options, self.socket, self.status)
    }
}
