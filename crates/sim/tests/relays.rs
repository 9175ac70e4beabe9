//! Relays between nodes that cannot reach each other straight.

use tinmesh_core::dataplane::relaying::Relaying;
use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_sim::{Cut, Host, Link, Nat, Path, World, millis, minutes, secs};

/// Alice and bob, whose NATs cannot be opened, know only `far`; `near` and `middle` know `far` too. Numbers are
/// the latency of each one's line, in ms: a packet takes the relay's twice.
fn five(world: &World) -> [Host<'_>; 5] {
    let place = |name: &str, latency: u64| world.node(name).link(|link| link.latency = millis(latency));
    let far = place("far", 60);
    let [near, middle] = [place("near", 5), place("middle", 25)].map(|relay| relay.knows(far));
    let [alice, bob] = [place("alice", 10), place("bob", 10)].map(|end| end.behind(Nat::symmetric()).knows(far));
    [alice, bob, near, middle, far]
}

fn by<'w>(relay: Host<'w>) -> Path<'w> {
    Path::Relayed { via: relay }
}

#[test]
fn the_first_packet_takes_any_relay_and_later_ones_the_nearest() {
    let world = World::new(1);
    let [alice, bob, near, ..] = five(&world);
    world.run_for(secs(5));

    let start = world.now();
    let flow = world.flow(alice, bob, 200, millis(100), 300);
    world.run_until(secs(2), |world| world.first_reply(flow).is_some());
    let first = world.first_reply(flow).expect("an answer").since(start);
    assert!(first <= millis(1_500), "{first:?}");
    world.run_for(secs(10));

    let silence = world.silence_since(flow, start);
    assert!(silence < millis(1_500), "{silence:?}");
    assert_eq!(world.path(alice, bob), by(near));
    assert_eq!(world.path(bob, alice), by(near));
}

#[test]
fn a_relay_that_dies_is_replaced_by_the_next_best() {
    let world = World::new(2);
    let [alice, bob, near, middle, _] = five(&world);
    let flow = world.flow(alice, bob, 200, millis(100), 600);
    world.run_for(secs(20));
    assert_eq!(world.path(alice, bob), by(near));

    let death = world.now();
    near.power_off();
    world.run_for(secs(20));

    let silence = world.silence_since(flow, death);
    assert!(silence < secs(5), "{silence:?}");
    assert_eq!(world.path(alice, bob), by(middle));
}

#[test]
fn a_relay_that_passes_nothing_on_is_left_although_it_offers_to() {
    let world = World::new(6);
    let [alice, bob, near, middle, _] = five(&world);
    let flow = world.flow(alice, bob, 200, millis(50), 2_000);
    world.run_for(secs(20));
    assert_eq!((world.path(alice, bob), world.path(bob, alice)), (by(near), by(near)));

    near.lies();
    let since = world.now();
    world.run_for(secs(20));

    let silence = world.silence_since(flow, since);
    assert!(silence < secs(6), "{silence:?}");
    assert_eq!((world.path(alice, bob), world.path(bob, alice)), (by(middle), by(middle)));
    world.run_for(secs(40));
    assert_eq!(world.path(alice, bob), by(middle), "it is not taken again");
}

#[test]
fn a_relay_whose_line_gets_slow_is_left() {
    let world = World::new(3);
    let [alice, bob, near, middle, _] = five(&world);
    world.flow(alice, bob, 200, millis(100), 900);
    world.run_for(secs(20));
    assert_eq!(world.path(alice, bob), by(near));

    let _slow = near.link(|link| link.latency = millis(200));
    world.run_for(secs(40));

    assert_eq!(world.path(alice, bob), by(middle));
}

#[test]
fn a_member_behind_a_nat_relays_too() {
    let world = World::new(4);
    let far = world.node("far").link(|link| link.latency = millis(60));
    let home = world.node("home").behind(Nat::port_restricted_cone()).knows(far);
    let ends = ["alice", "bob"].map(|name| world.node(name).behind(Nat::restricted_cone()).knows(far));
    let [alice, bob] = ends;
    world.settle(secs(5));
    world.cut(alice, bob, Some(Cut::Udp));

    world.talk(alice, bob, secs(60));

    assert_eq!(world.path(alice, bob), by(home));
}

