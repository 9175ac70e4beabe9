//! One family below, the other above.

use crate::lab::mesh::{self, v4, v6, wait_for_direct, wait_for_ping};
use crate::lab::topology::Segment;
use crate::lab::traffic::ping;
use crate::lab::{Kind, Lab};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// Two nodes with only these addresses below and above.
fn talks(kinds: [Kind; 2], underlay: [&str; 2], overlay: [String; 2], other_family: &str) {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let prefix = if underlay[0].contains(':') { 64 } else { 24 };
    let [alice, bob] = [0, 1].map(|at| {
        let host = wan.host("node", &[&format!("{}/{prefix}", underlay[at])]);
        mesh::node_with(&lab, at + 1, kinds[at], &host, &[overlay[at].clone()])
    });
    bob.host(&format!("Address = {}", underlay[1]));
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_for_ping(alice, &overlay[1]);
    wait_for_ping(bob, &overlay[0]);

    wait_for_direct(alice, "bob", &overlay[1]);
    assert!(alice.sees("bob", |node| node.address == underlay[1]));
    assert!(!ping(&alice.namespace, other_family), "the other family is not there");
}

const BELOW4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const BELOW6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

#[test]
fn ipv4_crosses_an_ipv6_underlay_between_ours() {
    talks([OURS, OURS], BELOW6, [v4(1), v4(2)], &v6(2));
}

#[test]
fn ipv4_crosses_an_ipv6_underlay_from_ours_to_theirs() {
    talks([OURS, THEIRS], BELOW6, [v4(1), v4(2)], &v6(2));
}

#[test]
fn ipv6_crosses_an_ipv4_underlay_between_ours() {
    talks([OURS, OURS], BELOW4, [v6(1), v6(2)], &v4(2));
}

#[test]
fn ipv6_crosses_an_ipv4_underlay_from_theirs_to_ours() {
    talks([THEIRS, OURS], BELOW4, [v6(1), v6(2)], &v4(2));
}
