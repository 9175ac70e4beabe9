//! Connections of a test client with a running tinc 1.1, whose own randomness is not known.

use serde_json::Value;
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::stream::{Stream, StreamEvent};
use tinmesh_core::crypto::sptps::{Params, Role};
use tinmesh_core::invite::file_name;
use tinmesh_core::invite::joiner::{Joiner, JoinerEvent};
use tinmesh_core::invite::url::InviteUrl;

use crate::vectors::{array, hex, list, text, vectors};

fn clients_draws(file: &Value) -> Rng {
    Rng::from_bytes([hex(&file["cli_kex_nonce_hex"]), hex(&file["cli_kex_seed_hex"])].concat())
}

/// All bytes that went one way, in one piece.
fn bytes_of(file: &Value, direction: &str) -> Vec<u8> {
    list(&file["wire"])
        .iter()
        .filter(|segment| segment["dir"] == direction)
        .flat_map(|part| hex(&part["hex"]))
        .collect()
}

#[test]
fn a_joiner_says_what_the_recorded_one_said_and_understands_tinc() {
    let file = vectors!("meta/invitation-session.json");
    let url = InviteUrl::parse(text(&file["url"])).unwrap();
    let invitation = SecretKey::parse_file(text(&file["invitation_key_file"])).unwrap().public();
    assert_eq!(url.cookie.to_vec(), hex(&file["cookie_hex"]));
    assert_eq!(file_name(&url.cookie, &invitation), text(&file["invitation_file_name"]));
    let mut joiner = Joiner::new(&url, SecretKey::from_seed(&array(&file["throwaway_seed_hex"])));
    let mut rng = clients_draws(&file);
    let key = PublicKey::from_base64(text(&file["record_1_from_joiner"])).unwrap();

    let mut events = Vec::new();
    for byte in bytes_of(&file, "<") {
        for event in joiner.feed(&[byte], &mut rng).unwrap() {
            if matches!(event, JoinerEvent::FileReceived { .. }) {
                joiner.send_key(&key).unwrap();
            }
            events.push(event);
        }
    }

    assert_eq!(joiner.take_output(), bytes_of(&file, ">"));
    let sent = text(&file["invitation_file"]).as_bytes().to_vec();
    assert_eq!(events, [JoinerEvent::FileReceived { file: sent, name_choice: false }, JoinerEvent::Accepted]);
}

#[test]
fn a_meta_connection_with_tinc_is_understood_and_answered_byte_for_byte() {
    let file = vectors!("meta/sptps-meta-session.json");
    let key = SecretKey::parse_file(text(&file["cli_ed25519_private_file"])).unwrap();
    let peer = SecretKey::parse_file(text(&file["alpha_ed25519_private_file"])).unwrap().public();
    assert_eq!(key.public().to_base64(), text(&file["cli_public_base64"]));
    assert_eq!(peer.to_base64(), text(&file["alpha_public_base64"]));
    let params = Params { role: Role::Initiator, key, peer, label: hex(&file["label_hex"]) };
    let mut rng = clients_draws(&file);
    let (mut stream, mut sent) = Stream::new(params, &mut rng);

    let (received, expected) = (bytes_of(&file, "<"), bytes_of(&file, ">"));
    let id_end = |bytes: &[u8]| bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let (mut rest, mut records) = (&received[id_end(&received)..], Vec::new());
    while !rest.is_empty() {
        let (consumed, event) = stream.feed(rest, &mut rng).unwrap();
        rest = &rest[consumed..];
        sent.extend(stream.take_output());
        if let Some(StreamEvent::Record { data, .. }) = event {
            records.push(data);
        }
    }

    let lines = list(&file["lines_from_alpha"])[1..].iter().map(text);
    for (record, line) in records.iter().zip(lines.clone()) {
        let as_text: String = record.iter().map(|&byte| char::from(byte)).collect();
        assert_eq!(as_text.trim_end_matches('\n'), line);
    }
    assert_eq!(records.len(), lines.len());
    for line in &list(&file["lines_from_cli"])[2..] {
        let line = text(line).split(" (").next().unwrap();
        sent.extend(stream.seal(0, format!("{line}\n").as_bytes()).unwrap());
    }
    assert_eq!(sent, expected[id_end(&expected)..]);
}
