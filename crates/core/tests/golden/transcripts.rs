//! Whole SPTPS sessions, byte for byte.

use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::stream::{Stream, StreamEvent};

use crate::session::{Pair, Path, Side};
use crate::vectors::{hex, list, number, text, vectors};

fn play_all(file: serde_json::Value, path: Path) {
    let count = list(&file["events"]).len();
    let mut pair = Pair::new(file, path);
    for index in 0..count {
        pair.play(index);
    }
}

#[test]
fn a_stream_session_with_three_rekeys_is_reproduced_by_both_sides() {
    play_all(vectors!("sptps_stream.json"), Path::Meta);
}

#[test]
fn an_invitation_stream_is_reproduced_by_both_sides() {
    play_all(vectors!("sptps_invitation_stream.json"), Path::Meta);
}

#[test]
fn a_datagram_session_is_reproduced_with_handshakes_over_meta_connections() {
    play_all(vectors!("sptps_datagram.json"), Path::Meta);
}

#[test]
fn a_datagram_session_is_reproduced_with_handshakes_over_udp() {
    play_all(vectors!("sptps_datagram.json"), Path::Udp);
}

fn established_stream() -> Stream {
    let mut pair = Pair::new(vectors!("sptps_stream.json"), Path::Meta);
    (0..6).for_each(|index| pair.play(index));
    match pair.take(&"bob".into()) {
        Side::Stream(stream) => stream,
        Side::Datagram(..) => unreachable!("the file is of a stream"),
    }
}

#[test]
fn records_may_arrive_in_pieces() {
    let mut stream = established_stream();
    for chunk in list(&vectors!("sptps_stream_chunks.json")["chunks"]) {
        let (consumed, event) = stream.feed(&hex(&chunk["feed"]), &mut Rng::from_seed([0; 32])).unwrap();

        assert_eq!(consumed as u64, number(&chunk["consumed"]));
        let delivered = list(&chunk["delivers"]).first();
        let expected = delivered
            .map(|record| StreamEvent::Record { kind: number(&record["type"]) as u8, data: hex(&record["data"]) });
        assert_eq!(event, expected);
    }
}

#[test]
fn labels_are_those_of_tinc() {
    use tinmesh_core::crypto::sptps::{INVITATION_LABEL, meta_label, udp_label};
    let name = |name: &str| tinmesh_core::name::NodeName::parse(name).unwrap();
    let (alice, bob) = (name("alice"), name("bob"));

    assert_eq!(meta_label(&alice, &bob), hex(&vectors!("sptps_stream.json")["label"]));
    assert_eq!(udp_label(&alice, &bob), hex(&vectors!("sptps_datagram.json")["label"]));
    assert_eq!(INVITATION_LABEL, hex(&vectors!("invitation.json")["label_hex"]));
    assert_eq!(INVITATION_LABEL, text(&vectors!("invitation.json")["label"]).as_bytes());
}
