//! A network namespace that lasts as long as its value.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every namespace of ours starts so, followed by the process that made it.
const PREFIX: &str = "tinmesh";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    /// Namespaces at the other end of its cables: they last as long as it does.
    neighbours: Mutex<Vec<Arc<Self>>>,
}

impl Namespace {
    /// Makes one with its loopback up. `role` only makes the name readable.
    pub(crate) fn new(role: &str) -> Arc<Self> {
        let name = format!("{PREFIX}-{}-{}-{role}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        succeed(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Arc::new(Self { name, neighbours: Mutex::default() });
        // No address waits for duplicate detection: the addresses are ours to give.
        namespace.shell(
            "ip link set lo up
             echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad
             echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
             echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range",
        );
        namespace
    }

    /// Its name, as `ip netns` shows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Keeps `other` as long as this one.
    pub(crate) fn keep(&self, other: &Arc<Self>) {
        self.neighbours.lock().expect("no holder panics").push(Arc::clone(other));
    }

    /// A command that will run inside, in one process, and end when the thread that starts it ends.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL"]).arg(program);
        command
    }

    /// Runs lines of shell inside; each must succeed.
    pub(crate) fn shell(&self, lines: &str) {
        succeed(self.command("sh").args(["-ec", lines]));
    }

    /// Replaces the packet filter by `rules`, in nft's language.
    pub(crate) fn nft(&self, rules: &str) {
        let mut child = self
            .command("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("nft: {error}"));
        let text = format!("flush ruleset\n{rules}\n");
        child.stdin.take().expect("asked for").write_all(text.as_bytes()).expect("nft reads its rules");
        assert!(child.wait().expect("nft was started").success(), "nft refused:\n{rules}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Removes namespaces of processes that were killed before they could do it.
pub(crate) fn sweep() {
    let listed = Command::new("ip").args(["netns", "list"]).output().map(|output| output.stdout).unwrap_or_default();
    for name in String::from_utf8_lossy(&listed).lines().filter_map(|line| line.split_whitespace().next()) {
        let mut parts = name.split('-');
        let (Some(PREFIX), Some(pid)) = (parts.next(), parts.next()) else { continue };
        if !std::path::Path::new("/proc").join(pid).exists() {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
}
