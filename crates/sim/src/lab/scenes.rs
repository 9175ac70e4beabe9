//! Scenes: something happens to two nodes while packets flow between them, and a mark says how bad that may be.

use std::time::Duration;

use tinmesh_core::time::Instant;

use crate::host::Host;
use crate::internet::Cut;
use crate::isp::{Narrow, TcpRule, UdpRule};
use crate::nat::{Nat, Ports};
use crate::world::{World, millis, minutes, secs};

/// What a mark asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Mark {
    /// Whether a value reaches it.
    pub fn is_reached(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Of the marks in the design: G3, G6, …
    pub group: &'static str,
    /// What happens, and what is measured.
    pub title: &'static str,
    /// The unit of the value.
    pub unit: &'static str,
    /// What is asked for.
    pub mark: Mark,
    /// Plays it once, with a seed.
    pub play: fn(u64) -> f64,
}

const SECONDS: &str = "s";
const PER_CENT: &str = "%";
const BYTES: &str = "B";
const PROBES: &str = "probes";
/// What a frame needs around it on a path over IPv4, in bytes: headers of IP and UDP, ids, number, type, tag.
const AROUND: u16 = 20 + 8 + 12 + 21;
/// The longest packet that a frame of the mesh leaves room for below, in bytes: 1,518 of frame.
const LONGEST: u16 = 1_518 + AROUND;
const ETHERNET: u16 = 1_500;
/// Paths that keep quiet about what is too long, in bytes of IP packet; interfaces take more.
const HOLES: [u16; 9] = [576, 577, 800, 1_280, 1_400, 1_420, 1_492, 1_499, 9_000];

