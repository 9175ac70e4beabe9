//! Work for a simulator of processors to count: `cargo xtask instructions`.
//!
//! `instructions CASE COUNT` does the work of a case COUNT times; what the work needs before it is the same for every count.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

#[path = "../tests/packets/keys.rs"]
mod keys;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/packets/lab.rs"]
mod lab;
#[expect(dead_code, reason = "the benchmark of time uses the rest")]
#[path = "offload/large.rs"]
mod large;

use std::hint::black_box;
use std::sync::Arc;

use lab::{ALICE, BOB, Lab, ME, address, id, v4};
use large::{Carries, Joined, Large};
use tinmesh_core::dataplane::batch::Batch;
use tinmesh_core::dataplane::fib::PeerEntry;
use tinmesh_core::name::{NodeId, PeerId};
use tinmesh_core::packet::Packet;

/// Bytes of a packet of which little is sealed.
const SHORT: usize = 64;
const FEW: u32 = 10;
const SOME: u32 = 1_000;
const MANY: u32 = 100_000;

type Work = Box<dyn FnMut()>;
type Make = fn() -> Work;

/// All cases: what is counted, and how to make it.
const CASES: [(&str, Make); 18] = [
    ("cut-tcp-v4", || cut(Carries::TcpV4)),
    ("cut-tcp-v6", || cut(Carries::TcpV6)),
    ("cut-udp-v4", || cut(Carries::UdpV4)),
    ("join-tcp-v4", || join(Carries::TcpV4, 1)),
    ("join-tcp-v6", || join(Carries::TcpV6, 1)),
    ("join-udp-v4", || join(Carries::UdpV4, 1)),
    ("join-eight-flows", || join(Carries::TcpV4, 8)),
    ("outbound-64", || outbound(Lab::new(), 64)),
    ("outbound-1400", || outbound(Lab::new(), 1_400)),
    ("seal-and-open-64", || seal_and_open(64)),
    ("outbound-10-subnets", || outbound(subnets(FEW), 64)),
    ("outbound-1000-subnets", || outbound(subnets(SOME), 64)),
    ("outbound-100000-subnets", || outbound(subnets(MANY), 64)),
    ("pieces-out", pieces_out),
    ("flow-in", flow_in),
    ("relay-10-nodes", || relay_among(FEW)),
    ("relay-1000-nodes", || relay_among(SOME)),
    ("relay-50000-nodes", || relay_among(MANY / 2)),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let case = |name: &str| CASES.iter().find(|case| case.0 == name);
    match words.as_slice() {
        [name, count] => {
            let (_, make) = case(name).expect("a case");
            let count: u32 = count.parse().expect("a number");
            let mut work = make();
            // What is done once only is done here.
            work();
            counted(&mut work, count);
        }
        _ => CASES.iter().for_each(|case| println!("{}", case.0)),
    }
}

/// What is counted; the program that counts looks for its name.
#[inline(never)]
fn counted(work: &mut Work, count: u32) {
    (0..count).for_each(|_| work());
}

fn cut(carries: Carries) -> Work {
    let mut large = Large::new(carries);
    Box::new(move || _ = black_box(large.cut()))
}

fn join(carries: Carries, flows: usize) -> Work {
    let mut joined = Joined::new(carries, flows);
    Box::new(move || _ = black_box(joined.join()))
}

fn outbound(mut lab: Lab, len: usize) -> Work {
    let payload = v4(ME, ALICE, len);
    let mut packet = Packet::new();
    Box::new(move || {
        packet.fill(&payload);
        black_box(lab.fib.outbound(&mut packet, &mut lab.scratch));
    })
}

/// With so many subnets, the one that is looked for and its neighbours among them.
fn subnets(count: u32) -> Lab {
    (0..count).fold(Lab::new(), |lab, number| {
        let [_, a, b, c] = number.to_be_bytes();
        let address = [10, 1 + a, b, c];
        let owner = if address == [10, 1, 0, 5] { ALICE } else { BOB };
        lab.subnet(Some(owner), &std::net::Ipv4Addr::from(address).to_string())
    })
}

fn seal_and_open(len: usize) -> Work {
    let (one, other) = keys::session_pair();
    let payload = vec![0; len];
    let mut packet = Packet::new();
    Box::new(move || {
        packet.fill(&payload);
        assert!(one.seal(0, &mut packet) && other.open(&mut packet).is_ok());
    })
}

/// A whole batch of pieces of one large packet, short ones, so that little of the work is the cipher's.
fn pieces_out() -> Work {
    let mut lab = Lab::new();
    let payload = v4(ME, ALICE, SHORT);
    let mut batch = Batch::new();
    Box::new(move || {
        batch.clear();
        while let Some(packet) = batch.space() {
            packet.fill(&payload);
            batch.keep_follower();
        }
        lab.fib.outbound_batch(&mut batch, &mut lab.scratch);
    })
}

/// A whole batch of short packets of one flow for this node, and what it takes to seal them.
fn flow_in() -> Work {
    let mut lab = Lab::new();
    let payload = v4(ALICE, ME, SHORT);
    let ids = [NodeId::NULL.0, id(ALICE).0].concat();
    let mut batch = Batch::new();
    Box::new(move || {
        batch.clear();
        while let Some(packet) = batch.space() {
            packet.fill(&payload);
            assert!(lab.remote[&ALICE].seal(0, packet) && packet.push_front(&ids));
            batch.keep(Some(address(ALICE)));
        }
        lab.fib.inbound_batch(&mut batch, &mut lab.scratch);
    })
}

/// A whole batch.
fn relay(mut lab: Lab) -> Work {
    let datagram = lab.sealed(id(BOB), ALICE, 0, &v4(ALICE, BOB, 1_400));
    let mut batch = Batch::new();
    Box::new(move || {
        batch.clear();
        while let Some(packet) = batch.space() {
            packet.fill(&datagram);
            batch.keep(Some(address(ALICE)));
        }
        lab.fib.inbound_batch(&mut batch, &mut lab.scratch);
    })
}

/// With so many nodes beside those that are looked for, each with an address of its own.
fn relay_among(nodes: u32) -> Work {
    let mut lab = Lab::new();
    let template = PeerEntry::clone(lab.fib.peers[BOB.index()].as_ref().expect("bob is there"));
    let (by_id, by_addr) = (Arc::make_mut(&mut lab.fib.by_id), Arc::make_mut(&mut lab.fib.by_addr));
    for number in 0..nodes {
        let peer = PeerId(10 + number);
        let [_, a, b, c] = number.to_be_bytes();
        let node_id = NodeId([a, b, c, 1, 2, 3]);
        by_id.insert(node_id, peer);
        by_addr.insert(([198, 18 + a, b, c], 655).into(), peer);
        lab.fib.peers.resize(peer.index(), None);
        lab.fib.peers.push(Some(Arc::new(PeerEntry { peer, node_id, ..template.clone() })));
    }
    relay(lab)
}
