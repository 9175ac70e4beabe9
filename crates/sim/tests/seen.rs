//! What a node can say of the paths to others: which sizes pass, who said so, and what time the others say it is.

use tinmesh_sim::{Host, World, minutes, secs};

/// Alice and bob, after they talked for a while; bob's link takes so much and says so or not.
fn pair(world: &World, narrow: Option<(u16, bool)>) -> [Host<'_>; 2] {
    let bob = world.node("bob");
    let alice = world.node("alice").knows(bob);
    if let Some((mtu, icmp)) = narrow {
        bob.set_link_mtu(mtu, icmp);
    }
    world.settle(secs(5));
    _ = world.talk(alice, bob, secs(20));
    [alice, bob]
}

#[test]
fn a_path_as_wide_as_the_link_needs_no_word_of_a_router() {
    let world = World::new(1);
    let [alice, bob] = pair(&world, None);
    let sizes = alice.path_info(bob).sizes;
    assert_eq!((sizes.told, sizes.found, sizes.narrowed, sizes.untold), (Some(1_500), Some(1_500), 0, false));
}

#[test]
fn a_size_that_had_to_be_found_because_no_router_said_it_is_told_apart() {
    let world = World::new(2);
    let [alice, bob] = pair(&world, Some((1_400, false)));
    let sizes = alice.path_info(bob).sizes;
    assert_eq!((sizes.told, sizes.narrowed, sizes.untold), (Some(1_500), 0, true), "{sizes:?}");
    assert_eq!(sizes.found, Some(1_400));
}

#[test]
fn a_size_that_a_router_said_is_counted() {
    let world = World::new(3);
    let [alice, bob] = pair(&world, None);
    bob.set_link_mtu(1_300, true);
    _ = world.talk(alice, bob, secs(5));
    let flow = world.flow(alice, bob, 1_400, secs(1) / 10, 100);
    world.run_for(secs(15));
    assert!(world.report(flow).sent > 0);
    let sizes = alice.path_info(bob).sizes;
    assert_eq!((sizes.told, sizes.narrowed, sizes.untold), (Some(1_300), 1, false), "{sizes:?}");
    assert_eq!(sizes.found, Some(1_300));
}

#[test]
fn clocks_of_others_are_compared_with_the_own_one() {
    let world = World::new(4);
    let bob = world.node("bob").clock_ahead(95);
    let carol = world.node("carol").clock_ahead(-40);
    let alice = world.node("alice").knows(bob).knows(carol);
    world.settle(secs(5));
    world.run_for(minutes(5));

    let ahead = |from: Host<'_>, to: Host<'_>| {
        from.path_info(to).clock_ahead.unwrap_or_else(|| panic!("{} {}", from.name(), to.name()))
    };
    for (from, to, seconds) in [(alice, bob, 95), (alice, carol, -40), (bob, alice, -95), (carol, alice, 40)] {
        assert!((ahead(from, to) - seconds).abs() <= 1, "{} {}", from.name(), ahead(from, to));
    }
}
