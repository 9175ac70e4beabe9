//! Connections for packets only: who may have them, and what goes on them.

use std::time::Duration;

use super::LAN;
use super::net::{Net, name};
use crate::meta::connection::{Connection, Purpose};
use crate::name::ConnId;
use crate::node::io::Input;
use crate::wire::hello::{Feature, Features};
use crate::wire::request::Request;

/// Two without UDP, of which `a` dialled; `theirs` is what `b` agrees to.
fn pair(theirs: Features) -> Net {
    let mut net = Net::new(LAN);
    net.add_with("b", |config| {
        config.link.tcp_only = true;
        config.mesh.extensions = theirs;
    });
    net.add_with("a", |config| {
        config.link.tcp_only = true;
        config.connect_to.push(name("b"));
        config.hosts.entry(name("b")).or_default().addresses.push(("192.0.2.1".to_owned(), 655));
    });
    net.run(Duration::from_secs(1));
    net
}

fn streams(net: &mut Net, of: &str) -> Vec<ConnId> {
    let conns = net.node(of).node.connections.values();
    conns.filter(|conn| conn.is_stream() && conn.is_set_up()).map(|conn| conn.id).collect()
}

/// Sends much for so many seconds; how many packets arrived.
fn flood(net: &mut Net, from: &str, to: &str, seconds: u32) -> usize {
    let before = net.node(to).delivered;
    for _ in 0..10 * seconds {
        (0..400).for_each(|_| net.ping(from, to));
        net.run(Duration::from_millis(100));
    }
    net.node(to).delivered - before
}

/// `from` dials `to` for packets, without asking itself whether it may.
fn dial_stream(net: &mut Net, from: &str, to: &str) -> ConnId {
    let remote = net.node(to).addresses[0];
    let now = net.now;
    let peer = net.peer(from, to);
    let node = &mut net.node(from).node;
    node.now = now;
    let id = node.call(name(to), remote, None, Purpose::Stream);
    if let Some(known) = node.peer_mut(peer) {
        known.streams.get_or_insert_default().on_dialled(id);
    }
    net.tell(from, Input::Timeout);
    net.run(Duration::from_millis(100));
    id
}

#[test]
fn much_without_udp_opens_three_streams_at_who_dialled_and_all_arrives() {
    for (from, to) in [("a", "b"), ("b", "a")] {
        let mut net = pair(Features::all());
        assert_eq!(flood(&mut net, from, to, 5), 20_000);
        assert_eq!((streams(&mut net, "a").len(), streams(&mut net, "b").len()), (3, 3));
        assert_eq!(net.calls.len(), 4);
        assert!(streams(&mut net, "a").iter().all(|id| id.0 & ConnId::ACCEPTED == 0));
    }
}

#[test]
fn little_or_what_is_not_agreed_on_stays_on_one_connection() {
    let mut net = pair(Features::all());
    for _ in 0..600 {
        net.ping("a", "b");
        net.run(Duration::from_millis(100));
    }
    assert_eq!(net.connections("a"), 1);

    let others = Feature::ALL.into_iter().filter(|feature| *feature != Feature::Streams).collect();
    let mut net = pair(others);
    assert_eq!(flood(&mut net, "a", "b", 5), 20_000);
    dial_stream(&mut net, "a", "b");
    assert_eq!((net.connections("a"), net.connections("b")), (1, 1));
}

#[test]
fn streams_end_when_little_goes_and_with_the_meta_connection() {
    let mut net = pair(Features::all());
    flood(&mut net, "a", "b", 5);
    net.run(Duration::from_secs(26));
    assert_eq!((net.connections("a"), net.connections("b")), (1, 1));

    flood(&mut net, "a", "b", 5);
    assert_eq!(net.connections("a"), 4);
    let meta = net.known("b", "a").conn.expect("neighbours");
    net.tell("b", Input::Closed { conn: meta });
    assert_eq!(net.connections("b"), 0);
    assert!(net.known("b", "a").streams.is_none());
}

#[test]
fn a_stream_that_ends_leaves_its_flows_to_the_others() {
    let mut net = pair(Features::all());
    flood(&mut net, "a", "b", 5);
    for left in (0..3).rev() {
        let id = streams(&mut net, "a")[0];
        net.tell("a", Input::Stuck { conn: id });
        assert_eq!(streams(&mut net, "a").len(), left);
        net.run(Duration::from_millis(10));
        assert_eq!(streams(&mut net, "b").len(), left);
        assert_eq!(flood(&mut net, "a", "b", 1), 4_000);
    }
}

#[test]
fn a_fourth_stream_and_one_from_who_did_not_dial_are_refused() {
    let mut net = pair(Features::all());
    dial_stream(&mut net, "b", "a");
    assert_eq!((net.connections("a"), net.connections("b")), (1, 1));
    flood(&mut net, "a", "b", 5);
    assert_eq!(net.connections("b"), 4);
    dial_stream(&mut net, "a", "b");
    assert_eq!((net.connections("a"), net.connections("b")), (4, 4));
}

#[test]
fn what_is_no_packet_ends_a_stream_and_a_stream_does_not_begin_on_a_meta_connection() {
    let mut net = pair(Features::all());
    flood(&mut net, "a", "b", 5);
    let [first, ..] = streams(&mut net, "a")[..] else { panic!("there are some") };
    let edge = Request::DelEdge { nonce: 1, from: name("b"), to: name("a") };
    net.node("a").node.send(first, &edge);
    net.tell("a", Input::Timeout);
    net.run(Duration::from_millis(100));
    assert_eq!(streams(&mut net, "b").len(), 2);
    assert!(net.reaches("b", "a"));

    let meta = net.known("a", "b").conn.expect("neighbours");
    net.node("a").node.send(meta, &Request::Stream);
    net.tell("a", Input::Timeout);
    net.run(Duration::from_millis(2));
    assert!(net.node("b").node.connections.values().all(|conn| !Connection::is_active(conn)));
}
