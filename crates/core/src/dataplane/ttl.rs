//! `DecrementTTL`: a packet that is passed on loses one hop of life (spec: routing 9).

use crate::dataplane::ip::{self, Family, ICMP, ICMPV6, V4_HEADER, V4_PROTOCOL, V4_TTL, V6_HEADER, V6_HOPS, V6_NEXT};

/// ICMP type of "time exceeded".
const TIME_EXCEEDED: u8 = 11;
/// ICMPv6 type of "time exceeded".
const TIME_EXCEEDED_V6: u8 = 3;

/// What is left of a packet's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It goes on.
    Left,
    /// It ends, and its source is told.
    Expired,
    /// It ends; as it says itself that something expired, nobody is told.
    Silent,
}

/// Takes one hop of a packet's life.
pub(super) fn decrement(family: Family, packet: &mut [u8]) -> Life {
    match family {
        Family::V4 => decrement_v4(packet),
        Family::V6 => decrement_v6(packet),
    }
}

fn decrement_v4(packet: &mut [u8]) -> Life {
    let Some(header) = packet.first_chunk_mut::<V4_HEADER>() else { return Life::Left };
    let ttl = header[V4_TTL];
    if ttl <= 1 {
        return if is_time_exceeded_v4(packet) { Life::Silent } else { Life::Expired };
    }
    let old = u16::from_be_bytes([ttl, header[V4_PROTOCOL]]);
    let new = u16::from_be_bytes([ttl - 1, header[V4_PROTOCOL]]);
    header[V4_TTL] = ttl - 1;
    if let Some(checksum) = ip::word(header, ip::V4_CHECKSUM) {
        ip::set_word(header, ip::V4_CHECKSUM, ip::adjusted(checksum, old, new));
    }
    Life::Left
}

fn is_time_exceeded_v4(packet: &[u8]) -> bool {
    let kind = ip::v4_header_len(packet).and_then(|len| ip::byte(packet, len));
    ip::byte(packet, V4_PROTOCOL) == Some(ICMP) && kind == Some(TIME_EXCEEDED)
}

fn decrement_v6(packet: &mut [u8]) -> Life {
    let is_time_exceeded =
        ip::byte(packet, V6_NEXT) == Some(ICMPV6) && ip::byte(packet, V6_HEADER) == Some(TIME_EXCEEDED_V6);
    match packet.get_mut(V6_HOPS) {
        Some(0 | 1) if is_time_exceeded => Life::Silent,
        Some(0 | 1) => Life::Expired,
        Some(hops) => {
            *hops -= 1;
            Life::Left
        }
        None => Life::Left,
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{Ipv4HeaderSlice, PacketBuilder};
    use proptest::prelude::*;

    use super::*;

    fn built(builder: etherparse::PacketBuilderStep<etherparse::IpHeaders>, protocol: u8, data: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        builder.write(&mut packet, protocol.into(), data).unwrap();
        packet
    }

    fn v4(ttl: u8, protocol: u8, data: &[u8]) -> Vec<u8> {
        built(PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], ttl), protocol, data)
    }

    fn v6(hops: u8, next: u8, data: &[u8]) -> Vec<u8> {
        built(PacketBuilder::ipv6([1; 16], [2; 16], hops), next, data)
    }

    #[test]
    fn a_packet_with_two_hops_left_is_passed_on_with_one() {
        let mut packet = v4(2, 17, &[0; 8]);
        assert_eq!(decrement(Family::V4, &mut packet), Life::Left);
        assert_eq!(packet, v4(1, 17, &[0; 8]));

        let mut packet = v6(2, 17, &[0; 8]);
        assert_eq!(decrement(Family::V6, &mut packet), Life::Left);
        assert_eq!(packet, v6(1, 17, &[0; 8]));
    }

    #[test]
    fn a_packet_on_its_last_hop_expires() {
        for ttl in [0, 1] {
            assert_eq!(decrement(Family::V4, &mut v4(ttl, 17, &[0; 8])), Life::Expired);
            assert_eq!(decrement(Family::V6, &mut v6(ttl, 17, &[0; 8])), Life::Expired);
        }
    }

    #[test]
    fn time_exceeded_messages_expire_silently() {
        assert_eq!(decrement(Family::V4, &mut v4(1, ICMP, &[11, 0, 0, 0, 0, 0, 0, 0])), Life::Silent);
        assert_eq!(decrement(Family::V4, &mut v4(1, ICMP, &[8, 0, 0, 0, 0, 0, 0, 0])), Life::Expired);
        assert_eq!(decrement(Family::V6, &mut v6(1, ICMPV6, &[3, 0, 0, 0, 0, 0, 0, 0])), Life::Silent);
        assert_eq!(decrement(Family::V6, &mut v6(1, ICMPV6, &[128, 0, 0, 0, 0, 0, 0, 0])), Life::Expired);
    }

    proptest! {
        #[test]
        fn the_checksum_stays_right(ttl in 2..=255_u8, protocol: u8, source: [u8; 4], destination: [u8; 4]) {
            let mut packet = built(PacketBuilder::ipv4(source, destination, ttl), protocol, &[1, 2, 3]);
            prop_assert_eq!(decrement(Family::V4, &mut packet), Life::Left);
            let header = Ipv4HeaderSlice::from_slice(&packet).unwrap().to_header();
            prop_assert_eq!(header.time_to_live, ttl - 1);
            prop_assert_eq!(header.header_checksum, header.calc_header_checksum());
        }
    }
}
