//! Killed and started again; rekeyed under traffic; changed while running.

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::traffic::{Pinging, ping};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// Each of both is killed without farewell and started again; pings come back by themselves.
fn recovers(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, kinds);
    mesh::start(&mut mesh);
    wait_for_direct(&mesh[0], "bob", &v4(2));

    for victim in [0, 1] {
        mesh[victim].kill();
        assert!(!ping(&mesh[1 - victim].namespace, &v4(victim + 1)), "nobody answers for the dead");
        mesh[victim].start();

        wait_for_ping(&mesh[0], &v4(2));
        wait_for_ping(&mesh[1], &v4(1));
        wait_for_direct(&mesh[0], "bob", &v4(2));
    }
}

#[test]
fn ours_and_theirs_recover_from_kill_9_of_either() {
    recovers([OURS, THEIRS]);
}

#[test]
fn theirs_and_ours_recover_from_kill_9_of_either() {
    recovers([THEIRS, OURS]);
}

#[test]
fn ours_and_ours_recover_from_kill_9_of_either() {
    recovers([OURS, OURS]);
}

#[test]
fn the_middle_of_a_line_may_be_killed_and_started_again() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [OURS, THEIRS, OURS]);
    mesh::start(&mut mesh);
    wait_for_direct(&mesh[0], "carol", &v4(3));

    mesh[1].kill();
    wait_until(secs(10), "alice notices", || mesh[0].sees("carol", |node| !node.reachable()));
    mesh[1].start();

    wait_for_ping(&mesh[0], &v4(3));
    wait_for_direct(&mesh[0], "carol", &v4(3));
}

/// Both rekey every three seconds while pings go on; `kinds[1]` is theirs, whose log shows each exchange.
fn rekeys(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, kinds);
    mesh.iter().for_each(|daemon| _ = daemon.config("KeyExpire = 3"));
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));
    let log = if kinds[0] == THEIRS { alice } else { bob };
    let exchanges = || log.log().matches("ANS_KEY").count();
    let before = exchanges();

    let pinging = Pinging::start(&lab, &alice.namespace, &v4(2));
    wait_until(secs(40), "keys were exchanged at least three times more", || exchanges() >= before + 12);
    let (sent, received) = pinging.stop();

    assert!(received + 3 >= sent, "{received} of {sent} pings were answered while keys changed");
    assert!(alice.sees("bob", |node| node.direct()), "the path stayed direct");
}

#[test]
fn ours_and_theirs_rekey_under_traffic() {
    rekeys([OURS, THEIRS]);
}

#[test]
fn theirs_and_ours_rekey_under_traffic() {
    rekeys([THEIRS, OURS]);
}

/// `changing` gains and loses a subnet while it runs; `other` follows.
fn subnet_comes_and_goes(changing: &Daemon, other: &Daemon, number: usize) {
    let subnet = format!("10.78.{number}.0/24");
    let address = format!("10.78.{number}.1");
    changing.namespace.shell(&format!("ip addr add {address}/24 dev vpn0"));
    other.namespace.shell(&format!("ip route add {subnet} dev vpn0"));
    let line = format!("{subnet} owner {}", changing.name);
    assert!(!ping(&other.namespace, &address), "nobody owns it yet");

    changing.tinc(&["add", "Subnet", &subnet]);
    wait_until(secs(5), "the new subnet is known", || other.tinc(&["dump", "subnets"]).contains(&line));
    wait_for_ping(other, &address);

    changing.tinc(&["del", "Subnet", &subnet]);
    wait_until(secs(5), "the old subnet is gone", || !other.tinc(&["dump", "subnets"]).contains(&line));
    assert!(!ping(&other.namespace, &address), "nobody owns it any more");
}

#[test]
fn subnets_come_and_go_at_run_time() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, THEIRS]);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));

    subnet_comes_and_goes(alice, bob, 1);
    subnet_comes_and_goes(bob, alice, 2);
}
