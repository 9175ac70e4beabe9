//! Where the files of one instance are, and how the daemon and its clients agree on it.
//!
//! Source: spec configuration 1, 2.1, cli A.1, A.4.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use tinmesh_core::name::NodeName;

/// Directory of configurations of all programs.
const SYSCONFDIR: &str = "/etc";
/// Directory of what programs keep at run time.
const LOCALSTATEDIR: &str = "/var";
/// Longest path of a socket: `sun_path` without its final NUL.
const MAX_SOCKET_PATH: usize = 107;

/// What the command line says about places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathOptions {
    /// `--config`: exactly this directory.
    pub config: Option<PathBuf>,
    /// `--net`: the netname; `None`: what the environment variable `NETNAME` says.
    pub net: Option<String>,
    /// `--pidfile`.
    pub pidfile: Option<PathBuf>,
    /// `--logfile`.
    pub logfile: Option<PathBuf>,
}

/// Places of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Directory of all instances.
    pub confdir: PathBuf,
    /// Directory of this instance.
    pub confbase: PathBuf,
    /// Whether the operator chose `confbase` itself.
    pub explicit: bool,
    /// The instance's name on this machine.
    pub netname: Option<String>,
    /// Tag in logs and file names.
    pub ident: String,
    /// The daemon's pid file.
    pub pid_file: PathBuf,
    /// The daemon's control socket.
    pub socket: PathBuf,
    /// The daemon's log, if it writes one.
    pub log_file: PathBuf,
    /// What the operator should be told about the choice of places.
    pub notices: Vec<String>,
}

impl Paths {
    /// Where a file called `name` is that exists only while a program runs.
    pub fn run_time(name: &str) -> PathBuf {
        Path::new(LOCALSTATEDIR).join("run").join(name)
    }
}

/// Why places cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The netname could lead out of its directory.
    #[error("Invalid character in netname!")]
    Netname,
    /// A relative path, and the working directory is not known.
    #[error("Could not get the working directory: {0}")]
    WorkingDirectory(#[from] std::io::Error),
    /// The socket's path does not fit where the system keeps it.
    #[error("UNIX socket filename {} is too long!", .0.display())]
    SocketTooLong(PathBuf),
}

/// How safe a netname is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netname {
    /// Good anywhere.
    Safe,
    /// Good as a directory, but shells may stumble over it.
    Unsafe,
    /// Not a netname.
    Invalid,
}

impl Netname {
    /// Judges a netname by the full rules.
    pub fn judge(text: &str) -> Self {
        let leads_out = |c: char| c.is_control() || c == '/' || c == '\\';
        if text.is_empty() || text.starts_with('.') || text.contains(leads_out) {
            return Self::Invalid;
        }
        if text.contains([' ', '$', '%', '<', '>', ':', '`', '"', '|', '?', '*']) { Self::Unsafe } else { Self::Safe }
    }
}

/// Directories that were chosen when the program was built.
#[derive(Clone, Copy)]
struct Roots<'a> {
    sysconf: &'a Path,
    localstate: &'a Path,
}

impl Paths {
    /// Places as the daemon uses them.
    ///
    /// # Errors
    /// If the netname or the socket's path is not usable.
    pub fn for_daemon(options: &PathOptions) -> Result<Self, PathError> {
        let roots = Roots { sysconf: Path::new(SYSCONFDIR), localstate: Path::new(LOCALSTATEDIR) };
        Self::daemon_in(roots, &with_environment(options))
    }

    /// Places as a client of the daemon uses them.
    ///
    /// # Errors
    /// If the netname is not usable.
    pub fn for_control(options: &PathOptions) -> Result<Self, PathError> {
        let roots = Roots { sysconf: Path::new(SYSCONFDIR), localstate: Path::new(LOCALSTATEDIR) };
        Self::control_in(roots, &with_environment(options))
    }

    fn daemon_in(roots: Roots<'_>, options: &PathOptions) -> Result<Self, PathError> {
        let mut paths = Self::base(roots, options)?;
        match paths.netname.as_deref().map_or(Netname::Safe, Netname::judge) {
            Netname::Invalid => return Err(PathError::Netname),
            Netname::Unsafe => paths.notices.push("Warning: unsafe character in netname!".to_owned()),
            Netname::Safe => {}
        }
        let state = roots.localstate;
        let usable = access(state, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
        if let Err(cause) = usable {
            paths.fall_back();
            if options.pidfile.is_none() {
                let reason = std::io::Error::from(cause);
                paths.notices.push(format!(
                    "Could not access {}/ ({}), storing pid and socket files in {}/",
                    state.display(),
                    crate::files::reason(&reason),
                    paths.confbase.display()
                ));
            }
        }
        let paths = paths.override_with(options)?;
        if paths.socket.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(PathError::SocketTooLong(paths.socket));
        }
        Ok(paths)
    }

