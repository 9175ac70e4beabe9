//! Votes, counted by voice.

use std::collections::BTreeSet;

use crate::key::Key;

/// The votes on one question.
///
/// A **voice** is a key, or a key together with all those that it alone brought in: who mints a thousand keys speaks no
/// louder. A voice with a no is no yes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ballot {
    /// The voices for it, and how much each grants.
    yes: Vec<(Key, u64)>,
    /// The voices against it.
    no: Vec<Key>,
}

impl Ballot {
    pub(crate) fn vote_yes(&mut self, voice: Key, amount: u64) {
        self.yes.push((voice, amount));
    }

    pub(crate) fn vote_no(&mut self, voice: Key) {
        self.no.push(voice);
    }

    /// How many voices are for at least so much.
    pub(crate) fn yes(&self, amount: u64) -> usize {
        let granting = self.yes.iter().filter(|(_, granted)| *granted >= amount).map(|(voice, _)| *voice);
        distinct(granting.filter(|voice| !self.no.contains(voice)).collect())
    }

    /// How many voices are against it.
    pub(crate) fn no(&self) -> usize {
        distinct(self.no.clone())
    }

    /// The voices for it and not against it.
    pub(crate) fn yes_voices(&self) -> BTreeSet<Key> {
        self.yes.iter().map(|(voice, _)| *voice).filter(|voice| !self.no.contains(voice)).collect()
    }

    /// The voices against it.
    pub(crate) fn no_voices(&self) -> BTreeSet<Key> {
        self.no.iter().copied().collect()
    }

    /// The most that any voice grants.
    pub(crate) fn most(&self) -> u64 {
        self.yes.iter().map(|(_, granted)| *granted).max().unwrap_or(0)
    }

    /// The voice of what these votes bring in: the one voice for it, if there is only one.
    pub(crate) fn only_voice(&self) -> Option<Key> {
        let (first, _) = self.yes.first()?;
        self.yes.iter().all(|(voice, _)| voice == first).then_some(*first)
    }
}

fn distinct(mut voices: Vec<Key>) -> usize {
    voices.sort_unstable();
    voices.dedup();
    voices.len()
}
