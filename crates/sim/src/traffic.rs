//! The packets that hosts send each other through the mesh, and the account of what arrived.
//!
//! A test packet is an IP packet of protocol 253 ("for experimentation", RFC 3692) with a mark that is easy to find
//! where it must not be, the number of its flow and its number in the flow.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use tinmesh_core::time::Instant;

use crate::internet::HostId;

/// What every test packet contains, and no datagram on the Internet may.
pub(crate) const MARK: &[u8; 16] = b"in clear: tinmsh";
const PROTOCOL: u8 = 253;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// Mark, flow, number, kind.
const CONTENT: usize = 16 + 4 + 4 + 1;

/// The part of a test packet that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) flow: u32,
    pub(crate) number: u32,
    /// Whether it is an answer.
    pub(crate) reply: bool,
}

/// Makes an IP packet of `len` bytes (or as many as it needs), with the don't-fragment bit if it is IPv4.
pub(crate) fn encode(from: IpAddr, to: IpAddr, stamp: Stamp, len: usize) -> Vec<u8> {
    let mut packet = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(from.octets(), to.octets(), len),
        (IpAddr::V6(from), IpAddr::V6(to)) => ipv6(from.octets(), to.octets(), len),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return Vec::new(),
    };
    let header = packet.len();
    packet.extend_from_slice(MARK);
    packet.extend_from_slice(&stamp.flow.to_be_bytes());
    packet.extend_from_slice(&stamp.number.to_be_bytes());
    packet.push(u8::from(stamp.reply));
    let total = len.max(header + CONTENT);
    packet.extend((packet.len()..total).map(|at| filler(stamp.number, at)));
    packet
}

const fn filler(number: u32, at: usize) -> u8 {
    (at as u32).wrapping_mul(31).wrapping_add(number) as u8
}

fn ipv4(from: [u8; 4], to: [u8; 4], len: usize) -> Vec<u8> {
    let total = u16::try_from(len.max(IPV4_HEADER + CONTENT)).unwrap_or(u16::MAX).to_be_bytes();
    let mut header = vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, PROTOCOL, 0, 0];
    header.extend_from_slice(&from);
    header.extend_from_slice(&to);
    let sum = header.chunks_exact(2).fold(0_u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

fn ipv6(from: [u8; 16], to: [u8; 16], len: usize) -> Vec<u8> {
    let rest = u16::try_from(len.saturating_sub(IPV6_HEADER).max(CONTENT)).unwrap_or(u16::MAX).to_be_bytes();
    let mut header = vec![0x60, 0, 0, 0, rest[0], rest[1], PROTOCOL, 64];
    header.extend_from_slice(&from);
    header.extend_from_slice(&to);
    header
}

/// What a device was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// A test packet, whole.
    Test(Stamp),
    /// A packet like ours that is not as it was sent.
    Damaged,
    /// A router's word that a packet is too big; the MTU that it tells, in bytes of IP packet.
    TooBig(u16),
    /// A router's word that there is no way.
    Unreachable,
    /// Something else.
    Other,
}

/// Reads a packet that a device was given.
pub(crate) fn decode(packet: &[u8]) -> Given {
    let (protocol, content) = match packet.first().map(|byte| byte >> 4) {
        Some(4) if packet.len() >= IPV4_HEADER => (packet[9], &packet[IPV4_HEADER..]),
        Some(6) if packet.len() >= IPV6_HEADER => (packet[6], &packet[IPV6_HEADER..]),
        _ => return Given::Other,
    };
    match (protocol, content) {
        (PROTOCOL, _) => test(packet, packet.len() - content.len()).map_or(Given::Damaged, Given::Test),
        (1, [3, 4, _, _, _, _, high, low, ..]) | (58, [2, _, _, _, _, _, high, low, ..]) => {
            Given::TooBig(u16::from_be_bytes([*high, *low]))
        }
        (1, [3, ..]) | (58, [1, ..]) => Given::Unreachable,
        _ => Given::Other,
    }
}

fn test(packet: &[u8], header: usize) -> Option<Stamp> {
    let content = packet.get(header..header + CONTENT)?;
    let word = |range: Range<usize>| Some(u32::from_be_bytes(content.get(range)?.try_into().ok()?));
    let stamp = Stamp { flow: word(16..20)?, number: word(20..24)?, reply: content[24] == 1 };
    let rest = packet.iter().enumerate().skip(header + CONTENT);
    let whole = content.starts_with(MARK) && rest.into_iter().all(|(at, &byte)| byte == filler(stamp.number, at));
    whole.then_some(stamp)
}

/// Whether a test packet can be read in `bytes`.
pub(crate) fn is_clear(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

/// How a packet came to its destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// It was not carried yet.
    #[default]
    Nothing,
    /// In a datagram, passed on by these.
    Udp(Vec<HostId>),
    /// On the connection with this neighbour.
    Tcp(HostId),
}

/// A packet that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) number: u32,
    pub(crate) at: Instant,
    pub(crate) carrier: Carrier,
}

impl Arrival {
    /// Hops of its datagram: one more than relays; `None`: it came on a connection.
    pub(crate) const fn hops(&self) -> Option<usize> {
        match &self.carrier {
            Carrier::Udp(relays) => Some(relays.len() + 1),
            Carrier::Tcp(_) | Carrier::Nothing => None,
        }
    }

