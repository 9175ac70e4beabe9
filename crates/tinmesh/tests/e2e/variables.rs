//! Variables, one by one: what a line in a file changes between real daemons. What a variable makes a node announce is
//! looked at from a tinc; what it makes a node do is tried.

use std::fs;
use std::process::Command;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::topology::{Segment, block_udp};
use crate::lab::traffic::{count_udp, ping, ping_many, udp_packets};
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// Ours dials theirs, with these lines in the configuration of ours.
fn pair_with(lab: &Lab, lines: &[&str]) -> [Daemon; 2] {
    let mut pair = mesh::pair(lab, [OURS, THEIRS]);
    lines.iter().for_each(|line| _ = pair[0].config(line));
    mesh::start(&mut pair);
    let [alice, bob] = &pair;
    wait_until(secs(20), "they are connected", || {
        alice.sees("bob", |node| node.reachable()) && bob.sees("alice", |node| node.reachable())
    });
    pair
}

/// Options and weight of the edge from theirs to ours, as theirs tells them.
fn edge(pair: &[Daemon; 2]) -> (u32, i32) {
    let text = pair[1].tinc(&["dump", "edges"]);
    let line = text.lines().find(|line| line.starts_with("alice to bob ")).expect("the edge of ours is known");
    let words: Vec<&str> = line.split(' ').collect();
    let after = |label: &str| words[words.iter().position(|word| *word == label).expect("a label") + 1];
    (u32::from_str_radix(after("options"), 16).expect("a word of options"), after("weight").parse().expect("a weight"))
}

#[test]
fn what_a_node_says_of_itself_is_in_its_edges() {
    const INDIRECT: u32 = 1;
    const TCP_ONLY: u32 = 2;
    const PMTU_DISCOVERY: u32 = 4;
    const CLAMP_MSS: u32 = 8;
    for (line, bits) in [
        ("IndirectData = yes", INDIRECT | PMTU_DISCOVERY | CLAMP_MSS),
        ("TCPOnly = yes", INDIRECT | TCP_ONLY | CLAMP_MSS),
        ("PMTUDiscovery = no", CLAMP_MSS),
        ("ClampMSS = no", PMTU_DISCOVERY),
    ] {
        let by = |kinds: [Kind; 2]| {
            let lab = Lab::new();
            let mut pair = mesh::pair(&lab, kinds);
            pair.iter().for_each(|daemon| _ = daemon.config(line));
            mesh::start(&mut pair);
            wait_until(secs(20), "they are connected", || pair[1].sees("alice", |node| node.reachable()));
            edge(&pair).0 & 0xf
        };
        let ours = by([OURS, THEIRS]);
        assert_eq!(ours, by([THEIRS, THEIRS]), "{line}: ours differs from theirs");
        assert_eq!(ours, bits, "{line}");
    }
}

#[test]
fn a_weight_is_the_mean_of_both_ends() {
    let lab = Lab::new();
    let mut pair = mesh::pair(&lab, [OURS, THEIRS]);
    pair[0].host("Weight = 70");
    pair[1].host("Weight = 30");
    mesh::start(&mut pair);
    wait_until(secs(20), "they are connected", || pair[1].sees("alice", |node| node.reachable()));

    assert_eq!(edge(&pair).1, 50);
}

#[test]
fn tcp_only_sends_no_datagram() {
    let lab = Lab::new();
    let mut pair = mesh::pair(&lab, [OURS, THEIRS]);
    pair[0].config("TCPOnly = yes");
    count_udp(&pair[1].namespace);
    mesh::start(&mut pair);

    wait_for_ping(&pair[0], &v4(2));
    assert_eq!(ping_many(&pair[0].namespace, &v4(2), 50), 50);

    assert_eq!(udp_packets(&pair[1].namespace), 0);
}

#[test]
fn a_pmtu_in_the_file_is_the_size_until_one_is_measured() {
    let lab = Lab::new();
    let pair = pair_with(&lab, &["PMTU = 1200", "PMTUDiscovery = no"]);

    assert!(pair[0].sees("bob", |node| node.mtu == 1200), "{:?}", pair[0].node("bob"));
}

