//! Relays: a node carries sealed packets between two that cannot reach each other.

use crate::lab::mesh::{self, v4, v6, wait_for_direct, wait_for_ping};
use crate::lab::topology::{block_udp, block_udp_from};
use crate::lab::traffic::{count_udp, ping, ping_many, udp_packets};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// The ends share no network; the middle forwards their datagrams over UDP.
fn relays_over_udp(kinds: [Kind; 3]) {
    let lab = Lab::new();
    let mut mesh = mesh::parted_line(&lab, kinds);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));
    wait_for_direct(carol, "bob", &v4(2));
    wait_for_ping(alice, &v4(3));
    wait_for_ping(carol, &v6(1));
    wait_for_udp_relay(alice, bob, &v4(3));

    assert_eq!(ping_many(&alice.namespace, &v4(3), 50), 50, "the relay loses nothing");
    assert!(!ping(&alice.namespace, "203.0.113.3"), "the ends have no way around");
    assert!(alice.sees("carol", |node| node.reachable() && !node.direct()));
}

/// Waits until pings cross the relay in datagrams; before it knows both ends' addresses they go over TCP.
fn wait_for_udp_relay(from: &Daemon, relay: &Daemon, to: &str) {
    count_udp(&relay.namespace);
    wait_until(secs(20), &format!("{} relays over UDP", relay.name), || {
        let before = udp_packets(&relay.namespace);
        ping_many(&from.namespace, to, 20) == 20 && udp_packets(&relay.namespace) >= before + 40
    });
}

#[test]
fn theirs_relays_for_ours_over_udp() {
    relays_over_udp([OURS, THEIRS, OURS]);
}

#[test]
fn ours_relays_for_theirs_over_udp() {
    relays_over_udp([THEIRS, OURS, THEIRS]);
}

#[test]
fn ours_relays_for_ours_over_udp() {
    relays_over_udp([OURS, OURS, OURS]);
}

#[test]
fn ours_relays_between_ours_and_theirs_over_udp() {
    relays_over_udp([OURS, OURS, THEIRS]);
}

/// As above while nobody hears UDP.
fn relays_over_tcp(kinds: [Kind; 3]) {
    let lab = Lab::new();
    let mut mesh = mesh::parted_line(&lab, kinds);
    mesh.iter().for_each(|daemon| block_udp(&daemon.namespace));
    mesh::start(&mut mesh);
    let [alice, _, carol] = &mesh;

    wait_for_ping(alice, &v4(3));
    wait_for_ping(carol, &v6(1));

    assert!(ping_many(&alice.namespace, &v4(3), 50) >= 49, "TCP loses nothing");
    for name in ["bob", "carol"] {
        assert!(alice.sees(name, |node| node.reachable() && !node.udp_confirmed()), "no UDP to {name}");
    }
}

#[test]
fn theirs_relays_for_ours_over_tcp() {
    relays_over_tcp([OURS, THEIRS, OURS]);
}

#[test]
fn ours_relays_for_theirs_over_tcp() {
    relays_over_tcp([THEIRS, OURS, THEIRS]);
}

#[test]
fn ours_relays_for_ours_over_tcp() {
    relays_over_tcp([OURS, OURS, OURS]);
}

#[test]
fn neighbours_talk_over_tcp_when_udp_is_blocked() {
    for kinds in [[OURS, THEIRS], [THEIRS, OURS]] {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, kinds);
        mesh.iter().for_each(|daemon| block_udp(&daemon.namespace));
        mesh::start(&mut mesh);
        let [alice, bob] = &mesh;

        wait_for_ping(alice, &v4(2));
        wait_for_ping(bob, &v6(1));

        assert!(ping_many(&alice.namespace, &v4(2), 50) >= 49, "TCP loses nothing");
        assert!(alice.sees("bob", |node| node.reachable() && !node.udp_confirmed()));
    }
}

#[test]
fn a_pair_without_udp_between_its_ends_uses_the_middle() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [OURS, THEIRS, OURS]);
    block_udp_from(&mesh[0].namespace, "192.0.2.3");
    block_udp_from(&mesh[2].namespace, "192.0.2.1");
    mesh::start(&mut mesh);
    let [alice, _, carol] = &mesh;

    wait_for_ping(alice, &v4(3));
    wait_for_ping(carol, &v4(1));

    assert!(ping_many(&alice.namespace, &v4(3), 50) >= 49, "the relay loses nothing");
    assert!(alice.sees("carol", |node| node.reachable() && !node.direct()));
}
