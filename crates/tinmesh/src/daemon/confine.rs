//! Giving up rights: another root directory, another user, the sandbox (spec: configuration 10).

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tinmesh_os::process::{self, User};
use tinmesh_os::sandbox::{self, Limits, Strength};
use tracing::{info, warn};

use crate::config::{DaemonSettings, Proxy, Sandbox};
use crate::daemon::errands::Errands;
use crate::daemon::names::HOSTS_FILE;
use crate::daemon::scripts::ScriptSettings;

/// What the C library reads to look names up and to tell the time. Directories are those where the files that change
/// live; a file that somebody replaces under a name given here cannot be read any more.
const SYSTEM_FILES: [&str; 22] = [
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/networks",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/nscd",
    "/usr/share/zoneinfo",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/dev/urandom",
    "/dev/random",
    "/dev/null",
];

/// Who the daemon is to be from now on.
pub struct Confinement<'a> {
    /// Another user.
    pub user: Option<&'a User>,
    /// Whether the configuration directory becomes the root.
    pub chroot: bool,
    /// The log file, if there is one.
    pub log: Option<PathBuf>,
}

/// Gives up rights, for good. Gives the settings of scripts as they are from now on, and the servants of a sandbox.
///
/// # Errors
/// If the system refuses; the daemon must not go on then.
pub fn confine(
    confinement: Confinement<'_>,
    settings: &DaemonSettings,
    scripts: &ScriptSettings,
) -> Result<(ScriptSettings, Option<Arc<Errands>>)> {
    let mut scripts = scripts.clone();
    if confinement.chroot {
        process::chroot(&scripts.confbase).context("Could not change the root directory")?;
        scripts.confbase = PathBuf::from("/");
    }
    if let Some(user) = confinement.user {
        process::drop_privileges(user).context("Could not drop privileges")?;
    }
    make_directories(&scripts.confbase, &["cache", "hosts", "invitations"]);
    if settings.sandbox == Sandbox::Off {
        return Ok((scripts, None));
    }
    // Outside of a sandbox it is made with the first statement.
    make_directories(&scripts.confbase, &["fides"]);
    let errands = Errands::start(settings.sandbox, scripts.clone(), confinement.log);
    let errands = Arc::new(errands.context("Could not start the processes that do errands for the sandbox")?);
    let limits = limits(settings, &scripts.confbase);
    if limits.programs {
        warn!("Sandbox: the proxy is a program, so all files can be read and all programs be started");
    }
    match sandbox::enter(&limits).context("Sandbox is used but is not supported on this machine")? {
        Strength::Full => info!("Sandbox: level {}", settings.sandbox),
        Strength::OlderKernel => info!("Sandbox: level {}, as far as this kernel can", settings.sandbox),
    }
    scripts.errands = Some(Arc::clone(&errands));
    Ok((scripts, Some(errands)))
}

fn limits(settings: &DaemonSettings, confbase: &Path) -> Limits {
    let mut read: Vec<PathBuf> = SYSTEM_FILES.iter().map(PathBuf::from).collect();
    read.push(confbase.to_owned());
    let mut write: Vec<PathBuf> = ["cache", "fides", "invitations"].map(|name| confbase.join(name)).to_vec();
    if settings.hosts_file {
        write.push(HOSTS_FILE.into());
    }
    let programs = matches!(settings.proxy, Some(Proxy::Program { .. }));
    Limits { read, write, programs }
}

fn make_directories(confbase: &Path, names: &[&str]) {
    for &name in names {
        let path = confbase.join(name);
        if !path.exists() {
            let mode = if name == "invitations" { 0o700 } else { 0o755 };
            if let Err(cause) = fs::DirBuilder::new().mode(mode).create(&path) {
                warn!("Could not create directory {}: {cause}", path.display());
            }
        }
    }
}