#[test]
fn without_udp_discovery_nothing_is_sent_without_traffic() {
    let datagrams = |line: &str| {
        let lab = Lab::new();
        let mut pair = mesh::pair(&lab, [OURS, OURS]);
        for daemon in &pair {
            daemon.config(line).config("DeviceType = dummy");
            let conf = fs::read_to_string(daemon.dir.join("tinc.conf")).expect("it was written");
            fs::write(daemon.dir.join("tinc.conf"), conf.replace("DeviceType = tun\n", "")).expect("it is ours");
            daemon.up_script("");
        }
        count_udp(&pair[1].namespace);
        mesh::start(&mut pair);
        wait_until(secs(20), "they are connected", || pair[0].sees("bob", |node| node.reachable()));
        std::thread::sleep(secs(7));
        udp_packets(&pair[1].namespace)
    };

    assert_eq!(datagrams("UDPDiscovery = no"), 0);
    assert!(datagrams("UDPDiscovery = yes") > 0);
}

/// Datagrams that reach the other's host, which hears and says nothing, in some seconds.
fn asked(lines: &[&str]) -> u64 {
    let lab = Lab::new();
    let mut pair = mesh::pair(&lab, [OURS, THEIRS]);
    lines.iter().for_each(|line| _ = pair[0].config(line));
    pair[1].namespace.nft(
        "table inet lab {
            counter datagrams { }
            chain in {
                type filter hook input priority 0;
                iifname \"eth*\" meta l4proto udp counter name datagrams drop;
            }
            chain out { type filter hook output priority 0; oifname \"eth*\" meta l4proto udp drop; }
        }",
    );
    mesh::start(&mut pair);
    wait_for_ping(&pair[0], &v4(2));
    // The quick first questions are over.
    std::thread::sleep(secs(4));
    let before = udp_packets(&pair[1].namespace);
    std::thread::sleep(secs(8));
    udp_packets(&pair[1].namespace) - before
}

#[test]
fn an_unconfirmed_address_is_asked_at_the_interval() {
    let often = asked(&["UDPDiscoveryInterval = 1"]);
    let seldom = asked(&["UDPDiscoveryInterval = 4"]);

    assert!(often >= 2 * seldom, "{often} questions in eight seconds, and {seldom} with four times the interval");
    assert!(seldom > 0);
}

#[test]
fn a_silent_path_is_given_up_after_the_timeout() {
    let lab = Lab::new();
    let pair = pair_with(&lab, &["UDPDiscoveryKeepaliveInterval = 1", "UDPDiscoveryTimeout = 3"]);
    wait_for_direct(&pair[0], "bob", &v4(2));

    block_udp(&pair[0].namespace);
    let took = wait_until(secs(10), "UDP is given up", || pair[0].sees("bob", |node| !node.udp_confirmed()));

    assert!(took >= secs(1), "given up after {took:?}");
}

#[test]
fn a_confirmed_path_is_asked_at_the_keepalive_interval() {
    let datagrams = |line: &str| {
        let lab = Lab::new();
        let pair = pair_with(&lab, &[line]);
        wait_for_direct(&pair[0], "bob", &v4(2));
        std::thread::sleep(secs(2));
        count_udp(&pair[1].namespace);
        std::thread::sleep(secs(8));
        udp_packets(&pair[1].namespace)
    };
    let often = datagrams("UDPDiscoveryKeepaliveInterval = 1");
    let seldom = datagrams("UDPDiscoveryKeepaliveInterval = 20");

    assert!(often >= 6, "{often} datagrams in eight seconds");
    assert!(seldom <= often / 2, "{seldom} instead of {often} with twenty times the interval");
}

/// How often a tinc in the middle hears a request of carol while alice pings her for some seconds.
fn heard(request: &str, lines: &[&str]) -> usize {
    let lab = Lab::new();
    let mut mesh = mesh::parted_line(&lab, [OURS, THEIRS, OURS]);
    lines.iter().for_each(|line| _ = mesh[2].config(line));
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(3));
    let count = || mesh[1].log().matches(&format!("{request} carol alice")).count();
    let before = count();
    for _ in 0..7 {
        ping_many(&mesh[0].namespace, &v4(3), 40);
    }
    count() - before
}

