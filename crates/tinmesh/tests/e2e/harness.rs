//! The laboratory itself, proved with tinc 1.1 against tinc 1.1: what fails here is not our daemon's fault.

use crate::lab::mesh::{self, v4, v6, wait_for_direct, wait_for_ping};
use crate::lab::topology::{Nat, Segment, block_udp, nat};
use crate::lab::traffic::{inside, ping, transfer};
use crate::lab::{Kind, Lab, secs, wait_until};

const THEIRS: Kind = Kind::Tinc11;

#[test]
fn two_of_theirs_ping_each_other() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [THEIRS, THEIRS]);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_for_ping(alice, &v4(2));
    wait_for_ping(bob, &v6(1));

    wait_for_direct(alice, "bob", &v4(2));
}

#[test]
fn two_of_theirs_ping_over_tcp_when_udp_is_blocked() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [THEIRS, THEIRS]);
    mesh.iter().for_each(|daemon| block_udp(&daemon.namespace));
    mesh::start(&mut mesh);
    let [alice, _] = &mesh;

    wait_for_ping(alice, &v4(2));

    assert!(alice.sees("bob", |node| node.reachable() && !node.udp_confirmed()));
}

#[test]
fn one_of_theirs_relays_for_two_of_theirs() {
    let lab = Lab::new();
    let mut mesh = mesh::parted_line(&lab, [THEIRS, THEIRS, THEIRS]);
    mesh::start(&mut mesh);
    let [alice, _, carol] = &mesh;

    wait_for_ping(alice, &v4(3));

    assert!(!ping(&alice.namespace, "203.0.113.3"), "the ends have no way around");
    assert!(carol.sees("alice", |node| node.reachable() && !node.direct()));
}

#[test]
fn a_transfer_through_theirs_arrives_intact() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [THEIRS, THEIRS]);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));

    let result = transfer(&alice.namespace, &bob.namespace, &v4(2), 2_000_000);

    result.assert_intact(2_000_000);
}

#[test]
fn a_nat_preserves_ports_or_does_not() {
    for (kind, preserved) in [(Nat::PortPreserving, true), (Nat::Symmetric, false)] {
        let (wan, home) = (Segment::new("wan"), Segment::new("home"));
        let _router = nat("nat", (&home, "192.168.1.1/24"), (&wan, "192.0.2.1/24"), kind);
        let inner = home.host_behind("inner", "192.168.1.2/24", "192.168.1.1");
        let outer = wan.host("outer", &["192.0.2.9/24"]);
        let bind = |address: &str| std::net::UdpSocket::bind((address, 655)).expect("the port is free");
        let server = inside(&outer, || bind("192.0.2.9"));
        server.set_read_timeout(Some(secs(2))).expect("a valid time");

        let client = inside(&inner, || bind("192.168.1.2"));
        client.send_to(b"hello", "192.0.2.9:655").expect("there is a route");
        let (_, from) = server.recv_from(&mut [0; 16]).expect("the router forwards");
        server.send_to(b"hello", from).expect("there is a route");

        assert_eq!(from.ip().to_string(), "192.0.2.1");
        assert_eq!(from.port() == 655, preserved, "{kind:?} shows port {}", from.port());
        client.set_read_timeout(Some(secs(2))).expect("a valid time");
        client.recv_from(&mut [0; 16]).expect("the answer is let in");
    }
}

#[test]
fn an_invitation_of_theirs_is_accepted_by_theirs() {
    crate::invitations::joins_and_pings([THEIRS, THEIRS]);
}

#[test]
fn waiting_reports_what_it_waited_for() {
    let failed = std::panic::catch_unwind(|| wait_until(secs(0), "pigs fly", || false));
    let message = failed.expect_err("it never becomes true");
    assert!(message.downcast_ref::<String>().is_some_and(|text| text.contains("pigs fly")));
}
