//! Devices that take part in a network which is there already (spec: routing 2.4): an interface, a multicast group, a User
//! Mode Linux machine, a VDE switch.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use crate::lab::namespace::Namespace;
use crate::lab::topology::Segment;
use crate::lab::traffic::{inside, ping, transfer};
use crate::lab::{Daemon, Kind, Lab, run, secs, succeeds, wait_until};
use crate::switched::{lease, mac};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

#[track_caller]
fn wait_for_ping(from: &Namespace, to: &str) {
    wait_until(secs(20), &format!("{to} answers"), || ping(from, to));
}

/// A node in switch mode, with neither device nor connections.
fn switch(lab: &Lab, name: &str, kind: Kind, host: &Arc<Namespace>) -> Daemon {
    let daemon = Daemon::init(lab, name, kind, host);
    daemon.config("Mode = switch").config("AutoConnect = no");
    daemon
}

/// Starts both; the first dials the second.
fn connect(dialer: &mut Daemon, other: &mut Daemon) {
    dialer.config(&format!("ConnectTo = {}", other.name)).knows(other);
    other.knows(dialer);
    other.start();
    dialer.start();
    let name = other.name.clone();
    wait_until(secs(20), "they are connected", || dialer.sees(&name, |node| node.reachable()));
}

/// What a daemon says that cannot start.
fn refusal(daemon: &Daemon) -> String {
    let Output { status, stderr, .. } = daemon.tincd_command(&["-D"]).output().expect("the program is there");
    assert_eq!(status.code(), Some(1));
    String::from_utf8_lossy(&stderr).into_owned()
}

// raw_socket.
//
//  left host ─ wire ─ [lan0] alice ═══ tunnel ═══ bob [lan0] ─ wire ─ right host

struct Site {
    daemon: Daemon,
    wire: Segment,
}

fn raw_site(lab: &Lab, wan: &Segment, number: usize, kind: Kind) -> Site {
    let address = format!("192.0.2.{number}");
    let host = wan.host("node", &[&format!("{address}/24")]);
    let wire = Segment::new("wire");
    wire.connect(&host, "lan0", &[]);
    let daemon = switch(lab, ["alice", "bob"][number - 1], kind, &host);
    daemon.config("DeviceType = raw_socket").config("Interface = lan0").host(&format!("Address = {address}"));
    Site { daemon, wire }
}

fn raw_sites(lab: &Lab, kinds: [Kind; 2]) -> [Site; 2] {
    let wan = Segment::new("wan");
    let [mut a, mut b] = [1, 2].map(|number| raw_site(lab, &wan, number, kinds[number - 1]));
    connect(&mut a.daemon, &mut b.daemon);
    [a, b]
}

/// A lease, a resolved neighbour, and both families.
fn wires_are_one(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let [alice, bob] = raw_sites(&lab, kinds);
    let left = alice.wire.host("left", &["fd99::1/64"]);
    let right = bob.wire.host("right", &["10.99.0.1/24", "fd99::2/64"]);

    lease(&lab, &left, &right);

    wait_for_ping(&left, "10.99.0.1");
    wait_for_ping(&left, "fd99::2");
    if kinds == [OURS, OURS] {
        // Theirs cuts off what the kernel kept together, and passes on checksums that were left open.
        transfer(&left, &right, "10.99.0.1", 5_000_000).assert_intact(5_000_000);
    }
    for (daemon, owner, host) in [(&bob.daemon, "alice", &left), (&alice.daemon, "bob", &right)] {
        let line = format!("{} owner {owner}", mac(host, "eth0"));
        wait_until(secs(5), &format!("{} knows {line}", daemon.name), || {
            daemon.tinc(&["dump", "subnets"]).contains(&line)
        });
    }
}

#[test]
fn two_wires_with_raw_sockets_of_ours_are_one() {
    wires_are_one([OURS, OURS]);
}

#[test]
fn a_wire_with_a_raw_socket_of_ours_and_one_of_theirs_are_one() {
    wires_are_one([OURS, THEIRS]);
}

#[test]
fn a_wire_with_a_raw_socket_of_theirs_and_one_of_ours_are_one() {
    wires_are_one([THEIRS, OURS]);
}

#[test]
fn checksums_that_the_kernel_left_open_go_through_a_raw_socket() {
    let lab = Lab::new();
    let [alice, bob] = raw_sites(&lab, [OURS, OURS]);
    let left = alice.wire.host("left", &["10.99.0.1/24"]);
    let right = bob.wire.host("right", &["10.99.0.2/24"]);
    wait_for_ping(&left, "10.99.0.2");

    // UDP, unlike ICMP, leaves its checksum to the interface; the receiver verifies it.
    let socket = inside(&right, || UdpSocket::bind("10.99.0.2:0")).expect("the address is the host's");
    socket.set_read_timeout(Some(secs(5))).expect("a valid time");
    let to = socket.local_addr().expect("it is bound");
    let sender = inside(&left, || UdpSocket::bind("10.99.0.1:0")).expect("the address is the host's");
    sender.send_to(b"whole", to).expect("the route is there");

    let mut space = [0; 100];
    let (len, _) = socket.recv_from(&mut space).expect("it arrives");
    assert_eq!(&space[..len], b"whole");
}

