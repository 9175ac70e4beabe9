//! What others see of this node's ports: reflection, asked for and answered.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use crate::dataplane::fib::UdpTarget;
use crate::dataplane::record::{REFLECTION, REFLECTION_ASKED};
use crate::name::PeerId;
use crate::node::Node;
use crate::node::punching::{Attempt, PATIENCE, Punching, Stage};
use crate::packet::Packet;
use crate::peer::asked::Mark;
use crate::punch::law::{Law, Sample};
use crate::punch::mappings;
use crate::punch::plan::Side;
use crate::time::Instant;
use crate::wire::hello::Feature;
use crate::wire::reflect::{Answer, Ask};

/// Nodes that are asked.
const REFLECTORS: usize = 3;
/// Questions from extra sockets, about, in the second step and in the third with it.
const PAIR: usize = 4;
const MANY: usize = 12;
/// Answers may take so long; round-trip times of those who are asked are known to be shorter as a rule.
const ANSWERS: Duration = Duration::from_millis(600);
/// What the main socket showed is believed for so long.
const BELIEVED: Duration = Duration::from_secs(60);

/// What reflectors saw of the main socket.
#[derive(Clone, Debug)]
pub(super) struct OwnNat {
    at: Instant,
    ip: Ipv4Addr,
    ports: Vec<u16>,
    forgives: bool,
    per_address: bool,
}

/// Questions to reflectors.
#[derive(Debug, Default)]
pub(in crate::node) struct Asking {
    questions: Vec<Question>,
    /// Whether an answer came from another port than the question went to.
    forgives: bool,
    /// Who answered first, and where else it can be asked.
    elsewhere: Option<Elsewhere>,
    /// The question there.
    again: Option<Again>,
}

/// What one node sees at two of its ports.
#[derive(Clone, Copy, Debug)]
struct Again {
    mark: Mark,
    first: SocketAddrV4,
    seen: Option<SocketAddrV4>,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    mark: Mark,
    peer: PeerId,
    main: bool,
    seen: Option<SocketAddrV4>,
}

/// Another port at which a node can be asked.
#[derive(Clone, Copy, Debug)]
struct Elsewhere {
    peer: PeerId,
    port: u16,
    /// What it saw at its first port.
    first: SocketAddrV4,
}

impl Asking {
    /// Notes a question.
    fn note(&mut self, mark: Mark, peer: PeerId, main: bool) {
        self.questions.push(Question { mark, peer, main, seen: None });
    }

    /// Notes an answer.
    fn hear(&mut self, peer: PeerId, answer: &Answer) {
        let SocketAddr::V4(seen) = answer.seen else { return };
        if let Some(again) = self.again.as_mut().filter(|again| again.mark == answer.mark) {
            again.seen = Some(seen);
            return;
        }
        let Some(question) = self.questions.iter_mut().find(|question| question.mark == answer.mark) else { return };
        if answer.from_elsewhere {
            self.forgives = true;
            return;
        }
        question.seen = Some(seen);
        if question.main && answer.other != 0 && self.elsewhere.is_none() {
            self.elsewhere = Some(Elsewhere { peer, port: answer.other, first: seen });
        }
    }

    /// Whether the own ports depend on the other side's address only, as far as it is known that they depend on it.
    fn is_per_address(&self) -> bool {
        self.again.is_some_and(|again| again.seen == Some(again.first))
    }

    /// What came of it, for an operator.
    pub(in crate::node) fn results(&self) -> (usize, impl Iterator<Item = (PeerId, SocketAddrV4)>, bool) {
        let seen = self.questions.iter().filter_map(|question| Some((question.peer, question.seen?)));
        (self.questions.len(), seen, self.forgives)
    }

    fn ports(&self, main: bool) -> Vec<u16> {
        let asked = self.questions.iter().filter(|question| question.main == main);
        asked.filter_map(|question| Some(question.seen?.port())).collect()
    }

    /// Ports of extra sockets, in the order in which they were asked for.
    fn samples(&self) -> Vec<Sample> {
        let extra = self.questions.iter().filter(|question| !question.main);
        let places = (0..).zip(extra);
        places.filter_map(|(place, question)| Some(Sample { place, port: question.seen?.port() })).collect()
    }

