//! Whom a node may be talked into connecting to.

use std::net::SocketAddr;
use std::time::Duration;

use super::LAN;
use super::net::Net;
use crate::node::io::Input;
use crate::wire::endpoint::Endpoints;
use crate::wire::meet::{Message, Terms, Token};

/// `a` and `b` are joined by `c` only: nothing else gets to `b`, and `a` connects by itself.
fn parted() -> Net {
    let mut net = Net::new(LAN);
    net.add_with("a", |config| config.mesh.auto_connect = true);
    net.add("b");
    net.add("c");
    net.connect("a", "c");
    net.connect("b", "c");
    net.run(Duration::from_millis(100));
    net.node("b").addresses.truncate(0);
    for _ in 0..4 {
        net.run(Duration::from_millis(500));
        let peer = net.peer("a", "b");
        net.node("a").node.use_tunnel(peer);
        net.tell("a", Input::Timeout);
    }
    assert_eq!((net.confirmed("a", "b"), net.connections("b")), (false, 1));
    net
}

/// Terms with one address.
fn terms(round: u8, from: SocketAddr) -> Terms {
    Terms { round, from: Endpoints::default().with(from).expect("a node can be there") }
}

/// What `b` says to `a`, sealed.
fn says(net: &mut Net, message: Message) {
    net.say("b", "a", &message.encode());
    net.run(Duration::from_millis(100));
}

fn calls_to(net: &Net, address: SocketAddr) -> usize {
    net.calls.iter().filter(|&&to| to == address).count()
}

#[test]
fn a_member_that_names_a_stranger_has_others_knock_there_twice_at_most() {
    let mut net = parted();
    let stranger: SocketAddr = "198.51.100.9:80".parse().expect("an address");

    says(&mut net, Message::Offer(terms(7, stranger)));
    says(&mut net, Message::Go { round: 6 });
    assert_eq!(calls_to(&net, stranger), 0, "another attempt");
    says(&mut net, Message::Go { round: 7 });
    net.run(Duration::from_secs(6));

    assert_eq!(calls_to(&net, stranger), 2);
}

#[test]
fn a_member_that_goes_on_naming_strangers_is_not_followed() {
    let mut net = parted();
    let stranger: SocketAddr = "198.51.100.9:80".parse().expect("an address");

    for round in 0..9 {
        says(&mut net, Message::Offer(terms(round, stranger)));
        says(&mut net, Message::Go { round });
        net.run(Duration::from_secs(6));
    }

    assert_eq!(calls_to(&net, stranger), 8, "four attempts in a minute, two knocks each");
}

/// All that `a` keeps for meetings, those that it has tried included.
fn state(net: &mut Net) -> String {
    let peer = net.peer("a", "b");
    let node = &net.node("a").node;
    format!("{:?} {:?}", node.meetings, node.tunnel(peer).map(|tunnel| tunnel.meetings))
}

/// Attempts of `a` that failed.
fn failures(net: &mut Net) -> Option<u32> {
    let peer = net.peer("a", "b");
    net.node("a").node.tunnel(peer).map(|tunnel| tunnel.meetings.failures)
}

#[test]
fn words_out_of_turn_change_nothing() {
    let stranger: SocketAddr = "198.51.100.9:80".parse().expect("an address");
    let seen = Message::Seen(Token([0; 16]), stranger);
    let answer = Message::Answer { terms: terms(7, stranger), held: Duration::ZERO };
    let mut net = parted();
    let idle = state(&mut net);
    for word in [Message::Go { round: 7 }, answer, seen] {
        says(&mut net, word);
        assert_eq!(state(&mut net), idle, "nobody asked for {word:?}");
    }

    says(&mut net, Message::Offer(terms(7, stranger)));
    let answered = state(&mut net);
    assert!(answered != idle && answered.contains("stage: Answered"), "{answered}");
    for word in [Message::Go { round: 6 }, answer, seen, Message::Offer(terms(7, stranger))] {
        says(&mut net, word);
        assert_eq!(state(&mut net), answered, "{word:?} while the word to begin is awaited");
    }

    net.say("b", "a", &Message::Go { round: 7 }.encode());
    for word in [answer, seen, Message::Offer(terms(8, stranger)), Message::Go { round: 7 }] {
        net.say("b", "a", &word.encode());
        net.run(Duration::from_micros(500));
    }
    net.run(Duration::from_secs(6));
    assert_eq!((calls_to(&net, stranger), failures(&mut net)), (2, Some(1)), "as if nothing more had been said");
}

#[test]
fn who_asks_all_the_time_where_connections_come_from_leaves_others_their_turn() {
    let mut net = parted();
    for token in 100..200 {
        net.say("b", "c", &Message::Mirror(Token([token; 16])).encode());
    }
    net.run(Duration::from_millis(10));
    let (now, asked) = (net.now, Token([7; 16]));
    net.say("a", "c", &Message::Mirror(asked).encode());
    for token in 200..=255 {
        net.say("b", "c", &Message::Mirror(Token([token; 16])).encode());
    }
    net.run(Duration::from_secs(1));
    for token in 0..=255 {
        net.say("b", "c", &Message::Mirror(Token([token; 16])).encode());
    }
    net.run(Duration::from_millis(10));

    let a = net.peer("c", "a");
    assert_eq!(net.node("c").node.meetings.awaited.take(now, asked), Some(a));
}

#[test]
fn an_offer_in_a_family_that_is_not_there_is_answered_and_ends_the_attempt() {
    let mut net = parted();
    let stranger: SocketAddr = "[2001:db8:9::9]:80".parse().expect("an address");

    says(&mut net, Message::Offer(terms(7, stranger)));
    says(&mut net, Message::Go { round: 7 });

    assert_eq!((failures(&mut net), calls_to(&net, stranger)), (Some(1), 0));
}

#[test]
fn of_a_connection_that_was_met_and_one_that_was_dialled_at_the_same_time_one_stays() {
    for slow in 0..60 {
        for dialler in ["a", "b"] {
            let mut net = Net::new(Duration::from_millis(5));
            net.add("a");
            net.add("b");
            net.connect(dialler, if dialler == "a" { "b" } else { "a" });
            net.run(Duration::from_millis(slow));
            net.slow_down(Duration::from_millis(100));
            net.run(Duration::from_millis(1));
            net.slow_down(Duration::from_millis(5));
            net.meet("a", "b");

            net.run(Duration::from_secs(2));

            let left = (net.connections("a"), net.connections("b"));
            assert_eq!(left, (1, 1), "{dialler} dialled, what was said after {slow} ms took long");
            assert!(net.reaches("a", "b") && net.reaches("b", "a"));
        }
    }
}
