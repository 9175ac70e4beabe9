//! Who brought a key in, and who warned of it: for explanations and proofs.

use std::sync::Arc;

use crate::key::Key;
use crate::ledger::Ledger;
use crate::statement::{Sign, Statement};
use crate::trust::{Regard, Trust};

/// What was heard about a key from those who may introduce, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The key.
    pub key: Key,
    /// What came of it. Of a root nothing else is said here: it needs nobody.
    pub regard: Regard,
    /// In whose voice its word counts, if it does: its own, or that of the only one who brought it in.
    pub voice: Option<Key>,
    /// The statements that brought it in, those nearest to the roots first.
    pub vouching: Vec<Arc<Statement>>,
    /// The statements that warned of it.
    pub warning: Vec<Arc<Statement>>,
}

/// A statement about a key by somebody who may introduce.
pub(crate) struct Heard {
    pub(crate) statement: Arc<Statement>,
    /// How far from the roots who says it is.
    pub(crate) level: u8,
    /// Whether its yes counts too, not only its no.
    speaks: bool,
}

impl Trust {
    /// What had a part in what is thought of a key, those nearest to the roots first.
    pub(crate) fn heard_about(&self, key: &Key, ledger: &Ledger) -> Vec<Heard> {
        let Some(said) = ledger.introducers(&self.topic, key).filter(|_| !self.is_root(key)) else {
            return Vec::new();
        };
        let decided = self.place(key).speaks.map_or(u8::MAX, |vote| vote.level);
        let mut heard = Vec::new();
        for (introducer, standing) in said {
            let place = self.place(introducer).introducing_below(decided);
            let Some(level) = place.level().filter(|_| self.counts(introducer, key, standing)) else { continue };
            let is_no = standing.acting.claim().sign == Sign::No;
            if !place.is_muted || (is_no && standing.contradiction.is_some()) {
                let statement = Arc::clone(&standing.acting);
                heard.push(Heard { statement, level, speaks: place.speaks.is_some() });
            }
        }
        heard.sort_by_key(|heard| heard.level);
        heard
    }

    /// How a key came to be regarded as it is.
    pub(crate) fn introduction(&self, key: &Key, ledger: &Ledger) -> Introduction {
        let (regard, place) = (self.regard(key), self.place(key));
        let voice = place.speaks.or(place.objects).map(|vote| vote.voice);
        let (vouching, warning): (Vec<_>, Vec<_>) =
            self.heard_about(key, ledger).into_iter().partition(|heard| heard.statement.claim().sign == Sign::Yes);
        let counts = |heard: &Heard| heard.speaks || !matches!(regard, Regard::Trusted { .. });
        Introduction {
            key: *key,
            regard,
            voice,
            vouching: vouching.into_iter().filter(counts).map(|heard| heard.statement).collect(),
            warning: warning.into_iter().map(|heard| heard.statement).collect(),
        }
    }
}
