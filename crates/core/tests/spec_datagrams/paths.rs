//! Sections 7 to 20: carriers, relays, discovery, sizes, addresses.

use std::net::SocketAddr;
use std::time::Duration;

use tinmesh_core::dataplane::verdict::{DropReason, Verdict};
use tinmesh_core::node::io::Input;

use crate::bench::*;

const SECOND: Duration = Duration::from_secs(1);
/// Frame that a plain IPv4 path takes.
const FULL: u16 = 1439;

/// Bob's UDP is confirmed, and the largest size is known.
fn measured(bench: &mut Bench) -> std::sync::Arc<tinmesh_core::dataplane::session::Session> {
    let session = bench.confirmed("bob");
    bench.packet_to("bob", 100);
    bench.wait(SECOND);
    bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 4, &reply(FULL)));
    assert_eq!(bench.info("bob").mtu, (FULL, FULL, FULL));
    session
}

fn probes(opened: &[(u8, Vec<u8>)]) -> Vec<usize> {
    opened.iter().filter(|(kind, data)| *kind == 4 && data[0] == 0).map(|(_, data)| data.len()).collect()
}

fn replies(opened: &[(u8, Vec<u8>)]) -> Vec<u16> {
    let replies = opened.iter().filter(|(kind, data)| *kind == 4 && data[0] == 2);
    replies.map(|(_, data)| u16::from_be_bytes([data[1], data[2]])).collect()
}

#[test]
fn s7_2_a_neighbour_gets_packets_unencrypted_over_tcp_until_udp_is_measured() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    bench.session("bob", "bob");
    bench.forget();

    bench.packet_to("bob", 100);

    assert_eq!(bench.heard("bob", "17"), ["17 114"], "the frame has a header of 14 bytes");
}

#[test]
fn s7_2_the_size_that_counts_for_a_neighbour_is_that_of_the_frame() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    measured(&mut bench);
    bench.forget();

    let fits = bench.packet_to("bob", usize::from(FULL) - 14);

    assert!(matches!(fits, Verdict::Transmit(_)), "{fits:?}");
    assert!(bench.heard("bob", "17").is_empty());
}

#[test]
fn s7_3_a_datagram_for_somebody_without_udp_goes_by_the_nexthop() {
    let mut bench = Bench::new().neighbour("bob", USUAL).behind("bob", "carol");
    measured(&mut bench);
    bench.say("bob", &format!("15 carol me 20 {}", key("carol").public().to_base64()));
    let session = bench.session("carol", "bob");
    bench.forget();

    bench.packet_to("carol", 100);

    let over_udp = bench.sent.iter().any(|(to, payload)| *to == address("bob") && payload[..6] == name("carol").id().0);
    assert!(over_udp || !bench.raw.is_empty(), "bob relays, by UDP or TCP");
    let relayed = bench.sent.iter().map(|(_, payload)| payload).chain(&bench.raw);
    let mut relayed = relayed.filter(|payload| payload[..6] == name("carol").id().0);
    let mut packet = tinmesh_core::packet::Packet::from_payload(&relayed.next().unwrap()[12..]);
    assert_eq!(session.open(&mut packet), Ok(0));
}

#[test]
fn s7_4_over_tcp_the_datagram_follows_outside_any_record() {
    let mut bench = Bench::new().neighbour("bob", USUAL).behind("bob", "carol");
    bench.say("bob", &format!("15 carol me 20 {}", key("carol").public().to_base64()));
    let session = bench.session("carol", "bob");
    bench.forget();

    bench.packet_to("carol", 100);

    assert_eq!(bench.heard("bob", "21"), [format!("21 {}", 12 + 21 + 100)]);
    let raw = &bench.raw[0];
    assert_eq!((&raw[..6], &raw[6..12]), (&name("carol").id().0[..], &name("me").id().0[..]));
    let mut packet = tinmesh_core::packet::Packet::from_payload(&raw[12..]);
    assert_eq!((session.open(&mut packet), packet.len()), (Ok(0), 100));
}

/// How long the packets are that bob heard.
fn lengths_heard(bench: &mut Bench) -> Vec<usize> {
    bench.heard("bob", "17").iter().map(|line| line[3..].parse().unwrap()).collect()
}

/// Ten packets of 114 to 123 bytes as frames, one every 10 ms, for a connection that has no room.
fn ten_packets(bench: &mut Bench) {
    bench.session("bob", "bob");
    let conn = bench.conn("bob");
    bench.handle(Input::Queued { conn, bytes: 1 << 20 });
    bench.forget();
    for len in 100..110 {
        bench.packet_to("bob", len);
        bench.wait(Duration::from_millis(10));
    }
    assert_eq!(lengths_heard(bench), [0; 0]);
}

