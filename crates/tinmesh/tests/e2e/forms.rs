//! Commands of tinc as `tinmesh` has them: JSON, colours as chosen, errors that say what to do; and `down`.

use std::process::Output;

use crate::lab::machine::Machine;
use crate::lab::topology::Segment;
use crate::lab::{Lab, run, secs, wait_until};

fn machine(lab: &Lab) -> Machine {
    let host = Segment::new("wan").host("red", &["192.0.2.1/24"]);
    Machine::new("red", &host, &lab.path(""), &lab.path("bin"))
}

fn tinmesh(machine: &Machine, args: &[&str]) -> String {
    run(machine.command("tinmesh").args(args))
}

fn outcome(machine: &Machine, args: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = machine.command("tinmesh").args(args).output().expect("it can be started");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// The state of a process, if there is one: `Z` is one that ended and that nobody took notice of.
fn state(pid: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    status.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned)
}

#[test]
fn every_command_that_answers_has_json_and_none_has_colours_in_it() {
    let lab = Lab::new();
    let red = machine(&lab);
    tinmesh(&red, &["up"]);

    for (words, start) in [
        ("status", "{\n  \"node\": \"red\""),
        ("dump nodes", "[\n  {\n    \"address\""),
        ("dump edges", "[]"),
        ("dump subnets", "[\n"),
        ("dump connections", "[\n"),
        ("dump graph", "{\n  \"edges\": []"),
        ("dump invitations", "[\n  {\n    \"file\""),
        ("get Name", "[\n  \"red\"\n]"),
        ("info red", "{\n"),
        ("pid", "{\n"),
        ("network", "["),
        ("fsck", "{\n  \"findings\": []"),
        ("version", "{\n"),
    ] {
        let words: Vec<&str> = words.split(' ').chain(["--json", "--color", "always"]).collect();
        let printed = tinmesh(&red, &words);
        assert!(printed.starts_with(start) && !printed.contains('\x1b'), "{words:?}: {printed}");
    }
    tinmesh(&red, &["down"]);
}

#[test]
fn colours_come_only_to_terminals_and_to_who_asks_for_them() {
    let lab = Lab::new();
    let red = machine(&lab);
    tinmesh(&red, &["up"]);

    assert!(!tinmesh(&red, &["status"]).contains('\x1b'));
    assert!(tinmesh(&red, &["status", "--color", "always"]).contains("\x1b["));
    assert!(tinmesh(&red, &["--help", "--color=always"]).contains("\x1b["));
    assert!(!tinmesh(&red, &["--help"]).contains('\x1b'));
    assert!(!run(red.command("tinc").args(["dump", "nodes"])).contains('\x1b'));
    let on_terminal = |setting: &[(&str, &str)]| {
        let mut command = red.command("script");
        command.args(["-qec", "tinmesh status", "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
        command.envs(setting.iter().copied());
        run(&mut command)
    };
    assert!(on_terminal(&[]).contains("\x1b["));
    assert!(!on_terminal(&[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(!on_terminal(&[("TERM", "dumb")]).contains('\x1b'));
    tinmesh(&red, &["down"]);
}

#[test]
fn errors_say_what_to_do() {
    let lab = Lab::new();
    let red = machine(&lab);
    for (words, remedy) in [
        (&["pid"][..], "sudo tinmesh up"),
        (&["reload"], "sudo tinmesh up"),
        (&["dump", "nodes"], "sudo tinmesh up"),
        (&["frobnicate"], "--help"),
        (&["get", "Port=1"], "tinmesh set"),
        (&["statsu"], "status"),
    ] {
        let (done, said) = outcome(&red, words);
        assert!(!done && said.contains(remedy), "{words:?}: {said}");
    }
    tinmesh(&red, &["up"]);
    let (done, said) = outcome(&red, &["set", "ConectTo", "bob"]);
    assert!(!done && said.contains("Did you mean ConnectTo?"), "{said}");
    let (done, said) = outcome(&red, &["set", "ConectTo", "bob", "--force"]);
    assert!(done, "{said}");
    tinmesh(&red, &["down"]);
}

#[test]
fn down_waits_until_the_daemon_is_gone() {
    let lab = Lab::new();
    let red = machine(&lab);
    tinmesh(&red, &["up"]);
    let pid = tinmesh(&red, &["pid"]).trim().to_owned();
    assert!(state(&pid).is_some());

    assert_eq!(tinmesh(&red, &["down"]), "Down.\n");

    // Whose child it was by then may take a moment to notice; the process itself has ended.
    assert!(state(&pid).is_none_or(|state| state == "Z"), "{pid} still runs");
    let links = run(red.command("ip").args(["-o", "link", "show"]));
    assert_eq!(links.lines().filter(|line| !line.contains(": lo:") && !line.contains(": eth0")).count(), 0, "{links}");
    wait_until(secs(5), "nothing is left of the process", || state(&pid).is_none());
    assert_eq!(tinmesh(&red, &["down"]), "Already down.\n");
}
