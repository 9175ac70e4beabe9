//! The pid file and the control socket: claimed before anything else, removed at the end, and
//! never taken from a daemon that still runs (spec: configuration 1.1, 13 item 7).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

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
    pid_file: PathBuf,
    socket: PathBuf,
    listener: UnixListener,
    cookie: Zeroizing<String>,
}

/// Removes the files when it is dropped.
pub struct Guard {
    paths: [PathBuf; 2],
    /// A process that kept its rights and removes the files when this one has ended.
    janitor: Option<Janitor>,
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
        remove(&self.pid_file)?;
        write_private(&self.pid_file, &line)
            .with_context(|| format!("Could not write pid file {}", self.pid_file.display()))?;
        Ok(Created { pid_file: self.pid_file, socket: self.socket, listener, cookie })
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

fn write_private(path: &PathBuf, line: &PidFile) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    let text = Zeroizing::new(format!("{line}\n"));
    file.write_all(text.as_bytes())
}

impl Created {
    /// Removes the files when the guard is dropped; with `leave_rights`, a janitor that keeps its rights
    /// does so after this process has ended, however it ends.
    ///
    /// # Errors
    /// If the janitor cannot be started.
    pub fn guard(&self, leave_rights: bool) -> Result<Guard> {
        let paths = [self.pid_file.clone(), self.socket.clone()];
        let doomed = paths.clone();
        let janitor = leave_rights
            .then(|| Janitor::start(move || doomed.iter().for_each(|path| drop(fs::remove_file(path)))))
            .transpose()
            .context("Could not start the process that cleans up")?;
        Ok(Guard { paths, janitor })
    }

    /// The listening control socket.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }

    /// What clients must know.
    pub fn cookie(&self) -> Zeroizing<String> {
        self.cookie.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.janitor.is_none() {
            for path in &self.paths {
                fs::remove_file(path).ok();
            }
        }
    }
}
