//! What tinmesh nodes do beyond tinc, among themselves and with tinc between them.

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::traffic::{ping, transfer};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

/// OpenSSL's number of AES-256-GCM; 0 is tinc's own cipher.
const AES: &str = "901";

/// The cipher that `from` has for packets to `peer`.
fn cipher(from: &Daemon, peer: &str) -> String {
    let nodes = from.tinc(&["dump", "nodes"]);
    let line = nodes.lines().find(|line| line.starts_with(&format!("{peer} "))).unwrap_or_default();
    line.split_ascii_whitespace().skip_while(|word| *word != "cipher").nth(1).unwrap_or_default().to_owned()
}

#[track_caller]
fn agree(from: &Daemon, peer: &str, address: &str) {
    wait_until(secs(20), &format!("{} and {peer} use AES-256-GCM", from.name), || {
        ping(&from.namespace, address) && cipher(from, peer) == AES
    });
}

#[test]
fn two_nodes_change_to_aes_by_themselves_and_lose_nothing() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));

    agree(alice, "bob", &v4(2));
    agree(bob, "alice", &v4(1));
    transfer(&alice.namespace, &bob.namespace, &v4(2), 20_000_000).assert_intact(20_000_000);
    transfer(&bob.namespace, &alice.namespace, &v4(1), 20_000_000).assert_intact(20_000_000);
}

#[test]
fn keys_are_renewed_under_aes_with_traffic() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    for daemon in &mesh {
        daemon.config("KeyExpire = 2");
    }
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));
    agree(alice, "bob", &v4(2));

    let answered = crate::lab::traffic::ping_many(&alice.namespace, &v4(2), 350);

    assert_eq!(answered, 350, "seven seconds, several keys");
    assert_eq!(cipher(bob, "alice"), AES);
}

#[test]
fn without_extensions_nodes_stay_with_the_cipher_of_tinc() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    mesh[1].config("Extensions = no");
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));

    transfer(&alice.namespace, &bob.namespace, &v4(2), 5_000_000).assert_intact(5_000_000);
    assert_eq!((cipher(alice, "bob"), cipher(bob, "alice")), ("0".to_owned(), "0".to_owned()));
}

#[test]
fn a_tinc_node_between_two_of_ours_passes_on_what_they_agree() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [Kind::Ours, Kind::Tinc11, Kind::Ours]);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_ping(alice, &v4(3));

    agree(alice, "carol", &v4(3));
    agree(carol, "alice", &v4(1));
    wait_for_ping(alice, &v4(2));
    assert_eq!(cipher(alice, "bob"), "0");
    assert!(bob.tinc(&["dump", "reachable", "nodes"]).contains("carol"));
    transfer(&alice.namespace, &carol.namespace, &v4(3), 5_000_000).assert_intact(5_000_000);
}

#[test]
fn a_node_that_becomes_tinc_again_is_treated_as_tinc_at_once() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    mesh::start(&mut mesh);
    agree(&mesh[0], "bob", &v4(2));

    mesh[1].stop();
    mesh[1].becomes(&lab, Kind::Tinc11);
    mesh[1].start();

    wait_for_ping(&mesh[0], &v4(2));
    wait_until(secs(10), "packets are under tinc's cipher", || {
        ping(&mesh[0].namespace, &v4(2)) && cipher(&mesh[0], "bob") == "0"
    });
}
