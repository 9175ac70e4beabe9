//! What providers, firewalls and their rules do to the packets of one host, beside translating addresses.
//!
//! Pure like the NATs: what crosses a host's access comes in, with the time, and whether it may goes out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tinmesh_core::time::Instant;

/// How long a firewall remembers that an endpoint was written to or heard of (RFC 4787, REQ-5).
const MEMORY: Duration = Duration::from_secs(120);
/// Endpoints remembered before old ones are swept out.
const SWEEP_AT: usize = 16_384;
const SECOND: u64 = 1_000_000;
/// Ports of the web: HTTP and HTTPS.
const WEB: [u16; 2] = [80, 443];

/// The protocols that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Segments of connections.
    Tcp,
}

/// What happens to UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UdpRule {
    /// Nothing.
    #[default]
    Passes,
    /// It is lost.
    Blocked,
    /// What goes beyond a rate is lost, in each direction by itself.
    Policed {
        /// Bytes of IP packets in a second.
        rate: u32,
        /// So many bytes may come at once after a pause.
        burst: u32,
    },
    /// A firewall with memory: only endpoints that were written to may answer.
    AnswersOnly,
    /// To an endpoint that has not answered go only so many datagrams.
    AfterAnswer {
        /// How many.
        tries: u32,
    },
}

/// What happens to TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpRule {
    /// Nothing.
    #[default]
    Passes,
    /// It is lost.
    Blocked,
    /// Only connections to ports 80 and 443 of others.
    WebOnly,
    /// A firewall: a connection comes in only from where one goes out to, from the same port.
    OutwardOnly,
}

/// A link that takes less while much crosses it, and keeps quiet about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrow {
    /// The longest IP packet then, in bytes.
    pub mtu: u16,
    /// When more bytes than this cross in a second, in either direction. 0: always.
    pub above: u32,
}

/// All rules of one access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Isp {
    /// For datagrams.
    pub udp: UdpRule,
    /// For connections.
    pub tcp: TcpRule,
    /// Whether fragments of IP packets are lost.
    pub drops_fragments: bool,
    /// A black hole for long packets.
    pub narrow: Option<Narrow>,
}

/// A packet as an access sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) protocol: Protocol,
    /// Port of the host.
    pub(crate) port: u16,
    pub(crate) remote: SocketAddr,
    /// Bytes of the IP packet.
    pub(crate) len: usize,
    pub(crate) fragment: bool,
    pub(crate) outward: bool,
}

/// What a host has sent to endpoints that had not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// Datagrams to endpoints of which nothing had come for two minutes.
    pub sent: u64,
    /// The most of them in one second.
    pub peak: u32,
}

/// What passed between a host's port and an endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Talk {
    wrote: Option<Instant>,
    heard: Option<Instant>,
    tries: u32,
}

/// Something that is counted for a second at a time.
#[derive(Clone, Copy, Debug, Default)]
struct PerSecond {
    second: u64,
    count: u64,
}

impl PerSecond {
    fn add(&mut self, now: Instant, more: u64) -> u64 {
        let second = now.as_micros() / SECOND;
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count += more;
        self.count
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Bytes that may pass; `None`: full.
    left: Option<u64>,
    filled: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant, len: usize, rate: u32, burst: u32) -> bool {
        let elapsed = now.as_micros().saturating_sub(self.filled.as_micros());
        let gained = elapsed.saturating_mul(u64::from(rate)) / SECOND;
        let full = u64::from(burst);
        let left = self.left.map_or(full, |left| left.saturating_add(gained).min(full));
        if gained > 0 || self.left.is_none() {
            self.filled = now;
        }
        let passes = left >= len as u64;
        self.left = Some(if passes { left - len as u64 } else { left });
        passes
    }
}

/// What an access remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct IspMemory {
    talks: BTreeMap<(u16, SocketAddr), Talk>,
    /// When connections were begun, by own port and the other end.
    calls: BTreeMap<(u16, SocketAddr), Instant>,
    buckets: [Bucket; 2],
    load: PerSecond,
    probing: PerSecond,
    probes: Probes,
}

