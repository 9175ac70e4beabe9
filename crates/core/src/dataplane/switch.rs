//! Switch mode: frames go to whoever has their destination; who that is, is learnt from the frames of one's own wire
//! (spec: routing 6). Hub mode sends everything to everyone (7).

use std::sync::atomic::Ordering::Relaxed;

use crate::dataplane::ethernet::{Header, Mac, TAGGED_HEADER};
use crate::dataplane::fib::{Fib, Forwarding, PeerEntry};
use crate::dataplane::icmp::{self, IcmpError};
use crate::dataplane::ip::{self, DF, Family, V4_FRAGMENT};
use crate::dataplane::record::FRAME;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::ttl::{self, Life};
use crate::dataplane::verdict::{DropReason, Punt, Verdict};
use crate::dataplane::{fragment, mss};
use crate::name::PeerId;
use crate::packet::{ETHERNET_HEADER, Packet};
use crate::subnet::{Address, Owner, Subnet};

/// IPv4 packets of this size are never refused as too big, in bytes.
const SMALL_V4: usize = 576;
/// The same of IPv6.
const SMALL_V6: usize = 1280;
/// Nobody sends from here.
const EVERYONE: Mac = [0xff; 6];
/// A stamp that is younger stays as it is, in microseconds: threads need not fight for it.
const STAMP_AGE: u64 = 1_000_000;

/// Why a frame does not pass.
enum Refusal {
    /// Its source is told.
    Icmp(IcmpError, Family),
    /// Nobody is told.
    Quiet(DropReason),
}

/// How a frame passes.
enum Passage {
    Whole,
    Cut,
}

impl Fib {
    /// Sends a frame to the owner of its destination, or to everyone.
    pub(super) fn switch(&self, source: PeerId, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        let Some([a, b, c, d, e, f, from @ .., _, _]) = packet.payload().first_chunk::<ETHERNET_HEADER>() else {
            return Verdict::Drop(DropReason::TooShort);
        };
        let destination = Address::Mac([*a, *b, *c, *d, *e, *f]);
        if source == PeerId::ME {
            self.meet(*from, scratch);
        }
        let owner = match self.subnets.lookup(&destination, |peer| self.is_reachable(peer)) {
            None | Some(Owner::Broadcast) => return self.flood(source, packet, scratch),
            Some(Owner::Peer { id, .. }) if id == source => return Verdict::Drop(DropReason::LoopBack),
            Some(Owner::Peer { reachable: false, .. }) => return Verdict::Drop(DropReason::Unreachable),
            Some(Owner::Peer { id, reachable: true }) => self.peer(id),
        };
        let Some(owner) = owner else { return Verdict::Drop(DropReason::Unreachable) };
        match self.frame_passage(source, owner, packet, scratch) {
            Ok(Passage::Whole) => self.send_record(owner.peer, source, FRAME, packet, scratch),
            Ok(Passage::Cut) => Verdict::Punt(Punt::Fragment { owner: owner.peer, source }),
            Err(Refusal::Quiet(reason)) => Verdict::Drop(reason),
            Err(Refusal::Icmp(error, family)) => self.refuse_frame(source, error, family, packet, scratch),
        }
    }

    /// Sends a frame to everyone.
    pub(super) fn flood(&self, source: PeerId, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        let Some(header) = Header::of(packet.payload()) else { return Verdict::Drop(DropReason::TooShort) };
        match self.age_frame(source, header, packet) {
            Ok(()) => self.broadcast(source),
            Err(Refusal::Quiet(reason)) => Verdict::Drop(reason),
            Err(Refusal::Icmp(error, family)) => self.refuse_frame(source, error, family, packet, scratch),
        }
    }

    /// A station of our own wire shows itself: an unknown one is the node's business.
    fn meet(&self, mac: Mac, scratch: &mut Scratch) {
        match self.learnt.get(&mac) {
            Some(seen) => {
                let now = scratch.now.as_micros();
                if now.saturating_sub(seen.load(Relaxed)) > STAMP_AGE {
                    seen.store(now, Relaxed);
                }
            }
            None if mac == EVERYONE || self.subnets.contains(&Subnet::host(Address::Mac(mac)), Some(PeerId::ME)) => {}
            None => scratch.strangers.note(mac),
        }
    }

