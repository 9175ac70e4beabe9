//! All that the daemon knows of one node, subnet or address (spec: cli B.5).

use std::io::Write;

use anyhow::{Result, anyhow, bail};
use tinmesh_core::name::NodeName;
use tinmesh_core::subnet::Subnet;
use tinmesh_core::wire::options::Options;
use tinmesh_os::local_time;

use super::{Tool, print_line};
use crate::control::client::Client;
use crate::control::dump::{EdgeLine, NodeLine, SubnetLine, status};

/// What a question was about.
pub enum Found {
    /// A node, with all edges and subnets of the mesh.
    Node {
        /// The node.
        node: Box<NodeLine>,
        /// Edges.
        edges: Vec<EdgeLine>,
        /// Subnets.
        subnets: Vec<SubnetLine>,
    },
    /// Subnets that are the asked one, or hold the address.
    Subnets(Vec<SubnetLine>),
}

/// Looks for a node, a subnet, or the owners of an address.
///
/// # Errors
/// If `item` is none of these, or not known.
pub fn find(client: &mut Client, item: &str) -> Result<Found> {
    if NodeName::parse(item).is_ok() {
        let found = client.nodes()?.into_iter().find(|node| node.name == item);
        let node = Box::new(found.ok_or_else(|| anyhow!("Unknown node {item}."))?);
        return Ok(Found::Node { node, edges: client.edges()?, subnets: client.subnets()? });
    }
    if !item.contains(['.', ':']) {
        bail!("Argument is not a node name, subnet or address.");
    }
    let wanted = Wanted::parse(item)?;
    let mut subnets = client.subnets()?;
    subnets.retain(|line| wanted.matches(line));
    if subnets.is_empty() {
        bail!("Unknown {} {item}.", if item.contains('/') { "subnet" } else { "address" });
    }
    Ok(Found::Subnets(subnets))
}

pub(super) fn run(tool: &Tool<'_>, item: &str, out: &mut dyn Write) -> Result<()> {
    match find(&mut *tool.connect()?, item)? {
        Found::Node { node, edges, subnets } => Ok(write!(out, "{}", describe(&node, &edges, &subnets))?),
        Found::Subnets(subnets) => subnets
            .iter()
            .try_for_each(|hit| print_line(out, format_args!("Subnet: {}\nOwner:  {}", hit.subnet, hit.owner))),
    }
}

/// The answer to `info NODE`.
pub(super) fn describe(node: &NodeLine, edges: &[EdgeLine], subnets: &[SubnetLine]) -> String {
    let time = if node.changed == 0 { "never".to_owned() } else { local_time::text_at(node.changed) };
    let since = if node.is_reachable() { "Online since: " } else { "Last seen:    " };
    let traffic = &node.traffic;
    let own_edges = edges.iter().filter(|edge| edge.from == node.name).map(|edge| edge.to.as_str());
    let own_subnets = subnets.iter().filter(|line| line.owner == node.name);
    let own_subnets = own_subnets.map(|line| line.subnet.strip_suffix("#10").unwrap_or(&line.subnet));
    let words = |words: &mut dyn Iterator<Item = &str>| words.map(|word| format!(" {word}")).collect::<String>();
    let lines = [
        format!("Node:         {}", node.name),
        format!("Node ID:      {}", node.id),
        format!("Address:      {}", node.endpoint),
        format!("{since}{time}"),
        format!("Status:      {}", flags(node.status, STATUS_WORDS)),
        format!("Options:     {}", flags(node.options, OPTION_WORDS)),
        format!("Protocol:     17.{}", Options(node.options).minor()),
        format!("Reachability: {}", reachability(node)),
        format!("RX:           {} packets  {} bytes", traffic.in_packets, traffic.in_bytes),
        format!("TX:           {} packets  {} bytes", traffic.out_packets, traffic.out_bytes),
        format!("Edges:       {}", words(&mut own_edges.into_iter())),
        format!("Subnets:     {}", words(&mut own_subnets.into_iter())),
    ];
    lines.join("\n") + "\n"
}

const STATUS_WORDS: &[(u32, &str)] = &[
    (status::VALID_KEY, "validkey"),
    (status::VISITED, "visited"),
    (status::REACHABLE, "reachable"),
    (status::INDIRECT, "indirect"),
    (status::SPTPS, "sptps"),
    (status::UDP_CONFIRMED, "udp_confirmed"),
];

const OPTION_WORDS: &[(u32, &str)] = &[
    (Options::INDIRECT, "indirect"),
    (Options::TCP_ONLY, "tcponly"),
    (Options::PMTU_DISCOVERY, "pmtu_discovery"),
    (Options::CLAMP_MSS, "clamp_mss"),
];

fn flags(bits: u32, words: &[(u32, &'static str)]) -> String {
    words.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| format!(" {word}")).collect()
}

fn reachability(node: &NodeLine) -> String {
    if node.is_me() {
        "can reach itself".to_owned()
    } else if !node.is_reachable() {
        "unreachable".to_owned()
    } else if node.via != node.name {
        format!("indirectly via {}", node.via)
    } else if !node.has(status::VALID_KEY) {
        "unknown".to_owned()
    } else if node.min_mtu > 0 {
        let rtt = node.rtt.map(|rtt| format!("\nRTT:          {}.{:03}", rtt.as_millis(), rtt.subsec_micros() % 1000));
        format!("directly with UDP\nPMTU:         {}{}", node.mtu, rtt.unwrap_or_default())
    } else if node.nexthop == node.name {
        "directly with TCP".to_owned()
    } else {
        format!("none, forwarded via {}", node.nexthop)
    }
}

/// Which subnets are asked for.
struct Wanted {
    subnet: Subnet,
    exact: bool,
    weighted: bool,
}

impl Wanted {
    fn parse(item: &str) -> Result<Self> {
        let subnet = Subnet::parse(item).map_err(|_| anyhow!("Could not parse subnet or address '{item}'."))?;
        Ok(Self { subnet, exact: item.contains('/'), weighted: item.contains('#') })
    }

    fn matches(&self, line: &SubnetLine) -> bool {
        let Ok(subnet) = Subnet::parse(&line.subnet) else { return false };
        let same = subnet.address() == self.subnet.address() && subnet.prefix() == self.subnet.prefix();
        let hit = if self.exact { same } else { subnet.covers(&self.subnet.address()) };
        hit && (!self.weighted || subnet.weight() == self.subnet.weight())
    }
}