#[test]
fn whoever_does_not_want_to_relay_is_gone_around() {
    let world = World::new(5);
    let [alice, bob, near, middle, _] = five(&world);
    let near = near.configure(|config| config.policy.relaying = Relaying::No);

    world.talk(alice, bob, secs(20));
    assert_eq!(world.path(alice, bob), by(middle));

    near.reload(|config| config.policy.relaying = Relaying::Yes);
    world.talk(alice, bob, secs(40));
    assert_eq!(world.path(alice, bob), by(near));

    near.reload(|config| config.policy.relaying = Relaying::No);
    world.talk(alice, bob, secs(10));
    assert_eq!(world.path(alice, bob), by(middle));
    assert!(world.ping(alice, near).arrives(), "it is a member as before");
}

#[test]
fn no_means_no_where_there_is_no_other_way() {
    let world = World::new(6);
    let relay = world.node("relay").configure(|config| config.policy.relaying = Relaying::No);
    let [alice, bob] = ["alice", "bob"].map(|name| world.node(name).behind(Nat::symmetric()).knows(relay));
    world.settle(secs(5));

    assert!(!world.ping(alice, bob).arrives());
    assert!(relay.dropped(DropReason::RelayDenied) > 0);
    assert!(world.ping(alice, relay).arrives());
}

#[test]
fn packets_go_around_a_relay_that_carries_all_that_its_operator_lets_it() {
    let world = World::new(8);
    let [alice, bob, near, middle, _] = five(&world);
    let near = near.configure(|config| config.policy.relaying = Relaying::UpTo(80));
    world.talk(alice, bob, secs(20));
    assert_eq!(world.path(alice, bob), by(near));

    let flow = world.flow(alice, bob, 1_000, millis(10), 2_000);
    world.run_for(secs(22));

    let arrived = world.report(flow).arrived;
    assert!(arrived > 1_600, "{arrived}");
    assert_eq!(world.path(alice, bob), by(middle));
}

#[test]
fn a_relay_carries_no_more_than_its_operator_lets_it() {
    let world = World::new(7);
    let relay = world.node("relay").configure(|config| config.policy.relaying = Relaying::UpTo(80));
    let [alice, bob] = ["alice", "bob"].map(|name| world.node(name).behind(Nat::symmetric()).knows(relay));
    world.settle(secs(5));
    world.talk(alice, bob, secs(5));

    // A thousand bytes every 10 ms, and as much back, are twenty times as much as 80 kbit/s.
    let flow = world.flow(alice, bob, 1_000, millis(10), 3_000);
    world.run_for(secs(32));

    let arrived = world.report(flow).arrived;
    assert!((130..=420).contains(&arrived), "{arrived}");
    assert!(relay.dropped(DropReason::OverRelayRate) > 2_000);
}

/// Alice and bob, whose NATs cannot be opened, know only `far`; there are two more relays, with links as they are made here.
fn two_relays(world: &World, shape: impl Fn(&mut Link, usize)) -> ([Host<'_>; 2], [Host<'_>; 2]) {
    let far = world.node("far").link(|link| link.latency = millis(60));
    let relays = [("one", 0), ("two", 1)].map(|(name, at)| world.node(name).link(|link| shape(link, at)).knows(far));
    let ends = ["alice", "bob"].map(|name| world.node(name).behind(Nat::symmetric()).knows(far));
    world.run_for(secs(5));
    (ends, relays)
}

/// So many of 1,000 datagrams are lost between relay and bob, there and back.
fn lose(world: &World, relay: Host<'_>, bob: Host<'_>, [there, back]: [u16; 2]) {
    world.lose(relay, bob, there);
    world.lose(bob, relay, back);
}

#[test]
fn a_relay_that_loses_packets_is_left_within_half_a_minute_by_slow_flows_too() {
    for (pace, lost) in
        [20, 100, 200].into_iter().flat_map(|pace| [[200, 0], [0, 200], [200, 200]].map(|lost| (pace, lost)))
    {
        for seed in 0..2 {
            let world = World::new(50 + seed);
            let ([alice, bob], [one, two]) = two_relays(&world, |link, at| link.latency = millis([8, 12][at]));
            let flow = world.flow(alice, bob, 200, millis(pace), u32::MAX);
            world.run_for(secs(18));
            let before = world.now();
            world.run_for(secs(2));
            let start = world.now();
            assert!(world.count_by(flow, one, before).iter().all(|&count| count > 0));

            lose(&world, one, bob, lost);
            world.run_for(secs(60));

            let [by_one, by_two] = [one, two].map(|relay| world.count_by(flow, relay, start + secs(30)));
            let left = [0, 1].iter().all(|&way| lost[way] == 0 || by_two[way] > 0 && 9 * by_one[way] <= by_two[way]);
            assert!(left, "{pace} ms, {lost:?}, {seed}: {by_one:?}, {by_two:?}");
        }
    }
}

