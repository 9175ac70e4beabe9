//! From the network to the device, or onward (spec: datagrams 8, 10).

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use tinmesh_core::dataplane::fib::{Mode, UdpTarget};
use tinmesh_core::dataplane::verdict::{DropReason, Punt, Verdict};
use tinmesh_core::name::{NodeId, NodeName};
use tinmesh_core::packet::Packet;
use tinmesh_core::wire::datagram::IDS;
use tinmesh_core::wire::options::Options;

use crate::lab::*;

const ELSEWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)), 4000);

#[test]
fn a_packet_of_a_peer_reaches_the_device() {
    let mut lab = Lab::new();
    for packet in [v4(ALICE, ME, 100), v6(ALICE, ME, 1400)] {
        let datagram = lab.sealed(NodeId::NULL, ALICE, 0, &packet);
        let (verdict, delivered) = lab.inbound(address(ALICE), &datagram);
        assert_eq!(verdict, Verdict::Deliver);
        assert_eq!(delivered.payload(), packet);
    }
    let (alice, me) = (lab.stats(ALICE), lab.stats(ME));
    assert_eq!((alice.in_packets.load(Relaxed), alice.in_bytes.load(Relaxed)), (2, 1528));
    assert_eq!((me.out_packets.load(Relaxed), me.out_bytes.load(Relaxed)), (2, 1528));
    assert_eq!(alice.max_recent_len.load(Relaxed), 1400);
}

#[test]
fn an_old_peer_needs_no_ids() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.options = Options::default().with_minor(3));
    let datagram = lab.sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 100));
    assert_eq!(lab.inbound(address(ALICE), &datagram[IDS..]).0, Verdict::Deliver);
}

#[test]
fn a_mapped_address_is_an_ipv4_address() {
    let mut lab = Lab::new();
    let datagram = lab.sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 100));
    let mapped = SocketAddr::new(std::net::Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into(), 655);
    assert_eq!(lab.inbound(mapped, &datagram).0, Verdict::Deliver);
}

#[test]
fn a_relayed_packet_is_opened_with_the_keys_of_its_origin() {
    let mut lab = Lab::new();
    let packet = v4(ALICE, ME, 100);
    let datagram = lab.sealed(id(ME), ALICE, 0, &packet);

    let (verdict, delivered) = lab.inbound(address(BOB), &datagram);

    assert_eq!(verdict, Verdict::Deliver);
    assert_eq!(delivered.payload(), packet);
    assert_eq!(lab.stats(ALICE).in_packets.load(Relaxed), 1);
    assert_eq!(lab.stats(ALICE).came_relayed.load(Relaxed), 1);
    assert_eq!(lab.stats(ALICE).max_recent_len.load(Relaxed), 0, "says nothing of the direct path");
    assert_eq!(lab.stats(BOB).in_packets.load(Relaxed), 0);
}

#[test]
fn a_peer_at_a_new_address_is_the_nodes_business() {
    let mut lab = Lab::new();
    let datagram = lab.sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 100));
    let bob_moved_where_alice_was = lab.sealed(NodeId::NULL, BOB, 0, &v4(BOB, ME, 100));
    for (from, datagram) in [(ELSEWHERE, datagram), (address(ALICE), bob_moved_where_alice_was)] {
        let (verdict, after) = lab.inbound(from, &datagram);
        assert_eq!(verdict, Verdict::Punt(Punt::Datagram { from: UdpTarget { to: from, socket: 0 } }));
        assert_eq!(after.payload(), datagram);
    }
}

#[test]
fn a_datagram_without_keys_for_it_is_the_nodes_business() {
    let mut lab = Lab::new().with(ALICE, |alice| alice.session = None);
    let datagram = lab.sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 100));
    let from = address(ALICE);
    let (verdict, after) = lab.inbound(from, &datagram);
    assert_eq!(verdict, Verdict::Punt(Punt::Datagram { from: UdpTarget { to: from, socket: 0 } }));
    assert_eq!(after.payload(), datagram);
}

