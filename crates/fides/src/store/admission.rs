//! The way of a line into the store.

use std::sync::Arc;

use crate::budget::{Budget, Neighbour};
use crate::key::Key;
use crate::ledger::{Evidence, Merge};
use crate::statement::{About, Statement, Unchecked};
use crate::store::{Accepted, Item, Refused, Store};
use crate::time::Time;

/// Slots of one stranger.
const STRANGER: usize = 8;
/// Statements of one issuer that wait for their beginning.
const WAITING: usize = 4;

impl Store {
    /// Takes in what a neighbour passed on, or what was brought in by hand: a line, or two lines that are evidence.
    ///
    /// # Errors
    /// If it is refused. After [`Refused::ShutOut`] the neighbour is to be disconnected, see [`Neighbour`].
    pub fn accept(&mut self, text: &str, from: Option<&mut Neighbour>, now: Time) -> Result<Accepted, Refused> {
        let mut from = from;
        self.now = now;
        if let Some(neighbour) = &mut from
            && !neighbour.may_send(now)
        {
            return Err(if neighbour.is_shut_out(now) { Refused::ShutOut } else { Refused::Busy });
        }
        if let Some((one, other)) = text.split_once('\n') {
            return self.accept_evidence([one, other], from, now);
        }
        let unchecked = Unchecked::parse(text)?;
        let issuer = *unchecked.issuer();
        if let Some(merge) = self.ledger.is_outdated(unchecked.alleged(), self.room(&issuer)) {
            return Ok(if merge == Merge::Known { Accepted::Known } else { Accepted::Outdated });
        }
        if unchecked.alleged().forgettable_at().is_some_and(|time| time <= now) {
            return Err(Refused::Past);
        }
        self.admit(&issuer, from.is_some(), now)?;
        let statement = self.verify(unchecked, from, now)?;
        self.spend(&issuer, now);
        if Self::is_early(statement.claim(), now) {
            return self.wait(statement);
        }
        Ok(self.keep(&statement, now))
    }

    /// Takes in a line of one's own disk: without haste.
    pub(super) fn accept_own(&mut self, line: &str, now: Time) -> Result<Accepted, Refused> {
        self.accept(line, None, now)
    }

    fn accept_evidence(
        &mut self,
        lines: [&str; 2],
        from: Option<&mut Neighbour>,
        now: Time,
    ) -> Result<Accepted, Refused> {
        let mut from = from;
        let [one, other] = [Unchecked::parse(lines[0])?, Unchecked::parse(lines[1])?];
        let issuer = *one.issuer();
        let known = one.claim().about.topic().and_then(|topic| self.ledger.evidence(&issuer, topic));
        if known.is_some_and(|known| known.consists_of(one.id(), other.id())) {
            return Ok(Accepted::Known);
        }
        if !self.standings.contains_key(&issuer) {
            return Err(Refused::NoRoom);
        }
        self.admit(&issuer, from.is_some(), now)?;
        let one = self.verify(one, from.as_deref_mut(), now)?;
        let other = self.verify(other, from, now)?;
        self.spend(&issuer, now);
        let evidence = Evidence::new(&one, &other).ok_or(Refused::NoEvidence)?;
        let merge = self.ledger.insert_evidence(&evidence, self.room(&issuer));
        self.settle();
        Ok(match merge {
            Merge::Fresh => Accepted::New(Item::Evidence(evidence)),
            Merge::Known => Accepted::Known,
            Merge::Outdated => Accepted::Outdated,
        })
    }

    /// Whether an issuer may say something more at this time. Whoever sits at this machine is not held up.
    fn admit(&mut self, issuer: &Key, is_remote: bool, now: Time) -> Result<(), Refused> {
        let rate = self.quotas.rate;
        let budget_of = self.budget_of(issuer);
        let is_open = self.budgets.entry(budget_of).or_insert_with(|| Budget::full(rate, now)).is_open(rate, now);
        if is_open || !is_remote { Ok(()) } else { Err(Refused::TooFast) }
    }

    /// Counts what an issuer has really said: forgeries are not its fault.
    fn spend(&mut self, issuer: &Key, now: Time) {
        let rate = self.quotas.rate;
        let budget_of = self.budget_of(issuer);
        self.budgets.entry(budget_of).or_insert_with(|| Budget::full(rate, now)).take(rate, now);
    }

    /// Whose budget it is: strangers share one.
    fn budget_of(&self, issuer: &Key) -> Key {
        if self.standings.contains_key(issuer) { *issuer } else { Key::from_bytes([0; 32]) }
    }

    fn verify(
        &mut self,
        unchecked: Unchecked,
        from: Option<&mut Neighbour>,
        now: Time,
    ) -> Result<Arc<Statement>, Refused> {
        let mut from = from;
        if from.as_mut().is_some_and(|neighbour| !neighbour.may_have_verified(now)) {
            return Err(Refused::Busy);
        }
        self.verifications += 1;
        unchecked.verify().map_err(|error| {
            if let Some(neighbour) = from {
                neighbour.on_wrong_signature(now);
            }
            Refused::Signature(error)
        })
    }

    fn wait(&mut self, statement: Arc<Statement>) -> Result<Accepted, Refused> {
        let of_issuer = self.waiting.values().filter(|other| other.issuer() == statement.issuer()).count();
        let has_room = self.waiting.len() < self.quotas.waiting && of_issuer < WAITING;
        if !has_room || !self.standings.contains_key(statement.issuer()) {
            return Err(Refused::NoRoom);
        }
        self.waiting.insert((statement.claim().from, statement.id()), statement);
        Ok(Accepted::Waiting)
    }

    /// Keeps a verified statement.
    pub(super) fn keep(&mut self, statement: &Arc<Statement>, now: Time) -> Accepted {
        let issuer = *statement.issuer();
        if statement.forgettable_at().is_some_and(|time| time <= now) {
            return Accepted::Outdated;
        }
        match self.ledger.insert(statement, self.room(&issuer)) {
            Merge::Known => return Accepted::Known,
            Merge::Outdated => return Accepted::Outdated,
            Merge::Fresh => {}
        }
        let evidence = statement.claim().about.topic().and_then(|topic| self.ledger.evidence(&issuer, topic));
        let proof = evidence.filter(|evidence| evidence.has(statement.id())).cloned();
        if proof.is_some() || self.changes_standings(&statement.claim().about) {
            self.settle();
        } else if !self.standings.contains_key(&issuer) {
            self.on_stranger(issuer);
        }
        if !self.is_passed_on(statement) {
            return Accepted::Kept;
        }
        Accepted::New(proof.map_or_else(|| Item::Statement(Arc::clone(statement)), Item::Evidence))
    }

    fn changes_standings(&self, about: &About) -> bool {
        match about {
            About::Trust { .. } | About::Revoke => true,
            About::Allow { topic, .. } => {
                topic.as_str() == crate::trust::PARDON || Some(topic) == self.rules.policy.founders.as_ref()
            }
        }
    }

    /// Slots for which an issuer has room.
    pub(super) fn room(&self, issuer: &Key) -> usize {
        use crate::store::Standing;
        match self.standings.get(issuer) {
            Some(Standing::Root) => self.quotas.root,
            Some(Standing::Member) => self.quotas.member,
            None => STRANGER.min(self.quotas.strangers),
        }
    }
}
