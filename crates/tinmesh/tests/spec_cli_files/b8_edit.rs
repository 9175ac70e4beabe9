//! B.8: `edit`.

use crate::machine::{Machine, Run};

fn edit(machine: &Machine, environment: &[(&str, &str)], name: &str) -> Run {
    let mut command = machine.command();
    command.args(["edit", name]).envs(environment.iter().copied());
    machine.finish(command, "")
}

#[test]
fn names_mean_files_of_the_configuration() {
    let machine = Machine::alice();
    for (name, path) in [
        ("tinc.conf", "tinc.conf"),
        ("tinc-up", "tinc-up"),
        ("subnet-down", "subnet-down"),
        ("host-up", "host-up"),
        ("bob", "hosts/bob"),
        ("hosts/bob", "hosts/bob"),
        ("bob-up", "hosts/bob-up"),
        ("hosts/bob-down", "hosts/bob-down"),
    ] {
        let run = edit(&machine, &[("EDITOR", "echo")], name);
        assert_eq!((run.code, run.out), (0, format!("DIR/net/{path}\n")), "{name}");
    }
}

#[test]
fn other_names_are_refused() {
    let machine = Machine::alice();
    // The last four are accepted by tinc.
    for name in ["bob-x", "a-b-up", "hosts/../x-up", "../x", "", "hosts/tinc.conf", "conf.d"] {
        let run = edit(&machine, &[("EDITOR", "echo")], name);
        assert_eq!(
            (run.code, run.out.as_str(), run.err.as_str()),
            (1, "", "Invalid configuration filename.\n"),
            "{name}"
        );
    }
    assert_eq!(machine.failure("edit"), "Invalid number of arguments.\n");
    assert_eq!(machine.failure("edit a b"), "Invalid number of arguments.\n");
}

#[test]
fn visual_goes_before_editor_and_may_have_options_or_blanks() {
    let machine = Machine::alice();
    let spaced = machine.program("my editor", "echo mine $1");
    for (visual, out) in [("echo visual", "visual DIR/net/tinc.conf\n"), (spaced.as_str(), "mine DIR/net/tinc.conf\n")]
    {
        assert_eq!(edit(&machine, &[("VISUAL", visual), ("EDITOR", "false")], "tinc.conf").out, out);
    }
    assert_eq!(edit(&machine, &[("VISUAL", ""), ("EDITOR", "echo")], "tinc.conf").out, "DIR/net/tinc.conf\n");
}

#[test]
fn an_editor_that_fails_is_a_failure() {
    let run = edit(&Machine::alice(), &[("EDITOR", "false")], "tinc.conf");
    assert_eq!(run.code, 1);
    assert_eq!(run.err, "The editor failed (exit status: 1): the daemon was not told to reload.\n");
    assert_eq!(edit(&Machine::alice(), &[("EDITOR", "no-such-editor")], "tinc.conf").code, 1);
}
