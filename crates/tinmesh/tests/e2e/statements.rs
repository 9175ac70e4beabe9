//! Statements travel between real daemons, also with tinc between them.

use fides::Sign;

use crate::lab::mesh;
use crate::lab::sayings::{keep, kept, key, said};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

/// All that speak of statements have alice for a founder; she lets everybody in.
fn found(mesh: &[Daemon]) {
    let alice = &mesh[0];
    let members = (1..).zip(mesh).flat_map(|(number, daemon)| {
        let words = [format!("join {}", daemon.name), format!("own {}", mesh::v4(number))];
        words.map(|words| said(alice, Sign::Yes, daemon, &words))
    });
    let lines: Vec<String> = members.collect();
    for daemon in mesh.iter().filter(|daemon| daemon.kind == Kind::Ours) {
        daemon.config(&format!("Founder = {}", key(alice)));
        keep(daemon, &lines);
    }
}

#[track_caller]
fn wait_for(at: &Daemon, line: &str) {
    wait_until(secs(60), &format!("{} knows a statement", at.name), || kept(at).contains(line));
}

/// Alice says something, and all others hear it.
fn goes_to_all(mesh: &[Daemon]) {
    let line = said(&mesh[0], Sign::No, &mesh[2], "relay");
    keep(&mesh[0], std::slice::from_ref(&line));
    mesh[0].signal("HUP");
    for daemon in mesh.iter().filter(|daemon| daemon.kind == Kind::Ours) {
        wait_for(daemon, &line);
    }
}

#[test]
fn a_statement_goes_from_neighbour_to_neighbour() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [Kind::Ours, Kind::Ours, Kind::Ours]);
    found(&mesh);
    mesh::start(&mut mesh);
    mesh::wait_for_ping(&mesh[0], &mesh::v4(3));

    goes_to_all(&mesh);
}

#[test]
fn a_tinc_node_between_two_of_ours_passes_statements_on() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [Kind::Ours, Kind::Tinc11, Kind::Ours]);
    found(&mesh);
    mesh::start(&mut mesh);
    mesh::wait_for_ping(&mesh[0], &mesh::v4(3));

    goes_to_all(&mesh);
}

#[test]
fn what_was_said_survives_a_restart() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    found(&mesh);
    mesh::start(&mut mesh);
    let line = said(&mesh[0], Sign::No, &mesh[1], "relay");
    keep(&mesh[0], std::slice::from_ref(&line));
    wait_until(secs(20), "alice takes signals", || mesh[0].sees("alice", |_| true));
    mesh[0].signal("HUP");
    wait_for(&mesh[1], &line);

    mesh[1].stop();
    mesh[1].start();

    mesh::wait_for_ping(&mesh[0], &mesh::v4(2));
    assert!(kept(&mesh[1]).contains(&line));
}
