//! From the device to the network (spec: routing 5, datagrams 7).

use std::sync::atomic::Ordering::Relaxed;

use tinmesh_core::dataplane::fib::Mode;
use tinmesh_core::dataplane::verdict::{DropReason, Punt, Verdict};
use tinmesh_core::name::{NodeId, PeerId};
use tinmesh_core::wire::datagram::IDS;
use tinmesh_core::wire::options::Options;

use crate::lab::*;

fn plain(owner: PeerId) -> Verdict {
    Verdict::Punt(Punt::Plain { owner, source: ME })
}

#[test]
fn a_packet_for_a_peer_is_sealed_for_it_alone() {
    let mut lab = Lab::new();
    let packet = v4(ME, ALICE, 100);

    let (verdict, sent) = lab.outbound(&packet);

    assert_eq!(verdict, Verdict::Transmit(target(ALICE)));
    let (ids, datagram) = sent.payload().split_at(IDS);
    assert_eq!(ids, [NodeId::NULL.0, id(ME).0].concat());
    assert_eq!(datagram.len(), packet.len() + 21);
    assert_eq!(lab.opened(ALICE, datagram), (0, packet));
}

#[test]
fn a_sent_packet_is_counted_with_its_ethernet_header() {
    let mut lab = Lab::new();

    lab.outbound(&v4(ME, ALICE, 100));
    lab.outbound(&v6(ME, ALICE, 200));

    let (me, alice) = (lab.stats(ME), lab.stats(ALICE));
    assert_eq!((me.in_packets.load(Relaxed), me.in_bytes.load(Relaxed)), (2, 328));
    assert_eq!((alice.out_packets.load(Relaxed), alice.out_bytes.load(Relaxed)), (2, 328));
    assert_eq!(lab.scratch.counters.transmitted, 2);
}

#[test]
fn an_old_peer_gets_no_ids() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.options = Options::default().with_minor(3));
    let packet = v6(ME, ALICE, 100);

    let (verdict, sent) = lab.outbound(&packet);

    assert_eq!(verdict, Verdict::Transmit(target(ALICE)));
    assert_eq!(lab.opened(ALICE, sent.payload()), (0, packet));
}

#[test]
fn a_static_relay_gets_packets_for_those_behind_it() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.via = BOB);
    let packet = v4(ME, ALICE, 100);

    let (verdict, sent) = lab.outbound(&packet);

    assert_eq!(verdict, Verdict::Transmit(target(BOB)));
    let (ids, datagram) = sent.payload().split_at(IDS);
    assert_eq!(ids, [id(ALICE).0, id(ME).0].concat());
    assert_eq!(lab.opened(ALICE, datagram), (0, packet));
}

#[test]
fn the_neighbour_on_the_way_relays_what_does_not_arrive_directly() {
    let unprobed = Lab::new().with(ALICE, |alice| {
        alice.nexthop = CAROL;
        alice.min_mtu = 99;
    });
    let indirect = Lab::new().with(ALICE, |alice| {
        alice.nexthop = CAROL;
        alice.via = ME;
    });
    for mut lab in [unprobed, indirect] {
        let (verdict, sent) = lab.outbound(&v4(ME, ALICE, 100));
        assert_eq!(verdict, Verdict::Transmit(target(CAROL)));
        assert_eq!(sent.payload()[..IDS], [id(ALICE).0, id(ME).0].concat());
    }
}

#[test]
fn a_relay_that_does_not_know_our_address_is_not_sent_datagrams_for_others() {
    let mut lab = Lab::new()
        .with(ALICE, |alice| {
            alice.nexthop = CAROL;
            alice.min_mtu = 0;
        })
        .with(CAROL, |carol| carol.relays_for_us = false);
    assert_eq!(lab.outbound(&v4(ME, ALICE, 100)).0, plain(ALICE));
    assert_eq!(lab.outbound(&v4(ME, CAROL, 100)).0, Verdict::Transmit(target(CAROL)));
}

