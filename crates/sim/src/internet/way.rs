//! The way of one packet: over its sender's access, out of private realms, into its receiver's, and over that access.

use std::net::SocketAddr;
use std::time::Duration;

use tinmesh_core::packet::Packet;
use tinmesh_core::time::Instant;

use super::{HostId, INTERFACE_MTU, Internet, Owner, RealmId};
use crate::dice::Dice;
use crate::isp::{Protocol, Sight};

const UDP_HEADER: usize = 8;

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
    /// What the interface of a simulated host takes, which its system knows, in bytes of IP packet.
    pub interface: u16,
    /// Whether the sender is told of larger ones.
    pub icmp: bool,
    /// Bytes that its connections carry in a second; `None`: any number. Datagrams are not held up.
    pub pace: Option<u32>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0,
            duplication: 0,
            interface: INTERFACE_MTU,
            mtu: INTERFACE_MTU,
            icmp: true,
            pace: None,
        }
    }
}

/// What the network reads of a packet on its way, and writes: addresses.
#[derive(Clone, Copy, Debug)]
pub struct Parcel {
    /// Who sent it.
    pub origin: HostId,
    /// What it is.
    pub protocol: Protocol,
    /// Where the sender thinks it goes.
    pub sent_to: SocketAddr,
    /// Where it seems to come from, in the realm that it is in.
    pub from: SocketAddr,
    /// Where it goes, in the realm that it is in.
    pub to: SocketAddr,
    /// Length of the IP packet, in bytes.
    pub len: usize,
    /// Whether it is a piece of a longer packet.
    pub fragment: bool,
    realm: RealmId,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) parcel: Parcel,
    pub(crate) packet: Packet,
    /// The relays that passed this datagram on, unopened.
    pub(crate) relays: Vec<HostId>,
}

/// What becomes of a packet on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The sender's system refuses it as too long.
    TooBig,
    /// It is gone.
    Lost,
    /// It is gone, and the sender will be told the MTU of the link.
    Bounced {
        /// In bytes of IP packet.
        mtu: u16,
    },
    /// It goes on.
    Travels {
        /// After so long.
        after: Duration,
        /// And once more.
        twice: bool,
    },
}

impl Internet {
    /// A datagram as a host's system would send it.
    pub(crate) fn datagram(&self, origin: HostId, port: u16, to: SocketAddr, packet: Packet) -> Option<Datagram> {
        let from = SocketAddr::new(self.source(origin, to)?, port);
        let header = if to.is_ipv4() { 20 } else { 40 };
        let parcel = self.parcel(origin, Protocol::Udp, (from, to), packet.len() + UDP_HEADER + header);
        Some(Datagram { parcel, packet, relays: Vec::new() })
    }

    /// A packet of `len` bytes that leaves a host.
    pub fn parcel(
        &self,
        origin: HostId,
        protocol: Protocol,
        (from, to): (SocketAddr, SocketAddr),
        len: usize,
    ) -> Parcel {
        let realm = self.realm_of(origin, to);
        Parcel { origin, protocol, sent_to: to, from, to, len, fragment: false, realm }
    }

    /// The sender's access and the way out of its realms.
    pub fn depart(&mut self, now: Instant, parcel: &mut Parcel, dice: &mut Dice) -> Fate {
        let known = self.path_mtu(now, parcel.origin, parcel.to.ip());
        if parcel.len > usize::from(known) {
            return Fate::TooBig;
        }
        if !self.host(parcel.origin).up || !self.may_pass(now, parcel.origin, parcel, true) {
            return Fate::Lost;
        }
        let fate = cross(&self.host(parcel.origin).link, parcel, dice);
        if matches!(fate, Fate::Travels { .. }) && self.climb(now, parcel, dice).is_none() {
            return Fate::Lost;
        }
        fate
    }

    fn may_pass(&mut self, now: Instant, host: HostId, parcel: &Parcel, outward: bool) -> bool {
        let (own, remote) = if outward { (parcel.from, parcel.to) } else { (parcel.to, parcel.from) };
        let Parcel { protocol, len, fragment, .. } = *parcel;
        let sight = Sight { protocol, port: own.port(), remote, len, fragment, outward };
        let place = self.host_mut(host);
        place.memory.passes(&place.isp, now, sight)
    }

