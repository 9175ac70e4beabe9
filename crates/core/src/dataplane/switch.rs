//! Switch mode: frames go to whoever has their destination; who that is, is learnt from the frames of one's own wire
//! (spec: routing 6). Hub mode sends everything to everyone (7).

use std::sync::atomic::Ordering::Relaxed;

use crate::dataplane::ethernet::{Header, Mac, TAGGED_HEADER};
use crate::dataplane::fib::{Fib, Forwarding, PeerEntry};
use crate::dataplane::icmp::{self, IcmpError};
use crate::dataplane::ip::Family;
use crate::dataplane::record::FRAME;
use crate::dataplane::route::{Refusal, check_cut};
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::{DropReason, Punt, Verdict};
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
        let owner = match self.find(&destination, scratch) {
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
            Err(Refusal::Icmp(error)) => self.refuse_frame(source, error, packet, scratch),
        }
    }

    /// Sends a frame to everyone.
    pub(super) fn flood(&self, source: PeerId, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        let Some(header) = Header::of(packet.payload()) else { return Verdict::Drop(DropReason::TooShort) };
        let aged = header.family.map_or(Ok(()), |family| self.age(source, family, header.len, packet));
        match aged {
            Ok(()) => self.broadcast(source),
            Err(Refusal::Quiet(reason)) => Verdict::Drop(reason),
            Err(Refusal::Icmp(error)) => self.refuse_frame(source, error, packet, scratch),
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
        let header = Header::of(packet.payload()).ok_or(DropReason::TooShort)?;
        if source != PeerId::ME && owner.peer != PeerId::ME {
            if self.policy.forwarding == Forwarding::Off {
                return Err(DropReason::Forbidden.into());
            }
            if let Some(family) = header.family {
                self.age(source, family, header.len, packet)?;
            }
        }
        if header.tag() == 0 {
            self.note_priority(header.family, packet.payload().get(header.len..).unwrap_or_default(), scratch);
        }
        let via = self.peer(self.via(owner)).ok_or(DropReason::Unreachable)?;
        if self.policy.direct_only && owner.peer != via.peer {
            return Err(DropReason::Forbidden.into());
        }
        let passage = fit(via, header, packet.payload())?;
        if header.family.is_some() {
            self.clamp(source, via, header.len, packet);
        }
        Ok(passage)
    }

    /// Tells a frame's source why it does not pass, in a frame of the same kind.
    fn refuse_frame(&self, source: PeerId, error: IcmpError, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        let Some(Header { len, family: Some(family) }) = Header::of(packet.payload()) else {
            return Verdict::Drop(error.reason());
        };
        if !scratch.errors.take(error, scratch.now) {
            return Verdict::Drop(DropReason::IcmpLimited);
        }
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
    let Some(family) = header.family else { return Ok(Passage::Whole) };
    let small = match family {
        Family::V4 => SMALL_V4,
        Family::V6 => SMALL_V6,
    };
    if via.peer == PeerId::ME || frame.len() <= usize::from(via.mtu) || frame.len() <= small + header.len {
        return Ok(Passage::Whole);
    }
    // Errors count from a plain header.
    check_cut(family, frame.get(header.len..).unwrap_or_default(), via.mtu.saturating_sub(header.tag() as u16))?;
    Ok(Passage::Cut)
}
