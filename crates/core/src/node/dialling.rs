//! Outgoing connections: whom to dial, at which address, and when again.
//!
//! Source: spec meta-protocol 3, 13, 14.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::meta::connection::{Connection, Purpose};
use crate::meta::error::PeerError;
use crate::meta::proxy::Prelude;
use crate::name::{ConnId, NodeName, PeerId};
use crate::node::io::{Event, Output, Persist};
use crate::node::timers::Wake;
use crate::node::{Node, PERIOD};
use crate::time::Instant;

/// The back-off grows by so much with each round of addresses.
const BACK_OFF_STEP: Duration = Duration::from_secs(5);
/// A node that AutoConnect chose is dialled so long after it was asked for its key.
const INTRODUCTION: Duration = Duration::from_secs(1);
/// AutoConnect wants so many active connections.
const WANTED_CONNECTIONS: usize = 3;

/// Whom this node dials.
#[derive(Debug, Default)]
pub(super) struct Dialling {
    outgoing: BTreeMap<PeerId, Outgoing>,
    next_conn: u64,
    /// The number of the next question for the addresses of a name.
    next_question: u64,
    /// Asked for its key a moment ago, to be dialled next.
    introduced: Option<PeerId>,
}

/// One node that we want to be connected to.
#[derive(Debug, Default)]
struct Outgoing {
    back_off: Duration,
    /// Addresses still to be tried in this round; `None`: the round has not begun.
    round: Option<Round>,
    conn: Option<ConnId>,
    /// Named by the operator, so AutoConnect keeps it.
    configured: bool,
}

#[derive(Debug, Default)]
struct Round {
    places: VecDeque<Place>,
    tried: BTreeSet<SocketAddr>,
    /// The name that is being looked up.
    asked: Option<Asked>,
}

/// A question for the addresses of a name.
#[derive(Debug)]
struct Asked {
    number: u64,
    host: String,
    port: u16,
}

/// Where a node may be.
#[derive(Debug)]
enum Place {
    At(SocketAddr),
    Named(String, u16),
}

impl Round {
    /// The next place, but no address twice.
    fn next(&mut self) -> Option<Place> {
        while let Some(place) = self.places.pop_front() {
            match place {
                Place::At(address) if !self.tried.insert(address) => {}
                Place::At(_) | Place::Named(..) => return Some(place),
            }
        }
        None
    }
}

impl Node {
    pub(super) fn start_dialling(&mut self) {
        for name in self.config.connect_to.clone() {
            if name == self.config.name {
                continue;
            }
            let peer = self.intern(&name);
            let record = self.dialling.outgoing.entry(peer).or_default();
            record.configured = true;
            record.back_off = Duration::ZERO;
            self.dial(peer);
        }
    }

    /// Drops the records of nodes that the operator does not name any more; those of AutoConnect stay.
    pub(super) fn forget_dialling(&mut self) {
        let wanted: BTreeSet<PeerId> =
            self.config.connect_to.iter().filter_map(|name| self.mesh.graph.find(name)).collect();
        let records = self.dialling.outgoing.iter();
        let stale = records.filter(|(peer, record)| record.configured && !wanted.contains(peer));
        for peer in stale.map(|(&peer, _)| peer).collect::<Vec<_>>() {
            self.stop_dialling(peer);
        }
    }

    /// Dials nobody any more.
    pub(super) fn end_dialling(&mut self) {
        for peer in self.dialling.outgoing.keys().copied().collect::<Vec<_>>() {
            self.stop_dialling(peer);
        }
    }

    fn stop_dialling(&mut self, peer: PeerId) {
        self.timers.cancel(Wake::Retry(peer));
        if let Some(conn) = self.dialling.outgoing.remove(&peer).and_then(|record| record.conn) {
            self.terminate(conn, &PeerError::Superfluous);
        }
    }