/// All scenes.
pub const SCENES: &[Scene] = &[
    scene("G3", "symmetric NATs: first answer by a relay", SECONDS, Mark::AtMost(1.5), |seed| {
        first_answer(seed, |alice, bob| (alice.behind(Nat::symmetric()), bob.behind(Nat::symmetric())))
    }),
    scene("G3", "UDP blocked at both ends: first answer", SECONDS, Mark::AtMost(1.5), |seed| {
        let deaf = |host: Host<'_>| host.block_udp(true);
        first_answer(seed, |alice, bob| {
            deaf(alice);
            deaf(bob);
            (alice, bob)
        })
    }),
    scene(
        "G3",
        "one path of members, all of which hear only their neighbours: first answer",
        SECONDS,
        Mark::AtMost(1.5),
        row,
    ),
    scene("G3", "only a member behind a NAT hears both: first answer", SECONDS, Mark::AtMost(1.5), nat_relays),
    scene(
        "G3",
        "only TCP to ports 80 and 443 gets out at both ends: first answer",
        SECONDS,
        Mark::AtMost(1.5),
        |seed| {
            let web = |host: Host<'_>| host.set_isp(|isp| (isp.udp, isp.tcp) = (UdpRule::Blocked, TcpRule::WebOnly));
            first_answer(seed, |alice, bob| {
                web(alice);
                web(bob);
                (alice, bob)
            })
        },
    ),
    scene("G3", "the best of three relays dies under traffic: longest silence", SECONDS, Mark::AtMost(5.0), relay_dies),
    scene("G6", "UDP cut under traffic: longest silence", SECONDS, Mark::AtMost(5.0), |seed| cut_and_back(seed).0),
    scene("G6", "UDP returns: time until the path is direct", SECONDS, Mark::AtMost(60.0), |seed| cut_and_back(seed).1),
    scene("G6", "UDP dies between two nodes only: longest silence", SECONDS, Mark::AtMost(5.0), |seed| {
        silence(seed, Homes::NATS, |world, alice, bob| world.cut(alice, bob, Some(Cut::Udp)))
    }),
    scene("G6", "UDP blocked, both behind NATs: straight by TCP after", SECONDS, Mark::AtMost(15.0), straight_by_tcp),
    scene("G6", "policed to 1 Mbit/s under 2.4 Mbit/s: answered after 5 s", PER_CENT, Mark::AtLeast(80.0), |seed| {
        policed_and_back(seed).0
    }),
    scene("G6", "policed no more: time until the path is direct", SECONDS, Mark::AtMost(60.0), |seed| {
        policed_and_back(seed).1
    }),
    scene(
        "G6",
        "policed to 16 kbit/s under 85 kbit/s: answered in a minute, from 20 s after that on",
        PER_CENT,
        Mark::AtLeast(90.0),
        policed_tightly,
    ),
    scene("G8", "black hole of 576 B: error of the size after 5 s", BYTES, Mark::AtMost(8.0), |seed| hole(seed, 576).1),
    scene("G8", "black hole of 1,280 B: error of the size after 5 s", BYTES, Mark::AtMost(8.0), |seed| {
        hole(seed, 1_280).1
    }),
    scene("G8", "black hole of 1,400 B: error of the size after 5 s", BYTES, Mark::AtMost(8.0), |seed| {
        hole(seed, 1_400).1
    }),
    scene("G8", "black hole of 9,000 B: error of the size after 5 s", BYTES, Mark::AtMost(8.0), |seed| {
        hole(seed, 9_000).1
    }),
    scene(
        "G8",
        "black holes of 576 to 9,000 B: probes until the size is known within 8 B",
        PROBES,
        Mark::AtMost(8.0),
        |seed| HOLES.iter().map(|&mtu| hole(seed, mtu).0).fold(0.0, f64::max),
    ),
    scene(
        "G8",
        "path shrinks to 1,300 B under traffic of 1,400 B: until the size is known",
        SECONDS,
        Mark::AtMost(3.0),
        |seed| shrunk(seed).known,
    ),
    scene(
        "G8",
        "path shrinks to 1,300 B under traffic of 1,400 B: probes until the size is known within 8 B",
        PROBES,
        Mark::AtMost(8.0),
        |seed| shrunk(seed).probes,
    ),
    scene(
        "G8",
        "path shrinks to 1,300 B under traffic of 1,400 B: longest silence",
        SECONDS,
        Mark::AtMost(3.0),
        |seed| shrunk(seed).silence,
    ),
    scene(
        "G8",
        "packets of 1,400 B that may not be cut, on that path: answered after 3 s",
        PER_CENT,
        Mark::AtLeast(95.0),
        |seed| shrunk(seed).answered,
    ),
    scene(
        "G8",
        "the relay's path shrinks to 1,300 B under traffic of 1,400 B: until the size is known",
        SECONDS,
        Mark::AtMost(3.0),
        shrunk_behind_relay,
    ),
    scene(
        "G8",
        "path of 1,300 B while it is loaded: 1,350 B answered after 5 s",
        PER_CENT,
        Mark::AtLeast(95.0),
        |seed| loaded(seed, 1_350, millis(10), Narrow { mtu: 1_300, above: 100_000 }),
    ),
    scene(
        "G8",
        "path of 560 B while it is loaded by a slow flow: 528 B answered after 5 s",
        PER_CENT,
        Mark::AtLeast(80.0),
        |seed| loaded(seed, 528, millis(50), Narrow { mtu: 560, above: 5_000 }),
    ),
    scene("G2", "two homes of one carrier that leads back in: direct after", SECONDS, Mark::AtMost(2.0), |seed| {
        behind_one_carrier(seed, true)
    }),
    scene("G3", "two homes of one carrier that does not: first answer", SECONDS, Mark::AtMost(1.5), |seed| {
        behind_one_carrier(seed, false)
    }),
    scene("G2", "NATs that forget after 15 s: share of 20 idle minutes with a direct path", PER_CENT, ALWAYS, |seed| {
        kept_alive(seed, 15)
    }),
    scene("G2", "NATs that forget after 30 s: share of 20 idle minutes with a direct path", PER_CENT, ALWAYS, |seed| {
        kept_alive(seed, 30)
    }),
    scene(
        "G14",
        "back in a known network: until silences are as long as it bears",
        SECONDS,
        Mark::AtMost(10.0),
        returns,
    ),
    scene("G14", "NAT forgets its mappings: longest silence", SECONDS, Mark::AtMost(0.24), |seed| {
        silence(seed, Homes::ONE_NAT, |_, alice, _| alice.rebind_nat())
    }),
    scene("G14", "both behind NATs, one forgets its mappings: longest silence", SECONDS, Mark::AtMost(3.0), |seed| {
        silence(seed, Homes::NATS, |_, alice, _| alice.rebind_nat())
    }),
    scene("G14", "another address: longest silence", SECONDS, Mark::AtMost(3.0), |seed| {
        silence(seed, Homes::OPEN, |_, alice, _| alice.move_to_new_address())
    }),
    scene("G14", "into another home network: longest silence", SECONDS, Mark::AtMost(3.0), |seed| {
        silence(seed, Homes::NATS, |world, alice, _| alice.move_behind(world.nat(HOME)))
    }),
    scene("G14", "another network whose name servers are dead: longest silence", SECONDS, Mark::AtMost(3.0), |seed| {
        silence(seed, Homes::NAMED, |world, alice, _| {
            alice.break_dns(true);
            alice.move_behind(world.nat(HOME));
        })
    }),
    scene("G14", "ten minutes of sleep: silence after waking", SECONDS, Mark::AtMost(3.0), |seed| slept(seed, false)),
    scene("G14", "ten minutes of sleep, woken elsewhere: silence after waking", SECONDS, Mark::AtMost(3.0), |seed| {
        slept(seed, true)
    }),
    scene(
        "G14",
        "ten minutes of sleep, half a minute without network, another one whose name servers are dead: silence in it",
        SECONDS,
        Mark::AtMost(3.0),
        carried_away,
    ),
];

