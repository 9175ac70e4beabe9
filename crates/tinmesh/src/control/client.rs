//! The client's end: finds the daemon, shows the cookie, asks and reads (spec: cli A.4, C).

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::net::RecvFlags;
use tinmesh_os::process;
use tinmesh_os::signals::Interrupts;

use super::dump::paths::PathLine;
use super::dump::ports::PortLine;
use super::dump::{
    ConnectionLine, DumpError, EdgeLine, ExaminationLine, HindranceLine, Line, NodeLine, StatementLine, SubnetLine,
    TrafficLine,
};
use super::pid_file::PidFile;
use super::request::{CONTROL, ControlRequest, kind};
use super::stream::Records;
use crate::files;
use crate::paths::Paths;

/// How long a daemon may take for one line.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest line of a daemon, in bytes; a node line with three names of the longest kind fits.
const MAX_LINE: u64 = 16 * 1024;
/// Most lines of a list: far more than a mesh has.
const MAX_LINES: usize = 10_000_000;

/// Why there is no connection to the daemon.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No pid file: the daemon does not run, or runs elsewhere.
    #[error("Could not open pid file {path}: {reason}", path = path.display())]
    NoPidFile {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: Reason,
    },
    /// The pid file is not one.
    #[error("Could not parse pid file {path}", path = path.display())]
    BadPidFile {
        /// Its path.
        path: PathBuf,
    },
    /// The daemon ended without cleaning up; its files are removed.
    #[error("Could not find tincd running at pid {0}")]
    NotRunning(u32),
    /// The socket does not answer.
    #[error("Cannot connect to UNIX socket {path}: {reason}", path = path.display())]
    NoSocket {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: Reason,
        /// The process that the pid file names.
        pid: u32,
    },
    /// The daemon did not greet.
    #[error("Cannot read greeting from control socket: {error}")]
    NoGreeting {
        /// Why.
        error: ClientError,
        /// The process that the pid file names.
        pid: u32,
    },
    /// The daemon greeted in another way.
    #[error("Could not fully establish control socket connection")]
    BadGreeting {
        /// The process that the pid file names.
        pid: u32,
    },
}

impl ConnectError {
    /// Whether this says that no daemon runs, rather than that something is wrong with one.
    pub const fn is_absence(&self) -> bool {
        match self {
            Self::NotRunning(_) => true,
            Self::NoPidFile { reason, .. } => matches!(reason.0, io::ErrorKind::NotFound),
            Self::BadPidFile { .. } | Self::NoSocket { .. } | Self::NoGreeting { .. } | Self::BadGreeting { .. } => {
                false
            }
        }
    }

    /// Whether the daemon may be there but this user may not speak with it.
    pub const fn is_permission(&self) -> bool {
        match self {
            Self::NoPidFile { reason, .. } | Self::NoSocket { reason, .. } => {
                matches!(reason.0, io::ErrorKind::PermissionDenied)
            }
            Self::NotRunning(_) | Self::BadPidFile { .. } | Self::NoGreeting { .. } | Self::BadGreeting { .. } => false,
        }
    }

    /// The process of a daemon that is there but does not answer.
    pub const fn silent_pid(&self) -> Option<u32> {
        match self {
            Self::NoSocket { pid, .. } | Self::NoGreeting { pid, .. } | Self::BadGreeting { pid } => Some(*pid),
            Self::NoPidFile { .. } | Self::BadPidFile { .. } | Self::NotRunning(_) => None,
        }
    }
}

/// An error of the system, in the system's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(io::ErrorKind, String);

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self(error.kind(), files::reason(&error))
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

/// Why a request had no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing came for five seconds.
    #[error("Timed out waiting for the server to reply.")]
    Timeout,
    /// The daemon closed the connection.
    #[error("The daemon closed the connection.")]
    Closed,
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The answer belongs to no question.
    #[error("Error receiving dump.")]
    Unexpected,
    /// A list holds something else.
    #[error(transparent)]
    Dump(#[from] DumpError),
}

/// A connection to the daemon of this machine.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    /// The daemon's process number.
    pub pid: u32,
    /// The name of the daemon's node.
    pub name: String,
    /// The port that the pid file tells.
    pub port: String,
}

/// Whether a process is a daemon: the number that a killed one left in its pid file may belong to anything by now.
pub fn is_daemon(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    ["tincd", "tinmesh"].contains(&name.trim_end())
}

impl Client {
    /// Connects to the daemon whose pid file and socket `paths` name. Removes both if their process is gone.
    ///
    /// # Errors
    /// If there is none, or it does not accept this client.
    pub fn connect(paths: &Paths) -> Result<Self, ConnectError> {
        let file = read_pid_file(&paths.pid_file)?;
        let pid = file.pid;
        if !i32::try_from(pid).is_ok_and(process::process_exists) {
            let _ = std::fs::remove_file(&paths.pid_file);
            let _ = std::fs::remove_file(&paths.socket);
            return Err(ConnectError::NotRunning(pid));
        }
        let no_socket =
            |error: io::Error| ConnectError::NoSocket { path: paths.socket.clone(), reason: error.into(), pid };
        let stream = UnixStream::connect(&paths.socket).map_err(no_socket)?;
        Self::greet(stream, &file)
    }

