//! Starting, idling, stopping: what a daemon takes from its machine and gives back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::status::{resident, ticks, user_ids};
use crate::lab::traffic::answers_within;
use crate::lab::{Daemon, Kind, Lab, run, secs, succeeds, wait_until};

const OURS: Kind = Kind::Ours;

/// All files below a directory, but not the cache of addresses, which is meant to stay.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("readable").path());
    let (dirs, found): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let below = dirs.iter().filter(|dir| !dir.ends_with("cache")).flat_map(|dir| files(dir));
    found.into_iter().chain(below).collect()
}

fn has_interface(daemon: &Daemon) -> bool {
    succeeds(daemon.namespace.command("ip").args(["link", "show", "vpn0"]))
}

#[test]
fn a_stopped_daemon_leaves_nothing_behind() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    let before = files(&mesh[0].dir);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    assert!(has_interface(&mesh[0]) && mesh[0].pidfile().exists());

    let status = mesh[0].stop();

    assert!(status.success(), "a requested end is a success, not {status}");
    assert!(!has_interface(&mesh[0]), "the interface is gone");
    assert_eq!(files(&mesh[0].dir), before, "the files are as they were");
}

#[test]
fn tinc_stop_ends_the_daemon() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh::start(&mut mesh);

    mesh[0].tinc(&["stop"]);

    wait_until(secs(5), "the process has ended", || !mesh[0].lives());
    assert!(!mesh[0].socket().exists() && !mesh[0].pidfile().exists());
}

#[test]
fn a_daemon_drops_its_privileges() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh[0].args.extend(["-U".into(), "nobody".into()]);
    let before = files(&mesh[0].dir);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    let nobody: u32 = run(Command::new("id").args(["-u", "nobody"])).trim().parse().expect("a number");

    assert_eq!(user_ids(mesh[0].pid()), [nobody; 4]);
    let capabilities = std::fs::read_to_string(format!("/proc/{}/status", mesh[0].pid())).expect("it lives");
    assert!(capabilities.contains("CapEff:\t0000000000000000"), "no capability is left:\n{capabilities}");

    assert!(mesh[0].stop().success());
    assert!(!has_interface(&mesh[0]), "the interface is gone");
    assert_eq!(files(&mesh[0].dir), before, "the files are as they were");
}

#[test]
fn a_daemon_starts_again_after_kill_9_without_help() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh::start(&mut mesh);
    mesh[0].kill();
    assert!(mesh[0].socket().exists() && mesh[0].pidfile().exists(), "a killed daemon cannot clean up");

    mesh[0].start();

    wait_until(secs(5), "the new daemon is in control", || mesh[0].try_tinc(&["pid"]).status.success());
    assert_eq!(mesh[0].tinc(&["pid"]).trim(), mesh[0].pid().to_string());
    wait_for_ping(&mesh[0], &v4(2));
}

#[test]
fn a_second_daemon_refuses_to_start_and_harms_nothing() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh::start(&mut mesh);
    let first = &mesh[0];
    let options = ["-D", "-c"].map(String::from).into_iter();
    let options = options.chain([first.dir.display().to_string(), format!("--pidfile={}", first.pidfile().display())]);

    let second = first.namespace.command(lab.ours("tincd")).args(options).output().expect("the program is there");

    assert_eq!(second.status.code(), Some(1), "{}", String::from_utf8_lossy(&second.stderr));
    assert_eq!(first.tinc(&["pid"]).trim(), first.pid().to_string(), "the first is still in control");
    wait_for_ping(first, &v4(2));
}

#[test]
fn the_first_ping_is_answered_soon_after_the_start() {
    let lab = Lab::alone();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    let start = Instant::now();
    mesh::start(&mut mesh);

    let answered = answers_within(&mesh[0].namespace, &v4(2), secs(5));

    assert!(answered, "no answer within five seconds");
    let took = start.elapsed();
    eprintln!("both daemons started and a ping answered after {} ms", took.as_millis());
    assert!(took <= Duration::from_millis(1500), "start to first ping took {took:?}");
}

#[test]
fn an_idle_daemon_is_small_and_quiet() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh::start(&mut mesh);
    wait_for_direct(&mesh[0], "bob", &v4(2));
    let before = mesh.each_ref().map(|daemon| ticks(daemon.pid()));

    std::thread::sleep(secs(20));

    for (daemon, before) in mesh.iter().zip(before) {
        let (memory, used) = (resident(daemon.pid()), ticks(daemon.pid()) - before);
        eprintln!("{}: {memory} KiB resident, {} ms of processor time in 20 s", daemon.name, used * 10);
        assert!(memory <= 15 * 1024, "{} uses {memory} KiB", daemon.name);
        assert!(used <= 2, "{} used {} ms of processor time in 20 s of idleness", daemon.name, used * 10);
    }
}
