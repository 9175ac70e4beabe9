use super::*;
use crate::cli::tinmesh::Network;
use crate::control::fake_daemon::FakeDaemon;
use crate::files::found::{Founding, found};

/// A network that was founded in `dir`, by alice.
pub(in crate::user) fn founded_in(dir: &std::path::Path) -> Place {
    let network = Network {
        config: Some(dir.to_owned()),
        net: Some(String::new()),
        pidfile: Some(dir.join("pid")),
        ..Network::default()
    };
    let place = Place::named(&network).unwrap();
    let founding = Founding { name: NodeName::parse("alice").unwrap(), in_use: &[], address: None };
    found(&place.paths, &founding, &mut files::rng().unwrap()).unwrap();
    place
}

/// What the only outstanding invitation of `place` says.
pub(in crate::user) fn only_invitation(place: &Place) -> String {
    let all = invitations::outstanding(&place.paths).unwrap();
    assert_eq!(all.len(), 1);
    String::from_utf8(all[0].text.clone()).unwrap()
}

fn values(text: &str, variable: &str) -> Vec<String> {
    let own = text.split("#---").next().unwrap();
    edit::values(own.as_bytes(), variable)
}

#[test]
fn an_invitation_without_a_name_leaves_the_choice_and_brings_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let place = founded_in(dir.path());

    let made = make(&place, None, Some("vpn.example.org:1655")).unwrap();

    let text = only_invitation(&place);
    assert!(made.url.starts_with("vpn.example.org:1655/"), "{}", made.url);
    assert_eq!((made.name, made.local_only), (None, false));
    assert_eq!(values(&text, "NameChoice"), ["yes"]);
    assert_eq!(values(&text, "HostsFile"), ["yes"]);
    assert_eq!(values(&text, "ConnectTo"), ["alice"]);
    let addresses: Vec<String> = made.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(values(&text, "Subnet"), addresses);
    let own = own_ranges(&place).unwrap();
    let given: Vec<Range> = values(&text, "Ifconfig").iter().map(|value| kind::range(value).unwrap()).collect();
    assert_eq!(given.len(), 2);
    for (given, own) in given.iter().zip(&own) {
        assert_eq!(given.1, own.1, "the same prefix");
        assert_ne!(given.0, own.0, "another address");
        assert!(addresses::overlap(given, own), "in the same range");
    }
}

#[test]
fn a_named_invitation_leaves_no_choice() {
    let dir = tempfile::tempdir().unwrap();
    let place = founded_in(dir.path());

    let made = make(&place, Some("bob"), Some("10.0.0.1")).unwrap();

    let text = only_invitation(&place);
    assert!(text.starts_with("Name = bob\n"), "{text}");
    assert_eq!(values(&text, "NameChoice"), [""; 0]);
    assert!(made.local_only && made.warning(&place).unwrap().contains("sudo tinmesh invite --address HOST[:PORT]"));
}

#[test]
fn names_of_members_are_refused_whoever_knows_them() {
    let dir = tempfile::tempdir().unwrap();
    let place = founded_in(dir.path());
    let problem = |name: &str| make(&place, Some(name), Some("h")).unwrap_err().to_string();
    assert_eq!(problem("alice"), "There is a node called alice already: choose another name");
    assert_eq!(problem("b-b"), "`b-b' is not a name for a node: use letters, digits and underscores");
    std::fs::write(place.paths.hosts().join("bob"), "").unwrap();
    assert_eq!(problem("bob"), "A host config file for bob already exists!");

    let nodes = "18 3 carol 0416a26ba554 unknown port unknown 0 0 0 0 0 0 - - -1 0 0 0 0 -1 0 0 0 0\n18 3\n";
    let mut daemon = FakeDaemon::answering(&[nodes]);
    let carol = NodeName::parse("carol").unwrap();
    let alice = NodeName::parse("alice").unwrap();
    assert!(refuse_known(&carol, &alice, Some(&mut daemon.client())).is_err());
    assert_eq!(daemon.requests().len(), 2);
}

#[test]
fn addresses_that_the_daemon_knows_of_are_not_given_away() {
    let dir = tempfile::tempdir().unwrap();
    let place = founded_in(dir.path());
    let ranges = [kind::range("10.9.0.1/29").unwrap()];
    let subnets = "18 5 10.9.0.1 alice\n18 5 10.9.0.2 bob\n18 5 10.9.0.4/31#5 carol\n18 5 10.9.0.6 dave\n18 5\n";
    let daemon = FakeDaemon::answering(&[subnets]);

    let chosen = choose_addresses(&place, &ranges, Some(&mut daemon.client()), &mut files::rng().unwrap()).unwrap();

    assert_eq!(chosen, [kind::range("10.9.0.3/29").unwrap()]);
}

#[test]
fn the_configured_address_and_port_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let place = founded_in(dir.path());
    let alice = NodeName::parse("alice").unwrap();
    let found = |address: Option<&str>| find_place(&place, &alice, address, None, &[]).unwrap();
    std::fs::write(place.paths.host_file(&alice), "Address = vpn.example.org\nPort = 7000\n").unwrap();
    assert_eq!(found(None), ("vpn.example.org".to_owned(), 7000));
    assert_eq!(found(Some("192.0.2.1")), ("192.0.2.1".to_owned(), 7000));
    std::fs::write(place.paths.host_file(&alice), "Address = vpn.example.org 443\n").unwrap();
    assert_eq!(found(None), ("vpn.example.org".to_owned(), 443));
    assert_eq!(found(Some("[fd00::1]:1")), ("fd00::1".to_owned(), 1));
}

#[test]
fn addresses_are_read_as_people_write_them() {
    let read = |text: &str| parse_address(text).unwrap();
    assert_eq!(read("vpn.example.org"), ("vpn.example.org".to_owned(), None));
    assert_eq!(read("192.0.2.7:1655"), ("192.0.2.7".to_owned(), Some(1655)));
    assert_eq!(read("fd00::1"), ("fd00::1".to_owned(), None));
    assert_eq!(read("[fd00::1]:1655"), ("fd00::1".to_owned(), Some(1655)));
    assert_eq!(read("[fd00::1]"), ("fd00::1".to_owned(), None));
}

#[test]
fn what_is_no_address_is_refused() {
    for text in ["", ":655", "a:0", "a:x", "a b", "[fd00::1", "[x]:1", "[fd00::1]655", "a/b", "a:1:2"] {
        assert!(parse_address(text).is_err(), "{text}");
    }
}
