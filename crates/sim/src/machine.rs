//! `Machine`: one simulated computer: a node, its forwarding snapshot, its disk, its sockets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::dataplane::fib::{Fib, Policy};
use tinmesh_core::dataplane::scratch::Scratch;
use tinmesh_core::name::{ConnId, NodeName};
use tinmesh_core::node::Node;
use tinmesh_core::node::activity::Sampler;
use tinmesh_core::node::config::{Config, HostConfig, LinkPolicy, MeshPolicy, Timing};
use tinmesh_core::node::io::{Event, Reply};
use tinmesh_core::subnet::Subnet;
use tinmesh_core::time::Instant;
use tinmesh_core::trust::TrustConfig;

use crate::actor::Actor;
use crate::engine::Opening;
use crate::internet::HostId;
use crate::stream::{Side, StreamId};

/// The port on which every node listens.
const PORT: u16 = 655;
/// Nodes listen on a port below this.
pub(crate) const LISTENING: u16 = 1_024;
/// Ports of sockets that nodes open later: the first, and how many.
const EXTRA_PORTS: (u16, u16) = (32_768, 28_232);

/// What runs on a machine.
#[derive(Debug, Default)]
pub(crate) enum Brain {
    /// Nothing.
    #[default]
    Off,
    /// A node.
    Node(Box<Node>),
    /// Something that only pretends to be one.
    Actor(Box<Actor>),
}

/// How a host file of another machine says where that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// By its addresses.
    Numeric,
    /// By a name to look up.
    Named,
    /// Not at all.
    Unknown,
}

/// What the program has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Pieces written on meta connections: requests, and packets over TCP.
    pub meta_sent: u64,
    /// Their bytes.
    pub meta_bytes: u64,
    /// Datagrams sent, the node's own and those with packets.
    pub datagrams: u64,
}

/// One simulated computer.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) config: Config,
    pub(crate) key: SecretKey,
    /// Other machines in host files, beside what `config.hosts` says.
    pub(crate) whereabouts: BTreeMap<HostId, Whereabouts>,
    /// Whether its node may run.
    pub(crate) wanted: bool,
    /// What it runs instead of a node.
    pub(crate) actor: Option<Box<Actor>>,
    pub(crate) brain: Brain,
    pub(crate) fib: Option<Arc<Fib>>,
    pub(crate) scratch: Box<Scratch>,
    /// Whether datagrams that its node passes on vanish.
    pub(crate) lies: bool,
    /// Ports of the sockets that its node opened beside those that it listens on, by index.
    pub(crate) extra: BTreeMap<u16, u16>,
    pub(crate) opened: u16,
    pub(crate) conns: BTreeMap<ConnId, (StreamId, Side)>,
    /// Calls from ports that its node chose.
    pub(crate) openings: BTreeMap<ConnId, Opening>,
    pub(crate) accepted: u64,
    /// Connections that were written to since their queue was last told.
    pub(crate) written: Vec<ConnId>,
    pub(crate) wake_at: Option<Instant>,
    pub(crate) slept_at: Option<Instant>,
    pub(crate) sampling: bool,
    pub(crate) sampler: Sampler,
    pub(crate) invitations: BTreeMap<String, Vec<u8>>,
    /// The statements that its node kept.
    pub(crate) statements: String,
    /// How many statements its operator has made.
    pub(crate) sayings: u64,
    pub(crate) reply: Option<Reply>,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) told_too_big: Vec<u16>,
    pub(crate) work: Work,
    /// Requests that try a size: when they went where, and so many bytes of UDP payload.
    pub(crate) sizes_asked: Vec<(Instant, SocketAddr, usize)>,
    /// By how many seconds its clock is ahead.
    pub(crate) clock_ahead: i64,
}