    fn control_in(roots: Roots<'_>, options: &PathOptions) -> Result<Self, PathError> {
        let mut paths = Self::base(roots, options)?;
        let readable = |path: &Path| access(path, Access::READ_OK).is_ok();
        if !readable(&paths.pid_file) && readable(&paths.confbase.join("pid")) {
            paths.fall_back();
        }
        paths.override_with(options)
    }

    /// Places by the default rules, before it is known which of them can be used.
    fn base(roots: Roots<'_>, options: &PathOptions) -> Result<Self, PathError> {
        let netname = options.net.clone().filter(|net| !net.is_empty() && net != ".");
        if netname.as_deref().is_some_and(|net| net.starts_with('.') || net.contains(['/', '\\'])) {
            return Err(PathError::Netname);
        }
        let mut notices = Vec::new();
        let confdir = roots.sysconf.join("tinc");
        let confbase = match (&options.config, &netname) {
            (Some(directory), net) => {
                if net.is_some() {
                    notices.push("Both netname and configuration directory given, using the latter...".to_owned());
                }
                std::path::absolute(directory)?
            }
            (None, Some(net)) => confdir.join(net),
            (None, None) => confdir.clone(),
        };
        let ident = netname.as_ref().map_or_else(|| "tinc".to_owned(), |net| format!("tinc.{net}"));
        let pid_file = roots.localstate.join("run").join(format!("{ident}.pid"));
        let log_file = roots.localstate.join("log").join(format!("{ident}.log"));
        let socket = socket_beside(&pid_file);
        let explicit = options.config.is_some();
        Ok(Self { confdir, confbase, explicit, netname, ident, pid_file, socket, log_file, notices })
    }

    fn fall_back(&mut self) {
        self.pid_file = self.confbase.join("pid");
        self.socket = socket_beside(&self.pid_file);
        self.log_file = self.confbase.join("log");
    }

    fn override_with(mut self, options: &PathOptions) -> Result<Self, PathError> {
        if let Some(path) = &options.pidfile {
            self.pid_file = std::path::absolute(path)?;
            self.socket = socket_beside(&self.pid_file);
        }
        if let Some(path) = &options.logfile {
            self.log_file = std::path::absolute(path)?;
        }
        Ok(self)
    }

    /// The places of another instance on this machine; those that the operator chose stay.
    #[must_use]
    pub fn with_netname(&self, netname: &str) -> Self {
        let ident = format!("tinc.{netname}");
        let move_file = |path: &Path, extension: &str| {
            let usual = format!("{}.{extension}", self.ident);
            if path.file_name().is_some_and(|name| name == usual.as_str()) {
                path.with_file_name(format!("{ident}.{extension}"))
            } else {
                path.to_owned()
            }
        };
        let pid_file = move_file(&self.pid_file, "pid");
        Self {
            confbase: if self.explicit { self.confbase.clone() } else { self.confdir.join(netname) },
            netname: Some(netname.to_owned()),
            socket: socket_beside(&pid_file),
            log_file: move_file(&self.log_file, "log"),
            pid_file,
            ident,
            ..self.clone()
        }
    }

    /// The main configuration file.
    pub fn tinc_conf(&self) -> PathBuf {
        self.confbase.join("tinc.conf")
    }

    /// Directory of further configuration files.
    pub fn conf_d(&self) -> PathBuf {
        self.confbase.join("conf.d")
    }

    /// Directory of host files.
    pub fn hosts(&self) -> PathBuf {
        self.confbase.join("hosts")
    }

    /// A node's host file.
    pub fn host_file(&self, name: &NodeName) -> PathBuf {
        self.hosts().join(name.as_str())
    }

    /// Directory of addresses that worked.
    pub fn cache(&self) -> PathBuf {
        self.confbase.join("cache")
    }

    /// Directory of outstanding invitations.
    pub fn invitations(&self) -> PathBuf {
        self.confbase.join("invitations")
    }

    /// The private key, unless the configuration names another file.
    pub fn private_key(&self) -> PathBuf {
        self.confbase.join("ed25519_key.priv")
    }

    /// The private key of invitations.
    pub fn invitation_key(&self) -> PathBuf {
        self.invitations().join("ed25519_key.priv")
    }
}

fn with_environment(options: &PathOptions) -> PathOptions {
    let net = options.net.clone().or_else(|| std::env::var("NETNAME").ok());
    PathOptions { net, ..options.clone() }
}

