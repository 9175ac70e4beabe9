//! Scripts: `tinc-up`, `host-up`, `subnet-up` and friends, with tinc's environment, run one after
//! the other on a thread of their own (spec: configuration 9).

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use tinmesh_os::signals;
use tracing::{debug, error};

use crate::daemon::log::STATUS;

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

enum Job {
    Run(Script),
    Change(ScriptSettings),
}

/// The thread that runs scripts in order.
pub struct Scripts {
    jobs: Sender<Job>,
    settings: ScriptSettings,
    thread: JoinHandle<()>,
}

impl Scripts {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(settings: ScriptSettings) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let own = settings.clone();
        let thread = Builder::new().name("scripts".to_owned()).spawn(move || run_all(own, &queue))?;
        Ok(Self { jobs, settings, thread })
    }

    /// Runs a script after those that wait, if its file exists.
    pub fn queue(&self, script: Script) {
        if self.settings.path(&script.name).exists() {
            // The thread ends only when this end of the channel is gone.
            self.jobs.send(Job::Run(script)).ok();
        }
    }

    /// Other settings from now on.
    pub fn change(&mut self, settings: ScriptSettings) {
        self.settings = settings.clone();
        self.jobs.send(Job::Change(settings)).ok();
    }

    /// The settings in force.
    pub const fn settings(&self) -> &ScriptSettings {
        &self.settings
    }

    /// Waits until every queued script has ended.
    pub fn finish(self) {
        drop(self.jobs);
        // A panic of the thread was already reported by the panic hook.
        self.thread.join().ok();
    }
}

fn run_all(mut settings: ScriptSettings, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        match job {
            Job::Run(script) => settings.run(&script),
            Job::Change(changed) => settings = changed,
        }
    }
}

impl ScriptSettings {
    fn path(&self, name: &str) -> PathBuf {
        self.confbase.join(format!("{name}{}", self.extension))
    }

    /// Runs a script now, if its file exists. Nothing follows from its failure but a line in the log.
    pub fn run(&self, script: &Script) {
        let path = self.path(&script.name);
        if !path.exists() {
            return;
        }
        let name = &script.name;
        debug!(target: STATUS, "Executing script {name}");
        let quoted = format!("\"{}\"", path.display());
        let line =
            self.interpreter.as_ref().map_or_else(|| quoted.clone(), |interpreter| format!("{interpreter} {quoted}"));
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line).current_dir(&self.confbase);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.envs(script.variables.iter().map(|(key, value)| (key, value)));
        command.env_remove("TINC_UMBILICAL");
        signals::restore_in(&mut command);
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(status) => match status.signal() {
                Some(signal) => error!("Script {name} was killed by signal {signal}"),
                None => error!("Script {name} exited with non-zero status {}", status.code().unwrap_or(-1)),
            },
            Err(cause) => error!("Could not run script {name}: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let scripts = Scripts::start(settings).unwrap();
        scripts.queue(Script::about("host-up", "bob", Some("192.0.2.1:655".parse().unwrap())));
        scripts.queue(Script::about("host-down", "bob", None));
        scripts.queue(Script::plain("tinc-down"));
        scripts.finish();
        let out = std::fs::read_to_string(dir.path().join("out")).unwrap();
        assert_eq!(out, "alice bob 192.0.2.1 655\nalice bob unspec unspec\n");
    }
}
