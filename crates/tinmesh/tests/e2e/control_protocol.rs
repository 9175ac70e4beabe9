//! A walk through the specification of the control protocol, cli C, with tinc's daemon and with ours.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::traffic::ping;
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const KINDS: [Kind; 2] = [Kind::Tinc11, Kind::Ours];
/// How long a daemon stays silent before that counts as silence.
const SILENCE: Duration = Duration::from_millis(500);

/// A client that says what it wants.
struct Raw {
    stream: BufReader<UnixStream>,
}

/// What comes from the daemon.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Line(String),
    Silence,
    End,
}

impl Raw {
    fn connect(daemon: &Daemon) -> Self {
        let stream = UnixStream::connect(daemon.socket()).expect("it listens");
        stream.set_read_timeout(Some(secs(5))).expect("a valid time");
        Self { stream: BufReader::new(stream) }
    }

    /// One that was let in.
    fn greeted(daemon: &Daemon) -> Self {
        let mut raw = Self::connect(daemon);
        raw.say(&format!("0 ^{} 0", cookie(daemon)));
        assert_eq!(raw.line(), format!("0 {} 17.7", daemon.name));
        assert_eq!(raw.line(), format!("4 0 {}", daemon.pid()));
        raw
    }

    fn say(&mut self, line: &str) {
        // A daemon that hangs up may do so before everything is written.
        let _ = self.stream.get_mut().write_all(format!("{line}\n").as_bytes());
    }

    fn line(&mut self) -> String {
        match self.hear() {
            Heard::Line(line) => line,
            other @ (Heard::Silence | Heard::End) => panic!("a line should have come, but {other:?}"),
        }
    }

    fn hear(&mut self) -> Heard {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Heard::End,
            Ok(_) => Heard::Line(line.trim_end_matches('\n').to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Heard::End,
            Err(_) => Heard::Silence,
        }
    }

    fn hears_nothing(&mut self) -> bool {
        self.stream.get_ref().set_read_timeout(Some(SILENCE)).expect("a valid time");
        self.hear() == Heard::Silence
    }

    /// The lines of a list, without `18 TYPE`.
    fn list(&mut self, kind: u32) -> Vec<String> {
        self.say(&format!("18 {kind} extra words"));
        let start = format!("18 {kind}");
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            let rest = line.strip_prefix(&start).unwrap_or_else(|| panic!("{line:?} is not of list {kind}"));
            if rest.trim().is_empty() {
                return lines;
            }
            lines.push(rest.trim().to_owned());
        }
    }

    /// One record of a stream.
    fn record(&mut self, kind: u32) -> Vec<u8> {
        let head = self.line();
        let len = head.strip_prefix(&format!("18 {kind} ")).unwrap_or_else(|| panic!("{head:?} heads no record"));
        let mut record = vec![0; len.parse().expect("a length")];
        self.stream.read_exact(&mut record).expect("the record follows");
        record
    }
}

fn cookie(daemon: &Daemon) -> String {
    let text = std::fs::read_to_string(daemon.pidfile()).expect("it runs");
    text.split_whitespace().nth(1).expect("the second word").to_owned()
}

/// Runs `check` with a daemon of each kind whose neighbour is of the same kind.
fn with_each(check: impl Fn(&[Daemon; 2])) {
    let lab = Lab::new();
    for kind in KINDS {
        let lab_of_kind = &lab;
        let mut mesh = mesh::pair(lab_of_kind, [kind, kind]);
        mesh::start(&mut mesh);
        wait_until(secs(10), "both nodes see each other", || mesh[0].sees("bob", |node| node.reachable()));
        check(&mesh);
        for daemon in &mesh {
            std::fs::remove_dir_all(&daemon.dir).expect("the other kind starts anew");
        }
    }
}

#[test]
fn c1_a_right_cookie_is_greeted_and_a_wrong_one_met_with_silence() {
    with_each(|[alice, _]| {
        Raw::greeted(alice);
        let cookie = cookie(alice);
        let wrong = cookie.replace(['0', '1', '2', '3'], "F");
        for line in [format!("0 ^{wrong} 0"), format!("0 ^{cookie}"), "hello".to_owned(), "18 3".to_owned()] {
            let mut raw = Raw::connect(alice);
            raw.say(&line);
            raw.say("18 3");
            assert!(raw.hears_nothing(), "{:?} answers {line:?}", alice.kind);
        }
    });
}

