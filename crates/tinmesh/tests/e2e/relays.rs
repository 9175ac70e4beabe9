//! Real daemons choose the better of two relays, in the laboratory's emulator.
//!
//! ```text
//!  alice ─ NAT ─┐                  ┌─ NAT ─ carol      both NATs give chance ports
//!               └───── Internet ───┘
//!                │ 80 ms       │ 2 ms
//!               bob           dave
//! ```

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use tinmesh_lab::{Underlay, UnderlayPlan};
use tinmesh_sim::Nat;

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::traffic::{inside, ping};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

/// All three know only bob.
fn two_relays(lab: &Lab, bob: Kind) -> (Underlay, [Daemon; 4]) {
    let namespaces = ["alice", "bob", "carol", "dave"].map(Namespace::new);
    let mut plan = UnderlayPlan::new(3);
    let homes = [true, false, true, false].map(|home| home.then(|| plan.net().put_up(Nat::symmetric(), None)));
    let hosts = [0, 1, 2, 3].map(|at| plan.plug(namespaces[at].name(), homes[at]).expect("a device can be made"));
    plan.net().link_mut(hosts[1]).latency = Duration::from_millis(80);
    plan.net().link_mut(hosts[3]).latency = Duration::from_millis(2);
    let address = plan.net().address(hosts[1]).expect("has one").to_string();
    let underlay = plan.start().expect("a thread can be made");
    let kinds = [Kind::Ours, bob, Kind::Ours, Kind::Ours];
    let mut nodes = [0, 1, 2, 3].map(|at| mesh::node(lab, at + 1, kinds[at], &namespaces[at]));
    nodes[1].host(&format!("Address = {address}"));
    for at in [0, 2, 3] {
        nodes[at].config("ConnectTo = bob").knows(&nodes[1]);
        nodes[1].knows(&nodes[at]);
    }
    mesh::start(&mut nodes);
    (underlay, nodes)
}

/// Alice's packets to carol, which keep coming, take this relay.
#[track_caller]
fn wait_for_relay(alice: &Daemon, relay: &str) {
    wait_until(secs(25), &format!("packets go by way of {relay}"), || {
        ping(&alice.namespace, &v4(3));
        alice.sees("carol", |node| node.nexthop == relay && !node.direct())
    });
}

fn the_near_relay_carries(bob: Kind) {
    let lab = Lab::new();
    let (_underlay, [alice, _bob, _carol, mut dave]) = two_relays(&lab, bob);

    wait_for_ping(&alice, &v4(3));
    wait_for_relay(&alice, "dave");

    assert!(dave.stop().success());
    wait_for_relay(&alice, "bob");
    wait_for_ping(&alice, &v4(3));
}

#[test]
fn the_near_relay_carries_what_the_one_that_all_know_could() {
    the_near_relay_carries(Kind::Ours);
}

#[test]
fn the_near_relay_carries_though_all_that_the_ends_know_is_a_tinc() {
    the_near_relay_carries(Kind::Tinc11);
}

#[test]
fn a_relay_whose_operator_says_no_is_left() {
    let lab = Lab::new();
    let (_underlay, [alice, _bob, _carol, dave]) = two_relays(&lab, Kind::Ours);
    wait_for_ping(&alice, &v4(3));
    wait_for_relay(&alice, "dave");

    dave.tinc(&["set", "Relay", "no"]);
    dave.tinc(&["reload"]);

    wait_for_relay(&alice, "bob");
    wait_for_ping(&alice, &v4(3));
    wait_for_ping(&alice, &v4(4));
}

/// What alice sent to carol, and how long that took.
struct Poured {
    sent: u64,
    arrived: u64,
    seconds: f64,
}

/// Alice sends to carol for so many seconds: a thousand bytes every 2 ms, or as often as the machine manages to.
fn pour(alice: &Daemon, carol: &Daemon, seconds: u64) -> Poured {
    let sink = inside(&carol.namespace, || UdpSocket::bind((v4(3).as_str(), 7_200))).expect("the address is carol's");
    sink.set_read_timeout(Some(secs(2))).expect("a valid time");
    let source = inside(&alice.namespace, || UdpSocket::bind("0.0.0.0:0")).expect("a port is free");
    std::thread::scope(|scope| {
        let arrived = scope.spawn(|| {
            let lengths = std::iter::repeat_with(|| sink.recv(&mut [0; 2_000])).map_while(Result::ok);
            lengths.map(|len| len as u64).sum::<u64>()
        });
        let (start, mut sent) = (Instant::now(), 0);
        while start.elapsed() < secs(seconds) {
            sent += source.send_to(&[7; 1_000], (v4(3).as_str(), 7_200)).unwrap_or(0) as u64;
            std::thread::sleep(Duration::from_millis(2));
        }
        let seconds = start.elapsed().as_secs_f64();
        let arrived = arrived.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Poured { sent, arrived, seconds }
    })
}

/// The ends have no way to each other but through bob.
#[test]
fn a_relay_carries_no_more_than_its_operator_says() {
    let lab = Lab::new();
    let mut mesh = mesh::parted_line(&lab, [Kind::Ours; 3]);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_ping(alice, &v4(3));
    let free = pour(alice, carol, 2);
    assert!(
        free.sent > 200_000 && free.arrived * 2 > free.sent,
        "{} of {} bytes without a limit",
        free.arrived,
        free.sent
    );

    bob.tinc(&["set", "Relay", "400kbit"]);
    bob.tinc(&["reload"]);
    let limited = pour(alice, carol, 10);

    // 50 kB a second, and what may come at once.
    let allowed = 50_000.0 * limited.seconds + 200_000.0;
    let arrived = limited.arrived as f64;
    assert!((0.4 * allowed..allowed).contains(&arrived), "{arrived} bytes in {} s", limited.seconds);
    wait_for_ping(alice, &v4(3));
}

#[test]
fn a_relay_that_carries_all_that_its_operator_lets_it_is_gone_around() {
    let lab = Lab::new();
    let (_underlay, [alice, _bob, carol, dave]) = two_relays(&lab, Kind::Ours);
    dave.tinc(&["set", "Relay", "400kbit"]);
    dave.tinc(&["reload"]);
    wait_for_ping(&alice, &v4(3));
    wait_for_relay(&alice, "dave");

    let Poured { sent, arrived, seconds } = pour(&alice, &carol, 6);

    let by_dave = 50_000.0 * seconds + 200_000.0;
    assert!(
        arrived as f64 > by_dave && 2 * arrived > sent,
        "{arrived} of {sent} bytes, of which dave carries {by_dave}"
    );
    assert!(alice.sees("carol", |node| node.nexthop == "bob" && !node.direct()), "packets go by way of bob");
}
