//! UDP paths that are cut, throttled or narrowed while packets flow.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::lab::mesh::{self, v4, wait_for_direct};
use crate::lab::namespace::Namespace;
use crate::lab::status::NodeStatus;
use crate::lab::topology::{Segment, black_hole, block_udp, block_udp_and_lose, router};
use crate::lab::traffic::{Pinging, Transfer, count_udp, inside, ping_times, ping_whole, transfer, udp_packets};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};
use crate::streams::Flows;

/// Two of ours with a direct path.
fn pair(lab: &Lab) -> [Daemon; 2] {
    let mut mesh = mesh::pair(lab, [Kind::Ours, Kind::Ours]);
    mesh::start(&mut mesh);
    wait_for_direct(&mesh[0], "bob", &v4(2));
    wait_for_direct(&mesh[1], "alice", &v4(1));
    mesh
}

/// How long it takes until echo requests are answered again, after they were lost.
fn silence(from: &Namespace, to: &str, limit: Duration) -> Duration {
    wait_until(limit, "packets arrive again", || crate::lab::traffic::answers_within(from, to, secs(1)))
}

fn free(host: &Namespace) {
    host.shell("nft delete table inet lab");
}

#[test]
fn udp_that_is_cut_under_traffic_is_left_within_five_seconds_and_used_again_when_it_returns() {
    let lab = Lab::alone();
    let [alice, bob] = pair(&lab);
    let _flow = Pinging::start(&lab, &alice.namespace, &v4(2));

    block_udp(&bob.namespace);
    let silent = silence(&alice.namespace, &v4(2), secs(5));
    free(&bob.namespace);
    let back = wait_until(secs(60), "the path is direct again", || alice.sees("bob", |node| node.direct()));

    eprintln!("silence {:.2} s, direct again after {:.2} s", silent.as_secs_f64(), back.as_secs_f64());
}

const MEGABYTE: u64 = 1_000_000;

fn rate(transfer: &Transfer) -> f64 {
    transfer.bytes as f64 * 8.0 / transfer.took.as_secs_f64() / 1e6
}

/// Lets only a megabit of UDP in a second arrive at a host.
fn police(host: &Namespace) {
    host.nft(
        "table inet lab {
            chain in {
                type filter hook input priority 0;
                iifname \"eth*\" meta l4proto udp limit rate over 125 kbytes/second burst 16 kbytes drop;
            }
        }",
    );
}

/// At a megabit in a second it would take more than five minutes.
#[test]
fn a_transfer_whose_udp_is_throttled_goes_on_over_tcp() {
    let lab = Lab::alone();
    let [alice, bob] = pair(&lab);
    police(&bob.namespace);
    let start = Instant::now();

    let throttled = transfer(&alice.namespace, &bob.namespace, &v4(2), 40 * MEGABYTE);

    throttled.assert_intact(40 * MEGABYTE);
    let moved = start.elapsed();
    assert!(moved < secs(40), "{moved:?}");
    let over_tcp = transfer(&alice.namespace, &bob.namespace, &v4(2), 40 * MEGABYTE);
    let plain = transfer(&alice.namespace, &bob.namespace, "192.0.2.2", 200 * MEGABYTE);
    eprintln!(
        "Mbit/s: {:.0} with the change, {:.0} after it, {:.0} without a tunnel",
        rate(&throttled),
        rate(&over_tcp),
        rate(&plain)
    );
}

/// Makes everything that a host sends share a way of so many Mbit/s.
fn narrow(host: &Namespace, mbit: u32) {
    host.shell(&format!("tc qdisc add dev eth0 root tbf rate {mbit}mbit burst 32k latency 50ms"));
}