#[test]
fn c1_a_version_with_a_minor_part_ends_the_connection() {
    with_each(|[alice, _]| {
        let mut raw = Raw::connect(alice);
        raw.say(&format!("0 ^{} 17.7", cookie(alice)));
        while let Heard::Line(_) = raw.hear() {}
        assert_eq!(raw.hear(), Heard::End, "{:?}", alice.kind);
    });
}

#[test]
fn c2_every_request_is_answered_as_tinc_answers_it() {
    let exchanges = [
        ("18 1", "18 1 0"),
        ("18 2", "18 -1"),
        ("18 7", "18 -1"),
        ("18 8", "18 8 0"),
        ("18 9 3", "18 9 5"),
        ("18 9 -1", "18 9 3"),
        ("18 9 5 more", "18 9 3"),
        ("18 9 5", "18 9 5"),
        ("18 10", "18 10 0"),
        ("18 11 bob", "18 -1"),
        ("18 12 nobody", "18 12 -2"),
        ("18 12", "18 12 -1"),
        ("18 12 bob", "18 12 0"),
        ("18 99", "18 -1"),
        ("18 -5", "18 -1"),
    ];
    with_each(|[alice, _]| {
        let mut raw = Raw::greeted(alice);
        for (request, answer) in exchanges {
            raw.say(request);
            assert_eq!(raw.line(), answer, "{:?} asked {request:?}", alice.kind);
        }
    });
}

#[test]
fn c2_what_is_no_request_ends_the_connection() {
    let long = "1".repeat(20_000);
    with_each(|[alice, _]| {
        for line in ["18", "18 x", "17 3", "hello", "18 9", &long] {
            let mut raw = Raw::greeted(alice);
            raw.say(line);
            assert_eq!(raw.hear(), Heard::End, "{:?} told {:.20}", alice.kind, line);
        }
    });
}

#[test]
fn c2_stop_ends_the_connection_when_the_daemon_has_finished() {
    with_each(|[alice, _]| {
        let mut raw = Raw::greeted(alice);
        raw.say("18 0");
        while let Heard::Line(_) = raw.hear() {}
        assert!(!alice.pidfile().exists(), "{:?} has cleaned up", alice.kind);
    });
}

#[test]
fn c2_answers_keep_the_order_of_requests() {
    with_each(|[alice, _]| {
        let mut raw = Raw::greeted(alice);
        raw.say("18 10\n18 8\n18 99\n18 12 nobody");
        let answers = [(); 4].map(|()| raw.line());
        assert_eq!(answers, ["18 10 0", "18 8 0", "18 -1", "18 12 -2"], "{:?}", alice.kind);
    });
}

#[test]
fn c3_lists_have_the_fields_of_the_specification() {
    with_each(|[alice, _]| {
        let mut raw = Raw::greeted(alice);
        let words = |line: &String| line.split(' ').count();

        let nodes = raw.list(3);
        assert_eq!(nodes.iter().map(words).collect::<Vec<_>>(), [23, 23], "{nodes:?}");
        assert!(nodes[0].starts_with("alice 408b27d3097e MYSELF port 655 0 0 0 0 "), "{nodes:?}");
        assert!(nodes[1].starts_with("bob 0416a26ba554 192.0.2.2 port 655 "), "{nodes:?}");

        let edges = raw.list(4);
        assert!(edges[0].starts_with("alice bob 192.0.2.2 port 655 192.0.2.1 port "), "{edges:?}");
        assert_eq!(edges.iter().map(words).collect::<Vec<_>>(), [10, 10], "{edges:?}");

        let subnets = raw.list(5);
        assert!(subnets.contains(&"10.77.0.2 bob".to_owned()), "{subnets:?}");
        assert!(subnets.contains(&"255.255.255.255 (broadcast)".to_owned()), "{subnets:?}");

        let connections = raw.list(6);
        assert!(connections.iter().any(|line| line.starts_with("bob 192.0.2.2 port 655 ")), "{connections:?}");
        let control = |line: &String| line.starts_with("<control> localhost port unix 0 ") && line.ends_with(" 200");
        assert_eq!(connections.iter().filter(|line| control(line)).count(), 1, "{connections:?}");

        let traffic = raw.list(13);
        assert_eq!(traffic.iter().map(words).collect::<Vec<_>>(), [5, 5], "{traffic:?}");
        assert!(traffic[0].starts_with("alice ") && traffic[1].starts_with("bob "), "{traffic:?}");
    });
}

