//! What members may send: source addresses, stations, rates, relaying.

use std::collections::BTreeMap;
use std::sync::Arc;

use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::dataplane::fib::{Forwarding, Frames, Mode};
use tinmesh_core::dataplane::gate::{Filter, Pace, Reach, Relay, Stations, Volume};
use tinmesh_core::dataplane::verdict::{DropReason, Punt, Verdict};
use tinmesh_core::name::{NodeId, PeerId};
use tinmesh_core::time::Instant;
use tinmesh_core::wire::options::Options;

use crate::lab::{ALICE, BOB, CAROL, Lab, ME, NOBODY, address, id, target, v4, v6};

const FOREIGN: Verdict = Verdict::Drop(DropReason::ForeignSource);
const DENIED: Verdict = Verdict::Drop(DropReason::RelayDenied);
const OVER_RATE: Verdict = Verdict::Drop(DropReason::OverRate);
/// A packet for everybody.
const GROUP: [u8; 4] = [224, 0, 0, 5];

fn from_alice(lab: &mut Lab, packet: &[u8]) -> Verdict {
    let datagram = lab.sealed(NodeId::NULL, ALICE, 0, packet);
    lab.inbound(address(ALICE), &datagram).0
}

/// What becomes of a datagram of `origin` for `destination` that comes from `sender`'s address.
fn relayed(lab: &mut Lab, sender: PeerId, origin: PeerId, destination: PeerId, len: usize) -> Verdict {
    let datagram = lab.sealed(id(destination), origin, 0, &v4(origin, destination, len));
    lab.inbound(address(sender), &datagram).0
}

/// A packet from a node's network for everybody.
fn to_everyone(from: PeerId) -> Vec<u8> {
    let mut packet = v4(from, ME, 100);
    packet[16..20].copy_from_slice(&GROUP);
    packet
}

#[test]
fn packets_from_own_addresses_come_in() {
    let mut lab = Lab::new().closed();
    assert_eq!(from_alice(&mut lab, &v4(ALICE, ME, 100)), Verdict::Deliver);
    assert_eq!(from_alice(&mut lab, &v6(ALICE, ME, 100)), Verdict::Deliver);
}

#[test]
fn packets_from_addresses_of_others_do_not() {
    for owner in [ME, BOB, NOBODY] {
        let mut lab = Lab::new().closed();
        assert_eq!(from_alice(&mut lab, &v4(owner, ME, 100)), FOREIGN, "{owner:?}");
        assert_eq!(from_alice(&mut lab, &v6(owner, ME, 100)), FOREIGN, "{owner:?}");
        assert_eq!(lab.scratch.counters.dropped(DropReason::ForeignSource), 2);
        let mut open = Lab::new();
        assert_eq!(from_alice(&mut open, &v4(owner, ME, 100)), Verdict::Deliver, "an open network asks nobody");
    }
}

#[test]
fn what_is_no_whole_packet_does_not_come_in() {
    let packets = [&v4(ALICE, ME, 100)[..19], &v6(ALICE, ME, 100)[..39], &[0x55; 40]];
    for policy in [Forwarding::Internal, Forwarding::Kernel] {
        for packet in packets {
            let mut lab = Lab::new().closed().policy(|own| own.forwarding = policy);
            assert_eq!(from_alice(&mut lab, packet), FOREIGN);
        }
    }
}

#[test]
fn the_system_gets_no_foreign_packets_either() {
    let mut lab = Lab::new().closed().policy(|policy| policy.forwarding = Forwarding::Kernel);
    assert_eq!(from_alice(&mut lab, &v4(ALICE, BOB, 100)), Verdict::Deliver);
    assert_eq!(from_alice(&mut lab, &v4(CAROL, BOB, 100)), FOREIGN);
}

#[test]
fn a_neighbour_in_the_tree_hands_on_what_is_for_everyone() {
    let everyone = Verdict::Punt(Punt::Broadcast { source: ALICE });
    let mut lab = Lab::new().closed();
    assert_eq!(from_alice(&mut lab, &to_everyone(ALICE)), everyone);
    assert_eq!(from_alice(&mut lab, &to_everyone(BOB)), FOREIGN, "alice is not in the tree");
    lab.fib.tree = Arc::from([ALICE, CAROL]);
    lab.fib.branches = Arc::from([None, Some(ALICE), Some(ALICE), Some(CAROL)]);
    assert_eq!(from_alice(&mut lab, &to_everyone(BOB)), everyone);
    assert_eq!(from_alice(&mut lab, &to_everyone(CAROL)), FOREIGN, "carol is not behind alice");
    assert_eq!(from_alice(&mut lab, &to_everyone(ME)), FOREIGN, "not ours");
    assert_eq!(from_alice(&mut lab, &to_everyone(NOBODY)), FOREIGN, "not nobody's");
    assert_eq!(from_alice(&mut lab, &v4(BOB, ME, 100)), FOREIGN, "not what is for one");
    let mut lab = lab.rights(ALICE, |alice| alice.relay = Relay::No);
    assert_eq!(from_alice(&mut lab, &to_everyone(BOB)), FOREIGN, "alice may not relay");
}

