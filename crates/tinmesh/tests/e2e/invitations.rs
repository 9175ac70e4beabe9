//! Invitations: the inviting daemon, the joining command, and the mesh that follows.

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::topology::Segment;
use crate::lab::{Daemon, Kind, Lab};

/// `kinds[0]` invites `kinds[1]`.
pub(crate) fn joins_and_pings(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let mut alice = mesh::node(&lab, 1, kinds[0], &wan.host("node", &["192.0.2.1/24"]));
    alice.host("Address = 192.0.2.1").host("Port = 655");
    alice.start();
    let url = alice.tinc(&["invite", "bob"]);

    let mut bob = Daemon::bare(&lab, "bob", kinds[1], &wan.host("node", &["192.0.2.2/24"]));
    bob.tinc(&["join", url.trim()]);
    bob.config("Interface = vpn0").host(&format!("Subnet = {}", v4(2)));
    bob.up_script(&format!("ip addr add {}/24 dev $INTERFACE; ip link set $INTERFACE up", v4(2)));
    bob.start();

    wait_for_ping(&bob, &v4(1));
    wait_for_ping(&alice, &v4(2));
    let again = Daemon::bare(&lab, "again", kinds[1], &wan.host("node", &["192.0.2.3/24"]));
    let mut second = again.tinc_command(&["join", url.trim()]).spawn().expect("the program is there");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let accepted = second.try_wait().expect("our child").is_some_and(|status| status.success());
    let _ = second.kill();
    let _ = second.wait();
    assert!(!accepted, "an invitation works once");
}

#[test]
fn an_invitation_of_ours_is_accepted_by_ours() {
    joins_and_pings([Kind::Ours, Kind::Ours]);
}

#[test]
fn an_invitation_of_ours_is_accepted_by_theirs() {
    joins_and_pings([Kind::Ours, Kind::Tinc11]);
}

#[test]
fn an_invitation_of_theirs_is_accepted_by_ours() {
    joins_and_pings([Kind::Tinc11, Kind::Ours]);
}

#[test]
fn an_invitation_that_has_expired_is_refused_and_removed() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let mut alice = mesh::node(&lab, 1, Kind::Ours, &wan.host("node", &["192.0.2.1/24"]));
    alice.host("Address = 192.0.2.1").config("InvitationExpire = 60");
    alice.start();
    let url = alice.tinc(&["invite", "bob"]);
    let list = alice.tinc(&["dump", "invitations"]);
    let file = list.split(' ').next().expect("there is one");
    let invitations = alice.host_file("alice").with_file_name("../invitations");
    let opened = std::fs::File::options().write(true).open(invitations.join(file)).expect("it is there");
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(61);
    opened.set_modified(past).expect("it is ours");

    let bob = Daemon::bare(&lab, "bob", Kind::Ours, &wan.host("node", &["192.0.2.2/24"]));
    let refused = bob.try_tinc(&["join", url.trim()]);

    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(told.contains("it was used before, has expired, or was withdrawn."), "{told}");
    assert!(told.contains("Invitation cancelled."), "{told}");
    assert!(!bob.host_file("bob").exists());
    assert_eq!(alice.try_tinc(&["dump", "invitations"]).stdout, b"", "nothing is left of it, under no name");
}
