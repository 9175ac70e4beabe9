//! A recorded connection with tinc 1.0.36, and its packets.

use serde_json::Value;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::Role;
use tinmesh_core::legacy::cipher::Cipher;
use tinmesh_core::legacy::digest::Digest;
use tinmesh_core::legacy::link::{Link, Proof};
use tinmesh_core::legacy::rsa::{PrivateKey, PublicKey};
use tinmesh_core::legacy::session::{Session, Suite};
use tinmesh_core::packet::Packet;

use crate::vectors::{hex, list, number, text, vectors};

/// Plays one side of the recorded connection and checks that it sends what was sent.
fn replay(file: &Value, role: Role, own: &str, peer: &str, sent: &Value, received: &Value) {
    let key = PrivateKey::parse_file(text(&file[own])).unwrap();
    let peer = PublicKey::parse_file(text(&file[peer])).unwrap();
    let challenge = &text(&list(&sent["lines"])[2])[2..];
    let drawn = [hex(&sent["rsa_block_hex"]), vec![1; 256], hex(&Value::from(challenge))].concat();
    let mut rng = Rng::from_bytes(drawn);
    let raw = hex(&received["raw_hex"]);
    let mut lines = raw.splitn(3, |&byte| byte == b'\n').skip(1);
    let (meta_key, sealed) = (lines.next().unwrap(), lines.next().unwrap());
    let id = format!("{}\n", text(&list(&sent["lines"])[0]));

    let (mut link, request) = Link::start(role, peer, false, &mut rng).unwrap();
    let mut output = [id.into_bytes(), request].concat();
    let mut plain = Vec::new();
    let mut step =
        |link: &mut Link, line: &[u8]| link.on_request(line, Proof { key: &key, weak: false, rng: &mut rng }).unwrap();
    output.extend(step(&mut link, meta_key).send);
    link.receive(sealed).unwrap();
    while let Some(end) = link.rest().iter().position(|&byte| byte == b'\n') {
        let line = link.take(end + 1);
        if !link.is_authenticated() {
            output.extend(step(&mut link, &line[..end]).send);
        }
        plain.push(String::from_utf8(line[..end].to_vec()).unwrap());
    }
    for line in list(&sent["lines"]).iter().skip(4).filter(|line| !text(line).is_empty()) {
        output.extend(link.seal(format!("{}\n", text(line)).as_bytes()).unwrap());
    }

    assert_eq!(output, hex(&sent["raw_hex"])[..output.len()]);
    let expected: Vec<&str> = list(&received["lines"])[2..].iter().map(text).filter(|line| !line.is_empty()).collect();
    assert_eq!(plain[..expected.len()], expected);
}

#[test]
fn the_recorded_connection_is_reproduced_byte_for_byte_on_both_sides() {
    let file = vectors!("meta/legacy-handshake.json");
    let (alpha, beta) = (&file["alpha_to_beta"], &file["beta_to_alpha"]);
    let (alpha_key, beta_key) = ("alpha_rsa_private_pem", "beta_rsa_private_pem");
    replay(&file, Role::Responder, alpha_key, "beta_rsa_public_pem", alpha, beta);
    replay(&file, Role::Initiator, beta_key, "alpha_rsa_public_pem", beta, alpha);
}

fn suite(sample: &Value) -> Suite {
    let id = |field: &str| i32::try_from(number(&sample[field])).unwrap();
    Suite {
        cipher: Cipher::by_id(id("cipher_nid")),
        digest: Digest::by_id(id("digest_nid")),
        mac_length: u8::try_from(number(&sample["maclength"])).unwrap(),
        compression: u8::try_from(number(&sample["compression"])).unwrap(),
    }
}

#[test]
fn recorded_packets_of_tinc_open_and_are_sealed_again_to_the_same_bytes() {
    let file = vectors!("meta/legacy-udp.json");
    assert_eq!(list(&file).len(), 54);
    for sample in list(&file) {
        let (suite, key) = (suite(sample), hex(&sample["key_hex"]));
        let (receiver, own) = Session::default().with_own_key(suite, 16, &mut Rng::from_bytes(key.clone())).unwrap();
        assert_eq!(*own, key);
        let sender = Session::default().with_peers_key(suite, &key).unwrap();
        let mut packet = Packet::from_payload(&hex(&sample["datagram_hex"]));

        receiver.open(&mut packet).unwrap_or_else(|error| panic!("{suite:?}: {error}"));
        assert_eq!(packet.payload(), hex(&sample["payload_hex"]), "{suite:?}");
        for _ in 1..number(&sample["seqno"]) {
            assert!(sender.seal(&mut Packet::from_payload(b"earlier")));
        }
        assert!(sender.seal(&mut packet));

        assert_eq!(packet.payload(), hex(&sample["datagram_hex"]), "{suite:?}");
    }
}
