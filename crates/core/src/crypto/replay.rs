//! The replay window of a datagram session, shared by all threads that open its packets.
//!
//! Numbers are taken in blocks of 32. Slot `block % slots` holds the number of a block and one bit per number of it that
//! was accepted. One compare-exchange of the slot decides: the same block, test and set the bit; a newer block, replace;
//! an older one, refuse. So no number is accepted twice, however threads interleave, and there is no edge to move.
//!
//! ```text
//!  slot   63 … 32        31 … 0
//!        ┌──────────────┬────────────────────────────────┐
//!        │ block number │ accepted numbers, lowest first │
//!        └──────────────┴────────────────────────────────┘
//! ```
//!
//! Beside the slots stand the next expected number, which gives the window's lower end, and tinc's count of numbers far
//! ahead. Used by one thread the verdicts are tinc's, with one exception: just below 2^32, and behind it, tinc may believe
//! in a jump that leads back; this window never goes back. Source: spec sptps 14.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Numbers per slot.
const BLOCK: u64 = 32;
/// Numbers that one key may number before they repeat.
const NUMBERS: u64 = 1 << 32;
/// A jump this far ahead cannot be told from a step back.
const LONGEST_JUMP: u32 = 1 << 31;
/// Numbers by which a datagram may be late that one of several threads has sealed: some batches of each.
const LATE: u32 = 1_024;

/// Which numbers were accepted, within a window that follows the highest of them.
///
/// Numbers go on beyond 2^32 inside; on the wire are their low 32 bits.
#[derive(Debug)]
pub struct ReplayWindow {
    slots: Box<[AtomicU64]>,
    next: AtomicU64,
    far: AtomicU32,
    width: AtomicU32,
    patience: AtomicU32,
}

/// Why a number is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was accepted before.
    Seen,
    /// It lies before the window.
    TooOld,
    /// It lies so far ahead that a few more like it must come first.
    FarAhead,
}

/// Where a number lies, before its bit is looked at.
enum Place {
    Window(u64),
    FarAhead(Option<u64>),
    TooOld,
}

impl ReplayWindow {
    /// A window of `bytes` bytes of bitmap (0: everything is accepted) that takes all numbers below `next` as seen.
    pub fn new(bytes: u16, next: u64) -> Self {
        let width = u32::from(bytes) * 8;
        let count = (u64::from(width.max(LATE)).div_ceil(BLOCK) + 1).next_power_of_two();
        let last = next / BLOCK;
        let seen_of = |block: u64| if block == last { (1 << (next % BLOCK)) - 1 } else { u64::from(u32::MAX) };
        let slot = |index: u64| {
            let block = last.wrapping_sub(last.wrapping_sub(index) % count);
            AtomicU64::new(tagged(block, seen_of(block)))
        };
        Self {
            slots: (0..count).map(slot).collect(),
            next: AtomicU64::new(next),
            far: AtomicU32::new(0),
            width: AtomicU32::new(width),
            patience: AtomicU32::new(u32::from(bytes) / 4),
        }
    }

    /// From now on a number far ahead is taken at once, as others do (RFC 6479): only whoever has the key can use one.
    pub fn believe_jumps(&self) {
        self.patience.store(0, Relaxed);
    }

    /// From now on a number may be late by 1,024 at least: several threads of the peer seal and send.
    pub fn expect_threads(&self) {
        // A window of no width lets everything in.
        if self.width.load(Relaxed) > 0 {
            self.width.fetch_max(LATE, Relaxed);
        }
    }

