//! Nanoseconds per packet: one worker, one core.

#[path = "../tests/packets/keys.rs"]
mod keys;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/packets/lab.rs"]
mod lab;

use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use lab::{ALICE, BOB, Lab, ME, address, id, v4};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::dataplane::batch::{BATCH, Batch};
use tinmesh_core::dataplane::gate::{Filter, Pace, Reach, Relay, Volume};
use tinmesh_core::name::NodeId;
use tinmesh_core::packet::Packet;

const LENGTHS: [usize; 2] = [64, 1400];

fn main() {
    divan::main();
}

#[divan::bench(args = LENGTHS)]
fn outbound(bencher: Bencher<'_, '_>, len: usize) {
    bench_outbound(bencher, Lab::new(), len);
}

#[divan::bench(args = [10, 1_000, 100_000])]
fn outbound_among_subnets(bencher: Bencher<'_, '_>, subnets: u32) {
    let mut lab = Lab::new();
    for number in 0..subnets {
        let [_, a, b, c] = number.to_be_bytes();
        lab = lab.subnet(Some(BOB), &format!("{}.{b}.{c}.0/24", 20 + a));
    }
    bench_outbound(bencher, lab, 64);
}

#[divan::bench(args = [1, 6, 10, 12])]
fn outbound_compressed(bencher: Bencher<'_, '_>, level: u8) {
    bench_outbound(bencher, Lab::new().with(ALICE, |alice| alice.compression = level), 1400);
}

fn bench_outbound(bencher: Bencher<'_, '_>, mut lab: Lab, len: usize) {
    let payload = v4(ME, ALICE, len);
    let mut packet = Packet::new();
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        packet.fill(&payload);
        lab.fib.outbound(&mut packet, &mut lab.scratch)
    });
}

/// A node of a closed network that filters, and whose peers' rates and volumes are limited.
fn gated() -> Lab {
    let mut lab = Lab::new().closed().rights(ALICE, |alice| {
        alice.pace = Some(Arc::new(Pace::new(1_000_000_000)));
        alice.relay = Relay::UpTo(Arc::new(Volume::new(u64::MAX, None)));
        alice.reach = Arc::new(Reach { udp: [(2000, 2000)].into(), ..Reach::default() });
    });
    let gate = Arc::make_mut(lab.fib.gate.as_mut().expect("it is closed"));
    gate.filter = Some(Arc::new(Filter::new(&mut Rng::from_seed([3; 32]))));
    lab
}

#[divan::bench(args = LENGTHS)]
fn outbound_gated(bencher: Bencher<'_, '_>, len: usize) {
    bench_outbound(bencher, gated(), len);
}

#[divan::bench(args = LENGTHS)]
fn inbound(bencher: Bencher<'_, '_>, len: usize) {
    bench_inbound(bencher, Lab::new(), len);
}

#[divan::bench(args = LENGTHS)]
fn inbound_gated(bencher: Bencher<'_, '_>, len: usize) {
    bench_inbound(bencher, gated(), len);
}

/// Each datagram is opened once, as numbers are not accepted twice; sealing them is not measured.
fn bench_inbound(bencher: Bencher<'_, '_>, mut lab: Lab, len: usize) {
    let payload = v4(ALICE, ME, len);
    let far = lab.remote[&ALICE].clone();
    let ids = [NodeId::NULL.0, id(ALICE).0].concat();
    bencher
        .counter(BytesCount::new(len))
        .with_inputs(|| {
            let mut packet = Packet::from_payload(&payload);
            assert!(far.seal(0, &mut packet) && packet.push_front(&ids));
            packet
        })
        .bench_local_refs(|packet| lab.fib.inbound(address(ALICE), packet, &mut lab.scratch));
}

#[divan::bench(args = LENGTHS)]
fn relayed(bencher: Bencher<'_, '_>, len: usize) {
    bench_relayed(bencher, Lab::new(), len);
}

#[divan::bench(args = LENGTHS)]
fn relayed_gated(bencher: Bencher<'_, '_>, len: usize) {
    bench_relayed(bencher, gated(), len);
}

fn bench_relayed(bencher: Bencher<'_, '_>, mut lab: Lab, len: usize) {
    let datagram = lab.sealed(id(BOB), ALICE, 0, &v4(ALICE, BOB, len));
    let mut packet = Packet::new();
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        packet.fill(&datagram);
        lab.fib.inbound(address(ALICE), &mut packet, &mut lab.scratch)
    });
}

/// Numbers, replay window and both directions: all that a packet needs on its way through two nodes.
#[divan::bench(args = LENGTHS)]
fn session_seal_and_open(bencher: Bencher<'_, '_>, len: usize) {
    let (one, other) = keys::session_pair();
    let mut packet = Packet::from_payload(&vec![0; len]);
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        assert!(one.seal(0, &mut packet));
        other.open(&mut packet)
    });
}

fn full_batch(payload: &[u8], from: Option<std::net::SocketAddr>) -> Batch {
    let mut batch = Batch::new();
    while let Some(packet) = batch.space() {
        packet.fill(payload);
        batch.keep(from);
    }
    batch
}

/// Nanoseconds are for a whole batch.
#[divan::bench(args = LENGTHS)]
fn outbound_batch(bencher: Bencher<'_, '_>, len: usize) {
    let mut lab = Lab::new();
    let payload = v4(ME, ALICE, len);
    bencher
        .counter(BytesCount::new(len * BATCH))
        .with_inputs(|| full_batch(&payload, None))
        .bench_local_refs(|batch| lab.fib.outbound_batch(batch, &mut lab.scratch));
}

/// Nanoseconds are for a whole batch.
#[divan::bench(args = LENGTHS)]
fn inbound_batch(bencher: Bencher<'_, '_>, len: usize) {
    let mut lab = Lab::new();
    let payload = v4(ALICE, ME, len);
    let far = lab.remote[&ALICE].clone();
    let ids = [NodeId::NULL.0, id(ALICE).0].concat();
    bencher
        .counter(BytesCount::new(len * BATCH))
        .with_inputs(|| {
            let mut batch = full_batch(&payload, Some(address(ALICE)));
            for packet in batch.packets_mut() {
                assert!(far.seal(0, packet) && packet.push_front(&ids));
            }
            batch
        })
        .bench_local_refs(|batch| lab.fib.inbound_batch(batch, &mut lab.scratch));
}
