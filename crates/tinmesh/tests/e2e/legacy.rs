//! Meshes with Debian's tinc 1.0.36, in the protocol of tinc 1.0.

use std::fs;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::traffic::ping_many;
use crate::lab::{Daemon, Kind, Lab};

const OURS: Kind = Kind::Ours;
const OLD: Kind = Kind::Tinc10;

/// Gives each node an RSA key, and those who know each other the new host files; tinc 1.0 loses its Ed25519 key.
fn use_rsa(mesh: &[Daemon]) {
    for daemon in mesh {
        daemon.tinc(&["generate-rsa-keys", "2048"]);
        if daemon.kind == OLD {
            let _ = fs::remove_file(daemon.dir.join("ed25519_key.priv"));
            let text = fs::read_to_string(daemon.host_file(&daemon.name)).expect("the file is there");
            let kept: String =
                text.lines().filter(|line| !line.starts_with("Ed25519")).map(|line| format!("{line}\n")).collect();
            fs::write(daemon.host_file(&daemon.name), kept).expect("the file is ours");
        }
    }
    for daemon in mesh {
        for other in mesh.iter().filter(|other| other.name != daemon.name && daemon.host_file(&other.name).exists()) {
            let old = fs::read_to_string(daemon.host_file(&other.name)).expect("the file is there");
            let own = fs::read_to_string(other.host_file(&other.name)).expect("the file is there");
            let addresses = old.lines().filter(|line| line.starts_with("Address"));
            let text: String = addresses.map(|line| format!("{line}\n")).chain([own]).collect();
            fs::write(daemon.host_file(&other.name), text).expect("the file is ours");
        }
    }
}

fn pair_talks(kinds: [Kind; 2], lines: &[&str]) {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, kinds);
    for daemon in &mesh {
        lines.iter().for_each(|line| drop(daemon.host(line)));
    }
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_for_ping(alice, &v4(2));
    wait_for_ping(bob, &v4(1));
    let (ours, theirs, address) = if alice.kind == OURS { (alice, "bob", v4(2)) } else { (bob, "alice", v4(1)) };
    wait_for_direct(ours, theirs, &address);
    assert_eq!(ping_many(&ours.namespace, &address, 50), 50, "a direct path loses nothing");
}

#[test]
fn ours_dials_tinc_1_0() {
    pair_talks([OURS, OLD], &[]);
}

#[test]
fn tinc_1_0_dials_ours() {
    pair_talks([OLD, OURS], &[]);
}
