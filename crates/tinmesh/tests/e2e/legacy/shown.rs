//! What a node says of whom it speaks to in the protocol of tinc 1.0, and what it does if it speaks nothing else.

use std::fs;

use super::{NEW, OLD, OURS, use_rsa, without_ed25519};
use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::{Daemon, Lab, run, secs, wait_until};

/// What `tinmesh status` prints with these words.
fn status(lab: &Lab, daemon: &Daemon, words: &[&str]) -> String {
    run(lab.tinmesh(daemon, "status").args(words))
}

#[test]
fn status_marks_the_peers_of_tinc_1_0_and_no_others() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [OLD, OURS, OURS]);
    use_rsa(&mesh);
    mesh::start(&mut mesh);
    let [_, bob, carol] = &mesh;
    wait_for_ping(carol, &v4(1));
    wait_for_direct(bob, "alice", &v4(1));
    wait_for_direct(bob, "carol", &v4(3));

    for daemon in [bob, carol] {
        let text = status(&lab, daemon, &[]);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert!(line("alice ").contains(" (tinc 1.0) "), "{text}");
        assert!(!line(if daemon.name == "bob" { "carol " } else { "bob " }).contains("tinc 1.0"), "{text}");
        let json = status(&lab, daemon, &["--json"]);
        assert_eq!(json.matches("\"tinc-1.0\"").count(), 1, "{json}");
        assert_eq!(json.matches("\"sptps").count(), 1, "{json}");
    }
    let info = bob.tinc(&["info", "alice"]);
    assert!(info.contains("Protocol:     17.0\n"), "{info}");
    assert!(!info.contains("sptps"), "{info}");
    assert!(bob.tinc(&["info", "carol"]).contains("sptps"));
    let nodes = bob.tinc(&["dump", "nodes"]);
    assert!(
        nodes.lines().any(|line| line.starts_with("alice ") && line.contains("cipher 427 digest 672 maclength 4 "))
    );
}

#[test]
fn without_an_rsa_key_nothing_of_the_protocol_is_spoken() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OLD, OURS]);
    use_rsa(&mesh);
    fs::remove_file(mesh[1].dir.join("rsa_key.priv")).expect("it was made");
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_until(secs(10), "the log says why", || bob.log().contains("tinc generate-rsa-keys"));

    assert!(!bob.sees("alice", |node| node.reachable()));
    assert!(!alice.log().contains("METAKEY from bob"), "{}", alice.log());
}

#[test]
fn a_node_without_the_experimental_protocol_talks_with_all_in_that_of_tinc_1_0() {
    for kinds in [[OURS, OLD], [OURS, OURS], [OURS, NEW], [OLD, OURS], [NEW, OURS]] {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, kinds);
        use_rsa(&mesh);
        let only = if kinds[0] == OURS { 0 } else { 1 };
        mesh[only].config("ExperimentalProtocol = no");
        let (own, other) = if only == 0 { ("alice", &mesh[1]) } else { ("bob", &mesh[0]) };
        without_ed25519(other, own);
        mesh::start(&mut mesh);
        let (daemon, far, address) = if only == 0 { (&mesh[0], "bob", v4(2)) } else { (&mesh[1], "alice", v4(1)) };
        wait_for_ping(daemon, &address);
        wait_for_direct(daemon, far, &address);
        assert!(status(&lab, daemon, &[]).contains("(tinc 1.0)"));
        daemon.config("ExperimentalProtocol = yes").tinc(&["reload"]);
        wait_for_ping(daemon, &address);
        assert!(status(&lab, daemon, &[]).contains("(tinc 1.0)"), "it counts from the next start on");
    }
}

#[test]
fn a_node_whose_ed25519_key_is_known_is_not_spoken_to_in_the_older_protocol() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    use_rsa(&mesh);
    mesh[0].config("ExperimentalProtocol = no");
    mesh::start(&mut mesh);
    let [_, bob] = &mesh;
    wait_until(secs(10), "bob says why", || bob.log().contains("Refused 192.0.2.1"));
    assert!(!bob.sees("alice", |node| node.reachable()));
}

#[test]
fn nodes_with_rsa_keys_alone_are_dialled_by_auto_connect() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OLD]);
    use_rsa(&mesh);
    let conf = mesh[0].dir.join("tinc.conf");
    let text = fs::read_to_string(&conf).expect("it was made");
    fs::write(&conf, text.replace("ConnectTo = bob\n", "").replace("AutoConnect = no", "AutoConnect = yes"))
        .expect("it is ours");
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
}
