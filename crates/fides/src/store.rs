//! The store: which statements are let in, kept and passed on.
//!
//! ```text
//! line ─► read ─► known, outdated? ─► room and rate of its issuer? ─► signature ─► ledger ─► pass it on
//! ```
//!
//! What is cheap comes first; the signature is verified last, and always before a statement is passed on. What is
//! refused leaves no trace. What is kept is bounded: a number of slots for each issuer whose word counts in a topic
//! that the policy names, and a small room that all strangers share. What strangers say is kept in case their word
//! counts one day, but neither passed on nor reconciled; except that they revoke themselves, if they are founders or
//! anybody whose word counts has named them.
//!
//! A yes that begins in the future waits aside until it begins. A no acts at once.

mod admission;
mod item;
mod standings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::budget::{Budget, Rate};
use crate::key::{Key, SecretKey};
use crate::ledger::Ledger;
use crate::reconcile::Session;
use crate::statement::{About, Claim, FormError, Sign, SignatureError, Statement, StatementId};
use crate::time::Time;
use crate::trust::Rules;

pub use item::{Item, Pattern, PatternError};

/// How much is kept, and how much work is done.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Slots of a root.
    pub root: usize,
    /// Slots of a key whose word counts in some topic.
    pub member: usize,
    /// How many such keys there is room for.
    pub members: usize,
    /// Slots that all other issuers share.
    pub strangers: usize,
    /// Statements that wait for their beginning.
    pub waiting: usize,
    /// New statements of one issuer.
    pub rate: Rate,
}

impl Default for Quotas {
    fn default() -> Self {
        let rate = Rate { per_second: 10, burst: 100 };
        Self { root: 4_096, member: 256, members: 4_096, strangers: 256, waiting: 64, rate }
    }
}

/// What became of something that was let in or was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is new: pass it on.
    New(Item),
    /// It is new and kept, but its issuer is a stranger: it is not passed on.
    Kept,
    /// It is new and waits for its beginning.
    Waiting,
    /// It was known.
    Known,
    /// Something newer is known.
    Outdated,
}

/// Why something was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no statement.
    #[error(transparent)]
    Form(#[from] FormError),
    /// Its signature is wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Two statements that do not contradict each other came as evidence that they do.
    #[error("the two statements do not contradict each other: send them one by one")]
    NoEvidence,
    /// It is over for good.
    #[error("the statement is over, and so is all that it replaced")]
    Past,
    /// Its issuer has no room left.
    #[error("there is no room for statements of this issuer until somebody trusted vouches for it")]
    NoRoom,
    /// Its issuer says too much at once.
    #[error("this issuer says more than is taken in: offer it again later")]
    TooFast,
    /// The neighbour sends too much at once.
    #[error("this neighbour sends more than is taken in: offer it again later")]
    Busy,
    /// The neighbour has sent wrong signatures.
    #[error("this neighbour sent statements with wrong signatures and is shut out for ten minutes")]
    ShutOut,
}

/// What an import or a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Statements that are new.
    pub new: usize,
    /// Statements that were known, or outdated.
    pub known: usize,
    /// Lines that were refused, counted from 1, with the reason.
    pub refused: Vec<(usize, Refused)>,
}

/// The rights of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Member,
    Root,
}

/// Keeps statements.
///
/// ```
/// use fides::{About, Accepted, Claim, Policy, Quotas, Rules, SecretKey, Sign, Store, Subject, Time};
///
/// let now = Time(1_800_000_000);
/// let [alice, bob] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
/// let rules = Rules { me: bob.public(), founders: [alice.public()].into(), policy: Policy::default() };
/// let mut store = Store::new(rules, Quotas::default());
///
/// let about = About::Allow { subject: Subject::Key(bob.public()), topic: "edit".parse().unwrap(), args: vec![] };
/// let line = Claim::new(Sign::Yes, about, 1_800_000_000_000, now).sign(&alice).unwrap().to_string();
/// assert!(matches!(store.accept(&line, None, now), Ok(Accepted::New(_))));
/// assert_eq!(store.accept(&line, None, now), Ok(Accepted::Known));
///
/// let forged = line.replace("+ allow", "- allow");
/// assert!(store.accept(&forged, None, now).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    rules: Rules,
    quotas: Quotas,
    ledger: Ledger,
    standings: BTreeMap<Key, Standing>,
    /// Keys with an open invitation.
    expected: BTreeSet<Key>,
    /// Strangers, the longest known first.
    strangers: Vec<Key>,
    waiting: BTreeMap<(Time, StatementId), Arc<Statement>>,
    budgets: BTreeMap<Key, Budget>,
    verifications: u64,
    /// What the caller's clock said last.
    now: Time,
    /// What it said when the standings were found out.
    settled: Time,
}

