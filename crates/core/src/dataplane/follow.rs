//! Packets that go where the one before them went, as nothing differs that decides: whose they are, whether they may pass and
//! how they travel is not asked again.
//!
//! ```text
//! outbound: pieces of one large packet     ─► Way of the first      ─► framed
//! inbound:  packets of one flow, in a row  ─► Admitted: the first   ─► delivered
//! ```
//!
//! Pieces have the same headers but for what tells their place, and whatever takes a packet takes a shorter one of the same
//! flow.

use crate::dataplane::batch::Unsealed;
use crate::dataplane::carrier;
use crate::dataplane::fib::{Fib, Frames, Mode, PeerEntry, UdpTarget};
use crate::dataplane::gate::Gate;
use crate::dataplane::ip::{self, PLAIN_V4, V4_HEADER, V4_PROTOCOL, V4_SOURCE, V6_HEADER, V6_NEXT, V6_SOURCE};
use crate::dataplane::offload::unsummed;
use crate::dataplane::record::UNSUMMED;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::transport::{SYN, TCP_CHECKSUM, TCP_FLAGS};
use crate::dataplane::verdict::Verdict;
use crate::name::PeerId;
use crate::packet::{ETHERNET_HEADER, MAX_FRAME, Packet};
use crate::wire::datagram::IDS;

/// Bytes of a packet that are looked at: IPv4 and the shortest TCP header, or IPv6.
const HEAD: usize = 40;

/// How the last packet of the device was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Who opens it.
    pub(super) owner: PeerId,
    /// Who gets its datagram.
    pub(super) hop: PeerId,
    /// Where that is.
    pub(super) target: UdpTarget,
    /// What stands in front of the datagram.
    pub(super) ids: Option<[u8; IDS]>,
    /// Type of its record.
    pub(super) kind: u8,
    /// Whether packets go there without their checksum.
    pub(super) unsummed: bool,
    /// Its length as a plain packet, in bytes.
    pub(super) len: usize,
}

/// A packet of another node that went to the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    origin: PeerId,
    /// Whether it came without a relay.
    direct: bool,
    head: [u8; HEAD],
}

/// Packets that followed, and their bytes as frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Followers {
    packets: u64,
    bytes: u64,
}

impl Followers {
    const fn count(&mut self, frame: usize) {
        self.packets += 1;
        self.bytes += frame as u64;
    }
}

impl Fib {
    /// Whether records hold packets as the device has them.
    fn passes_unchanged(&self) -> bool {
        match self.policy.mode {
            Mode::Router => self.policy.frames == Frames::Ip,
            Mode::Switch | Mode::Hub => true,
        }
    }

    /// Sends a packet as the one before it, if it can go that way; `None`, and no change, if not.
    pub(super) fn follow_out(&self, packet: &mut Packet, scratch: &mut Scratch) -> Option<Verdict> {
        let len = packet.len();
        let way =
            scratch.way.filter(|way| len <= way.len && self.passes_unchanged() && !scratch.capture.is_wanted())?;
        let session = self.peer(way.owner)?.session.as_deref()?;
        if !way.unsummed {
            unsummed::complete(packet);
        }
        let kind = if packet.is_unsummed() { way.kind | UNSUMMED } else { way.kind };
        self.note_own(packet.payload(), scratch);
        if !session.frame(kind, packet) {
            return None;
        }
        scratch.unsealed = Some(Unsealed { peer: way.owner, front: way.ids.map_or(0, |ids| ids.len()) });
        scratch.followers.count(len + self.policy.mode.missing_header());
        let verdict = carrier::transmit(way.target, way.ids, packet);
        scratch.counters.count(&verdict);
        Some(verdict)
    }

