//! What was found out of paths in this network before (`punch/memory.rs`; docs/protocol.md, "Networks").

use std::net::IpAddr;

use crate::name::PeerId;
use crate::node::Node;
use crate::node::io::Event;
use crate::punch::memory::{Found, NetworkId, Silences};
use crate::punch::retries::Retries;

impl Node {
    /// It is known in which network this machine is.
    pub(super) fn on_network(&mut self, network: NetworkId) {
        if self.found.is_in(network) {
            return;
        }
        if self.found.is_somewhere() {
            self.forget_nat();
        }
        self.found.enter(Some(network));
        for peer in self.mesh.graph.ids() {
            self.recall(peer);
        }
        let known = self.found.peers();
        if known > 0 {
            self.event(Event::Note(format!("This network is known: what was found out of {known} nodes holds again")));
        }
    }

    /// There is a tunnel: what was found out here of its peer where that is now holds again.
    pub(super) fn recall(&mut self, peer: PeerId) {
        let place = self.place_of(peer);
        let found = place.and_then(|place| self.found_at(peer, place));
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        tunnel.place = place;
        if let Some(found) = found {
            (tunnel.retries, tunnel.meetings) = (found.retries, found.meetings);
        }
        self.recall_silences(peer);
    }

    fn found_at(&self, peer: PeerId, place: IpAddr) -> Option<Found> {
        self.found.of(&self.name_of(peer)?, place)
    }

    /// Where others see `peer`.
    fn place_of(&self, peer: PeerId) -> Option<IpAddr> {
        self.announced_addresses(peer).first().map(|address| address.ip())
    }

    /// A peer that cannot be reached straight may have moved: what failed where it was does not count where it is.
    pub(super) fn follow_place(&mut self, peer: PeerId) {
        let Some(tunnel) = self.tunnel(peer).filter(|tunnel| !tunnel.confirmed) else { return };
        let (before, seen) = (tunnel.place, self.announced_addresses(peer));
        if seen.is_empty() || seen.iter().any(|address| Some(address.ip()) == before) {
            return;
        }
        if let Some(tunnel) = self.tunnel_mut(peer).filter(|_| before.is_some()) {
            tunnel.forget_attempts();
        }
        self.recall(peer);
    }

    /// The path works: what silences did to it here before is so again.
    pub(super) fn recall_silences(&mut self, peer: PeerId) {
        let target = self.peer(peer).filter(|known| known.is_confirmed()).and_then(|known| known.udp);
        let Some(target) = target.filter(|_| self.learns_keepalive(peer)) else { return };
        let Some(found) = self.found_at(peer, target.to.ip()) else { return };
        let before = self.keepalive(peer);
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.lifetime.recall(found.silences);
        }
        self.settle_keepalive(peer, before);
    }

    /// Notes how attempts to reach `peer` went.
    pub(super) fn remember_attempts(&mut self, peer: PeerId) {
        let Some(tunnel) = self.tunnel(peer) else { return };
        let (place, retries, meetings) = (tunnel.place, tunnel.retries, tunnel.meetings);
        let Some((place, name)) = place.zip(self.name_of(peer)) else { return };
        // Of what went well nothing need be known.
        let [retries, meetings] =
            [retries, meetings].map(|tried| if tried.failures > 0 { tried } else { Retries::default() });
        self.found.change(&name, place, |found| (found.retries, found.meetings) = (retries, meetings));
    }

    /// Notes what silences do to the path to `peer`, if that is other than it was.
    pub(super) fn remember_silences(&mut self, peer: PeerId, before: Silences) {
        let Some(silences) = self.tunnel(peer).map(|tunnel| tunnel.lifetime.silences()) else { return };
        if silences != before {
            self.note_silences(peer, silences);
        }
    }

    fn note_silences(&mut self, peer: PeerId, silences: Silences) {
        let target = self.peer(peer).and_then(|known| known.udp);
        let Some((target, name)) = target.zip(self.name_of(peer)) else { return };
        self.found.change(&name, target.to.ip(), |found| found.silences = silences);
    }

    /// Nothing was heard of `peer` for as long as its path may be silent: perhaps that was too long.
    pub(super) fn on_udp_silent_for_long(&mut self, peer: PeerId) {
        if self.keepalive(peer) > self.keepalive_base() {
            self.note_silences(peer, Silences::default());
        }
        self.on_udp_silent(peer);
    }
}
