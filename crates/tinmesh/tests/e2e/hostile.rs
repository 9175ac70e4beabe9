//! Hostile input: whatever comes from outside, the daemon keeps serving, says why it refused, and stays small.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha512};

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::status::resident;
use crate::lab::topology::{Segment, block_udp};
use crate::lab::traffic::{Pinging, inside};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

/// Ours (bob) with a friend (alice, theirs) and somebody else on the same segment.
struct Siege {
    lab: Lab,
    wan: Segment,
    alice: Daemon,
    bob: Daemon,
    mallory: Arc<Namespace>,
    memory: u64,
}

const BOB: &str = "192.0.2.2:655";
/// Datagrams of garbage in a millisecond, more than 10,000 a second: without a pace the test would tell what else the
/// machine does, as whatever is faster fills the socket's buffer.
pub(crate) const FLOOD: usize = 16;
/// How much more memory a daemon may hold after an attack, in KiB.
const GROWTH: u64 = 4 * 1024;

impl Siege {
    fn new(prepare: impl Fn(&Daemon, &Daemon)) -> Self {
        let lab = Lab::new();
        let wan = Segment::new("wan");
        let [alice, bob] = [(1, THEIRS), (2, OURS)].map(|(number, kind)| {
            mesh::node(&lab, number, kind, &wan.host("node", &[&format!("192.0.2.{number}/24")]))
        });
        bob.host("Address = 192.0.2.2");
        alice.config("ConnectTo = bob").knows(&bob);
        bob.knows(&alice);
        prepare(&alice, &bob);
        let mut siege = Self { mallory: wan.host("mallory", &["192.0.2.66/24"]), lab, wan, alice, bob, memory: 0 };
        siege.bob.start();
        siege.alice.start();
        wait_for_ping(&siege.alice, &v4(2));
        siege.memory = resident(siege.bob.pid());
        siege
    }

    /// A third node that knows bob and dials it, not yet started. Bob does not know it.
    fn stranger(&self) -> Daemon {
        let carol = mesh::node(&self.lab, 3, THEIRS, &self.wan.host("node", &["192.0.2.3/24"]));
        carol.config("ConnectTo = bob").knows(&self.bob);
        carol
    }

    /// After the attack: alive, serving, small.
    #[track_caller]
    fn survived(&mut self) {
        assert!(self.bob.lives(), "the daemon ended");
        wait_for_ping(&self.alice, &v4(2));
        let now = resident(self.bob.pid());
        assert!(now <= self.memory + GROWTH, "memory grew from {} to {now} KiB", self.memory);
    }

    /// Ends the daemon and fails unless its log counts packets dropped for this reason.
    #[track_caller]
    fn has_counted(&mut self, reason: &str) {
        self.bob.stop();
        let log = self.bob.log();
        let counted = log.lines().any(|line| line.contains("Packets dropped: ") && line.contains(reason));
        assert!(counted, "no packets dropped for {reason} were counted");
    }

    #[track_caller]
    fn wait_for_log(&self, text: &str) {
        wait_until(secs(15), &format!("the log says {text:?}"), || self.bob.log().contains(text));
    }
}

/// Bytes without a pattern, the same each time.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.to_be_bytes()[0]
    }
}

fn dial() -> TcpStream {
    let address: SocketAddr = BOB.parse().expect("an address");
    TcpStream::connect_timeout(&address, secs(5)).expect("bob accepts")
}

fn open_files(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it lives").count()
}

#[test]
fn a_node_with_another_key_than_known_is_refused() {
    let mut siege = Siege::new(|_, _| {});
    let mut carol = siege.stranger();
    std::fs::copy(siege.alice.host_file("alice"), siege.bob.host_file("carol")).expect("both exist");
    siege.bob.tinc(&["reload"]);
    carol.start();

    siege.wait_for_log("Refused 192.0.2.3");

    siege.wait_for_log("encrypted stream refused");
    assert!(!siege.bob.sees("carol", |node| node.reachable()));
    siege.survived();
}

#[test]
fn an_unknown_node_is_refused_by_name() {
    let mut siege = Siege::new(|_, _| {});
    let mut carol = siege.stranger();
    carol.start();

    siege.wait_for_log("unknown identity carol");

    assert!(!siege.bob.sees("carol", |node| node.reachable()));
    siege.survived();
}

#[test]
fn garbage_on_tcp_is_refused_and_newcomers_are_served() {
    let mut siege = Siege::new(|_, _| {});
    let mut carol = siege.stranger();
    siege.bob.knows(&carol);
    siege.bob.tinc(&["reload"]);
    let mut noise = Noise(1);

    inside(&siege.mallory, || {
        let mut held = Vec::new();
        for _ in 0..40 {
            let mut stream = dial();
            // A refused connection may be reset while we write.
            let _ = stream.write_all(&noise.bytes(4096));
            held.push(stream);
            std::thread::sleep(Duration::from_millis(50));
        }
    });

    siege.wait_for_log("Refused 192.0.2.66");
    carol.start();
    wait_until(secs(40), "a newcomer is served", || siege.bob.sees("carol", |node| node.reachable()));
    siege.survived();
}