    /// The number after the highest accepted one.
    pub fn next(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// Takes `number`, which came under a key that is used since `first`, and returns it in full.
    ///
    /// # Errors
    /// If it was seen, is too old or too far ahead.
    pub fn accept(&self, number: u32, first: u64) -> Result<u64, Refusal> {
        let full = match self.place(number) {
            Place::TooOld => return Err(Refusal::TooOld),
            Place::Window(full) => full,
            Place::FarAhead(_) if self.far.load(Relaxed) < self.patience.load(Relaxed) => {
                self.far.fetch_add(1, Relaxed);
                return Err(Refusal::FarAhead);
            }
            Place::FarAhead(full) => full.ok_or(Refusal::FarAhead)?,
        };
        if full >= first + NUMBERS {
            return Err(Refusal::FarAhead);
        }
        if self.width.load(Relaxed) > 0 {
            let marked = self.slot(full).fetch_update(Relaxed, Relaxed, |slot| marked(slot, full));
            marked.map_err(|_| Refusal::Seen)?;
        }
        if self.far.load(Relaxed) != 0 {
            self.far.store(0, Relaxed);
        }
        self.next.fetch_max(full + 1, Relaxed);
        Ok(full)
    }

    /// Whether [`Self::accept`] would take `number`; changes nothing.
    pub fn would_accept(&self, number: u32, first: u64) -> bool {
        let full = match self.place(number) {
            Place::TooOld | Place::FarAhead(None) => return false,
            Place::FarAhead(_) if self.far.load(Relaxed) < self.patience.load(Relaxed) => return false,
            Place::Window(full) | Place::FarAhead(Some(full)) => full,
        };
        full < first + NUMBERS
            && (self.width.load(Relaxed) == 0 || marked(self.slot(full).load(Relaxed), full).is_some())
    }

    /// tinc compares the low 32 bits as plain numbers, also near the wrap.
    fn place(&self, number: u32) -> Place {
        let (next, width) = (self.next(), self.width.load(Relaxed));
        let low = next as u32;
        let ahead = number.wrapping_sub(low);
        if width == 0 {
            let behind = number < low;
            return Place::Window(if behind { next - u64::from(low - number) } else { next + u64::from(ahead) });
        }
        if ahead != 0 && number >= low.wrapping_add(width) {
            return Place::FarAhead((ahead < LONGEST_JUMP).then_some(next + u64::from(ahead)));
        }
        if number >= low {
            return Place::Window(next + u64::from(ahead));
        }
        if low - number > width { Place::TooOld } else { Place::Window(next - u64::from(low - number)) }
    }

    fn slot(&self, full: u64) -> &AtomicU64 {
        let count = self.slots.len() as u64;
        &self.slots[(full / BLOCK % count) as usize]
    }
}

/// The slot with number `full` in it; `None` if the number is in it already or the slot has gone on to newer numbers.
const fn marked(slot: u64, full: u64) -> Option<u64> {
    let bit = 1 << (full % BLOCK);
    let age = ((slot >> 32) as u32).wrapping_sub((full / BLOCK) as u32).cast_signed();
    match age {
        0 if slot & bit == 0 => Some(slot | bit),
        i32::MIN..0 => Some(tagged(full / BLOCK, bit)),
        0.. => None,
    }
}

const fn tagged(block: u64, seen: u64) -> u64 {
    block << 32 | seen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_jump_counts_at_once_if_jumps_are_believed() {
        let window = ReplayWindow::new(16, 1);
        assert_eq!(window.accept(1_000, 0), Err(Refusal::FarAhead));
        window.believe_jumps();
        assert!(window.would_accept(1_000, 0));
        assert_eq!(window.accept(1_000, 0), Ok(1_000));
        assert_eq!((window.accept(1_000, 0), window.accept(1, 0)), (Err(Refusal::Seen), Err(Refusal::TooOld)));
    }

    #[test]
    fn what_several_threads_send_may_be_late() {
        for bytes in [1, 16] {
            let window = ReplayWindow::new(bytes, 0);
            window.believe_jumps();
            assert_eq!(window.accept(1_100, 0), Ok(1_100));
            assert_eq!(window.accept(600, 0), Err(Refusal::TooOld));
            window.expect_threads();
            assert_eq!((window.accept(600, 0), window.accept(600, 0)), (Ok(600), Err(Refusal::Seen)));
            assert_eq!((window.accept(77, 0), window.accept(76, 0)), (Ok(77), Err(Refusal::TooOld)));
        }
    }

    #[test]
    fn no_number_is_accepted_by_two_threads() {
        for round in 0..20 {
            let window = ReplayWindow::new(16, round * 1_000_000);
            let base = window.next();
            let run = |from: u32| -> Vec<u64> {
                let numbers = (0..4000).map(|step| base as u32 + from + step / 2 * 3 % 5000);
                numbers.filter_map(|number| window.accept(number, base).ok()).collect()
            };

            let (one, other) = std::thread::scope(|scope| {
                let other = scope.spawn(|| run(1));
                (run(0), other.join().unwrap())
            });

            let all: BTreeSet<u64> = one.iter().chain(&other).copied().collect();
            assert_eq!(all.len(), one.len() + other.len());
            assert!(all.len() > 500, "only {} accepted", all.len());
        }
    }

    #[test]
    fn replays_behind_the_wrap_are_never_believed() {
        let first = u64::from(u32::MAX) - 1000;
        let window = ReplayWindow::new(16, first);
        for full in first..first + 1100 {
            assert_eq!(window.accept(full as u32, first), Ok(full));
        }

        let replayed = (first..first + 900).filter(|&full| window.accept(full as u32, first).is_ok()).count();

        assert_eq!(replayed, 0);
        assert_eq!(window.next(), first + 1100);
    }

    #[test]
    fn one_key_serves_no_more_numbers_than_there_are() {
        let window = ReplayWindow::new(16, 1 << 32);

        assert_eq!(window.accept(0, 0), Err(Refusal::FarAhead));
        assert_eq!(window.accept(0, 1), Ok(1 << 32));
    }

    proptest! {
        #[test]
        fn verdicts_equal_those_of_a_plain_set(
            bytes in prop::sample::select(vec![1_u16, 3, 4, 16, 32, 100]),
            steps in prop::collection::vec(-300_i64..300, 1..400),
        ) {
            let window = ReplayWindow::new(bytes, 2);
            let (mut seen, mut next, mut far) = (BTreeSet::from([0, 1]), 2_i64, 0);
            let (width, patience) = (i64::from(bytes) * 8, i64::from(bytes) / 4);
            for step in steps {
                let number = (next + step).max(0);
                let good = if number >= next + width && far < patience {
                    far += 1;
                    false
                } else {
                    number >= next - width && seen.insert(number)
                };
                if good {
                    far = 0;
                    next = next.max(number + 1);
                }
                prop_assert_eq!(window.would_accept(number as u32, 2), good, "number {}", number);
                prop_assert_eq!(window.accept(number as u32, 2).is_ok(), good, "number {}", number);
            }
        }
    }
}
