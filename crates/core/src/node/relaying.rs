//! Relays: whom packets go through that cannot go straight, what this node offers as a relay, and who does not relay.
//!
//! ```text
//!  origin ──── ask ────► relays with a UDP path to here, and neighbours of the peer
//!         ◄─── offer ─── round trip, loss and frame size of the relay's own path
//!  origin ═ packets ═══► the best of them ═══════════════════════════► peer
//! ```
//!
//! Where none is chosen, packets go by the next node of the graph's way, which is asked as well: how large they may be there.
//! A node that measures the size of its path anew tells those who asked lately, before they ask again.
//!
//! Only packets of a node's own take the relay that it chose; those of others go straight, or by the graph's way. So a packet
//! that a relay cannot pass on straight any more gets nearer with each further hop, and never comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dataplane::fib::ChosenRelay;
use crate::dataplane::relaying::Relaying;
use crate::name::{NodeId, PeerId};
use crate::node::Node;
use crate::peer::relay::{MOST_ASKED, Near, RelayChoice};
use crate::wire::hello::Feature;
use crate::wire::options::Options;
use crate::wire::relay::{Message, Offer};

/// Packets went so lately that relays are looked for.
const RECENT: Duration = Duration::from_secs(2);
/// Nodes without a known path that are tried as relays at a time.
const TRIED: usize = 2;
/// A relay that has carried as much as its operator lets it offers itself to nobody for so long.
const STRAIN: Duration = Duration::from_secs(30);
/// They are tried in each of the first rounds, and then in one of so many.
const EAGER_ROUNDS: u32 = 8;
const LATER_ROUNDS: u32 = 16;

