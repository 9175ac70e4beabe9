//! What could be: worked out from the emulator's own state, without asking any node.
//!
//! Two hosts A and B meet if a packet of one gets in at the other, and the answer gets in too. What that takes:
//!
//! | A's packet gets in at B | without a guess, if |
//! | --- | --- |
//! | B's filter lets everyone in | always: through any mapping that others have seen |
//! | B's filter knows addresses | B's outer port is known before; else it is guessed |
//! | B's filter knows endpoints | both outer ports are known before; each other one is guessed |
//!
//! The answer gets in if it comes from the port that was written to, or A's filter does not look at ports. A port is
//! known before if one serves all, or if the NAT keeps the one of the inside.

use std::collections::{BTreeSet, VecDeque};

use crate::engine::Engine;
use crate::internet::{HostId, Internet, NatId, PUBLIC, RealmId};
use crate::isp::{Protocol, TcpRule, UdpRule};
use crate::machine::Whereabouts;
use crate::nat::{Dependence, Nat, Ports};

/// Whether two hosts can exchange datagrams without a third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chance {
    /// Yes, if both do what is right.
    Certain,
    /// Yes, if each keeps to the port that it wrote to first, though the answers come from another one.
    Crossed,
    /// If one outer port is guessed, of those that a NAT chooses like this, while the other side's are known.
    OnePort(Ports),
    /// The same, though both sides get ports that nobody knows before: the filter of one forgives.
    OneOfTwo(Ports),
    /// If two are guessed at the same time.
    TwoPorts(Ports, Ports),
    /// Never.
    No,
}

impl Chance {
    /// What the marks tell apart.
    pub fn class(self) -> String {
        let kind = |ports| match ports {
            Ports::Preserving => "kept".to_owned(),
            Ports::Sequential { .. } => "delta".to_owned(),
            Ports::Random => "random".to_owned(),
            Ports::Block(size) => format!("block {size}"),
        };
        match self {
            Self::Certain => "certain".to_owned(),
            Self::Crossed => "crossed ports".to_owned(),
            Self::OnePort(ports) => format!("one port: {}", kind(ports)),
            Self::OneOfTwo(ports) => format!("one port of two: {}", kind(ports)),
            Self::TwoPorts(a, b) if kind(a) == kind(b) => format!("two ports: {}", kind(a)),
            Self::TwoPorts(..) => "two ports: mixed".to_owned(),
            Self::No => "none".to_owned(),
        }
    }
}

/// How the NATs between a host and where the other can see it behave together.
#[derive(Clone, Copy, Debug)]
struct Side {
    mapping: Dependence,
    filtering: Dependence,
    ports: Ports,
}

impl Side {
    const OPEN: Self =
        Self { mapping: Dependence::Endpoint, filtering: Dependence::Endpoint, ports: Ports::Preserving };

    /// NATs in a row: the strictest counts, and of the ports those of whoever gives a new one to each endpoint.
    fn behind(self, nat: &Nat) -> Self {
        let ports = if nat.mapping >= self.mapping && nat.ports != Ports::Preserving { nat.ports } else { self.ports };
        Self { mapping: self.mapping.max(nat.mapping), filtering: self.filtering.max(nat.filtering), ports }
    }

    /// Whether the outer port towards an endpoint is known before the first packet to it.
    fn is_predictable(self) -> bool {
        self.mapping == Dependence::Endpoint || self.ports == Ports::Preserving
    }

    /// The ways in which a packet of `from` gets in here and its answer gets in there.
    fn ways(self, from: Self) -> Vec<Way> {
        let mut ways = Vec::new();
        let forgiving = from.filtering < Dependence::AddressAndPort;
        if self.filtering == Dependence::Endpoint && (self.is_predictable() || forgiving) {
            // Through a mapping that was made for somebody else.
            ways.push(Way { crossed: !self.is_predictable(), guessed: Vec::new() });
        }
        let same_port = self.mapping < Dependence::AddressAndPort || self.ports == Ports::Preserving;
        if same_port || forgiving {
            let asks_ports = self.filtering == Dependence::AddressAndPort;
            let unknown = [(self, true), (from, asks_ports)].into_iter();
            let guessed =
                unknown.filter(|(side, counts)| *counts && !side.is_predictable()).map(|(side, _)| side.ports);
            ways.push(Way { crossed: !same_port, guessed: guessed.collect() });
        }
        ways
    }
}

/// How two hosts can meet.
#[derive(Clone, Debug)]
struct Way {
    /// Whether answers come from another port than the one that was written to.
    crossed: bool,
    /// The ports that must be guessed.
    guessed: Vec<Ports>,
}

impl Way {
    fn chance(&self) -> Chance {
        match *self.guessed.as_slice() {
            [] if self.crossed => Chance::Crossed,
            [] => Chance::Certain,
            [ports] => Chance::OnePort(ports),
            [one, other, ..] => Chance::TwoPorts(one.min(other), one.max(other)),
        }
    }

