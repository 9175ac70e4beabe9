//! `tinmesh doctor` in networks that do what it has to find out.

use std::time::Instant;

use serde_json::Value;
use tinmesh_sim::{Nat, Ports, UdpRule};

use crate::emulated::{self, Story};
use crate::lab::mesh::{v4, wait_for_ping};
use crate::lab::status::NodeStatus;
use crate::lab::traffic::ping_many;
use crate::lab::{Daemon, Lab, secs, wait_until};

/// Alice and carol behind such NATs, bob public; alice and carol have spoken with each other.
fn story(lab: &Lab, nat: Nat) -> Story {
    let story = emulated::story(lab, [nat; 2]);
    wait_for_ping(&story.mesh[0], &v4(3));
    story
}

/// What it says to a program, and its exit code.
fn doctor(lab: &Lab, daemon: &Daemon) -> (Value, Option<i32>) {
    let output = lab.tinmesh(daemon, "doctor --json").output().expect("it starts");
    (serde_json::from_slice(&output.stdout).expect("JSON"), output.status.code())
}

/// State and words of a check.
fn check(report: &Value, topic: &str) -> (String, String) {
    let checks = report["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["topic"] == topic).expect("it was looked at");
    (found["state"].as_str().expect("text").to_owned(), found["says"].as_str().expect("text").to_owned())
}

fn peer<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["peers"].as_array().expect("a list").iter().find(|peer| peer["name"] == name).expect("it is known")
}

fn until(lab: &Lab, daemon: &Daemon, what: &str, holds: impl Fn(&Value) -> bool) -> (Value, Option<i32>) {
    let end = Instant::now() + secs(60);
    loop {
        ping_many(&daemon.namespace, &v4(3), 5);
        let (report, code) = doctor(lab, daemon);
        if holds(&report) {
            return (report, code);
        }
        assert!(Instant::now() < end, "{what}: {report:#}");
    }
}

#[test]
fn with_one_port_for_all_there_is_nothing_to_change() {
    let lab = Lab::new();
    let Story { mesh: [alice, bob, _carol], underlay: _underlay, .. } =
        story(&lab, Nat::port_restricted_cone().with_ports(Ports::Random));
    wait_until(secs(30), "alice has a path to bob", || alice.sees("bob", NodeStatus::direct));

    let seen = |report: &Value| check(report, "NAT").0 == "good" && peer(report, "carol")["path"] == "udp";
    let (report, code) = until(&lab, &alice, "all is well", seen);

    assert!(check(&report, "NAT").1.starts_with("one outer port for all"), "{report:#}");
    assert_eq!((&report["healthy"], code), (&Value::Bool(true), Some(0)), "{report:#}");
    assert!(check(&doctor(&lab, &bob).0, "NAT").1.starts_with("none"), "bob is public");
}

#[test]
fn ports_that_come_by_chance_on_both_sides_are_named_as_the_reason() {
    let lab = Lab::new();
    let Story { mesh: [alice, _bob, _carol], underlay: _underlay, .. } = story(&lab, Nat::symmetric());
    wait_until(secs(30), "alice has a path to bob", || alice.sees("bob", NodeStatus::direct));

    let tried = |report: &Value| {
        check(report, "NAT").1.contains("another outer port") && peer(report, "carol")["reason"].is_string()
    };
    let (report, _) = until(&lab, &alice, "the reason is known", tried);

    let carol = peer(&report, "carol");
    assert_eq!((&carol["path"], &carol["by"]), (&Value::from("relayed"), &Value::from("bob")), "{report:#}");
    assert!(carol["reason"].as_str().is_some_and(|reason| reason.contains("guess") || reason.contains("probe")));
}

#[test]
fn blocked_udp_is_something_to_change() {
    let lab = Lab::new();
    let Story { mesh: [alice, _bob, _carol], hosts, underlay } = story(&lab, Nat::port_restricted_cone());
    underlay.with(|net| net.isp_mut(hosts[0]).udp = UdpRule::Blocked);

    let blocked = |report: &Value| check(report, "UDP").0 == "bad";
    let (report, code) = until(&lab, &alice, "UDP is found to be blocked", blocked);

    assert_eq!((&report["healthy"], code), (&Value::Bool(false), Some(1)), "{report:#}");
    assert!(check(&report, "UDP").1.contains("blocked"));
}
