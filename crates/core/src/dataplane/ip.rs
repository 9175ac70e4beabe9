//! Reading IP headers, and the internet checksum (RFC 791, 1071, 1624, 8200).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::subnet::Address;

/// First byte of an IPv4 packet without options.
pub(super) const PLAIN_V4: u8 = 0x45;
/// Length of an IPv4 header without options, in bytes.
pub(super) const V4_HEADER: usize = 20;
/// Length of an IPv6 header, in bytes.
pub(super) const V6_HEADER: usize = 40;
/// Where an IPv4 header has its total length.
pub(super) const V4_LENGTH: usize = 2;
/// Where an IPv4 header has its id.
pub(super) const V4_ID: usize = 4;
/// Where an IPv4 header has its flags and fragment offset.
pub(super) const V4_FRAGMENT: usize = 6;
/// Where an IPv4 header has its TTL.
pub(super) const V4_TTL: usize = 8;
/// Where an IPv4 header has its protocol.
pub(super) const V4_PROTOCOL: usize = 9;
/// Where an IPv4 header has its checksum.
pub(super) const V4_CHECKSUM: usize = 10;
/// Where an IPv4 header has its source.
pub(super) const V4_SOURCE: usize = 12;
/// Where an IPv6 header has the length of what follows it.
pub(super) const V6_LENGTH: usize = 4;
/// Where an IPv6 header has its next header.
pub(super) const V6_NEXT: usize = 6;
/// Where an IPv6 header has its hop limit.
pub(super) const V6_HOPS: usize = 7;
/// Where an IPv6 header has its source.
pub(super) const V6_SOURCE: usize = 8;
/// "Don't fragment", in the fragment word.
pub(super) const DF: u16 = 0x4000;
/// "More fragments", in the fragment word.
pub(super) const MF: u16 = 0x2000;
/// The fragment offset, in the fragment word; its unit is 8 bytes.
pub(super) const OFFSET: u16 = 0x1fff;
/// Protocol number of ICMP.
pub(super) const ICMP: u8 = 1;
/// Protocol number of IPv4 in IP.
pub(super) const IPIP: u8 = 4;
/// Protocol number of TCP.
pub(super) const TCP: u8 = 6;
/// Protocol number of UDP.
pub(super) const UDP: u8 = 17;
/// Protocol number of ICMPv6.
pub(super) const ICMPV6: u8 = 58;

/// The family of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family that the first nibble of a packet names.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Some(Self::V4),
            6 => Some(Self::V6),
            _ => None,
        }
    }

    /// The family that an EtherType names.
    pub(super) const fn of_ether_type(ether_type: [u8; 2]) -> Option<Self> {
        match ether_type {
            [0x08, 0x00] => Some(Self::V4),
            [0x86, 0xdd] => Some(Self::V6),
            _ => None,
        }
    }

    /// The source of a packet of this family, if its header is whole.
    pub(super) fn source(self, packet: &[u8]) -> Option<Address> {
        match self {
            Self::V4 => {
                let [.., a, b, c, d, _, _, _, _] = *packet.first_chunk::<V4_HEADER>()?;
                Some(Address::V4(Ipv4Addr::new(a, b, c, d)))
            }
            Self::V6 => {
                let bytes: [u8; 16] = *packet.first_chunk::<V6_HEADER>()?.get(V6_SOURCE..)?.first_chunk()?;
                Some(Address::V6(Ipv6Addr::from(bytes)))
            }
        }
    }

    /// The destination of a packet of this family, if its header is whole.
    pub(super) fn destination(self, packet: &[u8]) -> Option<Address> {
        match self {
            Self::V4 => {
                let header = packet.first_chunk::<V4_HEADER>()?;
                let [.., a, b, c, d] = *header;
                Some(Address::V4(Ipv4Addr::new(a, b, c, d)))
            }
            Self::V6 => {
                let header = packet.first_chunk::<V6_HEADER>()?;
                let bytes: [u8; 16] = *header.last_chunk()?;
                Some(Address::V6(Ipv6Addr::from(bytes)))
            }
        }
    }
}

impl Family {
    /// Type of service or traffic class of a packet of this family, if its header is whole.
    pub(super) fn priority(self, packet: &[u8]) -> Option<u8> {
        match self {
            Self::V4 => packet.first_chunk::<V4_HEADER>().map(|header| header[1]),
            Self::V6 => packet.first_chunk::<V6_HEADER>().map(|header| header[0] << 4 | header[1] >> 4),
        }
    }
}

/// The byte at `at`.
pub(super) fn byte(packet: &[u8], at: usize) -> Option<u8> {
    packet.get(at).copied()
}

/// The 16-bit word at `at`.
pub(super) fn word(packet: &[u8], at: usize) -> Option<u16> {
    packet.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Writes the 16-bit word at `at`, if there is one.
pub(super) fn set_word(packet: &mut [u8], at: usize, value: u16) {
    if let Some(bytes) = packet.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *bytes = value.to_be_bytes();
    }
}

/// Length of an IPv4 header with its options, in bytes, if the packet holds it.
pub(super) fn v4_header_len(packet: &[u8]) -> Option<usize> {
    let len = usize::from(packet.first()? & 0xf) * 4;
    (len >= V4_HEADER && len <= packet.len()).then_some(len)
}

/// Sum of the words of `bytes`, folded to 16 bits; an odd last byte counts as the high half of a word.
///
/// The sum does not depend on the order of bytes, so it is made in words of the machine and turned at the end (RFC 1071).
pub(super) fn folded_sum(bytes: &[u8]) -> u16 {
    let (chunks, rest) = bytes.as_chunks::<16>();
    let mut sums = [0_u64; 4];
    for chunk in chunks {
        for (sum, four) in sums.iter_mut().zip(chunk.as_chunks::<4>().0) {
            *sum += u64::from(u32::from_ne_bytes(*four));
        }
    }
    let (pairs, odd) = rest.as_chunks::<2>();
    let mut sum: u64 = sums.into_iter().map(|sum| (sum & 0xffff_ffff) + (sum >> 32)).sum();
    sum += pairs.iter().map(|pair| u64::from(u16::from_ne_bytes(*pair))).sum::<u64>();
    if let [last] = *odd {
        sum += u64::from(u16::from_ne_bytes([last, 0]));
    }
    u16::from_be(folded(sum))
}

/// A sum with its carries added, in 16 bits.
pub(super) const fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The internet checksum over `parts`, each of which but the last has an even length.
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    !folded(parts.iter().map(|part| u64::from(folded_sum(part))).sum())
}

/// `checksum` after one word under it changed (RFC 1624, equation 3).
pub(super) const fn adjusted(checksum: u16, old: u16, new: u16) -> u16 {
    !folded(!checksum as u64 + !old as u64 + new as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 1071, section 3.
    #[test]
    fn the_sum_is_that_of_the_rfc() {
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6]]), !0xdcfb);
    }

    proptest! {
        #[test]
        fn an_adjusted_checksum_equals_a_recomputed_one(
            mut words in proptest::collection::vec(any::<u16>(), 1..40),
            at in any::<prop::sample::Index>(),
            new in any::<u16>(),
        ) {
            words.push(1);
            let bytes = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
            let before = checksum(&[&bytes(&words)]);
            let at = at.index(words.len() - 1);
            let old = std::mem::replace(&mut words[at], new);
            prop_assert_eq!(adjusted(before, old, new), checksum(&[&bytes(&words)]));
        }
    }
}
