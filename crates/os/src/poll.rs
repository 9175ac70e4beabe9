//! Waiting: [`Poller`] says which descriptors are ready (level-triggered epoll), [`Waker`] wakes it from another
//! thread.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

#[cfg(test)]
mod tests;

/// Events taken per wait; more are reported by the next one.
const EVENTS: usize = 64;

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
    /// Reading will not block; also set at end of file, hang-up and error, so that reading tells which.
    pub readable: bool,
    /// Writing will not block; also set on hang-up and error.
    pub writable: bool,
    /// Both directions are closed, or the descriptor is in error.
    pub hangup: bool,
}

/// Waits for many descriptors at once.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// Makes one that waits for nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Begins to wait for a descriptor; its events carry `token`.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token), flags(interest))?)
    }

    /// Changes what is waited for.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(token), flags(interest))?)
    }

    /// Stops waiting for a descriptor. Do so before closing it, if it has copies elsewhere.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something is ready or `timeout` (`None`: for ever) is over, and replaces the content of `events`.
    /// It never returns before the time without an event, except when a signal interrupts it.
    pub fn wait(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(whole_millis(timeout)).ok());
        let mut space = [MaybeUninit::<epoll::Event>::uninit(); EVENTS];
        match epoll::wait(&self.epoll, &mut space[..], timeout.as_ref()) {
            Ok((ready, _)) => events.extend(ready.iter().map(|event| event_of(*event))),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Rounded up, because the kernel may count in milliseconds: waking too early would make the caller spin.
fn whole_millis(timeout: Duration) -> Duration {
    Duration::from_millis(u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

fn flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN | EventFlags::RDHUP, interest.readable);
    flags.set(EventFlags::OUT, interest.writable);
    flags
}

fn event_of(event: epoll::Event) -> Event {
    let flags = event.flags;
    let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
    Event {
        token: event.data.u64(),
        readable: broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
        writable: broken || flags.contains(EventFlags::OUT),
        hangup: broken,
    }
}

/// Makes a [`Poller`] wake up. Clones wake the same one.
#[derive(Clone, Debug)]
pub struct Waker {
    counter: Arc<OwnedFd>,
}

impl Waker {
    /// Makes a waker; add it to the poller for reading.
    pub fn new() -> io::Result<Self> {
        Ok(Self { counter: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?) })
    }

    /// Makes the descriptor readable until [`Waker::drain`].
    pub fn wake(&self) {
        // The only failure is a full counter, which is readable already.
        let _full = rustix::io::write(&*self.counter, &1_u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable; `true` if somebody had called [`Waker::wake`].
    pub fn drain(&self) -> bool {
        let mut count = [0; 8];
        rustix::io::read(&*self.counter, &mut count).is_ok()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}
