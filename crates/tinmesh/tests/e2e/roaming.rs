//! Nodes that move, and nodes that are nearer to each other than the Internet knows.

use std::fs;
use std::time::Instant;

use tinmesh_sim::Ports;

use crate::emulated::{self, Story};
use crate::lab::etc::Etc;
use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::topology::{Nat, Segment, nat};
use crate::lab::traffic::answers_within;
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// Alice gets another address while she talks with bob.
fn is_followed(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, kinds);
    for daemon in &mesh {
        daemon.config("PingInterval = 3").config("PingTimeout = 2");
    }
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));
    wait_for_direct(bob, "alice", &v4(1));
    assert!(bob.sees("alice", |node| node.address == "192.0.2.1"));

    alice.namespace.shell("ip addr flush dev eth0 && ip addr add 192.0.2.51/24 dev eth0");

    assert!(answers_within(&bob.namespace, &v4(1), secs(15)), "bob finds alice again");
    wait_for_direct(bob, "alice", &v4(1));
    assert!(bob.sees("alice", |node| node.address == "192.0.2.51"), "at her new address");
}

#[test]
fn a_new_address_of_ours_is_followed_by_ours() {
    is_followed([OURS, OURS]);
}

#[test]
fn a_new_address_of_ours_is_followed_by_theirs() {
    is_followed([OURS, THEIRS]);
}

#[test]
fn a_new_address_of_theirs_is_followed_by_ours() {
    is_followed([THEIRS, OURS]);
}

/// The router's provider gives it another address; nothing on alice's machine changes.
#[test]
fn a_new_address_of_the_router_is_followed() {
    let lab = Lab::new();
    let (home, wan) = (Segment::new("home"), Segment::new("wan"));
    let router = nat("nat", (&home, "192.168.1.1/24"), (&wan, "192.0.2.11/24"), Nat::PortPreserving);
    let inner = home.host_behind("node", "192.168.1.100/24", "192.168.1.1");
    let outer = wan.host("node", &["192.0.2.2/24"]);
    let [alice, bob] = [mesh::node(&lab, 1, OURS, &inner), mesh::node(&lab, 2, OURS, &outer)];
    for daemon in [&alice, &bob] {
        daemon.config("PingInterval = 3").config("PingTimeout = 2");
    }
    bob.host("Address = 192.0.2.2");
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(bob, "alice", &v4(1));
    assert!(bob.sees("alice", |node| node.address == "192.0.2.11"));

    router.shell("ip addr flush dev wan0 && ip addr add 192.0.2.12/24 dev wan0");

    assert!(answers_within(&alice.namespace, &v4(2), secs(15)), "alice gets through again");
    wait_until(secs(15), "bob sees alice at the new address", || {
        answers_within(&bob.namespace, &v4(1), secs(1));
        bob.sees("alice", |node| node.direct() && node.address == "192.0.2.12")
    });
}

/// Alice and carol sit behind one NAT that does not lead back in; bob outside joins them.
fn neighbours_talk_at_home(kinds: [Kind; 3]) {
    let lab = Lab::new();
    let (home, wan) = (Segment::new("home"), Segment::new("wan"));
    let _router = nat("nat", (&home, "192.168.1.1/24"), (&wan, "192.0.2.11/24"), Nat::Symmetric);
    let hosts = [
        home.host_behind("node", "192.168.1.101/24", "192.168.1.1"),
        wan.host("node", &["192.0.2.2/24"]),
        home.host_behind("node", "192.168.1.103/24", "192.168.1.1"),
    ];
    let mut mesh = mesh::line_on(&lab, kinds, &hosts, ["192.0.2.2", "192.0.2.2"]);
    mesh::start(&mut mesh);
    let [alice, _, carol] = &mesh;
    wait_for_ping(alice, &v4(3));

    wait_for_direct(alice, "carol", &v4(3));
    wait_for_direct(carol, "alice", &v4(1));

    assert!(alice.sees("carol", |node| node.address == "192.168.1.103"), "the path does not leave the house");
    assert!(carol.sees("alice", |node| node.address == "192.168.1.101"));
}