    /// The address that most reflectors saw.
    fn ip(&self) -> Option<Ipv4Addr> {
        let seen: Vec<Ipv4Addr> = self.questions.iter().filter_map(|question| Some(*question.seen?.ip())).collect();
        seen.iter().max_by_key(|ip| seen.iter().filter(|other| other == ip).count()).copied()
    }

    pub(in crate::node) fn is_complete(&self) -> bool {
        let again = self.again.is_none_or(|again| again.seen.is_some());
        again && self.questions.iter().all(|question| question.seen.is_some())
    }

    /// Whether different nodes were asked.
    fn sees_several_hosts(&self) -> bool {
        self.questions.iter().any(|question| question.peer != self.questions[0].peer)
    }
}

impl Node {
    /// Finds out how the own NAT gives ports.
    pub(super) fn measure(&mut self) {
        let now = self.now;
        let known = self.punching.own.as_ref().filter(|own| now.since(own.at) < BELIEVED);
        if known.is_some() {
            return self.evaluate_main();
        }
        let Some(main) = self.main_socket() else { return self.give_up() };
        if self.ask_reflectors(main, true) == 0 {
            return self.give_up();
        }
        self.wait_for_answers();
    }

    /// Without anybody to ask nothing can be known.
    fn give_up(&mut self) {
        let until = self.now + PATIENCE;
        if let Some(attempt) = self.punching.attempt.take()
            && let Some(tunnel) = self.tunnel_mut(attempt.peer)
        {
            tunnel.retries.not_before = until;
        }
        self.close_extra_sockets();
    }

    fn wait_for_answers(&mut self) {
        let until = self.now + ANSWERS;
        if let Some(attempt) = &mut self.punching.attempt {
            attempt.until = until;
        }
        self.punch_at(until);
    }

    /// Answers are there, or are not coming.
    pub(super) fn evaluate(&mut self) {
        let now = self.now;
        let Some(attempt) = &mut self.punching.attempt else { return };
        match attempt.stage {
            Stage::Main => {
                let (ports, forgives) = (attempt.asking.ports(true), attempt.asking.forgives);
                let Some(ip) = attempt.asking.ip() else { return self.give_up() };
                self.punching.own = Some(OwnNat { at: now, ip, ports, forgives, per_address: false });
                self.evaluate_main();
            }
            Stage::Pair => {
                let law = Law::of_sequence(&attempt.asking.samples());
                let far = Law::of_far_ports(&self.ports_seen()).is_some();
                match law {
                    Some(law) => self.tell_measured(law),
                    // More questions would only take ports.
                    None if far => self.conclude_any(),
                    None => {
                        self.ask_again();
                        self.ask_from_new(Stage::Many, MANY);
                    }
                }
            }
            Stage::Again => self.tell_measured(Law::ANY),
            Stage::Many => self.tell_measured(Law::of_range(&self.ports_seen())),
            Stage::Ready | Stage::Offered | Stage::Firing { .. } | Stage::Ending(_) => {}
        }
    }

    fn evaluate_main(&mut self) {
        let law = self.punching.own.as_ref().and_then(|own| Law::of_one_socket(&own.ports));
        match law {
            Some(Law::Range { .. }) => self.conclude_any(),
            Some(law) => self.tell_measured(law),
            None => self.ask_from_new(Stage::Pair, PAIR),
        }
    }

    /// Any port may be the next; whether that depends on more than the other side's address is asked.
    fn conclude_any(&mut self) {
        if !self.ask_again() {
            return self.tell_measured(Law::ANY);
        }
        if let Some(attempt) = &mut self.punching.attempt {
            attempt.stage = Stage::Again;
        }
        self.wait_for_answers();
    }

    /// All outer ports that reflectors saw.
    fn ports_seen(&self) -> Vec<u16> {
        let main = self.punching.own.iter().flat_map(|own| own.ports.iter().copied());
        let extra = self.punching.attempt.iter().flat_map(|attempt| attempt.asking.ports(false));
        main.chain(extra).collect()
    }