#[test]
fn a_near_relay_that_loses_packets_is_tried_ever_more_seldom() {
    let world = World::new(60);
    let ([alice, bob], [near, _]) = two_relays(&world, |link, at| link.latency = millis([5, 25][at]));
    let flow = world.flow(alice, bob, 200, millis(20), u32::MAX);
    world.run_for(secs(20));
    let start = world.now();
    lose(&world, near, bob, [200, 200]);
    world.run_for(minutes(10));

    let [there, back] = world.count_by(flow, near, start);
    assert!(there + back < 1_800, "{there} there and {back} back, of 30,000 each");
    let answered = world.answered(flow, start + secs(30), start + secs(598));
    assert!(answered >= 97.0, "{answered}");
}

/// A relay that is in use shows its losses, the other one does not.
#[test]
fn between_two_equal_relays_packets_do_not_change_all_the_time() {
    for (loss, most) in [(0, 6), (30, 60)] {
        for seed in 0..2 {
            let world = World::new(70 + seed);
            let shape = |link: &mut Link, _| (link.latency, link.jitter) = (millis(10), millis(5));
            let ([alice, bob], relays) = two_relays(&world, shape);
            let flow = world.flow(alice, bob, 200, millis(20), u32::MAX);
            world.run_for(secs(20));
            let start = world.now();
            relays.iter().for_each(|&relay| lose(&world, relay, bob, [loss, loss]));
            world.run_for(minutes(10));

            let carried: usize = relays.iter().flat_map(|&relay| world.count_by(flow, relay, start)).sum();
            assert!(carried > 50_000, "{loss}, {seed}: {carried}");
            let changes = world.relay_changes(flow, start);
            assert!(changes <= most, "{loss}, {seed}: {changes} in ten minutes");
        }
    }
}

/// Six members that dial each other in a row, and alice and bob at its ends, who never hear each other.
fn row(world: &World) -> ([Host<'_>; 2], [Host<'_>; 6]) {
    let members = ["a", "b", "c", "d", "e", "f"].map(|name| world.node(name));
    for pair in members.windows(2) {
        let _ = pair[1].knows(pair[0]);
    }
    let [alice, bob] = [("alice", members[0]), ("bob", members[5])].map(|(name, end)| world.node(name).knows(end));
    world.cut(alice, bob, Some(Cut::All));
    ([alice, bob], members)
}

/// Two are enough where a member has a path to both; a relay that loses its path sends packets on by the graph's way.
#[test]
fn packets_take_two_hops_and_three_at_most_while_a_relay_loses_its_path() {
    for seed in 0..4 {
        let world = World::new(80 + seed);
        let ([alice, bob], members) = row(&world);
        world.settle(secs(20));
        let flow = world.flow(alice, bob, 200, millis(20), u32::MAX);
        world.run_for(secs(10));
        let settled = world.now();
        world.run_for(secs(10));
        assert_eq!(world.most_hops(flow, settled), Some(2), "{seed}");

        let since = world.now();
        let used: Vec<_> = members.into_iter().filter(|&relay| world.count_by(flow, relay, settled)[0] > 0).collect();
        assert!(!used.is_empty(), "{seed}: some member relays");
        used.iter().for_each(|&relay| world.cut(relay, bob, Some(Cut::Udp)));
        world.run_for(secs(10));
        let moved = world.now();
        world.run_for(secs(10));
        let most = world.most_hops_of_datagrams(flow, since);
        assert!(matches!(most, Some(2 | 3)), "{seed}: {most:?}");
        assert_eq!(world.most_hops(flow, moved), Some(2), "{seed}");
    }
}

/// Each hears only its neighbours in the row: the only path of members has seven hops, and is better than none.
#[test]
fn the_only_path_of_members_is_taken_however_long_it_is() {
    let world = World::new(90);
    let ([alice, bob], members) = row(&world);
    let all: Vec<Host<'_>> = [alice].into_iter().chain(members).chain([bob]).collect();
    for (at, &one) in all.iter().enumerate() {
        all.iter().skip(at + 2).for_each(|&other| world.cut(one, other, Some(Cut::All)));
    }
    world.settle(secs(20));
    let start = world.now();
    let flow = world.flow(alice, bob, 200, millis(20), u32::MAX);
    world.run_for(secs(20));

    let first = world.first_reply(flow).expect("an answer").since(start);
    assert!(first <= millis(1_500), "{first:?}");
    // While keys are agreed on, which takes this way twice, sixteen packets wait.
    let answered = world.answered(flow, start + secs(1), start + secs(19));
    assert!(answered >= 100.0, "{answered}");
}
