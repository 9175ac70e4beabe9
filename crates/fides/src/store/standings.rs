//! Who has how much room: found out anew whenever it may have changed.

use std::collections::BTreeMap;

use crate::key::Key;
use crate::store::{Standing, Store};
use crate::time::Span;
use crate::trust::{Trust, When, founders};
use crate::word::Word;

impl Store {
    /// Finds out whose word counts in any topic, and makes everybody fit into the room that is due. Those whose word counts
    /// at this time come first; then those whose word did or will count, if everything held that is known.
    pub(super) fn settle(&mut self) {
        self.settled = self.now;
        let mut nearest: BTreeMap<Key, (bool, u8)> = BTreeMap::new();
        for when in [When::At(Span::at(self.now).moment(self.now)), When::Ever] {
            let founders = founders(&self.ledger, &self.rules, when);
            for topic in self.topics() {
                let trust = Trust::of_all(&self.ledger, &self.rules, &founders, &topic, when);
                for (key, level) in trust.heard() {
                    let rank = (when == When::Ever, level);
                    let known = nearest.entry(*key).or_insert(rank);
                    *known = rank.min(*known);
                }
            }
        }
        let mut ranked: Vec<((bool, u8), Key)> = nearest.into_iter().map(|(key, rank)| (rank, key)).collect();
        ranked.sort_unstable();
        ranked.truncate(self.quotas.members);
        let standing = |level| if level == 0 { Standing::Root } else { Standing::Member };
        self.standings = ranked.into_iter().map(|((_, level), key)| (key, standing(level))).collect();
        // The votes of those who were founders at first are counted, even if these vote them out.
        let first = self.rules.founders.iter().filter(|founder| !self.ledger.is_revoked(founder));
        for key in first.chain(&self.expected) {
            self.standings.entry(*key).or_insert(Standing::Member);
        }
        self.fit();
    }

    /// The topics that the policy knows, and that of pardons; those that statements invent count for nothing here.
    fn topics(&self) -> Vec<Word> {
        let policy = &self.rules.policy;
        let named = policy.topics.keys().chain(&policy.groups).chain(&policy.founders);
        let mut topics: Vec<Word> = named.cloned().collect();
        topics.push(Word::new(crate::trust::PARDON).expect("it is not empty"));
        topics
    }

    fn fit(&mut self) {
        let issuers: Vec<Key> = self.ledger.issuers().copied().collect();
        for issuer in &issuers {
            self.ledger.trim(issuer, self.room(issuer));
        }
        self.strangers.retain(|key| issuers.binary_search(key).is_ok() && !self.standings.contains_key(key));
        for issuer in issuers {
            if !self.standings.contains_key(&issuer) {
                self.on_stranger(issuer);
            }
        }
    }

    /// A stranger has said something: if all strangers together say too much, the longest known is forgotten.
    pub(super) fn on_stranger(&mut self, issuer: Key) {
        if self.ledger.is_revoked(&issuer) && self.is_known(&issuer) {
            return;
        }
        if !self.strangers.contains(&issuer) {
            self.strangers.push(issuer);
        }
        let places = |store: &Self| store.strangers.iter().map(|key| store.ledger.slots_of(key).max(1)).sum::<usize>();
        while places(self) > self.quotas.strangers && !self.strangers.is_empty() {
            let longest = self.strangers.remove(0);
            self.ledger.forget_issuer(&longest);
        }
    }
}
