//! Packets that leave their checksum to the node that opens them come out as if they had had one.

use tinmesh_core::dataplane::batch::Batch;
use tinmesh_core::dataplane::offload::segment::Segments;
use tinmesh_core::dataplane::offload::train::{Joins, Trains};
use tinmesh_core::dataplane::offload::unsummed;
use tinmesh_core::dataplane::offload::{Checksum, Cut, CutKind, VnetHeader};
use tinmesh_core::dataplane::verdict::{DropReason, Verdict};
use tinmesh_core::name::{NodeId, PeerId};
use tinmesh_core::packet::Packet;

use crate::lab::*;

/// Record type of a packet without checksum (docs/protocol.md, "Checksums").
const UNSUMMED: u8 = 32;
const KINDS: [CutKind; 3] = [CutKind::TcpV4, CutKind::TcpV6, CutKind::Udp];
const SIZE: usize = 500;
const PIECES: usize = 7;

/// A large packet as a kernel gives it, and what it says of it: the checksum field holds the sum of the pseudo header.
fn large(kind: CutKind, from: PeerId, to: PeerId) -> (VnetHeader, Vec<u8>) {
    let data: Vec<u8> = (0..SIZE * PIECES - 123).map(|at| (at * 7) as u8).collect();
    let v4 = |peer: PeerId, host| [10, peer.0 as u8, 0, host];
    let v6 = |peer: PeerId, host| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[0xfd, 0, 0, peer.0 as u8]);
        bytes[15] = host;
        bytes
    };
    let builder = match kind {
        CutKind::TcpV6 => etherparse::PacketBuilder::ipv6(v6(from, 1), v6(to, 5), 64),
        CutKind::TcpV4 | CutKind::Udp => etherparse::PacketBuilder::ipv4(v4(from, 1), v4(to, 5), 64),
    };
    let mut packet = Vec::new();
    let (own, offset) = match kind {
        CutKind::Udp => (8, 6),
        CutKind::TcpV4 | CutKind::TcpV6 => (20, 16),
    };
    if kind == CutKind::Udp {
        builder.udp(1000, 2000).write(&mut packet, &data).unwrap();
    } else {
        builder.tcp(1000, 2000, 99, 500).ack(7).psh().write(&mut packet, &data).unwrap();
    }
    let start = packet.len() - data.len() - own;
    let (addresses, protocol) = if kind == CutKind::TcpV6 { (8..40, 6) } else { (12..20, packet[9]) };
    let words = packet[addresses].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = words.sum::<u32>() + u32::from(protocol) + (packet.len() - start) as u32;
    let folded = (sum & 0xffff) + (sum >> 16);
    packet[start + offset..start + offset + 2].copy_from_slice(&(folded as u16).to_be_bytes());
    let header = VnetHeader {
        cut: Some(Cut { kind, size: SIZE as u16, headers: (start + own) as u16 }),
        checksum: Some(Checksum { start: start as u16, offset: offset as u16 }),
    };
    (header, packet)
}

/// Its pieces with their checksums.
fn whole_pieces(kind: CutKind, from: PeerId, to: PeerId) -> Vec<Vec<u8>> {
    let (header, packet) = large(kind, from, to);
    let mut segments = Segments::new(header, &packet, 0).unwrap();
    let mut piece = Packet::new();
    std::iter::from_fn(|| segments.next_into(&packet, &mut piece).then(|| piece.payload().to_vec())).collect()
}

/// Its pieces as a worker cuts them: the first leads the others, which have no checksums.
fn cut(kind: CutKind, from: PeerId, to: PeerId) -> Batch {
    let (header, packet) = large(kind, from, to);
    let mut segments = Segments::new(header, &packet, 0).unwrap();
    assert!(segments.follow_each_other(&packet));
    let mut batch = Batch::new();
    assert!(segments.next_into(&packet, batch.space().unwrap()));
    batch.keep(None);
    while segments.next_unsummed_into(&packet, batch.space().unwrap()) {
        batch.keep_follower();
    }
    batch
}

fn unsummed_pieces(kind: CutKind, from: PeerId, to: PeerId) -> Vec<Vec<u8>> {
    cut(kind, from, to).packets().iter().map(|packet| packet.payload().to_vec()).collect()
}

/// What ALICE gets of a large packet: types of records, and their data.
fn sent_to_alice(kind: CutKind, sums: bool) -> Vec<(u8, Vec<u8>)> {
    let mut lab = Lab::new().with(ALICE, |alice| alice.sums = sums);
    let mut batch = cut(kind, ME, ALICE);
    lab.fib.outbound_batch(&mut batch, &mut lab.scratch);
    assert!(batch.outcomes().iter().all(|outcome| matches!(outcome.unwrap().verdict, Verdict::Transmit(_))));
    batch.packets().iter().map(|packet| lab.opened(ALICE, &packet.payload()[12..])).collect()
}