    /// Whether the daemon is still there and has said nothing that nobody read.
    pub fn is_quiet(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let mut byte = [0; 1];
        let pending = rustix::net::recv(self.stream.get_ref(), &mut byte[..], flags);
        self.stream.buffer().is_empty() && pending.is_err_and(|error| error == rustix::io::Errno::AGAIN)
    }

    fn greet(stream: UnixStream, file: &PidFile) -> Result<Self, ConnectError> {
        let pid = file.pid;
        let no_greeting = |error: ClientError| ConnectError::NoGreeting { error, pid };
        let mut client = Self { stream: BufReader::new(stream), pid, name: String::new(), port: file.port.clone() };
        client.set_patience(Some(PATIENCE)).map_err(no_greeting)?;
        client.write_line(&format!("0 ^{} 0", file.cookie.as_str())).map_err(no_greeting)?;
        let hello = client.read_line().map_err(no_greeting)?;
        let accepted = client.read_line().map_err(no_greeting)?;
        let bad = || ConnectError::BadGreeting { pid };
        let mut words = hello.split_ascii_whitespace();
        let (Some("0"), Some(name)) = (words.next(), words.next()) else { return Err(bad()) };
        name.clone_into(&mut client.name);
        let mut words = accepted.split_ascii_whitespace();
        let (Some("4"), Some("0"), Some(told)) = (words.next(), words.next(), words.next()) else {
            return Err(bad());
        };
        client.pid = told.parse().map_err(|_| bad())?;
        Ok(client)
    }

    /// The nodes that the daemon knows, in its order: by name.
    ///
    /// # Errors
    /// If the daemon does not answer, or with something else.
    pub fn nodes(&mut self) -> Result<Vec<NodeLine>, ClientError> {
        self.list(&ControlRequest::Nodes)
    }

    /// The edges of the mesh, by both names.
    ///
    /// # Errors
    /// If the daemon does not answer, or with something else.
    pub fn edges(&mut self) -> Result<Vec<EdgeLine>, ClientError> {
        self.list(&ControlRequest::Edges)
    }

    /// The subnets of the mesh.
    ///
    /// # Errors
    /// If the daemon does not answer, or with something else.
    pub fn subnets(&mut self) -> Result<Vec<SubnetLine>, ClientError> {
        self.list(&ControlRequest::Subnets)
    }

    /// The meta connections, with those of control clients.
    ///
    /// # Errors
    /// If the daemon does not answer, or with something else.
    pub fn connections(&mut self) -> Result<Vec<ConnectionLine>, ClientError> {
        self.list(&ControlRequest::Connections)
    }

    /// The traffic counters of all nodes.
    ///
    /// # Errors
    /// If the daemon does not answer, or with something else.
    pub fn traffic(&mut self) -> Result<Vec<TrafficLine>, ClientError> {
        self.list(&ControlRequest::Traffic)
    }

    /// The statements that the daemon keeps, a line each.
    ///
    /// # Errors
    /// If the daemon does not answer, or does not know statements.
    pub fn statements(&mut self) -> Result<Vec<String>, ClientError> {
        let lines: Vec<StatementLine> = self.list(&ControlRequest::Statements)?;
        Ok(lines.into_iter().map(|line| line.0).collect())
    }

