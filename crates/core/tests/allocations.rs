//! The packet path allocates nothing, once every buffer has been used.

#[path = "packets/keys.rs"]
mod keys;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "packets/lab.rs"]
mod lab;

use std::sync::Arc;

use lab::{ALICE, BOB, Lab, ME, NOBODY, address, id, v4, v6};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::dataplane::gate::{Filter, Pace, Reach, Relay, Volume};
use tinmesh_core::dataplane::verdict::{DropReason, Punt, Verdict};
use tinmesh_core::legacy::cipher::Cipher;
use tinmesh_core::legacy::digest::Digest;
use tinmesh_core::legacy::session::{Session, Suite};
use tinmesh_core::meta::queue::{AtHand, Form, Queue};
use tinmesh_core::name::NodeId;
use tinmesh_core::packet::Packet;
use tinmesh_core::time::Instant;
use tinmesh_core::wire::options::Options;

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1);
}

#[test]
fn packets_of_the_device_allocate_nothing() {
    for level in 0..=12 {
        let mut lab = Lab::new().with(ALICE, |alice| {
            alice.compression = level;
            alice.clamp_mss = true;
        });
        let payloads = [v4(ME, ALICE, 64), v6(ME, ALICE, 1400), v4(ME, ALICE, 1500), v4(ME, NOBODY, 100)];
        let mut packet = Packet::new();
        let mut round = |lab: &mut Lab, second: u64| {
            lab.scratch.now = Instant::from_micros(second * 1_000_000);
            for payload in &payloads {
                packet.fill(payload);
                let verdict = lab.fib.outbound(&mut packet, &mut lab.scratch);
                assert!(matches!(verdict, Verdict::Transmit(_) | Verdict::Deliver), "{verdict:?}");
            }
        };
        round(&mut lab, 1);
        let count = allocations(|| (2..50).for_each(|second| round(&mut lab, second)));
        assert_eq!(count, 0, "level {level}");
    }
}

#[test]
fn packets_that_wait_for_a_connection_allocate_nothing() {
    let (mut queue, mut hand) = (Queue::default(), AtHand::default());
    let mut round = |second: u64| {
        let now = Instant::from_micros(second * 1_000_000);
        for flow in 0..40 {
            queue.push(now, flow, Form::Frame, [&[1; 14], &[2; 1400]], 30_000);
        }
        while let Some(form) = queue.pop(now, &mut hand.packet) {
            hand.announce(form);
            assert_eq!(hand.line, "17 1414\n");
        }
    };
    (0..2).for_each(&mut round);
    assert_eq!(allocations(|| (2..50).for_each(&mut round)), 0);
}

#[test]
fn datagrams_allocate_nothing() {
    let mut lab = Lab::new();
    let rounds: Vec<[Vec<u8>; 4]> = (0..50)
        .map(|_| {
            [
                lab.sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 1400)),
                lab.sealed(id(BOB), ALICE, 0, &v4(ALICE, BOB, 1400)),
                lab.sealed(NodeId::NULL, ALICE, 0, &v6(ALICE, BOB, 64)),
                lab.sealed(NodeId::NULL, ALICE, 4, &[0; 18]),
            ]
        })
        .collect();
    let mut packet = Packet::new();
    let mut round = |lab: &mut Lab, datagrams: &[Vec<u8>]| {
        for datagram in datagrams {
            packet.fill(datagram);
            let verdict = lab.fib.inbound(address(ALICE), &mut packet, &mut lab.scratch);
            let probe = matches!(verdict, Verdict::Punt(Punt::Record { .. }));
            assert!(probe || matches!(verdict, Verdict::Transmit(_) | Verdict::Deliver), "{verdict:?}");
        }
    };
    round(&mut lab, &rounds[0]);
    assert_eq!(allocations(|| rounds[1..].iter().for_each(|datagrams| round(&mut lab, datagrams))), 0);
}

#[test]
fn thousands_of_sessions_take_little_memory_each_and_what_they_carry_none() {
    const COUNT: u64 = 2_000;
    let mut sessions = Vec::with_capacity(COUNT as usize);
    let made = allocation_counter::measure(|| (0..COUNT).for_each(|_| sessions.push(keys::session_pair())));
    // Of each, both ends are here.
    let each = made.bytes_current / (2 * COUNT as i64);
    eprintln!("{each} bytes for each session");
    assert!(each <= 1_024, "{each} bytes for each session");

    let mut packet = Packet::from_payload(&[0; 1_400]);
    let carried = allocations(|| {
        for (one, other) in &sessions {
            for _ in 0..20 {
                assert!(one.seal(0, &mut packet) && other.open(&mut packet).is_ok());
            }
        }
    });
    assert_eq!(carried, 0);
}

