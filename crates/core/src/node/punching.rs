//! Attempts to reach a peer through NATs whose outer ports must be guessed.
//!
//! ```text
//!  no answer to plain probes
//!    ▼ both sides, each by itself
//!  Main ─► Pair ─► Many        what reflectors see of one socket, of two new ones, of more
//!    ▼ Law
//!  Ready ─ the smaller name offers, the other answers (sealed, through the mesh) ─► Firing ─► direct, or later again
//! ```
//!
//! One attempt at a time, so many probes a second, and longer and longer pauses after failures. Source: docs/protocol.md.

mod answers;
mod measure;
mod sockets;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::dataplane::fib::UdpTarget;
use crate::name::PeerId;
use crate::node::Node;
use crate::node::examine::Examining;
use crate::node::io::Event;
use crate::node::timers::Wake;
use crate::punch::budget::{ANSWERS, Budget};
use crate::punch::law::{Law, WIDEST_BLOCK};
use crate::punch::mappings::{self, Mappings};
use crate::punch::plan::{self, From, Means, Plan, Shot, Side};
use crate::time::Instant;
use crate::wire::hello::Feature;
use crate::wire::probe;
use crate::wire::punch::{Message, Terms};

use self::answers::Guesses;
pub(super) use self::measure::Asking;
use self::measure::OwnNat;
use self::sockets::ExtraSockets;

/// Plain probes without an answer before ports are guessed.
const PLAIN_PROBES: u32 = 2;
/// How long a side waits for the other's word.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// How long the answers to the last probes may take.
const GRACE: Duration = Duration::from_millis(1_500);
/// Sockets of an attempt that succeeded are closed after so long, but for the one in use.
const LINGER: Duration = Duration::from_secs(1);
/// Ports that are left to what else may happen meanwhile.
const MEANWHILE: u16 = 4;
/// Probes that are left to plain ones after an attempt, and to those of other peers meanwhile.
const BESIDE: u16 = 8;
/// Probes to an address at which nobody has seen the peer: else a member could have us write to a stranger.
const UNSEEN: usize = 16;

/// What is kept for attempts.
#[derive(Debug, Default)]
pub(super) struct Punching {
    attempt: Option<Attempt>,
    budget: Budget,
    mappings: Mappings,
    sockets: ExtraSockets,
    own: Option<OwnNat>,
    /// What an operator wants to know.
    pub(super) examining: Option<Examining>,
    /// How many questions of others are answered.
    answers: Budget<ANSWERS>,
    /// The extra socket from which they are answered a second time.
    reflecting: Option<u16>,
    /// Its port; 0: not known yet.
    other_port: u16,
    /// Extra sockets on which silences are tried, and with whom.
    trials: BTreeMap<u16, PeerId>,
}

#[derive(Debug)]
struct Attempt {
    peer: PeerId,
    round: u8,
    stage: Stage,
    until: Instant,
    asking: Asking,
    /// Own terms, once known.
    own: Option<Terms>,
    /// What the other side told.
    offered: Option<Terms>,
    /// Extra sockets, in the order in which they were opened.
    extra: Vec<u16>,
    /// Sockets that have written to the peer.
    wrote: BTreeSet<From>,
    guesses: Guesses,
}

#[derive(Debug)]
enum Stage {
    /// Reflectors were asked from the socket that the node listens on.
    Main,
    /// And one of them at another of its ports.
    Again,
    /// And from two new sockets.
    Pair,
    /// And from more.
    Many,
    /// Own terms are known; the other is to offer.
    Ready,
    /// They were offered.
    Offered,
    /// Probes go out: those of now, how long to pause, those after it, and how long the other side goes on then.
    Firing { ip: Ipv4Addr, shots: VecDeque<Shot>, pause: Duration, rest: VecDeque<Shot>, wait: Duration },
    /// All went out, or one was answered, at this time.
    Ending(Instant),
}

