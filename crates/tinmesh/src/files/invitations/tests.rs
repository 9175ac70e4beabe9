//! Invitations in a directory of their own.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tempfile::TempDir;

use super::*;
use crate::paths::PathOptions;

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn inviter(tinc_conf: &str, host_file: &str) -> (TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let options =
        PathOptions { config: Some(dir.path().to_owned()), net: Some("vpn".to_owned()), ..PathOptions::default() };
    let paths = Paths::for_control(&options).unwrap();
    fs::create_dir(paths.hosts()).unwrap();
    fs::write(paths.tinc_conf(), format!("Name = alice\n{tinc_conf}")).unwrap();
    fs::write(paths.host_file(&name("alice")), host_file).unwrap();
    (dir, paths)
}

fn invite(paths: &Paths, invitee: &str, seed: u8) -> Result<Made, InvitationError> {
    let lines = [("Ifconfig", "10.9.0.7/16".to_owned()), ("Subnet", "10.9.0.7".to_owned())];
    let (own, invitee) = (name("alice"), name(invitee));
    let new = NewInvitation { own: &own, invitee: &invitee, lines: &lines, host: "192.0.2.7", port: 700 };
    make(paths, &new, &mut Rng::from_seed([seed; 32]))
}

#[test]
fn an_invitation_says_all_that_the_joiner_needs() {
    let (_dir, paths) = inviter("mode=router\nDevice = x\n", "Subnet = 10.9.0.1\nPort=0\nEd25519PublicKey = abc");

    let made = invite(&paths, "bob", 1).unwrap();

    let expected = format!(
        "Name = bob\nNetName = vpn\nConnectTo = alice\nIfconfig = 10.9.0.7/16\nSubnet = 10.9.0.7\nMode = router\n\
         {SEPARATOR}\nName = alice\nAddress = 192.0.2.7 700\nSubnet = 10.9.0.1\nPort = 700\nEd25519PublicKey = abc\n"
    );
    assert_eq!(fs::read_to_string(&made.path).unwrap(), expected);
    assert_eq!(fs::metadata(&made.path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(paths.invitations()).unwrap().mode() & 0o777, 0o700);
    let key = keys::read_private(&paths.invitation_key(), &mut Vec::new()).unwrap().public();
    assert_eq!(made.url.key_hash, invite::key_hash(&key));
    assert!(made.path.ends_with(invite::file_name(&made.url.cookie, &key)));
    assert_eq!((made.url.host.as_str(), made.url.port), ("192.0.2.7", 700));
}

#[test]
fn an_address_and_a_port_are_left_as_they_are() {
    let (_dir, paths) = inviter("", "Address = vpn.example\nPort = 656\n");
    let own = name("alice");
    let new = NewInvitation { own: &own, invitee: &name("bob"), lines: &[], host: "vpn.example", port: 7000 };
    let made = make(&paths, &new, &mut Rng::from_seed([1; 32])).unwrap();
    let text = fs::read_to_string(made.path).unwrap();
    assert!(text.ends_with("Name = alice\nAddress = vpn.example\nPort = 656\n"), "{text}");
}

#[test]
fn a_key_serves_as_long_as_an_invitation_is_outstanding() {
    let (_dir, paths) = inviter("", "");
    let one = invite(&paths, "bob", 1).unwrap();
    let two = invite(&paths, "carol", 2).unwrap();
    assert!(one.key_is_new && !two.key_is_new);
    assert_eq!(one.url.key_hash, two.url.key_hash);

    fs::remove_file(one.path).unwrap();
    fs::remove_file(two.path).unwrap();
    let three = invite(&paths, "dave", 3).unwrap();

    assert!(three.key_is_new);
    assert_ne!(three.url.key_hash, one.url.key_hash);
}

#[test]
fn old_invitations_are_removed_and_others_stay() {
    let (_dir, paths) = inviter("", "");
    let old = invite(&paths, "bob", 1).unwrap();
    let young = invite(&paths, "carol", 2).unwrap();
    let used = paths.invitations().join(format!("{}.used", "A".repeat(24)));
    fs::write(&used, "").unwrap();
    for path in [&old.path, &used] {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - 2 * LIFETIME).unwrap();
    }

    invite(&paths, "dave", 3).unwrap();

    assert!(!old.path.exists() && !used.exists() && young.path.exists());
    let nodes: Vec<_> = outstanding(&paths).unwrap().into_iter().filter_map(|one| one.node).collect();
    assert_eq!(nodes.len(), 2);
    assert!(nodes.contains(&name("carol")) && nodes.contains(&name("dave")));
}

#[test]
fn a_member_is_not_invited_and_nothing_is_written() {
    let (_dir, paths) = inviter("", "");
    fs::write(paths.host_file(&name("bob")), "").unwrap();

    let error = invite(&paths, "bob", 1).unwrap_err();

    assert_eq!(error.to_string(), "A host config file for bob already exists!");
    assert!(!paths.invitations().exists());
}

#[test]
fn an_invitation_that_is_too_long_is_not_made() {
    let (_dir, paths) = inviter("", &"# a line of a very long file\n".repeat(3000));
    assert!(matches!(invite(&paths, "bob", 1), Err(InvitationError::TooLong(_))));
    assert!(outstanding(&paths).unwrap().is_empty());
}

#[test]
fn address_and_port_come_from_the_host_file_first() {
    let (_dir, paths) = inviter("Address = other\nPort = 1\n", "Address = 192.0.2.1 700\nPort = 0\n");
    let own = name("alice");
    assert_eq!(configured_address(&paths, &own), Endpoint::parse("192.0.2.1 700"));
    assert_eq!(configured_port(&paths, &own), None);
    assert!(is_port_configured(&paths, &own));
}

#[test]
fn the_script_learns_of_the_invitation() {
    let (dir, paths) = inviter("", "");
    let made = invite(&paths, "bob", 1).unwrap();
    let script = dir.path().join("invitation-created");
    let seen = dir.path().join("seen");
    let body = format!("#!/bin/sh\necho $NETNAME $NAME $NODE $INVITATION_FILE $INVITATION_URL > {}\n", seen.display());
    fs::write(&script, body).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();

    assert_eq!(run_script(&paths, &name("alice"), &name("bob"), &made), None);

    let expected = format!("vpn alice bob {} {}\n", made.path.display(), made.url);
    assert_eq!(fs::read_to_string(seen).unwrap(), expected);
}

#[test]
fn invitations_made_at_the_same_time_are_all_good() {
    let (_dir, paths) = inviter("", "Ed25519PublicKey = abc\n");

    let made: Vec<Made> = std::thread::scope(|scope| {
        let invite = |seed| {
            let paths = &paths;
            scope.spawn(move || invite(paths, &format!("node{seed}"), seed).unwrap())
        };
        let threads: Vec<_> = (1..9).map(invite).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let key = keys::read_private(&paths.invitation_key(), &mut Vec::new()).unwrap().public();
    assert!(made.iter().all(|made| made.url.key_hash == invite::key_hash(&key)));
}
