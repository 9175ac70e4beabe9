//! A walk through the specification of the daemon's rights: another user, another root, the sandbox (spec:
//! configuration 10). Two daemons on one loopback, or over a real device where the way of packets matters.

use std::fs;
use std::path::Path;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::status::user_ids;
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};
use crate::spec_process::{Running, Site, pair};

const OURS: Kind = Kind::Ours;

/// The value of a line of `/proc/PID/status`.
fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    text.lines().find_map(|line| line.strip_prefix(key)).expect("Linux has it").trim().to_owned()
}

/// All threads of a daemon are confined; the processes that it started before are not.
fn assert_confined(running: &Running) {
    for task in fs::read_dir(format!("/proc/{}/task", running.pid())).expect("it lives") {
        let task: u32 = task.expect("readable").file_name().to_str().and_then(|n| n.parse().ok()).expect("a number");
        assert_eq!((status(task, "Seccomp:").as_str(), status(task, "NoNewPrivs:").as_str()), ("2", "1"));
    }
}

fn note_runs(site: &Site<'_>, names: &[&str]) {
    let level = |name: &str| if name.contains('/') { "../.." } else { ".." };
    for name in names {
        site.script(
            name,
            &format!("echo {name} $NODE $SUBNET $DEBUG as $(id -un) >>\"${{0%/*}}\"/{}/runs", level(name)),
        );
    }
}

const NAMES: [&str; 8] =
    ["tinc-up", "tinc-down", "host-up", "host-down", "subnet-up", "subnet-down", "hosts/bob-up", "hosts/bob-down"];

#[test]
fn section_10_1_at_level_normal_scripts_run_as_before_and_the_daemon_itself_is_confined() {
    let lab = Lab::new();
    let [alice, bob] = pair(&lab);
    alice.daemon.config("Sandbox = normal").host("Subnet = 10.1.0.0/16");
    bob.daemon.host("Subnet = 10.2.0.0/16");
    note_runs(&alice, &NAMES);
    let log = lab.path("log");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let logfile = format!("--logfile={}", log.display());
    let mut command = alice.tincd(&["-D", "-d3", &logfile]);
    let running = Running::spawn(&mut command);
    wait_until(secs(10), "it is ready", || read(&log).contains("Ready"));
    assert_confined(&running);

    let other = bob.start(&[]);
    wait_until(secs(10), "the script of bob's subnet ran", || read(&lab.path("runs")).contains("subnet-up bob"));
    // The log is opened anew in a directory into which the daemon itself cannot write, and the configuration read.
    fs::rename(&log, lab.path("log.1")).expect("it is there");
    alice.daemon.host("Subnet = 10.9.0.0/16").config("ScriptsInterpreter = /bin/false").config("ScriptsExtension = .x");
    alice.daemon.tinc(&["debug", "4"]);
    running.signal("HUP");
    wait_until(secs(10), "the new log is there", || {
        ["Interpreter", "Extension"]
            .iter()
            .all(|what| read(&log).contains(&format!("Not changing Scripts{what} because of sandbox.")))
    });
    wait_until(secs(10), "the new subnet is up", || {
        read(&lab.path("runs")).contains("subnet-up alice 10.9.0.0/16 4 as root")
    });
    drop(other);
    wait_until(secs(10), "bob is down", || read(&lab.path("runs")).contains("hosts/bob-down bob"));
    assert!(running.stop().success());

    let runs = read(&lab.path("runs"));
    let lines: Vec<&str> = runs.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    for name in NAMES {
        assert!(lines.contains(&name), "{name}:\n{runs}\n{}", read(&log));
    }
    assert_eq!((lines.first(), lines.last()), (Some(&"tinc-up"), Some(&"tinc-down")), "{runs}");
    assert!(alice.daemon.dir.join("cache/bob").exists() || bob.daemon.dir.join("cache/alice").exists());
    wait_until(secs(5), "pid file and socket are removed", || {
        !alice.daemon.pidfile().exists() && !alice.daemon.socket().exists()
    });
    for text in [read(&lab.path("log.1")), read(&log)] {
        assert!(!text.contains("ermission denied") && !text.contains("not permitted"), "{text}");
    }
}

#[test]
fn section_10_1_at_level_high_no_script_runs_once_the_daemon_is_ready() {
    let lab = Lab::new();
    let [alice, bob] = pair(&lab);
    alice.daemon.config("Sandbox = high").host("Subnet = 10.1.0.0/16");
    note_runs(&alice, &NAMES);
    let running = alice.start(&["-d5"]);
    assert_confined(&running);
    let other = bob.start(&[]);
    wait_until(secs(10), "they meet", || alice.said().contains("Node bob (127.0.0.1 port 7102) became reachable"));
    drop(other);
    assert!(running.stop().success());
    let runs = fs::read_to_string(lab.path("runs")).expect("the first scripts ran");
    assert_eq!(runs, "tinc-up 5 as root\nsubnet-up alice 10.1.0.0/16 5 as root\n");
}

#[test]
fn section_10_1_a_program_as_proxy_is_refused_at_level_high() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    site.daemon.config("Proxy = exec nc $REMOTEADDRESS $REMOTEPORT").config("Sandbox = high");
    assert!(site.fails(&[]).contains("Cannot use exec proxies with current sandbox level."));
}