    /// Makes the next attempt to reach `peer`, unless there is a connection or an attempt already.
    pub(super) fn dial(&mut self, peer: PeerId) {
        self.timers.cancel(Wake::Retry(peer));
        if self.peer(peer).is_none_or(|known| known.conn.is_some()) {
            return;
        }
        let Some(record) = self.dialling.outgoing.get(&peer) else { return };
        if record.conn.is_some() {
            return;
        }
        if let Some(name) = self.name_of(peer).filter(|name| !self.is_member(name)) {
            return self.back_off(peer, name);
        }
        let Some(record) = self.dialling.outgoing.get(&peer) else { return };
        if record.round.is_none() {
            let round = self.new_round(peer);
            if let Some(record) = self.dialling.outgoing.get_mut(&peer) {
                record.round = Some(round);
            }
        }
        self.try_next(peer);
    }

    /// All that is known of where a node is: addresses that worked, those that others announce,
    /// and the names in its host file.
    fn new_round(&self, peer: PeerId) -> Round {
        let Some(known) = self.peer(peer) else { return Round::default() };
        let announced = self.announced_addresses(peer).into_iter().rev();
        let mut places: VecDeque<Place> = known.cached.iter().copied().chain(announced).map(Place::At).collect();
        let told = self.config.hosts.get(&known.name).map_or(&[][..], |host| &host.addresses);
        places.extend(told.iter().map(|(host, port)| match host.parse() {
            Ok(ip) => Place::At(SocketAddr::new(ip, *port)),
            Err(_) => Place::Named(host.clone(), *port),
        }));
        Round { places, ..Round::default() }
    }

    /// Where other nodes see `peer`.
    pub(super) fn announced_addresses(&self, peer: PeerId) -> Vec<SocketAddr> {
        let graph = &self.mesh.graph;
        graph.edges(peer).filter_map(|edge| graph.edge(edge.to, peer)?.address.ip()).collect()
    }

    fn try_next(&mut self, peer: PeerId) {
        let Some(name) = self.peer(peer).map(|known| known.name.clone()) else { return };
        loop {
            let Some(round) = self.dialling.outgoing.get_mut(&peer).and_then(|record| record.round.as_mut()) else {
                return;
            };
            let address = match round.next() {
                Some(Place::At(address)) => address,
                Some(Place::Named(host, port)) => {
                    let question = self.dialling.next_question;
                    round.asked = Some(Asked { number: question, host: host.clone(), port });
                    self.dialling.next_question += 1;
                    return self.emit(Output::Resolve { question, host, port });
                }
                None => return self.back_off(peer, name),
            };
            match self.config.proxy.as_ref().map(|proxy| Prelude::new(proxy, address)).transpose() {
                Ok(prelude) => return self.connect(peer, name, address, prelude),
                Err(error) => {
                    let (name, reason) = (name.clone(), error.to_string());
                    self.event(Event::ProxyFailed { name, remote: address, reason });
                }
            }
        }
    }

    pub(super) fn connect(&mut self, peer: PeerId, name: NodeName, address: SocketAddr, prelude: Option<Prelude>) {
        let id = self.call(name, address, prelude, Purpose::Meta);
        if let Some(record) = self.dialling.outgoing.get_mut(&peer) {
            record.conn = Some(id);
        }
    }

    /// Begins a connection.
    pub(super) fn call(
        &mut self,
        name: NodeName,
        address: SocketAddr,
        prelude: Option<Prelude>,
        purpose: Purpose,
    ) -> ConnId {
        let id = self.next_conn();
        let mut conn = Connection::new(id, address, Some(name.clone()), self.now);
        conn.purpose = purpose;
        conn.beyond = prelude.as_ref().and_then(Prelude::name);
        conn.prelude = prelude.map(Box::new);
        self.connections.insert(id, conn);
        let deadline = self.now + self.config.timing.ping_timeout;
        self.timers.set(Wake::Check(id), deadline);
        self.emit(Output::Connect { conn: id, peer: name, to: address, from: None });
        id
    }

