//! The rules by which votes are counted, for each topic. They are local: each evaluator chooses its own.

use std::collections::BTreeMap;

use crate::ballot::Ballot;
use crate::word::Word;

/// Whether the arguments of a grant cover those of a question.
#[derive(Clone, Copy, Debug)]
pub enum Cover {
    /// They are the same.
    Same,
    /// The question's begin with the grant's: a grant without arguments covers everything.
    Prefix,
    /// As this function says of the grant's and then of the question's. Of two scopes either one covers the other or
    /// they have nothing in common.
    By(fn(&[Word], &[Word]) -> bool),
}

impl Cover {
    /// Whether `wide` covers `narrow`.
    pub fn covers(self, wide: &[Word], narrow: &[Word]) -> bool {
        match self {
            Self::Same => wide == narrow,
            Self::Prefix => narrow.starts_with(wide),
            Self::By(covers) => covers(wide, narrow),
        }
    }

    /// Whether two scopes have anything in common.
    pub fn touches(self, one: &[Word], other: &[Word]) -> bool {
        self.covers(one, other) || self.covers(other, one)
    }
}

/// How many voices it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// Always so many.
    Fixed(usize),
    /// It depends on how many founders there are.
    Growing {
        /// Voices while there are fewer founders than `from`.
        few: usize,
        /// Number of founders.
        from: usize,
        /// Voices from then on.
        many: usize,
    },
}

impl Quorum {
    /// The number of voices among so many founders; at least one.
    pub fn among(self, founders: usize) -> usize {
        let voices = match self {
            Self::Fixed(voices) => voices,
            Self::Growing { few, from, many } => {
                if founders < from {
                    few
                } else {
                    many
                }
            }
        };
        voices.max(1)
    }
}

/// How votes make a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// One no denies; without any, a quorum of yes allows.
    DenyOverrides,
    /// More yes than no, and a quorum of yes, allow; as many no as yes deny.
    Majority,
    /// Yes minus no: at least the quorum allows, at most minus the quorum denies.
    Quorum,
    /// Two thirds of the founders.
    TwoThirds,
}

/// What is decided. The greater answer restricts more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// Yes.
    Allow,
    /// Nobody whose word counts has decided it.
    Unknown,
    /// No.
    Deny,
}

impl Rule {
    pub(crate) fn answer(self, ballot: &Ballot, quorum: usize, founders: usize) -> Answer {
        let (yes, no) = (ballot.yes(0), ballot.no());
        let (allowed, denied) = match self {
            Self::DenyOverrides => (no == 0 && yes >= quorum, no > 0),
            Self::Majority => (yes > no && yes >= quorum, no > 0 && no >= yes),
            Self::Quorum => (yes >= no + quorum, no >= yes + quorum),
            Self::TwoThirds => (yes > 0 && yes * 3 >= founders * 2, no > 0 && no * 3 >= founders * 2),
        };
        match (allowed, denied) {
            (_, true) => Answer::Deny,
            (true, false) => Answer::Allow,
            (false, false) => Answer::Unknown,
        }
    }
}

/// The rules of one topic.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// How votes make a decision.
    pub rule: Rule,
    /// How many voices it takes, to bring in a key and to decide.
    pub quorum: Quorum,
    /// What a grant covers.
    pub cover: Cover,
    /// Whether one can grant only what one has been granted.
    pub handed_on: bool,
}

/// The rules of all topics.
///
/// ```
/// use fides::{Cover, Policy, Quorum, Rule, Topic, Word};
///
/// let mut policy = Policy::default();
/// let editing = Topic { rule: Rule::Majority, quorum: Quorum::Fixed(2), cover: Cover::Prefix, handed_on: false };
/// policy.topics.insert(Word::new("edit").unwrap(), editing);
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    /// Rules by topic.
    pub topics: BTreeMap<Word, Topic>,
    /// The rules of all other topics.
    pub other: Topic,
    /// The topic that says who is in a group: `allow KEY TOPIC GROUP`.
    pub groups: Option<Word>,
    /// The topic in which founders vote by two thirds on who is one: `allow KEY TOPIC`.
    pub founders: Option<Word>,
    /// How many keys one key may introduce in a topic.
    pub introductions: usize,
}

impl Default for Policy {
    fn default() -> Self {
        let other = Topic { rule: Rule::DenyOverrides, quorum: Quorum::Fixed(1), cover: Cover::Same, handed_on: false };
        Self { topics: BTreeMap::new(), other, groups: None, founders: None, introductions: 32 }
    }
}

impl Policy {
    /// The rules of a topic.
    pub fn topic(&self, topic: &Word) -> &Topic {
        self.topics.get(topic).unwrap_or(&self.other)
    }
}
