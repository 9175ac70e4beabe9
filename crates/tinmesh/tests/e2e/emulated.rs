//! Real packets through the laboratory's emulator (`crates/lab`): that it does what it should, and what daemons make of it.
//!
//! ```text
//!  alice ─ NAT ─┐            ┌─ NAT ─ carol
//!               └─ Internet ─┘
//!                     │
//!                    bob
//! ```

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tinmesh_lab::{Underlay, UnderlayPlan};
use tinmesh_sim::{HostId, Nat, Ports, UdpRule};

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::status::NodeStatus;
use crate::lab::traffic::{inside, ping, ping_many, transfer};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;

/// A host with a public address, and one behind a NAT, without daemons.
struct Pair {
    outer: Arc<Namespace>,
    inner: Arc<Namespace>,
    hosts: [HostId; 2],
    underlay: Underlay,
}

fn pair(nat: Nat) -> Pair {
    let (outer, inner) = (Namespace::new("outer"), Namespace::new("inner"));
    let mut plan = UnderlayPlan::new(1);
    let nat = plan.net().put_up(nat, None);
    let hosts = [plan.plug(outer.name(), None), plan.plug(inner.name(), Some(nat))];
    let hosts = hosts.map(|host| host.expect("a device can be made"));
    Pair { outer, inner, hosts, underlay: plan.start().expect("a thread can be made") }
}

impl Pair {
    fn address(&self, index: usize) -> String {
        self.underlay.with(|net| net.address(self.hosts[index])).expect("has one").to_string()
    }

    /// A socket on port 655 of a host.
    fn socket(&self, namespace: &Namespace, port: u16) -> UdpSocket {
        let socket = inside(namespace, || UdpSocket::bind(("0.0.0.0", port)).expect("the port is free"));
        socket.set_read_timeout(Some(secs(1))).expect("a valid time");
        socket
    }
}

fn heard(socket: &UdpSocket) -> Option<SocketAddr> {
    socket.recv_from(&mut [0; 64]).ok().map(|(_, from)| from)
}

#[test]
fn the_emulator_translates_and_filters_real_datagrams() {
    let _lab = Lab::new();
    let pair = pair(Nat::port_restricted_cone().with_ports(Ports::Sequential { step: 1 }));
    let (server, stranger) = (pair.socket(&pair.outer, 655), pair.socket(&pair.outer, 656));
    let client = pair.socket(&pair.inner, 655);

    client.send_to(b"hello", (pair.address(0).as_str(), 655)).expect("there is a route");
    let seen = heard(&server).expect("it gets out");
    assert!(seen.ip().to_string().starts_with("198.18.") && seen.ip().to_string() != pair.address(0), "{seen}");
    assert_ne!(seen.port(), 655);

    server.send_to(b"hello", seen).expect("there is a route");
    assert!(heard(&client).is_some(), "the answer gets in");
    stranger.send_to(b"hello", seen).expect("there is a route");
    assert!(heard(&client).is_none(), "another port does not");

    client.send_to(b"hello", (pair.address(0).as_str(), 656)).expect("there is a route");
    assert_eq!(heard(&stranger), Some(seen), "one mapping serves all");
    assert_eq!(pair.underlay.with(|net| net.mappings_of(pair.hosts[1]).made), 1);
}

#[test]
fn the_emulator_carries_connections_and_says_what_is_too_long() {
    let _lab = Lab::new();
    let pair = pair(Nat::symmetric());
    pair.underlay.with(|net| net.link_mut(pair.hosts[0]).mtu = 1_280);

    let result = transfer(&pair.inner, &pair.outer, &pair.address(0), 1_000_000);

    result.assert_intact(1_000_000);
}

#[test]
fn the_emulator_blocks_and_loses_what_it_is_told_to() {
    let _lab = Lab::new();
    let pair = pair(Nat::full_cone());
    let (server, client) = (pair.socket(&pair.outer, 655), pair.socket(&pair.inner, 655));
    let arrives = || {
        client.send_to(b"hello", (pair.address(0).as_str(), 655)).expect("there is a route");
        heard(&server).is_some()
    };
    assert!(arrives());
    pair.underlay.with(|net| net.isp_mut(pair.hosts[1]).udp = UdpRule::Blocked);
    assert!(!arrives());
    pair.underlay.with(|net| net.isp_mut(pair.hosts[1]).udp = UdpRule::Passes);
    assert!(arrives());
    pair.underlay.with(|net| net.link_mut(pair.hosts[0]).loss = 1_000);
    assert!(!arrives());
}

#[test]
fn the_emulator_counts_the_fragments_that_hosts_send() {
    let _lab = Lab::new();
    let pair = pair(Nat::full_cone());
    let client = pair.socket(&pair.inner, 655);
    client.send_to(&[7; 1_000], (pair.address(0).as_str(), 655)).expect("there is a route");
    client.send_to(&[7; 4_000], (pair.address(0).as_str(), 655)).expect("the system cuts it");
    wait_until(secs(5), "three fragments were sent", || pair.underlay.fragments() == 3);
}

