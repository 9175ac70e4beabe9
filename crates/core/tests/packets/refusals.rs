//! Packets that may not pass, and what their sources are told (spec: routing 5, 8, 9).

use etherparse::{Icmpv4Slice, Icmpv6Slice, Ipv4HeaderSlice, Ipv6HeaderSlice};
use tinmesh_core::dataplane::fib::Forwarding;
use tinmesh_core::dataplane::verdict::{DropReason, Punt, Verdict};
use tinmesh_core::time::Instant;
use tinmesh_core::wire::datagram::IDS;

use crate::lab::*;

/// Type, code and second word of the error in an IPv4 packet.
fn v4_error(packet: &[u8]) -> ([u8; 2], u32) {
    let header = Ipv4HeaderSlice::from_slice(packet).unwrap();
    assert_eq!(header.protocol(), etherparse::IpNumber::ICMP);
    let icmp = Icmpv4Slice::from_slice(&packet[20..]).unwrap();
    ([icmp.type_u8(), icmp.code_u8()], u32::from_be_bytes(icmp.bytes5to8()))
}

fn v6_error(packet: &[u8]) -> ([u8; 2], u32) {
    let header = Ipv6HeaderSlice::from_slice(packet).unwrap().to_header();
    assert_eq!(header.next_header, etherparse::IpNumber::IPV6_ICMP);
    let icmp = Icmpv6Slice::from_slice(&packet[40..]).unwrap();
    assert!(icmp.is_checksum_valid(header.source, header.destination));
    ([icmp.type_u8(), icmp.code_u8()], u32::from_be_bytes(icmp.bytes5to8()))
}

#[test]
fn the_device_is_told_why_a_packet_does_not_pass() {
    let unreachable = || Lab::new().with(ALICE, |alice| alice.reachable = false);
    let relayed = || Lab::new().with(ALICE, |alice| alice.via = BOB).policy(|policy| policy.direct_only = true);
    for (mut lab, to, v4_kind, v6_kind) in [
        (Lab::new(), NOBODY, [3, 6], [1, 3]),
        (unreachable(), ALICE, [3, 0], [1, 0]),
        (relayed(), ALICE, [3, 9], [1, 1]),
    ] {
        let (verdict, packet) = lab.outbound(&v4(ME, to, 100));
        assert_eq!((verdict, v4_error(packet.payload())), (Verdict::Deliver, (v4_kind, 0)));
        let (verdict, packet) = lab.outbound(&v6(ME, to, 100));
        assert_eq!((verdict, v6_error(packet.payload())), (Verdict::Deliver, (v6_kind, 0)));
    }
}

#[test]
fn the_announced_mtu_counts_ip_bytes_and_has_a_floor() {
    for (mtu, v4_mtu, v6_mtu) in [(1239, 1225, 1280), (1439, 1425, 1425), (700, 686, 1280), (100, 576, 1280)] {
        let mut lab = Lab::new().with(ALICE, |alice| alice.mtu = mtu);
        let (verdict, packet) = lab.outbound(&v4(ME, ALICE, 1500));
        assert_eq!((verdict, v4_error(packet.payload())), (Verdict::Deliver, ([3, 4], v4_mtu)));
        let (verdict, packet) = lab.outbound(&v6(ME, ALICE, 1500));
        assert_eq!((verdict, v6_error(packet.payload())), (Verdict::Deliver, ([2, 0], v6_mtu)));
    }
}

#[test]
fn a_packet_of_the_announced_size_passes() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.mtu = 1400);
    assert_eq!(lab.outbound(&v4(ME, ALICE, 1386)).0, Verdict::Transmit(target(ALICE)));
    assert_eq!(lab.outbound(&v6(ME, ALICE, 1386)).0, Verdict::Transmit(target(ALICE)));
    assert_eq!(lab.outbound(&v4(ME, ALICE, 1387)).0, Verdict::Deliver);
}

#[test]
fn the_mtu_that_counts_is_that_of_the_relay() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.via = BOB).with(BOB, |bob| bob.mtu = 1239);
    let (_, packet) = lab.outbound(&v4(ME, ALICE, 1300));
    assert_eq!(v4_error(packet.payload()), ([3, 4], 1225));
}

#[test]
fn three_errors_go_out_in_a_second() {
    let mut lab = Lab::new().with(BOB, |bob| bob.reachable = false);
    let nobody = v4_to([10, 9, 0, 1]);
    let floods = [(nobody.clone(), 3), (v4(ME, BOB, 100), 0), (v4(ME, ALICE, 1500), 3), (v6(ME, ALICE, 1500), 0)];

    for (packet, answered) in floods {
        let verdicts: Vec<Verdict> = (0..1_000).map(|_| lab.outbound(&packet).0).collect();
        let (told, rest) = verdicts.split_at(answered);
        assert!(told.iter().all(|verdict| *verdict == Verdict::Deliver), "{told:?}");
        assert!(rest.iter().all(|verdict| *verdict == Verdict::Drop(DropReason::IcmpLimited)), "{answered}");
    }

    assert_eq!(lab.scratch.counters.dropped(DropReason::IcmpLimited), 4_000 - 6);
    lab.scratch.now = Instant::from_micros(1_000_000);
    assert_eq!(lab.outbound(&nobody).0, Verdict::Deliver);
}