impl Node {
    /// Packets went to `peer` from here.
    pub(super) fn note_talk(&mut self, peer: PeerId) {
        let now = self.now;
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.relay.talked = Some(now);
        }
    }

    /// Looks for a relay to `peer` if packets go there and have to go through another.
    pub(super) fn consider_relays(&mut self, peer: PeerId) {
        let now = self.now;
        let straight = self.is_confirmed(peer) || self.is_neighbour(peer);
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        if straight {
            if tunnel.relay.end() {
                self.touch(peer);
            }
            return;
        }
        if tunnel.relay.talked.is_none_or(|at| now.since(at) > RECENT) {
            return;
        }
        let wanted = self.config.mesh.extensions.has(Feature::Relay) && !self.config.link.tcp_only;
        if wanted && self.is_free(peer) {
            self.ask_relays(peer);
            self.choose_relay(peer);
        }
    }

    /// Whether no static relay stands before `peer`.
    fn is_free(&self, peer: PeerId) -> bool {
        self.packet_route(peer).is_some_and(|route| route.via == peer)
    }

    fn ask_relays(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(round) = self.tunnel_mut(peer).and_then(|tunnel| tunnel.relay.ask_due(now)) else { return };
        let Some(id) = self.peer(peer).map(|known| known.node_id) else { return };
        if round < EAGER_ROUNDS || round % LATER_ROUNDS == 0 {
            self.try_others(peer, round);
        }
        let mut relays = self.possible_relays(peer);
        if let Some(next) = self.next_on_the_way(peer).filter(|next| !relays.contains(next)) {
            relays.push(next);
        }
        for &relay in &relays {
            self.keep_measured(relay);
            self.send_sealed(relay, &Message::Ask(id).encode());
        }
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.relay.note_asked(&relays);
        }
    }

    /// The node that packets to `peer` go by where no relay is chosen, if it can be asked.
    fn next_on_the_way(&self, peer: PeerId) -> Option<PeerId> {
        let next = self.packet_route(peer)?.nexthop;
        Some(next).filter(|&next| next != peer && self.uses(next, Feature::Relay))
    }

    /// The path to `peer` is kept, and its round trip measured.
    fn keep_measured(&mut self, peer: PeerId) {
        let now = self.now;
        self.use_tunnel(peer);
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.probing.wanted = Some(now);
        }
    }

    /// Nodes with a UDP path to here that may relay to `peer`, the nearest first.
    fn possible_relays(&self, peer: PeerId) -> Vec<PeerId> {
        let others =
            self.mesh.graph.ids().into_iter().filter(|&relay| relay != peer && self.uses(relay, Feature::Relay));
        let mut relays: Vec<(Duration, PeerId)> =
            others.filter_map(|relay| Some((self.near(relay)?.rtt, relay))).collect();
        relays.sort_unstable();
        relays.into_iter().map(|(_, relay)| relay).take(MOST_ASKED).collect()
    }

    /// Others may have a path to `peer` that nobody here knows of, its neighbours before all: opens tunnels to a few, others
    /// each time.
    fn try_others(&mut self, peer: PeerId, round: u32) {
        let now = self.now;
        let neighbours: Vec<PeerId> = self.mesh.graph.edges(peer).map(|edge| edge.to).collect();
        let others = self.mesh.graph.ids().into_iter().filter(|other| !neighbours.contains(other));
        let unknown = |other: &PeerId| {
            let is_ours = self.options_of(*other).has(Options::TINMESH) && !self.refuses(*other);
            let may = self.is_reachable(*other) && self.fib.may_relay(*other);
            ![PeerId::ME, peer].contains(other) && is_ours && may && self.near(*other).is_none()
        };
        let unknown: Vec<PeerId> = neighbours.iter().copied().chain(others).filter(unknown).collect();
        let first = (round as usize * TRIED).checked_rem(unknown.len()).unwrap_or(0);
        let tried: Vec<PeerId> = unknown.iter().cycle().skip(first).take(TRIED.min(unknown.len())).copied().collect();
        for other in tried {
            self.use_tunnel(other);
            if self.tunnel_mut(other).is_some_and(|tunnel| tunnel.health.relent(now)) {
                self.touch(other);
            }
        }
    }

    /// The path to a node that may be used as a relay.
    fn near(&self, relay: PeerId) -> Option<Near> {
        self.measured(relay).filter(|_| self.fib.may_relay(relay) && !self.refuses(relay))
    }

    /// The path to a node that datagrams reach.
    fn measured(&self, peer: PeerId) -> Option<Near> {
        let tunnel = self.tunnel(peer).filter(|tunnel| tunnel.confirmed && tunnel.probing.answered.is_some())?;
        let shuns = tunnel.health.shuns_datagrams();
        Some(Near { rtt: tunnel.probing.rtt?, loss: tunnel.health.loss() }).filter(|_| !shuns)
    }

    pub(super) fn choose_relay(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(mut choice) = self.tunnel_mut(peer).map(|tunnel| std::mem::take(&mut tunnel.relay)) else { return };
        let before = choice.chosen();
        choice.choose(now, |relay| self.near(relay));
        let after = choice.chosen();
        let size = |chosen: Option<(PeerId, Offer)>| chosen.map(|(relay, offer)| (relay, offer.size, offer.settled));
        let changes = size(before) != size(after);
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.relay = choice;
        }
        if changes {
            self.touch(peer);
        }
    }

    /// The relay that packets to `peer` take, for the packet path.
    pub(super) fn chosen_relay(&self, peer: PeerId) -> Option<ChosenRelay> {
        let (node, offer) = self.tunnel(peer).filter(|tunnel| !tunnel.confirmed)?.relay.chosen()?;
        Some(ChosenRelay { node, size: offer.size })
    }

    /// The frame size of the way by the chosen relay, or by the next node of the graph's way, once both halves are measured.
    pub(super) fn relayed_mtu(&self, peer: PeerId) -> Option<u16> {
        let choice = &self.tunnel(peer).filter(|tunnel| !tunnel.confirmed)?.relay;
        let next = || self.next_on_the_way(peer).and_then(|next| Some((next, choice.offer_of(self.now, next)?)));
        let (relay, offer) = choice.chosen().or_else(next)?;
        let near = self.peer(relay)?.fixed_mtu()?;
        Some(near.min(offer.size)).filter(|_| offer.settled)
    }

    pub(super) fn on_relay_message(&mut self, origin: PeerId, kind: u8, message: &[u8]) {
        if !self.uses(origin, Feature::Relay) {
            return;
        }
        match Message::parse(kind, message) {
            Some(Message::Ask(id)) => self.on_relay_asked(origin, id),
            Some(Message::Offer(id, offer)) => self.on_relay_offer(origin, id, offer),
            Some(Message::Will(will)) => self.on_relay_will(origin, will),
            None => {}
        }
    }

    fn on_relay_asked(&mut self, origin: PeerId, id: NodeId) {
        let now = self.now;
        if !self.tunnel_mut(origin).is_some_and(|tunnel| tunnel.relay.may_answer(now)) {
            return;
        }
        if self.relay_pace.as_deref().is_some_and(|pace| pace.is_strained(now)) {
            self.relay_strained = Some(now);
        }
        let has_room = self.relay_strained.is_none_or(|at| now.since(at) >= STRAIN);
        let may = self.fib.may_relay(origin) && self.fib.may_relay(PeerId::ME) && self.relays() && has_room;
        let known = self.fib.by_id.get(&id).copied();
        let peer = known.filter(|&peer| may && peer != PeerId::ME && peer != origin && self.is_reachable(peer));
        let offer = peer.and_then(|peer| {
            self.keep_measured(peer);
            self.own_offer(peer)
        });
        if let Some(tunnel) = known.and_then(|peer| self.tunnel_mut(peer)) {
            tunnel.relay.note_asker(now, origin, offer);
        }
        self.send_sealed(origin, &Message::Offer(id, offer).encode());
    }

    /// What this node offers as a relay to `peer`.
    fn own_offer(&self, peer: PeerId) -> Option<Offer> {
        let known = self.peer(peer).filter(|known| known.min_mtu() > 0)?;
        let Near { rtt, loss } = self.measured(peer).filter(|_| self.is_free(peer))?;
        Some(Offer { rtt, loss, size: known.min_mtu(), settled: known.fixed_mtu().is_some() })
    }

    /// Tells those who asked lately of the sizes that were measured since.
    pub(super) fn tell_sizes(&mut self) {
        let now = self.now;
        let measured = self.dirty.peers.iter().filter_map(|&peer| Some((peer, self.peer(peer)?.fixed_mtu()?)));
        let measured: Vec<(PeerId, u16)> = measured.collect();
        for (peer, size) in measured {
            let Some((offer, id)) = self.own_offer(peer).zip(self.peer(peer).map(|known| known.node_id)) else {
                continue;
            };
            let askers = self.tunnel_mut(peer).map(|tunnel| tunnel.relay.whom_to_tell(now, size));
            for asker in askers.unwrap_or_default() {
                self.send_sealed(asker, &Message::Offer(id, Some(offer)).encode());
            }
        }
    }

    fn on_relay_offer(&mut self, origin: PeerId, id: NodeId, offer: Option<Offer>) {
        let now = self.now;
        let Some(peer) = self.fib.by_id.get(&id).copied().filter(|&peer| peer != PeerId::ME) else { return };
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        let chosen = tunnel.relay.chosen().map(|(relay, _)| relay);
        let size = |choice: &RelayChoice| choice.offer_of(now, origin).map(|offer| (offer.size, offer.settled));
        let before = size(&tunnel.relay);
        tunnel.relay.on_offer(now, origin, offer);
        let changes = size(&tunnel.relay) != before;
        if changes && chosen.or_else(|| self.next_on_the_way(peer)) == Some(origin) {
            self.touch(peer);
        }
        self.consider_relays(peer);
    }

    /// Whether this node relays at all.
    fn relays(&self) -> bool {
        self.config.policy.relaying != Relaying::No
    }

    /// Whether `peer` has said that it does not relay.
    fn refuses(&self, peer: PeerId) -> bool {
        self.tunnel(peer).is_some_and(|tunnel| tunnel.relay.refuses)
    }

    /// Nodes that packets are to go around: those that may not relay, and those that do not want to.
    pub(super) fn avoided_relays(&self) -> BTreeSet<PeerId> {
        let refusing = self.mesh.graph.ids().into_iter().filter(|&peer| self.refuses(peer));
        self.gating.avoided.iter().copied().chain(refusing).collect()
    }

    /// What both agreed on holds from now on: a node that does not relay says so.
    pub(super) fn on_agreed_to_relay(&mut self, peer: PeerId) {
        self.on_relay_will(peer, true);
        if self.uses(peer, Feature::Relay) && !self.relays() {
            self.send_sealed(peer, &Message::Will(false).encode());
        }
    }

    fn on_relay_will(&mut self, peer: PeerId, will: bool) {
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        if std::mem::replace(&mut tunnel.relay.refuses, !will) == will {
            self.dirty.routes = true;
        }
    }

    /// The operator may want something else of this node than before.
    pub(super) fn change_relaying(&mut self, before: Relaying) {
        let now = self.config.policy.relaying;
        if now == before {
            return;
        }
        (self.relay_pace, self.relay_strained) = (now.pace(), None);
        let (was, is) = (before != Relaying::No, self.relays());
        if was != is {
            self.send_sealed_to_all(Feature::Relay, &Message::Will(is).encode());
        }
    }
}
