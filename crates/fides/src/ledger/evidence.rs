//! Evidence: two statements that no honest issuer makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::key::Key;
use crate::ledger::Merge;
use crate::statement::{Statement, StatementId};
use crate::word::Word;

/// Topics of one issuer for which evidence is kept. Who contradicts itself in as many counts in none.
const MAX_TOPICS: usize = 16;

/// Two different statements of one issuer about the same, with the same serial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence([Arc<Statement>; 2]);

impl Evidence {
    /// The evidence that two statements are, if they are any.
    pub fn new(one: &Arc<Statement>, other: &Arc<Statement>) -> Option<Self> {
        let (a, b) = (one.claim(), other.claim());
        let is_contradiction = one.issuer() == other.issuer() && a.serial == b.serial && a.about == b.about;
        (is_contradiction && one.id() != other.id() && a.about.topic().is_some()).then(|| Self::of(one, other))
    }

    /// Sorted, so that one pair is one piece of evidence.
    pub(super) fn of(one: &Arc<Statement>, other: &Arc<Statement>) -> Self {
        let mut pair = [Arc::clone(one), Arc::clone(other)];
        pair.sort_by_key(|statement| statement.id());
        Self(pair)
    }

    /// The two statements.
    pub const fn statements(&self) -> &[Arc<Statement>; 2] {
        &self.0
    }

    /// Who contradicts itself.
    pub fn issuer(&self) -> &Key {
        self.0[0].issuer()
    }

    /// In which topic.
    pub fn topic(&self) -> &Word {
        self.0[0].claim().about.topic().expect("checked when it was made: a revocation is no contradiction")
    }

    /// The serial that was used twice.
    pub fn serial(&self) -> u64 {
        self.0[0].claim().serial
    }

    /// Whether a statement is half of it.
    pub(crate) fn has(&self, id: StatementId) -> bool {
        self.0.iter().any(|statement| statement.id() == id)
    }

    /// Whether it consists of these two.
    pub(crate) fn consists_of(&self, one: StatementId, other: StatementId) -> bool {
        one != other && self.has(one) && self.has(other)
    }

    fn rank(&self) -> (u64, StatementId, StatementId) {
        (self.serial(), self.0[0].id(), self.0[1].id())
    }
}

/// The faults of one issuer: for each topic the greatest evidence, whatever the order in which it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(BTreeMap<Word, Evidence>);

impl Faults {
    pub(super) fn insert(&mut self, topic: Word, evidence: Evidence) -> Merge {
        match self.0.get(&topic) {
            Some(known) if *known == evidence => return Merge::Known,
            Some(known) if known.rank() > evidence.rank() => return Merge::Outdated,
            Some(_) | None => {}
        }
        self.0.insert(topic.clone(), evidence);
        if self.0.len() > MAX_TOPICS {
            self.0.pop_last();
        }
        if self.0.contains_key(&topic) { Merge::Fresh } else { Merge::Outdated }
    }

    /// The evidence that counts in a topic.
    pub(super) fn in_topic(&self, topic: &Word) -> Option<&Evidence> {
        let any = self.0.values().next().filter(|_| self.0.len() >= MAX_TOPICS);
        self.0.get(topic).or(any)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Evidence> {
        self.0.values()
    }
}
