//! `Internet`: addresses, links, NATs and what gets lost between them.
//!
//! ```text
//!  host ── link ──┐  realm behind a NAT            the public realm
//!  host ── link ──┴───────── NAT ───────────┬──────────────────────── link ── host
//!                                          NAT ── link ── host
//! ```
//!
//! A datagram crosses the sender's link, climbs out of private realms (mappings are made), waits for the latency,
//! descends into the receiver's realm (filters are asked at that time) and crosses the receiver's link.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tinmesh_core::packet::Packet;
use tinmesh_core::time::Instant;

use crate::dice::Dice;
use crate::nat::{Nat, NatTable};

/// What the network interface of every host takes, in bytes of IP packet.
pub(crate) const INTERFACE_MTU: u16 = 1500;
/// A system believes in a path MTU that it was told for so long, as Linux does.
const PATH_MTU_LIFETIME: Duration = Duration::from_secs(600);
/// The public IPv4 addresses: the range for benchmarks (RFC 2544).
const PUBLIC_V4: u32 = 0xc612_0000;
/// The addresses of every private realm.
const PRIVATE_V4: u32 = 0xc0a8_0000;
/// The public IPv6 addresses: the range for documentation (RFC 3849).
const PUBLIC_V6: u128 = 0x2001_0db8 << 96;
const UDP_HEADER: usize = 8;

/// A host's place in all tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostId(pub(crate) u32);

impl HostId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A NAT box in the Internet; several hosts can live behind one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatId(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RealmId(usize);

/// The realm of public addresses.
pub(crate) const PUBLIC: RealmId = RealmId(0);

/// The wire between a host and its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// How long a packet takes to cross it.
    pub latency: Duration,
    /// Up to so much more, drawn for every datagram; larger than the distance of packets, it reorders them.
    pub jitter: Duration,
    /// Datagrams lost, per mille.
    pub loss: u16,
    /// Datagrams that arrive twice, per mille.
    pub duplication: u16,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
    /// Whether the sender is told of larger ones.
    pub icmp: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0,
            duplication: 0,
            mtu: INTERFACE_MTU,
            icmp: true,
        }
    }
}

/// How far two hosts are cut off from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// UDP is lost.
    Udp,
    /// Everything is lost.
    All,
}

/// Where a host is.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) realm: RealmId,
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<Ipv6Addr>,
    pub(crate) link: Link,
    /// Hosts of different zones do not hear each other.
    pub(crate) zone: u32,
    pub(crate) up: bool,
    pub(crate) udp_blocked: bool,
    /// Grows when addresses or mappings change: connections from before are dead.
    pub(crate) epoch: u32,
    path_mtu: BTreeMap<IpAddr, (u16, Instant)>,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Host(HostId),
    Nat(NatId),
}

#[derive(Debug, Default)]
struct Realm {
    owners: BTreeMap<IpAddr, Owner>,
    gateway: Option<NatId>,
    given: u32,
}

#[derive(Debug)]
struct NatBox {
    nat: Nat,
    outer: IpAddr,
    outer_realm: RealmId,
    inner_realm: RealmId,
    udp: NatTable,
    tcp: NatTable,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    /// Who sent it.
    pub(crate) origin: HostId,
    /// Where the sender thinks it goes.
    pub(crate) sent_to: SocketAddr,
    /// Where it seems to come from, and goes, in the realm that it is in.
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    realm: RealmId,
    pub(crate) packet: Packet,
    /// The relays that passed this datagram on, unopened.
    pub(crate) relays: Vec<HostId>,
}

/// What becomes of a datagram on a link.
#[derive(Debug)]
pub(crate) enum Fate {
    /// The sender's system refuses it as too long.
    TooBig,
    /// It is gone.
    Lost,
    /// It is gone, and the sender will be told the MTU of the link.
    Bounced { mtu: u16 },
    /// It goes on after so long.
    Travels { after: Duration, twice: bool },
}

/// The network between all hosts.
#[derive(Debug)]
pub(crate) struct Internet {
    hosts: Vec<Attachment>,
    realms: Vec<Realm>,
    nats: Vec<NatBox>,
    cuts: BTreeMap<(HostId, HostId), Cut>,
    given_v6: u32,
}

