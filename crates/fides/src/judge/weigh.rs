//! One moment of judging: which statements about a question count, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ballot::Ballot;
use crate::judge::{Memory, Question};
use crate::key::Key;
use crate::ledger::{Ledger, Said, Standing};
use crate::policy::{Answer, Rule, Topic};
use crate::statement::{Sign, Statement, Subject};
use crate::time::Moment;
use crate::trust::{Place, Rules, Trust, When, founders};
use crate::word::Word;

/// How a statement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// For or against what is asked.
    pub sign: Sign,
    /// In whose voice: of all that one voice says only one thing counts.
    pub voice: Key,
}

/// Why a statement does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It neither allows nor denies.
    #[error("it says \"don't care\"")]
    DontCare,
    /// It has not begun.
    #[error("it has not begun to hold")]
    NotYet,
    /// It has ended.
    #[error("it has expired")]
    Over,
    /// It is about a group.
    #[error("the key is not in that group")]
    NotMember,
    /// It is about other things.
    #[error("it is about something else")]
    TooNarrow,
    /// It grants less than is asked.
    #[error("it grants less than that")]
    TooLittle,
    /// Its issuer is not trusted.
    #[error("its issuer is not trusted in this topic")]
    Untrusted,
    /// Its issuer is contested.
    #[error("its issuer is contested, and may only object")]
    Contested,
    /// Its issuer has contradicted itself.
    #[error("its issuer contradicted itself in this topic and has not been pardoned")]
    Muted,
    /// Its issuer gives what it does not have.
    #[error("its issuer may not do that itself, so it cannot hand it on")]
    NotTheirs,
    /// Only founders vote on this.
    #[error("its issuer is no founder, and only founders vote on this")]
    NotFounder,
}

/// A judge at one moment.
pub(crate) struct Sitting<'a> {
    pub(super) rules: &'a Rules,
    pub(super) ledger: &'a Ledger,
    pub(super) moment: Moment,
    memory: &'a mut Memory,
    /// Who may hand on what, found out on the way.
    owners: BTreeMap<Question, bool>,
}

impl<'a> Sitting<'a> {
    pub(crate) fn new(rules: &'a Rules, ledger: &'a Ledger, moment: Moment, memory: &'a mut Memory) -> Self {
        Self { rules, ledger, moment, memory, owners: BTreeMap::new() }
    }

    /// The founders, as they have voted.
    pub(super) fn founders(&mut self) -> Arc<BTreeSet<Key>> {
        let (ledger, rules, when) = (self.ledger, self.rules, When::At(self.moment));
        let found = self.memory.founders.entry(self.moment.yes);
        Arc::clone(found.or_insert_with(|| founders(ledger, rules, when)))
    }

    /// Trust in a topic, as far as it is known: [`Sitting::place`] finds out more.
    pub(super) fn trust(&mut self, topic: &Word) -> &mut Arc<Trust> {
        let is_known = self.memory.trust.get(&self.moment.yes).is_some_and(|trust| trust.contains_key(topic));
        let founders = if is_known { None } else { Some(self.founders()) };
        let known = self.memory.trust.entry(self.moment.yes).or_default();
        if let Some(founders) = founders {
            let trust = Trust::new(self.ledger, self.rules, &founders, topic, When::At(self.moment));
            known.insert(topic.clone(), Arc::new(trust));
        }
        known.get_mut(topic).expect("it was known or has been inserted")
    }

    /// Trust in a topic, with all keys that anybody speaks of.
    pub(super) fn trust_in_all(&mut self, topic: &Word) -> Arc<Trust> {
        let (ledger, rules) = (self.ledger, self.rules);
        let trust = self.trust(topic);
        Arc::make_mut(trust).settle_all(ledger, rules);
        Arc::clone(trust)
    }

    /// What is thought of a key in a topic.
    pub(super) fn place(&mut self, topic: &Word, key: &Key) -> Place {
        let (ledger, rules) = (self.ledger, self.rules);
        let trust = self.trust(topic);
        trust.known_place(key).unwrap_or_else(|| {
            let trust = Arc::make_mut(trust);
            trust.settle(ledger, rules, vec![*key]);
            trust.place(key)
        })
    }

