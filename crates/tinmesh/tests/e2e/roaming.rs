//! Nodes that move, and nodes that are nearer to each other than the Internet knows.

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::topology::{Nat, Segment, nat};
use crate::lab::traffic::answers_within;
use crate::lab::{Kind, Lab, secs, wait_until};

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
