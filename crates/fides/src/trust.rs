//! Trust: whose word counts in a topic.
//!
//! Roots are level 0. At each level d = 1, 2, … those of lower levels that may introduce vote on the keys that are still
//! open: a key is **trusted** if the voices for it exceed those against it by the quorum, **distrusted** if it is the
//! other way round. A decided key is not looked at again, so there are no cycles and nothing depends on an order.
//!
//! Between the two lies the key that a quorum vouches for, but against which others speak, too few to have it distrusted.
//! Its yes does not count, its no does: so a few who lack a quorum can neither make someone speak nor have someone
//! silenced. For the same reason, opposition is counted from all who may object, support of the objectors likewise.
//!
//! Keys that one voice alone brought in share that voice ([`crate::ballot`]), and one key introduces a bounded number.

mod introduction;

use std::collections::{BTreeMap, BTreeSet};

use crate::ballot::Ballot;
use crate::key::Key;
use crate::ledger::{Ledger, Standing};
use crate::policy::Policy;
use crate::statement::{About, DEPTH, MAX_DEPTH, Sign, Statement, Subject};
use crate::time::Moment;
use crate::word::Word;

pub use introduction::Introduction;

/// The topic of pardons: `allow KEY pardon TOPIC SERIAL`, said by a root, ends what an equivocation up to SERIAL cost.
pub const PARDON: &str = "pardon";

/// Who evaluates, by which rules.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whose decisions these are.
    pub me: Key,
    /// The other keys whose word counts from the start, and of oneself if one is a founder.
    pub founders: BTreeSet<Key>,
    /// How votes are counted.
    pub policy: Policy,
}

/// The time for which trust is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// One moment.
    At(Moment),
    /// As if every yes and every no held: for what is worth keeping.
    Ever,
}

impl When {
    pub(crate) fn counts(self, statement: &Statement) -> bool {
        match self {
            Self::At(moment) => statement.holds(moment),
            Self::Ever => statement.claim().sign != Sign::DontCare,
        }
    }
}

/// How a key votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    /// The key in whose name it is counted.
    pub(crate) voice: Key,
    /// How many levels further it may introduce others, plus one for being trusted at all.
    reach: u64,
    /// At which level it was brought in.
    pub(crate) level: u8,
}

/// What is thought of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// Its yes counts so.
    speaks: Option<Vote>,
    /// Its no counts so.
    objects: Option<Vote>,
    distrusted: bool,
}

/// What is thought of a key in a topic, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regard {
    /// Its word counts from the start.
    Root,
    /// Its word counts.
    Trusted {
        /// How far from the roots.
        level: u8,
        /// How many levels further it may introduce others.
        depth: u64,
    },
    /// Some vouch for it, some warn of it: it may only object.
    Contested,
    /// Its word does not count, whoever may still vouch for it.
    Distrusted,
    /// Nobody whose word counts has brought it in.
    Open,
}

/// Whose word counts in one topic, at one time.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// The founders as voted.
    pub(crate) founders: BTreeSet<Key>,
    /// The voices that it takes.
    pub(crate) quorum: usize,
    roots: BTreeSet<Key>,
    places: BTreeMap<Key, Place>,
    muted: BTreeSet<Key>,
}

impl Trust {
    pub(crate) fn evaluate(ledger: &Ledger, rules: &Rules, topic: &Word, when: When) -> Self {
        let founders = founders(ledger, rules, when);
        let mut roots = founders.clone();
        roots.insert(rules.me);
        roots.retain(|root| !ledger.is_revoked(root));
        let quorum = rules.policy.topic(topic).quorum.among(founders.len());
        let places = roots.iter().map(|root| (*root, Place::root(*root))).collect();
        let mut trust = Self { founders, quorum, roots, places, muted: BTreeSet::new() };
        trust.muted = muted(ledger, &trust.roots, topic, when);
        for level in 1..=u8::try_from(MAX_DEPTH).unwrap_or(u8::MAX) + 1 {
            let candidates = trust.introduced(ledger, rules, topic, when);
            let before = trust.places.clone();
            for (key, candidate) in candidates {
                trust.consider(key, &candidate, level);
            }
            if trust.places == before {
                break;
            }
        }
        trust
    }

    /// The votes on all keys that somebody introduces who may.
    fn introduced(&self, ledger: &Ledger, rules: &Rules, topic: &Word, when: When) -> BTreeMap<Key, Candidate> {
        let mut candidates: BTreeMap<Key, Candidate> = BTreeMap::new();
        for (introducer, place) in &self.places {
            let Some(said) = ledger.introductions(topic, introducer) else { continue };
            if !place.may_introduce() {
                continue;
            }
            for (key, standing) in within_bounds(said, rules.policy.introductions, when) {
                if self.is_open(key) && !ledger.is_revoked(key) {
                    let candidate = candidates.entry(*key).or_default();
                    candidate.hear(place, standing, self.muted.contains(introducer));
                }
            }
        }
        candidates
    }

