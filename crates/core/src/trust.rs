//! Trust: who may do what in this mesh, by the signed statements of its members.
//!
//! ```text
//!  statements ─► Store ─► Judge ─► may_join, may_own, … ─► node: connections, gossip, Fib
//!  told time  ─► Clock ──┘
//! ```
//!
//! A network without founders is open: what nobody has said is as in tinc. With founders it is closed: what nobody has
//! said is not allowed. Source: the crate `fides` and docs/security.md.

pub mod clock;
pub mod gossip;
pub mod reach;
pub mod rights;
pub mod topics;
pub mod verdict;

use std::collections::BTreeSet;

use fides::{
    About, Accepted, Answer, BACKDATED, Claim, DAY, Item, Judge, Key, Ledger, Neighbour, Question, Quotas, Refused,
    Regard, Rules, Sign, Span, Store,
};

use sha2::{Digest, Sha256};

use crate::crypto::keys::{PublicKey, SecretKey};
use crate::legacy::rsa;
use crate::name::NodeName;
use crate::subnet::Subnet;
use crate::time::Instant;
use crate::trust::clock::Clock;

/// What the operator wants of trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustConfig {
    /// Variable `Founder`: whose word counts from the start. Without any the network is open.
    pub founders: BTreeSet<Key>,
    /// Variable `Lease`: whether `join` is to be renewed every day.
    pub lease: bool,
    /// Variable `Quorum`: how many voices `join` takes; without it one, and two from five founders on.
    pub quorum: Option<usize>,
    /// Variable `ClockError`: by how many seconds the clock may be wrong.
    pub clock_error: u64,
}

impl TrustConfig {
    /// Whether what nobody has allowed is forbidden.
    pub fn is_closed(&self) -> bool {
        !self.founders.is_empty()
    }

    /// The rules by which the node with this key decides.
    pub fn rules(&self, me: Key) -> Rules {
        Rules { me, founders: self.founders.clone(), policy: topics::policy(self.quorum) }
    }
}

/// The key of a node, as statements name it.
pub const fn key(key: &PublicKey) -> Key {
    Key::from_bytes(*key.as_bytes())
}

/// The key of a statement's subject, as a node's.
pub const fn public_key(key: &Key) -> PublicKey {
    PublicKey::from_bytes(*key.as_bytes())
}

/// What statements call a node of tinc 1.0, which has no other key: the SHA-256 of its RSA key's modulus and exponent.
pub fn rsa_key(key: &rsa::PublicKey) -> Key {
    let (modulus, exponent) = key.numbers();
    Key::from_bytes(Sha256::new().chain_update(modulus).chain_update(exponent.to_be_bytes()).finalize().into())
}

/// A node's private key, to sign statements with.
pub fn secret_key(key: &SecretKey) -> fides::SecretKey {
    fides::SecretKey::from_expanded(key.expanded())
}

/// What this node knows of who may do what.
#[derive(Debug)]
pub struct Trust {
    config: TrustConfig,
    me: Key,
    store: Store,
    judge: Judge,
    clock: Clock,
}

impl Trust {
    /// Without any statement.
    pub fn new(config: TrustConfig, me: &PublicKey) -> Self {
        let me = key(me);
        let rules = config.rules(me);
        let store = Store::new(rules.clone(), Quotas::default());
        let clock = Clock::new(config.clock_error);
        Self { config, me, store, judge: Judge::new(rules), clock }
    }

    /// Whether what nobody has allowed is forbidden.
    pub fn is_closed(&self) -> bool {
        self.config.is_closed()
    }

    /// Decides by other settings from here on; tells whether they differ.
    pub fn change(&mut self, config: &TrustConfig) -> bool {
        if self.config == *config {
            return false;
        }
        self.config = config.clone();
        let rules = config.rules(self.me);
        self.store.set_rules(rules.clone());
        self.judge.set_rules(rules);
        self.clock.error = config.clock_error;
        true
    }

    /// The statements that act.
    pub const fn ledger(&self) -> &Ledger {
        self.store.ledger()
    }