    fn is_straight(&self) -> bool {
        matches!(&self.carrier, Carrier::Udp(relays) if relays.is_empty())
    }

    /// Whether this host passed it on, or brought it over a connection.
    pub(crate) fn is_relayed_by(&self, host: HostId) -> bool {
        match &self.carrier {
            Carrier::Udp(relays) => relays.contains(&host),
            Carrier::Tcp(neighbour) => *neighbour == host,
            Carrier::Nothing => false,
        }
    }
}

/// Packets from one host to another at an even pace.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) from: HostId,
    pub(crate) to: HostId,
    pub(crate) addresses: (IpAddr, IpAddr),
    pub(crate) len: usize,
    pub(crate) pace: Duration,
    pub(crate) count: u32,
    /// When each was sent.
    pub(crate) sent: Vec<Instant>,
    pub(crate) arrivals: Vec<Arrival>,
    /// Answers that came back.
    pub(crate) replies: Vec<Arrival>,
    /// Bytes of the answers, if the receiver gives any.
    pub(crate) answers: Option<usize>,
}

impl Flow {
    /// Whether the packet of this number arrived already.
    pub(crate) fn has(&self, stamp: Stamp) -> bool {
        let list = if stamp.reply { &self.replies } else { &self.arrivals };
        list.iter().rev().any(|arrival| arrival.number == stamp.number)
    }
}

/// So many packets in a row that came straight make a direct path.
const STEADY: usize = 10;

impl Flow {
    /// From when on packets went straight, there and back, looking at those that arrived from `since` on.
    pub(crate) fn direct_from(&self, since: Instant) -> Option<Instant> {
        let ways = [&self.arrivals, &self.replies].map(|list| {
            let later: Vec<&Arrival> = list.iter().filter(|arrival| arrival.at >= since).collect();
            later.windows(STEADY).find(|window| window.iter().all(|arrival| arrival.is_straight())).map(|row| row[0].at)
        });
        Some(ways[0]?.max(ways[1]?))
    }

    /// The longest time without an arrival between `since` and `until`, at either end.
    pub(crate) fn silence(&self, since: Instant, until: Instant) -> Duration {
        let ways = [&self.arrivals, &self.replies].map(|list| {
            let within = list.iter().map(|arrival| arrival.at).filter(|at| (since..until).contains(at));
            let times: Vec<Instant> = [since].into_iter().chain(within).chain([until]).collect();
            times.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap_or_default()
        });
        ways[0].max(ways[1])
    }

    /// How many of the packets sent between `since` and `until` were answered, in per cent.
    pub(crate) fn answered(&self, since: Instant, until: Instant) -> f64 {
        let numbers = self.sent.iter().enumerate().filter(|(_, at)| (since..until).contains(*at));
        let numbers: BTreeSet<usize> = numbers.map(|(number, _)| number).collect();
        let answered = self.replies.iter().filter(|reply| numbers.contains(&(reply.number as usize))).count();
        if numbers.is_empty() { 0.0 } else { 100.0 * answered as f64 / numbers.len() as f64 }
    }
}

/// What became of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowReport {
    /// Packets sent.
    pub sent: usize,
    /// Packets that arrived, each once.
    pub arrived: usize,
    /// Packets that arrived after one with a higher number.
    pub late: usize,
    /// The longest time without an arrival between the first and the last one.
    pub longest_gap: Duration,
    /// The longest time that one took to arrive.
    pub slowest: Duration,
    /// The highest number that arrived, from 0.
    pub newest: u32,
}

impl FlowReport {
    pub(crate) fn of(flow: &Flow) -> Self {
        let took = flow.arrivals.iter().map(|arrival| arrival.at.since(flow.sent[arrival.number as usize]));
        let gaps = flow.arrivals.windows(2).map(|pair| pair[1].at.since(pair[0].at));
        Self {
            sent: flow.sent.len(),
            arrived: flow.arrivals.len(),
            late: flow.arrivals.windows(2).filter(|pair| pair[1].number < pair[0].number).count(),
            longest_gap: gaps.max().unwrap_or_default(),
            newest: flow.arrivals.iter().map(|arrival| arrival.number).max().unwrap_or_default(),
            slowest: took.max().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_packet_of_either_family_is_read_back_and_damage_is_seen() {
        for (from, to) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let stamp = Stamp { flow: 3, number: 70_000, reply: true };
            let (from, to) = (from.parse().expect("an address"), to.parse().expect("an address"));
            let mut packet = encode(from, to, stamp, 500);
            assert_eq!(packet.len(), 500);
            assert_eq!(decode(&packet), Given::Test(stamp));
            assert!(is_clear(&packet));
            packet[400] ^= 1;
            assert_eq!(decode(&packet), Given::Damaged);
        }
    }

    #[test]
    fn words_of_routers_are_understood() {
        let mut packet = vec![0; 28];
        packet[0] = 0x45;
        packet[9] = 1;
        packet[20..28].copy_from_slice(&[3, 4, 0, 0, 0, 0, 5, 0]);
        assert_eq!(decode(&packet), Given::TooBig(1280));
        packet[21] = 1;
        assert_eq!(decode(&packet), Given::Unreachable);
        assert_eq!(decode(&[]), Given::Other);
    }
}