    fn is_open(&self, key: &Key) -> bool {
        self.places.get(key).is_none_or(|place| place.speaks.is_none() && !place.distrusted)
    }

    /// Decides a key, if the votes do.
    fn consider(&mut self, key: Key, candidate: &Candidate, level: u8) {
        let Candidate { speaking, objecting } = candidate;
        let quorum = self.quorum;
        let speaks = vote(key, speaking, level, |amount| speaking.yes(amount) >= speaking.no() + quorum);
        let objects = vote(key, objecting, level, |amount| objecting.yes(amount) >= quorum);
        let place = self.places.entry(key).or_default();
        let is_distrusted = objecting.no() >= objecting.yes(0) + quorum;
        if speaks.is_some() {
            place.speaks = speaks;
            place.objects = place.objects.or(objects).or(speaks);
        } else if place.objects.is_none() {
            place.distrusted = is_distrusted;
            place.objects = objects.filter(|_| !is_distrusted);
        }
        if *place == Place::default() {
            self.places.remove(&key);
        }
    }

    /// How the yes of a key counts.
    pub(crate) fn speaks(&self, key: &Key) -> Option<Vote> {
        self.places.get(key)?.speaks.filter(|_| !self.is_muted(key))
    }

    /// How the no of a key counts. Of one that contradicted itself only the contradicted no does.
    pub(crate) fn objects(&self, key: &Key, standing: &Standing) -> Option<Vote> {
        let is_heard = !self.is_muted(key) || standing.contradiction.is_some();
        self.places.get(key)?.objects.filter(|_| is_heard)
    }

    pub(crate) fn is_muted(&self, key: &Key) -> bool {
        self.muted.contains(key)
    }

    pub(crate) fn is_root(&self, key: &Key) -> bool {
        self.roots.contains(key)
    }

    pub(crate) fn regard(&self, key: &Key) -> Regard {
        let Some(place) = self.places.get(key) else { return Regard::Open };
        match place {
            _ if self.is_root(key) => Regard::Root,
            Place { speaks: Some(vote), .. } => Regard::Trusted { level: vote.level, depth: vote.reach - 1 },
            Place { objects: Some(_), .. } => Regard::Contested,
            Place { distrusted: true, .. } => Regard::Distrusted,
            Place { .. } => Regard::Open,
        }
    }

    /// How far from the roots a key is whose word counts, at least against something.
    pub(crate) fn level(&self, key: &Key) -> Option<u8> {
        let place = self.places.get(key)?;
        place.speaks.or(place.objects).map(|vote| vote.level)
    }

    /// All keys whose word counts, at least against something.
    pub(crate) fn heard(&self) -> impl Iterator<Item = (&Key, u8)> {
        let votes = self.places.iter().filter_map(|(key, place)| Some((key, place.speaks.or(place.objects)?)));
        votes.map(|(key, vote)| (key, vote.level))
    }
}

impl Place {
    const fn root(key: Key) -> Self {
        let vote = Vote { voice: key, reach: MAX_DEPTH + 2, level: 0 };
        Self { speaks: Some(vote), objects: Some(vote), distrusted: false }
    }

    fn may_introduce(&self) -> bool {
        [self.speaks, self.objects].iter().flatten().any(|vote| vote.reach > 1)
    }
}

/// The votes on a key that is still open.
#[derive(Default)]
struct Candidate {
    /// Whether it speaks: support of those who speak, opposition of all who object.
    speaking: Ballot,
    /// Whether it objects: support of all who object, opposition of those who speak.
    objecting: Ballot,
}

impl Candidate {
    fn hear(&mut self, introducer: &Place, standing: &Standing, is_muted: bool) {
        let claim = standing.acting.claim();
        let (speaks, objects) = (introducer.speaks, introducer.objects);
        let [speaks, objects] = [speaks, objects].map(|vote| vote.filter(|vote| vote.reach > 1));
        match claim.sign {
            Sign::Yes if is_muted => {}
            Sign::Yes => {
                let reach = claim.limits.value(DEPTH).unwrap_or(0) + 1;
                if let Some(vote) = speaks {
                    self.speaking.vote_yes(vote.voice, reach.min(vote.reach - 1));
                }
                if let Some(vote) = objects {
                    self.objecting.vote_yes(vote.voice, reach.min(vote.reach - 1));
                }
            }
            Sign::No if is_muted && standing.contradiction.is_none() => {}
            Sign::No => {
                objects.iter().for_each(|vote| self.speaking.vote_no(vote.voice));
                speaks.iter().for_each(|vote| self.objecting.vote_no(vote.voice));
            }
            Sign::DontCare => {}
        }
    }
}

