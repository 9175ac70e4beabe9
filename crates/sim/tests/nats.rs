//! Nodes behind NATs, by RFC 4787.

use tinmesh_core::node::io::Event;
use tinmesh_sim::{Nat, Path, Ports, World, millis, minutes, secs};

/// One line per pair of NATs: whether packets go straight once there is traffic.
const PAIRS: &[(&str, Nat, Nat, bool)] = &[
    ("full cones", Nat::full_cone(), Nat::full_cone(), true),
    ("full cone, symmetric", Nat::full_cone(), Nat::symmetric(), true),
    ("restricted cones", Nat::restricted_cone(), Nat::restricted_cone(), true),
    ("restricted cone, symmetric", Nat::restricted_cone(), Nat::symmetric(), true),
    ("port-restricted cones", Nat::port_restricted_cone(), Nat::port_restricted_cone(), true),
    ("port-restricted cone, Linux", Nat::port_restricted_cone(), Nat::linux(), true),
    ("Linux on both sides", Nat::linux(), Nat::linux(), true),
    ("port-restricted cone, symmetric", Nat::port_restricted_cone(), Nat::symmetric(), true),
    ("symmetric", Nat::symmetric(), Nat::symmetric(), false),
];

#[test]
fn every_pair_of_nats_gets_the_best_path_there_is() {
    for (index, &(title, first, second, direct)) in PAIRS.iter().enumerate() {
        let world = World::new(100 + index as u64);
        let relay = world.node("relay");
        let alice = world.node("alice").behind(first).knows(relay);
        let bob = world.node("bob").behind(second).knows(relay);
        world.settle(secs(5));

        assert!(world.ping(alice, bob).arrives(), "{title}");
        let expected = if direct { Path::Direct } else { Path::Relayed { via: relay } };
        assert_eq!(world.path(alice, bob), expected, "{title}");
        assert_eq!(world.path(bob, alice), expected, "{title}, backwards");
    }
}

#[test]
fn cones_that_do_not_keep_ports_get_a_direct_path() {
    let world = World::new(2);
    let relay = world.node("relay");
    let nat = Nat::port_restricted_cone().with_ports(Ports::Random);
    let alice = world.node("alice").behind(nat).knows(relay);
    let bob = world.node("bob").behind(nat).knows(relay);
    world.settle(secs(5));

    assert_eq!(world.path(alice, bob), Path::Direct);
}

#[test]
fn symmetric_nats_fall_back_to_a_relay() {
    let world = World::new(3);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::symmetric()).knows(relay);
    let bob = world.node("bob").behind(Nat::symmetric()).knows(relay);

    world.run_for(minutes(1));

    assert!(world.ping(alice, bob).arrives());
    assert_eq!(world.path(alice, bob), Path::Relayed { via: relay });
}

#[test]
fn nodes_behind_the_same_nat_find_each_other_at_home() {
    let world = World::new(4);
    let relay = world.node("relay");
    let nat = world.nat(Nat::port_restricted_cone().without_hairpin());
    let alice = world.node("alice").behind_shared(nat).knows(relay);
    let bob = world.node("bob").behind_shared(nat).knows(relay);
    world.settle(secs(5));

    assert_eq!(world.path(alice, bob), Path::Direct);
}

#[test]
fn a_home_behind_a_carriers_nat_gets_a_direct_path() {
    let world = World::new(5);
    let relay = world.node("relay");
    let carrier = world.nat(Nat::full_cone());
    let home = world.nat_behind(carrier, Nat::port_restricted_cone());
    let alice = world.node("alice").behind_shared(home).knows(relay);
    let bob = world.node("bob").behind(Nat::port_restricted_cone()).knows(relay);
    world.settle(secs(5));

    assert_eq!(world.path(alice, bob), Path::Direct);
}

#[test]
fn a_direct_path_outlives_the_mapping_of_an_idle_nat() {
    let world = World::new(6);
    let relay = world.node("relay");
    let nat = Nat::port_restricted_cone().with_lifetime(secs(30));
    let alice = world.node("alice").behind(nat).knows(relay);
    let bob = world.node("bob").behind(nat).knows(relay);
    world.settle(secs(5));
    assert_eq!(world.path(alice, bob), Path::Direct);

    world.run_for(minutes(3));

    assert!(world.ping(alice, bob).arrives());
    assert_eq!(world.path(alice, bob), Path::Direct);
}

#[test]
fn a_nat_that_lost_its_mappings_interrupts_traffic_for_seconds_only() {
    let world = World::new(7);
    let relay = world.node("relay");
    let nat = Nat::port_restricted_cone().with_ports(Ports::Random);
    let alice = world.node("alice").behind(nat).knows(relay);
    let bob = world.node("bob").knows(relay);
    world.settle(secs(5));
    assert_eq!(world.path(alice, bob), Path::Direct);

    let flow = world.flow(alice, bob, 500, millis(100), 300);
    world.run_for(secs(5));
    alice.rebind_nat();
    world.run_for(secs(27));

    let report = world.report(flow);
    assert!(report.longest_gap < secs(8), "{report:?}");
    assert!(report.sent - report.arrived < 80, "{report:?}");
}

