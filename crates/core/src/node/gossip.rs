//! What nodes tell each other about the mesh: edges, subnets, and who is right.
//!
//! Source: spec meta-protocol 5.7, 6.2 to 6.5, 7.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::graph::Edge;
use crate::meta::error::PeerError;
use crate::name::{ConnId, NodeName, PeerId};
use crate::node::Node;
use crate::node::io::Event;
use crate::node::timers::Wake;
use crate::subnet::Subnet;
use crate::wire::address::WireAddress;
use crate::wire::request::Request;

/// A clean-up of seen requests follows after so long.
const FORGET_INTERVAL: Duration = Duration::from_secs(10);
/// More contradictions than this, of both kinds in one period, mean a second node of our name.
const CONTRADICTIONS: u32 = 100;

/// Nodes known at most: a member that invents nodes cannot fill the memory of all others.
const MAX_NODES: usize = 65_536;
/// Subnets of one node at most, for the same reason.
const MAX_SUBNETS: usize = 65_536;
/// Subnets of all nodes at most.
const MAX_ALL_SUBNETS: usize = 1 << 19;
/// Edges at most: more than 700 nodes have that are all connected to each other.
const MAX_EDGES: usize = 1 << 19;

/// How often others said something about us that is not so.
#[derive(Debug, Default)]
pub(super) struct Contradictions {
    adds: u32,
    dels: u32,
}

/// A subnet request as it came.
pub(super) struct Gossiped<'a> {
    pub(super) conn: ConnId,
    pub(super) text: &'a [u8],
}

impl Node {
    /// Parses and handles one request of a secured connection.
    pub(super) fn on_request_text(&mut self, conn: ConnId, text: &[u8]) -> Result<(), PeerError> {
        let request = Request::parse(text)?;
        let Some(state) = self.connections.get(&conn) else { return Ok(()) };
        if state.is_stream() || request == Request::Stream {
            return self.on_stream_request(conn, &request);
        }
        if !state.is_active() {
            return if let Request::Ack { port, weight, options } = request {
                self.on_ack(conn, &port, weight, options)
            } else {
                Err(PeerError::Unexpected { got: request.label(), expected: "ACK" })
            };
        }
        let from = Gossiped { conn, text };
        match request {
            Request::TermReq => Err(PeerError::Terminated),
            Request::Ping => {
                self.send(conn, &Request::Pong);
                Ok(())
            }
            Request::Pong => {
                self.on_pong(conn);
                Ok(())
            }
            Request::Packet { len } => self.with_conn(conn, |c| c.expect_packet(usize::from(len))),
            Request::SptpsPacket { len } => self.with_conn(conn, |c| c.expect_raw(usize::from(len))),
            Request::Id { .. } | Request::Ack { .. } | Request::Stream => {
                Err(PeerError::Unexpected { got: request.label(), expected: "a request of an active connection" })
            }
            Request::AddSubnet { .. }
            | Request::DelSubnet { .. }
            | Request::AddEdge { .. }
            | Request::DelEdge { .. }
            | Request::KeyChanged { .. }
            | Request::ReqKey { .. }
            | Request::AnsKey(_)
            | Request::UdpInfo { .. }
            | Request::MtuInfo { .. } => {
                self.on_gossip(&from, request);
                Ok(())
            }
        }
    }

    fn with_conn(
        &mut self,
        conn: ConnId,
        act: impl FnOnce(&mut crate::meta::connection::Connection) -> Result<(), PeerError>,
    ) -> Result<(), PeerError> {
        self.connections.get_mut(&conn).map_or(Ok(()), act)
    }

    fn on_gossip(&mut self, from: &Gossiped<'_>, request: Request) {
        if let Some((origin, to)) = request.ends() {
            let ends = [origin, to].map(|name| self.mesh.graph.find(name));
            self.refresh_routes_between(ends);
        } else if !self.is_new(from.text) {
            let Some(text) = self.told_anew(from, &request) else { return };
            return self.on_news(&Gossiped { conn: from.conn, text: &text }, request);
        }
        self.on_news(from, request);
    }

