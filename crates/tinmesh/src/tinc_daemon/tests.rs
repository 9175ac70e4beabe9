use super::*;
use crate::control::dump::{EdgeLine, Line as _, NodeLine, SubnetLine};
use crate::control::fake_daemon::FakeDaemon;
use crate::control::request::ControlRequest;

const NODES: &str =
    "18 3 alice 408b27d3097e MYSELF port 6001 0 0 0 0 700000c 50 alice alice 0 1518 0 1518 1795352583 -1 0 0 0 0
18 3 bob 0416a26ba554 127.0.0.1 port 6002 0 0 0 0 700000c 858 bob bob 1 1518 0 1518 1795352583 247 30 4260 30 4260
18 3 carol 0416a26ba554 unknown port unknown 0 0 0 0 0 0 - - -1 0 0 0 0 -1 0 0 0 0
18 3
";
const EDGES: &str = "18 4 alice bob 127.0.0.1 port 6002 127.0.0.1 port 6001 700000c 1
18 4 bob alice 127.0.0.1 port 6001 unspec port unspec 700000c 0
18 4
";
const SUBNETS: &str = "18 5 10.1.2.3#5 alice
18 5 10.1.0.0/16 alice
18 5 10.2.0.0/16 bob
18 5 fd00:2::/64 bob
18 5 255.255.255.255 (broadcast)
18 5
";

/// Runs a command against a daemon that gives these replies: what it printed, and what was asked.
fn run_against(replies: &[&str], text: &str) -> (Result<String>, Vec<ControlRequest>) {
    let mut daemon = FakeDaemon::answering(replies);
    let (options, paths) = (TincOptions::default(), daemon.paths());
    let tool = Tool::new("tinc", &options, &paths);
    let words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    let mut out = Vec::new();
    let outcome = run(&tool, &words, &mut out).expect("a command of the daemon");
    let outcome = outcome.map(|()| String::from_utf8(out).unwrap());
    // A command that fails before it connects leaves the daemon waiting.
    drop(Client::connect(&paths));
    (outcome, daemon.requests())
}

fn printed(replies: &[&str], text: &str) -> String {
    run_against(replies, text).0.unwrap()
}

fn failure(replies: &[&str], text: &str) -> String {
    run_against(replies, text).0.unwrap_err().to_string()
}

#[test]
fn nodes_are_listed_as_tinc_lists_them() {
    let expected = "\
alice id 408b27d3097e at MYSELF port 6001 cipher 0 digest 0 maclength 0 compression 0 options 700000c status 0050 \
nexthop alice via alice distance 0 pmtu 1518 (min 0 max 1518) rx 0 0 tx 0 0
bob id 0416a26ba554 at 127.0.0.1 port 6002 cipher 0 digest 0 maclength 0 compression 0 options 700000c status 0858 \
nexthop bob via bob distance 1 pmtu 1518 (min 0 max 1518) rx 30 4260 tx 30 4260 rtt 0.247
";
    assert_eq!(printed(&[NODES], "dump reachable nodes"), expected);
    assert_eq!(printed(&[NODES], "LIST Nodes").lines().count(), 3);
}

#[test]
fn edges_subnets_and_connections_are_listed_as_tinc_lists_them() {
    let edges = printed(&[EDGES], "dump edges");
    let first = "alice to bob at 127.0.0.1 port 6002 local 127.0.0.1 port 6001 options 700000c weight 1";
    assert_eq!(edges.lines().next(), Some(first));

    let subnets = printed(&["18 5 10.1.2.3#5 alice\n18 5 10.2.0.0/16#10 bob\n18 5\n"], "dump subnets");
    assert_eq!(subnets, "10.1.2.3#5 owner alice\n10.2.0.0/16 owner bob\n");

    let connections = printed(&["18 6 bob 127.0.0.1 port 40186 700000c 12 100\n18 6\n"], "dump connections");
    assert_eq!(connections, "bob at 127.0.0.1 port 40186 options 700000c socket 12 status 100\n");
}

