//! A terminal with somebody in front of it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How long the program may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program on a terminal.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    seen: String,
}

impl Terminal {
    /// Starts a program on a new terminal: all three standard streams.
    pub(crate) fn run(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        command.env("TERM", "xterm");
        let child = command.spawn().unwrap();
        // Its copies of the terminal would keep it open.
        drop(command);
        Self { child, master: master.into(), seen: String::new() }
    }

    /// Waits for a text; what was shown before it is forgotten.
    pub(crate) fn expect(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(index) = self.seen.find(text) {
                self.seen.drain(..index + text.len());
                return;
            }
            assert!(self.read_some(end), "{text:?} was not shown, but: {:?}", self.seen);
        }
    }

    /// Types a text.
    pub(crate) fn enter(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for a question and answers it.
    pub(crate) fn answer(&mut self, question: &str, answer: &str) {
        self.expect(question);
        self.enter(&format!("{answer}\n"));
    }

    /// Waits for the end; gives the exit code, and what was shown since the last text that was waited for.
    pub(crate) fn end(mut self) -> (i32, String) {
        let end = Instant::now() + PATIENCE;
        while self.read_some(end) {}
        assert!(Instant::now() < end, "the program goes on; it showed {:?}", self.seen);
        (self.child.wait().unwrap().code().unwrap(), std::mem::take(&mut self.seen).replace("\r\n", "\n"))
    }

    /// Reads what is there; `false` at the end, or when it takes too long.
    fn read_some(&mut self, end: Instant) -> bool {
        let left = end.saturating_duration_since(Instant::now());
        let mut waiting = [PollFd::new(&self.master, PollFlags::IN)];
        if poll(&mut waiting, Some(&left.try_into().unwrap())).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        // A terminal that nobody holds any more gives an error.
        let count = self.master.read(&mut bytes).unwrap_or(0);
        self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
