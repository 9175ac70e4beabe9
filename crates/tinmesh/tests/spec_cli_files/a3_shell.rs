//! A.3: shell mode.

use crate::machine::Machine;
use crate::terminal::Terminal;

#[test]
fn commands_are_read_from_the_input_without_a_prompt() {
    let run = Machine::alice().feed("get Name\nGET name\n", "");
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "alice\nalice\n", ""));
}

#[test]
fn comments_and_blank_lines_are_skipped_but_only_at_the_start_of_a_line() {
    let machine = Machine::alice();
    let run = machine.feed("# a comment\n#get Mode\n\n   \n #x y\nset Mode hub # y\n", "");
    assert_eq!(run.err, "Unknown command `#x'.\nWarning: hub # y is not a valid value for Mode!\n");
    assert_eq!((run.code, machine.read("tinc.conf").as_str()), (1, "Name = alice\nMode = hub # y\n"));
}

#[test]
fn words_are_separated_by_blanks_and_quotes_mean_nothing() {
    let machine = Machine::alice();
    let run = machine.feed("set   Device   \"a b\"\n", "");
    assert_eq!((run.code, machine.read("tinc.conf").as_str()), (0, "Name = alice\nDevice = \"a b\"\n"));
}

#[test]
fn exit_and_quit_end_it_in_any_case() {
    let machine = Machine::alice();
    for word in ["exit", "QUIT", "Exit now"] {
        let run = machine.feed(format!("get Name\n{word}\nget Name\n"), "");
        assert_eq!((run.code, run.out.as_str()), (0, "alice\n"), "{word}");
    }
}

#[test]
fn it_goes_on_after_a_failure_and_remembers_it() {
    let run = Machine::alice().feed("frobnicate x\nget Mode\nget Name", "");
    assert_eq!((run.code, run.out.as_str()), (1, "alice\n"));
    assert_eq!(run.err, "Unknown command `frobnicate'.\nNo matching configuration variables found.\n");
}

#[test]
fn commands_that_read_the_input_take_the_lines_that_follow() {
    let machine = Machine::alice();
    let run = machine.feed("import\nName = bob\nPort = 5\nexit\n", "");
    assert_eq!((run.code, run.err.as_str()), (0, "Imported 1 host configuration files.\n"));
    assert_eq!(machine.read("hosts/bob"), "Port = 5\nexit\n");
    let run = machine.feed("sign\nget Name\n", "");
    assert!(run.code == 0 && run.out.ends_with("\nget Name\n"), "{run:?}");
    let run = machine.feed(format!("verify .\n{}", run.out), "");
    assert_eq!((run.code, run.out.as_str()), (0, "get Name\n"));
}

#[test]
fn network_switches_to_another_one_whether_it_exists_or_not() {
    let machine = Machine::alice();
    let run = machine.feed("network no_such_net\nget Name\nnetwork ../x\nnetwork a$b\n", "");
    let missing = "Could not open configuration file /etc/tinc/no_such_net/tinc.conf: No such file or directory\n";
    let rest = "Invalid character in netname!\nWarning: unsafe character in netname!\n";
    assert_eq!((run.code, run.err), (1, format!("{missing}{rest}")));
    let run = machine.feed("network x\nnetwork .\npid\n", "");
    assert_eq!(run.err, "Could not open pid file /var/run/tinc.pid: No such file or directory\n");
}

#[test]
fn a_terminal_gets_a_prompt_with_editing_history_and_completion() {
    let machine = Machine::alice();
    let mut terminal = Terminal::run(machine.command());
    terminal.expect("tinc> ");
    terminal.enter("get Naxe\u{8}\u{8}me\r");
    terminal.expect("\nalice");
    terminal.expect("tinc> ");
    // Unknown commands are not remembered: the line before is the other one.
    terminal.enter("nonsense\r");
    terminal.expect("Unknown command `nonsense'.");
    terminal.expect("tinc> ");
    terminal.enter("\u{1b}[A\r");
    terminal.expect("\nalice");
    terminal.expect("tinc> ");
    terminal.enter("network vp\r");
    terminal.expect("tinc.vp> ");
    terminal.enter("netw\t.\r");
    terminal.expect("tinc> ");
    terminal.enter("\u{4}");
    let (code, rest) = terminal.end();
    assert_eq!(code, 1);
    assert!(rest.ends_with('\n'), "{rest:?}");
}
