use std::net::SocketAddr;

use tinmesh_core::time::Instant;

use super::*;
use crate::dice::Dice;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

struct Bench {
    nat: Nat,
    table: NatTable,
    dice: Dice,
    now: Instant,
}

impl Bench {
    fn new(nat: Nat) -> Self {
        Self { nat, table: NatTable::default(), dice: Dice::new(3), now: Instant::from_micros(1) }
    }

    fn out(&mut self, inside: &str, remote: &str) -> u16 {
        self.table.outbound(&self.nat, self.now, at(inside), at(remote), &mut self.dice).expect("a free port")
    }

    fn back(&mut self, port: u16, remote: &str) -> Option<SocketAddr> {
        self.table.inbound(&self.nat, self.now, port, at(remote))
    }
}

const INSIDE: &str = "192.168.0.2:655";
const OTHER: &str = "192.168.0.3:655";
const X1: &str = "198.18.0.1:655";
const X2: &str = "198.18.0.1:700";
const Y1: &str = "198.18.0.9:655";

#[test]
fn mappings_depend_on_what_the_nat_says() {
    let cases = [
        (Dependence::Endpoint, true, true),
        (Dependence::Address, true, false),
        (Dependence::AddressAndPort, false, false),
    ];
    for (mapping, same_for_port, same_for_host) in cases {
        let mut bench = Bench::new(Nat::new(mapping, Dependence::Endpoint, Ports::Random));
        let first = bench.out(INSIDE, X1);
        assert_eq!(bench.out(INSIDE, X1), first, "{mapping:?}");
        assert_eq!(bench.out(INSIDE, X2) == first, same_for_port, "{mapping:?}");
        assert_eq!(bench.out(INSIDE, Y1) == first, same_for_host, "{mapping:?}");
    }
}

#[test]
fn filters_depend_on_what_the_nat_says() {
    let cases = [
        (Dependence::Endpoint, true, true),
        (Dependence::Address, true, false),
        (Dependence::AddressAndPort, false, false),
    ];
    for (filtering, other_port, other_host) in cases {
        let mut bench = Bench::new(Nat::new(Dependence::Endpoint, filtering, Ports::Preserving));
        let port = bench.out(INSIDE, X1);
        assert_eq!(port, 655);
        assert_eq!(bench.back(port, X1), Some(at(INSIDE)), "{filtering:?}");
        assert_eq!(bench.back(port, X2).is_some(), other_port, "{filtering:?}");
        assert_eq!(bench.back(port, Y1).is_some(), other_host, "{filtering:?}");
        assert_eq!(bench.back(port + 1, X1), None);
    }
}

#[test]
fn a_kept_port_goes_to_the_first_insider_only() {
    let mut bench = Bench::new(Nat::port_restricted_cone());
    assert_eq!(bench.out(INSIDE, X1), 655);
    let second = bench.out(OTHER, X1);
    assert_ne!(second, 655);
    assert_eq!(bench.back(second, X1), Some(at(OTHER)));
}

#[test]
fn linux_keeps_the_port_towards_every_endpoint_without_a_clash() {
    let mut bench = Bench::new(Nat::linux());
    assert_eq!((bench.out(INSIDE, X1), bench.out(INSIDE, Y1)), (655, 655));
    assert_ne!(bench.out(OTHER, X1), 655);
    assert_eq!(bench.back(655, Y1), Some(at(INSIDE)));
    assert_eq!(bench.back(655, X2), None);
}

#[test]
fn sequential_ports_follow_each_other() {
    for step in [1, 2, -1] {
        let mut bench = Bench::new(Nat::symmetric().with_ports(Ports::Sequential { step }));
        let first = bench.out(INSIDE, X1);
        assert_eq!(bench.out(INSIDE, X2), first.wrapping_add_signed(step));
        assert_eq!(bench.out(INSIDE, Y1), first.wrapping_add_signed(2 * step));
    }
}

#[test]
fn a_mapping_dies_without_packets_from_the_inside() {
    let mut bench = Bench::new(Nat::full_cone());
    let port = bench.out(INSIDE, X1);
    bench.now = bench.now + LIFETIME / 2;
    bench.out(INSIDE, X1);
    bench.now = bench.now + LIFETIME / 2;
    assert!(bench.back(port, X1).is_some());
    bench.now = bench.now + LIFETIME / 2;
    assert!(bench.back(port, X1).is_none());
}