#[test]
fn a_graph_has_each_pair_of_edges_once() {
    let expected = r#"graph {
 "alice" [label = "alice", color = "green", style = "filled"];
 "bob" [label = "bob", color = "black"];
 "carol" [label = "carol", color = "red"];
 "bob" -- "alice" [w = inf, weight = inf];
}
"#;
    assert_eq!(printed(&[NODES, EDGES], "dump graph"), expected);
    let arrows = printed(&[NODES, EDGES], "dump digraph");
    assert!(arrows.starts_with("digraph {\n"));
    assert!(arrows.contains(" \"alice\" -> \"bob\" [w = 65537.000000, weight = 65537.000000];\n"));
}

#[test]
fn a_wrong_list_is_refused_before_the_daemon_is_asked() {
    let try_line = "Try `tinc --help' for more information.";
    for (text, message) in [
        ("dump", "Invalid number of arguments."),
        ("dump nodes edges", "Invalid number of arguments."),
        ("dump Foo", "Unknown dump type 'Foo'."),
        ("dump reachable edges", "`reachable' only supported for nodes."),
    ] {
        let (outcome, requests) = run_against(&[], text);
        assert_eq!(outcome.unwrap_err().to_string(), format!("{message}\n{try_line}"));
        assert_eq!(requests, [ControlRequest::Greeting]);
    }
}

#[test]
fn invitations_are_not_the_daemons_to_list() {
    let (options, daemon) = (TincOptions::default(), FakeDaemon::answering(&[]));
    let paths = daemon.paths();
    let tool = Tool::new("tinc", &options, &paths);
    let words = ["dump", "invitations"].map(str::to_owned);
    assert!(run(&tool, &words, &mut Vec::new()).is_none());
    assert!(run(&tool, &["get".to_owned()], &mut Vec::new()).is_none());
    assert!(run(&tool, &[], &mut Vec::new()).is_none());
    drop(daemon.client());
}

#[test]
fn information_about_a_node_is_complete() {
    let text = printed(&[NODES, EDGES, SUBNETS], "info bob");
    let lines: Vec<&str> = text.lines().collect();

    assert_eq!(lines[..3], ["Node:         bob", "Node ID:      0416a26ba554", "Address:      127.0.0.1 port 6002"]);
    assert!(lines[3].starts_with("Online since: 2026-11-"), "{}", lines[3]);
    let expected = [
        "Status:       visited reachable sptps",
        "Options:      pmtu_discovery clamp_mss",
        "Protocol:     17.7",
        "Reachability: unknown",
        "RX:           30 packets  4260 bytes",
        "TX:           30 packets  4260 bytes",
        "Edges:        alice",
        "Subnets:      10.2.0.0/16 fd00:2::/64",
    ];
    assert_eq!(lines[4..], expected);
}

#[test]
fn a_node_that_was_never_seen_has_empty_fields() {
    let text = printed(&[NODES, EDGES, SUBNETS], "info carol");
    assert!(text.contains("Last seen:    never\nStatus:      \nOptions:     \nProtocol:     17.0\n"), "{text}");
    assert!(text.contains("Reachability: unreachable\n"));
}