#[test]
fn probes_and_handshakes_are_the_nodes_business() {
    let mut lab = Lab::new();
    for (kind, destination, sender) in [(4, NodeId::NULL, ALICE), (128, NodeId::NULL, ALICE), (4, id(ME), BOB)] {
        let datagram = lab.sealed(destination, ALICE, kind, &[3; 18]);
        let (verdict, record) = lab.inbound(address(sender), &datagram);
        let (direct, from) = (sender == ALICE, address(sender));
        assert_eq!(
            verdict,
            Verdict::Punt(Punt::Record { origin: ALICE, kind, direct, from: UdpTarget { to: from, socket: 0 } })
        );
        assert_eq!(record.payload(), [3; 18]);
    }
    assert_eq!(lab.stats(ALICE).max_recent_len.load(Relaxed), 18);
    assert_eq!(lab.stats(ALICE).in_packets.load(Relaxed), 0);
}

#[test]
fn strangers_are_turned_away() {
    let mut lab = Lab::new();
    let unknown = NodeName::parse("mallory").unwrap().id();
    let sealed = |destination: NodeId, origin: NodeId| [&destination.0[..], &origin.0, &[1; 40]].concat();
    for (from, datagram, reason) in [
        (ELSEWHERE, sealed(NodeId::NULL, unknown), DropReason::UnknownId),
        (ELSEWHERE, sealed(NodeId::NULL, id(ME)), DropReason::LoopBack),
        (ELSEWHERE, sealed(NodeId::NULL, id(ALICE)), DropReason::BadTag),
        (ELSEWHERE, sealed(id(BOB), id(ALICE)), DropReason::UnconfirmedRelay),
        (ELSEWHERE, sealed(id(ME), id(ALICE)), DropReason::UnconfirmedRelay),
        (ELSEWHERE, vec![0; 11], DropReason::TooShort),
        (ELSEWHERE, vec![0; 32], DropReason::TooShort),
        (address(ALICE), vec![], DropReason::TooShort),
        (address(ALICE), vec![0; 32], DropReason::TooShort),
        (address(ALICE), sealed(NodeId::NULL, unknown), DropReason::UnknownId),
        (address(ALICE), sealed(NodeId::NULL, id(BOB)), DropReason::BadTag),
        (address(ALICE), sealed(unknown, id(BOB)), DropReason::UnknownId),
        (address(ALICE), sealed(id(BOB), unknown), DropReason::UnknownId),
        (address(ALICE), sealed(id(BOB), id(ME)), DropReason::LoopBack),
    ] {
        assert_eq!(lab.inbound(from, &datagram).0, Verdict::Drop(reason), "{from} {datagram:?}");
    }
}

#[test]
fn a_datagram_is_accepted_once() {
    let mut lab = Lab::new();
    let datagram = lab.sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 100));
    assert_eq!(lab.inbound(address(ALICE), &datagram).0, Verdict::Deliver);
    assert_eq!(lab.inbound(address(ALICE), &datagram).0, Verdict::Drop(DropReason::Replayed));
    assert_eq!(lab.stats(ALICE).refused.load(Relaxed), 0);
}

#[test]
fn a_damaged_datagram_is_refused() {
    let mut lab = Lab::new();
    let mut datagram = lab.sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 100));
    *datagram.last_mut().unwrap() ^= 1;
    assert_eq!(lab.inbound(address(ALICE), &datagram).0, Verdict::Drop(DropReason::BadTag));
    assert_eq!(lab.stats(ALICE).refused.load(Relaxed), 1);
}

#[test]
fn a_datagram_with_other_keys_tells_that_they_were_lost() {
    for confirmed in [true, false] {
        let mut lab = Lab::new().with(ALICE, |alice| alice.udp_confirmed = confirmed);
        let stale = Lab::new().sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 100));
        assert_eq!(lab.inbound(address(ALICE), &stale).0, Verdict::Drop(DropReason::BadTag));
        assert_eq!(lab.stats(ALICE).refused.load(Relaxed), 1);
        assert_eq!(lab.inbound(ELSEWHERE, &stale).0, Verdict::Drop(DropReason::BadTag));
        assert_eq!(lab.stats(ALICE).refused.load(Relaxed), 1, "anyone can send from elsewhere");
    }
}

#[test]
fn a_datagram_for_another_is_sent_on_unopened() {
    let mut lab = Lab::new();
    let datagram = lab.sealed(id(BOB), ALICE, 0, &v4(ALICE, BOB, 100));

    let (verdict, sent) = lab.inbound(address(ALICE), &datagram);

    assert_eq!(verdict, Verdict::Transmit(target(BOB)));
    assert_eq!(sent.payload(), datagram, "the destination id stays, also on the last hop");
    assert_eq!(lab.stats(BOB).relayed.load(Relaxed), 1);
    assert_eq!(lab.stats(BOB).out_packets.load(Relaxed), 0);
}