    /// Why paths are not direct, by node; nothing if the daemon does not know that.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub fn hindrances(&mut self) -> Result<Vec<HindranceLine>, ClientError> {
        self.list_if_known(&ControlRequest::Hindrances)
    }

    /// What routers pass on, by family of addresses; nothing if none is asked, `None` if the daemon does not know that.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub fn ports(&mut self) -> Result<Option<Vec<PortLine>>, ClientError> {
        match self.list(&ControlRequest::Ports) {
            Err(ClientError::Unexpected) => Ok(None),
            list => list.map(Some),
        }
    }

    /// What is known of the paths to other nodes; nothing if the daemon does not know that.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub fn paths(&mut self) -> Result<Vec<PathLine>, ClientError> {
        self.list_if_known(&ControlRequest::Paths)
    }

    /// What other nodes see of this one; nothing if the daemon does not know that.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub fn examine(&mut self) -> Result<Vec<ExaminationLine>, ClientError> {
        self.list_if_known(&ControlRequest::Examine)
    }

    /// Hands a statement to the daemon; gives in one word what became of it, or why it was refused.
    ///
    /// # Errors
    /// If the daemon does not answer, or does not know statements.
    pub fn accept(&mut self, line: &str) -> Result<Result<String, String>, ClientError> {
        self.write_line(&ControlRequest::Accept(line.to_owned()).to_string())?;
        let reply = self.read_line()?;
        let reply = reply_to(&reply, kind::ACCEPT).ok_or(ClientError::Unexpected)?.trim();
        Ok(reply.strip_prefix("refused ").map_or_else(|| Ok(reply.to_owned()), |why| Err(why.to_owned())))
    }

    /// Sends a request whose reply is one number, and waits for that.
    ///
    /// # Errors
    /// If the daemon does not answer, or with something else.
    pub fn ask(&mut self, request: &ControlRequest) -> Result<i32, ClientError> {
        self.write_line(&request.to_string())?;
        let line = self.read_line()?;
        let reply = request.kind().and_then(|kind| reply_to(&line, kind)).ok_or(ClientError::Unexpected)?;
        reply.trim().parse().map_err(|_| ClientError::Unexpected)
    }

    /// Stops the daemon and waits, for as long as that takes, until it is gone.
    ///
    /// # Errors
    /// If the request could not be sent.
    pub fn stop(mut self) -> Result<(), ClientError> {
        self.set_patience(None)?;
        self.write_line(&ControlRequest::Stop.to_string())?;
        // The end of the connection is the answer; a reset by a process that exits is an end too.
        let _ = io::copy(&mut self.stream, &mut io::sink());
        Ok(())
    }

    /// Asks for a stream and hands over each of its records: until the daemon ends, `each` says `false`, or one of
    /// `interrupts` comes; that last is `true`.
    ///
    /// # Errors
    /// If the connection breaks, or something else comes.
    pub fn follow(
        &mut self,
        request: &ControlRequest,
        interrupts: Option<&Interrupts>,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, ClientError> {
        let mut records = Records::of(request.kind().ok_or(ClientError::Unexpected)?);
        self.write_line(&request.to_string())?;
        self.set_patience(None)?;
        let early = self.stream.buffer().to_vec();
        self.stream.consume(early.len());
        let mut goes_on = records.feed(&early, &mut each)?;
        let mut bytes = vec![0; MAX_LINE as usize];
        while goes_on {
            if let Some(interrupts) = interrupts
                && wait_for_either(self.stream.get_ref(), interrupts)?
            {
                return Ok(true);
            }
            let count = match self.stream.get_mut().read(&mut bytes) {
                Ok(0) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                read => read?,
            };
            goes_on = records.feed(bytes.get(..count).unwrap_or_default(), &mut each)?;
        }
        Ok(false)
    }

    fn list<T: Line>(&mut self, request: &ControlRequest) -> Result<Vec<T>, ClientError> {
        self.write_line(&request.to_string())?;
        let mut lines = Vec::new();
        while lines.len() < MAX_LINES {
            let line = self.read_line()?;
            let rest = reply_to(&line, T::KIND).ok_or(ClientError::Unexpected)?;
            if rest.trim().is_empty() {
                return Ok(lines);
            }
            lines.push(T::parse(rest)?);
        }
        Err(ClientError::Unexpected)
    }

    /// The same, but a daemon that does not know the request, as tinc's, has nothing to say.
    fn list_if_known<T: Line>(&mut self, request: &ControlRequest) -> Result<Vec<T>, ClientError> {
        match self.list(request) {
            Err(ClientError::Unexpected) => Ok(Vec::new()),
            list => list,
        }
    }

    fn set_patience(&self, patience: Option<Duration>) -> Result<(), ClientError> {
        Ok(self.stream.get_ref().set_read_timeout(patience)?)
    }

    fn write_line(&mut self, line: &str) -> Result<(), ClientError> {
        Ok(self.stream.get_mut().write_all(format!("{line}\n").as_bytes())?)
    }

    fn read_line(&mut self) -> Result<String, ClientError> {
        let mut line = Vec::new();
        match self.stream.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(_) if line.last() == Some(&b'\n') => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Ok(0) => Err(ClientError::Closed),
            Ok(_) => Err(ClientError::Unexpected),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ClientError::Timeout),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(ClientError::Closed),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads a pid file.
///
/// # Errors
/// If it cannot be read, or is not one.
pub fn read_pid_file(path: &Path) -> Result<PidFile, ConnectError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConnectError::NoPidFile { path: path.to_owned(), reason: error.into() })?;
    PidFile::parse(&text).map_err(|_| ConnectError::BadPidFile { path: path.to_owned() })
}

/// Waits for bytes or an interrupt, and says whether it is the latter.
fn wait_for_either(stream: &UnixStream, interrupts: &Interrupts) -> io::Result<bool> {
    let mut polled = [PollFd::new(stream, PollFlags::IN), PollFd::new(interrupts, PollFlags::IN)];
    retry_on_intr(|| poll(&mut polled, None))?;
    Ok(interrupts.take())
}

/// What follows `18 KIND` on a line of that kind.
pub(super) fn reply_to(line: &str, kind: u32) -> Option<&str> {
    let rest = line.strip_prefix(&format!("{CONTROL} {kind}"))?;
    (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

#[cfg(test)]
mod tests;
