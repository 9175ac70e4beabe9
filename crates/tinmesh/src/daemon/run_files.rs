//! The pid file and the control socket: claimed before anything else, removed at the end, and
//! never taken from a daemon that still runs (spec: configuration 1.1, 13 item 7).

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tinmesh_os::janitor::Janitor;
use tinmesh_os::process;
use zeroize::Zeroizing;

use crate::control::pid_file::PidFile;
use crate::daemon::opening::Opened;
use crate::paths::Paths;

/// Bytes of the cookie before they become hexadecimal digits.
const COOKIE: usize = 32;

/// The right to make the files: nobody listens on the socket.
pub struct RunFiles {
    pid_file: PathBuf,
    socket: PathBuf,
}

/// The files of this daemon.
pub struct Created {
    files: [OwnFile; 2],
    listener: UnixListener,
    cookie: Zeroizing<String>,
    waiting: RefCell<Vec<UnixStream>>,
}

/// Removes the files when it is dropped.
pub struct Guard {
    files: [OwnFile; 2],
    /// A process that kept its rights and removes the files when this one has ended.
    janitor: Option<Janitor>,
}

/// A file that we made: what the next daemon puts in its place is not ours to remove.
#[derive(Clone)]
struct OwnFile {
    path: PathBuf,
    identity: Identity,
}

/// Inode, and time of the last change of the content, because the numbers of inodes are used again.
type Identity = (u64, i64, i64);

fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.ino(), found.mtime(), found.mtime_nsec()))
}

impl OwnFile {
    fn at(path: PathBuf) -> io::Result<Self> {
        Ok(Self { identity: identity(&path)?, path })
    }

    fn remove(&self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            fs::remove_file(&self.path).ok();
        }
    }
}

impl RunFiles {
    /// Makes sure that no daemon uses these files.
    ///
    /// # Errors
    /// If one does.
    pub fn claim(paths: &Paths) -> Result<Self> {
        let socket = paths.socket.clone();
        if UnixStream::connect(&socket).is_ok() {
            bail!(
                "UNIX socket {} is still in use: another daemon of this network runs. Stop it first, or give this one \
                 another --pidfile",
                socket.display()
            );
        }
        Ok(Self { pid_file: paths.pid_file.clone(), socket })
    }

    /// Makes the files.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn create(self, opened: &Opened) -> Result<Created> {
        let mut random = Zeroizing::new([0; COOKIE]);
        process::random_bytes(random.as_mut()).context("Could not get randomness")?;
        let cookie: Zeroizing<String> = Zeroizing::new(random.iter().map(|byte| format!("{byte:02X}")).collect());
        remove(&self.socket)?;
        let old = process::umask(0o077);
        let bound = UnixListener::bind(&self.socket);
        process::umask(old);
        let listener = bound.with_context(|| format!("Could not make UNIX socket {}", self.socket.display()))?;
        let address = opened.first_address();
        let line = PidFile {
            pid: std::process::id(),
            cookie: cookie.clone(),
            host: address.ip().to_string(),
            port: address.port().to_string(),
        };
        let failure = format!("Could not write pid file {}", self.pid_file.display());
        let socket = OwnFile::at(self.socket)?;
        let pid_file = write_private(self.pid_file, &line).inspect_err(|_| socket.remove()).context(failure)?;
        Ok(Created { files: [pid_file, socket], listener, cookie, waiting: RefCell::default() })
    }
}

fn remove(path: &PathBuf) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(cause).with_context(|| format!("Could not remove stale {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes the pid file anew, whole or not at all.
fn write_private(path: PathBuf, line: &PidFile) -> Result<OwnFile> {
    remove(&path)?;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
    let text = Zeroizing::new(format!("{line}\n"));
    file.write_all(text.as_bytes()).inspect_err(|_| drop(fs::remove_file(&path)))?;
    Ok(OwnFile::at(path)?)
}

impl Created {
    /// Removes the files when the guard is dropped; with `leave_rights`, a janitor that keeps its rights
    /// does so after this process has ended, however it ends.
    ///
    /// # Errors
    /// If the janitor cannot be started.
    pub fn guard(&self, leave_rights: bool) -> Result<Guard> {
        let doomed = self.files.clone();
        let mut guard = Guard { files: self.files.clone(), janitor: None };
        guard.janitor = leave_rights
            .then(|| Janitor::start(move || doomed.iter().for_each(OwnFile::remove)))
            .transpose()
            .context("Could not start the process that cleans up")?;
        Ok(guard)
    }

    /// The listening control socket.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }

    /// Keeps clients until the files are gone: the end of their connection tells them that the daemon has finished.
    pub fn keep_waiting(&self, clients: Vec<UnixStream>) {
        self.waiting.borrow_mut().extend(clients);
    }

    /// What clients must know.
    pub fn cookie(&self) -> Zeroizing<String> {
        self.cookie.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.janitor.is_none() {
            self.files.iter().for_each(OwnFile::remove);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_next_daemon_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let [old, path] = ["old", "pid"].map(|name| dir.path().join(name));
        let line = PidFile { pid: 7, cookie: Zeroizing::new("AB".to_owned()), host: "h".into(), port: "655".into() };
        let first = write_private(path.clone(), &line).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::rename(&path, &old).unwrap();
        let second = write_private(path.clone(), &line).unwrap();

        first.remove();
        assert!(path.exists());

        second.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_link_in_the_place_of_the_pid_file_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let [target, path] = ["target", "pid"].map(|name| dir.path().join(name));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let line = PidFile { pid: 7, cookie: Zeroizing::new("AB".to_owned()), host: "h".into(), port: "655".into() };

        write_private(path.clone(), &line).unwrap();

        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }
}
