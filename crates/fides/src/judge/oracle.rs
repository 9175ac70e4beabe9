//! The slow judge: by the definitions, from a plain list of all that was ever said, at one moment.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{AHEAD, About, Answer, Key, Question, Rule, Rules, Sign, Statement, Subject, Time, Word};

pub(crate) struct Oracle<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) said: &'a [Arc<Statement>],
    pub(crate) now: Time,
    /// Whether a no ends.
    pub(crate) denials_end: bool,
    acting: OnceCell<Vec<Arc<Statement>>>,
    founders: OnceCell<BTreeSet<Key>>,
    places: RefCell<BTreeMap<Word, (Placed, Placed)>>,
}

/// Voice, level and reach of whoever speaks or objects.
type Placed = BTreeMap<Key, (Key, u64, u64)>;

impl<'a> Oracle<'a> {
    pub(crate) fn new(rules: &'a Rules, said: &'a [Arc<Statement>], now: Time, denials_end: bool) -> Self {
        let (acting, founders, places) = (OnceCell::new(), OnceCell::new(), RefCell::default());
        Self { rules, said, now, denials_end, acting, founders, places }
    }

    fn is_revoked(&self, key: &Key) -> bool {
        self.said.iter().any(|s| s.issuer() == key && s.claim().about == About::Revoke)
    }

    fn acting(&self) -> Vec<&Arc<Statement>> {
        self.acting.get_or_init(|| self.find_acting().into_iter().cloned().collect()).iter().collect()
    }

    fn find_acting(&self) -> Vec<&Arc<Statement>> {
        let beaten = |s: &Arc<Statement>| {
            let in_slot = |o: &&Arc<Statement>| o.issuer() == s.issuer() && o.claim().about == s.claim().about;
            self.said.iter().filter(in_slot).any(|o| o.rank() > s.rank())
        };
        let mut acting: Vec<_> = self.said.iter().filter(|s| !self.is_revoked(s.issuer()) && !beaten(s)).collect();
        acting.dedup_by_key(|s| s.id());
        acting.sort_by_key(|s| s.id());
        acting.dedup_by_key(|s| s.id());
        acting
    }

    fn holds(&self, s: &Statement) -> bool {
        let claim = s.claim();
        match claim.sign {
            Sign::Yes => claim.from.0 <= self.now.0 + AHEAD && self.now < claim.until.unwrap(),
            Sign::No => !self.denials_end || claim.until.is_none_or(|until| self.now < until),
            Sign::DontCare => false,
        }
    }

    fn clashes(&self, s: &Statement) -> bool {
        let clash = |o: &&Arc<Statement>| {
            (o.issuer(), &o.claim().about, o.claim().serial) == (s.issuer(), &s.claim().about, s.claim().serial)
        };
        self.said.iter().filter(clash).any(|o| o.id() != s.id())
    }

    fn is_muted(&self, key: &Key, topic: &Word, roots: &BTreeSet<Key>) -> bool {
        if self.is_revoked(key) {
            return false;
        }
        let about_topic = |s: &&Arc<Statement>| s.issuer() == key && s.claim().about.topic() == Some(topic);
        let fault = self.said.iter().filter(about_topic).filter(|s| self.clashes(s)).map(|s| s.claim().serial).max();
        let Some(fault) = fault else { return false };
        let pardons = |s: &&Arc<Statement>| {
            let About::Allow { subject, topic: pardon, args } = &s.claim().about else { return false };
            *subject == Subject::Key(*key)
                && pardon.as_str() == "pardon"
                && args.first() == Some(topic)
                && args.get(1).is_some_and(|serial| serial.as_str().parse::<u64>().unwrap() >= fault)
                && s.claim().sign == Sign::Yes
                && self.holds(s)
                && roots.contains(s.issuer())
                && s.issuer() != key
        };
        !self.acting().into_iter().any(|s| pardons(&s))
    }

    pub(crate) fn founders(&self) -> BTreeSet<Key> {
        self.founders.get_or_init(|| self.find_founders()).clone()
    }