/// The main job in a sandbox: packets over a real device, invitations, names, the end.
fn carries_on(level: &str, options: &[&str]) {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    for daemon in &mut mesh {
        daemon.config(&format!("Sandbox = {level}"));
        daemon.args.extend(options.iter().map(|&option| option.to_owned()));
    }
    // A name in place of the number, for the C library's look-ups.
    let host = mesh[0].host_file("bob");
    let text = fs::read_to_string(&host).expect("it is there").replace("Address = 192.0.2.2", "Address = bob.test");
    fs::write(&host, text).expect("it is ours");
    let etc = Path::new("/etc/netns").join(mesh[0].namespace.name());
    fs::create_dir_all(&etc).expect("we are root");
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n192.0.2.2 bob.test\n").expect("we are root");
    for daemon in &mesh {
        run(std::process::Command::new("chown").args(["-R", "nobody"]).arg(&daemon.dir));
    }
    mesh::start(&mut mesh);
    fs::remove_dir_all(&etc).expect("it was made above");

    wait_for_ping(&mesh[0], &v4(2));
    assert_eq!(status(mesh[0].pid(), "Seccomp:"), "2");
    // 8.1: at level 5, at which the daemons of the laboratory run, packets are told one by one; below they are not.
    wait_for_direct(&mesh[0], "bob", &v4(2));
    wait_for_ping(&mesh[0], &v4(2));
    wait_until(secs(5), "packets are told", || mesh[0].log().contains(" bytes to the device"));
    mesh[0].tinc(&["debug", "4"]);
    let before = mesh[0].log().matches(" bytes to the device").count();
    wait_for_ping(&mesh[0], &v4(2));
    assert_eq!(mesh[0].log().matches(" bytes to the device").count(), before);
    mesh[0].tinc(&["reload"]);
    let url = mesh[1].tinc(&["invite", "carol"]);
    // Written by root; the daemon may be another user.
    run(std::process::Command::new("chown").args(["-R", "nobody"]).arg(mesh[1].dir.join("invitations")));
    mesh[1].tinc(&["reload"]);
    let carol = Daemon::bare(&lab, "carol", OURS, &mesh[0].namespace);
    let url = url.lines().last().expect("an URL");
    let joined = carol.tinc_command(&["--batch", "join", url]).output().expect("the program is there");
    assert!(joined.status.success(), "{joined:?}\n{}", mesh[1].log());
    let kept = || fs::read_to_string(mesh[1].host_file("carol")).unwrap_or_default().contains("Ed25519PublicKey");
    wait_until(secs(5), "the inviter kept carol's key", kept);
    assert!(mesh[1].dir.join("cache/alice").exists() || mesh[0].dir.join("cache/bob").exists(), "addresses are kept");
    for daemon in &mut mesh {
        assert!(daemon.stop().success());
        wait_until(secs(5), "pid file and socket are removed", || {
            !daemon.pidfile().exists() && !daemon.socket().exists()
        });
        // Until the files that root made were given to the other user.
        let early = |line: &&str| !line.contains("invitations/ed25519_key.priv: Permission denied");
        let log = daemon.log().lines().filter(early).collect::<Vec<_>>().join("\n");
        assert!(
            !log.contains("ermission denied") && !log.contains("not permitted") && !log.contains("Could not"),
            "{log}"
        );
    }
}

#[test]
fn section_10_1_everything_goes_on_at_level_normal() {
    carries_on("normal", &[]);
}

#[test]
fn section_10_1_everything_but_scripts_goes_on_at_level_high_as_another_user() {
    carries_on("high", &["-U", "nobody"]);
}

#[test]
fn section_10_another_root_and_another_user_and_a_sandbox_go_together() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    site.script("tinc-up", "id -un >../seen");
    run(std::process::Command::new("chown").args(["-R", "nobody"]).arg(&site.daemon.dir));
    for options in [&["-R"][..], &["-R", "-U", "nobody"], &["-R", "-U", "nobody", "-o", "Sandbox=normal"]] {
        let running = site.start(options);
        let root = fs::read_link(format!("/proc/{}/root", running.pid())).expect("it lives");
        assert_eq!(root, site.daemon.dir, "{options:?}");
        if options.len() > 1 {
            assert_ne!(user_ids(running.pid())[0], 0);
        }
        assert_eq!(status(running.pid(), "Seccomp:"), if options.len() > 3 { "2" } else { "0" });
        assert_eq!(fs::read_to_string(lab.path("seen")).expect("it ran").trim(), "root", "tinc-up has all rights");
        site.daemon.tinc(&["reload"]);
        assert!(running.stop().success());
        wait_until(secs(5), "the files are gone", || !site.daemon.pidfile().exists() && !site.daemon.socket().exists());
    }
}

#[test]
fn section_10_priority_and_locked_memory_are_as_asked_for() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    site.daemon.config("ProcessPriority = low");
    let running = site.start(&["-L"]);
    let stat = fs::read_to_string(format!("/proc/{}/stat", running.pid())).expect("it lives");
    assert_eq!(stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(16)), Some("10"));
    assert_ne!(status(running.pid(), "VmLck:"), "0 kB");
    assert!(running.stop().success());
}
