//! `tinmesh status`: who is reachable, by which path, how fast, and how much went there.
//!
//! [`Status`] is also what `--json` prints, so its fields are an interface: names and meanings stay, fields may be added.

mod render;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use tinmesh_core::packet::ETHERNET_HEADER;
use tinmesh_core::wire::options::Options;

use crate::control::client::{Client, ClientError};
use crate::control::dump::{AES_256_GCM, ConnectionLine, HindranceLine, NodeLine, SubnetLine, Traffic, status};

pub(super) use render::{Rates, render};

use super::mapping::PortMapping;
use super::reasons::reason;

/// The state of this machine's node and of all others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// This node's name.
    pub node: String,
    /// Name of the network on this machine, if it has one.
    pub network: Option<String>,
    /// The daemon's process number.
    pub pid: u32,
    /// Port that the daemon listens on.
    pub port: String,
    /// This node's addresses in the network.
    pub addresses: Vec<IpAddr>,
    /// All ranges that this node owns.
    pub subnets: Vec<String>,
    /// What routers pass on to this machine, for each family of addresses whose routers are asked.
    pub port_mappings: Vec<PortMapping>,
    /// Meta connections (TCP) with other nodes.
    pub connections: Vec<Connection>,
    /// The other nodes: reachable ones first, each group by name.
    pub peers: Vec<Peer>,
}

/// A meta connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// With whom; `null` before that is known.
    pub node: Option<String>,
    /// The other end's address and port.
    pub address: Option<String>,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Peer {
    /// Name.
    pub name: String,
    /// Whether there is a way to it.
    pub reachable: bool,
    /// How packets get there.
    #[serde(flatten)]
    pub path: Path,
    /// Why packets do not go straight by UDP, where they do not and that is known.
    pub reason: Option<String>,
    /// Hops of the way through the mesh; `null` if there is none.
    pub hops: Option<u32>,
    /// UDP round-trip time in milliseconds, if measured.
    pub rtt_ms: Option<f64>,
    /// Largest IP packet that gets there in one datagram, once that is known.
    pub mtu: Option<u32>,
    /// When it became reachable or unreachable, in seconds since 1970.
    pub since: Option<u64>,
    /// Its addresses in the network.
    pub addresses: Vec<IpAddr>,
    /// All ranges that it owns.
    pub subnets: Vec<String>,
    /// What came from it.
    pub received: Amount,
    /// What went to it.
    pub sent: Amount,
    /// Whether it says that it is tinmesh.
    pub tinmesh: bool,
    /// In which protocol it is spoken to; `null` if it is not.
    pub protocol: Option<Protocol>,
}

/// How packets to a node are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Protocol {
    /// That of tinc 1.1.
    #[serde(rename = "sptps")]
    Sptps,
    /// That of tinc 1.1, with packets under AES-256-GCM.
    #[serde(rename = "sptps-aes256gcm")]
    SptpsAes,
    /// That of tinc 1.0, which is weak.
    #[serde(rename = "tinc-1.0")]
    Legacy,
}

