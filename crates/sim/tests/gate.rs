//! What members of a closed network may send.

use fides::Sign;
use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_core::node::io::Event;
use tinmesh_sim::{EVERYONE, Host, Nat, Path, World, millis, secs};

/// Alice is the founder and the meeting point of two others.
fn closed(world: &World) -> [Host<'_>; 3] {
    let alice = world.node("alice");
    let alice = alice.founded_by(alice);
    let [bob, carol] = ["bob", "carol"].map(|name| world.node(name).knows(alice).founded_by(alice));
    for member in [bob, carol] {
        alice.admits(member);
    }
    world.settle(secs(60));
    [alice, bob, carol]
}

#[test]
fn a_member_sends_from_its_own_addresses_only() {
    let world = World::new(1);
    let [alice, bob, carol] = closed(&world);
    assert!(world.ping(bob, carol).arrives() && world.ping6(bob, alice).arrives());

    assert!(!world.forged(bob, alice, carol), "as if alice had sent it");
    assert!(!world.forged(bob, carol, alice), "as if carol had");

    assert_eq!(alice.dropped(DropReason::ForeignSource), 1);
    assert_eq!(carol.dropped(DropReason::ForeignSource), 1);
    assert!(world.ping(bob, carol).arrives());
}

#[test]
fn an_open_network_takes_packets_from_anywhere() {
    let world = World::new(2);
    let alice = world.node("alice");
    let bob = world.node("bob").knows(alice);
    let carol = world.node("carol").knows(alice);
    world.settle(secs(30));

    assert!(world.forged(bob, alice, carol));
}

#[test]
fn a_slow_member_gets_through_what_it_may_send() {
    let world = World::new(3);
    let [alice, bob, carol] = closed(&world);
    world.talk(bob, carol, secs(5));
    alice.says(Sign::Yes, bob, "rate kbit=80");
    world.run_for(secs(5));

    // A thousand bytes every 10 ms are ten times as much as 80 kbit/s.
    let flow = world.flow(bob, carol, 1_000, millis(10), 3_000);
    world.run_for(secs(35));

    let arrived = world.report(flow).arrived;
    let (granted, burst) = (300, 66);
    assert!((granted * 9 / 10..=granted + burst + 10).contains(&arrived), "{arrived}");
    assert!(carol.dropped(DropReason::OverRate) > 2_000);
    let back = world.flow(carol, bob, 1_000, millis(10), 1_000);
    world.run_for(secs(15));
    assert_eq!(world.report(back).arrived, 1_000, "carol may send as she likes");
}

/// Bob and carol are behind NATs that keep them apart, so alice relays.
fn parted(world: &World) -> [Host<'_>; 3] {
    let alice = world.node("alice");
    let alice = alice.founded_by(alice);
    let [bob, carol] = ["bob", "carol"].map(|name| {
        let host = world.node(name).behind(Nat::symmetric()).knows(alice).founded_by(alice);
        host.configure(|config| config.link.indirect = true)
    });
    for member in [bob, carol] {
        alice.admits(member);
    }
    world.settle(secs(60));
    [alice, bob, carol]
}

#[test]
fn nothing_is_relayed_for_whoever_is_denied_it() {
    let world = World::new(4);
    let [alice, bob, carol] = parted(&world);
    assert_eq!(world.path(bob, carol), Path::Relayed { via: alice });

    alice.says(Sign::No, bob, "relay");
    world.run_for(secs(3));

    assert_eq!(world.path(bob, carol), Path::None);
    assert!(alice.dropped(DropReason::RelayDenied) > 0);
    assert!(world.ping(bob, alice).arrives(), "alice herself is reached");

    alice.says(Sign::DontCare, bob, "relay");
    world.run_for(secs(3));
    assert_eq!(world.path(bob, carol), Path::Relayed { via: alice });
}

#[test]
fn once_somebody_may_relay_nobody_else_may() {
    let world = World::new(5);
    let [alice, bob, carol] = parted(&world);

    alice.says(Sign::Yes, carol, "relay");
    world.run_for(secs(3));

    assert_eq!(world.path(bob, carol), Path::None, "bob is not allowed to");
    alice.says(Sign::Yes, bob, "relay");
    world.run_for(secs(3));
    assert_eq!(world.path(bob, carol), Path::Relayed { via: alice }, "alice may as a founder");
}

#[test]
fn so_much_is_relayed_in_a_day() {
    let world = World::new(6);
    let [alice, bob, carol] = parted(&world);
    assert_eq!(world.path(bob, carol), Path::Relayed { via: alice });
    alice.says(Sign::Yes, carol, "relay");
    alice.says(Sign::Yes, bob, "relay mbday=1");
    world.run_for(secs(3));

    let flow = world.flow(bob, carol, 1_000, millis(10), 2_000);
    world.run_for(secs(25));

    let arrived = world.report(flow).arrived;
    assert!((900..=1_000).contains(&arrived), "{arrived}");
    assert!(alice.dropped(DropReason::OverVolume) >= 1_000);
}