#[test]
fn a_datagram_for_another_that_does_not_fit_goes_over_tcp() {
    let mut lab = Lab::new().with(BOB, |bob| bob.min_mtu = 99);
    let datagram = lab.sealed(id(BOB), ALICE, 0, &v4(ALICE, BOB, 100));
    let (verdict, sent) = lab.inbound(address(ALICE), &datagram);
    assert_eq!(verdict, Verdict::Punt(Punt::Relay { origin: ALICE, destination: BOB }));
    assert_eq!(sent.payload(), &datagram[IDS..]);
}

#[test]
fn datagrams_do_not_go_back_to_where_they_came_from() {
    let mut lab = Lab::new().with(BOB, |bob| bob.via = CAROL);
    let datagram = lab.sealed(id(BOB), ALICE, 0, &v4(ALICE, BOB, 100));
    assert_eq!(lab.inbound(address(CAROL), &datagram).0, Verdict::Drop(DropReason::RoutingLoop));
    let mut lab = lab.with(BOB, |bob| bob.via = ALICE);
    assert_eq!(lab.inbound(address(CAROL), &datagram).0, Verdict::Drop(DropReason::RoutingLoop));
    let mut lab = lab.with(BOB, |bob| bob.reachable = false);
    assert_eq!(lab.inbound(address(CAROL), &datagram).0, Verdict::Drop(DropReason::Unreachable));
}

#[test]
fn the_node_relays_by_the_same_rules() {
    let mut lab = Lab::new();
    let datagram = lab.sealed(id(BOB), ALICE, 0, &v4(ALICE, BOB, 100));
    let mut packet = Packet::from_payload(&datagram[IDS..]);
    assert_eq!(lab.fib.forward(ALICE, ALICE, BOB, &mut packet, &mut lab.scratch), Verdict::Transmit(target(BOB)));
    assert_eq!(packet.payload(), datagram);
    assert_eq!(
        lab.fib.forward(ALICE, ALICE, BOB, &mut Packet::new(), &mut lab.scratch),
        Verdict::Drop(DropReason::TooShort)
    );
}

#[test]
fn records_that_nobody_sends_are_dropped() {
    let mut lab = Lab::new();
    for kind in [4, 5, 8, 64, 127, 129, 255] {
        assert_eq!(lab.accept(ALICE, kind, &v4(ALICE, ME, 100)).0, Verdict::Drop(DropReason::BadRecord), "{kind}");
    }
    assert_eq!(lab.accept(ALICE, 1, &v4(ALICE, ME, 100)).0, Verdict::Drop(DropReason::BadCompression));
    assert_eq!(lab.accept(ALICE, 0, &[0x45; 1519]).0, Verdict::Drop(DropReason::TooLong));
    let mut lab = lab.policy(|policy| policy.mode = Mode::Switch);
    assert_eq!(lab.accept(ALICE, 0, &v4(ALICE, ME, 100)).0, Verdict::Drop(DropReason::BadRecord));
    assert_eq!(lab.accept(ALICE, 2, &[0; 60]).0, Verdict::Punt(Punt::Broadcast { source: ALICE }));
}

#[test]
fn a_frame_loses_its_header_in_router_mode() {
    let mut lab = Lab::new();
    let frame = |kind: [u8; 2], packet: &[u8]| [&[0; 12][..], &kind, packet].concat();
    let (v4, v6) = (v4(ALICE, ME, 100), v6(ALICE, ME, 100));
    let (verdict, packet) = lab.accept(ALICE, 2, &frame([0x08, 0x00], &v4));
    assert_eq!((verdict, packet.payload()), (Verdict::Deliver, &v4[..]));
    let (verdict, packet) = lab.accept(ALICE, 2, &frame([0x86, 0xdd], &v6));
    assert_eq!((verdict, packet.payload()), (Verdict::Deliver, &v6[..]));
    for (kind, packet) in [([0x08, 0x06], &v4), ([0x86, 0xdd], &v4), ([0x08, 0x00], &v6), ([0, 0], &v4)] {
        assert_eq!(lab.accept(ALICE, 2, &frame(kind, packet)).0, Verdict::Drop(DropReason::UnknownProtocol));
    }
    assert_eq!(lab.accept(ALICE, 2, &[0; 13]).0, Verdict::Drop(DropReason::TooShort));
}
