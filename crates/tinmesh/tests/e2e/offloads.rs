//! Large packets, cut and joined, change nothing that comes out at the other end.
//!
//! ```text
//! near ─ kernel ─ vpn0 ═ alice ═══════ bob ═ vpn0 ─ kernel ─ far
//! ```
//!
//! The test holds the devices `near` and `far`; the kernels forward. `far` takes no large packets, so its kernel cuts what
//! bob joined.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etherparse::{Ipv6FragmentHeader, PacketBuilder};
use tinmesh_core::dataplane::batch::BATCH;
use tinmesh_core::dataplane::offload::train::{Joins, Trains};
use tinmesh_os::device::{Device, DeviceOptions, Kind as Carries};

use crate::captures;
use crate::lab::mesh::{self, v4, wait_for_direct};
use crate::lab::namespace::Namespace;
use crate::lab::traffic::{inside, ping, transfer};
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const MORE_FRAGMENTS: u16 = 0x2000;
/// The piece that begins 800 bytes behind the start.
const LATER_FRAGMENT: u16 = 100;

const SWITCHES: [&str; 3] = ["DeviceOffload", "SendOffload", "ReceiveOffload"];

/// Numbers without a pattern, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Both daemons, and the devices of the test.
struct World {
    mesh: [Daemon; 2],
    near: Device,
    far: Device,
    _lab: Lab,
}

fn device(host: &Arc<Namespace>, name: &str, offloads: bool) -> Device {
    let options =
        DeviceOptions { path: None, name: Some(name.to_owned()), kind: Carries::Tun, offloads, queues: false };
    inside(host, || Device::open(&options)).expect("root may")
}

impl World {
    fn new(lab: Lab, offloads: bool, workers: usize) -> Self {
        let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
        for (number, daemon) in (1..).zip(&mesh) {
            daemon.config(&format!("Workers = {workers}"));
            daemon.host(&format!("Subnet = 10.50.{number}.0/24")).host(&format!("Subnet = fd50:{number}::/64"));
            for switch in SWITCHES.iter().filter(|_| !offloads) {
                daemon.config(&format!("{switch} = no"));
            }
        }
        mesh[0].knows(&mesh[1]);
        mesh[1].knows(&mesh[0]);
        mesh::start(&mut mesh);
        let [alice, bob] = &mesh;
        for (from, to, name) in [(alice, 2, "bob"), (bob, 1, "alice")] {
            wait_for_direct(from, name, &v4(to));
            wait_until(secs(30), "the path MTU is found", || {
                ping(&from.namespace, &v4(to)) && from.sees(name, |node| node.mtu_found())
            });
        }
        let near = device(&alice.namespace, "near", offloads);
        let far = device(&bob.namespace, "far", false);
        for (daemon, own, name, other) in [(alice, 1, "near", 2), (bob, 2, "far", 1)] {
            daemon.namespace.shell(&format!(
                "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0
                ip link set {name} up
                ip addr add 10.50.{own}.1/24 dev {name}
                ip addr add fd50:{own}::1/64 dev {name} nodad
                ip route add 10.50.{other}.0/24 dev vpn0
                ip route add fd50:{other}::/64 dev vpn0"
            ));
        }
        Self { mesh, near, far, _lab: lab }
    }

    /// What the kernel counted at the device of alice (0) or bob (1): packets that it gave (`tx`) or took (`rx`).
    fn written(&self, at: usize, direction: &str) -> u64 {
        let file = format!("/sys/class/net/vpn0/statistics/{direction}_packets");
        let text = run(self.mesh[at].namespace.command("cat").arg(file));
        text.trim().parse().expect("a number")
    }

