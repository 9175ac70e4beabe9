//! B.9: `export`, `import`, `exchange` and their forms for all nodes.

use std::process::Stdio;

use crate::machine::Machine;

const SEPARATOR: &str = "#---------------------------------------------------------------#";

#[test]
fn export_prints_the_own_host_file_with_one_name() {
    let machine = Machine::alice();
    machine.write("hosts/alice", "Port = 1\nName = x\nName=y\nnAme = z\n# a comment\nSubnet = 10.0.0.0/8");
    let expected = "Name = alice\nPort = 1\nnAme = z\n# a comment\nSubnet = 10.0.0.0/8\n";
    assert_eq!(machine.success("export"), expected);
    machine.write("hosts/bob", "Port = 2\n");
    machine.write("hosts/b-b", "Port = 3\n");
    assert_eq!(machine.success("export-all"), format!("{expected}\n{SEPARATOR}\nName = bob\nPort = 2\n"));
}

#[test]
fn what_cannot_be_exported_is_told() {
    let machine = Machine::bare();
    assert_eq!(machine.failure("export"), "Could not open DIR/net/tinc.conf: No such file or directory\n");
    assert_eq!(
        machine.failure("export-all"),
        "Could not open host configuration directory DIR/net/hosts: No such file or directory\n"
    );
    let machine = Machine::alice();
    std::fs::remove_file(machine.path("hosts/alice")).unwrap();
    let missing = "Could not open configuration file DIR/net/hosts/alice: No such file or directory\n";
    assert_eq!(machine.failure("export"), missing);
    assert_eq!(machine.failure("exchange"), missing);
}

#[test]
fn import_starts_a_file_at_each_name_and_drops_separators() {
    let machine = Machine::alice();
    let text = format!("Name = bob\nPort = 1\n{SEPARATOR}\nName=  carol  x\n\n# c\nname = x");
    let run = machine.feed(text, "import");
    assert_eq!((run.code, run.err.as_str()), (0, "Imported 2 host configuration files.\n"));
    assert_eq!(machine.read("hosts/bob"), "Port = 1\n");
    assert_eq!(machine.read("hosts/carol"), "\n# c\nname = x\n");
}

#[test]
fn junk_bad_names_and_existing_files_are_told() {
    let machine = Machine::alice();
    let import = |input: &str, words: &str| {
        let run = machine.feed(input, words);
        (run.code, run.err)
    };
    let junk = "Junk at the beginning of the input, ignoring.\n";
    let nothing = "No host configuration files imported.\n";
    assert_eq!(import("", "import"), (1, nothing.to_owned()));
    for input in ["a\nb\n", "name = bob\n", "Name bob\n", "NameX = bob\n", " Name = bob\n", "Name =\n"] {
        assert_eq!(import(input, "import"), (1, format!("{junk}{nothing}")), "{input:?}");
    }
    assert_eq!(import("Name = ../x\nPort = 1\nName = bob\n", "import"), (1, "Invalid Name in input!\n".to_owned()));
    let exists = "Host configuration file DIR/net/hosts/alice already exists, skipping.\n";
    assert_eq!(import("Name = alice\nPort = 1\n", "import"), (1, format!("{exists}{nothing}")));
    let one = "Imported 1 host configuration files.\n".to_owned();
    assert_eq!(import("Name = alice\nPort = 1\n", "--force import"), (0, one));
    assert_eq!(machine.read("hosts/alice"), "Port = 1\n");
}

#[test]
fn two_that_exchange_through_pipes_do_not_wait_for_each_other() {
    let (alice, bob) = (Machine::alice(), Machine::bare());
    bob.run("init bob");
    let (from_alice, to_bob) = std::io::pipe().unwrap();
    let (from_bob, to_alice) = std::io::pipe().unwrap();
    let start = |machine: &Machine, input, output| {
        let mut command = machine.command();
        command.arg("exchange").stdin::<Stdio>(input).stdout::<Stdio>(output).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut children = [start(&alice, from_bob.into(), to_bob.into()), start(&bob, from_alice.into(), to_alice.into())];
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(alice.read("hosts/bob"), bob.read("hosts/bob"));
    assert_eq!(alice.read("hosts/alice"), bob.read("hosts/alice"));
}

#[test]
fn exchange_all_prints_everything_and_takes_everything() {
    let machine = Machine::alice();
    machine.write("hosts/bob", "Port = 2\n");
    let all = machine.success("export-all");
    let run = machine.feed("Name = carol\nPort = 3\n", "exchange-all");
    assert_eq!((run.code, run.out), (0, all));
    assert_eq!(machine.read("hosts/carol"), "Port = 3\n");
}
