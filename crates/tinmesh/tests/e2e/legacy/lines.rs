//! Lines of three in every order of tinc 1.0, tinc 1.1 and ours, and with one of them twice: the ends see each other, or
//! only the one in the middle, which then carries their packets.

use super::{NEW, OLD, OURS, use_rsa};
use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::topology::block_udp;
use crate::lab::traffic::ping_many;
use crate::lab::{Daemon, Kind, Lab};

fn all_talk([alice, bob, carol]: &[Daemon; 3]) {
    wait_for_ping(alice, &v4(2));
    wait_for_ping(carol, &v4(2));
    wait_for_ping(alice, &v4(3));
    wait_for_ping(carol, &v4(1));
    wait_for_ping(bob, &v4(1));
    let answered = ping_many(&alice.namespace, &v4(3), 50);
    // ping does not wait for the last answers of a busy machine.
    assert!(answered >= 45, "{answered} of 50");
}

/// With ends that reach each other, and with ends that do not.
fn line_talks(kinds: [Kind; 3]) {
    for build in [mesh::line, mesh::parted_line] {
        let lab = Lab::new();
        let mut mesh = build(&lab, kinds);
        use_rsa(&mesh);
        mesh::start(&mut mesh);
        all_talk(&mesh);
    }
}

#[test]
fn a_line_of_old_new_ours_talks() {
    line_talks([OLD, NEW, OURS]);
}

#[test]
fn a_line_of_old_ours_new_talks() {
    line_talks([OLD, OURS, NEW]);
}

#[test]
fn a_line_of_new_old_ours_talks() {
    line_talks([NEW, OLD, OURS]);
}

#[test]
fn a_line_of_new_ours_old_talks() {
    line_talks([NEW, OURS, OLD]);
}

#[test]
fn a_line_of_ours_old_new_talks() {
    line_talks([OURS, OLD, NEW]);
}

#[test]
fn a_line_of_ours_new_old_talks() {
    line_talks([OURS, NEW, OLD]);
}

#[test]
fn a_line_of_ours_old_ours_talks() {
    line_talks([OURS, OLD, OURS]);
}

#[test]
fn a_line_of_ours_ours_old_talks() {
    line_talks([OURS, OURS, OLD]);
}

#[test]
fn a_line_of_old_ours_ours_talks() {
    line_talks([OLD, OURS, OURS]);
}

#[test]
fn a_line_of_old_ours_old_talks() {
    line_talks([OLD, OURS, OLD]);
}

#[test]
fn a_line_of_old_old_ours_talks() {
    line_talks([OLD, OLD, OURS]);
}

#[test]
fn a_line_of_ours_old_old_talks() {
    line_talks([OURS, OLD, OLD]);
}

#[test]
fn a_line_without_udp_talks() {
    for kinds in [[OLD, OURS, OLD], [OURS, OLD, NEW]] {
        let lab = Lab::new();
        let mut mesh = mesh::line(&lab, kinds);
        use_rsa(&mesh);
        mesh.iter().for_each(|daemon| block_udp(&daemon.namespace));
        mesh::start(&mut mesh);
        all_talk(&mesh);
    }
}
