//! What a capture shows while bulk data goes through the tunnel: nothing longer than the path takes, and no wrong checksum.
//!
//! ```text
//!             1,500 bytes        1,300 bytes
//! alice ════════ left ── router ── right ═════ bob ── site
//!                        capture                      capture
//! ```
//!
//! The cards cut nothing and fill in no checksum, so that the captures see what a wire would carry.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tinmesh_core::dataplane::offload::{VNET_HEADER, VnetHeader};
use tinmesh_os::device::{self, Device, DeviceOptions};
use tinmesh_os::udp::{self, UdpOptions};

use crate::lab::mesh::{self, v4, wait_for_direct};
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Segment, router};
use crate::lab::traffic::{inside, ping, transfer};
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};

const SITE: &str = "10.60.0.9";
const BYTES: u64 = 20_000_000;
const PATH: usize = 1_300;
const ETHERNET: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Datagrams that alice sends at once, and their size: what large packets of UDP are made of.
const BURST: (usize, usize) = (40, 1_000);
const BURSTS: usize = 50;

/// Frames that a machine gets by one interface, as they come, until it is asked for them.
struct Capture {
    stop: Arc<AtomicBool>,
    frames: JoinHandle<Vec<Vec<u8>>>,
}

impl Capture {
    fn start(host: &Arc<Namespace>, interface: &str) -> Self {
        let device = inside(host, || Device::on_interface(interface)).expect("root may");
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let frames = std::thread::spawn(move || {
            let (mut frames, mut space) = (Vec::new(), vec![0; 1 << 17]);
            loop {
                match device.recv(&mut space) {
                    Ok(len) => frames.push(space[..len].to_vec()),
                    Err(_) if told.load(Ordering::Relaxed) => return frames,
                    Err(_) => std::thread::sleep(Duration::from_micros(200)),
                }
            }
        });
        Self { stop, frames }
    }

    /// The IPv4 packets among the frames; each must be as it would be on a wire.
    fn packets(self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        let frames = self.frames.join().expect("it only collects");
        let packets = frames.iter().filter(|frame| frame[VNET_HEADER + 12..][..2] == [8, 0]).map(|frame| {
            let header = frame.first_chunk::<VNET_HEADER>().and_then(VnetHeader::decode);
            assert_eq!(header, Some(VnetHeader::default()), "the cards are to leave nothing to others");
            let packet = &frame[VNET_HEADER + ETHERNET..];
            packet[..usize::from(word(packet, 2))].to_vec()
        });
        packets.collect()
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The sum of 16-bit words with the carries added again (RFC 1071).
fn sum(parts: &[&[u8]]) -> u32 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    words.fold(0, |sum, pair| {
        let sum = sum + u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        (sum & 0xffff) + (sum >> 16)
    })
}

/// Whether TCP or UDP, from its header on, has the right checksum; `addresses` are those of its IP header.
pub(crate) fn sum_is_right(protocol: u8, addresses: &[u8], transport: &[u8]) -> bool {
    let pseudo = [0, protocol, (transport.len() >> 8) as u8, transport.len() as u8];
    sum(&[addresses, &pseudo, transport]) == 0xffff
}

/// Asserts that an IPv4 packet is whole, not too long, and has right checksums. UDP may have none.
#[track_caller]
fn assert_sound(packet: &[u8], longest: usize) {
    assert!(packet.len() <= longest, "{} bytes", packet.len());
    assert_eq!(word(packet, 6) & 0x3fff, 0, "a fragment");
    let (header, transport) = packet.split_at(usize::from(packet[0] & 15) * 4);
    assert_eq!(sum(&[header]), 0xffff, "the checksum of the IP header");
    let has_none = header[9] == UDP && word(transport, 6) == 0;
    if [TCP, UDP].contains(&header[9]) && !has_none {
        assert!(sum_is_right(header[9], &header[12..20], transport), "the checksum of protocol {}", header[9]);
    }
}

/// Makes the interface a card that cuts nothing, joins nothing and fills in nothing.
fn plain(host: &Namespace, interface: &str) {
    host.shell(&format!("ethtool -K {interface} tx off tso off gso off gro off tx-udp-segmentation off"));
}

/// Alice, bob and the machines around them.
struct World {
    mesh: [Daemon; 2],
    router: Arc<Namespace>,
    site: Arc<Namespace>,
    _lab: Lab,
}

impl World {
    fn new() -> Self {
        let lab = Lab::new();
        let (left, right, lan) = (Segment::new("left"), Segment::new("right"), Segment::new("lan"));
        let hosts = [
            left.host_behind("node", "198.51.100.1/24", "198.51.100.254"),
            right.host_behind("node", "203.0.113.2/24", "203.0.113.254"),
        ];
        let router = router("narrow", (&left, &["198.51.100.254/24"]), (&right, &["203.0.113.254/24"]));
        router.shell(&format!("ip link set wan0 mtu {PATH}"));
        let site = lan.host_behind("site", &format!("{SITE}/24"), "10.60.0.254");
        lan.connect(&hosts[1], "eth1", &["10.60.0.254/24"]);
        hosts[1].shell("sysctl -qw net.ipv4.ip_forward=1");
        for (host, interface) in
            [(&hosts[0], "eth0"), (&hosts[1], "eth0"), (&hosts[1], "eth1"), (&site, "eth0"), (&router, "lan0")]
        {
            plain(host, interface);
        }
        plain(&router, "wan0");
        let mut mesh = [1, 2].map(|at| mesh::node(&lab, at, Kind::Ours, &hosts[at - 1]));
        let [alice, bob] = &mesh;
        bob.host("Address = 203.0.113.2").host("Subnet = 10.60.0.0/24");
        alice.config("ConnectTo = bob").knows(bob);
        bob.knows(alice);
        mesh::start(&mut mesh);
        let alice = &mesh[0];
        wait_for_direct(alice, "bob", &v4(2));
        alice.namespace.shell("ip route add 10.60.0.0/24 dev vpn0");
        for (from, name, to) in [(alice, "bob", v4(2)), (&mesh[1], "alice", v4(1))] {
            wait_until(secs(30), "the path's size is known", || {
                ping(&from.namespace, &to) && from.sees(name, |node| node.mtu_found())
            });
        }
        Self { mesh, router, site, _lab: lab }
    }

