//! Makes the forwarding snapshot of what the node knows.

use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::crypto::rng::Rng;
use crate::dataplane::fib::{Fib, NodesBy, PeerEntry};
use crate::name::{NodeId, PeerId};
use crate::node::Node;
use crate::node::io::Output;
use crate::packet::MAX_FRAME;
use crate::wire::hello::Feature;
use crate::wire::options::Options;

impl Node {
    /// Publishes a snapshot if anything changed that packets depend on.
    pub(super) fn publish_if_dirty(&mut self) {
        if !std::mem::take(&mut self.dirty.fib) {
            return;
        }
        let touched = std::mem::take(&mut self.dirty.peers);
        let mut peers = self.fib.peers.clone();
        peers.resize(self.peers.len(), None);
        for peer in touched {
            let entry = self.entry(peer).map(Arc::new);
            if let Some(place) = peers.get_mut(peer.index()) {
                *place = entry;
            }
        }
        let fib = Fib {
            policy: Arc::new(self.config.policy.clone()),
            subnets: Arc::clone(&self.mesh.subnets),
            by_id: self.ids(&peers),
            by_addr: self.addresses(&peers),
            tree: Arc::clone(&self.mesh.tree),
            branches: Arc::clone(&self.mesh.branches),
            legacy: legacy_senders(&peers),
            station: Arc::clone(&self.fib.station),
            learnt: Arc::clone(&self.learnt),
            relay_pace: self.relay_pace.clone(),
            gate: self.gating.gate.clone(),
            peers,
        };
        self.fib = Arc::new(fib);
        let snapshot = Arc::clone(&self.fib);
        self.emit(Output::Publish(snapshot));
    }

    /// Ids change only when nodes come or go.
    fn ids(&mut self, peers: &[Option<Arc<PeerEntry>>]) -> Arc<NodesBy<NodeId>> {
        if std::mem::take(&mut self.dirty.names) {
            let mut ids = NodesBy::with_hasher(self.fib.by_id.hasher().clone());
            ids.extend(peers.iter().flatten().map(|entry| (entry.node_id, entry.peer)));
            Arc::new(ids)
        } else {
            Arc::clone(&self.fib.by_id)
        }
    }

    fn addresses(&self, peers: &[Option<Arc<PeerEntry>>]) -> Arc<NodesBy<std::net::SocketAddr>> {
        let confirmed = peers.iter().flatten().filter(|entry| entry.udp_confirmed);
        let mut addresses = NodesBy::with_hasher(self.fib.by_addr.hasher().clone());
        addresses.extend(confirmed.flat_map(|entry| sources(entry).map(|address| (address, entry.peer))));
        if *self.fib.by_addr == addresses { Arc::clone(&self.fib.by_addr) } else { Arc::new(addresses) }
    }

    fn entry(&self, peer: PeerId) -> Option<PeerEntry> {
        let known = self.peer(peer)?;
        let me = peer == PeerId::ME;
        let route = self.packet_route(peer);
        let options = if me { self.own_options() } else { self.options_of(peer) };
        let tunnel = known.tunnel.as_deref();
        let keys = tunnel.and_then(|tunnel| tunnel.legacy.as_deref()).filter(|_| self.is_legacy(peer));
        Some(PeerEntry {
            peer,
            name: known.name.clone(),
            node_id: known.node_id,
            reachable: me || route.is_some(),
            nexthop: route.map_or(peer, |route| route.nexthop),
            via: route.map_or(peer, |route| route.via),
            relay: self.chosen_relay(peer),
            options,
            neighbour: known.conn.is_some(),
            udp: known.udp,
            source: tunnel.and_then(|tunnel| tunnel.probing.source),
            udp_confirmed: known.is_confirmed(),
            relays_for_us: tunnel.is_some_and(|tunnel| tunnel.probing.answered.is_some()),
            by_tcp: tunnel.is_some_and(|tunnel| tunnel.health.shuns_datagrams()),
            sums: tunnel.is_some_and(|tunnel| tunnel.agreement.features.has(Feature::Checksums)),
            joins: tunnel.is_some_and(|tunnel| tunnel.agreement.features.has(Feature::Split)),
            mtu: if me { MAX_FRAME as u16 } else { self.mtu_of(peer) },
            min_mtu: known.min_mtu(),
            legacy: keys.map(|keys| Arc::clone(&keys.session)),
            session: tunnel.and_then(crate::peer::tunnel::Tunnel::session),
            compression: tunnel.map_or(0, |tunnel| tunnel.compression),
            clamp_mss: options.has(Options::CLAMP_MSS),
            stats: Arc::clone(&known.stats),
        })
    }

    /// What is measured, else what others or the operator told.
    pub(super) fn mtu_of(&self, peer: PeerId) -> u16 {
        let Some(known) = self.peer(peer) else { return MAX_FRAME as u16 };
        known.fixed_mtu().or_else(|| self.relayed_mtu(peer)).unwrap_or(known.mtu)
    }

    pub(super) fn own_options(&self) -> Options {
        let link = self.config.link;
        let flags = [
            (link.indirect || link.tcp_only, Options::INDIRECT),
            (link.tcp_only, Options::TCP_ONLY),
            (link.pmtu_discovery && !link.tcp_only, Options::PMTU_DISCOVERY),
            (link.clamp_mss, Options::CLAMP_MSS),
        ];
        let bits = flags.iter().filter(|(set, _)| *set).fold(Options::TINMESH, |bits, (_, flag)| bits | flag);
        Options(bits).with_minor(self.own_minor())
    }
}

/// The hash of a node's tables. Its seed is drawn from another sequence than all that the node draws, and tells nothing of it.
pub(super) fn own_hash(mut seed: [u8; 32]) -> FixedState {
    seed[0] ^= 0x80;
    let mut rng = Rng::from_seed(seed);
    FixedState::with_seed(u64::from(rng.next_u32()) << 32 | u64::from(rng.next_u32()))
}

/// Where datagrams of a node come from.
fn sources(entry: &PeerEntry) -> impl Iterator<Item = std::net::SocketAddr> {
    entry.udp.map(|target| target.to).into_iter().chain(entry.source)
}

/// Nodes that may send us datagrams of tinc 1.0.
fn legacy_senders(peers: &[Option<Arc<PeerEntry>>]) -> Arc<[PeerId]> {
    let receives = |entry: &&Arc<PeerEntry>| entry.legacy.as_ref().is_some_and(|keys| keys.receiving().is_some());
    peers.iter().flatten().filter(receives).map(|entry| entry.peer).collect()
}
