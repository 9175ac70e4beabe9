//! Statements on their way through a mesh in which not everybody knows what they are.

use std::time::Duration;

use fides::{About, Claim, Sign, Subject, Time};

use super::LAN;
use super::net::{Net, key_of};
use crate::node::io::{Command, Input, Output, Persist};
use crate::trust::{self, topics};
use crate::wire::hello::Features;

const NOW: Time = Time(1_800_000_000);

/// Nodes that stand in this order, each connected with the next; those of `tinc` know nothing beyond tinc.
fn chain(names: &[&str], tinc: &[&str]) -> Net {
    let mut net = Net::new(LAN);
    for name in names {
        net.add_with(name, |config| {
            config.trust.founders.insert(trust::key(&key_of("a").public()));
            if tinc.contains(name) {
                config.trust.founders.clear();
                config.mesh.extensions = Features::NONE;
            }
        });
        net.tell(name, Input::Clock { unix_ms: NOW.0 * 1_000 });
    }
    allow_all(&mut net, names, tinc);
    for pair in names.windows(2) {
        net.connect(pair[0], pair[1]);
    }
    net.run(Duration::from_secs(20));
    net
}

/// The founder lets everybody in, and everybody knows that from the start.
fn allow_all(net: &mut Net, names: &[&str], tinc: &[&str]) {
    let lines: Vec<String> = (1..).zip(names).map(|(serial, name)| said("a", name, Sign::Yes, serial)).collect();
    for name in names.iter().filter(|name| !tinc.contains(name)) {
        net.tell(name, Input::Statements(&lines.join("\n")));
    }
}

fn said(by: &str, about: &str, sign: Sign, serial: u64) -> String {
    let claim = Claim::new(sign, join(about), NOW.0 * 1_000 + serial, NOW);
    claim.sign(&trust::secret_key(&key_of(by))).unwrap().to_string()
}

fn join(name: &str) -> About {
    let subject = Subject::Key(trust::key(&key_of(name).public()));
    About::Allow { subject, topic: topics::word(topics::JOIN), args: vec![topics::word(name)] }
}

fn known(net: &mut Net, of: &str) -> usize {
    net.node(of).node.trust.ledger().len()
}

#[test]
fn a_statement_goes_from_neighbour_to_neighbour_at_once() {
    let mut net = chain(&["a", "b", "c", "d"], &[]);
    let before = known(&mut net, "d");

    net.node("a").node.say(Claim::new(Sign::No, join("v4"), 0, NOW)).unwrap();
    net.tell("a", Input::Timeout);
    net.run(Duration::from_secs(1));

    assert_eq!(known(&mut net, "d"), before + 1);
}

#[test]
fn a_statement_passes_through_tinc_nodes_unopened() {
    let mut net = chain(&["a", "b", "c", "d"], &["b", "c"]);
    net.run(Duration::from_secs(120));
    let before = known(&mut net, "d");

    net.node("a").node.say(Claim::new(Sign::No, join("v4"), 0, NOW)).unwrap();
    net.tell("a", Input::Timeout);
    net.run(Duration::from_secs(2));

    assert_eq!(known(&mut net, "d"), before + 1);
    assert_eq!(known(&mut net, "b"), 0);
}

#[test]
fn who_was_away_learns_what_was_said_meanwhile() {
    let mut net = chain(&["a", "b"], &[]);
    net.node("a").node.say(Claim::new(Sign::No, join("v4"), 0, NOW)).unwrap();
    net.run(Duration::from_secs(1));
    let told = known(&mut net, "b");
    net.add_with("c", |config| {
        config.trust.founders.insert(trust::key(&key_of("a").public()));
    });
    net.tell("c", Input::Clock { unix_ms: NOW.0 * 1_000 });
    allow_all(&mut net, &["a", "b", "c"], &["a", "b"]);
    net.tell("b", Input::Statements(&said("a", "c", Sign::Yes, 9)));
    net.connect("c", "b");
    net.run(Duration::from_secs(20));

    assert!(known(&mut net, "c") > told, "{} of {told}", known(&mut net, "c"));
}

#[test]
fn what_was_said_just_before_the_end_is_kept() {
    let mut net = chain(&["a", "b"], &[]);
    let (now, line) = (net.now, said("a", "v4", Sign::No, 99));
    let node = &mut net.node("a").node;
    node.handle(now, Input::Command { id: 1, command: Command::Accept(vec![line.clone()]) });
    while node.poll_output().is_some() {}

    node.handle(now, Input::Command { id: 2, command: Command::Shutdown });

    let outputs = std::iter::from_fn(|| node.poll_output());
    let mut is_kept = false;
    for output in outputs {
        if let Output::Persist(Persist::Statements(text)) = output {
            is_kept = text.contains(&line);
        }
    }
    assert!(is_kept);
}