    /// Acts on what is new, if it is of members and of what they may say.
    pub(super) fn on_news(&mut self, from: &Gossiped<'_>, request: Request) {
        if !self.believes(from, &request) {
            return;
        }
        match request {
            Request::AddSubnet { owner, subnet, .. } => self.on_add_subnet(from, &owner, subnet),
            Request::DelSubnet { owner, subnet, .. } => self.on_del_subnet(from, &owner, subnet),
            Request::AddEdge { from: start, to, address, options, weight, local, .. } => {
                let to = self.known_or_new(from, &start, to);
                if let Some((start, to)) = to {
                    self.on_add_edge(from, start, Edge { to, address, local, options, weight });
                }
            }
            Request::DelEdge { from: start, to, .. } => self.on_del_edge(from, &start, &to),
            Request::KeyChanged { name, .. } => {
                if self.mesh.graph.find(&name).is_some() {
                    self.on_key_changed(&name);
                    self.forward(from);
                }
            }
            Request::ReqKey { from: origin, to, kind } => self.on_req_key(from, &origin, &to, kind),
            Request::AnsKey(answer) => self.on_ans_key(from, answer),
            Request::UdpInfo { from: origin, to, address } => self.on_udp_info(&origin, &to, address),
            Request::MtuInfo { from: origin, to, mtu } => self.on_mtu_info(&origin, &to, mtu),
            Request::Id { .. }
            | Request::Ack { .. }
            | Request::TermReq
            | Request::Ping
            | Request::Pong
            | Request::Packet { .. }
            | Request::SptpsPacket { .. }
            | Request::Stream => {}
        }
    }

    fn is_new(&mut self, text: &[u8]) -> bool {
        let at = self.now + FORGET_INTERVAL;
        if !self.timers.is_set(Wake::ForgetSeen) {
            self.timers.set(Wake::ForgetSeen, at);
        }
        self.gossip.seen.insert(text, self.now)
    }

    pub(super) fn on_forget_seen(&mut self) {
        let age = self.config.timing.ping_interval;
        self.gossip.seen.expire(self.now, age);
        self.gossip.withdrawn.expire(self.now, age + self.longest_delay());
        if !self.gossip.seen.is_empty() || !self.gossip.withdrawn.is_empty() {
            let at = self.now + FORGET_INTERVAL;
            self.timers.set(Wake::ForgetSeen, at);
        }
    }

    /// Passes a request on as it came.
    fn forward(&mut self, from: &Gossiped<'_>) {
        if self.config.mesh.tunnel_server {
            return;
        }
        let mut text = from.text.to_vec();
        text.push(b'\n');
        for conn in self.active(Some(from.conn)) {
            self.send_text(conn, &text);
        }
    }

    pub(super) fn broadcast(&mut self, request: &Request) {
        for conn in self.active(None) {
            self.send(conn, request);
        }
    }

    fn neighbour(&self, conn: ConnId) -> Option<PeerId> {
        self.connections.get(&conn)?.peer
    }

    /// A tunnel server believes only what its neighbour says of itself.
    fn is_foreign(&self, from: &Gossiped<'_>, name: &NodeName) -> bool {
        let told = self.mesh.graph.find(name);
        self.config.mesh.tunnel_server
            && told != Some(PeerId::ME)
            && (told.is_none() || told != self.neighbour(from.conn))
    }

    fn on_add_subnet(&mut self, from: &Gossiped<'_>, owner: &NodeName, subnet: Subnet) {
        let full = self.peers.len() >= MAX_NODES && self.mesh.graph.find(owner).is_none();
        if full || self.is_foreign(from, owner) {
            return;
        }
        let id = self.intern(owner);
        if self.mesh.subnets.contains(&subnet, Some(id)) {
            return;
        }
        if id == PeerId::ME {
            let denial = Request::DelSubnet { nonce: self.rng.next_u32(), owner: owner.clone(), subnet };
            self.send(from.conn, &denial);
            return;
        }
        if self.config.mesh.tunnel_server {
            return;
        }
        if self.mesh.subnets.count_of(id) >= MAX_SUBNETS || self.mesh.subnets.len() >= MAX_ALL_SUBNETS {
            return;
        }
        self.forward(from);
        self.on_station_elsewhere(subnet);
        if !self.config.mesh.strict_subnets {
            self.add_subnet(id, subnet);
        }
    }

