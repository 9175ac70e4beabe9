//! Several workers: each has a queue of the device and sockets of its own.

use std::sync::Arc;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::traffic::{ping_many, transfer};
use crate::lab::{Daemon, Kind, Lab};

const WORKERS: usize = 3;
const BYTES: u64 = 10_000_000;

/// How often each worker of a daemon has waited for packets.
fn waits(daemon: &Daemon) -> Vec<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("it runs");
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    let value = |status: &str, key| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key).map(str::trim).map(str::to_owned))
            .expect("Linux tells it")
    };
    let workers = statuses.filter(|status| value(status, "Name:").starts_with("worker"));
    workers.map(|status| value(&status, "voluntary_ctxt_switches:").parse().expect("a number")).collect()
}

/// Sends several streams at once, each way, and asserts that all arrive.
fn carry_streams(pairs: &[(&Arc<Namespace>, &Arc<Namespace>, String)]) {
    std::thread::scope(|scope| {
        for (from, to, address) in pairs {
            scope.spawn(|| transfer(from, to, address, BYTES).assert_intact(BYTES));
        }
    });
}

/// Between hosts 1 and 2, `count` streams each way.
fn both_ways(alice: &Daemon, bob: &Daemon, count: usize) {
    let (one, other) = (&alice.namespace, &bob.namespace);
    let pairs = [(one, other, v4(2)), (other, one, v4(1))];
    carry_streams(&pairs.iter().cycle().take(2 * count).cloned().collect::<Vec<_>>());
}

#[test]
fn all_workers_carry_streams_and_they_arrive_whole() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    mesh.iter().for_each(|daemon| {
        daemon.config(&format!("Workers = {WORKERS}"));
    });
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));
    let before = waits(alice);
    assert_eq!(before.len(), WORKERS);

    both_ways(alice, bob, 6);

    for (before, after) in before.iter().zip(waits(alice)) {
        assert!(after > before + 50, "a worker of alice had nothing to do: {before} and then {after} waits");
    }
}

#[test]
fn tinc_gets_what_several_workers_send_and_they_get_what_it_sends() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Tinc11]);
    mesh[0].config(&format!("Workers = {WORKERS}"));
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));

    both_ways(alice, bob, 3);

    assert_eq!(ping_many(&alice.namespace, &v4(2), 50), 50);
}

#[test]
fn a_relay_with_several_workers_and_no_device_passes_packets_on() {
    let lab = Lab::new();
    let mut mesh = mesh::parted_line(&lab, [Kind::Ours; 3]);
    mesh[1].config(&format!("Workers = {WORKERS}")).config("DeviceType = dummy");
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_ping(alice, &v4(3));
    assert_eq!(waits(bob).len(), WORKERS);

    let (one, other) = (&alice.namespace, &carol.namespace);
    carry_streams(&[(one, other, v4(3)), (other, one, v4(1))]);
}
