//! NATs, described in the words of RFC 4787: mapping, filtering, port assignment, lifetime, hairpinning.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use tinmesh_core::time::Instant;

use crate::dice::Dice;

/// Ports that are given out when the port of the inside is not kept.
const DYNAMIC_PORTS: RangeInclusive<u16> = 20_000..=59_999;
/// RFC 4787 (REQ-5) asks for at least two minutes; many devices of homes keep UDP for less.
const LIFETIME: Duration = Duration::from_secs(120);

/// What a mapping, or a permission to send inwards, depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependence {
    /// On nothing but the inside endpoint.
    Endpoint,
    /// Also on the address of the other side.
    Address,
    /// Also on the address and port of the other side.
    AddressAndPort,
}

/// How the outer port of a new mapping is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The inside port if it is free, else a random one.
    Preserving,
    /// One after the other.
    Sequential,
    /// Unpredictable.
    Random,
}

/// The behaviour of a NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// When an inside endpoint gets another outer port.
    pub mapping: Dependence,
    /// Who may send inwards through a mapping.
    pub filtering: Dependence,
    /// How outer ports are chosen.
    pub ports: Ports,
    /// How long a mapping lives without packets from the inside.
    pub lifetime: Duration,
    /// Whether insiders reach each other by outer addresses.
    pub hairpin: bool,
}

impl Nat {
    const fn new(mapping: Dependence, filtering: Dependence, ports: Ports) -> Self {
        Self { mapping, filtering, ports, lifetime: LIFETIME, hairpin: true }
    }

    /// One outer port for all, open to all.
    pub const fn full_cone() -> Self {
        Self::new(Dependence::Endpoint, Dependence::Endpoint, Ports::Preserving)
    }

    /// One outer port for all, open to hosts that were written to.
    pub const fn restricted_cone() -> Self {
        Self::new(Dependence::Endpoint, Dependence::Address, Ports::Preserving)
    }

    /// One outer port for all, open to endpoints that were written to.
    pub const fn port_restricted_cone() -> Self {
        Self::new(Dependence::Endpoint, Dependence::AddressAndPort, Ports::Preserving)
    }

    /// Another, unpredictable outer port for every endpoint written to.
    pub const fn symmetric() -> Self {
        Self::new(Dependence::AddressAndPort, Dependence::AddressAndPort, Ports::Random)
    }

    /// As Linux does it: mappings of their own for every endpoint, but with the port of the inside while no other
    /// insider uses it towards the same endpoint.
    pub const fn linux() -> Self {
        Self::new(Dependence::AddressAndPort, Dependence::AddressAndPort, Ports::Preserving)
    }

    /// The same with other outer ports.
    #[must_use]
    pub const fn with_ports(self, ports: Ports) -> Self {
        Self { ports, ..self }
    }

    /// The same with another lifetime of mappings.
    #[must_use]
    pub const fn with_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// The same without hairpinning.
    #[must_use]
    pub const fn without_hairpin(self) -> Self {
        Self { hairpin: false, ..self }
    }
}

/// The part of the other side's endpoint that counts.
type Remote = Option<(IpAddr, u16)>;

const fn part(dependence: Dependence, remote: SocketAddr) -> Remote {
    match dependence {
        Dependence::Endpoint => None,
        Dependence::Address => Some((remote.ip(), 0)),
        Dependence::AddressAndPort => Some((remote.ip(), remote.port())),
    }
}

#[derive(Clone, Debug)]
struct Entry {
    inside: SocketAddr,
    used: Instant,
    /// Whom the inside wrote to, and when last.
    permitted: BTreeMap<Remote, Instant>,
}

/// The mappings of one NAT for one protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct NatTable {
    outward: BTreeMap<(SocketAddr, Remote), u16>,
    inward: BTreeMap<(u16, Remote), Entry>,
    next_port: u16,
}