#[test]
fn what_the_machine_itself_sends_does_not_go_into_its_raw_socket() {
    let lab = Lab::new();
    let [alice, bob] = raw_sites(&lab, [OURS, OURS]);
    let right = bob.wire.host("right", &["10.99.0.2/24"]);
    let own = mac(&alice.daemon.namespace, "lan0");
    alice.daemon.namespace.shell("ip addr add 10.99.0.1/24 dev lan0");

    // Its question who has the address goes to its own wire only.
    assert!(!ping(&alice.daemon.namespace, "10.99.0.2"));

    // The other wire was asked nothing, while a stranger's question comes through.
    let left = alice.wire.host("left", &["10.99.0.3/24"]);
    wait_for_ping(&left, "10.99.0.2");
    let subnets = bob.daemon.tinc(&["dump", "subnets"]);
    assert!(subnets.contains(&mac(&left, "eth0")) && subnets.contains(&mac(&right, "eth0")), "{subnets}");
    assert!(!subnets.contains(&own), "{subnets}");
}

#[test]
fn a_raw_socket_needs_an_interface_that_exists() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let daemon = switch(&lab, "alice", OURS, &wan.host("node", &["192.0.2.1/24"]));
    daemon.config("DeviceType = raw_socket").config("Interface = nosuch0");

    let said = refusal(&daemon);

    assert!(said.contains("Can't find interface nosuch0"), "{said}");
}

// multicast: two meshes meet on a group of one machine.
//
//  bob [vpn0] ═══ alice ─┐
//                        ├─ group on lo
//  dave [vpn0] ═══ carol ┘

/// The middle's daemons in the order above, and the ends.
fn meshes_in_a_group(lab: &Lab, kinds: [Kind; 2]) -> ([Daemon; 2], [Daemon; 2]) {
    let wan = Segment::new("wan");
    let middle = wan.host("middle", &["192.0.2.9/24"]);
    middle.shell(
        "ip link set lo multicast on
         ip route add 239.255.3.0/24 dev lo",
    );
    let parts = [1, 2].map(|number: usize| {
        let inner = switch(lab, ["alice", "carol"][number - 1], kinds[number - 1], &middle);
        inner.config("DeviceType = multicast").config("Device = 239.255.3.2 10655");
        inner.host("Address = 192.0.2.9").host(&format!("Port = {}", 7000 + number));
        let end = wan.host("end", &[&format!("192.0.2.{number}/24")]);
        let outer = switch(lab, ["bob", "dave"][number - 1], OURS, &end);
        outer.config("Interface = vpn0");
        outer.up_script(&format!("ip addr add 10.99.0.{number}/24 dev $INTERFACE\nip link set $INTERFACE up"));
        (inner, outer)
    });
    let [(mut alice, mut bob), (mut carol, mut dave)] = parts;
    connect(&mut bob, &mut alice);
    connect(&mut dave, &mut carol);
    ([alice, carol], [bob, dave])
}

fn meshes_meet(kinds: [Kind; 2]) {
    let lab = Lab::new();
    let ([alice, carol], [bob, dave]) = meshes_in_a_group(&lab, kinds);

    wait_for_ping(&bob.namespace, "10.99.0.2");

    // Each end lives where it is: echoes of what was sent to the group were not taken for news.
    for (inner, outer, far) in [(&alice, &bob, &dave), (&carol, &dave, &bob)] {
        for (station, owner) in [(outer, &outer.name), (far, &inner.name)] {
            let line = format!("{} owner {owner}", mac(&station.namespace, "vpn0"));
            wait_until(secs(5), &format!("{} knows {line}", inner.name), || {
                inner.tinc(&["dump", "subnets"]).contains(&line)
            });
        }
    }
}

#[test]
fn two_meshes_of_ours_meet_in_a_multicast_group() {
    meshes_meet([OURS, OURS]);
}

#[test]
fn a_mesh_of_ours_and_one_of_theirs_meet_in_a_multicast_group() {
    meshes_meet([OURS, THEIRS]);
}

// uml and vde.
//
//  machine ─ socket ─ alice ═══ tunnel ═══ bob [tap] 10.99.0.2

/// Alice with a device of this type, and bob with a TAP interface.
fn with_tap(lab: &Lab, lines: &[&str]) -> [Daemon; 2] {
    let wan = Segment::new("wan");
    let [mut alice, mut bob] = [("alice", 1), ("bob", 2)].map(|(name, number)| {
        let host = wan.host("node", &[&format!("192.0.2.{number}/24")]);
        let daemon = switch(lab, name, OURS, &host);
        daemon.host(&format!("Address = 192.0.2.{number}"));
        daemon
    });
    for line in lines {
        alice.config(line);
    }
    bob.config("DeviceType = tap").config("Interface = tap0");
    bob.up_script("ip link set $INTERFACE up\nip addr add 10.99.0.2/24 dev $INTERFACE\n");
    connect(&mut alice, &mut bob);
    [alice, bob]
}

