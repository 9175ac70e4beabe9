//! `Flow`: of which conversation an IP packet is a part, read from its headers.

use crate::dataplane::ip::{
    self, Family, ICMP, ICMPV6, MF, OFFSET, TCP, UDP, V4_FRAGMENT, V4_ID, V4_PROTOCOL, V6_HEADER, V6_NEXT,
};
use crate::dataplane::transport::TCP_FLAGS;
use crate::subnet::Address;

/// Extension headers of IPv6 that are read, at most.
const MAX_EXTENSIONS: usize = 8;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
/// Length of a fragment header of IPv6.
const FRAGMENT_HEADER: usize = 8;
/// In the fragment word of IPv6: more fragments, and the offset.
const V6_MORE: u16 = 1;
const V6_OFFSET: u16 = 0xfff8;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// An ICMP error quotes the packet that it is about behind so many bytes.
const ICMP_HEADER: usize = 8;

/// What a packet is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow<'a> {
    /// Source address, as IPv6 has it.
    pub(super) source: u128,
    /// Destination address.
    pub(super) destination: u128,
    /// Protocol number.
    pub(super) protocol: u8,
    pub(super) part: Part<'a>,
    pub(super) fragment: Fragment,
}

/// What of a conversation a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// TCP or UDP.
    Ports {
        source: u16,
        destination: u16,
        /// Whether it asks for a connection of TCP.
        opens: bool,
    },
    /// An echo request.
    Echo(u16),
    /// An echo reply.
    EchoReply(u16),
    /// An ICMP error, and what it quotes.
    Error(&'a [u8]),
    /// Other ICMP, by its type.
    Control(u8),
    /// Another protocol.
    Other,
    /// A later fragment.
    Later,
    /// Its header is not whole.
    Broken,
}

/// Whether a packet is a piece of a larger one, which has this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragment {
    Whole,
    First(u32),
    Later(u32),
}

impl<'a> Flow<'a> {
    /// Reads a packet of this family; `None`: its IP header is not whole.
    pub(super) fn of(family: Family, packet: &'a [u8]) -> Option<Self> {
        let (source, destination) = (bits(family.source(packet)?), bits(family.destination(packet)?));
        let (protocol, fragment, data) = match family {
            Family::V4 => v4(packet)?,
            Family::V6 => v6(packet)?,
        };
        let part = match (fragment, data) {
            (Fragment::Later(_), _) => Part::Later,
            (_, None) => Part::Broken,
            (Fragment::Whole | Fragment::First(_), Some(data)) => part(protocol, data).unwrap_or(Part::Broken),
        };
        Some(Self { source, destination, protocol, part, fragment })
    }
}

fn bits(address: Address) -> u128 {
    match address {
        Address::V4(address) => address.to_ipv6_mapped().to_bits(),
        Address::V6(address) => address.to_bits(),
        Address::Mac(_) => 0,
    }
}

/// Protocol, fragment and data of a packet.
type Inner<'a> = (u8, Fragment, Option<&'a [u8]>);

fn v4(packet: &[u8]) -> Option<Inner<'_>> {
    let word = ip::word(packet, V4_FRAGMENT)?;
    let id = u32::from(ip::word(packet, V4_ID)?);
    let fragment = fragment(word & OFFSET, word & MF, id);
    Some((ip::byte(packet, V4_PROTOCOL)?, fragment, ip::v4_header_len(packet).and_then(|len| packet.get(len..))))
}

fn v6(packet: &[u8]) -> Option<Inner<'_>> {
    let mut protocol = ip::byte(packet, V6_NEXT)?;
    let mut data = packet.get(V6_HEADER..)?;
    let mut found = Fragment::Whole;
    for _ in 0..MAX_EXTENSIONS {
        let len = match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION => 8 + 8 * ip::byte(data, 1).map_or(0, usize::from),
            FRAGMENT => FRAGMENT_HEADER,
            _ => return Some((protocol, found, Some(data))),
        };
        if protocol == FRAGMENT {
            let (Some(word), Some(id)) = (ip::word(data, 2), data.get(4..).and_then(<[u8]>::first_chunk)) else {
                return Some((protocol, found, None));
            };
            found = fragment(word & V6_OFFSET, word & V6_MORE, u32::from_be_bytes(*id));
        }
        let (Some(next), Some(rest)) = (ip::byte(data, 0), data.get(len..)) else {
            return Some((protocol, found, None));
        };
        (protocol, data) = (next, rest);
        if let Fragment::Later(_) = found {
            return Some((protocol, found, None));
        }
    }
    Some((protocol, found, None))
}

const fn fragment(offset: u16, more: u16, id: u32) -> Fragment {
    match (offset, more) {
        (0, 0) => Fragment::Whole,
        (0, _) => Fragment::First(id),
        _ => Fragment::Later(id),
    }
}

fn part(protocol: u8, data: &[u8]) -> Option<Part<'_>> {
    Some(match protocol {
        TCP | UDP => {
            let opens = protocol == TCP && ip::byte(data, TCP_FLAGS)? & (SYN | ACK) == SYN;
            Part::Ports { source: ip::word(data, 0)?, destination: ip::word(data, 2)?, opens }
        }
        ICMP => match ip::byte(data, 0)? {
            8 => Part::Echo(ip::word(data, 4)?),
            0 => Part::EchoReply(ip::word(data, 4)?),
            3 | 4 | 11 | 12 => Part::Error(data.get(ICMP_HEADER..)?),
            kind => Part::Control(kind),
        },
        ICMPV6 => match ip::byte(data, 0)? {
            128 => Part::Echo(ip::word(data, 4)?),
            129 => Part::EchoReply(ip::word(data, 4)?),
            1..=4 => Part::Error(data.get(ICMP_HEADER..)?),
            kind => Part::Control(kind),
        },
        _ => Part::Other,
    })
}

#[cfg(test)]
mod tests;