    /// The number of a connection that this node makes.
    pub(super) const fn next_conn(&mut self) -> ConnId {
        let id = ConnId(self.dialling.next_conn);
        self.dialling.next_conn += 1;
        id
    }

    /// Dials the other end of a connection that may have died once more: if it is there, the new one takes the old one's place.
    pub(super) fn dial_beside(&mut self, id: ConnId) {
        let Some(conn) = self.connections.get(&id) else { return };
        let (Some(peer), Some(name), address) = (conn.peer, conn.name.clone(), conn.remote) else { return };
        let ours = self.dialling.outgoing.get(&peer).is_some_and(|record| record.conn == Some(id));
        if !ours || address.ip().is_unspecified() || self.gossip_is_shut(peer) || !self.is_member(&name) {
            return;
        }
        if let Ok(prelude) = self.config.proxy.as_ref().map(|proxy| Prelude::new(proxy, address)).transpose() {
            self.connect(peer, name, address, prelude);
        }
    }

    /// The connection that this node dialled works after all: none is needed beside it.
    pub(super) fn keep_dialled(&mut self, peer: PeerId, id: ConnId) {
        let Some(record) = self.dialling.outgoing.get_mut(&peer) else { return };
        let beside = record.conn.replace(id).filter(|&beside| beside != id);
        if let Some(beside) = beside.filter(|beside| self.connections.contains_key(beside)) {
            self.terminate(beside, &PeerError::Superfluous);
        }
    }

    /// Dials a node at once that is to be dialled, from the beginning.
    pub(super) fn redial(&mut self, peer: PeerId) {
        if let Some(record) = self.dialling.outgoing.get_mut(&peer) {
            (record.back_off, record.round) = (Duration::ZERO, None);
            self.dial(peer);
        }
    }

    fn back_off(&mut self, peer: PeerId, name: NodeName) {
        let max = self.config.timing.max_timeout;
        let jitter = self.jitter();
        let Some(record) = self.dialling.outgoing.get_mut(&peer) else { return };
        record.round = None;
        record.back_off = (record.back_off + BACK_OFF_STEP).min(max);
        let after = record.back_off;
        self.timers.set(Wake::Retry(peer), self.now + after + jitter);
        self.event(Event::Retrying { name, after });
    }

