//! `Node`: takes every decision of one member of the mesh.
//!
//! A node is a function of its inputs: the same configuration, seed and inputs give the same
//! decisions. Call [`Node::handle`] with what happened, then [`Node::poll_output`] until `None`,
//! and call `handle` with [`Input::Timeout`] when [`Node::poll_timeout`] says so.
//!
//! ```text
//! bytes ─ Received ─► Connection ─► Request ─► gossip ─► Graph, SubnetTable, Peer
//!                                                 │ once per `handle`
//!                       routes ─► Event (node up, down) ─► Publish(Fib)
//! ```

pub mod activity;
mod burst;
mod commands;
pub mod config;
mod connections;
mod dialling;
mod examine;
mod gate;
mod gossip;
mod health;
mod hello;
mod infos;
mod invitations;
pub mod io;
mod keepalive;
mod keys;
mod legacy;
mod mapped;
mod meeting;
mod members;
mod packets;
mod pieces;
mod publish;
mod punching;
mod queueing;
mod reach;
mod recalling;
mod refused;
mod relaying;
mod statements;
mod stations;
mod streams;
mod timers;
mod trace;
mod trust;
mod udp;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::crypto::keys::SecretKey;
use crate::crypto::rng::Rng;
use crate::dataplane::ethernet::{Mac, Station};
use crate::dataplane::fib::{Fib, Frames, NodesBy};
use crate::dataplane::gate::Pace;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::stats::Counters;
use crate::graph::{Graph, Routes};
use crate::meta::connection::Connection;
use crate::meta::queue::AtHand;
use crate::meta::seen::Seen;
use crate::meta::withdrawn::Withdrawn;
use crate::name::{ConnId, PeerId};
use crate::node::burst::Burst;
use crate::node::config::Config;
use crate::node::dialling::Dialling;
use crate::node::gate::Gating;
use crate::node::gossip::Contradictions;
use crate::node::io::{Input, Output};
use crate::node::meeting::Meetings;
use crate::node::members::Members;
use crate::node::punching::Punching;
use crate::node::timers::{Timers, Wake};
use crate::peer::Peer;
use crate::punch::memory::Memory;
use crate::subnet::SubnetTable;
use crate::time::Instant;
use crate::trust::Trust;
use crate::trust::gossip::Gossip as Statements;
use crate::wire::endpoint::Endpoints;

/// Every periodic timer is late by up to so much, so that nodes do not march in step.
const JITTER: u64 = 131_072;
/// Room for so many outputs is kept when there are none.
const KEPT_OUTPUTS: usize = 16;
/// Distance of AutoConnect's rounds.
const PERIOD: Duration = Duration::from_secs(5);

/// One node of the mesh: every decision it takes, and nothing else.
#[derive(Debug)]
pub struct Node {
    config: Config,
    key: SecretKey,
    rng: Rng,
    now: Instant,
    mesh: Mesh,
    peers: Vec<Option<Peer>>,
    connections: BTreeMap<ConnId, Connection>,
    dialling: Dialling,
    gossip: Gossip,
    trust: Trust,
    gating: Gating,
    statements: Statements,
    members: Members,
    punching: Punching,
    meetings: Meetings,
    /// What was found out in the networks that this machine was in.
    found: Memory,
    /// What the own router passes on.
    mapped: Endpoints,
    timers: Timers,
    dirty: Dirty,
    fib: Arc<Fib>,
    /// How fast packets of others are passed on, if that is limited.
    relay_pace: Option<Arc<Pace>>,
    /// When it was last seen to be strained.
    relay_strained: Option<Instant>,
    /// Stations of our own wire, and when each was seen, in microseconds.
    learnt: Arc<BTreeMap<Mac, Arc<AtomicU64>>>,
    scratch: Scratch,
    /// The packet that is sealed for a connection.
    at_hand: AtHand,
    outputs: VecDeque<Output>,
    /// Whether requests are told one by one.
    traced: bool,
}

/// What is known of the mesh.
#[derive(Debug)]
struct Mesh {
    graph: Graph,
    routes: Routes,
    /// The ways of packets, if some nodes may not relay.
    detours: Option<Routes>,
    /// When the routes were computed.
    routed: Option<Instant>,
    /// Neighbours in the spanning tree.
    tree: Arc<[PeerId]>,
    /// The one of them behind which each node is.
    branches: Arc<[Option<PeerId>]>,
    subnets: Arc<SubnetTable>,
}