    /// Large packets of UDP from alice to the site; gives how many datagrams came.
    fn bursts(&self) -> usize {
        let sink = inside(&self.site, || UdpSocket::bind((SITE, 7_000))).expect("the address is the site's");
        sink.set_read_timeout(Some(secs(2))).expect("a valid time");
        let to = SocketAddr::from(([10, 60, 0, 9], 7_000));
        let options = UdpOptions::default();
        let source = inside(&self.mesh[0].namespace, || udp::UdpSocket::bind(SocketAddr::from(([0; 4], 0)), &options))
            .expect("a free port");
        let (mut came, datagram, mut space) = (0, vec![0x55; BURST.1], [0; 2_000]);
        for _ in 0..BURSTS {
            source.send_batch((0..BURST.0).map(|_| (datagram.as_slice(), to)), |_, error| panic!("{error:?}"));
            came += (0..BURST.0).take_while(|_| sink.recv(&mut space).is_ok_and(|len| len == BURST.1)).count();
        }
        came
    }
}

#[test]
fn captures_show_nothing_longer_than_the_path_takes_and_no_wrong_checksum() {
    let world = World::new();
    let [alice, bob] = &world.mesh;
    let on_the_wire = ["lan0", "wan0"].map(|interface| Capture::start(&world.router, interface));
    let at_the_site = Capture::start(&world.site, "eth0");

    transfer(&alice.namespace, &world.site, SITE, BYTES).assert_intact(BYTES);
    transfer(&bob.namespace, &alice.namespace, &v4(1), BYTES).assert_intact(BYTES);
    let before = given_by_kernel(alice);
    assert_eq!(world.bursts(), BURST.0 * BURSTS);
    let large = given_by_kernel(alice) - before;

    let [there, back] = on_the_wire.map(Capture::packets);
    for packets in [there, back, at_the_site.packets()] {
        assert!(packets.len() > 1_000, "bulk data went by, and {} packets were seen", packets.len());
        packets.iter().for_each(|packet| assert_sound(packet, PATH));
    }
    if gives_large_udp(&world.site) {
        assert!(large < (BURST.0 * BURSTS / 4) as u64, "{large} packets for {} datagrams", BURST.0 * BURSTS);
    } else {
        eprintln!(
            "NOT SHOWN: that large UDP packets reach the daemon whole; this kernel cuts them before (Linux 6.2 does not)"
        );
    }
}

/// Whether this kernel leaves UDP packets large for a device that takes them.
fn gives_large_udp(host: &Namespace) -> bool {
    let options = DeviceOptions { path: None, name: None, kind: device::Kind::Tun, offloads: true, queues: false };
    let device = inside(host, || Device::open(&options)).expect("a device can be made");
    device.offloads().is_some_and(|offloads| offloads.udp)
}

/// Packets that the kernel gave to the daemon: large ones count once.
fn given_by_kernel(daemon: &Daemon) -> u64 {
    let text = run(daemon.namespace.command("cat").arg("/sys/class/net/vpn0/statistics/tx_packets"));
    text.trim().parse().expect("a number")
}
