//! Connections that both ends open at once, where UDP does not get through and neither end can be dialled.

use std::time::Duration;

use tinmesh_core::meta::proxy::Protocol;
use tinmesh_core::node::io::Event;
use tinmesh_core::wire::hello::{Feature, Features};
use tinmesh_sim::{Host, Nat, Path, Ports, TcpRule, World, minutes, secs};

/// Alice and bob behind NATs and two relays with public addresses, UDP blocked at both ends.
struct Story<'w> {
    alice: Host<'w>,
    bob: Host<'w>,
    relays: [Host<'w>; 2],
}

fn story(world: &World, nats: [Nat; 2]) -> Story<'_> {
    let relays = ["relay", "spare"].map(|name| world.node(name));
    let [alice, bob] = [("alice", nats[0]), ("bob", nats[1])].map(|(name, nat)| {
        let host = world.node(name).behind(nat).knows(relays[0]).knows(relays[1]).auto_connects();
        host.block_udp(true);
        host
    });
    let _ = relays[0].knows(relays[1]);
    Story { alice, bob, relays }
}

/// Packets go to and fro for so long.
fn talk(world: &World, Story { alice, bob, .. }: &Story<'_>, time: Duration) {
    for _ in 0..time.as_secs() * 2 {
        assert!(world.ping(*alice, *bob).arrives());
        world.run_for(Duration::from_millis(500));
    }
}

fn is_straight(world: &World, Story { alice, bob, .. }: &Story<'_>) -> bool {
    world.path(*alice, *bob) == Path::Tcp { via: *alice } && world.path(*bob, *alice) == Path::Tcp { via: *bob }
}

/// How often a node tried.
fn tries(world: &World, host: Host<'_>) -> usize {
    let is_try = |event: &Event| matches!(event, Event::Note(text) if text.contains("both connect to each other"));
    world.events(host).iter().filter(|(_, event)| is_try(event)).count()
}

#[test]
fn nodes_behind_nats_that_neither_can_dial_connect_to_each_other() {
    let cone = Nat::port_restricted_cone();
    let pairs = [
        ("cones that keep ports", cone, cone),
        ("cones with chance ports", cone.with_ports(Ports::Random), cone.with_ports(Ports::Random)),
        ("Linux on both sides", Nat::linux(), Nat::linux()),
        ("a cone and Linux", cone.with_ports(Ports::Random), Nat::linux()),
        ("routers that refuse at once", cone.with_resets(), Nat::linux().with_resets()),
    ];
    for (index, (title, first, second)) in pairs.into_iter().enumerate() {
        let world = World::new(700 + index as u64);
        let story = story(&world, [first, second]);
        world.settle(secs(5));
        talk(&world, &story, secs(12));
        assert!(is_straight(&world, &story), "{title}: {:?}", world.path(story.alice, story.bob));
        assert!(story.alice.neighbours().contains(&"bob".to_owned()), "{title}");
    }
}

#[test]
fn nodes_behind_firewalls_with_ipv6_only_connect_to_each_other() {
    let world = World::new(710);
    let relay = world.node("relay").dual_stack();
    let [alice, bob] = ["alice", "bob"].map(|name| {
        let host = world.node(name).ipv6_only().knows(relay).auto_connects();
        host.block_udp(true);
        host.isp(|isp| isp.tcp = TcpRule::OutwardOnly)
    });
    let story = Story { alice, bob, relays: [relay, relay] };
    world.settle(secs(5));

    talk(&world, &story, secs(12));

    assert!(is_straight(&world, &story), "{:?}", world.path(alice, bob));
}

#[test]
fn nodes_of_which_one_has_two_families_and_the_other_one_meet_in_that_one_at_once() {
    let world = World::new(715);
    let (relay, spare) = (world.node("relay").dual_stack(), world.node("spare").ipv6_only());
    let _ = relay.knows(spare);
    let [alice, bob] = [world.node("alice").dual_stack().knows(relay), world.node("bob").ipv6_only()].map(|host| {
        host.block_udp(true);
        host.knows(spare).auto_connects().isp(|isp| isp.tcp = TcpRule::OutwardOnly)
    });
    let story = Story { alice, bob, relays: [relay, spare] };
    world.settle(secs(5));

    talk(&world, &story, secs(9));

    assert!(alice.neighbours().contains(&"bob".to_owned()), "{:?}", alice.neighbours());
    assert_eq!([alice, bob].map(|host| tries(&world, host)), [1, 1], "the first attempt succeeds");
    assert!(is_straight(&world, &story), "{:?}", world.path(alice, bob));
}

