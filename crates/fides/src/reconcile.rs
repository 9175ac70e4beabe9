//! Reconciliation: two stores find out what each lacks, by ranges of sorted names.
//!
//! Each session has a salt; an item's name in it is the first 64 bits of SHA-256 of salt and id. The names of both sides
//! are sorted. A range of them is compared by a hash over all its names; where the hashes differ, the range is cut into
//! sixteen and these are compared; a small range is listed. So who wants two different sets to look alike would have to
//! know the salt before it adds to them.
//!
//! ```text
//! one side                                 the other
//!   │ hashes of 16 parts of everything ───────► │
//!   │ ◄─────── hashes of 16 parts of each part that differs
//!   │ names in each part that differs and is small ──────► │
//!   │ ◄─────── the items that are lacking here; names of those that are lacking there
//!   │ these items ────────────────────────────► │
//! ```
//!
//! Frames have a bounded size, whatever is in them; each is answered by itself, so none needs to wait for another. The
//! work that frames may cause is bounded by the size of one's own set.

mod frame;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::statement::StatementId;
use frame::{Entry, Range};

pub use frame::FrameError;

/// Longest frame, in bytes.
pub const MAX_FRAME: usize = 1_200;
/// A range with as many names or fewer is listed, not hashed.
const FEW: usize = 24;
/// Parts of a range, by the next four bits of the names.
const PARTS: u64 = 16;
/// How often one's own set may be hashed over: once for each four bits of a name.
const PASSES: usize = 16;
/// Frames that a session answers.
const MAX_FRAMES: usize = 4_096;

/// What a session asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<T = StatementId> {
    /// Frames for the other side.
    pub frames: Vec<Vec<u8>>,
    /// Items that the other side lacks: they are sent as text, at the pace of the caller.
    pub lacking: Vec<T>,
}

/// Why a frame was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// It is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The session has lasted long enough.
    #[error("the other side asks for more work than the stores are large: end this session")]
    TooMuch,
}

/// One side of a reconciliation: what it holds is what it held when the session began. [`crate::Store::session`] begins
/// one about items of a store; here it is about their ids alone:
///
/// ```
/// use fides::{Session, StatementId};
///
/// let ids = |numbers: std::ops::Range<u8>| numbers.map(|number| StatementId([number; 32]));
/// let (mut one, mut other) = (Session::new([7; 16], ids(0..100)), Session::new([7; 16], ids(3..103)));
/// let mut frames = one.start();
/// let (mut from_one, mut from_other) = (vec![], vec![]);
/// while !frames.is_empty() {
///     let step = other.on_frame(&frames.remove(0))?;
///     from_other.extend(step.lacking);
///     for frame in step.frames {
///         let step = one.on_frame(&frame)?;
///         from_one.extend(step.lacking);
///         frames.extend(step.frames);
///     }
/// }
/// assert_eq!((from_one.len(), from_other.len()), (3, 3));
/// # Ok::<(), fides::ReconcileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session<T = StatementId> {
    /// Salted names, sorted, what each names, and whether it was already sent.
    names: Vec<(u64, T, bool)>,
    hashes: BTreeMap<Range, u64>,
    hashed: usize,
    frames: usize,
}

impl Session {
    /// A session about these ids. The salt is drawn by who starts it.
    pub fn new(salt: [u8; 16], ids: impl IntoIterator<Item = StatementId>) -> Self {
        Self::about(salt, ids.into_iter().map(|id| (id, id)))
    }
}

impl<T: Clone> Session<T> {
    /// A session about these items, each with its id.
    pub(crate) fn about(salt: [u8; 16], items: impl IntoIterator<Item = (StatementId, T)>) -> Self {
        let name = |(id, item): (StatementId, T)| {
            let hash = Sha256::new().chain_update(salt).chain_update(id.0).finalize();
            (first_u64(&hash), item, false)
        };
        let mut names: Vec<_> = items.into_iter().map(name).collect();
        names.sort_by_key(|(name, _, _)| *name);
        names.dedup_by_key(|(name, _, _)| *name);
        Self { names, hashes: BTreeMap::new(), hashed: 0, frames: 0 }
    }

    /// The first frames; for who starts the session.
    pub fn start(&mut self) -> Vec<Vec<u8>> {
        let mut answer = Answer::new();
        if self.describe(Range::ALL, &mut answer).is_err() {
            return Vec::new();
        }
        answer.finish().frames
    }

    /// Answers a frame of the other side.
    ///
    /// # Errors
    /// If it is no frame, or the other side asks for too much.
    pub fn on_frame(&mut self, frame: &[u8]) -> Result<Step<T>, ReconcileError> {
        self.frames += 1;
        if self.frames > MAX_FRAMES {
            return Err(ReconcileError::TooMuch);
        }
        let mut answer = Answer::new();
        for entry in frame::decode(frame)? {
            match entry {
                Entry::Hashes { range, hashes } => self.on_hashes(range, &hashes, &mut answer)?,
                Entry::Names { range, names } => self.on_names(range, &names, &mut answer),
                Entry::Wanted(names) => names.iter().for_each(|name| self.send(*name, &mut answer)),
            }
        }
        Ok(answer.finish())
    }