    /// The next packet of the device is another one: counts those that followed the last.
    pub(super) fn end_way(&self, scratch: &mut Scratch) {
        let Followers { packets, bytes } = std::mem::take(&mut scratch.followers);
        let Some(way) = scratch.way.take().filter(|_| packets > 0) else { return };
        if let Some(me) = self.peer(PeerId::ME) {
            scratch.tally.count_all_in(me, packets, bytes);
        }
        if let Some(owner) = self.peer(way.owner) {
            scratch.tally.count_all_out(owner, packets, bytes);
        }
        if let Some(hop) = self.peer(way.hop) {
            scratch.tally.count_all_straight_out(hop, packets);
        }
    }

    /// Lets others follow a packet of `origin` that goes to the device as it is, unless each of them must be asked.
    pub(super) fn note_admitted(
        &self,
        origin: &PeerEntry,
        direct: bool,
        kind: u8,
        packet: &Packet,
        scratch: &mut Scratch,
    ) {
        let asks_each = self.gate.as_deref().is_some_and(|gate| gate.asks_each(origin.peer));
        let is_usual = self.policy.mode == Mode::Router && self.passes_unchanged() && kind & !UNSUMMED == 0;
        if !scratch.defers || asks_each || !is_usual {
            return;
        }
        let head = packet.payload().first_chunk::<HEAD>().filter(|_| is_plain(packet.payload()));
        scratch.admitted = head.map(|&head| Admitted { origin: origin.peer, direct, head });
    }

    /// Lets a packet in as the one before it, if they are of one flow.
    pub(super) fn follow_in(
        &self,
        origin: &PeerEntry,
        direct: bool,
        kind: u8,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Option<Verdict> {
        let before = scratch.admitted.as_ref().filter(|_| !scratch.capture.is_wanted())?;
        let (bytes, unsummed) = (packet.payload(), kind == UNSUMMED);
        let follows = (before.origin, before.direct) == (origin.peer, direct)
            && (kind == 0 || unsummed && unsummed::place(bytes).is_some())
            && bytes.len() <= MAX_FRAME
            && is_alike(&before.head, bytes)
            && is_plain(bytes);
        if !follows {
            return None;
        }
        scratch.followers.count(bytes.len() + ETHERNET_HEADER);
        packet.set_unsummed(unsummed);
        Some(Verdict::Deliver)
    }

    /// The next packet is of another flow: counts those that followed the last.
    pub(super) fn end_flow(&self, scratch: &mut Scratch) {
        let Followers { packets, bytes } = std::mem::take(&mut scratch.followers);
        let Some(admitted) = scratch.admitted.take().filter(|_| packets > 0) else { return };
        if let Some(origin) = self.peer(admitted.origin) {
            scratch.tally.count_all_in(origin, packets, bytes);
            if admitted.direct {
                scratch.tally.count_all_straight_in(origin, packets);
            }
        }
        if let Some(me) = self.peer(PeerId::ME) {
            scratch.tally.count_all_out(me, packets, bytes);
        }
    }
}

impl Gate {
    /// Whether more decides on a packet of `peer` than its addresses.
    fn asks_each(&self, peer: PeerId) -> bool {
        self.filter.is_some() || self.rights(peer).is_some_and(|rights| rights.pace.is_some())
    }
}

/// Whether a packet is UDP or TCP without options or extension headers of IP, not a fragment, and does not begin a connection.
fn is_plain(packet: &[u8]) -> bool {
    unsummed::place_in(packet).is_some_and(|checksum| {
        let flags = || ip::byte(packet, usize::from(checksum.start) + TCP_FLAGS);
        usize::from(checksum.offset) != TCP_CHECKSUM || flags().is_some_and(|flags| flags & SYN == 0)
    })
}

/// Whether two plain packets go from one address to the same other one, by the same protocol and of the same service.
fn is_alike(head: &[u8; HEAD], packet: &[u8]) -> bool {
    let Some(other) = packet.first_chunk::<HEAD>() else { return false };
    let (protocol, addresses) =
        if head[0] == PLAIN_V4 { (V4_PROTOCOL, V4_SOURCE..V4_HEADER) } else { (V6_NEXT, V6_SOURCE..V6_HEADER) };
    head[..2] == other[..2] && head[protocol] == other[protocol] && head[addresses.clone()] == other[addresses]
}
