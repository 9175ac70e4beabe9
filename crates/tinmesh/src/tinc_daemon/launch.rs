//! Starting the daemon, and knowing whether it got ready: the umbilical (spec: cli B.6, configuration 11).
//!
//! The daemon inherits the writing end of a pipe. What it logs until it is ready comes through it, then one zero byte.

use std::io::{self, BufRead as _, BufReader, IsTerminal as _, PipeReader, Read as _, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context as _, Result, bail};

/// Most bytes that a daemon may say before it is ready.
const MAX_TALK: u64 = 1024 * 1024;

/// A daemon that is to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    /// How messages name it.
    shown: PathBuf,
    words: Vec<String>,
}

impl Launch {
    /// This very program, as the daemon, with these options.
    ///
    /// # Errors
    /// If the system does not tell where this program is.
    pub fn own(words: Vec<String>) -> Result<Self> {
        let program = std::env::current_exe().context("Could not find out where this program is")?;
        Ok(Self { shown: program.clone(), program, words })
    }

    /// The `tincd` that lies beside `tinc`, or the first on the search path if `tinc` was called without a directory;
    /// where there is none, this very program.
    ///
    /// # Errors
    /// If the system does not tell where this program is.
    pub fn beside(tinc: &str, words: Vec<String>) -> Result<Self> {
        let shown = match tinc.rsplit_once('/') {
            Some((dir, _)) => PathBuf::from(format!("{dir}/tincd")),
            None => PathBuf::from("tincd"),
        };
        let search = std::env::var_os("PATH").unwrap_or_default();
        let found = match shown.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            Some(_) => shown.exists(),
            None => std::env::split_paths(&search).any(|dir| dir.join(&shown).exists()),
        };
        let own = Self::own(words)?;
        let program = if found { shown.clone() } else { own.program };
        Ok(Self { program, shown, words: own.words })
    }

    /// How it is called, without an umbilical.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg0("tincd").args(&self.words);
        command
    }

    /// Starts it and waits until it is ready (in the foreground: until it ends). Its messages are copied to `talk`.
    ///
    /// # Errors
    /// If it could not be started, or ended before it was ready.
    pub fn run(&self, talk: &mut dyn Write) -> Result<()> {
        let failure = || format!("Error starting {}", self.shown.display());
        let (reader, mut child) = self.spawn().with_context(failure)?;
        let ready = copy_talk(reader, talk).with_context(failure)?;
        let status = child.wait().with_context(failure)?;
        if !ready || !status.success() {
            bail!(failure());
        }
        Ok(())
    }

    fn spawn(&self) -> io::Result<(PipeReader, Child)> {
        let (reader, writer) = io::pipe()?;
        tinmesh_os::child::inherit(&writer)?;
        let colour = u8::from(io::stderr().is_terminal());
        let mut command = self.command();
        command.env("TINC_UMBILICAL", format!("{} {colour}", writer.as_raw_fd()));
        Ok((reader, command.spawn()?))
    }
}

/// Copies what comes through the umbilical, and tells whether its last byte was the zero byte.
fn copy_talk(reader: PipeReader, talk: &mut dyn Write) -> io::Result<bool> {
    let mut reader = BufReader::new(reader.take(MAX_TALK));
    let mut ready = false;
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(ready);
        }
        ready = line.last() == Some(&0);
        line.retain(|byte| *byte != 0);
        talk.write_all(&line)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script as the daemon. It writes to `/dev/fd`, as some shells only know descriptors of one digit.
    fn launch(script: &str) -> (Result<()>, String) {
        let words = vec!["-c".to_owned(), script.to_owned()];
        let mut talk = Vec::new();
        let outcome = Launch { program: "/bin/sh".into(), shown: "/bin/sh".into(), words }.run(&mut talk);
        (outcome, String::from_utf8(talk).unwrap())
    }

    #[test]
    fn a_daemon_is_ready_when_it_sends_the_zero_byte() {
        let (outcome, talk) = launch("set -- $TINC_UMBILICAL; printf 'starting\\nReady\\n\\0' >/dev/fd/$1");
        outcome.unwrap();
        assert_eq!(talk, "starting\nReady\n");
    }

    #[test]
    fn a_daemon_that_ends_before_it_is_ready_is_an_error() {
        let (outcome, talk) = launch("set -- $TINC_UMBILICAL; printf 'Terminating\\n' >/dev/fd/$1");
        assert_eq!(outcome.unwrap_err().to_string(), "Error starting /bin/sh");
        assert_eq!(talk, "Terminating\n");
    }

    #[test]
    fn a_daemon_that_fails_after_it_was_ready_is_an_error() {
        assert!(launch("set -- $TINC_UMBILICAL; printf '\\0' >/dev/fd/$1; exit 1").0.is_err());
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error() {
        let program = PathBuf::from("/nonexistent/tincd");
        let launch = Launch { shown: program.clone(), program, words: Vec::new() };
        let error = launch.run(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "Error starting /nonexistent/tincd");
    }
}
