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

#[cfg(test)]
mod tests;
mod way;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tinmesh_core::time::Instant;

use crate::isp::{Isp, IspMemory, Probes, Protocol};
use crate::nat::{Mappings, Nat, NatTable};

pub(crate) use way::Datagram;
pub use way::{Fate, Link, Parcel};

/// What the network interface of a host takes if nothing else is said, in bytes of IP packet.
pub(crate) const INTERFACE_MTU: u16 = 1500;
/// A system believes in a path MTU that it was told for so long, as Linux does.
const PATH_MTU_LIFETIME: Duration = Duration::from_secs(600);
/// The public IPv4 addresses: the range for benchmarks (RFC 2544).
const PUBLIC_V4: u32 = 0xc612_0000;
/// The addresses of every private realm.
const PRIVATE_V4: u32 = 0xc0a8_0000;
/// The public IPv6 addresses: the range for documentation (RFC 3849).
const PUBLIC_V6: u128 = 0x2001_0db8 << 96;

/// A host's place in all tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) u32);

impl HostId {
    /// The host that was attached after so many others.
    pub const fn of_index(index: u32) -> Self {
        Self(index)
    }

    /// How many hosts were attached before it.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A NAT box in the Internet; several hosts can live behind one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatId(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RealmId(usize);

impl RealmId {
    /// What tells it from others.
    pub(crate) const fn number(self) -> u64 {
        self.0 as u64
    }
}

/// The realm of public addresses.
pub(crate) const PUBLIC: RealmId = RealmId(0);

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
    pub(crate) isp: Isp,
    pub(crate) memory: IspMemory,
    /// Whether its name servers do not answer.
    pub(crate) dns_dead: bool,
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

impl NatBox {
    const fn table(&mut self, protocol: Protocol) -> &mut NatTable {
        match protocol {
            Protocol::Udp => &mut self.udp,
            Protocol::Tcp => &mut self.tcp,
        }
    }
}

/// The network between all hosts.
#[derive(Debug)]
pub struct Internet {
    hosts: Vec<Attachment>,
    realms: Vec<Realm>,
    nats: Vec<NatBox>,
    cuts: BTreeMap<(HostId, HostId), Cut>,
    /// Packets lost on the way from one host to another, per mille.
    losses: BTreeMap<(HostId, HostId), u16>,
    given_v6: u32,
}

impl Internet {
    /// Nothing but the public realm.
    #[expect(clippy::new_without_default, reason = "an empty Internet is made on purpose")]
    pub fn new() -> Self {
        Self {
            hosts: Vec::new(),
            realms: vec![Realm::default()],
            nats: Vec::new(),
            cuts: BTreeMap::new(),
            losses: BTreeMap::new(),
            given_v6: 0,
        }
    }

