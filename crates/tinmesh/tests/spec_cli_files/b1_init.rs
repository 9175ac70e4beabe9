//! B.1: `init`.

use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::time::{Duration, Instant};

use crate::machine::Machine;
use crate::terminal::Terminal;

#[test]
fn checks_come_in_tincs_order() {
    let machine = Machine::alice();
    assert_eq!(machine.failure("init a b"), "Configuration file DIR/net/tinc.conf already exists!\n");
    let machine = Machine::bare();
    assert_eq!(machine.failure("init a b"), "Too many arguments!\n");
    assert_eq!(machine.failure("init"), "No Name given!\n");
    let mut command = machine.command();
    command.args(["init", ""]);
    assert_eq!(machine.finish(command, "").err, "No Name given!\n");
    let invalid = "Invalid Name! Only a-z, A-Z, 0-9 and _ are allowed characters.\n";
    assert_eq!(machine.failure("init a-b"), invalid);
    assert!(!machine.path("").exists());
}

#[test]
fn an_empty_answer_is_no_name() {
    let machine = Machine::bare();
    let mut command = machine.command();
    command.arg("init");
    let mut terminal = Terminal::run(command);
    terminal.answer("Enter the Name you want your tinc node to have: ", "");
    let (code, rest) = terminal.end();
    assert!(code == 1 && rest.ends_with("No name given!\n"), "{rest:?}");
}

#[test]
fn it_makes_directories_settings_a_key_and_a_script_that_reminds() {
    let machine = Machine::alice();
    for directory in ["", "hosts", "cache"] {
        assert_eq!(machine.mode(directory), 0o755, "{directory}");
    }
    assert_eq!(machine.read("tinc.conf"), "Name = alice\n");
    assert_eq!(machine.mode("ed25519_key.priv"), 0o600);
    assert_eq!(machine.mode("tinc-up"), 0o755);
    let script = "#!/bin/sh\n\necho 'Unconfigured tinc-up script, please edit '$0'!'\n\n#ifconfig $INTERFACE <your vpn IP \
                  address> netmask <netmask of whole VPN>\n";
    assert_eq!(machine.read("tinc-up"), script);
    let key = machine.read("ed25519_key.priv");
    let lines: Vec<&str> = key.lines().collect();
    assert_eq!((lines[0], lines[3]), ("-----BEGIN ED25519 PRIVATE KEY-----", "-----END ED25519 PRIVATE KEY-----"));
    assert_eq!((lines[1].len(), lines[2].len(), lines.len()), (64, 64, 4));
}

#[test]
fn a_script_that_is_there_stays() {
    let machine = Machine::bare();
    fs::create_dir(machine.path("")).unwrap();
    machine.write("tinc-up", "mine");
    assert_eq!(machine.run("init alice").code, 0);
    assert_eq!(machine.read("tinc-up"), "mine");
}

#[test]
fn only_the_last_directory_is_made_and_a_failure_is_one() {
    let machine = Machine::bare();
    let mut command = std::process::Command::new(machine.outside("tinc"));
    command.arg("-c").arg(machine.outside("a/b")).args(["init", "x"]);
    let run = machine.finish(command, "");
    assert_eq!((run.code, run.err.as_str()), (1, "Could not create directory DIR/a/b: No such file or directory\n"));
}

#[test]
fn another_port_is_chosen_and_told_if_the_usual_one_is_taken() {
    // Whoever has it: if it is not this test, then another program, for as long as this.
    let bind = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, 655)).ok();
    let end = Instant::now() + Duration::from_secs(2);
    let mut taken = bind();
    while taken.is_none() && Instant::now() < end {
        taken = bind();
    }
    let machine = Machine::bare();
    let run = machine.run("init alice");
    let line = run.err.lines().last().unwrap();
    let port = line.strip_prefix("Warning: could not bind to port 655. Tinc will instead listen on port ").unwrap();
    let port: u16 = port.strip_suffix('.').unwrap().parse().unwrap();
    assert!((4096..=36_863).contains(&port));
    assert!(machine.read("hosts/alice").ends_with(&format!("Port = {port}\n")));
}