impl IspMemory {
    /// Whether a packet may pass.
    pub(crate) fn passes(&mut self, isp: &Isp, now: Instant, sight: Sight) -> bool {
        let load = self.load.add(now, sight.len as u64);
        if isp.narrow.is_some_and(|narrow| load > u64::from(narrow.above) && sight.len > usize::from(narrow.mtu)) {
            return false;
        }
        if isp.drops_fragments && sight.fragment {
            return false;
        }
        match sight.protocol {
            Protocol::Tcp => self.passes_tcp(isp.tcp, now, sight),
            Protocol::Udp => {
                let talk = self.note(now, sight);
                self.passes_udp(isp.udp, now, sight, talk)
            }
        }
    }

    /// The host's probes so far.
    pub(crate) const fn probes(&self) -> Probes {
        self.probes
    }

    /// The host has another address: nobody knows it.
    pub(crate) fn forget(&mut self) {
        self.talks.clear();
        self.calls.clear();
    }

    /// Takes a datagram to the account; what was between the two before it.
    fn note(&mut self, now: Instant, sight: Sight) -> Talk {
        if self.talks.len() > SWEEP_AT {
            self.talks.retain(|_, talk| is_fresh(now, talk.wrote) || is_fresh(now, talk.heard));
        }
        let talk = self.talks.entry((sight.port, sight.remote)).or_default();
        let before = *talk;
        if !sight.outward {
            *talk = Talk { heard: Some(now), tries: 0, ..before };
            return before;
        }
        let answered = is_fresh(now, before.heard);
        *talk = Talk { wrote: Some(now), tries: if answered { 0 } else { before.tries + 1 }, ..before };
        if !answered {
            self.probes.sent += 1;
            let count = u32::try_from(self.probing.add(now, 1)).unwrap_or(u32::MAX);
            self.probes.peak = self.probes.peak.max(count);
        }
        before
    }

    fn passes_tcp(&mut self, rule: TcpRule, now: Instant, sight: Sight) -> bool {
        match rule {
            TcpRule::Passes => true,
            TcpRule::Blocked => false,
            TcpRule::WebOnly => WEB.contains(&sight.remote.port()),
            TcpRule::OutwardOnly => {
                let key = (sight.port, sight.remote);
                if sight.outward {
                    self.calls.retain(|_, at| is_fresh(now, Some(*at)));
                    self.calls.insert(key, now);
                }
                is_fresh(now, self.calls.get(&key).copied())
            }
        }
    }

    fn passes_udp(&mut self, rule: UdpRule, now: Instant, sight: Sight, before: Talk) -> bool {
        match rule {
            UdpRule::Passes => true,
            UdpRule::Blocked => false,
            UdpRule::Policed { rate, burst } => {
                self.buckets[usize::from(sight.outward)].take(now, sight.len, rate, burst)
            }
            UdpRule::AnswersOnly => sight.outward || is_fresh(now, before.wrote),
            UdpRule::AfterAnswer { tries } => !sight.outward || is_fresh(now, before.heard) || before.tries < tries,
        }
    }
}

