use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NODES: u32 = 7;

/// Nodes are numbered against the order of their names, so that neither order can hide the other.
fn name(id: u32) -> NodeName {
    NodeName::parse(&format!("n{:03}", 999 - id)).unwrap()
}

fn edge(to: u32, weight: i32, options: u32) -> Edge {
    let address = WireAddress::parse("10.0.0.1", &to.to_string());
    Edge { to: PeerId(to), address, local: None, options: Options(options), weight }
}

fn graph_of(nodes: u32) -> Graph {
    let mut graph = Graph::new(&name(0));
    for id in 1..nodes {
        assert_eq!(graph.intern(&name(id)), PeerId(id));
    }
    graph
}

/// A graph of edges that both ends announce.
fn mesh(nodes: u32, edges: &[(u32, u32, i32)]) -> Graph {
    let mut graph = graph_of(nodes);
    for &(from, to, weight) in edges {
        graph.set_edge(PeerId(from), edge(to, weight, 0));
        graph.set_edge(PeerId(to), edge(from, weight, 0));
    }
    graph
}

fn any_graph() -> impl Strategy<Value = Graph> {
    let announced = (0..NODES, 0..NODES, 0i32..5, prop::bool::weighted(0.2));
    // Both directions, mostly alike; then some single ones.
    (vec(announced.clone(), 0..14), vec(announced, 0..4)).prop_map(|(pairs, singles)| {
        let mut graph = graph_of(NODES);
        let both = pairs.into_iter().flat_map(|(a, b, weight, odd)| {
            [(a, b, weight, odd && a < 3), (b, a, weight + i32::from(odd), odd && b > 3)]
        });
        for (from, to, weight, indirect) in both.chain(singles).filter(|(from, to, ..)| from != to) {
            graph.set_edge(PeerId(from), edge(to, weight, u32::from(indirect)));
        }
        graph
    })
}

/// What 10.1 of the specification says, in its words.
#[derive(Clone, Default)]
struct State {
    visited: bool,
    indirect: bool,
    distance: i32,
    wdist: i32,
    nexthop: u32,
    via: u32,
    prevedge: Option<Edge>,
}

fn reference(graph: &Graph) -> Vec<State> {
    let fresh = State { indirect: true, distance: -1, ..State::default() };
    let mut all = vec![fresh; NODES as usize];
    all[0] = State { visited: true, indirect: false, distance: 0, ..State::default() };
    let mut queue = VecDeque::from([0u32]);
    while let Some(n) = queue.pop_front() {
        for e in graph.edges(PeerId(n)) {
            let (from, mut t) = (all[n as usize].clone(), all[e.to.index()].clone());
            if graph.edge(e.to, PeerId(n)).is_none() || e.to == PeerId::ME {
                continue;
            }
            let ind = from.indirect || e.options.has(Options::INDIRECT);
            if t.visited
                && (!t.indirect || ind)
                && (t.distance != from.distance + 1 || t.wdist <= from.wdist + e.weight)
            {
                continue;
            }
            if !t.visited || (t.distance == from.distance + 1 && t.wdist > from.wdist + e.weight) {
                t.nexthop = if from.nexthop == 0 { e.to.0 } else { from.nexthop };
                t.wdist = from.wdist + e.weight;
            }
            t.visited = true;
            t.indirect = ind;
            t.prevedge = Some(e.clone());
            t.via = if ind { from.via } else { e.to.0 };
            t.distance = from.distance + 1;
            all[e.to.index()] = t;
            queue.push_back(e.to.0);
        }
    }
    all
}