impl Node {
    /// Begins an attempt if plain probes did not help.
    pub(super) fn consider_punching(&mut self, peer: PeerId) {
        let now = self.now;
        if self.punching.attempt.is_some() || !self.uses(peer, Feature::Punch) || !self.wants_datagrams(peer) {
            return;
        }
        if !self.router_is_rested() {
            return;
        }
        let Some(tunnel) = self.tunnel(peer) else { return };
        let stuck = !tunnel.confirmed && tunnel.probing.unanswered >= PLAIN_PROBES && tunnel.is_used(now);
        if stuck && tunnel.retries.not_before <= now {
            let round = u8::try_from(tunnel.retries.failures).unwrap_or(u8::MAX);
            self.begin_attempt(peer, round, None);
        }
    }

    /// Whether the router has ports enough for another attempt.
    fn router_is_rested(&mut self) -> bool {
        self.punching.mappings.held(self.now) <= mappings::LIMIT / 2
    }

    /// Whether the two may write to each other straight: neither wants TCP only, and no third stands between them by decision.
    pub(super) fn wants_datagrams(&self, peer: PeerId) -> bool {
        let tcp_only = [PeerId::ME, peer].into_iter().any(|node| self.is_tcp_only(node));
        !tcp_only && self.config.mesh.udp_discovery && self.relay_of(peer) == Some(peer)
    }

    fn begin_attempt(&mut self, peer: PeerId, round: u8, offered: Option<Terms>) {
        let attempt = Attempt {
            peer,
            round,
            stage: Stage::Main,
            until: self.now,
            asking: Asking::default(),
            own: None,
            offered,
            extra: Vec::new(),
            wrote: BTreeSet::new(),
            guesses: Guesses::default(),
        };
        self.punching.attempt = Some(attempt);
        self.measure();
    }

    pub(super) fn on_punch_message(&mut self, origin: PeerId, kind: u8, message: &[u8]) {
        if !self.uses(origin, Feature::Punch) || !self.wants_datagrams(origin) {
            return;
        }
        match Message::parse(kind, message) {
            Some(Message::Offer(terms)) => self.on_offer(origin, terms),
            Some(Message::Answer(terms)) => {
                let waits = |attempt: &&Attempt| {
                    attempt.peer == origin && attempt.round == terms.round && matches!(attempt.stage, Stage::Offered)
                };
                if self.punching.attempt.as_ref().filter(waits).is_some() {
                    self.fire(terms);
                }
            }
            Some(Message::Heard { round, mark }) => self.on_heard(origin, round, mark),
            None => {}
        }
    }

    fn on_offer(&mut self, origin: PeerId, terms: Terms) {
        let confirmed = self.is_confirmed(origin);
        let (leads, rested) = (self.leads(origin), self.router_is_rested());
        match &mut self.punching.attempt {
            None if confirmed || !rested => {}
            None => self.begin_attempt(origin, terms.round, Some(terms)),
            Some(attempt) if attempt.peer != origin => {}
            Some(attempt) => match attempt.stage {
                Stage::Firing { .. } | Stage::Ending(_) => {}
                // Ours is on its way, and counts.
                Stage::Offered if leads => {}
                Stage::Ready | Stage::Offered => {
                    attempt.offered = Some(terms);
                    self.answer_offer();
                }
                Stage::Main | Stage::Again | Stage::Pair | Stage::Many => attempt.offered = Some(terms),
            },
        }
    }

    /// Of two nodes one leads; the smaller name offers.
    pub(super) fn leads(&self, peer: PeerId) -> bool {
        self.peer(peer).is_some_and(|known| self.config.name < known.name)
    }

    /// Own terms are known: offers them, or answers, or waits for the other side's offer.
    fn on_measured(&mut self, side: Side, ip: Ipv4Addr) {
        let now = self.now;
        let Some(attempt) = &mut self.punching.attempt else { return };
        attempt.own = Some(Terms { round: attempt.round, ip, side });
        attempt.stage = Stage::Ready;
        attempt.until = now + PATIENCE;
        let (peer, asked) = (attempt.peer, attempt.offered.is_some());
        if asked {
            self.answer_offer();
        } else if self.leads(peer) {
            self.offer();
        } else {
            self.punch_at(now + PATIENCE);
        }
    }

