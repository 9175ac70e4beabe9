//! Connections for packets only, beside the meta connection, where UDP does not carry them (docs/protocol.md, "Streams").

use tinmesh_core::node::io::{Command, Reply};
use tinmesh_core::wire::hello::Features;
use tinmesh_sim::{Host, Nat, Path, World, millis, secs};

/// Connections of one node with another.
fn connections(world: &World, of: Host<'_>, with: Host<'_>) -> usize {
    let Some(Reply::Connections(all)) = world.command(of, Command::Connections) else {
        panic!("{of:?} does not answer")
    };
    all.iter().filter(|conn| conn.name.as_ref().is_some_and(|name| name.as_str() == with.name())).count()
}

#[test]
fn much_without_udp_takes_streams_that_end_when_udp_returns() {
    let world = World::new(1);
    let bob = world.node("bob");
    let alice = world.node("alice").knows(bob);
    world.settle(secs(5));
    world.talk(alice, bob, secs(10));
    assert_eq!((world.path(alice, bob), connections(&world, alice, bob)), (Path::Direct, 1));

    alice.block_udp(true);
    let flow = world.flow(alice, bob, 1_000, millis(2), 20_000);
    world.run_for(secs(20));
    assert_eq!(world.path(alice, bob), Path::Tcp { via: alice });
    assert_eq!((connections(&world, alice, bob), connections(&world, bob, alice)), (4, 4));
    alice.block_udp(false);
    world.run_for(secs(20));
    let report = world.report(flow);
    assert!(report.longest_gap < secs(5), "{report:?}");

    world.flow(alice, bob, 1_000, millis(100), 600);
    world.run_for(secs(60));
    assert_eq!(world.path(alice, bob), Path::Direct);
    assert_eq!((connections(&world, alice, bob), connections(&world, bob, alice)), (1, 1));
}

#[test]
fn who_is_behind_a_nat_makes_the_streams_also_for_what_it_receives() {
    let world = World::new(2);
    let bob = world.node("bob");
    let alice = world.node("alice").behind(Nat::symmetric()).knows(bob);
    alice.block_udp(true);
    world.settle(secs(5));

    let flow = world.flow(bob, alice, 1_000, millis(2), 5_000);
    world.run_for(secs(12));

    assert_eq!((connections(&world, alice, bob), connections(&world, bob, alice)), (4, 4));
    assert_eq!(world.report(flow).arrived, 5_000);
}

#[test]
fn a_node_that_passes_packets_on_between_others_has_streams_with_both() {
    let world = World::new(3);
    let carol = world.node("carol");
    let [alice, bob] = ["alice", "bob"].map(|name| world.node(name).knows(carol));
    for host in [alice, bob, carol] {
        host.block_udp(true);
    }
    world.settle(secs(5));
    assert!(world.ping(alice, bob).arrives());

    let flow = world.flow(alice, bob, 1_000, millis(2), 5_000);
    world.run_for(secs(12));

    assert_eq!([alice, bob].map(|host| connections(&world, carol, host)), [4, 4]);
    assert_eq!(world.report(flow).arrived, 5_000);
}

#[test]
fn without_extensions_there_is_one_connection() {
    let world = World::new(4);
    let bob = world.node("bob").configure(|config| config.mesh.extensions = Features::NONE);
    let alice = world.node("alice").knows(bob);
    alice.block_udp(true);
    world.settle(secs(5));

    let flow = world.flow(alice, bob, 1_000, millis(2), 5_000);
    world.run_for(secs(12));

    assert_eq!((connections(&world, alice, bob), connections(&world, bob, alice)), (1, 1));
    assert_eq!(world.report(flow).arrived, 5_000);
}
