//! What the daemon must remember to read its configuration anew (spec: configuration 5).

use std::net::SocketAddr;
use std::time::Duration;

use tinmesh_core::dataplane::fib::{Frames, Mode};

use crate::config::syntax::Settings;
use crate::config::variables::{Support, VARIABLES};
use crate::config::{self, ConfigError, DaemonSettings, Loaded, Override, Reread};
use crate::daemon::log::NOTICE;
use crate::daemon::scripts::ScriptSettings;
use crate::paths::Paths;
use tracing::info;

/// Where the configuration is, and what stays as it was at the start.
pub struct Reload {
    paths: Paths,
    overrides: Vec<Override>,
    name: String,
    port: u16,
    sockets: Vec<SocketAddr>,
    compression: u8,
    /// What the device carries, if there is one.
    frames: Option<Frames>,
    invitation_expire: Duration,
    /// The settings that were read last.
    settings: Settings,
    /// Those of the start.
    started: Settings,
}

impl Reload {
    /// For a daemon that was started with `loaded`, where `port` and `sockets` are the real ones, on a device that carries
    /// `frames`.
    pub fn new(paths: Paths, overrides: Vec<Override>, loaded: &Loaded, frames: Option<Frames>) -> Self {
        Self {
            paths,
            overrides,
            name: loaded.node.name.to_string(),
            port: loaded.node.port,
            sockets: loaded.node.sockets.clone(),
            compression: loaded.node.policy.compression,
            frames,
            invitation_expire: loaded.daemon.invitation_expire,
            settings: loaded.settings.clone(),
            started: loaded.settings.clone(),
        }
    }

    /// This node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port that it announces.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Variable `InvitationExpire`.
    pub const fn invitation_expire(&self) -> Duration {
        self.invitation_expire
    }

    /// Reads the configuration anew.
    ///
    /// # Errors
    /// What is wrong with it; nothing changes then.
    pub fn read(&mut self) -> Result<Reread, ConfigError> {
        let mut loaded = config::reread(&self.paths, &self.overrides, Some(&self.settings))?;
        loaded.warnings.extend(unheeded(&self.started, &loaded.settings));
        if let Ok(name) = tinmesh_core::name::NodeName::parse(&self.name) {
            loaded.node.name = name;
        }
        // Peers go on sending at the level that they were told with the keys.
        loaded.node.policy.compression = self.compression;
        loaded.node.policy.frames = self.frames.unwrap_or_default();
        if self.frames == Some(Frames::Ip) && loaded.node.policy.mode != Mode::Router {
            loaded.warnings.push("Mode needs a restart: the interface has no Ethernet frames, still router".to_owned());
            loaded.node.policy.mode = Mode::Router;
        }
        loaded.node.port = self.port;
        loaded.node.sockets.clone_from(&self.sockets);
        self.invitation_expire = loaded.daemon.invitation_expire;
        self.settings.clone_from(&loaded.settings);
        Ok(loaded)
    }

    /// The settings of scripts that follow from a configuration. In a sandbox they stay: who runs scripts then knows
    /// them from the start.
    pub fn script_settings(&self, old: &ScriptSettings, settings: &DaemonSettings) -> ScriptSettings {
        let (extension, interpreter) = (settings.scripts_extension.clone(), settings.scripts_interpreter.clone());
        if old.errands.is_none() {
            return ScriptSettings { extension, interpreter, ..old.clone() };
        }
        if old.interpreter != interpreter {
            info!(target: NOTICE, "Not changing ScriptsInterpreter because of sandbox.");
        }
        if old.extension != extension {
            info!(target: NOTICE, "Not changing ScriptsExtension because of sandbox.");
        }
        old.clone()
    }
}

/// Tells of every variable that is not as it was at the start, but would have to be for it to count.
fn unheeded(started: &Settings, now: &Settings) -> Vec<String> {
    let differs = |name: &str| {
        let [then, now] = [started, now].map(|settings| settings.all(name).map(|setting| &setting.value));
        !then.eq(now)
    };
    let changed = VARIABLES.iter().filter(|variable| variable.restart && variable.support == Support::Honoured);
    let changed = changed.filter(|variable| differs(variable.name));
    changed.map(|variable| format!("{} needs a restart: what it was at the start counts", variable.name)).collect()
}
