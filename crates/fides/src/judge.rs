//! Decisions: may this key do that, with these things, now?
//!
//! 1. A key that has revoked itself may nothing.
//! 2. What the evaluator itself says of the question decides it: everybody can close his own door.
//! 3. Otherwise the votes of trusted keys are counted by the topic's rule ([`crate::Policy`]). A yes counts if it covers
//!    all that is asked; a no counts if it touches any of it.
//!
//! A [`Judge`] remembers whom it trusts and what it has answered, as long as nothing changes.

pub(crate) mod explain;
mod proof;
pub(crate) mod weigh;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::key::Key;
use crate::ledger::Ledger;
use crate::policy::Answer;
use crate::statement::{Limits, Sign, Subject};
use crate::time::{Moment, Span, Time};
use crate::trust::{Regard, Rules, Trust};
use crate::word::Word;

use explain::Weighed;
use weigh::{Ignored, Sitting};

/// Answers that are remembered.
const MAX_ANSWERS: usize = 65_536;

/// May `subject` do `topic` with `args`, and as much as `demand`?
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Do what.
    pub topic: Word,
    /// Who.
    pub subject: Key,
    /// With which things.
    pub args: Vec<Word>,
    /// How much of it.
    pub demand: Limits,
}

impl Question {
    /// A question without arguments.
    pub fn new(topic: Word, subject: Key) -> Self {
        Self { topic, subject, args: Vec::new(), demand: Limits::default() }
    }

    /// The same, with an argument more.
    #[must_use]
    pub fn arg(mut self, arg: Word) -> Self {
        self.args.push(arg);
        self
    }

    /// The same, for at least so much.
    #[must_use]
    pub fn demand(mut self, name: Word, amount: u64) -> Self {
        self.demand.set(name, amount);
        self
    }
}

/// Who has spoken for and against something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Keys that say yes.
    pub yes: usize,
    /// Keys that say no.
    pub no: usize,
}

/// The votes on a question, counted by keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// The evaluator's own.
    pub own: Count,
    /// Those that count.
    pub trusted: Count,
    /// All that are known.
    pub all: Count,
}

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Nothing.
    Nothing,
    /// Up to so much.
    UpTo(u64),
    /// As much as one likes.
    Unlimited,
}

/// What somebody says may be done, and whether it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub subject: Key,
    /// With which things.
    pub args: Vec<Word>,
    /// Whether.
    pub answer: Answer,
}

/// Decides questions by the statements of one ledger.
#[derive(Clone, Debug)]
pub struct Judge {
    rules: Rules,
    memory: Memory,
}

/// What a judge found out and would find again: until the ledger changes, or something begins or ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    revision: u64,
    /// The times around the earliest and the latest present between which nothing begins or ends.
    quiet: [(Time, Time); 2],
    denials_end: bool,
    pub(crate) founders: BTreeMap<Time, Arc<BTreeSet<Key>>>,
    pub(crate) trust: BTreeMap<Time, BTreeMap<Word, Arc<Trust>>>,
    pub(crate) members: BTreeMap<(Time, Word, Key), bool>,
    answers: HashMap<Question, Answer>,
}