const ALWAYS: Mark = Mark::AtLeast(100.0);
const HOME: Nat = Nat::port_restricted_cone().with_ports(Ports::Random);

const fn scene(
    group: &'static str,
    title: &'static str,
    unit: &'static str,
    mark: Mark,
    play: fn(u64) -> f64,
) -> Scene {
    Scene { group, title, unit, mark, play }
}

/// Where alice and bob are, and how alice knows the third.
#[derive(Clone, Copy)]
struct Homes {
    alice: bool,
    bob: bool,
    by_name: bool,
}

impl Homes {
    const OPEN: Self = Self { alice: false, bob: false, by_name: false };
    const ONE_NAT: Self = Self { alice: true, ..Self::OPEN };
    const NATS: Self = Self { alice: true, bob: true, by_name: false };
    const NAMED: Self = Self { by_name: true, ..Self::NATS };
}

/// Alice and bob, who know carol, and have a path.
fn three(world: &World, homes: Homes) -> [Host<'_>; 2] {
    world.expect_refusals();
    let carol = world.node("carol");
    let alice = world.node("alice");
    let alice = if homes.by_name { alice.knows_by_name(carol) } else { alice.knows(carol) };
    let bob = world.node("bob").knows(carol);
    for (host, is_home) in [(alice, homes.alice), (bob, homes.bob)] {
        if is_home {
            let _ = host.behind_shared(world.nat(HOME));
        }
    }
    world.settle(secs(30));
    [alice, bob]
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn first_answer(seed: u64, place: impl for<'w> Fn(Host<'w>, Host<'w>) -> (Host<'w>, Host<'w>)) -> f64 {
    let world = World::new(seed);
    world.expect_refusals();
    let carol = world.node("carol").listens_at(443);
    let (alice, bob) = place(world.node("alice").knows(carol), world.node("bob").knows(carol));
    world.settle(secs(30));
    answer(&world, alice, bob)
}

/// When the first answer is back.
fn answer(world: &World, alice: Host<'_>, bob: Host<'_>) -> f64 {
    let start = world.now();
    let flow = world.flow(alice, bob, 200, millis(20), 500);
    world.run_for(secs(10));
    world.first_reply(flow).map_or(10.0, |at| seconds(at.since(start)))
}

/// A first answer over four members in a row.
fn row(seed: u64) -> f64 {
    let world = World::new(seed);
    let all = ["alice", "carol", "dave", "erin", "frank", "bob"].map(|name| world.node(name));
    for (at, &one) in all.iter().enumerate().skip(1) {
        let _ = one.knows(all[at - 1]);
        all.iter().take(at - 1).for_each(|&other| world.cut(one, other, Some(Cut::All)));
    }
    world.settle(secs(30));
    answer(&world, all[0], all[5])
}

/// Two public nodes whom nobody can dial but a member behind a NAT, by which everything has to go.
fn nat_relays(seed: u64) -> f64 {
    let world = World::new(seed);
    let [alice, bob] = ["alice", "bob"].map(|name| world.node(name));
    world.cut(alice, bob, Some(Cut::All));
    let _home = world.node("home").behind(HOME).knows(alice).knows(bob);
    world.settle(secs(30));
    answer(&world, alice, bob)
}

/// The longest silence after the nearest relay of two symmetric NATs lost its power.
fn relay_dies(seed: u64) -> f64 {
    let world = World::new(seed);
    let [far, middle, near] = [("far", 60), ("middle", 25), ("near", 5)]
        .map(|(name, latency)| world.node(name).link(|link| link.latency = millis(latency)));
    let near = near.knows(far);
    let _middle = middle.knows(far);
    let [alice, bob] = ["alice", "bob"].map(|name| world.node(name).behind(Nat::symmetric()).knows(far));
    let flow = flowing(&world, alice, bob, 200, millis(20));
    let since = world.now();
    near.power_off();
    world.run_for(secs(60));
    seconds(world.silence_since(flow, since))
}

/// Two homes whose provider's NAT leads back in, or does not: when they talk straight, or at all.
fn behind_one_carrier(seed: u64, hairpin: bool) -> f64 {
    let world = World::new(seed);
    world.expect_refusals();
    let carol = world.node("carol");
    let carrier = world.nat(Nat { hairpin, ..HOME });
    let [alice, bob] = ["alice", "bob"].map(|name| {
        let home = world.nat_behind(carrier, HOME);
        world.node(name).behind_shared(home).knows(carol)
    });
    world.settle(secs(30));
    let start = world.now();
    let flow = world.flow(alice, bob, 200, millis(20), 1_500);
    world.run_for(secs(30));
    let at = if hairpin { world.direct_since(flow, start) } else { world.first_reply(flow) };
    at.map_or(30.0, |at| seconds(at.since(start)))
}

/// Per cent of 20 minutes without packets in which both ends have a direct path, through NATs that forget so soon.
fn kept_alive(seed: u64, lifetime: u64) -> f64 {
    let world = World::new(seed);
    let carol = world.node("carol");
    let alice = world.node("alice").behind(HOME.with_lifetime(secs(lifetime))).knows(carol);
    world.settle(secs(30));
    let is_direct = |_: &u64| {
        world.run_for(secs(1));
        alice.path_info(carol).direct && carol.path_info(alice).direct
    };
    let count = (0..1_200).filter(is_direct).count();
    f64::from(u32::try_from(count).unwrap_or(0)) / 12.0
}

/// How long after its return to a network whose NAT bears 300 s of silence both ends leave the path silent for two minutes.
fn returns(seed: u64) -> f64 {
    let world = World::new(seed);
    let carol = world.node("carol");
    let [home, hotel] = [300, 15].map(|lifetime| world.nat(HOME.with_lifetime(secs(lifetime))));
    let alice = world.node("alice").behind_shared(home).knows(carol);
    world.settle(secs(30));
    world.run_for(minutes(20));
    alice.move_behind(hotel);
    world.run_for(minutes(10));
    alice.move_behind(home);
    let since = world.now();
    let is_seldom = |of: Host<'_>, to| of.path_info(to).keepalive == minutes(2);
    world.run_until(minutes(20), |_| is_seldom(alice, carol) && is_seldom(carol, alice));
    seconds(world.now().since(since))
}

/// A flow that has gone for ten seconds, and a part of one that depends on the seed, so that timers meet what happens then
/// differently.
fn flowing(world: &World, alice: Host<'_>, bob: Host<'_>, len: usize, pace: Duration) -> usize {
    let flow = world.flow(alice, bob, len, pace, u32::MAX);
    world.run_for(secs(10) + millis(world.seed().wrapping_mul(371) % 1_000));
    flow
}

fn silence(seed: u64, homes: Homes, happens: impl for<'w> Fn(&'w World, Host<'w>, Host<'w>)) -> f64 {
    let world = World::new(seed);
    let [alice, bob] = three(&world, homes);
    let flow = flowing(&world, alice, bob, 200, millis(20));
    happens(&world, alice, bob);
    let since = world.now();
    world.run_for(secs(60));
    seconds(world.silence_since(flow, since))
}

