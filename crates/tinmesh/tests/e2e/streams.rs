//! Packets that go over TCP by several connections between two tinmesh nodes (docs/protocol.md, "Streams").

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use tinmesh_lab::{Underlay, UnderlayPlan};

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::traffic::{answers_within, inside, ping_times};
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};

const MEGABYTE: u64 = 1_000_000;
/// All that ours agree on but streams.
const WITHOUT: &str = "Extensions = aead-aes256gcm statements health split punch mapped relay keepalive";

/// Alice, who dials, and bob; 40 ms there and back.
struct Far {
    mesh: [Daemon; 2],
    _underlay: Underlay,
}

/// Without UDP, and of 1,000 segments so many are lost. Connections that give way to losses, as most systems make them.
fn hinder(host: &Namespace, lost: u32) {
    let way = host.command("ip").args(["route", "show", "default"]).output().expect("ip is there");
    let way = String::from_utf8_lossy(&way.stdout).trim().to_owned();
    host.shell(&format!("ip route change {way} congctl cubic"));
    host.nft(&format!(
        "table inet lab {{
            chain in {{
                type filter hook input priority 0;
                iifname \"eth*\" meta l4proto udp drop;
                iifname \"eth*\" numgen random mod 1000 < {lost} drop;
            }}
        }}"
    ));
}

fn far(lab: &Lab, bob: Kind, lost: u32, more: &[&str]) -> Far {
    let namespaces = ["alice", "bob"].map(Namespace::new);
    let mut plan = UnderlayPlan::new(3);
    let hosts = [0, 1].map(|at| plan.plug(namespaces[at].name(), None).expect("a device can be made"));
    let address = plan.net().address(hosts[1]).expect("has one").to_string();
    let underlay = plan.start().expect("a thread can be made");
    namespaces.iter().for_each(|host| hinder(host, lost));
    let [alice, bob] = [(Kind::Ours, 1), (bob, 2)].map(|(kind, at)| mesh::node(lab, at, kind, &namespaces[at - 1]));
    bob.host(&format!("Address = {address}"));
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    more.iter().for_each(|line| _ = alice.config(line));
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    Far { mesh, _underlay: underlay }
}

/// Connections with bob that alice has.
fn connections(alice: &Daemon) -> usize {
    alice.tinc(&["dump", "connections"]).lines().filter(|line| line.starts_with("bob ")).count()
}

/// Streams through the tunnel that send as much as they can, until this is dropped.
struct Flows {
    arrived: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Flows {
    fn start([alice, bob]: &[Daemon; 2], count: u32) -> Self {
        let flows = Self { arrived: Arc::default(), over: Arc::default() };
        let listener = inside(&bob.namespace, || TcpListener::bind((v4(2), 0))).expect("the address is the host's");
        let target = listener.local_addr().expect("it is bound");
        for _ in 0..count {
            let mut source = inside(&alice.namespace, || TcpStream::connect(target)).expect("the tunnel carries a SYN");
            let (mut sink, _) = listener.accept().expect("the sender comes");
            let (over, arrived) = (Arc::clone(&flows.over), Arc::clone(&flows.arrived));
            std::thread::spawn(move || while !over.load(Relaxed) && source.write_all(&[0; 1 << 14]).is_ok() {});
            std::thread::spawn(move || {
                let mut block = [0; 1 << 14];
                while let Ok(len @ 1..) = sink.read(&mut block) {
                    arrived.fetch_add(len as u64, Relaxed);
                }
            });
        }
        flows
    }

    /// Mbit/s of all together, over so long.
    fn rate(&self, time: Duration) -> f64 {
        let (before, start) = (self.arrived.load(Relaxed), Instant::now());
        std::thread::sleep(time);
        (self.arrived.load(Relaxed) - before) as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e6
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}

/// What so many flows reach together, and within what time 19 of 20 echo requests beside them are answered.
fn measure(count: u32, lost: u32, more: &[&str]) -> (f64, Duration) {
    let lab = Lab::alone();
    let far = far(&lab, Kind::Ours, lost, more);
    let flows = Flows::start(&far.mesh, count);
    std::thread::sleep(secs(5));
    let (rate, times) = std::thread::scope(|scope| {
        let times = scope.spawn(|| ping_times(&far.mesh[0].namespace, &v4(2), 200));
        let rate = flows.rate(secs(12));
        (rate, times.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let [half, most] = [10, 19].map(|part| times.get(times.len() * part / 20).copied().unwrap_or(secs(9)));
    let (conns, answered) = (connections(&far.mesh[0]), times.len());
    eprintln!("{count} flows, {lost} of 1,000 lost, {conns} connections: {rate:.1} Mbit/s; {answered} of 200 answered, half {half:?}, 19 of 20 {most:?}");
    (rate, most)
}

#[test]
fn several_flows_without_udp_are_faster_on_a_way_that_loses_packets_and_echo_requests_are_answered_sooner() {
    let (one, late) = measure(4, 10, &[WITHOUT]);
    let (several, soon) = measure(4, 10, &[]);
    assert!(several > 1.5 * one, "{several} and {one} Mbit/s");
    assert!(soon < late, "{soon:?} and {late:?}");
}

#[test]
fn zz_figures() {
    for (count, lost) in [(4, 10); 7] {
        measure(count, lost, &[]);
    }
}
