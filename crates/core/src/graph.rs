//! `Graph`: which nodes there are, and which say that they are connected.
//!
//! Names become [`PeerId`]s here. An edge is directed: its first node announces it. Routes and the
//! spanning tree count only edges that both ends announce (spec: meta-protocol 10).

mod routes;
mod tree;

use std::collections::{BTreeMap, VecDeque};

pub use routes::{Route, Routes};
pub use tree::Tree;

use crate::name::{NodeName, PeerId};
use crate::wire::address::WireAddress;
use crate::wire::options::Options;

/// A forgotten id rests until so many others are forgotten too: what was sent to the node it
/// stood for may still be under way.
const RESTING: usize = 64;

/// What a node says of its connection to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The other.
    pub to: PeerId,
    /// Where the node sees the other.
    pub address: WireAddress,
    /// The node's own address of that connection.
    pub local: Option<WireAddress>,
    /// Options; the protocol minor in them is the other's.
    pub options: Options,
    /// Weight in milliseconds.
    pub weight: i32,
}

/// An edge, and whether its other end announces its reverse.
#[derive(Clone, Debug)]
struct Link {
    edge: Edge,
    mutual: bool,
}

#[derive(Clone, Debug)]
struct Vertex {
    name: NodeName,
    /// In order of the other ends' names.
    links: Vec<Link>,
}

/// All nodes that were ever heard of, and their edges.
#[derive(Clone, Debug)]
pub struct Graph {
    vertices: Vec<Option<Vertex>>,
    names: BTreeMap<NodeName, PeerId>,
    /// Forgotten ids, the longest forgotten first.
    free: VecDeque<PeerId>,
    edge_count: usize,
}

impl Graph {
    /// A graph of one node, which is [`PeerId::ME`].
    pub fn new(me: &NodeName) -> Self {
        let mut graph = Self { vertices: Vec::new(), names: BTreeMap::new(), free: VecDeque::new(), edge_count: 0 };
        graph.intern(me);
        graph
    }

    /// The id of the node called `name`, which is entered if it is not known.
    pub fn intern(&mut self, name: &NodeName) -> PeerId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let vertex = Some(Vertex { name: name.clone(), links: Vec::new() });
        let id = if self.free.len() > RESTING { self.free.pop_front() } else { None };
        let id = match id.and_then(|id| Some((id, self.vertices.get_mut(id.index())?))) {
            Some((id, place)) => {
                *place = vertex;
                id
            }
            None => {
                let id = u32::try_from(self.vertices.len()).expect("more nodes than memory could hold");
                self.vertices.push(vertex);
                PeerId(id)
            }
        };
        self.names.insert(name.clone(), id);
        id
    }

    /// The id of the node called `name`.
    pub fn find(&self, name: &NodeName) -> Option<PeerId> {
        self.names.get(name).copied()
    }

    /// All nodes, in order of their names.
    pub fn ids(&self) -> Vec<PeerId> {
        self.names.values().copied().collect()
    }

    /// How many edges are announced by all nodes together.
    pub const fn edge_count(&self) -> usize {
        self.edge_count
    }

    /// The edges that `from` announces, in order of the other ends' names.
    pub fn edges(&self, from: PeerId) -> impl Iterator<Item = &Edge> {
        self.links(from).iter().map(|link| &link.edge)
    }

    /// The edge that `from` announces to `to`.
    pub fn edge(&self, from: PeerId, to: PeerId) -> Option<&Edge> {
        self.link(from, to).map(|link| &link.edge)
    }

    /// Enters an edge that `from` announces, in place of an earlier one to the same node.
    pub fn set_edge(&mut self, from: PeerId, edge: Edge) {
        let to = edge.to;
        let Some(place) = self.place(from, to) else { return };
        let mutual = self.set_mutual(to, from, true);
        let Some(vertex) = self.vertex_mut(from) else { return };
        match place {
            Ok(at) => vertex.links[at].edge = edge,
            Err(at) => {
                vertex.links.insert(at, Link { edge, mutual });
                self.edge_count += 1;
            }
        }
    }

    /// Removes the edge that `from` announces to `to`.
    pub fn remove_edge(&mut self, from: PeerId, to: PeerId) -> Option<Edge> {
        let at = self.place(from, to)?.ok()?;
        let link = self.vertex_mut(from)?.links.remove(at);
        self.edge_count -= 1;
        self.set_mutual(to, from, false);
        Some(link.edge)
    }

    /// Forgets a node and all edges from and to it. [`PeerId::ME`] stays.
    pub fn forget(&mut self, peer: PeerId) {
        if peer == PeerId::ME || self.vertex(peer).is_none() {
            return;
        }
        for from in self.ids() {
            self.remove_edge(from, peer);
        }
        let ends: Vec<PeerId> = self.edges(peer).map(|edge| edge.to).collect();
        for end in ends {
            self.remove_edge(peer, end);
        }
        if let Some(vertex) = self.vertices.get_mut(peer.index()).and_then(Option::take) {
            self.names.remove(&vertex.name);
            self.free.push_back(peer);
        }
    }

    fn vertex(&self, peer: PeerId) -> Option<&Vertex> {
        self.vertices.get(peer.index())?.as_ref()
    }

    fn vertex_mut(&mut self, peer: PeerId) -> Option<&mut Vertex> {
        self.vertices.get_mut(peer.index())?.as_mut()
    }

    fn links(&self, from: PeerId) -> &[Link] {
        self.vertex(from).map_or(&[], |vertex| &vertex.links)
    }

    fn link(&self, from: PeerId, to: PeerId) -> Option<&Link> {
        self.links(from).get(self.place(from, to)?.ok()?)
    }

    /// Where the edge is among those of `from`, or where it belongs. `None`: no such nodes.
    fn place(&self, from: PeerId, to: PeerId) -> Option<Result<usize, usize>> {
        let (vertex, name) = (self.vertex(from)?, &self.vertex(to)?.name);
        let end = |link: &Link| self.vertex(link.edge.to).map(|vertex| &vertex.name);
        Some(vertex.links.binary_search_by(|link| end(link).cmp(&Some(name))))
    }

    /// Notes at the edge that the other end announces its reverse, or does not; tells whether there
    /// is such an edge.
    fn set_mutual(&mut self, from: PeerId, to: PeerId, mutual: bool) -> bool {
        let Some(Ok(at)) = self.place(from, to) else { return false };
        let link = self.vertex_mut(from).and_then(|vertex| vertex.links.get_mut(at));
        link.map(|link| link.mutual = mutual).is_some()
    }
}

#[cfg(test)]
mod tests;
