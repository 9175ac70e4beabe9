//! Connections that both ends open at once, where UDP does not get through and neither end can be dialled.

use tinmesh_lab::Underlay;
use tinmesh_sim::{Nat, UdpRule};

use crate::emulated::{self, Story};
use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::topology::{self, block_udp};
use crate::lab::traffic::{ping, ping_many};
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};
use crate::nats::internet;

/// Keeps pinging until `from` has a connection with `to`, which is node `number`.
fn wait_for_meeting(from: &Daemon, to: &str, number: usize) {
    wait_until(secs(40), &format!("{} is connected with {to}", from.name), || {
        ping(&from.namespace, &v4(number));
        from.sees(to, |node| node.nexthop == to && node.distance == 1)
    });
}

fn connect_by_themselves(mesh: &[Daemon; 3]) {
    mesh.iter().for_each(|daemon| _ = daemon.tinc(&["set", "AutoConnect", "yes"]));
}

/// Three daemons behind Linux's masquerade, UDP blocked at both ends.
fn masqueraded(lab: &Lab, kinds: [topology::Nat; 2]) -> ([Daemon; 3], crate::nats::Internet) {
    let internet = internet(kinds);
    [0, 2].iter().for_each(|&at| block_udp(&internet.hosts[at]));
    let mut mesh = mesh::line_on(lab, [Kind::Ours; 3], &internet.hosts, ["192.0.2.2", "192.0.2.2"]);
    connect_by_themselves(&mesh);
    mesh::start(&mut mesh);
    (mesh, internet)
}

#[test]
fn ours_behind_masquerades_connect_to_each_other_where_udp_is_blocked() {
    let lab = Lab::new();
    let (mesh, _internet) = masqueraded(&lab, [topology::Nat::PortPreserving; 2]);
    let [alice, mut bob, carol] = mesh;
    wait_for_ping(&alice, &v4(3));

    wait_for_meeting(&alice, "carol", 3);
    wait_for_meeting(&carol, "alice", 1);

    assert!(alice.sees("carol", |node| !node.udp_confirmed()));
    let status = run(&mut lab.tinmesh(&alice, "status"));
    let line = status.lines().find(|line| line.trim_start().starts_with("carol")).expect("carol is there");
    assert!(line.contains("direct, TCP"), "{status}");
    bob.stop();
    assert_eq!(ping_many(&alice.namespace, &v4(3), 50), 50, "nobody stands between them");
    let connections = |daemon: &Daemon, name: &str| {
        let list = daemon.tinc(&["dump", "connections"]);
        list.lines().filter(|line| line.starts_with(&format!("{name} "))).count()
    };
    assert_eq!((connections(&alice, "carol"), connections(&carol, "alice")), (1, 1));
}

#[test]
fn ours_behind_masquerades_that_choose_ports_stay_relayed_and_give_up_for_a_while() {
    let lab = Lab::new();
    let (mesh, _internet) = masqueraded(&lab, [topology::Nat::Symmetric, topology::Nat::PortPreserving]);
    let [alice, _bob, carol] = &mesh;
    wait_for_ping(alice, &v4(3));

    let answered = ping_many(&alice.namespace, &v4(3), 250);

    assert!(answered >= 247, "{answered} of 250 pings were answered while both try");
    assert!(alice.sees("carol", |node| node.reachable() && node.nexthop == "bob"));
    let tries = |daemon: &Daemon| daemon.log().matches("both connect to each other by TCP").count();
    assert!((1..=3).contains(&tries(carol)) && tries(alice) <= 3, "{} {}", tries(alice), tries(carol));
}

#[test]
fn ours_behind_nats_with_ports_of_their_own_connect_to_each_other() {
    let lab = Lab::new();
    let nat = Nat::port_restricted_cone().with_ports(tinmesh_sim::Ports::Random);
    let change = |mesh: &[Daemon; 3], underlay: &Underlay, hosts: [tinmesh_sim::HostId; 3]| {
        connect_by_themselves(mesh);
        [0, 2].iter().for_each(|&at| underlay.with(|net| net.isp_mut(hosts[at]).udp = UdpRule::Blocked));
    };
    let Story { mesh: [alice, mut bob, carol], underlay: _underlay, .. } = emulated::story_with(&lab, [nat; 2], change);
    wait_for_ping(&alice, &v4(3));

    wait_for_meeting(&alice, "carol", 3);
    wait_for_meeting(&carol, "alice", 1);

    bob.stop();
    assert_eq!(ping_many(&alice.namespace, &v4(3), 50), 50, "nobody stands between them");
}
