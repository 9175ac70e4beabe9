//! One node's outbound is another's inbound.

use proptest::prelude::*;
use tinmesh_core::dataplane::fib::{Forwarding, Mode};
use tinmesh_core::dataplane::verdict::Verdict;

use crate::keys::session_pair;
use crate::lab::*;

/// The same session seen from `me` and from alice, whose tables call us `ALICE`. Alice gives all that
/// comes to her device, so that it can be compared.
fn two(compression: u8) -> (Lab, Lab) {
    let (near, far) = session_pair();
    let near_lab = Lab::new().with(ALICE, |alice| {
        alice.session = Some(near);
        alice.compression = compression;
    });
    let far_lab = Lab::new()
        .with(ALICE, |me| {
            me.session = Some(far);
            me.node_id = id(ME);
        })
        .with(ME, |alice| alice.node_id = id(ALICE))
        .policy(|policy| {
            policy.compression = compression;
            policy.forwarding = Forwarding::Kernel;
        });
    (near_lab, far_lab)
}

/// What the far end's packet path makes of a packet from the near end's device.
fn carried(near: &mut Lab, far: &mut Lab, packet: &[u8]) -> Option<Vec<u8>> {
    let (verdict, sent) = near.outbound(packet);
    if verdict != Verdict::Transmit(target(ALICE)) {
        return None;
    }
    let mut record = sent;
    let verdict = far.fib.inbound(address(ALICE), &mut record, &mut far.scratch);
    assert_eq!(verdict, Verdict::Deliver);
    Some(record.payload().to_vec())
}

#[test]
fn every_compression_level_carries_packets() {
    for level in 0..=12 {
        let (mut near, mut far) = two(level);
        for len in [60, 100, 600, 1400] {
            let packet = v4(ME, ALICE, len);
            assert_eq!(carried(&mut near, &mut far, &packet), Some(packet), "level {level}");
        }
    }
}

#[test]
fn frames_travel_whole_in_switch_mode() {
    for level in [0, 6, 10, 12] {
        let (near, far) = two(level);
        let mut near = near.policy(|policy| policy.mode = Mode::Switch);
        let mut far = far.policy(|policy| policy.mode = Mode::Switch);
        let frame = vec![7; 600];
        let mut packet = tinmesh_core::packet::Packet::from_payload(&frame);
        let verdict = near.fib.send_record(ALICE, ME, 2, &mut packet, &mut near.scratch);
        assert_eq!(verdict, Verdict::Transmit(target(ALICE)));
        assert_eq!(far.fib.inbound(address(ALICE), &mut packet, &mut far.scratch), Verdict::Deliver);
        assert_eq!(packet.payload(), frame);
    }
}

proptest! {
    #[test]
    fn any_packet_arrives_as_it_was(
        data in proptest::collection::vec(any::<u8>(), 0..1397), repeat in 1..20_usize, level in 0..=12_u8,
    ) {
        let (mut near, mut far) = two(level);
        let mut packet = v4(ME, ALICE, 28);
        packet.extend(data.iter().enumerate().map(|(at, _)| data[at / repeat]));
        prop_assert_eq!(carried(&mut near, &mut far, &packet), Some(packet));
    }
}
