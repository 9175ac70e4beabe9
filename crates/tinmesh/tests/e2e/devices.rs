//! A walk through the specification of devices (spec: routing 2), each with what is at its other end.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::lab::{Daemon, Kind, Lab, mesh, secs, wait_until};

/// Makes scripts that write their name, with the file `told` as their diary.
fn keep_diary(daemon: &Daemon, names: &[&str]) {
    for name in names {
        let path = daemon.dir.join(name);
        let before = fs::read_to_string(&path).unwrap_or_else(|_| "#!/bin/sh\n".to_owned());
        fs::write(&path, format!("{before}echo {name} >>told\n")).expect("the directory is there");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }
}

fn diary(daemon: &Daemon) -> Vec<String> {
    let text = fs::read_to_string(daemon.dir.join("told")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

// 2.7 DeviceStandby.

#[test]
fn section_2_7_the_interface_is_up_while_another_node_can_be_reached() {
    let lab = Lab::new();
    let [mut a, mut b] = mesh::pair(&lab, [Kind::Ours, Kind::Tinc11]);
    a.config("DeviceStandby = yes").config("Ifconfig = 10.88.0.1/24").config("PingTimeout = 1");
    let scripts =
        ["tinc-up", "tinc-down", "host-up", "hosts/bob-up", "subnet-up", "host-down", "hosts/bob-down", "subnet-down"];
    keep_diary(&a, &scripts);
    let is_up = |daemon: &Daemon| {
        let flags = daemon.namespace.command("ip").args(["-o", "addr", "show", "dev", "vpn0", "up"]).output();
        String::from_utf8_lossy(&flags.expect("ip is there").stdout).contains("10.88.0.1")
    };

    a.start();
    assert_eq!(diary(&a), ["subnet-up"; 2], "its own subnets, but no tinc-up");
    assert!(!is_up(&a));

    b.start();
    wait_until(secs(15), "the interface is used", || diary(&a).iter().any(|name| name == "tinc-up"));
    assert!(is_up(&a));
    assert_eq!(diary(&a)[2..], ["host-up", "hosts/bob-up", "subnet-up", "subnet-up", "tinc-up"]);
    mesh::wait_for_ping(&a, &mesh::v4(2));

    b.stop();
    wait_until(secs(15), "the interface is left", || diary(&a).iter().any(|name| name == "tinc-down"));
    assert!(!is_up(&a));
    assert_eq!(diary(&a)[7..], ["host-down", "hosts/bob-down", "subnet-down", "subnet-down", "tinc-down"]);

    let before = diary(&a).len();
    a.stop();
    assert_eq!(diary(&a)[before..], ["subnet-down"; 2], "tinc-down ran when the interface was left");
}

#[test]
fn section_2_7_a_daemon_that_ends_while_its_interface_is_used_runs_tinc_down_last() {
    let lab = Lab::new();
    let [mut a, mut b] = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    a.config("DeviceStandby = yes");
    keep_diary(&a, &["tinc-up", "tinc-down", "host-down", "subnet-down"]);
    b.start();
    a.start();
    wait_until(secs(15), "the interface is used", || diary(&a) == ["tinc-up"]);

    a.stop();

    let told = diary(&a);
    assert_eq!(told[..2], ["tinc-up", "host-down"]);
    assert_eq!(told.last().map(String::as_str), Some("tinc-down"));
    assert_eq!(told.iter().filter(|name| *name == "tinc-down").count(), 1);
}
