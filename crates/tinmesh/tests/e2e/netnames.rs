//! Networks by name, below `/etc/tinc`: here a directory of the test, in a mount namespace.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::inviter::{Until, serve};
use crate::terminal::Terminal;

/// A machine whose `/etc` is a directory of the test.
struct Etc(TempDir);

impl Etc {
    fn new() -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tinmesh"), etc.0.path().join("tinc")).unwrap();
        fs::create_dir_all(etc.path("tinc")).unwrap();
        etc
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join("etc").join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        let script = "mount --bind \"$0\" /etc && exec \"$@\"";
        command.args(["--mount", "sh", "-c", script]).arg(self.path("")).arg(self.0.path().join("tinc")).args(words);
        command.env_remove("NETNAME");
        command
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn join(&self, options: &[&str], file: &str) -> (Option<i32>, String, String) {
        let serving = serve(file, Until::Accepted);
        let run = self.run(&[options, &["join", &serving.url]].concat());
        serving.joiners_key();
        run
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn networks_are_listed_by_their_main_files() {
    let etc = Etc::new();
    assert_eq!(etc.run(&["network"]), (Some(0), String::new(), String::new()));
    for net in ["office", "home"] {
        assert_eq!(etc.run(&["-n", net, "init", "alice"]).0, Some(0));
    }
    fs::create_dir(etc.path("tinc/empty")).unwrap();
    fs::write(etc.path("tinc/tinc.conf"), "Name = x\n").unwrap();
    assert_eq!(etc.run(&["network"]).1, ".\nhome\noffice\n");
    fs::remove_dir_all(etc.path("tinc")).unwrap();
    let (code, _, told) = etc.run(&["network"]);
    assert_eq!((code, told.as_str()), (Some(1), "Could not read directory /etc/tinc: No such file or directory\n"));
}

#[test]
fn an_invitation_brings_its_netname_unless_that_is_in_use_or_dangerous() {
    let etc = Etc::new();
    let file = "Name = bob\nNetName = vpn\nConnectTo = alpha\n";
    let (code, _, told) = etc.join(&[], file);
    assert!(code == Some(0) && told.contains("Configuration stored in: /etc/tinc/vpn\n"), "{told}");
    let (code, _, told) = etc.join(&[], file);
    assert!(code == Some(0) && told.contains("Configuration stored in: /etc/tinc/join_"), "{told}");
    let both = names(&etc.path("tinc"));
    assert!(both.len() == 2 && both[0].starts_with("join_") && both[0].len() == 13 && both[1] == "vpn", "{both:?}");
    assert!(etc.path("tinc").join(&both[0]).join("ed25519_key.priv").exists());

    let (code, _, told) = etc.run(&["-n", "vpn", "join", "x"]);
    assert_eq!((code, told.as_str()), (Some(1), "Configuration file /etc/tinc/vpn/tinc.conf already exists!\n"));
    let (code, _, told) = etc.join(&["-n", "mine"], file);
    assert!(code == Some(0) && told.contains("Configuration stored in: /etc/tinc/mine\n"), "{told}");
    for netname in ["../x", "a b", ".x", "$HOME"] {
        let (code, _, told) = etc.join(&[], &format!("Name = bob\nNetName = {netname}\n"));
        assert!(code == Some(1) && told.contains("Unsafe NetName found in invitation!\n"), "{netname}: {told}");
    }
}

#[test]
fn on_a_terminal_a_netname_in_use_is_replaced_by_one_that_is_asked_for() {
    let etc = Etc::new();
    let file = "Name = bob\nNetName = vpn\n";
    assert_eq!(etc.join(&[], file).0, Some(0));
    let serving = serve(file, Until::Accepted);
    let mut terminal = Terminal::run(etc.command(&["join", &serving.url]));
    terminal.answer("Enter a new netname: ", "../x");
    terminal.expect("Invalid character in netname!");
    terminal.answer("Enter a new netname: ", "vpn");
    terminal.expect("already exists!");
    terminal.answer("Enter a new netname: ", "second");
    terminal.expect("Configuration stored in: /etc/tinc/second");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(names(&etc.path("tinc")), ["second", "vpn"]);
}
