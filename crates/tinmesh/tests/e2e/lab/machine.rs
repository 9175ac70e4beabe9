//! A machine: a network namespace with a host name, an `/etc`, a `/run` and a `/var/log` of its own.
//!
//! So `tinmesh up` finds what it finds on a real machine, and whatever it writes is gone with the machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::namespace::Namespace;

/// A machine that lasts as long as its value. Its processes end with it.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Its network.
    pub(crate) namespace: Arc<Namespace>,
    name: String,
    path: OsString,
    holder: Child,
}

impl Machine {
    /// A machine named `name` on this network, with scratch space below `dir` and `programs` on its search path.
    pub(crate) fn new(name: &str, namespace: &Arc<Namespace>, dir: &Path, programs: &Path) -> Self {
        let (etc, ready) = (dir.join(format!("{name}-etc")), dir.join(format!("{name}-ready")));
        let script = format!(
            "echo {name} > /proc/sys/kernel/hostname
             cp -a /etc {etc}
             mount --bind {etc} /etc
             mount -t tmpfs -o mode=755 tmpfs /run
             mount -t tmpfs -o mode=755 tmpfs /var/log
             echo > {ready}
             exec sleep infinity",
            etc = etc.display(),
            ready = ready.display()
        );
        let holder = namespace.command("unshare").args(["--mount", "--uts", "sh", "-ec", &script]).spawn();
        let holder = holder.unwrap_or_else(|error| panic!("cannot start machine {name}: {error}"));
        let mut path = OsString::from(programs);
        path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let mut machine = Self { namespace: Arc::clone(namespace), name: name.to_owned(), path, holder };
        machine.wait_for(&ready);
        machine
    }

    /// Its host name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A command on this machine. What it leaves running goes on.
    pub(crate) fn command(&self, program: &str) -> Command {
        let pid = self.holder.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid, "--mount", "--uts", "--net", "env"]).env("PATH", &self.path).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// The processes on it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let listed = Command::new("ip").args(["netns", "pids", self.namespace.name()]).output();
        let text = listed.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// The process that keeps the machine's namespaces alive.
    pub(crate) fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// A path of the machine, as it is seen from outside.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.holder.id()))
    }

    fn wait_for(&mut self, ready: &Path) {
        while !ready.exists() {
            if let Ok(Some(status)) = self.holder.try_wait() {
                panic!("machine {} did not start: {status}", self.name);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Everything on it was started by it, the holder included.
        for pid in self.processes() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
