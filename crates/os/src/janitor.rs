//! `Janitor`: a small process that keeps its rights and cleans up after this one has ended.
//!
//! A daemon that has become another user cannot remove its files from `/run` any more. The janitor
//! waits on a pipe whose other end only the daemon holds; when that closes, however the daemon
//! ended, it cleans up and ends too.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::signals::Signal;

/// The end of the pipe whose closing starts the clean-up.
#[derive(Debug)]
pub struct Janitor {
    _pipe: OwnedFd,
}

impl Janitor {
    /// Starts the process. Call it before any thread is started; `clean` runs in the new process.
    ///
    /// # Errors
    /// If the system has no more processes or descriptors, or if there are threads already.
    pub fn start(clean: impl FnOnce()) -> io::Result<Self> {
        if std::fs::read_dir("/proc/self/task")?.count() > 1 {
            return Err(io::Error::other("a janitor must be started before threads are"));
        }
        let (waiting, held) = pipe_with(PipeFlags::CLOEXEC)?;
        // SAFETY: this process has one thread, so the child finds no lock held by another.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(held);
                wait_and_clean(waiting, clean);
            }
            _ => Ok(Self { _pipe: held }),
        }
    }
}

/// Ignores the signals that are meant for the daemon.
pub(crate) fn ignore_signals() {
    for signal in Signal::ALL {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(signal.number(), libc::SIG_IGN) };
    }
}

fn wait_and_clean(waiting: OwnedFd, clean: impl FnOnce()) -> ! {
    ignore_signals();
    close_all_but(waiting.as_raw_fd());
    // Whatever ends the wait, the other process is gone or will never say more.
    io::copy(&mut std::fs::File::from(waiting), &mut io::sink()).ok();
    clean();
    // SAFETY: ends the process without running what the parent registered to run at exit.
    unsafe { libc::_exit(0) }
}

/// Closes every descriptor behind the standard streams but `kept`: sockets and devices belong to the daemon.
pub(crate) fn close_all_but(kept: i32) {
    let first = libc::STDERR_FILENO + 1;
    for (from, to) in [(first, kept - 1), (kept + 1, i32::MAX)] {
        if from <= to {
            // SAFETY: nothing in this process uses these descriptors any more; the call touches no memory.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
    }
}
