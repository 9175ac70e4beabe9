//! From the network to the device, or onward.
//!
//! ```text
//! UDP ─► inbound ─► who sent it?  confirmed address, else the origin's id: the node's business
//!                     │
//!          ┌──────────┴───────────┐
//!          ▼ for another          ▼ for this node
//!        relay, unopened        open ─► probe, handshake: the node's business
//!                                 └───► accept_record: undo, route
//! ```
//!
//! Source: spec datagrams 7.3, 8, 10.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use crate::crypto::sptps::HANDSHAKE;
use crate::dataplane::carrier::{self, Carrier};
use crate::dataplane::fib::{Fib, PeerEntry, UdpTarget};
use crate::dataplane::gate::Carried;
use crate::dataplane::record::{FIRST_PIECE, LAST_PIECE, PROBE, REFLECTION, REFLECTION_ASKED};
use crate::dataplane::scratch::Scratch;
use crate::dataplane::session::{OVERHEAD, OpenError, Session};
use crate::dataplane::verdict::{DropReason, Punt, Verdict};
use crate::name::{NodeId, PeerId};
use crate::packet::Packet;
use crate::wire::datagram::{self, IDS};

/// How far a datagram came without being opened.
pub(super) enum Step<'a> {
    /// To its end.
    Done(Verdict),
    /// It is for this node; the packet holds what `session` has to open.
    Open {
        /// Who sealed it.
        origin: &'a PeerEntry,
        /// The keys.
        session: &'a Session,
        /// How it came.
        arrival: Arrival,
    },
}

impl From<Verdict> for Step<'_> {
    fn from(verdict: Verdict) -> Self {
        Self::Done(verdict)
    }
}

/// How a datagram for this node came.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    from: UdpTarget,
    /// Whether it came without a relay.
    direct: bool,
}

impl Fib {
    /// Decides what becomes of a UDP datagram, as it came from `from`.
    pub fn inbound(&self, from: SocketAddr, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        let verdict = match self.arrive(from, packet, scratch) {
            Step::Done(verdict) => verdict,
            Step::Open { origin, session, arrival } => {
                let opened = session.open(packet);
                self.finish_open(origin, arrival, opened, packet, scratch)
            }
        };
        scratch.counters.count(&verdict);
        verdict
    }