fn is_fresh(now: Instant, at: Option<Instant>) -> bool {
    at.is_some_and(|at| now.since(at) < MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: &str = "198.18.0.7:655";

    fn sight(outward: bool, len: usize) -> Sight {
        let remote = REMOTE.parse().expect("an address");
        Sight { protocol: Protocol::Udp, port: 655, remote, len, fragment: false, outward }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000 * (millis + 1))
    }

    fn isp(udp: UdpRule) -> Isp {
        Isp { udp, ..Isp::default() }
    }

    #[test]
    fn a_policer_lets_its_rate_through_and_a_burst_after_a_pause() {
        let isp = isp(UdpRule::Policed { rate: 125_000, burst: 10_000 });
        let mut memory = IspMemory::default();
        let passed = |memory: &mut IspMemory, from: u64, outward| {
            (0..1_000).filter(|step| memory.passes(&isp, at(from + step), sight(outward, 1_000))).count()
        };
        let first = passed(&mut memory, 0, true);
        assert!((134..=136).contains(&first), "125 in a second and ten at once, not {first}");
        let second = passed(&mut memory, 1_000, true);
        assert!((124..=126).contains(&second), "{second}");
        assert!(passed(&mut memory, 1_000, false) > 130, "the other direction has a bucket of its own");
    }

    #[test]
    fn a_firewall_lets_answers_in_for_two_minutes() {
        let isp = isp(UdpRule::AnswersOnly);
        let mut memory = IspMemory::default();
        assert!(!memory.passes(&isp, at(0), sight(false, 100)));
        assert!(memory.passes(&isp, at(1), sight(true, 100)));
        assert!(memory.passes(&isp, at(119_000), sight(false, 100)));
        assert!(!memory.passes(&isp, at(122_000), sight(false, 100)));
        let other = Sight { port: 656, ..sight(false, 100) };
        assert!(!memory.passes(&isp, at(2), other));
    }

    #[test]
    fn silence_ends_what_goes_to_an_endpoint_and_an_answer_opens_it() {
        let isp = isp(UdpRule::AfterAnswer { tries: 3 });
        let mut memory = IspMemory::default();
        let passed = (0..10).filter(|step| memory.passes(&isp, at(*step), sight(true, 100))).count();
        assert_eq!(passed, 3);
        assert!(memory.passes(&isp, at(20), sight(false, 100)));
        assert!((0..10).all(|step| memory.passes(&isp, at(30 + step), sight(true, 100))));
    }

    #[test]
    fn probes_are_datagrams_to_those_who_do_not_answer() {
        let isp = Isp::default();
        let mut memory = IspMemory::default();
        for step in 0..5 {
            memory.passes(&isp, at(step), sight(true, 100));
        }
        memory.passes(&isp, at(10), sight(false, 100));
        for step in 0..5 {
            memory.passes(&isp, at(20 + step), sight(true, 100));
        }
        assert_eq!(memory.probes(), Probes { sent: 5, peak: 5 });
        memory.passes(&isp, at(130_000), sight(true, 100));
        assert_eq!(memory.probes(), Probes { sent: 6, peak: 5 });
    }

    #[test]
    fn only_the_web_means_connections_to_its_ports() {
        let isp = Isp { tcp: TcpRule::WebOnly, ..Isp::default() };
        let mut memory = IspMemory::default();
        let mut to = |port| {
            let remote = SocketAddr::new([198, 18, 0, 7].into(), port);
            memory.passes(&isp, at(0), Sight { protocol: Protocol::Tcp, remote, ..sight(true, 60) })
        };
        assert!(to(443) && to(80) && !to(655));
    }

    #[test]
    fn a_firewall_lets_connections_in_where_one_goes_out() {
        let isp = Isp { tcp: TcpRule::OutwardOnly, ..Isp::default() };
        let mut memory = IspMemory::default();
        let mut passes =
            |outward, port| memory.passes(&isp, at(0), Sight { protocol: Protocol::Tcp, port, ..sight(outward, 60) });
        assert!(!passes(false, 655) && passes(true, 655) && passes(false, 655) && !passes(false, 656));
    }

    #[test]
    fn a_link_gets_narrow_under_load_and_wide_again() {
        let narrow = Some(Narrow { mtu: 1_300, above: 50_000 });
        let isp = Isp { narrow, ..Isp::default() };
        let mut memory = IspMemory::default();
        let mut passed =
            |from: u64| (0..100).filter(|step| memory.passes(&isp, at(from + step), sight(true, 1_400))).count();
        assert_eq!(passed(0), 35);
        assert_eq!(passed(2_000), 35);
        assert!(memory.passes(&isp, at(2_200), sight(true, 1_300)));
    }

    #[test]
    fn fragments_are_lost_where_they_are() {
        let isp = Isp { drops_fragments: true, ..Isp::default() };
        let fragment = Sight { fragment: true, ..sight(true, 500) };
        assert!(!IspMemory::default().passes(&isp, at(0), fragment));
        assert!(IspMemory::default().passes(&isp, at(0), sight(true, 500)));
    }
}