#[test]
fn udp_info_is_told_at_its_interval() {
    let often = heard("22", &["UDPInfoInterval = 1"]);
    let seldom = heard("22", &["UDPInfoInterval = 30"]);

    assert!(often >= 3 && seldom <= 1, "{often} times with one second, {seldom} with thirty");
}

#[test]
fn mtu_info_is_told_at_its_interval() {
    let often = heard("23", &["MTUInfoInterval = 1"]);
    let seldom = heard("23", &["MTUInfoInterval = 30"]);

    assert!(often >= 3 && seldom <= 1, "{often} times with one second, {seldom} with thirty");
}

#[test]
fn strict_subnets_believe_host_files_alone() {
    let lab = Lab::new();
    let mut pair = mesh::pair(&lab, [OURS, THEIRS]);
    pair[0].config("StrictSubnets = yes");
    // Announced after its host file was copied.
    pair[1].host("Subnet = 10.78.2.0/24");
    pair[1].namespace.shell("ip link add dev lo2 type veth peer name lo3 && ip addr add 10.78.2.1/24 dev lo2");
    mesh::start(&mut pair);
    wait_for_ping(&pair[0], &v4(2));
    pair[0].namespace.shell("ip route add 10.78.2.0/24 dev vpn0");

    assert!(!pair[0].tinc(&["dump", "subnets"]).contains("10.78.2.0/24 owner bob"));
    assert!(!ping(&pair[0].namespace, "10.78.2.1"));
}

#[test]
fn a_tunnel_server_keeps_its_neighbours_apart() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [THEIRS, OURS, THEIRS]);
    mesh[1].config("TunnelServer = yes");
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_ping(alice, &v4(2));
    wait_for_ping(carol, &v4(2));

    assert!(bob.sees("alice", |node| node.reachable()) && bob.sees("carol", |node| node.reachable()));
    assert!(alice.node("carol").is_none_or(|node| !node.reachable()), "nobody told alice of carol");
    assert!(!ping(&alice.namespace, &v4(3)));
}

/// What ping is told when it gets no answer.
fn complaint(from: &Daemon, to: &str, more: &[&str]) -> String {
    let output = from.namespace.command("ping").args(["-n", "-c2", "-W1"]).args(more).arg(to).output();
    String::from_utf8_lossy(&output.expect("ping is there").stdout).into_owned()
}

#[test]
fn direct_only_refuses_what_needs_a_static_relay() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [OURS, THEIRS, THEIRS]);
    mesh[2].config("IndirectData = yes");
    mesh[0].config("DirectOnly = yes");
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    wait_until(secs(10), "carol is behind bob", || mesh[0].sees("carol", |node| node.via == "bob"));

    let said = complaint(&mesh[0], &v4(3), &[]);

    assert!(said.contains("Net Prohibited"), "{said}");
}

/// Alice takes bob for the owner of carol's range, so that her packets for it are routed by bob.
///
/// Bob owns all of 10.78.0.0/16, carol 10.78.3.0/24, and alice believes host files, which do not tell her of carol's.
fn misled(lab: &Lab, lines: &[&str]) -> [Daemon; 3] {
    let mut mesh = mesh::line(lab, [THEIRS, OURS, THEIRS]);
    let [alice, bob, carol] = &mesh;
    bob.host("Subnet = 10.78.0.0/16");
    let known = fs::read_to_string(alice.host_file("bob")).expect("it was copied");
    fs::write(alice.host_file("bob"), format!("{known}Subnet = 10.78.0.0/16\n")).expect("it is ours");
    alice.config("StrictSubnets = yes");
    carol.host("Subnet = 10.78.3.0/24");
    lines.iter().for_each(|line| _ = bob.config(line));
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    carol.namespace.shell("ip addr add 10.78.3.1/24 dev vpn0");
    alice.namespace.shell("ip route add 10.78.0.0/16 dev vpn0");
    wait_for_ping(alice, &v4(2));
    wait_for_ping(carol, &v4(2));
    wait_until(secs(10), "bob knows carol's range", || bob.tinc(&["dump", "subnets"]).contains("10.78.3.0/24"));
    mesh
}

