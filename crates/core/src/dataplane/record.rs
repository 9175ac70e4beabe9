//! Records of packets: made of plain packets on the way out, undone on the way in.
//!
//! Source: spec datagrams 5, 7.1, 7.2, 10.

use crate::dataplane::batch::Unsealed;
use crate::dataplane::carrier::{self, Carrier};
use crate::dataplane::fib::{Fib, Mode, PeerEntry};
use crate::dataplane::follow::Way;
use crate::dataplane::ip::Family;
use crate::dataplane::offload::unsummed;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::session::Session;
use crate::dataplane::verdict::{DropReason, Punt, Verdict};
use crate::name::PeerId;
use crate::packet::{ETHERNET_HEADER, MAX_FRAME, Packet};
use crate::subnet::Owner;

/// Record type bit: the data is compressed.
const COMPRESSED: u8 = 1;
/// Record type bit: the data starts with an Ethernet header.
pub(crate) const FRAME: u8 = 2;
/// Record type bit: the checksum of TCP or UDP is still to be made (docs/protocol.md, "Checksums").
pub(super) const UNSUMMED: u8 = 32;
/// Record type of probes.
pub(crate) const PROBE: u8 = 4;
/// Record type of a question for the sender's own address (docs/protocol.md, "Reflection").
pub(crate) const REFLECTION_ASKED: u8 = 16;
/// Record type of the answer.
pub(crate) const REFLECTION: u8 = 17;
/// Record type of the first half of a packet (docs/protocol.md, "Pieces").
pub(crate) const FIRST_PIECE: u8 = 24;
/// Record type of the second half.
pub(crate) const LAST_PIECE: u8 = 25;
/// Bytes in front of a piece: number of the packet, type of its record.
pub(crate) const PIECE_HEADER: usize = 3;

/// Bytes of record data of the longer piece of a packet of `len` bytes.
const fn longest_piece(len: usize) -> usize {
    PIECE_HEADER + len.div_ceil(2)
}

impl Mode {
    /// The record type of packets that a node of this mode sends.
    pub(crate) const fn record_kind(self) -> u8 {
        match self {
            Self::Router => 0,
            Self::Switch | Self::Hub => FRAME,
        }
    }

    /// Bytes that a frame has more than a packet of this mode.
    pub(super) const fn missing_header(self) -> usize {
        match self {
            Self::Router => ETHERNET_HEADER,
            Self::Switch | Self::Hub => 0,
        }
    }
}

