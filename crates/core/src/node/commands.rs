//! What operators ask for, and what follows from a new configuration.
//!
//! Source: spec cli B.4, B.6, meta-protocol 15.4.

use crate::meta::connection::Phase;
use crate::meta::error::PeerError;
use crate::name::{ConnId, NodeName, PeerId};
use crate::node::Node;
use crate::node::config::{Config, HostConfig};
use crate::node::io::{Command, ConnectionInfo, EdgeInfo, NodeInfo, Output, Reply};
use crate::node::timers::Wake;
use crate::packet::MAX_FRAME;
use crate::peer::tunnel::{Keying, Tunnel};
use crate::subnet::Subnet;

/// Bits of a node's status word (spec: cli B.4).
mod status {
    pub(super) const VALID_KEY: u32 = 0x2;
    pub(super) const WAITING_FOR_KEY: u32 = 0x4;
    pub(super) const VISITED: u32 = 0x8;
    pub(super) const REACHABLE: u32 = 0x10;
    pub(super) const INDIRECT: u32 = 0x20;
    pub(super) const SPTPS: u32 = 0x40;
    pub(super) const UDP_CONFIRMED: u32 = 0x80;
    pub(super) const HAS_ADDRESS: u32 = 0x800;
    /// Of a connection: a ping waits for its answer.
    pub(super) const PINGED: u32 = 0x1;
    /// Of a connection: TCP is being set up.
    pub(super) const CONNECTING: u32 = 0x4;
    /// Of a connection: it is in the spanning tree.
    pub(super) const TREE: u32 = 0x100;
    /// Of a connection: somebody joins.
    pub(super) const INVITATION: u32 = 0x2000;
}

impl Node {
    pub(super) fn on_command(&mut self, id: u64, command: Command) {
        let reply = match command {
            Command::Examine => return self.examine(id),
            Command::Paths => Reply::Paths(self.paths()),
            Command::Hindrances => Reply::Hindrances(self.hindrances()),
            Command::Nodes => Reply::Nodes(self.node_infos()),
            Command::Edges => Reply::Edges(self.edge_infos()),
            Command::Subnets => Reply::Subnets(self.subnet_infos()),
            Command::Connections => Reply::Connections(self.connection_infos()),
            Command::Purge => {
                self.purge();
                Reply::Done
            }
            Command::Retry => {
                self.retry_all();
                Reply::Done
            }
            Command::Disconnect(name) => self.disconnect(&name),
            Command::Shutdown => {
                self.shut_down();
                Reply::Done
            }
            Command::Statements => Reply::Statements(self.trust.lines()),
            Command::Accept(lines) => Reply::Accepted(self.accept_statements(&lines)),
        };
        self.emit(Output::Reply { id, reply });
    }

    fn disconnect(&mut self, name: &NodeName) -> Reply {
        let named = |conn: &&crate::meta::connection::Connection| conn.name.as_ref() == Some(name);
        let ids: Vec<ConnId> = self.connections.values().filter(named).map(|conn| conn.id).collect();
        for &id in &ids {
            self.terminate(id, &PeerError::Operator);
        }
        if ids.is_empty() { Reply::NotFound } else { Reply::Done }
    }

