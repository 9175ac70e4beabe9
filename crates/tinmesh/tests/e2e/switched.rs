//! Switch mode: two sites, each with a bridge between its wire and the tunnel, are one Ethernet; DHCP, ARP, neighbour
//! discovery and transfers pass.
//!
//! ```text
//!  left host ─ wire ─ [br0: lan0, vpn0] alice ═══ tunnel ═══ bob [br0: vpn0, lan0] ─ wire ─ right host
//! ```

use std::fs;
use std::sync::Arc;

use crate::lab::namespace::Namespace;
use crate::lab::topology::Segment;
use crate::lab::traffic::{ping, transfer};
use crate::lab::{Daemon, Kind, Lab, run, secs, succeeds, wait_until};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// A site: its daemon and its wire.
pub(crate) struct Site {
    pub(crate) daemon: Daemon,
    pub(crate) wire: Segment,
}

/// Site `number`, whose daemon does not run yet.
pub(crate) fn site(lab: &Lab, wan: &Segment, number: usize, kind: Kind) -> Site {
    let address = format!("192.0.2.{number}");
    let host = wan.host("node", &[&format!("{address}/24")]);
    let wire = Segment::new("wire");
    wire.connect(&host, "lan0", &[]);
    host.shell(
        "ip link add br0 type bridge mcast_snooping 0
         ip link set lan0 master br0
         ip link set br0 up",
    );
    let daemon = Daemon::init(lab, ["alice", "bob", "carol"][number - 1], kind, &host);
    daemon.config("Mode = switch").config("AutoConnect = no").config("Interface = vpn0");
    daemon.host(&format!("Address = {address}"));
    daemon.up_script("ip link set $INTERFACE master br0 up");
    Site { daemon, wire }
}

/// Two sites whose daemons run; the first dials the second.
fn two_sites(lab: &Lab, kinds: [Kind; 2]) -> [Site; 2] {
    let wan = Segment::new("wan");
    let [mut a, mut b] = [1, 2].map(|number| site(lab, &wan, number, kinds[number - 1]));
    a.daemon.config("ConnectTo = bob").knows(&b.daemon);
    b.daemon.knows(&a.daemon);
    b.daemon.start();
    a.daemon.start();
    wait_until(secs(20), "the sites are connected", || a.daemon.sees("bob", |node| node.reachable()));
    [a, b]
}

/// One Ethernet from end to end: a lease, a resolved neighbour, both families, a transfer.
fn is_one_ethernet(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let [alice, bob] = two_sites(&lab, kinds);
    let left = alice.wire.host("left", &["fd99::1/64"]);
    let right = bob.wire.host("right", &["10.99.0.1/24", "fd99::2/64"]);

    lease(&lab, &left, &right);

    mesh_ping(&left, "10.99.0.1");
    let neighbours = run(left.command("ip").args(["neigh", "show", "10.99.0.1"]));
    assert!(
        neighbours.contains(&mac(&right, "eth0")),
        "ARP tells the true address, not one of the daemon: {neighbours}"
    );
    mesh_ping(&left, "fd99::2");
    transfer(&left, &right, "10.99.0.1", 2_000_000).assert_intact(2_000_000);
    for (daemon, owner, host) in [(&bob.daemon, "alice", &left), (&alice.daemon, "bob", &right)] {
        let line = format!("{} owner {owner}", mac(host, "eth0"));
        wait_until(secs(5), &format!("{} knows {line}", daemon.name), || {
            daemon.tinc(&["dump", "subnets"]).contains(&line)
        });
    }
}

/// The left host gets its address by DHCP from the right one.
fn lease(lab: &Lab, left: &Namespace, right: &Arc<Namespace>) {
    let (conf, script) = (lab.path("udhcpd.conf"), lab.path("udhcpc.sh"));
    fs::write(
        &conf,
        format!(
            "start 10.99.0.50\nend 10.99.0.60\ninterface eth0\nlease_file {}\npidfile {}\noption subnet 255.255.255.0\n",
            lab.path("leases").display(),
            lab.path("udhcpd.pid").display()
        ),
    )
    .expect("the directory is there");
    fs::write(lab.path("leases"), "").expect("the directory is there");
    fs::write(&script, "#!/bin/sh\n[ \"$1\" = bound ] && ip addr add $ip/$mask dev $interface\nexit 0\n")
        .expect("the directory is there");
    run(std::process::Command::new("chmod").arg("755").arg(&script));
    let mut server = right.command("busybox").args(["udhcpd", "-f"]).arg(&conf).spawn().expect("busybox is there");

    let leased = succeeds(
        left.command("busybox").args(["udhcpc", "-i", "eth0", "-n", "-q", "-t", "8", "-T", "1", "-s"]).arg(&script),
    );

    let _ = server.kill();
    let _ = server.wait();
    assert!(leased, "no lease came through the tunnel");
    let addresses = run(left.command("ip").args(["-4", "addr", "show", "eth0"]));
    assert!(
        addresses.contains("10.99.0.5") || addresses.contains("10.99.0.60"),
        "the lease is one of the right host: {addresses}"
    );
}

fn mac(host: &Namespace, interface: &str) -> String {
    run(host.command("cat").arg(format!("/sys/class/net/{interface}/address"))).trim().to_owned()
}

#[track_caller]
fn mesh_ping(from: &Namespace, to: &str) {
    wait_until(secs(20), &format!("{to} answers"), || ping(from, to));
}

#[test]
fn two_sites_of_theirs_are_one_ethernet() {
    is_one_ethernet([THEIRS, THEIRS]);
}

#[test]
fn two_sites_of_ours_are_one_ethernet() {
    is_one_ethernet([OURS, OURS]);
}

#[test]
fn a_site_of_ours_and_one_of_theirs_are_one_ethernet() {
    is_one_ethernet([OURS, THEIRS]);
}

#[test]
fn a_site_of_theirs_and_one_of_ours_are_one_ethernet() {
    is_one_ethernet([THEIRS, OURS]);
}