    fn on_del_subnet(&mut self, from: &Gossiped<'_>, owner: &NodeName, subnet: Subnet) {
        let Some(id) = self.mesh.graph.find(owner).filter(|_| !self.is_foreign(from, owner)) else { return };
        let strict = self.config.mesh.strict_subnets;
        if !self.mesh.subnets.contains(&subnet, Some(id)) {
            if strict {
                self.forward(from);
            }
            return;
        }
        if id == PeerId::ME {
            let claim = Request::AddSubnet { nonce: self.rng.next_u32(), owner: owner.clone(), subnet };
            self.send(from.conn, &claim);
            return;
        }
        if self.config.mesh.tunnel_server {
            return;
        }
        self.forward(from);
        if !strict {
            self.remove_subnet(id, subnet);
        }
    }

    /// Enters a subnet; tells scripts if its owner is reachable.
    pub(super) fn add_subnet(&mut self, owner: PeerId, subnet: Subnet) {
        let Some(name) = self.peer(owner).map(|known| known.name.clone()) else { return };
        if Arc::make_mut(&mut self.mesh.subnets).insert(subnet, Some(owner), &name) {
            self.dirty.fib = true;
            if self.is_reachable(owner) {
                let address = self.script_address(owner);
                self.event(Event::SubnetUp { owner: name, address, subnet });
            }
        }
    }

    /// Removes a subnet; tells scripts if its owner is reachable.
    pub(super) fn remove_subnet(&mut self, owner: PeerId, subnet: Subnet) {
        let Some(name) = self.peer(owner).map(|known| known.name.clone()) else { return };
        if Arc::make_mut(&mut self.mesh.subnets).remove(&subnet, Some(owner)) {
            self.dirty.fib = true;
            if self.is_reachable(owner) {
                let address = self.script_address(owner);
                self.event(Event::SubnetDown { owner: name, address, subnet });
            }
        }
    }

    fn script_address(&self, peer: PeerId) -> Option<SocketAddr> {
        self.peer(peer)?.udp.map(|target| target.to)
    }

    pub(super) fn adopt_own_subnets(&mut self) {
        for subnet in self.config.subnets.clone() {
            self.add_subnet(PeerId::ME, subnet);
        }
        let name = self.config.name.clone();
        for subnet in Subnet::broadcast_defaults().into_iter().chain(self.config.broadcast_subnets.clone()) {
            Arc::make_mut(&mut self.mesh.subnets).insert(subnet, None, &name);
        }
        self.dirty.fib = true;
    }

    pub(super) fn tell_subnet(&mut self, owner: PeerId, subnet: Subnet, add: bool) {
        let Some(owner) = self.peer(owner).map(|known| known.name.clone()) else { return };
        let nonce = self.rng.next_u32();
        let request =
            if add { Request::AddSubnet { nonce, owner, subnet } } else { Request::DelSubnet { nonce, owner, subnet } };
        self.broadcast(&request);
    }

    fn known_or_new(&mut self, from: &Gossiped<'_>, start: &NodeName, to: NodeName) -> Option<(PeerId, PeerId)> {
        if self.is_foreign(from, start) || self.is_foreign(from, &to) {
            return None;
        }
        if self.peers.len() >= MAX_NODES && [start, &to].iter().any(|name| self.mesh.graph.find(name).is_none()) {
            return None;
        }
        Some((self.intern(start), self.intern(&to)))
    }

    fn on_add_edge(&mut self, from: &Gossiped<'_>, start: PeerId, mut edge: Edge) {
        let known = self.mesh.graph.edge(start, edge.to);
        if let Some(known) = known {
            if edge.local.as_ref().and_then(WireAddress::ip).is_none() {
                edge.local.clone_from(&known.local);
            }
            let same = known.weight == edge.weight
                && known.options == edge.options
                && known.address == edge.address
                && known.local == edge.local;
            if same {
                if start != PeerId::ME && self.gossip.withdrawn.passes_repeat((start, edge.to), self.now) {
                    self.forward(from);
                }
                return;
            }
            if start == PeerId::ME {
                self.send_edge(from.conn, PeerId::ME, edge.to);
                return;
            }
        } else if start == PeerId::ME {
            self.gossip.contradictions.adds += 1;
            let (Some(me), Some(to)) = (self.name_of(PeerId::ME), self.name_of(edge.to)) else { return };
            let denial = Request::DelEdge { nonce: self.rng.next_u32(), from: me, to };
            self.send(from.conn, &denial);
            self.repeat_later(edge.to);
            return;
        } else if self.mesh.graph.edge_count() >= MAX_EDGES {
            return;
        }
        self.mesh.graph.set_edge(start, edge);
        self.dirty.routes = true;
        self.forward(from);
    }

