use super::*;
use crate::control::dump::Line as _;

fn node(text: &str) -> NodeLine {
    NodeLine::parse(text).unwrap()
}

fn lists() -> Lists {
    let nodes = [
        "alice 408b27d3097e MYSELF port 6001 0 0 0 0 700000c 50 alice alice 0 1518 0 1518 1795352583 -1 0 0 0 0",
        "bob 0416a26ba554 10.0.0.2 port 655 0 0 0 0 700010c da bob bob 1 1514 1514 1514 1795352583 247 3 4260 4 1234567",
        "carol 0416a26ba554 10.0.0.3 port 655 0 0 0 0 700000c 5a bob carol 2 1518 0 1518 1795352583 -1 1 100 1 100",
        "dave 0416a26ba554 unknown port unknown 0 0 0 0 0 0 - - -1 0 0 0 0 -1 0 0 0 0",
        "aaron 0416a26ba554 unknown port unknown 0 0 0 0 0 0 - - -1 0 0 0 1795352000 -1 0 0 0 0",
        "erin 0416a26ba554 10.0.0.5 port 655 0 0 0 0 700000c 58 bob erin 2 1518 0 1518 1795352583 -1 0 0 0 0",
        "frank 0416a26ba554 10.0.0.6 port 655 0 0 0 0 700000c 5a frank frank 1 1518 0 1518 1795352583 -1 0 0 0 0",
        "grace 0416a26ba554 10.0.0.7 port 655 0 0 0 0 700000d 7a bob carol 3 1518 0 1518 1795352583 -1 0 0 0 0",
    ];
    let subnets = ["10.9.0.1 alice", "fd00::1 alice", "192.168.0.0/16 alice", "10.9.0.2#5 bob", "10.4.0.0/16 dave"];
    let connections = ["bob 10.0.0.2 port 655 700000c 12 100", "<control> localhost port unix 0 14 200"];
    Lists {
        nodes: nodes.map(node).to_vec(),
        subnets: subnets.map(|line| SubnetLine::parse(line).unwrap()).to_vec(),
        connections: connections.map(|line| ConnectionLine::parse(line).unwrap()).to_vec(),
    }
}

fn empty() -> Status {
    Status {
        port_mappings: Vec::new(),
        node: "alice".to_owned(),
        network: Some("vpn".to_owned()),
        pid: 4789,
        port: "6001".to_owned(),
        addresses: Vec::new(),
        subnets: Vec::new(),
        connections: Vec::new(),
        peers: Vec::new(),
    }
}

fn full() -> Status {
    empty().fill(lists())
}

fn path_of(status: &Status, name: &str) -> Path {
    status.peers.iter().find(|peer| peer.name == name).unwrap().path.clone()
}

#[test]
fn every_path_is_told_from_the_others() {
    let status = full();
    assert_eq!(path_of(&status, "bob"), Path::Udp { address: Some("10.0.0.2:655".to_owned()) });
    assert_eq!(path_of(&status, "carol"), Path::Relayed { by: "bob".to_owned() });
    assert_eq!(path_of(&status, "erin"), Path::Idle { next: "bob".to_owned() });
    assert_eq!(path_of(&status, "frank"), Path::Tcp);
    assert_eq!(path_of(&status, "grace"), Path::Relayed { by: "carol".to_owned() });
    assert_eq!(path_of(&status, "dave"), Path::Unreachable);
}

#[test]
fn a_neighbour_whose_static_relay_is_this_node_is_not_relayed() {
    let text = "bob 0416a26ba554 10.0.0.2 port 655 0 0 0 0 700000f 7a bob alice 1 1518 0 1518 1795352583 -1 0 0 0 0";
    assert_eq!(Path::read(&node(text), "alice"), Path::Tcp);
}

#[test]
fn unreachable_nodes_come_last() {
    let names: Vec<String> = full().peers.into_iter().map(|peer| peer.name).collect();
    assert_eq!(names, ["bob", "carol", "erin", "frank", "grace", "aaron", "dave"]);
}

