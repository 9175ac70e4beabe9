//! Packets that go over TCP, in turn and in time: they wait unsealed until there is room, requests never do.
//!
//! Source: spec datagrams 7.4; instead of random early drop, the oldest goes.

use crate::dataplane::record::FRAME;
use crate::dataplane::verdict::DropReason;
use crate::meta::queue::{Form, MOST, flow_of};
use crate::name::ConnId;
use crate::node::Node;
use crate::node::io::Output;
use crate::packet::{ETHERNET_HEADER, MAX_FRAME, Packet};

impl Node {
    /// Sends a plain packet to a neighbour as a frame; in router mode with an Ethernet header in front.
    pub(super) fn send_packet_request(&mut self, conn: ConnId, packet: &Packet) {
        let payload = packet.payload();
        let mut header = [0; ETHERNET_HEADER];
        let (header, rest) = if self.plain_kind() == FRAME {
            payload.split_at(payload.len().min(ETHERNET_HEADER))
        } else {
            let kind: [u8; 2] = match payload.first().map(|first| first >> 4) {
                Some(4) => [0x08, 0x00],
                Some(6) => [0x86, 0xdd],
                Some(_) | None => return,
            };
            header[ETHERNET_HEADER - 2..].copy_from_slice(&kind);
            (&header[..], payload)
        };
        if header.len() + rest.len() <= MAX_FRAME {
            self.queue_packet(conn, flow_of(header, rest), Form::Frame, [header, rest]);
        }
    }

    /// Lets a packet wait for its turn on a meta connection, or a stream beside it; it goes at once if there is room.
    pub(super) fn queue_packet(&mut self, id: ConnId, flow: u64, form: Form, parts: [&[u8]; 2]) {
        let limit = self.config.mesh.max_output_buffer.unwrap_or(MOST);
        let now = self.now;
        let id = self.carrier(id, flow, parts.iter().map(|part| part.len()).sum());
        let Some(conn) = self.connections.get_mut(&id) else { return };
        conn.queue.push(now, flow, form, parts, limit);
        self.send_packets(id);
    }

    /// So many bytes of a connection wait for the system.
    pub(super) fn on_queued(&mut self, id: ConnId, bytes: usize) {
        let now = self.now;
        let Some(conn) = self.connections.get_mut(&id) else { return };
        conn.backlog.on_written(now, bytes, !conn.queue.is_empty());
        if let Some(bytes) = conn.backlog.take_room() {
            self.emit(Output::Room { conn: id, bytes });
        }
        self.send_packets(id);
    }

    fn send_packets(&mut self, id: ConnId) {
        let mut hand = std::mem::take(&mut self.at_hand);
        let mut bytes = Vec::new();
        let now = self.now;
        while let Some(conn) = self.connections.get_mut(&id) {
            let Some(form) = conn.seal_packet(now, &mut hand, &mut bytes) else {
                let dropped = conn.queue.take_dropped();
                self.scratch.counters.count_drops(DropReason::TooLate, dropped.late);
                self.scratch.counters.count_drops(DropReason::QueueFull, dropped.full);
                break;
            };
            match form {
                Form::Frame | Form::Raw => self.trace(id, true, hand.line.as_bytes()),
                Form::Text => self.trace(id, true, &hand.packet),
            }
        }
        self.at_hand = hand;
        self.send_bytes(id, bytes);
    }
}