#[test]
fn the_size_that_counts_is_that_of_the_data() {
    let lab = || Lab::new().with(ALICE, |alice| alice.min_mtu = 100);
    assert_eq!(lab().outbound(&v4(ME, ALICE, 100)).0, Verdict::Transmit(target(ALICE)));
    assert_eq!(lab().outbound(&v4(ME, ALICE, 101)).0, plain(ALICE));
}

#[test]
fn the_size_that_counts_for_a_neighbour_is_that_of_the_frame() {
    let lab = || {
        Lab::new().with(ALICE, |alice| {
            alice.min_mtu = 114;
            alice.neighbour = true;
        })
    };
    assert_eq!(lab().outbound(&v4(ME, ALICE, 100)).0, Verdict::Transmit(target(ALICE)));
    assert_eq!(lab().outbound(&v4(ME, ALICE, 101)).0, plain(ALICE));
}

#[test]
fn what_cannot_go_by_udp_goes_to_the_node_as_it_came() {
    let labs = [
        Lab::new().with(ALICE, |alice| alice.session = None),
        Lab::new().with(ALICE, |alice| alice.udp = None),
        Lab::new().with(ALICE, |alice| alice.udp_confirmed = false),
        Lab::new().with(ALICE, |alice| alice.min_mtu = 0),
        Lab::new().with(ALICE, |alice| alice.options.0 |= Options::TCP_ONLY),
        Lab::new().policy(|policy| policy.tcp_only = true),
        Lab::new().with(ALICE, |alice| alice.via = BOB).with(BOB, |bob| bob.options = Options(0).with_minor(3)),
    ];
    for compression in [0, 6] {
        for mut lab in
            labs.iter().map(|lab| Lab { scratch: Default::default(), fib: lab.fib.clone(), remote: lab.remote.clone() })
        {
            lab = lab.with(ALICE, |alice| alice.compression = compression);
            let packet = v4(ME, ALICE, 100);
            let (verdict, after) = lab.outbound(&packet);
            assert_eq!(verdict, plain(ALICE));
            assert_eq!(after.payload(), packet);
        }
    }
}

#[test]
fn a_packet_that_waits_for_keys_is_counted_when_it_goes() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.session = None);
    lab.outbound(&v4(ME, ALICE, 100));
    assert_eq!(lab.stats(ALICE).out_packets.load(Relaxed), 0);

    let mut lab = lab.with(ALICE, |alice| alice.neighbour = true);
    lab.outbound(&v4(ME, ALICE, 100));
    assert_eq!(lab.stats(ALICE).out_packets.load(Relaxed), 1);
}

#[test]
fn compression_lets_a_packet_through_a_narrower_path() {
    let mut lab = Lab::new().with(ALICE, |alice| {
        alice.compression = 1;
        alice.min_mtu = 200;
    });
    let (verdict, sent) = lab.outbound(&v4(ME, ALICE, 1000));
    assert_eq!(verdict, Verdict::Transmit(target(ALICE)));
    assert!(sent.len() < 200);
    assert_eq!(lab.opened(ALICE, &sent.payload()[IDS..]).0, 1);
}

#[test]
fn everyone_gets_what_is_for_everyone() {
    let mut lab = Lab::new().subnet(None, "10.2.255.255");
    for destination in [[255, 255, 255, 255], [224, 0, 0, 5], [10, 2, 255, 255]] {
        assert_eq!(lab.outbound(&v4_to(destination)).0, Verdict::Punt(Punt::Broadcast { source: ME }));
    }
    let mut lab = lab.policy(|policy| policy.broadcast = tinmesh_core::dataplane::fib::Broadcast::No);
    assert_eq!(lab.outbound(&v4_to([224, 0, 0, 5])).0, Verdict::Drop(DropReason::NoBroadcast));
}

#[test]
fn frames_are_for_everyone_in_switch_and_hub_mode() {
    for mode in [Mode::Switch, Mode::Hub] {
        let mut lab = Lab::new().policy(|policy| policy.mode = mode);
        assert_eq!(lab.outbound(&[0; 60]).0, Verdict::Punt(Punt::Broadcast { source: ME }));
        assert_eq!(lab.outbound(&[0; 13]).0, Verdict::Drop(DropReason::TooShort));
    }
}

