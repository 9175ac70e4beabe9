//! A router that opens ports when it is asked: Debian's miniupnpd.
//!
//! ```text
//!  alice ─ home ─ router (NAT, miniupnpd) ─ wan ─ bob, and perhaps router (NAT) ─ carol
//! ```

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::igd::Igd;
use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Nat, Segment, nat, router};
use crate::lab::traffic::{inside, ping};
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};
use crate::natpmp::NatPmp;

/// Settings of a router that speaks only UPnP.
const UPNP: &str = "enable_upnp=yes\nenable_natpmp=no";
/// Settings of a router that speaks only PCP and NAT-PMP.
const PCP: &str = "enable_upnp=no\nenable_natpmp=yes";

/// The router and the program that opens its ports.
struct Router {
    namespace: Arc<Namespace>,
    daemon: Child,
}

/// A router that translates addresses of IPv4 and lets nothing in but answers, and what stands in its chains `opened`.
fn gate(home: &Segment, wan: (&Segment, &str)) -> Arc<Namespace> {
    let namespace = router("router", (home, &["192.168.1.1/24"]), (wan.0, &[wan.1]));
    // Without `in` the router's kernel would take a probe that comes before the port is open for its own and remember
    // that, so that nothing else of that flow is passed on later.
    namespace.nft(
        "table inet filter {
            chain post { type nat hook postrouting priority 100; oifname wan0 meta nfproto ipv4 masquerade fully-random; }
            chain prerouting { type nat hook prerouting priority -100; jump opened_nat; }
            chain forward {
                type filter hook forward priority 0;
                iifname lan0 accept;
                ct state established,related accept;
                jump opened;
                drop;
            }
            chain in { type filter hook input priority 0; iifname wan0 meta l4proto { tcp, udp } drop; }
            chain opened { }
            chain opened_nat { }
            chain opened_post { }
        }",
    );
    namespace
}

