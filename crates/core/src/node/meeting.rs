//! Meetings: where datagrams do not get through and neither side can be dialled, both open a TCP connection to each other at
//! once, so that the NATs and firewalls of both take it for one that came from inside.
//!
//! ```text
//!  packets go by TCP through others
//!    ▼ a connection from a chosen port to each of two neighbours: from where do you see it?    mirrors.rs
//!  Measuring ─ offer ─► Offered ─ answer ─► Waiting ─┐ go, half a round trip earlier
//!  Measuring ─ answer ─► Answered ◄──────────────────┴─► Opening: both connect from that port ─► a meta connection, or later again
//! ```
//!
//! Both ends have connected and none has accepted: the smaller name counts as who dialled. Source: docs/protocol.md.

mod mirrors;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::meta::connection::{Connection, Phase};
use crate::meta::error::PeerError;
use crate::name::{ConnId, PeerId};
use crate::node::Node;
use crate::node::io::{Event, Output};
use crate::node::timers::Wake;
use crate::punch::retries::Retries;
use crate::time::Instant;
use crate::wire::endpoint::Endpoints;
use crate::wire::hello::Feature;
use crate::wire::meet::{Message, Terms};

use self::mirrors::{Awaited, Mirror};

/// Plain probes without an answer before TCP is tried: six seconds.
const PLAIN_PROBES: u32 = 8;
/// Attempts at a time.
const AT_A_TIME: usize = 4;
/// Connections that were met and are kept at a time.
const MOST_MET: usize = 16;
/// How long neighbours may take to say where they see a connection.
const ANSWERS: Duration = Duration::from_secs(2);
/// How long a side waits for the other's word.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long both try to connect: a system sends a SYN at once, after one second and after three (RFC 6298).
const WINDOW: Duration = Duration::from_secs(5);
/// Connections that may be tried in an attempt: a router that refuses them may do so at once.
const TRIES: u32 = 16;
/// To an address at which nobody has seen the peer: else a member could have us knock at a stranger's door.
const UNSEEN: u32 = 2;
/// Pauses between tries are below this, or as long as the last one took to be refused, if that is more: of two sides that
/// begin anew a round trip after each other's refusal, one would always come too late.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(500));
/// The longest round trip that is believed.
const LONGEST_TRIP: Duration = Duration::from_secs(2);
/// Without anybody to ask, the next look comes after this.
const NOBODY: Duration = Duration::from_secs(60);
/// A connection that was met is not met again sooner; twice as long each time, as something may end it again and again.
const AGAIN: Duration = Duration::from_secs(10);
/// So often the pause doubles: to 43 minutes.
const LONGEST_AGAIN: u32 = 8;
/// A connection that was met ends when no packet has passed between its ends for so long.
const QUIET: Duration = Duration::from_secs(300);
/// Own ports that attempts take: those that nobody listens on (RFC 6335).
const PORTS: (u16, usize) = (49_152, 16_384);

/// What is kept for meetings.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    attempts: BTreeMap<PeerId, Attempt>,
    /// Own connections that wait to be told where they come from.
    mirrors: BTreeMap<ConnId, Mirror>,
    /// Connections of others that want to be told.
    pub(super) awaited: Awaited,
    /// Packets that had passed to and from peers, and since when there were no more.
    quiet: BTreeMap<PeerId, (u64, Instant)>,
}

#[derive(Debug)]
struct Attempt {
    round: u8,
    /// The own port.
    port: u16,
    stage: Stage,
    /// When the stage goes on or ends.
    until: Instant,
    /// Where the own connections come from, once known.
    own: Option<Endpoints>,
    /// What the other side offered, and when.
    offered: Option<(Terms, Instant)>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Neighbours were asked.
    Measuring,
    /// Own terms went out then.
    Offered(Instant),
    /// Own terms went out, and the other gives the word to connect there.
    Answered(SocketAddr),
    /// The word is on its way, to connect there.
    Waiting(SocketAddr),
    /// Connecting, by this connection at present.
    Opening { to: SocketAddr, conn: Option<ConnId>, began: Instant, left: u32, ends: Instant },
}

impl Attempt {
    /// Whether it is not known yet where the own connections come from.
    const fn is_measuring(&self) -> bool {
        matches!(self.stage, Stage::Measuring)
    }
}

impl Node {
    /// Begins an attempt where packets in use go by TCP through others.
    pub(super) fn consider_meeting(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(tunnel) = self.tunnel(peer) else { return };
        let stuck = tunnel.probing.unanswered >= PLAIN_PROBES && tunnel.is_used(now);
        let (due, round) = (tunnel.meetings.not_before <= now, tunnel.meetings.failures);
        if stuck && due && !self.is_guessing(peer) && self.goes_by_tcp(peer) && self.may_meet(peer) {
            self.begin_meeting(peer, u8::try_from(round).unwrap_or(u8::MAX), None);
        }
    }

