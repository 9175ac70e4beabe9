//! Random trouble for a small mesh; afterwards everything must be as the oracle says.

use tinmesh_sim::{Cut, Dice, Host, Nat, World, millis, minutes, secs};

const NODES: usize = 10;

/// A mesh of nodes in different places, some of them hard to reach.
fn scattered<'w>(world: &'w World, dice: &mut Dice) -> Vec<Host<'w>> {
    let mut nodes: Vec<Host<'w>> = Vec::new();
    for number in 0..NODES {
        let mut node = world.node(&format!("n{number}")).link(|link| {
            link.latency = millis(2 + dice.below(120));
            link.jitter = millis(dice.below(30));
            link.loss = if dice.chance(300) { 30 } else { 0 };
        });
        if number > 2 && dice.chance(400) {
            let nats = [Nat::full_cone(), Nat::port_restricted_cone(), Nat::symmetric(), Nat::linux()];
            node = node.behind(nats[dice.below(4) as usize]);
        }
        if dice.chance(300) {
            node = node.auto_connects();
        }
        for _ in 0..2.min(number) {
            node = node.knows(nodes[dice.below(number.min(3) as u64) as usize]);
        }
        nodes.push(node);
    }
    nodes
}

/// Does something to a random node; tells what to do to undo it.
fn disturb(world: &World, nodes: &[Host<'_>], dice: &mut Dice) {
    let pick = |dice: &mut Dice| nodes[dice.below(NODES as u64) as usize];
    let (node, other) = (pick(dice), pick(dice));
    match dice.below(10) {
        0 | 1 => node.restart(),
        2 => {
            node.power_off();
            node.start_after(secs(1 + dice.below(20)));
        }
        3 => {
            node.kill();
            node.start_after(millis(dice.below(3000)));
        }
        4 => {
            let group: Vec<Host<'_>> = nodes.iter().copied().filter(|_| dice.chance(400)).collect();
            world.partition(&group);
            world.run_for(secs(dice.below(90)));
            world.heal();
        }
        5 => {
            node.block_udp(true);
            world.run_for(secs(dice.below(40)));
            node.block_udp(false);
        }
        6 if node != other => {
            world.cut(node, other, Some(Cut::All));
            world.run_for(secs(dice.below(60)));
            world.cut(node, other, None);
        }
        7 => node.rebind_nat(),
        8 => {
            node.suspend();
            world.run_for(secs(dice.below(100)));
            node.resume();
        }
        _ if node != other => {
            world.flow(node, other, 200, millis(50), 100);
        }
        _ => {}
    }
    world.run_for(millis(dice.below(15_000)));
}

#[test]
fn after_random_trouble_all_nodes_agree_with_the_oracle() {
    for seed in 0..16 {
        let world = World::new(seed);
        world.expect_refusals();
        let mut dice = Dice::new(1000 + seed);
        let nodes = scattered(&world, &mut dice);
        for _ in 0..25 {
            disturb(&world, &nodes, &mut dice);
        }

        world.settle(minutes(6));

        world.run_for(minutes(2));
        for pair in nodes.windows(2) {
            // After more than 128 lost packets a replay window refuses four more.
            let arrives = (0..6).any(|_| world.ping(pair[0], pair[1]).arrives());
            assert!(arrives, "seed {seed}, {pair:?}");
        }
    }
}
