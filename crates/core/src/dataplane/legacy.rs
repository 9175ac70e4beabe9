//! Packets to and from nodes that are spoken to in the protocol of tinc 1.0.
//!
//! They are Ethernet frames in every mode, compressed whole, and their datagrams do not tell who sent them: a sender
//! without confirmed address is found by trying the keys. Behind a static relay a node is reached by handing packets to the
//! relay, which opens them: the protocol knows no relaying of sealed packets. Source: spec legacy-1.0, 7 and 8.

use std::net::SocketAddr;
use std::time::Duration;

use crate::dataplane::carrier;
use crate::dataplane::fib::{Fib, Mode, PeerEntry, UdpTarget};
use crate::dataplane::ip::Family;
use crate::dataplane::record::{FRAME, PROBE};
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::{DropReason, Punt, Verdict};
use crate::legacy::session::{OpenError, Session};
use crate::name::PeerId;
use crate::packet::{ETHERNET_HEADER, MAX_FRAME, Packet};
use crate::time::Instant;
use crate::wire::options::Options;

/// The keys of all nodes are tried at most so often; those of nodes at the same IP address always.
const SEARCH_INTERVAL: Duration = Duration::from_millis(100);

/// Limits how often the keys of all nodes are tried.
#[derive(Debug, Default)]
pub(super) struct SearchBudget {
    last: Option<Instant>,
}

impl SearchBudget {
    fn take(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.since(last) >= SEARCH_INTERVAL);
        if due {
            self.last = Some(now);
        }
        due
    }
}

impl Fib {
    /// Sends a plain packet by UDP; `None`, and no change, if it must go over TCP.
    pub(super) fn send_legacy(
        &self,
        to: &PeerEntry,
        session: &Session,
        source: PeerId,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Option<Verdict> {
        let via = self.via(to);
        if via != to.peer {
            let relay =
                self.peer(via).filter(|relay| self.via(relay) == via && via != source && self.may_relay(via))?;
            return Some(self.send_record(relay.peer, source, self.policy.mode.record_kind(), packet, scratch));
        }
        session.sending()?;
        let frame = packet.len() + self.policy.mode.missing_header();
        let fits = !to.options.has(Options::PMTU_DISCOVERY) || frame <= usize::from(to.min_mtu);
        let tcp_only = self.policy.tcp_only || to.options.has(Options::TCP_ONLY);
        let target = to.udp.filter(|_| to.udp_confirmed && fits && !tcp_only)?;
        Some(match self.policy.mode {
            Mode::Router if !add_header(packet) => Verdict::Drop(DropReason::UnknownProtocol),
            Mode::Router | Mode::Switch | Mode::Hub if !seal_legacy(session, packet, scratch) => {
                Verdict::Drop(DropReason::NoKey)
            }
            Mode::Router | Mode::Switch | Mode::Hub => carrier::transmit(target, None, packet),
        })
    }

    /// Opens a datagram of `sender`.
    pub(super) fn open_legacy(
        &self,
        sender: &PeerEntry,
        session: &Session,
        from: UdpTarget,
        packet: &mut Packet,
        scratch: &mut Scratch,
    ) -> Verdict {
        if let Err(reason) = unseal_legacy(session, packet, scratch) {
            return Verdict::Drop(reason);
        }
        if packet.payload()[ETHERNET_HEADER - 2..ETHERNET_HEADER] == [0, 0] {
            return Verdict::Punt(Punt::Record { origin: sender.peer, kind: PROBE, direct: true, from });
        }
        self.accept_record(sender.peer, FRAME, packet, scratch)
    }

    /// Whether a datagram without known sender is of a node with our key of tinc 1.0.
    pub(super) fn is_from_legacy(&self, from: SocketAddr, datagram: &[u8], scratch: &mut Scratch) -> bool {
        if self.legacy.is_empty() {
            return false;
        }
        let everyone = scratch.searches.take(scratch.now);
        self.legacy_sender(from, datagram, everyone).is_some()
    }

    /// The node with our key of tinc 1.0 that sent a datagram: one at the same IP address, or any of `everyone`.
    pub(crate) fn legacy_sender(&self, from: SocketAddr, datagram: &[u8], everyone: bool) -> Option<PeerId> {
        let sent = |entry: &PeerEntry| {
            let Some(session) = entry.legacy.as_deref() else { return false };
            let known = entry.udp.map(|target| target.to);
            if session.is_anonymous() {
                return known == Some(from);
            }
            let near = everyone || known.is_some_and(|known| known.ip() == from.ip());
            near && session.is_authentic(datagram)
        };
        let candidates = self.legacy.iter().filter_map(|&peer| self.peer(peer));
        candidates.filter(|entry| sent(entry)).map(|entry| entry.peer).next()
    }
}

/// Compresses a frame if the peer wants that, and makes it the datagram to send; `false` if there is no key.
pub(crate) fn seal_legacy(session: &Session, packet: &mut Packet, scratch: &mut Scratch) -> bool {
    let level = session.sending().map_or(0, |suite| suite.compression);
    if level != 0 {
        let Some(packed) = scratch.codec.pack(level, packet.payload()) else { return false };
        packet.fill(packed);
    }
    session.seal(packet)
}

/// Makes a datagram the frame in it, of at least a header's length.
pub(crate) fn unseal_legacy(session: &Session, packet: &mut Packet, scratch: &mut Scratch) -> Result<(), DropReason> {
    session.open(packet).map_err(|error| match error {
        OpenError::TooShort => DropReason::TooShort,
        OpenError::BadTag => DropReason::BadTag,
        OpenError::Replayed => DropReason::Replayed,
    })?;
    let level = session.receiving().map_or(0, |suite| suite.compression);
    if level != 0 {
        let plain = scratch.codec.decompress(level, packet.payload()).ok_or(DropReason::BadCompression)?;
        packet.fill(plain);
    }
    match packet.len() {
        ..ETHERNET_HEADER => Err(DropReason::TooShort),
        ETHERNET_HEADER..=MAX_FRAME => Ok(()),
        _ => Err(DropReason::TooLong),
    }
}

/// Puts an Ethernet header in front of an IP packet.
fn add_header(packet: &mut Packet) -> bool {
    let ether_type = match Family::of(packet.payload()) {
        Some(Family::V4) => [0x08, 0x00],
        Some(Family::V6) => [0x86, 0xdd],
        None => return false,
    };
    packet.push_front(&ether_type) && packet.push_front(&[0; ETHERNET_HEADER - 2])
}
