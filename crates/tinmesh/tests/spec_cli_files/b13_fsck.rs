//! B.13: `fsck`, check by check, with every fix.

use std::fs;

use crate::machine::Machine;
use crate::terminal::Terminal;

/// A machine with a node of which nothing is wrong.
fn sound() -> Machine {
    let machine = Machine::alice();
    assert_eq!(check(&machine, "fsck"), (0, String::new()));
    machine
}

fn check(machine: &Machine, words: &str) -> (i32, String) {
    let run = machine.run(words);
    assert_eq!(run.out, "");
    (run.code, run.err)
}

#[test]
fn a_new_node_is_without_fault() {
    let machine = sound();
    assert_eq!(machine.failure("fsck x"), "Too many arguments!\n");
}

#[test]
fn without_a_main_file_it_says_how_to_make_one() {
    let machine = Machine::bare();
    let expected = "ERROR: cannot read DIR/net/tinc.conf: No such file or directory\nNo tinc configuration found. Create a \
                    new one with:\n\nDIR/tinc -c DIR/net init\n";
    assert_eq!(machine.failure("fsck"), expected);
    let mut command = std::process::Command::new(machine.outside("tinc"));
    command.args(["-n", "no_such_net", "fsck"]);
    let run = machine.finish(command, "");
    assert!(run.err.ends_with("\n\nDIR/tinc -n no_such_net init\n"), "{run:?}");
}

#[test]
fn nothing_is_checked_without_a_valid_name() {
    let machine = sound();
    let end = "ERROR: tinc cannot run without a valid Name.\n";
    machine.write("tinc.conf", "Mode = hub\nFoo = 1\n");
    assert_eq!(machine.failure("fsck"), format!("Could not find Name in DIR/net/tinc.conf.\n{end}"));
    machine.write("tinc.conf", "Name = a-b\n");
    assert_eq!(machine.failure("fsck"), format!("Invalid name for myself!\n{end}"));
}

#[test]
fn files_that_do_not_parse_are_a_failure_and_keys_are_not_looked_at() {
    let machine = sound();
    fs::remove_file(machine.path("ed25519_key.priv")).unwrap();
    machine.write("tinc.conf", "Name = alice\nFoo\n");
    let message = |file: &str, line| {
        format!("ERROR: No value for variable `Foo' on line {line} while reading config file DIR/net/{file}\n")
    };
    assert_eq!(check(&machine, "fsck"), (1, message("tinc.conf", 2)));
    machine.write("tinc.conf", "Name = alice\n");
    fs::create_dir(machine.path("conf.d")).unwrap();
    machine.write("conf.d/x.conf", "Foo");
    machine.write("conf.d/y.con", "Foo");
    assert_eq!(check(&machine, "fsck"), (1, message("conf.d/x.conf", 1)));
    fs::remove_file(machine.path("conf.d/x.conf")).unwrap();
    machine.write("hosts/alice", "\nFoo =\n");
    assert_eq!(check(&machine, "fsck"), (1, message("hosts/alice", 2)));
    machine.write("hosts/alice", "Port = 1\n-----BEGIN X-----\nPort = 2\n");
    let unclosed =
        "ERROR: the block that begins on line 2 of DIR/net/hosts/alice has no end: what follows is ignored.\n";
    assert_eq!(check(&machine, "fsck"), (1, unclosed.to_owned()));
}

#[test]
fn a_host_file_of_another_node_that_does_not_parse_is_told_and_skipped() {
    let machine = sound();
    machine.write("hosts/bob", "Foo\nGraphDumpFile = x\n");
    let expected = "ERROR: No value for variable `Foo' on line 1 while reading config file DIR/net/hosts/bob\n";
    assert_eq!(check(&machine, "fsck"), (0, expected.to_owned()));
}

#[test]
fn a_node_without_any_private_key_cannot_run() {
    let machine = sound();
    fs::remove_file(machine.path("ed25519_key.priv")).unwrap();
    let (code, text) = check(&machine, "fsck");
    assert_eq!(code, 1);
    let expected = "ERROR: Neither RSA or Ed25519 private key found.\nYou can generate new keys with:\n\nDIR/tinc -c DIR/net \
                    generate-keys\n";
    assert_eq!(text, expected);
}

