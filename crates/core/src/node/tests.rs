//! A few nodes in a perfect network, looked at from inside.

mod meetings;
mod members;
mod net;
mod statements;
mod streams;

use std::time::Duration;

use crate::node::io::{Command, Event, Input};
use crate::peer::pmtu::Search;
use crate::subnet::Subnet;
use net::Net;

const LAN: Duration = Duration::from_millis(1);

#[test]
fn probes_do_not_bounce_between_nodes_that_see_each_other_at_two_addresses() {
    let mut net = Net::new(LAN);
    for node in ["a", "b", "v4", "v6"] {
        net.add(node);
    }
    net.node("v6").addresses.remove(0);
    net.node("v4").addresses.remove(1);
    for node in ["a", "b"] {
        net.connect(node, "v4");
        net.connect(node, "v6");
    }
    net.run(Duration::from_secs(10));
    net.ping("a", "b");
    net.run(Duration::from_secs(10));

    let before = net.datagrams;
    for _ in 0..30 {
        net.ping("a", "b");
        net.run(Duration::from_secs(1));
    }

    assert!(net.confirmed("a", "b") && net.confirmed("b", "a"));
    assert!(net.datagrams - before < 1_000, "{} datagrams in half a minute", net.datagrams - before);
}

#[test]
fn a_peer_that_dials_anew_is_not_dialled_back() {
    let mut net = Net::new(LAN);
    net.add("b");
    net.add_dialling("a", "b", 1);
    net.run(Duration::from_secs(20));
    net.connect("b", "a");
    net.run(Duration::from_secs(20));

    assert_eq!(net.calls.len(), 2);
    assert!(net.reaches("a", "b") && net.reaches("b", "a"));
}

#[test]
fn neighbours_that_were_reachable_before_they_connected_get_keys_without_traffic() {
    let mut net = Net::new(LAN);
    for node in ["a", "b", "c"] {
        net.add(node);
    }
    net.connect("a", "c");
    net.connect("b", "c");
    net.run(Duration::from_secs(20));
    assert!(!net.confirmed("a", "b"));

    net.connect("a", "b");
    net.run(Duration::from_secs(3));

    assert!(net.confirmed("a", "b") && net.confirmed("b", "a"));
}

#[test]
fn connections_that_cross_end_in_one_connection_and_keys_at_once() {
    let orders = [("a", "b"), ("b", "a")];
    for (hurry, (first, second)) in [0, 5, 15].into_iter().flat_map(|hurry| orders.map(|order| (hurry, order))) {
        for gap in (0..130).step_by(5) {
            let mut net = Net::new(Duration::from_millis(20));
            net.hurry_ends(Duration::from_millis(hurry));
            net.add("a");
            net.add("b");
            net.connect(first, second);
            net.run(Duration::from_millis(gap));
            net.connect(second, first);

            net.run(Duration::from_secs(2));

            let case = format!("{first}, {second} after {gap} ms, ends {hurry} ms early");
            assert_eq!((net.connections("a"), net.connections("b")), (1, 1), "{case}");
            assert!(net.confirmed("a", "b") && net.confirmed("b", "a"), "{case}");
        }
    }
}

#[test]
fn a_purge_leaves_nodes_that_are_dialled() {
    let mut net = Net::new(LAN);
    net.add_dialling("b", "a", 2);
    net.run(Duration::from_secs(1));
    net.tell("b", Input::Command { id: 1, command: Command::Purge });

    net.add("a");
    net.run(Duration::from_secs(30));

    assert!(net.reaches("b", "a"));
}

#[test]
fn each_round_waits_five_seconds_longer_up_to_the_limit_and_a_retry_begins_anew() {
    let mut net = Net::new(LAN);
    net.add_with("b", |config| {
        config.connect_to.push(net::name("a"));
        config.hosts.entry(net::name("a")).or_default().addresses.push(("192.0.2.1".to_owned(), 655));
        config.timing.max_timeout = Duration::from_secs(17);
    });
    let pauses = |net: &mut Net| -> Vec<u64> {
        let events = net.node("b").events.drain(..);
        events
            .filter_map(|event| if let Event::Retrying { after, .. } = event { Some(after.as_secs()) } else { None })
            .collect()
    };

    net.run(Duration::from_secs(60));
    assert_eq!(pauses(&mut net), [5, 10, 15, 17, 17]);

    net.tell("b", Input::Command { id: 1, command: Command::Retry });
    net.run(Duration::from_secs(7));
    assert_eq!(pauses(&mut net), [5, 10]);
}

#[test]
fn after_sleep_everyone_wanted_is_dialled_at_once() {
    let mut net = Net::new(LAN);
    net.add_dialling("b", "a", 2);
    net.run(Duration::from_secs(600));
    net.add("a");

    net.tell("b", Input::Woke(Duration::from_secs(600)));
    net.run(Duration::from_secs(1));

    assert!(net.reaches("b", "a"));
}

#[test]
fn whom_another_network_swallows_calls_to_is_dialled_at_once_in_this_one() {
    let mut net = Net::new(Duration::from_secs(60));
    net.add("a");
    net.add_dialling("b", "a", 1);
    net.run(Duration::from_secs(1));
    assert_eq!(net.calls.len(), 1);

    net.slow_down(LAN);
    net.tell("b", Input::NetworkChanged);
    net.run(Duration::from_secs(1));

    assert!(net.reaches("b", "a"));
}

