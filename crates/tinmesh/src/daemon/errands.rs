//! What the daemon cannot do itself inside a sandbox: servants do it that were started before (spec: configuration 10.1).
//!
//! A daemon that was taken over can ask for these things too, so a servant takes nothing on trust: it runs only scripts
//! of tinc's names, from the directory and by the interpreter that it knows from the start, and writes only host files
//! of nodes, which are no scripts because a node's name has no hyphen.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};
use tinmesh_core::crypto::keys::PublicKey;
use tinmesh_core::name::NodeName;
use tinmesh_core::node::io::Persist;
use tinmesh_os::servant::{Answer, Servant};

use crate::config::Sandbox;
use crate::daemon::log;
use crate::daemon::scripts::{Script, ScriptSettings};
use crate::daemon::store::Store;

/// Longest value of a variable, in bytes.
const MAX_VALUE: usize = 4096;

/// One thing to do.
#[derive(Debug, Serialize, Deserialize)]
enum Errand {
    /// Run a script.
    Script { name: String, variables: Vec<(String, String)> },
    /// Add a node's key to its host file, or make that file.
    Key { name: String, key: String, invited: bool },
    /// Open the log file.
    Log,
}

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
        let files = Servant::start(move |request| match serde_json::from_slice(request) {
            Ok(Errand::Key { name, key, invited }) => tell(keep(&store, &name, &key, invited)),
            Ok(Errand::Log) => open_log(log.as_ref()),
            Ok(Errand::Script { .. }) | Err(_) => refuse(),
        })?;
        let scripts = (level != Sandbox::High).then(|| {
            Servant::start(move |request| match serde_json::from_slice(request) {
                Ok(Errand::Script { name, variables }) => tell(run(&settings, Script { name, variables })),
                Ok(Errand::Key { .. } | Errand::Log) | Err(_) => refuse(),
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
            Persist::Addresses { .. } => return None,
        };
        let errand = Errand::Key { name: name.to_string(), key: key.to_base64(), invited };
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
    let answer = servant.ask(&serde_json::to_vec(errand)?)?;
    let outcome: Outcome = serde_json::from_slice(&answer.bytes)?;
    Ok((outcome.map_err(io::Error::other)?, answer))
}

fn tell(outcome: Outcome) -> Answer {
    Answer { bytes: serde_json::to_vec(&outcome).unwrap_or_default(), fd: None }
}

fn refuse() -> Answer {
    tell(Err("this is not done here".to_owned()))
}

fn open_log(path: Option<&PathBuf>) -> Answer {
    let Some(path) = path else { return refuse() };
    match log::open(path) {
        Ok(file) => Answer { fd: Some(file.into()), ..tell(Ok(0)) },
        Err(cause) => tell(Err(cause.to_string())),
    }
}

fn keep(store: &Store, name: &str, key: &str, invited: bool) -> Outcome {
    let name = NodeName::parse(name).map_err(|cause| cause.to_string())?;
    let key = PublicKey::from_base64(key).map_err(|cause| cause.to_string())?;
    let persist = if invited { Persist::InvitedNode { name, key } } else { Persist::PublicKey { name, key } };
    store.keep(&persist).map(|()| 0).map_err(|cause| cause.to_string())
}

fn run(settings: &ScriptSettings, script: Script) -> Outcome {
    if !is_script(&script.name) || !script.variables.iter().all(|(key, value)| is_variable(key, value)) {
        return Err("this is no script of tinc's".to_owned());
    }
    settings.command(&script).status().map(ExitStatus::into_raw).map_err(|cause| cause.to_string())
}

fn is_script(name: &str) -> bool {
    const NAMES: [&str; 7] =
        ["tinc-up", "tinc-down", "host-up", "host-down", "subnet-up", "subnet-down", "invitation-accepted"];
    let node =
        name.strip_prefix("hosts/").and_then(|rest| rest.strip_suffix("-up").or_else(|| rest.strip_suffix("-down")));
    NAMES.contains(&name) || node.is_some_and(|node| NodeName::parse(node).is_ok())
}

fn is_variable(key: &str, value: &str) -> bool {
    const NAMES: [&str; 7] = ["NODE", "NAME", "REMOTEADDRESS", "REMOTEPORT", "SUBNET", "WEIGHT", "DEBUG"];
    NAMES.contains(&key) && value.len() <= MAX_VALUE && !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_of_tinc_are_run_and_only_with_its_variables() {
        for name in ["tinc-down", "hosts/bob-up", "hosts/bob_2-down"] {
            assert!(is_script(name), "{name}");
        }
        for name in [
            "",
            "tinc-up.bak",
            "hosts/../x-up",
            "hosts/-up",
            "hosts/bob",
            "../tinc-up",
            "hosts/a-b-up",
            "invitation-created",
        ] {
            assert!(!is_script(name), "{name}");
        }
        assert!(is_variable("NODE", "bob"));
        assert!(!is_variable("LD_PRELOAD", "x") && !is_variable("PATH", "/tmp") && !is_variable("NODE", "a\0b"));
        assert!(!is_variable("NODE", &"x".repeat(MAX_VALUE + 1)));
    }

    #[test]
    fn a_key_is_kept_only_in_the_host_file_of_a_node() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("hosts")).unwrap();
        let store = Store::new(dir.path().to_owned());
        let key = "A".repeat(43);
        assert_eq!(keep(&store, "bob", &key, true), Ok(0));
        assert!(keep(&store, "bob-up", &key, false).is_err());
        assert!(keep(&store, "../bob", &key, false).is_err());
        assert!(keep(&store, "carol", "exit 0", false).is_err());
        assert_eq!(std::fs::read_dir(dir.path().join("hosts")).unwrap().count(), 1);
    }
}
