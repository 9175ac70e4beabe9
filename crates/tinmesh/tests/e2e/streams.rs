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
use crate::lab::topology::block_udp_and_lose;
use crate::lab::traffic::{inside, ping_times};
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};

/// All that ours agree on but streams.
const WITHOUT: &str = "Extensions = aead-aes256gcm statements health split punch mapped relay keepalive meet";

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
    block_udp_and_lose(host, lost);
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
pub(crate) fn connections(alice: &Daemon) -> usize {
    alice.tinc(&["dump", "connections"]).lines().filter(|line| line.starts_with("bob ")).count()
}

/// TCP through the tunnel that sends as much as it can, until this is dropped.
pub(crate) struct Flows {
    /// Bytes of each that arrived.
    arrived: Vec<Arc<AtomicU64>>,
    over: Arc<AtomicBool>,
}

impl Flows {
    /// Starts so many.
    pub(crate) fn start([alice, bob]: &[Daemon; 2], count: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let listener = inside(&bob.namespace, || TcpListener::bind((v4(2), 0))).expect("the address is the host's");
        let target = listener.local_addr().expect("it is bound");
        let flow = |_| {
            let mut source = inside(&alice.namespace, || TcpStream::connect(target)).expect("the tunnel carries a SYN");
            let (mut sink, _) = listener.accept().expect("the sender comes");
            let (over, arrived) = (Arc::clone(&over), Arc::new(AtomicU64::new(0)));
            let counter = Arc::clone(&arrived);
            std::thread::spawn(move || while !over.load(Relaxed) && source.write_all(&[0; 1 << 14]).is_ok() {});
            std::thread::spawn(move || {
                let mut block = [0; 1 << 14];
                while let Ok(len @ 1..) = sink.read(&mut block) {
                    counter.fetch_add(len as u64, Relaxed);
                }
            });
            arrived
        };
        Self { arrived: (0..count).map(flow).collect(), over }
    }

    fn arrived(&self) -> Vec<u64> {
        self.arrived.iter().map(|arrived| arrived.load(Relaxed)).collect()
    }

    /// Mbit/s of all together, over so long.
    pub(crate) fn rate(&self, time: Duration) -> f64 {
        let (before, start): (u64, _) = (self.arrived().iter().sum(), Instant::now());
        std::thread::sleep(time);
        (self.arrived().iter().sum::<u64>() - before) as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e6
    }

    /// The longest time within `watched` in which nothing of one of them arrived.
    fn longest_gap(&self, watched: Duration) -> Duration {
        let start = Instant::now();
        let mut last: Vec<_> = self.arrived().into_iter().map(|bytes| (bytes, start)).collect();
        let mut longest = Duration::ZERO;
        while start.elapsed() < watched {
            std::thread::sleep(Duration::from_millis(10));
            for (last, bytes) in last.iter_mut().zip(self.arrived()) {
                longest = longest.max(last.1.elapsed());
                if bytes > last.0 {
                    *last = (bytes, Instant::now());
                }
            }
        }
        longest
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
    eprintln!(
        "{count} flows, {lost} of 1,000 lost, {conns} connections: {rate:.1} Mbit/s; {answered} of 200 answered, half {half:?}, 19 of 20 {most:?}"
    );
    (rate, most)
}

#[test]
fn several_flows_without_udp_are_faster_on_a_way_that_loses_packets_and_echo_requests_are_answered_sooner() {
    let (one, late) = measure(4, 3, &[WITHOUT]);
    let (several, soon) = measure(4, 3, &[]);
    assert!(several > 1.5 * one, "{several} and {one} Mbit/s");
    assert!(soon < late, "{soon:?} and {late:?}");
}

/// Four flows over all streams; the local ports of these at alice.
fn spread(lab: &Lab) -> (Far, Flows, Vec<u16>) {
    let far = far(lab, Kind::Ours, 0, &[]);
    let alice = &far.mesh[0];
    let before = ports(alice);
    assert_eq!(before.len(), 1);
    let flows = Flows::start(&far.mesh, 4);
    wait_until(secs(10), "all streams are there", || connections(alice) == 4);
    std::thread::sleep(secs(2));
    let streams = ports(alice).into_iter().filter(|port| !before.contains(port)).collect();
    (far, flows, streams)
}

/// Local ports of alice's connections with bob.
fn ports(alice: &Daemon) -> Vec<u16> {
    let text = run(alice.namespace.command("ss").args(["-Htn", "dport", "=", "655"]));
    let local = text.lines().filter_map(|line| line.split_whitespace().nth(3)?.rsplit(':').next()?.parse().ok());
    local.collect()
}

#[test]
fn streams_end_when_udp_returns() {
    let lab = Lab::alone();
    let (far, flows, _) = spread(&lab);
    far.mesh.iter().for_each(|daemon| daemon.namespace.shell("nft delete table inet lab"));

    wait_for_direct(&far.mesh[0], "bob", &v4(2));
    let took = wait_until(secs(60), "there is one connection", || connections(&far.mesh[0]) == 1);

    eprintln!("one connection {:.1} s after the path is direct", took.as_secs_f64());
    assert!(flows.longest_gap(secs(1)) < secs(1));
}

#[test]
fn flows_go_on_within_a_second_when_a_stream_is_killed() {
    let lab = Lab::alone();
    let (far, flows, streams) = spread(&lab);
    let alice = &far.mesh[0];
    for port in streams {
        run(alice.namespace.command("ss").args(["-Ktn", "sport", "=", &port.to_string()]));
        let gap = flows.longest_gap(secs(2));
        eprintln!("nothing of a flow for {gap:?}");
        assert!(gap < secs(1), "{gap:?}");
        assert!(!ports(alice).contains(&port));
    }
}

#[test]
fn flows_go_on_soon_when_a_stream_is_swallowed() {
    let lab = Lab::alone();
    let (far, flows, streams) = spread(&lab);
    let [alice, _] = &far.mesh;
    let port = streams[0];
    alice.namespace.nft(&format!(
        "table inet swallow {{
            chain in {{ type filter hook input priority 0; tcp dport {port} drop; }}
            chain out {{ type filter hook output priority 0; tcp sport {port} drop; }}
        }}"
    ));
    let gap = flows.longest_gap(secs(8));
    eprintln!("nothing of a flow for {gap:?}");
    assert!(gap < secs(5), "{gap:?}");
    assert!(!ports(alice).contains(&port));
}

#[test]
fn nodes_that_speak_tcp_only_have_streams() {
    let lab = Lab::alone();
    let far = far(&lab, Kind::Ours, 0, &["TCPOnly = yes"]);
    let _flows = Flows::start(&far.mesh, 2);
    wait_until(secs(10), "all streams are there", || connections(&far.mesh[0]) == 4);
}

#[test]
fn tinc_gets_all_on_one_connection() {
    let lab = Lab::alone();
    let mut far = far(&lab, Kind::Tinc11, 0, &[]);
    let flows = Flows::start(&far.mesh, 4);
    let rate = flows.rate(secs(6));
    eprintln!("{rate:.1} Mbit/s with tinc");
    assert!(rate > 1.0);
    assert_eq!((connections(&far.mesh[0]), ports(&far.mesh[0]).len()), (1, 1));
    assert!(far.mesh[1].lives());
}
