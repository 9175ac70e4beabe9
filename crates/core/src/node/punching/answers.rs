//! Guesses of the peer that come in: which of them are answered, and which are told of.

use crate::dataplane::fib::UdpTarget;
use crate::name::PeerId;
use crate::node::Node;
use crate::node::punching::{Attempt, Stage};
use crate::punch::law::Law;
use crate::punch::mappings;
use crate::punch::plan::{From, Shot};
use crate::wire::probe;
use crate::wire::punch::Message;

/// Answers to the peer's guesses that may take ports of the router, where the peer's own port is not known.
pub(super) const LIMIT: u16 = 12;
/// Guesses that the peer is told of: one is enough, if the word of it arrives.
const TOLD: u8 = 3;

/// What came in during an attempt.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    /// Ways that were answered.
    answered: Vec<UdpTarget>,
    /// The port of the peer that all extra sockets wrote to.
    pub(super) lure: Option<u16>,
    /// How many guesses the peer was told of.
    told: u8,
    /// Whether this side looks for what the other lures with, and has not found it.
    pub(super) seeks: bool,
}

impl Node {
    /// Whether a request of `peer` is to be answered: each of its guesses that gets in comes from another port, and may cost
    /// a port of the own router.
    pub(in crate::node) fn may_answer_guess(&mut self, peer: PeerId, from: UdpTarget, data: &[u8]) -> bool {
        let confirmed = self.is_confirmed(peer);
        let attempt = self.punching.attempt.as_mut().filter(|attempt| attempt.peer == peer && !confirmed);
        let Some(attempt) = attempt else { return true };
        let free = |side: Option<_>| side.is_none_or(|law| matches!(law, Law::Known { .. }));
        let side = attempt.own.map(|own| own.side);
        if free(side.map(|side| side.law)) || side.is_some_and(|side| side.per_address) {
            return true;
        }
        let Attempt { guesses, extra, round, .. } = attempt;
        if let Some(lure) = guesses.lure.filter(|_| extra.contains(&from.socket)) {
            let tells = from.to.port() != lure && guesses.told < TOLD;
            if let Some(mark) = probe::mark(data).filter(|_| tells) {
                guesses.told += 1;
                let message = Message::Heard { round: *round, mark };
                self.send_sealed(peer, &message.encode());
            }
            return from.to.port() == lure;
        }
        if guesses.answered.contains(&from) {
            return true;
        }
        let room = self.punching.mappings.held(self.now) < mappings::LIMIT;
        let answers = guesses.answered.is_empty() || room && guesses.answered.len() < usize::from(LIMIT);
        if answers {
            guesses.answered.push(from);
            self.punching.mappings.note(self.now);
        }
        answers
    }

    /// A probe of ours came in at a port that waits for another one of ours: from new ports we go on writing to it.
    pub(super) fn on_heard(&mut self, peer: PeerId, round: u8, mark: [u8; 4]) {
        let seeks = |attempt: &&mut Attempt| attempt.peer == peer && attempt.round == round && attempt.guesses.seeks;
        let Some(attempt) = self.punching.attempt.as_mut().filter(seeks) else { return };
        let Stage::Firing { shots, rest, .. } = &attempt.stage else { return };
        let count = u16::try_from(shots.len() + rest.len()).unwrap_or(u16::MAX);
        let found = self.tunnel_mut(peer).and_then(|tunnel| tunnel.probing.asked.answer(mark));
        let Some(target) = found else { return };
        self.open_extra_sockets(usize::from(count));
        let Some(attempt) = &mut self.punching.attempt else { return };
        attempt.guesses.seeks = false;
        if let Stage::Firing { shots, rest, .. } = &mut attempt.stage {
            rest.clear();
            *shots = (0..count).map(|at| Shot { from: From::Extra(at), port: target.to.port() }).collect();
        }
    }
}
