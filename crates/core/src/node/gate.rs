//! Compiles what members may send for the packet path (`dataplane/gate.rs`): anew when statements change or their time
//! comes, and for single nodes when their keys become known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fides::{Allowance, Key, Subject};

use crate::dataplane::ethernet::Mac;
use crate::dataplane::gate::{Filter, Gate, Pace, Reach, Relay, Rights, Stations, Volume, Wall};
use crate::name::{NodeName, PeerId};
use crate::node::Node;
use crate::node::io::Event;
use crate::node::timers::Wake;
use crate::time::Instant;
use crate::trust;
use crate::trust::reach::Reaching;
use crate::trust::rights::Laws;
use crate::trust::topics;

/// Bytes of a megabyte.
const MEGABYTE: u64 = 1_000_000;

/// What the packet path is told, and of what it was made.
#[derive(Debug, Default)]
pub(super) struct Gating {
    /// When all of it was compiled.
    compiled: Option<Instant>,
    /// What it is told; `None`: everything may pass.
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) laws: Laws,
    reaching: Reaching,
    /// What nodes may begin with this one, by the statements that are about them.
    classes: BTreeMap<BTreeSet<Subject>, Arc<Reach>>,
    filter: Option<Arc<Filter>>,
    wall: Arc<Wall>,
    /// Nodes that are not to be found by their names.
    nameless: BTreeSet<NodeName>,
    /// Nodes that routes are not to lead through.
    pub(super) avoided: BTreeSet<PeerId>,
}

impl Node {
    /// It is this late; days are counted by it.
    pub(super) fn tell_wall(&self) {
        self.gating.wall.tell(self.now, self.trust.span(self.now).latest().0);
    }

    /// Compiles anew what may have changed; all of it in a large mesh not for every statement of a flood.
    pub(super) fn refresh_gate(&mut self) {
        let due = self.gating.compiled.map(|last| last + self.route_interval()).filter(|&due| due > self.now);
        if let Some(due) = due.filter(|_| self.dirty.gate) {
            self.timers.set_earlier(Wake::Gate, due);
        }
        let everything = due.is_none() && std::mem::take(&mut self.dirty.gate);
        if everything {
            self.gating.compiled = Some(self.now);
            self.tell_wall();
            self.learn_laws();
            self.reassess_members();
        }
        let changed = self.changed_keys(everything);
        if !everything && changed.is_empty() {
            return;
        }
        let gate = self.needs_gate().then(|| Arc::new(self.compiled(&changed)));
        self.dirty.fib |= gate.is_some() || self.gating.gate.is_some();
        self.gating.gate = gate;
        self.avoid_relays();
        self.hide_names(everything, &changed);
    }

    fn learn_laws(&mut self) {
        let laws = self.trust.laws(self.now);
        let overflowed = self.gating.reaching.overflows();
        self.gating.reaching = self.trust.reaching(&laws, self.now);
        self.gating.classes.clear();
        if !laws.speak_of(topics::REACH) {
            self.gating.filter = None;
        } else if self.gating.filter.is_none() {
            self.gating.filter = Some(Arc::new(Filter::new(&mut self.rng)));
        }
        self.gating.laws = laws;
        if self.gating.reaching.overflows() && !overflowed {
            let text = "There are more statements of \"reach\" than are looked at: nobody may begin anything";
            self.event(Event::Note(text.to_owned()));
        }
    }

    /// Whether there is anything to enforce.
    fn needs_gate(&self) -> bool {
        let laws = &self.gating.laws;
        laws.closed
            || [topics::RELAY, topics::RATE, topics::REACH, topics::NAME].iter().any(|topic| laws.speak_of(topic))
    }

    /// The nodes whose rights are to be found out: all, or those that have another key than before.
    fn changed_keys(&self, everything: bool) -> Vec<PeerId> {
        let all = || (0..self.peers.len()).filter_map(|at| u32::try_from(at).ok()).map(PeerId);
        if everything {
            return all().collect();
        }
        let Some(gate) = &self.gating.gate else { return Vec::new() };
        let is_new = |peer: &PeerId| match (self.peer(*peer), gate.rights(*peer)) {
            (Some(known), Some(rights)) => known.key != rights.key,
            (known, rights) => known.is_some() != rights.is_some(),
        };
        self.dirty.peers.iter().copied().filter(is_new).collect()
    }

    fn compiled(&mut self, changed: &[PeerId]) -> Gate {
        let before = self.gating.gate.clone().unwrap_or_default();
        let mut gate = Gate {
            checks_sources: self.gating.laws.closed,
            stations: None,
            rights: before.rights.clone(),
            filter: self.gating.filter.clone(),
            wall: Arc::clone(&self.gating.wall),
        };
        gate.rights.resize(self.peers.len(), None);
        for &peer in changed {
            let rights = self.rights_of(peer, before.rights(peer)).map(Arc::new);
            if let Some(place) = gate.rights.get_mut(peer.index()) {
                *place = rights;
            }
        }
        gate.stations = self.stations(&gate.rights);
        gate
    }