#[test]
fn a_packet_for_our_own_network_is_not_sent_back() {
    let mut lab = Lab::new();
    assert_eq!(lab.outbound(&v4(ME, ME, 100)).0, Verdict::Drop(DropReason::LoopBack));
    assert_eq!(lab.outbound(&v6(ME, ME, 100)).0, Verdict::Drop(DropReason::LoopBack));
}

#[test]
fn what_is_no_whole_ip_packet_is_dropped() {
    let mut lab = Lab::new();
    assert_eq!(lab.outbound(&[]).0, Verdict::Drop(DropReason::TooShort));
    assert_eq!(lab.outbound(&[0x45; 19]).0, Verdict::Drop(DropReason::TooShort));
    assert_eq!(lab.outbound(&[0x60; 39]).0, Verdict::Drop(DropReason::TooShort));
    assert_eq!(lab.outbound(&[0x55; 100]).0, Verdict::Drop(DropReason::UnknownProtocol));
    let mut solicitation = v6(ME, ALICE, 100);
    solicitation[6] = 58;
    solicitation[40] = 135;
    assert_eq!(lab.outbound(&solicitation).0, Verdict::Drop(DropReason::UnknownProtocol));
    assert_eq!(lab.scratch.counters.dropped(DropReason::TooShort), 3);
}

#[test]
fn a_packet_without_df_that_is_too_long_must_be_cut() {
    let mut packet = v4(ME, ALICE, 1500);
    packet[6] = 0;
    let mut lab = Lab::new();
    assert_eq!(lab.outbound(&packet).0, Verdict::Punt(Punt::Fragment { owner: ALICE, source: ME }));
    packet[3] = packet[3].wrapping_sub(1);
    assert_eq!(lab.outbound(&packet).0, Verdict::Drop(DropReason::BadLength));
    packet[0] = 0x46;
    assert_eq!(lab.outbound(&packet).0, Verdict::Drop(DropReason::TooLong));
}

/// The start of a TCP connection between two nodes that announces segments of 1,460 bytes.
fn syn(from: PeerId, to: PeerId) -> Vec<u8> {
    let mut syn = Vec::new();
    etherparse::PacketBuilder::ipv4([10, from.0 as u8, 0, 1], [10, to.0 as u8, 0, 5], 64)
        .tcp(1000, 80, 1, 1000)
        .syn()
        .options(&[etherparse::TcpOptionElement::MaximumSegmentSize(1460)])
        .unwrap()
        .write(&mut syn, &[])
        .unwrap();
    syn
}

/// The largest segment that such a packet announces.
fn announced(packet: &[u8]) -> u16 {
    assert_eq!(packet[40..42], [2, 4]);
    u16::from_be_bytes([packet[42], packet[43]])
}

#[test]
fn tcp_is_told_what_fits_on_the_way_to_each_destination() {
    let mut lab = Lab::new().with(ME, |me| me.clamp_mss = true);
    for (peer, mtu) in [(ALICE, 1239), (BOB, 1439)] {
        lab = lab.with(peer, |entry| (entry.clamp_mss, entry.mtu) = (true, mtu));
    }

    for (peer, fits) in [(ALICE, 1185), (BOB, 1385), (ALICE, 1185)] {
        let (_, sent) = lab.outbound(&syn(ME, peer));
        assert_eq!(announced(&lab.opened(peer, &sent.payload()[IDS..]).1), fits, "to {peer:?}");
        let (verdict, received) = lab.accept(peer, 0, &syn(peer, ME));
        assert_eq!((verdict, announced(received.payload())), (Verdict::Deliver, fits), "from {peer:?}");
    }
}

#[test]
fn tcp_is_told_what_fits_through_the_relay() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.via = BOB).with(BOB, |bob| {
        (bob.clamp_mss, bob.mtu) = (true, 1239);
    });
    let (_, sent) = lab.outbound(&syn(ME, ALICE));
    assert_eq!(announced(&lab.opened(ALICE, &sent.payload()[IDS..]).1), 1185);
}
