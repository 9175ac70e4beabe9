//! A walk through the specification of the meta protocol, section by section, with a client that says what it wants.
//!
//! What is shown elsewhere: tarpit and rate (2.3), addresses (3.2, 14) in `sockets.rs`; proxies (3.6) in `proxies.rs`;
//! UPnP (12) in `upnp.rs`; sleep, sizes, floods and AutoConnect (7.3, 10, 13, 15) in the simulator's stories; bytes of
//! tinc itself in the golden tests of the core.

use std::io::Write;

use crate::lab::namespace::Namespace;
use crate::lab::raw::{RawNode, dial, hear, introduce};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

/// Alice is the daemon; bob and carol are tests.
struct Bench {
    alice: Daemon,
    _lab: Lab,
}

impl Bench {
    fn with(lines: &[&str]) -> Self {
        let lab = Lab::new();
        let mut alice = Daemon::init(&lab, "alice", Kind::Ours, &Namespace::new("node"));
        alice.config("DeviceType = dummy").config("AutoConnect = no");
        for line in lines {
            alice.config(line);
        }
        alice.host("Subnet = 10.1.0.0/16").host("Subnet = fd00:1::/64#3").host("Subnet = 10.1.2.3");
        for name in ["bob", "carol", "dave"] {
            introduce(&alice, name);
        }
        alice.start();
        Self { alice, _lab: lab }
    }

    fn new() -> Self {
        Self::with(&[])
    }

    fn bob(&self) -> RawNode {
        RawNode::join(&self.alice, "bob")
    }

    fn bob_and_carol(&self) -> (RawNode, RawNode) {
        let mut bob = self.bob();
        bob.expect("12 ");
        let mut carol = RawNode::join(&self.alice, "carol");
        // Whatever belongs to their coming is over.
        assert!(carol.lives() && bob.lives());
        (bob, carol)
    }

    /// What comes back before an ID is believed.
    fn answer_to(&self, line: &str) -> String {
        let mut stream = dial(&self.alice);
        stream.write_all(line.as_bytes()).expect("it reads");
        String::from_utf8_lossy(&hear(&mut stream)).into_owned()
    }
}

#[test]
fn section_2_2_nothing_is_said_before_the_peer_has_said_its_name() {
    let bench = Bench::new();
    assert_eq!(hear(&mut dial(&bench.alice)), b"");
}

#[test]
fn section_3_3_pings_come_in_time_and_only_a_pong_keeps_the_connection() {
    let bench = Bench::with(&["PingInterval = 3", "PingTimeout = 3"]);
    let mut bob = bench.bob();
    bob.expect("8");
    bob.say("9");
    bob.expect("8");
    bob.say("14 1 bob");
    assert!(bob.is_ended(), "other requests are no answer");
    wait_until(secs(5), "that is in the log", || bench.alice.log().contains("did not answer a ping in time"));
}

#[test]
fn section_3_3_who_does_not_log_in_in_time_is_left() {
    let bench = Bench::with(&["PingTimeout = 1"]);
    let _silent = dial(&bench.alice);
    wait_until(secs(5), "it gives up", || bench.alice.log().contains("did not finish the handshake in time"));
}

#[test]
fn section_3_5_the_second_connection_of_a_node_takes_the_place_of_the_first() {
    let bench = Bench::new();
    let mut first = bench.bob();
    assert!(first.lives());
    let mut second = bench.bob();
    assert!(second.lives());
    assert!(first.is_ended());
    assert!(bench.alice.sees("bob", |node| node.reachable()));
}

#[test]
fn section_4_2_a_record_is_one_request_with_or_without_its_end() {
    let bench = Bench::new();
    let mut bob = bench.bob();
    bob.say_record(b"8");
    bob.expect("9");
    for wrong in [&b"8\n8\n"[..], b"8\0\n", b""] {
        let mut bob = bench.bob();
        bob.say_record(wrong);
        assert!(bob.is_ended(), "{wrong:?} is no request");
    }
}