    fn climb(&mut self, now: Instant, parcel: &mut Parcel, dice: &mut Dice) -> Option<()> {
        while !self.realms[parcel.realm.0].owners.contains_key(&parcel.to.ip()) {
            let gateway = self.realms[parcel.realm.0].gateway?;
            let place = &mut self.nats[gateway.0];
            let (nat, outer) = (place.nat, place.outer);
            if outer == parcel.to.ip() && !nat.hairpin {
                return None;
            }
            let port = place.table(parcel.protocol).outbound(&nat, now, parcel.from, parcel.to, dice)?;
            parcel.from = SocketAddr::new(outer, port);
            parcel.realm = place.outer_realm;
        }
        Some(())
    }

    /// The way into the receiver's realm and over its access.
    pub fn enter(&mut self, now: Instant, parcel: &mut Parcel, dice: &mut Dice) -> Option<(HostId, Fate)> {
        let receiver = self.descend(now, parcel)?;
        let passes = self.lets_through(parcel.origin, receiver, parcel.protocol);
        if !passes || !self.may_pass(now, receiver, parcel, false) {
            return None;
        }
        if dice.chance(self.losses.get(&(parcel.origin, receiver)).copied().unwrap_or(0)) {
            return None;
        }
        Some((receiver, cross(&self.host(receiver).link, parcel, dice)))
    }

    fn descend(&mut self, now: Instant, parcel: &mut Parcel) -> Option<HostId> {
        loop {
            match *self.realms[parcel.realm.0].owners.get(&parcel.to.ip())? {
                Owner::Host(host) => return Some(host),
                Owner::Nat(id) => {
                    let place = &mut self.nats[id.0];
                    let nat = place.nat;
                    let port = parcel.to.port();
                    parcel.to = place.table(parcel.protocol).inbound(&nat, now, port, parcel.from)?;
                    parcel.realm = place.inner_realm;
                }
            }
        }
    }

    /// Whether the NAT that a packet comes to answers with a reset if it does not let it in.
    pub(crate) fn resets(&self, parcel: &Parcel) -> bool {
        match self.realms[parcel.realm.0].owners.get(&parcel.to.ip()) {
            Some(Owner::Nat(id)) => parcel.protocol == Protocol::Tcp && self.nats[id.0].nat.resets,
            Some(Owner::Host(_)) | None => false,
        }
    }

    /// Who answers a TCP connection to `to`, and as whom the caller appears there; NATs let none in.
    pub(crate) fn call(
        &mut self,
        now: Instant,
        caller: HostId,
        (from, to): (Option<u16>, SocketAddr),
        dice: &mut Dice,
    ) -> Option<(HostId, SocketAddr)> {
        let port = from.unwrap_or_else(|| u16::try_from(32_768 + dice.below(28_000)).unwrap_or(u16::MAX));
        let from = SocketAddr::new(self.source(caller, to)?, port);
        let mut parcel = self.parcel(caller, Protocol::Tcp, (from, to), 60);
        if !self.may_pass(now, caller, &parcel, true) {
            return None;
        }
        self.climb(now, &mut parcel, dice)?;
        match *self.realms[parcel.realm.0].owners.get(&to.ip())? {
            Owner::Host(host) => self.may_pass(now, host, &parcel, false).then_some((host, parcel.from)),
            Owner::Nat(_) => None,
        }
    }
}

fn cross(link: &Link, parcel: &Parcel, dice: &mut Dice) -> Fate {
    if parcel.len > usize::from(link.mtu) {
        return if link.icmp { Fate::Bounced { mtu: link.mtu } } else { Fate::Lost };
    }
    if dice.chance(link.loss) {
        return Fate::Lost;
    }
    let jitter = Duration::from_micros(dice.below(u64::try_from(link.jitter.as_micros()).unwrap_or(u64::MAX)));
    Fate::Travels { after: link.latency + jitter, twice: dice.chance(link.duplication) }
}