#[test]
fn the_node_before_one_of_tinc_1_0_hands_on_its_packets() {
    let old = |lab: Lab| {
        lab.with(BOB, |bob| {
            bob.options = Options(0);
            bob.nexthop = ALICE;
        })
    };
    let mut lab = old(Lab::new().closed());
    assert_eq!(from_alice(&mut lab, &v4(BOB, ME, 100)), Verdict::Deliver);
    assert_eq!(from_alice(&mut lab, &v4(CAROL, ME, 100)), FOREIGN);
    let mut lab = old(Lab::new().closed()).with(BOB, |bob| bob.options = Options(0).with_minor(7));
    assert_eq!(from_alice(&mut lab, &v4(BOB, ME, 100)), FOREIGN, "a newer node seals its packets");
    let mut lab = old(Lab::new().closed()).rights(ALICE, |alice| alice.relay = Relay::No);
    assert_eq!(from_alice(&mut lab, &v4(BOB, ME, 100)), FOREIGN, "alice may not relay");
}

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[0x08, 0x06], &[0; 46]].concat()
}

/// A switch in a closed network where alice has a station of her own; `others` are named too.
fn switch(stations: &[([u8; 6], PeerId)]) -> Lab {
    let mut lab = Lab::new().policy(|policy| {
        policy.mode = Mode::Switch;
        policy.frames = Frames::Ethernet { rewrite: None };
    });
    lab = lab.closed().rights(ALICE, |alice| alice.stations = Stations::These([OWN].into()));
    let gate = Arc::make_mut(lab.fib.gate.as_mut().unwrap());
    let stations: BTreeMap<_, _> = stations.iter().map(|(mac, peer)| (*mac, vec![*peer])).collect();
    gate.stations = Some(stations).filter(|stations| !stations.is_empty());
    lab
}

fn frame_from_alice(lab: &mut Lab, from: [u8; 6]) -> Verdict {
    lab.accept(ALICE, 2, &frame([0xff; 6], from)).0
}

#[test]
fn where_stations_are_named_frames_come_from_them() {
    let everyone = Verdict::Punt(Punt::Broadcast { source: ALICE });
    let mut free = switch(&[]);
    assert_eq!(frame_from_alice(&mut free, OTHER), everyone, "nobody is named");
    let mut lab = switch(&[(OWN, ALICE), (OTHER, BOB)]);
    assert_eq!(frame_from_alice(&mut lab, OWN), everyone);
    assert_eq!(frame_from_alice(&mut lab, OTHER), FOREIGN);
    lab.fib.branches = Arc::from([None, Some(ALICE), Some(CAROL), Some(CAROL)]);
    assert_eq!(frame_from_alice(&mut lab, OTHER), FOREIGN, "bob is not behind alice");
    lab.fib.branches = Arc::from([None, Some(ALICE), Some(ALICE), Some(CAROL)]);
    assert_eq!(frame_from_alice(&mut lab, OTHER), everyone, "handed on");
    assert_eq!(frame_from_alice(&mut lab, [2, 0, 0, 0, 0, 9]), FOREIGN, "nobody's");
    let mut lab = lab.rights(ALICE, |alice| alice.stations = Stations::Any);
    assert_eq!(frame_from_alice(&mut lab, [2, 0, 0, 0, 0, 9]), everyone);
}

#[test]
fn whoever_is_too_fast_loses_packets() {
    let slow = |lab: Lab| lab.rights(ALICE, |alice| alice.pace = Some(Arc::new(Pace::new(8))));
    let mut lab = slow(Lab::new().closed());
    let packet = v4(ALICE, ME, 1400);
    let came = (0..60).filter(|_| from_alice(&mut lab, &packet) == Verdict::Deliver).count();
    assert_eq!(came, 65_536 / 1_414);
    assert_eq!(from_alice(&mut lab, &packet), OVER_RATE);
    assert_eq!(relayed(&mut lab, ALICE, ALICE, BOB, 1400), OVER_RATE, "what is relayed for her counts too");
    lab.scratch.now = Instant::from_micros(1_500_000);
    assert_eq!(from_alice(&mut lab, &packet), Verdict::Deliver, "1,000 bytes a second");
    assert_eq!(from_alice(&mut lab, &packet), OVER_RATE);
    assert!(matches!(lab.outbound(&v4(ME, ALICE, 1400)).0, Verdict::Transmit(_)), "not what goes to her");
}