#[test]
fn section_4_3_a_packet_is_the_record_after_its_request() {
    let bench = Bench::new();
    let mut bob = bench.bob();
    bob.say("17 0");
    bob.say("17 14");
    bob.say_record(&[0; 14]);
    assert!(bob.lives(), "a frame is no request");
    bob.say("17 14");
    bob.say_record(&[0; 15]);
    assert!(bob.is_ended(), "another length than announced");

    let mut bob = bench.bob();
    bob.say("21 40");
    bob.say_raw(&[0; 40]);
    assert!(bob.lives(), "the bytes outside the records are for nobody");
    bob.say("21 -1");
    assert!(bob.is_ended(), "no length is negative");

    let mut bob = bench.bob();
    bob.say("21 11");
    bob.say_raw(&[0; 11]);
    assert!(bob.is_ended(), "two ids take twelve bytes");
}

#[test]
fn section_4_4_the_number_is_read_as_c_does_and_unknown_ones_end_the_connection() {
    let bench = Bench::new();
    let mut bob = bench.bob();
    for ping in ["8", "08", " 8", "8 and more words", "8.5"] {
        bob.say(ping);
        bob.expect("9");
    }
    for wrong in ["5", "6 0 text", "19", "20", "24", "-8", "hello", "18 0"] {
        let mut bob = bench.bob();
        bob.say(wrong);
        assert!(bob.is_ended(), "{wrong:?} ends it");
    }
}

#[test]
fn section_4_5_what_belongs_to_the_login_ends_an_active_connection() {
    let bench = Bench::new();
    for wrong in ["0 bob 17.7", "1 94 64 0 0 00", "2 00", "3 00", "4 655 1 700000c"] {
        let mut bob = bench.bob();
        assert!(bob.lives());
        bob.say(wrong);
        assert!(bob.is_ended(), "{wrong:?} ends it");
    }
}

#[test]
fn section_5_2_a_stranger_does_not_learn_the_name_and_a_friend_does() {
    let bench = Bench::new();
    for wrong in [
        "0 mallory 17.7\n",
        "0 alice 17.7\n",
        "0 bob 18.7\n",
        "0 bob 17\n",
        "0 bob\n",
        "0 ../bob 17.7\n",
        "0 ^0123456789abcdef 0\n",
        "0 ?nokey 17.1\n",
        "8\n",
        "GET / HTTP/1.1\r\n",
    ] {
        assert_eq!(bench.answer_to(wrong), "", "{wrong:?}");
    }
    let answer = bench.answer_to("0 bob 17.7\n");
    assert!(answer.starts_with("0 alice 17.7\n"), "{answer}");
}

#[test]
fn section_5_4_the_ack_tells_port_weight_and_options() {
    let bench = Bench::new();
    let bob = bench.bob();
    let words: Vec<&str> = bob.ack.split(' ').collect();
    let [_, port, weight, options] = words.as_slice() else { panic!("{words:?}") };
    assert_eq!(*port, "655");
    assert!(weight.parse::<u32>().is_ok_and(|weight| weight < 5000), "{weight} ms");
    // 0x100 says that it is tinmesh.
    assert_eq!(*options, "700010c");

    let bench = Bench::with(&["TCPOnly = yes", "Weight = 77"]);
    assert_eq!(bench.bob().ack, "4 655 77 700010b");
}

#[test]
fn section_5_5_the_edge_has_the_peers_address_the_mean_weight_and_all_options() {
    let bench = Bench::with(&["Weight = 7"]);
    let mut bob = RawNode::log_in(&bench.alice, "bob", "700 2 700000d");
    let edge = bob.expect("12 ");
    let words: Vec<&str> = edge.split(' ').skip(2).collect();
    assert_eq!(words, ["alice", "bob", "127.0.0.1", "700", "700000d", "4", "127.0.0.1", "655"]);
    assert!(bench.alice.sees("bob", |node| !node.reachable()), "one edge of a pair does not count");
    bob.say("12 1 bob alice 127.0.0.1 655 700000d 4");
    wait_until(secs(5), "the pair counts", || bench.alice.sees("bob", |node| node.reachable()));
    let _short = RawNode::log_in(&bench.alice, "carol", "655 1");
    wait_until(secs(5), "an ACK without options is refused", || bench.alice.log().contains("Refused 127.0.0.1 port "));
}

