//! Many nodes: how a mesh grows together and stays together.

use tinmesh_core::node::io::Event;
use tinmesh_sim::{Host, Settings, World, millis, minutes, secs};

/// A mesh in which each node knows one or two of those before it.
fn grown(world: &World, count: usize, auto_connect: bool) -> Vec<Host<'_>> {
    let mut nodes: Vec<Host<'_>> = Vec::new();
    for number in 0..count {
        let mut node = world.node(&format!("node{number:03}"));
        if auto_connect {
            node = node.auto_connects();
        }
        if number > 0 {
            node = node.knows(nodes[number / 2]);
        }
        if number > 3 {
            node = node.knows(nodes[(number * 7919) % 1009 % (number - 1)]);
        }
        nodes.push(node);
    }
    nodes
}

#[test]
fn auto_connect_gives_everyone_several_connections() {
    let world = World::new(1);
    let first = world.node("first").auto_connects();
    let others: Vec<_> = (0..11).map(|number| world.node(&format!("n{number}")).auto_connects()).collect();
    let others: Vec<_> = others.into_iter().map(|node| node.knows(first)).collect();
    world.expect_refusals();
    world.settle(secs(60));

    world.run_for(minutes(3));

    for node in others.iter().chain([&first]) {
        let count = node.neighbours().len();
        assert!(count >= 2, "{node:?} has {count} connections");
        let strangers = |event: &Event| matches!(event, Event::Refused { reason, .. } if reason.contains("identity"));
        assert!(!world.events(*node).iter().any(|(_, event)| strangers(event)), "{node:?} refused a member");
    }
    assert_eq!(world.islands(), 1);
}

#[test]
fn a_mesh_that_connects_by_itself_survives_the_loss_of_its_first_node() {
    for seed in 0..30 {
        let world = World::new(seed);
        let first = world.node("first").auto_connects();
        let others: Vec<_> =
            (0..8).map(|number| world.node(&format!("n{number}")).auto_connects().knows(first)).collect();
        for (index, node) in others.iter().enumerate() {
            for other in &others[index + 1..] {
                let _ = node.trusts(*other);
            }
        }
        world.settle(secs(60));
        world.run_for(minutes(2));

        first.power_off();
        world.run_for(minutes(3));

        assert_eq!(world.islands(), 1, "seed {seed}");
        assert!(world.ping(others[0], others[7]).arrives(), "seed {seed}");
    }
}

#[test]
fn a_mesh_of_a_hundred_nodes_converges() {
    let world = World::with(3, Settings::LARGE);
    let nodes = grown(&world, 100, false);

    world.settle(secs(60));

    assert!(world.ping(nodes[99], nodes[1]).arrives());
    assert!(world.ping(nodes[40], nodes[77]).arrives());
}

#[test]
fn many_nodes_that_restart_at_once_make_no_storm() {
    let world = World::with(4, Settings::LARGE);
    let nodes = grown(&world, 40, false);
    world.settle(secs(60));
    let edges = 2 * nodes.iter().map(|node| node.neighbours().len()).sum::<usize>() / 2;
    let before = world.work();

    for node in &nodes[20..] {
        node.restart();
    }
    world.settle(minutes(2));

    let sent = world.work().meta_sent - before.meta_sent;
    // Every edge goes, comes back, and crosses every connection twice at most; the rest is greeting.
    let bound = u64::try_from(6 * edges * edges).expect("a small number");
    assert!(sent < bound, "{sent} messages for {edges} edges");
}

#[test]
fn an_idle_mesh_is_quiet() {
    let world = World::with(5, Settings::LARGE);
    let nodes = grown(&world, 30, false);
    world.settle(secs(60));
    world.run_for(minutes(1));
    let before = world.work();

    world.run_for(minutes(10));

    let connections: usize = nodes.iter().map(|node| node.neighbours().len()).sum::<usize>() / 2;
    let minutes_of_connections = 10 * u64::try_from(connections).expect("a small number");
    let after = world.work();
    let meta = after.meta_sent - before.meta_sent;
    assert!(meta <= 6 * minutes_of_connections, "{meta} messages on {connections} connections");
    let datagrams = after.datagrams - before.datagrams;
    assert!(datagrams <= 40 * minutes_of_connections, "{datagrams} datagrams on {connections} connections");
}

#[test]
fn the_same_seed_makes_the_same_world_and_another_seed_another() {
    let run = |seed| {
        let world = World::new(seed);
        let nodes = grown(&world, 8, true);
        let lossy = nodes[3].link(|link| (link.loss, link.jitter) = (100, millis(30)));
        world.run_for(secs(20));
        world.talk(lossy, nodes[6], secs(5));
        nodes[2].restart();
        world.run_for(secs(30));
        (world.trace(), world.work())
    };

    assert_eq!(run(6), run(6));
    assert_ne!(run(6).0, run(7).0);
}
