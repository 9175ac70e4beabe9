//! A walk through the specification of devices (spec: routing 2), each with what is at its other end.

use std::fs;
use std::io::IoSlice;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

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

// 2.4 fd.

/// Waits for a connection on `listener` and hands over `device` as tinc's Android client does: one byte, one descriptor.
fn hand_over(listener: &UnixListener, device: &UnixDatagram) {
    let (stream, _) = listener.accept().expect("the daemon asks for its device");
    let descriptors = [device.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    rustix::net::sendmsg(&stream, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::empty()).expect("it listens");
}

#[test]
fn section_2_4_packets_go_through_a_descriptor_that_a_socket_hands_over() {
    let lab = Lab::new();
    let [mut a, mut b] = mesh::pair(&lab, [Kind::Ours, Kind::Tinc11]);
    let conf = fs::read_to_string(a.dir.join("tinc.conf")).expect("it was written");
    fs::write(a.dir.join("tinc.conf"), conf.replace("DeviceType = tun", "DeviceType = fd")).expect("it is ours");
    a.up_script("");
    let path = lab.path("device");
    a.config(&format!("Device = {}", path.display()));
    let listener = UnixListener::bind(&path).expect("the directory is there");
    let (app, device) = UnixDatagram::pair().expect("the system has sockets");
    app.set_read_timeout(Some(secs(10))).expect("a valid time");
    let handing = std::thread::spawn(move || hand_over(&listener, &device));
    b.start();
    a.start();
    handing.join().expect("it was handed over");
    wait_until(secs(15), "they are connected", || b.sees("alice", |node| node.reachable()));

    let ping = b.namespace.command("ping").args(["-n", "-q", "-c20", "-i0.2", "-W1", &mesh::v4(1)]).spawn();
    let mut packet = [0; 2048];
    let len = loop {
        let len = app.recv(&mut packet).expect("a packet comes");
        if packet[0] == 0x45 && packet[9] == 1 {
            break len;
        }
    };
    // The answer: addresses swapped, type 0; the checksum of the header stays, that of ICMP grows by 8 in its first byte.
    let (from, to): ([u8; 4], [u8; 4]) =
        (packet[12..16].try_into().expect("four"), packet[16..20].try_into().expect("four"));
    packet[12..16].copy_from_slice(&to);
    packet[16..20].copy_from_slice(&from);
    packet[20] = 0;
    let sum = u32::from(u16::from_be_bytes([packet[22], packet[23]])) + 0x0800;
    packet[22..24].copy_from_slice(&((sum & 0xffff) + (sum >> 16)).to_be_bytes()[2..]);
    app.send(&packet[..len]).expect("the daemon reads");
    let output = ping.expect("ping is there").wait().expect("our child");

    assert!(output.success(), "one answer came back");
}

#[test]
fn section_2_4_a_descriptor_that_is_not_there_is_told() {
    let lab = Lab::new();
    let [a, _] = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
    let conf = fs::read_to_string(a.dir.join("tinc.conf")).expect("it was written");
    fs::write(a.dir.join("tinc.conf"), conf.replace("DeviceType = tun", "DeviceType = fd\nDevice = 77")).expect("ours");

    let output = a.tincd_command(&["-D"]).output().expect("the program is there");

    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Could not open device 77"), "{said}");
}

// 1: packets that enter routing are shown to those who watch.

#[test]
fn section_1_whoever_watches_sees_packets_with_a_header() {
    for kind in [Kind::Ours, Kind::Tinc11] {
        let lab = Lab::new();
        let mut pair = mesh::pair(&lab, [Kind::Ours, Kind::Tinc11]);
        mesh::start(&mut pair);
        mesh::wait_for_ping(&pair[0], &mesh::v4(2));
        let file = lab.path("capture");
        let mut watching = pair[0].tinc_command(&["pcap", "60"]);
        if kind == Kind::Tinc11 {
            // Theirs watches our daemon.
            watching = pair[0].namespace.command(crate::lab::tinc11("tinc"));
            let pidfile = format!("--pidfile={}", pair[0].pidfile().display());
            watching.arg("-c").arg(&pair[0].dir).arg(pidfile).args(["pcap", "60"]);
        }
        let out = fs::File::create(&file).expect("the directory is there");
        let mut watching = watching.stdout(out).spawn().expect("the program is there");

        wait_until(secs(10), "packets are written", || {
            crate::lab::traffic::ping(&pair[0].namespace, &mesh::v4(2));
            fs::metadata(&file).is_ok_and(|data| data.len() >= 24 + 4 * (16 + 60))
        });
        let _ = watching.kill();
        let _ = watching.wait();

        let bytes = fs::read(&file).expect("just written");
        assert_eq!(bytes[..4], 0xa1b2_c3d4_u32.to_ne_bytes());
        assert_eq!(bytes[32..36], 60_u32.to_ne_bytes(), "cut to the length asked for");
        assert_eq!(bytes[40..55], [&[0; 12][..], &[8, 0, 0x45]].concat(), "a header without addresses");
    }
}
