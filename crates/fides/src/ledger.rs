//! The ledger: which statements act. Merging is a function of what was ever said, not of the order in which it came.
//!
//! Each statement has a **slot**: its issuer and what it is about. In a slot only the greatest counts, by serial, then
//! by how much it restricts, then by its name. Of each issuer the newest slots are kept, as many as it has room for;
//! what falls out is older than all that stays, so it can never come back past it.
//!
//! Two statements in one slot with one serial are **equivocation**: an honest issuer never makes them. Both are kept as
//! evidence, the restrictive one acts, and in that topic nothing else of the issuer counts until a root pardons it. The
//! evidence stays after the slot has moved on, and is passed on as a pair.

mod evidence;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::key::Key;
use crate::statement::{About, Sign, Statement, StatementId, Subject};
use crate::time::{AHEAD, Time};
use crate::word::Word;

pub use evidence::Evidence;
use evidence::Faults;

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// It acts, or is evidence, and was not known before.
    Fresh,
    /// It was known.
    Known,
    /// A greater statement stands in its slot, its issuer has revoked everything, or has no room for one so old.
    Outdated,
}

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The statement that acts.
    pub(crate) acting: Arc<Statement>,
    /// Another one with the same serial: they contradict each other.
    pub(crate) contradiction: Option<Arc<Statement>>,
}

/// All that one issuer says.
#[derive(Clone, Debug, Default)]
struct Voice {
    slots: BTreeMap<About, Standing>,
    /// The serial of each slot, to find the oldest.
    by_serial: BTreeSet<(u64, About)>,
    faults: Faults,
    revocation: Option<Arc<Statement>>,
}

/// What is said of subjects in one topic.
pub(crate) type Said = BTreeMap<(Key, Vec<Word>), Standing>;

/// The statements that act, found by whom and what they are about.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    voices: BTreeMap<Key, Voice>,
    /// topic → introducer → introduced.
    trust: BTreeMap<Word, BTreeMap<Key, BTreeMap<Key, Standing>>>,
    /// topic → introduced → introducer: the same, seen from the other side.
    introduced: BTreeMap<Word, BTreeMap<Key, BTreeMap<Key, Standing>>>,
    /// topic → subject → issuer and arguments.
    allow: BTreeMap<Word, BTreeMap<Subject, Said>>,
    /// When the validity of a statement begins or ends, and of how many.
    boundaries: BTreeMap<Time, u32>,
    len: usize,
    revision: u64,
}

impl Ledger {
    /// Takes in a statement of an issuer that has room for `room` slots.
    pub fn insert(&mut self, statement: &Arc<Statement>, room: usize) -> Merge {
        let issuer = *statement.issuer();
        let merge = match &statement.claim().about {
            About::Revoke => self.insert_revocation(statement),
            about @ (About::Allow { .. } | About::Trust { .. }) => {
                if self.is_revoked(&issuer) || room == 0 {
                    return Merge::Outdated;
                }
                self.insert_in_slot(about, statement)
            }
        };
        if merge == Merge::Fresh {
            self.revision += 1;
            let before = self.len;
            self.trim(&issuer, room);
            if self.len < before && !self.has(statement) {
                return Merge::Outdated;
            }
        }
        merge
    }

    /// Takes in a pair that proves an equivocation.
    pub fn insert_evidence(&mut self, evidence: &Evidence, room: usize) -> Merge {
        let (issuer, topic) = (*evidence.issuer(), evidence.topic().clone());
        if self.is_revoked(&issuer) || room == 0 {
            return Merge::Outdated;
        }
        let merge = self.voices.entry(issuer).or_default().faults.insert(topic, evidence.clone());
        if merge == Merge::Fresh {
            self.revision += 1;
            let [first, second] = evidence.statements();
            self.insert(first, room);
            self.insert(second, room);
        }
        merge
    }

    fn insert_revocation(&mut self, statement: &Arc<Statement>) -> Merge {
        let issuer = *statement.issuer();
        if let Some(known) = self.voices.get(&issuer).and_then(|voice| voice.revocation.as_ref())
            && known.rank() >= statement.rank()
        {
            return if known.id() == statement.id() { Merge::Known } else { Merge::Outdated };
        }
        self.forget_issuer(&issuer);
        let voice = Voice { revocation: Some(Arc::clone(statement)), ..Voice::default() };
        self.voices.insert(issuer, voice);
        self.len += 1;
        Merge::Fresh
    }