#[test]
fn section_5_7_a_new_peer_is_told_everything_in_order() {
    let bench = Bench::new();
    let mut bob = bench.bob();
    bob.say("10 1 bob 10.2.0.0/16");
    bob.expect("12 ");
    let mut carol = RawNode::log_in(&bench.alice, "carol", "655 1 700000c");
    let mut told = Vec::new();
    while told.last().is_none_or(|line: &String| !line.starts_with("12 alice carol ")) {
        let line = carol.expect("1");
        let words: Vec<&str> = line.split(' ').collect();
        told.push([&words[..1], &words[2..]].concat().join(" "));
    }
    let facts: Vec<String> = told.iter().map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "10 alice 10.1.2.3",
        "10 alice 10.1.0.0/16",
        "10 alice fd00:1::/64#3",
        "12 alice bob 127.0.0.1",
        "10 bob 10.2.0.0/16",
        "12 bob alice 127.0.0.1",
        "12 alice carol 127.0.0.1",
    ];
    assert_eq!(facts, expected);
}

#[test]
fn section_6_1_termreq_ends_the_connection() {
    let bench = Bench::new();
    let mut bob = bench.bob();
    bob.say("7");
    assert!(bob.is_ended());
}

#[test]
fn section_6_2_subnets_are_spread_once_as_they_came_and_not_back() {
    let bench = Bench::new();
    let (mut bob, mut carol) = bench.bob_and_carol();
    bob.say("10 0af92f950 bob 10.3.1.2/16");
    bob.say("10 0af92f950 bob 10.3.1.2/16");
    bob.say("10 2 bob 10.3.1.2/16");
    bob.say("11 3 bob 10.3.1.2/16#7");
    bob.say("11 4 bob 10.3.0.0/16");
    bob.say("14 5 bob");
    let heard = carol.all_before("14 5 bob");
    assert_eq!(
        heard.iter().filter(|line| line.contains("10.3.")).collect::<Vec<_>>(),
        ["10 0af92f950 bob 10.3.1.2/16"]
    );
    assert!(bench.alice.tinc(&["dump", "subnets"]).contains("10.3.1.2/16 owner bob"));
    bob.say("11 6 bob 10.3.1.2/16");
    carol.expect("11 6 bob 10.3.1.2/16");
    carol.say("14 7 carol");
    assert!(!bob.all_before("14 7 carol").iter().any(|line| line.contains("10.3.")), "nothing comes back");
    bob.say("10 8 bob nonsense");
    assert!(bob.is_ended());
}

#[test]
fn section_6_2_wrong_claims_about_itself_are_put_right_to_the_sender_alone() {
    let bench = Bench::new();
    let (mut bob, mut carol) = bench.bob_and_carol();
    bob.say("10 1 alice 10.9.0.0/16");
    bob.expect_fact("11", "alice 10.9.0.0/16");
    bob.say("11 2 alice 10.1.0.0/16");
    bob.expect_fact("10", "alice 10.1.0.0/16");
    bob.say("14 3 bob");
    assert!(!carol.all_before("14 3 bob").iter().any(|line| line.contains("10.9.") || line.starts_with("11 ")));
}

#[test]
fn section_6_3_edges_are_spread_as_they_came() {
    let bench = Bench::new();
    let (mut bob, mut carol) = bench.bob_and_carol();
    for edge in [
        "12 1 bob dave unspec unspec 0 5",
        "12 2 dave bob host.example http 700000c 5 fd00::7 655",
        "12 3 bob dave 192.0.2.4 655 700000c 6 10.0.0.1 655 more",
    ] {
        bob.say(edge);
        carol.expect(edge);
    }
    assert!(bench.alice.sees("dave", |node| node.reachable() && node.nexthop == "bob"));
    bob.say("12 4 bob dave 192.0.2.4 655 700000c 6 10.0.0.1 655");
    bob.say("14 5 bob");
    assert_eq!(carol.all_before("14 5 bob"), [""; 0], "what is known already is not spread");
    for wrong in ["12 6 bob eve 192.0.2.4 655 0 5 10.0.0.1", "12 7 bob bob 192.0.2.4 655 0 5", "12 8 bob e-e a b 0 5"] {
        let mut bob = bench.bob();
        bob.say(wrong);
        assert!(bob.is_ended(), "{wrong:?} ends it");
    }
}

#[test]
fn section_6_3_and_6_4_wrong_claims_about_its_edges_are_put_right() {
    let bench = Bench::with(&["Weight = 1"]);
    let mut bob = bench.bob();
    let own = "alice bob 127.0.0.1 655 700000c 1 127.0.0.1 655";
    bob.expect_fact("12", own);
    bob.say("12 1 alice bob 192.0.2.66 655 700000c 9");
    bob.expect_fact("12", own);
    bob.say("13 2 alice bob");
    bob.expect_fact("12", own);
    bob.say("12 3 alice dave 192.0.2.66 655 700000c 9");
    bob.expect_fact("13", "alice dave");
    bob.say("13 4 dave carol");
    assert!(bob.lives(), "an edge that nobody knows is no fault");
}

