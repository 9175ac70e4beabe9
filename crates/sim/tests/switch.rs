//! Switch mode: wires with stations, joined by the mesh (spec: routing 6, 7).

use tinmesh_sim::{EVERYONE, Host, Mac, Trace, World, minutes, secs};

/// Stations, each with an address of its own.
const fn station(number: u8) -> Mac {
    [0x02, 0, 0, 0, 0, number]
}

/// Six switches in a ring with two cords across, so that there are many ways from each to each.
fn ring(world: &World) -> Vec<Host<'_>> {
    let names = ["amber", "basil", "cedar", "daisy", "elder", "fern"];
    let nodes: Vec<Host<'_>> = names.iter().map(|name| world.node(name).switches()).collect();
    for (number, node) in nodes.iter().enumerate() {
        let _ = node.knows(nodes[(number + 1) % nodes.len()]);
    }
    let _ = nodes[0].knows(nodes[3]);
    let _ = nodes[4].knows(nodes[2]);
    for (number, node) in nodes.iter().enumerate() {
        nodes[number + 1..].iter().for_each(|other| _ = node.trusts(*other));
    }
    world.settle(secs(60));
    nodes
}

/// The names of all nodes but one.
fn all_but(nodes: &[Host<'_>], one: usize) -> Vec<String> {
    nodes.iter().enumerate().filter(|(number, _)| *number != one).map(|(_, node)| node.name()).collect()
}

/// Each node has a station that has said something to everyone.
fn acquainted(world: &World) -> Vec<Host<'_>> {
    let nodes = ring(world);
    for (number, node) in nodes.iter().enumerate() {
        let reached = world.frame(*node, station(number as u8), EVERYONE);
        assert_eq!(reached, all_but(&nodes, number), "each of the others, once");
    }
    nodes
}

#[test]
fn a_frame_for_everyone_comes_out_on_every_other_wire_exactly_once() {
    acquainted(&World::new(1));
}

#[test]
fn a_frame_for_a_station_that_has_shown_itself_goes_there_alone_and_one_for_a_stranger_everywhere() {
    let world = World::new(2);
    let nodes = acquainted(&world);
    for from in 0..nodes.len() {
        for to in (0..nodes.len()).filter(|to| *to != from) {
            // The first one may have to wait for keys.
            world.frame(nodes[from], station(from as u8), station(to as u8));
            let reached = world.frame(nodes[from], station(from as u8), station(to as u8));
            assert_eq!(reached, [nodes[to].name()]);
        }
    }

    let reached = world.frame(nodes[1], station(1), station(99));

    assert_eq!(reached, all_but(&nodes, 1));
}

#[test]
fn a_frame_between_two_stations_of_one_wire_stays_there() {
    let world = World::new(3);
    let nodes = acquainted(&world);
    world.frame(nodes[0], station(50), EVERYONE);

    assert_eq!(world.frame(nodes[0], station(0), station(50)), [""; 0]);
}

#[test]
fn a_station_that_moves_is_found_where_it_is_and_everyone_agrees() {
    let world = World::new(4);
    let nodes = acquainted(&world);

    world.frame(nodes[5], station(0), EVERYONE);
    world.frame(nodes[2], station(2), station(0));

    assert_eq!(world.frame(nodes[2], station(2), station(0)), [nodes[5].name()]);
    world.run_for(minutes(3));
    assert_eq!(world.verdict(), Ok(()));
}

#[test]
fn a_station_that_is_silent_for_too_long_is_forgotten() {
    let world = World::new(5);
    let nodes = acquainted(&world);
    for _ in 0..13 {
        world.run_for(minutes(1));
        world.frame(nodes[3], station(3), EVERYONE);
    }

    assert_eq!(world.frame(nodes[0], station(0), station(3)), [nodes[3].name()], "it spoke every minute");
    assert_eq!(world.frame(nodes[0], station(0), station(1)), all_but(&nodes, 0), "it did not");
}

#[test]
fn a_mesh_of_switches_heals_and_still_no_frame_comes_twice() {
    let world = World::new(6);
    let nodes = acquainted(&world);

    nodes[0].power_off();
    world.run_for(minutes(2));

    let left: Vec<String> = all_but(&nodes, 0);
    for (number, node) in nodes.iter().enumerate().skip(1) {
        let others: Vec<String> = left.iter().filter(|name| **name != node.name()).cloned().collect();
        assert_eq!(world.frame(*node, station(number as u8), EVERYONE), others);
        let to_the_lost = world.frame(*node, station(number as u8), station(0));
        assert!(to_the_lost.is_empty() || to_the_lost == others, "{to_the_lost:?}");
    }
    nodes[0].start_after(secs(1));
    world.settle(minutes(2));
    assert_eq!(world.frame(nodes[0], station(0), EVERYONE), all_but(&nodes, 0));
}

#[test]
fn stations_talk_while_connections_come_and_go_and_no_frame_goes_in_a_circle() {
    let world = World::new(7);
    let nodes = acquainted(&world);
    for round in 0..6 {
        nodes[round].restart();
        for (number, node) in nodes.iter().enumerate() {
            world.frame(*node, station(number as u8), EVERYONE);
        }
    }

    world.settle(minutes(2));

    assert_eq!(world.frame(nodes[0], station(0), EVERYONE), all_but(&nodes, 0));
}

#[test]
fn a_hub_gives_every_frame_to_everyone() {
    let world = World::new(8);
    let first = world.node("first").is_hub();
    let others: Vec<_> = ["a", "b", "c"].map(|name| world.node(name).is_hub().knows(first)).to_vec();
    world.settle(secs(60));
    world.frame(others[0], station(1), EVERYONE);

    assert_eq!(world.frame(others[1], station(2), station(1)), ["a", "c", "first"]);
}

#[test]
fn the_same_seed_makes_the_same_world_of_switches_and_another_seed_another() {
    fn story(seed: u64) -> Trace {
        let world = World::new(seed);
        let nodes = acquainted(&world);
        nodes[2].restart();
        world.run_for(minutes(1));
        world.trace()
    }

    assert_eq!(story(9), story(9));
    assert_ne!(story(9), story(10));
}