#[test]
fn a_private_key_that_is_none_is_a_failure() {
    let machine = sound();
    machine.write("ed25519_key.priv", "junk\n");
    let (code, text) = check(&machine, "fsck");
    assert_eq!(code, 1);
    let expected = "ERROR: No key or unusable key found in DIR/net/ed25519_key.priv.\nYou can generate a new Ed25519 key \
                    with:\n\nDIR/tinc -c DIR/net generate-ed25519-keys\n";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn a_private_key_that_others_may_read_is_told_and_mended() {
    let machine = sound();
    machine.chmod("ed25519_key.priv", 0o644);
    let warning = "WARNING: unsafe file permissions on DIR/net/ed25519_key.priv.\n";
    assert_eq!(check(&machine, "fsck"), (0, warning.to_owned()));
    assert_eq!(machine.mode("ed25519_key.priv"), 0o644);
    let fixed = format!("{warning}Fixed permissions of DIR/net/ed25519_key.priv.\n");
    assert_eq!(check(&machine, "--force fsck"), (0, fixed));
    assert_eq!(machine.mode("ed25519_key.priv"), 0o600);
}

#[test]
fn a_key_file_that_the_configuration_names_is_the_one_that_is_checked() {
    let machine = sound();
    fs::rename(machine.path("ed25519_key.priv"), machine.path("mine")).unwrap();
    machine.write("tinc.conf", "Name = alice\nEd25519PrivateKeyFile = mine\n");
    assert_eq!(check(&machine, "fsck"), (0, String::new()));
}

#[test]
fn a_missing_public_key_is_told_and_written() {
    let machine = sound();
    fs::remove_file(machine.path("hosts/alice")).unwrap();
    let warnings = "WARNING: cannot read DIR/net/hosts/alice\nWARNING: No (usable) public Ed25519 key found.\n";
    assert_eq!(check(&machine, "fsck"), (0, warnings.to_owned()));
    let fixed = format!("{warnings}Wrote Ed25519 public key to DIR/net/hosts/alice.\n");
    assert_eq!(check(&machine, "--force fsck"), (0, fixed));
    assert!(machine.read("hosts/alice").starts_with("-----BEGIN ED25519 PUBLIC KEY-----\n"));
    assert_eq!(check(&machine, "fsck"), (0, String::new()));
}

#[test]
fn keys_that_do_not_match_are_told_and_mended() {
    let machine = sound();
    let other = Machine::alice();
    machine.write("hosts/alice", &format!("Port = 1\n{}", other.read("hosts/alice")));
    let error = "ERROR: public and private Ed25519 keys do not match.\n";
    // A status of 0 is what tinc gives.
    assert_eq!(check(&machine, "fsck"), (0, error.to_owned()));
    let fixed =
        format!("{error}Warning: old key(s) found and disabled.\nWrote Ed25519 public key to DIR/net/hosts/alice.\n");
    assert_eq!(check(&machine, "--force fsck"), (0, fixed));
    assert!(machine.read("hosts/alice").starts_with("Port = 1\n#Ed25519PublicKey = "));
    assert_eq!(check(&machine, "fsck"), (0, String::new()));
}

#[test]
fn rsa_keys_are_checked_like_the_others_but_need_not_exist() {
    let machine = sound();
    machine.success("generate-rsa-keys 1024");
    assert_eq!(check(&machine, "fsck"), (0, String::new()));
    let (private, host) = (machine.read("rsa_key.priv"), machine.read("hosts/alice"));

    machine.write("hosts/alice", &host[..host.find("-----BEGIN").unwrap()]);
    let warning = "WARNING: No (usable) public RSA key found.\n";
    assert_eq!(check(&machine, "fsck"), (0, warning.to_owned()));
    let fixed = format!("{warning}Wrote RSA public key to DIR/net/hosts/alice.\n");
    assert_eq!(check(&machine, "--force fsck"), (0, fixed));
    assert_eq!(machine.read("hosts/alice"), host);

    fs::remove_file(machine.path("rsa_key.priv")).unwrap();
    let warning = "WARNING: A public RSA key was found but no private key is known.\n";
    assert_eq!(check(&machine, "fsck"), (0, warning.to_owned()));

    machine.write("rsa_key.priv", "junk\n");
    machine.chmod("rsa_key.priv", 0o600);
    let (code, text) = check(&machine, "fsck");
    let expected = "ERROR: No key or unusable key found in DIR/net/rsa_key.priv.\nYou can generate a new RSA key with:\n\n\
                    DIR/tinc -c DIR/net generate-rsa-keys\n";
    assert!(code == 1 && text.starts_with(expected), "{text}");

    machine.write("rsa_key.priv", &private);
    fs::remove_file(machine.path("ed25519_key.priv")).unwrap();
    assert_eq!(check(&machine, "fsck").0, 0, "one kind of key is enough");
}

#[test]
fn rsa_keys_that_do_not_match_are_told_and_mended() {
    let machine = sound();
    machine.success("generate-rsa-keys 1024");
    let other = machine.read("hosts/alice");
    fs::remove_file(machine.path("rsa_key.priv")).unwrap();
    machine.success("generate-rsa-keys 1024");
    machine.write("hosts/alice", &other);
    let error = "ERROR: public and private RSA keys do not match.\n";
    assert_eq!(check(&machine, "fsck"), (0, error.to_owned()));
    let fixed =
        format!("{error}Warning: old key(s) found and disabled.\nWrote RSA public key to DIR/net/hosts/alice.\n");
    assert_eq!(check(&machine, "--force fsck"), (0, fixed));
    assert_eq!(check(&machine, "fsck"), (0, String::new()));

    fs::remove_file(machine.path("rsa_key.priv")).unwrap();
    machine.success("generate-rsa-keys 1032");
    machine.write("hosts/alice", &other);
    let error = "ERROR: public and private RSA key lengths do not match.\n";
    assert_eq!(check(&machine, "--force fsck"), (1, error.to_owned()));
}

#[test]
fn scripts_with_other_names_are_told_once_explained() {
    let machine = sound();
    for name in ["bar-down", "foo-up", "tinc-x", "notes", "invitation-created"] {
        machine.write(name, "");
    }
    let expected = "WARNING: Unknown script DIR/net/bar-down found.\nThe only scripts in DIR/net executed by tinc are:\n\
                    tinc-up, tinc-down, host-up, host-down, subnet-up and subnet-down.\nWARNING: Unknown script \
                    DIR/net/foo-up found.\n";
    assert_eq!(check(&machine, "fsck"), (0, expected.to_owned()));
}

#[test]
fn scripts_that_cannot_be_run_are_told_and_mended_in_silence() {
    let machine = sound();
    for name in ["host-up", "subnet-down", "hosts/bob-up", "hosts/x-down"] {
        machine.write(name, "");
        machine.chmod(name, 0o644);
    }
    let warning = |name| format!("WARNING: cannot read and execute DIR/net/{name}: Permission denied\n");
    let expected: String = ["host-up", "subnet-down", "hosts/bob-up", "hosts/x-down"].map(warning).concat();
    assert_eq!(check(&machine, "fsck"), (0, expected.clone()));
    assert_eq!(check(&machine, "--force fsck"), (0, expected));
    assert_eq!(check(&machine, "fsck"), (0, String::new()));
    assert_eq!(machine.mode("hosts/bob-up"), 0o755);
}

#[test]
fn variables_that_are_unknown_obsolete_misplaced_or_repeated_are_told() {
    let machine = sound();
    machine.write(
        "tinc.conf",
        "Name = alice\nFoo = 1\nGraphDumpFile = x\nMode = router\nSubnet = 10.0.0.0/8\nConnectTo = b\nConnectTo = c\n",
    );
    fs::create_dir(machine.path("conf.d")).unwrap();
    machine.write("conf.d/x.conf", "mode = hub\n");
    machine.write("hosts/bob", "DeviceType = tun\nPort = 1\nPort = 2\nPublicKey = AB\nBar = 1\n Port = 3\n");
    machine.write("hosts/bob.old", "Foo\n");
    let expected = "WARNING: unknown variable Foo in DIR/net/tinc.conf line 2\n\
                    WARNING: obsolete variable GraphDumpFile in DIR/net/tinc.conf line 3\n\
                    WARNING: host variable Subnet found in server config DIR/net/tinc.conf line 5 \n\
                    WARNING: multiple instances of variable Mode in tinc.conf\n\
                    WARNING: server variable DeviceType found in host config DIR/net/hosts/bob line 1 \n\
                    WARNING: obsolete variable PublicKey in DIR/net/hosts/bob line 4\n\
                    WARNING: unknown variable Bar in DIR/net/hosts/bob line 5\n\
                    WARNING: the line begins with a blank and is ignored: DIR/net/hosts/bob line 6\n\
                    WARNING: multiple instances of variable Port in bob\n";
    assert_eq!(check(&machine, "fsck"), (0, expected.to_owned()));
}

#[test]
fn a_variable_that_is_misspelt_is_guessed() {
    let machine = sound();
    machine.write("tinc.conf", "Name = alice\nConectTo = b\n");
    let expected = "WARNING: unknown variable ConectTo in DIR/net/tinc.conf line 2\nDid you mean ConnectTo?\n";
    assert_eq!(check(&machine, "fsck"), (0, expected.to_owned()));
}

#[test]
fn directories_that_cannot_be_read_are_a_failure() {
    let machine = sound();
    fs::remove_dir_all(machine.path("hosts")).unwrap();
    let (code, text) = check(&machine, "fsck");
    assert_eq!(code, 1);
    assert!(text.contains("Could not read directory DIR/net/hosts: No such file or directory\n"), "{text}");
}

#[test]
fn on_a_terminal_each_fix_is_asked_for_until_the_answer_is_clear() {
    let machine = sound();
    for name in ["host-down", "host-up"] {
        machine.write(name, "");
        machine.chmod(name, 0o600);
    }
    let mut command = machine.command();
    command.arg("fsck");
    let mut terminal = Terminal::run(command);
    terminal.expect("host-down: Permission denied");
    terminal.answer("Fix y/n? ", "what");
    terminal.answer("Fix y/n? ", "n");
    terminal.expect("host-up: Permission denied");
    terminal.answer("Fix y/n? ", "Y");
    assert_eq!(terminal.end().0, 0);
    assert_eq!((machine.mode("host-down"), machine.mode("host-up")), (0o600, 0o755));
}
