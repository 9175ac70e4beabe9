//! Where a daemon listens, and how it dials: addresses, families, interfaces, marks.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::lab::etc::Etc;
use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Segment, router};
use crate::lab::traffic::{inside, ping};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// Whether somebody listens there.
fn answers(from: &Namespace, to: &str) -> bool {
    let to: SocketAddr = to.parse().expect("an address");
    inside(from, || TcpStream::connect_timeout(&to, Duration::from_millis(500))).is_ok()
}

/// Runs `tincd` until it gives up, and returns what it said.
fn refusal(lab: &Lab, daemon: &Daemon) -> String {
    let mut command = daemon.namespace.command(lab.ours("tincd"));
    command.args(["-D", "-c"]).arg(&daemon.dir).arg(format!("--pidfile={}", daemon.pidfile().display()));
    let output = command.stdin(Stdio::null()).output().expect("the program is there");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A node without interface.
fn relay(lab: &Lab, host: &Arc<Namespace>) -> Daemon {
    let daemon = Daemon::init(lab, "alice", OURS, host);
    daemon.config("DeviceType = dummy").config("AutoConnect = no");
    daemon
}

#[test]
fn it_listens_on_every_address_that_is_asked_for_and_tells_which_it_cannot_have() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let host = wan.host("node", &["192.0.2.1/24", "192.0.2.11/24", "2001:db8::1/64"]);
    let other = wan.host("other", &["192.0.2.9/24", "2001:db8::9/64"]);
    let mut alice = relay(&lab, &host);
    alice.config("ListenAddress = 192.0.2.11 700").config("ListenAddress = 2001:db8::1");
    alice.config("BindToAddress = 192.0.2.1").config("ListenAddress = 192.0.2.77").config("ListenAddress = 192.0.2.1");
    alice.start();

    for (address, listens) in [
        ("192.0.2.1:655", true),
        ("192.0.2.11:700", true),
        ("[2001:db8::1]:655", true),
        ("192.0.2.1:700", false),
        ("192.0.2.11:655", false),
    ] {
        assert_eq!(answers(&other, address), listens, "{address}");
    }
    let log = alice.log();
    assert!(log.contains("Can't bind to 192.0.2.77 port 655/tcp: Cannot assign requested address"), "{log}");
    let order: Vec<usize> = ["192.0.2.1 port 655", "192.0.2.11 port 700", "2001:db8::1 port 655"]
        .map(|address| log.find(&format!("Listening on {address}")).expect("it listens there"))
        .to_vec();
    assert!(order.is_sorted(), "BindToAddress comes first");
    assert_eq!(log.matches("Listening on 192.0.2.1 port 655").count(), 1, "twice the same is once");
    let pid_file = fs::read_to_string(alice.pidfile()).expect("it runs");
    assert!(pid_file.ends_with(" 192.0.2.1 port 655\n"), "{pid_file}");
}

#[test]
fn addresses_that_make_no_sense_keep_it_from_starting() {
    let lab = Lab::new();
    let host = Segment::new("wan").host("node", &["192.0.2.1/24"]);
    let alice = relay(&lab, &host);
    let conf = fs::read_to_string(alice.dir.join("tinc.conf")).expect("it was made");
    let with = |lines: &str| {
        fs::write(alice.dir.join("tinc.conf"), format!("{conf}{lines}\n")).expect("the directory is ours");
        refusal(&lab, &alice)
    };

    assert!(with("ListenAddress = nowhere.invalid").contains("Could not look up the address"));
    assert!(with("ListenAddress = 192.0.2.77").contains("Unable to create any listening socket!"));
    assert!(with("AddressFamily = ipv4\nBindToAddress = ::1").contains("no address of the AddressFamily"));
    let nine: Vec<String> = (1..=9).map(|port| format!("ListenAddress = 127.0.0.1 {}", 7000 + port)).collect();
    assert!(with(&nine.join("\n")).contains("Too many listening sockets"));
    assert!(with("UDPRcvBuf = -1").contains("UDPRcvBuf cannot be negative!"));
    assert!(with("Port = nonsense").contains("Invalid port!"));
}

#[test]
fn port_0_is_the_same_free_port_on_every_socket() {
    let lab = Lab::new();
    let host = Segment::new("wan").host("node", &["192.0.2.1/24"]);
    let mut alice = relay(&lab, &host);
    alice.host("Port = 0").config("ListenAddress = 127.0.0.1").config("ListenAddress = 192.0.2.1");
    alice.start();

    let pid_file = fs::read_to_string(alice.pidfile()).expect("it runs");
    let port: u16 = pid_file.split_whitespace().last().and_then(|word| word.parse().ok()).expect("a number");
    assert_ne!(port, 0);
    for ip in ["127.0.0.1", "192.0.2.1"] {
        assert!(answers(&host, &format!("{ip}:{port}")));
        assert!(alice.log().contains(&format!("Listening on {ip} port {port}")));
    }
}

