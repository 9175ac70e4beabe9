//! Cells: two nodes behind NATs, three members with public addresses, and packets from one to the other.

use std::time::Duration;

use crate::chances::{self, Chance};
use crate::host::Host;
use crate::nat::{Dependence, Mappings, Nat, Ports};
use crate::world::{World, millis, secs};

/// Every way to choose ports of which the marks speak.
const PORTS: [Ports; 8] = [
    Ports::Preserving,
    Ports::Sequential { step: 1 },
    Ports::Sequential { step: -1 },
    Ports::Sequential { step: 2 },
    Ports::Random,
    Ports::Block(512),
    Ports::Block(1_024),
    Ports::Block(2_048),
];
/// Where one outer port serves all, it matters only whether it is the inside one.
const PORTS_OF_ONE: [Ports; 2] = [Ports::Preserving, Ports::Random];
/// How long a pair may take to find a direct path.
const PATIENCE: Duration = secs(30);
const STEP: Duration = millis(250);
const PACE: Duration = millis(50);
const LEN: usize = 200;

/// A pair of NATs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What the first node is behind.
    pub a: Nat,
    /// What the second node is behind.
    pub b: Nat,
}

/// What came of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When the first answer was back after the first packet; `None`: never.
    pub first: Option<Duration>,
    /// From when on packets went straight, there and back.
    pub direct: Option<Duration>,
    /// Datagrams to those who had not answered, by the node that sent more of them, since the first packet.
    pub probes: u64,
    /// The most of them in a second.
    pub peak: u32,
    /// Outer ports that the worse-off router gave since the first packet.
    pub mappings: u64,
    /// Entries that the worse-off router made since then; where a port is kept, many have the same.
    pub entries: u64,
}

/// A NAT in a few letters: mapping, filtering, ports.
pub fn label(nat: &Nat) -> String {
    let part = |dependence| match dependence {
        Dependence::Endpoint => "EI",
        Dependence::Address => "AD",
        Dependence::AddressAndPort => "APD",
    };
    let ports = match nat.ports {
        Ports::Preserving => "kept".to_owned(),
        Ports::Sequential { step } => format!("{step:+}"),
        Ports::Random => "random".to_owned(),
        Ports::Block(size) => format!("block{size}"),
    };
    format!("{}M/{}F {ports}", part(nat.mapping), part(nat.filtering))
}

/// All NATs of the matrix; with `quick` without those that differ little from others.
pub fn nats(quick: bool) -> Vec<Nat> {
    let mut nats = Vec::new();
    for mapping in Dependence::ALL {
        let all: &[Ports] = match (mapping, quick) {
            (Dependence::Endpoint, false) => &PORTS_OF_ONE,
            (Dependence::Endpoint, true) => &[Ports::Random],
            (Dependence::Address | Dependence::AddressAndPort, false) => &PORTS,
            (Dependence::Address | Dependence::AddressAndPort, true) => {
                &[Ports::Sequential { step: 1 }, Ports::Random, Ports::Block(512)]
            }
        };
        for filtering in Dependence::ALL {
            nats.extend(all.iter().map(|&ports| Nat::new(mapping, filtering, ports)));
        }
    }
    nats
}

/// All pairs, each once.
pub fn cells(quick: bool) -> Vec<Cell> {
    let nats = nats(quick);
    let pairs = nats.iter().enumerate().flat_map(|(at, &a)| nats[at..].iter().map(move |&b| Cell { a, b }));
    pairs.collect()
}

impl Cell {
    /// What could be.
    pub fn chance(&self) -> Chance {
        chances::between(&self.a, &self.b)
    }

    /// Lets two nodes talk that have not done so before.
    pub fn run(&self, seed: u64) -> Outcome {
        self.run_among(seed, &["carol", "dave", "erin"])
    }

    /// The same with a single member that others can see.
    pub fn run_with_one_member(&self, seed: u64) -> Outcome {
        self.run_among(seed, &["carol"])
    }

    /// Alice knows the first two members, bob the first and the third.
    fn run_among(&self, seed: u64, names: &[&str]) -> Outcome {
        let world = World::new(seed);
        world.expect_refusals();
        let members: Vec<Host<'_>> = names.iter().map(|name| world.node(name)).collect();
        for member in members.iter().skip(1) {
            let _ = member.knows(members[0]);
        }
        let alice = members.iter().take(2).fold(world.node("alice").behind(self.a), |host, &member| host.knows(member));
        let bob = members.iter().step_by(2).fold(world.node("bob").behind(self.b), |host, &member| host.knows(member));
        world.settle(secs(30));
        world.run_for(secs(10));
        observe(&world, alice, bob)
    }
}

fn observe(world: &World, alice: Host<'_>, bob: Host<'_>) -> Outcome {
    let counts = || [alice, bob].map(|host| (host.mappings(), host.probes().sent));
    let before = counts();
    let start = world.now();
    let count = u32::try_from(PATIENCE.as_millis() / PACE.as_millis()).unwrap_or(u32::MAX);
    let flow = world.flow(alice, bob, LEN, PACE, count);
    while world.now() < start + PATIENCE && world.direct_since(flow, start).is_none() {
        world.run_for(STEP);
    }
    let after = counts();
    let most = |part: fn(&(Mappings, u64)) -> u64| {
        before.iter().zip(&after).map(|(before, after)| part(after) - part(before)).max().unwrap_or(0)
    };
    Outcome {
        first: world.first_reply(flow).map(|at| at.since(start)),
        direct: world.direct_since(flow, start).map(|at| at.since(start)),
        probes: most(|counts| counts.1),
        peak: alice.probes().peak.max(bob.probes().peak),
        mappings: most(|counts| counts.0.ports),
        entries: most(|counts| counts.0.made),
    }
}