    /// The store itself, for what is passed on.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The clock, for who is told the time.
    pub const fn clock_mut(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// What is known of the present.
    pub fn span(&self, now: Instant) -> Span {
        self.clock.span(now)
    }

    /// What time it is, if the operating system said so.
    pub fn told_time(&self, now: Instant) -> Option<fides::Time> {
        self.clock.is_told().then(|| self.span(now).latest())
    }

    /// What members say, without the exceptions for founders.
    fn decide(&mut self, question: &Question, now: Instant) -> Answer {
        let span = self.span(now);
        self.judge.decide(self.store.ledger(), question, span)
    }

    /// The answer to a question; what nobody has said of a founder is yes for what founders may without being asked.
    pub fn answer(&mut self, question: &Question, now: Instant) -> Answer {
        let answer = self.decide(question, now);
        if answer == Answer::Unknown
            && topics::is_for_founders(&question.topic)
            && self.is_founder(question.subject, now)
        {
            return Answer::Allow;
        }
        answer
    }

    /// Whether a key is a founder's, as they have voted. Nobody is in an open network.
    pub fn is_founder(&mut self, key: Key, now: Instant) -> bool {
        let span = self.span(now);
        self.is_closed() && self.judge.founders(self.store.ledger(), span).contains(&key)
    }

    /// Whether a key's word counts in a topic.
    pub fn is_heard(&mut self, topic: &str, key: Key, now: Instant) -> bool {
        let span = self.span(now);
        let regard = self.judge.regard(self.store.ledger(), &topics::word(topic), &key, span);
        matches!(regard, Regard::Root | Regard::Trusted { .. })
    }

    /// Whether something may be done: what nobody has said is allowed in an open network only.
    pub fn allows(&mut self, question: &Question, now: Instant) -> bool {
        match self.answer(question, now) {
            Answer::Allow => true,
            Answer::Deny => false,
            Answer::Unknown => !self.is_closed(),
        }
    }

    /// Whether the node with this key may be in the mesh under this name.
    pub fn may_join(&mut self, key: Key, name: &NodeName, now: Instant) -> bool {
        self.allows(&topics::join(key, name), now)
    }

    /// Whether a node may say that it owns these addresses. In an open network that is not asked of each prefix anew
    /// unless somebody whose word counts has spoken about it.
    pub fn may_own(&mut self, key: Key, subnet: &Subnet, now: Instant) -> bool {
        self.allows(&topics::own(key, subnet), now)
    }

    /// Takes in what somebody said: a line, or two as evidence. `from` is whoever passes it on; the operator is nobody.
    ///
    /// # Errors
    /// If it is no statement, or there is no room for it.
    pub fn accept(&mut self, text: &str, from: Option<&mut Neighbour>, now: Instant) -> Result<Accepted, Refused> {
        let time = self.span(now).latest();
        self.store.accept(text, from, time)
    }

    /// Takes in lines that were kept.
    pub fn import(&mut self, text: &str, now: Instant) -> fides::Report {
        self.clock.learn_from(text);
        let time = self.span(now).latest();
        self.store.import(text, time)
    }

    /// Says something with this node's key.
    ///
    /// # Errors
    /// If there is no such statement, or no room for it.
    pub fn say(&mut self, secret: &SecretKey, claim: Claim, now: Instant) -> Result<Item, Refused> {
        let time = self.span(now).latest();
        self.store.say(&secret_key(secret), claim, time)
    }

    /// Memberships that this node gave for a day, as `Lease` has it, of which less than half is left: to be said anew.
    pub fn ending_leases(&self, now: Instant) -> Vec<Claim> {
        let Some(time) = self.told_time(now).filter(|_| self.config.lease) else { return Vec::new() };
        let is_lease = |claim: &Claim| {
            let day = claim.from.after(BACKDATED).after(DAY);
            let is_join = matches!(&claim.about, About::Allow { topic, .. } if topic.as_str() == topics::JOIN);
            claim.sign == Sign::Yes && is_join && claim.until == Some(day)
        };
        let ends = |claim: &Claim| claim.until.is_some_and(|until| until > time && until < time.after(DAY / 2));
        let own = self.store.ledger().statements().filter(|statement| *statement.issuer() == self.me);
        let ending = own.map(|statement| statement.claim()).filter(|claim| is_lease(claim) && ends(claim));
        let renewed = ending.map(|claim| {
            let fresh = Claim::new(Sign::Yes, claim.about.clone(), 0, time).until(time.after(DAY));
            Claim { limits: claim.limits.clone(), ..fresh }
        });
        renewed.collect()
    }

    /// What begins and what is over by now; gives what is to be passed on.
    pub fn tick(&mut self, now: Instant) -> Vec<Item> {
        let time = self.span(now).latest();
        self.store.tick(time)
    }

    /// Every statement that is kept, a line each.
    pub fn lines(&self) -> Vec<String> {
        self.store.export().lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests;
