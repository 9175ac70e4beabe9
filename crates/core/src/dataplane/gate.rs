//! `Gate`: what members may send, as the packet path reads it.
//!
//! The node compiles it of the statements that hold (`node/gate.rs`) whenever those change, and publishes it within the
//! snapshot. A network that is open and where nobody has said anything has none: its packets pay one branch.
//!
//! ```text
//! opened, of P ──► admit: from an address of P? within P's rate? ──► route ──► for us: Filter
//! to be relayed ─► carry: may all of them relay? within the sender's rate and volume?
//! ```
//!
//! **Whose packet is it?** Packets are sealed from end to end, so whoever sealed one is its origin, and may use the
//! addresses that it owns. Two kinds are opened on the way, sealed anew, and thus come from somebody else: packets for
//! everyone, which go along the spanning tree, and those of nodes that speak the protocol of tinc 1.0. A neighbour in the
//! tree may hand on what nodes behind it send to everyone, and the node before one of tinc 1.0 what that one sends, as long as it may relay.
//! A node with `Forwarding = kernel` sends everything as its own, so it needs to own the addresses.
//!
//! Packets to be relayed are charged to whoever handed them to us: an origin that they name could be somebody's invention.
//!
//! Source: design of fides, 5.

mod filter;
mod flow;
mod pace;
mod table;
mod volume;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use filter::{Filter, Reach};
pub use pace::Pace;
pub use volume::{Volume, Wall};

use crate::crypto::keys::PublicKey;
use crate::dataplane::ethernet::{Mac, network_offset};
use crate::dataplane::fib::{Broadcast, Fib, Mode, PeerEntry};
use crate::dataplane::ip::{self, Family, ICMPV6, V6_HEADER, V6_NEXT};
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::DropReason;
use crate::name::PeerId;
use crate::packet::ETHERNET_HEADER;
use crate::subnet::{Address, Owner};
use crate::time::Instant;

/// ICMPv6 types of neighbour discovery.
const DISCOVERY: RangeInclusive<u8> = 133..=137;
/// Smallest minor of nodes that seal packets from end to end.
const SEALING_MINOR: u8 = 2;

/// What members may send.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Whether IP packets come from addresses of their sender only: so it is in a closed network.
    pub checks_sources: bool,
    /// Who may have a station on his wire, of those that are named; without any, frames come from everywhere.
    pub stations: Option<BTreeMap<Mac, Vec<PeerId>>>,
    /// What each node may, by [`PeerId`].
    pub rights: Vec<Option<Arc<Rights>>>,
    /// The conversations of this node, if it is said who may begin them.
    pub filter: Option<Arc<Filter>>,
    /// The time of day.
    pub wall: Arc<Wall>,
}

/// What one node may.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// The key by which that was found out.
    pub key: Option<PublicKey>,
    /// Whether it may carry packets of others, and have its own carried.
    pub relay: Relay,
    /// How fast it may send; `None`: as it likes.
    pub pace: Option<Arc<Pace>>,
    /// Stations from which its frames may come.
    pub stations: Stations,
    /// What it may begin with this node.
    pub reach: Arc<Reach>,
}

/// Whether a node may relay, and be relayed for.
#[derive(Clone, Debug, Default)]
pub enum Relay {
    /// Neither.
    #[default]
    No,
    /// Both.
    Yes,
    /// Both; others carry so much for it.
    UpTo(Arc<Volume>),
}

/// Stations from which frames of a node may come, where not all may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stations {
    /// All.
    Any,
    /// These, in order.
    These(Box<[Mac]>),
}

impl Default for Stations {
    fn default() -> Self {
        Self::These(Box::default())
    }
}

impl Stations {
    fn has(&self, mac: Mac) -> bool {
        match self {
            Self::Any => true,
            Self::These(stations) => stations.binary_search(&mac).is_ok(),
        }
    }
}

impl Rights {
    /// Whether it may carry packets of others, and have its own carried.
    pub const fn may_relay(&self) -> bool {
        !matches!(self.relay, Relay::No)
    }

    /// What others carry for it on one day, if that is limited.
    pub fn volume(&self) -> Option<&Volume> {
        match &self.relay {
            Relay::UpTo(volume) => Some(volume),
            Relay::No | Relay::Yes => None,
        }
    }
}

impl Gate {
    /// What a node may; `None`: nobody knows it.
    pub fn rights(&self, peer: PeerId) -> Option<&Rights> {
        self.rights.get(peer.index())?.as_deref()
    }

