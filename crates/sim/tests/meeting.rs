//! Nodes meet: first contact, keys, many in one mesh.

use tinmesh_sim::{Path, World, millis, secs};

#[test]
fn two_nodes_connect_and_ping_both_families() {
    let world = World::new(1);
    let alice = world.node("alice");
    let bob = world.node("bob").knows(alice);

    world.settle(secs(5));

    let ping = world.ping(alice, bob);
    assert!(ping.rtt.expect("an answer") < millis(200), "{ping:?}");
    assert!(world.ping6(bob, alice).arrives());
    assert_eq!(world.path(alice, bob), Path::Direct);
}

#[test]
fn two_nodes_meet_over_ipv6() {
    let world = World::new(2);
    let alice = world.node("alice").ipv6_only();
    let bob = world.node("bob").ipv6_only().knows(alice);

    world.settle(secs(5));

    assert!(world.ping(alice, bob).arrives());
    assert_eq!(world.path(bob, alice), Path::Direct);
}

#[test]
fn a_node_is_found_by_its_host_name() {
    let world = World::new(3);
    let alice = world.node("alice");
    let bob = world.node("bob").knows_by_name(alice);

    world.settle(secs(5));

    assert!(world.ping(bob, alice).arrives());
}

#[test]
fn nodes_without_host_files_of_each_other_talk_directly() {
    let world = World::new(4);
    let bob = world.node("bob");
    let alice = world.node("alice").knows(bob);
    let carol = world.node("carol").knows(bob);

    world.settle(secs(5));

    assert!(world.ping(alice, carol).arrives());
    assert_eq!(world.path(alice, carol), Path::Direct);
    assert_eq!(world.path(carol, alice), Path::Direct);
    assert_eq!(alice.neighbours(), ["bob"]);
}