    fn insert_in_slot(&mut self, about: &About, statement: &Arc<Statement>) -> Merge {
        let voice = self.voices.entry(*statement.issuer()).or_default();
        let old = voice.slots.get(about).cloned();
        let Some(standing) = merged(old.as_ref(), statement) else {
            let is_known = old.is_some_and(|old| old.holds(statement.id()));
            return if is_known { Merge::Known } else { Merge::Outdated };
        };
        if let (Some(other), Some(topic)) = (&standing.contradiction, about.topic()) {
            voice.faults.insert(topic.clone(), Evidence::of(&standing.acting, other));
        }
        if let Some(old) = old {
            self.remove_slot(about, &old);
        }
        self.add_slot(about, standing);
        Merge::Fresh
    }

    fn add_slot(&mut self, about: &About, standing: Standing) {
        let (issuer, serial) = (*standing.acting.issuer(), standing.acting.claim().serial);
        for time in boundaries(&standing.acting) {
            *self.boundaries.entry(time).or_default() += 1;
        }
        match about {
            About::Allow { subject, topic, args } => {
                let said = self.allow.entry(topic.clone()).or_default().entry(subject.clone()).or_default();
                said.insert((issuer, args.clone()), standing.clone());
            }
            About::Trust { key, topic } => {
                let said = self.trust.entry(topic.clone()).or_default().entry(issuer).or_default();
                said.insert(*key, standing.clone());
                let by = self.introduced.entry(topic.clone()).or_default().entry(*key).or_default();
                by.insert(issuer, standing.clone());
            }
            About::Revoke => {}
        }
        self.len += standing.len();
        let voice = self.voices.entry(issuer).or_default();
        voice.by_serial.insert((serial, about.clone()));
        voice.slots.insert(about.clone(), standing);
    }

    fn remove_slot(&mut self, about: &About, standing: &Standing) {
        let (issuer, serial) = (*standing.acting.issuer(), standing.acting.claim().serial);
        for time in boundaries(&standing.acting) {
            if let Some(count) = self.boundaries.get_mut(&time) {
                *count -= 1;
                if *count == 0 {
                    self.boundaries.remove(&time);
                }
            }
        }
        match about {
            About::Allow { subject, topic, args } => {
                prune(&mut self.allow, topic, |subjects| {
                    prune(subjects, subject, |said| drop(said.remove(&(issuer, args.clone()))));
                });
            }
            About::Trust { key, topic } => {
                prune(&mut self.trust, topic, |issuers| prune(issuers, &issuer, |said| drop(said.remove(key))));
                prune(&mut self.introduced, topic, |keys| prune(keys, key, |by| drop(by.remove(&issuer))));
            }
            About::Revoke => {}
        }
        self.len -= standing.len();
        if let Some(voice) = self.voices.get_mut(&issuer) {
            voice.by_serial.remove(&(serial, about.clone()));
            voice.slots.remove(about);
        }
    }

    /// Keeps the newest slots of an issuer, `room` of them. Nothing is lost that was not older than all the rest.
    pub fn trim(&mut self, issuer: &Key, room: usize) {
        while let Some(voice) = self.voices.get(issuer).filter(|voice| voice.slots.len() > room) {
            let Some((_, about)) = voice.by_serial.first().cloned() else { break };
            let Some(standing) = voice.slots.get(&about).cloned() else { break };
            self.remove_slot(&about, &standing);
            self.revision += 1;
        }
        if room == 0 && self.voices.get(issuer).is_some_and(|voice| voice.revocation.is_none()) {
            self.voices.remove(issuer);
        }
    }

    /// Forgets all that an issuer said.
    pub fn forget_issuer(&mut self, issuer: &Key) {
        self.trim(issuer, 0);
        if self.voices.remove(issuer).is_some_and(|voice| voice.revocation.is_some()) {
            self.len -= 1;
        }
        self.revision += 1;
    }

    /// Forgets what is over, together with every yes that it replaced: none of it can be played back.
    pub fn forget_past(&mut self, now: Time) {
        let is_past = |standing: &Standing| standing.acting.forgettable_at().is_some_and(|time| time <= now);
        let past: Vec<(About, Standing)> = self
            .voices
            .values()
            .flat_map(|voice| &voice.slots)
            .filter(|(_, standing)| is_past(standing))
            .map(|(about, standing)| (about.clone(), standing.clone()))
            .collect();
        for (about, standing) in past {
            self.remove_slot(&about, &standing);
            self.revision += 1;
        }
    }

