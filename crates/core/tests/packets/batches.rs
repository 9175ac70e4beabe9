//! A batch ends as its packets would one after the other.

use proptest::prelude::*;
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::dataplane::batch::{BATCH, Batch};
use tinmesh_core::dataplane::verdict::Verdict;
use tinmesh_core::name::{NodeId, PeerId};

use crate::keys::{Side, handshake};
use crate::lab::*;

/// A lab whose sessions have the same keys each time.
fn lab() -> Lab {
    let mut lab = Lab::new().with(BOB, |bob| bob.compression = 12).with(CAROL, |carol| carol.min_mtu = 600);
    for peer in [ALICE, BOB, CAROL] {
        let side = |side: u8| Side {
            key: SecretKey::from_seed(&[side; 32]),
            rng: Rng::from_seed([side ^ peer.0 as u8 ^ 0x80; 32]),
        };
        let (near, far) = handshake(side(1), side(2), b"test");
        lab = lab.with(peer, |entry| entry.session = Some(near));
        lab.remote.insert(peer, far);
    }
    lab
}

/// Packets for all kinds of ends.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let peer = prop::sample::select(vec![ME, ALICE, BOB, CAROL, NOBODY]);
    let len = prop_oneof![Just(1400_usize), 60..1500_usize];
    prop_oneof![
        12 => (peer, len, any::<bool>())
            .prop_map(|(peer, len, v6)| if v6 { crate::lab::v6(ME, peer, len) } else { v4(ME, peer, len) }),
        1 => prop::collection::vec(any::<u8>(), 0..100),
    ]
}

/// What a peer may send: how, for whom, and what is done to it on the way.
#[derive(Clone, Debug)]
struct Sent {
    origin: PeerId,
    destination: PeerId,
    owner: PeerId,
    kind: u8,
    len: usize,
    fate: u8,
}

fn sent() -> impl Strategy<Value = Sent> {
    let peers = || prop::sample::select(vec![ALICE, BOB, CAROL]);
    let owner = prop::sample::select(vec![ME, ME, ME, ALICE, BOB, NOBODY]);
    let kind = prop_oneof![8 => Just(0_u8), 1 => any::<u8>()];
    (peers(), prop_oneof![4 => Just(ME), 1 => peers()], owner, kind, 60..1400_usize, 0..20_u8)
        .prop_map(|(origin, destination, owner, kind, len, fate)| Sent { origin, destination, owner, kind, len, fate })
}

fn datagrams(lab: &Lab, plan: &[Sent]) -> Vec<(PeerId, Vec<u8>)> {
    let mut all = Vec::new();
    for sent in plan {
        let destination = if sent.destination == ME { NodeId::NULL } else { id(sent.destination) };
        let mut datagram = lab.sealed(destination, sent.origin, sent.kind, &v4(sent.origin, sent.owner, sent.len));
        match sent.fate {
            0 => datagram[20] ^= 1,
            1 => datagram.truncate(usize::from(sent.kind)),
            2 => all.push((sent.origin, datagram.clone())),
            3 => all.push((CAROL, datagram.clone())),
            _ => {}
        }
        all.push((sent.origin, datagram));
    }
    all.truncate(BATCH);
    all
}

fn filled(payloads: &[(Option<PeerId>, Vec<u8>)]) -> Batch {
    let mut batch = Batch::new();
    for (from, payload) in payloads {
        batch.space().unwrap().fill(payload);
        batch.keep(from.map(address));
    }
    batch
}

/// Ends, and what they leave; of a packet that is dropped nothing is left.
fn ends(batch: &Batch) -> Vec<(Verdict, Vec<u8>)> {
    let outcomes = batch.outcomes().iter().map(|outcome| outcome.unwrap().verdict);
    outcomes.zip(batch.packets()).map(|(verdict, packet)| left(verdict, packet.payload())).collect()
}

fn left(verdict: Verdict, payload: &[u8]) -> (Verdict, Vec<u8>) {
    let gone = matches!(verdict, Verdict::Drop(_));
    (verdict, if gone { Vec::new() } else { payload.to_vec() })
}

/// What each node's counters say.
fn counts(lab: &Lab) -> Vec<String> {
    lab.fib.peers.iter().flatten().map(|entry| format!("{} {:?}", entry.name, entry.stats)).collect()
}

#[test]
fn what_one_batch_looked_up_does_not_count_for_the_next() {
    let mut lab = lab();
    let to_alice = [(None, v4(ME, ALICE, 100)), (None, v4(ME, ALICE, 100))];
    let mut batch = filled(&to_alice);
    lab.fib.outbound_batch(&mut batch, &mut lab.scratch);
    assert!(ends(&batch).iter().all(|(verdict, _)| matches!(verdict, Verdict::Transmit(_))));

    lab = lab.with(ALICE, |alice| alice.reachable = false);
    let mut batch = filled(&to_alice);
    lab.fib.outbound_batch(&mut batch, &mut lab.scratch);
    assert!(!ends(&batch).iter().any(|(verdict, _)| matches!(verdict, Verdict::Transmit(_))));
}

proptest! {
    #[test]
    fn packets_of_the_device_end_as_they_would_alone(payloads in prop::collection::vec(payload(), 1..=BATCH)) {
        let (mut alone, mut together) = (lab(), lab());
        let one_by_one: Vec<_> = payloads.iter().map(|payload| {
            let (verdict, packet) = alone.outbound(payload);
            left(verdict, packet.payload())
        }).collect();

        let mut batch = filled(&payloads.into_iter().map(|payload| (None, payload)).collect::<Vec<_>>());
        together.fib.outbound_batch(&mut batch, &mut together.scratch);

        prop_assert_eq!(ends(&batch), one_by_one);
        prop_assert_eq!(&together.scratch.counters, &alone.scratch.counters);
        prop_assert_eq!(counts(&together), counts(&alone));
    }

    #[test]
    fn datagrams_end_as_they_would_alone(plan in prop::collection::vec(sent(), 1..=BATCH / 2)) {
        let (mut alone, mut together) = (lab(), lab());
        let datagrams = datagrams(&alone, &plan);
        let one_by_one: Vec<_> = datagrams.iter().map(|(from, datagram)| {
            let (verdict, packet) = alone.inbound(address(*from), datagram);
            left(verdict, packet.payload())
        }).collect();

        let mut batch = filled(&datagrams.into_iter().map(|(from, payload)| (Some(from), payload)).collect::<Vec<_>>());
        together.fib.inbound_batch(&mut batch, &mut together.scratch);

        prop_assert_eq!(ends(&batch), one_by_one);
        prop_assert_eq!(&together.scratch.counters, &alone.scratch.counters);
        prop_assert_eq!(counts(&together), counts(&alone));
    }
}