#[test]
fn c4_log_lines_come_at_the_level_of_the_client() {
    with_each(|[alice, bob]| {
        let mut quiet = Raw::greeted(alice);
        quiet.say("18 9 0");
        assert_eq!(quiet.line(), "18 9 5");
        let (mut terse, mut talkative) = (Raw::greeted(alice), Raw::greeted(alice));
        terse.say("18 15 0");
        talkative.say("18 15 5");
        wait_until(secs(5), "the daemon knows of both", || {
            Raw::greeted(alice).list(6).iter().filter(|line| line.ends_with(" a00")).count() == 2
        });

        bob.tinc(&["disconnect", "alice"]);

        let text = String::from_utf8(talkative.record(15)).expect("text");
        assert!(!text.ends_with('\n') && !text.is_empty(), "{text:?}");
        assert!(terse.hears_nothing(), "{:?} tells what is above level 0", alice.kind);
    });
}

#[test]
fn c4_colours_come_only_where_asked_for() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    mesh::start(&mut mesh);
    wait_until(secs(10), "both nodes see each other", || mesh[0].sees("bob", |node| node.reachable()));
    let (mut plain, mut coloured) = (Raw::greeted(&mesh[0]), Raw::greeted(&mesh[0]));
    plain.say("18 15 5");
    coloured.say("18 15 5 1");
    wait_until(secs(5), "the daemon knows of both", || {
        Raw::greeted(&mesh[0]).list(6).iter().filter(|line| line.ends_with("a00")).count() == 2
    });

    mesh[1].tinc(&["disconnect", "alice"]);

    assert!(!plain.record(15).contains(&0x1b));
    assert!(coloured.record(15).contains(&0x1b));
}

#[test]
fn c4_packets_come_as_frames_cut_to_the_length_asked_for() {
    with_each(|[alice, _]| {
        wait_for_ping(alice, &v4(2));
        let (mut whole, mut cut) = (Raw::greeted(alice), Raw::greeted(alice));
        whole.say("18 14");
        cut.say("18 14 40");
        (whole.list(13), cut.list(13));

        assert!(ping(&alice.namespace, &v4(2)));

        let echo = |frame: &Vec<u8>| frame.get(12..15) == Some(&[8, 0, 0x45]) && frame.get(23) == Some(&1);
        let frame = (0..20).map(|_| whole.record(14)).find(echo).expect("the ping is seen");
        assert_eq!(frame.len(), 14 + 84, "{:?}", alice.kind);
        assert_eq!(frame[..12], [0; 12], "a TUN device has no addresses");
        assert!((0..20).map(|_| cut.record(14)).any(|frame| echo(&frame) && frame.len() == 40));
        let watched = Raw::greeted(alice).list(6);
        assert_eq!(watched.iter().filter(|line| line.ends_with(" 600")).count(), 2, "{watched:?}");
    });
}

#[test]
fn a_client_that_does_not_read_stops_nobody() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    mesh::start(&mut mesh);
    let alice = &mesh[0];
    let mut deaf = Raw::greeted(alice);
    deaf.stream.get_ref().set_write_timeout(Some(secs(1))).expect("a valid time");

    (0..50).for_each(|_| deaf.say(&"18 3\n".repeat(5_000)));

    assert_eq!(alice.tinc(&["pid"]).trim(), alice.pid().to_string());
    wait_for_ping(alice, &v4(2));
}

#[test]
fn more_clients_than_allowed_are_turned_away_and_the_others_served() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    mesh::start(&mut mesh);
    let alice = &mesh[0];
    let mut served: Vec<Raw> = (0..60).map(|_| Raw::greeted(alice)).collect();

    let mut more: Vec<Raw> = (0..60).map(|_| Raw::connect(alice)).collect();
    let turned_away =
        more.iter_mut().filter_map(|raw| (raw.hears_nothing_or_ends() == Heard::End).then_some(())).count();

    assert!(turned_away > 0, "there is a limit");
    served.iter_mut().for_each(|raw| assert_eq!(raw.list(13).len(), 2));
    drop((served, more));
    wait_until(secs(5), "places are free again", || alice.try_tinc(&["pid"]).status.success());
}

impl Raw {
    fn hears_nothing_or_ends(&mut self) -> Heard {
        self.stream.get_ref().set_read_timeout(Some(Duration::from_millis(20))).expect("a valid time");
        self.hear()
    }
}
