//! Members and strangers: who is let in, and whose word about the mesh is believed.

use std::time::Duration;

use fides::{About, Claim, Sign, Subject, Time};

use super::LAN;
use super::net::{Net, key_of, name};
use crate::node::io::{Command, Event, Input};
use crate::subnet::Subnet;
use crate::trust::{self, topics};
use crate::wire::hello::Features;

const NOW: Time = Time(1_800_000_000);

/// Nodes in a closed network of the founder `a`, all told what he says of whom, connected in this order.
fn closed(names: &[&str], said: &[String]) -> Net {
    let mut net = unconnected(names, &["a"], said);
    for pair in names.windows(2) {
        net.connect(pair[0], pair[1]);
    }
    net.run(Duration::from_secs(20));
    net
}

fn unconnected(names: &[&str], founders: &[&str], said: &[String]) -> Net {
    let mut net = Net::new(LAN);
    for own in names {
        net.add_with(own, |config| {
            config.trust.founders = founders.iter().map(|name| trust::key(&key_of(name).public())).collect();
        });
        net.tell(own, Input::Clock { unix_ms: NOW.0 * 1_000 });
        net.tell(own, Input::Statements(&said.join("\n")));
    }
    net
}

fn claim(sign: Sign, about: &str, topic: &str, args: &[&str]) -> Claim {
    let subject = Subject::Key(trust::key(&key_of(about).public()));
    let args = args.iter().map(|arg| topics::word(arg)).collect();
    Claim::new(sign, About::Allow { subject, topic: topics::word(topic), args }, NOW.0 * 1_000, NOW)
}

fn signed(by: &str, claim: Claim) -> String {
    claim.sign(&trust::secret_key(&key_of(by))).unwrap().to_string()
}

fn later(claim: Claim, milliseconds: u64) -> Claim {
    Claim { serial: claim.serial + milliseconds, ..claim }
}

/// What the founder says of a member: its name, and the addresses that every node of these tests has.
fn member(of: &str, number: u8) -> [String; 2] {
    let range = format!("10.{number}.0.0/16");
    [claim(Sign::Yes, of, topics::JOIN, &[of]), claim(Sign::Yes, of, topics::OWN, &[&range])].map(|c| signed("a", c))
}

fn members(of: &[(&str, u8)]) -> Vec<String> {
    of.iter().flat_map(|(name, number)| member(name, *number)).collect()
}

fn tell(net: &mut Net, who: &str, line: String) {
    net.tell(who, Input::Command { id: 1, command: Command::Accept(vec![line]) });
}

fn owner_of(net: &mut Net, at: &str, range: &str) -> Vec<String> {
    let subnet = Subnet::parse(range).unwrap();
    let node = &net.node(at).node;
    let owners = node.mesh.subnets.iter().filter(|(known, _)| *known == subnet);
    owners.filter_map(|(_, owner)| Some(node.name_of(owner?)?.to_string())).collect()
}

fn knows(net: &mut Net, at: &str, other: &str) -> bool {
    let node = &net.node(at).node;
    node.mesh.graph.find(&name(other)).is_some_and(|peer| node.is_reachable(peer))
}

#[test]
fn a_stranger_is_refused_although_its_host_file_is_there() {
    let mut net = closed(&["a", "b"], &[]);
    let is_refusal = |event: &Event| {
        let (Event::Refused { reason, .. } | Event::Disconnected { reason, .. }) = event else { return false };
        reason.contains("may not join")
    };
    assert!(!knows(&mut net, "a", "b"));
    assert_eq!(net.connections("a"), 0);
    assert!(net.node("a").events.iter().any(is_refusal));
}

#[test]
fn members_meet_and_their_key_is_the_one_that_statements_give() {
    let said = members(&[("b", 2), ("c", 3)]);
    let mut net = Net::new(LAN);
    for own in ["a", "b", "c"] {
        net.add_with(own, |config| {
            config.trust.founders = [trust::key(&key_of("a").public())].into();
            config.hosts.clear();
        });
        net.tell(own, Input::Clock { unix_ms: NOW.0 * 1_000 });
        let founder = signed("a", claim(Sign::Yes, "a", topics::JOIN, &["a"]));
        net.tell(own, Input::Statements(&[&said[..], &[founder]].concat().join("\n")));
    }
    net.connect("a", "b");
    net.connect("b", "c");
    net.run(Duration::from_secs(20));

    assert!(knows(&mut net, "a", "c") && knows(&mut net, "c", "a"), "without any host file");
    net.ping("a", "c");
    net.run(Duration::from_secs(5));
    net.ping("a", "c");
    net.run(Duration::from_secs(1));
    assert!(net.node("c").delivered > 0);
}

#[test]
fn a_deny_takes_effect_at_once() {
    let mut net = closed(&["a", "b", "c"], &members(&[("b", 2), ("c", 3)]));
    assert!(knows(&mut net, "a", "c"));

    net.node("a").node.say(later(claim(Sign::No, "b", topics::JOIN, &[]), 1)).unwrap();
    net.tell("a", Input::Timeout);
    net.run(Duration::from_secs(1));

    assert_eq!(net.connections("a"), 0);
    assert!(!knows(&mut net, "a", "b"));
    assert!(owner_of(&mut net, "a", "10.2.0.0/16").is_empty());
}

#[test]
fn who_is_let_in_again_is_back_with_all_it_said() {
    let mut net = closed(&["a", "b", "c"], &members(&[("b", 2), ("c", 3)]));
    let deny = signed("a", later(claim(Sign::No, "c", topics::JOIN, &[]), 1));
    tell(&mut net, "a", deny);
    net.run(Duration::from_secs(1));
    assert!(!knows(&mut net, "a", "c") && !knows(&mut net, "b", "c"));

    tell(&mut net, "a", signed("a", later(claim(Sign::DontCare, "c", topics::JOIN, &[]), 2)));
    net.run(Duration::from_secs(1));
    net.connect("c", "b");
    net.run(Duration::from_secs(20));

    assert!(knows(&mut net, "a", "c"));
    assert_eq!(owner_of(&mut net, "a", "10.3.0.0/16"), ["c"]);
}

