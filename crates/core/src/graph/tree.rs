//! The minimum spanning tree, along which broadcast packets go (spec: meta-protocol 10.2).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Graph, Link, Routes};
use crate::name::{NodeName, PeerId};

/// A way for the tree to grow; the least one comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Growth<'a> {
    weight: i32,
    /// Both ends, as the edge is announced that is less.
    names: (&'a NodeName, &'a NodeName),
    /// The end that is in the tree.
    inside: PeerId,
    /// The end that is not.
    outside: PeerId,
}

/// The spanning tree, as seen from this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The neighbours to which an edge of it leads from here.
    pub neighbours: Vec<PeerId>,
    /// For each node, the one of them behind which it is; none for this node, and where the tree does not lead.
    pub branches: Vec<Option<PeerId>>,
}

impl Graph {
    /// The spanning tree, as seen from here. The order of edges by weight and names is total, so the tree is the same on every node of
    /// those that `routes` reaches, wherever it starts.
    pub fn spanning_tree(&self, routes: &Routes) -> Tree {
        let mut grown = vec![false; self.vertices.len()];
        let mut tree = Tree { neighbours: Vec::new(), branches: vec![None; self.vertices.len()] };
        let mut heap = BinaryHeap::new();
        let mut newest = PeerId::ME;
        loop {
            grown[newest.index()] = true;
            let links = self.links(newest).iter().filter(|link| link.mutual && !grown[link.edge.to.index()]);
            let reached = links.filter(|link| routes.get(link.edge.to).is_some());
            heap.extend(reached.filter_map(|link| self.growth(newest, link).map(Reverse)));
            let least = std::iter::from_fn(|| heap.pop()).find(|Reverse(growth)| !grown[growth.outside.index()]);
            let Some(Reverse(growth)) = least else { break };
            if growth.inside == PeerId::ME {
                tree.neighbours.push(growth.outside);
            }
            tree.branches[growth.outside.index()] = tree.branches[growth.inside.index()].or(Some(growth.outside));
            newest = growth.outside;
        }
        tree
    }

    fn growth(&self, inside: PeerId, link: &Link) -> Option<Growth<'_>> {
        let outside = link.edge.to;
        let back = self.edge(outside, inside)?;
        let (near, far) = (&self.vertex(inside)?.name, &self.vertex(outside)?.name);
        let (weight, names) = (link.edge.weight, (near, far)).min((back.weight, (far, near)));
        Some(Growth { weight, names, inside, outside })
    }
}
