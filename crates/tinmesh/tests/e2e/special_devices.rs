//! Devices that take part in a network which is there already (spec: routing 2.4): an interface, a multicast group.

use std::net::UdpSocket;
use std::process::Output;
use std::sync::Arc;

use crate::lab::namespace::Namespace;
use crate::lab::topology::Segment;
use crate::lab::traffic::{inside, ping, transfer};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};
use crate::switched::{lease, mac};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

#[track_caller]
fn wait_for_ping(from: &Namespace, to: &str) {
    wait_until(secs(20), &format!("{to} answers"), || ping(from, to));
}

/// A node in switch mode, with neither device nor connections.
fn switch(lab: &Lab, name: &str, kind: Kind, host: &Arc<Namespace>) -> Daemon {
    let daemon = Daemon::init(lab, name, kind, host);
    daemon.config("Mode = switch").config("AutoConnect = no");
    daemon
}

/// Starts both; the first dials the second.
fn connect(dialer: &mut Daemon, other: &mut Daemon) {
    dialer.config(&format!("ConnectTo = {}", other.name)).knows(other);
    other.knows(dialer);
    other.start();
    dialer.start();
    let name = other.name.clone();
    wait_until(secs(20), "they are connected", || dialer.sees(&name, |node| node.reachable()));
}

/// What a daemon says that cannot start.
fn refusal(daemon: &Daemon) -> String {
    let Output { status, stderr, .. } = daemon.tincd_command(&["-D"]).output().expect("the program is there");
    assert_eq!(status.code(), Some(1));
    String::from_utf8_lossy(&stderr).into_owned()
}

// raw_socket.
//
//  left host ─ wire ─ [lan0] alice ═══ tunnel ═══ bob [lan0] ─ wire ─ right host

struct Site {
    daemon: Daemon,
    wire: Segment,
}

fn raw_site(lab: &Lab, wan: &Segment, number: usize, kind: Kind) -> Site {
    let address = format!("192.0.2.{number}");
    let host = wan.host("node", &[&format!("{address}/24")]);
    let wire = Segment::new("wire");
    wire.connect(&host, "lan0", &[]);
    let daemon = switch(lab, ["alice", "bob"][number - 1], kind, &host);
    daemon.config("DeviceType = raw_socket").config("Interface = lan0").host(&format!("Address = {address}"));
    Site { daemon, wire }
}

fn raw_sites(lab: &Lab, kinds: [Kind; 2]) -> [Site; 2] {
    let wan = Segment::new("wan");
    let [mut a, mut b] = [1, 2].map(|number| raw_site(lab, &wan, number, kinds[number - 1]));
    connect(&mut a.daemon, &mut b.daemon);
    [a, b]
}

/// A lease, a resolved neighbour, and both families.
fn wires_are_one(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let [alice, bob] = raw_sites(&lab, kinds);
    let left = alice.wire.host("left", &["fd99::1/64"]);
    let right = bob.wire.host("right", &["10.99.0.1/24", "fd99::2/64"]);

    lease(&lab, &left, &right);

    wait_for_ping(&left, "10.99.0.1");
    wait_for_ping(&left, "fd99::2");
    if kinds == [OURS, OURS] {
        // Theirs cuts off what the kernel kept together, and passes on checksums that were left open.
        transfer(&left, &right, "10.99.0.1", 5_000_000).assert_intact(5_000_000);
    }
    for (daemon, owner, host) in [(&bob.daemon, "alice", &left), (&alice.daemon, "bob", &right)] {
        let line = format!("{} owner {owner}", mac(host, "eth0"));
        wait_until(secs(5), &format!("{} knows {line}", daemon.name), || {
            daemon.tinc(&["dump", "subnets"]).contains(&line)
        });
    }
}

#[test]
fn two_wires_with_raw_sockets_of_ours_are_one() {
    wires_are_one([OURS, OURS]);
}

#[test]
fn a_wire_with_a_raw_socket_of_ours_and_one_of_theirs_are_one() {
    wires_are_one([OURS, THEIRS]);
}

#[test]
fn a_wire_with_a_raw_socket_of_theirs_and_one_of_ours_are_one() {
    wires_are_one([THEIRS, OURS]);
}

