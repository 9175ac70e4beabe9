//! Two equal worlds, one for each implementation: the same paths, the same files, the same network, seen by bind mounts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::case::{Case, Fixture};
use super::normal;
use crate::lab::namespace::Namespace;
use crate::lab::{Kind, Lab, run, tinc11};

/// Which `tinc` speaks with which `tincd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pairing {
    pub(super) tool: Kind,
    pub(super) daemon: Kind,
}

impl Pairing {
    /// What everything is compared with.
    pub(super) const THEIRS: Self = Self { tool: Kind::Tinc11, daemon: Kind::Tinc11 };
    /// Ours with ours.
    pub(super) const OURS: Self = Self { tool: Kind::Ours, daemon: Kind::Ours };
    /// Our tool, their daemon.
    pub(super) const OUR_TOOL: Self = Self { tool: Kind::Ours, daemon: Kind::Tinc11 };
    /// Their tool, our daemon.
    pub(super) const OUR_DAEMON: Self = Self { tool: Kind::Tinc11, daemon: Kind::Ours };

    pub(super) fn our_tool(self) -> bool {
        self.tool == Kind::Ours
    }

    pub(super) fn our_daemon(self) -> bool {
        self.daemon == Kind::Ours
    }
}

/// What a script did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) code: Option<i32>,
    pub(super) files: String,
}

/// A world with its own `/etc`, `/run`, `/var/log` and network.
pub(super) struct World {
    pub(super) pairing: Pairing,
    root: PathBuf,
    namespace: Arc<Namespace>,
    libraries: String,
}

/// What of the real `/etc` programs need.
const ETC: [&str; 5] = ["passwd", "group", "ld.so.cache", "nsswitch.conf", "localtime"];
/// Enters the world at `$1` and carries out the shell script `$2`.
const ENTER: &str = "mount --bind \"$1/etc\" /etc && mount --bind \"$1/run\" /run && \
                     mount --bind \"$1/log\" /var/log || exit 99; cd /etc/tinc/vpn 2>/dev/null || cd /etc/tinc; \
                     exec timeout -k 1 30 sh -c \"$2\"";
/// Makes `Fixture::Alice`; with tinc, in an empty world.
const ALICE: &str = "set -e
    tinc -b init alice
    tinc -n peer -b init bob
    cd /etc/tinc
    printf '\\n# The device\\nDeviceType = dummy\\nConnectTo = bob\\nConnectTo = carol\\nAutoConnect = no\\n' >> vpn/tinc.conf
    printf 'Subnet = 10.1.0.0/16\\nSubnet = fd01::/64#5\\nPort = 7001\\nAddress = 127.0.0.1\\n' >> vpn/hosts/alice
    printf 'DeviceType = dummy\\nAutoConnect = no\\n' >> peer/tinc.conf
    printf 'Subnet = 10.2.0.0/16\\nSubnet = 10.2.3.4\\nPort = 7002\\nAddress = 127.0.0.1\\n' >> peer/hosts/bob
    cp vpn/hosts/alice peer/hosts/
    cp peer/hosts/bob vpn/hosts/
    rm vpn/tinc-up peer/tinc-up";
/// Starts the daemons of `Fixture::Live`.
const LIVE: &str = "set -e
    /etc/theirs/tincd -n peer
    for try in $(seq 100); do
        /etc/theirs/tinc -n peer pid >/dev/null 2>&1 && break
        sleep 0.1
    done
    tincd -n vpn
    for try in $(seq 150); do
        test $(/etc/theirs/tinc -n vpn dump reachable nodes | wc -l) = 2 && exit 0
        sleep 0.1
    done
    echo the daemons do not meet; exit 1";

impl World {
    /// An empty world.
    pub(super) fn new(lab: &Lab, pairing: Pairing) -> Self {
        let root = lab.path(&format!("{:?}-{:?}", pairing.tool, pairing.daemon));
        for dir in ["etc/bin", "etc/theirs", "etc/tinc", "run", "log"] {
            fs::create_dir_all(root.join(dir)).expect("the directory is fresh");
        }
        for file in ETC {
            run(Command::new("cp").args(["-L", &format!("/etc/{file}")]).arg(root.join("etc")));
        }
        let (libraries, tree) = parts_of_wrapper();
        let world = Self { pairing, root, namespace: Namespace::new("blackbox"), libraries };
        for (name, kind) in [("tinc", pairing.tool), ("tincd", pairing.daemon)] {
            let program = if kind == Kind::Ours { lab.ours(name) } else { tree.join(name) };
            std::os::unix::fs::symlink(program, world.root.join("etc/bin").join(name)).expect("fresh");
            std::os::unix::fs::symlink(tree.join(name), world.root.join("etc/theirs").join(name)).expect("fresh");
        }
        world
    }

