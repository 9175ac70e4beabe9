//! Signals as something to read (`signalfd`), instead of handlers.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;

/// The signals that the program listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`.
    Terminate,
    /// `SIGINT`.
    Interrupt,
    /// `SIGQUIT`.
    Quit,
    /// `SIGHUP`.
    HangUp,
    /// `SIGALRM`.
    Alarm,
}

/// Pending signals of this process.
#[derive(Debug)]
pub struct Signals {}

impl Signals {
    /// Blocks the signals of [`Signal`] in this thread and all that it starts, and ignores `SIGPIPE`, `SIGUSR1`,
    /// `SIGUSR2` and `SIGWINCH`. Call before starting threads, and after [`detach`](crate::process::detach).
    pub fn block() -> io::Result<Self> {
        todo!()
    }

    /// The next pending signal, if there is one.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        todo!()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        todo!()
    }
}

/// Lets the program that `command` starts have its signals as usual: nothing blocked, nothing ignored.
pub fn restore_in(command: &mut Command) -> &mut Command {
    todo!()
}
