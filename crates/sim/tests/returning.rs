//! Whoever comes back to a network does not find out anew what it found out there.

use std::time::Duration;

use tinmesh_sim::{Cut, Host, Nat, NatId, Ports, World, millis, minutes, secs};

/// How often the path is kept alive, in seconds, as each of the two wants it.
fn intervals(a: Host<'_>, b: Host<'_>) -> (u64, u64) {
    (a.path_info(b).keepalive.as_secs(), b.path_info(a).keepalive.as_secs())
}

/// Seconds in which one of the two had no direct path to the other.
fn lost(world: &World, a: Host<'_>, b: Host<'_>, time: Duration) -> usize {
    let is_lost = |_: &u64| {
        world.run_for(secs(1));
        !a.path_info(b).direct || !b.path_info(a).direct
    };
    (0..time.as_secs()).filter(is_lost).count()
}

fn moves(world: &World, host: Host<'_>, nat: NatId, other: Host<'_>) {
    host.move_behind(nat);
    world.run_for(secs(5));
    assert!(world.ping(host, other).arrives());
}

#[test]
fn silences_that_a_network_bears_are_known_when_a_node_returns() {
    let world = World::new(31);
    let relay = world.node("relay");
    let homes = [300, 15].map(|seconds| world.nat(Nat::linux().with_lifetime(secs(seconds))));
    let [home, hotel] = homes;
    let alice = world.node("alice").behind_shared(home).knows(relay);
    world.settle(secs(5));
    world.run_for(minutes(20));
    assert_eq!(intervals(alice, relay), (120, 120));
    moves(&world, alice, hotel, relay);
    assert_eq!(intervals(alice, relay), (10, 10), "nothing is known there");
    world.run_for(minutes(10));
    assert_eq!(intervals(alice, relay), (7, 7));

    moves(&world, alice, home, relay);
    assert_eq!(intervals(alice, relay), (120, 120));
    assert_eq!(lost(&world, alice, relay, minutes(10)), 0);
    moves(&world, alice, hotel, relay);
    assert_eq!(intervals(alice, relay), (7, 7));
    assert_eq!(lost(&world, alice, relay, minutes(10)), 0);
}

#[test]
fn silences_are_known_after_sleep_and_when_the_other_end_starts_anew() {
    let world = World::new(32);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(300))).knows(relay);
    world.settle(secs(5));
    world.run_for(minutes(20));

    alice.suspend();
    world.run_for(minutes(10));
    alice.resume();
    world.run_for(secs(10));
    assert!(world.ping(alice, relay).arrives());
    assert_eq!(alice.path_info(relay).lifetime.map(|known| known.stood), Some(240));

    relay.restart();
    world.run_for(secs(20));
    assert!(world.ping(alice, relay).arrives());
    assert_eq!(alice.path_info(relay).lifetime.map(|known| known.stood), Some(240), "the relay itself knows nothing");
    assert_eq!(lost(&world, alice, relay, minutes(10)), 0);
}

#[test]
fn a_network_whose_router_was_replaced_is_believed_only_until_it_was_tried() {
    let world = World::new(33);
    let relay = world.node("relay");
    let [home, hotel] = [300, 300].map(|seconds| world.nat(Nat::linux().with_lifetime(secs(seconds))));
    let alice = world.node("alice").behind_shared(home).knows(relay);
    world.settle(secs(5));
    world.run_for(minutes(20));
    moves(&world, alice, hotel, relay);
    world.replace_nat(home, Nat::linux().with_lifetime(secs(30)));

    moves(&world, alice, home, relay);
    assert_eq!(intervals(alice, relay).0, 120);
    world.run_for(minutes(20));
    assert!(intervals(alice, relay).0 <= 14, "{:?}", alice.path_info(relay));
    assert_eq!(lost(&world, alice, relay, minutes(10)), 0);
}

/// Alice and bob, whose ports nobody can guess, and carol, whom both know; packets flow.
fn hopeless(world: &World) -> ([Host<'_>; 3], NatId) {
    world.expect_refusals();
    let carol = world.node("carol");
    let home = world.nat(Nat::symmetric());
    let alice = world.node("alice").behind_shared(home).knows(carol);
    let bob = world.node("bob").behind(Nat::symmetric()).knows(carol);
    world.settle(secs(30));
    world.flow(alice, bob, 200, millis(200), u32::MAX);
    world.run_for(minutes(20));
    ([alice, bob, carol], home)
}

#[test]
fn attempts_that_failed_in_a_network_still_pause_when_a_node_returns() {
    let world = World::new(34);
    let ([alice, bob, _carol], home) = hopeless(&world);
    let hotel = world.nat(Nat::port_restricted_cone().with_ports(Ports::Random));

    alice.move_behind(hotel);
    world.run_for(minutes(2));
    assert!(alice.path_info(bob).direct, "what failed at home says nothing of the hotel");
    alice.move_behind(home);
    world.run_for(minutes(2));

    assert!(!alice.path_info(bob).direct);
    // She has another address inside than before.
    let ports = alice.mappings().ports;
    assert!(ports < 40, "{ports} ports for nothing");
}

#[test]
fn attempts_that_failed_still_pause_after_a_node_was_away() {
    let world = World::new(35);
    let ([alice, bob, carol], _home) = hopeless(&world);
    let before = alice.mappings().ports;

    world.cut(alice, carol, Some(Cut::All));
    assert!(world.run_until(minutes(5), |_| !alice.reaches(bob) && !bob.reaches(alice)));
    world.cut(alice, carol, None);
    world.run_for(minutes(3));

    assert!(alice.reaches(bob) && bob.reaches(alice));
    let more = alice.mappings().ports - before;
    assert!(more < 40, "{more} ports for nothing");
}