    /// Whether a node may carry packets of others, and have its own carried.
    pub fn may_relay(&self, peer: PeerId) -> bool {
        self.rights(peer).is_some_and(Rights::may_relay)
    }

    /// The rights of a node for which this one may relay.
    fn relaying(&self, sender: PeerId) -> Result<&Rights, DropReason> {
        let rights = self.rights(sender).filter(|rights| rights.may_relay() && self.may_relay(PeerId::ME));
        rights.ok_or(DropReason::RelayDenied)
    }

    fn count(&self, rights: &Rights, len: usize, scratch: &Scratch) -> Result<(), DropReason> {
        let has_room = rights.volume().is_none_or(|volume| volume.take(self.wall.day(scratch.now), len));
        if has_room { Ok(()) } else { Err(DropReason::OverVolume) }
    }
}

/// A datagram between two others, on its way through this node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    /// Who handed it to us.
    pub(super) sender: PeerId,
    /// Who sealed it, as it says.
    pub(super) origin: PeerId,
    /// Who gets it next.
    pub(super) hop: PeerId,
    /// Who can open it.
    pub(super) destination: PeerId,
    /// Its length in bytes.
    pub(super) len: usize,
}

impl Fib {
    /// Whether `peer` may carry packets of others, and have its own carried.
    pub(crate) fn may_relay(&self, peer: PeerId) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.may_relay(peer))
    }

    /// Whether a plain packet of another node may come in, as this node's device has it.
    pub(super) fn admit(&self, source: PeerId, packet: &[u8], scratch: &Scratch) -> Result<(), DropReason> {
        let Some(gate) = self.gate.as_deref().filter(|_| source != PeerId::ME) else { return Ok(()) };
        let is_own = match self.policy.mode {
            Mode::Router => !gate.checks_sources || self.is_from_owner(source, packet),
            Mode::Switch | Mode::Hub => self.is_from_station(gate, source, packet),
        };
        if !is_own {
            return Err(DropReason::ForeignSource);
        }
        let pace = gate.rights(source).and_then(|rights| rights.pace.as_deref());
        let frame = packet.len() + self.policy.mode.missing_header();
        if pace.is_none_or(|pace| pace.take(scratch.now, frame)) { Ok(()) } else { Err(DropReason::OverRate) }
    }

    /// Whether a datagram may be carried, and is charged to its sender.
    pub(super) fn carry(&self, carried: &Carried, scratch: &Scratch) -> Result<(), DropReason> {
        self.wants_to_carry(carried.len, scratch)?;
        let Some(gate) = self.gate.as_deref() else { return Ok(()) };
        let Carried { sender, origin, hop, destination, len } = *carried;
        if !gate.may_relay(origin) || hop != destination && !gate.may_relay(hop) {
            return Err(DropReason::RelayDenied);
        }
        let rights = gate.relaying(sender)?;
        if rights.pace.as_ref().is_some_and(|pace| !pace.take(scratch.now, len)) {
            return Err(DropReason::OverRate);
        }
        gate.count(rights, len, scratch)
    }

    /// Whether a plain packet of another node may be passed on to a third; its rate is counted by [`Self::admit`].
    pub(super) fn pass_on(&self, source: PeerId, len: usize, scratch: &Scratch) -> Result<(), DropReason> {
        self.wants_to_carry(len, scratch)?;
        let Some(gate) = self.gate.as_deref() else { return Ok(()) };
        gate.count(gate.relaying(source)?, len, scratch)
    }

    /// This node's device has a packet for the mesh.
    pub(super) fn note_own(&self, packet: &[u8], scratch: &Scratch) {
        let Some(filter) = self.gate.as_deref().and_then(|gate| gate.filter.as_deref()) else { return };
        if let Some((family, packet)) = self.ip_of(packet) {
            filter.note(family, packet, scratch.now);
        }
    }

    /// Whether a packet of another node may go to the device. Frames that hold no IP do, and neighbour discovery: the
    /// filter is for conversations.
    pub(crate) fn lets_in(&self, source: PeerId, packet: &[u8], now: Instant) -> bool {
        let Some(gate) = self.gate.as_deref().filter(|_| source != PeerId::ME) else { return true };
        let Some(filter) = gate.filter.as_deref() else { return true };
        let Some((family, ip)) = self.ip_of(packet) else { return self.policy.mode != Mode::Router };
        let sender = self.sealer(gate, source, family, ip);
        if self.policy.mode != Mode::Router && is_discovery(family, ip) {
            return true;
        }
        gate.rights(sender).is_some_and(|rights| filter.passes(&rights.reach, family, ip, now))
    }

    /// Whose packet it is: of whoever handed it on, or of the owner of its source where that is sure.
    fn sealer(&self, gate: &Gate, source: PeerId, family: Family, packet: &[u8]) -> PeerId {
        let is_sure = gate.checks_sources && self.policy.mode == Mode::Router;
        let address = family.source(packet).filter(|address| is_sure && !self.subnets.holds(source, address));
        address.and_then(|address| self.reachable_owner(&address)).map_or(source, |owner| owner.peer)
    }

    /// The IP packet in what the device has or gets.
    fn ip_of<'a>(&self, packet: &'a [u8]) -> Option<(Family, &'a [u8])> {
        let start = match self.policy.mode {
            Mode::Router => 0,
            Mode::Switch | Mode::Hub => network_offset(packet)?,
        };
        let packet = packet.get(start..)?;
        Some((Family::of(packet)?, packet))
    }

    /// Whether an IP packet has a source address of whoever sent it, or is handed on.
    fn is_from_owner(&self, sender: PeerId, packet: &[u8]) -> bool {
        let Some(family) = Family::of(packet) else { return false };
        let (Some(source), Some(destination)) = (family.source(packet), family.destination(packet)) else {
            return false;
        };
        if self.subnets.holds(sender, &source) {
            return true;
        }
        let Some(owner) = self.reachable_owner(&source).filter(|owner| owner.peer != PeerId::ME) else { return false };
        let is_for_everyone = || {
            let owner = self.subnets.lookup(&destination, |peer| self.is_reachable(peer));
            owner == Some(Owner::Broadcast)
        };
        let is_behind =
            self.is_plainly_behind(owner, sender) || self.is_in_branch(owner.peer, sender) && is_for_everyone();
        is_behind && self.may_relay(sender)
    }

    /// Whether `sender` is the last node before one whose packets are not sealed from end to end.
    fn is_plainly_behind(&self, owner: &PeerEntry, sender: PeerId) -> bool {
        let is_plain = owner.legacy.is_some() || owner.options.minor() < SEALING_MINOR;
        is_plain && (owner.nexthop == sender || owner.via == sender)
    }

    /// Whether a frame comes from a station of whoever sent it, or is handed on.
    fn is_from_station(&self, gate: &Gate, sender: PeerId, frame: &[u8]) -> bool {
        let Some(stations) = &gate.stations else { return true };
        let Some([to @ .., a, b, c, d, e, f, _, _]) = frame.first_chunk::<ETHERNET_HEADER>() else { return false };
        let from = [*a, *b, *c, *d, *e, *f];
        if gate.rights(sender).is_some_and(|rights| rights.stations.has(from)) {
            return true;
        }
        let is_flooded = self.policy.mode == Mode::Hub || self.reachable_owner(&Address::Mac(*to)).is_none();
        let owner = self.reachable_owner(&Address::Mac(from)).map(|owner| owner.peer);
        let mut owners = stations.get(&from).into_iter().flatten().copied().chain(owner);
        is_flooded && self.may_relay(sender) && owners.any(|owner| self.is_in_branch(owner, sender))
    }

    /// Whether packets of `peer` for everyone come by way of `sender`.
    fn is_in_branch(&self, peer: PeerId, sender: PeerId) -> bool {
        self.policy.broadcast == Broadcast::Mst && self.branches.get(peer.index()) == Some(&Some(sender))
    }

    fn reachable_owner(&self, address: &Address) -> Option<&PeerEntry> {
        match self.subnets.lookup(address, |peer| self.is_reachable(peer))? {
            Owner::Peer { id, reachable: true } => self.peer(id).map(AsRef::as_ref),
            Owner::Peer { reachable: false, .. } | Owner::Broadcast => None,
        }
    }
}

/// Whether a packet belongs to neighbour discovery (RFC 4861), by which stations of a wire find each other.
fn is_discovery(family: Family, packet: &[u8]) -> bool {
    family == Family::V6
        && ip::byte(packet, V6_NEXT) == Some(ICMPV6)
        && ip::byte(packet, V6_HEADER).is_some_and(|kind| DISCOVERY.contains(&kind))
}