    /// Adds a host with a public IPv4 address.
    pub fn attach(&mut self) -> HostId {
        let id = HostId(u32::try_from(self.hosts.len()).expect("no test has four billion hosts"));
        self.hosts.push(Attachment {
            realm: PUBLIC,
            v4: None,
            v6: None,
            link: Link::default(),
            zone: 0,
            up: true,
            isp: Isp::default(),
            memory: IspMemory::default(),
            dns_dead: false,
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
    pub fn put_up(&mut self, nat: Nat, behind: Option<NatId>) -> NatId {
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

    /// Replaces a NAT by another, which knows nothing of the mappings.
    pub(crate) fn replace(&mut self, id: NatId, nat: Nat) {
        let place = &mut self.nats[id.0];
        (place.nat, place.udp, place.tcp) = (nat, NatTable::default(), NatTable::default());
    }

    pub(crate) fn inner_realm(&self, nat: NatId) -> RealmId {
        self.nats[nat.0].inner_realm
    }

    pub(crate) fn nat_of(&self, nat: NatId) -> &Nat {
        &self.nats[nat.0].nat
    }

    pub(crate) fn gateway(&self, realm: RealmId) -> Option<NatId> {
        self.realms[realm.0].gateway
    }

    pub(crate) fn outer_realm(&self, nat: NatId) -> RealmId {
        self.nats[nat.0].outer_realm
    }

    /// Gives a host a new IPv4 address in a realm.
    pub(crate) fn move_to(&mut self, host: HostId, realm: RealmId) {
        self.drop_v4(host);
        let IpAddr::V4(address) = self.give(realm, Owner::Host(host)) else { return };
        let attachment = self.host_mut(host);
        attachment.realm = realm;
        attachment.v4 = Some(address);
        attachment.epoch += 1;
        attachment.memory.forget();
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
    pub fn forget_mappings(&mut self, host: HostId) {
        let realm = self.host(host).realm;
        if let Some(nat) = self.realms[realm.0].gateway {
            self.nats[nat.0].udp.forget();
            self.nats[nat.0].tcp.forget();
            let insiders = self.hosts.iter_mut().filter(|attachment| attachment.realm == realm);
            insiders.for_each(|attachment| attachment.epoch += 1);
        }
    }

    /// Has the NAT in front of a host pass a port on to it; the address outside, if there is a NAT.
    pub(crate) fn forward(&mut self, host: HostId, inside: u16, outside: u16) -> Option<SocketAddr> {
        let attachment = self.host(host);
        let (nat, ip) = self.realms[attachment.realm.0].gateway.zip(attachment.v4)?;
        let nat = &mut self.nats[nat.0];
        nat.udp.forward(outside, SocketAddr::new(ip.into(), inside));
        Some(SocketAddr::new(nat.outer, outside))
    }

    /// What the NAT in front of a host has done for its datagrams.
    pub fn mappings_of(&self, host: HostId) -> Mappings {
        let attachment = self.host(host);
        let gateway = self.realms[attachment.realm.0].gateway.zip(attachment.v4);
        gateway.map_or_else(Mappings::default, |(nat, inside)| self.nats[nat.0].udp.mappings_of(inside.into()))
    }

    /// What a host sent to those who had not answered.
    pub fn probes_of(&self, host: HostId) -> Probes {
        self.host(host).memory.probes()
    }

    pub(crate) fn cut(&mut self, a: HostId, b: HostId, cut: Option<Cut>) {
        let pair = (a.min(b), a.max(b));
        match cut {
            Some(cut) => self.cuts.insert(pair, cut),
            None => self.cuts.remove(&pair),
        };
    }

    pub(crate) fn lose(&mut self, from: HostId, to: HostId, loss: u16) {
        self.losses.insert((from, to), loss);
    }

    /// Whether packets get from one host to the other at all.
    pub(crate) fn passes(&self, a: HostId, b: HostId) -> bool {
        let (from, to) = (self.host(a), self.host(b));
        let cut = self.cuts.get(&(a.min(b), a.max(b)));
        from.up && to.up && from.zone == to.zone && cut != Some(&Cut::All)
    }

    /// The same for one protocol.
    pub(crate) fn lets_through(&self, a: HostId, b: HostId, protocol: Protocol) -> bool {
        self.passes(a, b) && (protocol == Protocol::Tcp || !self.cuts.contains_key(&(a.min(b), a.max(b))))
    }

    /// The address from which a host would write to `to`.
    pub(crate) fn source(&self, host: HostId, to: SocketAddr) -> Option<IpAddr> {
        let attachment = self.host(host);
        if to.is_ipv4() { attachment.v4.map(IpAddr::V4) } else { attachment.v6.map(IpAddr::V6) }
    }

    fn realm_of(&self, host: HostId, to: SocketAddr) -> RealmId {
        if to.is_ipv4() { self.host(host).realm } else { PUBLIC }
    }

    /// Takes a host to the public realm, or behind a NAT: it gets a new IPv4 address there.
    pub fn settle_in(&mut self, host: HostId, nat: Option<NatId>) {
        let realm = nat.map_or(PUBLIC, |nat| self.inner_realm(nat));
        self.move_to(host, realm);
    }

    /// The IPv4 address of a host's interface.
    pub fn address(&self, host: HostId) -> Option<Ipv4Addr> {
        self.host(host).v4
    }

    /// What a host's provider does.
    pub fn isp_mut(&mut self, host: HostId) -> &mut Isp {
        &mut self.host_mut(host).isp
    }

    /// The wire of a host.
    pub fn link_mut(&mut self, host: HostId) -> &mut Link {
        &mut self.host_mut(host).link
    }

    /// What a host's system believes of the way to `to`.
    pub(crate) fn path_mtu(&self, now: Instant, host: HostId, to: IpAddr) -> u16 {
        let told = self.host(host).path_mtu.get(&to).filter(|(_, at)| now.since(*at) < PATH_MTU_LIFETIME);
        told.map_or_else(|| self.host(host).link.interface, |&(mtu, _)| mtu)
    }

    /// A host's system is told of a narrow link.
    pub(crate) fn learn_path_mtu(&mut self, now: Instant, host: HostId, to: IpAddr, mtu: u16) {
        self.host_mut(host).path_mtu.insert(to, (mtu, now));
    }
}