/// What keeps flooding, and strangers, within bounds.
#[derive(Debug, Default)]
struct Gossip {
    seen: Seen,
    withdrawn: Withdrawn,
    /// When this node started.
    born: Instant,
    contradictions: Contradictions,
    burst: Burst,
}

/// What changed during one `handle`.
#[derive(Debug, Default)]
struct Dirty {
    routes: bool,
    fib: bool,
    /// Statements, or what holds of them.
    gate: bool,
    /// Nodes came or went.
    names: bool,
    peers: BTreeSet<PeerId>,
    /// Nodes that lost their edge from us.
    lost: BTreeSet<PeerId>,
}

impl Node {
    /// A node that knows what its configuration says; `seed` makes its decisions reproducible.
    pub fn new(config: Config, key: SecretKey, seed: [u8; 32], now: Instant) -> Self {
        let graph = Graph::new(&config.name);
        let routes = graph.routes();
        let subnets = Arc::new(SubnetTable::default());
        let me = Peer::new(config.name.clone());
        let station = match config.policy.frames {
            Frames::Ethernet { rewrite: Some(mac) } => mac,
            Frames::Ethernet { rewrite: None } | Frames::Ip => Mac::default(),
        };
        let relay_pace = config.policy.relaying.pace();
        let hash = publish::own_hash(seed);
        let fib = Arc::new(Fib {
            policy: Arc::new(config.policy.clone()),
            subnets: Arc::clone(&subnets),
            peers: Vec::new(),
            by_id: Arc::new(NodesBy::with_hasher(hash.clone())),
            by_addr: Arc::new(NodesBy::with_hasher(hash)),
            tree: Arc::from([]),
            branches: Arc::from([]),
            legacy: Arc::from([]),
            station: Arc::new(Station::new(station)),
            learnt: Arc::default(),
            relay_pace: relay_pace.clone(),
            gate: None,
        });
        let trust = Trust::new(config.trust.clone(), &key.public());
        let mut node = Self {
            key,
            rng: Rng::from_seed(seed),
            now,
            mesh: Mesh {
                graph,
                routes,
                detours: None,
                routed: None,
                tree: Arc::from([]),
                branches: Arc::from([]),
                subnets,
            },
            peers: vec![Some(me)],
            connections: BTreeMap::new(),
            dialling: Dialling::default(),
            gossip: Gossip { born: now, ..Gossip::default() },
            trust,
            gating: Gating::default(),
            statements: Statements::default(),
            members: Members::default(),
            punching: Punching::default(),
            meetings: Meetings::default(),
            found: Memory::default(),
            mapped: Endpoints::default(),
            timers: Timers::default(),
            dirty: Dirty::default(),
            fib,
            relay_pace,
            relay_strained: None,
            learnt: Arc::default(),
            scratch: Scratch::new(),
            at_hand: AtHand::default(),
            outputs: VecDeque::new(),
            traced: false,
            config,
        };
        node.start();
        node
    }

    fn start(&mut self) {
        if let Some(me) = self.peers.first_mut().and_then(Option::as_mut) {
            me.reachable = true;
            me.changed = Some(self.now);
            me.key = Some(self.key.public());
        }
        self.touch(PeerId::ME);
        self.dirty.names = true;
        self.dirty.gate = true;
        self.adopt_hosts();
        self.adopt_own_subnets();
        self.start_dialling();
        let first = self.now + self.jitter();
        self.timers.set(Wake::Periodic, first);
        self.timers.set(Wake::KeyExpire, first + self.config.timing.key_expire);
        self.dirty.routes = true;
        self.dirty.gate = true;
        self.settle();
    }

