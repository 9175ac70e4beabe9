//! B.2: `get`, `set`, `add`, `del`, row by row.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::machine::Machine;

const CONF: &str =
    "# c\nName = alice\nConnectTo = bob\nconnectto=carol\nMode = hub\n  Foo = 1\nMode = switch\nPort = 77";

fn machine() -> Machine {
    let machine = Machine::alice();
    machine.write("tinc.conf", CONF);
    machine.write("hosts/alice", "Subnet = 10.0.0.0/8\nPort = 99\n");
    machine.write("hosts/bob", "Address = b 1\nAddress = c\n");
    machine
}

/// What a file says after a command that must succeed.
fn after(words: &str, file: &str) -> String {
    let machine = machine();
    machine.success(words);
    machine.read(file)
}

#[test]
fn the_words_after_the_action_are_one_line() {
    for words in ["set Mode=router", "set Mode = router", "set Mode router", "set mODE   router"] {
        assert_eq!(
            after(words, "tinc.conf"),
            CONF.replace("hub\n", "router\n").replace("Mode = switch\n", "") + "\n",
            "{words}"
        );
    }
    assert!(after("set Device a b=c d", "tinc.conf").ends_with("\nDevice = a b=c d\n"));
}

#[test]
fn config_is_a_hidden_synonym() {
    let expected = after("set Mode hub", "tinc.conf");
    for words in ["config set Mode hub", "config replace Mode hub", "config change Mode hub", "get Mode hub"] {
        assert_eq!(after(words, "tinc.conf"), expected, "{words}");
    }
    let machine = machine();
    assert_eq!(machine.success("config Mode"), "hub\nswitch\n");
    assert_eq!(machine.success("config get Mode"), "hub\nswitch\n");
    assert_eq!(machine.failure("config"), "Invalid number of arguments.\n");
}

#[test]
fn a_line_is_cut_at_4095_characters() {
    let machine = machine();
    machine.success(&format!("set Device {}", "x".repeat(5000)));
    let conf = machine.read("tinc.conf");
    assert_eq!(conf.lines().last().unwrap().len(), "Device = ".len() + 4095 - "Device ".len());
}

#[test]
fn what_makes_no_sense_is_refused_in_tincs_words() {
    let machine = machine();
    let use_force = "Use --force to use it anyway.\n";
    for (words, error) in [
        ("get", "Invalid number of arguments.\n".to_owned()),
        ("get .", "No variable given.\n".to_owned()),
        ("del alice.", "No variable given.\n".to_owned()),
        ("set Mode", "No value for variable given.\n".to_owned()),
        ("add Mode", "No value for variable given.\n".to_owned()),
        ("set Subnet zz", "Malformed subnet definition zz\n".to_owned()),
        ("add Subnet 10.0.0.1/8", "Network address and prefix length do not match: 10.0.0.1/8\n".to_owned()),
        ("set GraphDumpFile x", format!("GraphDumpFile is an obsolete variable! {use_force}")),
        ("set alice.Mode hub", format!("Mode is not a host configuration variable! {use_force}")),
        ("set a-b.Port 1", "Invalid name for node.\n".to_owned()),
        ("set Nonsense 1", format!("Nonsense: is not a known configuration variable! {use_force}")),
        (
            "set zed.Port 1",
            "Could not open configuration file DIR/net/hosts/zed: No such file or directory\n".to_owned(),
        ),
        ("get Device", "No matching configuration variables found.\n".to_owned()),
        ("del Device", "No configuration variables deleted.\n".to_owned()),
        ("del ConnectTo dave", "No configuration variables deleted.\n".to_owned()),
    ] {
        assert_eq!(machine.failure(words), error, "{words}");
    }
    assert_eq!(machine.read("tinc.conf"), CONF);
    assert!(!machine.path("hosts/zed").exists());
}

#[test]
fn force_makes_warnings_of_refusals() {
    for (words, warning, file, line) in [
        ("set GraphDumpFile x", "GraphDumpFile is an obsolete variable!", "tinc.conf", "GraphDumpFile = x"),
        ("set alice.Mode hub", "Mode is not a host configuration variable!", "hosts/alice", "Mode = hub"),
        ("set Nonsense 1", "Nonsense is not a known configuration variable!", "tinc.conf", "Nonsense = 1"),
    ] {
        let machine = machine();
        let run = machine.run(&format!("--force {words}"));
        assert_eq!((run.code, run.err), (0, format!("Warning: {warning}\n")), "{words}");
        assert_eq!(machine.read(file).lines().last(), Some(line));
    }
    let run = machine().run("get Nonsense");
    let warned =
        "Warning: Nonsense is not a known configuration variable!\nNo matching configuration variables found.\n";
    assert_eq!((run.code, run.err.as_str()), (1, warned));
}