#[test]
fn s7_4_packets_are_dropped_where_too_much_waits() {
    let mut bench = Bench::with(|config| config.mesh.max_output_buffer = Some(400)).neighbour("bob", USUAL);
    ten_packets(&mut bench);
    let conn = bench.conn("bob");
    bench.handle(Input::Queued { conn, bytes: 0 });

    assert_eq!(lengths_heard(&mut bench), [121, 122, 123], "the newest are left");
    assert_eq!(bench.dropped(DropReason::QueueFull), 7);
}

#[test]
fn s7_4_packets_are_dropped_when_they_have_waited_long_and_newer_ones_are_there() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    ten_packets(&mut bench);
    let conn = bench.conn("bob");
    bench.handle(Input::Queued { conn, bytes: 0 });

    assert_eq!(lengths_heard(&mut bench), [119, 120, 121, 122, 123], "those of the last 50 ms");
    assert_eq!(bench.dropped(DropReason::TooLate), 5);
}

#[test]
fn s7_4_requests_do_not_wait_behind_packets() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    ten_packets(&mut bench);
    let conn = bench.conn("bob");
    bench.say("bob", "8");
    assert_eq!(bench.heard("bob", "9"), ["9"], "a ping is answered although nothing leaves");
    bench.handle(Input::Queued { conn, bytes: 0 });
    assert_eq!(lengths_heard(&mut bench).len(), 5);
}

#[test]
fn s7_6_a_size_that_the_system_refuses_is_not_used_again() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    measured(&mut bench);

    bench.path_mtu = 1400;

    bench.handle(Input::TooBig { to: address("bob"), datagram: &[0; 1472], missed: false });

    let mtu = bench.info("bob").mtu;
    assert!(mtu.1 == 0 && mtu.2 <= FULL - 100, "what the path takes now is looked for: {mtu:?}");
}

#[test]
fn a_datagram_that_the_system_refuses_goes_over_tcp_if_it_is_missed() {
    let mut bench = Bench::new().neighbour("bob", USUAL).neighbour("dave", USUAL);
    let session = measured(&mut bench);
    let own = |session: &_, to| Bench::sealed(session, to, "me", 0, &[0x45; 40]);
    let relayed = Bench::sealed(&session, Some("bob"), "dave", 0, &[0x45; 40]);
    for (datagram, missed) in [(own(&session, None), true), (relayed, true), (own(&session, None), false)] {
        bench.forget();
        bench.handle(Input::TooBig { to: address("bob"), datagram: &datagram, missed });

        let over_tcp = [&name("bob").id().0, &datagram[6..]].concat();
        assert_eq!(bench.raw, vec![over_tcp; usize::from(missed)], "{missed}");
    }
}

#[test]
fn refused_datagrams_that_nobody_can_be_sent_are_counted() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    measured(&mut bench);
    bench.forget();
    let strange = [&name("nobody").id().0[..], &[7; 60]].concat();
    for (to, datagram) in [(address("bob"), &strange[..]), (address("bob"), &[1; 5]), (address("dave"), &[1; 60])] {
        bench.handle(Input::TooBig { to, datagram, missed: true });
    }
    assert!(bench.raw.is_empty());
    assert_eq!(bench.dropped(DropReason::SendFailed), 3);
}

#[test]
fn s8_1_a_datagram_to_be_relayed_is_taken_from_a_confirmed_address_only() {
    let mut bench = Bench::new().neighbour("bob", USUAL).neighbour("dave", USUAL);
    let session = bench.session("bob", "bob");
    let datagram = Bench::sealed(&session, Some("dave"), "bob", 0, &[0x45; 40]);

    let verdict = bench.datagram(address("bob"), &datagram);

    assert_eq!(verdict, Verdict::Drop(DropReason::UnconfirmedRelay));
}

#[test]
fn s8_1_short_payloads_and_strangers_are_dropped() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let stranger: SocketAddr = "198.51.100.9:1".parse().unwrap();

    for len in [0, 1, 11, 12, 32] {
        let verdict = bench.datagram(stranger, &vec![1; len]);
        assert_eq!(verdict, Verdict::Drop(DropReason::TooShort), "{len} bytes");
    }
    assert_eq!(bench.datagram(stranger, &[1; 60]), Verdict::Drop(DropReason::UnknownId));
}

#[test]
fn s8_3_and_s9_2_a_relay_sends_on_unopened() {
    let mut bench = Bench::new().neighbour("bob", USUAL).neighbour("dave", USUAL);
    let session = measured(&mut bench);
    bench.session("dave", "dave");
    bench.forget();
    let datagram = Bench::sealed(&session, Some("dave"), "bob", 0, &[0x45; 40]);

    bench.datagram(address("bob"), &datagram);

    assert_eq!(
        bench.raw,
        std::slice::from_ref(&datagram),
        "dave's UDP is not confirmed, so it goes over TCP with the same ids"
    );
    bench.forget();
    bench.say_raw("bob", &datagram);
    assert_eq!(bench.raw, [datagram]);
}