impl NatTable {
    /// The outer port for a packet from `inside` to `remote`, mapped anew if needed.
    pub(crate) fn outbound(
        &mut self,
        nat: &Nat,
        now: Instant,
        inside: SocketAddr,
        remote: SocketAddr,
        dice: &mut Dice,
    ) -> Option<u16> {
        let key = part(nat.mapping, remote);
        let known = self.outward.get(&(inside, key)).copied().filter(|&port| self.is_alive(nat, now, port, key));
        let port = match known {
            Some(port) => port,
            None => self.map(nat, now, (inside, key), dice)?,
        };
        let entry = self.inward.get_mut(&(port, key))?;
        entry.used = now;
        entry.permitted.insert(part(nat.filtering, remote), now);
        Some(port)
    }

    /// Where a packet from `remote` to the outer `port` goes, if it may.
    pub(crate) fn inbound(&self, nat: &Nat, now: Instant, port: u16, remote: SocketAddr) -> Option<SocketAddr> {
        let permission = part(nat.filtering, remote);
        let exact = self.inward.get(&(port, part(nat.mapping, remote)));
        let all = self.inward.range((port, None)..).take_while(|((at, _), _)| *at == port).map(|(_, entry)| entry);
        exact.into_iter().chain(all).find(|entry| admits(nat, now, entry, permission)).map(|entry| entry.inside)
    }

    fn is_alive(&self, nat: &Nat, now: Instant, port: u16, key: Remote) -> bool {
        self.inward.get(&(port, key)).is_some_and(|entry| now.since(entry.used) < nat.lifetime)
    }

    fn map(&mut self, nat: &Nat, now: Instant, (inside, key): (SocketAddr, Remote), dice: &mut Dice) -> Option<u16> {
        let span = u64::from(DYNAMIC_PORTS.end() - DYNAMIC_PORTS.start()) + 1;
        let kept = (nat.ports == Ports::Preserving).then_some(inside.port());
        let start = match nat.ports {
            Ports::Sequential => u64::from(self.next_port),
            Ports::Preserving | Ports::Random => dice.below(span),
        };
        let dynamic = (0..span).filter_map(|step| u16::try_from((start + step) % span).ok());
        let mut candidates = kept.into_iter().chain(dynamic.map(|offset| DYNAMIC_PORTS.start() + offset));
        let port = candidates.find(|&port| !self.is_alive(nat, now, port, key))?;
        if nat.ports == Ports::Sequential {
            self.next_port = port - DYNAMIC_PORTS.start() + 1;
        }
        if let Some(stale) = self.inward.remove(&(port, key)) {
            self.outward.remove(&(stale.inside, key));
        }
        self.outward.insert((inside, key), port);
        self.inward.insert((port, key), Entry { inside, used: now, permitted: BTreeMap::new() });
        Some(port)
    }

    /// Forgets all mappings; the next ones get other ports where ports are not kept.
    pub(crate) fn forget(&mut self) {
        self.outward.clear();
        self.inward.clear();
        self.next_port = (self.next_port + 1000) % 20_000;
    }
}

