use std::net::IpAddr;

use super::network::{self, Seen};
use super::*;
use crate::cli::tinmesh::Network;
use crate::control::dump::Line as _;
use crate::control::dump::ports::PortLine;
use crate::control::fake_daemon::FakeDaemon;

const OWN: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 2))];

fn seen(at: &[&str]) -> Seen {
    let at = at.iter().map(|address| ("bob".to_owned(), address.parse().unwrap()));
    Seen { asked: 2, at: at.collect(), forgives: false }
}

#[test]
fn a_nat_is_described_by_what_others_see() {
    let cases: [(&[&str], State, &str); 5] = [
        (&[], State::Unknown, "did not answer"),
        (&["192.168.1.2:655", "192.168.1.2:655"], State::Good, "none"),
        (&["198.51.100.7:655", "198.51.100.7:655"], State::Good, "one outer port for all (198.51.100.7:655)"),
        (&["198.51.100.7:655"], State::Note, "it takes two nodes"),
        (&["198.51.100.7:655", "198.51.100.7:656"], State::Note, "another outer port for each destination"),
    ];
    for (at, state, words) in cases {
        let check = network::nat(&seen(at), &OWN, "655");
        assert!(check.state == state && check.says.contains(words), "{check:?}");
    }
    assert!(network::nat(&Seen::default(), &OWN, "655").says.contains("could be asked"));
}

#[test]
fn open_keys_are_to_be_changed() {
    let daemon = FakeDaemon::answering(&[]);
    let place = place(&daemon);
    assert_eq!(keys(&place).state, State::Good);
    let key = place.paths.confbase.join("ed25519_key.priv");
    fs::write(&key, "secret").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let check = keys(&place);
    assert_eq!((check.state, check.says.as_str()), (State::Bad, "other users can read ed25519_key.priv"));
    assert!(check.advice.unwrap().starts_with("sudo chmod 600 /"));
}

#[test]
fn port_mapping_is_what_the_daemon_tells_and_is_proposed_behind_a_nat_only() {
    let check = |lines: Option<&[&str]>, translated| {
        let asked = lines.map(|lines| lines.iter().map(|line| PortMapping::from(&PortLine::parse(line).unwrap())));
        let asked: Option<Vec<PortMapping>> = asked.map(Iterator::collect);
        let check = network::port_mapping(asked.as_deref(), translated, "655", 1_000);
        (check.state, check.says, check.advice.is_some())
    };
    let held = "ipv4 held PCP 192.168.1.1 11.0.0.1 port 655 1095 1";
    let says = "11.0.0.1:655 by PCP from 192.168.1.1, for 95 s".to_owned();
    assert_eq!(check(Some(&[held, "ipv6 none 4"]), Some(true)), (State::Good, says, false));
    let behind = check(Some(&["ipv4 held UPnP 192.168.1.1 10.0.0.1 port 655 1095 0"]), Some(true));
    assert!(behind.0 == State::Note && behind.1.contains("itself behind a NAT"), "{behind:?}");
    assert_eq!(check(Some(&["ipv4 none 0"]), None).0, State::Unknown);
    let vain = check(Some(&["ipv4 none 3", "ipv6 none 4"]), Some(true));
    assert_eq!(vain, (State::Note, "no router passes the port on (asked in vain: 4)".to_owned(), true));
    for lines in [&["ipv4 none 3"][..], &[]] {
        assert_eq!(check(Some(lines), Some(false)), (State::Good, "not needed".to_owned(), false));
    }
    assert_eq!(check(Some(&[]), Some(true)), (State::Note, "the router is not asked".to_owned(), true));
    assert_eq!(check(None, Some(true)).0, State::Unknown);
}

#[test]
fn the_shortest_silence_that_did_harm_counts() {
    let cases: [(&[&str], State, &str); 8] = [
        (&[], State::Unknown, "not known: no node is reached straight by UDP"),
        (&["bob 0 10 learning 0 0"], State::Unknown, "not known: no node is reached straight by UDP"),
        (&["bob 1 10 fixed 0 0"], State::Unknown, "not looked for; a packet every 10 s keeps paths open"),
        (
            &["bob 1 10 learning 0 0", "carol 1 10 fixed 0 0"],
            State::Unknown,
            "not known yet; a packet every 10 s keeps the path open; longer silences are being tried",
        ),
        (
            &["bob 1 20 learning 40 0"],
            State::Good,
            "40 s of silence do no harm; a packet every 20 s keeps the path open; longer silences are being tried",
        ),
        (
            &["bob 1 120 learnt 240 0"],
            State::Good,
            "240 s of silence do no harm; a packet every 120 s keeps the path open",
        ),
        (
            &["bob 1 120 learnt 240 0", "carol 1 56 learnt 113 160"],
            State::Good,
            "the path to carol is forgotten after 113 to 160 s of silence; a packet every 56 s keeps the path open",
        ),
        (
            &["bob 1 5 learnt 0 10", "carol 1 56 learnt 113 160"],
            State::Note,
            "the path to bob is forgotten after 0 to 10 s of silence; a packet every 5 s keeps the path open",
        ),
    ];
    for (lines, state, says) in cases {
        let paths: Vec<PathLine> =
            lines.iter().map(|line| PathLine::parse(&format!("{line} - 0 - 0 -")).unwrap()).collect();
        let check = network::lifetime(&paths);
        assert_eq!((check.state, check.says.as_str()), (state, says), "{lines:?}");
    }
}

