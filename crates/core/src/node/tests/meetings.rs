//! Whom a node may be talked into connecting to.

use std::net::SocketAddr;
use std::time::Duration;

use super::LAN;
use super::net::Net;
use crate::node::io::Input;
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

    says(&mut net, Message::Offer(Terms { round: 7, from: stranger }));
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
        says(&mut net, Message::Offer(Terms { round, from: stranger }));
        says(&mut net, Message::Go { round });
        net.run(Duration::from_secs(6));
    }

    assert_eq!(calls_to(&net, stranger), 8, "four attempts in a minute, two knocks each");
}

#[test]
fn words_out_of_turn_change_nothing() {
    let mut net = parted();
    let terms = Terms { round: 0, from: "198.51.100.9:80".parse().expect("an address") };
    let before = net.calls.len();

    says(&mut net, Message::Go { round: 0 });
    says(&mut net, Message::Answer { terms, held: Duration::ZERO });
    says(&mut net, Message::Seen(Token([0; 16]), terms.from));
    for token in 0..100 {
        says(&mut net, Message::Mirror(Token([token; 16])));
    }

    assert_eq!(calls_to(&net, terms.from), 0);
    assert!(net.calls[before..].iter().all(|to| to.port() == 655), "AutoConnect's own");
}
