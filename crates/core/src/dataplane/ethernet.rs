//! Ethernet frames between the data plane and devices that carry them (spec: routing 1, 2.6, 5).
//!
//! ```text
//!  destination 6 · source 6 · [0x8100 · tag 2] · type 2 · payload
//! ```

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::dataplane::fib::{Fib, Frames, Mode};
use crate::dataplane::ip::Family;
use crate::dataplane::ndp;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::{DropReason, Verdict};
use crate::name::PeerId;
use crate::packet::{ETHERNET_HEADER, Packet};
use crate::subnet::Owner;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Length of a header with one VLAN tag, in bytes.
pub(super) const TAGGED_HEADER: usize = ETHERNET_HEADER + 4;
const ARP: [u8; 2] = [0x08, 0x06];
const VLAN: [u8; 2] = [0x81, 0x00];

/// The address of whoever is behind the device, as far as it is known. Workers and the node share it.
#[derive(Debug, Default)]
pub struct Station(AtomicU64);

impl Station {
    /// A station that is known from the start.
    pub const fn new(mac: Mac) -> Self {
        Self(AtomicU64::new(number(mac)))
    }

    /// Its address.
    pub fn mac(&self) -> Mac {
        let [_, _, mac @ ..] = self.0.load(Relaxed).to_be_bytes();
        mac
    }

    /// It showed its address.
    pub(super) fn learn(&self, mac: Mac) {
        let number = number(mac);
        if self.0.load(Relaxed) != number {
            self.0.store(number, Relaxed);
        }
    }
}

const fn number([a, b, c, d, e, f]: Mac) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// The address that everybody in the mesh has, as seen from a station: its own, with the last byte inverted.
pub(super) const fn fake([a, b, c, d, e, last]: Mac) -> Mac {
    [a, b, c, d, e, last ^ 0xff]
}

/// What stands in front of a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Its length in bytes, with one VLAN tag if there is one.
    pub(super) len: usize,
    /// The family that the type names.
    pub(super) family: Option<Family>,
}

impl Header {
    /// Reads the header of a frame, if it is whole.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let kind = kind(frame, ETHERNET_HEADER)?;
        if kind != VLAN {
            return Some(Self { len: ETHERNET_HEADER, family: Family::of_ether_type(kind) });
        }
        let family = self::kind(frame, TAGGED_HEADER).and_then(Family::of_ether_type);
        Some(Self { len: if frame.len() < TAGGED_HEADER { ETHERNET_HEADER } else { TAGGED_HEADER }, family })
    }

    /// Bytes that it is longer than a plain header.
    pub(super) const fn tag(&self) -> usize {
        self.len - ETHERNET_HEADER
    }
}

/// The type in front of the payload that begins at `end`.
fn kind(frame: &[u8], end: usize) -> Option<[u8; 2]> {
    frame.get(end - 2..end)?.first_chunk().copied()
}

/// Length of a frame's header in bytes, one VLAN tag included; at most that of the frame.
pub(crate) fn header_len(frame: &[u8]) -> usize {
    Header::of(frame).map_or(frame.len(), |header| header.len)
}

/// Where the IP packet of a frame begins, if it has one.
pub fn network_offset(frame: &[u8]) -> Option<usize> {
    Header::of(frame).filter(|header| header.family.is_some()).map(|header| header.len)
}

impl Fib {
    /// Routes a frame that the device has, where packets are routed: its header counts for nothing but its type.
    pub(super) fn route_frame(&self, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        let Some(kind) = kind(packet.payload(), ETHERNET_HEADER) else {
            return Verdict::Drop(DropReason::TooShort);
        };
        if kind == ARP {
            return self.answer_arp(packet, scratch);
        }
        let Some(family) = Family::of_ether_type(kind) else {
            return Verdict::Drop(DropReason::UnknownProtocol);
        };
        if family == Family::V6 && ndp::is_solicitation(packet.payload()) {
            return self.answer_solicitation(packet, scratch);
        }
        packet.drop_front(ETHERNET_HEADER);
        if Family::of(packet.payload()) != Some(family) {
            return Verdict::Drop(DropReason::UnknownProtocol);
        }
        self.route(PeerId::ME, packet, scratch)
    }

    /// Hands a packet to the device, in the form that the device has.
    pub(crate) fn deliver(&self, packet: &mut Packet) -> Verdict {
        let (Mode::Router, Frames::Ethernet { rewrite }) = (self.policy.mode, self.policy.frames) else {
            return Verdict::Deliver;
        };
        let kind = match Family::of(packet.payload()) {
            Some(Family::V4) => [0x08, 0x00],
            Some(Family::V6) => [0x86, 0xdd],
            None => return Verdict::Drop(DropReason::UnknownProtocol),
        };
        let mac = if rewrite.is_some() { self.station.mac() } else { Mac::default() };
        let from = if rewrite.is_some() { fake(mac) } else { Mac::default() };
        let header: [u8; ETHERNET_HEADER] = header(mac, from, kind);
        if packet.push_front(&header) { Verdict::Deliver } else { Verdict::Drop(DropReason::TooLong) }
    }

    /// Notes who asks, if the device's frames are rewritten for somebody.
    pub(super) fn note_asker(&self, mac: Mac) {
        if let Frames::Ethernet { rewrite: Some(_) } = self.policy.frames {
            self.station.learn(mac);
        }
    }

    /// The node's own answer goes to the device.
    pub(super) fn deliver_answer(&self, frame: usize, scratch: &mut Scratch) -> Verdict {
        if let Some(me) = self.peer(PeerId::ME) {
            scratch.tally.count_out(me, frame);
        }
        Verdict::Deliver
    }
}

/// A header without tag.
pub(super) const fn header(to: Mac, from: Mac, kind: [u8; 2]) -> [u8; ETHERNET_HEADER] {
    let [a, b, c, d, e, f] = to;
    let [g, h, i, j, k, l] = from;
    let [m, n] = kind;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
}

/// Why a station is not told who has an address; `None`: it is.
pub(super) const fn silence(owner: Option<Owner>) -> Option<DropReason> {
    match owner {
        None => Some(DropReason::NoRoute),
        Some(Owner::Peer { id: PeerId::ME, .. }) => Some(DropReason::LoopBack),
        Some(Owner::Peer { .. } | Owner::Broadcast) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_have_one_tag() {
        let plain = header([1; 6], [2; 6], [0x08, 0x00]);
        let tagged = [&header([1; 6], [2; 6], VLAN)[..], &[0, 7, 0x86, 0xdd]].concat();

        assert_eq!(Header::of(&plain), Some(Header { len: 14, family: Some(Family::V4) }));
        assert_eq!(Header::of(&tagged), Some(Header { len: 18, family: Some(Family::V6) }));
        assert_eq!(Header::of(&tagged[..17]), Some(Header { len: 14, family: None }), "half a tag");
        assert_eq!(Header::of(&plain[..13]), None);
    }

    #[test]
    fn everybody_has_the_stations_address_with_the_last_byte_inverted() {
        let station = Station::new([0xfe, 0xfd, 0, 0, 0, 0]);
        station.learn([2, 0, 0, 0, 0, 1]);
        assert_eq!(station.mac(), [2, 0, 0, 0, 0, 1]);
        assert_eq!(fake(station.mac()), [2, 0, 0, 0, 0, 0xfe]);
    }
}
