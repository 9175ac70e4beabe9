//! Packets that do not fit on their way and that nobody can be asked to send in smaller ones: they go in two records.

use std::sync::Arc;

use crate::dataplane::record::{FIRST_PIECE, LAST_PIECE};
use crate::dataplane::verdict::Verdict;
use crate::name::PeerId;
use crate::node::Node;
use crate::packet::{ETHERNET_HEADER, Packet};
use crate::wire::hello::Feature;

impl Node {
    /// Sends a packet that is too long for its way in two pieces, and tells its source of the limit now and then.
    pub(super) fn on_oversized(&mut self, owner: PeerId, packet: &Packet) {
        self.use_tunnel(owner);
        let fib = Arc::clone(&self.fib);
        if let Some((verdict, error)) = fib.too_big(owner, packet, &mut self.scratch) {
            self.on_verdict(verdict, error);
        }
        if let Some(known) = self.peer(owner) {
            known.stats.count_out(packet.len() + ETHERNET_HEADER);
        }
        self.send_pieces(owner, packet);
    }

    /// Sends a packet that UDP does not carry whole in two pieces, if UDP carries those: it is there sooner than over TCP,
    /// and where a path has become narrower without a word, TCP may be stuck as well.
    pub(super) fn split(&mut self, owner: PeerId, packet: &Packet) -> bool {
        let goes = self.fib.carries_pieces(owner, packet.len());
        if goes {
            self.send_pieces(owner, packet);
        }
        goes
    }

    fn send_pieces(&mut self, owner: PeerId, packet: &Packet) {
        let fib = Arc::clone(&self.fib);
        let kind = self.config.policy.mode.record_kind();
        let Some(tunnel) = self.tunnel_mut(owner) else { return };
        let pieces = tunnel.pieces.cut(kind, packet.payload());
        for (kind, piece) in [FIRST_PIECE, LAST_PIECE].into_iter().zip(pieces) {
            let mut piece = Packet::from_payload(&piece);
            match fib.send_piece(owner, kind, &mut piece, &mut self.scratch) {
                Some(verdict @ Verdict::Transmit(_)) => self.on_verdict(verdict, piece),
                Some(_) => self.relay_over_tcp(PeerId::ME, owner, &piece),
                None => self.rekey(owner),
            }
        }
    }

    /// A piece came; the packet goes on when both are there.
    pub(super) fn on_piece(&mut self, origin: PeerId, kind: u8, piece: &[u8]) {
        if !self.uses(origin, Feature::Split) {
            return;
        }
        let now = self.now;
        let Some(tunnel) = self.tunnel_mut(origin) else { return };
        if let Some((kind, packet)) = tunnel.pieces.join(now, kind == LAST_PIECE, piece) {
            self.deliver_record(origin, kind, Packet::from_payload(&packet));
        }
    }
}