#[test]
fn the_text_shows_addresses_paths_and_numbers() {
    let expected = "\
alice in network vpn is up: 5 of 7 other nodes reachable
  addresses    10.9.0.1  fd00::1
  subnets      192.168.0.0/16
  connections  bob at 10.0.0.2:655
  daemon       process 4789, port 6001

NODE   ADDRESS      PATH                          RTT   MTU  RECEIVED    SENT
bob    10.9.0.2     direct, UDP 10.0.0.2:655  0.25 ms  1500    4.3 kB  1.2 MB
carol  -            relayed by bob                  -     -     100 B   100 B
erin   -            idle, known through bob         -     -       0 B     0 B
frank  -            direct, TCP                     -     -       0 B     0 B
grace  -            relayed by carol                -     -       0 B     0 B
aaron  -            unreachable for 10 min          -     -       0 B     0 B
dave   10.4.0.0/16  never seen                      -     -       0 B     0 B
";
    assert_eq!(render(&full(), 1_795_352_600, None, false), expected);
}

#[test]
fn colours_change_nothing_but_colours() {
    let plain = render(&full(), 0, None, false);
    let coloured = render(&full(), 0, None, true);
    let mut stripped = coloured.clone();
    for code in ["0", "1", "2", "31", "32", "33"] {
        stripped = stripped.replace(&format!("\x1b[{code}m"), "");
    }
    assert!(coloured.contains("\x1b[32mbob"));
    assert_eq!(stripped, plain);
}

#[test]
fn between_two_looks_there_are_rates() {
    let before = full();
    let mut after = full();
    for peer in &mut after.peers {
        peer.received.bytes += 5_000;
    }

    let rates = Rates::between(&before, &after, std::time::Duration::from_millis(500));

    let text = render(&after, 0, Some(&rates), false);
    let bob = text.lines().find(|line| line.starts_with("bob ")).unwrap();
    assert!(bob.ends_with("10 kB/s  0 B/s"), "{bob}");
}

#[test]
fn a_lonely_node_is_told_how_to_invite() {
    let text = render(&empty(), 0, None, false);
    assert!(text.starts_with("alice in network vpn is up: 0 of 0"));
    assert!(text.contains("`sudo tinmesh invite`"));
}

#[test]
fn json_has_the_documented_fields() {
    let status = serde_json::to_value(full()).unwrap();
    let bob = serde_json::json!({
        "name": "bob", "reachable": true, "path": "udp", "address": "10.0.0.2:655", "reason": null, "hops": 1, "rtt_ms": 0.247,
        "mtu": 1500, "since": 1_795_352_583, "addresses": ["10.9.0.2"], "subnets": ["10.9.0.2"],
        "received": { "packets": 3, "bytes": 4260 }, "sent": { "packets": 4, "bytes": 1_234_567 }, "tinmesh": true,
        "protocol": "sptps",
    });
    assert_eq!(status["peers"][0], bob);
    assert_eq!(status["peers"][1]["by"], "bob");
    assert_eq!(status["connections"], serde_json::json!([{ "node": "bob", "address": "10.0.0.2:655" }]));
    assert_eq!(status["addresses"], serde_json::json!(["10.9.0.1", "fd00::1"]));
}

#[test]
fn nodes_that_are_spoken_to_in_the_protocol_of_tinc_1_0_are_marked() {
    let mut lists = lists();
    lists.nodes.push(node(
        "old 0416a26ba554 10.0.0.9 port 655 427 672 4 0 c 9a old old 1 1451 1451 1451 1795352583 -1 3 4260 4 1234567",
    ));
    let status = empty().fill(lists);

    let text = render(&status, 0, None, false);
    let json = serde_json::to_value(&status).unwrap();

    assert!(text.contains("direct, UDP 10.0.0.9:655 (tinc 1.0)"), "{text}");
    assert!(text.contains("\n(tinc 1.0): spoken to in the weak protocol of tinc 1.0"), "{text}");
    assert_eq!(text.matches("(tinc 1.0)").count(), 2, "{text}");
    let protocol = |name: &str| json["peers"].as_array().unwrap().iter().find(|peer| peer["name"] == name).unwrap();
    assert_eq!(protocol("old")["protocol"], "tinc-1.0");
    assert_eq!(protocol("bob")["protocol"], "sptps");
    assert!(protocol("dave")["protocol"].is_null(), "nobody speaks to what cannot be reached");
}
