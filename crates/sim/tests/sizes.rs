//! How large packets may be, and how nodes find out.

use std::time::Duration;

use tinmesh_core::dataplane::fib::Forwarding;
use tinmesh_core::wire::hello::Features;
use tinmesh_sim::{Cut, Host, Path, World, millis, secs};

/// What a path of so many bytes of IPv4 packet leaves for a frame: headers of IP and UDP, number, type, tag, ids.
const fn frame(ip: u16) -> u16 {
    ip - 20 - 8 - 21 - 12
}

/// Two nodes with a third as their meeting point.
fn two(world: &World) -> [Host<'_>; 2] {
    two_with(world, Features::all())
}

fn two_with(world: &World, extensions: Features) -> [Host<'_>; 2] {
    let carol = world.node("carol");
    let alice = world.node("alice").configure(|config| config.mesh.extensions = extensions).knows(carol);
    let bob = world.node("bob").knows(carol);
    world.settle(secs(5));
    [alice, bob]
}

fn measured(of: Host<'_>, by: Host<'_>) -> (u16, u16, u16) {
    by.info(of).expect("is known").mtu
}

#[test]
fn the_size_of_an_ordinary_path_is_found_at_once() {
    let world = World::new(1);
    let [alice, bob] = two(&world);

    world.talk(alice, bob, secs(5));

    let full = frame(1500);
    assert_eq!(measured(bob, alice), (full, full, full));
    assert_eq!(measured(alice, bob), (full, full, full));
}

#[test]
fn the_size_of_a_narrow_path_is_found_where_routers_tell_it() {
    let world = World::new(2);
    let [alice, bob] = two(&world);
    bob.set_link_mtu(1280, true);

    world.talk(alice, bob, secs(20));

    let narrow = frame(1280);
    assert_eq!(measured(bob, alice), (narrow, narrow, narrow));
    assert_eq!(measured(alice, bob), (narrow, narrow, narrow));
}

#[test]
fn the_size_of_a_black_hole_is_found_and_nothing_hangs() {
    let world = World::new(3);
    let [alice, bob] = two(&world);
    bob.set_link_mtu(1280, false);

    let flow = world.flow(alice, bob, 1200, millis(100), 300);
    world.run_for(secs(32));

    let report = world.report(flow);
    assert_eq!(report.arrived, 300, "{report:?}");
    assert_eq!(world.path(alice, bob), Path::Direct);
    let narrow = frame(1280);
    assert_eq!(measured(bob, alice), (narrow, narrow, narrow));
}

#[test]
fn a_sender_is_told_what_fits_and_then_everything_arrives() {
    is_told(Features::NONE, 0);
}

#[test]
fn what_does_not_fit_goes_in_two_pieces_and_its_sender_is_told_all_the_same() {
    is_told(Features::all(), 5);
}

/// Alice sends five packets that do not fit and may not be cut.
fn is_told(extensions: Features, arrive: usize) {
    let world = World::new(4);
    let [alice, bob] = two_with(&world, extensions);
    bob.set_link_mtu(1280, true);
    world.talk(alice, bob, secs(20));

    let flow = world.flow(alice, bob, 1400, millis(100), 5);
    world.run_for(secs(2));
    assert_eq!(world.report(flow).arrived, arrive);
    let told = *alice.told_too_big().last().expect("alice was told");
    assert_eq!(told, frame(1280) - 14);

    let flow = world.flow(alice, bob, usize::from(told), millis(100), 50);
    world.run_for(secs(7));
    assert_eq!(world.report(flow).arrived, 50);
}

#[test]
fn a_path_that_becomes_narrow_is_measured_anew() {
    let world = World::new(5);
    let [alice, bob] = two(&world);
    world.talk(alice, bob, secs(10));
    assert_eq!(measured(bob, alice).0, frame(1500));

    bob.set_link_mtu(1280, false);
    let flow = world.flow(alice, bob, 1000, millis(100), 1200);
    world.run_for(secs(125));

    let narrow = frame(1280);
    assert_eq!(measured(bob, alice), (narrow, narrow, narrow));
    assert_eq!(world.report(flow).arrived, 1200);
}

/// The router loses the first packet of each direction and says so; after that the system refuses what is too long.
#[test]
fn packets_that_the_system_refuses_are_not_lost() {
    let world = World::new(9);
    let bob = world.node("bob");
    let alice = world.node("alice").knows(bob);
    world.settle(secs(5));
    let flow = world.flow(alice, bob, 1_300, millis(100), 100);
    world.run_for(secs(5));
    assert_eq!(measured(bob, alice).0, frame(1_500));

    bob.set_link_mtu(1_280, true);
    world.run_for(secs(8));

    assert_eq!((world.report(flow).arrived, world.replies(flow)), (99, 98));
}

