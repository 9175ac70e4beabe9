//! What the packet path is to know of what members say: who may relay, how fast a node may send, which stations it has.

use std::collections::{BTreeMap, BTreeSet};

use fides::{AHEAD, About, Allowance, Answer, Claim, Key, Question, Sign, Subject, Word};

use crate::dataplane::ethernet::Mac;
use crate::name::NodeName;
use crate::subnet::{Address, Subnet};
use crate::time::Instant;
use crate::trust::{Trust, topics};

/// What is said of whom is asked of each node; this is what is said at all, by anybody whose word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Laws {
    /// Whether what nobody has allowed is forbidden.
    pub closed: bool,
    /// Topics in which somebody allows something, or denies it.
    spoken: BTreeSet<Word>,
    /// Topics in which somebody allows something.
    granted: BTreeSet<Word>,
    /// Stations that somebody may have, if it says of any.
    pub stations: Option<BTreeSet<Mac>>,
    /// Keys that are allowed to join under a name.
    members: BTreeMap<Word, BTreeSet<Key>>,
    /// Scopes of the topic `reach`.
    pub(super) scopes: BTreeSet<Vec<Word>>,
    /// Whom statements of the topic `reach` are about.
    pub(super) subjects: BTreeSet<Subject>,
}

impl Laws {
    /// Whether anybody allows or denies anything in a topic.
    pub fn speak_of(&self, topic: &str) -> bool {
        self.spoken.contains(&topics::word(topic))
    }

    /// Whether anybody allows anything in a topic: from then on, what is not allowed is forbidden.
    pub fn grant(&self, topic: &str) -> bool {
        self.granted.contains(&topics::word(topic))
    }

    fn learn(&mut self, subject: &Subject, topic: &Word, args: &[Word], sign: Sign) {
        self.spoken.insert(topic.clone());
        if topic.as_str() == topics::REACH {
            self.scopes.insert(args.to_vec());
            self.subjects.insert(subject.clone());
        }
        if sign != Sign::Yes {
            return;
        }
        self.granted.insert(topic.clone());
        if let (topics::JOIN, Subject::Key(key), [name]) = (topic.as_str(), subject, args) {
            self.members.entry(name.clone()).or_default().insert(*key);
        }
        let station = args.first().filter(|_| topic.as_str() == topics::OWN).and_then(station);
        if let Some(mac) = station {
            self.stations.get_or_insert_default().insert(mac);
        }
    }
}

/// The station that a grant of addresses names.
fn station(arg: &Word) -> Option<Mac> {
    match Subnet::parse(arg.as_str()).ok()?.address() {
        Address::Mac(mac) => Some(mac),
        Address::V4(_) | Address::V6(_) => None,
    }
}

impl Trust {
    /// What is said at all, by anybody whose word counts.
    pub fn laws(&mut self, now: Instant) -> Laws {
        let span = self.span(now);
        let mut laws = Laws { closed: self.is_closed(), ..Laws::default() };
        let mut heard: BTreeMap<Word, BTreeMap<Key, u8>> = BTreeMap::new();
        let holds = |claim: &Claim| {
            let begins = claim.sign == Sign::No || claim.from <= span.latest().after(AHEAD);
            begins && claim.until.is_none_or(|until| until > span.earliest())
        };
        for statement in self.store.ledger().statements() {
            let claim = statement.claim();
            let About::Allow { subject, topic, args } = &claim.about else { continue };
            if claim.sign == Sign::DontCare || !holds(claim) {
                continue;
            }
            let (judge, ledger) = (&mut self.judge, self.store.ledger());
            let heard = heard.entry(topic.clone()).or_insert_with(|| judge.heard(ledger, topic, span));
            if heard.contains_key(statement.issuer()) {
                laws.learn(subject, topic, args, claim.sign);
            }
        }
        laws
    }

    /// The key of a node whose key nobody has told yet: the only one that may join under its name.
    pub fn key_by_name(&mut self, name: &NodeName, laws: &Laws, now: Instant) -> Option<Key> {
        let candidates = laws.members.get(&topics::word(name.as_str()))?;
        let mut keys = candidates.iter().filter(|&&key| self.answer(&topics::join(key, name), now) == Answer::Allow);
        keys.next().copied().filter(|_| keys.next().is_none())
    }

    /// How many kilobits per second a node may send.
    pub fn rate(&mut self, key: Key, now: Instant) -> Allowance {
        self.allowance(&Question::new(topics::word(topics::RATE), key), "kbit", Answer::Allow, now)
    }

    /// How many megabytes a day others carry for a node, and whether it may carry packets of others. In a network where
    /// nobody is allowed to, everybody may.
    pub fn relay(&mut self, key: Key, laws: &Laws, now: Instant) -> Allowance {
        let otherwise = if laws.grant(topics::RELAY) { Answer::Deny } else { Answer::Allow };
        self.allowance(&Question::new(topics::word(topics::RELAY), key), "mbday", otherwise, now)
    }

    /// Whether a node may be found by this name. In a network where nobody is allowed to, everybody may.
    pub fn may_be_called(&mut self, key: Key, name: &NodeName, laws: &Laws, now: Instant) -> bool {
        let question = Question::new(topics::word(topics::NAME), key).arg(topics::word(name.as_str()));
        match self.answer(&question, now) {
            Answer::Allow => true,
            Answer::Deny => false,
            Answer::Unknown => !laws.grant(topics::NAME),
        }
    }

    /// The stations that a node may have of those that are named; `None`: it may have any.
    pub fn stations(&mut self, key: Key, laws: &Laws, now: Instant) -> Option<Vec<Mac>> {
        let any = Question::new(topics::word(topics::OWN), key);
        if self.answer(&any, now) == Answer::Allow {
            return None;
        }
        let named = laws.stations.iter().flatten();
        let own = named.filter(|&&mac| {
            let question = topics::own(key, &Subnet::host(Address::Mac(mac)));
            self.answer(&question, now) == Answer::Allow
        });
        Some(own.copied().collect())
    }

    /// How much of a limit a node has, where `otherwise` holds of what nobody has said.
    fn allowance(&mut self, question: &Question, limit: &str, otherwise: Answer, now: Instant) -> Allowance {
        let amount = match self.decide(question, now) {
            Answer::Allow => {
                let span = self.span(now);
                return self.judge.allowance(self.store.ledger(), question, &topics::word(limit), span);
            }
            Answer::Deny => Answer::Deny,
            Answer::Unknown if self.answer(question, now) == Answer::Allow => Answer::Allow,
            Answer::Unknown => otherwise,
        };
        if amount == Answer::Allow { Allowance::Unlimited } else { Allowance::Nothing }
    }
}