/// What a User Mode Linux machine does with a network socket.
struct Machine {
    _control: UnixStream,
    frames: UnixDatagram,
    switch: SocketAddr,
}

const MACHINE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

impl Machine {
    /// Abstract names belong to a namespace of networks, so it has to be the daemon's.
    fn start(lab: &Lab, name: &str, switch: &Path) -> Self {
        let own = lab.path(name);
        let frames = UnixDatagram::bind(&own).expect("the path is free");
        frames.set_read_timeout(Some(secs(1))).expect("a valid time");
        let mut control = UnixStream::connect(switch).expect("the daemon listens");
        let mut request: Vec<u8> = [0xfeed_face_u32, 3, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        request.extend(1_u16.to_ne_bytes());
        request.extend(own.as_os_str().as_bytes());
        request.resize(12 + 110, 0);
        control.write_all(&request).expect("it reads");
        let mut reply = [0; 110];
        control.read_exact(&mut reply).expect("it answers");
        assert_eq!(reply[..3], [&1_u16.to_ne_bytes()[..], &[0]].concat());
        let switch = SocketAddr::from_abstract_name(&reply[3..]).expect("a name");
        Self { _control: control, frames, switch }
    }

    /// Whether somebody says that the address is his.
    fn resolves(&self, ip: [u8; 4]) -> bool {
        let mut frame = [&[0xff; 6], &MACHINE_MAC[..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &MACHINE_MAC[..]].concat();
        frame.extend([&[10, 99, 0, 1][..], &[0; 6], &ip].concat());
        self.frames.send_to_addr(&frame, &self.switch).expect("the switch is there");
        let mut space = [0; 2048];
        while let Ok(len) = self.frames.recv(&mut space) {
            let answer = space[..len].get(12..22) == Some(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
            if answer && space[28..32] == ip {
                return true;
            }
        }
        false
    }
}

#[test]
fn user_mode_linux_machines_come_and_go() {
    let lab = Lab::new();
    let socket = lab.path("uml.socket");
    let [mut alice, _bob] = with_tap(&lab, &["DeviceType = uml", &format!("Device = {}", socket.display())]);

    for name in ["first", "second"] {
        let machine = inside(&alice.namespace, || Machine::start(&lab, name, &socket));
        wait_until(secs(10), &format!("the {name} machine reaches bob"), || machine.resolves([10, 99, 0, 2]));
    }
    let mut stranger = UnixStream::connect(&socket).expect("the daemon listens");
    stranger.write_all(&[7; 200]).expect("it reads");
    wait_until(secs(10), "a stranger is told of", || alice.log().contains("version 3 of the protocol of uml_switch"));
    drop(stranger);
    let machine = inside(&alice.namespace, || Machine::start(&lab, "third", &socket));
    wait_until(secs(10), "the third machine reaches bob", || machine.resolves([10, 99, 0, 2]));
    assert!(alice.lives());
}

/// Programs that went to the background; they end with it.
struct Background(Vec<PathBuf>);

impl Drop for Background {
    fn drop(&mut self) {
        for file in &self.0 {
            if let Ok(pid) = std::fs::read_to_string(file) {
                // Best effort: one that has ended is what is wanted.
                let _ = std::process::Command::new("kill").arg(pid.trim()).status();
            }
        }
    }
}

#[test]
fn a_vde_switch_is_one_network_with_the_mesh() {
    let lab = Lab::new();
    let (control, host) = (lab.path("switch"), Namespace::new("vde"));
    let files = ["switch.pid", "plug.pid"].map(|name| lab.path(name));
    let [switch_pid, plug_pid] = files.each_ref().map(|path| path.display().to_string());
    let path = control.display().to_string();
    run(host.command("vde_switch").args(["-d", "-s", &path, "-p", &switch_pid]));
    let _background = Background(files.to_vec());
    run(host.command("vde_plug2tap").args(["-d", "-s", &path, "-P", &plug_pid, "tap0"]));
    wait_until(secs(5), "the switch has a tap", || succeeds(host.command("ip").args(["link", "show", "tap0"])));
    host.shell("ip link set tap0 up\nip addr add 10.99.0.1/24 dev tap0");

    let [alice, bob] = with_tap(&lab, &["DeviceType = vde", &format!("Device = {path}"), "VDEPort = 5"]);

    wait_for_ping(&host, "10.99.0.2");
    transfer(&host, &bob.namespace, "10.99.0.2", 1_000_000).assert_intact(1_000_000);
    let line = format!("{} owner alice", mac(&host, "tap0"));
    wait_until(secs(5), "the station is learnt", || bob.tinc(&["dump", "subnets"]).contains(&line));
    assert!(alice.log().contains("is a VDE socket"));
}

#[test]
fn a_vde_switch_that_is_not_there_is_told_with_what_to_do() {
    let lab = Lab::new();
    let daemon = switch(&lab, "alice", OURS, &Namespace::new("node"));
    daemon.config("DeviceType = vde").config(&format!("Device = {}", lab.path("nothing").display()));
    let said = refusal(&daemon);
    assert!(said.contains("is a vde_switch running there?"), "{said}");
}