/// The control socket that belongs to a pid file.
fn socket_beside(pid_file: &Path) -> PathBuf {
    let has_stem = pid_file.file_stem().is_some_and(|stem| !stem.is_empty());
    if has_stem && pid_file.extension().is_some_and(|extension| extension == "pid") {
        return pid_file.with_extension("socket");
    }
    let mut name = pid_file.as_os_str().to_owned();
    name.push(".socket");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(config: Option<&str>, net: Option<&str>) -> PathOptions {
        PathOptions { config: config.map(PathBuf::from), net: net.map(str::to_owned), ..PathOptions::default() }
    }

    fn in_dir(dir: &Path) -> Roots<'_> {
        Roots { sysconf: dir, localstate: dir }
    }

    #[test]
    fn a_netname_chooses_directory_and_ident() {
        let dir = tempfile::tempdir().unwrap();

        let paths = Paths::daemon_in(in_dir(dir.path()), &options(None, Some("vpn"))).unwrap();

        assert_eq!(paths.confbase, dir.path().join("tinc/vpn"));
        assert_eq!(paths.pid_file, dir.path().join("run/tinc.vpn.pid"));
        assert_eq!(paths.socket, dir.path().join("run/tinc.vpn.socket"));
        assert_eq!(paths.log_file, dir.path().join("log/tinc.vpn.log"));
    }

    #[test]
    fn a_directory_beats_a_netname_which_keeps_the_ident() {
        let dir = tempfile::tempdir().unwrap();

        let paths = Paths::control_in(in_dir(dir.path()), &options(Some("/x/y"), Some("vpn"))).unwrap();

        assert_eq!((paths.confbase.as_path(), paths.ident.as_str()), (Path::new("/x/y"), "tinc.vpn"));
        assert_eq!(paths.notices.len(), 1);
    }

    #[test]
    fn an_empty_netname_or_a_dot_is_none() {
        let dir = tempfile::tempdir().unwrap();
        for net in ["", "."] {
            let paths = Paths::daemon_in(in_dir(dir.path()), &options(None, Some(net))).unwrap();
            assert_eq!((paths.netname, paths.confbase), (None, dir.path().join("tinc")));
        }
    }

    #[test]
    fn netnames_that_lead_elsewhere_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for net in ["..", ".x", "a/b", "a\\b", "a\nb"] {
            assert!(Paths::daemon_in(in_dir(dir.path()), &options(None, Some(net))).is_err(), "{net:?}");
        }
    }

    #[test]
    fn without_a_state_directory_the_daemon_uses_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { sysconf: dir.path(), localstate: &dir.path().join("missing") };

        let paths = Paths::daemon_in(roots, &options(Some("/x"), None)).unwrap();

        assert_eq!(paths.pid_file, Path::new("/x/pid"));
        assert_eq!(paths.socket, Path::new("/x/pid.socket"));
        assert!(paths.notices[0].contains("storing pid and socket files in /x/"), "{:?}", paths.notices);
    }

    #[test]
    fn a_client_finds_the_pid_file_in_the_directory_of_the_instance() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("conf");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join("pid"), "1").unwrap();

        let paths = Paths::control_in(in_dir(dir.path()), &options(config.to_str(), None)).unwrap();

        assert_eq!(paths.pid_file, config.join("pid"));
    }

    #[test]
    fn another_netname_moves_everything_that_was_not_chosen() {
        let dir = tempfile::tempdir().unwrap();
        let in_dir = in_dir(dir.path());
        let moved = Paths::control_in(in_dir, &options(None, None)).unwrap().with_netname("vpn");
        assert_eq!(moved, Paths::control_in(in_dir, &options(None, Some("vpn"))).unwrap());
        let chosen = Paths::control_in(in_dir, &options(Some("/x"), None)).unwrap().with_netname("vpn");
        assert_eq!((chosen.confbase.as_path(), chosen.ident.as_str()), (Path::new("/x"), "tinc.vpn"));
    }

    #[test]
    fn an_explicit_pid_file_moves_the_socket_but_not_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let given = PathOptions { pidfile: Some("/run/a.pid".into()), ..options(None, None) };

        let paths = Paths::daemon_in(in_dir(dir.path()), &given).unwrap();

        assert_eq!(paths.socket, Path::new("/run/a.socket"));
        assert_eq!(paths.log_file, dir.path().join("log/tinc.log"));
    }

    #[test]
    fn a_socket_path_that_does_not_fit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let given = PathOptions { pidfile: Some(format!("/{}.pid", "x".repeat(120)).into()), ..options(None, None) };
        assert!(matches!(Paths::daemon_in(in_dir(dir.path()), &given), Err(PathError::SocketTooLong(_))));
    }
}