/// Alice and bob have no path of their own. Where routers say nothing, the relay finds out itself, sends what is too long over
/// TCP, and tells alice.
#[test]
fn a_relay_whose_link_becomes_narrow_lowers_the_size() {
    for (icmp, silence) in [(true, millis(250)), (false, secs(4))] {
        let world = World::new(10);
        let relay = world.node("relay");
        let alice = world.node("alice").knows(relay);
        let bob = world.node("bob").knows(relay);
        world.cut(alice, bob, Some(Cut::All));
        world.settle(secs(5));
        let flow = world.flow(alice, bob, 1_300, millis(50), u32::MAX);
        world.run_for(secs(10));
        assert_eq!(measured(bob, relay).0, frame(1_500));

        relay.set_link_mtu(1_280, icmp);
        let since = world.now();
        world.run_for(secs(10));

        assert!(world.silence_since(flow, since) <= silence, "{icmp}: {:?}", world.silence_since(flow, since));
        let (settled, end) = (since + secs(8), since + millis(9_500));
        assert!(world.answered(flow, settled, end) >= 100.0, "{icmp}: {}", world.answered(flow, settled, end));
        assert_eq!(measured(bob, alice).0, frame(1_280), "{icmp}");
        assert_eq!(alice.told_too_big().last(), Some(&(frame(1_280) - 14)), "{icmp}");
        assert_eq!(world.path(alice, bob), Path::Relayed { via: relay }, "{icmp}");
    }
}

/// Packets go from alice to bob by a relay, and the way between relay and bob takes less from some time on. How long it takes
/// until alice knows, after which nothing may be lost.
fn known_after(world: &World, [alice, bob]: [Host<'_>; 2], flow: usize) -> Duration {
    assert_eq!(measured(bob, alice).0, frame(1_500));
    bob.set_link_mtu(1_280, false);
    let since = world.now();
    world.run_until(secs(10), |_| measured(bob, alice).0 == frame(1_280));
    let known = world.now().since(since);
    let settled = since + secs(3);
    world.run_for(secs(11));
    assert!(
        world.answered(flow, settled, settled + secs(7)) >= 100.0,
        "{}",
        world.answered(flow, settled, settled + secs(7))
    );
    known
}

/// Where answers are short, nothing is silent, and the relay finds out only by what bob says that came.
#[test]
fn whoever_sends_by_a_relay_knows_within_three_seconds_that_its_way_shrank() {
    for (seed, pace) in (0..6).flat_map(|seed| [(seed, millis(20)), (seed, millis(100))]) {
        for answers_are_short in [false, true] {
            let world = World::new(11 + seed);
            let relay = world.node("relay");
            let ends = ["alice", "bob"].map(|name| world.node(name).knows(relay));
            let [alice, bob] = ends;
            world.cut(alice, bob, Some(Cut::All));
            world.settle(secs(5));
            let flow = if answers_are_short {
                world.bulk(alice, bob, 1_400, pace)
            } else {
                world.flow(alice, bob, 1_400, pace, u32::MAX)
            };
            world.run_for(secs(10) + millis(170 * seed));

            let known = known_after(&world, ends, flow);

            assert!(known <= secs(3), "{seed}, {pace:?}, {answers_are_short}: {known:?}");
        }
    }
}

/// The nearest eight are asked how far bob is, and none of them hears him.
#[test]
fn the_next_node_of_the_way_is_asked_for_sizes_though_eight_are_nearer() {
    for seed in 0..4 {
        let world = World::new(30 + seed);
        let relay = world.node("relay").link(|link| link.latency = millis(30));
        let ends = ["alice", "bob"].map(|name| world.node(name).knows(relay));
        let [alice, bob] = ends;
        world.cut(alice, bob, Some(Cut::All));
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            world.cut(world.node(name).knows(relay), bob, Some(Cut::All));
        }
        world.settle(secs(20));
        let flow = world.flow(alice, bob, 1_400, millis(50), u32::MAX);
        world.run_for(secs(20) + millis(1_270 * seed));

        let known = known_after(&world, ends, flow);

        assert!(known <= secs(3), "{seed}: {known:?}");
        assert_eq!(world.path(alice, bob), Path::Relayed { via: relay });
    }
}

/// A router that keeps quiet about it would lose them inside long segments of TCP as well.
#[test]
fn packets_that_a_path_does_not_take_whole_any_more_go_straight_in_two_pieces() {
    let world = World::new(8);
    let [alice, bob] = two(&world);
    let flow = world.flow(alice, bob, 528, millis(20), u32::MAX);
    world.run_for(secs(10));

    bob.set_link_mtu(560, false);
    let since = world.now();
    world.run_for(secs(10));

    let straight = world.direct_since(flow, since + secs(1)).expect("they go straight again");
    assert!(straight.since(since) <= secs(3), "{:?}", straight.since(since));
    assert!(measured(bob, alice).0 <= frame(560));
}

#[test]
fn a_path_that_becomes_wide_again_is_used_in_full() {
    let world = World::new(6);
    let [alice, bob] = two(&world);
    bob.set_link_mtu(1280, false);
    world.talk(alice, bob, secs(30));
    assert_eq!(measured(bob, alice).0, frame(1280));

    bob.set_link_mtu(1500, false);
    world.talk(alice, bob, secs(150));

    assert_eq!(measured(bob, alice).0, frame(1500));
}

#[test]
fn a_node_that_forwards_nothing_is_no_way_between_others() {
    let world = World::new(7);
    let carol = world.node("carol").configure(|config| config.policy.forwarding = Forwarding::Off);
    let alice = world.node("alice").knows(carol);
    let bob = world.node("bob").knows(carol);
    world.settle(secs(5));

    assert!(world.ping(alice, bob).arrives(), "sealed packets are relayed all the same");
}