    fn tell_measured(&mut self, law: Law) {
        let asking = self.punching.attempt.as_ref().map(|attempt| &attempt.asking);
        let observed = asking.is_some_and(Asking::is_per_address);
        if asking.is_some_and(|asking| asking.again.is_some()) && !observed {
            self.punching.mappings.note(self.now);
        }
        let Some(own) = &mut self.punching.own else { return };
        own.per_address |= observed;
        let per_address = own.per_address && !matches!(law, Law::Known { .. });
        let (ip, forgives) = (own.ip, own.forgives);
        self.on_measured(Side { law, forgives, per_address }, ip);
    }

    /// Opens extra sockets and asks from them, until there are so many questions.
    fn ask_from_new(&mut self, stage: Stage, questions: usize) {
        let sockets = questions.div_ceil(self.reflectors().len().max(1)).max(2);
        let Some(attempt) = &self.punching.attempt else { return };
        let asked = attempt.extra.len();
        self.open_extra_sockets(sockets);
        let Some(attempt) = &mut self.punching.attempt else { return };
        attempt.stage = stage;
        for socket in attempt.extra.iter().skip(asked).copied().collect::<Vec<_>>() {
            self.ask_reflectors(socket, false);
        }
        self.wait_for_answers();
    }

    /// Asks all reflectors from one socket; how many that are.
    fn ask_reflectors(&mut self, socket: u16, main: bool) -> usize {
        let reflectors = self.reflectors();
        for &(peer, to) in &reflectors {
            let mark = self.put_question(peer, UdpTarget { to, socket }, main);
            let now = self.now;
            if !main {
                self.punching.mappings.note(now);
            }
            if let Some(attempt) = &mut self.punching.attempt {
                attempt.asking.note(mark, peer, main);
            }
        }
        reflectors.len()
    }

    /// Asks all reflectors from the socket that the node listens on, for an operator.
    pub(in crate::node) fn ask_for_operator(&mut self) -> Asking {
        let mut asking = Asking::default();
        let Some(socket) = self.main_socket() else { return asking };
        for (peer, to) in self.reflectors() {
            asking.note(self.put_question(peer, UdpTarget { to, socket }, true), peer, true);
        }
        asking
    }

    fn put_question(&mut self, peer: PeerId, target: UdpTarget, twice: bool) -> Mark {
        let mark = self.rng.bytes();
        self.send_reflection(peer, target, REFLECTION_ASKED, &Ask { twice, ..Ask::new(mark) }.encode());
        mark
    }

    /// Takes an answer in. If nobody else was asked, whoever gave it is asked at its other port too: what it sees at both
    /// shows whether the own ports depend on the other side.
    fn hear_reflector(&mut self, peer: PeerId, answer: &Answer, asking: impl Fn(&mut Punching) -> Option<&mut Asking>) {
        let Some(heard) = asking(&mut self.punching) else { return };
        heard.hear(peer, answer);
        if heard.questions.len() > 1 {
            return;
        }
        let Some(at) = heard.elsewhere else { return };
        if let Some((mark, asking)) = self.put_question_elsewhere(at, true).zip(asking(&mut self.punching)) {
            asking.note(mark, peer, true);
        }
    }

    fn put_question_elsewhere(&mut self, at: Elsewhere, twice: bool) -> Option<Mark> {
        let known = self.peer(at.peer)?.udp?;
        let target = self.target(SocketAddr::new(known.to.ip(), at.port))?;
        Some(self.put_question(at.peer, target, twice))
    }

    /// Asks who answered first at its other port too: whether the own ports, which depend on the other side's address,
    /// depend on its port too.
    fn ask_again(&mut self) -> bool {
        let Some(Attempt { asking, .. }) = &self.punching.attempt else { return false };
        let asks = asking.again.is_none() && asking.sees_several_hosts();
        let Some(at) = asking.elsewhere.filter(|_| asks) else { return false };
        let Some(mark) = self.put_question_elsewhere(at, false) else { return false };
        if let Some(attempt) = &mut self.punching.attempt {
            attempt.asking.again = Some(Again { mark, first: at.first, seen: None });
        }
        true
    }

    /// Nodes with a direct path at different addresses.
    fn reflectors(&self) -> Vec<(PeerId, SocketAddr)> {
        let mut found: Vec<(PeerId, SocketAddr)> = Vec::new();
        for peer in self.mesh.graph.ids() {
            let Some(known) = self.peer(peer).filter(|known| known.is_confirmed()) else { continue };
            let Some(to) = known.udp.map(|target| target.to).filter(SocketAddr::is_ipv4) else { continue };
            let new = found.iter().all(|(_, other)| other.ip() != to.ip());
            if new && self.uses(peer, Feature::Punch) && found.len() < REFLECTORS {
                found.push((peer, to));
            }
        }
        found
    }