#[test]
fn who_lets_no_udp_out_is_told_so_instead_of_a_guess_that_it_is_blocked() {
    let bob =
        "18 3 bob 000000000001 unknown port unknown 0 0 0 0 7000001 5a bob bob 1 1518 0 1518 0 -1 0 0 0 0\n18 3\n";
    let ada = "18 3 ada 000000000002 unknown port unknown 0 0 0 0 0 0 - - -1 0 0 0 5 -1 0 0 0 0\n";
    let nodes = format!("{ada}{bob}");
    let replies = [
        &nodes,
        "18 5\n",
        "18 6\n",
        "18 67 ada tcp-only-here 0 0\n18 67 bob tcp-only-here 0 0\n18 67\n",
        "18 68\n",
        "18 69\n",
        "18 66 asked 0 0\n18 66\n",
        "18 68\n",
    ];
    let daemon = FakeDaemon::answering(&replies);
    let text = render::render(&examine(&place(&daemon)).unwrap(), false);
    for line in [
        "• UDP               not used: TCPOnly is set on this machine",
        "✗ bob  direct by TCP\n       because TCPOnly is set on this machine",
        "✗ ada  not reachable\n       because no node that can be reached is connected with it any more",
    ] {
        assert!(text.contains(line), "{line}\n\n{text}");
    }
}

fn place(daemon: &FakeDaemon) -> Place {
    let paths = daemon.paths();
    let network = Network { config: Some(paths.confbase.clone()), ..Network::default() };
    let place = Place::named(&network).unwrap();
    Place { paths, ..place }
}

/// What the daemon of alice says: bob is relayed by carol, because guesses failed; carol sees alice behind a NAT.
const REPLIES: [&str; 8] = [
    "18 3 bob 000000000001 unknown port unknown 0 0 0 0 700010c 5a carol bob 2 1518 0 1518 0 -1 0 0 0 0\n\
     18 3 carol 000000000002 198.51.100.1 port 655 0 0 0 0 700010c da carol carol 1 1451 1451 1451 0 400 5 500 5 500\n18 3\n",
    "18 5\n",
    "18 6 carol 198.51.100.1 port 655 c 1 0\n18 6\n",
    "18 67 bob guessed 3 120\n18 67\n",
    "18 68 ipv4 none 2\n18 68\n",
    "18 69 bob 0 10 learning 0 0 - 0 - 0 95\n18 69 carol 1 7 learnt 14 20 1500 0 1400 1 96\n18 69\n",
    "18 66 seen carol 203.0.113.9 port 4000\n18 66 seen carol 203.0.113.9 port 4001\n18 66 asked 2 0\n18 66\n",
    "18 68 ipv4 none 2\n18 68\n",
];

#[test]
fn the_report_says_why_and_what_to_do() {
    let daemon = FakeDaemon::answering(&REPLIES);
    let report = examine(&place(&daemon)).unwrap();
    assert!(!report.healthy);
    let text = render::render(&report, false);
    for line in [
        "• NAT               another outer port for each destination (203.0.113.9:4000, 203.0.113.9:4001): ports must be guessed",
        "• mapping lifetime  the path to carol is forgotten after 14 to 20 s of silence; a packet every 7 s keeps the path open",
        "✗ clock             it is 95 s behind those of 2 other nodes",
        "• ICMP              the path to carol takes 1400 bytes and no router said so: the system believes 1500",
        "✗ bob    relayed by carol",
        "         because the ports that NATs give were guessed in vain, 3 times; again in 2 min",
        "✓ carol  direct by UDP, 198.51.100.1:655, packets up to 1437 bytes",
    ] {
        assert!(text.contains(line), "{line}\n\n{text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["peers"][0]["path"], "relayed");
    assert_eq!(json["peers"][0]["by"], "carol");
    assert!(json["peers"][0]["advice"].as_str().unwrap().contains("UDP port"));
    assert_eq!(json["healthy"], false);
    let carol = &json["peers"][1];
    assert_eq!((carol["keepalive_s"].as_u64(), carol["silence_kept_s"].as_u64()), (Some(7), Some(14)));
    assert_eq!((carol["silence_lost_s"].as_u64(), carol["learning"].as_bool()), (Some(20), Some(false)));
    assert!(json["peers"][0]["keepalive_s"].is_null(), "it is not reached straight");
}

#[test]
fn without_a_daemon_the_report_says_how_to_start_it() {
    let dir = tempfile::tempdir().unwrap();
    let network =
        Network { config: Some(dir.path().to_owned()), pidfile: Some(dir.path().join("pid")), ..Network::default() };
    let report = examine(&Place::named(&network).unwrap()).unwrap();
    let daemon = report.checks.iter().find(|check| check.topic == "daemon").unwrap();
    assert_eq!((report.healthy, daemon.state), (false, State::Bad));
}
