//! `Filter`: which conversations others may begin with this node, and which packets belong to one that may go on.
//!
//! ```text
//! from the device ─► note: we begin it, unless they did
//! for the device ──► passes: of one that we began? else by what its sender may: `Reach`
//! ```
//!
//! What others begin is asked for anew with each packet, so that a statement counts at once. It is noted all the same:
//! our answers begin nothing. Of a packet in pieces the first one decides. Errors pass if they quote a packet of ours
//! that belongs to a known conversation.

use std::time::Duration;

use crate::crypto::rng::Rng;
use crate::dataplane::gate::flow::{Flow, Fragment, Part};
use crate::dataplane::gate::table::{Hash, Table, WORDS};
use crate::dataplane::ip::{Family, TCP, UDP};
use crate::time::Instant;

/// Conversations in each direction: 2^12 sets of 8.
const FLOW_BITS: u32 = 12;
const FLOW_WAYS: usize = 8;
/// Packets in pieces: 2^10 sets of 4.
const PIECE_BITS: u32 = 10;
const PIECE_WAYS: usize = 4;
/// A connection of TCP is over when it was silent for so long.
const TCP_SILENCE: Duration = Duration::from_secs(8 * 3_600);
/// Another conversation.
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// Pieces come within so long.
const PIECES: Duration = Duration::from_secs(34);
/// Tells hashes of pieces from those of conversations.
const PIECE_MARK: u64 = 1 << 63;

/// What a node may begin with this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Ports of TCP: disjoint ranges, in order.
    pub tcp: Box<[(u16, u16)]>,
    /// Ports of UDP.
    pub udp: Box<[(u16, u16)]>,
    /// Whether ICMP of all kinds passes.
    pub icmp: bool,
    /// Whether other protocols pass.
    pub other: bool,
}

impl Reach {
    /// All may begin.
    pub fn everything() -> Self {
        let all = || Box::from([(0, u16::MAX)]);
        Self { tcp: all(), udp: all(), icmp: true, other: true }
    }

    fn has_port(&self, protocol: u8, port: u16) -> bool {
        let ranges = match protocol {
            TCP => &self.tcp,
            UDP => &self.udp,
            _ => return false,
        };
        let at = ranges.partition_point(|(_, high)| *high < port);
        ranges.get(at).is_some_and(|(low, _)| *low <= port)
    }
}

/// The conversations of this node.
#[derive(Debug)]
pub struct Filter {
    hash: Hash,
    /// Those that it began.
    own: Table,
    /// Those that others began.
    theirs: Table,
    /// Packets in pieces that may pass.
    pieces: Table,
}

impl Filter {
    /// No conversations; `rng` makes the secret by which they are found.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            hash: Hash::new(rng),
            own: Table::new(FLOW_BITS, FLOW_WAYS),
            theirs: Table::new(FLOW_BITS, FLOW_WAYS),
            pieces: Table::new(PIECE_BITS, PIECE_WAYS),
        }
    }

    /// This node sends an IP packet.
    pub(super) fn note(&self, family: Family, packet: &[u8], now: Instant) {
        let Some(flow) = Flow::of(family, packet) else { return };
        let begins = match flow.part {
            Part::Ports { opens, .. } => opens,
            Part::Echo(_) => true,
            Part::Other => false,
            Part::EchoReply(_) | Part::Error(_) | Part::Control(_) | Part::Later | Part::Broken => return,
        };
        let (hash, silence) = (self.hash_of(&flow, Side::Sent), silence(&flow));
        if begins || !self.theirs.renew(hash, now, silence) {
            self.own.note(hash, now, silence);
        }
    }

    /// Whether an IP packet of a node that may begin as much as `reach` passes.
    pub(super) fn passes(&self, reach: &Reach, family: Family, packet: &[u8], now: Instant) -> bool {
        let Some(flow) = Flow::of(family, packet) else { return false };
        let passes = match flow.part {
            Part::Ports { destination, .. } => self.goes_on(&flow, reach.has_port(flow.protocol, destination), now),
            Part::Other => self.goes_on(&flow, reach.other, now),
            Part::EchoReply(_) => reach.icmp || self.own.renew(self.hash_of(&flow, Side::Received), now, SILENCE),
            Part::Error(quoted) => reach.icmp || self.is_about_ours(family, quoted, now),
            Part::Echo(_) | Part::Control(_) => reach.icmp,
            Part::Later => return self.is_piece(&flow, now),
            Part::Broken => false,
        };
        if passes && let Fragment::First(id) = flow.fragment {
            self.pieces.note(self.piece_hash(&flow, id), now, PIECES);
        }
        passes
    }

    fn goes_on(&self, flow: &Flow<'_>, may_begin: bool, now: Instant) -> bool {
        let (hash, silence) = (self.hash_of(flow, Side::Received), silence(flow));
        if self.own.renew(hash, now, silence) {
            return true;
        }
        if may_begin {
            self.theirs.note(hash, now, silence);
        }
        may_begin
    }

    /// Whether an error quotes a packet that this node sent in a known conversation.
    fn is_about_ours(&self, family: Family, quoted: &[u8], now: Instant) -> bool {
        let Some(flow) = Flow::of(family, quoted) else { return false };
        if !matches!(flow.part, Part::Ports { .. } | Part::Echo(_) | Part::Other) {
            return false;
        }
        let (hash, silence) = (self.hash_of(&flow, Side::Sent), silence(&flow));
        self.own.has(hash, now, silence) || self.theirs.has(hash, now, silence)
    }

    fn is_piece(&self, flow: &Flow<'_>, now: Instant) -> bool {
        match flow.fragment {
            Fragment::Later(id) => self.pieces.has(self.piece_hash(flow, id), now, PIECES),
            Fragment::Whole | Fragment::First(_) => false,
        }
    }

    /// The hash of a conversation, the same for both directions.
    fn hash_of(&self, flow: &Flow<'_>, side: Side) -> u64 {
        let ports = match flow.part {
            Part::Ports { source, destination, .. } => [source, destination],
            Part::Echo(id) | Part::EchoReply(id) => [id, id],
            Part::Error(_) | Part::Control(_) | Part::Other | Part::Later | Part::Broken => [0, 0],
        };
        let (ends, [here, there]) = match side {
            Side::Sent => ([flow.source, flow.destination], ports),
            Side::Received => ([flow.destination, flow.source], [ports[1], ports[0]]),
        };
        let rest = u64::from(flow.protocol) << 32 | u64::from(here) << 16 | u64::from(there);
        self.hash.of(&words(ends, rest))
    }

    fn piece_hash(&self, flow: &Flow<'_>, id: u32) -> u64 {
        let rest = PIECE_MARK | u64::from(flow.protocol) << 32 | u64::from(id);
        self.hash.of(&words([flow.destination, flow.source], rest))
    }
}

/// Whether this node sends a packet or receives it.
#[derive(Clone, Copy)]
enum Side {
    Sent,
    Received,
}

const fn words([here, there]: [u128; 2], rest: u64) -> [u64; WORDS] {
    [(here >> 64) as u64, here as u64, (there >> 64) as u64, there as u64, rest, 0]
}

const fn silence(flow: &Flow<'_>) -> Duration {
    if flow.protocol == TCP { TCP_SILENCE } else { SILENCE }
}

#[cfg(test)]
mod tests;
