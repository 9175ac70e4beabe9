//! Bulk data through a tunnel, and paths that carry less than they promise.

use std::sync::Arc;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Segment, black_hole, router};
use crate::lab::traffic::{ping_whole, transfer};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// `bytes` from the first to the second over TCP.
fn carries(kinds: [Kind; 2], bytes: u64) {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, kinds);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));
    wait_for_direct(bob, "alice", &v4(1));

    let result = transfer(&alice.namespace, &bob.namespace, &v4(2), bytes);

    result.assert_intact(bytes);
    let rate = bytes as f64 / result.took.as_secs_f64() / 1e6;
    eprintln!("{kinds:?}: {bytes} bytes in {:.1} s, {rate:.1} MB/s", result.took.as_secs_f64());
}

#[test]
fn two_hundred_megabytes_from_ours_to_theirs() {
    carries([OURS, THEIRS], 200_000_000);
}

#[test]
fn two_hundred_megabytes_from_theirs_to_ours() {
    carries([THEIRS, OURS], 200_000_000);
}

#[test]
fn two_hundred_megabytes_from_ours_to_ours() {
    carries([OURS, OURS], 200_000_000);
}

/// Two hosts with 1500-byte interfaces and a path of 1280 bytes between them that sends no ICMP.
fn narrow_path() -> ([Arc<Namespace>; 2], Arc<Namespace>) {
    let (left, right) = (Segment::new("left"), Segment::new("right"));
    let router = router("narrow", (&left, &["198.51.100.254/24"]), (&right, &["203.0.113.254/24"]));
    black_hole(&router, 1280);
    let hosts = [
        left.host_behind("node", "198.51.100.1/24", "198.51.100.254"),
        right.host_behind("node", "203.0.113.2/24", "203.0.113.254"),
    ];
    (hosts, router)
}

fn narrow_pair(lab: &Lab, kinds: [Kind; 2]) -> ([Daemon; 2], Arc<Namespace>) {
    let (hosts, router) = narrow_path();
    let [alice, bob] = [0, 1].map(|at| mesh::node(lab, at + 1, kinds[at], &hosts[at]));
    bob.host("Address = 203.0.113.2");
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    ([alice, bob], router)
}

/// The underlay's 1280 bytes less IPv4, UDP, ids, sequence number, type and tag, counted with an Ethernet header. The
/// search of tinc may end a few bytes below (spec: datagrams 13.5).
const PATH_MTU: std::ops::RangeInclusive<u32> = 1200..=1219;

fn finds_the_path_mtu(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let (mut mesh, _router) = narrow_pair(&lab, kinds);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));

    for (from, to, address) in [(alice, "bob", v4(2)), (bob, "alice", v4(1))] {
        wait_until(secs(30), &format!("{} knows the path MTU to {to}", from.name), || {
            crate::lab::traffic::ping(&from.namespace, &address);
            from.sees(to, |node| node.mtu_found())
        });
        let found = from.node(to).expect("just seen").mtu;
        assert!(PATH_MTU.contains(&found), "{} found a path MTU of {found} to {to}", from.name);
    }
    let mtu = usize::try_from(alice.node("bob").expect("seen").mtu).expect("a small number");
    assert!(ping_whole(&alice.namespace, &v4(2), mtu - 14), "a packet of that size passes");
    assert!(!ping_whole(&alice.namespace, &v4(2), 1400), "a larger one is refused");
    transfer(&alice.namespace, &bob.namespace, &v4(2), 2_000_000).assert_intact(2_000_000);
    transfer(&bob.namespace, &alice.namespace, &v4(1), 2_000_000).assert_intact(2_000_000);
}

#[test]
fn ours_and_theirs_find_a_narrow_paths_mtu() {
    finds_the_path_mtu([OURS, THEIRS]);
}

#[test]
fn theirs_and_ours_find_a_narrow_paths_mtu() {
    finds_the_path_mtu([THEIRS, OURS]);
}

#[test]
fn ours_and_ours_find_a_narrow_paths_mtu() {
    finds_the_path_mtu([OURS, OURS]);
}

#[test]
fn a_transfer_on_a_narrow_path_does_not_wait_for_the_search() {
    let lab = Lab::new();
    let (mut mesh, _router) = narrow_pair(&lab, [OURS, OURS]);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));

    transfer(&alice.namespace, &bob.namespace, &v4(2), 1_000_000).assert_intact(1_000_000);
}