    fn shut_down(&mut self) {
        self.config.mesh.auto_connect = false;
        self.end_dialling();
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.terminate(id, &PeerError::Operator);
        }
        self.refresh_routes();
        if self.timers.is_set(Wake::KeepStatements) {
            self.keep_statements();
        }
    }

    fn node_infos(&self) -> Vec<NodeInfo> {
        self.mesh.graph.ids().into_iter().filter_map(|peer| self.node_info(peer)).collect()
    }

    fn node_info(&self, peer: PeerId) -> Option<NodeInfo> {
        let known = self.peer(peer)?;
        let me = peer == PeerId::ME;
        let route = self.route(peer);
        let tunnel = known.tunnel.as_deref();
        let name = |peer: PeerId| self.name_of(peer);
        let max = tunnel.map_or(MAX_FRAME as u16, |tunnel| tunnel.pmtu.max());
        let own = me.then_some(PeerId::ME);
        Some(NodeInfo {
            name: known.name.clone(),
            node_id: known.node_id,
            address: known.udp.map(|target| target.to),
            me,
            status: self.node_status(peer),
            options: if me { self.own_options() } else { self.options_of(peer) },
            nexthop: self
                .chosen_relay(peer)
                .map(|relay| relay.node)
                .or_else(|| route.map(|route| route.nexthop))
                .or(own)
                .and_then(name),
            via: route.map(|route| route.via).or(own).and_then(name),
            distance: if me { 0 } else { route.map_or(-1, |route| route.distance) },
            mtu: (if me { MAX_FRAME as u16 } else { self.mtu_of(peer) }, known.min_mtu(), max),
            changed: known.changed,
            rtt: tunnel.and_then(|tunnel| tunnel.probing.rtt),
            compression: tunnel.map_or(0, |tunnel| tunnel.compression),
            legacy: self.legacy_suite(peer),
            suite: tunnel.and_then(Tunnel::session).map(|session| session.suite()),
            stats: std::sync::Arc::clone(&known.stats),
        })
    }

    fn node_status(&self, peer: PeerId) -> u32 {
        let Some(known) = self.peer(peer) else { return 0 };
        let me = peer == PeerId::ME;
        let route = self.route(peer);
        let reachable = me || route.is_some();
        let keying = known.tunnel.as_ref().map(|tunnel| &tunnel.keying);
        let has_address = self.config.hosts.get(&known.name).is_some_and(|host| !host.addresses.is_empty());
        [
            (known.tunnel.as_ref().is_some_and(|tunnel| tunnel.has_keys()), status::VALID_KEY),
            (matches!(keying, Some(Keying::Waiting { .. })), status::WAITING_FOR_KEY),
            (reachable, status::VISITED | status::REACHABLE),
            (!reachable || route.is_some_and(|route| route.indirect), status::INDIRECT),
            (reachable && !self.is_old(peer) && !(me && self.speaks_only_legacy()), status::SPTPS),
            (known.is_confirmed(), status::UDP_CONFIRMED),
            (has_address, status::HAS_ADDRESS),
        ]
        .iter()
        .filter(|(set, _)| *set)
        .fold(0, |bits, (_, bit)| bits | bit)
    }

    fn edge_infos(&self) -> Vec<EdgeInfo> {
        let graph = &self.mesh.graph;
        let mut infos = Vec::new();
        for from in graph.ids() {
            for edge in graph.edges(from) {
                if let (Some(from), Some(to)) = (self.name_of(from), self.name_of(edge.to)) {
                    infos.push(EdgeInfo {
                        from,
                        to,
                        address: edge.address.clone(),
                        local: edge.local.clone(),
                        options: edge.options,
                        weight: edge.weight,
                    });
                }
            }
        }
        infos
    }

    fn subnet_infos(&self) -> Vec<(Subnet, Option<NodeName>)> {
        let subnets = &self.mesh.subnets;
        subnets.iter().map(|(subnet, owner)| (subnet, owner.and_then(|owner| self.name_of(owner)))).collect()
    }

    fn connection_infos(&self) -> Vec<ConnectionInfo> {
        let infos = self.connections.values().map(|conn| {
            let in_tree = conn.peer.is_some_and(|peer| self.fib.tree.contains(&peer));
            let bits = [
                (conn.pinged, status::PINGED),
                (matches!(conn.phase, Phase::Connecting), status::CONNECTING),
                (in_tree, status::TREE),
                (matches!(conn.phase, Phase::Inviting(_)), status::INVITATION),
            ];
            ConnectionInfo {
                name: conn.name.clone(),
                remote: conn.remote,
                options: conn.options,
                status: bits.iter().filter(|(set, _)| *set).fold(0, |bits, (_, bit)| bits | bit),
                conn: conn.id,
            }
        });
        infos.collect()
    }

    /// Learns what host files say of nodes: keys, that they exist, and with `StrictSubnets` what they own.
    pub(super) fn adopt_hosts(&mut self) {
        let hosts: Vec<(NodeName, HostConfig)> =
            self.config.hosts.iter().map(|(name, host)| (name.clone(), host.clone())).collect();
        for (name, host) in hosts {
            let peer = self.intern(&name);
            if let (Some(known), Some(key)) = (self.peer_mut(peer), host.key) {
                known.key = Some(key);
                self.touch(peer);
            }
            if self.config.mesh.strict_subnets && peer != PeerId::ME {
                self.adopt_strict_subnets(peer, &host);
            }
        }
    }

    /// With `StrictSubnets`, host files alone say what a node owns (spec: meta-protocol 8.5).
    fn adopt_strict_subnets(&mut self, peer: PeerId, host: &HostConfig) {
        for stale in self.subnets_of(peer).into_iter().filter(|subnet| !host.subnets.contains(subnet)) {
            self.tell_subnet(peer, stale, false);
            self.remove_subnet(peer, stale);
        }
        for &subnet in &host.subnets {
            if !self.mesh.subnets.contains(&subnet, Some(peer)) {
                self.tell_subnet(peer, subnet, true);
                self.add_subnet(peer, subnet);
            }
        }
    }

    pub(super) fn on_reconfigure(&mut self, config: Config) {
        let old = std::mem::replace(&mut self.config, config);
        // The key may not be readable any more.
        self.config.legacy.clone_from(&old.legacy);
        let changed: Vec<NodeName> = old
            .hosts
            .iter()
            .filter(|(name, host)| self.config.hosts.get(*name).is_some_and(|new| !same_identity(host, new)))
            .map(|(name, _)| name.clone())
            .chain(self.nodes_without_host_file())
            .collect();
        self.change_relaying(old.policy.relaying);
        self.change_trust();
        self.adopt_hosts();
        self.forget_stations_unless_switching();
        self.change_subnets(&old);
        self.forget_dialling();
        self.start_dialling();
        for name in changed {
            self.drop_changed_host(&name);
        }
        for peer in self.mesh.graph.ids() {
            self.touch(peer);
        }
    }

    /// Nodes whose key is known, also one learnt from the mesh, but whose host file is gone: they may not connect.
    fn nodes_without_host_file(&self) -> Vec<NodeName> {
        let others = self.peers.iter().skip(1).flatten().filter(|known| known.key.is_some());
        others.map(|known| known.name.clone()).filter(|name| !self.config.hosts.contains_key(name)).collect()
    }

    fn drop_changed_host(&mut self, name: &NodeName) {
        let gone = !self.config.hosts.contains_key(name);
        if let Some(peer) = self.mesh.graph.find(name)
            && gone
            && let Some(known) = self.peer_mut(peer)
        {
            known.key = None;
            self.touch(peer);
        }
        self.disconnect(name);
    }

    fn change_subnets(&mut self, old: &Config) {
        for &subnet in old.subnets.iter().filter(|subnet| !self.config.subnets.contains(subnet)).collect::<Vec<_>>() {
            self.tell_subnet(PeerId::ME, subnet, false);
            self.remove_subnet(PeerId::ME, subnet);
        }
        let added: Vec<_> =
            self.config.subnets.iter().copied().filter(|subnet| !old.subnets.contains(subnet)).collect();
        for subnet in added {
            self.tell_subnet(PeerId::ME, subnet, true);
            self.add_subnet(PeerId::ME, subnet);
        }
        self.change_broadcast_subnets(old);
    }

    fn change_broadcast_subnets(&mut self, old: &Config) {
        let subnets = std::sync::Arc::make_mut(&mut self.mesh.subnets);
        for subnet in &old.broadcast_subnets {
            subnets.remove(subnet, None);
        }
        for &subnet in self.config.broadcast_subnets.iter().chain(&Subnet::broadcast_defaults()) {
            subnets.insert(subnet, None, &self.config.name);
        }
    }
}

fn same_identity(old: &HostConfig, new: &HostConfig) -> bool {
    old.key == new.key
        && old.rsa == new.rsa
        && old.tcp_only == new.tcp_only
        && old.indirect == new.indirect
        && old.clamp_mss == new.clamp_mss
        && old.weight == new.weight
        && old.pmtu == new.pmtu
}
