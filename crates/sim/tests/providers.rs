//! What providers and firewalls do to nodes, and how nodes get along with it.

use tinmesh_sim::{Nat, Path, TcpRule, UdpRule, World, minutes, secs};

#[test]
fn a_firewall_that_lets_only_answers_in_does_not_stop_a_direct_path() {
    let world = World::new(1);
    let relay = world.node("relay");
    let alice = world.node("alice").isp(|isp| isp.udp = UdpRule::AnswersOnly).knows(relay);
    let bob = world.node("bob").behind(Nat::port_restricted_cone()).knows(relay);
    world.settle(secs(5));

    assert_eq!(world.path(alice, bob), Path::Direct);
}

#[test]
fn a_network_that_ends_what_gets_no_answer_does_not_stop_a_direct_path() {
    let world = World::new(2);
    let relay = world.node("relay");
    let alice = world.node("alice").isp(|isp| isp.udp = UdpRule::AfterAnswer { tries: 20 }).knows(relay);
    world.settle(secs(5));

    assert_eq!(world.path(alice, relay), Path::Direct);
}

#[test]
fn without_any_way_there_is_no_connection() {
    let world = World::new(3);
    let relay = world.node("relay");
    let alice = world.node("alice").isp(|isp| isp.tcp = TcpRule::Blocked).knows(relay);
    world.run_for(minutes(1));

    assert!(!alice.is_connected());
}

#[test]
fn dead_name_servers_hold_up_only_those_who_ask_them() {
    let world = World::new(4);
    let relay = world.node("relay");
    let alice = world.node("alice").knows_by_name(relay).waits();
    let bob = world.node("bob").knows(relay);
    alice.break_dns(true);
    alice.start_after(secs(1));
    world.run_for(minutes(1));
    assert!(!alice.is_connected() && bob.is_connected());

    alice.break_dns(false);

    assert!(world.run_until(minutes(3), |_| alice.is_connected()));
}
