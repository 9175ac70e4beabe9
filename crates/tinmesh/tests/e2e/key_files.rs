//! Files that both programs read and write: keys, signatures, exported hosts; and one shell with a daemon behind it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::lab::mesh;
use crate::lab::topology::Segment;
use crate::lab::{Kind, Lab, tinc11};

/// A directory for one instance, on which both programs work.
struct Shared {
    dir: TempDir,
    ours: PathBuf,
}

impl Shared {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join("tinc");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tinmesh"), &ours).unwrap();
        Self { dir, ours }
    }

    fn run(&self, program: &Path, words: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(program);
        command.arg("-b").arg("-c").arg(self.dir.path().join("net")).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    fn success(&self, program: &Path, words: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(program, words, input);
        assert!(output.status.success(), "{words:?}: {output:?}");
        output.stdout
    }
}

#[test]
fn each_program_verifies_what_the_other_signed_with_a_key_of_either() {
    let theirs = tinc11("tinc");
    for maker in [0, 1] {
        let shared = Shared::new();
        let programs = [shared.ours.clone(), theirs.clone()];
        shared.success(&programs[maker], &["init", "alice"], b"");
        for content in [&b"content\n"[..], b"", b"\0\xff\n\r", b"Signature = x 1 y\n"] {
            for (signer, verifier) in [(0, 1), (1, 0)] {
                let signed = shared.success(&programs[signer], &["sign"], content);
                for node in ["alice", ".", "*"] {
                    assert_eq!(shared.success(&programs[verifier], &["verify", node], &signed), content);
                }
                let mut forged = signed.clone();
                forged.push(b'x');
                assert!(!shared.run(&programs[verifier], &["verify", "*"], &forged).status.success());
            }
        }
    }
}

#[test]
fn a_configuration_that_theirs_made_is_without_fault() {
    let shared = Shared::new();
    shared.success(&tinc11("tinc"), &["init", "alice"], b"");
    let output = shared.run(&shared.ours, &["fsck"], b"");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn theirs_finds_no_fault_with_keys_that_ours_made_or_mended() {
    let (shared, theirs) = (Shared::new(), tinc11("tinc"));
    shared.success(&shared.ours, &["init", "alice"], b"");
    shared.success(&shared.ours, &["generate-ed25519-keys"], b"");
    let host = shared.dir.path().join("net/hosts/alice");
    fs::write(&host, "Subnet = 10.0.0.0/8\n").unwrap();
    shared.success(&shared.ours, &["--force", "fsck"], b"");
    let output = shared.run(&theirs, &["fsck"], b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!told.contains("Ed25519"), "{told}");
    assert_eq!(shared.success(&theirs, &["verify", "."], &shared.success(&shared.ours, &["sign"], b"x")), b"x");
}

#[test]
fn each_program_imports_what_the_other_exports() {
    let theirs = tinc11("tinc");
    let (from, to) = (Shared::new(), Shared::new());
    from.success(&from.ours, &["init", "alice"], b"");
    fs::write(from.dir.path().join("net/hosts/bob"), "Port = 2\n\n# note\n").unwrap();
    for (exporter, importer) in [(&from.ours, &theirs), (&theirs, &to.ours)] {
        fs::remove_dir_all(to.dir.path().join("net")).ok();
        to.success(&to.ours, &["init", "carol"], b"");
        let exported = from.success(exporter, &["export-all"], b"");
        to.success(importer, &["import"], &exported);
        for name in ["alice", "bob"] {
            let read = |shared: &Shared| fs::read_to_string(shared.dir.path().join("net/hosts").join(name)).unwrap();
            assert_eq!(read(&to).trim_end(), read(&from).trim_end(), "{name}");
        }
    }
}

#[test]
fn a_shell_keeps_its_connection_and_makes_a_new_one_when_the_daemon_is_another() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let mut alice = mesh::node(&lab, 1, Kind::Ours, &wan.host("node", &["192.0.2.1/24"]));
    alice.start();
    let mut shell = alice.tinc_command(&[]);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    let mut output = std::io::BufReader::new(shell.stdout.take().unwrap());
    let mut ask = |line: &str| {
        writeln!(input, "{line}").unwrap();
        let mut answer = String::new();
        std::io::BufRead::read_line(&mut output, &mut answer).unwrap();
        answer.trim_end().to_owned()
    };
    assert_eq!(ask("pid"), alice.pid().to_string());
    assert_eq!(ask("dump connections"), ask("dump connections"), "it is the same connection");
    alice.stop();
    alice.start();
    assert_eq!(ask("pid"), alice.pid().to_string());
    drop(ask);
    drop(input);
    let result = shell.wait_with_output().unwrap();
    assert!(result.status.success());
    assert_eq!(String::from_utf8(result.stderr).unwrap(), "Previous connection to tincd lost, reconnecting.\n");
}

#[test]
fn what_was_edited_counts_at_once() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let mut alice = mesh::node(&lab, 1, Kind::Ours, &wan.host("node", &["192.0.2.1/24"]));
    alice.start();
    let edit = |editor: &str| {
        let mut command = alice.tinc_command(&["edit", "alice"]);
        command.env("VISUAL", editor).stdin(Stdio::null()).status().unwrap().success()
    };
    assert!(edit("sed -i '1i Subnet = 10.77.0.0/16'"));
    assert!(alice.tinc(&["dump", "subnets"]).contains("10.77.0.0/16 owner alice\n"));
    assert!(!edit("false"));
}
