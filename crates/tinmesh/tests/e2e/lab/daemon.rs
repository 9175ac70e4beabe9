//! A daemon, ours or tinc's, with its configuration directory.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Instant;

use super::namespace::Namespace;
use super::status::NodeStatus;
use super::{Lab, run, secs, tinc10, tinc11, wait_until};

/// How much of a log is shown when a test fails, in bytes. `TINMESH_SHOW_LOGS=1` shows it also when all is well.
const LOG_SHOWN: usize = 40_000;

/// Which implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// tinmesh, under the names `tincd` and `tinc`.
    Ours,
    /// Debian's tinc 1.1~pre18.
    Tinc11,
    /// Debian's tinc 1.0.36, which has only `tincd`; the files are made by our `tinc`.
    Tinc10,
}

impl Kind {
    fn program(self, lab: &Lab, name: &str) -> PathBuf {
        match self {
            Self::Ours => lab.ours(name),
            Self::Tinc11 => tinc11(name),
            Self::Tinc10 if name == "tincd" => tinc10(),
            Self::Tinc10 => lab.ours(name),
        }
    }
}

/// A node: its directory, and its process while it runs.
pub(crate) struct Daemon {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) namespace: Arc<Namespace>,
    /// Its configuration directory.
    pub(crate) dir: PathBuf,
    /// More arguments for `tincd`.
    pub(crate) args: Vec<String>,
    environment: Vec<(String, String)>,
    tincd: PathBuf,
    tinc: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// A node without configuration, as on a fresh machine.
    pub(crate) fn bare(lab: &Lab, name: &str, kind: Kind, namespace: &Arc<Namespace>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            namespace: Arc::clone(namespace),
            dir: lab.path(name),
            args: Vec::new(),
            environment: Vec::new(),
            tincd: kind.program(lab, "tincd"),
            tinc: kind.program(lab, "tinc"),
            log: lab.path(&format!("{name}.log")),
            child: None,
        }
    }

    /// A node configured by its own `tinc init`.
    pub(crate) fn init(lab: &Lab, name: &str, kind: Kind, namespace: &Arc<Namespace>) -> Self {
        let daemon = Self::bare(lab, name, kind, namespace);
        daemon.tinc(&["init", name]);
        daemon.up_script("ip link set $INTERFACE up");
        daemon
    }

    /// From its next start on it is the other implementation, with the same directory.
    pub(crate) fn becomes(&mut self, lab: &Lab, kind: Kind) {
        self.kind = kind;
        (self.tincd, self.tinc) = (kind.program(lab, "tincd"), kind.program(lab, "tinc"));
    }

    /// Appends a line to `tinc.conf`.
    pub(crate) fn config(&self, line: &str) -> &Self {
        append(&self.dir.join("tinc.conf"), line);
        self
    }

    /// Appends a line to its own host file.
    pub(crate) fn host(&self, line: &str) -> &Self {
        append(&self.host_file(&self.name), line);
        self
    }

    /// The path of a host file.
    pub(crate) fn host_file(&self, name: &str) -> PathBuf {
        self.dir.join("hosts").join(name)
    }

    /// Writes `tinc-up`.
    pub(crate) fn up_script(&self, lines: &str) {
        let path = self.dir.join("tinc-up");
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("the directory is there");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    /// Gives this node the host file of another.
    pub(crate) fn knows(&self, other: &Self) -> &Self {
        fs::copy(other.host_file(&other.name), self.host_file(&other.name)).expect("both directories are there");
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(&mut self, variable: &str, value: &str) {
        self.environment.push((variable.to_owned(), value.to_owned()));
    }

    /// Its `tincd` with its directory, pid file, environment and these arguments, not yet run.
    pub(crate) fn tincd_command(&self, args: &[&str]) -> Command {
        let mut command = self.namespace.command(&self.tincd);
        command.args(args).arg("-c").arg(&self.dir).arg(self.pidfile_option()).args(&self.args);
        command.envs(self.environment.iter().map(|(variable, value)| (variable, value)));
        command
    }

    /// Starts it in the foreground and waits until it has a control socket.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("the directory is there");
        let mut command = self.tincd_command(&["-D", "-d5"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("an open file")).stderr(log);
        self.child = Some(command.spawn().expect("the program is there"));
        let (socket, pidfile, kind, name) = (self.socket(), self.pidfile(), self.kind, self.name.clone());
        let child = self.child.as_mut().expect("just started");
        wait_until(secs(10), &format!("{name} listens on its control socket"), || {
            if let Some(status) = child.try_wait().expect("our child") {
                panic!("{name} ended at once with {status}");
            }
            if kind == Kind::Tinc10 { pidfile.exists() } else { UnixStream::connect(&socket).is_ok() }
        });
    }

    /// Asks it to end, by SIGTERM, and waits for it.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        let mut child = self.child.take().expect("it runs");
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("our child") {
                return status;
            }
            if start.elapsed() > secs(10) {
                let _ = child.kill();
                panic!("{} did not end within ten seconds of SIGTERM", self.name);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Kills it: no farewell, nothing is cleaned.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        run(Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]));
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// True while its process lives.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("our child").is_none())
    }

    /// Its `tinc` with these arguments, not yet run.
    pub(crate) fn tinc_command(&self, args: &[&str]) -> Command {
        let mut command = self.namespace.command(&self.tinc);
        command.arg("-c").arg(&self.dir).arg(self.pidfile_option()).args(args);
        command.envs(self.environment.iter().map(|(variable, value)| (variable, value)));
        command
    }

    /// Runs its `tinc`; that must succeed.
    pub(crate) fn tinc(&self, args: &[&str]) -> String {
        run(&mut self.tinc_command(args))
    }

    /// Runs its `tinc`, whatever comes of it.
    pub(crate) fn try_tinc(&self, args: &[&str]) -> Output {
        self.tinc_command(args).stdin(Stdio::null()).output().expect("the program is there")
    }

    /// What it knows of another node.
    pub(crate) fn node(&self, name: &str) -> Option<NodeStatus> {
        let output = self.try_tinc(&["dump", "nodes"]);
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        lines.lines().filter_map(NodeStatus::parse).find(|node| node.name == name)
    }

    /// True if `holds` of what it knows of another node.
    pub(crate) fn sees(&self, name: &str, holds: impl Fn(&NodeStatus) -> bool) -> bool {
        self.node(name).is_some_and(|node| holds(&node))
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("pid.socket")
    }

    /// Its pid file.
    pub(crate) fn pidfile(&self) -> PathBuf {
        self.dir.join("pid")
    }

    fn pidfile_option(&self) -> String {
        format!("--pidfile={}", self.pidfile().display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("TINMESH_SHOW_LOGS").is_some() {
            let nodes = if self.child.is_some() { self.try_tinc(&["dump", "nodes"]).stdout } else { Vec::new() };
            let log = self.log();
            let from = log.len().saturating_sub(LOG_SHOWN);
            let tail = log.get(from..).unwrap_or(&log);
            eprintln!(
                "──── {} ({:?}) ────\n{tail}\n──── nodes ────\n{}",
                self.name,
                self.kind,
                String::from_utf8_lossy(&nodes)
            );
        }
        self.kill();
    }
}

fn append(path: &Path, line: &str) {
    let mut file: File =
        OpenOptions::new().append(true).create(true).open(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    writeln!(file, "{line}").expect("the disk has room");
}