    /// Tells the node what happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        self.scratch.now = self.now;
        self.on_input(input);
        while let Some(wake) = self.timers.pop(self.now) {
            self.on_wake(wake);
        }
        self.settle();
        let frames = self.scratch.capture.take();
        if !frames.is_empty() {
            self.emit(Output::Captured(frames));
        }
    }

    /// Asks what the node wants done; call until `None` after each `handle`.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            // A flood of gossip leaves a large buffer behind.
            self.outputs.shrink_to(KEPT_OUTPUTS);
        }
        self.outputs.pop_front()
    }

    /// How the packets ended that the data plane could not finish.
    pub const fn counters(&self) -> &Counters {
        &self.scratch.counters
    }

    /// The snapshot that was published last.
    pub fn fib(&self) -> Arc<Fib> {
        Arc::clone(&self.fib)
    }

    /// When to call `handle` with [`Input::Timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn on_input(&mut self, input: Input<'_>) {
        match input {
            Input::Timeout => {}
            Input::Accepted { conn, remote, local } => self.on_accepted(conn, remote, local),
            Input::Connected { conn, local } => {
                if !self.on_mirror_connected(conn) {
                    self.on_connected(conn, local);
                }
            }
            Input::Received { conn, bytes } => self.on_received(conn, bytes),
            Input::Closed { conn } => {
                if !self.on_meeting_closed(conn) {
                    self.on_closed(conn);
                }
            }
            Input::Queued { conn, bytes } => self.on_queued(conn, bytes),
            Input::Stuck { conn } => self.on_stuck(conn),
            Input::Punt { punt, payload } => self.on_punt(punt, payload),
            Input::Learnt(mac) => self.on_learnt(mac),
            Input::TooBig { to, datagram, missed } => self.on_too_big(to, datagram, missed),
            Input::PathMtu { to, mtu } => self.on_path_mtu(to, mtu),
            Input::Activity(peers) => self.on_activity(peers),
            Input::Command { id, command } => self.on_command(id, command),
            Input::Resolved { question, addresses } => self.on_resolved(question, &addresses),
            Input::Invitation { conn, file } => self.on_invitation_file(conn, file),
            Input::Reconfigure(config) => self.on_reconfigure(*config),
            Input::Statements(text) => self.on_kept_statements(text),
            Input::Clock { unix_ms } => self.on_clock(unix_ms),
            Input::SocketOpened { socket, port } => self.on_socket_opened(socket, port),
            Input::Mapped(mapped) => self.on_own_mapped(mapped),
            Input::NetworkChanged => self.on_network_changed(),
            Input::Network(network) => self.on_network(network),
            Input::Woke(_) => self.on_woke(),
            Input::Trace(wanted) => self.traced = wanted,
            Input::Capture(wanted) => self.scratch.capture.want(wanted),
        }
    }

    fn on_wake(&mut self, wake: Wake) {
        match wake {
            Wake::Check(conn) => self.on_check(conn),
            Wake::Retry(peer) => self.dial(peer),
            Wake::Periodic => self.on_period(),
            Wake::ForgetSeen => self.on_forget_seen(),
            Wake::Repeat => self.on_repeat(),
            Wake::KeyExpire => self.on_key_expire(),
            Wake::Attend(peer) => self.on_attend(peer),
            Wake::UdpSilent(peer) => self.on_udp_silent_for_long(peer),
            Wake::Late(peer) => self.on_late_time(peer),
            Wake::Ageing => self.on_ageing(),
            Wake::Punch => self.on_punch_time(),
            Wake::Meet => self.on_meeting_time(),
            Wake::Examined => self.finish_examination(),
            Wake::Trust => self.on_trust_time(),
            Wake::Statements => self.on_statements_time(),
            Wake::KeepStatements => self.keep_statements(),
            Wake::Routes | Wake::Gate => {}
        }
    }

    /// Routes are recomputed and a snapshot published at most once per `handle`, and in a large mesh
    /// not for every edge of a storm.
    fn settle(&mut self) {
        self.refresh_gate();
        self.recompute_routes_if_due();
        self.end_lost_trials();
        self.tell_sizes();
        self.publish_if_dirty();
    }

    fn jitter(&mut self) -> Duration {
        Duration::from_micros(self.rng.next_u64() % JITTER)
    }

    fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn event(&mut self, event: io::Event) {
        self.emit(Output::Event(event));
    }

    fn peer(&self, peer: PeerId) -> Option<&Peer> {
        self.peers.get(peer.index())?.as_ref()
    }

    fn peer_mut(&mut self, peer: PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(peer.index())?.as_mut()
    }

    /// The place of a node, new or old.
    fn intern(&mut self, name: &crate::name::NodeName) -> PeerId {
        let id = self.mesh.graph.intern(name);
        if self.peers.len() <= id.index() {
            self.peers.resize_with(id.index() + 1, || None);
        }
        if self.peers.get(id.index()).is_some_and(Option::is_none) {
            let mut peer = Peer::new(name.clone());
            if let Some(host) = self.config.hosts.get(name) {
                peer.key = host.key;
                peer.cached = host.cached.clone();
            }
            peer.key = self.member_key(name).or(peer.key);
            if let Some(place) = self.peers.get_mut(id.index()) {
                *place = Some(peer);
            }
            self.dirty.names = true;
            self.touch(id);
        }
        id
    }

    /// Notes that the packet path must learn about a peer anew.
    fn touch(&mut self, peer: PeerId) {
        self.dirty.peers.insert(peer);
        self.dirty.fib = true;
    }
}

#[cfg(test)]
mod tests;
