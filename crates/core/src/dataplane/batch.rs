//! Batches: what one read of a worker gave, worked together, because sealing and opening many packets at once is several
//! times cheaper than one after the other.
//!
//! ```text
//! outbound: route each ─► seal all
//! inbound:  find the sender of each ─► open all ─► route each ─► seal what goes on
//! ```
//!
//! Every packet ends as it would alone.

use std::array;
use std::net::SocketAddr;

use crate::crypto::record_key::Records;
use crate::dataplane::fib::{Fib, PeerEntry};
use crate::dataplane::inbound::Step;
use crate::dataplane::offload::unsummed;
use crate::dataplane::outbox::Outbox;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::Verdict;
use crate::name::PeerId;
use crate::packet::Packet;

/// Most packets of a batch.
pub const BATCH: usize = 64;

/// A packet that is framed and has to be sealed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsealed {
    /// Whose session seals it.
    pub(super) peer: PeerId,
    /// Bytes in front of what that session framed.
    pub(super) front: usize,
}

/// Up to [`BATCH`] packets, where they came from and what became of them.
#[derive(Debug)]
pub struct Batch {
    packets: Vec<Packet>,
    sources: [Option<SocketAddr>; BATCH],
    outcomes: [Option<Outcome>; BATCH],
    follows: [bool; BATCH],
    outbox: Outbox,
    len: usize,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its end.
    pub verdict: Verdict,
    /// Type of service or traffic class that it is to have outside; 0: none.
    pub priority: u8,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        let packets = (0..BATCH).map(|_| Packet::new()).collect();
        Self {
            packets,
            sources: [None; BATCH],
            outcomes: [None; BATCH],
            follows: [false; BATCH],
            outbox: Outbox::new(),
            len: 0,
        }
    }

    /// How many packets it holds.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more it takes.
    pub const fn room(&self) -> usize {
        BATCH - self.len
    }

    /// Whether it holds all it can.
    pub const fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// The packet that comes next, to be filled and then [kept](Self::keep); `None` if the batch is full.
    pub fn space(&mut self) -> Option<&mut Packet> {
        self.packets.get_mut(self.len)
    }

    /// Keeps the next packet, which came from `source` if it is a datagram.
    pub fn keep(&mut self, source: Option<SocketAddr>) {
        if let (Some(own), Some(outcome)) = (self.sources.get_mut(self.len), self.outcomes.get_mut(self.len)) {
            *own = source;
            *outcome = None;
            self.follows[self.len] = false;
            self.len += 1;
        }
    }

    /// Keeps the next packet of the device, which is like the one before: its headers differ in nothing but length, IPv4 id,
    /// sequence number, checksums, and flags that say nothing of where it goes.
    pub fn keep_follower(&mut self) {
        let at = self.len;
        self.keep(None);
        if let Some(follows) = self.follows.get_mut(at) {
            *follows = at > 0;
        }
    }

    /// The packets.
    pub fn packets(&self) -> &[Packet] {
        &self.packets[..self.len]
    }

    /// What is sent of packet number `at`.
    pub fn datagram(&self, at: usize) -> &[u8] {
        let sealed = self.outbox.datagram(at);
        sealed.or_else(|| self.packets.get(at).map(Packet::payload)).unwrap_or_default()
    }

    /// The packets, to change.
    pub fn packets_mut(&mut self) -> &mut [Packet] {
        &mut self.packets[..self.len]
    }

    /// What became of each packet.
    pub fn outcomes(&self) -> &[Option<Outcome>] {
        &self.outcomes[..self.len]
    }
}

impl Fib {
    /// Decides what becomes of packets that the device gave, as [`outbound`](Self::outbound) does for each.
    pub fn outbound_batch(&self, batch: &mut Batch, scratch: &mut Scratch) {
        let mut unsealed = [None; BATCH];
        let count = batch.len;
        scratch.tally.begin();
        scratch.start_batch();
        let rest = batch.packets.iter_mut().zip(&mut batch.outcomes).zip(&mut unsealed);
        for (((packet, outcome), unsealed), follows) in rest.zip(batch.follows).take(count) {
            let followed = if follows { self.follow_out(packet, scratch) } else { None };
            let verdict = followed.unwrap_or_else(|| {
                self.end_way(scratch);
                unsummed::complete(packet);
                self.outbound(packet, scratch)
            });
            *unsealed = scratch.unsealed.take();
            *outcome = Some(Outcome { verdict, priority: scratch.priority });
        }
        self.end_way(scratch);
        scratch.end_batch();
        self.seal_all(&mut batch.packets[..count], &mut batch.outbox, &unsealed);
    }