    /// The other side's hashes of the parts of a range.
    fn on_hashes(&mut self, range: Range, theirs: &[u64; 16], answer: &mut Answer<T>) -> Result<(), ReconcileError> {
        for (part, theirs) in range.parts().zip(theirs) {
            if self.hash(part)? == *theirs {
                continue;
            }
            if *theirs == 0 {
                let (from, until) = self.places(part);
                (from..until).for_each(|at| self.send_at(at, answer));
            } else {
                self.describe(part, answer)?;
            }
        }
        Ok(())
    }

    /// The other side's names in a range.
    fn on_names(&mut self, range: Range, theirs: &[u64], answer: &mut Answer<T>) {
        let (from, until) = self.places(range);
        for at in from..until {
            if theirs.binary_search(&self.names[at].0).is_err() {
                self.send_at(at, answer);
            }
        }
        let is_lacking = |name: &&u64| self.names.binary_search_by_key(*name, |(own, _, _)| *own).is_err();
        answer.want(theirs.iter().filter(is_lacking).copied());
    }

    /// Says what is in a range, so that the other side sees where it differs.
    fn describe(&mut self, range: Range, answer: &mut Answer<T>) -> Result<(), ReconcileError> {
        let (from, until) = self.places(range);
        if until - from <= FEW || range.is_single() {
            answer.push(&Entry::Names {
                range,
                names: self.names[from..until].iter().map(|(name, _, _)| *name).collect(),
            });
            return Ok(());
        }
        let mut hashes = [0; 16];
        for (part, hash) in range.parts().zip(&mut hashes) {
            *hash = self.hash(part)?;
        }
        answer.push(&Entry::Hashes { range, hashes });
        Ok(())
    }

    /// A hash over the names in a range; 0 if there are none.
    fn hash(&mut self, range: Range) -> Result<u64, ReconcileError> {
        let (from, until) = self.places(range);
        if from == until {
            return Ok(0);
        }
        if let Some(known) = self.hashes.get(&range) {
            return Ok(*known);
        }
        self.hashed += until - from;
        if self.hashed > PASSES * self.names.len() {
            return Err(ReconcileError::TooMuch);
        }
        let mut hash = Sha256::new();
        for (name, _, _) in &self.names[from..until] {
            hash.update(name.to_be_bytes());
        }
        let hash = first_u64(&hash.finalize()).max(1);
        self.hashes.insert(range, hash);
        Ok(hash)
    }

    /// Where the names of a range begin and end.
    fn places(&self, range: Range) -> (usize, usize) {
        let from = self.names.partition_point(|(name, _, _)| *name < range.first());
        let until = self.names.partition_point(|(name, _, _)| *name <= range.last());
        (from, until)
    }

    fn send(&mut self, name: u64, answer: &mut Answer<T>) {
        if let Ok(at) = self.names.binary_search_by_key(&name, |(own, _, _)| *own) {
            self.send_at(at, answer);
        }
    }

    /// Has an item sent, once in a session.
    fn send_at(&mut self, at: usize, answer: &mut Answer<T>) {
        let (_, item, is_sent) = &mut self.names[at];
        if !*is_sent {
            *is_sent = true;
            answer.lacking.push(item.clone());
        }
    }
}

/// The answer to a frame, while it grows.
struct Answer<T> {
    frames: Vec<Vec<u8>>,
    frame: Vec<u8>,
    wanted: Vec<u64>,
    lacking: Vec<T>,
}

impl<T> Answer<T> {
    const fn new() -> Self {
        Self { frames: Vec::new(), frame: Vec::new(), wanted: Vec::new(), lacking: Vec::new() }
    }

    fn push(&mut self, entry: &Entry) {
        let bytes = frame::encode(entry);
        if self.frame.len() + bytes.len() > MAX_FRAME {
            self.frames.push(std::mem::take(&mut self.frame));
        }
        self.frame.extend(bytes);
    }

    fn want(&mut self, names: impl Iterator<Item = u64>) {
        self.wanted.extend(names);
    }

    fn finish(mut self) -> Step<T> {
        for names in std::mem::take(&mut self.wanted).chunks(frame::MAX_NAMES) {
            self.push(&Entry::Wanted(names.to_vec()));
        }
        if !self.frame.is_empty() {
            self.frames.push(self.frame);
        }
        Step { frames: self.frames, lacking: self.lacking }
    }
}

fn first_u64(hash: &[u8]) -> u64 {
    hash.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
