//! Cutting an IPv4 packet without DF that is larger than its way allows (spec: routing 10).

use crate::dataplane::ip::{self, Family, MF, OFFSET, V4_CHECKSUM, V4_FRAGMENT, V4_HEADER, V4_LENGTH};
use crate::dataplane::verdict::DropReason;
use crate::packet::Packet;

/// Fragments start at multiples of so many bytes.
const UNIT: usize = 8;

/// Whether a packet can be cut: IPv4, no options, and as long as it says.
pub(super) fn check(packet: &[u8]) -> Result<(), DropReason> {
    if Family::of(packet) != Some(Family::V4) || ip::v4_header_len(packet) != Some(V4_HEADER) {
        return Err(DropReason::TooLong);
    }
    if ip::word(packet, V4_LENGTH).map(usize::from) != Some(packet.len()) {
        return Err(DropReason::BadLength);
    }
    Ok(())
}

/// Cuts an IPv4 packet into fragments of at most `max_ip_len` bytes, headers included.
///
/// None come of a packet that cannot be cut: with options, or with another length than it says.
pub(crate) fn split(packet: &[u8], max_ip_len: usize) -> impl Iterator<Item = Packet> {
    let room = max_ip_len.saturating_sub(V4_HEADER) / UNIT * UNIT;
    let data = match packet.split_at_checked(V4_HEADER) {
        Some((_, data)) if room > 0 && check(packet).is_ok() => data,
        Some(_) | None => &[],
    };
    let header = packet.first_chunk::<V4_HEADER>().copied().unwrap_or_default();
    data.chunks(room.max(UNIT)).enumerate().filter_map(move |(index, part)| {
        let start = index * room;
        fragment(header, part, start, start + part.len() == data.len())
    })
}

fn fragment(mut header: [u8; V4_HEADER], part: &[u8], start: usize, last: bool) -> Option<Packet> {
    let word = ip::word(&header, V4_FRAGMENT)?;
    let offset = usize::from(word & OFFSET) + start / UNIT;
    let offset = u16::try_from(offset).ok().filter(|&offset| offset <= OFFSET)?;
    let more = if last { 0 } else { MF };
    ip::set_word(&mut header, V4_LENGTH, (V4_HEADER + part.len()) as u16);
    ip::set_word(&mut header, V4_FRAGMENT, word & !OFFSET | more | offset);
    ip::set_word(&mut header, V4_CHECKSUM, 0);
    let checksum = ip::checksum(&[&header]);
    ip::set_word(&mut header, V4_CHECKSUM, checksum);
    let mut packet = Packet::from_payload(part);
    packet.push_front(&header).then_some(packet)
}

#[cfg(test)]
mod tests {
    use etherparse::defrag::IpDefragPool;
    use etherparse::{Ipv4Header, SlicedPacket};
    use proptest::prelude::*;

    use super::*;

    fn v4(data: &[u8]) -> Vec<u8> {
        let mut ip =
            Ipv4Header::new(data.len() as u16, 64, etherparse::IpNumber::UDP, [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
        ip.dont_fragment = false;
        ip.identification = 0x1234;
        ip.header_checksum = ip.calc_header_checksum();
        let mut packet = Vec::new();
        ip.write(&mut packet).unwrap();
        packet.extend_from_slice(data);
        packet
    }

    fn headers(packet: &[u8], max_ip_len: usize) -> Vec<(u16, u16, bool)> {
        let header = |fragment: Packet| {
            let header = Ipv4Header::from_slice(fragment.payload()).unwrap().0;
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!(usize::from(header.total_len), fragment.len());
            (header.total_len - 20, header.fragment_offset.value(), header.more_fragments)
        };
        split(packet, max_ip_len).map(header).collect()
    }

    #[test]
    fn a_full_packet_makes_two_fragments() {
        assert_eq!(headers(&v4(&[7; 1480]), 1225), [(1200, 0, true), (280, 150, false)]);
    }

    #[test]
    fn a_fragment_in_the_middle_stays_there() {
        let mut packet = v4(&[7; 1480]);
        packet[6..8].copy_from_slice(&[0x20, 100]);
        assert_eq!(headers(&packet, 1225), [(1200, 100, true), (280, 250, true)]);
    }

    #[test]
    fn what_cannot_be_cut_is_not() {
        let mut options = v4(&[7; 1480]);
        options[0] = 0x46;
        assert_eq!(check(&options), Err(DropReason::TooLong));
        let mut short = v4(&[7; 1480]);
        short.truncate(1400);
        assert_eq!(check(&short), Err(DropReason::BadLength));
        assert_eq!(check(&[0x60; 40]), Err(DropReason::TooLong));
        for packet in [&options[..], &short, &[0x60; 40], &[]] {
            assert_eq!(split(packet, 576).count(), 0);
        }
        assert_eq!(split(&v4(&[7; 1480]), 27).count(), 0);
    }

    #[test]
    fn no_fragment_starts_beyond_the_largest_offset() {
        let mut packet = v4(&[7; 1480]);
        packet[6..8].copy_from_slice(&[0x1f, 0xff]);
        assert_eq!(headers(&packet, 1225), [(1200, 0x1fff, true)]);
    }

    proptest! {
        #[test]
        fn fragments_make_the_packet_again(
            data in proptest::collection::vec(any::<u8>(), 1..2000),
            max_ip_len in 28..1600_usize,
        ) {
            let packet = v4(&data);
            let fragments: Vec<Packet> = split(&packet, max_ip_len).collect();
            prop_assert!(fragments.iter().all(|fragment| fragment.len() <= max_ip_len));
            if fragments.len() == 1 {
                prop_assert_eq!(fragments[0].payload(), &packet[..]);
                return Ok(());
            }
            let mut pool = IpDefragPool::<(), ()>::new();
            let mut whole = None;
            for fragment in &fragments {
                prop_assert!(whole.is_none());
                let sliced = SlicedPacket::from_ip(fragment.payload()).unwrap();
                whole = pool.process_sliced_packet(&sliced, (), ()).unwrap();
            }
            prop_assert_eq!(whole.unwrap().payload, data);
        }
    }
}
