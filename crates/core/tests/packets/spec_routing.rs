//! A walk through the page `routing` of the specification: what happens to packets and frames between the device and the
//! sessions, section by section. Sections 3 and 5.1 to 5.2 are walked through in `subnet` and beside this file; devices
//! (2) are a matter of real kernels and of `tinmesh/tests/e2e`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use tinmesh_core::dataplane::ethernet::{Mac, Station};
use tinmesh_core::dataplane::fib::{Broadcast, Forwarding, Frames, Mode};
use tinmesh_core::dataplane::verdict::{DropReason, Punt, Verdict};
use tinmesh_core::time::Instant;

use crate::lab::*;

const HOST: Mac = [2, 0, 0, 0, 0, 1];
const FAR: Mac = [2, 0, 0, 0, 0, 2];
const FAKE: Mac = [2, 0, 0, 0, 0, 0xfe];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

fn frame(to: Mac, from: Mac, kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind, payload].concat()
}

fn tagged(to: Mac, from: Mac, kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    frame(to, from, [0x81, 0x00], &[&[0, 7][..], &kind, payload].concat())
}

/// A router on a TAP device of a machine whose address is not known yet.
fn on_tap() -> Lab {
    let first = [0xfe, 0xfd, 0, 0, 0, 0];
    let mut lab = Lab::new().policy(|policy| policy.frames = Frames::Ethernet { rewrite: Some(first) });
    lab.fib.station = Arc::new(Station::new(first));
    lab
}

/// A switch: alice has the station FAR.
fn switch() -> Lab {
    let lab = Lab::new().policy(|policy| {
        policy.mode = Mode::Switch;
        policy.frames = Frames::Ethernet { rewrite: None };
    });
    lab.subnet(Some(ALICE), "02:00:00:00:00:02")
}

fn arp_request(target: [u8; 4]) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &HOST, &[10, 0, 0, 1], &[0; 6], &target].concat();
    frame([0xff; 6], HOST, [0x08, 0x06], &body)
}

#[test]
fn s2_6_frames_get_the_address_of_the_machine_once_it_has_shown_it() {
    let mut lab = on_tap();
    let packet = v4(ALICE, ME, 60);

    let (verdict, before) = lab.accept(ALICE, 0, &packet);
    assert_eq!(verdict, Verdict::Deliver);
    assert_eq!(before.payload(), frame([0xfe, 0xfd, 0, 0, 0, 0], [0xfe, 0xfd, 0, 0, 0, 0xff], IPV4, &packet));
    lab.outbound(&arp_request([10, 1, 0, 5]));
    let (_, after) = lab.accept(ALICE, 0, &packet);

    assert_eq!(after.payload(), frame(HOST, FAKE, IPV4, &packet));
}

#[test]
fn s2_6_without_rewriting_frames_have_no_addresses() {
    let mut lab = Lab::new().policy(|policy| policy.frames = Frames::Ethernet { rewrite: None });
    let packet = v6(ALICE, ME, 60);

    let (_, delivered) = lab.accept(ALICE, 0, &packet);

    assert_eq!(delivered.payload(), frame([0; 6], [0; 6], IPV6, &packet));
}

#[test]
fn s5_only_the_type_of_a_frame_counts_and_others_are_not_routed() {
    let mut lab = on_tap();
    let packet = v4(ME, ALICE, 60);

    let (verdict, sent) = lab.outbound(&frame([9; 6], HOST, IPV4, &packet));
    assert_eq!(verdict, Verdict::Transmit(target(ALICE)));
    assert_eq!(lab.opened(ALICE, &sent.payload()[12..]), (0, packet.clone()), "the header stays here");
    for kind in [[0x88, 0xb5], [0x81, 0x00], IPV6] {
        let (verdict, _) = lab.outbound(&frame([9; 6], HOST, kind, &packet));
        assert_eq!(verdict, Verdict::Drop(DropReason::UnknownProtocol), "{kind:x?}");
    }
    assert_eq!(lab.outbound(&[0; 13]).0, Verdict::Drop(DropReason::TooShort));
}

#[test]
fn s5_3_arp_is_answered_for_the_addresses_of_others() {
    let mut lab = on_tap();

    let (verdict, reply) = lab.outbound(&arp_request([10, 1, 0, 5]));

    assert_eq!(verdict, Verdict::Deliver);
    let body = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &FAKE, &[10, 1, 0, 5], &HOST, &[10, 0, 0, 1]].concat();
    assert_eq!(reply.payload(), frame(HOST, FAKE, [0x08, 0x06], &body));
}

#[test]
fn s5_3_arp_is_not_answered_for_oneself_or_nobody_or_what_is_no_request() {
    let mut lab = on_tap();
    assert_eq!(lab.outbound(&arp_request([10, 0, 0, 9])).0, Verdict::Drop(DropReason::LoopBack));
    assert_eq!(lab.outbound(&arp_request([10, 99, 0, 1])).0, Verdict::Drop(DropReason::NoRoute));
    let mut reply = arp_request([10, 1, 0, 5]);
    reply[21] = 2;
    assert_eq!(lab.outbound(&reply).0, Verdict::Drop(DropReason::UnknownProtocol));
    assert_eq!(lab.outbound(&arp_request([10, 1, 0, 5])[..41]).0, Verdict::Drop(DropReason::TooShort));
}