#[test]
fn reachability_tells_the_path() {
    let reachability = |words: &str| {
        let node =
            NodeLine::parse(&format!("bob 0416a26ba554 10.0.0.2 port 655 0 0 0 0 c {words} 9 -1 0 0 0 0")).unwrap();
        let text = info::describe(&node, &[] as &[EdgeLine], &[] as &[SubnetLine]);
        text.lines().filter(|line| line.starts_with("Rea") || line.starts_with("PMTU")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(reachability("5a bob carol 2 1518 0 1518"), "Reachability: indirectly via carol");
    assert_eq!(reachability("da bob bob 1 1400 1400 1400"), "Reachability: directly with UDP PMTU:         1400");
    assert_eq!(reachability("5a bob bob 1 1518 0 1518"), "Reachability: directly with TCP");
    assert_eq!(reachability("5a carol bob 2 1518 0 1518"), "Reachability: none, forwarded via carol");
}

#[test]
fn an_address_finds_every_subnet_around_it_and_a_subnet_only_itself() {
    let around = "Subnet: 10.1.2.3#5\nOwner:  alice\nSubnet: 10.1.0.0/16\nOwner:  alice\n";
    assert_eq!(printed(&[SUBNETS], "info 10.1.2.3"), around);
    assert_eq!(printed(&[SUBNETS], "info 10.1.0.0/16"), "Subnet: 10.1.0.0/16\nOwner:  alice\n");
    assert_eq!(printed(&[SUBNETS], "info 10.1.2.3#5"), "Subnet: 10.1.2.3#5\nOwner:  alice\n");
}

#[test]
fn what_cannot_be_found_is_named() {
    assert_eq!(failure(&[NODES], "info zoe"), "Unknown node zoe.");
    assert_eq!(failure(&[SUBNETS], "info 10.3.0.1"), "Unknown address 10.3.0.1.");
    assert_eq!(failure(&[SUBNETS], "info 10.3.0.0/16"), "Unknown subnet 10.3.0.0/16.");
    assert_eq!(failure(&[], "info a-b"), "Argument is not a node name, subnet or address.");
    assert_eq!(failure(&[], "info 10.3.0.0/99"), "Could not parse subnet or address '10.3.0.0/99'.");
}

#[test]
fn requests_with_a_number_for_an_answer_fail_with_their_message() {
    assert_eq!(printed(&["18 1 0\n"], "reload"), "");
    assert_eq!(failure(&["18 1 22\n"], "reload"), "Could not reload configuration.");
    assert_eq!(failure(&["18 10 1\n"], "retry"), "Could not retry outgoing connections.");
    assert_eq!(failure(&["18 8 1\n"], "purge"), "Could not purge old information.");
    assert_eq!(failure(&["18 12 -2\n"], "disconnect bob"), "Could not disconnect bob.");
    assert_eq!(failure(&[], "disconnect b-b"), "Invalid name for node.");
    assert_eq!(failure(&[], "reload now"), "Too many arguments!");
    assert_eq!(failure(&[], "debug"), "Invalid number of arguments.");
}

#[test]
fn the_debug_level_is_read_leniently() {
    let (outcome, requests) = run_against(&["18 9 0\n"], "debug 5x");
    outcome.unwrap();
    assert_eq!(requests[1], ControlRequest::Debug(5));
}

#[test]
fn the_log_is_printed_line_by_line() {
    let mut daemon = FakeDaemon::ending_after(&["18 15 5\nReady18 15 4\nDone"]);
    let (options, paths) = (TincOptions::default(), daemon.paths());
    let tool = Tool::new("tinc", &options, &paths);
    let mut out = Vec::new();

    run(&tool, &["log".to_owned(), "3".to_owned()], &mut out).unwrap().unwrap();

    assert_eq!(out, b"Ready\nDone\n");
    assert!(matches!(daemon.requests()[1], ControlRequest::Log { level: 3, .. }));
}

#[test]
fn packets_become_a_capture() {
    let daemon = FakeDaemon::ending_after(&["18 14 3\nabc"]);
    let (options, paths) = (TincOptions::default(), daemon.paths());
    let tool = Tool::new("tinc", &options, &paths);
    let mut out = Vec::new();

    run(&tool, &["pcap".to_owned()], &mut out).unwrap().unwrap();

    assert_eq!(out.len(), 24 + 16 + 3);
    assert!(out.ends_with(b"abc"));
}

#[test]
fn stop_without_a_daemon_says_where_it_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (options, paths) = (TincOptions::default(), crate::control::fake_daemon::paths_in(dir.path()));
    let tool = Tool::new("tinc", &options, &paths);
    let error = run(&tool, &["stop".to_owned()], &mut Vec::new()).unwrap().unwrap_err();
    assert!(error.to_string().starts_with("Could not open pid file "), "{error}");
}
