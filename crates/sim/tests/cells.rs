//! The laboratory's cells that the emulator's oracle calls certain: every one gets a direct path, and none harms a router.

use std::collections::BTreeMap;
use std::time::Duration;

use tinmesh_sim::lab::cells::{Cell, cells, label};
use tinmesh_sim::{Chance, Dependence, Nat, Ports, secs};

#[test]
fn pairs_of_nats_that_can_certainly_meet_do_so_within_two_seconds() {
    let certain: Vec<_> = cells(true).into_iter().filter(|cell| cell.chance() == Chance::Certain).collect();
    assert!(certain.len() >= 40, "{} cells", certain.len());
    for (seed, cell) in (0..).zip(certain) {
        let outcome = cell.run(seed);
        let title = format!("{} and {}: {outcome:?}", label(&cell.a), label(&cell.b));
        assert!(outcome.direct.is_some_and(|time| time <= secs(2)), "{title}");
        assert!(outcome.peak <= 100 && outcome.mappings <= 256, "{title}");
    }
}

#[test]
fn no_pair_of_nats_waits_for_its_first_packet() {
    for (seed, cell) in (0..).zip(cells(true)).step_by(7) {
        let outcome = cell.run(seed);
        let first = outcome.first.is_some_and(|time| time <= tinmesh_sim::millis(1_500));
        assert!(first, "{} and {}: {outcome:?}", label(&cell.a), label(&cell.b));
    }
}

/// Behind at least one NAT whose ports must be guessed: what the marks G2 and G4 ask for (docs/lab.md).
#[test]
fn ports_that_must_be_guessed_are_found_in_time_and_without_harm() {
    let mut left = BTreeMap::new();
    for (seed, cell) in (0..).zip(cells(true)) {
        let Some(limits) = limits(cell.chance()) else { continue };
        for outcome in (0..limits.runs).map(|run| cell.run(seed + 1_000 * run)) {
            let title = format!("{} and {}: {outcome:?}", label(&cell.a), label(&cell.b));
            assert!(outcome.peak <= 100 && outcome.mappings <= 256, "{title}");
            assert!(outcome.probes <= limits.probes && outcome.entries <= 1_024, "{title}");
            let class = left.entry(cell.chance().class()).or_insert((0, 0));
            class.0 += 1;
            class.1 += usize::from(outcome.direct.is_some_and(|time| time <= limits.time));
        }
    }
    for (class, (runs, direct)) in left {
        assert!(direct * 100 >= runs * 95, "{class}: {direct} of {runs}");
    }
}

/// What is left unused is missing: of 64,512 ports 256 opened and 1,024 probed meet in 98.3 % of all attempts.
#[test]
fn an_attempt_that_finds_no_port_has_used_nearly_all_that_it_may() {
    let symmetric = |mapping| Nat::new(mapping, STRICT, Ports::Random);
    for b in [symmetric(Dependence::Address), symmetric(STRICT)] {
        let cell = Cell { a: Nat::port_restricted_cone(), b };
        let missed = (0..400).map(|seed| cell.run(seed)).find(|outcome| outcome.direct.is_none());
        let outcome = missed.expect("one of fifty misses");
        assert!(outcome.probes >= 1_015 && outcome.probes <= 1_024, "{outcome:?}");
        assert!(outcome.mappings >= 250 && outcome.mappings <= 256, "{outcome:?}");
    }
}

struct Limits {
    time: Duration,
    probes: u64,
    /// Of each cell: where one attempt in fifty fails, few runs say nothing.
    runs: u64,
}

fn limits(chance: Chance) -> Option<Limits> {
    let (time, probes) = match chance {
        Chance::Crossed => (2, 30),
        Chance::OnePort(Ports::Sequential { .. }) | Chance::OneOfTwo(Ports::Sequential { .. }) => (5, 64),
        Chance::OnePort(Ports::Block(_)) | Chance::OneOfTwo(Ports::Block(_)) => (3, 128),
        Chance::OnePort(Ports::Random) => (20, 1_024),
        Chance::TwoPorts(Ports::Sequential { .. }, Ports::Sequential { .. }) => (30, 64),
        Chance::Certain
        | Chance::OneOfTwo(_)
        | Chance::TwoPorts(..)
        | Chance::No
        | Chance::OnePort(Ports::Preserving) => {
            return None;
        }
    };
    let runs = if matches!(chance, Chance::OnePort(Ports::Random)) { 40 } else { 1 };
    Some(Limits { time: secs(time), probes, runs })
}

#[test]
fn one_member_that_others_see_is_enough_to_learn_how_a_nat_gives_ports() {
    for ports in [Ports::Sequential { step: 1 }, Ports::Block(512), Ports::Random] {
        for seed in 0..4 {
            let cell = Cell { a: Nat::port_restricted_cone(), b: Nat::symmetric().with_ports(ports) };
            let outcome = cell.run_with_one_member(seed);
            assert!(outcome.direct.is_some_and(|time| time <= secs(20)), "{ports:?} {seed}: {outcome:?}");
        }
    }
}

/// Behind two NATs with blocks of 512 ports, of which two must be guessed at once: how many of 12 runs get there.
fn of_twelve(a: (Dependence, Dependence), b: (Dependence, Dependence)) -> usize {
    let nat = |(mapping, filtering)| Nat::new(mapping, filtering, Ports::Block(512));
    let cell = Cell { a: nat(a), b: nat(b) };
    assert!(matches!(cell.chance(), Chance::TwoPorts(..)));
    let outcomes = (0..12).map(|seed| cell.run(seed));
    let direct = outcomes.filter(|outcome| {
        let title = format!("{} and {}: {outcome:?}", label(&cell.a), label(&cell.b));
        assert!(outcome.peak <= 100 && outcome.mappings <= 256 && outcome.entries <= 1_024, "{title}");
        outcome.direct.is_some()
    });
    direct.count()
}

const STRICT: Dependence = Dependence::AddressAndPort;

#[test]
fn a_socket_with_one_port_for_an_address_is_found_in_a_block_by_a_sweep() {
    let one = (Dependence::Address, STRICT);
    assert_eq!(of_twelve(one, one), 12);
    for forgiving in [Dependence::Endpoint, Dependence::Address] {
        assert_eq!(of_twelve(one, (STRICT, forgiving)), 12, "{forgiving:?}");
    }
    assert!(of_twelve(one, (STRICT, STRICT)) >= 8);
}

#[test]
fn where_a_block_hears_what_it_cannot_answer_it_says_so_and_every_other_pair_meets() {
    let heard = [Dependence::Endpoint, Dependence::Address].map(|filter| of_twelve((STRICT, STRICT), (STRICT, filter)));
    assert!(heard.iter().sum::<usize>() >= 6, "{heard:?}");
}
