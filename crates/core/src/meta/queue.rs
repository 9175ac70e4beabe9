//! `Queue`: packets that wait for their turn on a connection, not sealed yet, so that they can still be dropped.
//!
//! ```text
//!  packet ─► lane of its flow ─► lanes take turns, by bytes ─► sealed as the system has room
//!                 └─ too old, or too much: the oldest goes
//! ```
//!
//! A stream inside a tunnel only learns from lost packets that it is too fast; the sooner, the less waits. So what is too
//! old gives way to what is new, and no flow waits behind another one. The turns are those of RFC 8290, section 4.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

use crate::dataplane::steering::{flow_hash, hash};
use crate::time::Instant;
use crate::wire::request::Request;

/// What has waited longer goes, if something newer of its flow is there.
const LONGEST: Duration = Duration::from_millis(50);
/// Bytes that may wait, unless variable `MaxOutputBufferSize` says something else.
pub const MOST: usize = 1 << 20;
/// Flows that are told apart.
const LANES: usize = 32;
/// Bytes that a lane may send in one turn.
const TURN: usize = 1536;

/// How a packet goes into the connection (spec: datagrams 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A frame, as a record that a PACKET request announces.
    Frame,
    /// Two ids and a sealed datagram, bare, announced by an SPTPS_PACKET request.
    Raw,
    /// The text of a request that holds a datagram, with its end.
    Text,
}

/// The packet that leaves a queue, in buffers that are used again and again.
#[derive(Debug, Default)]
pub struct AtHand {
    /// What was pushed.
    pub packet: Vec<u8>,
    /// The request that announces it, with its end; empty if it is one.
    pub line: String,
}

impl AtHand {
    /// Writes the request.
    pub fn announce(&mut self, form: Form) {
        self.line.clear();
        let len = self.packet.len() as u16;
        let request = match form {
            Form::Frame => Request::Packet { len },
            Form::Raw => Request::SptpsPacket { len },
            Form::Text => return,
        };
        // A string takes everything.
        writeln!(self.line, "{request}").ok();
    }
}

/// How many packets were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// They had waited too long.
    pub late: u64,
    /// Too much waited.
    pub full: u64,
}

/// The packets that wait on one connection.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: Vec<Lane>,
    /// Lanes with packets, the next one first.
    turns: VecDeque<usize>,
    bytes: usize,
    dropped: Dropped,
}

#[derive(Debug, Default)]
struct Lane {
    heads: VecDeque<Head>,
    /// The packets, one behind the other.
    bytes: VecDeque<u8>,
    /// Bytes that it may still send in this turn.
    credit: usize,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    form: Form,
    len: usize,
    since: Instant,
}

impl Lane {
    /// Takes out the oldest packet.
    fn take(&mut self, into: Option<&mut Vec<u8>>) -> Option<Head> {
        let head = self.heads.pop_front()?;
        if let Some(into) = into {
            let (first, second) = self.bytes.as_slices();
            let cut = first.len().min(head.len);
            into.extend_from_slice(&first[..cut]);
            into.extend_from_slice(&second[..head.len - cut]);
        }
        self.bytes.drain(..head.len);
        Some(head)
    }

    /// Whether the oldest packet is to give way to a newer one.
    fn is_late(&self, now: Instant) -> bool {
        self.heads.len() > 1 && self.heads.front().is_some_and(|head| now.since(head.since) > LONGEST)
    }
}

impl Queue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// So many bytes wait.
    #[cfg(test)]
    const fn waiting(&self) -> usize {
        self.bytes
    }

    /// Adds a packet, in parts; the oldest of the flow of which most waits go, until no more than `limit` bytes wait.
    pub fn push(&mut self, now: Instant, flow: u64, form: Form, parts: [&[u8]; 2], limit: usize) {
        self.lanes.resize_with(LANES, Lane::default);
        let index = (flow % LANES as u64) as usize;
        let lane = &mut self.lanes[index];
        if lane.heads.is_empty() {
            self.turns.push_back(index);
        }
        let len = parts.iter().map(|part| part.len()).sum();
        lane.heads.push_back(Head { form, len, since: now });
        parts.iter().for_each(|part| lane.bytes.extend(*part));
        self.bytes += len;
        while self.bytes > limit {
            let longest = self.turns.iter().copied().max_by_key(|&index| self.lanes[index].bytes.len());
            let lane = longest.and_then(|index| self.lanes.get_mut(index)).filter(|lane| lane.heads.len() > 1);
            let Some(head) = lane.and_then(|lane| lane.take(None)) else { break };
            self.bytes -= head.len;
            self.dropped.full += 1;
        }
    }

    /// Takes out the next packet, and drops those that have waited too long.
    pub fn pop(&mut self, now: Instant, into: &mut Vec<u8>) -> Option<Form> {
        while let Some(&index) = self.turns.front() {
            let lane = &mut self.lanes[index];
            while lane.is_late(now) {
                self.bytes -= lane.take(None).map_or(0, |head| head.len);
                self.dropped.late += 1;
            }
            if lane.heads.front().is_some_and(|head| head.len > lane.credit) {
                lane.credit += TURN;
                self.turns.rotate_left(1);
                continue;
            }
            into.clear();
            let head = lane.take(Some(into));
            if lane.heads.is_empty() {
                lane.credit = 0;
                self.turns.pop_front();
            }
            let head = head?;
            lane.credit = lane.credit.saturating_sub(head.len);
            self.bytes -= head.len;
            return Some(head.form);
        }
        None
    }

    /// How many packets were dropped since the last time this was asked.
    pub fn take_dropped(&mut self) -> Dropped {
        std::mem::take(&mut self.dropped)
    }

    /// A flood leaves large buffers behind, which an idle connection does not need.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.lanes = Vec::new();
        }
    }
}

/// A number of the flow that a frame belongs to.
pub fn flow_of(ethernet: &[u8], ip: &[u8]) -> u64 {
    let is_ip = matches!(ethernet.get(12..), Some([0x08, 0x00] | [0x86, 0xdd]));
    flow_hash(ip).filter(|_| is_ip).unwrap_or_else(|| hash([ethernet]))
}

#[cfg(test)]
mod tests;
