//! Explanations: why a question is answered so, and what it would take to have it answered yes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ballot::Ballot;
use crate::judge::proof::proof;
use crate::judge::weigh::{Ignored, Sitting, Weight};
use crate::judge::{Judge, Question, moments};
use crate::key::Key;
use crate::ledger::Ledger;
use crate::policy::{Answer, Rule};
use crate::statement::{Sign, Statement};
use crate::time::{Span, Time};
use crate::trust::Introduction;

/// Why a question is answered so. All of it but the proof is about one moment: the first of the span at which the
/// answer is as restrictive as for the whole span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer, as [`Judge::decide`] gives it.
    pub answer: Answer,
    /// The moment that is explained.
    pub at: Time,
    /// What decided it.
    pub reason: Reason,
    /// Each statement about the subject, or about a group, in the topic, and how it counts or why it does not.
    pub statements: Vec<Weighed>,
    /// How the word of those whose statements count came to count: first they themselves, then who brought them in, and
    /// so on up to the roots.
    pub introductions: Vec<Introduction>,
    /// What is missing for a yes. `None` if it is one, or can never be one again.
    pub missing: Option<Missing>,
    /// The least set of statements that suffices: whoever has the same rules and only these answers the same, and would
    /// not without any one of them. They are in the order in which a ledger takes them in. Unknown needs no proof.
    ///
    /// It shows what was counted, not that nothing else was said: statements that speak against the answer, but not
    /// enough, are left out of it, and who knows more than the prover may know a no that turns a proven yes. A proven no
    /// by one's own word, by a revocation or where a no overrides stays one until it is withdrawn.
    pub proof: Vec<Arc<Statement>>,
}

/// What decided a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The subject has revoked its key: nothing else is looked at.
    Revoked(Arc<Statement>),
    /// The evaluator has said so itself: votes are not counted.
    OwnWord(Arc<Statement>),
    /// Votes.
    Votes(Tally),
    /// Nobody whose word counts has said anything.
    Silence(Tally),
}

/// How votes were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// By which rule.
    pub rule: Rule,
    /// How many voices it takes.
    pub quorum: usize,
    /// How many founders there are.
    pub founders: usize,
    /// The voices for it.
    pub yes: BTreeSet<Key>,
    /// The voices against it. A voice that says both counts here.
    pub no: BTreeSet<Key>,
}

/// A statement, and how it counts or why it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// The statement.
    pub statement: Arc<Statement>,
    /// Its weight.
    pub weight: Result<Weight, Ignored>,
}

/// What is missing for a yes. Instead of all that, the evaluator's own yes would do, once its own no is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What has to be withdrawn, whoever else says yes.
    pub withdrawals: Vec<Arc<Statement>>,
    /// How many more voices it takes then.
    pub voices: usize,
    /// The voices that say neither yes nor no so far, and the keys that could speak in each. Where there are fewer than
    /// it takes, somebody has to be brought in, or to change his mind.
    pub of: BTreeMap<Key, BTreeSet<Key>>,
}

impl Explanation {
    /// How a key came to be heard, if it is one of those that are.
    pub fn introduction(&self, key: &Key) -> Option<&Introduction> {
        self.introductions.iter().find(|introduction| introduction.key == *key)
    }

    /// The shortest chain of introductions from a voter to a root: each is said by whom the next is about. Where a quorum
    /// was needed there are others beside it, in [`Explanation::introductions`]. Empty for a root.
    pub fn chain(&self, voter: &Key) -> Vec<&Arc<Statement>> {
        let (mut chain, mut key) = (Vec::new(), voter);
        while let Some(statement) = self.introduction(key).and_then(|introduction| introduction.vouching.first()) {
            chain.push(statement);
            key = statement.issuer();
        }
        chain
    }
}

impl Judge {
    /// Explains the answer to a question. This takes time, for a person to read; a program that asks wants
    /// [`Judge::decide`].
    ///
    /// ```
    /// # use fides::*;
    /// let [alice, bob] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
    /// let now = Time(1_800_000_000);
    /// let topic: Word = "edit".parse()?;
    /// let rules = Rules { me: bob.public(), founders: [alice.public()].into(), policy: Policy::default() };
    /// let question = Question::new(topic.clone(), bob.public());
    ///
    /// let (mut ledger, mut judge) = (Ledger::default(), Judge::new(rules.clone()));
    /// let why = judge.explain(&ledger, &question, Span::at(now));
    /// assert_eq!((why.answer, why.missing.map(|missing| missing.voices)), (Answer::Unknown, Some(1)));
    ///
    /// let about = About::Allow { subject: Subject::Key(bob.public()), topic, args: vec![] };
    /// ledger.insert(&Claim::new(Sign::Yes, about, 1_800_000_000_000, now).sign(&alice)?.into(), 100);
    /// let why = judge.explain(&ledger, &question, Span::at(now));
    /// assert_eq!(why.answer, Answer::Allow);
    /// assert!(matches!(why.reason, Reason::Votes(tally) if tally.yes.contains(&alice.public())));
    /// assert_eq!(why.proof.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&mut self, ledger: &Ledger, question: &Question, span: Span) -> Explanation {
        let answer = self.decide(ledger, question, span);
        let moments = moments(ledger, span);
        let decides = |moment: &&_| self.sitting(ledger, **moment).answer(question) == answer;
        let moment = moments.iter().find(decides).copied().unwrap_or(moments[0]);
        let mut sitting = self.sitting(ledger, moment);
        let statements = weighed(&mut sitting, question);
        let reason = reason(&mut sitting, question, &statements);
        let introductions = introductions(&mut sitting, question, &statements);
        let is_open = answer != Answer::Allow && !matches!(reason, Reason::Revoked(_));
        let missing = is_open.then(|| missing(&mut sitting, question, &statements));
        let at = moment.yes.max(span.earliest());
        let proof = proof(self, ledger, question, span);
        Explanation { answer, at, reason, statements, introductions, missing, proof }
    }
}

