//! Keep-alives follow what NATs and firewalls on the way allow.

use std::time::Duration;

use tinmesh_core::wire::hello::{Feature, Features};
use tinmesh_sim::{Dependence, Host, Nat, Path, Ports, UdpRule, World, minutes, secs};

/// How often the path is kept alive, in seconds.
fn interval(from: Host<'_>, to: Host<'_>) -> u64 {
    from.path_info(to).keepalive.as_secs()
}

/// Seconds of a silence in which one of the two had no direct path to the other.
fn lost(world: &World, a: Host<'_>, b: Host<'_>, silence: Duration) -> usize {
    let is_lost = |_: &u64| {
        world.run_for(secs(1));
        !a.path_info(b).direct || !b.path_info(a).direct
    };
    (0..silence.as_secs()).filter(is_lost).count()
}

/// The same, and how many mappings its NAT made for `a` meanwhile: none, if the old one never lapsed.
fn lapsed(world: &World, a: Host<'_>, b: Host<'_>, silence: Duration) -> (usize, u64) {
    let before = a.mappings().made;
    let lost = lost(world, a, b, silence);
    (lost, a.mappings().made - before)
}

fn without_learning(host: Host<'_>) -> Host<'_> {
    host.configure(|config| {
        config.mesh.extensions =
            Feature::ALL.into_iter().filter(|&feature| feature != Feature::Keepalive).collect::<Features>();
    })
}

#[test]
fn a_nat_keeps_its_path_however_soon_it_forgets() {
    for (lifetime, expected) in [(15, 7), (20, 7), (30, 14), (60, 28), (130, 56), (300, 120)] {
        let world = World::new(lifetime);
        let relay = world.node("relay");
        let nat = Nat::linux().with_lifetime(secs(lifetime));
        let alice = world.node("alice").behind(nat).knows(relay);
        world.settle(secs(5));
        assert!(world.ping(alice, relay).arrives());

        assert_eq!(lost(&world, alice, relay, minutes(25)), 0, "{lifetime} s");
        assert_eq!(lapsed(&world, alice, relay, minutes(15)), (0, 0), "{lifetime} s");

        assert_eq!(interval(alice, relay), expected, "{lifetime} s: {:?}", alice.path_info(relay));
        assert_eq!(interval(relay, alice), expected, "{lifetime} s: {:?}", relay.path_info(alice));
        assert!(world.ping(relay, alice).arrives());
        let known = alice.path_info(relay).lifetime.expect("it is learnt");
        assert!(!known.learning && known.stood < lifetime, "{known:?}");
    }
}

#[test]
fn a_nat_that_forgets_in_less_than_the_usual_interval_keeps_its_path_once_that_is_known() {
    let world = World::new(8);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(8))).knows(relay);
    world.settle(secs(5));
    world.run_for(minutes(1));
    assert_eq!(interval(alice, relay), 5);
    // The other end still tries what it may do.
    world.run_for(minutes(15));

    assert_eq!(lapsed(&world, alice, relay, minutes(20)), (0, 0));
}

#[test]
fn both_ends_agree_on_what_the_shorter_one_allows() {
    let world = World::new(3);
    // A firewall that lets in who was written to in the last two minutes.
    let relay = world.node("relay").isp(|isp| isp.udp = UdpRule::AnswersOnly);
    let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(300))).knows(relay);
    world.settle(secs(5));

    assert_eq!(lost(&world, alice, relay, minutes(25)), 0);

    let (there, here) = (relay.path_info(alice), alice.path_info(relay));
    assert_eq!((there.keepalive, here.keepalive), (secs(56), secs(56)), "{there:?} {here:?}");
    assert_eq!(there.lifetime.unwrap().fell, Some(160));
    assert_eq!(here.lifetime.unwrap().fell, None);
}

#[test]
fn a_nat_with_a_port_by_chance_for_each_destination_is_no_hindrance() {
    let world = World::new(13);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::symmetric().with_lifetime(secs(300))).knows(relay);
    world.settle(secs(5));

    assert_eq!(lost(&world, alice, relay, minutes(20)), 0);

    assert_eq!((interval(alice, relay), interval(relay, alice)), (120, 120));
}

#[test]
fn a_node_with_many_neighbours_tries_their_paths_in_turn() {
    let world = World::new(14);
    let hub = world.node("hub");
    world.expect_refusals();
    let names: Vec<String> = (0..12).map(|number| format!("leaf{number}")).collect();
    let leaf = |name: &String| world.node(name).behind(Nat::linux().with_lifetime(secs(300))).knows(hub);
    let leaves: Vec<Host<'_>> = names.iter().map(leaf).collect();
    world.settle(secs(30));

    world.run_for(minutes(15));
    let done = |leaf: &&Host<'_>| hub.path_info(**leaf).keepalive == secs(120);
    assert!((6..=8).contains(&leaves.iter().filter(done).count()), "so many at a time");
    world.run_for(minutes(20));
    assert_eq!(leaves.iter().filter(done).count(), 12);
}