#[test]
fn a_router_that_gives_each_connection_another_port_is_left_alone_after_a_few_attempts() {
    for (index, nats) in [[Nat::symmetric(), Nat::port_restricted_cone()], [Nat::symmetric(); 2]].iter().enumerate() {
        let world = World::new(720 + index as u64);
        let story = story(&world, *nats);
        world.settle(secs(5));

        talk(&world, &story, minutes(10));

        assert!(!is_straight(&world, &story));
        assert!(matches!(world.path(story.alice, story.bob), Path::Tcp { via } if via != story.alice));
        assert_eq!(
            [story.alice, story.bob].map(|host| tries(&world, host)),
            [0, 0],
            "two mirrors tell that it is in vain"
        );
        assert!(story.relays.iter().all(|relay| relay.neighbours().len() == 3), "nothing else changes");
    }
}

#[test]
fn with_one_neighbour_to_ask_attempts_in_vain_grow_rare() {
    let world = World::new(730);
    let relay = world.node("relay");
    let nodes = [("alice", Nat::symmetric()), ("bob", Nat::port_restricted_cone())];
    let [alice, bob] = nodes.map(|(name, nat)| world.node(name).behind(nat).knows(relay).auto_connects());
    [alice, bob].iter().for_each(|host| host.block_udp(true));
    let story = Story { alice, bob, relays: [relay, relay] };
    world.settle(secs(5));

    talk(&world, &story, minutes(15));

    assert!(!is_straight(&world, &story));
    let tries = tries(&world, bob);
    assert!((3..=8).contains(&tries), "{tries} in a quarter of an hour");
}

#[test]
fn what_was_met_ends_with_the_packets_and_is_met_again() {
    let world = World::new(740);
    let story = story(&world, [Nat::port_restricted_cone(); 2]);
    world.settle(secs(5));
    talk(&world, &story, secs(12));
    assert!(is_straight(&world, &story));

    world.run_for(minutes(7));
    assert!(!story.alice.neighbours().contains(&"bob".to_owned()), "nobody needs it");

    talk(&world, &story, secs(12));
    assert!(is_straight(&world, &story));
}

#[test]
fn a_connection_that_a_router_forgot_is_met_again() {
    let world = World::new(750);
    let story = story(&world, [Nat::port_restricted_cone(); 2]);
    world.settle(secs(5));
    talk(&world, &story, secs(12));
    assert!(is_straight(&world, &story));

    story.alice.rebind_nat();
    world.run_for(minutes(3));
    talk(&world, &story, secs(30));

    assert!(is_straight(&world, &story));
}

#[test]
fn nobody_meets_who_may_not_or_need_not() {
    type Change = fn(&Story<'_>);
    let cases: [(&str, Change); 4] = [
        ("UDP works", |story| [story.alice, story.bob].iter().for_each(|host| host.block_udp(false))),
        ("one makes only connections that are named", |story| {
            let _ = story.bob.configure(|config| config.mesh.auto_connect = false);
        }),
        ("one is reached through another only", |story| {
            let _ = story.bob.configure(|config| config.link.indirect = true);
        }),
        ("one does not want it", |story| {
            let others = Feature::ALL.into_iter().filter(|&feature| feature != Feature::Meet);
            let others: Features = others.collect();
            let _ = story.alice.configure(|config| config.mesh.extensions = others);
        }),
    ];
    for (index, (title, change)) in cases.into_iter().enumerate() {
        let world = World::new(760 + index as u64);
        let story = story(&world, [Nat::port_restricted_cone(); 2]);
        change(&story);
        world.settle(secs(5));
        world.ping(story.alice, story.bob);
        world.run_for(secs(1));
        talk(&world, &story, secs(20));
        assert!(!story.alice.neighbours().contains(&"bob".to_owned()), "{title}");
        assert_eq!(tries(&world, story.alice), 0, "{title}");
    }
}

#[test]
fn who_uses_a_proxy_stays_behind_it() {
    let world = World::new(765);
    let story = story(&world, [Nat::port_restricted_cone(); 2]);
    world.settle(secs(5));
    story.alice.reload(|config| config.proxy = Some(Protocol::Socks4 { user: String::new() }));

    talk(&world, &story, secs(20));

    assert_eq!([story.alice, story.bob].map(|host| tries(&world, host)), [0, 0]);
}

#[test]
fn a_relay_with_paths_by_udp_on_both_sides_is_better_than_a_connection() {
    let world = World::new(770);
    let story = story(&world, [Nat::symmetric(); 2]);
    [story.alice, story.bob].iter().for_each(|host| host.block_udp(false));
    world.settle(secs(5));

    talk(&world, &story, secs(60));

    assert!(matches!(world.path(story.alice, story.bob), Path::Relayed { .. }));
    assert_eq!(tries(&world, story.alice), 0);
}
