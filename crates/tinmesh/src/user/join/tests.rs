use std::path::Path as FilePath;

use super::*;
use crate::cli::tinmesh::Network;
use crate::config;
use crate::user::exchange::tests::{Mood, inviter};
use crate::user::invite::{make, tests as invitations};

fn place_in(dir: &FilePath) -> Place {
    let network = Network {
        config: Some(dir.to_owned()),
        net: Some(String::new()),
        pidfile: Some(dir.join("pid")),
        ..Network::default()
    };
    Place::named(&network).unwrap()
}

/// An invitation that alice made, as it comes through the network.
fn invitation() -> String {
    let dir = tempfile::tempdir().unwrap();
    let alice = invitations::founded_in(dir.path());
    make(&alice, None, Some("192.0.2.1")).unwrap();
    invitations::only_invitation(&alice)
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

#[test]
fn a_new_member_has_a_whole_configuration_under_the_name_it_got() {
    let dir = tempfile::tempdir().unwrap();
    let place = place_in(&dir.path().join("net"));
    let (url, thread) = inviter(&invitation(), Mood::Generous);

    let (joined, alice) = become_member(&place, &url, Some(name("carol")), false).unwrap();

    assert_eq!(alice, name("alice"));
    let loaded = config::load(&place.paths, &[]).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
    assert_eq!(loaded.node.name, name("carol_2"));
    assert_eq!(loaded.node.connect_to, [name("alice")]);
    assert!(loaded.node.hosts[&name("alice")].key.is_some());
    assert_eq!(loaded.daemon.ifconfig.len(), 2);
    assert_eq!(loaded.node.subnets.len(), 2);
    assert_eq!(thread.join().unwrap(), Some((name("carol_2"), joined.key)));
}

#[test]
fn who_is_refused_has_no_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let place = place_in(&dir.path().join("net"));
    let (url, thread) = inviter(&invitation(), Mood::HangUp);

    let error = become_member(&place, &url, None, false).unwrap_err();

    assert!(error.to_string().contains("`sudo tinmesh invite`"), "{error}");
    assert!(!place.paths.confbase.exists());
    assert_eq!(thread.join().unwrap(), None);
}

#[test]
fn a_member_does_not_use_up_an_invitation() {
    let dir = tempfile::tempdir().unwrap();
    let place = invitations::founded_in(dir.path());
    let url = format!("192.0.2.1/{}", "A".repeat(48));
    let options = JoinOptions { url, name: None };

    let error = run(&place, &options, &mut Vec::new()).unwrap_err();

    assert!(error.to_string().starts_with("This machine is in a network already"), "{error}");
}

#[test]
fn a_text_that_is_no_invitation_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = JoinOptions { url: "hello".to_owned(), name: None };
    let error = run(&place_in(dir.path()), &options, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().starts_with("Invalid invitation URL"), "{error}");
}
