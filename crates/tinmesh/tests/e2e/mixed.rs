//! Meshes of ours and theirs: dialling and being dialled, and three in a line whose ends find each other.

use crate::lab::mesh::{self, v4, v6, wait_for_direct, wait_for_ping};
use crate::lab::traffic::ping_many;
use crate::lab::{Kind, Lab};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// The first dials the second.
fn pair_talks(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, kinds);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_for_ping(alice, &v4(2));
    wait_for_ping(bob, &v6(1));

    wait_for_direct(alice, "bob", &v4(2));
    wait_for_direct(bob, "alice", &v4(1));
    assert_eq!(ping_many(&alice.namespace, &v4(2), 50), 50, "a direct path loses nothing");
}

#[test]
fn ours_dials_ours() {
    pair_talks([OURS, OURS]);
}

#[test]
fn ours_dials_theirs() {
    pair_talks([OURS, THEIRS]);
}

#[test]
fn theirs_dials_ours() {
    pair_talks([THEIRS, OURS]);
}

/// The ends know only the middle, fetch each other's keys through it, and then talk without it.
fn ends_find_each_other(kinds: [Kind; 3]) {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, kinds);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;

    wait_for_ping(alice, &v4(3));
    wait_for_ping(carol, &v6(1));
    wait_for_ping(alice, &v4(2));
    wait_for_ping(carol, &v4(2));

    wait_for_direct(alice, "carol", &v4(3));
    wait_for_direct(carol, "alice", &v4(1));
    assert!(bob.sees("alice", |node| node.reachable() && node.distance == 1));
    assert!(alice.sees("carol", |node| node.nexthop == "bob" && node.distance == 2), "requests still go by the middle");
    assert_eq!(ping_many(&alice.namespace, &v4(3), 50), 50, "a direct path loses nothing");
}

#[test]
fn ends_meet_in_ours_ours_ours() {
    ends_find_each_other([OURS, OURS, OURS]);
}

#[test]
fn ends_meet_in_ours_ours_theirs() {
    ends_find_each_other([OURS, OURS, THEIRS]);
}

#[test]
fn ends_meet_in_ours_theirs_ours() {
    ends_find_each_other([OURS, THEIRS, OURS]);
}

#[test]
fn ends_meet_in_ours_theirs_theirs() {
    ends_find_each_other([OURS, THEIRS, THEIRS]);
}

#[test]
fn ends_meet_in_theirs_ours_ours() {
    ends_find_each_other([THEIRS, OURS, OURS]);
}

#[test]
fn ends_meet_in_theirs_ours_theirs() {
    ends_find_each_other([THEIRS, OURS, THEIRS]);
}

#[test]
fn ends_meet_in_theirs_theirs_ours() {
    ends_find_each_other([THEIRS, THEIRS, OURS]);
}

#[test]
fn many_pings_survive_a_lossy_path() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, THEIRS]);
    mesh.iter().for_each(|daemon| crate::lab::topology::lose(&daemon.namespace, 10));
    mesh::start(&mut mesh);
    let [alice, _] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));

    let answered = ping_many(&alice.namespace, &v4(2), 200);

    assert!(answered > 120, "with 10 % loss each way four of five come back, here {answered} of 200");
}
