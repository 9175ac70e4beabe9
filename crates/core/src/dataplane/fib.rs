//! `Fib`: the immutable forwarding snapshot. All that a packet needs to know.
//!
//! The node makes one and publishes it; workers load it once per batch. Its tables and entries
//! are `Arc`s, so that publishing copies pointers.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use foldhash::fast::FixedState;

use crate::dataplane::ethernet::{Mac, Station};
use crate::dataplane::gate::{Gate, Pace};
use crate::dataplane::relaying::Relaying;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::session::Session;
use crate::dataplane::stats::PeerStats;
use crate::legacy;
use crate::name::{NodeId, NodeName, PeerId};
use crate::subnet::{Address, Owner, SubnetTable};
use crate::wire::options::Options;

/// Where a datagram goes: an address, and which of this node's sockets to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpTarget {
    /// The peer's address.
    pub to: SocketAddr,
    /// Index into the node's list of UDP sockets; those that were opened later come after them.
    pub socket: u16,
}

/// A relay that was chosen by measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenRelay {
    /// The node.
    pub node: PeerId,
    /// Largest frame that is known to arrive from there, in bytes from the Ethernet header.
    pub size: u16,
}

/// What the packet path knows of one node (also of this one, at [`PeerId::ME`]).
#[derive(Clone, Debug)]
pub struct PeerEntry {
    /// Its place in the tables.
    pub peer: PeerId,
    /// Its name, for messages.
    pub name: NodeName,
    /// Its id in datagrams.
    pub node_id: NodeId,
    /// Whether the graph reaches it.
    pub reachable: bool,
    /// The neighbour on the shortest path.
    pub nexthop: PeerId,
    /// The static relay, or the node itself, or [`PeerId::ME`] (spec: datagrams 1).
    pub via: PeerId,
    /// The relay that this node's own packets take while there is no straight way.
    pub relay: Option<ChosenRelay>,
    /// Options of the last edge on the path; its top byte is the protocol minor.
    pub options: Options,
    /// Whether there is an active meta connection to it.
    pub neighbour: bool,
    /// Where to send UDP, if that is known.
    pub udp: Option<UdpTarget>,
    /// Where its datagrams come from, if not from there.
    pub source: Option<SocketAddr>,
    /// Whether UDP works both ways with that address.
    pub udp_confirmed: bool,
    /// Whether UDP works both ways as it sees it: only then it takes datagrams from us that are not our own, or not for it.
    pub relays_for_us: bool,
    /// Whether our packets for it go over TCP although UDP works, because that carries more.
    pub by_tcp: bool,
    /// Whether it takes packets in two records.
    pub joins: bool,
    /// Whether it makes the checksums of packets that come without.
    pub sums: bool,
    /// Largest frame to accept towards it, in bytes from the Ethernet header.
    pub mtu: u16,
    /// Largest frame known to arrive over UDP, in bytes from the Ethernet header; 0: none.
    pub min_mtu: u16,
    /// Keys, once the handshake is done.
    pub session: Option<Arc<Session>>,
    /// Keys of tinc 1.0, if it is spoken to in that protocol.
    pub legacy: Option<Arc<legacy::session::Session>>,
    /// Compression level that it wants to receive, 0–12.
    pub compression: u8,
    /// Whether to clamp the MSS of TCP towards it.
    pub clamp_mss: bool,
    /// Counters, shared by all snapshots.
    pub stats: Arc<PeerStats>,
}

/// How the node treats packets, from its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Router, switch or hub.
    pub mode: Mode,
    /// What the device carries.
    pub frames: Frames,
    /// What to do with packets of others for others.
    pub forwarding: Forwarding,
    /// Whether packets that are passed on lose one hop of life.
    pub decrement_ttl: bool,
    /// Whether owners that need a relay are refused.
    pub direct_only: bool,
    /// Compression level that this node receives, 0–12.
    pub compression: u8,
    /// Whether this node speaks TCP only.
    pub tcp_only: bool,
    /// Where broadcast packets are sent.
    pub broadcast: Broadcast,
    /// Whether packets of others are passed on (variable `Relay`).
    pub relaying: Relaying,
    /// Whether the outer packet has the inner one's type of service (variable `PriorityInheritance`).
    pub priority_inheritance: bool,
}