#[test]
fn a_buffer_that_the_system_does_not_grant_is_told() {
    let lab = Lab::new();
    let host = Segment::new("wan").host("node", &["192.0.2.1/24"]);
    let alice = relay(&lab, &host);
    alice.config("UDPRcvBuf = 99999999").config("ListenAddress = 127.0.0.1").config("ListenAddress = 192.0.2.77");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host.name(), "setpriv", "--pdeathsig", "KILL"]);
    command.args(["--bounding-set", "-net_admin", "timeout", "2"]).arg(lab.ours("tincd"));
    command.args(["-D", "-c"]).arg(&alice.dir).arg(format!("--pidfile={}", alice.pidfile().display()));
    let output = command.stdin(Stdio::null()).output().expect("the program is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Can't set UDP SO_RCVBUF to 99999999, the system set it to "), "{said}");
    assert!(!said.contains("SO_SNDBUF"), "it was not asked for: {said}");
}

/// Where bob sees alice come from, if she has these lines.
fn seen_from(lines: &[&str]) -> IpAddr {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let [inner, outer] = [("192.0.2.1/24", "192.0.2.11/24"), ("192.0.2.2/24", "192.0.2.12/24")]
        .map(|(one, two)| wan.host("node", &[one, two]));
    let [alice, bob] = [mesh::node(&lab, 1, OURS, &inner), mesh::node(&lab, 2, OURS, &outer)];
    bob.host("Address = 192.0.2.2");
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    for line in lines {
        alice.config(line);
    }
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    let log = mesh[1].log();
    let from = log.split("Connection from ").nth(1).and_then(|rest| rest.split(' ').next());
    from.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{log}"))
}

#[test]
fn it_dials_from_the_one_address_that_fits() {
    assert_eq!(seen_from(&["BindToAddress = 192.0.2.11", "ListenAddress = *"]).to_string(), "192.0.2.11");
    assert_eq!(seen_from(&["BindToAddress = 192.0.2.11", "BindToAddress = 192.0.2.1"]).to_string(), "192.0.2.1");
    assert_eq!(seen_from(&["ListenAddress = 192.0.2.11"]).to_string(), "192.0.2.1");
}

#[test]
fn all_sockets_keep_to_the_interface() {
    let lab = Lab::new();
    let (left, right) = (Segment::new("left"), Segment::new("right"));
    let host = left.host("node", &["198.51.100.1/24"]);
    right.connect(&host, "eth1", &["203.0.113.1/24"]);
    let beside = left.host("beside", &["198.51.100.9/24"]);
    let outer = right.host("node", &["203.0.113.2/24"]);
    let [alice, bob] = [mesh::node(&lab, 1, OURS, &host), mesh::node(&lab, 2, THEIRS, &outer)];
    bob.host("Address = 203.0.113.2");
    alice.config("ConnectTo = bob").config("BindToInterface = eth1").knows(&bob);
    bob.knows(&alice);
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);

    wait_for_direct(&mesh[0], "bob", &v4(2));

    assert!(answers(&outer, "203.0.113.1:655"));
    assert!(!answers(&beside, "198.51.100.1:655"), "nobody listens on the other interface");
}

/// Only what has the mark finds a way to bob.
#[test]
fn everything_that_is_sent_has_the_mark() {
    let lab = Lab::new();
    let (left, right) = (Segment::new("left"), Segment::new("right"));
    let _router = router("router", (&left, &["198.51.100.254/24"]), (&right, &["203.0.113.254/24"]));
    let host = left.host("node", &["198.51.100.1/24"]);
    host.shell("ip rule add fwmark 7 table 100 && ip route add default via 198.51.100.254 table 100");
    let outer = right.host_behind("node", "203.0.113.2/24", "203.0.113.254");
    let [alice, bob] = [mesh::node(&lab, 1, OURS, &host), mesh::node(&lab, 2, THEIRS, &outer)];
    bob.host("Address = 203.0.113.2");
    alice.config("ConnectTo = bob").config("FWMark = 7").knows(&bob);
    bob.knows(&alice);
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);

    wait_for_direct(&mesh[0], "bob", &v4(2));

    assert!(!ping(&host, "203.0.113.2"), "without the mark there is no way");
}

