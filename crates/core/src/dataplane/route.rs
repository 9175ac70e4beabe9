//! Routing: whose is a packet, may it pass, and does it fit (spec: routing 4, 5, 7)?
//!
//! Neighbour solicitations are never routed; a TUN device has no use for an answer either. In switch
//! and hub mode every frame is for everyone.

use crate::dataplane::fib::{Broadcast, Fib, Forwarding, Mode, PeerEntry};
use crate::dataplane::icmp::{self, IcmpError};
use crate::dataplane::ip::{self, DF, Family, ICMPV6, TCP, V4_FRAGMENT, V4_PROTOCOL, V6_HEADER, V6_NEXT};
use crate::dataplane::scratch::Scratch;
use crate::dataplane::ttl::{self, Life};
use crate::dataplane::verdict::{DropReason, Punt, Verdict};
use crate::dataplane::{fragment, mss};
use crate::name::PeerId;
use crate::packet::{ETHERNET_HEADER, MAX_FRAME, Packet};
use crate::subnet::Owner;

/// Smallest limit for IPv4 frames, in bytes: 576 bytes of IP are never too big (spec: routing 13).
pub(crate) const MIN_V4_LIMIT: u16 = 590;
/// Smallest limit for IPv6 frames, in bytes: 1,280 bytes of IP are never too big (spec: routing 13).
pub(crate) const MIN_V6_LIMIT: u16 = 1294;
/// ICMPv6 type of neighbour solicitations.
const NEIGHBOUR_SOLICITATION: u8 = 135;

/// What becomes of a packet that may pass.
enum Passage<'a> {
    /// It goes to its owner, by way of `via`.
    To { owner: &'a PeerEntry, via: &'a PeerEntry },
    /// It goes to everyone.
    Everyone,
    /// It must be cut first.
    Cut { owner: PeerId },
    /// It goes in two records.
    Pieces { owner: PeerId },
}

/// How a packet fits on its way.
enum Fit {
    /// As it is.
    Whole,
    /// In fragments.
    Cut,
}

/// Why a packet may not pass.
pub(super) enum Refusal {
    /// Its source is told.
    Icmp(IcmpError),
    /// Nobody is told.
    Quiet(DropReason),
}

impl From<IcmpError> for Refusal {
    fn from(error: IcmpError) -> Self {
        Self::Icmp(error)
    }
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Self::Quiet(reason)
    }
}

impl Fib {
    /// Decides what becomes of a plain packet that `source` sent into the mesh.
    pub fn route(&self, source: PeerId, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        scratch.capture.note(self.policy.mode, packet.payload());
        scratch.priority = 0;
        if source == PeerId::ME {
            self.note_own(packet.payload(), scratch);
        }
        if let Err(reason) = self.admit(source, packet.payload(), scratch) {
            return Verdict::Drop(reason);
        }
        if source != PeerId::ME && self.policy.forwarding == Forwarding::Kernel {
            return self.send_record(PeerId::ME, source, self.policy.mode.record_kind(), packet, scratch);
        }
        match self.policy.mode {
            Mode::Router => self.route_ip(source, packet, scratch),
            Mode::Switch => self.switch(source, packet, scratch),
            Mode::Hub => self.flood(source, packet, scratch),
        }
    }

    pub(super) fn broadcast(&self, source: PeerId) -> Verdict {
        if source == PeerId::ME && self.policy.broadcast == Broadcast::No {
            return Verdict::Drop(DropReason::NoBroadcast);
        }
        Verdict::Punt(Punt::Broadcast { source })
    }