    /// Sends packets of one batch, and returns what comes of it.
    fn carry(&self, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        if self.near.offloads().is_some() {
            self.send_joined(packets)
        } else {
            self.send_singly(packets)
        }
        let mut came = Vec::new();
        let mut space = [0; 2048];
        let mut last = Instant::now();
        while came.len() < packets.len() && last.elapsed() < Duration::from_millis(1500) {
            match self.far.recv(&mut space) {
                // What the kernel says by itself, as router solicitations, is not ours.
                Ok(len) if is_ours(&space[..len]) => {
                    came.push(space[..len].to_vec());
                    last = Instant::now();
                }
                Ok(_) => {}
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        came
    }

    fn send_singly(&self, packets: &[Vec<u8>]) {
        packets.iter().for_each(|packet| self.near.send(packet).expect("the kernel takes it"));
    }

    fn send_joined(&self, packets: &[Vec<u8>]) {
        let mut trains =
            Trains::new(Joins { tcp: true, udp: self.near.offloads().is_some_and(|offloads| offloads.udp) });
        (0..packets.len()).for_each(|at| trains.add(at, Some(0), |at| &packets[at]));
        for index in 0..trains.len() {
            let mut head = packets[trains.head(index)].clone();
            let (header, len) = trains.couple(index, &mut head);
            let header = header.encode();
            let mut parts = vec![IoSlice::new(&header), IoSlice::new(&head[..len])];
            parts.extend(trains.wagons(index).map(|(at, data)| IoSlice::new(&packets[at][data])));
            self.near.send_parts(&parts).expect("the kernel takes it");
        }
    }
}

fn is_ours(packet: &[u8]) -> bool {
    match packet[0] >> 4 {
        4 => packet[12..15] == [10, 50, 1],
        _ => packet[8..12] == [0xfd, 0x50, 0, 1] && packet[23] != 1,
    }
}

/// Makes traffic: runs of several flows, mixed with everything that must not be joined.
struct Traffic {
    dice: Dice,
    sequences: [u32; 8],
    id: u16,
    /// What packets of the odd flows are, for a run of them.
    oddity: u64,
}

impl Traffic {
    fn new() -> Self {
        Self { dice: Dice(0x5eed_0001), sequences: [u32::MAX - 20_000; 8], id: 0, oddity: 0 }
    }

    fn batch(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while packets.len() < BATCH {
            let flow = self.dice.below(8) as usize;
            let run = 1 + self.dice.below(24);
            let size = [1348, 1200, 100, 1][self.dice.below(4) as usize];
            self.oddity = (self.oddity + u64::from(flow >= 6)) % 6;
            for _ in 0..run {
                let packet = self.packet(flow, size);
                packets.push(packet);
            }
        }
        packets.truncate(BATCH);
        packets
    }

    fn packet(&mut self, flow: usize, size: usize) -> Vec<u8> {
        let v6 = flow % 2 == 1;
        let len = if self.dice.one_in(12) { self.dice.below(size as u64 + 1) as usize } else { size };
        let data: Vec<u8> = (0..len).map(|at| (at as u8) ^ (self.id as u8)).collect();
        self.id = self.id.wrapping_add(1);
        let mut packet = match flow {
            0..4 => self.tcp(flow, v6, &data),
            4..6 => self.udp(flow, v6, &data),
            _ => self.odd(v6, &data),
        };
        self.spoil(v6, &mut packet);
        packet
    }

    fn tcp(&mut self, flow: usize, v6: bool, data: &[u8]) -> Vec<u8> {
        if self.dice.one_in(30) {
            self.sequences[flow] = self.sequences[flow].wrapping_add(1000);
        }
        let sequence = self.sequences[flow];
        self.sequences[flow] = sequence.wrapping_add(data.len() as u32);
        let ack = if self.dice.one_in(20) { 8 } else { 7 };
        let mut tcp = network(v6).tcp(1000 + flow as u16, 80, sequence, 500).ack(ack);
        if self.dice.one_in(20) {
            tcp = tcp.psh();
        }
        if self.dice.one_in(40) {
            tcp = tcp.fin();
        }
        if self.dice.one_in(40) {
            tcp = tcp.ece();
        }
        if self.dice.one_in(40) {
            tcp = tcp.cwr();
        }
        if flow < 2 {
            let time = if self.dice.one_in(20) { 9 } else { 1 };
            tcp = tcp.options_raw(&[1, 1, 8, 10, 0, 0, 0, time, 0, 0, 0, 2]).expect("they fit");
        } else if self.dice.one_in(20) {
            // What it means nobody knows.
            tcp = tcp.options_raw(&[253, 4, 0, 7]).expect("they fit");
        }
        let mut packet = Vec::new();
        tcp.write(&mut packet, data).expect("memory does not fail");
        packet
    }

    fn udp(&self, flow: usize, v6: bool, data: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        network(v6).udp(1000 + flow as u16, 53).write(&mut packet, data).expect("memory does not fail");
        packet
    }

    /// What must not be joined, however well it would fit.
    fn odd(&mut self, v6: bool, data: &[u8]) -> Vec<u8> {
        if v6 { self.odd_v6(data) } else { self.odd_v4(data) }
    }

    /// ICMP, both ends of a fragmented packet, options, no checksum, bytes behind the datagram.
    fn odd_v4(&mut self, data: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        match self.oddity {
            0..3 => {
                let echo = network(false).icmpv4_echo_request(7, self.id);
                echo.write(&mut packet, data).expect("memory does not fail");
                let fragment = [0x4000, MORE_FRAGMENTS, LATER_FRAGMENT][self.oddity as usize];
                packet[6..8].copy_from_slice(&u16::to_be_bytes(fragment));
            }
            3 => {
                packet = self.tcp(6, false, data);
                packet.splice(20..20, [1, 1, 1, 0]);
                packet[0] += 1;
                lengthen(&mut packet, 2, 4);
            }
            4 => {
                packet = self.udp(6, false, data);
                packet[26..28].fill(0);
            }
            _ => {
                packet = self.udp(6, false, data);
                packet.extend([1, 2, 3]);
                lengthen(&mut packet, 2, 3);
            }
        }
        packet
    }

    /// ICMP, fragments, and TCP and UDP behind each kind of header.
    fn odd_v6(&mut self, data: &[u8]) -> Vec<u8> {
        let mut packet = match self.oddity {
            0..3 => {
                let mut packet = Vec::new();
                let echo = network(true).icmpv6_echo_request(7, self.id);
                echo.write(&mut packet, data).expect("memory does not fail");
                packet
            }
            3 | 5 => self.tcp(7, true, data),
            _ => self.udp(7, true, data),
        };
        let (kind, first) = (packet[6], self.oddity == 1);
        let offset = if first { Default::default() } else { 100.try_into().expect("it is below 8,192") };
        let (next, header) = match self.oddity {
            0 => return packet,
            1 | 2 => {
                (FRAGMENT, Ipv6FragmentHeader::new(kind.into(), offset, first, self.id.into()).to_bytes().to_vec())
            }
            3 => (HOP_BY_HOP, vec![kind, 0, 1, 4, 0, 0, 0, 0]),
            4 => (DESTINATION_OPTIONS, vec![kind, 0, 1, 4, 0, 0, 0, 0]),
            // Of a kind for experiments, and at its end.
            _ => (ROUTING, vec![kind, 0, 253, 0, 0, 0, 0, 0]),
        };
        packet[6] = next;
        let len = header.len() as u16;
        packet.splice(40..40, header);
        lengthen(&mut packet, 4, len);
        packet
    }

    /// Now and then another class, a fragmentable packet, a wrong checksum.
    fn spoil(&mut self, v6: bool, packet: &mut [u8]) {
        if self.dice.one_in(25) {
            packet[1] |= if v6 { 0x30 } else { 0x03 };
        }
        if !v6 {
            packet[4..6].copy_from_slice(&self.id.to_be_bytes());
            if self.dice.one_in(10) {
                packet[6] &= !0x40;
            }
            packet[10..12].copy_from_slice(&[0, 0]);
            let (header, _) = etherparse::Ipv4Header::from_slice(packet).expect("it was made here");
            packet[10..12].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
        }
        if self.dice.one_in(30) {
            let last = packet.len() - 1;
            packet[last] ^= 0x40;
        }
    }
}

/// Adds to the length that a header has at `at`.
fn lengthen(packet: &mut [u8], at: usize, more: u16) {
    let len = u16::from_be_bytes([packet[at], packet[at + 1]]) + more;
    packet[at..at + 2].copy_from_slice(&len.to_be_bytes());
}

fn network(v6: bool) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    if v6 {
        let address = |site: u8| [0xfd, 0x50, 0, site, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        PacketBuilder::ipv6(address(1), address(2), 64)
    } else {
        PacketBuilder::ipv4([10, 50, 1, 9], [10, 50, 2, 9], 64)
    }
}

/// Packets by flow, in order. The id of an IPv4 packet that may not be fragmented means nothing (RFC 6864).
fn by_flow(packets: Vec<Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut flows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for mut packet in packets {
        let key = if packet[0] >> 4 == 4 {
            if packet[6] & 0x40 != 0 {
                packet[4..6].fill(0);
                packet[10..12].fill(0);
            }
            [&[packet[9]], &packet[12..24]].concat()
        } else {
            [&[packet[6]], &packet[8..44]].concat()
        };
        flows.entry(key).or_default().push(packet);
    }
    flows
}

#[test]
fn the_same_packets_come_out_with_and_without_offloads() {
    compare(&World::new(Lab::new(), false, 1), &World::new(Lab::beside_all(), true, 1), 60);
}

#[test]
fn each_flow_comes_out_as_it_went_in_where_several_workers_carry_it() {
    compare(&World::new(Lab::new(), true, 1), &World::new(Lab::beside_all(), true, 3), 60);
}

/// Sends batches of the same packets through both, and compares each flow.
fn compare(plain: &World, other: &World, batches: usize) {
    let mut traffic = Traffic::new();
    let (mut sent, mut arrived) = (0, 0);
    let before = [other.written(0, "tx"), other.written(1, "rx")];
    for _ in 0..batches {
        let packets = traffic.batch();
        let (one, other) = (plain.carry(&packets), other.carry(&packets));
        sent += packets.len();
        arrived += one.len();
        assert_eq!(by_flow(one), by_flow(other));
    }
    assert_eq!(arrived, sent, "nothing is lost on this wire");
    // The kernel counts a large packet once.
    let large = [other.written(0, "tx") - before[0], other.written(1, "rx") - before[1]];
    assert!(large.iter().all(|count| count * 4 < sent as u64 * 3), "{sent} packets were {large:?} of the devices");
}

/// Whether a packet is of the kind that is named.
fn is(kind: &str, packet: &[u8]) -> bool {
    let v6 = packet[0] >> 4 == 6;
    let fragment = u16::from_be_bytes([packet[6], packet[7]]);
    let next = |protocol| v6 && packet[6] == protocol;
    let plain_v4 = |protocol| packet[0] == 0x45 && packet[9] == protocol && fragment & !0x4000 == 0;
    let flags = |bits| (next(6) && packet[53] & bits != 0) || (plain_v4(6) && packet[33] & bits != 0);
    let right = |own: &[u8], addresses: &[u8]| captures::sum_is_right(6, addresses, own);
    match kind {
        "TCP" => plain_v4(6) || next(6),
        "UDP" => plain_v4(17) || next(17),
        "ICMP" => plain_v4(1) || next(58),
        "ECN in IP" => packet[1] & if v6 { 0x30 } else { 3 } != 0,
        "ECE" => flags(0x40),
        "CWR" => flags(0x80),
        "options of TCP" => (next(6) && packet[52] > 0x50) || (plain_v4(6) && packet[32] > 0x50),
        "options of IPv4" => packet[0] == 0x46,
        "first fragment of IPv4" => !v6 && fragment & MORE_FRAGMENTS != 0,
        "last fragment of IPv4" => !v6 && fragment & 0x3fff == LATER_FRAGMENT,
        "first fragment of IPv6" => next(FRAGMENT) && packet[43] & 1 != 0,
        "last fragment of IPv6" => next(FRAGMENT) && packet[43] & 1 == 0,
        "hop-by-hop options" => next(HOP_BY_HOP),
        "destination options" => next(DESTINATION_OPTIONS),
        "routing header" => next(ROUTING),
        "no checksum" => plain_v4(17) && packet[26..28] == [0, 0],
        "wrong checksum" => {
            (plain_v4(6) && !right(&packet[20..], &packet[12..20]))
                || (next(6) && !right(&packet[40..], &packet[8..40]))
        }
        _ => panic!("no kind is called {kind}"),
    }
}

#[test]
fn the_traffic_has_packets_of_every_kind() {
    let mut traffic = Traffic::new();
    let packets: Vec<Vec<u8>> = (0..60).flat_map(|_| traffic.batch()).collect();
    for kind in [
        "TCP",
        "UDP",
        "ICMP",
        "ECN in IP",
        "ECE",
        "CWR",
        "options of TCP",
        "options of IPv4",
        "first fragment of IPv4",
        "last fragment of IPv4",
        "first fragment of IPv6",
        "last fragment of IPv6",
        "hop-by-hop options",
        "destination options",
        "routing header",
        "no checksum",
        "wrong checksum",
    ] {
        let count = packets.iter().filter(|packet| is(kind, packet)).count();
        assert!(count >= 10, "{kind}: {count} of {}", packets.len());
    }
}

#[test]
fn a_stream_is_intact_with_each_offload_alone_and_without_any() {
    for used in [None, Some(0), Some(1), Some(2)] {
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, [Kind::Ours, Kind::Ours]);
        for daemon in &mesh {
            for (_, switch) in SWITCHES.iter().enumerate().filter(|(at, _)| Some(*at) != used) {
                daemon.config(&format!("{switch} = no"));
            }
        }
        mesh::start(&mut mesh);
        let [alice, bob] = &mesh;
        wait_for_direct(alice, "bob", &v4(2));

        let details = run(alice.namespace.command("ip").args(["-d", "link", "show", "vpn0"]));
        let header = if used == Some(0) { "vnet_hdr on" } else { "vnet_hdr off" };
        assert!(details.contains(header), "{details}");
        transfer(&alice.namespace, &bob.namespace, &v4(2), 20_000_000).assert_intact(20_000_000);
        transfer(&bob.namespace, &alice.namespace, &v4(1), 20_000_000).assert_intact(20_000_000);
    }
}

/// Segments and datagrams that the kernel counted as damaged.
fn damaged(daemon: &Daemon) -> String {
    let counts = run(daemon.namespace.command("cat").arg("/proc/net/snmp"));
    let value = |table: &str, column: &str| {
        let mut lines = counts.lines().filter(|line| line.starts_with(table)).map(str::split_ascii_whitespace);
        let at = lines.next().and_then(|mut names| names.position(|name| name == column)).expect("Linux counts it");
        lines.next().and_then(|mut values| values.nth(at)).expect("a value for each name").to_owned()
    };
    [value("Tcp:", "InCsumErrors"), value("Udp:", "InCsumErrors"), value("Ip:", "InHdrErrors")].join(" ")
}

#[test]
fn the_kernel_finds_no_wrong_checksum_and_the_wire_no_long_packet() {
    let world = World::new(Lab::new(), true, 1);
    let [alice, bob] = &world.mesh;
    for daemon in [alice, bob] {
        // The lengths of single frames can only be seen where the card cuts nothing.
        daemon.namespace.shell("ethtool -K eth0 tso off gso off tx-udp-segmentation off gro off");
        daemon.namespace.nft(
            "table inet wire {
                counter long { }
                chain in { type filter hook input priority 0; udp dport 655 meta length > 1500 counter name long; }
            }",
        );
    }

    transfer(&alice.namespace, &bob.namespace, &v4(2), 50_000_000).assert_intact(50_000_000);
    transfer(&bob.namespace, &alice.namespace, &v4(1), 50_000_000).assert_intact(50_000_000);

    for daemon in [alice, bob] {
        assert_eq!(damaged(daemon), "0 0 0", "{}", daemon.name);
        let long = run(daemon.namespace.command("nft").args(["list", "counter", "inet", "wire", "long"]));
        assert!(long.contains("packets 0 "), "{long}");
    }
}