    /// Decides what becomes of UDP datagrams, as [`inbound`](Self::inbound) does for each.
    pub fn inbound_batch(&self, batch: &mut Batch, scratch: &mut Scratch) {
        let count = batch.len;
        scratch.tally.begin();
        let mut steps: [Option<Step<'_>>; BATCH] = array::from_fn(|_| None);
        let mut sender: Option<(SocketAddr, Option<&PeerEntry>)> = None;
        let arrived = batch.packets.iter_mut().zip(&batch.sources).zip(&mut steps).take(count);
        for ((packet, source), step) in arrived {
            *step = source.map(|from| {
                let known = sender.filter(|(address, _)| *address == from);
                let (_, sender) = *sender.insert(known.unwrap_or_else(|| (from, self.sender(from))));
                self.arrive_from(sender, from, packet, scratch)
            });
        }
        let genuine = open_all(&mut batch.packets[..count], &steps);
        let mut unsealed = [None; BATCH];
        scratch.start_batch();
        let rest = batch.packets.iter_mut().zip(&mut batch.outcomes).zip(&mut unsealed);
        for (((packet, outcome), unsealed), (step, genuine)) in rest.zip(steps.iter().zip(genuine)).take(count) {
            scratch.priority = 0;
            let verdict = match step {
                None => continue,
                Some(Step::Done(verdict)) => *verdict,
                Some(Step::Open { origin, session, arrival }) => {
                    let opened = match genuine {
                        Some(genuine) => session.finish_open(packet, genuine),
                        None => session.open(packet),
                    };
                    self.finish_open(origin, *arrival, opened, packet, scratch)
                }
            };
            scratch.counters.count(&verdict);
            *unsealed = scratch.unsealed.take();
            *outcome = Some(Outcome { verdict, priority: scratch.priority });
        }
        self.end_flow(scratch);
        scratch.end_batch();
        self.seal_all(&mut batch.packets[..count], &mut batch.outbox, &unsealed);
    }

    /// Numbers and seals the packets that are framed only.
    fn seal_all(&self, packets: &mut [Packet], outbox: &mut Outbox, unsealed: &[Option<Unsealed>]) {
        let mut records = Records::default();
        let mut run = Run::default();
        outbox.clear();
        for (place, (packet, own)) in packets.iter_mut().zip(unsealed).enumerate() {
            let Some(own) = own else { continue };
            let Some(session) = self.peer(own.peer).and_then(|entry| entry.session.as_deref()) else { continue };
            if run.left == 0 {
                let alike = unsealed[place..].iter().flatten().take_while(|other| other.peer == own.peer);
                run.left = alike.count();
                run.number = session.take_numbers(run.left as u64);
            }
            if !outbox.seal(place, session, run.number, own.front, packet.payload()) {
                let datagram = packet.payload_mut().get_mut(own.front..).unwrap_or_default();
                if let Some(part) = session.to_seal(run.number, datagram) {
                    records.push(place, part);
                }
            }
            run.left -= 1;
            run.number += 1;
        }
        records.seal();
    }
}

/// Successive packets of one session, which take their numbers together.
#[derive(Default)]
struct Run {
    left: usize,
    number: u64,
}

/// Opens the packets that can be opened together, and tells of each of them whether that went well.
fn open_all(packets: &mut [Packet], steps: &[Option<Step<'_>>; BATCH]) -> [Option<bool>; BATCH] {
    let mut records = Records::default();
    for (place, (packet, step)) in packets.iter_mut().zip(steps).enumerate() {
        if let Some(Step::Open { session, .. }) = step
            && let Some(part) = session.to_open(packet.payload_mut())
        {
            records.push(place, part);
        }
    }
    let mut genuine = [None; BATCH];
    records.open(|place, found| genuine[place] = Some(found));
    genuine
}
