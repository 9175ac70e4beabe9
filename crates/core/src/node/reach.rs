//! What follows from a changed graph: routes, nodes that come and go, their sessions and scripts.
//!
//! Source: spec meta-protocol 10, datagrams 18.

use std::sync::Arc;
use std::time::Duration;

use crate::dataplane::fib::UdpTarget;
use crate::graph::Route;
use crate::name::PeerId;
use crate::node::Node;
use crate::node::io::Event;
use crate::node::timers::Wake;
use crate::subnet::Subnet;
use crate::wire::options::Options;

/// A mesh of fewer nodes computes its routes with every change.
const SMALL_MESH: u32 = 100;
/// In a larger one the distance of computations grows by so much with each node.
const ROUTE_COST: Duration = Duration::from_micros(100);
/// Longest distance of computations.
const MAX_ROUTE_INTERVAL: Duration = Duration::from_millis(500);

impl Node {
    /// The way to `peer`, if the graph reaches it.
    pub(super) fn route(&self, peer: PeerId) -> Option<&Route> {
        self.mesh.routes.get(peer)
    }

    /// The way of packets to `peer`: around nodes that may not relay, if there is one. Requests go by [`Self::route`], so
    /// that all nodes agree on it, also those of tinc.
    pub(super) fn packet_route(&self, peer: PeerId) -> Option<&Route> {
        self.mesh.detours.as_ref().unwrap_or(&self.mesh.routes).get(peer)
    }

    pub(super) fn is_reachable(&self, peer: PeerId) -> bool {
        peer == PeerId::ME || self.route(peer).is_some()
    }

    pub(super) fn nexthop(&self, peer: PeerId) -> Option<PeerId> {
        self.route(peer).map(|route| route.nexthop)
    }

    /// The node that datagrams for `peer` are physically sent to: its static relay, or itself, or
    /// the neighbour before it when the static relay would be this node.
    pub(super) fn relay_of(&self, peer: PeerId) -> Option<PeerId> {
        let route = self.packet_route(peer)?;
        Some(if route.via == PeerId::ME { route.nexthop } else { route.via })
    }

    pub(super) fn options_of(&self, peer: PeerId) -> Options {
        self.route(peer).map_or_else(Options::default, |route| route.options)
    }

    /// Computes routes if anything changed, unless that was done a moment ago: in a mesh of 1,000 nodes
    /// every edge is told several times over, and a computation costs what a hundred messages cost.
    pub(super) fn recompute_routes_if_due(&mut self) {
        if !self.dirty.routes {
            return;
        }
        let due = self.mesh.routed.map(|last| last + self.route_interval()).filter(|&due| due > self.now);
        match due {
            Some(due) => self.timers.set_earlier(Wake::Routes, due),
            None => self.refresh_routes(),
        }
    }

    /// The distance of computations that cost more in a larger mesh.
    pub(super) fn route_interval(&self) -> Duration {
        let nodes = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        if nodes < SMALL_MESH { Duration::ZERO } else { (ROUTE_COST * nodes).min(MAX_ROUTE_INTERVAL) }
    }

    /// Computes routes if a message between two nodes could not be handled otherwise.
    pub(super) fn refresh_routes_between(&mut self, ends: [Option<PeerId>; 2]) {
        let usable = |peer| peer == PeerId::ME || self.nexthop(peer).is_some_and(|hop| self.is_neighbour(hop));
        if !ends.into_iter().flatten().all(usable) {
            self.refresh_routes();
        }
    }

    /// Computes routes if anything changed, because something depends on them now.
    pub(super) fn refresh_routes(&mut self) {
        if !std::mem::take(&mut self.dirty.routes) {
            return;
        }
        self.timers.cancel(Wake::Routes);
        self.mesh.routed = Some(self.now);
        let before = std::mem::replace(&mut self.mesh.routes, self.mesh.graph.routes());
        let detours = Some(self.avoided_relays())
            .filter(|avoided| !avoided.is_empty())
            .map(|avoided| self.mesh.graph.routes_around(&avoided, &self.mesh.routes));
        let old_detours = std::mem::replace(&mut self.mesh.detours, detours);
        for peer in self.mesh.graph.ids() {
            let old = old_detours.as_ref().unwrap_or(&before).get(peer);
            if before.get(peer) != self.mesh.routes.get(peer) || old != self.packet_route(peer) {
                self.touch(peer);
            }
            self.update_reachability(peer);
        }
        self.withdraw_edges_to_us();
        let tree = self.mesh.graph.spanning_tree(&self.mesh.routes);
        (self.mesh.tree, self.mesh.branches) = (tree.neighbours.into(), tree.branches.into());
        self.dirty.fib = true;
        self.gossip_soon();
    }

    fn update_reachability(&mut self, peer: PeerId) {
        if peer == PeerId::ME {
            return;
        }
        let reached = self.mesh.routes.get(peer).map(|route| route.address.ip());
        let target = reached.flatten().and_then(|address| self.target(address));
        let now = self.now;
        let Some(known) = self.peer_mut(peer) else { return };
        if known.reachable == reached.is_some() {
            if known.reachable && known.udp.is_none() && target.is_some() {
                known.udp = target;
                self.touch(peer);
            }
            return;
        }
        known.reachable = reached.is_some();
        known.changed = Some(now);
        known.tunnel = None;
        let last = known.udp;
        if known.reachable {
            known.udp = target;
            self.announce_up(peer);
        } else {
            known.udp = None;
            self.timers.cancel(Wake::Attend(peer));
            self.disconnect_gossip(peer);
            self.announce_down(peer, last);
        }
        self.timers.cancel(Wake::UdpSilent(peer));
        self.timers.cancel(Wake::Late(peer));
    }

    fn announce_up(&mut self, peer: PeerId) {
        let Some((name, udp, conn)) = self.peer(peer).map(|p| (p.name.clone(), p.udp, p.conn)) else { return };
        let address = udp.map(|target| target.to);
        self.event(Event::NodeUp { name: name.clone(), address });
        for subnet in self.subnets_of(peer) {
            self.event(Event::SubnetUp { owner: name.clone(), address, subnet });
        }
        let dialled = conn.and_then(|conn| self.connections.get(&conn)).filter(|conn| conn.was_dialled());
        if let Some(remote) = dialled.map(|conn| conn.remote) {
            self.remember_address(peer, remote);
        }
        if conn.is_some() {
            self.attend_soon(peer);
        }
    }

    fn announce_down(&mut self, peer: PeerId, last: Option<UdpTarget>) {
        let Some(name) = self.peer(peer).map(|p| p.name.clone()) else { return };
        let address = last.map(|target| target.to);
        self.event(Event::NodeDown { name: name.clone(), address });
        for subnet in self.subnets_of(peer) {
            self.event(Event::SubnetDown { owner: name.clone(), address, subnet });
        }
    }

    pub(super) fn subnets_of(&self, owner: PeerId) -> Vec<Subnet> {
        Arc::clone(&self.mesh.subnets).of(owner).collect()
    }

    /// When a former neighbour is gone, its edge to us is stale, and nobody else would say so
    /// (spec: meta-protocol 3.4, 6.4).
    fn withdraw_edges_to_us(&mut self) {
        let stale = std::mem::take(&mut self.dirty.lost);
        for peer in stale {
            if !self.is_reachable(peer) && self.mesh.graph.remove_edge(peer, PeerId::ME).is_some() {
                self.broadcast_edge_gone(peer, PeerId::ME);
            }
        }
    }
}