    fn send_reflection(&mut self, peer: PeerId, target: UdpTarget, kind: u8, data: &[u8]) {
        self.send_straight(peer, target, kind, Packet::from_payload(data));
    }

    /// A node wants to know where its datagrams come from; the second answer goes first, as it tells of filters by arriving.
    pub(in crate::node) fn on_reflection_asked(&mut self, peer: PeerId, data: &[u8], from: UdpTarget) {
        if !self.answers_reflection(peer) || !self.may_answer_at(peer, from) || !self.punching.answers.take(self.now) {
            return;
        }
        let Some(ask) = Ask::parse(data) else { return };
        let other = self.punching.reflecting.filter(|_| ask.twice && from.to.is_ipv4());
        let answer = Answer { mark: ask.mark, from_elsewhere: false, seen: from.to, other: self.punching.other_port };
        if let Some(socket) = other.filter(|&socket| socket != from.socket) {
            let second = Answer { from_elsewhere: true, ..answer };
            self.send_reflection(peer, UdpTarget { socket, ..from }, REFLECTION, &second.encode());
        }
        if self.uses(peer, Feature::Keepalive)
            && let Some(elsewhere) = self.note_orders(peer, &ask, from)
        {
            self.send_reflection(peer, elsewhere, REFLECTION, &answer.encode());
        }
        self.answer_reflection(peer, ask.mark, from);
    }

    pub(in crate::node) fn answer_reflection(&mut self, peer: PeerId, mark: Mark, from: UdpTarget) {
        let answer = Answer { mark, from_elsewhere: false, seen: from.to, other: self.punching.other_port };
        self.send_reflection(peer, from, REFLECTION, &answer.encode());
    }

    /// Whether an answer to there leaves attempts the ports that they need: at another address than the peer's it may take one.
    fn may_answer_at(&mut self, peer: PeerId, from: UdpTarget) -> bool {
        let known = self.peer(peer).and_then(|known| known.udp) == Some(from);
        let one_for_all = |own: &OwnNat| matches!(Law::of_one_socket(&own.ports), Some(Law::Known { .. }));
        known || self.punching.own.as_ref().is_none_or(one_for_all) || self.has_port_to_spare()
    }

    fn answers_reflection(&self, peer: PeerId) -> bool {
        self.uses(peer, Feature::Punch) || self.uses(peer, Feature::Keepalive)
    }

    pub(in crate::node) fn on_reflection(&mut self, peer: PeerId, data: &[u8], from: UdpTarget) {
        let Some(answer) = Answer::parse(data).filter(|_| self.answers_reflection(peer)) else { return };
        self.on_answer_in_trial(peer, answer.mark, from);
        self.hear_reflector(peer, &answer, |punching| Some(&mut punching.examining.as_mut()?.asking));
        self.finish_examination_if_complete();
        self.hear_reflector(peer, &answer, |punching| Some(&mut punching.attempt.as_mut()?.asking));
        let Some(Attempt { asking, stage, .. }) = &self.punching.attempt else { return };
        if asking.is_complete() && matches!(stage, Stage::Main | Stage::Again | Stage::Pair | Stage::Many) {
            self.evaluate();
        }
    }

    /// Whether the router has a port to spare that no attempt needs; notes that it is taken.
    pub(in crate::node) fn takes_port(&mut self, now: Instant) -> bool {
        self.punching.attempt.is_none() && self.takes_port_beside(now)
    }

    /// The same for a connection: UDP and TCP do not share ports, and attempts go on at once; only the sum is bounded.
    pub(in crate::node) fn takes_port_beside(&mut self, now: Instant) -> bool {
        let free = self.punching.mappings.held(now) < mappings::LIMIT / 2;
        if free {
            self.punching.mappings.note(now);
        }
        free
    }

    fn has_port_to_spare(&mut self) -> bool {
        self.punching.attempt.is_none() && self.punching.mappings.held(self.now) < mappings::LIMIT / 2
    }
}