    /// Whether packets to `peer` go by TCP, on a part of their way at least: a relay that has paths by UDP on both sides is better.
    fn goes_by_tcp(&self, peer: PeerId) -> bool {
        let relayed = self.tunnel(peer).is_some_and(|tunnel| tunnel.relay.chosen().is_some());
        let by_tcp = |next| !self.is_confirmed(next) || self.uses(next, Feature::Relay);
        !relayed && self.nexthop(peer).is_some_and(by_tcp)
    }

    /// Whether another connection to `peer` is allowed, and there is none.
    fn may_meet(&mut self, peer: PeerId) -> bool {
        if !self.uses(peer, Feature::Meet) || !self.config.mesh.auto_connect || self.config.proxy.is_some() {
            return false;
        }
        let met = self.connections.values().filter(|conn| conn.is_met()).count();
        let there = self.is_neighbour(peer) || self.is_confirmed(peer);
        let open = self.wants_datagrams(peer) && !self.gossip_is_shut(peer);
        !there && open && met < MOST_MET && self.name_of(peer).is_some_and(|name| self.is_member(&name))
    }

    fn begin_meeting(&mut self, peer: PeerId, round: u8, offered: Option<(Terms, Instant)>) {
        let now = self.now;
        if self.meetings.attempts.contains_key(&peer) || self.meetings.attempts.len() >= AT_A_TIME {
            return;
        }
        let mirrors = self.possible_mirrors();
        if mirrors.is_empty() || !self.takes_port_beside(now) {
            if let Some(tunnel) = self.tunnel_mut(peer).filter(|_| offered.is_none()) {
                tunnel.meetings.not_before = now + NOBODY;
            }
            return;
        }
        let port = PORTS.0 + u16::try_from(self.rng.below(PORTS.1)).unwrap_or(0);
        let until = now + ANSWERS;
        let attempt = Attempt { round, port, stage: Stage::Measuring, until, own: None, offered };
        self.meetings.attempts.insert(peer, attempt);
        for mirror in mirrors {
            self.ask_mirror(peer, mirror, port);
        }
        self.timers.set_earlier(Wake::Meet, until);
    }

    pub(super) fn on_meet_message(&mut self, origin: PeerId, kind: u8, message: &[u8]) {
        if !self.uses(origin, Feature::Meet) {
            return;
        }
        match Message::parse(kind, message) {
            Some(Message::Mirror(token)) => self.expect_mirrored(origin, token),
            Some(Message::Seen(token, from)) => self.on_mirror_seen(origin, token, from),
            Some(Message::Offer(terms)) => self.on_meeting_offered(origin, terms),
            Some(Message::Answer { terms, held }) => self.on_meeting_answered(origin, terms, held),
            Some(Message::Go { round }) => self.on_meeting_go(origin, round),
            None => {}
        }
    }

    fn on_meeting_offered(&mut self, origin: PeerId, terms: Terms) {
        if !self.may_meet(origin) {
            return;
        }
        let now = self.now;
        let (leads, offered) = (self.leads(origin), Some((terms, now)));
        let Some(attempt) = self.meetings.attempts.get_mut(&origin) else {
            // Who keeps to the pauses never asks too often.
            if self.tunnel_mut(origin).is_some_and(|tunnel| tunnel.calls.admit(now)) {
                self.begin_meeting(origin, terms.round, offered);
            }
            return;
        };
        match attempt.stage {
            // Ours is on its way, and counts.
            Stage::Offered(_) if leads => {}
            Stage::Offered(_) => {
                attempt.offered = offered;
                self.answer_meeting(origin);
            }
            Stage::Measuring => attempt.offered = offered,
            Stage::Answered(_) | Stage::Waiting(_) | Stage::Opening { .. } => {}
        }
    }

    /// It is known where own connections come from: offers that, or answers.
    fn on_meeting_measured(&mut self, peer: PeerId, own: Endpoints) {
        let now = self.now;
        let Some(attempt) = self.meetings.attempts.get_mut(&peer) else { return };
        attempt.own = Some(own);
        if attempt.offered.is_some() {
            return self.answer_meeting(peer);
        }
        attempt.stage = Stage::Offered(now);
        attempt.until = now + PATIENCE;
        let (round, until) = (attempt.round, attempt.until);
        self.send_sealed(peer, &Message::Offer(Terms { round, from: own }).encode());
        self.timers.set_earlier(Wake::Meet, until);
    }

