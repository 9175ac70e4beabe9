//! Usual meshes: each node has an address in the overlay by its number, set by a `tinc-up` script.

use std::sync::Arc;

use super::namespace::Namespace;
use super::topology::Segment;
use super::{Daemon, Kind, Lab, secs, traffic, wait_until};

/// The IPv4 address of node `number` in the overlay.
pub(crate) fn v4(number: usize) -> String {
    format!("10.77.0.{number}")
}

/// The IPv6 address of node `number` in the overlay.
pub(crate) fn v6(number: usize) -> String {
    format!("fd77::{number}")
}

/// A node with number `number`: subnets, addresses, and nothing that acts by itself.
pub(crate) fn node(lab: &Lab, number: usize, kind: Kind, host: &Arc<Namespace>) -> Daemon {
    node_with(lab, number, kind, host, &[v4(number), v6(number)])
}

/// As [`node`], with only these overlay addresses.
pub(crate) fn node_with(lab: &Lab, number: usize, kind: Kind, host: &Arc<Namespace>, overlay: &[String]) -> Daemon {
    let name = ["zero", "alice", "bob", "carol", "dave"][number];
    let daemon = Daemon::init(lab, name, kind, host);
    daemon.config("AutoConnect = no").config("Interface = vpn0").config("DeviceType = tun");
    let mut script = String::from("ip link set $INTERFACE up\n");
    for address in overlay {
        daemon.host(&format!("Subnet = {address}"));
        let (prefix, options) = if address.contains(':') { (64, "nodad") } else { (24, "") };
        script.push_str(&format!("ip addr add {address}/{prefix} dev $INTERFACE {options}\n"));
    }
    daemon.up_script(&script);
    daemon
}

/// Two nodes on one segment; the first dials the second.
pub(crate) fn pair(lab: &Lab, kinds: [Kind; 2]) -> [Daemon; 2] {
    let wan = Segment::new("wan");
    let [a, b] = [1, 2].map(|number| {
        let host = wan.host("node", &[&format!("192.0.2.{number}/24")]);
        node(lab, number, kinds[number - 1], &host)
    });
    b.host("Address = 192.0.2.2");
    a.config("ConnectTo = bob").knows(&b);
    b.knows(&a);
    [a, b]
}

/// Three nodes; the first and the last dial the one in the middle and do not know each other.
pub(crate) fn line(lab: &Lab, kinds: [Kind; 3]) -> [Daemon; 3] {
    let wan = Segment::new("wan");
    let hosts = [1, 2, 3].map(|number| wan.host("node", &[&format!("192.0.2.{number}/24")]));
    line_on(lab, kinds, &hosts, ["192.0.2.2", "192.0.2.2"])
}

/// As [`line`], with ends that have no way to each other but through the middle.
pub(crate) fn parted_line(lab: &Lab, kinds: [Kind; 3]) -> [Daemon; 3] {
    let (left, right) = (Segment::new("left"), Segment::new("right"));
    let middle = left.host("node", &["198.51.100.2/24"]);
    right.connect(&middle, "eth1", &["203.0.113.2/24"]);
    let hosts = [left.host("node", &["198.51.100.1/24"]), middle, right.host("node", &["203.0.113.3/24"])];
    line_on(lab, kinds, &hosts, ["198.51.100.2", "203.0.113.2"])
}

/// A line over these hosts; the ends find the middle at `addresses`.
pub(crate) fn line_on(lab: &Lab, kinds: [Kind; 3], hosts: &[Arc<Namespace>; 3], addresses: [&str; 2]) -> [Daemon; 3] {
    let [a, b, c] = [0, 1, 2].map(|at| node(lab, at + 1, kinds[at], &hosts[at]));
    for (end, address) in [(&a, addresses[0]), (&c, addresses[1])] {
        end.config("ConnectTo = bob").knows(&b);
        let mut text = std::fs::read_to_string(end.host_file("bob")).expect("just copied");
        text.insert_str(0, &format!("Address = {address}\n"));
        std::fs::write(end.host_file("bob"), text).expect("just copied");
        b.knows(end);
    }
    [a, b, c]
}

/// Starts all, the one in the middle first, so that the others find somebody to dial.
pub(crate) fn start<const N: usize>(mesh: &mut [Daemon; N]) {
    mesh[1].start();
    mesh.iter_mut().enumerate().filter(|(at, _)| *at != 1).for_each(|(_, daemon)| daemon.start());
}

/// Waits until pings from `from` to overlay address `to` are answered.
#[track_caller]
pub(crate) fn wait_for_ping(from: &Daemon, to: &str) {
    wait_until(secs(20), &format!("{} gets an answer from {to}", from.name), || traffic::ping(&from.namespace, to));
}

/// Keeps pinging until `from` sees `to` over a direct path.
#[track_caller]
pub(crate) fn wait_for_direct(from: &Daemon, to: &str, address: &str) {
    wait_until(secs(30), &format!("{} has a direct path to {to}", from.name), || {
        traffic::ping(&from.namespace, address);
        from.sees(to, |node| node.direct())
    });
}
