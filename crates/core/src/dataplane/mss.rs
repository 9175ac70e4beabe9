//! MSS clamping: TCP is told to send no larger segments than the tunnel takes (spec: routing 11).
//!
//! The option is found at any place among the options; tinc only finds it at the first.

use crate::dataplane::ip::{self, Family, IPIP, OFFSET, TCP, V4_FRAGMENT, V4_PROTOCOL, V6_HEADER, V6_NEXT};
use crate::packet::ETHERNET_HEADER;

/// Length of a TCP header without options, in bytes.
const TCP_HEADER: usize = 20;
/// Where a TCP header has its length, in the upper four bits.
const DATA_OFFSET: usize = 12;
/// Where a TCP header has its checksum.
const CHECKSUM: usize = 16;
/// Option kind: end of the list.
const END: u8 = 0;
/// Option kind: padding of one byte.
const NOP: u8 = 1;
/// Option kind: largest segment.
const MSS: u8 = 2;
/// Length of the MSS option, in bytes.
const MSS_LEN: u8 = 4;

/// Lowers the MSS that a TCP packet announces to what fits into frames of `mtu` bytes.
pub(super) fn clamp(packet: &mut [u8], mtu: u16) {
    let Some(start) = tcp_start(packet) else { return };
    let room = usize::from(mtu).checked_sub(ETHERNET_HEADER + start + TCP_HEADER);
    let Some(limit) = room.and_then(|room| u16::try_from(room).ok()) else { return };
    let Some(segment) = packet.get_mut(start..) else { return };
    let Some(at) = find_mss(segment) else { return };
    if ip::word(segment, at).is_some_and(|mss| mss > limit) {
        replace(segment, at, limit);
    }
}

/// Where the TCP header starts: behind IPv4, IPv6 or IPv4 in IPv4.
fn tcp_start(packet: &[u8]) -> Option<usize> {
    match Family::of(packet)? {
        Family::V6 => (ip::byte(packet, V6_NEXT)? == TCP).then_some(V6_HEADER),
        Family::V4 => {
            let outer = ip::v4_header_len(packet)?;
            match ip::byte(packet, V4_PROTOCOL)? {
                TCP => starts_transport(packet).then_some(outer),
                IPIP => inner_tcp_start(packet.get(outer..)?).map(|inner| outer + inner),
                _ => None,
            }
        }
    }
}

fn inner_tcp_start(packet: &[u8]) -> Option<usize> {
    let is_tcp = Family::of(packet)? == Family::V4 && ip::byte(packet, V4_PROTOCOL)? == TCP;
    let start = ip::v4_header_len(packet)?;
    (is_tcp && starts_transport(packet)).then_some(start)
}

/// Whether an IPv4 packet has the transport header: later fragments hold data in its place.
fn starts_transport(packet: &[u8]) -> bool {
    ip::word(packet, V4_FRAGMENT).is_some_and(|word| word & OFFSET == 0)
}

/// Where the value of the MSS option is, if the header with all its options is there.
fn find_mss(segment: &[u8]) -> Option<usize> {
    let len = usize::from(ip::byte(segment, DATA_OFFSET)? >> 4) * 4;
    let header = segment.get(..len)?;
    let mut at = TCP_HEADER;
    loop {
        match *header.get(at)? {
            END => return None,
            NOP => at += 1,
            MSS if *header.get(at + 1)? == MSS_LEN => return header.get(at..at + 4).map(|_| at + 2),
            MSS => return None,
            _ => {
                let len = *header.get(at + 1)?;
                at += usize::from(Some(len).filter(|&len| len >= 2)?);
            }
        }
    }
}

/// Writes a word that may straddle two words of the checksum.
fn replace(segment: &mut [u8], at: usize, value: u16) {
    let words = [at & !1, (at + 1) & !1];
    let before = words.map(|word| ip::word(segment, word).unwrap_or(0));
    ip::set_word(segment, at, value);
    let after = words.map(|word| ip::word(segment, word).unwrap_or(0));
    let Some(mut checksum) = ip::word(segment, CHECKSUM) else { return };
    checksum = ip::adjusted(checksum, before[0], after[0]);
    if words[0] != words[1] {
        checksum = ip::adjusted(checksum, before[1], after[1]);
    }
    ip::set_word(segment, CHECKSUM, checksum);
}
