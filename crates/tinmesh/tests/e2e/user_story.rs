//! What a user does: `up` on one machine, `join` on the others, `status`, `down`. No file is written by hand.

use std::process::Command;

use crate::lab::machine::Machine;
use crate::lab::topology::Segment;
use crate::lab::{Lab, run, secs, succeeds, wait_until};

fn machine(lab: &Lab, wan: &Segment, name: &str, address: &str) -> Machine {
    let host = wan.host(name, &[address]);
    Machine::new(name, &host, &lab.path(""), &lab.path("bin"))
}

fn tinmesh(machine: &Machine, args: &[&str]) -> String {
    run(machine.command("tinmesh").args(args))
}

/// The arguments of the line that was printed to be pasted elsewhere.
fn pasted(printed: &str) -> String {
    let line = printed.lines().find(|line| line.contains("tinmesh join ")).unwrap_or_else(|| panic!("{printed}"));
    line.split_whitespace().skip_while(|word| *word != "join").nth(1).expect("a URL follows").to_owned()
}

fn pings(from: &Machine, to: &str) -> bool {
    succeeds(from.command("ping").args(["-n", "-q", "-c1", "-W1", to]))
}

/// The addresses of the interface of the network, without prefix length.
fn overlay_addresses(machine: &Machine) -> Vec<String> {
    let text = run(machine.command("ip").args(["-o", "addr", "show", "scope", "global"]));
    let lines = text.lines().filter(|line| !line.contains(": eth0") && !line.contains(" eth0 "));
    let addresses = lines.filter_map(|line| line.split_whitespace().nth(3));
    addresses.filter_map(|address| address.split('/').next()).map(str::to_owned).collect()
}

#[test]
fn two_commands_make_a_private_network() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let first = machine(&lab, &wan, "red", "192.0.2.1/24");
    let second = machine(&lab, &wan, "green", "192.0.2.2/24");

    let printed = tinmesh(&first, &["up"]);
    tinmesh(&second, &["join", &pasted(&printed)]);

    wait_until(secs(10), "green pings red by name", || pings(&second, "red"));
    wait_until(secs(10), "red pings green by name", || pings(&first, "green"));
    let addresses = overlay_addresses(&second);
    assert_eq!(addresses.iter().filter(|address| address.contains(':')).count(), 1, "one IPv6 address: {addresses:?}");
    assert_eq!(addresses.iter().filter(|address| address.contains('.')).count(), 1, "one IPv4 address: {addresses:?}");
    for address in &addresses {
        assert!(pings(&first, address), "red pings green by {address}");
    }
}

#[test]
fn a_third_machine_joins_by_an_invitation_and_all_see_all() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let machines = [("red", 1), ("green", 2), ("blue", 3)]
        .map(|(name, number)| machine(&lab, &wan, name, &format!("192.0.2.{number}/24")));
    let [first, second, third] = &machines;
    let printed = tinmesh(first, &["up"]);
    tinmesh(second, &["join", &pasted(&printed)]);

    let printed = tinmesh(first, &["invite"]);
    tinmesh(third, &["join", &pasted(&printed)]);

    for from in &machines {
        for to in machines.iter().filter(|to| to.name() != from.name()) {
            let what = format!("{} pings {}", from.name(), to.name());
            wait_until(secs(15), &what, || pings(from, to.name()));
        }
    }
    wait_until(secs(15), "green's status shows a direct path to blue", || {
        pings(second, "blue");
        let status = tinmesh(second, &["status"]);
        status.lines().any(|line| line.contains("blue") && line.contains("direct"))
    });
}

#[test]
fn down_takes_everything_away_and_up_brings_it_back() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let first = machine(&lab, &wan, "red", "192.0.2.1/24");
    let second = machine(&lab, &wan, "green", "192.0.2.2/24");
    let before = run(second.command("find").arg("/run"));
    let printed = tinmesh(&first, &["up"]);
    tinmesh(&second, &["join", &pasted(&printed)]);
    wait_until(secs(10), "green pings red", || pings(&second, "red"));
    let address = overlay_addresses(&second);
    let hosts = || std::fs::read_to_string(second.outside("/etc/hosts")).expect("every machine has one");
    assert!(hosts().contains("red"), "names are in /etc/hosts:\n{}", hosts());

    tinmesh(&second, &["down"]);

    assert_eq!(overlay_addresses(&second), [""; 0], "the interface is gone");
    assert_eq!(second.processes(), [second.holder()], "no process is left");
    assert!(!hosts().contains("red"), "the names are gone:\n{}", hosts());
    assert_eq!(run(second.command("find").arg("/run")), before, "nothing is left in /run");

    tinmesh(&second, &["up"]);
    wait_until(secs(10), "green pings red again", || pings(&second, "red"));
    assert_eq!(overlay_addresses(&second), address, "under the same addresses");
}

#[test]
fn the_bare_command_says_what_to_do_next() {
    let lab = Lab::new();
    let first = machine(&lab, &Segment::new("wan"), "red", "192.0.2.1/24");

    let before = run(&mut first.command("tinmesh"));
    tinmesh(&first, &["up"]);
    let after = run(&mut first.command("tinmesh"));

    assert!(before.contains("tinmesh up") && before.contains("tinmesh join"), "{before}");
    assert!(after.contains("red") && after.contains("tinmesh invite"), "{after}");
}

#[test]
fn names_of_the_program_choose_what_it_is() {
    let lab = Lab::new();
    for (name, option) in [("tincd", "--bypass-security"), ("tinc", "generate-ed25519-keys"), ("tinmesh", "status")] {
        let help = run(Command::new(lab.ours(name)).arg("--help"));
        assert!(help.contains(option), "{name} --help names {option}:\n{help}");
    }
}
