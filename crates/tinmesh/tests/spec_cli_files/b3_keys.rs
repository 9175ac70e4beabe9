//! B.3: `generate-keys`, `generate-rsa-keys`, `generate-ed25519-keys`.

use crate::machine::Machine;
use crate::terminal::Terminal;

const RSA: &str = "WARNING: generating a weak 1024 bits RSA key! 2048 or more bits are recommended.\nGenerating 1024 bits \
                   keys:\nDone.\n";
const ED25519: &str = "Generating Ed25519 key pair:\nDone.\n";
const DISABLED: &str = "Warning: old key(s) found and disabled.\n";

#[test]
fn both_kinds_are_appended_and_old_ones_become_comments() {
    let machine = Machine::alice();
    machine.write("hosts/alice", &format!("Port = 1\n{}# end", machine.read("hosts/alice")));
    let run = machine.run("generate-keys 1024");
    assert_eq!((run.code, run.err), (0, format!("{RSA}{ED25519}{DISABLED}{DISABLED}")));
    let run = machine.run("generate-keys 1030");
    assert_eq!((run.code, run.err), (0, format!("{RSA}{DISABLED}{DISABLED}{ED25519}{DISABLED}{DISABLED}")));
    for (file, begin, count) in [
        ("rsa_key.priv", "-----BEGIN RSA PRIVATE KEY-----", 1),
        ("hosts/alice", "-----BEGIN RSA PUBLIC KEY-----", 1),
        ("hosts/alice", "Ed25519PublicKey = ", 2),
        ("ed25519_key.priv", "-----BEGIN ED25519 PRIVATE KEY-----", 2),
    ] {
        let text = machine.read(file);
        let commented = format!("#{begin}");
        assert_eq!(text.lines().filter(|line| line.starts_with(begin)).count(), 1, "{file}");
        assert_eq!(text.lines().filter(|line| line.starts_with(&commented)).count(), count, "{file}");
    }
    assert!(machine.read("hosts/alice").starts_with("Port = 1\n#Ed25519PublicKey"));
    assert_eq!((machine.mode("rsa_key.priv"), machine.mode("ed25519_key.priv")), (0o600, 0o600));
    assert_eq!(machine.run("fsck").err, "");
}

#[test]
fn sizes_have_bounds_and_are_rounded_down_to_whole_bytes() {
    let machine = Machine::alice();
    for (bits, told) in [("100", "96"), ("x", "0"), ("1023", "1016"), ("8200", "8200"), ("-5", "-8")] {
        let error = format!("Invalid key size {told} specified! It should be between 1024 and 8192 bits.\n");
        assert_eq!(machine.failure(&format!("generate-rsa-keys {bits}")), error);
        assert_eq!(machine.failure(&format!("generate-keys {bits}")), error);
    }
    assert_eq!(machine.failure("generate-rsa-keys 1 2"), "Too many arguments!\n");
    assert_eq!(machine.failure("generate-ed25519-keys 2"), "Too many arguments!\n");
    assert!(!machine.path("rsa_key.priv").exists());
}

#[test]
fn without_a_name_public_keys_have_files_of_their_own() {
    let machine = Machine::bare();
    std::fs::create_dir(machine.path("")).unwrap();
    machine.success("generate-keys 1024");
    assert!(machine.read("rsa_key.pub").starts_with("-----BEGIN RSA PUBLIC KEY-----\n"));
    assert!(machine.read("ed25519_key.pub").starts_with("Ed25519PublicKey = "));
}

#[test]
fn on_a_terminal_the_files_are_asked_for() {
    let machine = Machine::alice();
    let mut command = machine.command();
    command.args(["generate-keys", "1024"]);
    let mut terminal = Terminal::run(command);
    let net = machine.path("").to_str().unwrap().to_owned();
    for (question, file, answer) in [
        ("private RSA", "rsa_key.priv", "other.priv"),
        ("public RSA", "hosts/alice", ""),
        ("private Ed25519", "ed25519_key.priv", "ed.priv"),
        ("public Ed25519", "hosts/alice", "ed.pub"),
    ] {
        terminal.answer(&format!("Please enter a file to save {question} key to [{net}{file}]: "), answer);
    }
    assert_eq!(terminal.end().0, 0);
    // An answer is relative to the working directory.
    for file in ["other.priv", "ed.priv", "ed.pub"] {
        assert!(machine.outside(file).exists(), "{file}");
    }
    assert!(machine.read("hosts/alice").contains("\n-----BEGIN RSA PUBLIC KEY-----\n"));
}
