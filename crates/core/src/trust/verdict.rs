//! Verdicts, for people: what follows from a question's answer in this mesh, and what brought it about.

use std::collections::BTreeSet;

use fides::{Answer, Explanation, Key, Question, Regard, Votes};

use crate::time::Instant;
use crate::trust::{Trust, topics};

/// Why something may or may not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// Statements decide it.
    Said,
    /// A founder may do it unless somebody denies it.
    Founder,
    /// Nobody decided it, and the network has no founders.
    Open,
    /// Nobody decided it, and in this topic everybody may as long as nobody is allowed to.
    NobodyIsAllowed,
    /// Nobody decided it, and what nobody allows is forbidden.
    Closed,
}

/// What follows from the answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may be done.
    pub allowed: bool,
    /// Why.
    pub because: Because,
    /// How the statements about it were counted.
    pub explanation: Explanation,
}

impl Trust {
    /// What follows from the answer to a question, and why. It takes time, for a person to read.
    pub fn verdict(&mut self, question: &Question, now: Instant) -> Verdict {
        let span = self.span(now);
        let explanation = self.judge.explain(self.store.ledger(), question, span);
        let because = match explanation.answer {
            Answer::Allow | Answer::Deny => Because::Said,
            Answer::Unknown => self.default_for(question, now),
        };
        let allowed = match because {
            Because::Said => explanation.answer == Answer::Allow,
            Because::Founder | Because::Open | Because::NobodyIsAllowed => true,
            Because::Closed => false,
        };
        Verdict { allowed, because, explanation }
    }

    /// What holds of what nobody has decided.
    fn default_for(&mut self, question: &Question, now: Instant) -> Because {
        let topic = question.topic.as_str();
        let founder = topics::is_for_founders(&question.topic) || topic == topics::FOUND;
        if founder && self.is_founder(question.subject, now) {
            return Because::Founder;
        }
        match topic {
            topics::JOIN | topics::OWN | topics::INVITE if !self.is_closed() => Because::Open,
            topics::RATE => Because::NobodyIsAllowed,
            topics::RELAY | topics::NAME | topics::REACH if !self.laws(now).grant(topic) => Because::NobodyIsAllowed,
            _ => Because::Closed,
        }
    }

    /// Questions that somebody whose word counts has spoken of, but that are not decided.
    pub fn open_questions(&mut self, now: Instant) -> Vec<(Question, Votes)> {
        let span = self.span(now);
        let mut open = Vec::new();
        for topic in topics::ALL {
            let topic = topics::word(topic);
            for grant in self.judge.grants(self.store.ledger(), &topic, span) {
                let question = Question { args: grant.args, ..Question::new(topic.clone(), grant.subject) };
                let votes = self.judge.votes(self.store.ledger(), &question, span);
                let is_open = grant.answer == Answer::Unknown && self.default_for(&question, now) != Because::Founder;
                if is_open && votes.trusted.yes + votes.trusted.no > 0 {
                    open.push((question, votes));
                }
            }
        }
        open
    }

    /// Everything that somebody says may be done in a topic, as questions.
    pub fn spoken_of(&mut self, topic: &str, now: Instant) -> Vec<Question> {
        let span = self.span(now);
        let topic = topics::word(topic);
        let grants = self.judge.grants(self.store.ledger(), &topic, span).into_iter();
        grants.map(|grant| Question { args: grant.args, ..Question::new(topic.clone(), grant.subject) }).collect()
    }

    /// Whether a key's word counts in a topic, and why.
    pub fn regard(&mut self, topic: &str, key: Key, now: Instant) -> Regard {
        let span = self.span(now);
        self.judge.regard(self.store.ledger(), &topics::word(topic), &key, span)
    }

    /// The founders, as they have voted; in an open network nobody.
    pub fn founders(&mut self, now: Instant) -> BTreeSet<Key> {
        if !self.is_closed() {
            return BTreeSet::new();
        }
        let span = self.span(now);
        self.judge.founders(self.store.ledger(), span)
    }
}

#[cfg(test)]
mod tests {
    use fides::{About, Claim, Sign, Subject, Time};

    use super::*;
    use crate::crypto::keys::SecretKey;
    use crate::trust::{TrustConfig, key};

    const NOW: u64 = 1_800_000_000;

    fn node(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn trust(founders: &[u8]) -> Trust {
        let founders = founders.iter().map(|seed| key(&node(*seed).public())).collect();
        let mut trust = Trust::new(TrustConfig { founders, ..TrustConfig::default() }, &node(9).public());
        trust.clock_mut().tell(Instant::ZERO, NOW * 1_000);
        trust
    }

    fn ask(trust: &mut Trust, topic: &str, seed: u8) -> (bool, Because) {
        let question = Question::new(topics::word(topic), key(&node(seed).public()));
        let verdict = trust.verdict(&question, Instant::ZERO);
        (verdict.allowed, verdict.because)
    }

    fn say(trust: &mut Trust, by: u8, of: u8, topic: &str) {
        let subject = Subject::Key(key(&node(of).public()));
        let about = About::Allow { subject, topic: topics::word(topic), args: Vec::new() };
        let claim = Claim::new(Sign::Yes, about, NOW * 1_000, Time(NOW));
        let line = claim.sign(&crate::trust::secret_key(&node(by))).unwrap().to_string();
        trust.accept(&line, None, Instant::ZERO).unwrap();
    }

    #[test]
    fn what_nobody_said_depends_on_the_network_and_the_topic() {
        let mut open = trust(&[]);
        assert_eq!(ask(&mut open, topics::JOIN, 2), (true, Because::Open));
        assert_eq!(ask(&mut open, topics::TAG, 2), (false, Because::Closed));
        let mut closed = trust(&[1]);
        assert_eq!(ask(&mut closed, topics::JOIN, 2), (false, Because::Closed));
        assert_eq!(ask(&mut closed, topics::JOIN, 1), (true, Because::Founder));
        assert_eq!(ask(&mut closed, topics::RELAY, 2), (true, Because::NobodyIsAllowed));
        say(&mut closed, 1, 3, topics::RELAY);
        assert_eq!(ask(&mut closed, topics::RELAY, 2), (false, Because::Closed));
        assert_eq!(ask(&mut closed, topics::RELAY, 3), (true, Because::Said));
    }

    #[test]
    fn a_verdict_is_what_the_node_does() {
        let mut closed = trust(&[1, 2]);
        say(&mut closed, 1, 3, topics::JOIN);
        for topic in [topics::JOIN, topics::OWN, topics::INVITE] {
            for seed in 1..=4 {
                let question = Question::new(topics::word(topic), key(&node(seed).public()));
                let allowed = closed.verdict(&question, Instant::ZERO).allowed;
                assert_eq!(allowed, closed.allows(&question, Instant::ZERO), "{topic} {seed}");
            }
        }
    }

    #[test]
    fn a_question_with_too_few_votes_is_open() {
        let founders = (1..=2).map(|seed| key(&node(seed).public())).collect();
        let config = TrustConfig { founders, quorum: Some(2), ..TrustConfig::default() };
        let mut trust = Trust::new(config, &node(9).public());
        trust.clock_mut().tell(Instant::ZERO, NOW * 1_000);
        say(&mut trust, 1, 3, topics::JOIN);
        let open = trust.open_questions(Instant::ZERO);
        assert_eq!(
            open.iter().map(|(question, votes)| (question.subject, votes.trusted.yes)).collect::<Vec<_>>(),
            [(key(&node(3).public()), 1)]
        );
        say(&mut trust, 2, 3, topics::JOIN);
        assert_eq!(trust.open_questions(Instant::ZERO), []);
    }
}