#[test]
fn s9_1_a_frame_from_a_neighbour_goes_to_routing() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let mut frame = vec![0; 14 + 60];
    frame[12..18].copy_from_slice(&[8, 0, 0x45, 0, 0, 60]);
    frame[26..34].copy_from_slice(&[10, 2, 0, 1, 10, 1, 0, 1]);

    bench.say("bob", "17 74");
    bench.say_frame("bob", &frame);

    assert_eq!(bench.delivered, [frame[14..].to_vec()]);
}

#[test]
fn s9_2_raw_bytes_too_short_for_ids_close_the_connection() {
    let mut bench = Bench::new().neighbour("bob", USUAL);

    bench.say_raw("bob", &[0; 11]);

    assert!(bench.is_closed("bob"));
}

#[test]
fn s9_2_unknown_ids_are_ignored() {
    let mut bench = Bench::new().neighbour("bob", USUAL);

    bench.say_raw("bob", &[7; 60]);

    assert!(!bench.is_closed("bob"));
}

#[test]
fn s11_and_s12_1_an_idle_neighbour_gets_keys_and_probes_without_traffic() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    bench.session("bob", "bob");
    bench.forget();

    bench.wait(SECOND * 8);

    assert!(bench.sent.len() >= 2, "a request every two seconds, here {}", bench.sent.len());
    assert!(bench.sent.iter().all(|(_, payload)| payload.len() == 18 + 33));
}

#[test]
fn s12_1_a_confirmed_neighbour_is_asked_every_ten_seconds() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = bench.confirmed("bob");
    bench.wait(SECOND);
    bench.forget();

    for _ in 0..4 {
        bench.wait(SECOND * 5);
        bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 4, &reply(18)));
    }

    let requests = probes(&bench.opened(&session, address("bob")));
    assert!((1..=3).contains(&requests.len()), "{requests:?} in twenty seconds");
}

#[test]
fn s12_2_and_s12_3_a_request_of_any_size_is_answered_with_its_length() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = bench.confirmed("bob");
    bench.forget();

    for len in [18, 600, 1400] {
        bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 4, &vec![0; len]));
    }

    let opened = bench.opened(&session, address("bob"));
    assert_eq!(replies(&opened), [18, 600, 1400]);
    assert!(opened.iter().all(|(_, data)| data.len() == 18), "replies of type 2 are short");
}

#[test]
fn s12_3_a_reply_confirms_and_only_a_reply() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = bench.session("bob", "bob");

    bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 4, &[0; 18]));
    assert!(!bench.entry("bob").udp_confirmed, "a request proves nothing");
    bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 4, &reply(18)));

    assert!(bench.entry("bob").udp_confirmed);
}

#[test]
fn s12_4_without_replies_udp_is_given_up_after_thirty_seconds() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    measured(&mut bench);

    bench.wait(SECOND * 25);
    assert!(bench.entry("bob").udp_confirmed);
    bench.wait(SECOND * 8);

    let info = bench.info("bob");
    assert!(!bench.entry("bob").udp_confirmed);
    assert_eq!(info.mtu.1, 0, "nothing is known to arrive");
}

#[test]
fn s13_2_and_s13_4_the_first_size_tried_is_that_of_the_path() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = bench.confirmed("bob");
    bench.forget();

    bench.packet_to("bob", 100);
    bench.wait(SECOND);

    let sizes = probes(&bench.opened(&session, address("bob")));
    assert!(sizes.contains(&usize::from(FULL)), "{sizes:?}");
    let payload = bench.sent.iter().map(|(_, payload)| payload.len()).max();
    assert_eq!(payload, Some(1472), "a full IPv4 packet");
}

#[test]
fn s13_1_without_the_option_no_size_is_tried() {
    let mut bench = Bench::new().neighbour("bob", USUAL & !4);
    let session = bench.confirmed("bob");
    bench.forget();

    bench.packet_to("bob", 100);
    bench.wait(SECOND * 2);

    assert!(probes(&bench.opened(&session, address("bob"))).iter().all(|len| *len == 18));
}

#[test]
fn s14_2_udp_info_tells_an_address_of_somebody_unconfirmed() {
    let mut bench = Bench::new().neighbour("bob", USUAL).behind("bob", "carol");

    bench.say("bob", "22 carol me 198.51.100.7 4000");

    assert_eq!(bench.info("carol").address, Some("198.51.100.7:4000".parse().unwrap()));
}

