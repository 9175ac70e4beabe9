//! Two nodes behind NATs of their own and a third with a public address.
//!
//! ```text
//!  alice ─ home ─ NAT ─┐           ┌─ NAT ─ office ─ carol
//!                      └─── wan ───┘
//!                            │
//!                           bob
//! ```

use std::sync::Arc;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Nat, Segment, nat};
use crate::lab::traffic::{ping, ping_many};
use crate::lab::{Daemon, Kind, Lab};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

pub(crate) struct Internet {
    pub(crate) hosts: [Arc<Namespace>; 3],
    _routers: [Arc<Namespace>; 2],
}

pub(crate) fn internet(kinds: [Nat; 2]) -> Internet {
    let (wan, home, office) = (Segment::new("wan"), Segment::new("home"), Segment::new("office"));
    let routers = [
        nat("nat", (&home, "192.168.1.1/24"), (&wan, "192.0.2.11/24"), kinds[0]),
        nat("nat", (&office, "192.168.3.1/24"), (&wan, "192.0.2.13/24"), kinds[1]),
    ];
    let hosts = [
        home.host_behind("node", "192.168.1.100/24", "192.168.1.1"),
        wan.host("node", &["192.0.2.2/24"]),
        office.host_behind("node", "192.168.3.100/24", "192.168.3.1"),
    ];
    Internet { hosts, _routers: routers }
}

fn started(lab: &Lab, internet: &Internet, kinds: [Kind; 3]) -> [Daemon; 3] {
    let mut mesh = mesh::line_on(lab, kinds, &internet.hosts, ["192.0.2.2", "192.0.2.2"]);
    mesh::start(&mut mesh);
    mesh
}

/// Both NATs keep ports: the holes meet.
fn meet_directly(kinds: [Kind; 3]) {
    let lab = Lab::new();
    let internet = internet([Nat::PortPreserving; 2]);
    let mesh = started(&lab, &internet, kinds);
    let [alice, _, carol] = &mesh;

    wait_for_ping(alice, &v4(3));
    wait_for_direct(alice, "carol", &v4(3));
    wait_for_direct(carol, "alice", &v4(1));

    assert!(!ping(&alice.namespace, "192.168.3.100"), "the underlay alone does not join them");
    assert!(alice.sees("carol", |node| node.address == "192.0.2.13"), "the path goes to the other's NAT");
    assert_eq!(ping_many(&alice.namespace, &v4(3), 50), 50, "a direct path loses nothing");
}

#[test]
fn ours_behind_port_preserving_nats_meet_directly() {
    meet_directly([OURS, OURS, OURS]);
}

#[test]
fn ours_behind_port_preserving_nats_meet_directly_by_way_of_theirs() {
    meet_directly([OURS, THEIRS, OURS]);
}

#[test]
fn ours_and_theirs_behind_port_preserving_nats_meet_directly() {
    meet_directly([OURS, OURS, THEIRS]);
}

/// No hole can be predicted: the third carries the packets.
fn are_relayed(nats: [Nat; 2], kinds: [Kind; 3]) {
    let lab = Lab::new();
    let internet = internet(nats);
    let mesh = started(&lab, &internet, kinds);
    let [alice, _, carol] = &mesh;

    wait_for_ping(alice, &v4(3));
    wait_for_ping(carol, &v4(1));

    let answered = ping_many(&alice.namespace, &v4(3), 250);
    assert!(answered >= 247, "{answered} of 250 pings were answered while both look for a path");
    assert!(alice.sees("carol", |node| node.reachable() && !node.direct()));
}

#[test]
fn ours_behind_symmetric_nats_are_relayed() {
    are_relayed([Nat::Symmetric; 2], [OURS, OURS, OURS]);
}

#[test]
fn ours_behind_symmetric_nats_are_relayed_by_theirs() {
    are_relayed([Nat::Symmetric; 2], [OURS, THEIRS, OURS]);
}

#[test]
fn theirs_behind_symmetric_nats_are_relayed_by_ours() {
    are_relayed([Nat::Symmetric; 2], [THEIRS, OURS, THEIRS]);
}