#[test]
fn a_nat_that_forgot_lets_nothing_in() {
    let mut bench = Bench::new(Nat::full_cone());
    let port = bench.out(INSIDE, X1);
    bench.table.forget();
    assert_eq!(bench.back(port, X1), None);
}

/// The other side's endpoints, as many as wanted.
fn endpoint(number: u16) -> String {
    format!("198.18.1.{}:{}", number % 200 + 1, 1_024 + number)
}

#[test]
fn a_block_belongs_to_one_insider_and_is_all_that_it_gets() {
    for size in [512, 1_024, 2_048] {
        let mut bench = Bench::new(Nat::symmetric().with_ports(Ports::Block(size)));
        let mut ports: Vec<u16> = (0..size).map(|number| bench.out(INSIDE, &endpoint(number))).collect();
        assert!(ports.windows(2).any(|pair| pair[1] != pair[0].wrapping_add(1)), "no order within a block");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), usize::from(size), "no port twice");
        assert_eq!(ports[ports.len() - 1] - ports[0], size - 1);
        let Bench { nat, table, dice, now } = &mut bench;
        assert_eq!(table.outbound(nat, *now, at(INSIDE), at(Y1), dice), None);
        assert_eq!(table.mappings_of(at(INSIDE).ip()), Mappings { made: size.into(), ports: size.into(), refused: 1 });
        let other = bench.out(OTHER, Y1);
        assert!(ports.binary_search(&other).is_err());
    }
}

#[test]
fn entries_of_one_insider_that_share_a_kept_port_take_one() {
    for (ports, taken) in [(Ports::Preserving, 1), (Ports::Random, 3)] {
        let mut bench = Bench::new(Nat::symmetric().with_ports(ports));
        for to in [X1, X2, Y1] {
            bench.out(INSIDE, to);
        }
        let counts = bench.table.mappings_of(at(INSIDE).ip());
        assert_eq!((counts.made, counts.ports), (3, taken), "{ports:?}");
        bench.now = bench.now + LIFETIME;
        bench.out(INSIDE, X1);
        assert_eq!(bench.table.mappings_of(at(INSIDE).ip()).ports, taken + 1);
    }
}

#[test]
fn a_limit_counts_live_mappings_of_one_insider() {
    let mut bench = Bench::new(Nat::symmetric().with_limit(2));
    bench.out(INSIDE, X1);
    bench.out(INSIDE, X2);
    let Bench { nat, table, dice, now } = &mut bench;
    assert_eq!(table.outbound(nat, *now, at(INSIDE), at(Y1), dice), None);
    bench.out(OTHER, Y1);
    bench.now = bench.now + LIFETIME;
    bench.out(INSIDE, Y1);
}

#[test]
fn packets_from_outside_keep_a_mapping_alive_only_where_they_may() {
    for (refresh, alive) in [(Refresh::Outward, false), (Refresh::BothWays, true)] {
        let mut bench = Bench::new(Nat::symmetric().with_refresh(refresh));
        let port = bench.out(INSIDE, X1);
        bench.now = bench.now + LIFETIME / 2;
        assert!(bench.back(port, X1).is_some());
        bench.now = bench.now + LIFETIME / 2;
        assert_eq!(bench.back(port, X1).is_some(), alive, "{refresh:?}");
    }
}

#[test]
fn random_ports_come_from_the_whole_range() {
    let mut bench = Bench::new(Nat::symmetric());
    let ports: Vec<u16> = (0..2_000).map(|number| bench.out(INSIDE, &endpoint(number))).collect();
    assert!(ports.iter().any(|&port| port < 2_000) && ports.iter().any(|&port| port > 64_000));
    assert!(ports.iter().all(|&port| port >= 1_024));
}

#[test]
fn old_mappings_are_swept_out_and_live_ones_are_kept() {
    let mut bench = Bench::new(Nat::symmetric());
    for number in 0..9_000 {
        bench.out(INSIDE, &endpoint(number));
    }
    bench.now = bench.now + LIFETIME;
    let port = bench.out(INSIDE, X1);
    bench.out(INSIDE, X2);
    assert_eq!(bench.back(port, X1), Some(at(INSIDE)));
    assert_eq!(bench.out(INSIDE, X1), port);
}
