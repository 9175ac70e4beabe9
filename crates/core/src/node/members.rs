//! Who is a member, and what only members may say of the mesh.
//!
//! ```text
//!  request of gossip ─► of members, and of what they own? ─ yes ─► believed, passed on
//!                                   └─ no ─► set aside ── the answer becomes yes ──┘
//!  statement denies ─► connections closed, tunnels dropped, edges and subnets set aside
//! ```
//!
//! In an open network everybody is a member but for those whom the operator denies. In a closed one a node is a member if
//! statements let its key join under its name, whatever its host file says. A new node, which has not heard yet that it is a
//! member itself, also lets in those whom its operator named in `ConnectTo` unless somebody denies it: they tell it the rest.

use std::collections::BTreeMap;

use fides::{Answer, Key};

use crate::crypto::keys::PublicKey;
use crate::meta::error::PeerError;
use crate::name::{ConnId, NodeName, PeerId};
use crate::node::Node;
use crate::node::gossip::Gossiped;
use crate::node::io::Event;
use crate::subnet::{Address, Subnet};
use crate::trust::{self, topics};
use crate::wire::request::Request;

/// Facts that are set aside at most.
const MAX_ASIDE: usize = 16_384;
/// A connection that there never was: what is replayed without its connection is passed on to all.
const NO_CONNECTION: ConnId = ConnId(u64::MAX);

/// What was found out since statements last changed, and what is not believed yet.
#[derive(Debug, Default)]
pub(super) struct Members {
    known: BTreeMap<NodeName, Admission>,
    aside: Aside,
}

/// Whether a node is a member, and with which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Admission {
    is_member: bool,
    key: Option<Key>,
}

/// What a fact of gossip says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fact {
    Edge(NodeName, NodeName),
    Subnet(NodeName, Subnet),
}

/// Facts that are not believed, as they were told; the oldest go first.
#[derive(Debug, Default)]
struct Aside {
    facts: BTreeMap<Fact, Told>,
    order: BTreeMap<u64, Fact>,
    next: u64,
}

/// Who told a fact, and how.
#[derive(Debug)]
struct Told {
    number: u64,
    by: Option<PeerId>,
    text: Vec<u8>,
}

impl Aside {
    fn put(&mut self, fact: Fact, by: Option<PeerId>, text: &[u8]) {
        self.take(&fact);
        if self.facts.len() >= MAX_ASIDE
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.facts.remove(&oldest);
        }
        let number = self.next;
        self.next += 1;
        self.order.insert(number, fact.clone());
        self.facts.insert(fact, Told { number, by, text: text.to_vec() });
    }

    fn take(&mut self, fact: &Fact) -> Option<Told> {
        let told = self.facts.remove(fact)?;
        self.order.remove(&told.number);
        Some(told)
    }
}

impl Fact {
    /// The fact that a request tells, or takes back.
    fn of(request: &Request) -> Option<Self> {
        match request {
            Request::AddEdge { from, to, .. } | Request::DelEdge { from, to, .. } => {
                Some(Self::Edge(from.clone(), to.clone()))
            }
            Request::AddSubnet { owner, subnet, .. } | Request::DelSubnet { owner, subnet, .. } => {
                Some(Self::Subnet(owner.clone(), *subnet))
            }
            Request::Id { .. }
            | Request::Ack { .. }
            | Request::TermReq
            | Request::Ping
            | Request::Pong
            | Request::KeyChanged { .. }
            | Request::ReqKey { .. }
            | Request::AnsKey(_)
            | Request::Packet { .. }
            | Request::SptpsPacket { .. }
            | Request::UdpInfo { .. }
            | Request::MtuInfo { .. }
            | Request::Stream => None,
        }
    }
}

impl Node {
    /// Whether anything can be refused: not in an open network in which nobody has said anything.
    fn judges(&self) -> bool {
        self.trust.is_closed() || !self.trust.ledger().is_empty()
    }

    /// Whether a node may take part.
    pub(super) fn is_member(&mut self, name: &NodeName) -> bool {
        !self.judges() || *name == self.config.name || self.admission(name).is_member
    }

    /// The key of a member, as statements say; in an open network they do not.
    pub(super) fn member_key(&mut self, name: &NodeName) -> Option<PublicKey> {
        if !self.trust.is_closed() || *name == self.config.name {
            return None;
        }
        let admission = self.admission(name);
        let is_rsa = || self.rsa_subject(name) == admission.key;
        admission.key.filter(|_| admission.is_member && !is_rsa()).map(|key| trust::public_key(&key))
    }