    pub(crate) fn answer(&mut self, question: &Question) -> Answer {
        if self.ledger.is_revoked(&question.subject) {
            return Answer::Deny;
        }
        self.own_word(question).map_or_else(|| self.voted_answer(question), |(answer, _)| answer)
    }

    /// The statement of the evaluator itself that decides: a no of its own before a yes.
    pub(super) fn own_word(&mut self, question: &Question) -> Option<(Answer, &'a Arc<Statement>)> {
        let mut word = None;
        for (subject, said) in self.said(question) {
            for (at, standing) in own_part(said, &self.rules.me) {
                match self.applies(question, subject, (at, standing)) {
                    Ok(Sign::No) => return Some((Answer::Deny, &standing.acting)),
                    Ok(Sign::Yes) => word = Some((Answer::Allow, &standing.acting)),
                    Ok(Sign::DontCare) | Err(_) => {}
                }
            }
        }
        word
    }

    /// All that the evaluator itself says of the question.
    pub(super) fn own_words(&mut self, question: &Question) -> Vec<&'a Arc<Statement>> {
        let mut words = Vec::new();
        for (subject, said) in self.said(question) {
            let own = own_part(said, &self.rules.me);
            let applying = own.filter(|(at, standing)| self.applies(question, subject, (at, standing)).is_ok());
            words.extend(applying.map(|(_, standing)| &standing.acting));
        }
        words
    }

    fn voted_answer(&mut self, question: &Question) -> Answer {
        let mut ballot = Ballot::default();
        for (_, weight) in self.weigh(question) {
            match weight {
                Ok(Weight { sign: Sign::Yes, voice }) => ballot.vote_yes(voice, 0),
                Ok(Weight { sign: Sign::No, voice }) => ballot.vote_no(voice),
                Ok(Weight { sign: Sign::DontCare, .. }) | Err(_) => {}
            }
        }
        self.counted_out(question, &ballot)
    }

    /// What the votes say by the topic's rule.
    fn counted_out(&mut self, question: &Question, ballot: &Ballot) -> Answer {
        let rule = self.rule(question).rule;
        let trust = self.trust(&question.topic);
        rule.answer(ballot, trust.quorum, trust.founders.len())
    }

    /// All statements about the subject in the topic, with their weights.
    pub(crate) fn weigh(&mut self, question: &Question) -> Vec<(&'a Arc<Statement>, Result<Weight, Ignored>)> {
        let mut weighed = Vec::new();
        for (subject, said) in self.said(question) {
            for at in said {
                let weight = self.applies(question, subject, at).and_then(|sign| self.counted(question, at, sign));
                weighed.push((&at.1.acting, weight));
            }
        }
        weighed
    }

    /// What is said of the subject itself, and of groups.
    pub(super) fn said(&self, question: &Question) -> impl Iterator<Item = (&'a Subject, &'a Said)> + use<'a> {
        let topic = &question.topic;
        let has_groups = self.rules.policy.groups.as_ref().is_some_and(|groups| groups != topic);
        let key = self.ledger.key_said_of(topic, &question.subject).into_iter();
        key.chain(self.ledger.groups_said_of(topic).filter(move |_| has_groups))
    }

    /// Whether a statement is about the question and its subject, and holds.
    fn applies(&mut self, question: &Question, subject: &Subject, at: At<'_>) -> Result<Sign, Ignored> {
        let sign = self.fits(question, at)?;
        match subject {
            Subject::Group(group) if !self.is_member(group, question.subject) => Err(Ignored::NotMember),
            Subject::Group(_) | Subject::Key(_) => Ok(sign),
        }
    }

    /// Whether a statement is about the question, whomever it is about, and holds.
    pub(super) fn fits(&self, question: &Question, at: At<'_>) -> Result<Sign, Ignored> {
        let ((_, args), standing) = at;
        let (claim, cover) = (standing.acting.claim(), self.rule(question).cover);
        if claim.sign == Sign::DontCare {
            return Err(Ignored::DontCare);
        }
        if !standing.acting.holds(self.moment) {
            let is_over = claim.until.is_some_and(|until| until <= self.moment.yes);
            return Err(if is_over { Ignored::Over } else { Ignored::NotYet });
        }
        let is_about_it = match claim.sign {
            Sign::No => cover.touches(args, &question.args),
            Sign::Yes | Sign::DontCare => cover.covers(args, &question.args),
        };
        if !is_about_it {
            return Err(Ignored::TooNarrow);
        }
        if claim.sign == Sign::Yes && !claim.limits.permit(&question.demand) {
            return Err(Ignored::TooLittle);
        }
        Ok(claim.sign)
    }

    /// Whether the word of a statement's issuer counts, and in whose voice.
    pub(super) fn counted(&mut self, question: &Question, at: At<'_>, sign: Sign) -> Result<Weight, Ignored> {
        let ((issuer, _), standing) = at;
        let rule = *self.rule(question);
        if rule.rule == Rule::TwoThirds && !self.founders().contains(issuer) {
            return Err(Ignored::NotFounder);
        }
        let place = self.place(&question.topic, issuer);
        let (speaks, objects) = (place.speaks(), place.objects(standing));
        let vote = if sign == Sign::No { objects } else { speaks };
        let Some(vote) = vote else {
            let reason = if objects.is_some() { Ignored::Contested } else { Ignored::Untrusted };
            return Err(if place.is_muted { Ignored::Muted } else { reason });
        };
        if sign == Sign::Yes && rule.handed_on && !self.owns(question, issuer) {
            return Err(Ignored::NotTheirs);
        }
        Ok(Weight { sign, voice: vote.voice })
    }

    /// Whether an issuer may itself do what it hands on: judged by those above it alone, so it ends at the roots.
    pub(super) fn owns(&mut self, question: &Question, issuer: &Key) -> bool {
        let speaks = self.place(&question.topic, issuer).speaks();
        let Some(level) = speaks.map(|vote| vote.level).filter(|level| *level > 0) else { return true };
        let own = Question { subject: *issuer, ..question.clone() };
        if let Some(known) = self.owners.get(&own) {
            return *known;
        }
        let mut ballot = Ballot::default();
        for (subject, said) in self.said(&own) {
            for at in said {
                let ((granter, _), _) = at;
                let Ok(sign) = self.applies(&own, subject, at) else { continue };
                let is_above = self.place(&question.topic, granter).speaks().is_some_and(|vote| vote.level < level);
                if sign == Sign::Yes && !is_above {
                    continue;
                }
                match self.counted(&own, at, sign) {
                    Ok(Weight { sign: Sign::No, voice }) => ballot.vote_no(voice),
                    Ok(Weight { voice, .. }) => ballot.vote_yes(voice, 0),
                    Err(_) => {}
                }
            }
        }
        let owns = self.counted_out(question, &ballot) == Answer::Allow;
        self.owners.insert(own, owns);
        owns
    }

    pub(super) fn is_member(&mut self, group: &Word, key: Key) -> bool {
        let Some(topic) = self.rules.policy.groups.clone() else { return false };
        let memo = (self.moment.yes, group.clone(), key);
        if let Some(known) = self.memory.members.get(&memo) {
            return *known;
        }
        let is_member = self.answer(&Question::new(topic, key).arg(group.clone())) == Answer::Allow;
        self.memory.members.insert(memo, is_member);
        is_member
    }

    pub(super) fn rule(&self, question: &Question) -> &'a Topic {
        self.rules.policy.topic(&question.topic)
    }
}

/// What one issuer says.
fn own_part<'a>(said: &'a Said, issuer: &Key) -> impl Iterator<Item = At<'a>> + use<'a> {
    let issuer = *issuer;
    said.range((issuer, Vec::new())..).take_while(move |((other, _), _)| *other == issuer)
}

/// A statement at its place among those about a subject.
pub(super) type At<'a> = (&'a (Key, Vec<Word>), &'a Standing);
