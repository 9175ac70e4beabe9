//! The process itself: detaching, privileges, limits; and other processes by number.

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Pid};
use rustix::rand::GetRandomFlags;

use crate::signals::Signal;

/// More groups than a user can sensibly be in.
const MAX_GROUPS: usize = 1_024;

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
/// process has more than one thread, because the others would be missing in the child, with whatever they held.
pub fn detach() -> io::Result<Detached> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "only a process with one thread can detach"));
    }
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    // SAFETY: there is one thread, so the child is a whole copy of this process.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => return Ok(Detached::Parent),
    }
    rustix::process::setsid()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(Detached::Child)
}

/// Whether this process has one thread. Behind a [`chroot`] that cannot be told, and is taken for true.
pub(crate) fn has_one_thread() -> bool {
    std::fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}

/// A user of the system, looked up while the user database can be read (before [`chroot`]).
#[derive(Clone, Debug)]
pub struct User {
    uid: libc::uid_t,
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
}

impl User {
    /// Looks up a user by name; `NotFound` if there is none.
    pub fn find(name: &str) -> io::Result<Self> {
        let name = CString::new(name)?;
        let (uid, gid) = ids_of(&name)?;
        Ok(Self { uid, gid, groups: groups_of(&name, gid)? })
    }
}

fn ids_of(name: &CStr) -> io::Result<(libc::uid_t, libc::gid_t)> {
    let mut strings = [0; 16_384];
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are to live objects, and the length is that of `strings`.
    let error = unsafe {
        libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), strings.as_mut_ptr(), strings.len(), &raw mut found)
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    if found.is_null() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no such user"));
    }
    // SAFETY: `found` is not null, so the entry is filled in.
    let entry = unsafe { entry.assume_init() };
    Ok((entry.pw_uid, entry.pw_gid))
}

fn groups_of(name: &CStr, gid: libc::gid_t) -> io::Result<Vec<libc::gid_t>> {
    let mut groups = vec![0; MAX_GROUPS];
    let mut count = libc::c_int::try_from(groups.len()).expect("MAX_GROUPS is small");
    // SAFETY: `count` is the number of places in `groups`; the call writes no more than that.
    if unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) } < 0 {
        return Err(io::Error::other("the user is in too many groups"));
    }
    groups.truncate(usize::try_from(count).unwrap_or(0));
    Ok(groups)
}

/// Becomes `user` with its groups, for good and in all threads.
pub fn drop_privileges(user: &User) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of one vector. The C library changes all threads, which the bare
    // system calls do not.
    check(unsafe { libc::setgroups(user.groups.len(), user.groups.as_ptr()) })?;
    // SAFETY: no memory is involved.
    check(unsafe { libc::setgid(user.gid) })?;
    // SAFETY: no memory is involved.
    check(unsafe { libc::setuid(user.uid) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes `dir` the root directory and the current directory.
pub fn chroot(dir: &Path) -> io::Result<()> {
    rustix::process::chroot(dir)?;
    Ok(rustix::process::chdir("/")?)
}

/// Keeps all present and future memory of the process out of swap.
pub fn lock_memory() -> io::Result<()> {
    Ok(rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)?)
}

/// Sets the nice value of the process, -20 (favoured) to 19.
pub fn set_priority(nice: i32) -> io::Result<()> {
    // On Linux each thread has its own nice value.
    for task in std::fs::read_dir("/proc/self/task")? {
        let thread = task?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        rustix::process::setpriority_process(thread, nice)?;
    }
    Ok(())
}

/// Sets the permission bits that new files do not get; returns the former ones.
pub fn umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask)).as_raw_mode()
}

/// Sends a signal to a process.
pub fn send_signal(pid: i32, signal: Signal) -> io::Result<()> {
    let pid = positive(pid).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: no memory is involved; a positive number is one process, not a group.
    check(unsafe { libc::kill(pid.as_raw_pid(), signal.number()) })
}

/// Whether there is a process with this number.
pub fn process_exists(pid: i32) -> bool {
    // Another user's process may not be signalled, but it exists.
    positive(pid).is_some_and(|pid| matches!(rustix::process::test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}

fn positive(pid: i32) -> Option<Pid> {
    if pid > 0 { Pid::from_raw(pid) } else { None }
}

/// Whether this process has an open descriptor of this number.
pub fn fd_is_open(fd: RawFd) -> bool {
    descriptor_flags(fd).is_ok()
}

/// Takes over a descriptor that the process was started with, by its number. Standard streams are refused, and so is
/// one that is closed on exec: all that this program opens are, so nobody else can own what remains.
pub fn adopt_fd(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= libc::STDERR_FILENO || descriptor_flags(fd)? & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a descriptor that the process was started with"));
    }
    // SAFETY: no memory is involved.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, and by the above nobody owns it; from now on this function refuses it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes a variable out of the environment, so that no program that this one starts sees it. Once the process has more
/// than one thread it is only read.
pub fn take_variable(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    if has_one_thread() {
        // SAFETY: nobody else reads the environment, as this is the only thread.
        unsafe { std::env::remove_var(name) };
    }
    Some(value)
}

fn descriptor_flags(fd: RawFd) -> io::Result<i32> {
    // SAFETY: no memory is involved; a number that is not open is an error.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    check(flags)?;
    Ok(flags)
}

/// The name of this machine.
pub fn hostname() -> OsString {
    OsString::from_vec(rustix::system::uname().nodename().to_bytes().to_vec())
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fills `bytes` with randomness of the kernel; waits at boot until there is some.
pub fn random_bytes(bytes: &mut [u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let filled = rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut *rest, GetRandomFlags::empty()))?;
        rest = rest.get_mut(filled..).unwrap_or_default();
    }
    Ok(())
}

/// Forbids core dumps and tracing by other processes of the same user: the memory holds keys.
pub fn forbid_dumps() -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