pub(super) fn weighed(sitting: &mut Sitting<'_>, question: &Question) -> Vec<Weighed> {
    let weighed = sitting.weigh(question).into_iter();
    weighed.map(|(statement, weight)| Weighed { statement: Arc::clone(statement), weight }).collect()
}

fn reason(sitting: &mut Sitting<'_>, question: &Question, statements: &[Weighed]) -> Reason {
    if let Some(revocation) = sitting.ledger.revocation(&question.subject) {
        return Reason::Revoked(Arc::clone(revocation));
    }
    if let Some((_, statement)) = sitting.own_word(question) {
        return Reason::OwnWord(Arc::clone(statement));
    }
    let tally = tally(sitting, question, &ballot(statements.iter()));
    if tally.yes.is_empty() && tally.no.is_empty() { Reason::Silence(tally) } else { Reason::Votes(tally) }
}

fn ballot<'a>(statements: impl Iterator<Item = &'a Weighed>) -> Ballot {
    let mut ballot = Ballot::default();
    for weight in statements.filter_map(|weighed| weighed.weight.ok()) {
        if weight.sign == Sign::No { ballot.vote_no(weight.voice) } else { ballot.vote_yes(weight.voice, 0) }
    }
    ballot
}

fn tally(sitting: &mut Sitting<'_>, question: &Question, ballot: &Ballot) -> Tally {
    let rule = sitting.rule(question).rule;
    let trust = sitting.trust(&question.topic);
    let (yes, no) = (ballot.yes_voices(), ballot.no_voices());
    Tally { rule, quorum: trust.quorum, founders: trust.founders.len(), yes, no }
}

/// How those whose statements count came to be heard, and those who brought them in.
fn introductions(sitting: &mut Sitting<'_>, question: &Question, statements: &[Weighed]) -> Vec<Introduction> {
    let trust = sitting.trust_in_all(&question.topic);
    let counting = statements.iter().filter(|weighed| weighed.weight.is_ok());
    let mut keys: Vec<Key> = counting.map(|weighed| *weighed.statement.issuer()).collect();
    let (mut known, mut introductions) = (BTreeSet::new(), Vec::new());
    while !keys.is_empty() {
        let mut next = Vec::new();
        for key in keys.into_iter().filter(|key| known.insert(*key)) {
            let introduction = trust.introduction(&key, sitting.ledger);
            let said = introduction.vouching.iter().chain(&introduction.warning);
            next.extend(said.map(|statement| *statement.issuer()));
            introductions.push(introduction);
        }
        keys = next;
    }
    introductions
}

fn missing(sitting: &mut Sitting<'_>, question: &Question, statements: &[Weighed]) -> Missing {
    let rule = sitting.rule(question).rule;
    let own = sitting.own_words(question);
    let (own_no, own_yes): (Vec<_>, Vec<_>) = own.into_iter().partition(|own| own.claim().sign == Sign::No);
    let all = tally(sitting, question, &ballot(statements.iter()));
    let all_must_go = own_yes.is_empty()
        && match rule {
            Rule::DenyOverrides => true,
            Rule::TwoThirds => all.no.len() * 3 >= all.founders * 2,
            Rule::Majority | Rule::Quorum => false,
        };
    let counts_against = |weighed: &Weighed| matches!(weighed.weight, Ok(Weight { sign: Sign::No, .. }));
    let must_go = |weighed: &&Weighed| own_no.contains(&&weighed.statement) || (all_must_go && counts_against(weighed));
    let withdrawals = statements.iter().filter(must_go).map(|weighed| Arc::clone(&weighed.statement)).collect();
    let left = tally(sitting, question, &ballot(statements.iter().filter(|weighed| !must_go(weighed))));
    let needed = match rule {
        _ if !own_yes.is_empty() => 0,
        Rule::DenyOverrides => left.quorum,
        Rule::Majority => left.quorum.max(left.no.len() + 1),
        Rule::Quorum => left.quorum + left.no.len(),
        Rule::TwoThirds => (left.founders * 2).div_ceil(3).max(1),
    };
    Missing { withdrawals, voices: needed.saturating_sub(left.yes.len()), of: silent(sitting, question, &left) }
}

/// The voices that could still say yes, and the keys that speak in each.
fn silent(sitting: &mut Sitting<'_>, question: &Question, tally: &Tally) -> BTreeMap<Key, BTreeSet<Key>> {
    let (trust, rule) = (sitting.trust_in_all(&question.topic), *sitting.rule(question));
    let mut silent: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
    for (key, _) in trust.heard() {
        let Some(vote) = trust.place(key).speaks() else { continue };
        let has_spoken = tally.yes.contains(&vote.voice) || tally.no.contains(&vote.voice);
        let is_asked = rule.rule != Rule::TwoThirds || trust.founders.contains(key);
        if !has_spoken && is_asked && (!rule.handed_on || sitting.owns(question, key)) {
            silent.entry(vote.voice).or_default().insert(*key);
        }
    }
    silent
}

#[cfg(test)]
mod tests;
