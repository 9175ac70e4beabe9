//! Datagrams of tinc, made with known keys: alice sends them to bob.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::dataplane::fib::{Forwarding, Mode, UdpTarget};
use tinmesh_core::dataplane::session::Session;
use tinmesh_core::dataplane::verdict::{Punt, Verdict};
use tinmesh_core::name::{NodeId, NodeName};
use tinmesh_core::packet::Packet;
use tinmesh_core::wire::datagram;
use tinmesh_core::wire::options::Options;

use crate::keys::{Side, handshake};
use crate::lab::*;

/// One datagram as the vectors have it.
struct Vector {
    description: String,
    kind: u8,
    level: u8,
    data: Vec<u8>,
    plain: Vec<u8>,
    addressing: String,
    datagram: Vec<u8>,
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// What alice sends, in order.
fn vectors() -> Vec<Vector> {
    let vectors = parse(include_str!("../golden/vectors/udp_packets.json"));
    let packets = vectors["packets"].as_array().unwrap().iter().filter(|packet| packet["sender"] == "alice");
    packets
        .map(|packet| Vector {
            description: packet["description"].to_string(),
            kind: packet["record_type"].as_u64().unwrap() as u8,
            level: packet["level"].as_u64().unwrap_or(0) as u8,
            data: hex(&packet["record_data"]),
            plain: hex(packet.get("uncompressed").unwrap_or_else(|| &packet["record_data"])),
            addressing: packet["addressing"].as_str().unwrap().to_owned(),
            datagram: hex(&packet["udp_payload"]),
        })
        .collect()
}

/// The session of alice and bob.
fn sessions() -> (Arc<Session>, Arc<Session>) {
    let recorded = parse(include_str!("../golden/vectors/sptps_datagram.json"));
    let side = |key: &str, event: usize| {
        let draws = recorded["events"][event]["random"].as_array().unwrap();
        let key: [u8; 64] = hex(&recorded[key]).try_into().unwrap();
        Side { key: SecretKey::from_expanded(&key), rng: Rng::from_bytes(draws.iter().flat_map(hex).collect()) }
    };
    handshake(side("initiator_private", 0), side("responder_private", 1), &hex(&recorded["label"]))
}

/// A node called `own` with a peer called `theirs` in alice's place, reached as a vector says, if need be by way of a relay in bob's.
fn lab(own: &str, theirs: &str, session: &Arc<Session>, vector: &Vector) -> Lab {
    let id = |text| NodeName::parse(text).unwrap().id();
    Lab::new()
        .with(BOB, |relay| relay.node_id = id("relay"))
        .with(ME, |me| me.node_id = id(own))
        .with(ALICE, |peer| {
            peer.node_id = id(theirs);
            peer.session = Some(Arc::clone(session));
            peer.via = if vector.addressing == "relayed" { BOB } else { ALICE };
            peer.options = Options(0).with_minor(if vector.addressing == "none" { 3 } else { 7 });
        })
        .policy(|policy| {
            policy.mode = if vector.kind & 2 == 0 { Mode::Router } else { Mode::Switch };
            policy.compression = vector.level;
            policy.forwarding = Forwarding::Kernel;
        })
}

fn last_hop(vector: &Vector) -> SocketAddr {
    address(if vector.addressing == "relayed" { BOB } else { ALICE })
}

#[test]
fn packets_become_the_datagrams_of_tinc() {
    let (session, _) = sessions();
    let mut count = 0;
    for vector in vectors() {
        let mut lab = lab("alice", "bob", &session, &vector);
        let mut packet = Packet::from_payload(&vector.data);
        if vector.kind == 0 || vector.kind == 2 {
            let verdict = lab.fib.send_record(ALICE, ME, vector.kind, &mut packet, &mut lab.scratch);
            let Verdict::Transmit(target) = verdict else { panic!("{verdict:?} {}", vector.description) };
            assert_eq!(target.to, last_hop(&vector), "{}", vector.description);
            count += 1;
        } else {
            // Probes are the node's; our compressors make other bytes than the C libraries.
            assert!(session.seal(vector.kind, &mut packet));
            assert!(packet.push_front(&datagram::ids(NodeId::NULL, lab.fib.peer(ME).unwrap().node_id)));
        }
        assert_eq!(packet.payload(), vector.datagram, "{}", vector.description);
    }
    assert_eq!(count, 5);
}

#[test]
fn datagrams_of_tinc_become_packets() {
    let (_, session) = sessions();
    for vector in vectors() {
        let mut lab = lab("bob", "alice", &session, &vector);
        let from = last_hop(&vector);
        let (verdict, packet) = lab.inbound(from, &vector.datagram);
        let expected = match vector.kind {
            4 => Verdict::Punt(Punt::Record {
                origin: ALICE,
                kind: 4,
                direct: true,
                from: UdpTarget { to: from, socket: 0 },
            }),
            _ => Verdict::Deliver,
        };
        assert_eq!(verdict, expected, "{}", vector.description);
        assert_eq!(packet.payload(), vector.plain, "{}", vector.description);
    }
}