/// UDP is tried again after half a minute, which costs the stream some seconds: that is in the second figure.
#[test]
fn a_stream_whose_udp_is_throttled_is_nearly_as_fast_as_plain_tcp_until_it_may_go_by_udp_again() {
    let lab = Lab::alone();
    let mesh = pair(&lab);
    let [alice, bob] = &mesh;
    mesh.iter().for_each(|daemon| narrow(&daemon.namespace, 100));
    let plain = rate(&transfer(&alice.namespace, &bob.namespace, "192.0.2.2", 40 * MEGABYTE));
    let flow = Flows::start(&mesh, 1);
    let before = flow.rate(secs(3));

    police(&bob.namespace);
    std::thread::sleep(secs(5));
    let throttled = flow.rate(secs(20));
    let tried = flow.rate(secs(15));
    count_udp(&bob.namespace);
    let back = wait_until(secs(60), "packets go by UDP again", || udp_packets(&bob.namespace) > 5_000);

    eprintln!(
        "Mbit/s: {plain:.1} without a tunnel, {before:.1} by UDP, {throttled:.1} while it is throttled, {tried:.1} with a trial; \
         back after {back:?}"
    );
    assert!(throttled >= 0.8 * plain, "{throttled} and {plain} Mbit/s");
    assert!(tried >= 0.4 * plain, "{tried} and {plain} Mbit/s");
}

/// Two of ours without UDP, on a way of so many Mbit/s that loses so many of 1,000 packets.
fn pair_without_udp(lab: &Lab, mbit: u32, lost: u32) -> [Daemon; 2] {
    let mut mesh = mesh::pair(lab, [Kind::Ours, Kind::Ours]);
    for daemon in &mesh {
        narrow(&daemon.namespace, mbit);
        block_udp_and_lose(&daemon.namespace, lost);
    }
    mesh::start(&mut mesh);
    mesh::wait_for_ping(&mesh[0], &v4(2));
    mesh
}

/// What one TCP stream through a tunnel without UDP reaches of what it reaches beside it, on a way of 100 Mbit/s that
/// loses so many of 1,000 packets.
fn share_of_plain_tcp(lost: u32) -> f64 {
    let lab = Lab::alone();
    let [alice, bob] = &pair_without_udp(&lab, 100, lost);

    let plain = rate(&transfer(&alice.namespace, &bob.namespace, "192.0.2.2", 40 * MEGABYTE));
    let tunnelled = rate(&transfer(&alice.namespace, &bob.namespace, &v4(2), 40 * MEGABYTE));

    eprintln!("Mbit/s with {lost} of 1,000 lost: {tunnelled:.1} over TCP, {plain:.1} without a tunnel");
    tunnelled / plain
}

#[test]
fn echo_requests_beside_a_transfer_without_udp_are_answered_soon() {
    for (mbit, bytes) in [(5, 4 * MEGABYTE), (50, 40 * MEGABYTE)] {
        let lab = Lab::alone();
        let [alice, bob] = &pair_without_udp(&lab, mbit, 0);
        let times = std::thread::scope(|scope| {
            let bulk = scope.spawn(|| transfer(&alice.namespace, &bob.namespace, &v4(2), bytes));
            std::thread::sleep(secs(1));
            let times = ping_times(&alice.namespace, &v4(2), 80);
            assert!(!bulk.is_finished(), "the echo requests were alone");
            let bulk = bulk.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            bulk.assert_intact(bytes);
            eprintln!("{mbit} Mbit/s: {:.1} Mbit/s beside echo requests", rate(&bulk));
            times
        });
        assert_soon(&times);
    }
}

/// Nearly all of 80 echo requests were answered, and nine of ten soon.
fn assert_soon(times: &[Duration]) {
    let [half, most] = [times.len() / 2, times.len() * 9 / 10].map(|at| times.get(at).copied().unwrap_or_default());
    eprintln!("{} of 80 answered; half within {half:?}, nine of ten within {most:?}", times.len());
    assert!(times.len() >= 76 && most <= Duration::from_millis(100), "{times:?}");
}