    fn answer_meeting(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(attempt) = self.meetings.attempts.get_mut(&peer) else { return };
        let (Some(from), Some((terms, came))) = (attempt.own, attempt.offered) else { return };
        let round = terms.round;
        attempt.round = round;
        attempt.until = now + PATIENCE;
        let (place, until) = (terms.place_for(from), attempt.until);
        attempt.stage = place.map_or(attempt.stage, Stage::Answered);
        self.send_sealed(peer, &Message::Answer { terms: Terms { round, from }, held: now.since(came) }.encode());
        if place.is_none() {
            return self.end_meeting(peer, Some(false));
        }
        self.timers.set_earlier(Wake::Meet, until);
    }

    /// The other side is ready: the word goes out, and is there half a round trip later.
    fn on_meeting_answered(&mut self, origin: PeerId, terms: Terms, held: Duration) {
        let now = self.now;
        let Some(attempt) = self.meetings.attempts.get_mut(&origin) else { return };
        let Stage::Offered(at) = attempt.stage else { return };
        if attempt.round != terms.round {
            return;
        }
        let Some(place) = attempt.own.and_then(|own| terms.place_for(own)) else {
            return self.end_meeting(origin, Some(false));
        };
        let trip = now.since(at).saturating_sub(held).min(LONGEST_TRIP);
        attempt.stage = Stage::Waiting(place);
        attempt.until = now + trip / 2;
        let until = attempt.until;
        self.send_sealed(origin, &Message::Go { round: terms.round }.encode());
        self.timers.set_earlier(Wake::Meet, until);
    }

    fn on_meeting_go(&mut self, origin: PeerId, round: u8) {
        let Some(attempt) = self.meetings.attempts.get(&origin).filter(|attempt| attempt.round == round) else {
            return;
        };
        if let Stage::Answered(place) = attempt.stage {
            self.start_opening(origin, place);
        }
    }

    fn start_opening(&mut self, peer: PeerId, to: SocketAddr) {
        let now = self.now;
        let left = if self.was_seen_at(peer, to.ip()) { TRIES } else { UNSEEN };
        let ends = now + WINDOW;
        let Some(attempt) = self.meetings.attempts.get_mut(&peer) else { return };
        attempt.stage = Stage::Opening { to, conn: None, began: now, left, ends };
        if let Some(name) = self.name_of(peer) {
            self.event(Event::Note(format!("No path by UDP to {name}: both connect to each other by TCP at once")));
        }
        self.open_once(peer);
    }

    /// One try.
    fn open_once(&mut self, peer: PeerId) {
        let (now, leads) = (self.now, self.leads(peer));
        let number = self.next_conn().0 | ConnId::MET;
        let id = ConnId(if leads { number } else { number | ConnId::ACCEPTED });
        let Some(name) = self.name_of(peer) else { return self.end_meeting(peer, Some(true)) };
        let Some(attempt) = self.meetings.attempts.get_mut(&peer) else { return };
        let Stage::Opening { to, conn, began, left, ends } = &mut attempt.stage else { return };
        let (to, until, port) = (*to, *ends, attempt.port);
        (*conn, *began, *left) = (Some(id), now, *left - 1);
        attempt.until = until;
        self.connections.insert(id, Connection::new(id, to, Some(name.clone()), now));
        self.timers.set_earlier(Wake::Meet, until);
        self.emit(Output::Connect { conn: id, peer: name, to, from: Some(port) });
    }

    /// A connection of an attempt ended; false: it belongs to none, or has got farther than that.
    pub(super) fn on_meeting_closed(&mut self, id: ConnId) -> bool {
        if self.on_mirror_closed(id) {
            return true;
        }
        let trying = |conn: &&Connection| conn.is_met() && matches!(conn.phase, Phase::Connecting);
        if self.connections.get(&id).filter(trying).is_none() {
            return false;
        }
        self.connections.remove(&id);
        let mut attempts = self.meetings.attempts.iter();
        let is_its = |stage: Stage| matches!(stage, Stage::Opening { conn, .. } if conn == Some(id));
        if let Some(peer) = attempts.find(|(_, attempt)| is_its(attempt.stage)).map(|(&peer, _)| peer) {
            self.open_again(peer);
        }
        true
    }

