//! Trouble on the machine itself: other users, slow scripts, rights given up, an interface taken away.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Instant;

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::traffic::inside;
use crate::lab::{Daemon, Kind, Lab, secs, succeeds, wait_until};

const OURS: Kind = Kind::Ours;

fn open_files(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it lives").count()
}

fn script(daemon: &Daemon, name: &str, lines: &str) {
    let path = daemon.dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("the directory is there");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}

#[test]
fn a_script_that_hangs_keeps_neither_the_mesh_nor_the_end_waiting() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    script(&mesh[0], "host-up", "sleep 20");
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));

    assert!(mesh[0].stop().success());

    assert!(!mesh[0].pidfile().exists() && !mesh[0].socket().exists());
}

#[test]
fn a_daemon_that_gave_up_its_rights_can_be_reloaded() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh[0].args.extend(["-U".into(), "nobody".into()]);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    mesh[0].host("Subnet = 10.78.0.0/24");

    mesh[0].tinc(&["reload"]);

    wait_until(secs(5), "the other node knows the new subnet", || {
        mesh[1].tinc(&["dump", "subnets"]).contains("10.78.0.0/24 owner alice")
    });
}

#[test]
fn a_daemon_whose_interface_is_taken_away_ends_with_an_error_and_cleans_up() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh::start(&mut mesh);

    mesh[0].namespace.shell("ip link delete vpn0");

    wait_until(secs(5), "the process has ended", || !mesh[0].lives());
    assert!(mesh[0].log().contains("the network device failed"));
    assert!(!mesh[0].pidfile().exists() && !mesh[0].socket().exists());
}

#[test]
fn another_user_gets_neither_the_cookie_nor_to_the_socket() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh::start(&mut mesh);
    for path in [mesh[0].pidfile(), mesh[0].socket()] {
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o077, 0, "{}", path.display());
    }

    let mut dump = mesh[0].namespace.command("setpriv");
    dump.args(["--reuid=nobody", "--clear-groups"]).arg(lab.ours("tinc")).arg("-c").arg(&mesh[0].dir);
    dump.arg(format!("--pidfile={}", mesh[0].pidfile().display())).args(["dump", "nodes"]);

    assert!(!succeeds(&mut dump));
}

#[test]
fn connections_from_the_machine_itself_do_not_use_up_the_daemon() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    let before = open_files(&mesh[1]);

    let held: Vec<TcpStream> = inside(&mesh[1].namespace, || {
        (0..900).map(|_| TcpStream::connect(("127.0.0.1", 655)).expect("bob accepts")).collect()
    });

    wait_until(secs(3), "most are closed again", || open_files(&mesh[1]) <= before + 120);
    mesh[1].tinc(&["pid"]);
    wait_for_ping(&mesh[0], &v4(2));
    drop(held);
}

#[test]
fn an_error_at_the_start_is_told_once_and_leaves_nothing_behind() {
    let lab = Lab::new();
    let [alice, _] = mesh::pair(&lab, [OURS, OURS]);
    let mut command = alice.namespace.command(lab.ours("tincd"));
    command.args(["-D", "-c"]).arg(&alice.dir).arg(format!("--pidfile={}/missing/pid", alice.dir.display()));
    let start = Instant::now();

    let output = command.output().expect("the program is there");

    assert_eq!(output.status.code(), Some(1));
    assert!(start.elapsed() < secs(5));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("Could not make UNIX socket").count(), 1, "{said}");
    assert!(!succeeds(alice.namespace.command("ip").args(["link", "show", "vpn0"])));
}