    /// Whether a statement acts, or contradicts one that does.
    pub fn has(&self, statement: &Statement) -> bool {
        let Some(voice) = self.voices.get(statement.issuer()) else { return false };
        let is_revocation = voice.revocation.as_ref().is_some_and(|revocation| revocation.id() == statement.id());
        is_revocation || voice.slots.get(&statement.claim().about).is_some_and(|old| old.holds(statement.id()))
    }

    /// Whether a statement of this rank would change nothing, without looking at its signature.
    pub(crate) fn is_outdated(&self, statement: &Statement, room: usize) -> Option<Merge> {
        let voice = self.voices.get(statement.issuer())?;
        let about = &statement.claim().about;
        if let Some(revocation) = &voice.revocation {
            let is_newer = *about == About::Revoke && statement.rank() > revocation.rank();
            let is_known = revocation.id() == statement.id();
            return (!is_newer).then_some(if is_known { Merge::Known } else { Merge::Outdated });
        }
        let Some(old) = voice.slots.get(about) else {
            let oldest = voice.by_serial.first().filter(|_| voice.slots.len() >= room && *about != About::Revoke);
            return oldest
                .filter(|oldest| (statement.claim().serial, about) < (oldest.0, &oldest.1))
                .map(|_| Merge::Outdated);
        };
        if old.holds(statement.id()) {
            return Some(Merge::Known);
        }
        (statement.claim().serial < old.acting.claim().serial).then_some(Merge::Outdated)
    }

    /// Whether an issuer has taken back all it ever said.
    pub fn is_revoked(&self, issuer: &Key) -> bool {
        self.revocation(issuer).is_some()
    }

    /// The statement by which an issuer took back all.
    pub fn revocation(&self, issuer: &Key) -> Option<&Arc<Statement>> {
        self.voices.get(issuer)?.revocation.as_ref()
    }

    /// What proves that an issuer contradicted itself in a topic.
    pub fn evidence(&self, issuer: &Key, topic: &Word) -> Option<&Evidence> {
        self.voices.get(issuer)?.faults.in_topic(topic)
    }

