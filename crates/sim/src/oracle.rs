//! What should be true of the nodes' knowledge, worked out from the connections that really exist.
//!
//! Reasoned from outside and by brute force: nodes that are connected, directly or through others, must know each
//! other, the same edges and the same subnets; every next hop must bring a packet closer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tinmesh_core::dataplane::fib::Fib;
use tinmesh_core::name::NodeName;
use tinmesh_core::node::io::{Command, EdgeInfo, NodeInfo, Reply};
use tinmesh_core::subnet::{Address, Subnet};
use tinmesh_core::wire::options::Options;

use crate::engine::Engine;
use crate::internet::HostId;
use crate::machine::Brain;

/// In larger worlds only so many nodes are questioned thoroughly.
const QUESTIONED: usize = 24;

type Links = BTreeMap<HostId, BTreeSet<HostId>>;

/// Says what is wrong, if anything.
pub(crate) fn check(engine: &mut Engine) -> Result<(), String> {
    let links = links(engine);
    if let Some(what) = half_open(engine, &links) {
        return Err(what);
    }
    for island in islands(&links) {
        check_island(engine, &island)?;
    }
    Ok(())
}

/// Whether a node has not noticed yet that a connection is dead; then nothing can be said of what nodes know.
pub(crate) fn is_waiting(engine: &Engine) -> bool {
    half_open(engine, &links(engine)).is_some()
}

fn half_open(engine: &Engine, links: &Links) -> Option<String> {
    let connected = |host: HostId, name: &NodeName| {
        let ends = links.get(&host).into_iter().flatten();
        ends.map(|&end| engine.machine(end)).any(|machine| machine.config.name == *name)
    };
    let actors = actors(engine);
    links.keys().find_map(|&host| {
        let lost = neighbours(engine, host).find(|name| !actors.contains(name) && !connected(host, name))?;
        Some(format!("{} has not noticed that it lost {lost}", engine.machine(host).config.name))
    })
}

fn actors(engine: &Engine) -> BTreeSet<&NodeName> {
    let actors = engine.machines.iter().filter(|machine| matches!(machine.brain, Brain::Actor(_)));
    actors.map(|machine| &machine.config.name).collect()
}

/// How many islands the running nodes form.
pub(crate) fn count_islands(engine: &Engine) -> usize {
    islands(&links(engine)).len()
}

fn nodes(engine: &Engine) -> impl Iterator<Item = (HostId, &Arc<Fib>)> {
    let machines = engine.machines.iter().enumerate();
    machines.filter_map(|(index, machine)| {
        let host = HostId(u32::try_from(index).ok()?);
        let runs = matches!(machine.brain, Brain::Node(_)) && engine.net.host(host).up;
        Some((host, machine.fib.as_ref()?)).filter(|_| runs)
    })
}

/// Connections that both ends count as active and that carry bytes.
fn links(engine: &Engine) -> Links {
    let mut links: Links = nodes(engine).map(|(host, _)| (host, BTreeSet::new())).collect();
    let neighbours: BTreeMap<HostId, BTreeSet<&NodeName>> =
        nodes(engine).map(|(host, _)| (host, neighbours(engine, host).collect())).collect();
    for (a, b) in engine.streams.healthy() {
        let names = |host: HostId, other: HostId| {
            neighbours.get(&host).is_some_and(|names| names.contains(&engine.machine(other).config.name))
        };
        if names(a, b) && names(b, a) {
            links.entry(a).or_default().insert(b);
            links.entry(b).or_default().insert(a);
        }
    }
    links
}

fn islands(links: &Links) -> Vec<BTreeSet<HostId>> {
    let mut rest: BTreeSet<HostId> = links.keys().copied().collect();
    let mut islands = Vec::new();
    while let Some(start) = rest.pop_first() {
        let mut island = BTreeSet::from([start]);
        let mut queue = VecDeque::from([start]);
        while let Some(host) = queue.pop_front() {
            for &next in links.get(&host).into_iter().flatten() {
                if rest.remove(&next) {
                    island.insert(next);
                    queue.push_back(next);
                }
            }
        }
        islands.push(island);
    }
    islands
}

fn check_island(engine: &mut Engine, island: &BTreeSet<HostId>) -> Result<(), String> {
    let names: BTreeSet<NodeName> = island.iter().map(|&host| engine.machine(host).config.name.clone()).collect();
    for &host in island {
        let Some(fib) = engine.machine(host).fib.clone() else { continue };
        let reached: BTreeSet<&NodeName> =
            fib.peers.iter().flatten().filter(|entry| entry.reachable).map(|entry| &entry.name).collect();
        if reached.len() != names.len() || !reached.iter().all(|&name| names.contains(name)) {
            let missing: Vec<_> = names.iter().filter(|name| !reached.contains(name)).take(5).collect();
            let ghosts: Vec<_> = reached.iter().filter(|&&name| !names.contains(name)).take(5).collect();
            let name = &engine.machine(host).config.name;
            return Err(format!("{name} does not reach {missing:?} and seems to reach {ghosts:?}"));
        }
    }
    let step = island.len().div_ceil(QUESTIONED).max(1);
    let questioned: Vec<HostId> = island.iter().copied().step_by(step).collect();
    for host in questioned {
        question(engine, island, host).map_err(|what| format!("{}: {what}", engine.machine(host).config.name))?;
    }
    Ok(())
}

