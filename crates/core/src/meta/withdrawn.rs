//! `Withdrawn`: edges that somebody withdrew lately, and about which nodes may therefore disagree.
//!
//! Flooded requests overtake each other. When an edge goes and returns within a short time, a late withdrawal undoes the
//! return in some places, and a late announcement brings back what is gone; nothing in a request tells which is newer.
//! So whoever owns such an edge says again how it is: after a short while, and once more when nothing from before can
//! come any more, because connections that are stuck for so long end. Everyone passes that on, although it may say
//! nothing new to him, but rarely enough that what new neighbours tell each other floods nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::PeerId;
use crate::time::Instant;

/// Repeats within this time after a withdrawal are not passed on: it may still be under way.
const SETTLING: Duration = Duration::from_secs(5);
/// Repeats are passed on at most so often.
const REPEAT_DISTANCE: Duration = Duration::from_secs(30);
/// The owner repeats itself for the first time after so long.
const SOON: Duration = Duration::from_secs(10);
/// Edges remembered at most.
const CAPACITY: usize = 1 << 14;

/// Edges that were withdrawn lately.
#[derive(Debug, Default)]
pub struct Withdrawn {
    edges: BTreeMap<(PeerId, PeerId), Memory>,
    repeats: BTreeMap<PeerId, Repeats>,
}

#[derive(Debug)]
struct Memory {
    withdrawn: Instant,
    passed: Option<Instant>,
}

/// When the owner of an edge repeats itself.
#[derive(Debug)]
struct Repeats {
    soon: Option<Instant>,
    late: Instant,
}

impl Withdrawn {
    /// Remembers that an edge was withdrawn, or one of our own changed; tells whether that is so for the second time.
    pub fn note(&mut self, edge: (PeerId, PeerId), now: Instant) -> bool {
        if let Some(memory) = self.edges.get_mut(&edge) {
            memory.withdrawn = now;
            return true;
        }
        if self.edges.len() < CAPACITY {
            self.edges.insert(edge, Memory { withdrawn: now, passed: None });
        }
        false
    }

    /// Whether a request about an edge that says nothing new is to be passed on.
    pub fn passes_repeat(&mut self, edge: (PeerId, PeerId), now: Instant) -> bool {
        let Some(memory) = self.edges.get_mut(&edge) else { return false };
        let settled = now.since(memory.withdrawn) >= SETTLING;
        let passes = settled && memory.passed.is_none_or(|passed| now.since(passed) >= REPEAT_DISTANCE);
        if passes {
            memory.passed = Some(now);
        }
        passes
    }

    /// Plans to say twice how our edge to `to` is, the second time after `late`; gives the next time for any edge.
    pub fn plan_repeats(&mut self, to: PeerId, now: Instant, late: Duration) -> Option<Instant> {
        let late = now + late;
        let repeats = self.repeats.entry(to).or_insert(Repeats { soon: None, late });
        repeats.soon.get_or_insert(now + SOON);
        repeats.late = late;
        self.next_repeat()
    }

    /// When something is to be repeated.
    pub fn next_repeat(&self) -> Option<Instant> {
        self.repeats.values().map(|repeats| repeats.soon.unwrap_or(repeats.late)).min()
    }

    /// The nodes at the other ends of those of our edges that are to be repeated now.
    pub fn take_repeats(&mut self, now: Instant) -> Vec<PeerId> {
        let mut due = Vec::new();
        self.repeats.retain(|&to, repeats| {
            if repeats.soon.is_some_and(|at| at <= now) {
                repeats.soon = None;
                due.push(to);
            }
            let over = repeats.soon.is_none() && repeats.late <= now;
            if over && due.last() != Some(&to) {
                due.push(to);
            }
            !over
        });
        due
    }

    /// Forgets edges that have been quiet for at least `age`.
    pub fn expire(&mut self, now: Instant, age: Duration) {
        self.edges.retain(|_, memory| now.since(memory.withdrawn) < age);
    }

    /// Whether no edge is remembered.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: (PeerId, PeerId) = (PeerId(1), PeerId(2));

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_repeat_is_passed_on_neither_at_once_nor_often() {
        let mut withdrawn = Withdrawn::default();
        assert!(!withdrawn.passes_repeat(EDGE, at(0)));
        assert!(!withdrawn.note(EDGE, at(0)));
        assert!(!withdrawn.passes_repeat(EDGE, at(4)));
        assert!(withdrawn.passes_repeat(EDGE, at(10)));
        assert!(!withdrawn.passes_repeat(EDGE, at(39)));
        assert!(withdrawn.passes_repeat(EDGE, at(75)));
    }

    #[test]
    fn a_second_change_is_noticed_while_the_first_is_remembered() {
        let mut withdrawn = Withdrawn::default();
        withdrawn.note(EDGE, at(0));
        assert!(withdrawn.note(EDGE, at(50)));
        withdrawn.expire(at(100), Duration::from_secs(60));
        assert!(!withdrawn.is_empty());
        withdrawn.expire(at(110), Duration::from_secs(60));
        assert!(withdrawn.is_empty() && !withdrawn.note(EDGE, at(111)));
    }

    #[test]
    fn an_owner_repeats_itself_twice() {
        let mut withdrawn = Withdrawn::default();
        let late = Duration::from_secs(75);
        assert_eq!(withdrawn.plan_repeats(PeerId(2), at(0), late), Some(at(10)));
        withdrawn.plan_repeats(PeerId(3), at(4), late);
        withdrawn.plan_repeats(PeerId(2), at(5), late);
        assert_eq!(withdrawn.take_repeats(at(9)), []);
        assert_eq!(withdrawn.take_repeats(at(14)), [PeerId(2), PeerId(3)]);
        assert_eq!(withdrawn.next_repeat(), Some(at(79)));
        assert_eq!(withdrawn.take_repeats(at(79)), [PeerId(3)]);
        assert_eq!(withdrawn.take_repeats(at(80)), [PeerId(2)]);
        assert_eq!(withdrawn.next_repeat(), None);
    }

    #[test]
    fn a_flood_of_withdrawals_takes_no_more_memory() {
        let mut withdrawn = Withdrawn::default();
        for number in 0..=u32::try_from(CAPACITY).expect("a small number") {
            withdrawn.note((PeerId(number), PeerId(0)), at(0));
        }
        assert_eq!(withdrawn.edges.len(), CAPACITY);
    }
}
