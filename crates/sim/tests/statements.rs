//! Statements spread through a large mesh, and act there (fides: section 7 point 6). Lost messages are simulated where
//! messages are lost, in `core/src/trust/gossip/tests.rs`; connections of this simulator lose nothing.

use fides::Sign;
use tinmesh_sim::{Dice, Host, Settings, World, minutes, secs};

const NODES: usize = 120;

/// A closed network of the first node in which each node dials one or two others, so that it has three neighbours on average.
fn mesh(world: &World) -> Vec<Host<'_>> {
    let mut dice = Dice::new(7);
    let mut nodes: Vec<Host<'_>> = Vec::with_capacity(NODES);
    for number in 0..NODES {
        let mut node = world.node(&format!("node{number:04}")).configure(|config| config.subnets.clear());
        for _ in 0..(1 + number % 2).min(number) {
            let back = 1 + dice.below(number.min(60) as u64);
            node = node.knows(nodes[number - usize::try_from(back).unwrap_or(1)]);
        }
        let founder = *nodes.first().unwrap_or(&node);
        nodes.push(node.founded_by(founder));
    }
    let (founder, last) = (nodes[0], nodes[NODES - 1]);
    nodes[1..].iter().for_each(|&node| founder.says(Sign::Yes, node, &format!("join {}", node.name())));
    founder.admits(last);
    nodes
}

#[test]
fn a_deny_acts_on_all_nodes_of_a_large_mesh_within_5_seconds() {
    let world = World::with(NODES as u64, Settings::LARGE);
    world.expect_refusals();
    let nodes = mesh(&world);
    world.settle(minutes(10));
    let (founder, denied) = (nodes[0], nodes[NODES - 1]);
    let knowing = || nodes[..NODES - 1].iter().filter(|node| node.reaches(denied)).count();
    assert_eq!(knowing(), NODES - 1);

    founder.says(Sign::No, denied, "join");

    assert!(world.run_until(secs(5), |_| knowing() == 0), "{} still let it in", knowing());
}
