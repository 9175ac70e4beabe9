//! Which tinmesh nodes exchange statements with this one, and what comes of it.
//!
//! Neighbours exchange them, and so do tinmesh nodes with nothing but tinc nodes between them: tinc passes their messages on
//! unopened. Of many such nodes behind the same tinc nodes each speaks with a few, those at distances 1, 2, 4, … in the order
//! of names, both ways: so all are connected by few steps.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use fides::Accepted;

use crate::crypto::sptps::Role;
use crate::meta::error::PeerError;
use crate::name::PeerId;
use crate::node::Node;
use crate::node::timers::Wake;
use crate::peer::tunnel::Keying;
use crate::trust;
use crate::trust::topics;
use crate::wire::hello::Feature;
use crate::wire::options::Options;

/// A changed mesh is looked at again after so long.
const SETTLE: Duration = Duration::from_secs(1);
/// A node that has not said hello for so long does not speak of statements.
const SILENCE: Duration = Duration::from_secs(25);
/// Nodes that have not agreed yet are asked again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(5);

impl Node {
    /// Both sides of the session with `peer` agreed on what they use.
    pub(super) fn on_agreed(&mut self, peer: PeerId) {
        if self.uses(peer, Feature::Statements) && (self.is_neighbour(peer) || self.statement_peers().contains(&peer)) {
            self.connect_gossip(peer);
        }
    }

    fn connect_gossip(&mut self, peer: PeerId) {
        if self.gossip_is_shut(peer) {
            return;
        }
        let starts = self.tunnel(peer).is_some_and(|tunnel| match &tunnel.keying {
            Keying::Ready(handshake) => handshake.role() == Role::Initiator,
            Keying::Absent | Keying::Waiting { .. } => false,
        });
        self.statements.connect(peer, starts, &self.trust, self.now, &mut self.rng);
        self.send_statements();
    }

    /// Whether a node sent wrong signatures a short while ago.
    pub(super) fn gossip_is_shut(&self, peer: PeerId) -> bool {
        self.statements.is_shut_out(peer, &self.trust, self.now)
    }

    /// The session with a node ended.
    pub(super) fn disconnect_gossip(&mut self, peer: PeerId) {
        self.statements.disconnect(peer);
    }

    /// Routes changed: other nodes may be the ones to exchange statements with.
    pub(super) fn gossip_soon(&mut self) {
        if self.config.mesh.extensions.has(Feature::Statements) {
            self.timers.set_earlier(Wake::Statements, self.now + SETTLE);
        }
    }

    pub(super) fn on_statements_time(&mut self) {
        self.choose_statement_peers();
        self.statements.on_time(&self.trust, self.now, &mut self.rng);
        self.send_statements();
    }

    /// Whether there is anything to say, or to be waited for: a session costs both sides something.
    fn wants_gossip(&self) -> bool {
        self.trust.is_closed() || !self.trust.ledger().is_empty()
    }

    /// Begins with nodes that became neighbours, ends with those that are none any more.
    fn choose_statement_peers(&mut self) {
        let chosen = self.statement_peers();
        let connected: Vec<PeerId> = self.statements.connected().collect();
        for peer in connected.into_iter().filter(|peer| !chosen.contains(peer)) {
            self.statements.disconnect(peer);
        }
        for peer in chosen.into_iter().filter(|peer| !self.statements.is_connected(*peer)).collect::<Vec<_>>() {
            if self.uses(peer, Feature::Statements) {
                self.connect_gossip(peer);
                continue;
            }
            if self.wants_gossip() && !self.tunnel(peer).is_some_and(|tunnel| tunnel.agreement.done) {
                self.want_key(peer);
                self.consider_hello(peer);
                self.timers.set_earlier(Wake::Statements, self.now + ASK_AGAIN);
            }
        }
    }

