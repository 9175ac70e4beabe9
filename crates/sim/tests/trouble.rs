//! What goes wrong on the Internet and in machines, and how nodes get over it.

use std::time::Duration;

use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_core::name::NodeName;
use tinmesh_core::node::io::{Command, Event};
use tinmesh_core::subnet::Subnet;
use tinmesh_sim::{Cut, Host, Path, World, millis, minutes, secs};

/// Three nodes: alice and bob know carol.
fn three(world: &World) -> [Host<'_>; 3] {
    let carol = world.node("carol");
    let alice = world.node("alice").knows(carol);
    let bob = world.node("bob").knows(carol);
    world.settle(secs(5));
    [alice, bob, carol]
}

#[test]
fn packets_go_over_tcp_while_udp_is_blocked_and_back_when_it_returns() {
    let world = World::new(1);
    let [alice, bob, carol] = three(&world);
    alice.block_udp(true);
    assert!(world.ping(alice, bob).arrives());
    assert!(matches!(world.path(alice, bob), Path::Tcp { .. } | Path::Relayed { .. }));
    assert_eq!(world.path(bob, alice), Path::Tcp { via: carol });

    alice.block_udp(false);
    world.talk(alice, bob, secs(10));

    assert_eq!(world.path(alice, bob), Path::Direct);
    assert_eq!(world.path(bob, alice), Path::Direct);
}

#[test]
fn a_path_that_dies_under_traffic_is_replaced() {
    let world = World::new(2);
    let [alice, bob, carol] = three(&world);
    assert_eq!(world.path(alice, bob), Path::Direct);

    let flow = world.flow(alice, bob, 500, millis(100), 900);
    world.run_for(secs(5));
    world.cut(alice, bob, Some(Cut::Udp));
    world.run_for(secs(90));

    let report = world.report(flow);
    assert!(report.longest_gap < secs(40), "{report:?}");
    assert_eq!(world.path(alice, bob), Path::Relayed { via: carol });
}

#[test]
fn a_partition_heals() {
    let world = World::new(3);
    let carol = world.node("carol");
    let alice = world.node("alice").knows(carol);
    let bob = world.node("bob").knows(carol);
    let dave = world.node("dave").knows(alice);
    world.settle(secs(5));

    world.partition(&[alice, dave]);
    world.run_for(minutes(3));
    assert_eq!(world.islands(), 2);
    assert!(!alice.reaches(bob) && alice.reaches(dave) && bob.reaches(carol));
    assert!(!world.ping(alice, bob).arrives());

    world.heal();
    world.settle(minutes(2));
    assert!(world.ping(dave, bob).arrives());
}

#[test]
fn a_node_restarted_quickly_recovers() {
    let world = World::new(4);
    let [alice, bob, _] = three(&world);
    world.talk(alice, bob, secs(10));

    alice.restart();
    let flow = world.flow(bob, alice, 500, millis(100), 200);
    world.run_for(secs(25));

    let report = world.report(flow);
    assert!(report.arrived > 150, "{report:?}");
    assert!(world.ping(alice, bob).arrives());
    assert_eq!(world.path(alice, bob), Path::Direct);
}

#[test]
fn a_node_that_lost_power_is_missed_and_comes_back() {
    let world = World::new(5);
    let [alice, bob, carol] = three(&world);
    world.talk(alice, bob, secs(5));

    alice.power_off();
    world.run_for(minutes(2));
    assert!(!bob.reaches(alice) && !carol.reaches(alice));

    alice.start_after(secs(1));
    world.settle(secs(30));
    assert!(world.ping(bob, alice).arrives());
}

#[test]
fn a_machine_that_slept_is_back_in_seconds() {
    let world = World::new(6);
    let [alice, bob, _] = three(&world);
    alice.suspend();
    world.run_for(minutes(10));

    alice.resume();

    world.settle(secs(15));
    assert!(world.ping(alice, bob).arrives());
}

#[test]
fn sessions_that_start_on_both_sides_at_once_do_not_block_each_other() {
    for seed in 0..20 {
        let world = World::new(70 + seed);
        let [alice, bob, _] = three(&world);
        let there = world.flow(alice, bob, 100, millis(200), 10);
        let back = world.flow(bob, alice, 100, millis(200), 10);

        world.run_for(secs(4));

        for flow in [there, back] {
            let report = world.report(flow);
            assert_eq!(report.arrived, 10, "seed {seed}: {report:?}");
        }
    }
}

