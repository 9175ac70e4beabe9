//! Somebody who speaks the protocol of tinc 1.0 and wants no good: packets that are replayed, damaged and invented, and
//! the known attacks on the authentication and on keys (CVE-2018-16737, -16738, -16758).

use std::io::Write;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::legacy::cipher::Cipher;
use tinmesh_core::legacy::digest::Digest;
use tinmesh_core::legacy::session::{Session, Suite};
use tinmesh_core::packet::Packet;

use super::{OLD, OURS, use_rsa};
use crate::hostile::FLOOD;
use crate::lab::mesh::{self, v4, wait_for_direct};
use crate::lab::raw::{dial, hear};
use crate::lab::raw_old::{RawOld, introduce};
use crate::lab::topology::Segment;
use crate::lab::traffic::{Pinging, inside};
use crate::lab::{Daemon, Lab, secs, wait_until};

const DAEMON: &str = "127.0.0.1:655";

/// Ours with an RSA key, which knows a node of tinc 1.0 named `old`.
fn alice(lab: &Lab) -> Daemon {
    let mut alice = mesh::node(lab, 1, OURS, &Segment::new("wan").host("node", &["192.0.2.1/24"]));
    use_rsa(std::slice::from_ref(&alice));
    introduce(&alice, "old");
    alice.start();
    alice
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// A node of tinc 1.0 with its packet keys and socket.
struct Old {
    link: RawOld,
    session: Session,
    socket: UdpSocket,
}

impl Old {
    fn join(alice: &Daemon) -> Self {
        let socket = inside(&alice.namespace, || UdpSocket::bind("127.0.0.1:0")).expect("there are ports");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a valid time");
        let port = socket.local_addr().expect("it is bound").port();
        let mut link = RawOld::log_in(alice, "old", &format!("{port} 1 c"));
        link.say("12 e old alice 127.0.0.1 655 c 1");
        let suite = Suite { cipher: Cipher::by_id(427), digest: Digest::by_id(672), mac_length: 4, compression: 0 };
        let made = Session::default().with_own_key(suite, 16, &mut Rng::from_seed([3; 32]));
        let (session, key) = made.expect("a proper suite");
        link.say(&format!("16 old alice {} 427 672 4 0", hex(&key)));
        let given = link.expect("16 alice old ");
        let key = bytes(given.split(' ').nth(3).expect("a key"));
        let session = session.with_peers_key(suite, &key).expect("a key that fits");
        Self { link, session, socket }
    }

    /// A sealed probe that asks for an answer.
    fn probe(&self, mark: u8) -> Vec<u8> {
        let mut frame = [mark; 64];
        frame[..14].fill(0);
        let mut packet = Packet::from_payload(&frame);
        assert!(self.session.seal(&mut packet));
        packet.payload().to_vec()
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, DAEMON).expect("loopback has room");
    }

    /// Whether a probe with this mark is answered within half a second.
    fn is_answered(&self, mark: u8) -> bool {
        let start = Instant::now();
        let mut buffer = [0; 2048];
        while start.elapsed() < Duration::from_millis(500) {
            let Ok((len, _)) = self.socket.recv_from(&mut buffer) else { continue };
            let mut packet = Packet::from_payload(&buffer[..len]);
            let opened = self.session.open(&mut packet).is_ok();
            if opened && packet.payload()[0] == 1 && packet.payload().get(14..).is_some_and(|rest| rest[0] == mark) {
                return true;
            }
        }
        false
    }
}

#[test]
fn replayed_damaged_and_invented_packets_are_refused() {
    let lab = Lab::new();
    let mut alice = alice(&lab);
    let mut old = Old::join(&alice);
    let genuine = old.probe(1);
    old.send(&genuine);
    assert!(old.is_answered(1));

    old.send(&genuine);
    assert!(!old.is_answered(1), "a replayed packet");
    let fresh = old.probe(2);
    for at in 0..fresh.len() {
        let mut damaged = fresh.clone();
        damaged[at] ^= 0x10;
        old.send(&damaged);
        old.send(&fresh[..at]);
    }
    old.send(&[fresh.as_slice(), &[0]].concat());
    let mut noise = Rng::from_seed([4; 32]);
    for len in (0..1500).step_by(7) {
        let mut datagram = vec![0; len];
        noise.fill(&mut datagram);
        old.send(&datagram);
    }
    assert!(!old.is_answered(2), "damaged, cut and invented packets");
    old.send(&fresh);
    assert!(old.is_answered(2), "what is genuine still opens");
    old.link.say("8");
    old.link.expect("9");

    alice.stop();
    let log = alice.log();
    let dropped = log.lines().find(|line| line.contains("Packets dropped: ")).expect("it was counted");
    assert!(dropped.contains("replayed") && dropped.contains("unknown_id"), "{dropped}");
}

