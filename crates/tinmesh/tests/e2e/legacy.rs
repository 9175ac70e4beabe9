//! Meshes with Debian's tinc 1.0.36, in the protocol of tinc 1.0.

mod hostile;
mod life;
mod lines;
mod moved;
mod shown;
mod suites;
mod switched;

use std::fs;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::topology::block_udp;
use crate::lab::traffic::{ping_many, transfer};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;
const OLD: Kind = Kind::Tinc10;
const NEW: Kind = Kind::Tinc11;

/// Takes the Ed25519 key out of the host file that a daemon has of a node.
fn without_ed25519(daemon: &Daemon, name: &str) {
    let text = fs::read_to_string(daemon.host_file(name)).expect("the file is there");
    let kept: String =
        text.lines().filter(|line| !line.starts_with("Ed25519")).map(|line| format!("{line}\n")).collect();
    fs::write(daemon.host_file(name), kept).expect("the file is ours");
}

/// Gives each node an RSA key, and those who know each other the new host files; tinc 1.0 loses its Ed25519 key.
fn use_rsa(mesh: &[Daemon]) {
    for daemon in mesh {
        daemon.tinc(&["generate-rsa-keys", "2048"]);
        if daemon.kind == OLD {
            let _ = fs::remove_file(daemon.dir.join("ed25519_key.priv"));
            without_ed25519(daemon, &daemon.name);
        }
    }
    share_host_files(mesh);
}

/// Gives those who know each other the present host files; what was written of addresses there stays.
fn share_host_files(mesh: &[Daemon]) {
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
        for line in lines {
            daemon.host(line);
        }
    }
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_for_ping(alice, &v4(2));
    wait_for_ping(bob, &v4(1));
    let (ours, theirs, address) = if alice.kind == OURS { (alice, "bob", v4(2)) } else { (bob, "alice", v4(1)) };
    wait_for_direct(ours, theirs, &address);
    let answered = ping_many(&ours.namespace, &address, 50);
    // ping does not wait for the last answers of a busy machine.
    assert!(answered >= 45, "{answered} of 50: a direct path loses nothing");
}

#[test]
fn ours_dials_tinc_1_0() {
    pair_talks([OURS, OLD], &[]);
}

#[test]
fn tinc_1_0_dials_ours() {
    pair_talks([OLD, OURS], &[]);
}

#[test]
fn without_udp_packets_go_over_tcp() {
    for kinds in [[OURS, OLD], [OLD, OURS]] {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, kinds);
        use_rsa(&mesh);
        mesh.iter().for_each(|daemon| block_udp(&daemon.namespace));
        mesh::start(&mut mesh);
        let [alice, bob] = &mesh;
        wait_for_ping(alice, &v4(2));
        wait_for_ping(bob, &v4(1));
        assert_eq!(ping_many(&alice.namespace, &v4(2), 20), 20);
    }
}

#[test]
fn with_a_cipher_that_tinc_1_0_itself_cannot_use_packets_go_over_tcp() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OLD]);
    mesh[0].config("LegacyWeakCiphers = yes");
    mesh[1].host("Cipher = aes-256-ctr");
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));
    wait_until(secs(10), "the log says so", || alice.log().contains("cannot read on after a lost packet"));
    assert!(ping_many(&alice.namespace, &v4(2), 50) >= 45);
    assert!(!bob.log().contains("seqs in the future"));
}

#[test]
fn nothing_is_sent_in_the_clear_because_the_other_side_wants_it() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OLD]);
    mesh[1].host("Cipher = none");
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    let [alice, _] = &mesh;
    wait_for_ping(alice, &v4(2));
    wait_until(secs(10), "the log says so", || alice.log().contains("no cipher"));
    assert!(!alice.sees("bob", |node| node.direct()), "packets go over the encrypted connection");
}

#[test]
fn two_new_nodes_with_rsa_keys_alone_exchange_their_ed25519_keys() {
    for kinds in [[OURS, NEW], [NEW, OURS], [OURS, OURS]] {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, kinds);
        use_rsa(&mesh);
        for (daemon, other) in [(&mesh[0], "bob"), (&mesh[1], "alice")] {
            without_ed25519(daemon, other);
        }
        mesh::start(&mut mesh);
        let [alice, bob] = &mesh;
        wait_for_ping(alice, &v4(2));
        for (daemon, other) in [(alice, "bob"), (bob, "alice")] {
            let text = fs::read_to_string(daemon.host_file(other)).expect("the file is there");
            assert!(text.contains("Ed25519PublicKey = "), "{other}'s key was learnt");
        }
    }
}

/// Random bytes arrive as they were sent, in both directions.
#[test]
fn two_hundred_megabytes_arrive_unchanged() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OLD]);
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    wait_for_direct(&mesh[0], "bob", &v4(2));
    let [alice, bob] = &mesh;
    for (from, to, address) in [(alice, bob, v4(2)), (bob, alice, v4(1))] {
        transfer(&from.namespace, &to.namespace, &address, 200 << 20).assert_intact(200 << 20);
    }
}
