//! Proofs: the statements that suffice for an answer.
//!
//! First all statements are gathered that had a part in the answer, at any moment of the span: votes that counted, the
//! introductions that made them count, memberships of groups, grants that are handed on, the founders' votes. Each of
//! them was really heard, so what is left out is left out of what counted. Then as many are dropped as can be, those
//! farthest from the roots first, until the answer would be another one without any that is left.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::judge::weigh::Sitting;
use crate::judge::{Judge, Question, moments};
use crate::key::Key;
use crate::ledger::Ledger;
use crate::policy::Answer;
use crate::statement::{About, Sign, Statement, StatementId, Subject};
use crate::time::Span;
use crate::trust::Rules;
use crate::word::Word;

/// The least set of statements from which a judge with these rules answers the same.
pub(super) fn proof(judge: &mut Judge, ledger: &Ledger, question: &Question, span: Span) -> Vec<Arc<Statement>> {
    let answer = judge.decide(ledger, question, span);
    if answer == Answer::Unknown {
        return Vec::new();
    }
    let suffices = |said: &[Arc<Statement>]| decide_by(&judge.rules, said, question, span) == answer;
    let mut parts = Parts::default();
    for moment in moments(ledger, span) {
        parts.gather(&mut Sitting::new(&judge.rules, ledger, moment, &mut judge.memory), question, u8::MAX);
        parts.asked.clear();
        parts.introduced.clear();
    }
    let mut said = parts.in_dropping_order(question, answer);
    if !suffices(&said) {
        said = everything(ledger);
    }
    drop_needless(&mut said, suffices);
    said.sort_by_key(|statement| statement.rank());
    said
}

/// The answer of somebody who knows nothing else.
fn decide_by(rules: &Rules, said: &[Arc<Statement>], question: &Question, span: Span) -> Answer {
    let mut said: Vec<_> = said.iter().collect();
    said.sort_by_key(|statement| statement.rank());
    let mut ledger = Ledger::default();
    for statement in said {
        ledger.insert(statement, usize::MAX);
    }
    Judge::new(rules.clone()).decide(&ledger, question, span)
}

/// All statements and all evidence: for an answer that hangs on who contradicted itself when.
fn everything(ledger: &Ledger) -> Vec<Arc<Statement>> {
    let evidence = ledger.all_evidence().flat_map(|evidence| evidence.statements());
    let mut said: Vec<Arc<Statement>> = ledger.statements().chain(evidence).cloned().collect();
    said.sort_by_key(|statement| statement.id());
    said.dedup_by_key(|statement| statement.id());
    said
}

/// Drops what is not needed, first in large pieces; ends when each that is left is needed.
fn drop_needless(said: &mut Vec<Arc<Statement>>, suffices: impl Fn(&[Arc<Statement>]) -> bool) {
    let mut piece = said.len().div_ceil(2).max(1);
    loop {
        let (before, mut at) = (said.len(), 0);
        while at < said.len() {
            let end = said.len().min(at + piece);
            let rest = [&said[..at], &said[end..]].concat();
            if suffices(&rest) {
                *said = rest;
            } else {
                at = end;
            }
        }
        if piece == 1 && said.len() == before {
            return;
        }
        piece = piece.div_ceil(2);
    }
}

/// Statements that had a part in an answer.
#[derive(Default)]
struct Parts {
    /// How far from the roots it is said, and what.
    found: Vec<(u8, Arc<Statement>)>,
    known: BTreeSet<StatementId>,
    asked: BTreeSet<(Question, u8)>,
    introduced: BTreeSet<(Word, Key)>,
}

impl Parts {
    fn add(&mut self, level: u8, statement: &Arc<Statement>) {
        if self.known.insert(statement.id()) {
            self.found.push((level, Arc::clone(statement)));
        }
    }

    /// Adds what a question was decided by, where a yes counts only from above a level.
    fn gather(&mut self, sitting: &mut Sitting<'_>, question: &Question, above: u8) {
        if !self.asked.insert((question.clone(), above)) {
            return;
        }
        let (ledger, rules, topic) = (sitting.ledger, sitting.rules, sitting.rule(question));
        ledger.revocation(&question.subject).into_iter().for_each(|revocation| self.add(0, revocation));
        self.gather_founders(sitting);
        for (subject, said) in sitting.said(question) {
            for at in said {
                let ((issuer, _), standing) = at;
                let Ok(sign) = sitting.fits(question, at) else { continue };
                if let (Subject::Group(group), Some(groups)) = (subject, &rules.policy.groups) {
                    let membership = Question::new(groups.clone(), question.subject).arg(group.clone());
                    self.gather(sitting, &membership, u8::MAX);
                    if !sitting.is_member(group, question.subject) {
                        continue;
                    }
                }
                self.gather_introductions(sitting, &question.topic, *issuer);
                let level = sitting.place(&question.topic, issuer).level();
                if sign == Sign::Yes && level.is_none_or(|level| level >= above) {
                    continue;
                }
                if let Some(level) = level.filter(|level| topic.handed_on && sign == Sign::Yes && *level > 0) {
                    self.gather(sitting, &Question { subject: *issuer, ..question.clone() }, level);
                }
                let is_own = *issuer == rules.me && above == u8::MAX;
                if is_own || sitting.counted(question, at, sign).is_ok() {
                    self.add(level.unwrap_or(0), &standing.acting);
                }
            }
        }
    }

    /// Adds what made the word of a key count, or not count.
    fn gather_introductions(&mut self, sitting: &mut Sitting<'_>, topic: &Word, key: Key) {
        let mut next = vec![key];
        sitting.place(topic, &key);
        let ledger = sitting.ledger;
        let trust = sitting.trust(topic);
        while let Some(key) = next.pop() {
            if !self.introduced.insert((topic.clone(), key)) {
                continue;
            }
            for heard in trust.heard_about(&key, ledger) {
                next.push(*heard.statement.issuer());
                self.add(heard.level, &heard.statement);
            }
        }
    }

    /// Adds what made founders of those who are: their number matters, too.
    fn gather_founders(&mut self, sitting: &mut Sitting<'_>) {
        let (ledger, rules) = (sitting.ledger, sitting.rules);
        let Some(founding) = &rules.policy.founders else { return };
        let mut founders = BTreeSet::clone(&sitting.founders());
        founders.extend(rules.founders.iter().chain([&rules.me]));
        founders.iter().filter_map(|key| ledger.revocation(key)).for_each(|revocation| self.add(0, revocation));
        for ((issuer, args), standing) in ledger.said_in(founding).flat_map(|(_, said)| said) {
            let is_no = standing.acting.claim().sign == Sign::No;
            let is_heard = !sitting.place(founding, issuer).is_muted || (is_no && standing.contradiction.is_some());
            let holds = standing.acting.holds(sitting.moment);
            if args.is_empty() && founders.contains(issuer) && holds && is_heard {
                self.add(0, &standing.acting);
            }
        }
    }

    /// What speaks against the answer first, then what is said far from the roots.
    fn in_dropping_order(mut self, question: &Question, answer: Answer) -> Vec<Arc<Statement>> {
        let is_opposed = |statement: &Statement| match (&statement.claim().about, statement.claim().sign) {
            (_, Sign::No) => answer == Answer::Allow,
            (About::Allow { topic, .. }, Sign::Yes) => answer == Answer::Deny && *topic == question.topic,
            (About::Trust { .. } | About::Revoke, Sign::Yes) | (_, Sign::DontCare) => false,
        };
        self.found.sort_by_key(|(level, statement)| (!is_opposed(statement), Reverse(*level)));
        self.found.into_iter().map(|(_, statement)| statement).collect()
    }
}
