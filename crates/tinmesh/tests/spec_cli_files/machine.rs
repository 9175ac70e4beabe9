//! A machine with a directory for one instance, and the program under the name `tinc`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory that is removed in the end.
pub(crate) struct Machine {
    dir: TempDir,
}

/// What a run printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    /// A machine without configuration.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        symlink(env!("CARGO_BIN_EXE_tinmesh"), dir.path().join("tinc")).unwrap();
        Self { dir }
    }

    /// A machine with a node called `alice`, on the usual port: `init` chooses another one while a test beside this one
    /// holds port 655.
    pub(crate) fn alice() -> Self {
        let machine = Self::bare();
        assert_eq!(machine.run("init alice").code, 0);
        let host = machine.read("hosts/alice");
        let usual: String = host.split_inclusive('\n').filter(|line| !line.starts_with("Port = ")).collect();
        machine.write("hosts/alice", &usual);
        machine
    }

    /// The path of a file of the instance.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("net").join(name)
    }

    /// The path of a file outside the instance.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes a file that can be run, outside the instance; gives its path.
    pub(crate) fn program(&self, name: &str, text: &str) -> String {
        let path = self.outside(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().mode() & 0o7777
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// `tinc` for this instance.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.dir.path().join("tinc"));
        command
            .arg("-c")
            .arg(self.dir.path().join("net"))
            .arg(format!("--pidfile={}", self.dir.path().join("pid").display()));
        command.current_dir(self.dir.path()).env_remove("NETNAME").env_remove("VISUAL").env_remove("EDITOR");
        command
    }

    /// Runs a command with its words separated by blanks.
    pub(crate) fn run(&self, words: &str) -> Run {
        self.feed("", words)
    }

    /// The same, with an input.
    pub(crate) fn feed(&self, input: impl AsRef<[u8]>, words: &str) -> Run {
        let mut command = self.command();
        command.args(words.split_ascii_whitespace());
        self.finish(command, input)
    }

    /// Runs what is prepared.
    pub(crate) fn finish(&self, mut command: Command, input: impl AsRef<[u8]>) -> Run {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_ref()).ok();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(self.dir.path().to_str().unwrap(), "DIR");
        Run { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The output of a run that must succeed.
    pub(crate) fn success(&self, words: &str) -> String {
        let run = self.run(words);
        assert_eq!(run.code, 0, "{words}: {run:?}");
        run.out
    }

    /// The message of a run that must fail.
    pub(crate) fn failure(&self, words: &str) -> String {
        let run = self.run(words);
        assert!(run.code == 1 && run.out.is_empty(), "{words}: {run:?}");
        run.err
    }
}
