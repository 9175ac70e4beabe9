//! The only door of a [`Node`](super::Node): what it is told and what it wants done.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::keys::PublicKey;
use crate::crypto::record_key;
use crate::dataplane::ethernet::Mac;
use crate::dataplane::fib::{Fib, UdpTarget};
use crate::dataplane::stats::PeerStats;
use crate::dataplane::verdict::Punt;
use crate::legacy::session::Suite;
use crate::name::{ConnId, NodeId, NodeName, PeerId};
use crate::node::config::Config;
use crate::packet::Packet;
use crate::peer::lifetime::Known;
use crate::subnet::Subnet;
use crate::time::Instant;
use crate::wire::address::WireAddress;
use crate::wire::endpoint::Endpoints;
use crate::wire::options::Options;

/// What a node is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// The time that `poll_timeout` asked for has come (or any other time).
    Timeout,
    /// Somebody connected to us. `conn` has [`ConnId::ACCEPTED`] set.
    Accepted {
        /// The new connection.
        conn: ConnId,
        /// The other end's address.
        remote: SocketAddr,
        /// Our end's address.
        local: SocketAddr,
    },
    /// A connection that we asked for with [`Output::Connect`] is up.
    Connected {
        /// The connection.
        conn: ConnId,
        /// Our end's address, if it has one.
        local: Option<SocketAddr>,
    },
    /// Bytes of a connection, cut anywhere.
    Received {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A connection ended, or could not be made. Not told after [`Output::Close`].
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// So many bytes of a connection still wait to be written.
    Queued {
        /// The connection.
        conn: ConnId,
        /// Bytes in the send queue.
        bytes: usize,
    },
    /// The system has repeated what was sent on a connection, and nobody confirms it. Whoever tells this makes new
    /// connections with short segments for a while.
    Stuck {
        /// The connection.
        conn: ConnId,
    },
    /// A packet that the data plane could not finish.
    Punt {
        /// Why, and what the payload is.
        punt: Punt,
        /// The packet's payload.
        payload: &'a [u8],
    },
    /// In switch mode: a frame of the device came from a station that nobody knows.
    Learnt(Mac),
    /// The system said that a datagram was too long to send.
    TooBig {
        /// Where it should have gone.
        to: SocketAddr,
        /// Its UDP payload.
        datagram: &'a [u8],
        /// Whether somebody would miss it, so that it is to go another way: not if it came as [`Output::Ask`].
        missed: bool,
    },
    /// What the system believes to be the MTU of the way to an address; answers [`Output::PathMtu`].
    PathMtu {
        /// The address asked for.
        to: SocketAddr,
        /// IP packet size in bytes; `None`: not known.
        mtu: Option<u16>,
    },
    /// Which peers had traffic since the last time.
    Activity(&'a [Activity]),
    /// An operator's request; answered by [`Output::Reply`] with the same id.
    Command {
        /// Chosen by the caller.
        id: u64,
        /// The request.
        command: Command,
    },
    /// Addresses of a name; answers [`Output::Resolve`].
    Resolved {
        /// The number of the question.
        question: u64,
        /// What was found; empty: nothing.
        addresses: Vec<SocketAddr>,
    },
    /// The invitation asked for with [`Output::Redeem`].
    Invitation {
        /// The connection of the joiner.
        conn: ConnId,
        /// The file's content; `None`: no such invitation, used or expired.
        file: Option<Vec<u8>>,
    },
    /// The configuration was read anew.
    Reconfigure(Box<Config>),
    /// Statements that were kept, a line each.
    Statements(&'a str),
    /// What time the operating system says it is, in milliseconds since 1970; told at the start, once a minute, and
    /// after a change.
    Clock {
        /// Milliseconds since 1970, UTC.
        unix_ms: u64,
    },
    /// A socket that [`Output::OpenSocket`] asked for is open.
    SocketOpened {
        /// Its index.
        socket: u16,
        /// Its port.
        port: u16,
    },
    /// What routers pass on to the UDP port of this node, whenever that changes.
    Mapped(Endpoints),
    /// Addresses of this machine changed.
    NetworkChanged,
    /// In which network this machine is, once that is known: at first, and after each change or sleep.
    Network(crate::punch::memory::NetworkId),
    /// The machine slept for so long.
    Woke(Duration),
    /// Whether requests are to be told one by one, as [`Event::Request`].
    Trace(bool),
    /// Whether packets that enter routing are told, frame by frame.
    Capture(bool),
}

/// Traffic of one peer since the last sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The peer.
    pub peer: PeerId,
    /// Whether packets went towards it.
    pub sent: bool,
    /// Whether datagrams were relayed towards it.
    pub relayed: bool,
    /// Whether datagrams of it came through a relay.
    pub came_relayed: bool,
    /// Longest frame that came from it by UDP, in bytes; 0: none.
    pub max_recent_len: u16,
    /// Whether datagrams of it failed to open.
    pub refused: bool,
}

/// What a node wants done.
#[derive(Debug)]
pub enum Output {
    /// Make a TCP connection.
    Connect {
        /// Its number: without [`ConnId::ACCEPTED`], or with [`ConnId::MET`].
        conn: ConnId,
        /// The node expected there.
        peer: NodeName,
        /// The address.
        to: SocketAddr,
        /// The own port that it is to come from, which several connections share; `None`: any.
        from: Option<u16>,
    },
    /// Write on a connection.
    Send {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// From now on the system should hold no more than so many bytes of a connection that are not on their way yet.
    Room {
        /// The connection.
        conn: ConnId,
        /// Bytes.
        bytes: usize,
    },
    /// End a connection, after what was sent before is written as far as the system takes it at once.
    Close {
        /// The connection.
        conn: ConnId,
        /// Whether to keep the socket open, unread, to slow down a stranger.
        tarpit: bool,
    },
    /// Send a datagram with a packet, or a part of one.
    Transmit {
        /// Where to.
        target: UdpTarget,
        /// The UDP payload.
        packet: Packet,
    },
    /// Send a datagram that asks or answers something about the path: if the system refuses it, nothing is lost.
    Ask {
        /// Where to.
        target: UdpTarget,
        /// The UDP payload.
        packet: Packet,
    },
    /// Open another UDP socket, at the same address as one that exists, on any free port.
    OpenSocket {
        /// Its index from now on.
        socket: u16,
        /// The index of the one that it is like.
        beside: u16,
    },
    /// Close a socket that [`Output::OpenSocket`] opened.
    CloseSocket(u16),
    /// Give a plain packet to the device.
    Deliver(Packet),
    /// From now on packets are forwarded by this snapshot.
    Publish(Arc<Fib>),
    /// Ask the system for the MTU of the way to an address.
    PathMtu(SocketAddr),
    /// Look up a name; answered by [`Input::Resolved`]. A question that takes long is to keep no other waiting.
    Resolve {
        /// Its number, which no other question has.
        question: u64,
        /// Host name or numeric address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Keep something on disk.
    Persist(Persist),
    /// Take the invitation file of this name away and tell its content.
    Redeem {
        /// The joiner's connection.
        conn: ConnId,
        /// 24 characters.
        file_name: String,
    },
    /// Answer to a command.
    Reply {
        /// The command's id.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// Frames that entered routing while [`Input::Capture`] asks for them.
    Captured(Vec<Box<[u8]>>),
    /// Something that operators, scripts and logs want to know.
    Event(Event),
}

/// What survives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persist {
    /// Append `Ed25519PublicKey` to (or create) a host file.
    PublicKey {
        /// Whose.
        name: NodeName,
        /// The key.
        key: PublicKey,
    },
    /// Create the host file of an invited node.
    InvitedNode {
        /// Its name.
        name: NodeName,
        /// Its key.
        key: PublicKey,
    },
    /// Recently working addresses of a node, best first, at most 8.
    Addresses {
        /// Whose.
        name: NodeName,
        /// The addresses.
        addresses: Vec<SocketAddr>,
    },
    /// All statements that are known, a line each; at most once a second.
    Statements(String),
}

/// An operator's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// List all nodes.
    Nodes,
    /// List all edges.
    Edges,
    /// List all subnets.
    Subnets,
    /// List all connections.
    Connections,
    /// Forget what is known of unreachable nodes.
    Purge,
    /// Try all outgoing connections now.
    Retry,
    /// End all connections with a node.
    Disconnect(NodeName),
    /// End all connections: the daemon is about to stop.
    Shutdown,
    /// List all statements.
    Statements,
    /// Why packets do not go straight by UDP, by node.
    Hindrances,
    /// What is known of the paths to other nodes.
    Paths,
    /// Ask others where they see this node; the reply comes within a second.
    Examine,
    /// Take in statements, a line each; two lines divided by a newline are evidence.
    Accept(Vec<String>),
}

/// An answer to a [`Command`].
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sorted by name.
    Nodes(Vec<NodeInfo>),
    /// Sorted by both names.
    Edges(Vec<EdgeInfo>),
    /// In subnet order; without owner: broadcast subnets.
    Subnets(Vec<(Subnet, Option<NodeName>)>),
    /// Oldest first.
    Connections(Vec<ConnectionInfo>),
    /// Done.
    Done,
    /// There is no such thing.
    NotFound,
    /// A line each, as [`fides::Store::export`] gives them.
    Statements(Vec<String>),
    /// In the order of ids; nodes with a direct path are left out.
    Hindrances(Vec<(NodeName, Hindrance)>),
    /// In the order of ids; only nodes with a tunnel.
    Paths(Vec<PathInfo>),
    /// What others see of this node.
    Examined(Examination),
    /// What became of each.
    Accepted(Vec<Result<fides::Accepted, fides::Refused>>),
}

/// Why packets for a node do not go straight by UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// `TCPOnly` is set here.
    TcpOnlyHere,
    /// It is set there.
    TcpOnlyThere,
    /// `IndirectData` is set, there or on the way.
    Indirect,
    /// There were no packets lately, so no path was looked for.
    Idle,
    /// There is no session yet.
    NoKeys,
    /// Nobody says where it is.
    NoAddress,
    /// Probes are not answered.
    NoAnswer {
        /// How many, since the path was last known.
        probes: u32,
    },
    /// Ports of NATs are being guessed.
    Guessing,
    /// They were guessed in vain.
    Guessed {
        /// How often.
        failures: u32,
        /// When the next attempt may begin.
        wait: Duration,
    },
    /// UDP works, but TCP carries more.
    Lossy,
}