    fn find_founders(&self) -> BTreeSet<Key> {
        let mut founders = self.rules.founders.clone();
        if founders.is_empty() {
            founders.insert(self.rules.me);
        }
        let topic = self.rules.policy.founders.clone().unwrap();
        let mut decided = BTreeSet::new();
        loop {
            let voters: BTreeSet<Key> = founders.iter().copied().filter(|key| !self.is_revoked(key)).collect();
            let mut votes: BTreeMap<(Key, Sign), usize> = BTreeMap::new();
            for s in self.acting().into_iter().filter(|s| self.holds(s) && voters.contains(s.issuer())) {
                let About::Allow { subject: Subject::Key(key), topic: about, args } = &s.claim().about else {
                    continue;
                };
                let is_muted = self.is_muted(s.issuer(), &topic, &voters);
                let is_heard = !is_muted || (s.claim().sign == Sign::No && self.clashes(s));
                if *about == topic && args.is_empty() && !decided.contains(key) && is_heard {
                    *votes.entry((*key, s.claim().sign)).or_default() += 1;
                }
            }
            let carried: Vec<_> = votes.into_iter().filter(|(_, count)| count * 3 >= voters.len() * 2).collect();
            if carried.is_empty() {
                return founders;
            }
            for ((key, sign), _) in carried {
                decided.insert(key);
                if sign == Sign::Yes {
                    founders.insert(key)
                } else {
                    founders.remove(&key)
                };
            }
        }
    }

    fn roots(&self) -> BTreeSet<Key> {
        let mut roots = self.founders();
        roots.insert(self.rules.me);
        roots.into_iter().filter(|key| !self.is_revoked(key)).collect()
    }

    fn quorum(&self, topic: &Word) -> usize {
        self.rules.policy.topic(topic).quorum.among(self.founders().len())
    }

    /// Who speaks, and who objects.
    fn places(&self, topic: &Word) -> (Placed, Placed) {
        if let Some(known) = self.places.borrow().get(topic) {
            return known.clone();
        }
        let found = self.find_places(topic);
        self.places.borrow_mut().insert(topic.clone(), found.clone());
        found
    }

    fn find_places(&self, topic: &Word) -> (Placed, Placed) {
        let (roots, quorum) = (self.roots(), self.quorum(topic));
        let mut speakers: Placed = roots.iter().map(|key| (*key, (*key, 0, 5))).collect();
        let mut objectors = speakers.clone();
        let mut distrusted = BTreeSet::new();
        for level in 1..=4 {
            let keys: BTreeSet<Key> = self.said.iter().filter_map(|s| introduced(s, topic)).collect();
            let (old_speakers, old_objectors) = (speakers.clone(), objectors.clone());
            let open = |key: &Key| !self.is_revoked(key) && !distrusted.contains(key);
            let keys: Vec<Key> = keys.into_iter().filter(open).collect();
            for key in keys {
                let votes = |by: &Placed, sign, reach| self.introductions(by, topic, key, (sign, reach), false);
                let for_it = |by: &Placed, against: &Placed, reach, only_sure| {
                    let against = self.introductions(against, topic, key, (Sign::No, 0), only_sure);
                    (votes(by, Sign::Yes, reach).difference(&against).count(), against.len())
                };
                if old_speakers.contains_key(&key) {
                    continue;
                }
                let (yes, no) = for_it(&old_objectors, &old_speakers, 0, true);
                let lost = no >= yes + quorum;
                let speaks = (1..=4).rev().find(|reach| {
                    let (yes, no) = for_it(&old_speakers, &old_objectors, *reach, false);
                    yes >= no + quorum
                });
                let objects =
                    (1..=4).rev().find(|reach| for_it(&old_objectors, &old_speakers, *reach, true).0 >= quorum);
                let voice = |by: &Placed| {
                    let voices = votes(by, Sign::Yes, 0);
                    if voices.len() == 1 { *voices.first().unwrap() } else { key }
                };
                if let Some(reach) = speaks {
                    speakers.insert(key, (voice(&old_speakers), level, reach));
                    let reach = objects.unwrap_or(reach);
                    let voice = if objects.is_some() { voice(&old_objectors) } else { voice(&old_speakers) };
                    objectors.entry(key).or_insert((voice, level, reach));
                } else if !old_objectors.contains_key(&key) {
                    if lost {
                        distrusted.insert(key);
                    } else if let Some(reach) = objects {
                        objectors.insert(key, (voice(&old_objectors), level, reach));
                    }
                }
            }
        }
        (speakers, objectors)
    }

