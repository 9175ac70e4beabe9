//! `Gossip`: how statements get from node to node.
//!
//! What is new is pushed at once to every neighbour but the one it came from, and again until the neighbour says that it
//! has it. Now and then a random neighbour is reconciled with ([`fides::Session`]): what pushes missed, both find.
//!
//! ```text
//!  kind 1  items   (length 2 · text)*           statements, each one line, or two as evidence
//!  kind 2  start   salt 16 · time 8 · frame     a reconciliation begins; the time in seconds since 1970, 0: not known
//!  kind 3  frame   whose 1 · frame              of the reconciliation that the sender started (0), or the receiver (1)
//!  kind 4  known   (name 8)*                    items that came: the beginnings of the hashes of their texts
//! ```
//!
//! Messages travel sealed between two nodes that agreed on the feature `statements` (docs/protocol.md). A message is
//! bounded, and so is what a neighbour may cost ([`fides::Neighbour`]) and what waits for it.

mod link;
pub mod message;

use std::collections::BTreeMap;
use std::time::Duration;

use fides::{Accepted, Item, Neighbour, Refused, Session, Step, Time};

use crate::crypto::rng::Rng;
use crate::name::PeerId;
use crate::time::Instant;
use crate::trust::Trust;
use crate::trust::gossip::link::Link;
use crate::trust::gossip::message::Message;

pub use message::KINDS;

/// Shortest distance of two reconciliations that a node starts.
const ROUND: Duration = Duration::from_secs(30);
/// Where there is nothing to reconcile a neighbour is told the time so often at most.
const TELL_AGAIN: Duration = Duration::from_secs(600);
/// By so much the distance is longer at random, in microseconds.
const ROUND_JITTER: u64 = 30_000_000;
/// A message for a neighbour.
pub type Outgoing = (PeerId, Vec<u8>);

/// What came of a message.
#[derive(Debug, Default)]
pub struct Heard {
    /// What its items are.
    pub accepted: Vec<Accepted>,
    /// What time the neighbour says it is.
    pub time: Option<Time>,
    /// Whether the neighbour sent wrong signatures: it is to be disconnected.
    pub is_shut_out: bool,
}

/// All neighbours with whom statements are exchanged.
#[derive(Debug, Default)]
pub struct Gossip {
    links: BTreeMap<PeerId, Link>,
    out: Vec<Outgoing>,
    round: Option<Instant>,
}

/// Whether there is nothing to reconcile, and nothing to wait for.
fn is_idle(trust: &Trust) -> bool {
    !trust.is_closed() && trust.store().items().is_empty()
}

impl Gossip {
    /// A neighbour agreed to exchange statements; `starts` says whether this node begins.
    pub fn connect(&mut self, peer: PeerId, starts: bool, trust: &Trust, now: Instant, rng: &mut Rng) {
        let time = trust.span(now).latest();
        let link = self.links.entry(peer).or_insert_with(|| Link::new(Neighbour::new(time)));
        link.connect();
        self.round.get_or_insert(now + ROUND);
        // Where there is nothing to reconcile each tells the other the time.
        if starts || is_idle(trust) {
            self.start(peer, trust, now, rng);
        }
    }