#[test]
fn checksums_that_the_kernel_left_open_go_through_a_raw_socket() {
    let lab = Lab::new();
    let [alice, bob] = raw_sites(&lab, [OURS, OURS]);
    let left = alice.wire.host("left", &["10.99.0.1/24"]);
    let right = bob.wire.host("right", &["10.99.0.2/24"]);
    wait_for_ping(&left, "10.99.0.2");

    // UDP, unlike ICMP, leaves its checksum to the interface; the receiver verifies it.
    let socket = inside(&right, || UdpSocket::bind("10.99.0.2:0")).expect("the address is the host's");
    socket.set_read_timeout(Some(secs(5))).expect("a valid time");
    let to = socket.local_addr().expect("it is bound");
    let sender = inside(&left, || UdpSocket::bind("10.99.0.1:0")).expect("the address is the host's");
    sender.send_to(b"whole", to).expect("the route is there");

    let mut space = [0; 100];
    let (len, _) = socket.recv_from(&mut space).expect("it arrives");
    assert_eq!(&space[..len], b"whole");
}

#[test]
fn what_the_machine_itself_sends_does_not_go_into_its_raw_socket() {
    let lab = Lab::new();
    let [alice, bob] = raw_sites(&lab, [OURS, OURS]);
    let right = bob.wire.host("right", &["10.99.0.2/24"]);
    let own = mac(&alice.daemon.namespace, "lan0");
    alice.daemon.namespace.shell("ip addr add 10.99.0.1/24 dev lan0");

    // Its question who has the address goes to its own wire only.
    assert!(!ping(&alice.daemon.namespace, "10.99.0.2"));

    // The other wire was asked nothing, while a stranger's question comes through.
    let left = alice.wire.host("left", &["10.99.0.3/24"]);
    wait_for_ping(&left, "10.99.0.2");
    let subnets = bob.daemon.tinc(&["dump", "subnets"]);
    assert!(subnets.contains(&mac(&left, "eth0")) && subnets.contains(&mac(&right, "eth0")), "{subnets}");
    assert!(!subnets.contains(&own), "{subnets}");
}

#[test]
fn a_raw_socket_needs_an_interface_that_exists() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let daemon = switch(&lab, "alice", OURS, &wan.host("node", &["192.0.2.1/24"]));
    daemon.config("DeviceType = raw_socket").config("Interface = nosuch0");

    let said = refusal(&daemon);

    assert!(said.contains("Can't find interface nosuch0"), "{said}");
}

// multicast: two meshes meet on a group of one machine.
//
//  bob [vpn0] ═══ alice ─┐
//                        ├─ group on lo
//  dave [vpn0] ═══ carol ┘

/// The middle's daemons in the order above, and the ends.
fn meshes_in_a_group(lab: &Lab, kinds: [Kind; 2]) -> ([Daemon; 2], [Daemon; 2]) {
    let wan = Segment::new("wan");
    let middle = wan.host("middle", &["192.0.2.9/24"]);
    middle.shell(
        "ip link set lo multicast on
         ip route add 239.255.3.0/24 dev lo",
    );
    let parts = [1, 2].map(|number: usize| {
        let inner = switch(lab, ["alice", "carol"][number - 1], kinds[number - 1], &middle);
        inner.config("DeviceType = multicast").config("Device = 239.255.3.2 10655");
        inner.host("Address = 192.0.2.9").host(&format!("Port = {}", 7000 + number));
        let end = wan.host("end", &[&format!("192.0.2.{number}/24")]);
        let outer = switch(lab, ["bob", "dave"][number - 1], OURS, &end);
        outer.config("Interface = vpn0");
        outer.up_script(&format!("ip addr add 10.99.0.{number}/24 dev $INTERFACE\nip link set $INTERFACE up"));
        (inner, outer)
    });
    let [(mut alice, mut bob), (mut carol, mut dave)] = parts;
    connect(&mut bob, &mut alice);
    connect(&mut dave, &mut carol);
    ([alice, carol], [bob, dave])
}

fn meshes_meet(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let ([alice, carol], [bob, dave]) = meshes_in_a_group(&lab, kinds);

    wait_for_ping(&bob.namespace, "10.99.0.2");

    // Each end lives where it is: echoes of what was sent to the group were not taken for news.
    for (inner, outer, far) in [(&alice, &bob, &dave), (&carol, &dave, &bob)] {
        for (station, owner) in [(outer, &outer.name), (far, &inner.name)] {
            let line = format!("{} owner {owner}", mac(&station.namespace, "vpn0"));
            wait_until(secs(5), &format!("{} knows {line}", inner.name), || {
                inner.tinc(&["dump", "subnets"]).contains(&line)
            });
        }
    }
}

#[test]
fn two_meshes_of_ours_meet_in_a_multicast_group() {
    meshes_meet([OURS, OURS]);
}

#[test]
fn a_mesh_of_ours_and_one_of_theirs_meet_in_a_multicast_group() {
    meshes_meet([OURS, THEIRS]);
}
