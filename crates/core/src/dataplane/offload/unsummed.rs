//! Packets whose checksum is left to the node that opens them: between two that agreed on it (feature `checksums`), pieces of
//! a large packet travel with the sum of the pseudo header only. What seals a packet shows any damage on the way, and the
//! device of the other side takes packets joined again, without their sums.

use crate::dataplane::ip::{
    self, DF, PLAIN_V4, TCP, UDP, V4_FRAGMENT, V4_HEADER, V4_LENGTH, V4_PROTOCOL, V6_HEADER, V6_LENGTH, V6_NEXT,
};
use crate::dataplane::offload::Checksum;
use crate::dataplane::transport::{TCP_CHECKSUM, TCP_HEADER, UDP_CHECKSUM, UDP_HEADER, UDP_LENGTH};
use crate::packet::Packet;

/// Where an IP packet has its checksum, if that can be left out: TCP or UDP right behind an IPv6 header or one of IPv4 without
/// options, no fragment, nothing behind its end.
pub(crate) fn place(packet: &[u8]) -> Option<Checksum> {
    let checksum = place_in(packet)?;
    let start = usize::from(checksum.start);
    let (announced, before) = if start == V4_HEADER { (V4_LENGTH, 0) } else { (V6_LENGTH, V6_HEADER) };
    let covered = packet.get(start..)?;
    let is_whole = usize::from(ip::word(packet, announced)?) + before == packet.len();
    let is_sound = if usize::from(checksum.offset) == TCP_CHECKSUM {
        covered.len() >= TCP_HEADER
    } else {
        covered.len() >= UDP_HEADER && usize::from(ip::word(covered, UDP_LENGTH)?) == covered.len()
    };
    (is_whole && is_sound).then_some(checksum)
}

/// The same by its headers, whatever its length.
pub(crate) fn place_in(packet: &[u8]) -> Option<Checksum> {
    let (protocol, start) = match *packet.first()? {
        PLAIN_V4 if ip::word(packet, V4_FRAGMENT)? & !DF == 0 => (ip::byte(packet, V4_PROTOCOL)?, V4_HEADER),
        first if first >> 4 == 6 => (ip::byte(packet, V6_NEXT)?, V6_HEADER),
        _ => return None,
    };
    let offset = match protocol {
        TCP => TCP_CHECKSUM,
        UDP => UDP_CHECKSUM,
        _ => return None,
    };
    Some(Checksum { start: start as u16, offset: offset as u16 })
}

/// Makes the checksum of an unsummed packet.
pub fn complete(packet: &mut Packet) {
    if !packet.is_unsummed() {
        return;
    }
    if let Some(checksum) = place(packet.payload()) {
        fill_in(packet.payload_mut(), checksum);
    }
    packet.set_unsummed(false);
}

/// Fills in a checksum whose field holds the sum of the pseudo header.
pub(super) fn fill_in(packet: &mut [u8], checksum: Checksum) {
    let Some(covered) = packet.get_mut(usize::from(checksum.start)..) else { return };
    let sum = !ip::folded(u64::from(ip::folded_sum(covered)));
    // A UDP checksum of 0 would mean that there is none; for TCP both zeros are alike (RFC 768, 1071).
    ip::set_word(covered, usize::from(checksum.offset), if sum == 0 { 0xffff } else { sum });
}