/// The longest silence after UDP was cut, and how long it takes to go straight again when it is back.
fn cut_and_back(seed: u64) -> (f64, f64) {
    let world = World::new(seed);
    let [alice, bob] = three(&world, Homes::NATS);
    let flow = flowing(&world, alice, bob, 200, millis(20));
    alice.block_udp(true);
    let since = world.now();
    world.run_for(secs(60));
    let silence = seconds(world.silence_since(flow, since));
    alice.block_udp(false);
    let since = world.now();
    world.run_for(minutes(2));
    (silence, world.direct_since(flow, since).map_or(120.0, |at| seconds(at.since(since))))
}

/// How long after the first packet both have a connection with each other, where UDP is blocked at both ends.
fn straight_by_tcp(seed: u64) -> f64 {
    let world = World::new(seed);
    let [alice, bob] = three(&world, Homes::NATS).map(Host::auto_connects);
    for host in [alice, bob] {
        host.block_udp(true);
        host.restart();
    }
    world.settle(secs(30));
    let start = world.now();
    world.flow(alice, bob, 200, millis(20), u32::MAX);
    let straight = |host: Host<'_>, other: &str| host.neighbours().iter().any(|name| name == other);
    world.run_until(minutes(1), |_| straight(alice, "bob") && straight(bob, "alice"));
    seconds(world.now().since(start))
}

