//! Signals as something to read (`signalfd`), instead of handlers.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;

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

impl Signal {
    pub(crate) const ALL: [Self; 5] = [Self::Terminate, Self::Interrupt, Self::Quit, Self::HangUp, Self::Alarm];

    /// The system's name for it, as shells print it.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Terminate => "Terminated",
            Self::Interrupt => "Interrupt",
            Self::Quit => "Quit",
            Self::HangUp => "Hangup",
            Self::Alarm => "Alarm clock",
        }
    }

    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::Terminate => libc::SIGTERM,
            Self::Interrupt => libc::SIGINT,
            Self::Quit => libc::SIGQUIT,
            Self::HangUp => libc::SIGHUP,
            Self::Alarm => libc::SIGALRM,
        }
    }
}

/// Signals that mean nothing to this program and would end it.
const IGNORED: [i32; 4] = [libc::SIGPIPE, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// Pending signals of this process.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks the signals of [`Signal`] in this thread and all that it starts, and ignores `SIGPIPE`, `SIGUSR1`,
    /// `SIGUSR2` and `SIGWINCH`. Call before starting threads, and after [`detach`](crate::process::detach).
    ///
    /// Signals that the starter ignored (`nohup`, a script's background job) come all the same.
    pub fn block() -> io::Result<Self> {
        for number in IGNORED {
            set_disposition(number, libc::SIG_IGN)?;
        }
        let set = set_of(&Signal::ALL.map(Signal::number));
        set_mask(libc::SIG_BLOCK, &set)?;
        for signal in Signal::ALL {
            // The kernel throws an ignored signal away, also a blocked one.
            set_disposition(signal.number(), libc::SIG_DFL)?;
        }
        // SAFETY: `set` is an initialised signal set; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The next pending signal, if there is one.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut record)) {
            Ok(_) => {}
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // The number is the first field, 32 bits wide.
        let [a, b, c, d, ..] = record;
        let number = i32::from_ne_bytes([a, b, c, d]);
        Ok(Signal::ALL.into_iter().find(|signal| signal.number() == number))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `SIGINT`, held back as something to read while the value lives.
#[derive(Debug)]
pub struct Interrupts {
    fd: OwnedFd,
    set: libc::sigset_t,
}

impl Interrupts {
    /// Holds `SIGINT` back in this thread.
    pub fn hold() -> io::Result<Self> {
        let set = set_of(&[libc::SIGINT]);
        set_mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: `set` is an initialised signal set; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, set })
    }

    /// Takes a signal that came, and says whether one did.
    pub fn take(&self) -> bool {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut record)).is_ok()
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // A signal that came too late for the reader shall not end the program either.
        self.take();
        set_mask(libc::SIG_UNBLOCK, &self.set).ok();
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Lets the program that `command` starts have its signals as usual: nothing blocked, nothing ignored.
pub fn restore_in(command: &mut Command) -> &mut Command {
    let nothing = set_of(&[]);
    let restore = move || {
        for number in IGNORED.into_iter().chain(Signal::ALL.map(Signal::number)) {
            set_disposition(number, libc::SIG_DFL)?;
        }
        set_mask(libc::SIG_SETMASK, &nothing)
    };
    // SAFETY: between fork and exec `restore` only makes system calls; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(restore) }
}

fn set_of(numbers: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set that it is given.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for number in numbers {
        // SAFETY: the set is initialised and ours.
        unsafe { libc::sigaddset(&raw mut set, *number) };
    }
    set
}

fn set_mask(how: i32, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is an initialised signal set; the former mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn set_disposition(number: i32, disposition: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: callers pass `SIG_IGN` or `SIG_DFL`, so no handler of ours ever runs.
    if unsafe { libc::signal(number, disposition) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The system's description of any signal, by number.
pub fn description(number: i32) -> String {
    // SAFETY: the result is a text of the C library's own, or null; it is copied before another call can change it.
    let text = unsafe {
        let text = libc::strsignal(number);
        if text.is_null() { None } else { Some(std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned()) }
    };
    text.unwrap_or_else(|| format!("Unknown signal {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_described_as_the_system_does() {
        for signal in Signal::ALL {
            assert_eq!(description(signal.number()), signal.description());
        }
        assert_eq!(description(9), "Killed");
    }
}