/// What 10.2 says, restarts included.
fn reference_tree(graph: &Graph, routes: &Routes) -> Vec<PeerId> {
    let mut edges: Vec<(i32, NodeName, NodeName, u32, u32)> = Vec::new();
    for from in 0..NODES {
        edges.extend(graph.edges(PeerId(from)).map(|e| (e.weight, name(from), name(e.to.0), from, e.to.0)));
    }
    edges.sort();
    let reachable = |id: u32| id == 0 || routes.get(PeerId(id)).is_some();
    let mut visited: Vec<u32> = edges.iter().map(|e| e.3).find(|&from| reachable(from)).into_iter().collect();
    let mut flagged = Vec::new();
    let (mut at, mut skipped) = (0, false);
    while let Some(&(.., from, to)) = edges.get(at) {
        at += 1;
        let mutual = graph.edge(PeerId(to), PeerId(from)).is_some();
        if !mutual || visited.contains(&from) == visited.contains(&to) {
            skipped = true;
            continue;
        }
        visited.extend([from, to]);
        flagged.extend([(from, to), (to, from)].iter().filter(|(from, _)| *from == 0).map(|(_, to)| PeerId(*to)));
        if std::mem::take(&mut skipped) {
            at = 0;
        }
    }
    flagged.sort();
    flagged
}

/// Fewest hops, and the least weight among paths of so many, by trying all.
fn least(graph: &Graph, to: u32) -> Option<(i32, i64)> {
    let mut level = vec![None; NODES as usize];
    level[0] = Some(0i64);
    for hops in 0..NODES as i32 {
        if let Some(weight) = level[to as usize] {
            return Some((hops, weight));
        }
        let mut next = vec![None; NODES as usize];
        for from in 0..NODES {
            let Some(weight) = level[from as usize] else { continue };
            for e in graph.edges(PeerId(from)).filter(|e| graph.edge(e.to, PeerId(from)).is_some()) {
                let sum = weight + i64::from(e.weight);
                let place = &mut next[e.to.index()];
                *place = Some(place.map_or(sum, |known: i64| known.min(sum)));
            }
        }
        level = next;
    }
    None
}

proptest! {
    #[test]
    fn edges_are_counted(mut graph in any_graph(), gone in 1..NODES) {
        graph.forget(PeerId(gone));
        let listed: usize = graph.ids().into_iter().map(|id| graph.edges(id).count()).sum();
        prop_assert_eq!(graph.edge_count(), listed);
    }

    #[test]
    fn routes_are_those_of_the_specification(graph in any_graph()) {
        let routes = graph.routes();
        prop_assert_eq!(routes.get(PeerId::ME), None);
        for (id, state) in reference(&graph).into_iter().enumerate().skip(1) {
            let expected = state.visited.then(|| {
                let edge = state.prevedge.unwrap();
                Route {
                    nexthop: PeerId(state.nexthop),
                    via: PeerId(state.via),
                    distance: state.distance,
                    options: edge.options,
                    indirect: state.indirect,
                    address: edge.address,
                }
            });
            prop_assert_eq!(routes.get(PeerId(id as u32)), expected.as_ref(), "{}", id);
        }
    }

    #[test]
    fn ways_around_nodes_are_those_of_a_mesh_without_them(
        graph in any_graph(),
        avoided in prop::collection::btree_set((1..NODES).prop_map(PeerId), 0..4),
    ) {
        let mut without = graph.clone();
        avoided.iter().for_each(|&peer| without.forget(peer));
        let routes = graph.routes();
        let (around, strict) = (graph.routes_around(&avoided, &routes), without.routes());
        for id in (1..NODES).map(PeerId).filter(|id| !avoided.contains(id)) {
            let expected = strict.get(id).or_else(|| routes.get(id));
            prop_assert_eq!(around.get(id), expected, "{:?}", id);
        }
        for id in &avoided {
            prop_assert_eq!(around.get(*id).is_some(), routes.get(*id).is_some());
        }
    }

    #[test]
    fn without_indirect_edges_the_fewest_hops_and_least_weight_win(graph in any_graph()) {
        let mut graph = graph;
        for from in graph.ids() {
            for mut edge in graph.edges(from).cloned().collect::<Vec<_>>() {
                edge.options = Options(0);
                graph.set_edge(from, edge);
            }
        }
        let routes = graph.routes();
        for id in 1..NODES {
            let found = routes.get(PeerId(id)).map(|route| (route.distance, weight_of(&graph, &routes, id)));
            prop_assert_eq!(found, least(&graph, id), "{}", id);
        }
    }

    #[test]
    fn the_tree_is_that_of_the_specification(graph in any_graph()) {
        let routes = graph.routes();
        let Tree { neighbours: mut tree, branches } = graph.spanning_tree(&routes);
        tree.sort();
        prop_assert_eq!(&tree, &reference_tree(&graph, &routes));
        for id in 0..NODES {
            let branch = branches[id as usize];
            let leads_there = id != 0 && routes.get(PeerId(id)).is_some();
            prop_assert_eq!(branch.is_some(), leads_there, "{}", id);
            if tree.contains(&PeerId(id)) {
                prop_assert_eq!(branch, Some(PeerId(id)));
            }
            prop_assert!(branch.is_none_or(|branch| tree.contains(&branch)));
        }
    }

    #[test]
    fn edges_come_in_order_of_names_whatever_happened(
        changes in vec((0..NODES, 0..NODES, any::<bool>()), 0..60),
        forgotten in prop::option::of(1..NODES),
    ) {
        let mut graph = graph_of(NODES);
        let mut model = std::collections::BTreeSet::new();
        for (from, to, add) in changes.into_iter().filter(|(from, to, _)| from != to) {
            if add {
                graph.set_edge(PeerId(from), edge(to, 1, 0));
                model.insert((name(from), name(to)));
            } else {
                prop_assert_eq!(graph.remove_edge(PeerId(from), PeerId(to)).is_some(), model.remove(&(name(from), name(to))));
            }
        }
        if let Some(gone) = forgotten {
            graph.forget(PeerId(gone));
            model.retain(|(from, to)| *from != name(gone) && *to != name(gone));
            prop_assert_eq!(graph.find(&name(gone)), None);
        }
        let listed: Vec<_> = graph
            .ids()
            .into_iter()
            .flat_map(|from| graph.edges(from).map(move |edge| (name(from.0), name(edge.to.0))))
            .collect();
        prop_assert_eq!(listed, model.iter().cloned().collect::<Vec<_>>());
        for from in graph.ids() {
            for link in graph.links(from) {
                prop_assert_eq!(link.mutual, model.contains(&(name(link.edge.to.0), name(from.0))));
            }
        }
    }
}