#[test]
fn packets_find_a_way_around_whoever_may_not_relay() {
    let world = World::new(7);
    let alice = world.node("alice");
    let alice = alice.founded_by(alice);
    let dave = world.node("dave").knows(alice).founded_by(alice);
    let [bob, carol] = ["bob", "carol"].map(|name| {
        let host = world.node(name).behind(Nat::symmetric()).knows(alice).knows(dave).founded_by(alice);
        host.configure(|config| config.link.indirect = true)
    });
    for member in [bob, carol, dave] {
        alice.admits(member);
    }
    world.settle(secs(60));
    assert_eq!(world.path(bob, carol), Path::Relayed { via: alice }, "both ways are as short");

    alice.says(Sign::No, alice, "relay");
    world.run_for(secs(3));

    assert_eq!(world.path(bob, carol), Path::Relayed { via: dave });
    assert_eq!(alice.dropped(DropReason::RelayDenied), 0, "nothing comes to her");
}

#[test]
fn conversations_begin_only_where_somebody_allows_them() {
    let world = World::new(8);
    let [alice, bob, carol] = closed(&world);
    assert!(world.ping(bob, carol).arrives());

    alice.says(Sign::Yes, carol, "tag servers");
    alice.says(Sign::Yes, alice, "tag clients");
    alice.says_of_group(Sign::Yes, "clients", "reach servers any");
    world.run_for(secs(3));

    assert!(!world.ping(carol, alice).arrives() && !world.ping(bob, carol).arrives());
    assert!(world.ping(alice, carol).arrives(), "a client with a server, and its answer");
    assert!(alice.dropped(DropReason::Filtered) > 0 && carol.dropped(DropReason::Filtered) > 0);

    alice.says(Sign::Yes, bob, "tag clients");
    world.run_for(secs(3));
    assert!(world.ping(bob, carol).arrives(), "now that he is one");
    alice.says(Sign::No, bob, "reach servers");
    world.run_for(secs(3));
    assert!(!world.ping(bob, carol).arrives(), "though he is one");
}

/// Who is not to be found by name, as the node told last.
fn nameless(world: &World, at: Host<'_>) -> Vec<String> {
    let events = world.events(at).into_iter().rev();
    let told =
        events.filter_map(|(_, event)| if let Event::Nameless(names) = event { Some(names) } else { None }).next();
    told.unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn once_somebody_may_have_his_name_others_are_not_found_by_theirs() {
    let world = World::new(9);
    let [alice, bob, carol] = closed(&world);
    assert_eq!(nameless(&world, carol), [""; 0]);

    alice.says(Sign::Yes, bob, "name bob");
    world.run_for(secs(3));
    assert_eq!(nameless(&world, alice), ["carol"]);
    assert_eq!(nameless(&world, bob), ["carol"], "alice is a founder");
    assert_eq!(nameless(&world, carol), [""; 0], "her own name is hers");

    alice.says(Sign::Yes, bob, "name printer");
    alice.says(Sign::DontCare, bob, "name bob");
    world.run_for(secs(3));
    assert_eq!(nameless(&world, carol), ["bob"], "he may have another");
}

#[test]
fn nodes_far_apart_are_relayed_for_though_relays_know_no_keys_of_theirs() {
    let world = World::new(10);
    let alice = world.node("alice");
    let alice = alice.founded_by(alice);
    let dave = world.node("dave").knows(alice).founded_by(alice);
    let far = |name, near: Host<'_>| {
        let host = world.node(name).behind(Nat::symmetric()).knows(near).founded_by(alice);
        host.configure(|config| config.link.indirect = true)
    };
    let (bob, carol) = (far("bob", alice), far("carol", dave));
    for member in [bob, carol, dave] {
        alice.admits(member);
    }
    world.settle(secs(60));
    assert_eq!(world.talk(bob, carol, secs(5)).arrived, 50);

    alice.says(Sign::No, bob, "relay");
    world.run_for(secs(3));
    assert_eq!(world.talk(bob, carol, secs(5)).arrived, 0);
    assert_eq!(world.talk(carol, bob, secs(5)).arrived, 50, "carol may");
}

#[test]
fn where_stations_are_granted_frames_come_from_them_only() {
    let world = World::new(11);
    let station = |last| [2, 0, 0, 0, 0, last];
    let alice = world.node("alice").switches();
    let alice = alice.founded_by(alice);
    let [bob, carol] = ["bob", "carol"].map(|name| world.node(name).switches().knows(alice).founded_by(alice));
    for member in [bob, carol] {
        alice.admits(member);
    }
    world.settle(secs(60));
    let [his, hers] = [1, 2].map(station);
    assert_eq!(world.frame(bob, station(9), EVERYONE), ["alice", "carol"], "no station is granted");

    alice.says(Sign::Yes, bob, "own 02:00:00:00:00:01");
    alice.says(Sign::Yes, carol, "own 02:00:00:00:00:02");
    world.run_for(secs(5));

    assert_eq!(world.frame(bob, his, EVERYONE), ["alice", "carol"]);
    assert_eq!(world.frame(carol, hers, EVERYONE), ["alice", "bob"]);
    assert_eq!(world.frame(bob, hers, EVERYONE), [""; 0], "she is on another wire");
    assert_eq!(world.frame(bob, station(8), EVERYONE), [""; 0], "nobody's");
    assert_eq!(alice.dropped(DropReason::ForeignSource), 2, "alice is between the two");
}