impl Judge {
    /// A judge that decides by these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules, memory: Memory::default() }
    }

    /// The rules.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Decides by other rules from here on.
    pub fn set_rules(&mut self, rules: Rules) {
        *self = Self::new(rules);
    }

    /// Decides a question. A judge belongs to one ledger: it knows by the ledger's revision whether it remembers.
    ///
    /// ```
    /// # use fides::*;
    /// let alice = SecretKey::from_seed(&[1; 32]);
    /// let bob = SecretKey::from_seed(&[2; 32]).public();
    /// let [now, edit] = [Time(1_800_000_000), Time(1)].map(|time| time);
    /// let topic: Word = "edit".parse().unwrap();
    /// let about = About::Allow { subject: Subject::Key(bob), topic: topic.clone(), args: vec![] };
    /// let statement = Claim::new(Sign::Yes, about, 1_800_000_000_000, now).sign(&alice).unwrap();
    ///
    /// let mut ledger = Ledger::default();
    /// ledger.insert(&statement.into(), 100);
    /// let rules = Rules { me: alice.public(), founders: [].into(), policy: Policy::default() };
    /// let mut judge = Judge::new(rules);
    /// let question = Question::new(topic, bob);
    /// assert_eq!(judge.decide(&ledger, &question, Span::at(now)), Answer::Allow);
    /// assert_eq!(judge.decide(&ledger, &question, Span::at(now.after(91 * 86_400))), Answer::Unknown);
    /// ```
    pub fn decide(&mut self, ledger: &Ledger, question: &Question, span: Span) -> Answer {
        self.recall(ledger, span);
        if let Some(answer) = self.memory.answers.get(question) {
            return *answer;
        }
        let answer = self.decide_afresh(ledger, question, span);
        if self.memory.answers.len() >= MAX_ANSWERS {
            self.memory.answers.clear();
        }
        self.memory.answers.insert(question.clone(), answer);
        answer
    }

    /// The most restrictive answer of all moments of the span.
    fn decide_afresh(&mut self, ledger: &Ledger, question: &Question, span: Span) -> Answer {
        let moments = moments(ledger, span);
        let answers = moments.into_iter().map(|moment| self.sitting(ledger, moment).answer(question));
        answers.max().unwrap_or(Answer::Unknown)
    }

    /// When an answer may be another one although nothing has been said: until the clock that gave this span reads so
    /// much, no statement begins or ends. `None` if none ever will.
    pub fn next_change(ledger: &Ledger, span: Span) -> Option<Time> {
        let next_after = |time: Time| Some(ledger.quiet_around(time).1).filter(|next| *next != Time(u64::MAX));
        let ahead = [span.latest(), span.earliest()].into_iter().filter_map(|end| Some(next_after(end)?.0 - end.0));
        ahead.min().map(|seconds| span.now().after(seconds))
    }

    /// Whether a key's word counts in a topic, at the earliest moment of the span.
    pub fn regard(&mut self, ledger: &Ledger, topic: &Word, key: &Key, span: Span) -> Regard {
        self.recall(ledger, span);
        let mut sitting = self.sitting(ledger, first_moment(ledger, span));
        sitting.place(topic, key);
        sitting.trust(topic).regard(key)
    }

    /// All keys whose word counts in a topic, with their distance from the roots.
    pub fn heard(&mut self, ledger: &Ledger, topic: &Word, span: Span) -> BTreeMap<Key, u8> {
        self.recall(ledger, span);
        let trust = self.sitting(ledger, first_moment(ledger, span)).trust_in_all(topic);
        trust.heard().map(|(key, level)| (*key, level)).collect()
    }

    /// The founders, as they have voted.
    pub fn founders(&mut self, ledger: &Ledger, span: Span) -> BTreeSet<Key> {
        self.recall(ledger, span);
        BTreeSet::clone(&self.sitting(ledger, first_moment(ledger, span)).founders())
    }

    /// Counts the votes on a question: own, trusted, and all.
    pub fn votes(&mut self, ledger: &Ledger, question: &Question, span: Span) -> Votes {
        let me = self.rules.me;
        let mut votes = Votes::default();
        for Weighed { statement, weight } in self.weigh(ledger, question, span) {
            let add = |count: &mut Count| match statement.claim().sign {
                Sign::Yes => count.yes += 1,
                Sign::No => count.no += 1,
                Sign::DontCare => {}
            };
            let is_about_it =
                !matches!(weight, Err(Ignored::NotMember | Ignored::TooNarrow | Ignored::Over | Ignored::NotYet));
            if is_about_it {
                add(&mut votes.all);
            }
            if weight.is_ok() {
                add(&mut votes.trusted);
                if *statement.issuer() == me {
                    add(&mut votes.own);
                }
            }
        }
        votes
    }

    /// How much of a limit is allowed: the most with which the question is still answered yes.
    pub fn allowance(&mut self, ledger: &Ledger, question: &Question, limit: &Word, span: Span) -> Allowance {
        let ask = |judge: &mut Self, amount: u64| {
            let question = question.clone().demand(limit.clone(), amount);
            judge.decide(ledger, &question, span) == Answer::Allow
        };
        if ask(self, u64::MAX) {
            return Allowance::Unlimited;
        }
        let mut amounts: Vec<u64> = self
            .weigh(ledger, question, span)
            .iter()
            .filter_map(|weighed| weighed.statement.claim().limits.value(limit.as_str()))
            .collect();
        amounts.sort_unstable();
        amounts.dedup();
        let most = amounts.into_iter().rev().find(|amount| ask(self, *amount));
        most.map_or(Allowance::Nothing, Allowance::UpTo)
    }

    /// All that statements of a topic name, with the answer to it: who can do what. A program that asks often compiles
    /// its own table of this.
    pub fn grants(&mut self, ledger: &Ledger, topic: &Word, span: Span) -> Vec<Grant> {
        self.recall(ledger, span);
        let mut asked: BTreeSet<(Key, Vec<Word>)> = BTreeSet::new();
        for (subject, said) in ledger.said_in(topic) {
            let keys = match subject {
                Subject::Key(key) => vec![*key],
                Subject::Group(group) => self.named_members(ledger, group),
            };
            let args: BTreeSet<&Vec<Word>> = said.keys().map(|(_, args)| args).collect();
            asked.extend(keys.iter().flat_map(|key| args.iter().map(|args| (*key, (*args).clone()))));
        }
        let grants = asked.into_iter().map(|(subject, args)| {
            let question = Question { topic: topic.clone(), subject, args, demand: Limits::default() };
            let answer = self.decide(ledger, &question, span);
            Grant { subject, args: question.args, answer }
        });
        grants.collect()
    }

    /// The keys that somebody says are in a group.
    fn named_members(&self, ledger: &Ledger, group: &Word) -> Vec<Key> {
        let Some(topic) = &self.rules.policy.groups else { return Vec::new() };
        let named = ledger.said_in(topic).filter_map(|(subject, said)| match subject {
            Subject::Key(key) => said.keys().any(|(_, args)| args.first() == Some(group)).then_some(*key),
            Subject::Group(_) => None,
        });
        named.collect()
    }

    /// Every statement about the question's subject and topic, with its weight at the earliest moment of the span.
    pub(crate) fn weigh(&mut self, ledger: &Ledger, question: &Question, span: Span) -> Vec<Weighed> {
        self.recall(ledger, span);
        explain::weighed(&mut self.sitting(ledger, first_moment(ledger, span)), question)
    }

    fn sitting<'a>(&'a mut self, ledger: &'a Ledger, moment: Moment) -> Sitting<'a> {
        Sitting::new(&self.rules, ledger, moment, &mut self.memory)
    }

    /// Forgets what may be different by now.
    fn recall(&mut self, ledger: &Ledger, span: Span) {
        let is_quiet = |(start, end): (Time, Time), now: Time| start <= now && now < end;
        let [early, late] = self.memory.quiet;
        let holds = self.memory.revision == ledger.revision()
            && self.memory.denials_end == span.denials_end()
            && is_quiet(early, span.earliest())
            && is_quiet(late, span.latest());
        if !holds {
            self.memory = Memory {
                revision: ledger.revision(),
                quiet: [span.earliest(), span.latest()].map(|now| ledger.quiet_around(now)),
                denials_end: span.denials_end(),
                ..Memory::default()
            };
        }
    }
}

/// The moments of a span at which anything can be different: each the first of a quiet time.
fn moments(ledger: &Ledger, span: Span) -> Vec<Moment> {
    let changes = ledger.boundaries_within(span.earliest(), span.latest()).map(|time| span.moment(time));
    std::iter::once(first_moment(ledger, span)).chain(changes).collect()
}

fn first_moment(ledger: &Ledger, span: Span) -> Moment {
    span.moment(ledger.quiet_around(span.earliest()).0)
}

#[cfg(test)]
mod coalitions;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