/// Alice and carol behind NATs, bob public; the daemons keep their places.
pub(crate) struct Story {
    pub(crate) mesh: [Daemon; 3],
    pub(crate) hosts: [HostId; 3],
    pub(crate) underlay: Underlay,
}

pub(crate) fn story(lab: &Lab, nats: [Nat; 2]) -> Story {
    story_with(lab, nats, |_, _, _| {})
}

/// The same, with changes before the daemons start.
pub(crate) fn story_with(
    lab: &Lab,
    nats: [Nat; 2],
    change: impl FnOnce(&[Daemon; 3], &Underlay, [HostId; 3]),
) -> Story {
    let namespaces = ["alice", "bob", "carol"].map(Namespace::new);
    let mut plan = UnderlayPlan::new(2);
    let nats = nats.map(|nat| plan.net().put_up(nat, None));
    let homes = [Some(nats[0]), None, Some(nats[1])];
    let hosts = [0, 1, 2].map(|at| plan.plug(namespaces[at].name(), homes[at]).expect("a device can be made"));
    let bob = plan.net().address(hosts[1]).expect("has one").to_string();
    let underlay = plan.start().expect("a thread can be made");
    let mut mesh = mesh::line_on(lab, [OURS; 3], &namespaces, [&bob, &bob]);
    change(&mesh, &underlay, hosts);
    mesh::start(&mut mesh);
    Story { mesh, hosts, underlay }
}

#[test]
fn ours_meet_directly_behind_emulated_nats_that_choose_ports() {
    let lab = Lab::new();
    let nat = Nat::port_restricted_cone().with_ports(Ports::Random);
    let Story { mesh: [alice, _bob, carol], hosts, underlay } = story(&lab, [nat; 2]);

    wait_for_ping(&alice, &v4(3));
    wait_for_direct(&alice, "carol", &v4(3));
    wait_for_direct(&carol, "alice", &v4(1));

    let since = Underlay::now();
    assert_eq!(ping_many(&alice.namespace, &v4(3), 50), 50);
    assert!(underlay.straight(hosts[0], hosts[2], 100, since) >= 50, "the emulator saw them go straight");
}

#[test]
fn ours_go_on_when_udp_is_cut_and_go_straight_when_it_is_back() {
    let lab = Lab::new();
    let nat = Nat::port_restricted_cone();
    let Story { mesh: [alice, _bob, _carol], hosts, underlay } = story(&lab, [nat; 2]);
    wait_for_ping(&alice, &v4(3));
    wait_for_direct(&alice, "carol", &v4(3));

    underlay.with(|net| net.isp_mut(hosts[0]).udp = UdpRule::Blocked);
    wait_until(secs(60), "packets go by TCP", || ping(&alice.namespace, &v4(3)));
    underlay.with(|net| net.isp_mut(hosts[0]).udp = UdpRule::Passes);

    wait_until(secs(60), "packets go straight again", || {
        let since = Underlay::now();
        ping_many(&alice.namespace, &v4(3), 20);
        underlay.straight(hosts[0], hosts[2], 100, since) >= 20
    });
}

#[test]
fn ours_follow_into_another_network() {
    let lab = Lab::new();
    let nat = Nat::port_restricted_cone().with_ports(Ports::Random);
    let Story { mesh: [alice, _bob, _carol], hosts, underlay } = story(&lab, [nat; 2]);
    wait_for_ping(&alice, &v4(3));

    let home = underlay.with(|net| net.put_up(nat, None));
    underlay.move_to(hosts[0], Some(home)).expect("ip does what it is told");

    wait_until(secs(60), "packets arrive again", || ping(&alice.namespace, &v4(3)));
}

/// Alice's NAT lets in only the ports that she wrote to; carol's gives each endpoint another one.
fn meets_behind(carols: Nat, limit: Duration) {
    let lab = Lab::new();
    let alices = Nat::port_restricted_cone().with_ports(Ports::Random);
    let Story { mesh: [alice, bob, carol], hosts, underlay } = story(&lab, [alices, carols]);
    let near = |daemon: &Daemon| daemon.sees("bob", NodeStatus::direct);
    wait_until(secs(30), "both have a path to bob", || near(&alice) && near(&carol));
    wait_for_ping(&alice, &v4(3));
    wait_until(limit, "they go straight", || {
        let since = Underlay::now();
        ping_many(&alice.namespace, &v4(3), 20);
        underlay.straight(hosts[0], hosts[2], 100, since) >= 20
    });
    drop(bob);
}

#[test]
fn ours_meet_though_a_nat_gives_ports_one_after_the_other() {
    meets_behind(Nat::symmetric().with_ports(Ports::Sequential { step: 1 }), secs(20));
}

#[test]
fn ours_meet_though_a_nat_gives_chance_ports_of_a_block() {
    meets_behind(Nat::symmetric().with_ports(Ports::Block(512)), secs(20));
}

#[test]
fn ours_meet_though_a_nat_gives_any_chance_port() {
    meets_behind(Nat::symmetric(), secs(60));
}