    /// A neighbour is gone, or begins anew. What it cost is remembered.
    pub fn disconnect(&mut self, peer: PeerId) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.disconnect();
        }
    }

    /// Forgets a neighbour that will not come back under this id.
    pub fn forget(&mut self, peer: PeerId) {
        self.links.remove(&peer);
    }

    /// The neighbours with whom statements are exchanged at present.
    pub fn connected(&self) -> impl Iterator<Item = PeerId> {
        self.links.iter().filter(|(_, link)| link.is_up()).map(|(peer, _)| *peer)
    }

    /// Whether statements are exchanged with a neighbour at present.
    pub fn is_connected(&self, peer: PeerId) -> bool {
        self.links.get(&peer).is_some_and(Link::is_up)
    }

    /// Whether a neighbour sent wrong signatures and is not to be spoken with yet.
    pub fn is_shut_out(&self, peer: PeerId, trust: &Trust, now: Instant) -> bool {
        let time = trust.span(now).latest();
        self.links.get(&peer).is_some_and(|link| link.neighbour.is_shut_out(time))
    }

    /// Passes something on to everybody but the neighbour it came from.
    pub fn spread(&mut self, item: &Item, from: Option<PeerId>, now: Instant) {
        for (&peer, link) in self.links.iter_mut().filter(|(peer, link)| link.is_up() && from != Some(**peer)) {
            link.push(item.clone());
            flush(&mut self.out, peer, link, now);
        }
    }

    /// Takes a message of a neighbour.
    pub fn on_message(&mut self, trust: &mut Trust, peer: PeerId, kind: u8, payload: &[u8], now: Instant) -> Heard {
        let mut heard = Heard::default();
        if !self.is_connected(peer) {
            return heard;
        }
        match Message::parse(kind, payload) {
            Some(Message::Items(texts)) => self.on_items(trust, peer, &texts, now, &mut heard),
            Some(Message::Start { salt, time, frame }) => {
                heard.time = time;
                let session = Session::new(salt, trust.store().items().iter().map(Item::id));
                if let Some(link) = self.links.get_mut(&peer) {
                    link.theirs = Some(session);
                }
                self.on_frame(trust, peer, false, frame, now);
            }
            Some(Message::Frame { is_senders, frame }) => self.on_frame(trust, peer, !is_senders, frame, now),
            Some(Message::Known(names)) => {
                if let Some(link) = self.links.get_mut(&peer) {
                    names.iter().for_each(|name| link.on_known(*name));
                    flush(&mut self.out, peer, link, now);
                }
            }
            None => {}
        }
        heard
    }

    fn on_items(&mut self, trust: &mut Trust, peer: PeerId, texts: &[&str], now: Instant, heard: &mut Heard) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let mut known = Vec::new();
        for text in texts {
            let accepted = trust.accept(text, Some(&mut link.neighbour), now);
            if !matches!(accepted, Err(Refused::TooFast | Refused::Busy | Refused::ShutOut)) {
                known.push(message::name_of_text(text));
            }
            if let Ok(accepted) = accepted {
                heard.accepted.push(accepted);
            }
        }
        heard.is_shut_out = link.neighbour.is_shut_out(trust.span(now).latest());
        known.iter().for_each(|name| link.on_known(*name));
        if !known.is_empty() {
            self.out.push((peer, Message::Known(known).encode()));
        }
    }

    fn on_frame(&mut self, trust: &Trust, peer: PeerId, is_ours: bool, frame: &[u8], now: Instant) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let place = if is_ours { &mut link.ours } else { &mut link.theirs };
        let Some(session) = place else { return };
        let Ok(Step { frames, lacking }) = session.on_frame(frame) else {
            *place = None;
            return;
        };
        let answers = frames.iter().map(|frame| (peer, Message::Frame { is_senders: is_ours, frame }.encode()));
        self.out.extend(answers);
        if lacking.is_empty() {
            return;
        }
        let wanted: std::collections::BTreeSet<_> = lacking.into_iter().collect();
        let items = trust.store().items();
        items.into_iter().filter(|item| wanted.contains(&item.id())).for_each(|item| link.push(item));
        flush(&mut self.out, peer, link, now);
    }

    fn start(&mut self, peer: PeerId, trust: &Trust, now: Instant, rng: &mut Rng) {
        let items = trust.store().items();
        let told = self.links.get(&peer).and_then(|link| link.told);
        if items.is_empty() && !trust.is_closed() && told.is_some_and(|at| now.since(at) < TELL_AGAIN) {
            return;
        }
        let salt = rng.bytes();
        let mut session = Session::new(salt, items.iter().map(Item::id));
        let mut frames = session.start().into_iter();
        let (Some(link), Some(first)) = (self.links.get_mut(&peer), frames.next()) else { return };
        link.ours = Some(session);
        link.told = Some(now);
        let time = trust.told_time(now);
        self.out.push((peer, Message::Start { salt, time, frame: &first }.encode()));
        self.out.extend(frames.map(|frame| (peer, Message::Frame { is_senders: true, frame: &frame }.encode())));
    }

    /// Says again what nobody confirmed, and reconciles with a random neighbour if it is time.
    pub fn on_time(&mut self, trust: &Trust, now: Instant, rng: &mut Rng) {
        for (&peer, link) in &mut self.links {
            link.repeat(now);
            flush(&mut self.out, peer, link, now);
        }
        if self.round.is_some_and(|round| round <= now) {
            let up: Vec<PeerId> = self.connected().collect();
            self.round = (!up.is_empty()).then(|| now + ROUND + Duration::from_micros(rng.next_u64() % ROUND_JITTER));
            if let Some(peer) = usize::try_from(rng.next_u64()).ok().and_then(|at| up.get(at % up.len().max(1))) {
                self.start(*peer, trust, now, rng);
            }
        }
    }

    /// When [`Gossip::on_time`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.links.values().filter_map(Link::next_repeat).chain(self.round).min()
    }

    /// The messages that are to be sent.
    pub fn take_messages(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.out)
    }
}

/// Sends what waits for a neighbour, as far as it keeps up.
fn flush(out: &mut Vec<Outgoing>, peer: PeerId, link: &mut Link, now: Instant) {
    let texts = link.take_due(now);
    out.extend(message::pack(&texts).into_iter().map(|message| (peer, message)));
}

#[cfg(test)]
mod tests;