impl Store {
    /// An empty store of an evaluator with these rules.
    pub fn new(rules: Rules, quotas: Quotas) -> Self {
        let mut store = Self {
            rules,
            quotas,
            ledger: Ledger::default(),
            standings: BTreeMap::new(),
            expected: BTreeSet::new(),
            strangers: Vec::new(),
            waiting: BTreeMap::new(),
            budgets: BTreeMap::new(),
            verifications: 0,
            now: Time(0),
            settled: Time(0),
        };
        store.settle();
        store
    }

    /// The rules.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Keeps by other rules from here on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
        self.settle();
    }

    /// What acts.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many signatures were verified, for whoever counts work.
    pub const fn verifications(&self) -> u64 {
        self.verifications
    }

    /// A key has an open invitation, or no longer: as long as it has one, there is room for what it says.
    pub fn expect(&mut self, key: Key, is_expected: bool) {
        if is_expected {
            self.expected.insert(key)
        } else {
            self.expected.remove(&key)
        };
        self.settle();
    }

    /// Says something: signs it with the next serial of the key, and keeps it.
    ///
    /// # Errors
    /// If there is no such statement, or no room for it.
    pub fn say(&mut self, secret: &SecretKey, claim: Claim, now: Time) -> Result<Item, Refused> {
        self.now = now;
        let serial = Claim::serial_after(self.ledger.last_serial(&secret.public()), now);
        let statement = Arc::new(Claim { serial, ..claim }.sign(secret)?);
        self.keep(&statement, now);
        if self.ledger.has(&statement) { Ok(Item::Statement(statement)) } else { Err(Refused::NoRoom) }
    }

    /// To be called now and then, at least once a minute: what has begun leaves the waiting room, what is over for good
    /// is forgotten. Gives what is to be passed on.
    pub fn tick(&mut self, now: Time) -> Vec<Item> {
        self.now = now;
        self.ledger.forget_past(now);
        let (start, end) = self.ledger.quiet_around(self.settled);
        if now < start || end <= now {
            self.settle();
        }
        let ahead = now.after(crate::time::AHEAD);
        let mut begun = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= ahead) {
            begun.push(first.remove());
        }
        self.budgets
            .retain(|issuer, budget| self.standings.contains_key(issuer) || !budget.is_full(self.quotas.rate, now));
        let accepted = begun.iter().map(|statement| self.keep(statement, now));
        let new = accepted.filter_map(|accepted| match accepted {
            Accepted::New(item) => Some(item),
            Accepted::Kept | Accepted::Waiting | Accepted::Known | Accepted::Outdated => None,
        });
        new.collect()
    }

    /// All that is passed on: what two stores reconcile.
    pub fn items(&self) -> Vec<Item> {
        let statements = self.ledger.statements().filter(|statement| self.is_passed_on(statement));
        let evidence = self.ledger.all_evidence().filter(|evidence| self.standings.contains_key(evidence.issuer()));
        let statements = statements.map(|statement| Item::Statement(Arc::clone(statement)));
        statements.chain(evidence.map(|evidence| Item::Evidence(evidence.clone()))).collect()
    }

    /// One side of a reconciliation of all that is passed on, as it is by now. The salt is drawn by who starts the session
    /// and told to the other side. What the session finds lacking there is sent as text; what comes from there goes
    /// through [`Store::accept`], with the [`crate::Neighbour`] that it comes from. What is refused there for a while
    /// ([`Refused::TooFast`], [`Refused::Busy`]) a later session offers again.
    ///
    /// ```
    /// # use fides::*;
    /// # let now = Time(1_800_000_000);
    /// # let [alice, bob] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
    /// # let rules = |me| Rules { me, founders: [alice.public()].into(), policy: Policy::default() };
    /// let mut mine = Store::new(rules(alice.public()), Quotas::default());
    /// let mut bobs = Store::new(rules(bob.public()), Quotas::default());
    /// let about = About::Allow { subject: Subject::Key(bob.public()), topic: "edit".parse()?, args: vec![] };
    /// mine.say(&alice, Claim::new(Sign::Yes, about, 0, now), now)?;
    ///
    /// let (mut here, mut there) = (mine.session([7; 16]), bobs.session([7; 16]));
    /// let (mut alice_as_neighbour, mut to_there) = (Neighbour::new(now), here.start());
    /// while !to_there.is_empty() {
    ///     let answer = there.on_frame(&to_there.remove(0))?;
    ///     for frame in answer.frames {
    ///         let step = here.on_frame(&frame)?;
    ///         to_there.extend(step.frames);
    ///         for item in step.lacking {
    ///             bobs.accept(&item.to_string(), Some(&mut alice_as_neighbour), now)?;
    ///         }
    ///     }
    /// }
    /// assert_eq!(bobs.items(), mine.items());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn session(&self, salt: [u8; 16]) -> Session<Item> {
        Session::about(salt, self.items().into_iter().map(|item| (item.id(), item)))
    }

    /// The statements that match a pattern.
    pub fn find(&self, pattern: &Pattern) -> Vec<&Arc<Statement>> {
        self.ledger.statements().filter(|statement| pattern.matches(statement)).collect()
    }

    /// All statements as text, a line for each.
    pub fn export(&self) -> String {
        let mut text = String::new();
        for statement in self.ledger.statements() {
            text.push_str(&statement.to_string());
            text.push('\n');
        }
        for evidence in self.ledger.all_evidence().flat_map(|evidence| evidence.statements()) {
            if !self.ledger.has(evidence) {
                text.push_str(&evidence.to_string());
                text.push('\n');
            }
        }
        text
    }

    /// Takes in lines that [`Store::export`] wrote, in any order. Empty lines and those that begin with # are skipped.
    pub fn import(&mut self, text: &str, now: Time) -> Report {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end()));
        let mut lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
        lines.sort_by_key(|(_, line)| line.split(' ').nth(2).and_then(|serial| serial.parse::<u64>().ok()));
        let mut report = Report::default();
        loop {
            let (mut left, mut refused, before) = (Vec::new(), Vec::new(), self.ledger.revision());
            for (at, line) in lines {
                match self.accept_own(line, now) {
                    Ok(Accepted::New(_) | Accepted::Kept | Accepted::Waiting) => report.new += 1,
                    Ok(Accepted::Known | Accepted::Outdated) => report.known += 1,
                    Err(Refused::NoRoom) => {
                        left.push((at, line));
                        refused.push((at, Refused::NoRoom));
                    }
                    Err(error) => report.refused.push((at, error)),
                }
            }
            lines = left;
            if lines.is_empty() || self.ledger.revision() == before {
                report.refused.extend(refused);
                report.refused.sort_by_key(|(at, _)| *at);
                return report;
            }
        }
    }

    /// Verifies every signature again. Gives the statements whose signature is wrong: the memory or the disk is broken.
    pub fn check(&self) -> Vec<&Arc<Statement>> {
        self.ledger.statements().filter(|statement| !statement.is_genuine()).collect()
    }

    /// Whether a statement is passed on: its issuer's word counts, or a known key revokes itself.
    fn is_passed_on(&self, statement: &Statement) -> bool {
        let issuer = statement.issuer();
        self.standings.contains_key(issuer) || (statement.claim().about == About::Revoke && self.is_known(issuer))
    }

    /// Whether a key matters although its word does not count: it is a founder, or somebody whose word counts names it.
    fn is_known(&self, key: &Key) -> bool {
        let is_root = *key == self.rules.me || self.rules.founders.contains(key);
        is_root || self.ledger.is_named_by(key, |issuer| self.standings.contains_key(issuer))
    }

    /// Whether a statement has not begun, by a clock that may be ten minutes slow.
    fn is_early(claim: &Claim, now: Time) -> bool {
        claim.sign != Sign::No && claim.from > now.after(crate::time::AHEAD)
    }
}

#[cfg(test)]
mod convergence;
#[cfg(test)]
mod tests;