impl Fib {
    /// Sends a plain packet that came from `source` to `peer`, in a record of type `kind`.
    ///
    /// A packet that must go over TCP, or wait for keys, ends as [`Punt::Plain`], unchanged. A packet
    /// that waits for keys is not counted: it comes again.
    pub fn send_record(
        &self,
        peer: PeerId,
        source: PeerId,
        kind: u8,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Verdict {
        let Some(entry) = self.peer(peer).filter(|entry| entry.reachable) else {
            return Verdict::Drop(DropReason::Unreachable);
        };
        let frame = packet.len() + if kind & FRAME == 0 { ETHERNET_HEADER } else { 0 };
        if peer == PeerId::ME {
            if !self.lets_in(source, packet.payload(), scratch.now) {
                return Verdict::Drop(DropReason::Filtered);
            }
            scratch.tally.count_out(entry, frame);
            return self.deliver(packet);
        }
        if source != PeerId::ME
            && let Err(reason) = self.pass_on(source, frame, scratch)
        {
            return Verdict::Drop(reason);
        }
        if frame > MAX_FRAME {
            return Verdict::Drop(DropReason::TooLong);
        }
        let plain = Verdict::Punt(Punt::Plain { owner: peer, source });
        if let Some(session) = entry.legacy.as_deref() {
            scratch.tally.count_out(entry, frame);
            return self.send_legacy(entry, session, source, packet, scratch).unwrap_or(plain);
        }
        let Some(session) = entry.session.as_deref() else {
            if entry.neighbour {
                scratch.tally.count_out(entry, frame);
            }
            return plain;
        };
        scratch.tally.count_out(entry, frame);
        let header = frame - packet.len();
        self.seal(entry, session, Record { kind, header }, packet, scratch).unwrap_or(plain)
    }

    /// Seals a packet and gives it to its carrier; `None`, and no change, if that must be TCP.
    fn seal(
        &self,
        to: &PeerEntry,
        session: &Session,
        record: Record,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Option<Verdict> {
        let compressed = scratch.codec.compress(to.compression, packet.payload());
        let len = compressed.map_or(packet.len(), <[u8]>::len);
        if to.neighbour && (to.by_tcp || len + record.header > usize::from(to.min_mtu)) {
            return None;
        }
        let Carrier::Udp { target, hop, ids } = self.carrier(PeerId::ME, to, len)? else { return None };
        if hop != to.peer && self.goes_straight_in_pieces(to, packet.len()) {
            return None;
        }
        let kind = match compressed {
            Some(compressed) => {
                packet.fill(compressed);
                record.kind | COMPRESSED
            }
            None => record.kind,
        };
        let len = packet.len();
        let sealed = if scratch.defers { session.frame(kind, packet) } else { session.seal(kind, packet) };
        if !sealed {
            restore(kind, to.compression, packet, scratch);
            return None;
        }
        self.count_straight(hop, scratch);
        if scratch.defers {
            scratch.unsealed = Some(Unsealed { peer: to.peer, front: ids.map_or(0, |ids| ids.len()) });
            let way = Way { owner: to.peer, hop, target, ids, kind, unsummed: to.sums, len };
            scratch.way = (kind & COMPRESSED == 0).then_some(way);
        }
        Some(carrier::transmit(target, ids, packet))
    }

    /// Whether `owner` joins pieces, and UDP carries those of a packet of `len` bytes.
    pub(crate) fn carries_pieces(&self, owner: PeerId, len: usize) -> bool {
        self.peer(owner).is_some_and(|to| to.reachable && self.carrier_of_pieces(to, len).is_some())
    }

    /// Whether a packet of `len` bytes that does not go straight to its owner does so in two pieces. Then it makes no detour:
    /// what makes the straight way narrow is most often near one end, and makes the detour narrow as well.
    fn goes_straight_in_pieces(&self, to: &PeerEntry, len: usize) -> bool {
        to.via == to.peer && self.carrier_of_pieces(to, len) == Some(to.peer)
    }

    /// The node that datagrams with the pieces of a packet of `len` bytes are sent to.
    fn carrier_of_pieces(&self, to: &PeerEntry, len: usize) -> Option<PeerId> {
        to.session.as_ref().filter(|_| to.joins)?;
        match self.carrier(PeerId::ME, to, longest_piece(len))? {
            Carrier::Udp { hop, .. } => Some(hop),
            Carrier::Tcp { .. } => None,
        }
    }

    /// Seals half of a packet for `owner`; a punt means that it is sealed and goes over TCP, `None` that it cannot be sealed.
    pub(crate) fn send_piece(
        &self,
        owner: PeerId,
        kind: u8,
        piece: &mut Packet,
        scratch: &mut Scratch,
    ) -> Option<Verdict> {
        let to = self.peer(owner).filter(|entry| entry.reachable)?;
        let session = to.session.as_deref()?;
        let carrier = self.carrier(PeerId::ME, to, piece.len());
        if !session.seal(kind, piece) {
            return None;
        }
        match carrier {
            Some(Carrier::Udp { target, hop, ids }) => {
                self.count_straight(hop, scratch);
                Some(carrier::transmit(target, ids, piece))
            }
            Some(Carrier::Tcp { .. }) | None => {
                Some(Verdict::Punt(Punt::Relay { origin: PeerId::ME, destination: owner }))
            }
        }
    }

    /// Takes the data of an opened record of `origin` that holds a packet, and routes the packet.
    pub fn accept_record(&self, origin: PeerId, kind: u8, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        match self.unpack(kind, packet, scratch) {
            Err(reason) => Verdict::Drop(reason),
            Ok(()) => {
                if packet.is_unsummed() && !self.keeps_unsummed(packet, scratch) {
                    unsummed::complete(packet);
                }
                if let Some(entry) = self.peer(origin) {
                    scratch.tally.count_in(entry, packet.len() + self.policy.mode.missing_header());
                }
                self.route(origin, packet, scratch)
            }
        }
    }

    /// Whether a packet may stay without its checksum: it goes to the device of this node, together with others of its batch.
    fn keeps_unsummed(&self, packet: &Packet, scratch: &mut Scratch) -> bool {
        let destination = Family::of(packet.payload()).and_then(|family| family.destination(packet.payload()));
        let owner = destination.and_then(|destination| self.find(&destination, scratch));
        let is_ours = matches!(owner, Some(Owner::Peer { id: PeerId::ME, .. }));
        is_ours && scratch.defers && !scratch.capture.is_wanted()
    }

    /// Turns record data into a packet as this node's device has them.
    fn unpack(&self, kind: u8, packet: &mut Packet, scratch: &mut Scratch) -> Result<(), DropReason> {
        if kind == UNSUMMED && self.policy.mode == Mode::Router && unsummed::place(packet.payload()).is_some() {
            packet.set_unsummed(true);
        } else if kind & !(COMPRESSED | FRAME) != 0 {
            return Err(DropReason::BadRecord);
        }
        if packet.len() > MAX_FRAME {
            return Err(DropReason::TooLong);
        }
        if kind & COMPRESSED != 0 {
            let plain = scratch.codec.decompress(self.policy.compression, packet.payload());
            packet.fill(plain.ok_or(DropReason::BadCompression)?);
        }
        match self.policy.mode {
            Mode::Router if kind & FRAME == 0 => Ok(()),
            Mode::Router => strip_frame(packet),
            Mode::Switch | Mode::Hub if kind & FRAME == 0 => Err(DropReason::BadRecord),
            Mode::Switch | Mode::Hub => Ok(()),
        }
    }
}

/// What a packet becomes when it is sealed.
#[derive(Clone, Copy)]
struct Record {
    /// Its type, if it is not compressed.
    kind: u8,
    /// Bytes of Ethernet header that the frame has and the packet has not.
    header: usize,
}

/// Undoes the compression of a packet that could not be sealed: the node gets it as it was.
fn restore(kind: u8, level: u8, packet: &mut Packet, scratch: &mut Scratch) {
    if kind & COMPRESSED != 0
        && let Some(plain) = scratch.codec.decompress(level, packet.payload())
    {
        packet.fill(plain);
    }
}

/// Takes the Ethernet header away; its type must be the packet's.
fn strip_frame(packet: &mut Packet) -> Result<(), DropReason> {
    let header = packet.payload().first_chunk::<ETHERNET_HEADER>().ok_or(DropReason::TooShort)?;
    let [.., high, low] = *header;
    packet.drop_front(ETHERNET_HEADER);
    let family = Family::of_ether_type([high, low]).ok_or(DropReason::UnknownProtocol)?;
    if Family::of(packet.payload()) == Some(family) { Ok(()) } else { Err(DropReason::UnknownProtocol) }
}