#[test]
fn a_member_cannot_take_the_addresses_of_another_also_behind_tinc() {
    let said = members(&[("b", 2), ("c", 3), ("d", 4)]);
    let mut net = unconnected(&["a", "b"], &["a"], &said);
    // Like tinc, it believes everybody; and d says that it owns what is b's.
    net.add_with("c", |config| config.mesh.extensions = Features::NONE);
    net.add_with("d", |config| {
        config.trust.founders = [trust::key(&key_of("a").public())].into();
        config.subnets.push(Subnet::parse("10.2.7.0/24").unwrap());
    });
    net.tell("d", Input::Clock { unix_ms: NOW.0 * 1_000 });
    net.tell("d", Input::Statements(&said.join("\n")));
    for (one, other) in [("b", "a"), ("a", "c"), ("c", "d")] {
        net.connect(one, other);
    }
    net.run(Duration::from_secs(20));

    assert_eq!(owner_of(&mut net, "c", "10.2.7.0/24"), ["d"], "tinc believes it");
    for honest in ["a", "b"] {
        assert!(knows(&mut net, honest, "d"));
        assert_eq!(owner_of(&mut net, honest, "10.4.0.0/16"), ["d"]);
        assert!(owner_of(&mut net, honest, "10.2.7.0/24").is_empty(), "{honest}");
    }
    let warned = |event: &Event| matches!(event, Event::Note(text) if text.contains("own 10.2.7.0/24"));
    assert!(net.node("d").events.iter().any(warned));
}

#[test]
fn what_came_before_its_statement_is_believed_when_the_statement_comes() {
    let mut net = closed(&["a", "b", "c"], &members(&[("b", 2)]));
    // b lets c in by his own word, a does not know him.
    assert!(!knows(&mut net, "a", "c"));
    tell(&mut net, "b", signed("b", claim(Sign::Yes, "c", topics::JOIN, &["c"])));
    tell(&mut net, "c", signed("c", claim(Sign::Yes, "b", topics::JOIN, &["b"])));
    net.connect("b", "c");
    net.run(Duration::from_secs(20));
    assert!(knows(&mut net, "b", "c") && !knows(&mut net, "a", "c"), "b is no founder");

    for line in member("c", 3) {
        tell(&mut net, "a", line);
    }
    net.run(Duration::from_secs(2));

    assert!(knows(&mut net, "a", "c"));
    assert_eq!(owner_of(&mut net, "a", "10.3.0.0/16"), ["c"]);
}

#[test]
fn a_guest_is_gone_when_its_time_is_over() {
    let mut said = members(&[("b", 2)]);
    said[0] = signed("a", claim(Sign::Yes, "b", topics::JOIN, &["b"]).until(NOW.after(100)));
    let mut net = closed(&["a", "b"], &said);
    assert!(knows(&mut net, "a", "b"));
    net.run(Duration::from_secs(85));
    assert!(!knows(&mut net, "a", "b"));
    assert_eq!(net.connections("a"), 0);
}

#[test]
fn two_founders_expel_a_third_and_one_cannot() {
    let founders = ["a", "b", "c"];
    let mut net = Net::new(LAN);
    for own in founders {
        net.add_with(own, |config| {
            config.trust.founders = founders.map(|name| trust::key(&key_of(name).public())).into();
            config.trust.quorum = Some(2);
        });
        net.tell(own, Input::Clock { unix_ms: NOW.0 * 1_000 });
    }
    net.connect("a", "b");
    net.connect("b", "c");
    net.run(Duration::from_secs(20));
    assert!(knows(&mut net, "a", "c"));

    let deny = || claim(Sign::No, "c", topics::FOUND, &[]);
    tell(&mut net, "a", signed("a", deny()));
    net.run(Duration::from_secs(5));
    assert!(knows(&mut net, "a", "c") && knows(&mut net, "b", "c"), "one of three");
    tell(&mut net, "b", signed("b", deny()));
    net.run(Duration::from_secs(2));

    assert!(!knows(&mut net, "a", "c") && !knows(&mut net, "b", "c"));
}

#[test]
fn the_operator_can_always_close_his_own_door() {
    let mut net = closed(&["a", "b", "c"], &members(&[("b", 2), ("c", 3)]));
    net.node("b").node.say(claim(Sign::No, "a", topics::JOIN, &[])).unwrap();
    net.tell("b", Input::Timeout);
    net.run(Duration::from_secs(2));
    assert!(!knows(&mut net, "b", "a") && knows(&mut net, "b", "c"), "not even the founder gets in");
}

#[test]
fn an_open_network_is_as_tinc_but_for_whom_the_operator_denies() {
    let mut net = Net::new(LAN);
    for own in ["a", "b", "c"] {
        net.add(own);
        net.tell(own, Input::Clock { unix_ms: NOW.0 * 1_000 });
    }
    net.connect("a", "b");
    net.connect("b", "c");
    net.run(Duration::from_secs(20));
    assert!(knows(&mut net, "a", "c"));

    net.node("a").node.say(claim(Sign::No, "c", topics::JOIN, &[])).unwrap();
    net.tell("a", Input::Timeout);
    net.run(Duration::from_secs(2));

    assert!(!knows(&mut net, "a", "c") && knows(&mut net, "a", "b") && knows(&mut net, "b", "c"));
}