#[test]
fn what_others_send_without_end_is_answered_as_rarely() {
    let mut lab = Lab::new();
    let sent =
        (0..1_000).filter(|_| lab.accept(ALICE, 0, &v4(ALICE, NOBODY, 100)).0 == Verdict::Transmit(target(ALICE)));
    assert_eq!(sent.count(), 3);
}

#[test]
fn a_peer_is_told_in_a_sealed_packet() {
    let mut lab = Lab::new();
    for (data, kind) in [(v4(ALICE, NOBODY, 1200), [3, 6]), (v6(ALICE, NOBODY, 1200), [1, 3])] {
        let (verdict, sent) = lab.accept(ALICE, 0, &data);
        assert_eq!(verdict, Verdict::Transmit(target(ALICE)));
        let (record, packet) = lab.opened(ALICE, &sent.payload()[IDS..]);
        assert_eq!(record, 0);
        let error = if packet[0] >> 4 == 4 { v4_error(&packet) } else { v6_error(&packet) };
        assert_eq!(error, (kind, 0));
    }
}

#[test]
fn a_peer_without_keys_is_told_through_the_node() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.session = None);
    let (verdict, packet) = lab.accept(ALICE, 0, &v4(ALICE, NOBODY, 100));
    assert_eq!(verdict, Verdict::Punt(Punt::Plain { owner: ALICE, source: ME }));
    assert_eq!(v4_error(packet.payload()), ([3, 6], 0));
}

#[test]
fn packets_of_others_for_others_pass_as_forwarding_says() {
    let packet = v4(ALICE, BOB, 100);
    let lab = |forwarding| Lab::new().policy(|policy| policy.forwarding = forwarding);

    assert_eq!(lab(Forwarding::Internal).accept(ALICE, 0, &packet).0, Verdict::Transmit(target(BOB)));
    assert_eq!(lab(Forwarding::Kernel).accept(ALICE, 0, &packet).0, Verdict::Deliver);
    let mut off = lab(Forwarding::Off);
    let (verdict, sent) = off.accept(ALICE, 0, &packet);
    assert_eq!(verdict, Verdict::Transmit(target(ALICE)));
    assert_eq!(v4_error(&off.opened(ALICE, &sent.payload()[IDS..]).1), ([3, 9], 0));
    assert_eq!(off.accept(ALICE, 0, &v4(ALICE, ME, 100)).0, Verdict::Deliver);
}

#[test]
fn packets_do_not_go_back_to_where_they_came_from() {
    let mut lab = Lab::new().with(BOB, |bob| bob.via = ALICE);
    assert_eq!(lab.accept(ALICE, 0, &v4(ALICE, ALICE, 100)).0, Verdict::Drop(DropReason::LoopBack));
    assert_eq!(lab.accept(ALICE, 0, &v4(ALICE, BOB, 100)).0, Verdict::Drop(DropReason::RoutingLoop));
}

#[test]
fn only_packets_that_are_passed_on_lose_a_hop() {
    let mut lab = Lab::new().policy(|policy| policy.decrement_ttl = true);
    let mut dying = v4(ALICE, BOB, 100);
    dying[8] = 1;
    let (_, sent) = lab.accept(ALICE, 0, &dying);
    assert_eq!(v4_error(&lab.opened(ALICE, &sent.payload()[IDS..]).1), ([11, 0], 0));

    let (_, sent) = lab.accept(ALICE, 0, &v4(ALICE, BOB, 100));
    assert_eq!(lab.opened(BOB, &sent.payload()[IDS..]).1[8], 63);

    let (verdict, kept) = lab.accept(ALICE, 0, &v4(ALICE, ME, 100));
    assert_eq!((verdict, kept.payload()[8]), (Verdict::Deliver, 64));
    let (_, sent) = lab.outbound(&v4(ME, BOB, 100));
    assert_eq!(lab.opened(BOB, &sent.payload()[IDS..]).1[8], 64);

    let mut everyone = v4_to([224, 0, 0, 1]);
    everyone[8] = 9;
    let (verdict, copy) = lab.accept(ALICE, 0, &everyone);
    assert_eq!((verdict, copy.payload()[8]), (Verdict::Punt(Punt::Broadcast { source: ALICE }), 8));
}
