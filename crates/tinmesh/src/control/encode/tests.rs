use std::sync::Arc;
use std::time::Duration;

use tinmesh_core::dataplane::stats::PeerStats;
use tinmesh_core::name::ConnId;
use tinmesh_core::wire::options::Options;

use super::*;
use crate::control::dump::{ConnectionLine, EdgeLine, Line as _, NodeLine};
use tinmesh_core::legacy::session::Suite;

fn numeric(address: SocketAddr) -> String {
    format!("{} port {}", address.ip(), address.port())
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn alice() -> NodeInfo {
    NodeInfo {
        name: name("alice"),
        node_id: name("alice").id(),
        address: None,
        me: true,
        status: 0x50,
        options: Options(0x0700_000c),
        nexthop: Some(name("alice")),
        via: Some(name("alice")),
        distance: 0,
        mtu: (1518, 0, 1518),
        changed: Some(Instant::from_micros(2_000_000)),
        rtt: None,
        compression: 0,
        suite: None,
        legacy: None,
        stats: Arc::new(PeerStats::default()),
    }
}

fn bob() -> NodeInfo {
    let stats = PeerStats { in_packets: 1.into(), in_bytes: 100.into(), ..PeerStats::default() };
    stats.count_out(20);
    stats.count_out(22);
    NodeInfo {
        name: name("bob"),
        node_id: name("bob").id(),
        address: Some("[fd00::2]:6002".parse().unwrap()),
        me: false,
        status: 0x10da,
        nexthop: None,
        via: None,
        distance: -1,
        mtu: (1400, 1300, 1450),
        changed: None,
        rtt: Some(Duration::from_micros(247)),
        compression: 11,
        stats: Arc::new(stats),
        ..alice()
    }
}

fn dump(infos: &[NodeInfo]) -> String {
    let unix_seconds = |instant: Instant| 1_795_352_581 + instant.as_micros() / 1_000_000;
    nodes(infos, &Local { port: 6001, unix_seconds: &unix_seconds, shown: &numeric })
}

#[test]
fn the_own_node_is_listed_as_tinc_lists_it() {
    let expected = "18 3 alice 408b27d3097e MYSELF port 6001 0 0 0 0 700000c 50 alice alice 0 1518 0 1518 1795352583 \
                    -1 0 0 0 0\n18 3\n";
    assert_eq!(dump(&[alice()]), expected);
}

#[test]
fn a_client_reads_of_another_node_what_the_daemon_knows() {
    let text = dump(&[bob()]);
    let line = text.lines().next().and_then(|line| line.strip_prefix("18 3 ")).unwrap();

    let read = NodeLine::parse(line).unwrap();

    assert_eq!(read.endpoint.joined().as_deref(), Some("[fd00::2]:6002"));
    assert_eq!((read.status, read.distance, read.compression), (0x10da, -1, 11));
    assert_eq!((read.nexthop.as_str(), read.via.as_str(), read.changed), ("-", "-", 0));
    assert_eq!((read.mtu, read.min_mtu, read.max_mtu), (1400, 1300, 1450));
    assert_eq!(read.rtt, Some(Duration::from_micros(247)));
    assert_eq!((read.traffic.in_bytes, read.traffic.out_packets, read.traffic.out_bytes), (100, 2, 42));
}

#[test]
fn a_node_without_address_is_unknown() {
    let nowhere = NodeInfo { address: None, ..bob() };
    assert!(dump(&[nowhere]).starts_with(&format!("18 3 bob {} unknown port unknown 0 0 0 11 ", name("bob").id())));
}

#[test]
fn a_node_with_a_key_of_tinc_1_0_shows_its_cipher_digest_and_length_of_codes() {
    let suite = Suite { cipher: Cipher::by_id(427), digest: Digest::by_id(672), mac_length: 4, compression: 11 };
    let old = NodeInfo { legacy: Some(suite), ..bob() };
    assert!(dump(&[old]).contains(" port 6002 427 672 4 11 "));
}

#[test]
fn traffic_is_listed_for_every_node() {
    assert_eq!(traffic(&[alice(), bob()]), "18 13 alice 0 0 0 0\n18 13 bob 1 100 2 42\n18 13\n");
}

#[test]
fn a_member_cannot_command_the_terminal_of_who_lists_edges() {
    let edge = EdgeInfo {
        from: name("alice"),
        to: name("bob"),
        address: WireAddress::parse("\x1b[2Ja.example\u{9b}", "http\r"),
        local: None,
        options: Options(0),
        weight: 1,
    };
    assert!(edges(&[edge], &numeric).starts_with("18 4 alice bob ?[2Ja.example? port http? unspec port unspec 0 1\n"));
}

#[test]
fn edges_are_listed_with_and_without_local_address() {
    let edge = EdgeInfo {
        from: name("alice"),
        to: name("bob"),
        address: WireAddress::parse("127.0.0.1", "6002"),
        local: Some(WireAddress::parse("127.0.0.1", "6001")),
        options: Options(0x0700_000c),
        weight: 1,
    };
    let bare = EdgeInfo { local: None, ..edge.clone() };

    let text = edges(&[edge, bare], &numeric);

    let expected = "18 4 alice bob 127.0.0.1 port 6002 127.0.0.1 port 6001 700000c 1\n\
                    18 4 alice bob 127.0.0.1 port 6002 unspec port unspec 700000c 1\n18 4\n";
    assert_eq!(text, expected);
    assert!(EdgeLine::parse(text.lines().next().and_then(|line| line.strip_prefix("18 4 ")).unwrap()).is_ok());
}

#[test]
fn connections_end_with_the_control_clients() {
    let bob = ConnectionInfo {
        name: Some(name("bob")),
        remote: "127.0.0.1:40186".parse().unwrap(),
        options: Options(0x0700_000c),
        status: 0x100,
        conn: ConnId(ConnId::ACCEPTED | 12),
    };
    let known = bob.clone();
    let stranger = ConnectionInfo { name: None, options: Options(0), status: 0, ..bob };
    let control = ControlConnection { number: 14, pcap: false, log: true };

    let text = connections(&[known, stranger], &[control], &numeric);

    let expected = "18 6 bob 127.0.0.1 port 40186 700000c 12 100\n\
                    18 6 <unknown> 127.0.0.1 port 40186 0 12 0\n\
                    18 6 <control> localhost port unix 0 14 a00\n18 6\n";
    assert_eq!(text, expected);
    assert!(ConnectionLine::parse("<unknown> 127.0.0.1 port 40186 0 12 0").is_ok());
}

#[test]
fn a_log_line_has_its_length_in_front_and_no_newline() {
    assert_eq!(log_line("Ready"), b"18 15 5\nReady");
}

#[test]
fn short_replies_have_a_type_and_a_result() {
    assert_eq!(done(kind::RELOAD, 22), "18 1 22\n");
    assert_eq!(unknown(), "18 -1\n");
}
