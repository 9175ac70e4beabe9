//! A node that returns to a network knows what it found out there.
//!
//! ```text
//!  alice ─ home or hotel ─ router ─┐        ┌─ router ─ office ─ carol
//!                                  └─ wan ──┘
//!                                      │
//!                                     bob
//! ```

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Nat, Segment, nat};
use crate::lab::traffic::ping_many;
use crate::lab::{Kind, Lab, secs, wait_until};

/// Unplugs a host and plugs it in elsewhere, where address and router look the same.
fn moves(host: &Namespace, segment: &Segment) {
    host.shell("ip link del eth0");
    segment.connect(host, "eth0", &["192.168.1.100/24"]);
    host.shell("ip route add default via 192.168.1.1");
}

#[test]
fn ports_that_could_not_be_guessed_at_home_are_left_alone_when_ours_returns_there() {
    let lab = Lab::new();
    let [wan, home, hotel, office] = ["wan", "home", "hotel", "office"].map(Segment::new);
    let _routers = [
        nat("nat", (&home, "192.168.1.1/24"), (&wan, "192.0.2.11/24"), Nat::Symmetric),
        nat("nat", (&hotel, "192.168.1.1/24"), (&wan, "192.0.2.12/24"), Nat::PortPreserving),
        nat("nat", (&office, "192.168.3.1/24"), (&wan, "192.0.2.13/24"), Nat::Symmetric),
    ];
    let hosts = [
        home.host_behind("node", "192.168.1.100/24", "192.168.1.1"),
        wan.host("node", &["192.0.2.2/24"]),
        office.host_behind("node", "192.168.3.100/24", "192.168.3.1"),
    ];
    let mut mesh = mesh::line_on(&lab, [Kind::Ours; 3], &hosts, ["192.0.2.2", "192.0.2.2"]);
    mesh::start(&mut mesh);
    let [alice, _bob, _carol] = &mesh;
    let guesses = || alice.log().matches("No direct path to carol yet: guessing ports").count();
    // Fifty packets take a second.
    let talks = |seconds: u32| (0..seconds).for_each(|_| _ = ping_many(&alice.namespace, &v4(3), 50));
    wait_until(secs(60), "ports are guessed", || {
        talks(1);
        guesses() == 1
    });
    // Until the attempt has failed.
    talks(15);
    assert_eq!(guesses(), 1, "the next attempt comes after a minute");

    moves(&alice.namespace, &hotel);
    wait_for_ping(alice, &v4(3));
    talks(3);
    assert!(!alice.log().contains("This network is known"));
    moves(&alice.namespace, &home);
    wait_until(secs(15), "the network is known again", || alice.log().contains("This network is known"));
    let before = guesses();
    wait_for_ping(alice, &v4(3));
    talks(10);

    assert_eq!(guesses(), before, "{}", alice.log());
}
