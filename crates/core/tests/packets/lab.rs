//! A node with peers, as the packet path sees it, and the far ends of its sessions.
//!
//! ```text
//! ME      10.0.0.0/16  fd00::/32
//! ALICE   10.1.0.0/16  fd00:1::/32
//! BOB     10.2.0.0/16  fd00:2::/32    all reached directly, MTU 1439, in router mode
//! CAROL   10.3.0.0/16  fd00:3::/32
//! ```
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tinmesh_core::dataplane::fib::{Fib, PeerEntry, Policy, UdpTarget};
use tinmesh_core::dataplane::gate::{Gate, Relay, Rights};
use tinmesh_core::dataplane::scratch::Scratch;
use tinmesh_core::dataplane::session::Session;
use tinmesh_core::dataplane::stats::PeerStats;
use tinmesh_core::dataplane::verdict::Verdict;
use tinmesh_core::name::{NodeId, NodeName, PeerId};
use tinmesh_core::packet::Packet;
use tinmesh_core::subnet::{Subnet, SubnetTable};
use tinmesh_core::wire::options::Options;

use crate::keys::session_pair;

pub(crate) const ME: PeerId = PeerId::ME;
pub(crate) const ALICE: PeerId = PeerId(1);
pub(crate) const BOB: PeerId = PeerId(2);
pub(crate) const CAROL: PeerId = PeerId(3);
/// A node that does not exist: its network has no owner.
pub(crate) const NOBODY: PeerId = PeerId(9);
const NAMES: [&str; 4] = ["me", "alice", "bob", "carol"];

#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) fib: Fib,
    pub(crate) scratch: Scratch,
    /// The far end of each session.
    pub(crate) remote: BTreeMap<PeerId, Arc<Session>>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let policy = Policy::default();
        let mut remote = BTreeMap::new();
        let mut peers = vec![Some(Arc::new(entry(ME)))];
        for peer in [ALICE, BOB, CAROL] {
            let (near, far) = session_pair();
            remote.insert(peer, far);
            peers.push(Some(Arc::new(PeerEntry { session: Some(near), ..entry(peer) })));
        }
        let mut lab = Self {
            fib: Fib {
                policy: Arc::new(policy),
                subnets: Arc::new(subnets()),
                relay_pace: None,
                by_id: Arc::default(),
                by_addr: Arc::default(),
                tree: Arc::from([]),
                branches: Arc::from([]),
                legacy: Arc::from([]),
                station: Arc::default(),
                learnt: Arc::default(),
                gate: None,
                peers,
            },
            scratch: Scratch::new(),
            remote,
        };
        lab.index();
        lab
    }

    /// Changes what is known of a peer.
    pub(crate) fn with(mut self, peer: PeerId, change: impl FnOnce(&mut PeerEntry)) -> Self {
        change(Arc::make_mut(self.fib.peers[peer.index()].as_mut().unwrap()));
        self.index();
        self
    }

    /// Changes the node's settings.
    pub(crate) fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(Arc::make_mut(&mut self.fib.policy));
        self
    }

    /// Closes the network: everybody may relay, and send as fast as he likes, but from his own addresses only.
    pub(crate) fn closed(mut self) -> Self {
        let rights = Rights { relay: Relay::Yes, ..Rights::default() };
        let rights = vec![Some(Arc::new(rights)); self.fib.peers.len()];
        self.fib.gate = Some(Arc::new(Gate { checks_sources: true, rights, ..Gate::default() }));
        self
    }

    /// Changes what a member of a closed network may.
    pub(crate) fn rights(mut self, peer: PeerId, change: impl FnOnce(&mut Rights)) -> Self {
        let gate = Arc::make_mut(self.fib.gate.as_mut().unwrap());
        change(Arc::make_mut(gate.rights[peer.index()].as_mut().unwrap()));
        self
    }

    /// Adds a subnet.
    pub(crate) fn subnet(mut self, owner: Option<PeerId>, text: &str) -> Self {
        let name = name(owner.unwrap_or(ME));
        Arc::make_mut(&mut self.fib.subnets).insert(Subnet::parse(text).unwrap(), owner, &name);
        self
    }

    fn index(&mut self) {
        let confirmed = self.fib.peers.iter().flatten().filter(|entry| entry.udp_confirmed);
        self.fib.by_id = Arc::new(self.fib.peers.iter().flatten().map(|entry| (entry.node_id, entry.peer)).collect());
        self.fib.by_addr = Arc::new(confirmed.filter_map(|entry| Some((entry.udp?.to, entry.peer))).collect());
    }

    pub(crate) fn outbound(&mut self, payload: &[u8]) -> (Verdict, Packet) {
        let mut packet = Packet::from_payload(payload);
        let verdict = self.fib.outbound(&mut packet, &mut self.scratch);
        (verdict, packet)
    }

    pub(crate) fn inbound(&mut self, from: SocketAddr, payload: &[u8]) -> (Verdict, Packet) {
        let mut packet = Packet::from_payload(payload);
        let verdict = self.fib.inbound(from, &mut packet, &mut self.scratch);
        (verdict, packet)
    }

    pub(crate) fn accept(&mut self, origin: PeerId, kind: u8, data: &[u8]) -> (Verdict, Packet) {
        let mut packet = Packet::from_payload(data);
        let verdict = self.fib.accept_record(origin, kind, &mut packet, &mut self.scratch);
        (verdict, packet)
    }

    /// A datagram that `origin` sealed for us, with ids for `destination`.
    pub(crate) fn sealed(&self, destination: NodeId, origin: PeerId, kind: u8, data: &[u8]) -> Vec<u8> {
        let mut packet = Packet::from_payload(data);
        assert!(self.remote[&origin].seal(kind, &mut packet));
        [&destination.0, &id(origin).0, packet.payload()].concat()
    }

    /// Opens what we sent to `peer`, without ids.
    pub(crate) fn opened(&self, peer: PeerId, datagram: &[u8]) -> (u8, Vec<u8>) {
        let mut packet = Packet::from_payload(datagram);
        let kind = self.remote[&peer].open(&mut packet).unwrap();
        (kind, packet.payload().to_vec())
    }

    pub(crate) fn stats(&self, peer: PeerId) -> &PeerStats {
        &self.fib.peer(peer).unwrap().stats
    }
}