#[test]
fn echo_requests_beside_a_flood_without_udp_are_answered_soon() {
    let lab = Lab::alone();
    let [mut alice, _bob] = pair_without_udp(&lab, 5, 0);
    let over = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        // Four times as much as the way carries.
        let flood = scope.spawn(|| {
            inside(&alice.namespace, || {
                let socket = UdpSocket::bind("0.0.0.0:0").expect("any port");
                while !over.load(Relaxed) {
                    // While the device is full nothing is taken.
                    socket.send_to(&[0; 1200], (v4(2), 9)).ok();
                    std::thread::sleep(Duration::from_micros(400));
                }
            });
        });
        std::thread::sleep(secs(1));
        let times = ping_times(&alice.namespace, &v4(2), 80);
        over.store(true, Relaxed);
        flood.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        times
    });
    assert_soon(&times);
    alice.stop();
    let log = alice.log();
    let counted = log.lines().any(|line| line.contains("Packets dropped: ") && line.contains("too_late"));
    assert!(counted, "packets that were dropped are counted: {log}");
}

#[test]
fn a_transfer_without_udp_is_nearly_as_fast_as_plain_tcp() {
    assert!(share_of_plain_tcp(0) >= 0.8);
}

#[test]
fn a_transfer_without_udp_on_a_way_that_loses_packets_is_nearly_as_fast_as_plain_tcp() {
    assert!(share_of_plain_tcp(5) >= 0.8);
}

/// Alice and bob with a router between them, and a path that is measured.
fn behind_router(lab: &Lab, bob: Kind) -> ([Daemon; 2], Arc<Namespace>) {
    let (left, right) = (Segment::new("left"), Segment::new("right"));
    let router = router("narrow", (&left, &["198.51.100.254/24"]), (&right, &["203.0.113.254/24"]));
    let hosts = [
        left.host_behind("node", "198.51.100.1/24", "198.51.100.254"),
        right.host_behind("node", "203.0.113.2/24", "203.0.113.254"),
    ];
    let [alice, bob] = [(Kind::Ours, 1), (bob, 2)].map(|(kind, at)| mesh::node(lab, at, kind, &hosts[at - 1]));
    bob.host("Address = 203.0.113.2");
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    let mut mesh = [alice, bob];
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));
    wait_for_direct(bob, "alice", &v4(1));
    wait_until(secs(20), "the path's size is known", || {
        ping_whole(&alice.namespace, &v4(2), 1_400) && alice.sees("bob", |node| node.mtu_found())
    });
    (mesh, router)
}

#[test]
fn a_path_that_shrinks_under_traffic_without_a_word_is_measured_anew() {
    let lab = Lab::alone();
    let ([alice, _bob], router) = behind_router(&lab, Kind::Ours);

    black_hole(&router, 1_280);

    let flows = wait_until(secs(5), "packets of 1,200 bytes arrive", || ping_whole(&alice.namespace, &v4(2), 1_200));
    // 1,280 bytes less the headers of IP and UDP, ids, number, type and tag.
    let known = wait_until(secs(10), "the smaller size is known", || {
        ping_whole(&alice.namespace, &v4(2), 1_400);
        alice.sees("bob", |node| node.mtu_found() && (1_211..=1_219).contains(&node.mtu))
    });
    eprintln!("flows after {:.2} s, size known {:.2} s later", flows.as_secs_f64(), known.as_secs_f64());
}

/// How many of the packets from alice to bob, ten a second, are not answered when alice's system learns that the way there takes
/// less: it refuses the first one that does not fit any more.
fn lost_when_the_system_learns(bob: Kind) -> u32 {
    let lab = Lab::alone();
    let ([alice, _bob], _router) = behind_router(&lab, bob);
    let flow = Pinging::start_of(&lab, &alice.namespace, &v4(2), 1_400);
    std::thread::sleep(secs(2));

    alice.namespace.shell("ip route change default via 198.51.100.254 mtu 1300");

    let took =
        wait_until(secs(5), "the new size is known", || alice.sees("bob", |node| (1..1_300).contains(&node.mtu)));
    std::thread::sleep(secs(2));
    let (sent, answered) = flow.stop();
    eprintln!("size known after {:.2} s; {answered} of {sent} answered", took.as_secs_f64());
    assert!(sent > 30);
    sent - answered
}

