//! Sections 2 to 6: ids, payloads, keys, handshakes, records.

use std::time::Duration;

use tinmesh_core::crypto::base64;
use tinmesh_core::dataplane::verdict::{DropReason, Punt, Verdict};
use tinmesh_core::node::io::Persist;

use crate::bench::*;

const SECOND: Duration = Duration::from_secs(1);

fn second_word(request: &str) -> usize {
    request.split(' ').nth(4).map_or(0, str::len)
}

#[test]
fn s2_an_id_is_the_beginning_of_the_hash_of_the_name() {
    assert_eq!(name("alice").id().to_string(), "408b27d3097e");
    assert_eq!(name("bob").id().to_string(), "0416a26ba554");
}

#[test]
fn s3_direct_payloads_have_a_null_destination_and_the_origin() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    bench.confirmed("bob");
    bench.forget();

    bench.wait(SECOND * 2);
    bench.packet_to("bob", 100);

    assert!(!bench.sent.is_empty());
    for (_, payload) in &bench.sent {
        assert_eq!(payload[..6], [0; 6]);
        assert_eq!(payload[6..12], name("me").id().0);
    }
}

#[test]
fn s4_1_a_key_that_is_not_known_is_asked_for_and_kept() {
    let mut bench = Bench::new().neighbour("bob", USUAL).behind("bob", "carol");
    bench.forget();

    bench.packet_to("carol", 100);

    assert_eq!(bench.heard("bob", "15"), ["15 me carol 19"]);
    bench.say("bob", &format!("15 carol me 20 {}", key("carol").public().to_base64()));
    let kept = bench.kept.pop();
    assert!(matches!(&kept, Some(Persist::PublicKey { name, .. }) if name.to_string() == "carol"), "{kept:?}");
}

#[test]
fn s4_1_who_asks_for_the_key_is_told_and_asked_if_unknown() {
    let mut bench = Bench::new().neighbour("bob", USUAL).behind("bob", "carol");
    bench.forget();

    bench.say("bob", "15 carol me 19");

    let ours = format!("15 me carol 20 {}", key("me").public().to_base64());
    assert_eq!(bench.heard("bob", "15"), ["15 me carol 19".to_owned(), ours]);
}

#[test]
fn s4_1_a_known_key_is_not_replaced() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    bench.kept.clear();

    bench.say("bob", &format!("15 bob me 20 {}", key("mallory").public().to_base64()));

    assert!(bench.kept.is_empty(), "{:?}", bench.kept);
    bench.session("bob", "bob");
}

#[test]
fn s4_2_the_first_message_is_a_req_key_with_word_15_and_94_digits() {
    let mut bench = Bench::new().neighbour("bob", USUAL);

    bench.packet_to("bob", 100);

    let requests = bench.heard("bob", "15");
    assert!(requests[0].starts_with("15 me bob 15 "), "{requests:?}");
    assert_eq!(second_word(&requests[0]), 94);
}

#[test]
fn s4_2_everything_after_it_is_ans_key_with_the_level_wanted() {
    let mut bench = Bench::with(|config| config.policy.compression = 9).neighbour("bob", USUAL);
    let before = bench.entry("bob").session.is_some();

    bench.session("bob", "bob");

    assert!(!before && bench.entry("bob").session.is_some());
    bench.say("bob", "15 bob me 15 AAAA");
    let answers = bench.heard("bob", "16");
    assert!(answers.iter().all(|answer| answer.ends_with(" -1 -1 -1 9")), "{answers:?}");
}

#[test]
fn s4_2_an_answer_with_an_unknown_level_is_ignored() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    bench.forget();
    bench.packet_to("bob", 100);
    bench.wait(SECOND);

    bench.say("bob", &format!("16 bob me {} -1 -1 -1 13", base64::encode(&[0; 70])));

    assert!(!bench.is_closed("bob"));
    assert!(bench.entry("bob").session.is_none());
}

#[test]
fn s4_2_requests_for_others_are_sent_on() {
    let mut bench = Bench::new().neighbour("bob", USUAL).neighbour("dave", USUAL).behind("bob", "carol");
    bench.forget();

    bench.say("dave", "15 dave carol 15 AAAA");

    assert_eq!(bench.heard("bob", "15"), ["15 dave carol 15 AAAA"]);
}

#[test]
fn s4_3_a_handshake_without_answer_is_begun_again_after_ten_seconds() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    bench.packet_to("bob", 100);
    bench.forget();

    bench.wait(SECOND * 9);
    bench.packet_to("bob", 100);
    assert!(bench.heard("bob", "15").is_empty(), "too early");
    bench.wait(SECOND * 3);
    bench.packet_to("bob", 100);
    bench.wait(SECOND);

    assert_eq!(bench.heard("bob", "15").len(), 1);
}

#[test]
fn s4_3_a_damaged_datagram_alone_does_not_end_a_session() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = bench.confirmed("bob");
    bench.forget();
    let mut damaged = Bench::sealed(&session, None, "bob", 0, &[0x45; 40]);
    damaged[30] ^= 1;

    let verdict = bench.datagram(address("bob"), &damaged);

    assert_eq!(verdict, Verdict::Drop(DropReason::BadTag));
    assert!(bench.heard("bob", "15").is_empty(), "the last handshake is too recent");
}

#[test]
fn s4_4_who_answers_a_req_key_is_responder_even_if_it_had_begun() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    bench.packet_to("bob", 100);
    bench.wait(SECOND);

    bench.session("bob", "bob");

    assert!(bench.entry("bob").session.is_some());
}

#[test]
fn s4_5_key_changed_is_passed_on_and_changes_nothing() {
    let mut bench = Bench::new().neighbour("bob", USUAL).neighbour("dave", USUAL);
    bench.session("bob", "bob");
    bench.forget();

    bench.say("bob", "14 abc bob");

    assert_eq!(bench.heard("dave", "14"), ["14 abc bob"]);
    assert!(bench.entry("bob").session.is_some());
}

#[test]
fn s5_record_types_beyond_the_table_are_errors() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = bench.confirmed("bob");

    for kind in [5, 8, 64] {
        let datagram = Bench::sealed(&session, None, "bob", kind, &[0x45; 40]);
        assert_eq!(bench.datagram(address("bob"), &datagram), Verdict::Drop(DropReason::BadRecord), "type {kind}");
    }
}

#[test]
fn s5_a_record_of_a_packet_reaches_the_device() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = bench.confirmed("bob");
    let mut packet = vec![0; 60];
    packet[0] = 0x45;
    packet[3] = 60;
    packet[12..20].copy_from_slice(&[10, 2, 0, 1, 10, 1, 0, 1]);

    bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 0, &packet));

    assert_eq!(bench.delivered, [packet]);
}

#[test]
fn s5_a_probe_is_the_nodes_business() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = bench.confirmed("bob");

    let verdict = bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 4, &[0; 18]));

    assert!(matches!(verdict, Verdict::Punt(Punt::Record { kind: 4, direct: true, .. })), "{verdict:?}");
}