impl Internet {
    pub(crate) fn new() -> Self {
        Self { hosts: Vec::new(), realms: vec![Realm::default()], nats: Vec::new(), cuts: BTreeMap::new(), given_v6: 0 }
    }

    /// Adds a host with a public IPv4 address.
    pub(crate) fn attach(&mut self) -> HostId {
        let id = HostId(u32::try_from(self.hosts.len()).expect("no test has four billion hosts"));
        self.hosts.push(Attachment {
            realm: PUBLIC,
            v4: None,
            v6: None,
            link: Link::default(),
            zone: 0,
            up: true,
            udp_blocked: false,
            epoch: 0,
            path_mtu: BTreeMap::new(),
        });
        self.move_to(id, PUBLIC);
        id
    }

    pub(crate) fn host(&self, host: HostId) -> &Attachment {
        &self.hosts[host.index()]
    }

    pub(crate) fn host_mut(&mut self, host: HostId) -> &mut Attachment {
        &mut self.hosts[host.index()]
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Attachment> {
        self.hosts.iter_mut()
    }

    /// Puts up a NAT whose outer side is in the public realm, or behind another NAT.
    pub(crate) fn put_up(&mut self, nat: Nat, behind: Option<NatId>) -> NatId {
        let id = NatId(self.nats.len());
        let outer_realm = behind.map_or(PUBLIC, |outer| self.nats[outer.0].inner_realm);
        let inner_realm = RealmId(self.realms.len());
        self.realms.push(Realm { gateway: Some(id), ..Realm::default() });
        let outer = self.give(outer_realm, Owner::Nat(id));
        self.nats.push(NatBox {
            nat,
            outer,
            outer_realm,
            inner_realm,
            udp: NatTable::default(),
            tcp: NatTable::default(),
        });
        id
    }

    fn give(&mut self, realm: RealmId, owner: Owner) -> IpAddr {
        let base = if realm == PUBLIC { PUBLIC_V4 } else { PRIVATE_V4 };
        let place = &mut self.realms[realm.0];
        place.given += 1;
        let address = IpAddr::V4(Ipv4Addr::from_bits(base + place.given));
        place.owners.insert(address, owner);
        address
    }

    pub(crate) fn inner_realm(&self, nat: NatId) -> RealmId {
        self.nats[nat.0].inner_realm
    }

    /// Gives a host a new IPv4 address in a realm.
    pub(crate) fn move_to(&mut self, host: HostId, realm: RealmId) {
        self.drop_v4(host);
        let IpAddr::V4(address) = self.give(realm, Owner::Host(host)) else { return };
        let attachment = self.host_mut(host);
        attachment.realm = realm;
        attachment.v4 = Some(address);
        attachment.epoch += 1;
    }

    pub(crate) fn drop_v4(&mut self, host: HostId) {
        let realm = self.host(host).realm;
        if let Some(address) = self.host_mut(host).v4.take() {
            self.realms[realm.0].owners.remove(&IpAddr::V4(address));
        }
    }

    /// Gives a host a public IPv6 address.
    pub(crate) fn add_v6(&mut self, host: HostId) {
        self.given_v6 += 1;
        let address = Ipv6Addr::from_bits(PUBLIC_V6 | u128::from(self.given_v6));
        self.realms[PUBLIC.0].owners.insert(IpAddr::V6(address), Owner::Host(host));
        self.host_mut(host).v6 = Some(address);
    }

    /// The NAT in front of a host loses its mappings.
    pub(crate) fn forget_mappings(&mut self, host: HostId) {
        let realm = self.host(host).realm;
        if let Some(nat) = self.realms[realm.0].gateway {
            self.nats[nat.0].udp.forget();
            self.nats[nat.0].tcp.forget();
            let insiders = self.hosts.iter_mut().filter(|attachment| attachment.realm == realm);
            insiders.for_each(|attachment| attachment.epoch += 1);
        }
    }

    pub(crate) fn cut(&mut self, a: HostId, b: HostId, cut: Option<Cut>) {
        let pair = (a.min(b), a.max(b));
        match cut {
            Some(cut) => self.cuts.insert(pair, cut),
            None => self.cuts.remove(&pair),
        };
    }

    /// Whether packets get from one host to the other at all.
    pub(crate) fn passes(&self, a: HostId, b: HostId) -> bool {
        let (from, to) = (self.host(a), self.host(b));
        let cut = self.cuts.get(&(a.min(b), a.max(b)));
        from.up && to.up && from.zone == to.zone && cut != Some(&Cut::All)
    }

    fn passes_udp(&self, a: HostId, b: HostId) -> bool {
        let blocked = self.host(a).udp_blocked || self.host(b).udp_blocked;
        self.passes(a, b) && !blocked && !self.cuts.contains_key(&(a.min(b), a.max(b)))
    }

    /// The address from which a host would write to `to`.
    pub(crate) fn source(&self, host: HostId, to: SocketAddr) -> Option<IpAddr> {
        let attachment = self.host(host);
        if to.is_ipv4() { attachment.v4.map(IpAddr::V4) } else { attachment.v6.map(IpAddr::V6) }
    }

    fn realm_of(&self, host: HostId, to: SocketAddr) -> RealmId {
        if to.is_ipv4() { self.host(host).realm } else { PUBLIC }
    }

    /// A datagram as a host's system would send it.
    pub(crate) fn datagram(&self, origin: HostId, port: u16, to: SocketAddr, packet: Packet) -> Option<Datagram> {
        let from = SocketAddr::new(self.source(origin, to)?, port);
        let realm = self.realm_of(origin, to);
        Some(Datagram { origin, sent_to: to, from, to, realm, packet, relays: Vec::new() })
    }

    /// The sender's link and the way out of its realms.
    pub(crate) fn depart(&mut self, now: Instant, datagram: &mut Datagram, dice: &mut Dice) -> Fate {
        let known = self.path_mtu(now, datagram.origin, datagram.to.ip());
        if ip_len(datagram) > usize::from(known) {
            return Fate::TooBig;
        }
        let host = self.host(datagram.origin);
        if !host.up || host.udp_blocked {
            return Fate::Lost;
        }
        let fate = cross(&host.link, datagram, dice);
        if matches!(fate, Fate::Travels { .. }) && self.climb(now, datagram, dice).is_none() {
            return Fate::Lost;
        }
        fate
    }

    fn climb(&mut self, now: Instant, datagram: &mut Datagram, dice: &mut Dice) -> Option<()> {
        while !self.realms[datagram.realm.0].owners.contains_key(&datagram.to.ip()) {
            let gateway = self.realms[datagram.realm.0].gateway?;
            let NatBox { nat, outer, outer_realm, udp, .. } = &mut self.nats[gateway.0];
            if *outer == datagram.to.ip() && !nat.hairpin {
                return None;
            }
            let port = udp.outbound(nat, now, datagram.from, datagram.to, dice)?;
            datagram.from = SocketAddr::new(*outer, port);
            datagram.realm = *outer_realm;
        }
        Some(())
    }

    /// The way into the receiver's realm and over its link.
    pub(crate) fn enter(&self, now: Instant, datagram: &mut Datagram, dice: &mut Dice) -> Option<(HostId, Fate)> {
        let receiver = self.descend(now, datagram)?;
        if !self.passes_udp(datagram.origin, receiver) {
            return None;
        }
        Some((receiver, cross(&self.host(receiver).link, datagram, dice)))
    }

    fn descend(&self, now: Instant, datagram: &mut Datagram) -> Option<HostId> {
        loop {
            match *self.realms[datagram.realm.0].owners.get(&datagram.to.ip())? {
                Owner::Host(host) => return Some(host),
                Owner::Nat(id) => {
                    let NatBox { nat, inner_realm, udp, .. } = &self.nats[id.0];
                    datagram.to = udp.inbound(nat, now, datagram.to.port(), datagram.from)?;
                    datagram.realm = *inner_realm;
                }
            }
        }
    }

    /// Who answers a TCP connection to `to`, and as whom the caller appears there; NATs let none in.
    pub(crate) fn call(
        &mut self,
        now: Instant,
        caller: HostId,
        to: SocketAddr,
        dice: &mut Dice,
    ) -> Option<(HostId, SocketAddr)> {
        let port = u16::try_from(32_768 + dice.below(28_000)).unwrap_or(u16::MAX);
        let mut from = SocketAddr::new(self.source(caller, to)?, port);
        let mut realm = self.realm_of(caller, to);
        loop {
            match self.realms[realm.0].owners.get(&to.ip()) {
                Some(Owner::Host(host)) => return Some((*host, from)),
                Some(Owner::Nat(_)) => return None,
                None => {}
            }
            let gateway = self.realms[realm.0].gateway?;
            let NatBox { nat, outer, outer_realm, tcp, .. } = &mut self.nats[gateway.0];
            let port = tcp.outbound(nat, now, from, to, dice)?;
            from = SocketAddr::new(*outer, port);
            realm = *outer_realm;
        }
    }

    /// What a host's system believes of the way to `to`.
    pub(crate) fn path_mtu(&self, now: Instant, host: HostId, to: IpAddr) -> u16 {
        let told = self.host(host).path_mtu.get(&to).filter(|(_, at)| now.since(*at) < PATH_MTU_LIFETIME);
        told.map_or(INTERFACE_MTU, |&(mtu, _)| mtu)
    }

    /// A host's system is told of a narrow link.
    pub(crate) fn learn_path_mtu(&mut self, now: Instant, host: HostId, to: IpAddr, mtu: u16) {
        self.host_mut(host).path_mtu.insert(to, (mtu, now));
    }
}

/// Length of the IP packet that carries a datagram, in bytes.
fn ip_len(datagram: &Datagram) -> usize {
    let header = if datagram.to.is_ipv4() { 20 } else { 40 };
    datagram.packet.len() + UDP_HEADER + header
}

fn cross(link: &Link, datagram: &Datagram, dice: &mut Dice) -> Fate {
    if ip_len(datagram) > usize::from(link.mtu) {
        return if link.icmp { Fate::Bounced { mtu: link.mtu } } else { Fate::Lost };
    }
    if dice.chance(link.loss) {
        return Fate::Lost;
    }
    let jitter = Duration::from_micros(dice.below(u64::try_from(link.jitter.as_micros()).unwrap_or(u64::MAX)));
    Fate::Travels { after: link.latency + jitter, twice: dice.chance(link.duplication) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 655;

    struct Bench {
        net: Internet,
        dice: Dice,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { net: Internet::new(), dice: Dice::new(1), now: Instant::from_micros(5) }
        }

        fn behind(&mut self, nat: NatId) -> HostId {
            let host = self.net.attach();
            let realm = self.net.inner_realm(nat);
            self.net.move_to(host, realm);
            host
        }

        fn address(&self, host: HostId) -> SocketAddr {
            SocketAddr::new(self.net.host(host).v4.expect("has IPv4").into(), PORT)
        }

        /// Sends a datagram of `len` bytes; tells who got it, and from where.
        fn send(&mut self, from: HostId, to: SocketAddr, len: usize) -> Result<(HostId, SocketAddr), Fate> {
            let packet = Packet::from_payload(&vec![7; len]);
            let mut datagram = self.net.datagram(from, PORT, to, packet).ok_or(Fate::Lost)?;
            match self.net.depart(self.now, &mut datagram, &mut self.dice) {
                Fate::Travels { .. } => {}
                other @ (Fate::TooBig | Fate::Lost | Fate::Bounced { .. }) => return Err(other),
            }
            match self.net.enter(self.now, &mut datagram, &mut self.dice) {
                Some((host, Fate::Travels { .. })) => Ok((host, datagram.from)),
                Some((_, other)) => Err(other),
                None => Err(Fate::Lost),
            }
        }
    }

    #[test]
    fn a_nat_hides_its_insiders_and_lets_answers_in() {
        let mut bench = Bench::new();
        let server = bench.net.attach();
        let nat = bench.net.put_up(Nat::symmetric(), None);
        let inside = bench.behind(nat);
        let (to, seen) = bench.send(inside, bench.address(server), 100).expect("gets out");
        assert_eq!(to, server);
        assert_eq!(seen.ip(), bench.net.nats[0].outer);
        assert_eq!(bench.send(server, seen, 100).expect("gets in").0, inside);
        let stranger = bench.net.attach();
        assert!(matches!(bench.send(stranger, seen, 100), Err(Fate::Lost)));
        assert!(matches!(bench.send(server, bench.address(inside), 100), Err(Fate::Lost)));
    }

    #[test]
    fn nested_nats_translate_twice() {
        let mut bench = Bench::new();
        let server = bench.net.attach();
        let carrier = bench.net.put_up(Nat::full_cone(), None);
        let home = bench.net.put_up(Nat::full_cone(), Some(carrier));
        let inside = bench.behind(home);
        let (_, seen) = bench.send(inside, bench.address(server), 100).expect("gets out");
        assert_eq!(seen.ip(), bench.net.nats[0].outer);
        assert_eq!(bench.send(server, seen, 9).expect("gets in").0, inside);
    }

    #[test]
    fn insiders_meet_at_home_and_by_hairpin_if_there_is_one() {
        for (nat, works) in [(Nat::full_cone(), true), (Nat::full_cone().without_hairpin(), false)] {
            let mut bench = Bench::new();
            let server = bench.net.attach();
            let nat = bench.net.put_up(nat, None);
            let (one, two) = (bench.behind(nat), bench.behind(nat));
            let (_, seen) = bench.send(one, bench.address(server), 1).expect("gets out");
            assert_eq!(bench.send(two, seen, 1).is_ok(), works);
            assert_eq!(bench.send(two, bench.address(one), 1).expect("a neighbour").0, one);
        }
    }

    #[test]
    fn a_narrow_link_bounces_or_swallows_what_is_too_long() {
        let mut bench = Bench::new();
        let (a, b) = (bench.net.attach(), bench.net.attach());
        let to = bench.address(b);
        assert!(matches!(bench.send(a, to, 1473), Err(Fate::TooBig)));
        bench.net.host_mut(b).link.mtu = 1280;
        assert!(matches!(bench.send(a, to, 1253), Err(Fate::Bounced { mtu: 1280 })));
        assert!(bench.send(a, to, 1252).is_ok());
        bench.net.host_mut(b).link.icmp = false;
        assert!(matches!(bench.send(a, to, 1253), Err(Fate::Lost)));
        bench.net.learn_path_mtu(bench.now, a, to.ip(), 1280);
        assert!(matches!(bench.send(a, to, 1253), Err(Fate::TooBig)));
    }

    #[test]
    fn tcp_goes_out_through_a_nat_but_not_in() {
        let mut bench = Bench::new();
        let server = bench.net.attach();
        let nat = bench.net.put_up(Nat::full_cone(), None);
        let inside = bench.behind(nat);
        let (at, insider) = (bench.address(server), bench.address(inside));
        let outer = SocketAddr::new(bench.net.nats[0].outer, PORT);
        let Bench { net, dice, now } = &mut bench;
        assert_eq!(net.call(*now, inside, at, dice).expect("gets out").1.ip(), outer.ip());
        assert!(net.call(*now, server, outer, dice).is_none());
        assert!(net.call(*now, server, insider, dice).is_none());
    }

    #[test]
    fn a_partition_separates_zones_and_a_cut_two_hosts() {
        let mut bench = Bench::new();
        let (a, b, c) = (bench.net.attach(), bench.net.attach(), bench.net.attach());
        bench.net.host_mut(a).zone = 1;
        assert!(!bench.net.passes(a, b) && bench.net.passes(b, c));
        bench.net.host_mut(a).zone = 0;
        bench.net.cut(b, a, Some(Cut::Udp));
        assert!(bench.net.passes(a, b) && !bench.net.passes_udp(a, b) && bench.net.passes_udp(a, c));
    }
}
