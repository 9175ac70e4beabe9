//! Waiting: [`Poller`] says which descriptors are ready (level-triggered epoll), [`Waker`] wakes it from another
//! thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// What to wait for. Hang-ups and errors are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// There is something to read.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
}

impl Interest {
    /// Nothing but hang-ups and errors.
    pub const NONE: Self = Self { readable: false, writable: false };
    /// Something to read.
    pub const READ: Self = Self { readable: true, writable: false };
    /// Room to write.
    pub const WRITE: Self = Self { readable: false, writable: true };
    /// Both.
    pub const BOTH: Self = Self { readable: true, writable: true };
}

/// A descriptor is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The token it was added with.
    pub token: u64,
    /// Reading will not block; also set on hang-up and error, so that reading tells which.
    pub readable: bool,
    /// Writing will not block; also set on error.
    pub writable: bool,
    /// The other end is gone, or the descriptor is in error.
    pub hangup: bool,
}

/// Waits for many descriptors at once.
#[derive(Debug)]
pub struct Poller {}

impl Poller {
    /// Makes one that waits for nothing yet.
    pub fn new() -> io::Result<Self> {
        todo!()
    }

    /// Begins to wait for a descriptor; its events carry `token`.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        todo!()
    }

    /// Changes what is waited for.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        todo!()
    }

    /// Stops waiting for a descriptor. Do so before closing it, if it has copies elsewhere.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        todo!()
    }

    /// Waits until something is ready or `timeout` (rounded up, `None`: for ever) is over, and replaces the content of
    /// `events`. An interruption by a signal counts as the end of the time.
    pub fn wait(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        todo!()
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        todo!()
    }
}

/// Makes a [`Poller`] wake up. Clones wake the same one.
#[derive(Clone, Debug)]
pub struct Waker {}

impl Waker {
    /// Makes a waker; add it to the poller for reading.
    pub fn new() -> io::Result<Self> {
        todo!()
    }

    /// Makes the descriptor readable until [`Waker::drain`].
    pub fn wake(&self) {
        todo!()
    }

    /// Makes the descriptor unreadable; `true` if somebody had called [`Waker::wake`].
    pub fn drain(&self) -> bool {
        todo!()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        todo!()
    }
}