fn admits(nat: &Nat, now: Instant, entry: &Entry, permission: Remote) -> bool {
    let permitted = match nat.filtering {
        Dependence::Endpoint => true,
        Dependence::Address | Dependence::AddressAndPort => {
            entry.permitted.get(&permission).is_some_and(|&at| now.since(at) < nat.lifetime)
        }
    };
    permitted && now.since(entry.used) < nat.lifetime
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    struct Bench {
        nat: Nat,
        table: NatTable,
        dice: Dice,
        now: Instant,
    }

    impl Bench {
        fn new(nat: Nat) -> Self {
            Self { nat, table: NatTable::default(), dice: Dice::new(3), now: Instant::from_micros(1) }
        }

        fn out(&mut self, inside: &str, remote: &str) -> u16 {
            self.table.outbound(&self.nat, self.now, at(inside), at(remote), &mut self.dice).expect("a free port")
        }

        fn back(&self, port: u16, remote: &str) -> Option<SocketAddr> {
            self.table.inbound(&self.nat, self.now, port, at(remote))
        }
    }

    const INSIDE: &str = "192.168.0.2:655";
    const OTHER: &str = "192.168.0.3:655";
    const X1: &str = "198.18.0.1:655";
    const X2: &str = "198.18.0.1:700";
    const Y1: &str = "198.18.0.9:655";

    #[test]
    fn mappings_depend_on_what_the_nat_says() {
        let cases = [
            (Dependence::Endpoint, true, true),
            (Dependence::Address, true, false),
            (Dependence::AddressAndPort, false, false),
        ];
        for (mapping, same_for_port, same_for_host) in cases {
            let mut bench = Bench::new(Nat::new(mapping, Dependence::Endpoint, Ports::Random));
            let first = bench.out(INSIDE, X1);
            assert_eq!(bench.out(INSIDE, X1), first, "{mapping:?}");
            assert_eq!(bench.out(INSIDE, X2) == first, same_for_port, "{mapping:?}");
            assert_eq!(bench.out(INSIDE, Y1) == first, same_for_host, "{mapping:?}");
        }
    }

    #[test]
    fn filters_depend_on_what_the_nat_says() {
        let cases = [
            (Dependence::Endpoint, true, true),
            (Dependence::Address, true, false),
            (Dependence::AddressAndPort, false, false),
        ];
        for (filtering, other_port, other_host) in cases {
            let mut bench = Bench::new(Nat::new(Dependence::Endpoint, filtering, Ports::Preserving));
            let port = bench.out(INSIDE, X1);
            assert_eq!(port, 655);
            assert_eq!(bench.back(port, X1), Some(at(INSIDE)), "{filtering:?}");
            assert_eq!(bench.back(port, X2).is_some(), other_port, "{filtering:?}");
            assert_eq!(bench.back(port, Y1).is_some(), other_host, "{filtering:?}");
            assert_eq!(bench.back(port + 1, X1), None);
        }
    }

    #[test]
    fn a_kept_port_goes_to_the_first_insider_only() {
        let mut bench = Bench::new(Nat::port_restricted_cone());
        assert_eq!(bench.out(INSIDE, X1), 655);
        let second = bench.out(OTHER, X1);
        assert_ne!(second, 655);
        assert_eq!(bench.back(second, X1), Some(at(OTHER)));
    }

    #[test]
    fn linux_keeps_the_port_towards_every_endpoint_without_a_clash() {
        let mut bench = Bench::new(Nat::linux());
        assert_eq!((bench.out(INSIDE, X1), bench.out(INSIDE, Y1)), (655, 655));
        assert_ne!(bench.out(OTHER, X1), 655);
        assert_eq!(bench.back(655, Y1), Some(at(INSIDE)));
        assert_eq!(bench.back(655, X2), None);
    }

    #[test]
    fn sequential_ports_follow_each_other() {
        let mut bench = Bench::new(Nat::symmetric().with_ports(Ports::Sequential));
        let first = bench.out(INSIDE, X1);
        assert_eq!(bench.out(INSIDE, X2), first + 1);
        assert_eq!(bench.out(INSIDE, Y1), first + 2);
    }

    #[test]
    fn a_mapping_dies_without_packets_from_the_inside() {
        let mut bench = Bench::new(Nat::full_cone());
        let port = bench.out(INSIDE, X1);
        bench.now = bench.now + LIFETIME / 2;
        bench.out(INSIDE, X1);
        bench.now = bench.now + LIFETIME / 2;
        assert!(bench.back(port, X1).is_some());
        bench.now = bench.now + LIFETIME / 2;
        assert!(bench.back(port, X1).is_none());
    }

    #[test]
    fn a_nat_that_forgot_lets_nothing_in() {
        let mut bench = Bench::new(Nat::full_cone());
        let port = bench.out(INSIDE, X1);
        bench.table.forget();
        assert_eq!(bench.back(port, X1), None);
    }
}