#[test]
fn garbage_and_copies_of_packets_do_not_disturb_tinc_1_0() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let [mut alice, mut bob] = [(1, OURS), (2, OLD)]
        .map(|(number, kind)| mesh::node(&lab, number, kind, &wan.host("node", &[&format!("192.0.2.{number}/24")])));
    bob.host("Address = 192.0.2.2");
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    // Every datagram comes twice.
    for (from, to) in [(&alice, "192.0.2.2"), (&bob, "192.0.2.1")] {
        from.namespace.nft(&format!(
            "table ip copies {{
                chain out {{ type filter hook output priority 0; oifname eth0 meta l4proto udp dup to {to} device eth0; }}
            }}"
        ));
    }
    let mesh = [alice, bob];
    use_rsa(&mesh);
    [alice, bob] = mesh;
    bob.start();
    alice.start();
    wait_for_direct(&alice, "bob", &v4(2));
    let mallory = wan.host("mallory", &["192.0.2.66/24"]);
    let pinging = Pinging::start(&lab, &alice.namespace, &v4(2));

    inside(&mallory, || {
        let socket = UdpSocket::bind("192.0.2.66:655").expect("the address is ours");
        let (mut noise, start, mut datagram) = (Rng::from_seed([5; 32]), Instant::now(), [0; 116]);
        while start.elapsed() < secs(4) {
            for _ in 0..FLOOD {
                noise.fill(&mut datagram);
                let _ = socket.send_to(&datagram, "192.0.2.1:655");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });

    let (asked, answered) = pinging.stop();
    assert!(answered + 3 >= asked && answered <= asked, "{answered} of {asked} pings were answered");
    assert!(alice.sees("bob", |node| node.address == "192.0.2.2"), "the path did not move");
    alice.stop();
    let log = alice.log();
    let dropped = log.lines().find(|line| line.contains("Packets dropped: ")).expect("it was counted");
    assert!(dropped.contains("replayed") && dropped.contains("unknown_id"), "{dropped}");
}

#[test]
fn nothing_is_proved_to_somebody_who_has_not_proved_himself() {
    let lab = Lab::new();
    let alice = alice(&lab);
    let mut raw = RawOld::greet(&alice, "old");
    raw.exchange_challenges();

    let heard = raw.next(secs(2)).expect("a challenge");
    assert!(heard.starts_with("2 "), "{heard}");
    assert_eq!(raw.next(Duration::from_millis(700)), None, "no reply before ours");
    raw.say(&format!("3 {}", "00".repeat(32)));
    assert_eq!(raw.next(Duration::from_millis(700)), None, "no reply after a wrong one, and no reason");

    wait_until(secs(5), "the log says so", || alice.log().contains("cannot prove its identity"));
    assert!(!alice.sees("old", |node| node.reachable()));
}

#[test]
fn strangers_our_own_name_and_wrong_requests_hear_nothing() {
    let lab = Lab::new();
    let alice = alice(&lab);
    for id in ["0 alice 17", "0 stranger 17", "0 old 18", "1 429 672 0 0 00", "4 655 1 c"] {
        let mut stream = dial(&alice);
        stream.write_all(format!("{id}\n").as_bytes()).expect("it reads");
        assert_eq!(hear(&mut stream), [0; 0], "{id}");
    }
    let key =
        |raw: &RawOld| String::from_utf8_lossy(&raw.own_meta_key).trim_end().rsplit(' ').next().map(str::to_owned);
    // No cipher, one that needs whole blocks, no digest, a weak one, one that does not exist, a cut key; other requests.
    for start in ["1 0 672 0 0", "1 427 672 0 0", "1 429 0 0 0", "1 429 4 0 0", "1 429 9999 0 0", "1 429 672 0 0 00"] {
        let mut raw = RawOld::greet(&alice, "old");
        let line = format!("{start} {}\n", key(&raw).expect("there is one"));
        raw.say_raw(line.as_bytes());
        assert_eq!(raw.hear(), [0; 0], "{start}");
    }
    for line in ["2 00", "3 00", "4 655 1 c", "15 old alice", "17 20"] {
        let mut raw = RawOld::greet(&alice, "old");
        raw.say_raw(format!("{line}\n").as_bytes());
        assert_eq!(raw.hear(), [0; 0], "{line}");
    }
    assert!(!alice.sees("old", |node| node.reachable()));
}

#[test]
fn a_key_whose_numbers_were_changed_on_the_way_is_not_used() {
    let lab = Lab::new();
    let alice = alice(&lab);
    let mut old = Old::join(&alice).link;
    let has_key = || alice.sees("old", |node| node.status & 2 != 0);
    assert!(has_key());
    let changed = [
        (48, "0 672 4 0"),
        (1, "0 672 4 0"),
        (1, "0 0 0 0"),
        (47, "427 672 4 0"),
        (49, "427 672 4 0"),
        (48, "427 0 0 0"),
        (48, "427 672 0 0"),
        (48, "427 672 33 0"),
        (48, "427 672 -1 0"),
        (48, "427 672 4 99"),
        (48, "427 4 4 0"),
        (48, "429 672 4 0"),
        (48, "906 672 4 0"),
        (48, "9999 672 4 0"),
        (48, "427 9999 4 0"),
        (48, "901 672 4 0"),
    ];
    for (nonce, (len, numbers)) in changed.into_iter().enumerate() {
        old.say(&format!("14 {nonce:x} old"));
        old.say(&format!("16 old alice {} {numbers}", "5A".repeat(len)));
        old.say("8");
        old.expect("9");
        assert!(!has_key(), "a key of {len} bytes with {numbers}");
    }
    old.say(&format!("16 old alice {} 427 672 4 0", "5A".repeat(48)));
    old.say("8");
    old.expect("9");
    assert!(has_key(), "and a proper one is");
}
