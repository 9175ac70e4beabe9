//! Which way a sealed datagram goes: the choice of relay, and of UDP or TCP (spec: datagrams 7.3).

use crate::dataplane::fib::{Fib, PeerEntry, UdpTarget};
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::{DropReason, Verdict};
use crate::name::{NodeId, PeerId};
use crate::packet::Packet;
use crate::wire::datagram::{self, IDS};
use crate::wire::options::Options;

/// How a datagram travels to its next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// In a UDP datagram.
    Udp {
        /// Where to.
        target: UdpTarget,
        /// The node that is there.
        hop: PeerId,
        /// What to put in front.
        ids: Option<[u8; IDS]>,
    },
    /// Over meta connections, by way of `hop`'s neighbour.
    Tcp {
        /// The node that would have received it by UDP.
        hop: PeerId,
    },
}

/// Puts the ids in front, if there are any, and the datagram on its way.
pub(super) fn transmit(target: UdpTarget, ids: Option<[u8; IDS]>, packet: &mut Packet) -> Verdict {
    if ids.is_none_or(|ids| packet.push_front(&ids)) {
        Verdict::Transmit(target)
    } else {
        Verdict::Drop(DropReason::TooLong)
    }
}

impl Fib {
    /// The node that packets for `owner` are sent to: its static relay, or itself, or the neighbour
    /// before it when the static relay would be this node.
    pub(super) fn via(&self, owner: &PeerEntry) -> PeerId {
        match (owner.peer, owner.via) {
            (PeerId::ME, _) => PeerId::ME,
            (_, PeerId::ME) => owner.nexthop,
            (_, via) => via,
        }
    }

    /// Counts a datagram with a packet that goes straight to `hop`.
    pub(super) fn count_straight(&self, hop: PeerId, scratch: &mut Scratch) {
        if let Some(hop) = self.peer(hop) {
            scratch.tally.count_straight_out(hop);
        }
    }

    /// Chooses the carrier for a datagram of `origin` with `data` bytes of record data.
    pub(super) fn carrier(&self, origin: PeerId, to: &PeerEntry, data: usize) -> Option<Carrier> {
        let hop = self.hop(origin, to, data)?;
        let origin = self.peer(origin)?;
        let direct = origin.peer == PeerId::ME && hop.peer == to.peer;
        let fits = hop.udp_confirmed && data <= usize::from(hop.min_mtu);
        let tcp_only = self.policy.tcp_only || hop.options.has(Options::TCP_ONLY);
        let accepted = direct || hop.options.has_ids() && hop.relays_for_us;
        let target = hop.udp.filter(|_| fits && !tcp_only && accepted && !to.by_tcp && !hop.by_tcp);
        let Some(target) = target else { return Some(Carrier::Tcp { hop: hop.peer }) };
        let destination = if direct { NodeId::NULL } else { to.node_id };
        let ids = hop.options.has_ids().then(|| datagram::ids(destination, origin.node_id));
        Some(Carrier::Udp { target, hop: hop.peer, ids })
    }

    /// The node that a datagram is physically sent to: static relay or destination if the datagram
    /// is known to arrive there, else the relay that was chosen for packets of this node, else the neighbour on the way.
    fn hop(&self, origin: PeerId, to: &PeerEntry, data: usize) -> Option<&PeerEntry> {
        let via = self.peer(to.via).filter(|via| via.peer != PeerId::ME && data <= usize::from(via.min_mtu));
        let via = via.map(AsRef::as_ref);
        let hop = via.or_else(|| self.chosen(origin, to, data)).or_else(|| self.peer(to.nexthop).map(AsRef::as_ref))?;
        (hop.peer == to.peer || self.may_relay(hop.peer)).then_some(hop)
    }

    /// The relay that was chosen, if it takes the datagram now. Only this node's own take it, so that nothing goes in circles.
    fn chosen(&self, origin: PeerId, to: &PeerEntry, data: usize) -> Option<&PeerEntry> {
        let relay = to.relay.filter(|relay| origin == PeerId::ME && data <= usize::from(relay.size))?;
        let hop = self.peer(relay.node)?;
        let works = hop.udp_confirmed && hop.relays_for_us && !hop.by_tcp && data <= usize::from(hop.min_mtu);
        (works && self.may_relay(hop.peer)).then_some(hop)
    }
}