#[test]
fn a_long_lifetime_saves_most_keepalives() {
    let datagrams = |learns: bool| {
        let world = World::new(4);
        let relay = world.node("relay");
        let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(300))).knows(relay);
        if !learns {
            _ = without_learning(alice);
        }
        world.settle(secs(5));
        world.run_for(minutes(15));
        let before = world.work().datagrams;
        world.run_for(minutes(60));
        let sent = world.work().datagrams - before;
        assert_eq!(world.path(relay, alice), Path::Direct);
        sent
    };
    let (learnt, usual) = (datagrams(true), datagrams(false));
    println!("{learnt} datagrams in an hour of silence, {usual} without learning");
    assert!(learnt * 8 < usual, "{learnt} of {usual}");
}

#[test]
fn learning_costs_little() {
    let datagrams = |learns: bool| {
        let world = World::new(5);
        let relay = world.node("relay");
        let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(30))).knows(relay);
        if !learns {
            _ = without_learning(alice);
        }
        world.settle(secs(5));
        world.run_for(minutes(10));
        (world.work().datagrams, alice.mappings().made)
    };
    let ((learnt, ports), (usual, usual_ports)) = (datagrams(true), datagrams(false));
    println!("{learnt} datagrams in ten minutes, {usual} without learning; ports {ports} and {usual_ports}");
    assert!(learnt < usual + 60 && ports <= usual_ports + 12, "{learnt} {usual} {ports} {usual_ports}");
}

#[test]
fn a_node_that_does_not_know_of_it_keeps_the_usual_interval() {
    let world = World::new(6);
    let relay = without_learning(world.node("relay"));
    let alice = world.node("alice").behind(Nat::linux()).knows(relay);
    world.settle(secs(5));
    world.run_for(minutes(15));

    assert_eq!((interval(alice, relay), interval(relay, alice)), (10, 10));
    assert_eq!(alice.path_info(relay).lifetime, None);
}

#[test]
fn an_interval_that_was_configured_holds_for_both() {
    let world = World::new(7);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(300))).knows(relay);
    let alice = alice.configure(|config| config.timing.udp_keepalive = Some(secs(25)));
    world.settle(secs(5));
    world.run_for(minutes(15));

    assert_eq!((interval(alice, relay), interval(relay, alice)), (25, 25));
    assert_eq!(alice.path_info(relay).lifetime, None, "nothing is learnt");
    assert_eq!(lost(&world, alice, relay, minutes(10)), 0);
}

#[test]
fn another_network_is_learnt_anew() {
    let world = World::new(9);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(300))).knows(relay);
    let hotel = world.nat(Nat::linux().with_lifetime(secs(15)));
    world.settle(secs(5));
    world.run_for(minutes(20));
    assert_eq!(interval(alice, relay), 120);

    alice.move_behind(hotel);
    world.run_for(secs(5));
    assert!(world.ping(alice, relay).arrives());
    assert_eq!((interval(alice, relay), interval(relay, alice)), (10, 10));
    assert_eq!(lost(&world, alice, relay, minutes(10)), 0);

    assert_eq!((interval(alice, relay), interval(relay, alice)), (7, 7));
}

#[test]
fn traffic_does_not_change_what_is_learnt() {
    let world = World::new(10);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(30))).knows(relay);
    world.settle(secs(5));
    world.flow(alice, relay, 500, secs(1) / 5, 6_000);
    world.run_for(minutes(22));

    assert_eq!((interval(alice, relay), interval(relay, alice)), (14, 14));
    assert_eq!(lost(&world, alice, relay, minutes(5)), 0);
}

#[test]
fn a_path_lost_in_a_long_silence_is_kept_alive_more_often() {
    let world = World::new(11);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(300))).knows(relay);
    world.settle(secs(5));
    world.run_for(minutes(20));
    assert_eq!(interval(relay, alice), 120);

    alice.block_udp(true);
    world.run_for(minutes(5));
    assert_eq!((interval(alice, relay), interval(relay, alice)), (10, 10));
    alice.block_udp(false);
    world.run_for(minutes(15));

    assert_eq!((interval(alice, relay), interval(relay, alice)), (60, 60));
}

#[test]
fn lost_datagrams_do_not_shorten_intervals_for_good() {
    let world = World::new(12);
    let relay = world.node("relay");
    let nat = Nat::new(Dependence::Endpoint, Dependence::AddressAndPort, Ports::Preserving).with_lifetime(secs(300));
    let alice = world.node("alice").behind(nat).knows(relay).link(|link| link.loss = 30);
    world.settle(secs(10));
    let lost = lost(&world, alice, relay, minutes(30));

    assert_eq!(lost, 0);
    assert!(interval(alice, relay) >= 40, "{:?}", alice.path_info(relay));
}

#[test]
fn a_trial_ends_with_its_path_and_leaves_no_socket_open() {
    let world = World::new(21);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::linux().with_lifetime(secs(300))).knows(relay);
    world.settle(secs(5));
    let before = relay.extra_sockets();
    world.run_for(secs(30));
    assert_eq!(relay.extra_sockets(), before + 1, "a silence is tried");

    alice.stop();
    world.run_for(secs(2));
    assert!(!relay.reaches(alice));
    assert_eq!(relay.extra_sockets(), before);
}