#[test]
fn relaying_is_charged_to_whoever_hands_over() {
    let pace = Arc::new(Pace::new(8));
    let mut lab = Lab::new().closed().rights(ALICE, |alice| alice.pace = Some(Arc::clone(&pace)));
    for _ in 0..60 {
        assert_eq!(relayed(&mut lab, CAROL, ALICE, BOB, 1400), Verdict::Transmit(target(BOB)));
    }
    assert_eq!(from_alice(&mut lab, &v4(ALICE, ME, 1400)), Verdict::Deliver, "carol cannot spend what is alice's");
}

#[test]
fn nothing_is_relayed_for_by_or_through_whoever_may_not() {
    let carried = Verdict::Transmit(target(BOB));
    let mut lab = Lab::new().closed();
    assert_eq!(relayed(&mut lab, CAROL, ALICE, BOB, 100), carried);
    for denied in [ME, ALICE, CAROL] {
        let mut lab = Lab::new().closed().rights(denied, |rights| rights.relay = Relay::No);
        assert_eq!(relayed(&mut lab, CAROL, ALICE, BOB, 100), DENIED, "{denied:?}");
    }
    let mut lab = Lab::new().closed().rights(BOB, |rights| rights.relay = Relay::No);
    assert_eq!(relayed(&mut lab, CAROL, ALICE, BOB, 100), carried, "to bob it comes all the same");
    let mut lab = lab.with(BOB, |bob| {
        bob.min_mtu = 0;
        bob.nexthop = NOBODY;
    });
    assert!(matches!(relayed(&mut lab, CAROL, ALICE, BOB, 100), Verdict::Drop(_)));
}

#[test]
fn plain_packets_are_passed_on_by_the_same_rule() {
    let onward = v4(ALICE, BOB, 979);
    let mut lab = Lab::new().closed();
    assert_eq!(from_alice(&mut lab, &onward), Verdict::Transmit(target(BOB)));
    for denied in [ME, ALICE] {
        let mut lab = Lab::new().closed().rights(denied, |rights| rights.relay = Relay::No);
        assert_eq!(from_alice(&mut lab, &onward), DENIED, "{denied:?}");
        assert_eq!(from_alice(&mut lab, &v4(ALICE, ME, 979)), Verdict::Deliver);
    }
    let volume = Relay::UpTo(Arc::new(Volume::new(2_000, None)));
    let mut lab = Lab::new().closed().rights(ALICE, |alice| alice.relay = volume);
    let passed = (0..5).filter(|_| from_alice(&mut lab, &onward) == Verdict::Transmit(target(BOB))).count();
    assert_eq!((passed, lab.scratch.counters.dropped(DropReason::OverVolume)), (2, 3));
}

#[test]
fn own_packets_do_not_go_through_whoever_may_not_relay() {
    let behind = |lab: Lab| {
        lab.with(BOB, |bob| {
            bob.via = CAROL;
            bob.nexthop = CAROL;
        })
    };
    let packet = v4(ME, BOB, 100);
    let mut lab = behind(Lab::new().closed());
    assert_eq!(lab.outbound(&packet).0, Verdict::Transmit(target(CAROL)));
    let mut lab = behind(Lab::new().closed()).rights(CAROL, |carol| carol.relay = Relay::No);
    assert_eq!(lab.outbound(&packet).0, Verdict::Punt(Punt::Plain { owner: BOB, source: ME }));
}

#[test]
fn so_much_is_relayed_in_a_day() {
    let mut lab =
        Lab::new().closed().rights(ALICE, |alice| alice.relay = Relay::UpTo(Arc::new(Volume::new(5_000, None))));
    let carried = (0..10).filter(|_| relayed(&mut lab, ALICE, ALICE, BOB, 979) == Verdict::Transmit(target(BOB)));
    assert_eq!(carried.count(), 5);
    assert_eq!(relayed(&mut lab, ALICE, ALICE, BOB, 979), Verdict::Drop(DropReason::OverVolume));
    assert_eq!(from_alice(&mut lab, &v4(ALICE, ME, 979)), Verdict::Deliver, "to this node it is not relayed");
    lab.scratch.now = Instant::from_micros(86_400_000_000);
    assert_eq!(relayed(&mut lab, ALICE, ALICE, BOB, 979), Verdict::Transmit(target(BOB)), "another day");
}

const FILTERED: Verdict = Verdict::Drop(DropReason::Filtered);