    /// Decides what becomes of a UDP datagram, up to where it has to be opened.
    pub(super) fn arrive<'a>(&'a self, from: SocketAddr, packet: &mut Packet, scratch: &mut Scratch) -> Step<'a> {
        self.arrive_from(self.sender(from), from, packet, scratch)
    }

    /// The node that is known to be at an address.
    pub(super) fn sender(&self, from: SocketAddr) -> Option<&PeerEntry> {
        let sender = self.by_addr.get(&canonical(from))?;
        self.peer(*sender).map(AsRef::as_ref)
    }

    /// As [`arrive`](Self::arrive), of the node that is known to be there.
    pub(super) fn arrive_from<'a>(
        &'a self,
        sender: Option<&'a PeerEntry>,
        from: SocketAddr,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Step<'a> {
        let from = UdpTarget { to: canonical(from), socket: scratch.socket };
        scratch.priority = 0;
        match sender {
            Some(sender) => self.on_peer(sender, from, packet, scratch),
            None => self.on_nameless(from, packet, scratch).into(),
        }
    }

    /// A datagram from an address at which no node is confirmed: with the id of its origin, or of tinc 1.0.
    fn on_nameless(&self, from: UdpTarget, packet: &Packet, scratch: &mut Scratch) -> Verdict {
        let verdict = self.on_stranger(from, packet);
        let nobody = matches!(verdict, Verdict::Drop(DropReason::TooShort | DropReason::UnknownId));
        if nobody && self.is_from_legacy(from.to, packet.payload(), scratch) {
            return Verdict::Punt(Punt::Datagram { from });
        }
        verdict
    }

    /// A datagram from an address at which no node is confirmed, by the id of its origin.
    fn on_stranger(&self, from: UdpTarget, packet: &Packet) -> Verdict {
        let Some((destination, origin, datagram)) = datagram::split(packet.payload()) else {
            return Verdict::Drop(DropReason::TooShort);
        };
        if datagram.len() < OVERHEAD {
            return Verdict::Drop(DropReason::TooShort);
        }
        match self.by_id.get(&origin).and_then(|&origin| self.peer(origin)) {
            None => Verdict::Drop(DropReason::UnknownId),
            Some(_) if destination != NodeId::NULL => Verdict::Drop(DropReason::UnconfirmedRelay),
            Some(origin) => on_new_address(origin, from, datagram),
        }
    }

    fn on_peer<'a>(
        &'a self,
        sender: &'a PeerEntry,
        from: UdpTarget,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Step<'a> {
        if let Some(session) = sender.legacy.as_deref() {
            return self.open_legacy(sender, session, from, packet, scratch).into();
        }
        if !sender.options.has_ids() {
            return to_open(sender, Arrival { from, direct: true }, packet);
        }
        let Some((destination, origin, datagram)) = datagram::split(packet.payload()) else {
            return Verdict::Drop(DropReason::TooShort).into();
        };
        if datagram.len() < OVERHEAD {
            return Verdict::Drop(DropReason::TooShort).into();
        }
        let direct = destination == NodeId::NULL;
        if direct && origin == sender.node_id {
            return to_open(sender, Arrival { from, direct }, packet);
        }
        let Some(origin) = self.by_id.get(&origin).and_then(|&origin| self.peer(origin)) else {
            return Verdict::Drop(DropReason::UnknownId).into();
        };
        if direct {
            return on_new_address(origin, from, datagram).into();
        }
        if origin.peer == PeerId::ME {
            return Verdict::Drop(DropReason::LoopBack).into();
        }
        match self.by_id.get(&destination).copied() {
            None => Verdict::Drop(DropReason::UnknownId).into(),
            Some(PeerId::ME) => {
                scratch.tally.count_straight_in(sender);
                scratch.tally.count_came_relayed(origin);
                to_open(origin, Arrival { from, direct }, packet)
            }
            Some(destination) => {
                scratch.tally.count_straight_in(sender);
                packet.drop_front(IDS);
                self.forward(sender.peer, origin.peer, destination, packet, scratch).into()
            }
        }
    }

    /// Sends a sealed datagram between two others on, which `sender` handed to us; its ids are removed, or never were there.
    pub fn forward(
        &self,
        sender: PeerId,
        origin: PeerId,
        destination: PeerId,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Verdict {
        let Some(to) = self.peer(destination).filter(|entry| entry.reachable) else {
            return Verdict::Drop(DropReason::Unreachable);
        };
        let Some(data) = packet.len().checked_sub(OVERHEAD) else {
            return Verdict::Drop(DropReason::TooShort);
        };
        let Some(carrier) = self.carrier(origin, to, data) else {
            return Verdict::Drop(DropReason::Unreachable);
        };
        let (Carrier::Udp { hop, .. } | Carrier::Tcp { hop }) = carrier;
        if hop == sender || hop == origin {
            return Verdict::Drop(DropReason::RoutingLoop);
        }
        if let Err(reason) = self.carry(&Carried { sender, origin, hop, destination, len: packet.len() }, scratch) {
            return Verdict::Drop(reason);
        }
        scratch.tally.count_relayed(to);
        match carrier {
            Carrier::Udp { target, hop, ids } => {
                self.count_straight(hop, scratch);
                carrier::transmit(target, ids, packet)
            }
            Carrier::Tcp { .. } => Verdict::Punt(Punt::Relay { origin, destination }),
        }
    }

    /// Decides what becomes of a datagram for this node, after it was opened.
    pub(super) fn finish_open(
        &self,
        origin: &PeerEntry,
        arrival: Arrival,
        opened: Result<u8, OpenError>,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Verdict {
        let Arrival { from, direct } = arrival;
        let kind = match opened {
            Ok(kind) => kind,
            Err(error) => return refuse(origin, error),
        };
        if direct {
            origin.stats.note_recent_len(packet.len());
        }
        match kind {
            PROBE | HANDSHAKE | REFLECTION_ASKED | REFLECTION => {
                Verdict::Punt(Punt::Record { origin: origin.peer, kind, direct, from })
            }
            FIRST_PIECE | LAST_PIECE => {
                if direct {
                    scratch.tally.count_straight_in(origin);
                }
                Verdict::Punt(Punt::Record { origin: origin.peer, kind, direct, from })
            }
            _ => {
                if let Some(verdict) = self.follow_in(origin, direct, kind, packet, scratch) {
                    return verdict;
                }
                self.end_flow(scratch);
                if direct {
                    scratch.tally.count_straight_in(origin);
                }
                let verdict = self.accept_record(origin.peer, kind, packet, scratch);
                if verdict == Verdict::Deliver {
                    self.note_admitted(origin, direct, kind, packet, scratch);
                }
                verdict
            }
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A datagram for this node, without its ids, has to be opened.
fn to_open<'a>(origin: &'a PeerEntry, arrival: Arrival, packet: &mut Packet) -> Step<'a> {
    let Some(session) = origin.session.as_deref() else {
        return Verdict::Punt(Punt::Datagram { from: arrival.from }).into();
    };
    if !arrival.direct || origin.options.has_ids() {
        packet.drop_front(IDS);
    }
    Step::Open { origin, session, arrival }
}

/// A datagram that names its origin, from an address where that is not confirmed to be (also one where
/// another is, as when a NAT gives a port anew). The node sees it only if the origin sealed it.
fn on_new_address(origin: &PeerEntry, from: UdpTarget, datagram: &[u8]) -> Verdict {
    if origin.peer == PeerId::ME {
        return Verdict::Drop(DropReason::LoopBack);
    }
    let genuine = origin.session.as_ref().is_none_or(|session| session.would_open(datagram));
    if genuine {
        return Verdict::Punt(Punt::Datagram { from });
    }
    if origin.udp.is_some_and(|target| target.to == from.to) {
        origin.stats.refused.fetch_add(1, Relaxed);
    }
    Verdict::Drop(DropReason::BadTag)
}

fn refuse(origin: &PeerEntry, error: OpenError) -> Verdict {
    Verdict::Drop(match error {
        OpenError::TooShort => DropReason::TooShort,
        OpenError::BadTag => {
            origin.stats.refused.fetch_add(1, Relaxed);
            DropReason::BadTag
        }
        OpenError::Replayed => DropReason::Replayed,
        OpenError::BadType(_) => DropReason::BadRecord,
    })
}
