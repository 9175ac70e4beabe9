//! Section 2: the inviter's files.

use std::fs;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha512};
use tinmesh_core::crypto::base64;

use crate::machine::Machine;
use crate::terminal::Terminal;

const SEPARATOR: &str = "#---------------------------------------------------------------#";

/// A machine with a node that says where it is reached.
fn inviter() -> Machine {
    let machine = Machine::alice();
    machine.write("hosts/alice", "Address = 192.0.2.7\nSubnet = 10.1.0.0/16\n");
    machine
}

fn invite(machine: &Machine, words: &str) -> String {
    let out = machine.success(words);
    let url = out.strip_suffix('\n').unwrap();
    assert!(!url.contains('\n'), "the URL is alone on its line: {out}");
    url.to_owned()
}

/// The only invitation file: its name and its text.
fn invitation(machine: &Machine) -> (String, String) {
    let list = machine.success("dump invitations");
    let file = list.split(' ').next().unwrap().to_owned();
    let text = machine.read(&format!("invitations/{file}"));
    (file, text)
}

#[test]
fn s2_1_the_key_and_its_directory_are_for_the_owner_only_and_shared_by_all_invitations() {
    let machine = inviter();
    let first = invite(&machine, "invite bob");
    assert_eq!((machine.mode("invitations"), machine.mode("invitations/ed25519_key.priv")), (0o700, 0o600));
    let (file, _) = invitation(&machine);
    assert_eq!(machine.mode(&format!("invitations/{file}")), 0o600);
    let key = machine.read("invitations/ed25519_key.priv");
    let second = invite(&machine, "invite carol");
    assert_eq!(machine.read("invitations/ed25519_key.priv"), key);
    let (first, second) = (first.split_once('/').unwrap().1.to_owned(), second.split_once('/').unwrap().1.to_owned());
    assert_eq!(first[..24], second[..24]);
    assert_ne!(first[24..], second[24..]);
}

#[test]
fn s2_1_invitations_older_than_a_week_go_and_with_the_last_one_the_key() {
    let machine = inviter();
    invite(&machine, "invite bob");
    let (file, _) = invitation(&machine);
    let key = machine.read("invitations/ed25519_key.priv");
    let age = |days: u64| {
        let opened = fs::File::options().write(true).open(machine.path(&format!("invitations/{file}"))).unwrap();
        opened.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400 + 60)).unwrap();
    };
    age(6);
    invite(&machine, "invite carol");
    assert_eq!(machine.success("dump invitations").lines().count(), 2);
    age(7);
    invite(&machine, "invite dave");
    assert_eq!(machine.success("dump invitations").lines().count(), 2);
    assert_eq!(machine.read("invitations/ed25519_key.priv"), key);
    for entry in fs::read_dir(machine.path("invitations")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().len() == 24 {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    assert_eq!(machine.run("dump invitations").err, "No outstanding invitations.\n");
    invite(&machine, "invite erin");
    assert_ne!(machine.read("invitations/ed25519_key.priv"), key);
}

#[test]
fn s2_2_url_and_file_name_are_hashes_of_the_keys_text() {
    let machine = inviter();
    let url = invite(&machine, "invite bob");
    let (place, secret) = url.split_once('/').unwrap();
    assert_eq!(place, "192.0.2.7:655");
    let private = machine.read("invitations/ed25519_key.priv");
    let digits: String = private.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = base64::decode(digits.as_bytes()).unwrap();
    let public = base64::encode(&bytes[64..]);
    assert_eq!(public.len(), 43);
    assert_eq!(secret[..24], base64::encode_url(&Sha512::digest(public.as_bytes())[..18]));
    let cookie = base64::decode(&secret.as_bytes()[24..]).unwrap();
    let name = Sha512::digest([&cookie, public.as_bytes()].concat());
    assert_eq!(invitation(&machine).0, base64::encode_url(&name[..18]));
}

#[test]
fn s2_3_host_and_port_come_from_the_own_host_file_and_then_from_the_main_file() {
    for (host, main, place) in [
        ("Address = a.example 700 x\nAddress = b\n", "", "a.example:700"),
        ("Port = 701\nAddress = a.example\n", "Port = 5\n", "a.example:701"),
        ("Address = fd00::1\n", "Port = 702\n", "[fd00::1]:702"),
        ("", "Address = c.example 703\n", "c.example:703"),
        ("Address = a.example 700\nPort = 0\n", "", "a.example:700"),
    ] {
        let machine = Machine::alice();
        machine.write("hosts/alice", host);
        machine.write("tinc.conf", &format!("Name = alice\n{main}"));
        let url = invite(&machine, "invite bob");
        assert_eq!(url.split_once('/').unwrap().0, place);
    }
}

#[test]
fn s2_3_a_port_that_nobody_knows_is_a_failure_that_leaves_nothing() {
    let machine = Machine::alice();
    machine.write("hosts/alice", "Address = a.example\nPort = 0\n");
    let error = "tincd is using a dynamic port and is not running. Please start tincd or set the Port option to a non-zero \
                 value.\n";
    assert_eq!(machine.failure("invite bob"), error);
    assert!(!machine.path("invitations").exists());
}

#[test]
fn s2_3_on_a_terminal_an_unknown_address_is_asked_for_and_kept() {
    let machine = Machine::alice();
    machine.write("hosts/alice", "Port = 655\n");
    let mut command = machine.command();
    command.args(["invite", "bob"]);
    let mut terminal = Terminal::run(command);
    terminal.answer("Please enter your host's external address or hostname", "not valid!");
    terminal.expect("Invalid address or hostname.");
    terminal.answer("Please enter your host's external address or hostname", "alice.example");
    let (code, shown) = terminal.end();
    assert!(code == 0 && shown.contains("alice.example:655/"), "{shown}");
    assert!(machine.read("hosts/alice").contains("Address = alice.example\n"));
}

#[test]
fn s2_4_the_name_must_be_valid_and_free() {
    let machine = inviter();
    machine.write("hosts/carol", "");
    for (words, error) in [
        ("invite", "Not enough arguments!\n"),
        ("invite a b", "Too many arguments!\n"),
        ("invite a-b", "Invalid name for node.\n"),
        ("invite carol", "A host config file for carol already exists!\n"),
    ] {
        assert_eq!(machine.failure(words), error);
    }
}

#[test]
fn s2_5_the_file_tells_the_mesh_and_ends_with_the_inviters_host_file() {
    let machine = inviter();
    machine.write(
        "tinc.conf",
        "Name = alice\nMode = switch\nBroadcast=direct\nBroadcastSubnet = 10.0.0.255\nDevice = x\n",
    );
    invite(&machine, "invite bob");
    let expected = format!(
        "Name = bob\nConnectTo = alice\nMode = switch\nBroadcast = direct\n{SEPARATOR}\nName = alice\n{}",
        machine.read("hosts/alice")
    );
    assert_eq!(invitation(&machine).1, expected);
}

#[test]
fn s2_6_the_script_may_change_the_file_before_the_url_is_told() {
    let machine = inviter();
    let script = "#!/bin/sh\necho \"$NAME $NODE ${NETNAME-none} $INVITATION_URL\" > seen\necho 'Subnet = 10.9.0.0/16' >> \
                  \"$INVITATION_FILE\"\nexit 3\n";
    machine.write("invitation-created", script);
    machine.chmod("invitation-created", 0o755);
    let url = invite(&machine, "invite bob");
    assert_eq!(fs::read_to_string(machine.outside("seen")).unwrap(), format!("alice bob none {url}\n"));
    assert!(invitation(&machine).1.ends_with("Subnet = 10.9.0.0/16\n"));
}