#[test]
fn section_6_4_and_16_who_hears_of_the_end_of_a_node() {
    let bench = Bench::new();
    let (mut bob, mut carol) = bench.bob_and_carol();
    bob.say("12 1 bob dave unspec unspec 700000c 5");
    bob.say("12 2 dave bob unspec unspec 700000c 5");
    carol.expect("12 2 dave bob");
    assert!(bench.alice.sees("dave", |node| node.reachable()));
    bob.say("13 3 bob dave");
    carol.expect("13 3 bob dave");
    wait_until(secs(5), "dave is out of reach", || bench.alice.sees("dave", |node| !node.reachable()));
    drop(bob);
    carol.expect_fact("13", "alice bob");
    carol.expect_fact("13", "bob alice");
    assert!(bench.alice.sees("bob", |node| !node.reachable()));
    assert!(!bench.alice.tinc(&["dump", "edges"]).contains("bob to alice"), "an edge to nowhere is forgotten");
}

#[test]
fn section_6_6_and_6_7_keys_are_asked_for_and_passed_on() {
    let bench = Bench::new();
    let (mut bob, mut carol) = bench.bob_and_carol();
    for line in ["15 bob carol", "15 bob carol 19", "15 bob carol 15 AAAA", "16 bob carol 00 427 672 4 0"] {
        bob.say(line);
        assert!(carol.expect(line.get(..12).expect("it is long")).starts_with(line));
    }
    bob.say("15 bob alice 19");
    let answer = bob.expect("15 alice bob 20 ");
    assert_eq!(answer.split(' ').nth(4).map(str::len), Some(43));
    bob.say("15 bob nobody 19");
    bob.say("15 bob alice 99");
    assert!(bob.lives());
    bob.say("16 bob carol 00 427");
    assert!(bob.is_ended(), "an answer has seven words");
}

#[test]
fn section_6_8_and_6_9_hints_are_checked() {
    let bench = Bench::new();
    let (mut bob, _carol) = bench.bob_and_carol();
    bob.say("22 bob carol 192.0.2.7 655");
    bob.say("23 bob carol 1400");
    bob.say("22 nobody carol 192.0.2.7 655");
    assert!(bob.lives());
    bob.say("23 bob carol 511");
    assert!(bob.is_ended());
}

#[test]
fn section_8_5_a_tunnel_server_tells_nobody_of_others() {
    let bench = Bench::with(&["TunnelServer = yes"]);
    let (mut bob, mut carol) = bench.bob_and_carol();
    bob.say("10 1 bob 10.2.0.0/16");
    bob.say("12 2 bob dave unspec unspec 700000c 5");
    bob.say("14 3 bob");
    bob.say("15 bob carol 19");
    assert!(bob.lives());
    carol.say("8");
    let heard = carol.all_before("9");
    assert!(!heard.iter().any(|line| line.contains("bob") || line.contains("dave")), "{heard:?}");
}

#[test]
fn section_15_4_a_reload_ends_connections_whose_host_file_is_gone() {
    let bench = Bench::new();
    let (mut bob, mut carol) = bench.bob_and_carol();
    std::fs::remove_file(bench.alice.host_file("bob")).expect("it was made");
    bench.alice.tinc(&["reload"]);
    assert!(bob.is_ended());
    assert!(carol.lives());
}

#[test]
fn section_15_5_purge_forgets_who_is_out_of_reach() {
    let bench = Bench::new();
    let (mut bob, mut carol) = bench.bob_and_carol();
    bob.say("10 1 bob 10.2.0.0/16");
    carol.expect("10 1 bob");
    drop(bob);
    carol.expect_fact("13", "alice bob");
    assert!(bench.alice.tinc(&["dump", "subnets"]).contains("10.2.0.0/16 owner bob"), "subnets stay known");
    bench.alice.tinc(&["purge"]);
    carol.expect_fact("11", "bob 10.2.0.0/16");
    assert!(!bench.alice.tinc(&["dump", "subnets"]).contains("bob"));
}