#[test]
fn a_mesh_stays_together_with_a_tenth_of_all_packets_lost_and_reordered() {
    let world = World::new(8);
    let hosts = three(&world);
    for host in hosts {
        let _ = host.link(|link| {
            (link.loss, link.duplication, link.jitter) = (50, 50, millis(40));
        });
    }

    let flow = world.flow(hosts[0], hosts[1], 500, millis(10), 6000);
    world.run_for(minutes(5));

    let report = world.report(flow);
    assert!(report.late > 100, "{report:?}");
    assert!(report.arrived * 100 > report.sent * 80, "{report:?}");
    assert!(hosts.iter().all(|host| world.events(*host).iter().all(|(_, event)| !is_loss(event))));
}

fn is_loss(event: &Event) -> bool {
    matches!(event, Event::NodeDown { .. } | Event::Disconnected { .. })
}

#[test]
fn a_node_with_a_new_address_is_back_in_seconds() {
    let world = World::new(9);
    let [alice, bob, _] = three(&world);
    assert_eq!(world.path(alice, bob), Path::Direct);
    let flow = world.flow(alice, bob, 500, millis(100), 250);
    world.run_for(secs(5));

    alice.move_to_new_address();
    world.run_for(secs(25));

    let report = world.report(flow);
    assert!(report.longest_gap < secs(5), "{report:?}");
    world.settle(secs(60));
    assert_eq!(world.path(bob, alice), Path::Direct);
}

#[test]
fn keys_are_renewed_under_traffic_without_losing_a_packet() {
    let world = World::new(10);
    let carol = world.node("carol");
    let brisk = |name| {
        let host = world.node(name).knows(carol);
        host.configure(|config| config.timing.key_expire = secs(20))
    };
    let (alice, bob) = (brisk("alice"), brisk("bob"));
    world.settle(secs(5));
    world.talk(alice, bob, secs(10));

    let flow = world.flow(alice, bob, 900, millis(5), 20_000);
    world.run_for(secs(102));

    let report = world.report(flow);
    assert_eq!((report.arrived, report.late), (20_000, 0), "{report:?}");
    assert_eq!(world.replies(flow), 20_000);
}

#[test]
fn a_subnet_that_moves_to_another_node_takes_its_traffic_along() {
    let world = World::new(11);
    let [alice, bob, carol] = three(&world);
    let moving = Subnet::parse("172.20.0.0/16").expect("a subnet");
    let address = "172.20.3.4".parse().expect("an address");
    alice.reload(|config| config.subnets.push(moving));
    world.run_for(secs(5));
    assert!(world.ping_address(bob, alice, address).arrives());

    alice.reload(|config| config.subnets.retain(|subnet| *subnet != moving));
    carol.reload(|config| config.subnets.push(moving));
    world.run_for(secs(5));

    assert!(world.ping_address(bob, carol, address).arrives());
}

#[test]
fn an_operator_ends_a_connection_and_it_comes_back() {
    let world = World::new(12);
    let [alice, bob, carol] = three(&world);
    let name = NodeName::parse("carol").expect("a name");
    world.command(alice, Command::Disconnect(name));
    world.run_for(secs(30));

    assert!(alice.reaches(bob) && carol.reaches(alice));
}

#[test]
fn a_node_that_stops_in_order_is_gone_at_once() {
    let world = World::new(13);
    let [alice, bob, _] = three(&world);
    alice.stop();

    world.run_for(secs(4));

    assert!(!bob.reaches(alice));
}

#[test]
fn what_goes_over_a_slow_connection_is_new_and_uses_it_up() {
    for pace in [250_000, 1_250_000] {
        let world = World::new(31);
        let bob = world.node("bob").link(|link| link.pace = Some(pace));
        let alice = world.node("alice").knows(bob).configure(|config| config.link.tcp_only = true);
        world.settle(secs(5));
        // Three times as much as the link carries.
        let flood = |seconds: u32| {
            let interval = Duration::from_micros(333_333_333 / u64::from(pace));
            world.flow(alice, bob, 1000, interval, pace * 3 / 1000 * seconds)
        };
        flood(1);
        world.run_for(secs(2));

        let before = alice.dropped(DropReason::TooLate) as usize;
        let flow = flood(10);
        world.run_for(secs(12));

        let report = world.report(flow);
        let carried = report.arrived * 100_000 / (pace as usize * 10);
        assert!((85..=105).contains(&carried), "{carried} % of the link are used: {report:?}");
        assert!(report.slowest <= millis(110), "{report:?}");
        assert_eq!(report.newest as usize, report.sent - 1, "the newest arrives: {report:?}");
        assert_eq!(alice.dropped(DropReason::TooLate) as usize - before, report.sent - report.arrived);
        assert!(alice.is_connected());
    }
}