/// A node with whom others may begin conversations at port 2000 of UDP only.
fn filtering(lab: Lab) -> Lab {
    let mut lab = lab.closed();
    let gate = Arc::make_mut(lab.fib.gate.as_mut().unwrap());
    gate.filter = Some(Arc::new(Filter::new(&mut Rng::from_seed([3; 32]))));
    let reach = Arc::new(Reach { udp: [(2000, 2000)].into(), ..Reach::default() });
    let members = [ALICE, BOB, CAROL].into_iter();
    members.fold(lab, |lab, peer| lab.rights(peer, |rights| rights.reach = Arc::clone(&reach)))
}

/// A packet to a port; `v4` and `v6` make packets from port 1000 to 2000.
fn to_port(mut packet: Vec<u8>, port: u16) -> Vec<u8> {
    let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
    packet[header + 2..header + 4].copy_from_slice(&port.to_be_bytes());
    packet
}

#[test]
fn conversations_begin_where_that_is_allowed() {
    let mut lab = filtering(Lab::new());
    for packet in [v4(ALICE, ME, 100), v6(ALICE, ME, 100)] {
        assert_eq!(from_alice(&mut lab, &packet), Verdict::Deliver);
        assert_eq!(from_alice(&mut lab, &to_port(packet, 2001)), FILTERED);
    }
    assert_eq!(lab.scratch.counters.dropped(DropReason::Filtered), 2);
    let onward = from_alice(&mut lab, &to_port(v4(ALICE, BOB, 100), 2001));
    assert!(matches!(onward, Verdict::Transmit(_)), "bob decides that himself");
    assert_eq!(relayed(&mut lab, ALICE, ALICE, BOB, 100), Verdict::Transmit(target(BOB)));
}

#[test]
fn answers_to_own_conversations_come_in() {
    let mut lab = filtering(Lab::new());
    let mut answer = to_port(v4(ALICE, ME, 100), 1000);
    answer[12..20].copy_from_slice(&[10, 1, 0, 5, 10, 0, 0, 1]);
    answer[20..22].copy_from_slice(&2000_u16.to_be_bytes());
    assert_eq!(from_alice(&mut lab, &answer), FILTERED);
    assert!(matches!(lab.outbound(&v4(ME, ALICE, 100)).0, Verdict::Transmit(_)));
    assert_eq!(from_alice(&mut lab, &answer), Verdict::Deliver);
    lab.scratch.now = Instant::from_micros(600_000_000);
    assert_eq!(from_alice(&mut lab, &answer), FILTERED, "ten minutes later");
}

#[test]
fn the_filter_is_also_before_the_system_that_forwards() {
    let mut lab = filtering(Lab::new()).policy(|policy| policy.forwarding = Forwarding::Kernel);
    assert_eq!(from_alice(&mut lab, &to_port(v4(ALICE, BOB, 100), 2001)), FILTERED);
    assert_eq!(from_alice(&mut lab, &v4(ALICE, BOB, 100)), Verdict::Deliver);
}

#[test]
fn switches_filter_what_is_in_frames() {
    let mut lab = filtering(Lab::new()).subnet(Some(ME), "02:00:00:00:00:05").policy(|policy| {
        policy.mode = Mode::Switch;
        policy.frames = Frames::Ethernet { rewrite: None };
    });
    let mut takes = |kind: [u8; 2], data: &[u8]| {
        let frame = [&[2, 0, 0, 0, 0, 5][..], &OWN, &kind, data].concat();
        lab.accept(ALICE, 2, &frame).0
    };
    assert_eq!(takes([8, 0], &v4(ALICE, ME, 100)), Verdict::Deliver);
    assert_eq!(takes([8, 0], &to_port(v4(ALICE, ME, 100), 2001)), FILTERED);
    assert_eq!(takes([0x86, 0xdd], &to_port(v6(ALICE, ME, 100), 2001)), FILTERED);
    assert_eq!(takes([8, 6], &[0; 28]), Verdict::Deliver, "ARP");
    let mut solicitation = v6(ALICE, ME, 72);
    solicitation[6] = 58;
    solicitation[40] = 135;
    assert_eq!(takes([0x86, 0xdd], &solicitation), Verdict::Deliver, "neighbours find each other");
}

#[test]
fn what_is_handed_on_counts_as_its_owners() {
    let old = |lab: Lab| {
        lab.with(BOB, |bob| {
            bob.options = Options(0);
            bob.nexthop = ALICE;
        })
    };
    let mut lab = old(filtering(Lab::new())).rights(ALICE, |alice| alice.reach = Arc::default());
    assert_eq!(from_alice(&mut lab, &v4(BOB, ME, 100)), Verdict::Deliver);
    assert_eq!(from_alice(&mut lab, &v4(ALICE, ME, 100)), FILTERED);
}