#[test]
fn a_variable_goes_to_the_file_where_it_belongs() {
    for (words, file, line) in [
        ("set Device x", "tinc.conf", "Device = x"),
        ("set Weight 5", "hosts/alice", "Weight = 5"),
        ("set Compression 3", "tinc.conf", "Compression = 3"),
        ("set alice.Compression 3", "hosts/alice", "Compression = 3"),
        ("set bob.Port 4", "hosts/bob", "Port = 4"),
        ("--force set Nonsense 1", "tinc.conf", "Nonsense = 1"),
    ] {
        assert_eq!(after(words, file).lines().last(), Some(line), "{words}");
    }
    let machine = machine();
    fs::create_dir(machine.path("conf.d")).unwrap();
    machine.write("conf.d/a.conf", "Device = x\n");
    assert_eq!(machine.failure("get Device"), "No matching configuration variables found.\n");
}

#[test]
fn get_prints_every_value_in_the_order_of_the_file() {
    let machine = machine();
    assert_eq!(machine.success("get connectto"), "bob\ncarol\n");
    assert_eq!(machine.success("get bob.address"), "b 1\nc\n");
    // An indented line sets nothing.
    assert_eq!(machine.run("get Foo").out, "");
}

#[test]
fn set_replaces_the_first_and_warns_only_of_lost_values_of_what_may_be_many() {
    let machine = machine();
    let run = machine.run("set ConnectTo BOB");
    assert_eq!((run.code, run.err.as_str()), (0, "Warning: removing ConnectTo = carol\n"));
    assert_eq!(machine.read("tinc.conf"), CONF.replace("bob\nconnectto=carol\n", "BOB\n") + "\n");
    assert_eq!(machine.run("set Mode router").err, "");
}

#[test]
fn add_is_a_set_for_what_may_be_there_once_and_does_nothing_for_what_is_there() {
    assert_eq!(machine().run("add Mode router").err, "Warning: removing Mode = hub\nWarning: removing Mode = switch\n");
    assert_eq!(after("add ConnectTo carol", "tinc.conf"), format!("{CONF}\n"));
    assert_eq!(after("add connectto dave", "tinc.conf"), format!("{CONF}\nConnectTo = dave\n"));
    assert_eq!(after("add bob.Address C", "hosts/bob"), "Address = b 1\nAddress = c\n");
    // Names of nodes differ by case; tinc would do nothing here.
    assert_eq!(after("add ConnectTo BOB", "tinc.conf"), format!("{CONF}\nConnectTo = BOB\n"));
}

#[test]
fn del_removes_one_value_or_all() {
    assert_eq!(after("del ConnectTo CAROL", "tinc.conf"), CONF.replace("connectto=carol\n", "") + "\n");
    let none = CONF.replace("ConnectTo = bob\nconnectto=carol\n", "") + "\n";
    assert_eq!(after("del connectto", "tinc.conf"), none);
}

#[test]
fn a_file_that_is_written_anew_keeps_its_mode_and_owner_and_stays_where_a_link_points() {
    let machine = machine();
    machine.chmod("tinc.conf", 0o640);
    let owner =
        |machine: &Machine| fs::metadata(machine.path("tinc.conf")).map(|file| (file.uid(), file.gid())).unwrap();
    let before = owner(&machine);
    fs::rename(machine.path("tinc.conf"), machine.outside("real")).unwrap();
    symlink(machine.outside("real"), machine.path("tinc.conf")).unwrap();
    machine.success("set Device x");
    assert_eq!((machine.mode("tinc.conf"), owner(&machine)), (0o640, before));
    assert!(machine.path("tinc.conf").is_symlink());
    assert!(fs::read_to_string(machine.outside("real")).unwrap().ends_with("Device = x\n"));
    assert_eq!(
        fs::read_dir(machine.path(""))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp") })
            .count(),
        0
    );
}

#[test]
fn changes_at_the_same_time_are_not_lost() {
    let machine = machine();
    let mut children = Vec::new();
    for number in 0..12 {
        let mut command = machine.command();
        children.push(command.args(["add", "ConnectTo", &format!("n{number}")]).spawn().unwrap());
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(machine.success("get ConnectTo").lines().count(), 14);
}

#[test]
fn a_setting_behind_a_block_without_end_is_refused_with_the_line() {
    let machine = machine();
    machine.write("hosts/bob", "Port = 1\n-----BEGIN RSA PUBLIC KEY-----\nabc\n");
    let error = machine.failure("set bob.Port 2");
    assert!(error.starts_with("The block that begins on line 2 of DIR/net/hosts/bob has no end"), "{error}");
    assert_eq!(machine.success("get bob.Port"), "1\n");
}