/// Per cent answered of what was sent from `after` since `since` on, for ten seconds.
fn answered(world: &World, flow: usize, since: Instant, after: Duration) -> f64 {
    let from = since + after;
    let until = from + secs(10);
    world.run_for(until.since(world.now()) + secs(1));
    world.answered(flow, from, until)
}

/// What is answered while UDP is policed, and how long it takes to go straight again when it is not.
fn policed_and_back(seed: u64) -> (f64, f64) {
    let world = World::new(seed);
    let [alice, bob] = three(&world, Homes::NATS);
    let flow = flowing(&world, alice, bob, 1_200, millis(4));
    alice.set_isp(|isp| isp.udp = UdpRule::Policed { rate: 125_000, burst: 16_000 });
    let since = world.now();
    let answered = answered(&world, flow, since, secs(5));
    world.run_for(secs(20));
    alice.set_isp(|isp| isp.udp = UdpRule::Passes);
    let since = world.now();
    world.run_for(minutes(2));
    (answered, world.direct_since(flow, since).map_or(120.0, |at| seconds(at.since(since))))
}

/// What passes is tried again meanwhile, at both ends.
fn policed_tightly(seed: u64) -> f64 {
    let world = World::new(seed);
    let [alice, bob] = three(&world, Homes::NATS);
    let flow = flowing(&world, alice, bob, 528, millis(50));
    alice.set_isp(|isp| isp.udp = UdpRule::Policed { rate: 2_000, burst: 4_000 });
    let since = world.now();
    world.run_for(secs(81));
    world.answered(flow, since + secs(20), since + secs(80))
}

/// By how much the size that a host takes for that of the path to another is wrong.
fn error(host: Host<'_>, other: Host<'_>, mtu: u16) -> u16 {
    let known = host.info(other).map_or(0, |info| info.mtu.1);
    mtu.min(LONGEST).abs_diff(known + AROUND).min(ETHERNET)
}

/// Probes until alice knows the size of a new path within eight bytes, and the error after five seconds.
fn hole(seed: u64, mtu: u16) -> (f64, f64) {
    let world = World::new(seed);
    let homes = three(&world, Homes::NATS);
    for host in homes.into_iter().filter(|_| mtu > ETHERNET) {
        let _ = host.link(|link| (link.interface, link.mtu) = (16_000, 16_000));
    }
    let [alice, bob] = homes;
    bob.set_link_mtu(mtu, false);
    let since = world.now();
    world.flow(alice, bob, 200, millis(20), 250);
    let mut probes = 0;
    look_until(&world, secs(5), |until| {
        probes = alice.sizes_asked(bob, since..until).len();
        error(alice, bob, mtu) <= 8
    });
    world.run_for((since + secs(5)).since(world.now()));
    (probes as f64, f64::from(error(alice, bob, mtu)))
}

/// Lets time run until something is so, which is asked with the time of the look before: what follows an answer at once
/// does not count.
fn look_until(world: &World, limit: Duration, mut is_so: impl FnMut(Instant) -> bool) {
    let end = world.now() + limit;
    let mut before = world.now();
    while !is_so(before) && world.now() < end {
        before = world.now();
        world.run_for(millis(5));
    }
}

