//! Commands of `tinc` that work on files, by running the program (spec: cli B).
#![expect(clippy::unwrap_used, reason = "what helps tests may fail like them")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A machine with a directory for one instance, and the program under the name `tinc`.
struct Machine {
    dir: TempDir,
}

/// What a run printed, and whether it succeeded.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    ok: bool,
    out: String,
    err: String,
}

impl Machine {
    /// A machine without configuration.
    fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        symlink(env!("CARGO_BIN_EXE_tinmesh"), dir.path().join("tinc")).unwrap();
        Self { dir }
    }

    /// A machine with a node called `alice`.
    fn alice() -> Self {
        let machine = Self::bare();
        assert!(machine.run("init alice").ok);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("net").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, words: &str) -> Run {
        self.run_with("", words)
    }

    fn run_with(&self, input: &str, words: &str) -> Run {
        let mut child = Command::new(self.dir.path().join("tinc"))
            .args(["-b", "-c"])
            .arg(self.path(""))
            .arg(format!("--pidfile={}", self.dir.path().join("pid").display()))
            .args(words.split_ascii_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(self.dir.path().to_str().unwrap(), "DIR");
        Run { ok: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The text of a run that must fail.
    fn failure(&self, words: &str) -> String {
        let run = self.run(words);
        assert!(!run.ok && run.out.is_empty(), "{words}: {run:?}");
        run.err
    }

    /// The output of a run that must succeed.
    fn success(&self, words: &str) -> String {
        let run = self.run(words);
        assert!(run.ok, "{words}: {run:?}");
        run.out
    }
}

/// Bits of a file's mode.
fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn init_makes_a_configuration() {
    let machine = Machine::bare();

    let run = machine.run("init alice");

    assert!(run.ok && run.out.is_empty(), "{run:?}");
    assert!(run.err.starts_with("Generating Ed25519 key pair:\nDone.\n"), "{}", run.err);
    assert_eq!(machine.read("tinc.conf"), "Name = alice\n");
    let host = machine.read("hosts/alice");
    let key = host.lines().find_map(|line| line.strip_prefix("Ed25519PublicKey = ")).unwrap();
    assert_eq!(key.len(), 43);
    assert_eq!(mode(machine.path("ed25519_key.priv")), 0o600);
    assert_eq!(mode(machine.path("tinc-up")) & 0o700, 0o700);
    assert!(machine.path("cache").is_dir());
}

#[test]
fn init_refuses_what_it_must() {
    let machine = Machine::bare();
    assert_eq!(machine.failure("init"), "No Name given!\n");
    assert_eq!(machine.failure("init a b"), "Too many arguments!\n");
    let error = "Invalid Name! Only a-z, A-Z, 0-9 and _ are allowed characters.\n";
    assert_eq!(machine.failure("init a-b"), error);
    assert!(!machine.path("").exists());
    machine.success("init alice");
    assert_eq!(machine.failure("init alice"), "Configuration file DIR/net/tinc.conf already exists!\n");
}

#[test]
fn a_directory_that_cannot_be_made_is_a_failure() {
    let machine = Machine::bare();
    let run =
        Command::new(machine.dir.path().join("tinc")).args(["-c", "/nonexistent/a/b", "init", "x"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    let error = String::from_utf8(run.stderr).unwrap();
    assert_eq!(error, "Could not create directory /nonexistent/a/b: No such file or directory\n");
}

#[test]
fn variables_are_set_read_and_deleted_in_the_file_where_they_belong() {
    let machine = Machine::alice();
    machine.write("tinc.conf", "# mine\nName = alice\n");
    machine.success("set mode = Router");
    machine.success("add ConnectTo bob");
    machine.success("add ConnectTo carol");
    machine.success("add subnet 10.1.0.0/16");
    assert_eq!(machine.read("tinc.conf"), "# mine\nName = alice\nMode = Router\nConnectTo = bob\nConnectTo = carol\n");
    assert!(machine.read("hosts/alice").ends_with("Subnet = 10.1.0.0/16\n"));
    assert_eq!(machine.success("get connectto"), "bob\ncarol\n");
    assert_eq!(machine.success("config ConnectTo"), "bob\ncarol\n");
    machine.success("del ConnectTo bob");
    assert_eq!(machine.success("get alice.Subnet"), "10.1.0.0/16\n");
    machine.success("config replace Mode hub");
    machine.success("get Mode switch");
    assert_eq!(machine.read("tinc.conf"), "# mine\nName = alice\nMode = switch\nConnectTo = carol\n");
}

#[test]
fn values_that_are_replaced_are_told() {
    let machine = Machine::alice();
    machine.write("tinc.conf", "Name = alice\nConnectTo = a\nMode = hub\nConnectTo = b\n");
    assert_eq!(machine.run("set ConnectTo a").err, "Warning: removing ConnectTo = b\n");
    assert_eq!(machine.run("add Mode router").err, "Warning: removing Mode = hub\n");
    assert_eq!(machine.run("set Mode switch").err, "");
}

#[test]
fn mistakes_are_refused_in_tincs_words() {
    let machine = Machine::alice();
    for (words, error) in [
        ("get", "Invalid number of arguments.\n"),
        ("get .", "No variable given.\n"),
        ("get alice.", "No variable given.\n"),
        ("set Mode", "No value for variable given.\n"),
        ("get Mode", "No matching configuration variables found.\n"),
        ("del Mode", "No configuration variables deleted.\n"),
        ("add Subnet nonsense", "Malformed subnet definition nonsense\n"),
        ("add Subnet 10.0.0.1/8", "Network address and prefix length do not match: 10.0.0.1/8\n"),
        ("set GraphDumpFile x", "GraphDumpFile is an obsolete variable! Use --force to use it anyway.\n"),
        ("set alice.Mode hub", "Mode is not a host configuration variable! Use --force to use it anyway.\n"),
        ("set a-b.Port 1", "Invalid name for node.\n"),
        ("set Foo 1", "Foo: is not a known configuration variable! Use --force to use it anyway.\n"),
        (
            "set Conectto b",
            "Conectto: is not a known configuration variable! Use --force to use it anyway.\nDid you mean ConnectTo?\n",
        ),
        ("get bob.Port", "Could not open configuration file DIR/net/hosts/bob: No such file or directory\n"),
        ("export x", "Too many arguments!\n"),
        ("frobnicate", "Unknown command `frobnicate'.\nTry `DIR/tinc --help' for more information.\n"),
    ] {
        assert_eq!(machine.failure(words), error, "{words}");
    }
    assert_eq!(machine.read("tinc.conf"), "Name = alice\n");
}

#[test]
fn force_overrides_refusals() {
    let machine = Machine::alice();
    let run = machine.run("--force set Foo 1");
    assert_eq!((run.ok, run.err.as_str()), (true, "Warning: Foo is not a known configuration variable!\n"));
    let run = machine.run("--force set alice.Mode hub");
    assert_eq!((run.ok, run.err.as_str()), (true, "Warning: Mode is not a host configuration variable!\n"));
    assert_eq!(machine.read("tinc.conf"), "Name = alice\nFoo = 1\n");
    assert!(machine.read("hosts/alice").ends_with("Mode = hub\n"));
}

#[test]
fn an_edited_file_keeps_its_mode() {
    let machine = Machine::alice();
    fs::set_permissions(machine.path("tinc.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    machine.success("set Mode router");
    assert_eq!(mode(machine.path("tinc.conf")), 0o600);
    assert!(!machine.path("tinc.conf.config.tmp").exists());
}

#[test]
fn the_configured_port_is_told_when_no_daemon_runs() {
    let machine = Machine::alice();
    machine.success("set Port 1234");
    let run = machine.run("get Port");
    assert_eq!((run.out.as_str(), run.err.as_str()), ("1234\n", "Could not get port from the pidfile.\n"));
}

#[test]
fn a_new_key_replaces_the_old_one_which_stays_as_a_comment() {
    let machine = Machine::alice();
    let before = machine.read("hosts/alice");

    let run = machine.run("generate-ed25519-keys");

    let warning = "Warning: old key(s) found and disabled.\n";
    assert_eq!((run.ok, run.err), (true, format!("Generating Ed25519 key pair:\nDone.\n{warning}{warning}")));
    let after = machine.read("hosts/alice");
    assert!(after.starts_with(&format!("#{before}")), "{after}");
    assert_eq!(after.matches("\nEd25519PublicKey = ").count(), 1);
    assert_eq!(machine.read("ed25519_key.priv").matches("#-----BEGIN ED25519 PRIVATE KEY-----").count(), 1);
    assert_eq!(mode(machine.path("ed25519_key.priv")), 0o600);
    assert_eq!(machine.failure("generate-ed25519-keys 2048"), "Too many arguments!\n");
}

#[test]
fn exported_hosts_are_imported_elsewhere() {
    let (alice, bob) = (Machine::alice(), Machine::bare());
    bob.success("init bob");
    alice.success("add Subnet 10.1.0.0/16");
    alice.write("hosts/zoe", "Name = zoe\nPort = 1\n");

    let exported = alice.success("export");
    assert_eq!(exported, format!("Name = alice\n{}", alice.read("hosts/alice")));
    let all = alice.success("export-all");
    let separator = format!("#{}#", "-".repeat(63));
    assert_eq!(all, format!("{exported}\n{separator}\nName = zoe\nPort = 1\n"));

    let run = bob.run_with(&all, "import");
    assert_eq!((run.ok, run.err.as_str()), (true, "Imported 2 host configuration files.\n"));
    assert_eq!(bob.read("hosts/alice"), format!("{}\n", alice.read("hosts/alice")));
    assert_eq!(bob.read("hosts/zoe"), "Port = 1\n");
}

#[test]
fn imports_are_checked() {
    let machine = Machine::alice();
    let run = machine.run_with("junk\nmore\nName = alice\nPort = 1\nName=bob\nPort = 2\n", "import");
    let expected = "Junk at the beginning of the input, ignoring.\nHost configuration file DIR/net/hosts/alice already \
                    exists, skipping.\nImported 1 host configuration files.\n";
    assert_eq!((run.ok, run.err.as_str()), (true, expected));
    assert_eq!(machine.read("hosts/bob"), "Port = 2\n");
    assert!(machine.read("hosts/alice").contains("Ed25519PublicKey"));

    let run = machine.run_with("Name = ../evil\nPort = 1\n", "import");
    assert_eq!((run.ok, run.err.as_str()), (false, "Invalid Name in input!\n"));
    let run = machine.run_with("name = x\n", "import");
    let expected = "Junk at the beginning of the input, ignoring.\nNo host configuration files imported.\n";
    assert_eq!((run.ok, run.err.as_str()), (false, expected));
    let run = machine.run_with("Name = alice\nPort = 7\n", "--force import");
    assert!(run.ok);
    assert_eq!(machine.read("hosts/alice"), "Port = 7\n");
}

#[test]
fn an_exchange_prints_ours_and_takes_theirs() {
    let machine = Machine::alice();
    let run = machine.run_with("Name = bob\nPort = 2\n", "exchange");
    assert!(run.ok && run.out.starts_with("Name = alice\n"), "{run:?}");
    assert_eq!(machine.read("hosts/bob"), "Port = 2\n");
}

#[test]
fn an_invitation_is_made_listed_and_told_to_the_script() {
    let machine = Machine::alice();
    assert_eq!(machine.run("dump invitations").err, "No outstanding invitations.\n");
    machine.success("add alice.Address 192.0.2.7");
    machine.success("set Port 700");
    let seen = machine.dir.path().join("seen");
    machine.write("invitation-created", &format!("#!/bin/sh\necho $NAME $NODE $INVITATION_URL > {}\n", seen.display()));
    fs::set_permissions(machine.path("invitation-created"), fs::Permissions::from_mode(0o755)).unwrap();

    let run = machine.run("invite bob");

    assert!(run.ok, "{run:?}");
    let url = run.out.trim_end();
    assert!(url.starts_with("192.0.2.7:700/") && url.len() == "192.0.2.7:700/".len() + 48, "{url}");
    assert_eq!(run.err, "Could not signal the tinc daemon. Please restart or reload it manually.\n");
    assert_eq!(fs::read_to_string(seen).unwrap(), format!("alice bob {url}\n"));
    let list = machine.success("dump invitations");
    let (file, node) = list.trim_end().split_once(' ').unwrap();
    assert_eq!((file.len(), node), (24, "bob"));
    let text = machine.read(&format!("invitations/{file}"));
    assert!(text.starts_with("Name = bob\nConnectTo = alice\n#---"), "{text}");
    machine.write(&format!("invitations/{file}"), "nonsense\n");
    let run = machine.run("list invitations");
    let told = format!("Invalid invitation file DIR/net/invitations/{file}\nNo outstanding invitations.\n");
    assert_eq!((run.ok, run.err), (true, told));
}

#[test]
fn invitations_that_make_no_sense_are_refused() {
    let machine = Machine::alice();
    machine.write("hosts/carol", "");
    for (words, error) in [
        ("invite", "Not enough arguments!\n"),
        ("invite a b", "Too many arguments!\n"),
        ("invite a-b", "Invalid name for node.\n"),
        ("invite carol", "A host config file for carol already exists!\n"),
        ("invite alice", "A host config file for alice already exists!\n"),
    ] {
        assert_eq!(machine.failure(words), error, "{words}");
    }
    machine.success("add alice.Address 192.0.2.7");
    machine.success("set Port 0");
    assert!(machine.failure("invite bob").starts_with("tincd is using a dynamic port and is not running."));
    assert!(!machine.path("invitations").exists());
}

#[test]
fn a_damaged_url_is_refused_before_anything_is_done() {
    let machine = Machine::bare();
    for words in ["join nonsense", "join host/short"] {
        assert_eq!(machine.failure(words), "Invalid invitation URL.\n");
    }
    assert_eq!(machine.failure("join a b"), "Too many arguments!\n");
    assert!(!machine.path("").exists());
    let machine = Machine::alice();
    assert_eq!(machine.failure("join x"), "Configuration file DIR/net/tinc.conf already exists!\n");
}

#[test]
fn networks_are_judged_by_name() {
    let machine = Machine::bare();
    assert_eq!(machine.failure("network ../x"), "Invalid character in netname!\n");
    assert_eq!(machine.run("network a$b").err, "Warning: unsafe character in netname!\n");
    assert_eq!(machine.success("network vpn"), "");
}

#[test]
fn help_and_version_are_printed() {
    let machine = Machine::bare();
    assert!(machine.success("help").contains("Valid commands are:"));
    assert!(machine.success("help Subnet").starts_with("Subnet: "));
    for words in ["version", "--version"] {
        let text = machine.success(words);
        assert!(text.starts_with("tinc version ") && text.contains("protocol 17.7"), "{text}");
    }
}