pub(crate) fn name(peer: PeerId) -> NodeName {
    NodeName::parse(NAMES[peer.index()]).unwrap()
}

pub(crate) fn id(peer: PeerId) -> NodeId {
    name(peer).id()
}

pub(crate) fn address(peer: PeerId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, peer.0 as u8], 655))
}

pub(crate) fn target(peer: PeerId) -> UdpTarget {
    UdpTarget { to: address(peer), socket: 0 }
}

fn entry(peer: PeerId) -> PeerEntry {
    let me = peer == ME;
    PeerEntry {
        peer,
        name: name(peer),
        node_id: id(peer),
        reachable: true,
        nexthop: peer,
        via: peer,
        options: Options::default().with_minor(7),
        neighbour: false,
        udp: Some(target(peer)).filter(|_| !me),
        udp_confirmed: !me,
        relay: None,
        source: None,
        relays_for_us: !me,
        by_tcp: false,
        joins: false,
        sums: false,
        mtu: if me { 1518 } else { 1439 },
        min_mtu: if me { 0 } else { 1439 },
        session: None,
        legacy: None,
        compression: 0,
        clamp_mss: false,
        stats: Arc::default(),
    }
}

fn subnets() -> SubnetTable {
    let mut table = SubnetTable::default();
    for peer in [ME, ALICE, BOB, CAROL] {
        for text in [format!("10.{}.0.0/16", peer.0), format!("fd00:{}::/32", peer.0)] {
            table.insert(Subnet::parse(&text).unwrap(), Some(peer), &name(peer));
        }
    }
    for subnet in Subnet::broadcast_defaults() {
        table.insert(subnet, None, &name(ME));
    }
    table
}

/// A UDP packet of `len` bytes from one node's network to another's; DF is set.
pub(crate) fn v4(from: PeerId, to: PeerId, len: usize) -> Vec<u8> {
    let ip = |peer: PeerId, host| [10, peer.0 as u8, 0, host];
    built(etherparse::PacketBuilder::ipv4(ip(from, 1), ip(to, 5), 64), len - 28)
}

/// The same with other addresses.
pub(crate) fn v4_to(destination: [u8; 4]) -> Vec<u8> {
    built(etherparse::PacketBuilder::ipv4([10, 0, 0, 1], destination, 64), 72)
}

/// A UDP packet of `len` bytes from one node's network to another's.
pub(crate) fn v6(from: PeerId, to: PeerId, len: usize) -> Vec<u8> {
    let ip = |peer: PeerId, host| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[0xfd, 0, 0, peer.0 as u8]);
        bytes[15] = host;
        bytes
    };
    built(etherparse::PacketBuilder::ipv6(ip(from, 1), ip(to, 5), 64), len - 48)
}

fn built(builder: etherparse::PacketBuilderStep<etherparse::IpHeaders>, data: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    builder.udp(1000, 2000).write(&mut packet, &vec![0x55; data]).unwrap();
    packet
}