/// What came of a path that shrank.
struct Shrunk {
    /// Seconds until both know it.
    known: f64,
    /// What the worse-off end probed until it knew the size within eight bytes.
    probes: f64,
    /// Seconds.
    silence: f64,
    /// Per cent of the packets that the path does not take whole, from three seconds on.
    answered: f64,
}

fn shrunk(seed: u64) -> Shrunk {
    let world = World::new(seed);
    let [alice, bob] = three(&world, Homes::NATS);
    let flow = flowing(&world, alice, bob, 1_400, millis(20));
    bob.set_link_mtu(1_300, false);
    let since = world.now();
    let knows = |host: Host<'_>, other| host.info(other).is_some_and(|info| info.mtu.0 + AROUND <= 1_300);
    // The size that was known until then is asked for too, in doubt.
    let smaller = |host: Host<'_>, other, until| {
        host.sizes_asked(other, since..until).iter().filter(|&&size| size < usize::from(ETHERNET)).count()
    };
    let (mut probes, mut known) = ([None; 2], None);
    look_until(&world, minutes(1), |until| {
        for (count, (host, other)) in probes.iter_mut().zip([(alice, bob), (bob, alice)]) {
            if count.is_none() && error(host, other, 1_300) <= 8 {
                *count = Some(smaller(host, other, until));
            }
        }
        if known.is_none() && knows(alice, bob) && knows(bob, alice) {
            known = Some(seconds(world.now().since(since)));
        }
        known.is_some() && probes.iter().all(Option::is_some)
    });
    let known = known.unwrap_or(60.0);
    let probes = probes.iter().map(|count| count.map_or(f64::INFINITY, |count| count as f64)).fold(0.0, f64::max);
    let from = world.now().max(since + secs(3));
    world.run_for(from.since(world.now()) + secs(11));
    let silence = seconds(world.silence_since(flow, since));
    Shrunk { known, probes, silence, answered: world.answered(flow, from, from + secs(10)) }
}

/// How long it takes until whoever sends by a relay knows that the path between relay and destination shrank.
fn shrunk_behind_relay(seed: u64) -> f64 {
    let world = World::new(seed);
    let relay = world.node("relay");
    let [alice, bob] = ["alice", "bob"].map(|name| world.node(name).knows(relay));
    world.cut(alice, bob, Some(Cut::All));
    world.settle(secs(30));
    flowing(&world, alice, bob, 1_400, millis(20));
    bob.set_link_mtu(1_300, false);
    let since = world.now();
    world.run_until(minutes(1), |_| alice.info(bob).is_some_and(|info| info.mtu.0 + AROUND <= 1_300));
    seconds(world.now().since(since))
}

/// What is answered over a path that takes less while it is loaded.
fn loaded(seed: u64, len: usize, pace: Duration, narrow: Narrow) -> f64 {
    let world = World::new(seed);
    let [alice, bob] = three(&world, Homes::NATS);
    let flow = flowing(&world, alice, bob, len, pace);
    bob.set_isp(|isp| isp.narrow = Some(narrow));
    answered(&world, flow, world.now(), secs(5))
}

fn slept(seed: u64, moves: bool) -> f64 {
    let world = World::new(seed);
    let [alice, bob] = three(&world, Homes::NATS);
    let flow = flowing(&world, alice, bob, 200, millis(100));
    alice.suspend();
    world.run_for(minutes(10));
    if moves {
        alice.move_behind(world.nat(HOME));
    }
    alice.resume();
    let since = world.now();
    world.run_for(secs(60));
    seconds(world.silence_since(flow, since))
}

/// A laptop that is closed here and opened where it has to find a network first.
fn carried_away(seed: u64) -> f64 {
    let world = World::new(seed);
    let [alice, bob] = three(&world, Homes::NAMED);
    let flow = flowing(&world, alice, bob, 200, millis(100));
    alice.suspend();
    world.run_for(minutes(10));
    world.partition(&[alice]);
    alice.resume();
    world.run_for(secs(30));
    alice.break_dns(true);
    world.heal();
    alice.move_behind(world.nat(HOME));
    let since = world.now();
    world.run_for(secs(60));
    seconds(world.silence_since(flow, since))
}
