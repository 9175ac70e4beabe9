//! Trust: whose word counts in a topic.
//!
//! Roots are level 0. At each level d = 1, 2, … those of lower levels that may introduce vote on the keys that are still
//! open: a key is **trusted** if the voices for it exceed those against it by the quorum, **distrusted** if it is the
//! other way round. A decided key is not looked at again, so there are no cycles and nothing depends on an order.
//!
//! Between the two lies the key that a quorum vouches for, but against which others speak, too few to have it distrusted.
//! Its yes does not count, its no does: so a few who lack a quorum can neither make someone speak nor have someone
//! silenced. For the same reason, opposition is counted from all who may object, support of the objectors likewise; and
//! without a clock a warning that has an end keeps a key from speaking, but not from objecting.
//!
//! Keys that one voice alone brought in share that voice ([`crate::ballot`]), and one key introduces a bounded number.
//!
//! What is thought of a key depends only on who speaks of it, on who speaks of these, and so on. So it is found out for
//! the keys that somebody asks about, and those behind them: a decision does not look at whole crowds.

mod introduction;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ballot::Ballot;
use crate::key::Key;
use crate::ledger::{Ledger, Said, Standing};
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

    /// Whether a no that counts surely holds: without a clock one that has an end may be over.
    fn is_sure(self, statement: &Statement) -> bool {
        match self {
            Self::At(moment) => moment.yes == moment.no || statement.claim().until.is_none(),
            Self::Ever => true,
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
pub(crate) struct Place {
    /// Its yes counts so.
    speaks: Option<Vote>,
    /// Its no counts so.
    objects: Option<Vote>,
    is_distrusted: bool,
    /// It contradicted itself: little of what it says is heard.
    pub(crate) is_muted: bool,
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

/// Whose word counts in one topic, at one time; as far as anybody has asked.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    topic: Word,
    when: When,
    /// The founders as voted.
    pub(crate) founders: Arc<BTreeSet<Key>>,
    /// The voices that it takes.
    pub(crate) quorum: usize,
    roots: BTreeSet<Key>,
    /// What is thought of the keys that were asked about, and of those behind them.
    places: BTreeMap<Key, Place>,
    /// For each of these that introduces more than it may: serial and key of the last introduction that counts.
    last_counting: BTreeMap<Key, (u64, Key)>,
}

impl Trust {
    /// Trust in a topic, as long as nobody has asked about more than the roots.
    pub(crate) fn new(ledger: &Ledger, rules: &Rules, founders: &Arc<BTreeSet<Key>>, topic: &Word, when: When) -> Self {
        let mut roots = BTreeSet::clone(founders);
        roots.insert(rules.me);
        roots.retain(|root| !ledger.is_revoked(root));
        let quorum = rules.policy.topic(topic).quorum.among(founders.len());
        let place = |root: &Key| (*root, Place::root(*root, is_muted(ledger, &roots, topic, when, root)));
        let places = roots.iter().map(place).collect();
        let (topic, founders) = (topic.clone(), Arc::clone(founders));
        Self { topic, when, founders, quorum, roots, places, last_counting: BTreeMap::new() }
    }

    /// Trust in a topic, about everybody.
    pub(crate) fn of_all(
        ledger: &Ledger,
        rules: &Rules,
        founders: &Arc<BTreeSet<Key>>,
        topic: &Word,
        when: When,
    ) -> Self {
        let mut trust = Self::new(ledger, rules, founders, topic, when);
        trust.settle_all(ledger, rules);
        trust
    }

    /// Finds out what is thought of everybody whom somebody introduces or warns of.
    pub(crate) fn settle_all(&mut self, ledger: &Ledger, rules: &Rules) {
        let introduced: Vec<Key> = ledger.introduced(&self.topic).copied().collect();
        self.settle(ledger, rules, introduced);
    }

    /// Finds out what is thought of some keys.
    pub(crate) fn settle(&mut self, ledger: &Ledger, rules: &Rules, keys: Vec<Key>) {
        let mut open = self.behind(ledger, rules, keys);
        for level in 1..=u8::try_from(MAX_DEPTH).unwrap_or(u8::MAX) + 1 {
            let placed: Vec<(Key, Place)> = open
                .iter()
                .filter(|(_, place)| place.is_open())
                .filter_map(|(key, place)| {
                    let candidate = self.candidate(ledger, &open, key, level)?;
                    Some((*key, self.considered(*key, *place, &candidate, level)))
                })
                .collect();
            open.extend(placed);
        }
        self.places.extend(open);
    }

    /// The keys, and all on whose word it depends what is thought of them, as far as nobody has asked before.
    fn behind(&mut self, ledger: &Ledger, rules: &Rules, mut keys: Vec<Key>) -> BTreeMap<Key, Place> {
        let mut behind = BTreeMap::new();
        while let Some(key) = keys.pop() {
            if self.places.contains_key(&key) || behind.contains_key(&key) {
                continue;
            }
            let is_muted = is_muted(ledger, &self.roots, &self.topic, self.when, &key);
            behind.insert(key, Place { is_muted, ..Place::default() });
            for introducer in ledger.introducers(&self.topic, &key).into_iter().flat_map(BTreeMap::keys) {
                self.bound(ledger, rules, introducer);
                keys.push(*introducer);
            }
        }
        behind
    }

    /// Finds the last introduction that counts of somebody who introduces more than it may.
    fn bound(&mut self, ledger: &Ledger, rules: &Rules, introducer: &Key) {
        let bound = rules.policy.introductions;
        let said = ledger.introductions(&self.topic, introducer).filter(|said| said.len() > bound);
        let Some(said) = said.filter(|_| !self.last_counting.contains_key(introducer)) else { return };
        let is_yes = |standing: &Standing| standing.acting.claim().sign == Sign::Yes;
        let counting = said.iter().filter(|(_, standing)| is_yes(standing) && self.when.counts(&standing.acting));
        let mut counting: Vec<(u64, Key)> = counting.map(|(key, s)| (s.acting.claim().serial, *key)).collect();
        counting.sort_unstable();
        let last = bound.checked_sub(1).map_or((0, Key::from_bytes([0; 32])), |last| {
            counting.get(last).copied().unwrap_or((u64::MAX, Key::from_bytes([u8::MAX; 32])))
        });
        self.last_counting.insert(*introducer, last);
    }

    /// Whether what an introducer says of a key counts: of its yes only the oldest do, as many as it may say.
    fn counts(&self, introducer: &Key, key: &Key, standing: &Standing) -> bool {
        let claim = standing.acting.claim();
        let is_within = || self.last_counting.get(introducer).is_none_or(|last| (claim.serial, *key) <= *last);
        self.when.counts(&standing.acting) && (claim.sign != Sign::Yes || is_within())
    }

    /// The votes on a key of those who may introduce and were brought in below a level; `None` if there are none.
    fn candidate(&self, ledger: &Ledger, open: &BTreeMap<Key, Place>, key: &Key, level: u8) -> Option<Candidate> {
        let by = ledger.introducers(&self.topic, key).filter(|_| !ledger.is_revoked(key))?;
        let mut candidate = None;
        for (introducer, standing) in by {
            let Some(place) = self.places.get(introducer).or_else(|| open.get(introducer)) else { continue };
            let place = place.introducing_below(level);
            if (place.speaks.is_some() || place.objects.is_some()) && self.counts(introducer, key, standing) {
                let is_sure = self.when.is_sure(&standing.acting);
                candidate.get_or_insert_with(Candidate::default).hear(&place, standing, is_sure);
            }
        }
        candidate
    }

    /// The place of a key after a level, if the votes decide it.
    fn considered(&self, key: Key, mut place: Place, candidate: &Candidate, level: u8) -> Place {
        let Candidate { speaking, objecting } = candidate;
        let quorum = self.quorum;
        let (no, needed) = (objecting.no(), speaking.no() + quorum);
        let speaks = vote(key, speaking, level, |amount| speaking.yes(amount) >= needed);
        let objects = vote(key, objecting, level, |amount| objecting.yes(amount) >= quorum);
        if speaks.is_some() {
            place.speaks = speaks;
            place.objects = place.objects.or(objects).or(speaks);
        } else if place.objects.is_none() {
            place.is_distrusted = no >= objecting.yes(0) + quorum;
            place.objects = objects.filter(|_| !place.is_distrusted);
        }
        place
    }

    /// What is thought of a key, if somebody has asked about it before.
    pub(crate) fn known_place(&self, key: &Key) -> Option<Place> {
        self.places.get(key).copied()
    }

    /// What is thought of a key about which somebody has asked.
    pub(crate) fn place(&self, key: &Key) -> Place {
        self.known_place(key).unwrap_or_default()
    }

    pub(crate) fn is_root(&self, key: &Key) -> bool {
        self.roots.contains(key)
    }

    pub(crate) fn regard(&self, key: &Key) -> Regard {
        match self.place(key) {
            _ if self.is_root(key) => Regard::Root,
            Place { speaks: Some(vote), .. } => Regard::Trusted { level: vote.level, depth: vote.reach - 1 },
            Place { objects: Some(_), .. } => Regard::Contested,
            Place { is_distrusted: true, .. } => Regard::Distrusted,
            Place { .. } => Regard::Open,
        }
    }

    /// All keys whose word counts, at least against something.
    pub(crate) fn heard(&self) -> impl Iterator<Item = (&Key, u8)> {
        self.places.iter().filter_map(|(key, place)| Some((key, place.level()?)))
    }
}

impl Place {
    const fn root(key: Key, is_muted: bool) -> Self {
        let vote = Vote { voice: key, reach: MAX_DEPTH + 2, level: 0 };
        Self { speaks: Some(vote), objects: Some(vote), is_distrusted: false, is_muted }
    }

    const fn is_open(&self) -> bool {
        self.speaks.is_none() && !self.is_distrusted
    }

    /// How its yes counts.
    pub(crate) fn speaks(&self) -> Option<Vote> {
        self.speaks.filter(|_| !self.is_muted)
    }

    /// How its no counts. Of one that contradicted itself only the contradicted no does.
    pub(crate) fn objects(&self, standing: &Standing) -> Option<Vote> {
        self.objects.filter(|_| !self.is_muted || standing.contradiction.is_some())
    }

    /// How far from the roots it is, if its word counts, at least against something.
    pub(crate) fn level(&self) -> Option<u8> {
        self.speaks.or(self.objects).map(|vote| vote.level)
    }

    /// The same, with only those votes that may introduce others at this level.
    fn introducing_below(mut self, level: u8) -> Self {
        let may_introduce = |vote: &Vote| vote.reach > 1 && vote.level < level;
        self.speaks = self.speaks.filter(may_introduce);
        self.objects = self.objects.filter(may_introduce);
        self
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
    fn hear(&mut self, introducer: &Place, standing: &Standing, is_sure: bool) {
        let claim = standing.acting.claim();
        let Place { speaks, objects, is_muted, .. } = *introducer;
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
                speaks.iter().filter(|_| is_sure).for_each(|vote| self.objecting.vote_no(vote.voice));
            }
            Sign::DontCare => {}
        }
    }
}

/// The vote of a key that is brought in: as far as a quorum wants it to reach.
fn vote(key: Key, ballot: &Ballot, level: u8, suffices: impl Fn(u64) -> bool) -> Option<Vote> {
    let reach = (1..=ballot.most().min(MAX_DEPTH + 1)).rev().find(|reach| suffices(*reach))?;
    Some(Vote { voice: ballot.only_voice().unwrap_or(key), reach, level })
}

/// The founders, as two thirds of them changed their number. Each key is decided once.
pub(crate) fn founders(ledger: &Ledger, rules: &Rules, when: When) -> Arc<BTreeSet<Key>> {
    let mut founders = rules.founders.clone();
    if founders.is_empty() {
        founders.insert(rules.me);
    }
    let Some(topic) = &rules.policy.founders else { return Arc::new(founders) };
    let subjects = ledger.said_in(topic).filter_map(|(subject, said)| match subject {
        Subject::Key(key) => Some((*key, said)),
        Subject::Group(_) => None,
    });
    let mut open: BTreeMap<Key, &Said> = subjects.collect();
    loop {
        let voters: BTreeSet<Key> = founders.iter().filter(|key| !ledger.is_revoked(key)).copied().collect();
        let carried = |sign| -> Vec<Key> {
            let votes = |said| founding_votes(ledger, &voters, topic, when, said, sign);
            let carries = |votes: usize| votes > 0 && votes * 3 >= voters.len() * 2;
            open.iter().filter(|(_, said)| carries(votes(said))).map(|(key, _)| *key).collect()
        };
        let (added, removed) = (carried(Sign::Yes), carried(Sign::No));
        if added.is_empty() && removed.is_empty() {
            return Arc::new(founders);
        }
        for key in added.iter().chain(&removed) {
            open.remove(key);
        }
        founders.extend(added);
        founders.retain(|key| !removed.contains(key));
    }
}

/// How many voters say this of a founder to be.
fn founding_votes(ledger: &Ledger, voters: &BTreeSet<Key>, topic: &Word, when: When, said: &Said, sign: Sign) -> usize {
    let standing = said.iter().filter(|((issuer, args), _)| args.is_empty() && voters.contains(issuer));
    let votes = standing
        .filter(|(_, standing)| standing.acting.claim().sign == sign && when.counts(&standing.acting))
        .filter(|((issuer, _), standing)| {
            (sign == Sign::No && standing.contradiction.is_some()) || !is_muted(ledger, voters, topic, when, issuer)
        });
    votes.count()
}

/// Whether an issuer contradicted itself in a topic, and no other root has pardoned it.
fn is_muted(ledger: &Ledger, roots: &BTreeSet<Key>, topic: &Word, when: When, issuer: &Key) -> bool {
    let Some(evidence) = ledger.evidence(issuer, topic) else { return false };
    let pardon = Word::new(PARDON).expect("it is not empty");
    let said = ledger.said_of(&pardon, &Subject::Key(*issuer));
    let is_pardon = |standing: &Standing| {
        let About::Allow { args, .. } = &standing.acting.claim().about else { return false };
        let covered = args.get(1).and_then(|serial| serial.as_str().parse::<u64>().ok());
        standing.acting.claim().sign == Sign::Yes
            && when.counts(&standing.acting)
            && args.first() == Some(evidence.topic())
            && covered.is_some_and(|serial| serial >= evidence.serial())
    };
    let by_root = |((root, _), standing): (&(Key, Vec<Word>), &Standing)| {
        root != issuer && roots.contains(root) && is_pardon(standing)
    };
    !said.into_iter().flatten().any(by_root)
}