    /// The last try was refused: there is another after a chance pause.
    fn open_again(&mut self, peer: PeerId) {
        let now = self.now;
        let chance = self.rng.next_u64();
        let Some(attempt) = self.meetings.attempts.get_mut(&peer) else { return };
        let Stage::Opening { conn, began, left, .. } = &mut attempt.stage else { return };
        *conn = None;
        if *left == 0 {
            return self.end_meeting(peer, Some(true));
        }
        let longest = now.since(*began).clamp(PAUSE.0, PAUSE.1).as_micros();
        let pause = u64::try_from(u128::from(chance) % longest).unwrap_or(0);
        attempt.until = now + Duration::from_micros(pause);
        let until = attempt.until;
        self.timers.set_earlier(Wake::Meet, until);
    }

    pub(super) fn on_meeting_time(&mut self) {
        let now = self.now;
        let due = self.meetings.attempts.iter().filter(|(_, attempt)| attempt.until <= now);
        for peer in due.map(|(&peer, _)| peer).collect::<Vec<_>>() {
            self.go_on_meeting(peer);
        }
        if let Some(next) = self.meetings.attempts.values().map(|attempt| attempt.until).min() {
            self.timers.set_earlier(Wake::Meet, next);
        }
    }

    fn go_on_meeting(&mut self, peer: PeerId) {
        let now = self.now;
        if self.is_confirmed(peer) {
            return self.end_meeting(peer, None);
        }
        let Some(stage) = self.meetings.attempts.get(&peer).map(|attempt| attempt.stage) else { return };
        match stage {
            Stage::Measuring => self.evaluate_mirrors(peer),
            Stage::Offered(_) | Stage::Answered(_) => self.end_meeting(peer, Some(true)),
            Stage::Waiting(to) => self.start_opening(peer, to),
            Stage::Opening { conn: None, ends, .. } if now < ends => self.open_once(peer),
            Stage::Opening { .. } => self.end_meeting(peer, Some(true)),
        }
    }

    /// There is a connection with `peer`, however it came about.
    pub(super) fn on_connected_with(&mut self, peer: PeerId) {
        let now = self.now;
        let met = self.meetings.attempts.contains_key(&peer);
        if let Some(tunnel) = self.tunnel_mut(peer) {
            let before = if met { tunnel.meetings.failures } else { 0 };
            let not_before = now + AGAIN * (1 << before.min(LONGEST_AGAIN));
            tunnel.meetings = Retries { failures: before.saturating_add(u32::from(met)), not_before };
        }
        self.remember_attempts(peer);
        self.end_meeting(peer, None);
    }

    /// Ends an attempt; `failed`: in vain, and whether another may follow quickly.
    fn end_meeting(&mut self, peer: PeerId, failed: Option<bool>) {
        let now = self.now;
        let Some(attempt) = self.meetings.attempts.remove(&peer) else { return };
        if let (Some(quickly), Some(tunnel)) = (failed, self.tunnel_mut(peer)) {
            tunnel.meetings.note(false, quickly, now);
        }
        self.remember_attempts(peer);
        self.close_mirrors(peer);
        if let Stage::Opening { conn: Some(id), .. } = attempt.stage
            && self.connections.get(&id).is_some_and(|conn| matches!(conn.phase, Phase::Connecting))
        {
            self.connections.remove(&id);
            self.emit(Output::Close { conn: id, tarpit: false });
        }
    }

    /// In another network nothing holds of what was found out.
    pub(super) fn forget_meetings(&mut self) {
        for peer in self.meetings.attempts.keys().copied().collect::<Vec<_>>() {
            self.end_meeting(peer, None);
        }
    }

    /// Connections that were met serve packets: without any they end, unless there is no other to the mesh, or the operator
    /// named the peer.
    pub(super) fn end_quiet_meetings(&mut self) {
        use std::sync::atomic::Ordering::Relaxed;
        let now = self.now;
        let mut before = std::mem::take(&mut self.meetings.quiet);
        let met: Vec<(ConnId, PeerId)> = self
            .connections
            .values()
            .filter(|conn| conn.is_met())
            .filter_map(|conn| Some((conn.id, conn.peer?)))
            .collect();
        let others = self.lasting_connections() > 0;
        for (id, peer) in met {
            let named = self.name_of(peer).is_some_and(|name| self.config.connect_to.contains(&name));
            let Some(stats) = self.peer(peer).map(|known| &known.stats) else { continue };
            let passed = stats.in_packets.load(Relaxed).wrapping_add(stats.out_packets.load(Relaxed));
            let entry = before.remove(&peer).filter(|&(count, _)| count == passed).unwrap_or((passed, now));
            if now.since(entry.1) >= QUIET && others && !named {
                if let Some(tunnel) = self.tunnel_mut(peer) {
                    tunnel.meetings = Retries::default();
                }
                self.remember_attempts(peer);
                self.terminate(id, &PeerError::Superfluous);
            } else {
                self.meetings.quiet.insert(peer, entry);
            }
        }
    }
}