    fn hardness(&self) -> (usize, Option<u32>, bool) {
        (self.guessed.len(), self.guessed.iter().map(|&ports| hardness(ports)).max(), self.crossed)
    }
}

/// The ports that are guessed more easily come first.
fn hardness(ports: Ports) -> u32 {
    match ports {
        Ports::Preserving => 0,
        Ports::Sequential { .. } => 1,
        Ports::Block(size) => 1 + u32::from(size),
        Ports::Random => u32::MAX,
    }
}

fn meet(a: Side, b: Side) -> Chance {
    let blind = Way { crossed: false, guessed: vec![a.ports, b.ports] };
    let ways = [a.ways(b), b.ways(a)].concat();
    let chance = ways.iter().min_by_key(|way| way.hardness()).unwrap_or(&blind).chance();
    if let (Chance::OnePort(ports), false, false) = (chance, a.is_predictable(), b.is_predictable()) {
        return Chance::OneOfTwo(ports);
    }
    chance
}

/// What two NATs mean for two hosts behind them.
pub(crate) fn between(a: &Nat, b: &Nat) -> Chance {
    meet(Side::OPEN.behind(a), Side::OPEN.behind(b))
}

/// Whether two hosts can exchange datagrams without a third, at the moment.
pub(crate) fn direct(net: &Internet, a: HostId, b: HostId) -> Chance {
    if !net.lets_through(a, b, Protocol::Udp) || [a, b].iter().any(|&host| is_mute(net, host)) {
        return Chance::No;
    }
    let (places, both_v6) = ([net.host(a), net.host(b)], net.host(a).v6.is_some() && net.host(b).v6.is_some());
    if both_v6 {
        return Chance::Certain;
    }
    if places.iter().any(|place| place.v4.is_none()) {
        return Chance::No;
    }
    let (ups, others) = (net.chain(places[0].realm), net.chain(places[1].realm));
    let shared = ups.iter().rev().zip(others.iter().rev()).take_while(|(one, other)| one == other).count();
    let own = |chain: &[NatId]| chain[..chain.len() - shared].to_vec();
    let (left, right) = (own(&ups), own(&others));
    if shared > 0 && !(left.is_empty() && right.is_empty()) && !net.nat_of(ups[ups.len() - shared]).hairpin {
        return Chance::No;
    }
    let side =
        |chain: &[NatId], host| chain.iter().fold(firewall(net, host), |side, &nat| side.behind(net.nat_of(nat)));
    meet(side(&left, a), side(&right, b))
}

/// Whether nothing useful of a host's UDP passes.
fn is_mute(net: &Internet, host: HostId) -> bool {
    !net.host(host).up || net.host(host).isp.udp == UdpRule::Blocked
}

fn firewall(net: &Internet, host: HostId) -> Side {
    match net.host(host).isp.udp {
        UdpRule::AnswersOnly => Side { filtering: Dependence::AddressAndPort, ..Side::OPEN },
        UdpRule::Passes | UdpRule::Blocked | UdpRule::Policed { .. } | UdpRule::AfterAnswer { .. } => Side::OPEN,
    }
}

/// Whether one host can open a connection to the address of the other.
fn can_call(net: &Internet, caller: HostId, callee: HostId) -> bool {
    let (from, to) = (net.host(caller), net.host(callee));
    let lets = [from, to].iter().all(|place| place.isp.tcp == TcpRule::Passes);
    let v4 = to.v4.is_some() && from.v4.is_some() && (to.realm == PUBLIC || to.realm == from.realm);
    let v6 = to.v6.is_some() && from.v6.is_some();
    lets && net.passes(caller, callee) && (v4 || v6)
}

/// The pairs of running nodes that members could join: along connections whose caller has the other's address in its
/// own files and can open it.
pub(crate) fn joined(engine: &Engine) -> BTreeSet<(HostId, HostId)> {
    let runs = |host: &HostId| engine.machine(*host).is_running() && engine.net.host(*host).up;
    let hosts = (0..engine.machines.len()).filter_map(|index| u32::try_from(index).ok().map(HostId));
    let hosts: Vec<HostId> = hosts.filter(runs).collect();
    let knows = |a: HostId, b: HostId| {
        let file = engine.machine(a).whereabouts.get(&b);
        let asks = file == Some(&Whereabouts::Named) && engine.net.host(a).dns_dead;
        file.is_some_and(|file| *file != Whereabouts::Unknown) && !asks && can_call(&engine.net, a, b)
    };
    let mut pairs = BTreeSet::new();
    for &start in &hosts {
        let mut seen = BTreeSet::from([start]);
        let mut queue = VecDeque::from([start]);
        while let Some(here) = queue.pop_front() {
            for &next in &hosts {
                if !seen.contains(&next) && (knows(here, next) || knows(next, here)) {
                    seen.insert(next);
                    queue.push_back(next);
                }
            }
        }
        pairs.extend(seen.range(start..).filter(|&&end| end != start).map(|&end| (start, end)));
    }
    pairs
}

