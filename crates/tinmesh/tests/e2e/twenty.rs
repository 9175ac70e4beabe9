//! Twenty nodes, half ours and half tinc's, that leave and return: nobody sees anything come or go but what really did.
//!
//! Node `n` dials the nodes `n + 1` and `n + 5`, so the mesh stays whole without any two nodes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::lab::topology::Segment;
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const NODES: usize = 20;
const CHURN: Duration = secs(300);
/// How long everybody must see the same before the next change.
const QUIET: Duration = secs(3);
const LIMIT: Duration = secs(30);

/// What a node has seen of another: `up down up` and so on.
type Seen = BTreeMap<String, Vec<&'static str>>;

struct Mesh {
    daemons: Vec<Daemon>,
    away: Vec<usize>,
    /// What each node must have seen since its start.
    expected: Vec<Seen>,
}

fn name(number: usize) -> String {
    format!("n{:02}", number % NODES)
}

impl Mesh {
    fn new(lab: &Lab) -> Self {
        let wan = Segment::new("wan");
        let daemons: Vec<_> = (0..NODES).map(|number| node(lab, &wan, number)).collect();
        for daemon in &daemons {
            daemons.iter().filter(|other| other.name != daemon.name).for_each(|other| _ = daemon.knows(other));
        }
        Self { daemons, away: (0..NODES).collect(), expected: vec![Seen::new(); NODES] }
    }

    fn living(&self) -> impl Iterator<Item = usize> {
        (0..NODES).filter(|number| !self.away.contains(number))
    }

    fn expect(&mut self, number: usize, change: &'static str) {
        for observer in self.living().filter(|observer| *observer != number).collect::<Vec<_>>() {
            self.expected[observer].entry(name(number)).or_default().push(change);
        }
    }

    fn leave(&mut self, number: usize, killed: bool) {
        if killed {
            self.daemons[number].kill();
        } else {
            assert!(self.daemons[number].stop().success(), "{} ends well", name(number));
        }
        self.away.push(number);
        self.expect(number, "down");
    }

    fn arrive(&mut self, number: usize) {
        fs::write(events(&self.daemons[number]), "").expect("the directory is there");
        self.expected[number] = self.living().map(|other| (name(other), vec!["up"])).collect();
        self.away.retain(|away| *away != number);
        self.daemons[number].start();
        self.expect(number, "up");
    }

    fn settle(&self, why: &str) {
        let differing = || self.living().find(|number| seen(&self.daemons[*number]) != self.expected[*number]);
        let start = Instant::now();
        while let Some(number) = differing() {
            assert!(
                start.elapsed() < LIMIT,
                "{why}: {} has seen {:?} and should have seen {:?}",
                name(number),
                seen(&self.daemons[number]),
                self.expected[number]
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// All that are here know the same edges.
    fn agree(&self) {
        let edges = |number: usize| {
            let text = self.daemons[number].tinc(&["dump", "edges"]);
            let ends = text.lines().map(|line| line.split(" at ").next().unwrap_or_default().to_owned());
            ends.collect::<std::collections::BTreeSet<_>>()
        };
        wait_until(LIMIT, "everybody knows the same edges", || {
            let first = self.living().next().map(edges);
            self.living().all(|number| Some(edges(number)) == first)
        });
    }
}

fn node(lab: &Lab, wan: &Segment, number: usize) -> Daemon {
    let kind = if number.is_multiple_of(2) { Kind::Ours } else { Kind::Tinc11 };
    let address = format!("192.0.2.{}", number + 1);
    let host = wan.host("node", &[&format!("{address}/24")]);
    let daemon = Daemon::init(lab, &name(number), kind, &host);
    daemon.config("DeviceType = dummy").config("AutoConnect = no");
    daemon.host(&format!("Address = {address}")).host(&format!("Subnet = 10.77.{number}.0/24"));
    for other in [number + 1, number + 5] {
        daemon.config(&format!("ConnectTo = {}", name(other)));
    }
    for change in ["up", "down"] {
        let path = daemon.dir.join(format!("host-{change}"));
        fs::write(&path, format!("#!/bin/sh\necho {change} $NODE >> {}\n", events(&daemon).display()))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
            .expect("the directory is there");
    }
    daemon
}

fn events(daemon: &Daemon) -> PathBuf {
    daemon.dir.join("events")
}

fn seen(daemon: &Daemon) -> Seen {
    let mut seen = Seen::new();
    for line in fs::read_to_string(events(daemon)).unwrap_or_default().lines() {
        let (change, node) = line.split_once(' ').expect("a script wrote two words");
        seen.entry(node.to_owned()).or_default().push(if change == "up" { "up" } else { "down" });
    }
    seen
}

#[test]
fn half_of_twenty_are_theirs_and_nobody_flaps_while_nodes_leave_and_return() {
    let lab = Lab::beside_all();
    let mut mesh = Mesh::new(&lab);
    (0..NODES).for_each(|number| mesh.arrive(number));
    mesh.settle("at the start");
    mesh.agree();

    let start = Instant::now();
    let mut changes = 0;
    for turn in 0.. {
        if start.elapsed() >= CHURN {
            break;
        }
        // Seven and twenty have no common divisor: everybody's turn comes, ours and theirs by turns.
        mesh.leave(turn * 7 % NODES, turn % 3 == 1);
        mesh.settle(&format!("{} left in turn {turn}", name(turn * 7)));
        std::thread::sleep(QUIET);
        if mesh.away.len() == 2 {
            let back = mesh.away[0];
            mesh.arrive(back);
            mesh.settle(&format!("{} returned in turn {turn}", name(back)));
            std::thread::sleep(QUIET);
        }
        changes += 1;
    }
    while let Some(back) = mesh.away.first().copied() {
        mesh.arrive(back);
    }

    mesh.settle("at the end");
    mesh.agree();
    eprintln!("{changes} nodes left and {} are here", mesh.living().count());
    assert!(changes >= 15, "only {changes} nodes left in {CHURN:?}");
}