/// What is known of the path to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// To whom.
    pub name: NodeName,
    /// Whether UDP works both ways.
    pub direct: bool,
    /// How often it is kept alive.
    pub keepalive: Duration,
    /// What was learnt about that; `None`: nothing is learnt, as both must be able and neither may have been told.
    pub lifetime: Option<Known>,
    /// What sizes pass.
    pub sizes: PathSizes,
    /// By how many seconds its clock is ahead of this machine's, if it said what time it is.
    pub clock_ahead: Option<i64>,
}

/// What sizes pass on a path, in bytes of IP packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSizes {
    /// What the system says.
    pub told: Option<u16>,
    /// How often it said less than before.
    pub narrowed: u32,
    /// What was found to pass, once that is known.
    pub found: Option<u16>,
    /// Whether that is less than what the system says, so that no router told it.
    pub untold: bool,
}

/// What others see of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// How many questions were put.
    pub asked: u32,
    /// Where its datagrams come from, by who says so; one that was asked at two ports is there twice.
    pub seen: Vec<(NodeName, SocketAddr)>,
    /// Whether an answer got in from another port than the one written to.
    pub forgives: bool,
}

/// One node, for `dump nodes`, `info` and `status`.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// Name.
    pub name: NodeName,
    /// Id.
    pub node_id: NodeId,
    /// Where UDP goes; `None`: not known, or this node itself.
    pub address: Option<SocketAddr>,
    /// The static facts: key known, address known, itself.
    pub me: bool,
    /// tinc's status bits (spec: cli B.4).
    pub status: u32,
    /// Options of the path.
    pub options: Options,
    /// Next node on the path of packets: a neighbour, or the relay that was chosen.
    pub nexthop: Option<NodeName>,
    /// Static relay or the node itself.
    pub via: Option<NodeName>,
    /// Hops; -1: unreachable.
    pub distance: i32,
    /// Frame sizes: current, known to arrive, believed possible.
    pub mtu: (u16, u16, u16),
    /// When it became reachable or unreachable.
    pub changed: Option<Instant>,
    /// UDP round-trip time.
    pub rtt: Option<Duration>,
    /// Compression level towards it.
    pub compression: u8,
    /// How packets to it are protected, if under a key of tinc 1.0.
    pub legacy: Option<Suite>,
    /// What else seals packets to it, if there is a session.
    pub suite: Option<record_key::Suite>,
    /// Traffic.
    pub stats: Arc<PeerStats>,
}