#[test]
fn packets_through_a_gate_allocate_nothing() {
    let mut lab = Lab::new().closed().rights(ALICE, |alice| {
        alice.reach = Arc::new(Reach { udp: [(2000, 2000)].into(), ..Reach::default() });
        alice.pace = Some(Arc::new(Pace::new(1_000_000)));
        alice.relay = Relay::UpTo(Arc::new(Volume::new(1 << 40, None)));
    });
    let gate = Arc::make_mut(lab.fib.gate.as_mut().expect("it is closed"));
    gate.filter = Some(Arc::new(Filter::new(&mut Rng::from_seed([3; 32]))));
    let mut refused = v4(ALICE, ME, 1400);
    refused[23] = 7;
    let rounds: Vec<[Vec<u8>; 5]> = (0..50)
        .map(|_| {
            [
                lab.sealed(NodeId::NULL, ALICE, 0, &v4(ALICE, ME, 1400)),
                lab.sealed(NodeId::NULL, ALICE, 0, &v6(ALICE, BOB, 64)),
                lab.sealed(id(BOB), ALICE, 0, &v4(ALICE, BOB, 1400)),
                lab.sealed(NodeId::NULL, ALICE, 0, &v4(BOB, ME, 1400)),
                lab.sealed(NodeId::NULL, ALICE, 0, &refused),
            ]
        })
        .collect();
    let own = v4(ME, ALICE, 64);
    let mut packet = Packet::new();
    let mut round = |lab: &mut Lab, datagrams: &[Vec<u8>]| {
        for datagram in datagrams {
            packet.fill(datagram);
            let verdict = lab.fib.inbound(address(ALICE), &mut packet, &mut lab.scratch);
            let refused = matches!(verdict, Verdict::Drop(DropReason::ForeignSource | DropReason::Filtered));
            assert!(refused || matches!(verdict, Verdict::Transmit(_) | Verdict::Deliver), "{verdict:?}");
        }
        packet.fill(&own);
        let verdict = lab.fib.outbound(&mut packet, &mut lab.scratch);
        assert!(matches!(verdict, Verdict::Transmit(_)), "{verdict:?}");
    };
    round(&mut lab, &rounds[0]);
    assert_eq!(allocations(|| rounds[1..].iter().for_each(|datagrams| round(&mut lab, datagrams))), 0);
}

#[test]
fn compressed_packets_allocate_nothing() {
    for level in 1..=12 {
        let mut near = Lab::new().with(ALICE, |alice| alice.compression = level);
        let mut far = Lab::new().policy(|policy| policy.compression = level);
        let (_, sent) = near.outbound(&v4(ME, ALICE, 1400));
        let (kind, data) = near.opened(ALICE, &sent.payload()[12..]);
        assert_eq!(kind, 1);
        let mut packet = Packet::new();
        let mut round = || {
            packet.fill(&data);
            let verdict = far.fib.accept_record(BOB, kind, &mut packet, &mut far.scratch);
            assert!(matches!(verdict, Verdict::Transmit(_)), "{verdict:?}");
        };
        round();
        let count = allocations(|| (0..50).for_each(|_| round()));
        assert_eq!(count, 0, "level {level}");
    }
}

#[test]
fn packets_of_tinc_1_0_allocate_nothing() {
    for cipher in Cipher::all().filter(|cipher| cipher.is_for_packets()) {
        let digest = Digest::ALL[cipher.id() as usize % Digest::ALL.len()];
        for compression in [0, 1, 9, 10, 11] {
            let suite = Suite { cipher: Some(cipher), digest: Some(digest), mac_length: 4, compression };
            let (near, far) = old_pair(suite);
            let [mut sender, mut receiver] = [near, far].map(|session| {
                Lab::new().with(ALICE, |alice| {
                    alice.session = None;
                    alice.options = Options(0xc);
                    alice.legacy = Some(session);
                })
            });
            let payload = v4(ME, ALICE, 1300);
            let mut packet = Packet::new();
            let mut round = || {
                packet.fill(&payload);
                let sent = sender.fib.outbound(&mut packet, &mut sender.scratch);
                assert!(matches!(sent, Verdict::Transmit(_)), "{suite:?}: {sent:?}");
                let opened = receiver.fib.inbound(address(ALICE), &mut packet, &mut receiver.scratch);
                // There it is for the one it came from: it was opened, and goes no further.
                assert!(matches!(opened, Verdict::Drop(DropReason::LoopBack)), "{suite:?}: {opened:?}");
            };
            round();
            let count = allocations(|| (0..20).for_each(|_| round()));
            assert_eq!(count, 0, "{suite:?}");
        }
    }
}

/// Two ends that gave each other keys of tinc 1.0.
fn old_pair(suite: Suite) -> (Arc<Session>, Arc<Session>) {
    let end = |seed| Session::default().with_own_key(suite, 16, &mut Rng::from_seed([seed; 32])).expect("a suite");
    let ((near, near_key), (far, far_key)) = (end(1), end(2));
    let near = near.with_peers_key(suite, &far_key).expect("a key that fits");
    (Arc::new(near), Arc::new(far.with_peers_key(suite, &near_key).expect("a key that fits")))
}
