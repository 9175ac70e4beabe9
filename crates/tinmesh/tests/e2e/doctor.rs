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

#[test]
fn how_soon_a_nat_forgets_is_found_out_and_each_path_kept_alive_as_it_needs() {
    let lab = Lab::new();
    let nats = [8, 300].map(|seconds| Nat::port_restricted_cone().with_lifetime(secs(seconds)));
    let Story { mesh: [alice, bob, carol], hosts, underlay } = emulated::story(&lab, nats);
    wait_until(secs(30), "alice has a path to bob", || alice.sees("bob", NodeStatus::direct));

    let number = |daemon: &Daemon, of: &str, field: &str| peer(&doctor(&lab, daemon).0, of)[field].as_u64();
    wait_until(secs(100), "ten seconds of silence are found to do harm", || {
        number(&alice, "bob", "silence_lost_s") == Some(10)
    });
    wait_until(secs(100), "longer ones to do none", || number(&carol, "bob", "silence_kept_s") >= Some(40));
    wait_until(secs(10), "bob agrees", || number(&bob, "carol", "keepalive_s") >= Some(20));

    assert_eq!(number(&alice, "bob", "keepalive_s"), Some(5));
    assert_eq!(number(&bob, "alice", "keepalive_s"), Some(5));
    let (state, says) = check(&doctor(&lab, &alice).0, "mapping lifetime");
    assert!(state == "note" && says.contains("the path to bob is forgotten after"), "{says}");
    let before = underlay.with(|net| net.mappings_of(hosts[0])).ports;
    std::thread::sleep(secs(20));
    assert!(alice.sees("bob", NodeStatus::direct) && bob.sees("alice", NodeStatus::direct));
    assert_eq!(underlay.with(|net| net.mappings_of(hosts[0])).ports, before, "the port was kept");
}

#[test]
fn sizes_that_no_router_said_and_the_clocks_of_others_are_told() {
    let lab = Lab::new();
    let Story { mesh: [alice, _bob, _carol], hosts, underlay } = story(&lab, Nat::full_cone());
    let narrow = |mtu, icmp| {
        underlay.with(|net| (net.link_mut(hosts[1]).mtu, net.link_mut(hosts[1]).icmp) = (mtu, icmp));
    };
    let told = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        wait_until(secs(100), what, || {
            ping_many(&alice.namespace, &v4(2), 10);
            holds(peer(&doctor(&lab, &alice).0, "bob"))
        });
        doctor(&lab, &alice).0
    };
    narrow(1_400, false);
    let report = told("the size is found", &|bob| bob["path_found"] == 1_400 && bob["clock_ahead_s"].is_number());
    let (state, says) = check(&report, "ICMP");
    assert!(state == "note" && says.contains("the path to bob takes 1400 bytes and no router said so"), "{says}");
    assert_eq!(peer(&report, "bob")["path_told"], 1_500);
    assert!(peer(&report, "bob")["clock_ahead_s"].as_i64().is_some_and(|ahead| ahead.abs() <= 1), "{report:#}");
    let (state, says) = check(&report, "clock");
    assert!(state == "good" && says.starts_with("as th"), "{says}");

    narrow(1_300, true);
    let report = told("a router says it", &|bob| bob["path_told"] == 1_300 && bob["path_found"] == 1_300);
    let (state, says) = check(&report, "ICMP");
    assert!(state == "good" && says.contains("the path to bob takes 1300 bytes (the link: 1500)"), "{says}");
}
