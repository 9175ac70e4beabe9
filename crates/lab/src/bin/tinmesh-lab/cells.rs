//! The cells in which real daemons are put.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tinmesh_lab::{Underlay, UnderlayPlan};
use tinmesh_sim::{Dependence, HostId, Isp, Narrow, Nat, Ports, Protocol, TcpRule, UdpRule};

use crate::flow::Flow;
use crate::mesh::{Mesh, Settings, inner};
use crate::namespace::Namespace;

/// How long alice and bob may take to find a direct path.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long is looked at what an event did.
const AFTERMATH: Duration = Duration::from_secs(40);
/// What daemons have for getting to know each other before packets flow.
const SETTLING: Duration = Duration::from_secs(8);
/// Payload of the flow's datagrams; only packets of the underlay that can hold it count as a path.
const LEN: usize = 500;
/// So many datagrams in a second, there and back, make a path.
const STEADY: usize = 12;
const SECOND: u64 = 1_000_000;

const CONE: Nat = Nat::port_restricted_cone().with_ports(Ports::Random);
const STEP: Nat = Nat::symmetric().with_ports(Ports::Sequential { step: 1 });
const BLOCK: Nat = Nat::symmetric().with_ports(Ports::Block(512));
const CROSSED: Nat = Nat::new(Dependence::AddressAndPort, Dependence::Endpoint, Ports::Random);

/// Where it happens.
pub(crate) struct Stage<'a> {
    underlay: &'a Underlay,
    alice: HostId,
    bob: HostId,
    /// The daemons, once they run.
    mesh: Option<&'a Mesh>,
}

impl Stage<'_> {
    fn rule(&self, host: HostId, udp: UdpRule) {
        self.underlay.with(|net| net.isp_mut(host).udp = udp);
    }

    /// Neither side gets datagrams through.
    fn block_udp(&self) {
        [self.alice, self.bob].iter().for_each(|&host| self.rule(host, UdpRule::Blocked));
    }

    /// The way to bob takes packets of up to `mtu` bytes, and says nothing of longer ones.
    fn black_hole(&self, mtu: u16) {
        self.underlay.with(|net| {
            let link = net.link_mut(self.bob);
            (link.mtu, link.icmp) = (mtu, false);
        });
    }
}

