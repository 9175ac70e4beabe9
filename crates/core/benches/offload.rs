//! Nanoseconds to cut a large packet of the device, and to join a batch for it.
//!
//! `cargo bench -p tinmesh-core --bench offload`; the figures are in `docs/performance.md`.

#[path = "offload/large.rs"]
mod large;

use divan::Bencher;
use divan::counter::ItemsCount;
use large::{Carries, Joined};

fn main() {
    divan::main();
}

#[divan::bench(args = Carries::ALL)]
fn cut(bencher: Bencher<'_, '_>, carries: Carries) {
    let mut large = large::Large::new(carries);
    bencher.counter(ItemsCount::new(large::PIECES)).bench_local(|| large.cut());
}

#[divan::bench(args = Carries::ALL)]
fn join(bencher: Bencher<'_, '_>, carries: Carries) {
    let mut joined = Joined::new(carries, 1);
    bencher.counter(ItemsCount::new(joined.packets())).bench_local(|| joined.join());
}

/// Packets of eight flows in turn: nothing that was joined is forgotten for another flow.
#[divan::bench(args = Carries::ALL)]
fn join_eight_flows(bencher: Bencher<'_, '_>, carries: Carries) {
    let mut joined = Joined::new(carries, 8);
    bencher.counter(ItemsCount::new(joined.packets())).bench_local(|| joined.join());
}
