//! A batch ends as its packets would one after the other.

use proptest::prelude::*;
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::crypto::record_key::Suite;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::dataplane::batch::{BATCH, Batch};
use tinmesh_core::dataplane::offload::unsummed;
use tinmesh_core::dataplane::verdict::Verdict;
use tinmesh_core::name::{NodeId, PeerId};

use crate::keys::{Side, handshake_for};
use crate::lab::*;

const SYN: u8 = 2;

/// A lab whose sessions have the same keys each time, for this cipher.
fn lab(suite: Suite) -> Lab {
    let mut lab = Lab::new().with(BOB, |bob| bob.compression = 12).with(CAROL, |carol| carol.min_mtu = 600);
    for peer in [ALICE, BOB, CAROL] {
        let side = |side: u8| Side {
            key: SecretKey::from_seed(&[side; 32]),
            rng: Rng::from_seed([side ^ peer.0 as u8 ^ 0x80; 32]),
        };
        let (near, far) = handshake_for(suite, side(1), side(2), b"test");
        assert_eq!(near.suite(), suite);
        lab = lab.with(peer, |entry| entry.session = Some(near));
        lab.remote.insert(peer, far);
    }
    lab
}

fn suite() -> impl Strategy<Value = Suite> {
    prop::sample::select(vec![Suite::ChaCha20Poly1305, Suite::Aes256Gcm])
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

/// Packets of the device; some follow the one before, as pieces of one large packet do, though not all as short as it.
fn of_device() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
    let peer = prop::sample::select(vec![ME, ALICE, BOB, CAROL, NOBODY]);
    let lens = prop::collection::vec(prop_oneof![5 => Just(1400_usize), 1 => 60..1500_usize], 1..20);
    let pieces = (peer, lens, any::<bool>()).prop_map(|(peer, lens, v6)| {
        let one = |len| if v6 { crate::lab::v6(ME, peer, len) } else { v4(ME, peer, len) };
        lens.into_iter().enumerate().map(|(at, len)| (one(len), at > 0)).collect::<Vec<_>>()
    });
    let group = prop_oneof![1 => pieces, 2 => payload().prop_map(|payload| vec![(payload, false)])];
    prop::collection::vec(group, 1..=BATCH).prop_map(|groups| {
        let mut packets = groups.concat();
        packets.truncate(BATCH);
        packets
    })
}

/// A packet of another node that begins, carries on or ends a connection.
fn tcp(from: PeerId, to: PeerId, len: usize, flags: u8) -> Vec<u8> {
    let ip = |peer: PeerId, host| [10, peer.0 as u8, 0, host];
    let mut packet = Vec::new();
    let builder = etherparse::PacketBuilder::ipv4(ip(from, 1), ip(to, 5), 64).tcp(1, 2, 3, 4);
    let options = [etherparse::TcpOptionElement::MaximumSegmentSize(1460)];
    let builder = if flags & SYN == 0 { builder } else { builder.syn().options(&options).unwrap() };
    builder.write(&mut packet, &vec![0x55; len - 48]).unwrap();
    packet
}

/// What a peer may send: how, for whom, and what is done to it on the way.
#[derive(Clone, Debug)]
struct Sent {
    origin: PeerId,
    destination: PeerId,
    owner: PeerId,
    kind: u8,
    len: usize,
    /// UDP over IPv4 or IPv6, or TCP.
    what: u8,
    fate: u8,
}

impl Sent {
    fn packet(&self) -> Vec<u8> {
        match self.what {
            0..4 => v4(self.origin, self.owner, self.len),
            4..6 => v6(self.origin, self.owner, self.len),
            flags => tcp(self.origin, self.owner, self.len, flags),
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let peers = || prop::sample::select(vec![ALICE, ALICE, ALICE, ALICE, BOB, CAROL]);
    let owner = prop::sample::select(vec![ME, ME, ME, ME, ME, ME, ALICE, BOB, NOBODY]);
    let kind = prop_oneof![5 => Just(0_u8), 3 => Just(32_u8), 1 => any::<u8>()];
    let what = prop_oneof![6 => Just(0_u8), 6 => 0..12_u8];
    let sent = (peers(), prop_oneof![4 => Just(ME), 1 => peers()], owner, kind, 60..1400_usize, what, 0..30_u8);
    sent.prop_map(|(origin, destination, owner, kind, len, what, fate)| Sent {
        origin,
        destination,
        owner,
        kind,
        len,
        what,
        fate,
    })
}

fn datagrams(lab: &Lab, plan: &[Sent]) -> Vec<(PeerId, Vec<u8>)> {
    let mut all = Vec::new();
    for sent in plan {
        let destination = if sent.destination == ME { NodeId::NULL } else { id(sent.destination) };
        let mut datagram = lab.sealed(destination, sent.origin, sent.kind, &sent.packet());
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

/// Ends, and what they leave, with all checksums; of a packet that is dropped nothing is left.
fn ends(batch: &Batch) -> Vec<(Verdict, Vec<u8>)> {
    let outcomes = batch.outcomes().iter().map(|outcome| outcome.unwrap().verdict);
    let ends = outcomes.zip(batch.packets()).enumerate().map(|(at, (verdict, packet))| {
        if let Verdict::Transmit(_) = verdict {
            return left(verdict, batch.datagram(at));
        }
        let mut packet = packet.clone();
        unsummed::complete(&mut packet);
        left(verdict, packet.payload())
    });
    ends.collect()
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
    let mut lab = lab(Suite::default());
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
    fn packets_of_the_device_end_as_they_would_alone(packets in of_device(), suite in suite()) {
        let (mut alone, mut together) = (lab(suite), lab(suite));
        let one_by_one: Vec<_> = packets.iter().map(|(payload, _)| {
            let (verdict, packet) = alone.outbound(payload);
            left(verdict, packet.payload())
        }).collect();

        let mut batch = Batch::new();
        for (payload, follows) in &packets {
            batch.space().unwrap().fill(payload);
            if *follows { batch.keep_follower() } else { batch.keep(None) }
        }
        together.fib.outbound_batch(&mut batch, &mut together.scratch);

        prop_assert_eq!(ends(&batch), one_by_one);
        prop_assert_eq!(&together.scratch.counters, &alone.scratch.counters);
        prop_assert_eq!(counts(&together), counts(&alone));
    }

    #[test]
    fn datagrams_end_as_they_would_alone(plan in prop::collection::vec(sent(), 1..=BATCH / 2), suite in suite()) {
        let (mut alone, mut together) = (lab(suite), lab(suite));
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
