//! Nothing that comes from outside does harm.

use proptest::prelude::*;
use tinmesh_core::dataplane::fib::{Forwarding, Mode};
use tinmesh_core::dataplane::verdict::{DropReason, Verdict};
use tinmesh_core::name::{NodeId, PeerId};

use crate::lab::*;

fn counted(lab: &Lab) -> u64 {
    let counters = &lab.scratch.counters;
    let dropped: u64 = DropReason::ALL.iter().map(|&reason| counters.dropped(reason)).sum();
    counters.transmitted + counters.delivered + counters.punted + dropped
}

/// Labs in which as many ways as possible are open.
fn any_lab() -> impl Strategy<Value = Lab> {
    let mode = prop_oneof![4 => Just(Mode::Router), 1 => Just(Mode::Switch), 1 => Just(Mode::Hub)];
    let forwarding = prop_oneof![Just(Forwarding::Internal), Just(Forwarding::Off), Just(Forwarding::Kernel)];
    (mode, forwarding, any::<bool>(), 0..14_u8, 0..14_u8, any::<u16>(), 0..8_u8).prop_map(
        |(mode, forwarding, flag, own, theirs, mtu, minor)| {
            let change = |entry: &mut tinmesh_core::dataplane::fib::PeerEntry| {
                entry.compression = theirs;
                entry.mtu = mtu;
                entry.min_mtu = mtu.rotate_left(3);
                entry.clamp_mss = flag;
            };
            Lab::new()
                .policy(|policy| {
                    policy.mode = mode;
                    policy.forwarding = forwarding;
                    policy.decrement_ttl = flag;
                    policy.compression = own;
                })
                .with(ALICE, change)
                .with(BOB, change)
                .with(BOB, |bob| bob.options = bob.options.with_minor(minor))
                .subnet(Some(ALICE), "0.0.0.0/0")
                .subnet(Some(BOB), "::/0")
        },
    )
}

/// Bytes that look a little like IP packets.
fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![Just(0x45), Just(0x4f), Just(0x60), any::<u8>()];
    let protocol = prop_oneof![Just(1), Just(4), Just(6), Just(58), any::<u8>()];
    let size = prop_oneof![0..90_usize, 0..2048_usize];
    (first, protocol, size, any::<u8>(), proptest::collection::vec(any::<u8>(), 64)).prop_map(
        |(first, protocol, size, second, noise)| {
            let mut packet: Vec<u8> = noise.iter().copied().cycle().take(size).collect();
            for (at, value) in [(0, first), (6, second), (9, protocol), (16, 10), (17, second % 5)] {
                if let Some(byte) = packet.get_mut(at) {
                    *byte = value;
                }
            }
            packet
        },
    )
}

proptest! {
    #[test]
    fn every_packet_of_the_device_ends_in_one_verdict(mut lab in any_lab(), packet in any_packet()) {
        lab.outbound(&packet);
        prop_assert_eq!(counted(&lab), 1);
    }

    #[test]
    fn every_datagram_ends_in_one_verdict(
        mut lab in any_lab(), datagram in proptest::collection::vec(any::<u8>(), 0..200), from in 0..5_u32,
        ids in 0..4_u32,
    ) {
        let mut datagram = datagram;
        if datagram.len() > 12 {
            let destination = if ids == 0 { NodeId::NULL } else { id(PeerId(ids)) };
            datagram[..6].copy_from_slice(&destination.0);
            datagram[6..12].copy_from_slice(&id(PeerId(1 + ids % 3)).0);
        }
        let (verdict, _) = lab.inbound(address(PeerId(from)), &datagram);
        prop_assert_eq!(counted(&lab), 1);
        prop_assert!(verdict != Verdict::Deliver);
    }

    #[test]
    fn every_record_of_a_peer_ends_in_one_verdict(mut lab in any_lab(), data in any_packet(), kind: u8) {
        let datagram = lab.sealed(NodeId::NULL, ALICE, kind, &data);
        let (verdict, packet) = lab.inbound(address(ALICE), &datagram);
        prop_assert_eq!(counted(&lab), 1);
        if let Verdict::Transmit(_) = verdict {
            prop_assert!(packet.len() <= 1518 + 33);
        }
    }
}