    fn offer(&mut self) {
        let now = self.now;
        let Some(attempt) = &mut self.punching.attempt else { return };
        let (Some(own), peer) = (attempt.own, attempt.peer) else { return };
        attempt.stage = Stage::Offered;
        attempt.until = now + PATIENCE;
        self.send_sealed(peer, &Message::Offer(own).encode());
        self.punch_at(now + PATIENCE);
    }

    fn answer_offer(&mut self) {
        let Some(attempt) = &mut self.punching.attempt else { return };
        let (Some(own), Some(other), peer) = (attempt.own, attempt.offered, attempt.peer) else { return };
        attempt.round = other.round;
        self.send_sealed(peer, &Message::Answer(Terms { round: other.round, ..own }).encode());
        self.fire(other);
    }

    /// Both sides know each other's terms.
    fn fire(&mut self, other: Terms) {
        let Some(attempt) = &mut self.punching.attempt else { return };
        attempt.offered = Some(other);
        let (Some(own), peer, round) = (attempt.own, attempt.peer, attempt.round) else { return };
        let leads = self.leads(peer) ^ (round % 2 == 1);
        // Plain probes took ports too.
        let plain = u16::try_from(self.plain_targets(peer)).unwrap_or(u16::MAX);
        // A strict filter lets in only what can be answered for nothing; the first answer goes in any case.
        let answers = match other.side.law {
            Law::Known { .. } => 1,
            Law::Sequence { .. } | Law::Range { .. } if own.side.per_address || !own.side.forgives => MEANWHILE,
            Law::Sequence { .. } | Law::Range { .. } => answers::LIMIT + MEANWHILE,
        };
        let taken = self.punching.mappings.held(self.now).saturating_add(plain).saturating_add(answers);
        let spent = self.tunnel(peer).map_or(0, |tunnel| tunnel.probing.asked.len());
        let spent = u16::try_from(spent).unwrap_or(u16::MAX).saturating_add(BESIDE);
        let means =
            Means { ports: mappings::LIMIT.saturating_sub(taken), probes: plan::PROBED_OF_ALL.saturating_sub(spent) };
        let mut plan = Plan::new(own.side, other.side, leads, means, &mut self.rng);
        if !self.was_seen_at(peer, other.ip.into()) {
            plan.first.truncate(UNSEEN);
            plan.rest.truncate(UNSEEN);
        }
        self.note_attempt(peer, &own, &other, plan.len());
        if let Some(attempt) = self.punching.attempt.as_mut().filter(|_| plan.lure.is_some()) {
            // Those that asked reflectors have other ports, which would be heard of in vain.
            attempt.extra.clear();
        }
        self.open_extra_sockets(usize::from(plan.sockets()));
        let now = self.now;
        if let Some(attempt) = &mut self.punching.attempt {
            let (shots, rest) = (plan.first.into(), plan.rest.into());
            attempt.stage = Stage::Firing { ip: other.ip, shots, pause: plan.pause, rest, wait: plan.wait };
            attempt.until = now;
            attempt.guesses.lure = plan.lure;
            attempt.guesses.seeks = plan.seeks;
        }
        self.on_punch_time();
    }

    fn note_attempt(&mut self, peer: PeerId, own: &Terms, other: &Terms, probes: usize) {
        let Some(name) = self.name_of(peer) else { return };
        let (own, other) = (own.side.law, other.side.law);
        self.event(Event::Note(format!(
            "No direct path to {name} yet: guessing ports, {probes} probes (own NAT: {own}; the other: {other})"
        )));
    }

    /// Whether other nodes see the peer at that address, or it wrote from there.
    pub(super) fn was_seen_at(&self, peer: PeerId, ip: IpAddr) -> bool {
        let current = self.peer(peer).and_then(|known| known.udp).map(|target| target.to);
        let mut seen = self.announced_addresses(peer).into_iter().chain(current);
        seen.any(|address| address.ip() == ip)
    }

    /// Whether ports are being guessed to reach `peer`.
    pub(super) fn is_guessing(&self, peer: PeerId) -> bool {
        self.punching.attempt.as_ref().is_some_and(|attempt| attempt.peer == peer)
    }

