//! Scripts: `tinc-up`, `host-up`, `subnet-up` and friends, with tinc's environment, run one after
//! the other on a thread of their own (spec: configuration 9).

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use arc_swap::ArcSwap;
use tinmesh_os::signals;
use tracing::{debug, error};

use crate::daemon::errands::Errands;
use crate::daemon::lifeline::Lifeline;
use crate::daemon::log::STATUS;

/// Scripts that may wait: members choose how much there is to tell, and a script may be slow.
const MAX_WAITING: usize = 10_000;
/// How long the scripts of the last events may take once the daemon ends.
pub const FAREWELL: Duration = Duration::from_secs(5);

/// What all scripts of one daemon have in common.
#[derive(Clone, Debug, Default)]
pub struct ScriptSettings {
    /// Where they are.
    pub confbase: PathBuf,
    /// Variable `ScriptsExtension`.
    pub extension: String,
    /// Variable `ScriptsInterpreter`.
    pub interpreter: Option<String>,
    /// `NETNAME`, `NAME`, `DEVICE`, `INTERFACE`, `DEBUG`, as far as they are known.
    pub environment: Vec<(String, String)>,
    /// Who runs them, if the daemon may not.
    pub errands: Option<Arc<Errands>>,
}

/// One run of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its name below confbase, without extension.
    pub name: String,
    /// Variables besides the common ones.
    pub variables: Vec<(String, String)>,
}

impl Script {
    /// A script without variables of its own.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), variables: Vec::new() }
    }

    /// A script about a node; its address is `unspec` if it is not known.
    pub fn about(name: &str, node: &str, address: Option<SocketAddr>) -> Self {
        let unspecified = || "unspec".to_owned();
        let (host, port) = address.map_or_else(
            || (unspecified(), unspecified()),
            |address| (address.ip().to_string(), address.port().to_string()),
        );
        let variables = [("NODE", node.to_owned()), ("REMOTEADDRESS", host), ("REMOTEPORT", port)];
        Self { name: name.to_owned(), variables: variables.map(|(key, value)| (key.to_owned(), value)).to_vec() }
    }

    /// Adds a variable.
    #[must_use]
    pub fn with(mut self, key: &str, value: String) -> Self {
        self.variables.push((key.to_owned(), value));
        self
    }
}

/// The thread that runs scripts in order.
pub struct Scripts {
    jobs: Sender<Script>,
    /// Scripts that wait, or run.
    waiting: Arc<AtomicUsize>,
    /// Whether the last one was left out because too many wait.
    full: Cell<bool>,
    settings: Arc<ArcSwap<ScriptSettings>>,
    /// Says nothing, and ends with the thread.
    end: Receiver<()>,
}

impl Scripts {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(settings: ScriptSettings, lifeline: &Lifeline) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let (until, end) = channel();
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let waiting = Arc::new(AtomicUsize::new(0));
        let (hold, its_settings, its_waiting) = (lifeline.hold(), Arc::clone(&settings), Arc::clone(&waiting));
        let run_all = move || {
            let _until: Sender<()> = until;
            for script in queue {
                its_settings.load_full().run(&script);
                its_waiting.fetch_sub(1, Relaxed);
            }
            hold.release();
        };
        Builder::new().name("scripts".to_owned()).spawn(run_all)?;
        Ok(Self { jobs, waiting, full: Cell::new(false), settings, end })
    }

    /// Runs a script after those that wait, if its file exists.
    pub fn queue(&self, script: Script) {
        if !self.settings.load().path(&script.name).exists() {
            return;
        }
        if self.waiting.load(Relaxed) >= MAX_WAITING {
            if !self.full.replace(true) {
                error!("Too many scripts wait: {} and others are left out", script.name);
            }
            return;
        }
        self.full.set(false);
        self.waiting.fetch_add(1, Relaxed);
        // The thread ends only when this end of the channel is gone.
        self.jobs.send(script).ok();
    }

    /// Other settings from now on.
    pub fn change(&self, settings: ScriptSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<ScriptSettings> {
        self.settings.load_full()
    }

    /// Waits until every queued script has ended, but not longer than `patience`.
    pub fn finish(self, patience: Duration) {
        drop(self.jobs);
        if self.end.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let count = self.waiting.load(Relaxed);
            error!("{count} scripts have not ended after {} seconds and are left alone", patience.as_secs());
        }
    }
}