impl Default for Policy {
    /// tinc's defaults.
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            frames: Frames::default(),
            forwarding: Forwarding::default(),
            decrement_ttl: false,
            direct_only: false,
            compression: 0,
            tcp_only: false,
            broadcast: Broadcast::default(),
            relaying: Relaying::default(),
            priority_inheritance: false,
        }
    }
}

/// What a node does with packets (variable `Mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By IP address.
    #[default]
    Router,
    /// By MAC address.
    Switch,
    /// To everyone.
    Hub,
}

/// What a device carries (spec: routing 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frames {
    /// IP packets.
    #[default]
    Ip,
    /// Ethernet frames.
    Ethernet {
        /// Whether frames of a node that routes get the addresses of the machine behind the device, whose address is
        /// this until it shows another; else they have none.
        rewrite: Option<Mac>,
    },
}

/// Where packets for everyone are sent (variable `Broadcast`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broadcast {
    /// Nowhere.
    No,
    /// Along the spanning tree; each node of it sends them on.
    #[default]
    Mst,
    /// From their source to every node that it reaches without a relay.
    Direct,
}

/// What a node does with packets of others for others (variable `Forwarding`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// Refuses them.
    Off,
    /// Routes them.
    #[default]
    Internal,
    /// Hands them to the system.
    Kernel,
}

/// Nodes by something of theirs. To find one takes as long among 50,000 as among ten; the seed of the hash is the node's own, so
/// that nobody can choose ids or addresses that meet in it. Never iterated: the order would depend on the seed.
pub type NodesBy<K> = HashMap<K, PeerId, FixedState>;

/// A snapshot of everything the packet path reads.
#[derive(Clone, Debug)]
pub struct Fib {
    /// This node's settings.
    pub policy: Arc<Policy>,
    /// Who owns an address.
    pub subnets: Arc<SubnetTable>,
    /// Every known node by [`PeerId`]; freed places are empty.
    pub peers: Vec<Option<Arc<PeerEntry>>>,
    /// Node id → node.
    pub by_id: Arc<NodesBy<NodeId>>,
    /// Confirmed UDP address → node.
    pub by_addr: Arc<NodesBy<SocketAddr>>,
    /// Neighbours that are in the spanning tree, for broadcasts.
    pub tree: Arc<[PeerId]>,
    /// For each node, the one of them behind which it is.
    pub branches: Arc<[Option<PeerId>]>,
    /// Nodes that have our key of tinc 1.0, whose datagrams do not tell who sent them.
    pub legacy: Arc<[PeerId]>,
    /// Who is behind a device that carries frames.
    pub station: Arc<Station>,
    /// Stations of our own wire that were learnt, and when each was seen, in microseconds.
    pub learnt: Arc<BTreeMap<Mac, Arc<AtomicU64>>>,
    /// How fast packets of others are passed on, if that is limited.
    pub relay_pace: Option<Arc<Pace>>,
    /// What members may send; `None`: everything.
    pub gate: Option<Arc<Gate>>,
}

impl Fib {
    /// Whether `peer` can be reached.
    pub(super) fn is_reachable(&self, peer: PeerId) -> bool {
        peer == PeerId::ME || self.peer(peer).is_some_and(|entry| entry.reachable)
    }

    /// Whose `address` is. Within a batch, in which the snapshot is the same, packets of one flow are looked up once.
    pub(super) fn find(&self, address: &Address, scratch: &mut Scratch) -> Option<Owner> {
        if let Some((known, owner)) = scratch.found
            && scratch.defers
            && known == *address
        {
            return owner;
        }
        let owner = self.subnets.lookup(address, |peer| self.is_reachable(peer));
        scratch.found = Some((*address, owner));
        owner
    }

    /// The entry of `peer`, if there is one.
    pub fn peer(&self, peer: PeerId) -> Option<&Arc<PeerEntry>> {
        self.peers.get(peer.index())?.as_ref()
    }
}
