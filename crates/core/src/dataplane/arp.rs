//! Answers to ARP: a node that routes answers for everybody in the mesh (spec: routing 5.3).

use std::net::Ipv4Addr;

use crate::dataplane::ethernet::{self, fake};
use crate::dataplane::fib::Fib;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::{DropReason, Verdict};
use crate::packet::{ETHERNET_HEADER, Packet};
use crate::subnet::Address;

/// Length of a request with its Ethernet header, in bytes.
const REQUEST_LEN: usize = ETHERNET_HEADER + 28;
/// Ethernet, IPv4, lengths of their addresses, request.
const REQUEST: [u8; 8] = [0, 1, 0x08, 0x00, 6, 4, 0, 1];
const REPLY: u8 = 2;

impl Fib {
    /// Turns a request from the device into its answer.
    pub(super) fn answer_arp(&self, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        let len = packet.len();
        let Some(frame) = packet.payload_mut().first_chunk_mut::<REQUEST_LEN>() else {
            return Verdict::Drop(DropReason::TooShort);
        };
        let [_, _, _, _, _, _, a, b, c, d, e, f, ..] = *frame;
        let asker = [a, b, c, d, e, f];
        self.note_asker(asker);
        if frame[ETHERNET_HEADER..22] != REQUEST {
            return Verdict::Drop(DropReason::UnknownProtocol);
        }
        let wanted = [frame[38], frame[39], frame[40], frame[41]];
        let owner = self.subnets.lookup(&Address::V4(Ipv4Addr::from(wanted)), |peer| self.is_reachable(peer));
        if let Some(reason) = ethernet::silence(owner) {
            return Verdict::Drop(reason);
        }
        frame.copy_within(22..32, 32);
        frame[21] = REPLY;
        frame[22..28].copy_from_slice(&fake(asker));
        frame[28..32].copy_from_slice(&wanted);
        frame[..6].copy_from_slice(&asker);
        frame[6..12].copy_from_slice(&fake(asker));
        self.deliver_answer(len, scratch)
    }
}