    fn admission(&mut self, name: &NodeName) -> Admission {
        if let Some(known) = self.members.known.get(name) {
            return *known;
        }
        let admission = self.admit(name);
        if self.members.known.len() < MAX_ASIDE {
            self.members.known.insert(name.clone(), admission);
        }
        admission
    }

    fn admit(&mut self, name: &NodeName) -> Admission {
        let told = self.known_key(name).map(|key| trust::key(&key)).or_else(|| self.rsa_subject(name));
        let question = told.map(|key| topics::join(key, name));
        let answer = question.map_or(Answer::Unknown, |question| self.trust.answer(&question, self.now));
        if !self.trust.is_closed() {
            return Admission { is_member: answer != Answer::Deny, key: told };
        }
        let is_named = answer == Answer::Unknown && self.config.connect_to.contains(name) && self.is_outside();
        let key = told.filter(|_| answer == Answer::Allow || is_named);
        let key = key.or_else(|| self.trust.key_by_name(name, &self.gating.laws, self.now));
        Admission { is_member: key.is_some(), key: key.or(told) }
    }

    /// Whether this node has not heard yet that it is a member itself.
    fn is_outside(&mut self) -> bool {
        let (key, name) = (trust::key(&self.key.public()), self.config.name.clone());
        !self.trust.may_join(key, &name, self.now)
    }

    /// What statements call a node that has only an RSA key.
    fn rsa_subject(&self, name: &NodeName) -> Option<Key> {
        self.config.hosts.get(name)?.rsa.as_ref().map(trust::rsa_key)
    }

    /// Refuses a node that is no member.
    ///
    /// # Errors
    /// With its name, its key if it is known, and what to do.
    pub(super) fn refuse_strangers(&mut self, name: &NodeName) -> Result<(), PeerError> {
        if self.is_member(name) { Ok(()) } else { Err(self.not_member(name)) }
    }

    fn not_member(&mut self, name: &NodeName) -> PeerError {
        let key = self.admission(name).key.map_or_else(|| "not known".to_owned(), |key| key.to_string());
        PeerError::NotMember { name: name.to_string(), key }
    }

    /// Whether a request of gossip is to be acted on. If not, what it tells is set aside.
    pub(super) fn believes(&mut self, from: &Gossiped<'_>, request: &Request) -> bool {
        if !self.judges() {
            return true;
        }
        let believed = self.is_allowed(request);
        let is_told = matches!(request, Request::AddEdge { .. } | Request::AddSubnet { .. });
        if let Some(fact) = Fact::of(request) {
            if believed || !is_told {
                self.members.aside.take(&fact);
            } else {
                let by = self.connections.get(&from.conn).and_then(|conn| conn.peer);
                self.members.aside.put(fact, by, from.text);
            }
        }
        believed
    }

    fn is_allowed(&mut self, request: &Request) -> bool {
        match request {
            Request::AddEdge { from, to, .. } | Request::DelEdge { from, to, .. } => {
                self.is_member(from) && self.is_member(to)
            }
            Request::AddSubnet { owner, subnet, .. } => self.is_member(owner) && self.may_own(owner, subnet),
            Request::DelSubnet { owner: name, .. } | Request::KeyChanged { name, .. } => self.is_member(name),
            Request::ReqKey { from, .. } | Request::UdpInfo { from, .. } | Request::MtuInfo { from, .. } => {
                self.is_member(from)
            }
            Request::AnsKey(answer) => self.is_member(&answer.from),
            Request::Id { .. }
            | Request::Ack { .. }
            | Request::TermReq
            | Request::Ping
            | Request::Pong
            | Request::Packet { .. }
            | Request::SptpsPacket { .. }
            | Request::Stream => true,
        }
    }

    /// Whether a member may say that it owns these addresses. Stations are free as long as none are granted. What nobody says of the own ones is this node's own affair.
    fn may_own(&mut self, owner: &NodeName, subnet: &Subnet) -> bool {
        if *owner == self.config.name {
            return true;
        }
        let is_station = matches!(subnet.address(), Address::Mac(_));
        if is_station && self.gating.laws.stations.is_none() {
            return true;
        }
        match self.admission(owner).key {
            Some(key) => self.trust.may_own(key, subnet, self.now),
            None => !self.trust.is_closed(),
        }
    }