/// How packets get to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "path", rename_all = "lowercase")]
pub enum Path {
    /// Straight, by UDP.
    Udp {
        /// The address that they are sent to.
        address: Option<String>,
    },
    /// Straight, through the meta connection.
    Tcp,
    /// Sealed, through another node.
    Relayed {
        /// Which.
        by: String,
    },
    /// There were none lately, so no path was looked for. The first one goes to `next`.
    Idle {
        /// The first node on the way through the mesh.
        next: String,
    },
    /// There is none.
    Unreachable,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Status {
    /// Asks the daemon.
    ///
    /// # Errors
    /// If it does not answer as it should.
    pub fn read(client: &mut Client, network: Option<&str>) -> Result<Self, ClientError> {
        Self::read_explained(client, network).map(|(status, _)| status)
    }

    /// The same, with why paths are not direct, as the daemon says it.
    ///
    /// # Errors
    /// If it does not answer as it should.
    pub fn read_explained(
        client: &mut Client,
        network: Option<&str>,
    ) -> Result<(Self, Vec<HindranceLine>), ClientError> {
        let lists = Lists { nodes: client.nodes()?, subnets: client.subnets()?, connections: client.connections()? };
        let own = Self {
            node: client.name.clone(),
            network: network.map(str::to_owned),
            pid: client.pid,
            port: client.port.clone(),
            addresses: Vec::new(),
            subnets: Vec::new(),
            port_mappings: Vec::new(),
            connections: Vec::new(),
            peers: Vec::new(),
        };
        let mut status = own.fill(lists);
        let hindrances = client.hindrances()?;
        status.explain(&hindrances);
        status.port_mappings = client.ports()?.iter().flatten().map(PortMapping::from).collect();
        Ok((status, hindrances))
    }

    fn fill(mut self, lists: Lists) -> Self {
        let mut owned: BTreeMap<&str, Vec<&SubnetLine>> = BTreeMap::new();
        for line in &lists.subnets {
            owned.entry(&line.owner).or_default().push(line);
        }
        let of = |name: &str| owned.get(name).map(Vec::as_slice).unwrap_or_default();
        self.addresses = addresses(of(&self.node));
        self.subnets = ranges(of(&self.node));
        self.connections = lists.connections.iter().filter_map(Connection::read).collect();
        let others = lists.nodes.iter().filter(|node| node.name != self.node);
        self.peers = others.map(|node| Peer::read(node, of(&node.name), &self.node)).collect();
        self.peers.sort_by(|a, b| b.reachable.cmp(&a.reachable).then_with(|| a.name.cmp(&b.name)));
        self
    }

    fn explain(&mut self, hindrances: &[HindranceLine]) {
        for peer in self.peers.iter_mut().filter(|peer| matches!(peer.path, Path::Tcp | Path::Relayed { .. })) {
            let line = hindrances.iter().find(|line| line.node == peer.name);
            peer.reason = line.and_then(reason).map(|reason| reason.says);
        }
    }

    /// How many other nodes there is a way to.
    pub fn reachable(&self) -> usize {
        self.peers.iter().filter(|peer| peer.reachable).count()
    }
}

/// What the daemon says.
struct Lists {
    nodes: Vec<NodeLine>,
    subnets: Vec<SubnetLine>,
    connections: Vec<ConnectionLine>,
}

fn addresses(subnets: &[&SubnetLine]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = subnets.iter().filter_map(|line| line.single_address()).collect();
    // The short ones, of IPv4, are what people type.
    addresses.sort();
    addresses
}

fn ranges(subnets: &[&SubnetLine]) -> Vec<String> {
    subnets.iter().map(|line| line.range().to_owned()).collect()
}

impl Connection {
    fn read(line: &ConnectionLine) -> Option<Self> {
        let control = line.status & status::CONTROL != 0 || line.name == "<control>";
        let node = (line.name != "<unknown>").then(|| line.name.clone());
        (!control).then(|| Self { node, address: line.endpoint.joined() })
    }
}

impl Peer {
    fn read(node: &NodeLine, subnets: &[&SubnetLine], own_name: &str) -> Self {
        let path = Path::read(node, own_name);
        let measured = matches!(path, Path::Udp { .. });
        let mtu = node.min_mtu.saturating_sub(ETHERNET_HEADER as i32);
        let searched = measured && node.min_mtu == node.max_mtu;
        let Traffic { in_packets, in_bytes, out_packets, out_bytes } = node.traffic;
        Self {
            name: node.name.clone(),
            reachable: node.is_reachable(),
            reason: None,
            hops: u32::try_from(node.distance).ok(),
            rtt_ms: node.rtt.filter(|_| measured).map(|rtt| rtt.as_micros() as f64 / 1000.0),
            mtu: u32::try_from(mtu).ok().filter(|mtu| searched && *mtu > 0),
            since: Some(node.changed).filter(|time| *time > 0),
            addresses: addresses(subnets),
            subnets: ranges(subnets),
            received: Amount { packets: in_packets, bytes: in_bytes },
            sent: Amount { packets: out_packets, bytes: out_bytes },
            tinmesh: Options(node.options).has(Options::TINMESH),
            protocol: Protocol::read(node),
            path,
        }
    }
}

impl Protocol {
    fn read(node: &NodeLine) -> Option<Self> {
        let spoken = match node.legacy {
            _ if !node.has(status::SPTPS) => Self::Legacy,
            [AES_256_GCM, ..] => Self::SptpsAes,
            _ => Self::Sptps,
        };
        node.is_reachable().then_some(spoken)
    }
}

impl Path {
    fn read(node: &NodeLine, own_name: &str) -> Self {
        let relay = Some(&node.via).filter(|via| **via != node.name && *via != own_name && *via != "-");
        if !node.is_reachable() {
            Self::Unreachable
        } else if let Some(by) = relay {
            Self::Relayed { by: by.clone() }
        } else if !node.has(status::VALID_KEY) {
            Self::Idle { next: node.nexthop.clone() }
        } else if node.has(status::UDP_CONFIRMED) || node.min_mtu > 0 {
            Self::Udp { address: node.endpoint.joined() }
        } else if node.nexthop == node.name {
            Self::Tcp
        } else {
            Self::Relayed { by: node.nexthop.clone() }
        }
    }
}

#[cfg(test)]
mod tests;