    /// All evidence, by issuer and topic.
    pub fn all_evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.voices.values().flat_map(|voice| voice.faults.iter())
    }

    /// All statements that act or contradict one that does, by issuer.
    pub fn statements(&self) -> impl Iterator<Item = &Arc<Statement>> {
        self.voices.values().flat_map(|voice| {
            let standing = voice.slots.values().flat_map(|old| std::iter::once(&old.acting).chain(&old.contradiction));
            voice.revocation.iter().chain(standing)
        })
    }

    /// All issuers.
    pub fn issuers(&self) -> impl Iterator<Item = &Key> {
        self.voices.keys()
    }

    /// How many statements there are, evidence not counted.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The greatest serial that an issuer is known to have used.
    pub fn last_serial(&self, issuer: &Key) -> u64 {
        let Some(voice) = self.voices.get(issuer) else { return 0 };
        let revoked = voice.revocation.iter().map(|revocation| revocation.claim().serial);
        voice.by_serial.last().map(|(serial, _)| *serial).into_iter().chain(revoked).max().unwrap_or(0)
    }

    /// Rises with each change.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn slots_of(&self, issuer: &Key) -> usize {
        self.voices.get(issuer).map_or(0, |voice| voice.slots.len())
    }

    /// Whom an issuer introduces in a topic, or warns of.
    pub(crate) fn introductions(&self, topic: &Word, issuer: &Key) -> Option<&BTreeMap<Key, Standing>> {
        self.trust.get(topic)?.get(issuer)
    }

    /// Who introduces a key in a topic, or warns of it.
    pub(crate) fn introducers(&self, topic: &Word, key: &Key) -> Option<&BTreeMap<Key, Standing>> {
        self.introduced.get(topic)?.get(key)
    }

    /// All keys that somebody introduces in a topic, or warns of.
    pub(crate) fn introduced(&self, topic: &Word) -> impl Iterator<Item = &Key> + use<'_> {
        self.introduced.get(topic).into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether anybody of whom that holds says something about a key.
    pub(crate) fn is_named_by(&self, key: &Key, who: impl Fn(&Key) -> bool) -> bool {
        let subject = Subject::Key(*key);
        let said = self.allow.values().filter_map(|subjects| subjects.get(&subject));
        let by = self.introduced.values().filter_map(|keys| keys.get(key));
        said.flat_map(|said| said.keys().map(|(issuer, _)| issuer)).chain(by.flat_map(BTreeMap::keys)).any(who)
    }

    /// What is said of a subject in a topic.
    pub(crate) fn said_of(&self, topic: &Word, subject: &Subject) -> Option<&Said> {
        self.allow.get(topic)?.get(subject)
    }

    /// What is said of a key in a topic.
    pub(crate) fn key_said_of(&self, topic: &Word, key: &Key) -> Option<(&Subject, &Said)> {
        self.allow.get(topic)?.get_key_value(&Subject::Key(*key))
    }

    /// What is said of groups in a topic.
    pub(crate) fn groups_said_of(&self, topic: &Word) -> impl Iterator<Item = (&Subject, &Said)> + use<'_> {
        let after_keys = std::ops::Bound::Excluded(Subject::Key(Key::from_bytes([u8::MAX; 32])));
        let groups = self.allow.get(topic).map(|subjects| subjects.range((after_keys, std::ops::Bound::Unbounded)));
        groups.into_iter().flatten()
    }

    /// All that is said in a topic.
    pub(crate) fn said_in(&self, topic: &Word) -> impl Iterator<Item = (&Subject, &Said)> {
        self.allow.get(topic).into_iter().flatten()
    }

    /// The moments within `(after, until]` at which something begins or ends.
    pub(crate) fn boundaries_within(&self, after: Time, until: Time) -> impl Iterator<Item = Time> {
        self.boundaries
            .range(after.after(1)..=until.max(after.after(1)))
            .map(|(time, _)| *time)
            .filter(move |t| *t <= until)
    }

    /// The times around `now` between which nothing begins or ends: from the first to before the second.
    pub(crate) fn quiet_around(&self, now: Time) -> (Time, Time) {
        let start = self.boundaries.range(..=now).next_back().map_or(Time(0), |(time, _)| *time);
        let end = self.boundaries.range(now.after(1)..).next().map_or(Time(u64::MAX), |(time, _)| *time);
        (start, end)
    }
}

impl Standing {
    fn holds(&self, id: StatementId) -> bool {
        self.acting.id() == id || self.contradiction.as_ref().is_some_and(|other| other.id() == id)
    }

    fn len(&self) -> usize {
        1 + usize::from(self.contradiction.is_some())
    }
}

/// What stands in a slot once `statement` has come; `None` if that changes nothing.
fn merged(old: Option<&Standing>, statement: &Arc<Statement>) -> Option<Standing> {
    let alone = || Some(Standing { acting: Arc::clone(statement), contradiction: None });
    let Some(old) = old else { return alone() };
    if old.holds(statement.id()) || statement.claim().serial < old.acting.claim().serial {
        return None;
    }
    if statement.claim().serial > old.acting.claim().serial {
        return alone();
    }
    let mut rivals: Vec<&Arc<Statement>> = [&old.acting, statement].into_iter().chain(&old.contradiction).collect();
    rivals.sort_by_key(|rival| std::cmp::Reverse(rival.rank()));
    let standing = Standing { acting: Arc::clone(rivals[0]), contradiction: Some(Arc::clone(rivals[1])) };
    (standing != *old).then_some(standing)
}

/// When a statement begins and ends to count.
fn boundaries(statement: &Statement) -> impl Iterator<Item = Time> {
    let claim = statement.claim();
    let start = (claim.sign == Sign::Yes).then(|| claim.from.before(AHEAD));
    let end = claim.until.filter(|_| claim.sign != Sign::DontCare);
    start.into_iter().chain(end)
}

/// Changes the inner map of a key, and removes it when that has emptied it.
fn prune<K: Ord, L: Ord, V>(
    outer: &mut BTreeMap<K, BTreeMap<L, V>>,
    key: &K,
    change: impl FnOnce(&mut BTreeMap<L, V>),
) {
    if let Some(inner) = outer.get_mut(key) {
        change(inner);
        if inner.is_empty() {
            outer.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
