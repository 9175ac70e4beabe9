//! Shortest paths from this node to all others (spec: meta-protocol 10.1).
//!
//! Fewest hops win, then the smallest sum of weights, then the path that is found first, where
//! neighbours are explored in order of their names. An edge may be *indirect*: the node behind it
//! is reached only through the node in front of it. A node that was found behind an indirect edge
//! is upgraded when a path without such edges is found, even if that is longer; its next hop stays.
//!
//! The odd corners (a lighter indirect path replaces a direct one of the same length) are tinc's,
//! because all nodes of a mesh should agree.

use std::collections::{BTreeSet, VecDeque};

use super::{Edge, Graph};
use crate::name::PeerId;
use crate::wire::address::WireAddress;
use crate::wire::options::Options;

/// A path may be improved so often for each edge of its last node. Honest meshes stay far below;
/// forged weights could keep nodes improving each other for long.
const IMPROVEMENTS_PER_EDGE: usize = 4;

/// The way to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The neighbour that comes first.
    pub nexthop: PeerId,
    /// The farthest node that is reached without an indirect edge: the node itself, its static
    /// relay, or [`PeerId::ME`].
    pub via: PeerId,
    /// How many edges it takes.
    pub distance: i32,
    /// Options of the last edge; the protocol minor in them is the node's.
    pub options: Options,
    /// Whether an indirect edge is on the way.
    pub indirect: bool,
    /// Where the last but one node sees it.
    pub address: WireAddress,
}

/// The ways to all nodes that can be reached, but for this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(Vec<Option<Route>>);

impl Routes {
    /// The way to `peer`, if there is one.
    pub fn get(&self, peer: PeerId) -> Option<&Route> {
        self.0.get(peer.index())?.as_ref()
    }
}

/// A path as far as it is known.
#[derive(Clone, Copy)]
struct Path<'a> {
    nexthop: PeerId,
    via: PeerId,
    indirect: bool,
    distance: i32,
    weight: i64,
    edge: Option<&'a Edge>,
    improvements: usize,
}

impl<'a> Path<'a> {
    const TO_ME: Self = Self {
        nexthop: PeerId::ME,
        via: PeerId::ME,
        indirect: false,
        distance: 0,
        weight: 0,
        edge: None,
        improvements: 0,
    };

    /// The path that goes on by `edge`.
    fn extend(&self, edge: &'a Edge) -> Self {
        let indirect = self.indirect || edge.options.has(Options::INDIRECT);
        Self {
            nexthop: if self.nexthop == PeerId::ME { edge.to } else { self.nexthop },
            via: if indirect { self.via } else { edge.to },
            indirect,
            distance: self.distance + 1,
            weight: self.weight + i64::from(edge.weight),
            edge: Some(edge),
            improvements: 0,
        }
    }

    /// What becomes of this path when `other` leads to the same node; `None`: nothing.
    fn improved(&self, other: Self) -> Option<Self> {
        let lighter = self.distance == other.distance && self.weight > other.weight;
        if !lighter && (!self.indirect || other.indirect) {
            return None;
        }
        let improvements = self.improvements + 1;
        if lighter {
            return Some(Self { improvements, ..other });
        }
        Some(Self { nexthop: self.nexthop, weight: self.weight, improvements, ..other })
    }

    fn route(&self) -> Option<Route> {
        let edge = self.edge?;
        Some(Route {
            nexthop: self.nexthop,
            via: self.via,
            distance: self.distance,
            options: edge.options,
            indirect: self.indirect,
            address: edge.address.clone(),
        })
    }
}

impl Graph {
    /// Computes the ways to all nodes that can be reached.
    pub fn routes(&self) -> Routes {
        self.routes_by(|_| true)
    }

    /// Computes the ways around these nodes; to those that are reached in no other way, the ways through them.
    pub fn routes_around(&self, avoided: &BTreeSet<PeerId>, routes: &Routes) -> Routes {
        let Routes(around) = self.routes_by(|peer| !avoided.contains(&peer));
        Routes(around.into_iter().zip(&routes.0).map(|(around, any)| around.or_else(|| any.clone())).collect())
    }

    /// Computes the ways that lead on only from nodes for which `leads_on` holds.
    fn routes_by(&self, leads_on: impl Fn(PeerId) -> bool) -> Routes {
        let mut paths: Vec<Option<Path<'_>>> = vec![None; self.vertices.len()];
        paths[PeerId::ME.index()] = Some(Path::TO_ME);
        let mut queue = VecDeque::from([PeerId::ME]);
        while let Some(from) = queue.pop_front() {
            let Some(path) = paths[from.index()].filter(|_| leads_on(from)) else { continue };
            for link in self.links(from).iter().filter(|link| link.mutual && link.edge.to != PeerId::ME) {
                let to = link.edge.to;
                let longer = path.extend(&link.edge);
                let better = match &paths[to.index()] {
                    None => Some(longer),
                    Some(known) if known.improvements > IMPROVEMENTS_PER_EDGE * self.links(to).len() => None,
                    Some(known) => known.improved(longer),
                };
                if better.is_some() {
                    paths[to.index()] = better;
                    queue.push_back(to);
                }
            }
        }
        Routes(paths.iter().map(|path| path.as_ref()?.route()).collect())
    }
}