impl Router {
    fn new(lab: &Lab, namespace: Arc<Namespace>, settings: &str) -> Self {
        // The address is only what it tells others; it takes none that is reserved for documents.
        let conf = lab.path("miniupnpd.conf");
        let text = "ext_ifname=wan0\nlistening_ip=lan0\next_ip=11.0.0.1\nmin_lifetime=1\nsecure_mode=yes\nupnp_table_name=filter\nupnp_nat_table_name=filter\nupnp_forward_chain=opened\n\
                    upnp_nat_chain=opened_nat\nupnp_nat_postrouting_chain=opened_post\nnotify_interval=900\n\
                    uuid=00000000-0000-0000-0000-000000000001\nallow 1-65535 192.168.1.0/24 1-65535\n";
        std::fs::write(&conf, format!("{text}{settings}\n")).expect("the directory is ours");
        let log = std::fs::File::create(lab.path("miniupnpd.log")).expect("the directory is ours");
        let mut command = namespace.command(program());
        command.arg("-d").arg("-f").arg(&conf).arg("-P").arg(lab.path("miniupnpd.pid"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("an open file")).stderr(log);
        let daemon = command.spawn().expect("the program is there");
        let router = Self { namespace, daemon };
        let log = lab.path("miniupnpd.log");
        wait_until(secs(10), "miniupnpd listens", || {
            let said = ["HTTP listening on port", "Listening for NAT-PMP/PCP traffic"];
            std::fs::read_to_string(&log).is_ok_and(|text| said.iter().any(|words| text.contains(words)))
        });
        router
    }

    /// Halts the program that opens ports, or lets it go on.
    fn signal(&self, name: &str) {
        run(Command::new("kill").args(["-s", name, &self.daemon.id().to_string()]));
    }

    /// What its firewall lets in.
    fn holes(&self) -> String {
        run(self.namespace.command("nft").args(["list", "chain", "inet", "filter", "opened"]))
    }

    /// The ports that it passes on.
    fn opened(&self) -> String {
        run(self.namespace.command("nft").args(["list", "chain", "inet", "filter", "opened_nat"]))
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn program() -> std::path::PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the directory lies in the target directory");
    let path = target.join("peers/miniupnpd/bin/miniupnpd");
    assert!(path.exists(), "\n\n  {} is missing: run `cargo xtask peers` first\n\n", path.display());
    path
}

fn answers(from: &Namespace) -> bool {
    let to = "192.0.2.1:655".parse().expect("an address");
    inside(from, || TcpStream::connect_timeout(&to, Duration::from_millis(500))).is_ok()
}

/// Alice asks with these lines a router with these settings; bob, outside, knows only its address.
fn meet(settings: &str, lines: &[&str], kind: Kind) -> (Lab, Router, [Daemon; 2]) {
    let lab = Lab::new();
    let (home, wan) = (Segment::new("home"), Segment::new("wan"));
    let router = Router::new(&lab, gate(&home, (&wan, "192.0.2.1/24")), settings);
    let inner = home.host_behind("node", "192.168.1.100/24", "192.168.1.1");
    let outer = wan.host("node", &["192.0.2.2/24"]);
    let [alice, bob] = [mesh::node(&lab, 1, Kind::Ours, &inner), mesh::node(&lab, 2, kind, &outer)];
    for line in lines {
        alice.config(line);
    }
    alice.host("Address = 192.0.2.1").knows(&bob);
    bob.config("ConnectTo = alice").config("MaxTimeout = 1").knows(&alice);
    (lab, router, [alice, bob])
}

#[test]
fn the_router_opens_both_ports_keeps_them_open_and_closes_them_at_the_end() {
    let (_lab, router, [mut alice, mut bob]) = meet(UPNP, &["UPnP = yes", "UPnPRefreshPeriod = 3"], Kind::Tinc11);
    bob.start();
    assert!(!answers(&bob.namespace), "the router is closed");
    alice.start();

    wait_for_ping(&bob, &v4(1));

    let opened = router.opened();
    assert_eq!(opened.matches("dnat ip to 192.168.1.100:655").count(), 2, "{opened}");
    let log = alice.log();
    assert!(log.contains("[upnp] The router at 192.168.1.1:") && log.contains(" passes TCP port 655 on"), "{log}");
    // The lease is twice the period: without renewal it would be over.
    std::thread::sleep(secs(8));
    assert!(answers(&bob.namespace));
    assert!(alice.stop().success());
    let opened = router.opened();
    assert!(!opened.contains("dnat"), "{opened}");
}

#[test]
fn a_router_that_keeps_ports_only_for_ever_is_asked_for_that_again_and_again_and_closes_them_at_the_end() {
    let lab = Lab::new();
    let (home, wan) = (Segment::new("home"), Segment::new("wan"));
    let gate = gate(&home, (&wan, "11.0.0.1/24"));
    let router = Igd::start(&gate);
    let host = home.host_behind("node", "192.168.1.100/24", "192.168.1.1");
    host.keep(&gate);
    let mut alice = mesh::node(&lab, 1, Kind::Ours, &host);
    alice.config("UPnP = yes").config("UPnPRefreshPeriod = 3").config("UPnPDiscoverWait = 1");
    alice.start();

    let both = [("TCP".to_owned(), "655".to_owned()), ("UDP".to_owned(), "655".to_owned())];
    let keeps_both = || {
        let mut kept = router.asked().kept;
        kept.sort_unstable();
        kept == both
    };
    wait_until(secs(15), "the router keeps both ports", keeps_both);
    let mapping = || told(&lab, &alice, "status")["port_mappings"][0].clone();
    wait_until(secs(5), "status tells it", || mapping()["address"] == "11.0.0.1:655");
    assert_eq!(mapping()["protocol"], "UPnP");
    assert_eq!(router.asked().leases[..4], [6, 0, 6, 0], "for ever is the second choice");

    wait_until(secs(15), "it is asked again", || router.asked().leases.len() >= 8);
    assert!(keeps_both());
    assert!(alice.stop().success());
    assert_eq!(router.asked().kept, [], "{}", alice.log());
}

#[test]
fn of_several_routers_the_one_with_the_least_metric_is_asked() {
    let lab = Lab::new();
    let (home, wan) = (Segment::new("home"), Segment::new("wan"));
    let router = Router::new(&lab, gate(&home, (&wan, "192.0.2.1/24")), PCP);
    let host = home.host("node", &["192.168.1.100/24"]);
    // A lower address, where nobody answers.
    Segment::new("spare").connect(&host, "eth1", &["10.9.0.2/24"]);
    host.shell("ip route add default via 10.9.0.1 metric 600 && ip route add default via 192.168.1.1 metric 100");
    let mut alice = mesh::node(&lab, 1, Kind::Ours, &host);
    alice.config("UPnP = UDPOnly").config("UPnPDiscoverWait = 1");
    alice.start();

    wait_until(secs(10), "the router passes the port on", || router.opened().contains("dnat"));
}

#[test]
fn udponly_opens_only_the_udp_port() {
    let (_lab, router, [mut alice, _bob]) = meet(UPNP, &["UPnP = UDPOnly"], Kind::Ours);
    alice.start();

    wait_until(secs(10), "the router passes the port on", || router.opened().contains("dnat"));

    let opened = router.opened();
    // nft shows the protocol as miniupnpd wrote it: a byte of the header, 17 for UDP.
    assert!(opened.contains("0x11 th dport 655") && opened.matches("dnat").count() == 1, "{opened}");
}

#[test]
fn a_router_that_grants_less_than_was_asked_for_is_asked_again_before_that_ends() {
    let settings = format!("{PCP}\nmax_lifetime=4");
    let (_lab, router, [mut alice, _bob]) = meet(&settings, &["UPnP = UDPOnly"], Kind::Ours);
    alice.start();
    let opened = || router.opened().contains("dnat");
    wait_until(secs(10), "the router passes the port on", opened);

    std::thread::sleep(secs(12));

    assert!(opened());
    alice.kill();
    wait_until(secs(12), "the router closes what nobody renews", || !opened());
}

/// What a command of alice's prints with `--json`.
fn told(lab: &Lab, alice: &Daemon, command: &str) -> Value {
    let output = lab.tinmesh(alice, &format!("{command} --json")).output().expect("it starts");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_router_that_is_silent_for_a_while_costs_nothing_and_status_and_doctor_tell_what_it_passes_on() {
    let lines = ["UPnP = UDPOnly", "UPnPRefreshPeriod = 8", "UPnPDiscoverWait = 1", "AddressFamily = ipv4"];
    let (lab, router, [mut alice, _bob]) = meet(PCP, &lines, Kind::Ours);
    alice.start();
    let mapping = || told(&lab, &alice, "status")["port_mappings"][0].clone();
    wait_until(secs(10), "status tells it", || mapping()["address"] == "11.0.0.1:655");
    let before = mapping();
    assert!(before["protocol"] == "PCP" && before["router"] == "192.168.1.1" && before["usable"] == true, "{before:#}");

    router.signal("STOP");
    std::thread::sleep(secs(11));

    // A renewal has failed, so the end is where it was.
    let after = mapping();
    assert_eq!((&after["address"], &after["usable"]), (&before["address"], &before["usable"]));
    let until = |mapping: &Value| mapping["until"].as_u64().expect("a time");
    assert!(until(&after) <= until(&before) + 1, "{before:#} {after:#}");
    let checks = told(&lab, &alice, "doctor")["checks"].clone();
    let check = checks.as_array().expect("a list").iter().find(|check| check["topic"] == "port mapping");
    let says = check.and_then(|check| check["says"].as_str()).expect("text");
    assert!(says.starts_with("11.0.0.1:655 by PCP from 192.168.1.1, for "), "{says}");
    router.signal("CONT");
    wait_until(secs(10), "it is renewed", || until(&mapping()) > until(&before) + 2);
}

#[test]
fn in_another_network_the_router_is_asked_at_once_though_it_was_silent() {
    let (_lab, router, [mut alice, _bob]) = meet(PCP, &["UPnP = UDPOnly", "UPnPDiscoverWait = 1"], Kind::Ours);
    // A program that was only halted would answer later what it was asked meanwhile.
    router.namespace.shell(
        "nft add table inet deaf
         nft add chain inet deaf in '{ type filter hook input priority 0; }'
         nft add rule inet deaf in udp dport 5351 drop",
    );
    alice.start();
    wait_until(secs(10), "nobody answers", || alice.log().contains("[upnp] Unable to find a router that opens ports"));
    std::thread::sleep(secs(3));
    run(router.namespace.command("nft").args(["delete", "table", "inet", "deaf"]));
    std::thread::sleep(secs(5));
    assert!(!router.opened().contains("dnat"), "the next question comes after a minute");

    alice.namespace.shell("ip addr add 192.168.1.101/24 dev eth0");

    wait_until(secs(10), "the router passes the port on", || router.opened().contains("dnat"));
}

#[test]
fn without_such_a_router_nothing_but_a_line_in_the_log_follows() {
    let lab = Lab::new();
    let host = Segment::new("home").host("node", &["192.168.1.100/24"]);
    let mut alice = mesh::node(&lab, 1, Kind::Ours, &host);
    alice.config("UPnP = yes").config("UPnPDiscoverWait = 1");
    alice.start();

    wait_until(secs(5), "the log says so", || alice.log().contains("[upnp] Unable to find a router that opens ports"));

    assert!(alice.stop().success());
}

/// Alice's router opens ports; carol's, which gives each destination another port, does not. Bob is reached by both.
fn home_and_elsewhere<R>(opens: impl FnOnce(&Lab, Arc<Namespace>) -> R) -> (Lab, R, [Daemon; 3]) {
    let lab = Lab::new();
    let (home, wan, elsewhere) = (Segment::new("home"), Segment::new("wan"), Segment::new("elsewhere"));
    let router = opens(&lab, gate(&home, (&wan, "11.0.0.1/24")));
    let nat = nat("nat", (&elsewhere, "192.168.2.1/24"), (&wan, "11.0.0.3/24"), Nat::Symmetric);
    let hosts = [
        home.host_behind("node", "192.168.1.100/24", "192.168.1.1"),
        wan.host("node", &["11.0.0.2/24"]),
        elsewhere.host_behind("node", "192.168.2.100/24", "192.168.2.1"),
    ];
    hosts[2].keep(&nat);
    let mut number = 0;
    let mesh = hosts.map(|host| {
        number += 1;
        let node = mesh::node(&lab, number, Kind::Ours, &host);
        // Nothing but the open port is to help.
        node.config("Extensions = mapped");
        node
    });
    let [alice, bob, carol] = &mesh;
    bob.host("Address = 11.0.0.2");
    alice.config("UPnP = yes").config("UPnPRefreshPeriod = 3");
    for node in [alice, carol] {
        node.config("ConnectTo = bob").knows(bob);
        bob.knows(node);
    }
    alice.knows(carol);
    carol.knows(alice);
    (lab, router, mesh)
}

/// Carol writes to the port that alice's router opened, though it was slow, for as long as alice is there.
fn the_port_is_used(settings: &str, says: &str) {
    let (_lab, router, mut mesh) = home_and_elsewhere(|lab, gate| Router::new(lab, gate, settings));
    router.signal("STOP");
    mesh::start(&mut mesh);
    let [mut alice, _bob, carol] = mesh;

    wait_for_ping(&carol, &v4(1));
    router.signal("CONT");
    wait_until(secs(20), "carol writes to the open port", || {
        ping(&carol.namespace, &v4(1));
        carol.sees("alice", |node| node.direct() && node.address == "11.0.0.1" && node.port == "655")
    });

    assert!(alice.log().contains(says), "{}", alice.log());
    // The lease is twice the period: without renewal it would be over.
    std::thread::sleep(secs(8));
    let opened = router.opened();
    assert_eq!(opened.matches("dnat ip to 192.168.1.100:655").count(), 2, "{opened}");
    assert!(carol.sees("alice", |node| node.direct()));
    assert!(alice.stop().success());
    let opened = router.opened();
    assert!(!opened.contains("dnat"), "{opened}");
}

#[test]
fn others_write_to_the_port_that_a_router_opened_by_pcp() {
    the_port_is_used(PCP, "[pcp] The router at 192.168.1.1 passes UDP port 655 on");
}

#[test]
fn others_write_to_the_port_that_a_router_opened_by_upnp() {
    the_port_is_used(UPNP, "[upnp] The router at 192.168.1.1:");
}

#[test]
fn others_write_to_the_port_that_a_router_opened_by_the_older_nat_pmp() {
    let (_lab, router, mut mesh) = home_and_elsewhere(|_lab, gate| NatPmp::start(gate));
    mesh::start(&mut mesh);
    let [mut alice, _bob, carol] = mesh;

    wait_for_ping(&carol, &v4(1));
    wait_until(secs(20), "carol writes to the open port", || {
        ping(&carol.namespace, &v4(1));
        carol.sees("alice", |node| node.direct() && node.address == "11.0.0.1" && node.port == "7655")
    });

    let says = "passes UDP port 655 on from 11.0.0.1 port 7655 (NAT-PMP)";
    assert!(alice.log().contains(says), "{}", alice.log());
    assert!(alice.stop().success());
    assert_eq!(router.opened(), 0);
}

#[test]
fn a_node_behind_a_firewall_of_ipv6_is_reached_through_the_hole_that_it_asked_for_only() {
    let lab = Lab::new();
    let (home, wan) = (Segment::new("home"), Segment::new("wan"));
    let gate = gate(&home, (&wan, "11.0.0.1/24"));
    gate.shell("ip addr add fe80::1/64 dev lan0 nodad && ip addr add 2001:db8:2::1/64 dev wan0 nodad");
    gate.shell("ip route add 2001:db8:1::/64 dev lan0");
    let router = Router::new(&lab, gate, &format!("{PCP}\nipv6_disable=no"));
    let inner = home.host("node", &["2001:db8:1::100/64"]);
    inner.shell("ip -6 route add default via fe80::1 dev eth0");
    let outer = wan.host("node", &["2001:db8:2::2/64"]);
    outer.shell("ip -6 route add default via 2001:db8:2::1");
    let [mut alice, mut bob] = [mesh::node(&lab, 1, Kind::Ours, &inner), mesh::node(&lab, 2, Kind::Ours, &outer)];
    alice.host("Address = 2001:db8:1::100").knows(&bob);
    bob.config("ConnectTo = alice").config("MaxTimeout = 1").knows(&alice);
    let enters = || {
        let to = "[2001:db8:1::100]:655".parse().expect("an address");
        inside(&outer, || TcpStream::connect_timeout(&to, Duration::from_millis(500))).is_ok()
    };
    bob.start();
    alice.start();
    wait_until(secs(5), "alice listens", || alice.log().contains("Ready"));
    assert!(!enters(), "the firewall is closed");
    assert!(alice.stop().success());

    alice.config("UPnP = yes").config("UPnPRefreshPeriod = 6").config("Sandbox = high");
    alice.start();

    wait_for_ping(&bob, &v4(1));
    let told = "Routers pass datagrams on to alice: [2001:db8:1::100]:655";
    wait_until(secs(5), "bob is told", || bob.log().contains(told));
    wait_until(secs(10), "bob writes straight", || {
        ping(&outer, &v4(1));
        bob.sees("alice", |node| node.direct() && node.address == "2001:db8:1::100")
    });
    let opened = || router.holes().matches(" accept").count();
    assert_eq!(opened(), 2, "{}", router.holes());
    // The lease is twice the period: without renewal it would be over.
    std::thread::sleep(secs(14));
    assert!(enters());
    assert!(alice.stop().success());
    // Sooner than the lease would end.
    wait_until(secs(4), "the firewall is closed", || opened() == 0);
}