impl Machine {
    pub(crate) fn new(id: HostId, name: NodeName, key: SecretKey) -> Self {
        Self {
            config: config(id, name),
            key,
            whereabouts: BTreeMap::new(),
            wanted: true,
            actor: None,
            brain: Brain::Off,
            fib: None,
            scratch: Box::default(),
            lies: false,
            extra: BTreeMap::new(),
            opened: 0,
            conns: BTreeMap::new(),
            openings: BTreeMap::new(),
            accepted: 0,
            written: Vec::new(),
            wake_at: None,
            slept_at: None,
            sampling: false,
            sampler: Sampler::default(),
            invitations: BTreeMap::new(),
            statements: String::new(),
            sayings: 0,
            reply: None,
            events: Vec::new(),
            told_too_big: Vec::new(),
            work: Work::default(),
            sizes_asked: Vec::new(),
            clock_ahead: 0,
        }
    }

    pub(crate) const fn is_running(&self) -> bool {
        !matches!(self.brain, Brain::Off)
    }

    /// The program ends: what it had in memory is gone.
    pub(crate) fn forget(&mut self) {
        self.brain = Brain::Off;
        self.fib = None;
        self.extra.clear();
        self.conns.clear();
        self.openings.clear();
        self.written.clear();
        self.wake_at = None;
        self.slept_at = None;
        self.sampler = Sampler::default();
        self.reply = None;
    }

    /// The number of a connection that somebody made.
    pub(crate) const fn next_accepted(&mut self) -> ConnId {
        self.accepted += 1;
        ConnId(ConnId::ACCEPTED | self.accepted)
    }

    /// Opens a socket on a port that was not used lately, and gives that.
    pub(crate) fn open_socket(&mut self, socket: u16) -> u16 {
        self.opened = (self.opened + 1) % EXTRA_PORTS.1;
        let port = EXTRA_PORTS.0 + self.opened;
        self.extra.insert(socket, port);
        port
    }

    /// The port of a socket.
    pub(crate) fn port_of(&self, socket: u16) -> Option<u16> {
        let listening = self.config.sockets.get(usize::from(socket)).map(SocketAddr::port);
        listening.or_else(|| self.extra.get(&socket).copied())
    }

    /// The socket to which a datagram comes.
    pub(crate) fn socket_at(&self, to: SocketAddr) -> Option<u16> {
        if to.port() != self.config.port {
            return self.extra.iter().find(|(_, port)| **port == to.port()).map(|(socket, _)| *socket);
        }
        let at = self.config.sockets.iter().position(|socket| socket.is_ipv4() == to.is_ipv4())?;
        u16::try_from(at).ok()
    }

    /// The machine's address inside the mesh.
    pub(crate) fn inner(id: HostId, v6: bool) -> IpAddr {
        let number = id.0 + 1;
        if v6 {
            IpAddr::V6(Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(number)))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | number))
        }
    }
}

fn config(id: HostId, name: NodeName) -> Config {
    let own = [false, true].map(|v6| Machine::inner(id, v6).to_string());
    Config {
        name,
        port: PORT,
        sockets: Vec::new(),
        subnets: own.iter().map(|text| Subnet::parse(text).expect("an address is a subnet")).collect(),
        broadcast_subnets: Vec::new(),
        connect_to: Vec::new(),
        hosts: BTreeMap::new(),
        proxy: None,
        invitation_key: None,
        policy: Policy::default(),
        link: LinkPolicy::default(),
        mesh: MeshPolicy { auto_connect: false, ..MeshPolicy::default() },
        timing: Timing::default(),
        legacy: None,
        trust: TrustConfig::default(),
    }
}

/// The sockets of a machine with these families.
pub(crate) fn sockets(v4: bool, v6: bool, port: u16) -> Vec<SocketAddr> {
    let any: [(bool, IpAddr); 2] = [(v4, Ipv4Addr::UNSPECIFIED.into()), (v6, Ipv6Addr::UNSPECIFIED.into())];
    any.iter().filter(|(has, _)| *has).map(|(_, any)| SocketAddr::new(*any, port)).collect()
}

/// A host file with nothing but a key.
pub(crate) fn host_file(key: &SecretKey) -> HostConfig {
    HostConfig { key: Some(key.public()), ..HostConfig::default() }
}

/// The distance of two samples of the counters, while there is traffic.
pub(crate) const SAMPLING: Duration = Duration::from_millis(100);
