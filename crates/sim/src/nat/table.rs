//! `NatTable`: the mappings of one NAT for one protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use tinmesh_core::time::Instant;

use crate::dice::Dice;
use crate::nat::ports::Allocator;
use crate::nat::{Dependence, Mappings, Nat, Ports, Refresh};

/// Dead mappings are swept out when there are so many in all.
const SWEEP_AT: usize = 8_192;

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

impl Entry {
    fn is_alive(&self, nat: &Nat, now: Instant) -> bool {
        now.since(self.used) < nat.lifetime
    }

    fn admits(&self, nat: &Nat, now: Instant, permission: Remote) -> bool {
        let permitted = match nat.filtering {
            Dependence::Endpoint => true,
            Dependence::Address | Dependence::AddressAndPort => {
                self.permitted.get(&permission).is_some_and(|&at| now.since(at) < nat.lifetime)
            }
        };
        permitted && self.is_alive(nat, now)
    }
}

/// A port that insiders asked the NAT to pass on.
#[derive(Clone, Debug)]
struct Forward {
    inside: SocketAddr,
    /// Who came in: the answers go out by this port too.
    guests: BTreeSet<SocketAddr>,
}

/// The mappings of one NAT for one protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct NatTable {
    forwards: BTreeMap<u16, Forward>,
    outward: BTreeMap<(SocketAddr, Remote), u16>,
    inward: BTreeMap<(u16, Remote), Entry>,
    allocator: Allocator,
    counts: BTreeMap<IpAddr, Mappings>,
}

impl NatTable {
    /// Passes everything that comes to `port` on to `inside`.
    pub(crate) fn forward(&mut self, port: u16, inside: SocketAddr) {
        self.forwards.insert(port, Forward { inside, guests: BTreeSet::new() });
    }

    /// The outer port for a packet from `inside` to `remote`, mapped anew if needed; `None`: there is none to be had.
    pub(crate) fn outbound(
        &mut self,
        nat: &Nat,
        now: Instant,
        inside: SocketAddr,
        remote: SocketAddr,
        dice: &mut Dice,
    ) -> Option<u16> {
        let answers = |(_, forward): &(&u16, &Forward)| forward.inside == inside && forward.guests.contains(&remote);
        if let Some((&port, _)) = self.forwards.iter().find(answers) {
            return Some(port);
        }
        let key = part(nat.mapping, remote);
        let known = self.outward.get(&(inside, key)).copied().filter(|&port| self.is_taken(nat, now, port, key));
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
    pub(crate) fn inbound(&mut self, nat: &Nat, now: Instant, port: u16, remote: SocketAddr) -> Option<SocketAddr> {
        if let Some(forward) = self.forwards.get_mut(&port) {
            forward.guests.insert(remote);
            return Some(forward.inside);
        }
        let permission = part(nat.filtering, remote);
        let exact = (port, part(nat.mapping, remote));
        let admits = |entry: &Entry| entry.admits(nat, now, permission);
        let key = if self.inward.get(&exact).is_some_and(admits) {
            exact
        } else {
            *self.through(port).find(|(_, entry)| admits(entry))?.0
        };
        let entry = self.inward.get_mut(&key)?;
        if nat.refresh == Refresh::BothWays {
            entry.used = now;
            entry.permitted.entry(permission).and_modify(|at| *at = now);
        }
        Some(entry.inside)
    }

    /// What was done for an inside address.
    pub(crate) fn mappings_of(&self, inside: IpAddr) -> Mappings {
        self.counts.get(&inside).copied().unwrap_or_default()
    }

    /// All entries of an outer port.
    fn through(&self, port: u16) -> impl Iterator<Item = (&(u16, Remote), &Entry)> {
        self.inward.range((port, None)..).take_while(move |((at, _), _)| *at == port)
    }

    fn is_taken(&self, nat: &Nat, now: Instant, port: u16, key: Remote) -> bool {
        self.inward.get(&(port, key)).is_some_and(|entry| entry.is_alive(nat, now))
    }

    /// Only a NAT that keeps ports lets mappings to different endpoints share one.
    fn is_free(&self, nat: &Nat, now: Instant, port: u16, key: Remote) -> bool {
        match nat.ports {
            Ports::Preserving => !self.is_taken(nat, now, port, key),
            Ports::Sequential { .. } | Ports::Random | Ports::Block(_) => {
                !self.through(port).any(|(_, entry)| entry.is_alive(nat, now))
            }
        }
    }

    fn map(&mut self, nat: &Nat, now: Instant, (inside, key): (SocketAddr, Remote), dice: &mut Dice) -> Option<u16> {
        if self.inward.len() > SWEEP_AT {
            self.sweep(nat, now);
        }
        let mut allocator = std::mem::take(&mut self.allocator);
        let port = if self.is_at_limit(nat, now, inside.ip()) {
            None
        } else {
            allocator.give(nat.ports, inside, dice, |port| self.is_free(nat, now, port, key))
        };
        self.allocator = allocator;
        let own = |port| self.through(port).any(|(_, entry)| entry.inside == inside && entry.is_alive(nat, now));
        let is_shared = port.is_some_and(own);
        let counts = self.counts.entry(inside.ip()).or_default();
        let Some(port) = port else {
            counts.refused += 1;
            return None;
        };
        counts.made += 1;
        counts.ports += u64::from(!is_shared);
        if let Some(stale) = self.inward.remove(&(port, key)) {
            self.outward.remove(&(stale.inside, key));
        }
        self.outward.insert((inside, key), port);
        self.inward.insert((port, key), Entry { inside, used: now, permitted: BTreeMap::new() });
        Some(port)
    }

    fn is_at_limit(&self, nat: &Nat, now: Instant, inside: IpAddr) -> bool {
        let Some(limit) = nat.limit else { return false };
        let alive = self.inward.values().filter(|entry| entry.inside.ip() == inside && entry.is_alive(nat, now));
        alive.count() >= limit as usize
    }

    fn sweep(&mut self, nat: &Nat, now: Instant) {
        self.inward.retain(|_, entry| entry.is_alive(nat, now));
        let inward = &self.inward;
        self.outward
            .retain(|(inside, key), port| inward.get(&(*port, *key)).is_some_and(|entry| entry.inside == *inside));
    }

    /// Forgets all mappings; the next ones get other ports where ports are not kept.
    pub(crate) fn forget(&mut self) {
        self.forwards.clear();
        self.outward.clear();
        self.inward.clear();
        self.allocator.forget();
    }
}