/// A batch of datagrams of ALICE with pieces of a large packet for the network of `owner`; the first has its checksum.
fn batch_of_alice(lab: &Lab, kind: CutKind, owner: PeerId) -> Batch {
    let mut batch = Batch::new();
    for (at, piece) in unsummed_pieces(kind, ALICE, owner).iter().enumerate() {
        let record = if at == 0 { 0 } else { UNSUMMED };
        batch.space().unwrap().fill(&lab.sealed(NodeId::NULL, ALICE, record, piece));
        batch.keep(Some(address(ALICE)));
    }
    batch
}

/// What the device gets of packets: of each train what is said of it, and its bytes.
fn through_device(packets: &[Packet]) -> Vec<(VnetHeader, Vec<u8>)> {
    let mut trains = Trains::new(Joins { tcp: true, udp: true });
    for (at, packet) in packets.iter().enumerate() {
        if packet.is_unsummed() {
            trains.add_unsummed(at, Some(0), |at| packets[at].payload());
        } else {
            trains.add(at, Some(0), |at| packets[at].payload());
        }
    }
    let joined = (0..trains.len()).map(|index| {
        let mut head = packets[trains.head(index)].payload().to_vec();
        let (header, len) = trains.couple(index, &mut head);
        head.truncate(len);
        trains.wagons(index).for_each(|(at, data)| head.extend_from_slice(&packets[at].payload()[data]));
        (header, head)
    });
    joined.collect()
}

#[test]
fn pieces_have_no_checksums_for_a_node_that_sums_and_all_for_another() {
    for kind in KINDS {
        let whole = whole_pieces(kind, ME, ALICE);
        assert_eq!(whole.len(), PIECES);
        assert!(sent_to_alice(kind, false).into_iter().eq(whole.iter().map(|piece| (0, piece.clone()))), "{kind:?}");

        let sent = sent_to_alice(kind, true);
        assert_eq!(sent[0], (0, whole[0].clone()));
        let bare = unsummed_pieces(kind, ME, ALICE);
        for ((record, data), (bare, whole)) in sent.iter().zip(bare.iter().zip(&whole)).skip(1) {
            assert_eq!((*record, data), (UNSUMMED, bare));
            assert_ne!(data, whole, "{kind:?}");
        }
    }
}

#[test]
fn the_device_gets_what_it_would_get_of_packets_with_checksums() {
    for kind in KINDS {
        let mut lab = Lab::new();
        let mut batch = batch_of_alice(&lab, kind, ME);
        lab.fib.inbound_batch(&mut batch, &mut lab.scratch);
        assert!(batch.outcomes().iter().all(|outcome| outcome.unwrap().verdict == Verdict::Deliver));

        let whole: Vec<Packet> =
            whole_pieces(kind, ALICE, ME).iter().map(|piece| Packet::from_payload(piece)).collect();
        let joined = through_device(batch.packets());
        assert_eq!(joined.len(), 1);
        assert_eq!(joined, through_device(&whole));
        for (packet, whole) in batch.packets_mut().iter_mut().zip(&whole) {
            unsummed::complete(packet);
            assert_eq!((packet.payload(), packet.is_unsummed()), (whole.payload(), false), "alone");
        }
    }
}

#[test]
fn whoever_passes_a_packet_on_or_shows_it_sums_first() {
    for kind in KINDS {
        let whole = whole_pieces(kind, ALICE, BOB);
        let mut lab = Lab::new();
        let mut batch = batch_of_alice(&lab, kind, BOB);
        lab.fib.inbound_batch(&mut batch, &mut lab.scratch);
        let passed = batch.packets().iter().map(|packet| lab.opened(BOB, &packet.payload()[12..]));
        assert!(passed.eq(whole.into_iter().map(|piece| (0, piece))));

        let whole = whole_pieces(kind, ALICE, ME);
        let mut lab = Lab::new();
        lab.scratch.capture.want(true);
        let mut batch = batch_of_alice(&lab, kind, ME);
        lab.fib.inbound_batch(&mut batch, &mut lab.scratch);
        let shown = lab.scratch.capture.take();
        assert!(shown.iter().map(|frame| frame[14..].to_vec()).eq(whole));
    }
}

#[test]
fn what_has_no_checksum_to_make_is_refused() {
    let piece = unsummed_pieces(CutKind::TcpV4, ALICE, ME).remove(1);
    let end = |change: fn(&mut Vec<u8>)| {
        let mut lab = Lab::new();
        let mut piece = piece.clone();
        change(&mut piece);
        lab.inbound(address(ALICE), &lab.sealed(NodeId::NULL, ALICE, UNSUMMED, &piece)).0
    };
    let refused = Verdict::Drop(DropReason::BadRecord);
    assert_eq!(end(|_| {}), Verdict::Deliver);
    assert_eq!(end(|piece| piece[9] = 1), refused, "ICMP");
    assert_eq!(end(|piece| piece[6] = 0x20), refused, "a fragment");
    assert_eq!(end(|piece| piece[0] = 0x46), refused, "options of IP");
    assert_eq!(end(|piece| piece.push(0)), refused, "something behind it");
    assert_eq!(end(|piece| piece.truncate(30)), refused, "cut");
    assert_eq!(end(Vec::clear), refused, "nothing");
}