/// A solicitation by fd00::1 for an address of alice's, with these options.
fn solicitation(source: u8, options: &[u8]) -> Vec<u8> {
    let address = |net: u8, host: u8| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[0xfd, 0, 0, net]);
        bytes[15] = host;
        bytes
    };
    let from = if source == 0 { [0; 16] } else { address(0, source) };
    let to = address(0, 0xff);
    let len = u16::try_from(24 + options.len()).unwrap();
    let mut message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &address(1, 5), options].concat();
    let pseudo = [&from[..], &to, &[0, 0, (len >> 8) as u8, len as u8, 0, 0, 0, 58], &message].concat();
    let sum: u32 = pseudo.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let [high, low] = len.to_be_bytes();
    let header = [&[0x60, 0, 0, 0, high, low, 58, 255][..], &from, &to].concat();
    frame([0x33, 0x33, 0xff, 0, 0, 5], HOST, IPV6, &[header, message].concat())
}

#[test]
fn s5_4_a_solicitation_is_answered_whatever_else_is_in_it() {
    let source_option = [&[1, 1][..], &HOST].concat();
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    for (options, with_option) in
        [(Vec::new(), false), (source_option.clone(), true), ([&nonce[..], &source_option].concat(), true)]
    {
        let mut lab = on_tap();

        let (verdict, reply) = lab.outbound(&solicitation(1, &options));

        assert_eq!(verdict, Verdict::Deliver);
        let bytes = reply.payload();
        assert_eq!((&bytes[..6], &bytes[6..12]), (&HOST[..], &FAKE[..]));
        assert_eq!((bytes[54], bytes[58], bytes[21]), (136, 0x40, 255));
        assert_eq!(bytes[22..38], bytes[62..78], "it comes from the address that was asked for");
        let icmp = etherparse::Icmpv6Slice::from_slice(&bytes[54..]).unwrap();
        assert!(icmp.is_checksum_valid(bytes[22..38].try_into().unwrap(), bytes[38..54].try_into().unwrap()));
        let expected = if with_option { [&[2, 1][..], &FAKE].concat() } else { Vec::new() };
        assert_eq!(bytes[78..], expected);
    }
}

#[test]
fn s5_4_broken_questions_and_looks_for_a_free_address_are_not_answered() {
    let mut lab = on_tap();
    let mut wrong = solicitation(1, &[]);
    wrong[60] ^= 1;

    assert!(matches!(lab.outbound(&wrong).0, Verdict::Drop(_)), "the checksum is wrong");
    assert!(matches!(lab.outbound(&solicitation(1, &[1, 0, 0, 0, 0, 0, 0, 0])).0, Verdict::Drop(_)), "no length");
    assert_eq!(lab.outbound(&solicitation(0, &[])).0, Verdict::Drop(DropReason::LoopBack));
}

#[test]
fn s6_a_frame_goes_to_the_owner_of_its_destination() {
    let mut lab = switch();
    let sent = frame(FAR, HOST, [0x88, 0xb5], &[1; 50]);

    let (verdict, datagram) = lab.outbound(&sent);

    assert_eq!(verdict, Verdict::Transmit(target(ALICE)));
    assert_eq!(lab.opened(ALICE, &datagram.payload()[12..]), (2, sent));
}

#[test]
fn s6_unknown_and_multicast_destinations_are_for_everyone() {
    let mut lab = switch();
    for to in [[2, 0, 0, 0, 0, 9], [0xff; 6], [0x33, 0x33, 0, 0, 0, 1]] {
        let (verdict, _) = lab.outbound(&frame(to, HOST, IPV4, &v4(ME, ALICE, 60)));
        assert_eq!(verdict, Verdict::Punt(Punt::Broadcast { source: ME }), "{to:x?}");
    }
}

#[test]
fn s6_a_frame_does_not_go_back_and_forwarding_may_be_off() {
    let mut lab = switch().policy(|policy| policy.forwarding = Forwarding::Off);
    let to_alice = frame(FAR, HOST, IPV4, &v4(ME, ALICE, 60));

    assert_eq!(lab.accept(ALICE, 2, &to_alice).0, Verdict::Drop(DropReason::LoopBack));
    assert_eq!(lab.accept(BOB, 2, &to_alice).0, Verdict::Drop(DropReason::Forbidden));
    assert_eq!(lab.accept(BOB, 0, &v4(BOB, ME, 60)).0, Verdict::Drop(DropReason::BadRecord), "no frame");
}