    pub(super) fn on_resolved(&mut self, question: u64, addresses: &[SocketAddr]) {
        let mut records = self.dialling.outgoing.iter_mut().filter(|(_, record)| record.conn.is_none());
        let answered = records.find_map(|(&peer, record)| {
            let round = record.round.as_mut()?;
            let asked = round.asked.take_if(|asked| asked.number == question)?;
            Some((peer, round, asked))
        });
        // What the name servers of another network had to say comes too late.
        let Some((peer, round, asked)) = answered else { return };
        // The last one comes first, as in tinc.
        addresses.iter().for_each(|&address| round.places.push_front(Place::At(address)));
        let Some(name) = self.peer(peer).filter(|known| known.conn.is_none()).map(|known| known.name.clone()) else {
            return;
        };
        match Some(&asked)
            .filter(|_| addresses.is_empty())
            .and_then(|Asked { host, port, .. }| self.leave_name(host, *port))
        {
            Some(prelude) => {
                let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, asked.port));
                self.connect(peer, name, nowhere, Some(prelude));
            }
            None => self.try_next(peer),
        }
    }

    /// The proxy may know a name that we do not.
    fn leave_name(&mut self, host: &str, port: u16) -> Option<Prelude> {
        let prelude = Prelude::named(self.config.proxy.as_ref()?, host, port).ok()?;
        self.event(Event::Note(format!("The name {host} is left to the proxy")));
        Some(prelude)
    }

    /// A connection ended: if it was wanted, the next address is tried at once.
    pub(super) fn dial_after(&mut self, conn: &Connection) {
        let Some(peer) = conn.name.as_ref().and_then(|name| self.mesh.graph.find(name)) else { return };
        if let Some(record) = self.dialling.outgoing.get_mut(&peer) {
            if record.conn == Some(conn.id) {
                record.conn = None;
            } else if record.conn.is_some() {
                return;
            }
            if conn.is_active() {
                record.round = None;
            }
            if conn.is_active() && self.now.since(conn.started) < PERIOD {
                let at = self.now + PERIOD;
                self.timers.set_earlier(Wake::Retry(peer), at);
            } else if !self.timers.is_set(Wake::Retry(peer)) {
                self.dial(peer);
            }
        }
    }

    /// Dials a node from the beginning when its present connection ends.
    pub(super) fn dial_anew(&mut self, name: &NodeName) {
        let peer = self.mesh.graph.find(name);
        if let Some(record) = peer.and_then(|peer| self.dialling.outgoing.get_mut(&peer)) {
            record.round = None;
        }
    }

    /// An outgoing connection proved itself.
    pub(super) fn dialling_succeeded(&mut self, peer: PeerId, remote: SocketAddr) {
        if let Some(record) = self.dialling.outgoing.get_mut(&peer).filter(|record| !record.back_off.is_zero()) {
            record.back_off = Duration::ZERO;
            record.round = None;
            self.remember_address(peer, remote);
        }
    }

    pub(super) fn remember_address(&mut self, peer: PeerId, address: SocketAddr) {
        // A name that only a proxy knows stands for no address.
        let Some(known) = self.peer_mut(peer).filter(|_| !address.ip().is_unspecified()) else { return };
        if known.remember(address) {
            let persist = Persist::Addresses { name: known.name.clone(), addresses: known.cached.clone() };
            self.emit(Output::Persist(persist));
        }
    }

    /// Tries everything now, also what failed a moment ago.
    pub(super) fn retry_all(&mut self) {
        let peers: Vec<PeerId> = self.dialling.outgoing.keys().copied().collect();
        for peer in peers {
            let Some(record) = self.dialling.outgoing.get_mut(&peer) else { continue };
            (record.back_off, record.round) = (Duration::ZERO, None);
            match record.conn.filter(|id| self.connections.get(id).is_some_and(|conn| !conn.is_active())) {
                Some(conn) => self.terminate(conn, &PeerError::Operator),
                None => self.dial(peer),
            }
        }
    }

    /// Tries now to reach those whose turn would come later.
    pub(super) fn retry_waiting(&mut self) {
        let waiting = |peer: &PeerId| self.timers.is_set(Wake::Retry(*peer));
        let peers: Vec<PeerId> = self.dialling.outgoing.keys().copied().filter(waiting).collect();
        peers.into_iter().for_each(|peer| self.redial(peer));
    }

    /// Looks up anew what is being looked up.
    pub(super) fn ask_anew(&mut self) {
        let asks = |record: &Outgoing| record.round.as_ref().is_some_and(|round| round.asked.is_some());
        let records = self.dialling.outgoing.iter().filter(|(_, record)| asks(record));
        for peer in records.map(|(&peer, _)| peer).collect::<Vec<_>>() {
            self.redial(peer);
        }
    }

    pub(super) fn is_dialled(&self, peer: PeerId) -> bool {
        self.dialling.outgoing.contains_key(&peer)
    }

    /// Addresses of this machine changed: what hung on the old ones is tried again.
    pub(super) fn on_network_changed(&mut self) {
        self.forget_nat();
        self.retry_all();
        let ids: Vec<ConnId> = self.active(None);
        for id in ids {
            self.hasten_ping(id);
        }
    }

    pub(super) fn hasten_ping(&mut self, id: ConnId) {
        let at: Instant = self.now;
        if self.connections.get(&id).is_some_and(|conn| !conn.pinged) {
            self.timers.set(Wake::Check(id), at);
        }
    }

    pub(super) fn on_period(&mut self) {
        let next = self.now + PERIOD + self.jitter();
        self.timers.set(Wake::Periodic, next);
        self.check_contradictions();
        self.end_quiet_meetings();
        if self.config.mesh.auto_connect {
            self.auto_connect();
        }
    }

    /// How many meta connections there are, without those that were met: they come and go with the packets.
    pub(super) fn lasting_connections(&self) -> usize {
        self.connections.values().filter(|conn| conn.is_active() && !conn.is_met()).count()
    }

    fn auto_connect(&mut self) {
        let active = self.lasting_connections();
        if active < WANTED_CONNECTIONS {
            self.make_connection();
            return;
        }
        if active > WANTED_CONNECTIONS {
            self.drop_superfluous();
        }
        self.cancel_pending();
        self.help_unreachable();
    }

    fn may_dial(&mut self, peer: PeerId) -> bool {
        if self.name_of(peer).is_some_and(|name| !self.is_member(&name)) {
            return false;
        }
        self.peer(peer).is_some_and(|known| {
            // Of nodes that became unreachable others' edges are still known: without the addresses in them a mesh that
            // fell apart would stay so.
            let is_somewhere = || known.reachable || !self.new_round(peer).places.is_empty();
            let refused = self.is_old(peer) && !self.may_dial_old(&known.name);
            peer != PeerId::ME && known.conn.is_none() && !refused && is_somewhere()
        })
    }

    fn make_connection(&mut self) {
        let mut eligible = self.mesh.graph.ids();
        eligible.retain(|&peer| self.may_dial(peer));
        if eligible.is_empty() {
            return;
        }
        let known =
            |peer: &PeerId| eligible.contains(peer) && self.peer(*peer).is_some_and(|known| known.key.is_some());
        let introduced = self.dialling.introduced.filter(known);
        self.dialling.introduced = None;
        if let Some(peer) = introduced {
            self.dial_new(peer);
            return;
        }
        let peer = eligible[self.rng.below(eligible.len())];
        if self.is_reachable(peer) && !self.is_old(peer) {
            self.introduce(peer);
        } else {
            self.dial_new(peer);
        }
    }

    /// A node that does not know us would refuse us: whoever is asked for its key asks back for ours.
    fn introduce(&mut self, peer: PeerId) {
        let Some(name) = self.name_of(peer) else { return };
        self.ask_key(peer, name);
        self.dialling.introduced = Some(peer);
        let soon = self.now + INTRODUCTION;
        self.timers.set_earlier(Wake::Periodic, soon);
    }

    fn dial_new(&mut self, peer: PeerId) {
        if let Entry::Vacant(place) = self.dialling.outgoing.entry(peer) {
            place.insert(Outgoing::default());
            self.dial(peer);
        }
    }

    fn drop_superfluous(&mut self) {
        let candidates: Vec<PeerId> = self
            .dialling
            .outgoing
            .iter()
            .filter(|(peer, record)| {
                let active = record.conn.and_then(|id| self.connections.get(&id)).is_some_and(Connection::is_active);
                active && !record.configured && self.mesh.graph.edges(**peer).count() >= 2
            })
            .map(|(&peer, _)| peer)
            .collect();
        if !candidates.is_empty() {
            let peer = candidates[self.rng.below(candidates.len())];
            self.stop_dialling(peer);
        }
    }

    fn cancel_pending(&mut self) {
        let pending: Vec<PeerId> = self
            .dialling
            .outgoing
            .iter()
            .filter(|(peer, record)| {
                record.conn.is_none() && !record.configured && self.timers.is_set(Wake::Retry(**peer))
            })
            .map(|(&peer, _)| peer)
            .collect();
        for peer in pending {
            self.stop_dialling(peer);
        }
    }

    fn help_unreachable(&mut self) {
        let all = self.mesh.graph.ids();
        let peer = all[self.rng.below(all.len())];
        if !self.is_reachable(peer) && self.may_dial(peer) {
            self.dial_new(peer);
        }
    }
}