impl ScriptSettings {
    fn path(&self, name: &str) -> PathBuf {
        self.confbase.join(format!("{name}{}", self.extension))
    }

    /// The same settings at another debug level.
    #[must_use]
    pub fn at_debug_level(&self, level: i32) -> Self {
        let mut settings = self.clone();
        settings.environment.retain(|(key, _)| key != "DEBUG");
        if level >= 0 {
            settings.environment.push(("DEBUG".to_owned(), level.to_string()));
        }
        settings
    }

    /// Runs a script now, if its file exists. Nothing follows from its failure but a line in the log.
    pub fn run(&self, script: &Script) {
        if !self.path(&script.name).exists() {
            return;
        }
        let name = &script.name;
        if self.errands.as_ref().is_some_and(|errands| !errands.runs_scripts()) {
            return debug!(target: STATUS, "Script {name} is not run because of Sandbox = high");
        }
        debug!(target: STATUS, "Executing script {name}");
        let outcome = match &self.errands {
            Some(errands) => errands.run(&self.told(script)),
            None => self.command(script).status(),
        };
        match outcome {
            Ok(status) if status.success() => {}
            Ok(status) => match status.signal() {
                Some(signal) => {
                    error!("Script {name} was killed by signal {signal} ({})", signals::description(signal));
                }
                None => error!("Script {name} exited with non-zero status {}", status.code().unwrap_or(-1)),
            },
            Err(cause) => error!("Could not run script {name}: {cause}"),
        }
    }

    /// The script with what may have changed since those who run it were started.
    fn told(&self, script: &Script) -> Script {
        let mut script = script.clone();
        script.variables.extend(self.environment.iter().filter(|(key, _)| key == "DEBUG").cloned());
        script
    }

    /// The program that runs a script.
    pub fn command(&self, script: &Script) -> Command {
        let quoted = format!("\"{}\"", self.path(&script.name).display());
        let line =
            self.interpreter.as_ref().map_or_else(|| quoted.clone(), |interpreter| format!("{interpreter} {quoted}"));
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line).current_dir(&self.confbase);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.envs(script.variables.iter().map(|(key, value)| (key, value)));
        command.env_remove("TINC_UMBILICAL");
        signals::restore_in(&mut command);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifeline() -> Lifeline {
        Lifeline::new(tinmesh_os::poll::Waker::new().unwrap())
    }

    #[test]
    fn a_script_that_hangs_bounds_the_queue_and_does_not_keep_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("host-up"), "").unwrap();
        let fifo = dir.path().join("wait");
        let interpreter = Some(format!("mkfifo '{0}'; read x <'{0}';", fifo.display()));
        let settings = ScriptSettings { confbase: dir.path().to_owned(), interpreter, ..ScriptSettings::default() };
        let scripts = Scripts::start(settings, &lifeline()).unwrap();
        for _ in 0..MAX_WAITING + 10 {
            scripts.queue(Script::about("host-up", "bob", None));
        }
        assert_eq!(scripts.waiting.load(Relaxed), MAX_WAITING);
        scripts.change(ScriptSettings::default());

        scripts.finish(Duration::from_millis(1));

        while std::fs::OpenOptions::new().write(true).open(&fifo).is_err() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn scripts_run_in_order_with_their_variables() {
        let dir = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\necho $NAME $NODE $REMOTEADDRESS $REMOTEPORT >>out\n";
        for name in ["host-up", "host-down"] {
            let path = dir.path().join(name);
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let settings = ScriptSettings {
            confbase: dir.path().to_owned(),
            environment: vec![("NAME".to_owned(), "alice".to_owned())],
            ..ScriptSettings::default()
        };
        let scripts = Scripts::start(settings, &lifeline()).unwrap();
        scripts.queue(Script::about("host-up", "bob", Some("192.0.2.1:655".parse().unwrap())));
        scripts.queue(Script::about("host-down", "bob", None));
        scripts.queue(Script::plain("tinc-down"));
        scripts.finish(FAREWELL);
        let out = std::fs::read_to_string(dir.path().join("out")).unwrap();
        assert_eq!(out, "alice bob 192.0.2.1 655\nalice bob unspec unspec\n");
    }
}
