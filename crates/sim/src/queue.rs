//! What will happen, and when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use tinmesh_core::name::ConnId;
use tinmesh_core::time::Instant;

use crate::engine::Syn;
use crate::internet::{Datagram, HostId, Parcel};
use crate::stream::{Side, StreamId};

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A host starts its program.
    Boot(HostId),
    /// A program asked to be woken.
    Wake(HostId),
    /// A program samples its counters.
    Sample(HostId),
    /// A datagram has crossed the Internet up to the receiver's network.
    Arrive(Box<Datagram>),
    /// A datagram has reached a host.
    Reach(HostId, Box<Datagram>),
    /// A host's system learns that a link is narrow.
    Bounce {
        /// Whose system.
        host: HostId,
        /// Behind which address.
        to: IpAddr,
        /// Its MTU, in bytes of IP packet.
        mtu: u16,
    },
    /// A call reaches the callee.
    Ring(StreamId),
    /// The callee's answer reaches the caller.
    Answer(StreamId),
    /// A call from a port that its program chose is made, or made again.
    Syn(Syn),
    /// It has crossed the Internet up to the receiver's network.
    SynArrives(Syn, Box<Parcel>),
    /// It has reached a host.
    SynReaches(Syn, HostId, Box<Parcel>),
    /// Its sender learns that it was refused.
    SynRefused(Syn),
    /// Two calls met.
    Joined(StreamId),
    /// A call failed.
    Refuse {
        /// The caller.
        host: HostId,
        /// Its connection.
        conn: ConnId,
    },
    /// Bytes reach one end of a stream.
    Bytes(StreamId, Side),
    /// One end of a stream learns that the other does not know it.
    Reset(StreamId, Side),
    /// Names were looked up.
    Resolved {
        /// By whom.
        host: HostId,
        /// The number of the question.
        question: u64,
        /// What for.
        name: String,
        /// Port to put behind the addresses.
        port: u16,
    },
    /// A flow sends its next packet.
    Flow(usize),
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest, as a binary heap wants it; equals keep the order in which they were planned.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// All events to come, in order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    planned: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Instant, event: Event) {
        self.planned += 1;
        self.heap.push(Entry { at, number: self.planned, event });
    }

    /// Takes the next event if it is not later than `end`.
    pub(crate) fn pop(&mut self, end: Instant) -> Option<(Instant, Event)> {
        if self.heap.peek()?.at > end {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_time_and_among_equals_in_the_order_of_planning() {
        let mut queue = Queue::default();
        for (at, flow) in [(9, 0), (5, 1), (9, 2), (5, 3)] {
            queue.push(Instant::from_micros(at), Event::Flow(flow));
        }
        let order: Vec<usize> = std::iter::from_fn(|| queue.pop(Instant::from_micros(9)))
            .map(|(_, event)| if let Event::Flow(flow) = event { flow } else { 99 })
            .collect();
        assert_eq!(order, [1, 3, 0, 2]);
    }

    #[test]
    fn nothing_comes_before_its_time() {
        let mut queue = Queue::default();
        queue.push(Instant::from_micros(5), Event::Flow(0));
        assert!(queue.pop(Instant::from_micros(4)).is_none());
    }
}
