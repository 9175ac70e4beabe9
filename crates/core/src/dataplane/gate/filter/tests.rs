use etherparse::{IpNumber, PacketBuilder};

use super::*;

const OURS: [u8; 4] = [10, 0, 0, 1];
const THEIRS: [u8; 4] = [10, 1, 0, 5];
/// Somebody on the way.
const ROUTER: [u8; 4] = [10, 1, 0, 99];

struct Bench {
    filter: Filter,
    reach: Reach,
    now: Instant,
}

impl Bench {
    /// A node that others may begin this much with.
    fn new(reach: Reach) -> Self {
        let now = Instant::from_micros(1_000_000_000);
        Self { filter: Filter::new(&mut Rng::from_seed([5; 32])), reach, now }
    }

    fn sends(&self, packet: &[u8]) {
        self.filter.note(Family::of(packet).unwrap(), packet, self.now);
    }

    fn takes(&self, packet: &[u8]) -> bool {
        self.filter.passes(&self.reach, Family::of(packet).unwrap(), packet, self.now)
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }
}

fn ssh() -> Reach {
    Reach { tcp: [(22, 22), (8_000, 8_100)].into(), ..Reach::default() }
}

fn sent(from: [u8; 4], to: [u8; 4], protocol: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(from, to, 64).write(&mut packet, IpNumber(protocol), data).unwrap();
    packet
}

fn udp(from: [u8; 4], to: [u8; 4], [source, destination]: [u16; 2]) -> Vec<u8> {
    sent(from, to, UDP, &[source.to_be_bytes(), destination.to_be_bytes(), [0, 8], [0, 0]].concat())
}

/// A segment of TCP; `flags` are those of its header.
fn tcp(from: [u8; 4], to: [u8; 4], [source, destination]: [u16; 2], flags: u8) -> Vec<u8> {
    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    sent(from, to, TCP, &[&ports[..], &[0; 8], &[0x50, flags, 4, 0, 0, 0, 0, 0]].concat())
}

const SYN: u8 = 2;
const ACK: u8 = 16;

fn icmp(from: [u8; 4], to: [u8; 4], kind: u8, id: u8) -> Vec<u8> {
    sent(from, to, 1, &[kind, 0, 0, 0, 0, id, 0, 1])
}

fn error_about(quoted: &[u8]) -> Vec<u8> {
    sent(ROUTER, OURS, 1, &[&[3, 4, 0, 0, 0, 0, 5, 120], quoted].concat())
}

#[test]
fn others_begin_at_open_ports_only() {
    let bench = Bench::new(ssh());
    for port in [22, 8_000, 8_050, 8_100] {
        assert!(bench.takes(&tcp(THEIRS, OURS, [1000, port], SYN)), "{port}");
    }
    for port in [0, 21, 23, 80, 7_999, 8_101, 65_535] {
        assert!(!bench.takes(&tcp(THEIRS, OURS, [1000, port], SYN)), "{port}");
        assert!(!bench.takes(&tcp(THEIRS, OURS, [22, port], ACK)), "{port}, in the midst");
    }
    assert!(!bench.takes(&udp(THEIRS, OURS, [1000, 22])));
    assert!(!bench.takes(&icmp(THEIRS, OURS, 8, 1)) && !bench.takes(&sent(THEIRS, OURS, 47, &[0; 8])));
}

#[test]
fn where_everything_is_open_all_may_begin() {
    let bench = Bench::new(Reach::everything());
    for packet in [
        tcp(THEIRS, OURS, [1, 65_535], SYN),
        udp(THEIRS, OURS, [1, 0]),
        icmp(THEIRS, OURS, 8, 1),
        icmp(THEIRS, OURS, 13, 1),
        sent(THEIRS, OURS, 47, &[0; 8]),
    ] {
        assert!(bench.takes(&packet));
    }
}

#[test]
fn answers_to_what_this_node_began_pass() {
    let bench = Bench::new(Reach::default());
    for (question, answer) in [
        (tcp(OURS, THEIRS, [5000, 80], SYN), tcp(THEIRS, OURS, [80, 5000], SYN | ACK)),
        (udp(OURS, THEIRS, [5000, 53]), udp(THEIRS, OURS, [53, 5000])),
        (icmp(OURS, THEIRS, 8, 7), icmp(THEIRS, OURS, 0, 7)),
        (sent(OURS, THEIRS, 47, &[0; 8]), sent(THEIRS, OURS, 47, &[0; 8])),
    ] {
        assert!(!bench.takes(&answer), "before the question");
        bench.sends(&question);
        assert!(bench.takes(&answer));
    }
    assert!(!bench.takes(&tcp(THEIRS, OURS, [81, 5000], ACK)) && !bench.takes(&udp(ROUTER, OURS, [53, 5000])));
    assert!(!bench.takes(&icmp(THEIRS, OURS, 8, 7)), "a question of theirs is no answer");
    assert!(!bench.takes(&icmp(THEIRS, OURS, 0, 8)));
}