/// One edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeInfo {
    /// Who announces it.
    pub from: NodeName,
    /// Who is there.
    pub to: NodeName,
    /// Where `from` sees `to`.
    pub address: WireAddress,
    /// `from`'s own address of that connection.
    pub local: Option<WireAddress>,
    /// Options.
    pub options: Options,
    /// Weight in milliseconds.
    pub weight: i32,
}

/// One meta connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Who is there, once known.
    pub name: Option<NodeName>,
    /// The other end's address.
    pub remote: SocketAddr,
    /// Options, once active.
    pub options: Options,
    /// tinc's status bits (spec: cli B.4).
    pub status: u32,
    /// Number, shown where tinc shows a socket.
    pub conn: ConnId,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node became reachable.
    NodeUp {
        /// Which.
        name: NodeName,
        /// Its UDP address.
        address: Option<SocketAddr>,
    },
    /// A node became unreachable.
    NodeDown {
        /// Which.
        name: NodeName,
        /// Its last UDP address.
        address: Option<SocketAddr>,
    },
    /// A subnet of a reachable node (or of this one) can be used.
    SubnetUp {
        /// Whose.
        owner: NodeName,
        /// The owner's UDP address; `None` also for this node.
        address: Option<SocketAddr>,
        /// Which.
        subnet: Subnet,
    },
    /// A subnet cannot be used any more.
    SubnetDown {
        /// Whose.
        owner: NodeName,
        /// The owner's UDP address; `None` also for this node.
        address: Option<SocketAddr>,
        /// Which.
        subnet: Subnet,
    },
    /// A meta connection is active.
    Activated {
        /// With whom.
        name: NodeName,
        /// Where.
        remote: SocketAddr,
    },
    /// A meta connection ended.
    Disconnected {
        /// With whom, if that was known.
        name: Option<NodeName>,
        /// Where.
        remote: SocketAddr,
        /// Why, in words.
        reason: String,
    },
    /// A stranger or broken peer was refused.
    Refused {
        /// Where from.
        remote: SocketAddr,
        /// Why, in words that say what to do.
        reason: String,
    },
    /// A proxy did not connect us.
    ProxyFailed {
        /// To whom.
        name: NodeName,
        /// Where that node should be.
        remote: SocketAddr,
        /// Why, in words that say what to do.
        reason: String,
    },
    /// Outgoing connections to a node failed; the next try is later.
    Retrying {
        /// To whom.
        name: NodeName,
        /// When.
        after: Duration,
    },
    /// From now on these nodes, and no others, are not to be found by their names.
    Nameless(BTreeSet<NodeName>),
    /// The path of packets to a node changed: direct UDP works, or no longer.
    PathChanged {
        /// To whom.
        name: NodeName,
        /// Whether direct UDP works.
        direct: bool,
        /// The address, if direct.
        address: Option<SocketAddr>,
    },
    /// An invitation was accepted.
    InvitationAccepted {
        /// By whom.
        name: NodeName,
        /// From where.
        remote: SocketAddr,
    },
    /// A request on a meta connection; only told if [`Input::Trace`] asks for it.
    Request {
        /// Who is at the other end, if that is known.
        name: Option<NodeName>,
        /// Where.
        remote: SocketAddr,
        /// Whether this node sent it.
        sent: bool,
        /// Its name in the protocol.
        label: &'static str,
        /// The request in full, but for keys.
        text: String,
    },
    /// A decision worth a line at debug level.
    Note(String),
}
