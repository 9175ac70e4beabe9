//! Members of a closed network and strangers, between real daemons.

use fides::{Claim, Sign};

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::sayings::{about, keep, key, now, said, signed};
use crate::lab::traffic::ping;
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;

/// This node is the founder for all.
fn found(mesh: &[Daemon], founder: &Daemon) {
    for daemon in mesh {
        daemon.config(&format!("Founder = {}", key(founder)));
    }
}

/// What a founder says of each member of a mesh: its name and its address.
fn admissions(founder: &Daemon, mesh: &[Daemon]) -> Vec<String> {
    let topics = mesh.iter().zip(1..).flat_map(|(member, number)| {
        let topics = [format!("join {}", member.name), format!("own {}", v4(number))];
        topics.map(|topic| said(founder, Sign::Yes, member, &topic))
    });
    topics.collect()
}

/// All know these lines from the start.
fn all_keep(mesh: &[Daemon], lines: &[String]) {
    mesh.iter().for_each(|daemon| keep(daemon, lines));
}

/// An operator hands lines to his running daemon.
fn hand(to: &Daemon, lines: &[String]) {
    keep(to, lines);
    to.signal("HUP");
}

fn sees(at: &Daemon, name: &str) -> bool {
    at.sees(name, |node| node.reachable())
}

#[track_caller]
fn wait_for_end(at: &Daemon, name: &str, patience: u64) {
    wait_until(secs(patience), &format!("{} is rid of {name}", at.name), || !sees(at, name));
}

#[test]
fn a_stranger_is_refused_until_the_founder_lets_it_in() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    found(&mesh, &mesh[1]);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    // Bob has a host file of alice, with her key.
    wait_until(secs(20), "alice is refused", || bob.log().contains("alice (key"));
    assert!(bob.log().contains("tinmesh auth allow alice"), "{}", bob.log());
    assert!(!sees(bob, "alice") && !ping(&alice.namespace, &v4(2)));

    hand(bob, &admissions(bob, &mesh));
    wait_until(secs(60), "alice is let in", || ping(&alice.namespace, &v4(2)));
}

#[test]
fn a_guest_is_out_when_its_time_is_over() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    found(&mesh, &mesh[1]);
    let [alice, bob] = &mesh;
    let stay = Claim::new(Sign::Yes, about(alice, "join alice"), 0, now()).until(now().after(20));
    let others = [said(bob, Sign::Yes, alice, &format!("own {}", v4(1))), said(bob, Sign::Yes, bob, "join bob")];
    all_keep(&mesh, &[&others[..], &[signed(bob, stay)]].concat());
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));

    wait_for_end(bob, "alice", 40);
    assert!(!ping(&alice.namespace, &v4(2)));
    assert!(bob.log().contains("may not join"), "{}", bob.log());
}

#[test]
fn an_operator_closes_his_own_door_also_to_the_founder() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [OURS; 3]);
    found(&mesh, &mesh[0]);
    let lines = admissions(&mesh[0], &mesh);
    all_keep(&mesh, &lines);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_ping(alice, &v4(3));

    hand(bob, &[said(bob, Sign::No, alice, "join")]);

    wait_for_end(bob, "alice", 10);
    assert!(!ping(&alice.namespace, &v4(2)));
    wait_for_ping(carol, &v4(2));
}
