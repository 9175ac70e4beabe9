//! What the daemon cannot do itself inside a sandbox: servants do it that were started before (spec: configuration 10.1).
//!
//! A daemon that was taken over can ask for these things too, so a servant takes nothing on trust: it runs only scripts
//! of tinc's names, from the directory and by the interpreter that it knows from the start, and writes only host files
//! of nodes, which are no scripts because a node's name has no hyphen.

pub mod request;

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use tinmesh_core::crypto::keys::PublicKey;
use tinmesh_core::name::NodeName;
use tinmesh_core::node::io::Persist;
use tinmesh_os::servant::{Answer, Servant};

use self::request::{Errand, ErrandError};
use crate::config::Sandbox;
use crate::daemon::log;
use crate::daemon::scripts::{Script, ScriptSettings};
use crate::daemon::store::Store;

/// An errand's outcome: a number that depends on it, or what went wrong.
type Outcome = Result<i32, String>;

/// The servants. One for scripts, which may take their time, and one for files.
#[derive(Debug)]
pub struct Errands {
    scripts: Option<Servant>,
    files: Servant,
}

impl Errands {
    /// Starts them. At the highest level nobody runs scripts.
    ///
    /// # Errors
    /// If the system has no more processes.
    pub fn start(level: Sandbox, settings: ScriptSettings, log: Option<PathBuf>) -> io::Result<Self> {
        let store = Store::new(settings.confbase.clone());
        let files = Servant::start(move |request| match Errand::parse(request) {
            Ok(Errand::Key { name, key, invited }) => tell(keep(&store, name, key, invited)),
            Ok(Errand::Log) => open_log(log.as_ref()),
            Ok(Errand::Script { .. }) => refuse(ErrandError::Unknown),
            Err(error) => refuse(error),
        })?;
        let scripts = (level != Sandbox::High).then(|| {
            Servant::start(move |request| match Errand::parse(request) {
                Ok(Errand::Script { name, variables }) => tell(run(&settings, &Script { name, variables })),
                Ok(Errand::Key { .. } | Errand::Log) => refuse(ErrandError::Unknown),
                Err(error) => refuse(error),
            })
        });
        Ok(Self { scripts: scripts.transpose()?, files })
    }

    /// Whether scripts can be run.
    pub const fn runs_scripts(&self) -> bool {
        self.scripts.is_some()
    }

    /// Runs a script and waits for its end.
    ///
    /// # Errors
    /// If it could not be run.
    pub fn run(&self, script: &Script) -> io::Result<ExitStatus> {
        let servant = self.scripts.as_ref().ok_or_else(|| io::Error::other("no script may run in this sandbox"))?;
        let (name, variables) = (script.name.clone(), script.variables.clone());
        let (status, _) = ask(servant, &Errand::Script { name, variables })?;
        Ok(ExitStatus::from_raw(status))
    }

    /// Keeps something in a host file; `None` if it does not belong there.
    pub fn keep(&self, persist: &Persist) -> Option<io::Result<()>> {
        let (name, key, invited) = match persist {
            Persist::PublicKey { name, key } => (name, key, false),
            Persist::InvitedNode { name, key } => (name, key, true),
            Persist::Addresses { .. } | Persist::Statements(_) => return None,
        };
        let errand = Errand::Key { name: name.clone(), key: *key, invited };
        Some(ask(&self.files, &errand).map(drop))
    }

    /// Opens the log file.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open_log(&self) -> io::Result<File> {
        let (_, answer) = ask(&self.files, &Errand::Log)?;
        answer.fd.map(File::from).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn ask(servant: &Servant, errand: &Errand) -> io::Result<(i32, Answer)> {
    let answer = servant.ask(&errand.encode())?;
    let outcome: Outcome = serde_json::from_slice(&answer.bytes)?;
    Ok((outcome.map_err(io::Error::other)?, answer))
}

fn tell(outcome: Outcome) -> Answer {
    Answer { bytes: serde_json::to_vec(&outcome).unwrap_or_default(), fd: None }
}

fn refuse(error: ErrandError) -> Answer {
    tell(Err(error.to_string()))
}

fn open_log(path: Option<&PathBuf>) -> Answer {
    let Some(path) = path else { return refuse(ErrandError::Unknown) };
    match log::open(path) {
        Ok(file) => Answer { fd: Some(file.into()), ..tell(Ok(0)) },
        Err(cause) => tell(Err(cause.to_string())),
    }
}

fn keep(store: &Store, name: NodeName, key: PublicKey, invited: bool) -> Outcome {
    let persist = if invited { Persist::InvitedNode { name, key } } else { Persist::PublicKey { name, key } };
    store.keep(&persist).map(|()| 0).map_err(|cause| cause.to_string())
}

fn run(settings: &ScriptSettings, script: &Script) -> Outcome {
    settings.command(script).status().map(ExitStatus::into_raw).map_err(|cause| cause.to_string())
}
