//! Trust in a node: statements that come, and what follows when an answer changes.

use std::collections::BTreeSet;
use std::time::Duration;

use fides::{Accepted, Claim, Item, Judge, Refused, StatementId};

use crate::name::PeerId;
use crate::node::Node;
use crate::node::io::{Event, Output, Persist};
use crate::node::timers::Wake;

/// Statements are kept on disk so long after the first change.
const KEEP_AFTER: Duration = Duration::from_secs(1);
/// What begins or ends is looked at so often at least.
const PERIOD: Duration = Duration::from_secs(60);

impl Node {
    /// What the operating system says the time is.
    pub(super) fn on_clock(&mut self, unix_ms: u64) {
        self.trust.clock_mut().tell(self.now, unix_ms);
        self.on_trust_time();
    }

    /// Statements that this node kept when it last ran, or that the operator put there.
    pub(super) fn on_kept_statements(&mut self, text: &str) {
        let known: BTreeSet<StatementId> = self.trust.store().items().iter().map(Item::id).collect();
        let report = self.trust.import(text, self.now);
        for (line, error) in report.refused {
            self.event(Event::Note(format!("Statement in line {line} of the kept ones is left out: {error}")));
        }
        let new = self.trust.store().items().into_iter().filter(|item| !known.contains(&item.id()));
        self.on_accepted_statements(new.map(Accepted::New).collect(), None);
    }

    /// What the operator hands in.
    pub(super) fn accept_statements(&mut self, lines: &[String]) -> Vec<Result<Accepted, Refused>> {
        let results: Vec<_> = lines.iter().map(|line| self.trust.accept(line, None, self.now)).collect();
        self.on_accepted_statements(results.iter().flatten().cloned().collect(), None);
        results
    }

    /// Says something with this node's key, keeps it and passes it on.
    ///
    /// # Errors
    /// If there is no such statement, or no room for it.
    pub fn say(&mut self, claim: Claim) -> Result<Item, Refused> {
        let item = self.trust.say(&self.key, claim, self.now)?;
        self.on_accepted_statements(vec![Accepted::New(item.clone())], None);
        Ok(item)
    }

    /// Keeps what is new, passes it on to all but the node that it came from, and acts by it.
    pub(super) fn on_accepted_statements(&mut self, accepted: Vec<Accepted>, from: Option<PeerId>) {
        let is_new = |accepted: &Accepted| matches!(accepted, Accepted::New(_) | Accepted::Kept | Accepted::Waiting);
        if accepted.iter().any(is_new) {
            self.spread_statements(&accepted, from);
            self.on_trust_changed();
        }
    }

    /// Other founders or rules may be in force.
    pub(super) fn change_trust(&mut self) {
        if self.trust.change(&self.config.trust) {
            self.on_trust_changed();
        }
    }

    fn on_trust_changed(&mut self) {
        self.dirty.gate = true;
        self.gossip_soon();
        self.timers.set_earlier(Wake::KeepStatements, self.now + KEEP_AFTER);
        self.timers.set_earlier(Wake::Trust, self.now);
    }

    /// Something begins or ends about now.
    pub(super) fn on_trust_time(&mut self) {
        let begun = self.trust.tick(self.now);
        self.on_accepted_statements(begun.into_iter().map(Accepted::New).collect(), None);
        self.renew_leases();
        self.tell_wall();
        if !self.trust.ledger().is_empty() {
            self.dirty.gate = true;
            let span = self.trust.span(self.now);
            let next = Judge::next_change(self.trust.ledger(), span).map(|at| at.0.saturating_sub(span.latest().0));
            let after = next.map_or(PERIOD, |seconds| Duration::from_secs(seconds + 1).min(PERIOD));
            self.timers.set(Wake::Trust, self.now + after);
        }
    }

    /// Says again what this node said for a day, when half of it is over.
    fn renew_leases(&mut self) {
        for claim in self.trust.ending_leases(self.now) {
            if let Err(error) = self.say(claim) {
                self.event(Event::Note(format!("A lease could not be renewed: {error}")));
            }
        }
    }

    pub(super) fn keep_statements(&mut self) {
        let mut text = self.trust.lines().join("\n");
        text.push('\n');
        self.emit(Output::Persist(Persist::Statements(text)));
    }
}