#[test]
fn packets_of_others_for_others_are_routed_unless_forwarding_is_off() {
    let lab = Lab::new();
    let internal = misled(&lab, &[]);
    wait_for_ping(&internal[0], "10.78.3.1");
    drop(internal);

    let lab = Lab::beside_all();
    let off = misled(&lab, &["Forwarding = off"]);
    let said = complaint(&off[0], "10.78.3.1", &[]);
    assert!(said.contains("Net Prohibited"), "{said}");
    drop(off);

    let lab = Lab::beside_all();
    let kernel = misled(&lab, &["Forwarding = kernel"]);
    let received = || {
        let path = "/sys/class/net/vpn0/statistics/rx_packets";
        run(kernel[1].namespace.command("cat").arg(path)).trim().parse::<u64>().expect("a number")
    };
    let before = received();
    ping_many(&kernel[0].namespace, "10.78.3.1", 10);
    assert!(received() >= before + 10, "they come out of bob's interface, for his kernel to route");
}

#[test]
fn a_packet_that_is_passed_on_loses_a_hop_if_asked_for() {
    let lab = Lab::new();
    let decrementing = misled(&lab, &["DecrementTTL = yes"]);
    wait_for_ping(&decrementing[0], "10.78.3.1");
    let said = complaint(&decrementing[0], "10.78.3.1", &["-t", "1"]);
    assert!(said.contains("Time to live exceeded"), "{said}");
    drop(decrementing);

    let lab = Lab::beside_all();
    let plain = misled(&lab, &[]);
    wait_for_ping(&plain[0], "10.78.3.1");
    assert!(complaint(&plain[0], "10.78.3.1", &["-t", "1"]).contains("2 received"));
}

#[test]
fn a_broadcast_subnet_reaches_everyone() {
    let lab = Lab::new();
    let mut pair = mesh::pair(&lab, [OURS, THEIRS]);
    pair.iter().for_each(|daemon| _ = daemon.config("BroadcastSubnet = 10.77.9.9"));
    mesh::start(&mut pair);
    wait_for_ping(&pair[0], &v4(2));
    assert!(pair[0].tinc(&["dump", "subnets"]).contains("10.77.9.9 owner (broadcast)"));
    pair[0].namespace.shell("ip route add 10.77.9.9 dev vpn0");
    let received = || {
        let path = "/sys/class/net/vpn0/statistics/rx_packets";
        run(pair[1].namespace.command("cat").arg(path)).trim().parse::<u64>().expect("a number")
    };
    let before = received();

    let _ = ping_many(&pair[0].namespace, "10.77.9.9", 10);

    wait_until(secs(5), "bob's interface got them", || received() >= before + 10);
}

#[test]
fn keys_may_lie_in_other_files() {
    let lab = Lab::new();
    let mut pair = mesh::pair(&lab, [OURS, THEIRS]);
    let alice = &pair[0];
    fs::rename(alice.dir.join("ed25519_key.priv"), alice.dir.join("my.key")).expect("init wrote it");
    alice.config("Ed25519PrivateKeyFile = my.key");
    let text = fs::read_to_string(alice.host_file("bob")).expect("it was copied");
    let digits = text.lines().find_map(|line| line.strip_prefix("Ed25519PublicKey = ")).expect("a key").to_owned();
    let block = format!("-----BEGIN ED25519 PUBLIC KEY-----\n{digits}\n-----END ED25519 PUBLIC KEY-----\n");
    fs::write(alice.dir.join("bob.pub"), block).expect("the directory is there");
    let text = text.replace(&format!("Ed25519PublicKey = {digits}"), "Ed25519PublicKeyFile = bob.pub");
    fs::write(alice.host_file("bob"), text).expect("it is ours");

    mesh::start(&mut pair);

    wait_for_ping(&pair[0], &v4(2));
}

