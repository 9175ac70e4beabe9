//! `Link`: what waits for one neighbour, and what was sent and not confirmed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fides::{Item, Neighbour, Session};

use crate::time::Instant;
use crate::trust::gossip::message::name;

/// Items sent that a neighbour has not confirmed, at most.
const MAX_FLIGHT: usize = 64;
/// Items that wait for a neighbour at most: the rest is found by the next reconciliation.
const MAX_WAITING: usize = 131_072;
/// Times that an item is sent.
const TRIES: u32 = 5;
/// Wait for the first confirmation; it doubles with each try.
const PATIENCE: Duration = Duration::from_secs(1);

/// One neighbour.
#[derive(Debug)]
pub(super) struct Link {
    /// What it may cost.
    pub(super) neighbour: Neighbour,
    /// The reconciliation that this node started.
    pub(super) ours: Option<Session>,
    /// The one that the neighbour started.
    pub(super) theirs: Option<Session>,
    /// When it was last told the time.
    pub(super) told: Option<Instant>,
    waiting: VecDeque<Item>,
    flight: BTreeMap<u64, Flight>,
    is_up: bool,
}

/// An item on its way.
#[derive(Debug)]
struct Flight {
    item: Item,
    tries: u32,
    /// When it is sent, or sent again.
    due: Instant,
}

impl Link {
    pub(super) const fn new(neighbour: Neighbour) -> Self {
        let waiting = VecDeque::new();
        Self { neighbour, ours: None, theirs: None, told: None, waiting, flight: BTreeMap::new(), is_up: false }
    }

    pub(super) fn connect(&mut self) {
        self.disconnect();
        self.is_up = true;
    }

    pub(super) fn disconnect(&mut self) {
        self.is_up = false;
        self.ours = None;
        self.theirs = None;
        self.told = None;
        self.waiting = VecDeque::new();
        self.flight.clear();
    }

    pub(super) const fn is_up(&self) -> bool {
        self.is_up
    }

    /// Something is to be sent.
    pub(super) fn push(&mut self, item: Item) {
        if self.is_up && self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(item);
        }
    }

    /// The neighbour has an item.
    pub(super) fn on_known(&mut self, name: u64) {
        self.flight.remove(&name);
    }

    /// Forgets what was sent often enough.
    pub(super) fn repeat(&mut self, now: Instant) {
        self.flight.retain(|_, flight| flight.due > now || flight.tries < TRIES);
    }

    /// When something is to be sent again.
    pub(super) fn next_repeat(&self) -> Option<Instant> {
        self.flight.values().map(|flight| flight.due).min()
    }

    /// What is to be sent now: texts of items.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<String> {
        while self.flight.len() < MAX_FLIGHT
            && let Some(item) = self.waiting.pop_front()
        {
            self.flight.entry(name(&item)).or_insert(Flight { item, tries: 0, due: now });
        }
        let due = self.flight.values_mut().filter(|flight| flight.due <= now && flight.tries < TRIES);
        let texts = due.map(|flight| {
            flight.due = now + PATIENCE * 2u32.pow(flight.tries);
            flight.tries += 1;
            flight.item.to_string()
        });
        texts.collect()
    }
}