#[test]
fn one_family_is_neither_listened_on_nor_dialled() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let [inner, outer] = [1, 2].map(|n| wan.host("node", &[&format!("192.0.2.{n}/24"), &format!("2001:db8::{n}/64")]));
    let _names = Etc::with_hosts(&inner, "192.0.2.2 bob.example\n2001:db8::2 bob.example\n");
    let [alice, bob] = [mesh::node(&lab, 1, OURS, &inner), mesh::node(&lab, 2, OURS, &outer)];
    bob.host("Address = 192.0.2.2").host("Address = bob.example");
    alice.config("ConnectTo = bob").config("AddressFamily = ipv6").knows(&bob);
    bob.knows(&alice);
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_for_ping(alice, &v4(2));

    assert!(answers(&outer, "[2001:db8::1]:655") && !answers(&outer, "192.0.2.1:655"));
    assert!(bob.log().contains("Connection from 2001:db8::1 port"));
    assert!(!alice.log().contains("Trying to connect to bob (192.0.2.2"));
    assert!(alice.log().contains("is of another AddressFamily, not dialled"));
}

#[test]
fn addresses_are_tried_in_the_order_of_the_file_and_the_last_of_a_name_first() {
    let lab = Lab::new();
    let host = Namespace::new("node");
    let _names = Etc::with_hosts(&host, "127.0.0.21 two.example\n127.0.0.22 two.example\n");
    let mut alice = relay(&lab, &host);
    alice.config("ConnectTo = bob").config("MaxTimeout = 1").config("AddressFamily = ipv4");
    let bob = "Address = 127.0.0.31\nAddress = two.example 7000\nAddress = 127.0.0.32\nPort = 7001\n";
    fs::write(alice.host_file("bob"), bob).expect("the directory is there");
    alice.start();

    wait_until(secs(10), "every address was tried twice", || {
        alice.log().matches("Trying to re-establish outgoing connection to bob in 1 seconds").count() >= 2
    });

    let log = alice.log();
    let tried: Vec<&str> = log.lines().filter_map(|line| line.split("Trying to connect to bob (").nth(1)).collect();
    let round = ["127.0.0.31 port 7001)", "127.0.0.22 port 7000)", "127.0.0.21 port 7000)", "127.0.0.32 port 7001)"];
    assert_eq!(tried.get(..8), Some([round, round].concat().as_slice()));
}

#[test]
fn names_are_shown_instead_of_addresses() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, THEIRS]);
    let _names = Etc::with_hosts(&mesh[0].namespace, "192.0.2.2 bob.example\n");
    mesh[0].config("Hostnames = yes");
    mesh::start(&mut mesh);
    let [alice, _] = &mesh;
    wait_for_ping(alice, &v4(2));

    wait_until(secs(5), "lists show the name", || {
        let lists = ["connections", "edges", "nodes"].map(|list| alice.tinc(&["dump", list]));
        lists.iter().all(|list| list.contains(" at bob.example port "))
    });
    alice.tinc(&["disconnect", "bob"]);
    wait_until(secs(10), "the log shows the name", || {
        alice.log().contains("Closing connection with bob (bob.example port ")
    });
    let pid_file = fs::read_to_string(alice.pidfile()).expect("it runs");
    assert!(pid_file.ends_with(" 127.0.0.1 port 655\n"), "programs read the pid file: {pid_file}");
}

/// How many of so many connections at once are answered.
fn answered(from: &Namespace, to: &str, count: usize) -> usize {
    let to: SocketAddr = to.parse().expect("an address");
    let mut streams: Vec<TcpStream> =
        inside(from, || (0..count).map(|_| TcpStream::connect(to)).collect::<Result<_, _>>())
            .expect("somebody listens");
    for stream in &mut streams {
        stream.write_all(b"0 bob 17.7\n").expect("it is open");
        stream.set_read_timeout(Some(Duration::from_millis(700))).expect("a valid time");
    }
    // Unlike `read`, this goes on after a signal.
    streams.iter_mut().map(|stream| usize::from(stream.read_exact(&mut [0]).is_ok())).sum()
}

#[test]
fn a_burst_of_connections_ends_in_the_tarpit_but_not_from_this_machine() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let host = wan.host("node", &["192.0.2.1/24"]);
    let [mallory, eve] = [wan.host("mallory", &["192.0.2.8/24"]), wan.host("eve", &["192.0.2.9/24"])];
    let mut alice = relay(&lab, &host);
    alice.config("MaxConnectionBurst = 6");
    let bob = Daemon::init(&lab, "bob", OURS, &host);
    alice.knows(&bob);
    alice.start();

    let count = answered(&mallory, "192.0.2.1:655", 20);
    assert!((5..=7).contains(&count), "{count} of 20 were answered, where 6 are admitted at once");
    assert_eq!(answered(&host, "127.0.0.1:655", 20), 20, "from this machine all may come");
    assert!(alice.log().contains("too many new connections"));
    std::thread::sleep(secs(2));
    assert_eq!(answered(&eve, "192.0.2.1:655", 1), 1, "another is not hindered by the first");
}
