//! Messages of different lengths side by side: all that are not at their end go on together for as long as the shortest of
//! them lasts, and the last one is finished alone.

use crate::TAG;
use crate::poly1305::{BLOCK, OneTimeKey};

/// The messages, what is left of them, and what was added up.
pub(crate) struct Runs<'a, const TOGETHER: usize> {
    messages: [&'a [u8]; TOGETHER],
    left: [&'a [[u8; BLOCK]]; TOGETHER],
    /// Blocks of the present run.
    run: usize,
    sums: [[u64; 3]; TOGETHER],
}

impl<'a, const TOGETHER: usize> Runs<'a, TOGETHER> {
    pub(crate) fn of(messages: [&'a [u8]; TOGETHER]) -> Self {
        let left = messages.map(|message| message.as_chunks().0);
        Self { messages, left, run: 0, sums: [[0; 3]; TOGETHER] }
    }

    /// As many blocks of each message, if more than one is left; those at their end have another's, which counts for nothing.
    pub(crate) fn next(&mut self) -> Option<[&'a [[u8; BLOCK]]; TOGETHER]> {
        let busy = self.left.iter().filter(|left| !left.is_empty());
        let shortest = *busy.clone().min_by_key(|left| left.len())?;
        if busy.count() < 2 {
            return None;
        }
        self.run = shortest.len();
        Some(self.left.map(|left| left.get(..shortest.len()).unwrap_or(shortest)))
    }

    /// Keeps the sums after the present run.
    pub(crate) fn absorbed(&mut self, sums: [[u64; 3]; TOGETHER]) {
        for ((left, kept), sum) in self.left.iter_mut().zip(&mut self.sums).zip(sums) {
            if let Some(rest) = left.get(self.run..) {
                (*left, *kept) = (rest, sum);
            }
        }
    }

    /// The tags, after the rest of each message alone.
    pub(crate) fn finish(self, keys: &[OneTimeKey; TOGETHER]) -> [[u8; TAG]; TOGETHER] {
        std::array::from_fn(|lane| {
            let absorbed = self.messages[lane].len() / BLOCK - self.left[lane].len();
            keys[lane].finish(self.sums[lane], self.messages[lane], absorbed)
        })
    }
}
