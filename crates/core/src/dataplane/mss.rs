//! MSS clamping: TCP is told to send no larger segments than the tunnel takes (spec: routing 11).
//!
//! The option is found at any place among the options; tinc only finds it at the first.

use crate::dataplane::ip::{self, Family, IPIP, OFFSET, TCP, V4_FRAGMENT, V4_PROTOCOL, V6_HEADER, V6_NEXT};
use crate::dataplane::transport::{TCP_CHECKSUM, TCP_HEADER, TCP_OFFSET};
use crate::packet::ETHERNET_HEADER;

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
    let len = usize::from(ip::byte(segment, TCP_OFFSET)? >> 4) * 4;
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
    let Some(mut checksum) = ip::word(segment, TCP_CHECKSUM) else { return };
    checksum = ip::adjusted(checksum, before[0], after[0]);
    if words[0] != words[1] {
        checksum = ip::adjusted(checksum, before[1], after[1]);
    }
    ip::set_word(segment, TCP_CHECKSUM, checksum);
}

#[cfg(test)]
mod tests {
    use etherparse::{Ipv4Header, Ipv6Header, SlicedPacket, TcpHeader, TcpOptionElement, TransportSlice};
    use proptest::prelude::*;

    use super::*;

    const A: [u8; 4] = [10, 1, 0, 1];
    const B: [u8; 4] = [10, 2, 0, 5];

    fn tcp(options: &[u8]) -> TcpHeader {
        let mut header = TcpHeader::new(1000, 80, 7, 8000);
        header.syn = true;
        header.set_options_raw(options).unwrap();
        header
    }

    fn mss(value: u16) -> Vec<u8> {
        let [high, low] = value.to_be_bytes();
        vec![MSS, MSS_LEN, high, low]
    }

    fn v4(options: &[u8]) -> Vec<u8> {
        let mut tcp = tcp(options);
        let ip = Ipv4Header::new(tcp.header_len() as u16, 64, etherparse::IpNumber::TCP, A, B).unwrap();
        tcp.checksum = tcp.calc_checksum_ipv4(&ip, &[]).unwrap();
        let mut packet = Vec::new();
        ip.write(&mut packet).unwrap();
        tcp.write(&mut packet).unwrap();
        packet
    }

    fn v6(options: &[u8]) -> Vec<u8> {
        let mut tcp = tcp(options);
        let ip = Ipv6Header {
            payload_length: tcp.header_len() as u16,
            next_header: etherparse::IpNumber::TCP,
            hop_limit: 64,
            source: [1; 16],
            destination: [2; 16],
            ..Ipv6Header::default()
        };
        tcp.checksum = tcp.calc_checksum_ipv6(&ip, &[]).unwrap();
        let mut packet = Vec::new();
        ip.write(&mut packet).unwrap();
        tcp.write(&mut packet).unwrap();
        packet
    }

    fn in_ipv4(inner: &[u8]) -> Vec<u8> {
        let ip = Ipv4Header::new(inner.len() as u16, 64, etherparse::IpNumber::IPV4, A, B).unwrap();
        let mut packet = Vec::new();
        ip.write(&mut packet).unwrap();
        packet.extend_from_slice(inner);
        packet
    }

    fn with_ip_options(packet: &[u8]) -> Vec<u8> {
        let mut packet = [&packet[..20], &[1, 1, 1, 0], &packet[20..]].concat();
        packet[0] = 0x46;
        packet
    }

    fn clamped(mut packet: Vec<u8>, mtu: u16) -> Vec<u8> {
        clamp(&mut packet, mtu);
        packet
    }

    fn checksum_is_right(packet: &[u8]) -> bool {
        let sliced = SlicedPacket::from_ip(packet).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
        let header = tcp.to_header();
        let sum = match sliced.net.unwrap() {
            etherparse::NetSlice::Ipv4(ip) => header.calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()),
            etherparse::NetSlice::Ipv6(ip) => header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload()),
            etherparse::NetSlice::Arp(_) => panic!("not IP"),
        };
        header.checksum == sum.unwrap()
    }

    #[test]
    fn a_segment_fits_its_frame() {
        assert_eq!(clamped(v4(&mss(1460)), 1239), v4(&mss(1185)));
        assert_eq!(clamped(v6(&mss(1440)), 1239), v6(&mss(1165)));
        assert_eq!(clamped(in_ipv4(&v4(&mss(1460))), 1239), in_ipv4(&v4(&mss(1165))));
        assert_eq!(clamped(with_ip_options(&v4(&mss(1460))), 1239), with_ip_options(&v4(&mss(1181))));
    }

    #[test]
    fn smaller_announcements_stay() {
        assert_eq!(clamped(v4(&mss(500)), 1239), v4(&mss(500)));
        assert_eq!(clamped(v4(&mss(1460)), 1518), v4(&mss(1460)));
        assert_eq!(clamped(v4(&mss(1460)), 20), v4(&mss(1460)));
    }

    #[test]
    fn the_option_may_be_anywhere() {
        let behind = |options: &[u8], value| v4(&[options, &mss(value)].concat());
        let sack = [4, 2];
        let window = [1, 3, 3, 7];
        for options in [&sack[..], &window, &[1], &[1, 1, 1], &[8, 10, 0, 0, 0, 1, 0, 0, 0, 2]] {
            assert_eq!(clamped(behind(options, 1460), 1239), behind(options, 1185));
        }
    }

    #[test]
    fn malformed_options_end_the_search() {
        for options in
            [&[0, 0, 2, 4, 9, 9][..], &[3, 0, 2, 4, 9, 9], &[3, 1, 2, 4, 9, 9], &[2, 3, 9, 9], &[3, 200, 2, 4]]
        {
            assert_eq!(clamped(v4(options), 590), v4(options));
        }
    }

    #[test]
    fn later_fragments_are_data() {
        let mut fragment = v4(&mss(1460));
        fragment[7] = 100;
        assert_eq!(clamped(fragment.clone(), 1239), fragment);
    }

    proptest! {
        #[test]
        fn the_checksum_stays_right(
            padding in 0..8_usize, value: u16, mtu in 100..1518_u16, is_v6: bool, tail in 0..8_usize,
        ) {
            let options = [vec![NOP; padding], mss(value), vec![NOP; tail]].concat();
            let packet = if is_v6 { v6(&options) } else { v4(&options) };
            let limit = mtu - if is_v6 { 74 } else { 54 };

            let packet = clamped(packet, mtu);

            prop_assert!(checksum_is_right(&packet));
            let sliced = SlicedPacket::from_ip(&packet).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
            let found = tcp.options_iterator().find_map(|option| match option {
                Ok(TcpOptionElement::MaximumSegmentSize(mss)) => Some(mss),
                Ok(_) | Err(_) => None,
            });
            prop_assert_eq!(found, Some(value.min(limit)));
        }

        #[test]
        fn garbage_does_no_harm(mut packet in proptest::collection::vec(any::<u8>(), 0..120), first in 0..16_u8, mtu: u16) {
            if let Some(byte) = packet.first_mut() {
                *byte = if first < 8 { 0x45 } else { 0x60 | first };
            }
            if packet.len() > 10 {
                packet[6] = TCP;
                packet[9] = if first % 2 == 0 { TCP } else { IPIP };
            }
            let len = packet.len();
            clamp(&mut packet, mtu);
            prop_assert_eq!(packet.len(), len);
        }
    }
}
