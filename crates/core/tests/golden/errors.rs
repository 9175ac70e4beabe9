//! What SPTPS refuses, and the state it leaves.

use serde_json::Value;
use tinmesh_cipher::Key;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::HANDSHAKE;

use crate::session::{Outcome, Pair, Path, Side};
use crate::vectors::{array, flag, hex, list, number, text, vectors};

/// How many events of the session file lead to a stage.
fn events_before(stage: &str) -> usize {
    match stage {
        "KEX: both have sent KEX, none received" => 2,
        "SIG: KEX received, SIG expected" => 4,
        _ => 6,
    }
}

/// A record of `data` by the initiator, under the first keys unless `key` is `None`.
fn record(stream: bool, key: Option<&Key>, sequence: u32, kind: u8, data: &[u8]) -> Vec<u8> {
    let front = if stream { (data.len() as u16).to_be_bytes().to_vec() } else { sequence.to_be_bytes().to_vec() };
    let mut sealed = [&[kind], data].concat();
    let tag = key.map(|key| key.seal(sequence, &mut sealed).to_vec()).unwrap_or_default();
    [front, sealed, tag].concat()
}

/// Shows that Bob's counters and state are those of `after`: the next right record is taken and answered.
fn check_state(case: &Value, pair: &Pair, bob: &mut Side) {
    let (stream, after, derived) = (case["mode"] == "stream", &case["after"], &pair.file["derived"][0]);
    let (in_number, out_number) = (number(&after["next_in_seqno"]) as u32, number(&after["next_out_seqno"]) as u32);
    let header = if stream { 3 } else { 5 };
    let handshake = |event: usize| hex(&pair.file["events"][event]["sends"][0]["wire"])[header..].to_vec();
    let rng = &mut Rng::from_seed([0; 32]);
    match text(&after["state"]) {
        "KEX" => {
            let kex = record(stream, None, in_number, HANDSHAKE, &handshake(0));
            assert_eq!(bob.receive(&kex, rng), Ok(Outcome::default()), "{case}");
        }
        "SIG" => {
            let sig = record(stream, None, in_number, HANDSHAKE, &handshake(2));
            let own = record(stream, None, out_number, HANDSHAKE, &handshake(4));
            let expected = Outcome { sends: vec![own], done: true, ..Outcome::default() };
            assert_eq!(bob.receive(&sig, rng), Ok(expected), "{case}");
        }
        _ => {
            let theirs = Key::new(&array(&derived["initiator_sends_with_key"]));
            let ours = Key::new(&array(&derived["responder_sends_with_key"]));
            let wire = record(stream, Some(&theirs), in_number, 5, b"next");
            let expected = Outcome { delivers: vec![(5, b"next".to_vec())], ..Outcome::default() };
            assert_eq!(bob.receive(&wire, rng), Ok(expected), "{case}");
            let expected = record(stream, Some(&ours), out_number, 6, b"answer");
            assert_eq!(bob.send(6, b"answer").sends, [expected], "{case}");
        }
    }
}

/// Two cases differ on purpose: a bad KEX in an established session is refused before ours is sent, and refusing an
/// application record is left to the application.
#[test]
fn what_tinc_refuses_is_refused_and_leaves_the_same_state() {
    for case in list(&vectors!("sptps_errors.json")["cases"]) {
        let mut case = case.clone();
        let description = text(&case["description"]).to_owned();
        let mut pair = Pair::of_mode(text(&case["mode"]), Path::Udp);
        (0..events_before(text(&case["stage"]))).for_each(|index| pair.play(index));
        assert_eq!(case["who"], "bob");
        let mut bob = pair.take(&case["who"]);
        let rng = &mut Rng::from_seed([0; 32]);
        if description == "replay" {
            bob.receive(&hex(&case["wire"]), rng).unwrap();
        }
        if description.starts_with("empty handshake record (answers") {
            case["after"]["next_out_seqno"] = 2.into();
        }
        let refused_by_application = description == "application record that the application refuses";

        let outcome = bob.receive(&hex(&case["wire"]), rng);

        assert_eq!(outcome.is_ok(), flag(&case["ok"]) || refused_by_application, "{description}: {outcome:?}");
        let delivered = list(&case["delivers"]).iter().filter(|record| !record["data"].is_null());
        let delivered: Vec<_> = delivered.map(|record| (number(&record["type"]) as u8, hex(&record["data"]))).collect();
        assert_eq!(outcome.map(|outcome| outcome.delivers).unwrap_or_default(), delivered, "{description}");
        check_state(&case, &pair, &mut bob);
    }
}
