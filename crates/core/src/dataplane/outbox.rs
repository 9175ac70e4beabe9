//! Datagrams that were sealed out of their packets, one right behind the other, so that the system is told of them as of one.

use crate::dataplane::batch::BATCH;
use crate::dataplane::session::Session;
use crate::packet::CAPACITY;

/// The datagrams of one batch.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Box<[u8]>,
    used: usize,
    /// Where the datagram of each packet begins and ends; at 0: it is not here.
    places: [(u32, u32); BATCH],
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BATCH * CAPACITY].into_boxed_slice(), used: 0, places: [(0, 0); BATCH] }
    }

    pub(super) const fn clear(&mut self) {
        self.used = 0;
        self.places = [(0, 0); BATCH];
    }

    /// Seals the framed datagram of packet `at`, which has `front` bytes before its number; `false` if the cipher of its session
    /// is no faster at that than in place.
    pub(super) fn seal(&mut self, at: usize, session: &Session, number: u64, front: usize, datagram: &[u8]) -> bool {
        let Some((ids, framed)) = datagram.split_at_checked(front) else { return false };
        let Some((head, rest)) = self.bytes[self.used..].split_at_mut_checked(front) else { return false };
        let Some(len) = session.seal_copy(number, framed, rest) else { return false };
        head.copy_from_slice(ids);
        let end = self.used + front + len;
        self.places[at] = (self.used as u32, end as u32);
        self.used = end;
        true
    }

    /// The datagram of packet `at`, if it is here.
    pub(super) fn datagram(&self, at: usize) -> Option<&[u8]> {
        let (start, end) = *self.places.get(at).filter(|(_, end)| *end > 0)?;
        self.bytes.get(start as usize..end as usize)
    }
}