    /// The voices that say `sign` to the introduction of a key, with at least this reach. Without a clock a no that has an
    /// end may be over: it is not among those that are sure.
    fn introductions(
        &self,
        by: &Placed,
        topic: &Word,
        key: Key,
        (sign, reach): (Sign, u64),
        only_sure: bool,
    ) -> BTreeSet<Key> {
        let roots = self.roots();
        let mut voices = BTreeSet::new();
        for (introducer, (voice, _, own)) in by.iter().filter(|(_, (_, _, own))| *own > 1) {
            let mut said = self.acting();
            said.retain(|s| s.issuer() == introducer && introduced(s, topic).is_some() && self.holds(s));
            let mut yes: Vec<_> = said.iter().filter(|s| s.claim().sign == Sign::Yes).collect();
            yes.sort_by_key(|s| (s.claim().serial, introduced(s, topic)));
            let counting: Vec<_> = yes.into_iter().take(self.rules.policy.introductions).map(|s| s.id()).collect();
            let is_muted = self.is_muted(introducer, topic, &roots);
            for s in said.into_iter().filter(|s| introduced(s, topic) == Some(key) && s.claim().sign == sign) {
                let granted = (s.claim().limits.value("depth").unwrap_or(0) + 1).min(own - 1);
                let counts = match sign {
                    Sign::Yes => counting.contains(&s.id()) && granted >= reach && !is_muted,
                    Sign::No => !is_muted || self.clashes(s),
                    Sign::DontCare => false,
                };
                let is_sure = self.denials_end || s.claim().until.is_none();
                if counts && (is_sure || !only_sure) {
                    voices.insert(*voice);
                }
            }
        }
        voices
    }

    pub(crate) fn answer(&self, question: &Question) -> Answer {
        if self.is_revoked(&question.subject) {
            return Answer::Deny;
        }
        let applying = self.applying(question);
        let own: Vec<Sign> = applying.iter().filter(|s| *s.issuer() == self.rules.me).map(|s| s.claim().sign).collect();
        match own.iter().max() {
            Some(Sign::No) => Answer::Deny,
            Some(_) => Answer::Allow,
            None => self.voted(question, u64::MAX),
        }
    }

    fn applying(&self, question: &Question) -> Vec<&Arc<Statement>> {
        let topic = self.rules.policy.topic(&question.topic);
        let mut acting = self.acting();
        acting.retain(|s| {
            let About::Allow { subject, topic: about, args } = &s.claim().about else { return false };
            let is_subject = match subject {
                Subject::Key(key) => *key == question.subject,
                Subject::Group(group) => {
                    let groups = self.rules.policy.groups.clone().unwrap();
                    question.topic != groups
                        && self.answer(&Question::new(groups, question.subject).arg(group.clone())) == Answer::Allow
                }
            };
            let fits = if s.claim().sign == Sign::No {
                topic.cover.touches(args, &question.args)
            } else {
                topic.cover.covers(args, &question.args) && s.claim().limits.permit(&question.demand)
            };
            *about == question.topic && fits && self.holds(s) && is_subject
        });
        acting
    }

    /// What the votes say, with a yes only from those above a level.
    fn voted(&self, question: &Question, above: u64) -> Answer {
        let topic = self.rules.policy.topic(&question.topic);
        let (speakers, objectors) = self.places(&question.topic);
        let (founders, roots) = (self.founders(), self.roots());
        let (mut yes, mut no) = (BTreeSet::new(), BTreeSet::new());
        for s in self.applying(question) {
            let issuer = s.issuer();
            let is_muted = self.is_muted(issuer, &question.topic, &roots);
            if topic.rule == Rule::TwoThirds && !founders.contains(issuer) {
                continue;
            }
            if s.claim().sign == Sign::No {
                no.extend(objectors.get(issuer).filter(|_| !is_muted || self.clashes(s)).map(|(voice, _, _)| *voice));
            } else if let Some((voice, level, _)) =
                speakers.get(issuer).filter(|(_, level, _)| *level < above && !is_muted)
            {
                let own = Question { subject: *issuer, ..question.clone() };
                let is_theirs = !topic.handed_on || *level == 0 || self.voted(&own, *level) == Answer::Allow;
                yes.extend(is_theirs.then_some(*voice));
            }
        }
        let (yes, no) = (yes.difference(&no).count(), no.len());
        let (quorum, founders) = (self.quorum(&question.topic), founders.len());
        let (allowed, denied) = match topic.rule {
            Rule::DenyOverrides => (no == 0 && yes >= quorum, no > 0),
            Rule::Majority => (yes > no && yes >= quorum, no > 0 && yes <= no),
            Rule::Quorum => (yes >= no + quorum, no >= yes + quorum),
            Rule::TwoThirds => (yes > 0 && 3 * yes >= 2 * founders, no > 0 && 3 * no >= 2 * founders),
        };
        match (denied, allowed) {
            (true, _) => Answer::Deny,
            (false, true) => Answer::Allow,
            (false, false) => Answer::Unknown,
        }
    }
}

fn introduced(s: &Statement, topic: &Word) -> Option<Key> {
    match &s.claim().about {
        About::Trust { key, topic: about } if about == topic => Some(*key),
        About::Trust { .. } | About::Allow { .. } | About::Revoke => None,
    }
}