    fn on_del_edge(&mut self, from: &Gossiped<'_>, start: &NodeName, to: &NodeName) {
        if self.is_foreign(from, start) || self.is_foreign(from, to) {
            return;
        }
        let (Some(start), Some(to)) = (self.mesh.graph.find(start), self.mesh.graph.find(to)) else { return };
        if self.mesh.graph.edge(start, to).is_none() {
            if self.gossip.withdrawn.passes_repeat((start, to), self.now) {
                self.forward(from);
            } else {
                self.gossip.withdrawn.note((start, to), self.now);
            }
            return;
        }
        if start == PeerId::ME {
            self.gossip.contradictions.dels += 1;
            self.send_edge(from.conn, PeerId::ME, to);
            self.repeat_later(to);
            return;
        }
        self.gossip.withdrawn.note((start, to), self.now);
        self.forward(from);
        self.mesh.graph.remove_edge(start, to);
        self.dirty.routes = true;
        self.dirty.lost.insert(to);
    }

    pub(super) fn name_of(&self, peer: PeerId) -> Option<NodeName> {
        self.peer(peer).map(|known| known.name.clone())
    }

    pub(super) fn edge_request(&mut self, from: PeerId, to: PeerId) -> Option<Request> {
        let (start, end) = (self.name_of(from)?, self.name_of(to)?);
        let nonce = self.rng.next_u32();
        let edge = self.mesh.graph.edge(from, to)?;
        Some(Request::AddEdge {
            nonce,
            from: start,
            to: end,
            address: edge.address.clone(),
            options: edge.options,
            weight: edge.weight,
            local: edge.local.clone(),
        })
    }

    fn send_edge(&mut self, conn: ConnId, from: PeerId, to: PeerId) {
        if let Some(request) = self.edge_request(from, to) {
            self.send(conn, &request);
        }
    }

