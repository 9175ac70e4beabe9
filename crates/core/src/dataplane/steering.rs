//! Which queue of a device a packet is written to.
//!
//! Linux reads a flow from the queue to which its other direction was written last. Datagrams of one peer all come to the
//! same worker: if that wrote them to its own queue, it would be left alone with the flows of that peer. So flows are
//! spread over the queues here. The packets of a flow always go to the same queue.

use crate::dataplane::ip::{
    self, Family, MF, OFFSET, TCP, UDP, V4_FRAGMENT, V4_PROTOCOL, V4_SOURCE, V6_HEADER, V6_NEXT, V6_SOURCE,
};

/// An odd number with bits everywhere (2^64 divided by the golden ratio), which spreads what it is multiplied with.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The queue, below `queues`, for a packet whose IP header is at `network`; `None`: it carries no IP.
pub fn queue_of(packet: &[u8], network: Option<usize>, queues: usize) -> usize {
    let packet = network.and_then(|network| packet.get(network..)).unwrap_or_default();
    let hash = flow_hash(packet).unwrap_or(0);
    ((u128::from(hash) * queues as u128) >> u64::BITS) as usize
}

/// A number of the flow of an IP packet: of its addresses, protocol and, where it is not a fragment, ports;
/// `None` if it has none.
pub fn flow_hash(packet: &[u8]) -> Option<u64> {
    let (addresses, protocol, header, is_whole) = match Family::of(packet)? {
        Family::V4 => {
            let fragment = ip::word(packet, V4_FRAGMENT)? & (MF | OFFSET);
            (packet.get(V4_SOURCE..V4_SOURCE + 8)?, V4_PROTOCOL, ip::v4_header_len(packet)?, fragment == 0)
        }
        Family::V6 => (packet.get(V6_SOURCE..V6_SOURCE + 32)?, V6_NEXT, V6_HEADER, true),
    };
    let protocol = packet.get(protocol..=protocol)?;
    let has_ports = is_whole && matches!(protocol, [TCP | UDP]);
    let ports = packet.get(header..header + 4).filter(|_| has_ports).unwrap_or_default();
    Some(hash([addresses, protocol, ports]))
}

/// A number of some bytes, good for spreading and for nothing else.
pub fn hash<const N: usize>(parts: [&[u8]; N]) -> u64 {
    let words = parts.into_iter().flat_map(|part| part.chunks(4));
    let numbers = words.map(|word| word.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    let hash = numbers.fold(0, |hash: u64, number| (hash.rotate_left(23) ^ number).wrapping_mul(SPREAD));
    // The upper bits are the good ones.
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(from: u16, data: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 29, 0, 0, 0, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend(from.to_be_bytes());
        packet.extend([0, 53, 0, 9, 0, 0, data]);
        packet
    }

    #[test]
    fn flows_are_spread_and_each_stays_in_its_queue() {
        for queues in 1..5 {
            let mut of = vec![0; queues];
            for port in 40_000..40_400 {
                let queue = queue_of(&udp(port, 1), Some(0), queues);
                assert_eq!(queue, queue_of(&udp(port, 2), Some(0), queues));
                of[queue] += 1;
            }
            assert!(of.iter().all(|flows| *flows > 300 / queues), "{of:?}");
        }
    }

    #[test]
    fn fragments_of_a_packet_go_together_and_what_is_no_ip_goes_somewhere() {
        let fragment = |port, more: u8| {
            let mut packet = udp(port, 1);
            packet[V4_FRAGMENT] = more;
            packet
        };
        let queues = 1_000;
        assert_eq!(queue_of(&fragment(1, 0x20), Some(0), queues), queue_of(&fragment(2, 0x20), Some(0), queues));
        for odd in [&[][..], &[0x45], &[0x60; 20], &[7; 60], &udp(1, 1)[..19]] {
            assert_eq!(queue_of(odd, Some(0), queues), 0);
        }
        assert_eq!((queue_of(&udp(1, 1), None, queues), queue_of(&udp(1, 1), Some(99), queues)), (0, 0));
    }
}
