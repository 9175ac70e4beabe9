//! Meshes with Debian's tinc 1.0.36, in the protocol of tinc 1.0.

use std::fs;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::topology::block_udp;
use crate::lab::traffic::{ping_many, transfer};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;
const OLD: Kind = Kind::Tinc10;
const NEW: Kind = Kind::Tinc11;

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

/// The middle carries, or introduces; all three talk to each other.
fn line_talks(kinds: [Kind; 3], parted: bool) {
    let lab = Lab::new();
    let mut mesh = if parted { mesh::parted_line(&lab, kinds) } else { mesh::line(&lab, kinds) };
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;

    wait_for_ping(alice, &v4(2));
    wait_for_ping(carol, &v4(2));
    wait_for_ping(alice, &v4(3));
    wait_for_ping(carol, &v4(1));
    wait_for_ping(bob, &v4(1));
    assert!(ping_many(&alice.namespace, &v4(3), 50) >= 49);
}

#[test]
fn a_line_of_old_ours_new_talks() {
    line_talks([OLD, OURS, NEW], false);
}

#[test]
fn a_line_of_old_new_ours_talks() {
    line_talks([OLD, NEW, OURS], false);
}

#[test]
fn a_line_of_new_old_ours_talks() {
    line_talks([NEW, OLD, OURS], false);
}

#[test]
fn a_line_of_ours_old_ours_talks() {
    line_talks([OURS, OLD, OURS], false);
}

#[test]
fn a_line_of_old_ours_old_talks() {
    line_talks([OLD, OURS, OLD], false);
}

#[test]
fn ours_carries_packets_between_two_of_tinc_1_0_that_cannot_reach_each_other() {
    line_talks([OLD, OURS, OLD], true);
}

#[test]
fn tinc_1_0_carries_packets_between_two_of_ours_that_cannot_reach_each_other() {
    line_talks([OURS, OLD, OURS], true);
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
fn a_node_that_was_killed_comes_back() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OLD]);
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    for victim in [1, 0] {
        mesh[victim].kill();
        let _ = fs::remove_file(mesh[victim].pidfile());
        mesh[victim].start();
        wait_until(secs(20), "packets pass again", || ping_many(&mesh[0].namespace, &v4(2), 3) == 3);
    }
}

#[test]
fn keys_are_renewed_under_traffic() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OLD]);
    for daemon in &mesh {
        daemon.config("KeyExpire = 2");
    }
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));
    wait_for_direct(alice, "bob", &v4(2));

    let answered = ping_many(&alice.namespace, &v4(2), 500);

    assert!(answered >= 480, "{answered} of 500");
    assert!(bob.log().matches("KEY_CHANGED from alice").count() >= 2, "several keys were used");
}

/// Each cipher with some digest, length of codes and compression, in both directions.
#[test]
fn every_cipher_that_openssl_still_has_works_both_ways() {
    let ciphers = [
        "aes-128-cbc",
        "aes-192-cbc",
        "aes-256-cfb",
        "aes-128-ctr",
        "aes-256-ofb",
        "aes-256-ecb",
        "aria-256-cbc",
        "camellia-256-cbc",
        "sm4-cbc",
        "des-ede3-cbc",
        "chacha20",
    ];
    let digests = ["sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "blake2b512", "sm3", "ripemd160", "md5"];
    let levels = ["0", "1", "9", "10", "11"];
    for (at, cipher) in ciphers.iter().enumerate() {
        let lines = [
            format!("Cipher = {cipher}"),
            format!("Digest = {}", digests[at % digests.len()]),
            format!("MACLength = {}", 4 + at),
            format!("Compression = {}", levels[at % levels.len()]),
        ];
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, [OURS, OLD]);
        mesh[0].config("LegacyWeakCiphers = yes");
        for daemon in &mesh {
            for line in &lines {
                daemon.host(line);
            }
        }
        use_rsa(&mesh);
        mesh::start(&mut mesh);
        wait_for_direct(&mesh[0], "bob", &v4(2));
        assert_eq!(ping_many(&mesh[0].namespace, &v4(2), 20), 20, "{lines:?}");
    }
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
            let text = fs::read_to_string(daemon.host_file(other)).expect("the file is there");
            let kept: String =
                text.lines().filter(|line| !line.starts_with("Ed25519")).map(|line| format!("{line}\n")).collect();
            fs::write(daemon.host_file(other), kept).expect("the file is ours");
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
        transfer(&from.namespace, &to.namespace, &address, 100 << 20).assert_intact(100 << 20);
    }
}
