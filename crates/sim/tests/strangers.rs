//! Invited guests, strangers, and neighbours that mean harm.

use tinmesh_core::node::io::Event;
use tinmesh_sim::{Host, Path, Script, World, millis, secs};

/// Alice and bob know carol and talk.
fn three(world: &World) -> [Host<'_>; 3] {
    let carol = world.node("carol").invites();
    let alice = world.node("alice").knows(carol);
    let bob = world.node("bob").knows(carol);
    [alice, bob, carol]
}

#[test]
fn an_invited_node_joins_and_talks_to_everyone() {
    let world = World::new(1);
    let [alice, _, carol] = three(&world);
    world.settle(secs(5));

    let url = world.invite(carol, "dave");
    let dave = world.join("dave", carol, url);
    world.settle(secs(10));

    assert!(world.ping(dave, alice).arrives());
    assert_eq!(world.path(alice, dave), Path::Direct);
    carol.restart();
    world.settle(secs(30));
    assert!(world.ping(alice, dave).arrives());
}

#[test]
fn an_invitation_is_good_for_one_node() {
    let world = World::new(2);
    let [_, _, carol] = three(&world);
    world.settle(secs(5));
    world.expect_refusals();
    let url = world.invite(carol, "dave");
    let _ = world.join("dave", carol, url.clone());
    world.settle(secs(10));

    let eve = world.join("eve", carol, url);
    world.run_for(secs(20));

    assert!(!carol.reaches(eve));
}

#[test]
fn bytes_that_are_no_protocol_are_refused_and_disturb_nobody() {
    let noise: Vec<u8> = (0..4000_u32).map(|at| (at * 7919 % 251) as u8).collect();
    let pieces: [&[u8]; 6] =
        [b"GET / HTTP/1.1\r\n\r\n", b"0 carol 17.7\n", b"0 alice 17.7\n", b"0 ?x 17.7\n", &[b'0'; 5000], &noise];
    for (index, piece) in pieces.into_iter().enumerate() {
        let world = World::new(30 + index as u64);
        let [alice, bob, carol] = three(&world);
        world.expect_refusals();
        let mallory = world.actor("mallory", carol, Script::Bytes(piece.to_vec()));

        let flow = world.flow(alice, bob, 300, millis(50), 200);
        world.run_for(secs(12));

        assert!(world.report(flow).arrived > 190, "{piece:?}");
        assert!(!mallory.is_connected() || !carol.reaches(mallory));
    }
}

#[test]
fn requests_that_make_no_sense_cost_the_connection_and_nothing_else() {
    let lines = [
        "12 1 alice",
        "11 x y z",
        "10 0 alice 10.0.0.0/99",
        "999 what",
        "-1",
        "0 mallory 17.7",
        "4 655 10 7000104",
        "15 mallory",
        "16 mallory carol",
        "17 99999999",
        "21 -5",
    ];
    for (index, line) in lines.into_iter().enumerate() {
        let world = World::new(50 + index as u64);
        let [alice, bob, carol] = three(&world);
        let mallory = world.actor("mallory", carol, Script::Requests(vec![line.to_owned()]));
        let flow = world.flow(alice, bob, 300, millis(50), 200);

        world.run_for(secs(12));

        assert!(was_neighbour(carol, mallory, &world), "{line}");
        assert!(!mallory.is_connected(), "{line}");
        assert!(world.report(flow).arrived > 190, "{line}");
        assert!(alice.reaches(bob) && !alice.reaches(mallory), "{line}");
    }
}

fn was_neighbour(host: Host<'_>, other: Host<'_>, world: &World) -> bool {
    let activated = |event: &Event| matches!(event, Event::Activated { name, .. } if name.as_str() == other.name());
    world.events(host).iter().any(|(_, event)| activated(event))
}

#[test]
fn lies_about_others_are_contradicted_and_disturb_nobody() {
    let world = World::new(70);
    let [alice, bob, carol] = three(&world);
    let mut lies = Vec::new();
    for nonce in 0..200 {
        lies.push(format!("13 {nonce:x} alice carol"));
        lies.push(format!("13 {nonce:x} carol bob"));
        lies.push(format!("12 {nonce:x} alice mallory 198.18.9.9 655 7000004 1"));
        lies.push(format!("11 {nonce:x} alice 10.0.0.2/32"));
        lies.push(format!("10 {nonce:x} bob 10.99.{nonce}.0/24"));
    }
    let mallory = world.actor("mallory", carol, Script::Requests(lies)).waits();
    world.settle(secs(5));
    let quiet = world.work().meta_sent;
    mallory.start_after(secs(1));

    let flow = world.flow(alice, bob, 300, millis(50), 400);
    world.run_for(secs(25));

    assert!(was_neighbour(carol, mallory, &world));
    assert!(world.report(flow).arrived > 390, "{:?}", world.report(flow));
    assert!(alice.reaches(bob) && bob.reaches(alice) && carol.reaches(alice));
    let told = world.work().meta_sent - quiet;
    assert!(told < 12_000, "1,000 lies made {told} messages");
    let quarrels =
        |host: Host<'_>| world.events(host).iter().any(|(_, event)| matches!(event, Event::Disconnected { .. }));
    assert!(!quarrels(alice) && !quarrels(bob));
}
