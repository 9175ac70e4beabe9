//! No host cuts what our daemons send, in datagrams and connections below, or into the device above: on paths of each size,
//! whether routers say what is too long or not (docs/protocol.md; RFC 8899).
//!
//! ```text
//!  alice ─ left ─ router, which takes no more than so much in a packet ─ right ─ bob
//! ```
//!
//! Counted are the packets that a system cuts (`/proc/net/snmp`, `snmp6`), and fragments on the cables. The systems do not cut the
//! packets of programs for the tunnel: they do not hear from it what is too long.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};

use crate::lab::mesh::{self, v4, v6, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Segment, router};
use crate::lab::traffic::{inside, ping_whole, transfer};
use crate::lab::{Daemon, Kind, Lab, run, secs, succeeds};

/// The family of the network below.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    V4,
    V6,
}

/// What a router does with a packet that is too long.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Router {
    Tells,
    IsSilent,
}

impl Below {
    /// Host or router, and the prefix, of the network on a side.
    fn address(self, side: usize, host: u8) -> String {
        match self {
            Self::V4 => format!("{}.{host}", ["198.51.100", "203.0.113"][side]),
            Self::V6 => format!("2001:db8:{side}::{host}"),
        }
    }

    fn prefix(self, side: usize) -> String {
        let (host, len) = if self == Self::V4 { (0, 24) } else { (0, 64) };
        format!("{}/{len}", self.address(side, host))
    }

    /// An address with the length of its prefix.
    fn on_link(self, side: usize, host: u8) -> String {
        format!("{}/{}", self.address(side, host), if self == Self::V4 { 24 } else { 64 })
    }
}

/// The three on the way, and two daemons.
struct Path {
    mesh: [Daemon; 2],
    router: Arc<Namespace>,
    below: Below,
}

const LEFT: usize = 0;
const RIGHT: usize = 1;
const GATEWAY: u8 = 254;
/// The longest packet that the device takes, without its headers of IPv4 and UDP, or ICMP.
const LONGEST: usize = 1_500 - 28;

/// Two of ours, with a path of `mtu` bytes between them that is not narrower anywhere else.
fn path(lab: &Lab, below: Below, mtu: u32, says: Router) -> Path {
    let segments = [Segment::new("left"), Segment::new("right")];
    let gateways = [LEFT, RIGHT].map(|side| below.on_link(side, GATEWAY));
    let router = router("narrow", (&segments[LEFT], &[&gateways[LEFT]]), (&segments[RIGHT], &[&gateways[RIGHT]]));
    let hosts = [LEFT, RIGHT].map(|side| {
        let host = segments[side].host("node", &[&below.on_link(side, 1)]);
        host.shell(&format!("ip route add default via {}", below.address(side, GATEWAY)));
        host
    });
    let widest = mtu.max(1_500);
    segments.iter().for_each(|segment| segment.set_mtu(widest));
    hosts.iter().for_each(|host| host.shell(&format!("ip link set eth0 mtu {widest}")));
    // That of the route that came with the address.
    let metric = if below == Below::V4 { "" } else { "metric 256" };
    for (side, device) in [(LEFT, "lan0"), (RIGHT, "wan0")] {
        let prefix = below.prefix(side);
        router.shell(&format!(
            "ip link set {device} mtu {widest}; ip route replace {prefix} dev {device} {metric} mtu {mtu}"
        ));
    }
    hosts.iter().for_each(|host| watch(host, &mute("input", "iifname \"vpn0\"")));
    watch(&router, &if says == Router::IsSilent { mute("output", "") } else { String::new() });
    let [alice, bob] = [0, 1].map(|at| mesh::node(lab, at + 1, Kind::Ours, &hosts[at]));
    bob.host(&format!("Address = {}", below.address(RIGHT, 1)));
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);
    Path { mesh, router, below }
}

/// Drops what tells that a packet is too long.
fn mute(hook: &str, which: &str) -> String {
    format!(
        "chain mute {{
            type filter hook {hook} priority 0;
            {which} icmp type destination-unreachable drop
            {which} icmpv6 type packet-too-big drop
        }}"
    )
}