#[test]
fn ours_behind_one_nat_talk_at_home() {
    neighbours_talk_at_home([OURS, OURS, OURS]);
}

#[test]
fn ours_and_theirs_behind_one_nat_talk_at_home() {
    neighbours_talk_at_home([OURS, THEIRS, THEIRS]);
}

/// Writes `bob.example` in place of bob's address; gives the address.
fn name_bob(of: &Daemon) -> String {
    let text = fs::read_to_string(of.host_file("bob")).expect("it is there");
    let address = text.lines().find_map(|line| line.strip_prefix("Address = ")).expect("bob has one").to_owned();
    let named = text.replace(&format!("Address = {address}"), "Address = bob.example");
    fs::write(of.host_file("bob"), named).expect("it is ours");
    address
}

/// The marks ask for 3 s; on a machine that is busy with other tests the answer may take longer. A look-up takes a minute.
#[test]
fn a_laptop_that_stands_still_and_goes_on_elsewhere_without_name_servers_is_back_in_seconds() {
    let lab = Lab::new();
    let home = tinmesh_sim::Nat::port_restricted_cone().with_ports(Ports::Random);
    let mut etc = None;
    let Story { mesh: [alice, bob, carol], hosts, underlay } = emulated::story_with(&lab, [home; 2], |mesh, _, _| {
        let address = name_bob(&mesh[0]);
        let files = Etc::with_hosts(&mesh[0].namespace, &format!("{address} bob.example\n"));
        files.set_name_server("198.18.255.53");
        etc = Some(files);
    });
    wait_for_ping(&alice, &v4(3));
    wait_for_direct(&alice, "carol", &v4(3));

    alice.signal("STOP");
    std::thread::sleep(secs(30));
    etc.as_ref().expect("it was made").write("hosts", "");
    let elsewhere = underlay.with(|net| net.put_up(home, None));
    underlay.move_to(hosts[0], Some(elsewhere)).expect("ip does what it is told");
    alice.signal("CONT");
    let start = Instant::now();
    assert!(answers_within(&alice.namespace, &v4(3), secs(10)), "carol answers");
    let [far, near] = [
        start.elapsed(),
        wait_until(secs(10), "bob is a neighbour again", || {
            alice.tinc(&["dump", "connections"]).contains("bob at ") && alice.sees("bob", |node| node.reachable())
        }),
    ];

    eprintln!("carol answers after {far:?}, bob is connected {near:?} later");
    drop((bob, carol));
}

/// Ada and ann are names that the name server keeps quiet about; bob is a name that the machine itself knows.
#[test]
fn names_that_nobody_answers_for_keep_no_other_waiting() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    let alice = &mesh[0];
    let address = name_bob(alice);
    let etc = Etc::with_hosts(&alice.namespace, &format!("{address} bob.example\n"));
    etc.set_name_server(&address);
    mesh[1].namespace.nft(
        "table inet lab {
            chain in { type filter hook input priority 0; udp dport 53 drop; }
        }",
    );
    let config = alice.dir.join("tinc.conf");
    let text = fs::read_to_string(&config).expect("it is there");
    let ghosts = "ConnectTo = ada\nConnectTo = ann\nConnectTo = bob";
    fs::write(&config, text.replace("ConnectTo = bob", ghosts)).expect("it is ours");
    let bob = fs::read_to_string(alice.host_file("bob")).expect("it is there");
    for ghost in ["ada", "ann"] {
        fs::write(alice.host_file(ghost), bob.replace("bob.example", &format!("{ghost}.example"))).expect("it is ours");
    }

    mesh::start(&mut mesh);

    wait_for_ping(&mesh[0], &v4(2));
}