    /// Tells everyone of the edge to a new neighbour.
    pub(super) fn announce_own_edge(&mut self, conn: ConnId, peer: PeerId, address: SocketAddr, weight: i32) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let port = self.config.port;
        let local = connection.local.map(|local| WireAddress::Ip(SocketAddr::new(local.ip(), port)));
        let options = connection.options;
        let known = !address.ip().is_unspecified();
        let address = if known { WireAddress::Ip(address) } else { WireAddress::Unspecified };
        let edge = Edge { to: peer, address, local, options, weight };
        self.mesh.graph.set_edge(PeerId::ME, edge);
        self.dirty.routes = true;
        self.touch(peer);
        self.own_edge_changed(peer);
        if self.config.mesh.tunnel_server {
            self.send_edge(conn, PeerId::ME, peer);
        } else if let Some(request) = self.edge_request(PeerId::ME, peer) {
            self.broadcast(&request);
        }
    }

    /// Tells everyone that an edge is no more.
    pub(super) fn broadcast_edge_gone(&mut self, from: PeerId, to: PeerId) {
        if self.config.mesh.tunnel_server {
            return;
        }
        if from == PeerId::ME {
            self.own_edge_changed(to);
        } else {
            self.gossip.withdrawn.note((from, to), self.now);
        }
        let (Some(start), Some(end)) = (self.name_of(from), self.name_of(to)) else { return };
        let request = Request::DelEdge { nonce: self.rng.next_u32(), from: start, to: end };
        if from != PeerId::ME {
            // When it comes back late, the edge may have returned.
            self.is_new(request.to_string().as_bytes());
        }
        self.broadcast(&request);
    }

    fn own_edge_changed(&mut self, to: PeerId) {
        // What was said of us before we started may still be under way.
        let young = self.now.since(self.gossip.born) < self.longest_delay();
        if self.gossip.withdrawn.note((PeerId::ME, to), self.now) || young {
            self.repeat_later(to);
        }
    }

    fn repeat_later(&mut self, to: PeerId) {
        self.gossip.withdrawn.note((PeerId::ME, to), self.now);
        let late = self.longest_delay();
        if let Some(at) = self.gossip.withdrawn.plan_repeats(to, self.now, late) {
            self.timers.set(Wake::Repeat, at);
        }
    }

    /// Nothing stays under way for longer: a connection that is stuck so long ends.
    fn longest_delay(&self) -> Duration {
        self.config.timing.ping_interval + 2 * self.config.timing.ping_timeout
    }

    /// Tells how our edges that changed twice in a short time are now (see [`crate::meta::withdrawn`]).
    pub(super) fn on_repeat(&mut self) {
        let due = self.gossip.withdrawn.take_repeats(self.now);
        if let Some(at) = self.gossip.withdrawn.next_repeat() {
            self.timers.set(Wake::Repeat, at);
        }
        for to in due {
            let request = self.edge_request(PeerId::ME, to).or_else(|| {
                let (from, to) = (self.name_of(PeerId::ME)?, self.name_of(to)?);
                Some(Request::DelEdge { nonce: self.rng.next_u32(), from, to })
            });
            if let Some(request) = request.filter(|_| !self.config.mesh.tunnel_server) {
                self.gossip.withdrawn.note((PeerId::ME, to), self.now);
                self.broadcast(&request);
            }
        }
    }

    /// Tells a new neighbour everything (spec: meta-protocol 5.7).
    pub(super) fn send_everything(&mut self, conn: ConnId) {
        let server = self.config.mesh.tunnel_server;
        let peers = if server { vec![PeerId::ME] } else { self.mesh.graph.ids() };
        for peer in peers {
            let Some(owner) = self.name_of(peer) else { continue };
            for subnet in self.subnets_of(peer) {
                let nonce = self.rng.next_u32();
                self.send(conn, &Request::AddSubnet { nonce, owner: owner.clone(), subnet });
            }
            if !server {
                let ends: Vec<PeerId> = self.mesh.graph.edges(peer).map(|edge| edge.to).collect();
                for end in ends {
                    self.send_edge(conn, peer, end);
                }
            }
        }
    }

    /// Contradictions of both kinds mean that another node uses our name (spec: meta-protocol 7.3).
    /// Stopping all work, as tinc does, would help an attacker: the operator is told instead.
    pub(super) fn check_contradictions(&mut self) {
        let seen = std::mem::take(&mut self.gossip.contradictions);
        if seen.adds > CONTRADICTIONS && seen.dels > CONTRADICTIONS {
            let name = &self.config.name;
            self.event(Event::Note(format!(
                "Another node seems to use our name {name}: give one of the two another Name"
            )));
        }
    }

    /// Forgets what is known of unreachable nodes (spec: meta-protocol 15.5).
    pub(super) fn purge(&mut self) {
        let gone: Vec<PeerId> = self.mesh.graph.ids().into_iter().filter(|&peer| !self.is_reachable(peer)).collect();
        for &peer in &gone {
            for subnet in self.subnets_of(peer) {
                self.tell_subnet(peer, subnet, false);
                if !self.config.mesh.strict_subnets {
                    self.remove_subnet(peer, subnet);
                }
            }
            let ends: Vec<PeerId> = self.mesh.graph.edges(peer).map(|edge| edge.to).collect();
            for end in ends {
                self.broadcast_edge_gone(peer, end);
                self.mesh.graph.remove_edge(peer, end);
            }
        }
        let pointed: Vec<PeerId> = self
            .mesh
            .graph
            .ids()
            .into_iter()
            .flat_map(|peer| self.mesh.graph.edges(peer).map(|edge| edge.to).collect::<Vec<_>>())
            .collect();
        for peer in gone {
            let kept = self.config.mesh.auto_connect || self.config.mesh.strict_subnets || pointed.contains(&peer);
            if !kept && !self.is_dialled(peer) && self.peer(peer).is_some_and(|known| known.conn.is_none()) {
                self.forget_peer(peer);
            }
        }
        self.dirty.routes = true;
    }

    fn forget_peer(&mut self, peer: PeerId) {
        self.mesh.graph.forget(peer);
        self.statements.forget(peer);
        if let Some(place) = self.peers.get_mut(peer.index()) {
            *place = None;
        }
        self.dirty.names = true;
        self.touch(peer);
    }
}