/// The weight along the last edges, which lead back to this node when no edge is indirect.
fn weight_of(graph: &Graph, routes: &Routes, to: u32) -> i64 {
    let (mut at, mut best) = (PeerId(to), 0);
    while at != PeerId::ME {
        let distance = routes.get(at).unwrap().distance;
        let before = graph.edges(at).map(|edge| edge.to).filter(|&from| {
            let mutual = graph.edge(from, at).is_some();
            mutual
                && (if from == PeerId::ME { 0 } else { routes.get(from).map_or(i32::MAX, |r| r.distance) })
                    == distance - 1
        });
        let lightest = before
            .min_by_key(|&from| i64::from(graph.edge(from, at).unwrap().weight) + weight_from(graph, routes, from));
        let from = lightest.unwrap();
        best += i64::from(graph.edge(from, at).unwrap().weight);
        at = from;
    }
    best
}

fn weight_from(graph: &Graph, routes: &Routes, at: PeerId) -> i64 {
    if at == PeerId::ME { 0 } else { weight_of(graph, routes, at.0) }
}

fn nexthop(graph: &Graph, to: u32) -> Option<PeerId> {
    graph.routes().get(PeerId(to)).map(|route| route.nexthop)
}

#[test]
fn an_edge_counts_only_with_its_reverse() {
    let mut graph = graph_of(3);
    graph.set_edge(PeerId(0), edge(1, 5, 0));
    assert_eq!(nexthop(&graph, 1), None);
    graph.set_edge(PeerId(1), edge(0, 5, 0));
    assert_eq!(nexthop(&graph, 1), Some(PeerId(1)));
    graph.remove_edge(PeerId(0), PeerId(1));
    assert_eq!(nexthop(&graph, 1), None);
}

