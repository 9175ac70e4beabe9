//! The system log, as tinc's daemon and ours write to it (spec: configuration 8.2): a socket in the place of `/dev/log`.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::lab::namespace::Namespace;
use crate::lab::{Daemon, Kind, Lab, tinc11, wait_until};

const KINDS: [Kind; 2] = [Kind::Tinc11, Kind::Ours];
/// Longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(10);
/// A `/dev` with the socket `$1` as `log`; `ip netns exec` sees to it that only this process has it.
const WITH_LOG: &str = "mkdir $1.dev; mount -t tmpfs none $1.dev; cp -a /dev/null /dev/zero /dev/random /dev/urandom $1.dev; \
                        ln -s $1 $1.dev/log; mount --bind $1.dev /dev; shift; exec \"$@\"";

/// A daemon of network `net1`, to be started with these options where `socket` is the system log.
fn tincd(lab: &Lab, daemon: &Daemon, socket: &std::path::Path, options: &[&str]) -> Command {
    let program = if daemon.kind == Kind::Ours { lab.ours("tincd") } else { tinc11("tincd") };
    let mut command = daemon.namespace.command("sh");
    command.args(["-ec", WITH_LOG, "sh"]).arg(socket).arg(program);
    command.args(["-n", "net1", "-c"]).arg(&daemon.dir).arg(format!("--pidfile={}", daemon.pidfile().display()));
    command.args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// All that a daemon wrote from its start to its end, without times and process numbers.
fn lines(kind: Kind, options: &[&str]) -> Vec<String> {
    let lab = Lab::new();
    let daemon = Daemon::init(&lab, "node", kind, &Namespace::new("node"));
    let _ = fs::remove_file(daemon.dir.join("tinc-up"));
    daemon.config("DeviceType = dummy").config("AutoConnect = no").host("Port = 0");
    let path = lab.path("log");
    let socket = UnixDatagram::bind(&path).expect("the directory is fresh");
    socket.set_read_timeout(Some(PATIENCE)).expect("a valid time");
    let mut child = tincd(&lab, &daemon, &path, options).spawn().expect("sh is there");
    wait_until(PATIENCE, "it answers", || daemon.try_tinc(&["pid"]).status.success());
    daemon.tinc(&["stop"]);
    child.wait().expect("our child");
    let mut found = Vec::new();
    let mut space = [0; 2048];
    while !found.iter().any(|line: &String| line.ends_with(": Terminating")) {
        let len = socket.recv(&mut space).unwrap_or_else(|error| panic!("{kind:?}: {error} after {found:#?}"));
        found.push(bare(&String::from_utf8_lossy(&space[..len])));
    }
    found
}

/// A line with its priority, ident and text. The C library of tinc's daemon puts the time in front of the ident, which
/// whoever reads it knows himself.
fn bare(line: &str) -> String {
    let line = line.trim_end_matches(['\0', '\n']);
    let (priority, rest) = line.split_once('>').expect("each begins with <PRIORITY>");
    let ident = rest.find("tinc").expect("each names the ident");
    let (ident, text) = rest[ident..].split_once("]: ").expect("the ident ends with the process number");
    let (ident, number) = ident.split_once('[').expect("the process number follows the ident");
    assert!(number.parse::<u32>().is_ok(), "{line}");
    format!("{priority}>{ident}: {text}")
}

/// What both say in the same words.
fn common(lines: &[String]) -> Vec<&str> {
    let told = ["Ready", "dummy (dummy) is a dummy device", "Terminating"];
    lines.iter().map(String::as_str).filter(|line| told.iter().any(|end| line.ends_with(&format!(": {end}")))).collect()
}

#[test]
fn section_8_2_the_system_log_gets_ident_and_priority_in_the_foreground_if_asked_for() {
    for kind in KINDS {
        let lines = lines(kind, &["-D", "-s"]);

        let expected =
            ["<30>tinc.net1: dummy (dummy) is a dummy device", "<29>tinc.net1: Ready", "<29>tinc.net1: Terminating"];
        assert_eq!(common(&lines), expected, "{kind:?}: {lines:#?}");
        assert!(lines[0].starts_with("<29>tinc.net1: tincd ") && lines[0].ends_with("starting, debug level 0"));
    }
}

#[test]
fn section_8_2_the_system_log_gets_everything_of_a_detached_daemon() {
    for kind in KINDS {
        let lines = lines(kind, &["-d1"]);

        assert!(common(&lines).contains(&"<29>tinc.net1: Ready"), "{kind:?}: {lines:#?}");
        let listening = lines.iter().filter(|line| line.contains(": Listening on "));
        assert!(listening.clone().count() == 2, "{kind:?}: {lines:#?}");
    }
}