#[test]
fn no_packet_is_lost_when_the_system_learns_that_the_path_is_narrow() {
    assert_eq!(lost_when_the_system_learns(Kind::Ours), 0);
}

/// It joins no pieces, so the first packet after that is dropped, and its sender told what fits.
#[test]
fn what_the_system_refuses_reaches_tinc_over_tcp() {
    assert_eq!(lost_when_the_system_learns(Kind::Tinc11), 1);
}

/// What is left takes neither the packets whole nor the segments of the connection between the nodes, and nothing says so.
#[test]
fn a_path_that_shrinks_to_560_bytes_without_a_word_is_survived() {
    let lab = Lab::alone();
    let ([alice, bob], router) = behind_router(&lab, Kind::Ours);
    let flow = Pinging::start_of(&lab, &alice.namespace, &v4(2), 528);
    std::thread::sleep(secs(6));

    black_hole(&router, 560);

    let flows = wait_until(secs(4), "packets of 528 bytes arrive", || ping_whole(&alice.namespace, &v4(2), 528));
    std::thread::sleep(secs(6));
    let (sent, answered) = flow.stop();
    eprintln!("flows after {:.2} s; {answered} of {sent} answered", flows.as_secs_f64());
    assert!(sent - answered <= 40, "{answered} of {sent}");
    for (daemon, other) in [(&alice, "bob"), (&bob, "alice")] {
        assert!(daemon.sees(other, NodeStatus::reachable), "{other}");
    }
    let whole = transfer(&alice.namespace, &bob.namespace, &v4(2), MEGABYTE);
    whole.assert_intact(MEGABYTE);
}

/// Alice sends to carol by bob; the router between bob and carol takes less from some time on.
#[test]
fn whoever_sends_by_a_relay_learns_that_its_way_shrank_without_a_word() {
    let lab = Lab::alone();
    let [left, centre, right] = ["left", "centre", "right"].map(Segment::new);
    let router = router("narrow", (&centre, &["192.0.2.254/24"]), (&right, &["203.0.113.254/24"]));
    let middle = left.host("node", &["198.51.100.2/24"]);
    centre.connect(&middle, "eth1", &["192.0.2.2/24"]);
    middle.shell("ip route add 203.0.113.0/24 via 192.0.2.254");
    let carol = right.host_behind("node", "203.0.113.3/24", "203.0.113.254");
    let hosts = [left.host("node", &["198.51.100.1/24"]), middle, carol];
    let mut mesh = mesh::line_on(&lab, [Kind::Ours; 3], &hosts, ["198.51.100.2", "192.0.2.2"]);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_direct(alice, "bob", &v4(2));
    wait_for_direct(carol, "bob", &v4(2));
    let flow = Pinging::start_of(&lab, &alice.namespace, &v4(3), 1_400);
    wait_until(secs(20), "the way's size is known", || {
        bob.sees("carol", NodeStatus::mtu_found) && alice.sees("carol", |node| (1_401..1_450).contains(&node.mtu))
    });
    // A connection that ends sooner than that is not dialled again at once.
    std::thread::sleep(secs(6));

    black_hole(&router, 1_280);

    let smaller = |node: &NodeStatus| !node.direct() && (1_211..=1_219).contains(&node.mtu);
    let known = wait_until(secs(5), "the smaller size is known", || alice.sees("carol", smaller));
    let flows = wait_until(secs(10), "packets of 1,200 bytes arrive", || ping_whole(&alice.namespace, &v4(3), 1_200));
    std::thread::sleep(secs(6));
    let (sent, answered) = flow.stop();
    eprintln!("known after {:.2} s, flows {:.2} s later", known.as_secs_f64(), flows.as_secs_f64());
    eprintln!("{answered} of {sent} answered");
    assert!(sent - answered <= 40, "{answered} of {sent}");
}