    /// Neighbours, and a few of the tinmesh nodes with only tinc nodes between them and this one.
    fn statement_peers(&self) -> BTreeSet<PeerId> {
        let speaks = |peer: PeerId| self.options_of(peer).has(Options::TINMESH) && !self.is_silent(peer);
        let (mut seen, mut queue) = (BTreeSet::from([PeerId::ME]), VecDeque::from([PeerId::ME]));
        let (mut near, mut behind) = (BTreeSet::new(), BTreeSet::new());
        while let Some(at) = queue.pop_front() {
            for edge in self.mesh.graph.edges(at) {
                if !self.is_reachable(edge.to) || !seen.insert(edge.to) {
                    continue;
                }
                match (speaks(edge.to), self.is_neighbour(edge.to)) {
                    (true, true) => near.insert(edge.to),
                    (true, false) => behind.insert(edge.to),
                    (false, _) => {
                        queue.push_back(edge.to);
                        false
                    }
                };
            }
        }
        near.extend(self.on_ring(&behind));
        near
    }

    /// Whether a node has had time to agree on exchanging statements, and did not.
    fn is_silent(&self, peer: PeerId) -> bool {
        let Some(tunnel) = self.tunnel(peer).filter(|tunnel| tunnel.has_keys()) else { return false };
        let is_late = tunnel.last_start.is_some_and(|start| self.now.since(start) >= SILENCE);
        (tunnel.agreement.done || is_late) && !tunnel.agreement.features.has(Feature::Statements)
    }

    /// Those at distances 1, 2, 4, … from this node in the order of names, both ways.
    fn on_ring(&self, others: &BTreeSet<PeerId>) -> Vec<PeerId> {
        let mut ring: Vec<_> = others.iter().filter_map(|&peer| Some((self.name_of(peer)?, peer))).collect();
        ring.push((self.config.name.clone(), PeerId::ME));
        ring.sort_unstable();
        let Some(own) = ring.iter().position(|(_, peer)| *peer == PeerId::ME) else { return Vec::new() };
        let count = ring.len();
        let distances = std::iter::successors(Some(1), |distance| Some(distance * 2)).take_while(|&d| d < count);
        let chosen = distances.flat_map(|distance| [(own + distance) % count, (own + count - distance) % count]);
        chosen.filter_map(|at| ring.get(at)).map(|(_, peer)| *peer).collect()
    }

    /// A sealed message of gossip came.
    pub(super) fn on_statements_message(&mut self, origin: PeerId, kind: u8, payload: &[u8]) {
        if !self.uses(origin, Feature::Statements) || self.gossip_is_shut(origin) {
            return;
        }
        if !self.statements.is_connected(origin) {
            self.connect_gossip(origin);
        }
        let heard = self.statements.on_message(&mut self.trust, origin, kind, payload, self.now);
        if let Some(time) = heard.time {
            self.hear_time(origin, time);
        }
        self.on_accepted_statements(heard.accepted, Some(origin));
        if heard.is_shut_out {
            self.shut_gossip(origin);
        }
        self.send_statements();
    }

    /// A neighbour says what time it is, for operators; if its word counts, that matters to a machine without a clock.
    fn hear_time(&mut self, origin: PeerId, time: fides::Time) {
        let now = self.now;
        if let Some(tunnel) = self.tunnel_mut(origin) {
            tunnel.clock = Some((time, now));
        }
        let Some(key) = self.peer(origin).and_then(|known| known.key).map(|key| trust::key(&key)) else { return };
        if !self.trust.clock_mut().is_told() && self.trust.is_heard(topics::JOIN, key, self.now) {
            self.trust.clock_mut().vouch(key, time, self.now);
            self.on_trust_time();
        }
    }

    fn shut_gossip(&mut self, origin: PeerId) {
        self.statements.disconnect(origin);
        if let Some(conn) = self.peer(origin).and_then(|known| known.conn) {
            self.terminate(conn, &PeerError::ForgedStatements);
        }
    }

    /// Passes new statements on to everybody but the node that they came from.
    pub(super) fn spread_statements(&mut self, accepted: &[Accepted], from: Option<PeerId>) {
        for accepted in accepted {
            if let Accepted::New(item) = accepted {
                self.statements.spread(item, from, self.now);
            }
        }
        self.send_statements();
    }

    fn send_statements(&mut self) {
        for (peer, message) in self.statements.take_messages() {
            self.send_sealed(peer, &message);
        }
        if let Some(at) = self.statements.poll_timeout() {
            self.timers.set_earlier(Wake::Statements, at);
        }
    }
}
