//! The process itself: detaching, privileges, limits; and other processes by number.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::path::Path;

use crate::signals::Signal;

/// Which side of [`detach`] this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the parent has to exit"]
pub enum Detached {
    /// The process that was started; it should exit with 0 at once, and without cleaning up.
    Parent,
    /// The process that goes on in the background.
    Child,
}

/// Goes to the background: a child in a session of its own, whose standard streams are `/dev/null`. Refused once the
/// process has more than one thread.
pub fn detach() -> io::Result<Detached> {
    todo!()
}

/// A user of the system, looked up while the user database can be read (before [`chroot`]).
#[derive(Clone, Debug)]
pub struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl User {
    /// Looks up a user by name; `NotFound` if there is none.
    pub fn find(name: &str) -> io::Result<Self> {
        todo!()
    }
}

/// Becomes `user` with its groups, for good and in all threads.
pub fn drop_privileges(user: &User) -> io::Result<()> {
    todo!()
}

/// Makes `dir` the root directory and the current directory.
pub fn chroot(dir: &Path) -> io::Result<()> {
    todo!()
}

/// Keeps all present and future memory of the process out of swap.
pub fn lock_memory() -> io::Result<()> {
    todo!()
}

/// Sets the nice value of the process, -20 (favoured) to 19.
pub fn set_priority(nice: i32) -> io::Result<()> {
    todo!()
}

/// Sets the permission bits that new files do not get; returns the former ones.
pub fn umask(mask: u32) -> u32 {
    todo!()
}

/// Sends a signal to a process.
pub fn send_signal(pid: i32, signal: Signal) -> io::Result<()> {
    todo!()
}

/// Whether there is a process with this number.
pub fn process_exists(pid: i32) -> bool {
    todo!()
}

/// Whether this process has an open descriptor of this number.
pub fn fd_is_open(fd: RawFd) -> bool {
    todo!()
}

/// The name of this machine.
pub fn hostname() -> OsString {
    todo!()
}

/// Whether this process is root.
pub fn is_root() -> bool {
    todo!()
}

/// Fills `bytes` with randomness of the kernel; waits at boot until there is some.
pub fn random_bytes(bytes: &mut [u8]) -> io::Result<()> {
    todo!()
}

/// Forbids core dumps and tracing by other processes of the same user: the memory holds keys.
pub fn forbid_dumps() -> io::Result<()> {
    todo!()
}
