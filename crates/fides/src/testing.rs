//! Statements for tests: unsigned, because signing is what takes the time, and drawn at random.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{
    About, Claim, Cover, Key, Ledger, Policy, Quorum, Rule, Rules, Sign, Statement, Subject, Time, Topic, Word,
};

pub(crate) const NOW: Time = Time(1_800_000_000);
pub(crate) const ROOM: usize = 4_096;

pub(crate) fn key(number: usize) -> Key {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Key::from_bytes(bytes)
}

pub(crate) fn word(text: &str) -> Word {
    Word::new(text).unwrap()
}

pub(crate) fn allow(subject: usize, topic: &str, args: &[&str]) -> About {
    let args = args.iter().map(|arg| word(arg)).collect();
    About::Allow { subject: Subject::Key(key(subject)), topic: word(topic), args }
}

pub(crate) fn allow_group(group: &str, topic: &str) -> About {
    About::Allow { subject: Subject::Group(word(group)), topic: word(topic), args: Vec::new() }
}

pub(crate) fn trust(subject: usize, topic: &str) -> About {
    About::Trust { key: key(subject), topic: word(topic) }
}

/// A claim made now, with a serial that is `step` later.
pub(crate) fn claim(sign: Sign, about: About, step: u64) -> Claim {
    Claim::new(sign, about, NOW.0 * 1_000 + step, NOW)
}

pub(crate) fn say(issuer: usize, claim: Claim) -> Arc<Statement> {
    Statement::unsigned(key(issuer), claim)
}

pub(crate) fn yes(issuer: usize, about: About) -> Arc<Statement> {
    say(issuer, claim(Sign::Yes, about, 0))
}

pub(crate) fn no(issuer: usize, about: About) -> Arc<Statement> {
    say(issuer, claim(Sign::No, about, 0))
}

pub(crate) fn ledger<'a>(statements: impl IntoIterator<Item = &'a Arc<Statement>>) -> Ledger {
    let mut ledger = Ledger::default();
    for statement in statements {
        ledger.insert(statement, ROOM);
    }
    ledger
}

pub(crate) fn topic(rule: Rule, quorum: usize) -> Topic {
    Topic { rule, quorum: Quorum::Fixed(quorum), cover: Cover::Prefix, handed_on: false }
}

/// Key 0 judges. Topics: `edit` by quorum, `own` handed on, `pick` by majority, `in` for groups, `found` for founders.
pub(crate) fn rules(founders: &[usize], quorum: usize) -> Rules {
    let topics = [
        (word("edit"), topic(Rule::Quorum, quorum)),
        (word("own"), Topic { handed_on: true, ..topic(Rule::DenyOverrides, 1) }),
        (word("pick"), topic(Rule::Majority, 1)),
        (word("in"), topic(Rule::DenyOverrides, 1)),
        (word("found"), topic(Rule::TwoThirds, 1)),
    ];
    let founders: BTreeSet<Key> = founders.iter().map(|number| key(*number)).collect();
    let policy = Policy {
        topics: topics.into(),
        groups: Some(word("in")),
        founders: Some(word("found")),
        introductions: 3,
        ..Policy::default()
    };
    Rules { me: key(0), founders, policy }
}

/// A generator of numbers, the same for the same seed.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(crate) fn one<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at + 1);
            items.swap(at, other);
        }
    }

    /// What a statement among `keys` keys could be about: in one of a few topics.
    pub(crate) fn about(&mut self, keys: usize) -> About {
        let subject = self.below(keys);
        let topic = *self.one(&["edit", "edit", "own", "pick", "found"]);
        match self.below(16) {
            0..7 => trust(subject, topic),
            7..12 => {
                let choices: [&[&str]; 4] = [&[], &["a"], &["a", "b"], &["b"]];
                let args: &[&str] = choices[self.below(4)];
                allow(subject, topic, args)
            }
            12 => allow(subject, "in", &["g"]),
            13 => allow_group("g", topic),
            14 => {
                let serial = (NOW.0 * 1_000 + self.below(4) as u64).to_string();
                allow(subject, "pardon", &[topic, &serial])
            }
            _ if self.below(4) == 0 => About::Revoke,
            _ => allow(subject, "edit", &[]),
        }
    }

    /// A statement of one of `keys` keys, valid now or not, often clashing with others.
    pub(crate) fn statement(&mut self, keys: usize) -> Arc<Statement> {
        let issuer = self.below(keys);
        self.statement_by(issuer, keys)
    }

    pub(crate) fn statement_by(&mut self, issuer: usize, keys: usize) -> Arc<Statement> {
        let about = self.about(keys);
        let is_revoke = about == About::Revoke;
        let sign = *self.one(&[Sign::Yes, Sign::Yes, Sign::Yes, Sign::No, Sign::DontCare]);
        let mut claim = claim(if is_revoke { Sign::No } else { sign }, about, self.below(4) as u64);
        if self.below(3) == 0 {
            claim.from = NOW.before(7_200).after(600 * self.below(24) as u64);
        }
        if !is_revoke && (claim.sign == Sign::Yes || self.below(3) == 0) {
            claim.until = Some(claim.from.after(1 + 600 * self.below(24) as u64));
        }
        if claim.sign == Sign::Yes {
            claim = match claim.about {
                About::Trust { .. } => claim.depth(self.below(4) as u64),
                About::Allow { .. } if self.below(4) == 0 => claim.limit(word("n"), self.below(3) as u64),
                About::Allow { .. } | About::Revoke => claim,
            };
        }
        say(issuer, claim)
    }

    pub(crate) fn statements(&mut self, count: usize, keys: usize) -> Vec<Arc<Statement>> {
        (0..count).map(|_| self.statement(keys)).collect()
    }
}
