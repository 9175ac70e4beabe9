//! Datagrams that the system refuses because it has learnt that the path takes only shorter ones.
//!
//! The size is lowered at once, and what is in the datagram goes over TCP: it is sealed, so it cannot be cut any more.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use crate::dataplane::verdict::DropReason;
use crate::name::{NodeId, PeerId};
use crate::node::Node;
use crate::node::io::Output;
use crate::packet::{MAX_FRAME, Packet};
use crate::wire::datagram;

impl Node {
    /// The system refused a datagram as too long. If it is missed, it goes over TCP.
    pub(super) fn on_too_big(&mut self, to: SocketAddr, datagram: &[u8], missed: bool) {
        let peers = self.peers_at(to);
        for &peer in &peers {
            self.lower_size(peer, to, datagram.len());
        }
        if missed {
            self.rescue(peers.first().copied(), datagram);
        }
    }

    fn lower_size(&mut self, peer: PeerId, to: SocketAddr, len: usize) {
        let frame = self.frame_in(peer, len).min(MAX_FRAME);
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        tunnel.pmtu.on_too_big(u16::try_from(frame).unwrap_or(u16::MAX));
        self.touch(peer);
        self.emit(Output::PathMtu(to));
        self.attend_soon(peer);
    }

    /// Sends a datagram that should have gone to `hop` over TCP. One of the protocol of tinc 1.0 cannot.
    fn rescue(&mut self, hop: Option<PeerId>, datagram: &[u8]) {
        match hop.and_then(|hop| self.addressed(hop, datagram)) {
            Some((origin, destination, sealed)) => {
                self.uncount(hop);
                self.relay_over_tcp(origin, destination, &Packet::from_payload(sealed));
            }
            None => self.drop_packet(DropReason::SendFailed),
        }
    }

    /// What never left must not count as lost on the way.
    fn uncount(&self, hop: Option<PeerId>) {
        if let Some(known) = hop.and_then(|hop| self.peer(hop)) {
            // Nothing was counted if the peer was forgotten meanwhile.
            known.stats.straight_out.fetch_update(Relaxed, Relaxed, |sent| sent.checked_sub(1)).ok();
        }
    }

    /// The node that sealed a datagram for `hop`, the one that opens it, and the sealed bytes.
    fn addressed<'a>(&self, hop: PeerId, datagram: &'a [u8]) -> Option<(PeerId, PeerId, &'a [u8])> {
        if self.is_legacy(hop) {
            return None;
        }
        if !self.options_of(hop).has_ids() {
            return Some((PeerId::ME, hop, datagram));
        }
        let (destination, origin, sealed) = datagram::split(datagram)?;
        let known = |id: NodeId| self.fib.by_id.get(&id).copied();
        let destination = if destination == NodeId::NULL { Some(hop) } else { known(destination) };
        Some((known(origin)?, destination?, sealed))
    }
}