    /// Statements changed, or their time came: who is no member any more is gone at once, and what was set aside is looked
    /// at again.
    pub(super) fn reassess_members(&mut self) {
        self.members.known.clear();
        if !self.judges() && self.members.aside.facts.is_empty() {
            return;
        }
        for peer in self.mesh.graph.ids().into_iter().filter(|&peer| peer != PeerId::ME) {
            let Some(name) = self.name_of(peer) else { continue };
            if self.is_member(&name) {
                self.adopt_member_key(peer, &name);
                self.set_subnets_aside(peer, &name, false);
            } else {
                self.expel(peer, &name);
            }
        }
        self.warn_of_own_subnets();
        self.replay();
    }

    /// A member's key is the one that statements give it.
    fn adopt_member_key(&mut self, peer: PeerId, name: &NodeName) {
        let Some(key) = self.member_key(name) else { return };
        let Some(known) = self.peer_mut(peer).filter(|known| known.key != Some(key)) else { return };
        if known.key.replace(key).is_some() {
            known.tunnel = None;
            self.disconnect_gossip(peer);
        }
        self.touch(peer);
        self.redial(peer);
    }

    /// Everything of a node that is no member goes; what it said is set aside.
    fn expel(&mut self, peer: PeerId, name: &NodeName) {
        let named = |conn: &&crate::meta::connection::Connection| conn.name.as_ref() == Some(name);
        let conns: Vec<ConnId> = self.connections.values().filter(named).map(|conn| conn.id).collect();
        if !conns.is_empty() {
            let error = self.not_member(name);
            conns.into_iter().for_each(|conn| self.terminate(conn, &error));
        }
        self.set_subnets_aside(peer, name, true);
        self.set_edges_aside(peer);
        self.disconnect_gossip(peer);
        if let Some(known) = self.peer_mut(peer)
            && known.tunnel.take().is_some()
        {
            self.touch(peer);
        }
    }

    fn set_subnets_aside(&mut self, owner: PeerId, name: &NodeName, all: bool) {
        for subnet in self.subnets_of(owner) {
            if !all && self.may_own(name, &subnet) {
                continue;
            }
            let request = Request::AddSubnet { nonce: self.rng.next_u32(), owner: name.clone(), subnet };
            self.members.aside.put(Fact::Subnet(name.clone(), subnet), None, request.to_string().as_bytes());
            self.remove_subnet(owner, subnet);
        }
    }

    fn set_edges_aside(&mut self, peer: PeerId) {
        let out = self.mesh.graph.edges(peer).map(|edge| (peer, edge.to));
        let back = self.mesh.graph.ids().into_iter().filter(|&other| self.mesh.graph.edge(other, peer).is_some());
        let edges: Vec<(PeerId, PeerId)> = out.chain(back.map(|other| (other, peer))).collect();
        for (from, to) in edges {
            let Some(request) = self.edge_request(from, to) else { continue };
            if let Some(fact) = Fact::of(&request).filter(|_| from != PeerId::ME) {
                self.members.aside.put(fact, None, request.to_string().as_bytes());
            }
            self.mesh.graph.remove_edge(from, to);
            self.dirty.routes = true;
        }
    }

    /// What was set aside and is believed by now is told as if it came only now.
    fn replay(&mut self) {
        let facts: Vec<Fact> = self.members.aside.facts.keys().cloned().collect();
        for fact in facts {
            let is_believed = match &fact {
                Fact::Edge(from, to) => self.is_member(from) && self.is_member(to),
                Fact::Subnet(owner, subnet) => self.is_member(owner) && self.may_own(owner, subnet),
            };
            let Some(told) = is_believed.then(|| self.members.aside.take(&fact)).flatten() else { continue };
            let conn = told.by.and_then(|peer| self.peer(peer)?.conn).unwrap_or(NO_CONNECTION);
            if let Ok(request) = Request::parse(&told.text) {
                self.on_news(&Gossiped { conn, text: &told.text }, request);
            }
        }
    }

    /// Others will not believe what nobody has allowed.
    fn warn_of_own_subnets(&mut self) {
        if !self.trust.is_closed() {
            return;
        }
        let key = trust::key(&self.key.public());
        let name = self.config.name.clone();
        if !self.trust.may_join(key, &name, self.now) {
            let text =
                format!("Nobody lets this node join: a founder can say \"tinmesh auth allow {name}\" (key {key})");
            return self.event(Event::Note(text));
        }
        for subnet in self.config.subnets.clone() {
            if !self.trust.may_own(key, &subnet, self.now) {
                let text = format!(
                    "Nobody allows this node to own {subnet}, so no other believes that it does: a founder can say \
                     \"tinmesh auth allow {name} own {}\"",
                    subnet.range()
                );
                self.event(Event::Note(text));
            }
        }
    }
}
