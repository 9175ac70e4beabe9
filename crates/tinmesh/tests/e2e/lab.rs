//! A laboratory: network namespaces with real daemons, ours and tinc's, and what happens between them.
//!
//! ```text
//!  host ── segment "wan" (a bridge in a namespace of its own) ── host
//!                     │
//!                  router (NAT) ── segment "home" ── host
//! ```
//!
//! Everything is made anew for each test and taken away when its value is dropped, also when the test fails; then the
//! logs of its daemons are shown. It needs root and says so.

pub(crate) mod daemon;
pub(crate) mod etc;
pub(crate) mod machine;
pub(crate) mod mesh;
pub(crate) mod namespace;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod raw_old;
pub(crate) mod sayings;
pub(crate) mod status;
pub(crate) mod topology;
pub(crate) mod traffic;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

pub(crate) use daemon::{Daemon, Kind};
use tempfile::TempDir;

/// One test's part of the laboratory: its directory and its turn on the machine.
pub(crate) struct Lab {
    root: TempDir,
    _turn: Turn,
}

/// Tests that measure time or load have the machine for themselves; the others share it.
static MACHINE: RwLock<()> = RwLock::new(());

#[expect(dead_code, reason = "held, not read")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
    /// Takes minutes and little of the machine: nobody waits for it.
    BesideAll,
}

impl Lab {
    /// A laboratory beside others.
    pub(crate) fn new() -> Self {
        Self::with(Turn::Shared(MACHINE.read().unwrap_or_else(|poisoned| poisoned.into_inner())))
    }

    /// A laboratory while no other test runs.
    pub(crate) fn alone() -> Self {
        Self::with(Turn::Alone(MACHINE.write().unwrap_or_else(|poisoned| poisoned.into_inner())))
    }

    /// A laboratory of a test that takes minutes and little of the machine, also beside those that are alone; or the second
    /// laboratory of a test, which would wait for ever if another test waits to be alone.
    pub(crate) fn beside_all() -> Self {
        Self::with(Turn::BesideAll)
    }

    fn with(turn: Turn) -> Self {
        check_machine();
        let root = tempfile::Builder::new().prefix("tm-").tempdir().expect("a temporary directory can be made");
        let lab = Self { root, _turn: turn };
        // Daemons that changed their user must still reach their files.
        run(Command::new("chmod").arg("755").arg(lab.root.path()));
        let bin = lab.path("bin");
        std::fs::create_dir(&bin).expect("the directory is fresh");
        for name in ["tinmesh", "tincd", "tinc"] {
            std::os::unix::fs::symlink(stand_in(name), bin.join(name)).expect("the directory is fresh");
        }
        lab
    }

    /// A path inside the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Our program under one of its names.
    pub(crate) fn ours(&self, name: &str) -> PathBuf {
        self.path("bin").join(name)
    }

    /// `tinmesh` for a daemon, not yet run.
    pub(crate) fn tinmesh(&self, daemon: &Daemon, words: &str) -> Command {
        let mut command = daemon.namespace.command(self.ours("tinmesh"));
        command.arg("--config").arg(&daemon.dir).arg("--pidfile").arg(daemon.pidfile());
        command.args(words.split(' ')).stdin(Stdio::null());
        command
    }
}

/// Our program, or the one of that name in the directory `TINMESH_STAND_IN`: with tinc's there, the tests are tested.
fn stand_in(name: &str) -> PathBuf {
    let dir = std::env::var_os("TINMESH_STAND_IN");
    dir.map_or_else(|| env!("CARGO_BIN_EXE_tinmesh").into(), |dir| Path::new(&dir).join(name))
}

/// Debian's tinc 1.1, as `cargo xtask peers` leaves it.
pub(crate) fn tinc11(program: &str) -> PathBuf {
    peer("tinc-1.1", program)
}

/// Debian's tinc 1.0; it has no `tinc`.
pub(crate) fn tinc10() -> PathBuf {
    peer("tinc-1.0", "tincd")
}

fn peer(version: &str, program: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the directory lies in the target directory");
    let path = target.join("peers").join(version).join("bin").join(program);
    assert!(path.exists(), "\n\n  {} is missing: run `cargo xtask peers` first\n\n", path.display());
    path
}

/// Runs a command that must succeed, and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}\n{out}{err}", output.status);
    out.into_owned()
}

/// Runs a command and says whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.unwrap_or_else(|error| panic!("{command:?}: {error}")).success()
}

/// Waits until `done`; fails with `what` was waited for.
#[track_caller]
pub(crate) fn wait_until(limit: Duration, what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "after {limit:?} it was still not true that {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    start.elapsed()
}

/// Seconds, as most waits are counted.
pub(crate) const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn check_machine() {
    static CHECKED: std::sync::Once = std::sync::Once::new();
    CHECKED.call_once(|| {
        let remedy = "the end-to-end tests make network namespaces: run `sudo -E cargo xtask test`, which installs \
                      what they need (iproute2 nftables iputils-ping)";
        assert!(rustix::process::geteuid().is_root(), "\n\n  not root: {remedy}\n\n");
        assert!(Path::new("/dev/net/tun").exists(), "\n\n  /dev/net/tun is missing: load the kernel module tun\n\n");
        for tool in [["ip", "-V"], ["nft", "-v"], ["ping", "-V"], ["setpriv", "--version"]] {
            let output = Command::new(tool[0]).arg(tool[1]).output();
            assert!(output.is_ok_and(|output| output.status.success()), "\n\n  no `{}`: {remedy}\n\n", tool[0]);
        }
        namespace::sweep();
    });
}
