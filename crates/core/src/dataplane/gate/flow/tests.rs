use etherparse::{IpNumber, Ipv4Header, PacketBuilder};
use proptest::prelude::*;

use super::*;

const HERE: [u8; 4] = [10, 0, 0, 1];
const THERE: [u8; 4] = [10, 1, 0, 5];

fn of(packet: &[u8]) -> Option<Flow<'_>> {
    Flow::of(Family::of(packet)?, packet)
}

fn tcp(syn: bool, ack: bool) -> Vec<u8> {
    let mut builder = PacketBuilder::ipv4(HERE, THERE, 64).tcp(1000, 22, 7, 1024);
    if syn {
        builder = builder.syn();
    }
    if ack {
        builder = builder.ack(1);
    }
    let mut packet = Vec::new();
    builder.write(&mut packet, &[]).unwrap();
    packet
}

/// An IPv6 packet whose header is followed by `next` and this data.
fn v6_packet(next: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = (data.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0, high, low, next, 64], &[1; 16][..], &[2; 16], data].concat()
}

/// A fragment of an IPv4 packet of UDP.
fn piece(offset: u16, more: bool) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(HERE, THERE, 64).udp(1000, 53).write(&mut packet, &[0; 32]).unwrap();
    let mut header = Ipv4Header::from_slice(&packet).unwrap().0;
    header.identification = 77;
    header.dont_fragment = false;
    header.more_fragments = more;
    header.fragment_offset = offset.try_into().unwrap();
    let mut out = Vec::new();
    header.write(&mut out).unwrap();
    out.extend_from_slice(&packet[20..]);
    out
}

#[test]
fn the_first_packet_of_a_connection_is_told_from_others() {
    for (syn, ack) in [(true, false), (true, true), (false, true), (false, false)] {
        let packet = tcp(syn, ack);
        let flow = of(&packet).unwrap();
        assert_eq!(flow.part, Part::Ports { source: 1000, destination: 22, opens: syn && !ack });
        assert_eq!((flow.protocol, flow.fragment), (TCP, Fragment::Whole));
        assert_eq!(flow.source, 0xffff_0a00_0001);
        assert_eq!(flow.destination, 0xffff_0a01_0005);
    }
}

#[test]
fn pings_and_errors_are_known() {
    let echo = |reply: bool| {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4(HERE, THERE, 64);
        let builder = if reply { builder.icmpv4_echo_reply(9, 1) } else { builder.icmpv4_echo_request(9, 1) };
        builder.write(&mut packet, &[]).unwrap();
        packet
    };
    assert_eq!(of(&echo(false)).unwrap().part, Part::Echo(9));
    assert_eq!(of(&echo(true)).unwrap().part, Part::EchoReply(9));
    let quoted = tcp(false, true);
    let error = [&[3, 4, 0, 0, 0, 0, 5, 120][..], &quoted].concat();
    let mut packet = Vec::new();
    PacketBuilder::ipv4(THERE, HERE, 64).write(&mut packet, IpNumber::ICMP, &error).unwrap();
    assert_eq!(of(&packet).unwrap().part, Part::Error(&quoted));
    let v6 = |kind: u8| v6_packet(ICMPV6, &[kind, 0, 0, 0, 0, 9, 0, 0, 0x60]);
    assert_eq!(of(&v6(128)).unwrap().part, Part::Echo(9));
    assert_eq!(of(&v6(129)).unwrap().part, Part::EchoReply(9));
    assert_eq!(of(&v6(2)).unwrap().part, Part::Error(&[0x60]));
    assert_eq!(of(&v6(134)).unwrap().part, Part::Control(134));
}

#[test]
fn pieces_are_known_by_their_id() {
    let ports = Part::Ports { source: 1000, destination: 53, opens: false };
    let read = |packet: &[u8]| of(packet).map(|flow| (flow.fragment, flow.part == ports, flow.part == Part::Later));
    assert_eq!(read(&piece(0, false)), Some((Fragment::Whole, true, false)));
    assert_eq!(read(&piece(0, true)), Some((Fragment::First(77), true, false)));
    assert_eq!(read(&piece(5, true)), Some((Fragment::Later(77), false, true)));
    assert_eq!(read(&piece(5, false)), Some((Fragment::Later(77), false, true)));
}

#[test]
fn extension_headers_are_skipped() {
    let udp = [0x03, 0xe8, 0, 53, 0, 8, 0, 0];
    let options = [FRAGMENT, 0, 1, 4, 0, 0, 0, 0];
    let first = [UDP, 0, 0, 1, 0, 1, 2, 3];
    let packet = v6_packet(HOP_BY_HOP, &[&options[..], &first, &udp].concat());
    let flow = of(&packet).unwrap();
    assert_eq!((flow.protocol, flow.fragment), (UDP, Fragment::First(0x0001_0203)));
    assert_eq!(flow.part, Part::Ports { source: 1000, destination: 53, opens: false });
    let later = [UDP, 0, 0, 8, 0, 1, 2, 3];
    let packet = v6_packet(FRAGMENT, &[&later[..], &udp].concat());
    let flow = of(&packet).unwrap();
    assert_eq!((flow.protocol, flow.fragment, flow.part), (UDP, Fragment::Later(0x0001_0203), Part::Later));
}

#[test]
fn what_is_cut_off_or_endless_is_broken() {
    let mut short = tcp(true, false);
    short.truncate(30);
    assert_eq!(of(&short).unwrap().part, Part::Broken);
    let endless = [DESTINATION, 0, 1, 4, 0, 0, 0, 0].repeat(MAX_EXTENSIONS + 1);
    assert_eq!(of(&v6_packet(DESTINATION, &endless)).unwrap().part, Part::Broken);
    assert_eq!(of(&v6_packet(DESTINATION, &[UDP, 9, 1, 4])).unwrap().part, Part::Broken);
    assert_eq!(of(&tcp(true, false)[..19]), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120), six: bool) {
        let family = if six { Family::V6 } else { Family::V4 };
        let _ = Flow::of(family, &bytes);
    }

    #[test]
    fn ports_are_those_that_another_parser_finds(source: u16, destination: u16, hop_by_hop: bool) {
        let udp = [source.to_be_bytes(), destination.to_be_bytes(), [0, 8], [0, 0]].concat();
        let options = [UDP, 0, 1, 4, 0, 0, 0, 0];
        let packet = match hop_by_hop {
            true => v6_packet(HOP_BY_HOP, &[&options[..], &udp].concat()),
            false => v6_packet(UDP, &udp),
        };
        let sliced = etherparse::SlicedPacket::from_ip(&packet).unwrap();
        let Some(etherparse::TransportSlice::Udp(udp)) = sliced.transport else { panic!("it is UDP") };
        let part = Part::Ports { source: udp.source_port(), destination: udp.destination_port(), opens: false };
        prop_assert_eq!(of(&packet).unwrap().part, part);
    }
}