#[test]
fn s6_1_an_unknown_station_of_our_wire_is_told_and_a_known_one_stamped() {
    let mut lab = switch();
    let sent = frame(FAR, HOST, IPV4, &v4(ME, ALICE, 60));
    lab.outbound(&sent);
    assert_eq!(lab.scratch.strangers.take().collect::<Vec<_>>(), [HOST]);

    let seen = Arc::new(AtomicU64::new(0));
    Arc::make_mut(&mut lab.fib.learnt).insert(HOST, Arc::clone(&seen));
    lab.scratch.now = Instant::from_micros(7_000_000);
    lab.outbound(&sent);
    lab.accept(BOB, 2, &frame(HOST, [2, 0, 0, 0, 0, 7], IPV4, &v4(BOB, ME, 60)));

    assert!(lab.scratch.strangers.is_empty(), "known ones are not told, those of peers neither");
    assert_eq!(seen.load(Relaxed), 7_000_000);
}

#[test]
fn s6_8_what_is_too_big_is_refused_cut_or_sent_as_it_is() {
    let narrow = || switch().with(ALICE, |alice| alice.mtu = 1239);
    let mut whole = v4(ME, ALICE, 1400);
    let refused = narrow().outbound(&frame(FAR, HOST, IPV4, &whole));
    assert_eq!(refused.0, Verdict::Deliver);
    assert_eq!(
        (&refused.1.payload()[..6], &refused.1.payload()[6..12]),
        (&HOST[..], &FAR[..]),
        "addresses are swapped"
    );
    assert_eq!(refused.1.payload()[34..42], [3, 4, refused.1.payload()[36], refused.1.payload()[37], 0, 0, 4, 0xc9]);
    let refused = narrow().outbound(&tagged(FAR, HOST, IPV4, &whole));
    assert_eq!(refused.1.payload()[44..46], (1239_u16 - 18).to_be_bytes(), "the tag counts");
    whole[6] = 0;
    let cut = narrow().outbound(&frame(FAR, HOST, IPV4, &whole)).0;
    assert_eq!(cut, Verdict::Punt(Punt::Fragment { owner: ALICE, source: ME }));
    let other = narrow().outbound(&frame(FAR, HOST, [0x88, 0xb5], &[1; 1400])).0;
    assert!(matches!(other, Verdict::Transmit(_) | Verdict::Punt(Punt::Plain { .. })), "{other:?}");
}

#[test]
fn s7_a_hub_sends_everything_to_everyone() {
    let mut lab = switch().policy(|policy| policy.mode = Mode::Hub);
    let (verdict, _) = lab.outbound(&frame(FAR, HOST, IPV4, &v4(ME, ALICE, 60)));
    assert_eq!(verdict, Verdict::Punt(Punt::Broadcast { source: ME }));
    let mut lab = lab.policy(|policy| policy.broadcast = Broadcast::No);
    let (verdict, _) = lab.outbound(&frame(FAR, HOST, IPV4, &v4(ME, ALICE, 60)));
    assert_eq!(verdict, Verdict::Drop(DropReason::NoBroadcast));
}

#[test]
fn s9_frames_that_are_passed_on_lose_a_hop_behind_one_tag() {
    let mut lab = switch().policy(|policy| policy.decrement_ttl = true);
    let packet = v4(BOB, ALICE, 60);
    let passed = lab.accept(BOB, 2, &tagged(FAR, HOST, IPV4, &packet));
    let (_, opened) = lab.opened(ALICE, &passed.1.payload()[12..]);
    assert_eq!(opened[18 + 8], packet[8] - 1);
    let mut last = packet;
    last[8] = 1;
    let (verdict, _) = lab.accept(BOB, 2, &frame([0xff; 6], HOST, IPV4, &last));
    assert_eq!(verdict, Verdict::Transmit(target(BOB)), "bob is told, also of what was for everyone");
}

#[test]
fn s12_the_priority_of_the_inner_packet_is_told_if_asked_for() {
    let mut lab = Lab::new().policy(|policy| policy.priority_inheritance = true);
    let mut packet = v4(ME, ALICE, 60);
    packet[1] = 0xb8;
    lab.outbound(&packet);
    assert_eq!(lab.scratch.priority, 0xb8);
    let mut packet = v6(ME, ALICE, 60);
    packet[..2].copy_from_slice(&[0x6b, 0x80]);
    lab.outbound(&packet);
    assert_eq!(lab.scratch.priority, 0xb8);
    let mut lab = lab.policy(|policy| policy.priority_inheritance = false);
    lab.outbound(&packet);
    assert_eq!(lab.scratch.priority, 0);
}

#[test]
fn s1_packets_that_enter_routing_are_copied_while_somebody_watches() {
    let mut lab = Lab::new();
    let packet = v4(ME, ALICE, 60);
    lab.outbound(&packet);
    assert!(lab.scratch.capture.take().is_empty());

    lab.scratch.capture.want(true);
    lab.outbound(&packet);
    lab.accept(ALICE, 0, &v4(ALICE, ME, 60));

    let frames = lab.scratch.capture.take();
    assert_eq!(frames.len(), 2);
    assert_eq!(*frames[0], frame([0; 6], [0; 6], IPV4, &packet)[..]);
}
