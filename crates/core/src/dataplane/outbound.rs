//! From the device to the network.
//!
//! ```text
//! device ─► outbound ─► route: whose is it? may it pass? does it fit?
//!                          │
//!                          ▼
//!                 send_record: compress, choose the carrier, seal in place, ids in front
//! ```
//!
//! Source: spec routing 4 to 13, datagrams 7.

use crate::dataplane::fib::{Fib, Frames, Mode};
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::Verdict;
use crate::name::PeerId;
use crate::packet::{ETHERNET_HEADER, Packet};

impl Fib {
    /// Decides what becomes of a packet that the device gave: an IP packet in router mode, else a frame.
    pub fn outbound(&self, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        if let Some(me) = self.peer(PeerId::ME) {
            let bare = self.policy.mode == Mode::Router && self.policy.frames == Frames::Ip;
            let header = if bare { ETHERNET_HEADER } else { 0 };
            scratch.tally.count_in(me, packet.len() + header);
        }
        let verdict = match (self.policy.mode, self.policy.frames) {
            (Mode::Router, Frames::Ethernet { .. }) => self.route_frame(packet, scratch),
            _ => self.route(PeerId::ME, packet, scratch),
        };
        scratch.counters.count(&verdict);
        verdict
    }
}