    /// Whether guessed ports of `peer` are being written to, or were just now: plain probes would only cost more.
    pub(super) fn is_firing(&self, peer: PeerId) -> bool {
        let Some(attempt) = self.punching.attempt.as_ref().filter(|attempt| attempt.peer == peer) else { return false };
        match attempt.stage {
            Stage::Firing { .. } => true,
            Stage::Ending(since) => self.now.since(since) <= GRACE,
            Stage::Main | Stage::Again | Stage::Pair | Stage::Many | Stage::Ready | Stage::Offered => false,
        }
    }

    pub(super) fn punch_at(&mut self, at: Instant) {
        self.timers.set_earlier(Wake::Punch, at);
    }

    pub(super) fn on_punch_time(&mut self) {
        let now = self.now;
        let Some(attempt) = &self.punching.attempt else { return self.close_extra_sockets() };
        let (peer, due, leads) = (attempt.peer, attempt.until <= now, self.leads(attempt.peer));
        let direct = self.is_confirmed(peer);
        if direct && !matches!(attempt.stage, Stage::Ending(_)) {
            return self.end_soon(LINGER);
        }
        if !due {
            let until = attempt.until;
            return self.punch_at(until);
        }
        match attempt.stage {
            Stage::Main | Stage::Again | Stage::Pair | Stage::Many => self.evaluate(),
            Stage::Ready if !leads => self.offer(),
            Stage::Ready | Stage::Offered | Stage::Ending(_) => self.end_attempt(direct),
            Stage::Firing { .. } => self.fire_some(),
        }
    }

    fn fire_some(&mut self) {
        let now = self.now;
        loop {
            let Some(Attempt { stage, until, extra, peer, own, wrote, .. }) = &mut self.punching.attempt else {
                return;
            };
            let Stage::Firing { ip, shots, pause, rest, wait } = stage else { return };
            if shots.is_empty() {
                if rest.is_empty() {
                    let wait = *wait + GRACE;
                    return self.end_soon(wait);
                }
                std::mem::swap(shots, rest);
                *until = now + std::mem::take(pause);
                let until = *until;
                return self.punch_at(until);
            }
            if !self.punching.budget.take(now) {
                *until = self.punching.budget.next(now);
                let until = *until;
                return self.punch_at(until);
            }
            let Some(shot) = shots.pop_front() else { return };
            let new = wrote.insert(shot.from);
            let is_taken = |own: &Terms| !matches!(own.side.law, Law::Known { .. }) && (new || !own.side.per_address);
            if own.as_ref().is_none_or(is_taken) {
                self.punching.mappings.note(now);
            }
            let to = SocketAddr::new(IpAddr::V4(*ip), shot.port);
            let socket = match shot.from {
                From::Main => None,
                From::Extra(number) => extra.get(usize::from(number)).copied(),
            };
            let peer = *peer;
            let target = socket.map(|socket| UdpTarget { to, socket }).or_else(|| self.target(to));
            if let Some(target) = target {
                self.send_request(peer, target, probe::MIN_PROBE);
            }
        }
    }

    fn end_soon(&mut self, wait: Duration) {
        let now = self.now;
        let until = now + wait;
        if let Some(attempt) = &mut self.punching.attempt {
            attempt.stage = Stage::Ending(now);
            attempt.until = until;
        }
        self.punch_at(until);
    }

    fn end_attempt(&mut self, direct: bool) {
        let now = self.now;
        let Some(attempt) = self.punching.attempt.take() else { return };
        let narrow = attempt.own.is_some_and(|own| own.side.law.width() <= WIDEST_BLOCK)
            && attempt.offered.is_none_or(|other| other.side.law.width() <= WIDEST_BLOCK);
        if let Some(tunnel) = self.tunnel_mut(attempt.peer) {
            tunnel.note_attempt(direct, narrow, now);
        }
        self.remember_attempts(attempt.peer);
        self.close_extra_sockets();
    }

    /// Another network, perhaps: what failed before may work now.
    pub(super) fn forget_nat(&mut self) {
        self.punching.own = None;
        self.forget_meetings();
        self.found.enter(None);
        for peer in self.mesh.graph.ids() {
            if let Some(tunnel) = self.tunnel_mut(peer) {
                tunnel.forget_attempts();
                tunnel.lifetime.forget_network();
            }
        }
    }
}
