//! Configuration: from files and options to what the node and the daemon use.
//!
//! ```text
//! -o, tinc.conf, conf.d, hosts/ME ─ syntax ─► Settings ─ Reader, kind ─► own (node) + daemon
//! hosts/*, cache/*                ─ syntax ─────────────────────────► hosts
//! ```
//!
//! Nothing is ignored in silence: what tinmesh does not do yet, and what it does not know, is told as a warning, or as
//! an error where going on would break what the operator asked for. Source: spec configuration 3, 4.

mod daemon;
mod device;
pub mod edit;
mod hosts;
pub mod kind;
mod legacy;
mod own;
mod proxy;
mod reader;
mod sources;
pub mod syntax;
mod upnp;
pub mod variables;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::node::config::Config;

pub use self::daemon::{AddressFamily, DaemonSettings, Listen, Sandbox};
pub use self::device::DeviceType;
pub use self::proxy::Proxy;
use self::reader::Reader;
pub use self::sources::own_name;
pub use self::syntax::Override;
use self::syntax::{Place, Settings, SyntaxError};
pub use self::upnp::Upnp;
use self::variables::{Reload, Support, VARIABLES, Variable};
use crate::files::{self, keys};
use crate::paths::Paths;

/// A configuration, read and checked.
#[derive(Debug)]
pub struct Loaded {
    /// For the node. Sockets are not known yet, and the port is 0 if any will do.
    pub node: Config,
    /// For the daemon around it.
    pub daemon: DaemonSettings,
    /// The node's key.
    pub key: SecretKey,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Every setting, for the next time that files are read.
    pub settings: Settings,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be opened.
    #[error("Cannot open config file {}: {}", path.display(), files::reason(cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// There is no configuration at all.
    #[error("Cannot open config file {}: No such file or directory. Make a configuration with `tinmesh up`, \
             `tinmesh join` or `tinc init`.", .0.display())]
    Missing(PathBuf),
    /// A file is not what it should be.
    #[error("Failed to read `{}': {}", path.display(), files::reason(cause))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line has no value.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// There is no name.
    #[error("Name for tinc daemon required! Put a line `Name = NAME` into {}.", .0.display())]
    NoName(PathBuf),
    /// The name comes from an environment variable that is not set.
    #[error("Invalid Name: environment variable {0} does not exist")]
    NoVariable(String),
    /// The name is no node name.
    #[error("Invalid name for myself! {0:?} is not made of A-Z, a-z, 0-9 and _ ({1})")]
    BadName(String, Place),
    /// A value that is not allowed.
    #[error("{message} {variable} = {value} in {place}; {right}")]
    Invalid {
        /// tinc's words.
        message: String,
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// Where it stands.
        place: Place,
        /// What would be right.
        right: String,
    },
    /// Neither protocol can be spoken.
    #[error(
        "No private keys available, cannot start tinc! Without ExperimentalProtocol make one with `tinc generate-rsa-keys`."
    )]
    NoRsaKey,
    /// A key cannot be drawn.
    #[error("No random bytes from the system: {0}")]
    NoRandomness(#[source] io::Error),
    /// There is no key.
    #[error("{0}. Make one with `tinc generate-ed25519-keys`.")]
    Key(#[from] keys::KeyError),
}

/// A configuration as it is read while the daemon runs: without the node's key, which a daemon that gave up its rights
/// cannot read any more.
#[derive(Debug)]
pub struct Reread {
    /// For the node. Sockets are not known yet, and the port is 0 if any will do.
    pub node: Config,
    /// For the daemon around it.
    pub daemon: DaemonSettings,
    /// What the operator should know.
    pub warnings: Vec<String>,
    key_file: PathBuf,
    experimental: Option<bool>,
    /// Every setting, for the next time that files are read.
    pub settings: Settings,
}

/// Reads the configuration of an instance.
///
/// # Errors
/// If it does not say what a daemon needs, or says something that is not possible.
pub fn load(paths: &Paths, overrides: &[Override]) -> Result<Loaded, ConfigError> {
    let Reread { mut node, daemon, mut warnings, key_file, experimental, settings } = reread(paths, overrides, None)?;
    let key = legacy::node_key(experimental, &key_file, &mut node.legacy, &mut warnings)?;
    if !node.legacy.as_ref().is_some_and(|legacy| legacy.only) {
        warn_of_other_key(paths, &node, &key.public(), &mut warnings);
    }
    Ok(Loaded { node, daemon, key, warnings, settings })
}

/// Reads what may have changed since the start. Some variables that were removed stay as they were in `last`.
///
/// # Errors
/// As [`load`].
pub fn reread(paths: &Paths, overrides: &[Override], last: Option<&Settings>) -> Result<Reread, ConfigError> {
    let mut warnings = Vec::new();
    let (name, mut settings) = sources::own_settings(paths, overrides, &mut warnings)?;
    if let Some(last) = last {
        settings = keep(settings, last);
    }
    warn_of_unused(&settings, &mut warnings);
    let mut reader = Reader::new(&settings, &mut warnings);
    let daemon = daemon::settings(&mut reader)?;
    let mut node = own::config(name, daemon.port, &mut reader)?;
    node.legacy = legacy::own(paths, node.policy.compression, &mut reader)?;
    node.proxy = daemon.proxy.as_ref().and_then(Proxy::protocol);
    let experimental = reader.bool("ExperimentalProtocol");
    let key_file = paths.confbase.join(reader.text("Ed25519PrivateKeyFile").unwrap_or("ed25519_key.priv"));
    node.hosts = hosts::read(paths, overrides, &node.name, daemon.address_family, &mut warnings);
    node.invitation_key = read_invitation_key(paths, &mut warnings);
    Ok(Reread { node, daemon, warnings, key_file, experimental, settings })
}

/// Adds what was in force before of variables that tinc keeps when their line is removed (spec: configuration 4).
fn keep(settings: Settings, last: &Settings) -> Settings {
    let kept = |variable: &&Variable| variable.reload == Reload::Keep && settings.first(variable.name).is_none();
    let old: Vec<_> = VARIABLES.iter().filter(kept).flat_map(|variable| last.all(variable.name)).cloned().collect();
    Settings::new(settings.iter().cloned().chain(old).collect())
}

fn read_invitation_key(paths: &Paths, warnings: &mut Vec<String>) -> Option<SecretKey> {
    let path = paths.invitation_key();
    if !path.exists() {
        return None;
    }
    keys::read_private(&path, warnings).map_err(|error| warnings.push(format!("{error}; nobody can be invited"))).ok()
}

/// Others know this node by its host file: it must have the key that the node uses.
fn warn_of_other_key(paths: &Paths, node: &Config, key: &PublicKey, warnings: &mut Vec<String>) {
    let path = paths.host_file(&node.name);
    let told = files::read(&path).ok().and_then(|text| keys::public_in(&text));
    if told.is_some_and(|told| told != *key) {
        let path = path.display();
        warnings
            .push(format!("The public key in {path} does not belong to the private key: nodes that have it refuse us"));
    }
}

/// Tells of everything that will have no effect.
fn warn_of_unused(settings: &Settings, warnings: &mut Vec<String>) {
    for setting in settings.iter() {
        let (name, place) = (&setting.variable, &setting.place);
        if name.is_empty() {
            warnings.push(format!("The line begins with a blank and is ignored: {place}"));
            continue;
        }
        let Some(known) = Variable::find(name) else {
            let hint = Variable::like(name).map(|like| format!("; did you mean {}?", like.name)).unwrap_or_default();
            warnings.push(format!("Unknown variable {name} in {place}, ignored{hint}"));
            continue;
        };
        if setting.value.eq_ignore_ascii_case(known.default) {
            continue;
        }
        match known.support {
            Support::Honoured => {}
            Support::Pointless => warnings.push(format!("{} has no effect ({place})", known.name)),
        }
    }
}