impl Internet {
    /// The NATs above a realm, from the inside out.
    fn chain(&self, mut realm: RealmId) -> Vec<NatId> {
        let mut chain = Vec::new();
        while let Some(nat) = self.gateway(realm) {
            chain.push(nat);
            realm = self.outer_realm(nat);
        }
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internet::Cut;

    const SEQUENTIAL: Ports = Ports::Sequential { step: 1 };

    fn behind(net: &mut Internet, nat: Nat) -> HostId {
        let nat = net.put_up(nat, None);
        join(net, nat)
    }

    fn join(net: &mut Internet, nat: NatId) -> HostId {
        let host = net.attach();
        let realm = net.inner_realm(nat);
        net.move_to(host, realm);
        host
    }

    #[test]
    fn the_table_of_pairs_is_followed() {
        let symmetric = Nat::symmetric().with_ports(SEQUENTIAL);
        let open = Nat { filtering: Dependence::Endpoint, ..Nat::symmetric() };
        let known = Nat { filtering: Dependence::Address, ..Nat::symmetric() };
        let cases = [
            (Nat::full_cone(), Nat::symmetric(), Chance::Certain),
            (Nat::restricted_cone(), Nat::symmetric(), Chance::Certain),
            (Nat::port_restricted_cone(), Nat::port_restricted_cone(), Chance::Certain),
            (Nat::port_restricted_cone(), Nat::linux(), Chance::Certain),
            (Nat::port_restricted_cone(), symmetric, Chance::OnePort(SEQUENTIAL)),
            (symmetric, Nat::symmetric(), Chance::TwoPorts(SEQUENTIAL, Ports::Random)),
            (Nat::linux(), Nat::symmetric(), Chance::OnePort(Ports::Random)),
            (open, open, Chance::Crossed),
            (open, known, Chance::Crossed),
            (open, Nat::symmetric(), Chance::TwoPorts(Ports::Random, Ports::Random)),
            (open, Nat::port_restricted_cone(), Chance::OnePort(Ports::Random)),
            (known, known, Chance::OneOfTwo(Ports::Random)),
        ];
        for (one, other, expected) in cases {
            let mut net = Internet::new();
            let (a, b) = (behind(&mut net, one), behind(&mut net, other));
            assert_eq!(direct(&net, a, b), expected, "{one:?} {other:?}");
            assert_eq!(direct(&net, b, a), expected, "{other:?} {one:?}");
            assert_eq!(between(&one, &other), expected);
        }
    }

    #[test]
    fn neighbours_need_nothing_and_insiders_of_one_carrier_need_hairpinning() {
        let mut net = Internet::new();
        let home = net.put_up(Nat::symmetric().without_hairpin(), None);
        let (a, b) = (join(&mut net, home), join(&mut net, home));
        assert_eq!(direct(&net, a, b), Chance::Certain);
        for (carrier, expected) in
            [(Nat::full_cone(), Chance::Certain), (Nat::full_cone().without_hairpin(), Chance::No)]
        {
            let carrier = net.put_up(carrier, None);
            let homes = [0; 2].map(|_| net.put_up(Nat::port_restricted_cone(), Some(carrier)));
            let [a, b] = homes.map(|home| join(&mut net, home));
            assert_eq!(direct(&net, a, b), expected);
        }
    }

    #[test]
    fn two_nats_in_a_row_are_as_strict_as_the_stricter() {
        let mut net = Internet::new();
        let carrier = net.put_up(Nat::symmetric(), None);
        let home = net.put_up(Nat::full_cone(), Some(carrier));
        let a = join(&mut net, home);
        let b = behind(&mut net, Nat::port_restricted_cone());
        let c = net.attach();
        assert_eq!(direct(&net, a, b), Chance::OnePort(Ports::Random));
        assert_eq!(direct(&net, a, c), Chance::Certain);
    }

    #[test]
    fn blocked_datagrams_leave_no_direct_way() {
        let mut net = Internet::new();
        let (a, b) = (net.attach(), net.attach());
        net.host_mut(a).isp.udp = UdpRule::Blocked;
        assert_eq!(direct(&net, a, b), Chance::No);
        net.host_mut(a).isp.udp = UdpRule::AnswersOnly;
        assert_eq!(direct(&net, a, b), Chance::Certain);
        net.cut(a, b, Some(Cut::Udp));
        assert_eq!(direct(&net, a, b), Chance::No);
    }

    #[test]
    fn connections_need_an_open_callee() {
        let mut net = Internet::new();
        let (a, b) = (net.attach(), behind(&mut net, Nat::full_cone()));
        assert!(can_call(&net, b, a) && !can_call(&net, a, b));
        net.host_mut(b).isp.tcp = TcpRule::WebOnly;
        assert!(!can_call(&net, b, a), "nodes listen on port 655");
    }
}