#[test]
fn fewer_hops_beat_weight_and_weight_beats_names() {
    let graph = mesh(5, &[(0, 1, 900), (0, 2, 1), (2, 3, 1), (3, 1, 1), (0, 3, 7), (1, 4, 1), (3, 4, 1)]);
    assert_eq!(nexthop(&graph, 1), Some(PeerId(1)));
    assert_eq!(nexthop(&graph, 4), Some(PeerId(3)));
}

#[test]
fn among_equals_the_first_name_wins() {
    // Higher numbers have lesser names.
    let graph = mesh(4, &[(0, 1, 5), (0, 2, 5), (1, 3, 5), (2, 3, 5)]);
    assert_eq!(nexthop(&graph, 3), Some(PeerId(2)));
}

#[test]
fn a_node_behind_an_indirect_edge_is_reached_through_the_last_node_before_it() {
    let mut graph = mesh(4, &[(0, 1, 1), (2, 3, 1)]);
    graph.set_edge(PeerId(1), edge(2, 1, Options::INDIRECT));
    graph.set_edge(PeerId(2), edge(1, 1, Options::INDIRECT));
    let routes = graph.routes();
    let via = |id| routes.get(PeerId(id)).map(|route| (route.via, route.indirect));
    assert_eq!(via(1), Some((PeerId(1), false)));
    assert_eq!(via(2), Some((PeerId(1), true)));
    assert_eq!(via(3), Some((PeerId(1), true)));
}

#[test]
fn a_longer_path_without_indirect_edges_changes_the_relay_but_not_the_next_hop() {
    let mut graph = mesh(4, &[(0, 1, 1), (1, 2, 1), (2, 3, 1)]);
    graph.set_edge(PeerId(0), edge(3, 1, Options::INDIRECT));
    graph.set_edge(PeerId(3), edge(0, 1, Options::INDIRECT));
    let routes = graph.routes();
    let route = routes.get(PeerId(3)).unwrap();
    assert_eq!((route.nexthop, route.via, route.distance, route.indirect), (PeerId(3), PeerId(3), 3, false));
}

#[test]
fn forged_weights_do_not_keep_the_search_going() {
    let mut graph = graph_of(40);
    for from in 0..40 {
        for to in (0..40).filter(|&to| to != from) {
            let indirect = u32::from((from + to) % 2 == 0);
            graph.set_edge(PeerId(from), edge(to, i32::MIN / 2 + (from * to) as i32, indirect));
        }
    }
    assert!(graph.routes().get(PeerId(39)).is_some());
}

#[test]
fn a_forgotten_id_rests_before_it_stands_for_another_node() {
    let mut graph = graph_of(2);
    graph.forget(PeerId(1));
    assert_eq!(graph.intern(&name(2)), PeerId(2));
    let mut last = 2;
    while !graph.free.is_empty() {
        graph.forget(PeerId(last));
        last = graph.intern(&name(last + 1)).0;
        assert!(last <= RESTING as u32 + 2, "ids are never used again");
        if last == 1 {
            return;
        }
    }
    panic!("no id rests");
}

#[test]
fn this_node_is_never_forgotten() {
    let mut graph = mesh(2, &[(0, 1, 1)]);
    graph.forget(PeerId::ME);
    assert_eq!(graph.find(&name(0)), Some(PeerId::ME));
    assert_eq!(nexthop(&graph, 1), Some(PeerId(1)));
}

#[test]
fn nodes_that_do_not_exist_have_no_edges() {
    let mut graph = graph_of(2);
    graph.set_edge(PeerId(7), edge(1, 1, 0));
    graph.set_edge(PeerId(1), edge(7, 1, 0));
    assert_eq!(graph.edges(PeerId(7)).count() + graph.edges(PeerId(1)).count(), 0);
    assert_eq!(graph.remove_edge(PeerId(7), PeerId(1)), None);
    graph.forget(PeerId(7));
    assert_eq!(graph.ids().len(), 2);
}