#[test]
fn a_line_without_end_is_refused() {
    let mut siege = Siege::new(|_, _| {});

    inside(&siege.mallory, || {
        for start in ["0 mallory", "0 ^", "0 ?", "18 "] {
            let mut stream = dial();
            stream.set_write_timeout(Some(secs(2))).expect("a valid time");
            let _ = stream.write_all(start.as_bytes());
            // The daemon stops reading or closes: either way it cannot be made to store this.
            let _ = (0..64).try_for_each(|_| stream.write_all(&[b'a'; 1 << 16]));
        }
    });

    siege.wait_for_log("Refused 192.0.2.66");
    siege.survived();
}

#[test]
fn connections_that_say_nothing_are_closed() {
    let mut siege = Siege::new(|_, _| {});
    let before = open_files(&siege.bob);

    let mut held: Vec<TcpStream> = inside(&siege.mallory, || {
        (0..120)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(20));
                dial()
            })
            .collect()
    });

    // Ten may be kept in the tarpit on purpose.
    wait_until(secs(20), "the daemon has closed them", || open_files(&siege.bob) <= before + 10);
    let mut closed = 0;
    for stream in &mut held {
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a valid time");
        let end = stream.read(&mut [0; 64]);
        closed += usize::from(!end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    assert!(closed >= 110, "{closed} of 120 were closed");
    siege.survived();
}

#[test]
fn garbage_on_udp_is_dropped_and_counted_while_pings_go_on() {
    let mut siege = Siege::new(|_, _| {});
    wait_for_direct(&siege.alice, "bob", &v4(2));
    let pinging = Pinging::start(&siege.lab, &siege.alice.namespace, &v4(2));
    let mut noise = Noise(2);

    let sent = inside(&siege.mallory, || {
        let socket = UdpSocket::bind("192.0.2.66:0").expect("the address is ours");
        let start = Instant::now();
        let mut sent = 0;
        while start.elapsed() < secs(4) {
            for _ in 0..FLOOD {
                let len = usize::from(noise.byte()) * 5;
                sent += usize::from(socket.send_to(&noise.bytes(len), BOB).is_ok());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        sent
    });

    let (asked, answered) = pinging.stop();
    assert!(sent > 10_000, "only {sent} datagrams of garbage");
    assert!(answered + 2 >= asked, "{answered} of {asked} pings were answered between {sent} datagrams of garbage");
    siege.survived();
    siege.has_counted("unknown_id");
}

#[test]
fn datagrams_in_a_friends_name_do_not_disturb_the_friend() {
    let mut siege = Siege::new(|_, _| {});
    wait_for_direct(&siege.alice, "bob", &v4(2));
    let pinging = Pinging::start(&siege.lab, &siege.alice.namespace, &v4(2));
    let id = |name: &str| Sha512::digest(name)[..6].to_vec();
    let mut noise = Noise(3);

    inside(&siege.mallory, || {
        let socket = UdpSocket::bind("192.0.2.66:655").expect("the address is ours");
        let start = Instant::now();
        while start.elapsed() < secs(4) {
            for _ in 0..FLOOD / 3 {
                for destination in [[0; 6].to_vec(), id("bob"), id("alice")] {
                    let len = usize::from(noise.byte());
                    let datagram = [destination, id("alice"), noise.bytes(len)].concat();
                    let _ = socket.send_to(&datagram, BOB);
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });

    let (asked, answered) = pinging.stop();
    assert!(answered + 2 >= asked, "{answered} of {asked} pings were answered");
    assert!(siege.bob.sees("alice", |node| node.address == "192.0.2.1"), "the path did not move");
    siege.survived();
    siege.has_counted("bad_tag");
}

#[test]
fn a_peer_that_stops_reading_costs_nothing_and_is_left() {
    let mut siege = Siege::new(|alice, bob| {
        bob.config("PingInterval = 3").config("PingTimeout = 3");
        [alice, bob].iter().for_each(|daemon| block_udp(&daemon.namespace));
    });

    siege.alice.signal("STOP");
    inside(&siege.bob.namespace, || {
        let socket = UdpSocket::bind((v4(2).as_str(), 0)).expect("the address is bob's");
        let start = Instant::now();
        while start.elapsed() < secs(4) {
            let _ = socket.send_to(&[7; 1200], (v4(1).as_str(), 9));
        }
    });
    let held = resident(siege.bob.pid());
    assert!(held <= siege.memory + GROWTH, "memory grew from {} to {held} KiB", siege.memory);

    siege.wait_for_log("Closing connection with alice");
    siege.alice.signal("CONT");
    siege.survived();
}

#[test]
fn a_control_client_without_the_cookie_learns_nothing() {
    let mut siege = Siege::new(|_, _| {});
    let mut stream = std::os::unix::net::UnixStream::connect(siege.bob.socket()).expect("bob listens");
    stream.set_read_timeout(Some(secs(1))).expect("a valid time");
    let cookie = "0".repeat(64);

    stream.write_all(format!("0 ^{cookie} 0\n18 3\n18 0\n").as_bytes()).expect("it is open");

    let mut answer = Vec::new();
    let _ = stream.take(4096).read_to_end(&mut answer);
    assert!(answer.is_empty(), "it said {:?}", String::from_utf8_lossy(&answer));
    siege.survived();
}