#[test]
fn a_silent_conversation_is_over() {
    let mut bench = Bench::new(Reach::default());
    bench.sends(&udp(OURS, THEIRS, [5000, 53]));
    bench.sends(&tcp(OURS, THEIRS, [5000, 80], SYN));
    bench.wait(Duration::from_secs(250));
    assert!(bench.takes(&udp(THEIRS, OURS, [53, 5000])));
    bench.wait(Duration::from_secs(250));
    assert!(bench.takes(&udp(THEIRS, OURS, [53, 5000])), "it went on in between");
    bench.wait(Duration::from_secs(400));
    assert!(!bench.takes(&udp(THEIRS, OURS, [53, 5000])));
    assert!(bench.takes(&tcp(THEIRS, OURS, [80, 5000], ACK)));
    bench.wait(Duration::from_secs(9 * 3_600));
    assert!(!bench.takes(&tcp(THEIRS, OURS, [80, 5000], ACK)));
}

#[test]
fn answers_of_this_node_keep_nothing_open_that_is_closed_meanwhile() {
    let mut bench = Bench::new(Reach { udp: [(53, 53)].into(), ..ssh() });
    let (question, segment) = (udp(THEIRS, OURS, [1000, 53]), tcp(THEIRS, OURS, [1000, 22], ACK));
    assert!(bench.takes(&question) && bench.takes(&tcp(THEIRS, OURS, [1000, 22], SYN)));
    bench.sends(&udp(OURS, THEIRS, [53, 1000]));
    bench.sends(&tcp(OURS, THEIRS, [22, 1000], SYN | ACK));
    assert!(bench.takes(&question) && bench.takes(&segment));
    bench.reach = Reach::default();
    bench.sends(&udp(OURS, THEIRS, [53, 1000]));
    bench.sends(&tcp(OURS, THEIRS, [22, 1000], ACK));
    assert!(!bench.takes(&question) && !bench.takes(&segment));
}

#[test]
fn errors_about_own_packets_pass() {
    let bench = Bench::new(ssh());
    let (ours, answer) = (udp(OURS, THEIRS, [5000, 53]), tcp(OURS, THEIRS, [22, 1000], ACK));
    assert!(!bench.takes(&error_about(&ours)));
    bench.sends(&ours);
    assert!(bench.takes(&error_about(&ours)), "from anybody on the way");
    assert!(!bench.takes(&error_about(&udp(OURS, THEIRS, [5001, 53]))));
    assert!(!bench.takes(&error_about(&udp(THEIRS, OURS, [53, 5000]))), "it quotes what others sent");
    assert!(bench.takes(&tcp(THEIRS, OURS, [1000, 22], SYN)));
    assert!(bench.takes(&error_about(&answer)));
    assert!(!bench.takes(&error_about(&ours[..23])) && !bench.takes(&error_about(&[])));
}

#[test]
fn of_a_packet_in_pieces_the_first_decides() {
    let piece = |port: u16, id: u8, offset: u8, more: bool| {
        let mut packet = udp(THEIRS, OURS, [1000, port]);
        packet[4..8].copy_from_slice(&[0, id, u8::from(more) << 5, offset]);
        packet
    };
    let bench = Bench::new(Reach { udp: [(53, 53)].into(), ..Reach::default() });
    assert!(!bench.takes(&piece(0, 1, 9, false)), "nothing is known of it");
    assert!(bench.takes(&piece(53, 1, 0, true)));
    assert!(bench.takes(&piece(0, 1, 9, true)) && bench.takes(&piece(0, 1, 18, false)));
    assert!(!bench.takes(&piece(0, 2, 9, false)), "another packet");
    assert!(!bench.takes(&piece(54, 3, 0, true)) && !bench.takes(&piece(0, 3, 9, false)));
}

#[test]
fn the_same_in_ipv6() {
    let udp = |ours: bool, ports: [u16; 2]| {
        let (from, to) = if ours { ([1; 16], [2; 16]) } else { ([2; 16], [1; 16]) };
        let data = [ports[0].to_be_bytes(), ports[1].to_be_bytes(), [0, 8], [0, 0]].concat();
        let mut packet = Vec::new();
        PacketBuilder::ipv6(from, to, 64).write(&mut packet, IpNumber(UDP), &data).unwrap();
        packet
    };
    let bench = Bench::new(Reach { udp: [(53, 53)].into(), ..Reach::default() });
    assert!(bench.takes(&udp(false, [1000, 53])) && !bench.takes(&udp(false, [1000, 54])));
    bench.sends(&udp(true, [54, 1000]));
    assert!(bench.takes(&udp(false, [1000, 54])));
}

#[test]
fn others_cannot_push_out_what_this_node_began() {
    let bench = Bench::new(Reach::everything());
    bench.sends(&udp(OURS, THEIRS, [5000, 53]));
    for port in 0..u16::MAX {
        bench.takes(&udp(THEIRS, OURS, [port, 9]));
    }
    let bench = Bench { reach: Reach::default(), ..bench };
    assert!(bench.takes(&udp(THEIRS, OURS, [53, 5000])));
}
