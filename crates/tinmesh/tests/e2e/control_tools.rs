//! A walk through the specification of `start`, `stop`, `log`, `pcap`, `top`, cli B.6 and B.7: our tool with either daemon,
//! and tinc's tool with ours.

#[expect(clippy::unwrap_used, reason = "what helps tests may fail like them")]
#[path = "../spec_cli_files/terminal.rs"]
mod terminal;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use terminal::Terminal;

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::traffic::ping;
use crate::lab::{Daemon, Kind, Lab, secs, tinc11, wait_until};

/// Tool and daemon: all pairs in which one is ours.
const PAIRS: [[Kind; 2]; 3] = [[Kind::Ours, Kind::Ours], [Kind::Ours, Kind::Tinc11], [Kind::Tinc11, Kind::Ours]];

fn tool(lab: &Lab, kind: Kind, daemon: &Daemon, args: &[&str]) -> Command {
    let program = if kind == Kind::Ours { lab.ours("tinc") } else { tinc11("tinc") };
    let mut command = daemon.namespace.command(program);
    command.arg("-c").arg(&daemon.dir).arg(format!("--pidfile={}", daemon.pidfile().display())).args(args);
    command
}

/// Runs `check` for each pair with a mesh whose daemons have pinged each other.
fn with_pairs(check: impl Fn(&Lab, Kind, &mut [Daemon; 2])) {
    for [tool, daemon] in PAIRS {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, [daemon, daemon]);
        mesh::start(&mut mesh);
        wait_for_ping(&mesh[0], &v4(2));
        check(&lab, tool, &mut mesh);
    }
}

#[test]
fn b7_pcap_writes_a_capture_with_the_packets_that_were_routed() {
    with_pairs(|lab, kind, [alice, _]| {
        let file = lab.path("capture");
        let out = std::fs::File::create(&file).expect("the directory is there");
        let mut child = tool(lab, kind, alice, &["pcap", "60"]).stdout(out).spawn().expect("the program is there");
        let size = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        wait_until(secs(5), "the header is written", || size() >= 24);

        wait_until(secs(5), "packets are written", || ping(&alice.namespace, &v4(2)) && size() >= 24 + 2 * 76);

        child.kill().expect("our child");
        let _ = child.wait();
        let bytes = std::fs::read(&file).expect("it was written");
        let number = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert_eq!([number(0), number(16), number(20)], [0xa1b2_c3d4, 60, 1]);
        assert_eq!(number(32), 60, "what is kept");
        let length = if kind == Kind::Ours { 98 } else { 60 };
        assert_eq!(number(36), length, "{kind:?}: how long it was");
        assert_eq!(bytes[40 + 12..40 + 15], [8, 0, 0x45]);
    });
}

#[test]
fn b7_log_follows_a_quiet_daemon_and_ends_with_an_interrupt() {
    for kind in [Kind::Ours, Kind::Tinc11] {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, [kind, kind]);
        mesh::start(&mut mesh);
        wait_for_ping(&mesh[0], &v4(2));
        let mut command = mesh[0].namespace.command("timeout");
        command.args(["--preserve-status", "-s", "INT", "7"]).arg(lab.ours("tinc")).arg("-c").arg(&mesh[0].dir);
        command.arg(format!("--pidfile={}", mesh[0].pidfile().display())).args(["log", "0"]);
        let start = Instant::now();

        let output = command.stdin(Stdio::null()).output().expect("timeout is there");

        assert!(start.elapsed() >= secs(6), "it waits for longer than the five seconds of one answer");
        assert_eq!(output.status.code(), Some(0), "{kind:?}");
        assert_eq!(output.stderr, b"\n", "{kind:?}");
    }
}

#[test]
fn b7_log_prints_what_happens() {
    with_pairs(|lab, kind, [alice, bob]| {
        let file = lab.path("followed");
        let out = std::fs::File::create(&file).expect("the directory is there");
        let mut child = tool(lab, kind, alice, &["log", "5"]).stdout(out).spawn().expect("the program is there");
        let text = || std::fs::read_to_string(&file).unwrap_or_default();
        wait_until(secs(5), "the daemon knows of the follower", || {
            alice.tinc(&["dump", "connections"]).lines().any(|line| line.ends_with(" status a00"))
        });

        bob.tinc(&["disconnect", "alice"]);

        wait_until(secs(5), "the end of the connection is told", || text().contains("bob"));
        child.kill().expect("our child");
        let _ = child.wait();
    });
}

#[test]
fn b7_top_draws_on_a_terminal_and_obeys_its_keys() {
    for kind in [Kind::Ours, Kind::Tinc11] {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, [kind, kind]);
        mesh::start(&mut mesh);
        wait_for_ping(&mesh[0], &v4(2));
        let mut screen = Terminal::run(tool(&lab, Kind::Ours, &mesh[0], &["top"]));

        screen.expect("  Nodes:    2  Sort: name        Current");
        screen.expect("Node                IN pkts   IN bytes   OUT pkts  OUT bytes");
        screen.expect("alice ");
        screen.expect("bob ");
        screen.enter("c");
        screen.expect("Sort: name        Cumulative");
        screen.enter("T");
        screen.expect("Sort: tot pkts    Cumulative");
        screen.enter("k");
        screen.expect("IN kbyte");
        screen.enter("s");
        screen.answer("Change delay from 1.0s to: ", "0.3");
        screen.expect("alice ");
        screen.enter("s");
        screen.answer("Change delay from 0.3s to: ", "nonsense");
        screen.enter("q");
        let (code, _) = screen.end();

        assert_eq!(code, 0, "{kind:?}");
    }
}

#[test]
fn b6_stop_waits_for_a_slow_tinc_down() {
    with_pairs(|lab, kind, [alice, _]| {
        let script = alice.dir.join("tinc-down");
        std::fs::write(&script, "#!/bin/sh\nsleep 6\ntouch finished\n").expect("the directory is there");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");

        let output = tool(lab, kind, alice, &["stop"]).stdin(Stdio::null()).output().expect("the program is there");

        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{kind:?} with {:?}", alice.kind);
        assert!(alice.dir.join("finished").exists(), "{kind:?} with {:?}: the script has ended", alice.kind);
        assert!(!alice.pidfile().exists(), "{kind:?} with {:?}: the files are gone", alice.kind);
    });
}