    /// Puts everything into the state that `fixture` says, with files from `model`.
    pub(super) fn reset(&self, fixture: Fixture, model: &Path) {
        self.end_processes();
        let tinc = self.root.join("etc/tinc");
        for dir in [tinc.clone(), self.root.join("run"), self.root.join("log")] {
            // A script may have removed it.
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir(&dir).expect("just removed");
        }
        if fixture != Fixture::Bare {
            run(Command::new("cp").args(["-a", "-T"]).arg(model).arg(&tinc));
        }
        if fixture == Fixture::Modern {
            fs::remove_file(tinc.join("vpn/rsa_key.priv")).expect("tinc made it");
            run(Command::new("sed").args(["-i", "/^-----BEGIN/,/^-----END/d"]).arg(tinc.join("vpn/hosts/alice")));
        }
        if fixture == Fixture::Live {
            let (code, out, err) = self.shell(LIVE, "");
            assert_eq!(code, Some(0), "{:?}: {out}{err}{}", self.pairing, self.logs());
        }
    }

    /// Makes the files of [`Fixture::Alice`] here and gives their place.
    pub(super) fn make_model(&self) -> PathBuf {
        let (code, out, err) = self.shell(ALICE, "");
        assert_eq!(code, Some(0), "{out}{err}");
        let model = self.root.with_extension("model");
        run(Command::new("cp").arg("-a").arg(self.root.join("etc/tinc")).arg(&model));
        model
    }

    /// Carries out a case and gives what came of it, without what is chance.
    pub(super) fn run(&self, case: &Case) -> Outcome {
        let (code, out, err) = self.shell(case.script, case.input);
        let mut files = BTreeMap::new();
        collect(&self.root.join("etc/tinc"), "/etc/tinc", &mut files);
        collect(&self.root.join("run"), "/run", &mut files);
        drop_directories(&mut files);
        let files = files.into_iter().map(|(path, what)| format!("{path} {what}\n")).collect::<String>();
        let normal = |text: &str| normal::text(case, text);
        Outcome { out: normal(&out), err: normal(&err), code, files: normal(&files) }
    }

    fn shell(&self, script: &str, input: &str) -> (Option<i32>, String, String) {
        let input_file = self.root.join("input");
        fs::write(&input_file, input).expect("the disk has room");
        let mut command = self.namespace.command("sh");
        command.args(["-c", ENTER, "sh"]).arg(&self.root).arg(script).env_clear();
        command.env("PATH", "/etc/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LD_LIBRARY_PATH", &self.libraries);
        command.env("NETNAME", "vpn").env("TERM", "dumb").env("LC_ALL", "C").env("TZ", "UTC").env("HOME", "/");
        command.stdin(Stdio::from(fs::File::open(&input_file).expect("just written")));
        let output = command.output().expect("ip is there");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn logs(&self) -> String {
        let entries = fs::read_dir(self.root.join("log")).expect("it was made");
        entries.map(|entry| fs::read_to_string(entry.expect("readable").path()).unwrap_or_default()).collect()
    }

    fn end_processes(&self) {
        for _ in 0..100 {
            let listed = run(Command::new("ip").args(["netns", "pids", self.namespace.name()]));
            if listed.trim().is_empty() {
                return;
            }
            // They may have ended by themselves meanwhile.
            let _ = Command::new("kill").arg("-KILL").args(listed.split_whitespace()).stderr(Stdio::null()).status();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end_processes();
    }
}

/// What Debian's programs need to run outside their place: the search path of libraries, and where the programs are.
fn parts_of_wrapper() -> (String, PathBuf) {
    let text = fs::read_to_string(tinc11("tinc")).expect("`cargo xtask peers` wrote it");
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let libraries = quoted.next().expect("it sets the path of libraries").to_owned();
    let program = PathBuf::from(quoted.next().expect("it names the program"));
    (libraries, program.parent().expect("a full path").to_owned())
}

/// Leaves out what a daemon of HEAD makes and one of pre18 does not: the address cache, and a place for invitations.
fn drop_directories(files: &mut BTreeMap<String, String>) {
    files.retain(|path, _| !path.ends_with("/cache") && !path.contains("/cache/"));
    let all: Vec<String> = files.keys().cloned().collect();
    let empty = |dir: &str| !all.iter().any(|path| path.starts_with(&format!("{dir}/")));
    files.retain(|path, _| !path.ends_with("/invitations") || !empty(path));
}

/// Each file below `dir`, by path, with mode and content.
fn collect(dir: &Path, shown: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("readable").path();
        let shown = format!("{shown}/{}", path.file_name().expect("it has a name").to_string_lossy());
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_dir() {
            files.insert(shown.clone(), format!("{mode:o} directory"));
            collect(&path, &shown, files);
        } else if metadata.is_file() && shown.ends_with(".pid") {
            files.insert(shown, format!("{mode:o} pid file"));
        } else if metadata.is_file() {
            let content = fs::read(&path).unwrap_or_default();
            files.insert(shown, format!("{mode:o}\n{}", String::from_utf8_lossy(&content)));
        } else {
            files.insert(shown, format!("{mode:o} special"));
        }
    }
}