/// What can happen while packets flow.
type Event = fn(&Stage<'_>) -> io::Result<()>;

/// A place for alice and a place for bob, and perhaps something that happens.
pub(crate) struct Cell {
    pub(crate) title: &'static str,
    nats: [Option<Nat>; 2],
    /// Whether alice's NAT is behind another one, of her provider.
    carrier: Option<Nat>,
    /// Whether bob's is behind the same.
    shared: bool,
    /// Where carol and dave listen.
    port: u16,
    /// What is so from the beginning.
    begins: Option<Event>,
    happens: Option<Event>,
    /// Whether nodes make connections that nobody named (`AutoConnect`).
    auto_connects: bool,
}

/// What came of it.
pub(crate) struct Outcome {
    /// When the first answer was back.
    pub(crate) first: Option<Duration>,
    /// When packets went straight in datagrams.
    pub(crate) direct: Option<Duration>,
    /// When they went straight by TCP, if they did so first.
    pub(crate) by_tcp: Option<Duration>,
    /// The longest silence after the event.
    pub(crate) silence: Option<Duration>,
    /// Per cent of the datagrams that were answered in the second half of the time after it.
    pub(crate) answered: Option<f64>,
    /// Fragments of packets that hosts sent.
    pub(crate) fragments: u64,
}

const PLAIN: Cell = Cell {
    title: "",
    nats: HOMES,
    carrier: None,
    shared: false,
    port: 655,
    begins: None,
    happens: None,
    auto_connects: false,
};

const fn pair(title: &'static str, a: Nat, b: Nat) -> Cell {
    Cell { title, nats: [Some(a), Some(b)], ..PLAIN }
}

const fn event(title: &'static str, nats: [Option<Nat>; 2], happens: Event) -> Cell {
    Cell { title, nats, happens: Some(happens), ..PLAIN }
}

const fn place(title: &'static str, begins: Event) -> Cell {
    Cell { title, begins: Some(begins), ..PLAIN }
}

/// No datagram gets through, neither side can be dialled, and both may connect by themselves.
const fn without_udp(title: &'static str, nats: [Option<Nat>; 2], begins: Event) -> Cell {
    Cell { title, nats, begins: Some(begins), auto_connects: true, ..PLAIN }
}

/// Both homes are behind this NAT of their provider.
const fn one_carrier(title: &'static str, carrier: Nat) -> Cell {
    Cell { title, carrier: Some(carrier), shared: true, ..PLAIN }
}

const WEB_ONLY: Event = |stage| {
    for host in [stage.alice, stage.bob] {
        let rules = Isp { udp: UdpRule::Blocked, tcp: TcpRule::WebOnly, ..Isp::default() };
        stage.underlay.with(|net| *net.isp_mut(host) = rules);
    }
    Ok(())
};

const BLOCKED: Event = |stage| {
    stage.block_udp();
    Ok(())
};

const HOMES: [Option<Nat>; 2] = [Some(CONE), Some(CONE)];

pub(crate) const CELLS: &[Cell] = &[
    pair("full cones", Nat::full_cone(), Nat::full_cone()),
    pair("port-restricted cones", CONE, CONE),
    pair("Linux routers", Nat::linux(), Nat::linux()),
    pair("full cone, symmetric", Nat::full_cone(), Nat::symmetric()),
    pair("crossed ports", CROSSED, CROSSED),
    pair("port-restricted cone, symmetric +1", CONE, STEP),
    pair("port-restricted cone, symmetric block 512", CONE, BLOCK),
    pair("port-restricted cone, symmetric random", CONE, Nat::symmetric()),
    pair("symmetric +1, symmetric +1", STEP, STEP),
    pair("symmetric block 512, symmetric block 512", BLOCK, BLOCK),
    pair("symmetric random, symmetric random", Nat::symmetric(), Nat::symmetric()),
    Cell {
        title: "port-restricted cone behind a carrier's full cone, port-restricted cone",
        carrier: Some(Nat::full_cone()),
        ..PLAIN
    },
    place("firewalls that let only answers in", |stage| {
        [stage.alice, stage.bob].iter().for_each(|&host| stage.rule(host, UdpRule::AnswersOnly));
        Ok(())
    }),
    place("UDP blocked", BLOCKED),
    without_udp("UDP blocked, AutoConnect, port-restricted cones", HOMES, BLOCKED),
    without_udp("UDP blocked, AutoConnect, Linux routers", [Some(Nat::linux()), Some(Nat::linux())], BLOCKED),
    without_udp("UDP blocked, AutoConnect, 3 of 1,000 packets lost", HOMES, |stage| {
        stage.block_udp();
        stage.underlay.with(|net| net.link_mut(stage.bob).loss = 3);
        Ok(())
    }),
    Cell { port: 443, ..place("only TCP to ports 80 and 443", WEB_ONLY) },
    one_carrier("two homes of one carrier that leads back in", Nat::full_cone()),
    one_carrier("two homes of one carrier that does not lead back in", Nat::full_cone().without_hairpin()),
    place("black hole of 1,280 B", |stage| {
        stage.black_hole(1_280);
        Ok(())
    }),
    place("path of 1,280 B, of which routers tell", |stage| {
        stage.underlay.with(|net| net.link_mut(stage.bob).mtu = 1_280);
        Ok(())
    }),
    place("5 % loss, reordering, duplication", |stage| {
        stage.underlay.with(|net| {
            let link = net.link_mut(stage.bob);
            (link.loss, link.duplication, link.jitter) = (50, 20, Duration::from_millis(60));
        });
        Ok(())
    }),
    place("fragments lost, UDP ends without an answer", |stage| {
        for host in [stage.alice, stage.bob] {
            stage.underlay.with(|net| net.isp_mut(host).drops_fragments = true);
            stage.rule(host, UdpRule::AfterAnswer { tries: 10 });
        }
        Ok(())
    }),
    event("event: UDP policed to 16 kbit/s", HOMES, |stage| {
        stage.rule(stage.alice, UdpRule::Policed { rate: 2_000, burst: 4_000 });
        Ok(())
    }),
    event("event: UDP cut", HOMES, |stage| {
        stage.rule(stage.alice, UdpRule::Blocked);
        Ok(())
    }),
    event("event: NAT forgets its mappings, bob public", [Some(CONE), None], |stage| {
        stage.underlay.with(|net| net.forget_mappings(stage.alice));
        Ok(())
    }),
    event("event: NAT forgets its mappings, bob behind a NAT", HOMES, |stage| {
        stage.underlay.with(|net| net.forget_mappings(stage.alice));
        Ok(())
    }),
    event("event: another network", HOMES, |stage| {
        let home = stage.underlay.with(|net| net.put_up(CONE, None));
        stage.underlay.move_to(stage.alice, Some(home))
    }),
    event("event: alice's daemon stood still for 30 s", HOMES, |stage| {
        let Some(mesh) = stage.mesh else { return Ok(()) };
        mesh.nodes[2].signal("STOP")?;
        std::thread::sleep(Duration::from_secs(30));
        mesh.nodes[2].signal("CONT")
    }),
    event("event: path takes 560 B while it is loaded, without a word", HOMES, |stage| {
        stage.underlay.with(|net| net.isp_mut(stage.bob).narrow = Some(Narrow { mtu: 560, above: 5_000 }));
        Ok(())
    }),
    event("event: path shrinks to 560 B without a word", HOMES, |stage| {
        stage.black_hole(560);
        Ok(())
    }),
];

impl Cell {
    /// Puts daemons in; looks what they make of it.
    pub(crate) fn run(&self, programs: &Path) -> io::Result<Outcome> {
        let namespaces = ["carol", "dave", "alice", "bob"].map(Namespace::new);
        let mut plan = UnderlayPlan::new(7);
        let mut addresses = Vec::new();
        for namespace in &namespaces[..2] {
            let host = plan.plug(namespace.name(), None)?;
            addresses.extend(plan.net().address(host));
        }
        let carrier = self.carrier.map(|nat| plan.net().put_up(nat, None));
        let behind = [carrier, carrier.filter(|_| self.shared)];
        let nats = [0, 1].map(|side| self.nats[side].map(|nat| plan.net().put_up(nat, behind[side])));
        let alice = plan.plug(namespaces[2].name(), nats[0])?;
        let bob = plan.plug(namespaces[3].name(), nats[1])?;
        let underlay = plan.start()?;
        if let Some(begins) = self.begins {
            begins(&Stage { underlay: &underlay, alice, bob, mesh: None })?;
        }
        let [first, second] = *addresses.as_slice() else { return Err(io::Error::other("no addresses")) };
        let mesh = Mesh::new(
            programs,
            namespaces,
            &Settings { addresses: [first, second], port: self.port, auto_connects: self.auto_connects },
        )?;
        std::thread::sleep(SETTLING);
        let [_, _, a, b] = &mesh.nodes;
        let flow = Flow::start((a.namespace.name(), inner(2)), (b.namespace.name(), inner(3)), LEN)?;
        let [direct, by_tcp] = wait_for_straight(&underlay, &flow, [alice, bob]);
        let (mut silence, mut answered) = (None, None);
        if let Some(happens) = self.happens {
            happens(&Stage { underlay: &underlay, alice, bob, mesh: Some(&mesh) })?;
            let since = Instant::now();
            std::thread::sleep(AFTERMATH);
            silence = Some(flow.silence(since));
            answered = Some(flow.answered(AFTERMATH / 2));
        }
        Ok(Outcome { first: flow.first(), direct, by_tcp, silence, answered, fragments: underlay.fragments() })
    }
}

/// When packets went straight both ways: in datagrams, or by TCP.
fn wait_for_straight(underlay: &Underlay, flow: &Flow, [alice, bob]: [HostId; 2]) -> [Option<Duration>; 2] {
    while flow.started.elapsed() < PATIENCE {
        let since = tinmesh_core::time::Instant::from_micros(Underlay::now().as_micros().saturating_sub(SECOND));
        let flows = |protocol| {
            [[alice, bob], [bob, alice]].iter().all(|&ends| underlay.straight_by(protocol, ends, LEN, since) >= STEADY)
        };
        let found = [Protocol::Udp, Protocol::Tcp].map(|protocol| flows(protocol).then(|| flow.started.elapsed()));
        if found.iter().any(Option::is_some) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    [None; 2]
}