#[test]
fn what_a_host_cost_its_router_and_its_network_is_counted() {
    let world = World::new(8);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::symmetric()).knows(relay);
    let bob = world.node("bob").behind(Nat::symmetric()).knows(relay);
    world.settle(secs(5));
    assert!(world.ping(alice, bob).arrives());
    world.run_for(minutes(5));

    let (mappings, probes) = (alice.mappings(), alice.probes());

    assert!((1..=256).contains(&mappings.made), "{mappings:?}");
    assert!(probes.sent > 0 && probes.peak <= 100, "{probes:?}");
}

#[test]
fn a_port_that_a_router_passes_on_gives_a_direct_path_where_none_can_be_guessed() {
    let world = World::new(9);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::symmetric()).knows(relay);
    let bob = world.node("bob").behind(Nat::symmetric()).knows(relay);
    world.settle(secs(5));
    assert!(world.ping(alice, bob).arrives());
    assert_eq!(world.path(bob, alice), Path::Relayed { via: relay });

    alice.map_port(7_000);
    world.run_for(secs(2));

    assert!(world.ping(alice, bob).arrives());
    assert_eq!(world.path(bob, alice), Path::Direct);
    assert_eq!(world.path(alice, bob), Path::Direct);
}

#[test]
fn a_port_of_a_node_that_wants_no_datagrams_is_not_written_to() {
    let probes = |mapped: bool| {
        let world = World::new(10);
        let relay = world.node("relay");
        let alice =
            world.node("alice").configure(|config| config.link.tcp_only = true).behind(Nat::symmetric()).knows(relay);
        let bob = world.node("bob").behind(Nat::symmetric()).knows(relay);
        world.settle(secs(5));
        assert!(world.ping(alice, bob).arrives());
        if mapped {
            alice.map_port(7_000);
        }
        world.run_for(secs(2));
        assert!(world.ping(alice, bob).arrives());
        bob.probes().sent
    };
    assert_eq!(probes(true), probes(false));
}

#[test]
fn a_port_of_a_former_session_is_forgotten_with_it() {
    let world = World::new(11);
    let relay = world.node("relay");
    let alice = world.node("alice").behind(Nat::symmetric()).knows(relay);
    let bob = world.node("bob").behind(Nat::symmetric()).knows(relay);
    let told = || {
        let told = |event: &Event| matches!(event, Event::Note(text) if text.contains("pass datagrams on to alice"));
        world.events(bob).iter().filter(|(_, event)| told(event)).count()
    };
    world.settle(secs(5));
    assert!(world.ping(alice, bob).arrives());
    alice.map_port(7_000);
    world.run_for(secs(2));
    assert_eq!(told(), 1);

    alice.power_off();
    alice.start_after(secs(1));
    world.run_for(secs(5));
    assert!(world.ping(alice, bob).arrives());
    alice.map_port(7_000);
    world.run_for(secs(2));

    assert!(!world.events(bob).iter().any(|(_, event)| matches!(event, Event::NodeDown { .. })));
    assert_eq!(told(), 2, "it is news again");
}

#[test]
fn a_connection_that_died_with_its_mapping_is_made_anew_before_anybody_misses_the_node() {
    for seed in 0..6 {
        let world = World::new(seed);
        let relay = world.node("relay");
        let nat = Nat::port_restricted_cone().with_ports(Ports::Random);
        let alice = world.node("alice").behind(nat).knows(relay);
        let bob = world.node("bob").knows(relay);
        world.settle(secs(5));
        let flow = world.flow(alice, bob, 200, millis(20), 9_000);
        world.run_for(secs(10));
        let since = world.now();
        alice.rebind_nat();
        world.run_for(secs(150));
        let silence = world.silence_since(flow, since);
        assert!(silence <= millis(240), "{seed}: {silence:?}");
    }
}

/// The ports that it opened are open; what it sends besides would only cost more.
#[test]
fn who_has_opened_ports_is_quiet_at_first_while_the_other_probes() {
    let world = World::new(3);
    let (carol, dave) = (world.node("carol"), world.node("dave"));
    let dave = dave.knows(carol);
    let alice = world.node("alice").behind(Nat::port_restricted_cone()).knows(carol).knows(dave);
    let bob = world.node("bob").behind(Nat::symmetric()).knows(carol).knows(dave);
    world.settle(secs(30));
    _ = world.flow(alice, bob, 200, millis(50), 400);
    let sent: Vec<u64> = (0..150)
        .map(|_| {
            world.run_for(millis(100));
            bob.probes().sent
        })
        .collect();
    let last = (1..sent.len()).rev().find(|&at| sent[at] > sent[at - 1] + 5).expect("it fires");
    assert!(sent[last] > 200 && sent.len() > last + 16, "{sent:?}");
    assert!(sent[last + 14] <= sent[last + 1], "{:?}", &sent[last..last + 16]);
}
