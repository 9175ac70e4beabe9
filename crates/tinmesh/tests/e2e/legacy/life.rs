//! What happens in the life of a network: nodes are killed and come back, keys expire under traffic.

use std::fs;

use super::{OLD, OURS, use_rsa};
use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::traffic::ping_many;
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

/// Each of them in turn; then the first and the last talk again.
fn comes_back<const N: usize>(mut mesh: [Daemon; N], victims: &[usize]) {
    let far = v4(N);
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &far);
    for &victim in victims {
        mesh[victim].kill();
        // tinc 1.0 does not start while there is one.
        let _ = fs::remove_file(mesh[victim].pidfile());
        mesh[victim].start();
        wait_until(secs(30), "packets pass again", || ping_many(&mesh[0].namespace, &far, 3) == 3);
    }
}

#[test]
fn a_node_that_was_killed_comes_back() {
    for kinds in [[OURS, OLD], [OLD, OURS]] {
        let lab = Lab::new();
        comes_back(mesh::pair(&lab, kinds), &[1, 0]);
    }
}

#[test]
fn a_relay_that_was_killed_comes_back() {
    for kinds in [[OLD, OURS, OLD], [OURS, OLD, OURS]] {
        let lab = Lab::new();
        comes_back(mesh::parted_line(&lab, kinds), &[1]);
    }
}

#[test]
fn the_end_of_a_line_that_was_killed_comes_back() {
    for kinds in [[OLD, OURS, OLD], [OURS, OLD, OURS]] {
        let lab = Lab::new();
        comes_back(mesh::parted_line(&lab, kinds), &[2, 0]);
    }
}

/// The first and the last talk while keys expire every two seconds.
fn keys_are_renewed<const N: usize>(mut mesh: [Daemon; N]) {
    for daemon in &mesh {
        daemon.config("KeyExpire = 2");
    }
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    let (alice, last) = (&mesh[0], &mesh[N - 1]);
    wait_for_ping(alice, &v4(N));
    if N == 2 {
        let (ours, theirs, address) = if alice.kind == OURS { (alice, last, v4(2)) } else { (last, alice, v4(1)) };
        wait_for_direct(ours, &theirs.name, &address);
    }

    let answered = ping_many(&alice.namespace, &v4(N), 500);

    assert!(answered >= 480, "{answered} of 500");
    let told = mesh.iter().filter(|daemon| daemon.log().matches("KEY_CHANGED from").count() >= 2).count();
    assert!(told >= 1, "several keys were used");
}

fn pair_renews(kinds: [Kind; 2]) {
    keys_are_renewed(mesh::pair(&Lab::new(), kinds));
}

#[test]
fn keys_are_renewed_under_traffic_if_ours_dials() {
    pair_renews([OURS, OLD]);
}

#[test]
fn keys_are_renewed_under_traffic_if_tinc_1_0_dials() {
    pair_renews([OLD, OURS]);
}

#[test]
fn keys_are_renewed_under_traffic_with_nodes_further_away() {
    keys_are_renewed(mesh::line(&Lab::new(), [OLD, OURS, OURS]));
}