    fn frame_passage(
        &self,
        source: PeerId,
        owner: &PeerEntry,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Result<Passage, Refusal> {
        let header = Header::of(packet.payload()).ok_or(Refusal::Quiet(DropReason::TooShort))?;
        if source != PeerId::ME && owner.peer != PeerId::ME {
            if self.policy.forwarding == Forwarding::Off {
                return Err(Refusal::Quiet(DropReason::Forbidden));
            }
            self.age_frame(source, header, packet)?;
        }
        if header.tag() == 0 {
            self.note_priority(header.family, packet.payload().get(header.len..).unwrap_or_default(), scratch);
        }
        let via = self.peer(self.via(owner)).ok_or(Refusal::Quiet(DropReason::Unreachable))?;
        if self.policy.direct_only && owner.peer != via.peer {
            return Err(Refusal::Quiet(DropReason::Forbidden));
        }
        let passage = fit(via, header, packet.payload())?;
        self.clamp_frame(source, via, header, packet);
        Ok(passage)
    }

    /// Takes a hop of a frame's life if it is passed on for others.
    fn age_frame(&self, source: PeerId, header: Header, packet: &mut Packet) -> Result<(), Refusal> {
        let Some(family) = header.family.filter(|_| self.policy.decrement_ttl && source != PeerId::ME) else {
            return Ok(());
        };
        match ttl::decrement(family, packet.payload_mut().get_mut(header.len..).unwrap_or_default()) {
            Life::Left => Ok(()),
            Life::Expired => Err(Refusal::Icmp(IcmpError::Expired, family)),
            Life::Silent => Err(Refusal::Quiet(DropReason::Expired)),
        }
    }

    fn clamp_frame(&self, source: PeerId, via: &PeerEntry, header: Header, packet: &mut Packet) {
        let Some(source) = self.peer(source).filter(|_| via.clamp_mss && header.family.is_some()) else { return };
        let mtu = if via.peer == PeerId::ME { source.mtu } else { source.mtu.min(via.mtu) };
        let mtu = mtu.saturating_sub(header.tag() as u16);
        mss::clamp(packet.payload_mut().get_mut(header.len..).unwrap_or_default(), mtu);
    }

    /// Tells a frame's source why it does not pass, in a frame of the same kind.
    fn refuse_frame(
        &self,
        source: PeerId,
        error: IcmpError,
        family: Family,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Verdict {
        if !scratch.errors.take(scratch.now) {
            return Verdict::Drop(DropReason::IcmpLimited);
        }
        let len = Header::of(packet.payload()).map_or(ETHERNET_HEADER, |header| header.len);
        let mut header = [0; TAGGED_HEADER];
        let (Some(kept), Some(original)) = (header.get_mut(..len), packet.payload().get(..len)) else {
            return Verdict::Drop(DropReason::TooShort);
        };
        kept.copy_from_slice(original);
        let (to, rest) = kept.split_at_mut(6);
        to.swap_with_slice(&mut rest[..6]);
        packet.drop_front(len);
        if !icmp::rewrite(error, family, packet) || !packet.push_front(&header[..len]) {
            return Verdict::Drop(error.reason());
        }
        self.send_record(source, PeerId::ME, FRAME, packet, scratch)
    }
}

/// Whether a frame fits. What is no IP, or small, goes as it is: nobody could be told.
fn fit(via: &PeerEntry, header: Header, frame: &[u8]) -> Result<Passage, Refusal> {
    let small = match header.family {
        Some(Family::V4) => SMALL_V4,
        Some(Family::V6) => SMALL_V6,
        None => return Ok(Passage::Whole),
    };
    if via.peer == PeerId::ME || frame.len() <= usize::from(via.mtu) || frame.len() <= small + header.len {
        return Ok(Passage::Whole);
    }
    let packet = frame.get(header.len..).unwrap_or_default();
    // Errors count from a plain header.
    let too_big = |family| Refusal::Icmp(IcmpError::TooBig { limit: via.mtu - header.tag() as u16 }, family);
    match header.family {
        Some(Family::V4) if ip::word(packet, V4_FRAGMENT).is_some_and(|word| word & DF == 0) => {
            fragment::check(packet).map_err(Refusal::Quiet)?;
            Ok(Passage::Cut)
        }
        Some(family) => Err(too_big(family)),
        None => Ok(Passage::Whole),
    }
}