    /// Who may have the stations that are named, if any are.
    fn stations(&self, rights: &[Option<Arc<Rights>>]) -> Option<BTreeMap<Mac, Vec<PeerId>>> {
        let named = self.gating.laws.stations.as_ref().filter(|_| self.gating.laws.closed)?;
        let mut stations: BTreeMap<Mac, Vec<PeerId>> = named.iter().map(|mac| (*mac, Vec::new())).collect();
        for (peer, rights) in (0..).map(PeerId).zip(rights) {
            let Some(Stations::These(own)) = rights.as_ref().map(|rights| &rights.stations) else { continue };
            own.iter().for_each(|mac| stations.entry(*mac).or_default().push(peer));
        }
        Some(stations)
    }

    fn rights_of(&mut self, peer: PeerId, before: Option<&Rights>) -> Option<Rights> {
        let key = self.peer(peer)?.key;
        let before = before.filter(|before| before.key == key);
        let Some(id) = self.key_of(peer) else {
            let laws = &self.gating.laws;
            let relay = if laws.grant(topics::RELAY) { Relay::No } else { Relay::Yes };
            let reach = if laws.grant(topics::REACH) { Reach::default() } else { Reach::everything() };
            return Some(Rights { relay, reach: Arc::new(reach), ..Rights::default() });
        };
        let laws = &self.gating.laws;
        let relay = match self.trust.relay(id, laws, self.now) {
            Allowance::Nothing => Relay::No,
            Allowance::Unlimited => Relay::Yes,
            Allowance::UpTo(megabytes) => {
                Relay::UpTo(Arc::new(Volume::new(megabytes.saturating_mul(MEGABYTE), before.and_then(Rights::volume))))
            }
        };
        let kbit = match self.trust.rate(id, self.now) {
            Allowance::Nothing => Some(0),
            Allowance::UpTo(kbit) => Some(kbit),
            Allowance::Unlimited => None,
        };
        let pace = kbit.map(|kbit| match before.and_then(|before| before.pace.as_deref()) {
            Some(before) => Arc::new(Pace::new(kbit).after(before, self.now)),
            None => Arc::new(Pace::new(kbit)),
        });
        let stations = self.trust.stations(id, laws, self.now);
        let stations = stations.map_or(Stations::Any, |stations| Stations::These(stations.into()));
        Some(Rights { key, relay, pace, stations, reach: self.reach_of(id) })
    }

    /// The key of a node, or the one that statements give it.
    fn key_of(&mut self, peer: PeerId) -> Option<Key> {
        let known = self.peers.get(peer.index())?.as_ref()?;
        let told = known.key.as_ref().map(trust::key);
        told.or_else(|| self.trust.key_by_name(&known.name, &self.gating.laws, self.now))
    }

    fn reach_of(&mut self, key: Key) -> Arc<Reach> {
        let Gating { reaching, classes, filter, .. } = &mut self.gating;
        if filter.is_none() {
            return Arc::default();
        }
        let class = self.trust.reach_class(key, reaching, self.now);
        let reach = || Arc::new(self.trust.reach(key, reaching, self.now));
        Arc::clone(classes.entry(class).or_insert_with(reach))
    }

    /// Tells which nodes are not to be found by their names, if that has changed. The own one always is.
    fn hide_names(&mut self, everything: bool, changed: &[PeerId]) {
        let mut nameless = if everything { BTreeSet::new() } else { self.gating.nameless.clone() };
        if self.gating.laws.speak_of(topics::NAME) {
            for &peer in changed.iter().filter(|peer| **peer != PeerId::ME) {
                let Some(name) = self.peer(peer).map(|known| known.name.clone()) else { continue };
                let key = self.key_of(peer);
                let laws = &self.gating.laws;
                let is_named = match key {
                    Some(key) => self.trust.may_be_called(key, &name, laws, self.now),
                    None => !laws.grant(topics::NAME),
                };
                if is_named {
                    nameless.remove(&name);
                } else {
                    nameless.insert(name);
                }
            }
        }
        if nameless != self.gating.nameless {
            self.gating.nameless.clone_from(&nameless);
            self.event(Event::Nameless(nameless));
        }
    }

    /// Routes lead around nodes that may not relay, as far as there is a way.
    fn avoid_relays(&mut self) {
        let gate = self.gating.gate.as_ref();
        let denied = |rights: &Option<Arc<Rights>>| rights.as_ref().is_some_and(|rights| !rights.may_relay());
        let places = gate.into_iter().flat_map(|gate| gate.rights.iter().enumerate());
        let avoided = places.filter(|(_, rights)| denied(rights)).filter_map(|(at, _)| u32::try_from(at).ok());
        let avoided: BTreeSet<PeerId> = avoided.map(PeerId).filter(|peer| *peer != PeerId::ME).collect();
        if avoided != self.gating.avoided {
            self.gating.avoided = avoided;
            self.dirty.routes = true;
        }
    }
}
