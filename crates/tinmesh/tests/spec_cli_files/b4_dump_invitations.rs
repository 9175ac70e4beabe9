//! B.4: `dump invitations`, the one dump that needs no daemon.

use std::fs;

use crate::machine::Machine;

const FILE: &str = "Sln72-lio51ObVAEC5He8kAj";

fn machine() -> Machine {
    let machine = Machine::alice();
    fs::create_dir(machine.path("invitations")).unwrap();
    machine
}

#[test]
fn without_any_it_says_so_and_succeeds() {
    for machine in [Machine::alice(), machine()] {
        for words in ["dump invitations", "list INVITATIONS"] {
            let run = machine.run(words);
            assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "", "No outstanding invitations.\n"));
        }
    }
}

#[test]
fn each_file_whose_name_can_be_one_is_listed_with_the_invited_node() {
    let machine = machine();
    machine.write(&format!("invitations/{FILE}"), "Name = bob\nConnectTo = alice\n");
    machine.write(&format!("invitations/{}.used", FILE.replace('S', "T")), "name=carol\n");
    machine.write("invitations/ed25519_key.priv", "");
    machine.write("invitations/notes", "Name = x\n");
    let expected = format!("{FILE} bob\n{}.used carol\n", FILE.replace('S', "T"));
    assert_eq!(machine.success("dump invitations"), expected);
}

#[test]
fn a_file_that_does_not_begin_with_a_name_is_told() {
    let machine = machine();
    machine.write(&format!("invitations/{FILE}"), "ConnectTo = alice\n");
    let run = machine.run("dump invitations");
    let told = format!("Invalid invitation file DIR/net/invitations/{FILE}\nNo outstanding invitations.\n");
    assert_eq!((run.code, run.out.as_str(), run.err), (0, "", told));
}

#[test]
fn more_words_are_refused() {
    assert!(machine().failure("dump invitations x").starts_with("Invalid number of arguments.\nTry "));
}