/// Asks one node for all it knows.
fn question(engine: &mut Engine, island: &BTreeSet<HostId>, host: HostId) -> Result<(), String> {
    let Some(Reply::Edges(edges)) = engine.command(host, Command::Edges) else { return Err("no edges".into()) };
    let Some(Reply::Nodes(nodes)) = engine.command(host, Command::Nodes) else { return Err("no nodes".into()) };
    let Some(Reply::Subnets(subnets)) = engine.command(host, Command::Subnets) else { return Err("no subnets".into()) };
    check_edges(engine, island, &edges)?;
    let me = engine.machine(host).config.name.clone();
    check_distances(&me, &edges, &nodes)?;
    for &other in island {
        let machine = engine.machine(other);
        let own = subnets.iter().filter(|(_, owner)| owner.as_ref() == Some(&machine.config.name));
        let told: BTreeSet<_> = own.map(|(subnet, _)| *subnet).collect();
        let stations = machine.fib.iter().flat_map(|fib| fib.learnt.keys());
        let stations = stations.map(|mac| Subnet::host(Address::Mac(*mac)));
        let real: BTreeSet<_> = machine.config.subnets.iter().copied().chain(stations).collect();
        if told != real {
            return Err(format!("subnets of {} are {told:?}, not {real:?}", machine.config.name));
        }
        walk(engine, host, other)?;
    }
    Ok(())
}

/// Whom a node itself counts as neighbours.
fn neighbours(engine: &Engine, host: HostId) -> impl Iterator<Item = &NodeName> {
    let peers = engine.machine(host).fib.iter().flat_map(|fib| fib.peers.iter().flatten());
    peers.filter(|entry| entry.neighbour).map(|entry| &entry.name)
}

type EdgeSet = BTreeSet<(NodeName, NodeName)>;

/// Everyone knows exactly those edges that both their ends would announce. One that only one end announces leads nowhere:
/// it may be a memory of a node that has restarted since.
fn check_edges(engine: &Engine, island: &BTreeSet<HostId>, edges: &[EdgeInfo]) -> Result<(), String> {
    let name = |host: HostId| engine.machine(host).config.name.clone();
    let inhabitants: BTreeSet<NodeName> = island.iter().map(|&host| name(host)).collect();
    let within = |edge: &&EdgeInfo| inhabitants.contains(&edge.from) && inhabitants.contains(&edge.to);
    let told = edges.iter().filter(within).map(|edge| (edge.from.clone(), edge.to.clone()));
    let pairs = island.iter().flat_map(|&host| neighbours(engine, host).map(move |to| (name(host), to.clone())));
    let (told, real) = (both_ways(told.collect()), both_ways(pairs.collect()));
    match told.symmetric_difference(&real).next() {
        None => Ok(()),
        Some(edge) if real.contains(edge) => Err(format!("no edge from {} to {}", edge.0, edge.1)),
        Some(edge) => Err(format!("a false edge from {} to {}", edge.0, edge.1)),
    }
}

fn both_ways(edges: EdgeSet) -> EdgeSet {
    edges.iter().filter(|(from, to)| edges.contains(&(to.clone(), from.clone()))).cloned().collect()
}

/// Hops counted by brute force, over edges that exist in both directions.
fn check_distances(me: &NodeName, edges: &[EdgeInfo], nodes: &[NodeInfo]) -> Result<(), String> {
    if edges.iter().any(|edge| edge.options.has(Options::INDIRECT)) {
        return Ok(());
    }
    let known: BTreeSet<(&NodeName, &NodeName)> = edges.iter().map(|edge| (&edge.from, &edge.to)).collect();
    let mut hops: BTreeMap<&NodeName, i32> = BTreeMap::from([(me, 0)]);
    for round in 0.. {
        let ring: BTreeSet<&NodeName> = hops.iter().filter(|(_, far)| **far == round).map(|(&name, _)| name).collect();
        if ring.is_empty() {
            break;
        }
        for &(from, to) in &known {
            if ring.contains(from) && known.contains(&(to, from)) {
                hops.entry(to).or_insert(round + 1);
            }
        }
    }
    for node in nodes {
        let expected = hops.get(&node.name).copied().unwrap_or(-1);
        if node.distance != expected {
            return Err(format!("{} is {} hops away, not {expected}", node.name, node.distance));
        }
    }
    Ok(())
}

/// Follows the next hops from one node to another.
fn walk(engine: &Engine, from: HostId, to: HostId) -> Result<(), String> {
    let goal = &engine.machine(to).config.name;
    let by_name = |name: &NodeName| engine.machines.iter().find(|machine| machine.config.name == *name);
    let mut here = engine.machine(from);
    for _ in 0..=engine.machines.len() {
        if here.config.name == *goal {
            return Ok(());
        }
        let fib = here.fib.as_ref().ok_or("a hop has no snapshot")?;
        let entry = fib.peers.iter().flatten().find(|entry| entry.name == *goal);
        let next = entry.and_then(|entry| fib.peer(entry.nexthop)).ok_or("a hop does not know the goal")?;
        here = by_name(&next.name).ok_or("a hop leads nowhere")?;
    }
    Err(format!("the way to {goal} goes in a circle"))
}