    fn route_ip(&self, source: PeerId, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        let Some(family) = Family::of(packet.payload()) else {
            let reason = if packet.is_empty() { DropReason::TooShort } else { DropReason::UnknownProtocol };
            return Verdict::Drop(reason);
        };
        match self.passage(source, family, packet, scratch) {
            Ok(Passage::To { owner, via }) => {
                self.note_priority(Some(family), packet.payload(), scratch);
                self.clamp(source, via, 0, packet);
                self.send_record(owner.peer, source, self.policy.mode.record_kind(), packet, scratch)
            }
            Ok(Passage::Everyone) => self.broadcast(source),
            Ok(Passage::Cut { owner }) => Verdict::Punt(Punt::Fragment { owner, source }),
            Ok(Passage::Pieces { owner }) => Verdict::Punt(Punt::Oversized { owner }),
            Err(Refusal::Icmp(error)) => self.refuse(source, error, family, packet, scratch),
            Err(Refusal::Quiet(reason)) => Verdict::Drop(reason),
        }
    }

    /// The checks of routing 5.1 and 5.2, in their order.
    fn passage(
        &self,
        source: PeerId,
        family: Family,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Result<Passage<'_>, Refusal> {
        let Some(owner) = self.owner(source, family, packet.payload(), scratch)? else {
            self.age(source, family, 0, packet)?;
            return Ok(Passage::Everyone);
        };
        if source != PeerId::ME && owner.peer != PeerId::ME {
            if self.policy.forwarding == Forwarding::Off {
                return Err(IcmpError::Forbidden.into());
            }
            self.age(source, family, 0, packet)?;
        }
        let via = self.peer(self.via(owner)).ok_or(IcmpError::Unreachable)?;
        if via.peer == source {
            return Err(DropReason::RoutingLoop.into());
        }
        if self.policy.direct_only && owner.peer != via.peer {
            return Err(IcmpError::Forbidden.into());
        }
        match fit(via, family, packet.payload()) {
            Ok(Fit::Whole) => Ok(Passage::To { owner, via }),
            Ok(Fit::Cut) => Ok(Passage::Cut { owner: owner.peer }),
            Err(Refusal::Icmp(IcmpError::TooBig { .. }))
                if source == PeerId::ME && owner.joins && goes_in_pieces(family, packet.payload()) =>
            {
                Ok(Passage::Pieces { owner: owner.peer })
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The error for the sender of a packet of our own that goes to `owner` in two pieces, if one may be sent.
    pub(crate) fn too_big(&self, owner: PeerId, packet: &Packet, scratch: &mut Scratch) -> Option<(Verdict, Packet)> {
        let family = Family::of(packet.payload())?;
        let via = self.peer(self.via(self.peer(owner)?))?;
        let mut error = packet.clone();
        match fit(via, family, packet.payload()) {
            Err(Refusal::Icmp(refusal)) if scratch.errors.take(refusal, scratch.now) => {
                let verdict = self.tell(PeerId::ME, refusal, family, &mut error, scratch);
                Some((verdict, error))
            }
            Ok(_) | Err(_) => None,
        }
    }

    /// The reachable owner of a packet's destination; nothing if that is everyone.
    fn owner(
        &self,
        source: PeerId,
        family: Family,
        packet: &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<&PeerEntry>, Refusal> {
        let destination = family.destination(packet).ok_or(DropReason::TooShort)?;
        if family == Family::V6 && is_neighbour_solicitation(packet) {
            return Err(DropReason::UnknownProtocol.into());
        }
        match self.find(&destination, scratch) {
            None => Err(IcmpError::Unknown.into()),
            Some(Owner::Broadcast) => Ok(None),
            Some(Owner::Peer { id, .. }) if id == source => Err(DropReason::LoopBack.into()),
            Some(Owner::Peer { reachable: false, .. }) => Err(IcmpError::Unreachable.into()),
            Some(Owner::Peer { id, reachable: true }) => Ok(Some(self.peer(id).ok_or(IcmpError::Unreachable)?)),
        }
    }

    /// Takes one hop of the life of a packet of another node, if that is wanted; its IP header is at `start`.
    pub(super) fn age(&self, source: PeerId, family: Family, start: usize, packet: &mut Packet) -> Result<(), Refusal> {
        if !self.policy.decrement_ttl || source == PeerId::ME {
            return Ok(());
        }
        match ttl::decrement(family, packet.payload_mut().get_mut(start..).unwrap_or_default()) {
            Life::Left => Ok(()),
            Life::Expired => Err(IcmpError::Expired.into()),
            Life::Silent => Err(DropReason::Expired.into()),
        }
    }

    /// Lets TCP announce only what fits; the IP header is at `start`, behind at most one VLAN tag.
    pub(super) fn clamp(&self, source: PeerId, via: &PeerEntry, start: usize, packet: &mut Packet) {
        if !via.clamp_mss {
            return;
        }
        if let Some(source) = self.peer(source) {
            let mtu = if via.peer == PeerId::ME { source.mtu } else { source.mtu.min(via.mtu) };
            let mtu = mtu.saturating_sub(start.saturating_sub(ETHERNET_HEADER) as u16);
            mss::clamp(packet.payload_mut().get_mut(start..).unwrap_or_default(), mtu);
        }
    }

    /// Notes what the outer packet inherits of an inner one.
    pub(super) fn note_priority(&self, family: Option<Family>, packet: &[u8], scratch: &mut Scratch) {
        if self.policy.priority_inheritance {
            scratch.priority = family.and_then(|family| family.priority(packet)).unwrap_or(0);
        }
    }

    /// Tells the source of a packet what is wrong with it.
    pub(super) fn refuse(
        &self,
        source: PeerId,
        error: IcmpError,
        family: Family,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Verdict {
        if !scratch.errors.take(error, scratch.now) {
            return Verdict::Drop(DropReason::IcmpLimited);
        }
        self.tell(source, error, family, packet, scratch)
    }

    fn tell(
        &self,
        source: PeerId,
        error: IcmpError,
        family: Family,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Verdict {
        if !icmp::rewrite(error, family, packet) {
            return Verdict::Drop(error.reason());
        }
        self.send_record(source, PeerId::ME, self.policy.mode.record_kind(), packet, scratch)
    }
}

fn is_neighbour_solicitation(packet: &[u8]) -> bool {
    ip::byte(packet, V6_NEXT) == Some(ICMPV6) && ip::byte(packet, V6_HEADER) == Some(NEIGHBOUR_SOLICITATION)
}

/// Whether a packet that does not fit goes in two pieces: TCP sends shorter ones when it is told.
fn goes_in_pieces(family: Family, packet: &[u8]) -> bool {
    let protocol = match family {
        Family::V4 => ip::byte(packet, V4_PROTOCOL),
        Family::V6 => ip::byte(packet, V6_NEXT),
    };
    protocol.is_some_and(|protocol| protocol != TCP) && packet.len() + ETHERNET_HEADER <= MAX_FRAME
}

/// Whether a packet fits on its way, or must be cut for that.
fn fit(via: &PeerEntry, family: Family, packet: &[u8]) -> Result<Fit, Refusal> {
    let limit = match family {
        Family::V4 => via.mtu.max(MIN_V4_LIMIT),
        Family::V6 => via.mtu.max(MIN_V6_LIMIT),
    };
    if via.peer == PeerId::ME || packet.len() + ETHERNET_HEADER <= usize::from(limit) {
        return Ok(Fit::Whole);
    }
    check_cut(family, packet, limit)?;
    Ok(Fit::Cut)
}

/// Whether an IP packet that is longer than the frames of `limit` bytes that pass may be cut.
pub(super) fn check_cut(family: Family, packet: &[u8], limit: u16) -> Result<(), Refusal> {
    let may_be_cut = family == Family::V4 && ip::word(packet, V4_FRAGMENT).is_some_and(|word| word & DF == 0);
    if !may_be_cut {
        return Err(IcmpError::TooBig { limit }.into());
    }
    Ok(fragment::check(packet)?)
}