#[test]
fn s14_2_udp_info_about_a_neighbour_is_not_believed() {
    let mut bench = Bench::new().neighbour("bob", USUAL).neighbour("dave", USUAL);
    let before = bench.info("dave").address;

    bench.say("bob", "22 dave me 198.51.100.7 4000");

    assert_eq!(bench.info("dave").address, before);
}

#[test]
fn s15_2_mtu_info_lowers_what_is_not_measured_and_nonsense_closes() {
    let mut bench = Bench::new().neighbour("bob", USUAL).behind("bob", "carol");

    bench.say("bob", "23 carol me 1300");
    assert_eq!(bench.info("carol").mtu.0, 1300);
    assert!(!bench.is_closed("bob"));
    bench.say("bob", "23 carol me 511");

    assert!(bench.is_closed("bob"));
}

#[test]
fn s16_2_a_forwarded_ans_key_carries_the_address_of_its_sender() {
    let mut bench = Bench::new().neighbour("bob", USUAL).neighbour("dave", USUAL);
    measured(&mut bench);
    bench.forget();

    bench.say("dave", "16 dave bob AAAA -1 -1 -1 0");

    assert_eq!(bench.heard("bob", "16"), ["16 dave bob AAAA -1 -1 -1 0 192.0.2.4 655"]);
}

#[test]
fn s16_2_without_udp_to_the_receiver_nothing_is_added() {
    let mut bench = Bench::new().neighbour("bob", USUAL).neighbour("dave", USUAL);
    bench.forget();

    bench.say("dave", "16 dave bob AAAA -1 -1 -1 0");

    assert_eq!(bench.heard("bob", "16"), ["16 dave bob AAAA -1 -1 -1 0"]);
}

#[test]
fn s17_1_an_adopted_address_must_confirm_itself() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = measured(&mut bench);
    let moved: SocketAddr = "198.51.100.7:4000".parse().unwrap();

    bench.datagram(moved, &Bench::sealed(&session, None, "bob", 0, &[0x45; 40]));
    assert!(!bench.entry("bob").udp_confirmed, "only small probes go there");
    bench.wait(SECOND * 3);

    assert!(bench.sent.iter().any(|(to, _)| *to == moved), "it is probed there");
    bench.datagram(moved, &Bench::sealed(&session, None, "bob", 4, &reply(18)));
    let udp = bench.entry("bob");
    assert_eq!((udp.udp.map(|target| target.to), udp.udp_confirmed), (Some(moved), true));
}

#[test]
fn s18_who_goes_and_comes_back_has_nothing_left_of_its_session() {
    let mut bench = Bench::new().neighbour("bob", USUAL).behind("bob", "carol");
    bench.say("bob", &format!("15 carol me 20 {}", key("carol").public().to_base64()));
    bench.session("carol", "bob");
    assert!(bench.entry("carol").session.is_some());

    bench.say("bob", "13 9a bob carol");
    bench.say("bob", "13 9b carol bob");
    assert!(!bench.entry("carol").reachable);
    let bench = bench.behind_again("bob", "carol");

    let carol = bench.entry("carol");
    assert!(carol.reachable && carol.session.is_none() && !carol.udp_confirmed && carol.min_mtu == 0);
}

#[test]
fn s20_a_probe_has_33_bytes_more_and_a_packet_is_14_shorter_than_its_frame() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    measured(&mut bench);
    bench.forget();

    bench.packet_to("bob", 1000);

    assert_eq!(bench.sent[0].1.len(), 1000 + 33);
}

#[test]
fn s22_out_counts_what_is_sent_towards_a_node_and_in_what_came_from_it() {
    use std::sync::atomic::Ordering::Relaxed;
    let mut bench = Bench::new().neighbour("bob", USUAL);
    let session = measured(&mut bench);
    let before = (
        bench.entry("bob").stats.out_packets.load(Relaxed),
        bench.entry("bob").stats.in_packets.load(Relaxed),
        bench.entry("bob").stats.in_bytes.load(Relaxed),
    );
    let mut packet = vec![0; 60];
    packet[0] = 0x45;
    packet[3] = 60;
    packet[12..20].copy_from_slice(&[10, 2, 0, 1, 10, 1, 0, 1]);

    bench.packet_to("bob", 100);
    bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 0, &packet));
    bench.datagram(address("bob"), &Bench::sealed(&session, None, "bob", 4, &reply(18)));

    let stats = &bench.entry("bob").stats;
    assert_eq!(stats.out_packets.load(Relaxed), before.0 + 1);
    assert_eq!(stats.in_packets.load(Relaxed), before.1 + 1, "probes do not count");
    assert_eq!(stats.in_bytes.load(Relaxed), before.2 + 74, "bytes of the frame");
}