/// Counts fragments that come in by cable, before they are put together.
fn watch(namespace: &Namespace, more: &str) {
    namespace.nft(&format!(
        "table inet lab {{
            counter fragments {{ }}
            chain cables {{
                type filter hook prerouting priority -450;
                iifname != {{ \"vpn0\", \"lo\" }} ip frag-off & 0x3fff != 0 counter name fragments
                iifname != {{ \"vpn0\", \"lo\" }} exthdr frag exists counter name fragments
            }}
            {more}
        }}"
    ));
}

/// Fragments that came by cable.
fn seen(namespace: &Namespace) -> u64 {
    let text = run(namespace.command("nft").args(["list", "counter", "inet", "lab", "fragments"]));
    let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("nft says: {text}"))
}

/// Fragments that the system of a namespace has made.
fn made(namespace: &Namespace) -> u64 {
    let text = run(namespace.command("cat").arg("/proc/net/snmp"));
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: ")).map(str::split_whitespace);
    let (names, values) = lines.next().zip(lines.next()).expect("the system counts");
    let made: Option<u64> =
        names.zip(values).find(|(name, _)| *name == "FragCreates").and_then(|(_, n)| n.parse().ok());
    let text = run(namespace.command("cat").arg("/proc/net/snmp6"));
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip6FragCreates"));
    let made_v6: Option<u64> = lines.next().and_then(|count| count.trim().parse().ok());
    made.zip(made_v6).map(|(v4, v6)| v4 + v6).expect("the system counts fragments")
}

impl Path {
    fn namespaces(&self) -> [&Namespace; 3] {
        [&self.mesh[0].namespace, &self.router, &self.mesh[1].namespace]
    }

    /// Fragments made and seen anywhere.
    fn fragments(&self) -> (u64, u64) {
        let count = |of: fn(&Namespace) -> u64| self.namespaces().into_iter().map(of).sum();
        (count(made), count(seen))
    }

    /// Large packets of every kind, which may be cut and which may not, both ways; `known`: the sizes are known, so they arrive.
    fn load(&self, known: bool) {
        let [alice, bob] = &self.mesh;
        for (from, to, number) in [(alice, bob, 2), (bob, alice, 1)] {
            let (from, to) = (&from.namespace, &to.namespace);
            for (target, payload) in [(v4(number), LONGEST), (v6(number), LONGEST - 20)] {
                let payload = payload.to_string();
                let args = ["-n", "-q", "-i", "0.02", "-c", "100", "-W", "2", "-M", "dont", "-s", &payload, &target];
                let answered = succeeds(from.command("ping").args(args));
                assert!(answered || !known, "none of {target} was answered");
            }
            // Goes in two pieces, but ping takes the word of the limit, which comes too, for the end.
            let _ = ping_whole(from, &v4(number), 1_500);
            let arrived = datagrams(from, to, &v4(number));
            assert!(arrived > 250 || !known, "{arrived} of 300 datagrams that may be cut arrived");
            transfer(from, to, &v4(number), 2_000_000).assert_intact(2_000_000);
            transfer(from, to, &v6(number), 2_000_000).assert_intact(2_000_000);
        }
    }
}

/// Sends 300 of the longest datagrams, which may be cut on their way; how many arrive.
fn datagrams(from: &Namespace, to: &Namespace, address: &str) -> usize {
    let receiver = inside(to, || UdpSocket::bind((address, 7_100))).expect("the address is the host's");
    receiver.set_read_timeout(Some(secs(2))).expect("a valid time");
    let sender = inside(from, || UdpSocket::bind("0.0.0.0:0")).expect("a port is free");
    set_ip_mtu_discover(&sender, Ipv4PathMtuDiscovery::DONT).expect("Linux knows it");
    std::thread::scope(|scope| {
        let arrived = scope.spawn(|| (0..300).take_while(|_| receiver.recv(&mut [0; 2_000]).is_ok()).count());
        for _ in 0..300 {
            let _ = sender.send_to(&[7; LONGEST], (address, 7_100));
            std::thread::sleep(Duration::from_millis(5));
        }
        arrived.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Nobody cuts anything of ours on such a path; what others send without a bit that forbids it is seen.
fn nothing_is_cut(below: Below, mtu: u32, says: Router) {
    let lab = Lab::new();
    let path = path(&lab, below, mtu, says);
    let [alice, bob] = &path.mesh;
    wait_for_ping(alice, &v4(2));
    wait_for_direct(alice, "bob", &v4(2));
    wait_for_direct(bob, "alice", &v4(1));
    [false, true].iter().for_each(|&known| path.load(known));
    assert_eq!(path.fragments(), (0, 0), "fragments made, fragments seen");

    let target = path.below.address(RIGHT, 1);
    let _ = succeeds(
        alice.namespace.command("ping").args(["-n", "-q", "-c3", "-W1", "-M", "dont", "-s", "20000", &target]),
    );
    assert!(made(&alice.namespace) >= 6 && seen(&path.router) >= 6, "the count sees what it should");
}

#[test]
fn nothing_of_ours_is_cut_on_a_path_of_576_bytes_that_keeps_quiet() {
    nothing_is_cut(Below::V4, 576, Router::IsSilent);
}

#[test]
fn nothing_of_ours_is_cut_on_a_path_of_576_bytes() {
    nothing_is_cut(Below::V4, 576, Router::Tells);
}

#[test]
fn nothing_of_ours_is_cut_on_a_path_of_1280_bytes_that_keeps_quiet() {
    nothing_is_cut(Below::V4, 1_280, Router::IsSilent);
}

#[test]
fn nothing_of_ours_is_cut_on_a_path_of_1400_bytes() {
    nothing_is_cut(Below::V4, 1_400, Router::Tells);
}

#[test]
fn nothing_of_ours_is_cut_on_a_path_of_1500_bytes() {
    nothing_is_cut(Below::V4, 1_500, Router::Tells);
}

#[test]
fn nothing_of_ours_is_cut_on_a_path_of_9000_bytes() {
    nothing_is_cut(Below::V4, 9_000, Router::Tells);
}

#[test]
fn nothing_of_ours_is_cut_on_a_path_of_1280_bytes_over_ipv6() {
    nothing_is_cut(Below::V6, 1_280, Router::Tells);
}

#[test]
fn nothing_of_ours_is_cut_on_a_path_of_1400_bytes_over_ipv6_that_keeps_quiet() {
    nothing_is_cut(Below::V6, 1_400, Router::IsSilent);
}
