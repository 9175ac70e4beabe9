//! Nanoseconds to find the owner of an address among few and many subnets.
//!
//! `cargo bench -p tinmesh-core --bench lookup`; the figures are in `docs/performance.md`. Addresses in random order show
//! what the processor's caches do not hold; those of one flow, the steps of the search alone.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use tinmesh_core::name::{NodeName, PeerId};
use tinmesh_core::subnet::{Address, Subnet, SubnetTable};

const COUNTS: [u32; 3] = [10, 1_000, 100_000];
/// Addresses looked up in one sample.
const LOOKUPS: usize = 4_096;

fn main() {
    divan::main();
}

/// Spreads small numbers over all 32 bits, each to another.
const fn spread(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b1)
}

fn v4(number: u32) -> Address {
    Address::V4(spread(number).into())
}

fn v6(number: u32) -> Address {
    let [a, b, c, d] = spread(number).to_be_bytes();
    Address::V6([0xfd, 1, 2, 3, 4, 5, a, b, c, d, 0, 0, 0, 0, 0, 1].into())
}

fn mac(number: u32) -> Address {
    let [a, b, c, d] = spread(number).to_be_bytes();
    Address::Mac([2, 0, a, b, c, d])
}

/// A table in which each of `count` nodes owns one address.
fn table(count: u32, address: fn(u32) -> Address) -> SubnetTable {
    let mut table = SubnetTable::default();
    for number in 0..count {
        let name = NodeName::parse(&format!("n{number}")).expect("a letter and digits");
        table.insert(Subnet::host(address(number)), Some(PeerId(number)), &name);
    }
    table
}

fn look_up(bencher: Bencher<'_, '_>, count: u32, address: fn(u32) -> Address, order: fn(u32) -> u32) {
    let table = table(count, address);
    let wanted: Vec<Address> = (0..LOOKUPS as u32).map(|at| address(order(at) % count)).collect();
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        for address in &wanted {
            assert!(black_box(table.lookup(black_box(address), |_| true)).is_some());
        }
    });
}

#[divan::bench(args = COUNTS)]
fn v4_in_random_order(bencher: Bencher<'_, '_>, count: u32) {
    look_up(bencher, count, v4, |at| spread(at) >> 8);
}

#[divan::bench(args = COUNTS)]
fn v4_of_one_flow(bencher: Bencher<'_, '_>, count: u32) {
    look_up(bencher, count, v4, |_| 7);
}

#[divan::bench(args = COUNTS)]
fn v6_in_random_order(bencher: Bencher<'_, '_>, count: u32) {
    look_up(bencher, count, v6, |at| spread(at) >> 8);
}

#[divan::bench(args = COUNTS)]
fn mac_in_random_order(bencher: Bencher<'_, '_>, count: u32) {
    look_up(bencher, count, mac, |at| spread(at) >> 8);
}