/// The vote of a key that is brought in: as far as a quorum wants it to reach.
fn vote(key: Key, ballot: &Ballot, level: u8, suffices: impl Fn(u64) -> bool) -> Option<Vote> {
    let reach = (1..=MAX_DEPTH + 1).rev().find(|reach| suffices(*reach))?;
    Some(Vote { voice: ballot.only_voice().unwrap_or(key), reach, level })
}

/// What an introducer says that counts: of its yes only the oldest, as many as it may say.
fn within_bounds(said: &BTreeMap<Key, Standing>, bound: usize, when: When) -> Vec<(&Key, &Standing)> {
    let counting = said.iter().filter(|(_, standing)| when.counts(&standing.acting));
    let is_yes = |(_, standing): &(&Key, &Standing)| standing.acting.claim().sign == Sign::Yes;
    let (mut yes, no): (Vec<_>, Vec<_>) = counting.partition(is_yes);
    if yes.len() > bound {
        yes.sort_by_key(|(key, standing)| (standing.acting.claim().serial, **key));
        yes.truncate(bound);
    }
    yes.extend(no);
    yes
}

/// The founders, as two thirds of them changed their number. Each key is decided once.
fn founders(ledger: &Ledger, rules: &Rules, when: When) -> BTreeSet<Key> {
    let mut founders = rules.founders.clone();
    if founders.is_empty() {
        founders.insert(rules.me);
    }
    let Some(topic) = &rules.policy.founders else { return founders };
    let subjects = ledger.said_in(topic).filter_map(|(subject, said)| match subject {
        Subject::Key(key) => Some((*key, said)),
        Subject::Group(_) => None,
    });
    let mut open: BTreeMap<Key, _> = subjects.collect();
    loop {
        let voters: BTreeSet<Key> = founders.iter().filter(|key| !ledger.is_revoked(key)).copied().collect();
        let silent = muted(ledger, &voters, topic, when);
        let votes = |said: &crate::ledger::Said, sign| {
            let standing = said.iter().filter(|((issuer, args), _)| args.is_empty() && voters.contains(issuer));
            let heard = standing.filter(|((issuer, _), standing)| {
                !silent.contains(issuer) || (sign == Sign::No && standing.contradiction.is_some())
            });
            heard.filter(|(_, standing)| standing.acting.claim().sign == sign && when.counts(&standing.acting)).count()
        };
        let carries = |votes: usize| votes > 0 && votes * 3 >= voters.len() * 2;
        let added: Vec<Key> =
            open.iter().filter(|(_, said)| carries(votes(said, Sign::Yes))).map(|(k, _)| *k).collect();
        let removed: Vec<Key> =
            open.iter().filter(|(_, said)| carries(votes(said, Sign::No))).map(|(k, _)| *k).collect();
        if added.is_empty() && removed.is_empty() {
            return founders;
        }
        for key in added.iter().chain(&removed) {
            open.remove(key);
        }
        founders.extend(added);
        founders.retain(|key| !removed.contains(key));
    }
}

/// The issuers that contradicted themselves in a topic and that no other root has pardoned.
fn muted(ledger: &Ledger, roots: &BTreeSet<Key>, topic: &Word, when: When) -> BTreeSet<Key> {
    let faulty = ledger.faulty().filter(|issuer| {
        let Some(evidence) = ledger.evidence(issuer, topic) else { return false };
        let pardon = Word::new(PARDON).expect("it is not empty");
        let said = ledger.said_of(&pardon, &Subject::Key(**issuer));
        let is_pardon = |standing: &Standing| {
            let About::Allow { args, .. } = &standing.acting.claim().about else { return false };
            let covered = args.get(1).and_then(|serial| serial.as_str().parse::<u64>().ok());
            standing.acting.claim().sign == Sign::Yes
                && when.counts(&standing.acting)
                && args.first() == Some(evidence.topic())
                && covered.is_some_and(|serial| serial >= evidence.serial())
        };
        let by_root = |((root, _), standing): (&(Key, Vec<Word>), &Standing)| {
            root != *issuer && roots.contains(root) && is_pardon(standing)
        };
        !said.into_iter().flatten().any(by_root)
    });
    faulty.copied().collect()
}
