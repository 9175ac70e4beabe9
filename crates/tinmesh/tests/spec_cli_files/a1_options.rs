//! A.1, A.2: options, and when questions are asked.

use crate::machine::Machine;
use crate::terminal::Terminal;

#[test]
fn options_precede_the_command() {
    let machine = Machine::alice();
    assert_eq!(machine.success("--batch get Name"), "alice\n");
    // Behind the command, a word is its argument.
    assert_eq!(machine.failure("export -b"), "Too many arguments!\n");
}

#[test]
fn version_goes_before_help_and_both_succeed() {
    let machine = Machine::bare();
    let run = machine.run("--help --version");
    assert!(run.code == 0 && run.out.starts_with("tinc version ") && run.err.is_empty(), "{run:?}");
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(lines[1].starts_with("Features: "), "{lines:?}");
    let run = machine.run("--help");
    assert!(run.code == 0 && run.out.starts_with("Usage: ") && run.err.is_empty(), "{run:?}");
    assert_eq!(machine.success("help whatever"), run.out);
    assert_eq!(machine.failure("version x"), "Too many arguments!\n");
}

#[test]
fn help_lists_every_command() {
    let help = Machine::bare().success("help");
    for command in "init get set add del start stop restart reload pid generate-keys generate-rsa-keys \
                    generate-ed25519-keys dump info purge debug retry disconnect top pcap log export export-all import \
                    exchange exchange-all invite join network edit fsck sign verify help version"
        .split_ascii_whitespace()
    {
        assert!(help.lines().any(|line| line.split_ascii_whitespace().next() == Some(command)), "{command}\n{help}");
    }
}

#[test]
fn wrong_options_and_commands_point_to_the_help() {
    let machine = Machine::bare();
    let hint = "Try `DIR/tinc --help' for more information.\n";
    assert_eq!(machine.failure("--nonsense"), format!("DIR/tinc: unrecognized option '--nonsense'\n{hint}"));
    assert_eq!(machine.failure("nonsense"), format!("Unknown command `nonsense'.\n{hint}"));
    assert_eq!(machine.failure("expor"), format!("Unknown command `expor'.\n{hint}"));
}

#[test]
fn commands_are_known_in_any_case() {
    assert_eq!(Machine::alice().success("GeT Name"), "alice\n");
}

#[test]
fn netnames_that_lead_elsewhere_are_refused() {
    let machine = Machine::bare();
    for net in ["a/b", ".a", "a\\b"] {
        let mut command = machine.command();
        command.args(["-n", net, "get", "Name"]);
        let run = machine.finish(command, "");
        assert_eq!((run.code, run.err.as_str()), (1, "Invalid character in netname!\n"), "{net}");
    }
}

#[test]
fn questions_are_asked_on_a_terminal_only_and_not_in_batch_mode() {
    let machine = Machine::bare();
    assert_eq!(machine.failure("init"), "No Name given!\n");
    let mut command = machine.command();
    command.args(["-b", "init"]);
    assert_eq!(Terminal::run(command).end(), (1, "No Name given!\n".to_owned()));
    let mut command = machine.command();
    command.arg("init");
    let mut terminal = Terminal::run(command);
    terminal.answer("Enter the Name you want your tinc node to have: ", "carol");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(machine.read("tinc.conf"), "Name = carol\n");
}