#[test]
fn a_name_is_asked_for_again_in_another_network_or_after_sleep_and_earlier_answers_do_not_count() {
    for change in [Input::NetworkChanged, Input::Woke(Duration::from_secs(600))] {
        let mut net = Net::new(LAN);
        net.add("a");
        net.add_with("b", |config| {
            config.connect_to.push(net::name("a"));
            config.hosts.entry(net::name("a")).or_default().addresses.push(("a.example".to_owned(), 655));
        });
        assert_eq!(net.questions.len(), 1);
        net.tell("b", change);
        assert_eq!(net.questions.len(), 2, "it is asked for again");

        let answer = |question, addresses| Input::Resolved { question, addresses };
        let [early, late] = [net.questions[0], net.questions[1]];
        net.tell("b", answer(early, Vec::new()));
        net.tell("b", answer(late, vec!["192.0.2.1:655".parse().expect("an address")]));
        net.run(Duration::from_secs(1));

        assert!(net.reaches("b", "a"));
    }
}

#[test]
fn no_size_that_ends_connections_is_told() {
    let mut net = Net::new(LAN);
    for node in ["a", "b", "c"] {
        net.add(node);
    }
    net.connect("a", "b");
    net.connect("a", "c");
    net.run(Duration::from_secs(1));
    let (b, c, mut now) = (net.peer("a", "b"), net.peer("a", "c"), net.now);
    let node = &mut net.node("a").node;
    let tunnel = node.tunnel_mut(b).expect("a tunnel");
    tunnel.pmtu.reset();
    tunnel.pmtu.on_reply(now, 18);
    while tunnel.pmtu.is_searching() {
        now = now + Duration::from_millis(400);
        tunnel.pmtu.on_tick(now, true, None, Search::AsTinc);
    }

    node.consider_mtu_info(b, c, 1518);
    net.run(Duration::from_secs(1));

    assert_eq!((net.connections("c"), net.known("c", "b").mtu), (1, 512));
}

#[test]
fn a_tunnel_server_learns_of_nobody_behind_its_neighbours() {
    let mut net = Net::new(LAN);
    net.add_with("a", |config| {
        config.mesh.tunnel_server = true;
        config.mesh.strict_subnets = true;
    });
    for node in ["b", "c"] {
        net.add(node);
    }
    net.connect("b", "a");
    net.connect("c", "b");
    net.run(Duration::from_secs(2));

    assert!(net.reaches("a", "b") && net.reaches("b", "a") && net.reaches("b", "c"));
    assert!(!net.reaches("a", "c"));
}

#[test]
fn neighbours_that_speak_tcp_only_need_no_keys() {
    let mut net = Net::new(LAN);
    net.add_with("a", |config| config.link.tcp_only = true);
    net.add("b");
    net.connect("b", "a");
    net.run(Duration::from_secs(2));

    net.ping("b", "a");
    net.ping("a", "b");
    net.run(Duration::from_secs(2));

    assert_eq!((net.node("a").delivered, net.node("b").delivered), (1, 1));
    assert!(net.known("a", "b").tunnel.as_ref().is_none_or(|tunnel| tunnel.last_start.is_none()));
    assert!(net.known("b", "a").tunnel.as_ref().is_none_or(|tunnel| tunnel.last_start.is_none()));
}

#[test]
fn a_new_neighbour_of_a_large_mesh_does_not_count_as_stalled() {
    let mut net = Net::new(LAN);
    for node in ["a", "b", "c"] {
        net.add(node);
    }
    let c = net.peer("a", "c");
    for number in 0..200_000_u32 {
        let [_, high, middle, low] = number.to_be_bytes();
        let subnet = Subnet::parse(&format!("11.{high}.{middle}.{low}")).expect("a subnet");
        net.node("a").node.add_subnet(c, subnet);
    }
    net.connect("b", "a");
    let activated = |event: &Event| matches!(event, Event::Activated { .. });
    while !net.node("a").events.iter().any(activated) {
        net.run(LAN);
    }

    assert_eq!(net.connections("a"), 1);
}

#[test]
fn a_reload_ends_connections_with_nodes_that_have_no_host_file() {
    let mut net = Net::new(LAN);
    net.add("a");
    net.add("b");
    net.node("a").node.config.hosts.remove(&net::name("b"));
    net.connect("b", "a");
    net.run(Duration::from_secs(3));
    assert!(net.reaches("a", "b"));

    let config = net.node("a").node.config.clone();
    net.tell("a", Input::Reconfigure(Box::new(config)));

    assert_eq!(net.connections("a"), 0);
    assert!(net.known("a", "b").key.is_none());
}

#[test]
fn a_reload_leaves_the_connections_of_auto_connect_alone() {
    let mut net = Net::new(LAN);
    net.add("b");
    net.add_with("a", |config| {
        config.mesh.auto_connect = true;
        let host = config.hosts.entry(net::name("b")).or_default();
        host.addresses.push(("192.0.2.1".to_owned(), 655));
    });
    net.run(Duration::from_secs(10));
    assert!(net.reaches("a", "b"));

    let config = net.node("a").node.config.clone();
    net.tell("a", Input::Reconfigure(Box::new(config)));

    assert_eq!((net.connections("a"), net.calls.len()), (1, 1));
}