#[test]
fn an_invitation_expires() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let mut alice = mesh::node(&lab, 1, OURS, &wan.host("node", &["192.0.2.1/24"]));
    alice.host("Address = 192.0.2.1").config("InvitationExpire = 60").host("Port = 655");
    alice.start();
    let url = alice.tinc(&["invite", "bob"]);
    for file in fs::read_dir(alice.dir.join("invitations")).expect("invite made it") {
        run(Command::new("touch").args(["-d", "-2 minutes"]).arg(file.expect("readable").path()));
    }
    let bob = Daemon::bare(&lab, "bob", THEIRS, &wan.host("node", &["192.0.2.2/24"]));

    let mut join = bob.tinc_command(&["join", url.trim()]).spawn().expect("the program is there");
    std::thread::sleep(secs(2));
    let accepted = join.try_wait().expect("our child").is_some_and(|status| status.success());
    let _ = join.kill();
    let _ = join.wait();

    assert!(!accepted && !alice.host_file("bob").exists());
}

#[test]
fn the_interface_is_set_up_as_the_file_says() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let mut alice = mesh::node(&lab, 1, OURS, &wan.host("node", &["192.0.2.1/24"]));
    alice.up_script("");
    alice.config("Ifconfig = 10.79.0.1/16").config("Ifconfig = fd79::1/64").config("InterfaceMTU = 1300");
    alice.config("Route = 10.80.0.0/16").config("Route = 10.81.0.0/16 10.79.0.9");
    alice.start();
    let ip = |args: &[&str]| run(alice.namespace.command("ip").args(args));

    let link = ip(&["addr", "show", "vpn0"]);
    assert!(["10.79.0.1/16", "fd79::1/64", "mtu 1300", "UP"].iter().all(|text| link.contains(text)), "{link}");
    let routes = ip(&["route"]);
    assert!(routes.contains("10.80.0.0/16 dev vpn0") && routes.contains("10.81.0.0/16 via 10.79.0.9"), "{routes}");
}

#[test]
fn scripts_may_have_an_extension_and_an_interpreter() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let mut alice = mesh::node(&lab, 1, OURS, &wan.host("node", &["192.0.2.1/24"]));
    fs::write(alice.dir.join("tinc-up.run"), "echo started by $0 for $NAME > started\n").expect("it is ours");
    alice.config("ScriptsExtension = .run").config("ScriptsInterpreter = /bin/sh -e");

    alice.start();

    let started = alice.dir.join("started");
    wait_until(secs(5), "the script has run", || fs::read_to_string(&started).is_ok_and(|text| text.contains("alice")));
}

#[test]
fn the_priority_of_the_process_is_set() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let mut alice = mesh::node(&lab, 1, OURS, &wan.host("node", &["192.0.2.1/24"]));
    alice.config("ProcessPriority = low");

    alice.start();

    // The file that tells of its start is there a little before.
    wait_until(secs(2), "its priority is low", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", alice.pid())).expect("it lives");
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(16)) == Some("10")
    });
}

#[test]
fn the_type_of_service_is_copied_to_the_outside_if_asked_for() {
    let marked = |line: &str| {
        let lab = Lab::new();
        let pair = pair_with(&lab, &[line]);
        wait_for_direct(&pair[0], "bob", &v4(2));
        pair[1].namespace.nft(
            "table inet lab {
                counter datagrams { }
                chain in {
                    type filter hook input priority 0;
                    iifname \"eth*\" meta l4proto udp ip dscp ef counter name datagrams;
                }
            }",
        );
        let args = ["-n", "-q", "-c10", "-i0.05", "-W1", "-Q", "0xb8", &v4(2)];
        run(pair[0].namespace.command("ping").args(args));
        udp_packets(&pair[1].namespace)
    };

    assert!(marked("PriorityInheritance = yes") >= 10);
    assert_eq!(marked("PriorityInheritance = no"), 0);
}
