//! A machine that had tinc 1.0 until now, and what both sides find out of the path between them.

use std::fs;

use super::{OLD, OURS, share_host_files, use_rsa, without_ed25519};
use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::traffic::ping_whole;
use crate::lab::{Lab, run, secs, wait_until};

#[test]
fn an_installation_of_tinc_1_0_goes_on_with_ours_in_its_place() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OLD, OLD]);
    for daemon in &mesh {
        fs::remove_file(daemon.dir.join("ed25519_key.priv")).expect("it was made");
        without_ed25519(daemon, &daemon.name);
        run(&mut daemon.tincd_command(&["-K2048"]));
        assert!(daemon.dir.join("rsa_key.priv").exists(), "tinc 1.0 made its key");
    }
    share_host_files(&mesh);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));

    mesh[0].stop();
    mesh[0].becomes(&lab, OURS);
    mesh[0].start();

    wait_for_ping(&mesh[0], &v4(2));
    wait_for_direct(&mesh[0], "bob", &v4(2));
    assert!(mesh[0].log().contains("Only the weak protocol of tinc 1.0 is spoken"));
    mesh[0].tinc(&["generate-ed25519-keys"]);
    mesh[0].stop();
    mesh[0].start();
    wait_for_ping(&mesh[0], &v4(2));
    let told = mesh[0].log().matches("Only the weak protocol of tinc 1.0 is spoken").count();
    assert_eq!(told, 1, "with a key of its own it is as any other");
}

#[test]
fn it_is_found_out_how_large_packets_may_be() {
    for (kinds, level) in [([OURS, OLD], 0), ([OLD, OURS], 9)] {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, kinds);
        for daemon in &mesh {
            daemon.host(&format!("Compression = {level}"));
        }
        use_rsa(&mesh);
        mesh::start(&mut mesh);
        let [alice, bob] = &mesh;
        let (ours, far, address) = if alice.kind == OURS { (alice, "bob", v4(2)) } else { (bob, "alice", v4(1)) };
        wait_for_direct(ours, far, &address);

        wait_until(secs(20), "the search is over", || ours.sees(far, |node| node.mtu_found()));

        let frame = ours.node(far).expect("it is known").min_mtu;
        // An underlay of 1,500 bytes: headers, number, a block of padding and code come off.
        assert!((1350..=1460).contains(&frame), "{frame}");
        assert!(ping_whole(&ours.namespace, &address, frame as usize - 14));
    }
}
