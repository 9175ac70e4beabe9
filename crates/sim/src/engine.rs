//! `Engine`: the clock of the world; makes happen what is planned, in order.
//!
//! Every machine is driven as the daemon drives a node: inputs in, outputs out, packets through its `Fib`. All of it
//! happens on one thread, in virtual time, and is decided by the seed alone.

mod calls;
mod daemon;
mod packets;
mod power;
mod syns;

pub(crate) use power::EPOCH_MS;
pub(crate) use syns::{Opening, Syn};

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::name::NodeName;
use tinmesh_core::node::io::{Event as NodeEvent, Input};
use tinmesh_core::time::Instant;

use crate::dice::Dice;
use crate::engine::daemon::Feedback;
use crate::frames::Frame;
use crate::internet::{Fate, HostId, Internet};
use crate::machine::{Machine, Whereabouts, host_file};
use crate::queue::{Event, Queue};
use crate::stream::Streams;
use crate::trace::Trace;
use crate::traffic::{Carrier, Flow};

/// What differs between small worlds, where everything is watched, and large ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether bytes of connections are cut at random places.
    pub cut: bool,
    /// Whether every event that nodes report is kept.
    pub record: bool,
    /// How long a program takes to come back to a connection: what arrives meanwhile is read at once.
    pub reading_pause: Duration,
}

impl Settings {
    /// For stories of a few nodes.
    pub const SMALL: Self = Self { cut: true, record: true, reading_pause: Duration::from_micros(100) };
    /// For hundreds of nodes.
    pub const LARGE: Self = Self { cut: false, record: false, reading_pause: Duration::from_millis(5) };
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) now: Instant,
    pub(crate) settings: Settings,
    pub(crate) net: Internet,
    pub(crate) machines: Vec<Machine>,
    pub(crate) streams: Streams,
    pub(crate) flows: Vec<Flow>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) trace: Trace,
    /// When a node, subnet or connection came or went last, anywhere.
    pub(crate) changed: Instant,
    /// What nodes refused, while that was not expected.
    pub(crate) refusals: Vec<String>,
    pub(crate) refusals_expected: bool,
    queue: Queue,
    dice: Dice,
    names: BTreeMap<String, HostId>,
    pending: VecDeque<(HostId, Feedback)>,
    /// How that came which is being worked on.
    carrier: Carrier,
    buffer: Vec<u8>,
}

impl Engine {
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        Self {
            now: Instant::ZERO,
            settings,
            net: Internet::new(),
            machines: Vec::new(),
            streams: Streams::default(),
            flows: Vec::new(),
            frames: Vec::new(),
            trace: Trace::default(),
            changed: Instant::ZERO,
            refusals: Vec::new(),
            refusals_expected: false,
            queue: Queue::default(),
            dice: Dice::new(seed),
            names: BTreeMap::new(),
            pending: VecDeque::new(),
            carrier: Carrier::Nothing,
            buffer: Vec::new(),
        }
    }

    /// Adds a machine; its node starts when time next runs.
    pub(crate) fn add(&mut self, name: NodeName) -> HostId {
        let id = self.net.attach();
        let key = SecretKey::from_seed(&self.dice.seed());
        self.names.insert(format!("{name}.example"), id);
        self.machines.push(Machine::new(id, name, key));
        self.plan(Duration::ZERO, Event::Boot(id));
        id
    }

    /// A cookie for an invitation.
    pub(crate) fn cookie<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.dice.throw().to_le_bytes()[0])
    }

    /// Puts a host file of `other`, with key and addresses, on a machine, and makes it dial `other`.
    pub(crate) fn introduce(&mut self, host: HostId, other: HostId) {
        let file = host_file(&self.machine(other).key);
        let name = self.machine(other).config.name.clone();
        let machine = self.machine_mut(host);
        machine.whereabouts.insert(other, Whereabouts::Numeric);
        machine.config.connect_to.push(name.clone());
        machine.config.hosts.insert(name, file);
    }

    pub(crate) fn machine(&self, host: HostId) -> &Machine {
        &self.machines[host.index()]
    }

    pub(crate) fn machine_mut(&mut self, host: HostId) -> &mut Machine {
        &mut self.machines[host.index()]
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.queue.push(self.now + after, event);
    }

    /// Lets time run up to `end`.
    pub(crate) fn run_until(&mut self, end: Instant) {
        while self.step(end) {}
        self.now = end;
    }

    /// Makes the next thing happen, if it is not later than `end`.
    pub(crate) fn step(&mut self, end: Instant) -> bool {
        let Some((at, event)) = self.queue.pop(end) else { return false };
        self.now = self.now.max(at);
        self.trace.number(at.as_micros());
        self.carrier = Carrier::Nothing;
        self.on_event(event);
        self.settle();
        true
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Boot(host) => self.boot(host),
            Event::Wake(host) => self.on_wake(host),
            Event::Sample(host) => self.on_sample(host),
            Event::Arrive(datagram) => self.on_arrive(datagram),
            Event::Reach(host, datagram) => self.on_reach(host, *datagram),
            Event::Bounce { host, to, mtu } => self.net.learn_path_mtu(self.now, host, to, mtu),
            Event::Ring(stream) => self.on_ring(stream),
            Event::Answer(stream) => self.on_answer(stream),
            Event::Syn(syn) => self.on_syn(syn),
            Event::SynArrives(syn, parcel) => self.on_syn_arrives(syn, parcel),
            Event::SynReaches(syn, receiver, parcel) => self.on_syn_reaches(syn, receiver, &parcel),
            Event::SynRefused(syn) => self.on_syn_refused(syn),
            Event::Joined(stream) => self.on_joined(stream),
            Event::Refuse { host, conn } => self.on_refuse(host, conn),
            Event::Bytes(stream, side) => self.on_bytes(stream, side),
            Event::Reset(stream, side) => self.end(stream, side),
            Event::Resolved { host, question, name, port } => self.on_resolved(host, question, &name, port),
            Event::Flow(flow) => self.on_flow(flow),
        }
    }

    /// Whether a machine can do anything at the moment.
    pub(crate) fn is_awake(&self, host: HostId) -> bool {
        self.machine(host).is_running() && self.net.host(host).up
    }

    fn on_wake(&mut self, host: HostId) {
        if self.machine(host).wake_at != Some(self.now) {
            return;
        }
        self.machine_mut(host).wake_at = None;
        if self.is_awake(host) {
            self.trace.number(u64::from(host.0));
            self.feed(host, Input::Timeout);
        }
    }

    fn on_sample(&mut self, host: HostId) {
        self.machine_mut(host).sampling = false;
        let Some(fib) = self.machine(host).fib.clone().filter(|_| self.is_awake(host)) else { return };
        let mut sampler = std::mem::take(&mut self.machine_mut(host).sampler);
        let active = sampler.sample(&fib);
        if !active.is_empty() {
            self.feed(host, Input::Activity(active));
        }
        self.machine_mut(host).sampler = sampler;
    }

    /// Plans a machine's next waking, if it is earlier than the one that is planned.
    fn plan_wake(&mut self, host: HostId, at: Option<Instant>) {
        let Some(at) = at.map(|at| at.max(self.now)) else { return };
        let machine = self.machine_mut(host);
        if machine.wake_at.is_none_or(|planned| at < planned) {
            machine.wake_at = Some(at);
            self.queue.push(at, Event::Wake(host));
        }
    }

    fn note(&mut self, host: HostId, event: NodeEvent) {
        match &event {
            NodeEvent::NodeUp { .. }
            | NodeEvent::NodeDown { .. }
            | NodeEvent::SubnetUp { .. }
            | NodeEvent::SubnetDown { .. }
            | NodeEvent::Activated { .. }
            | NodeEvent::Disconnected { .. } => self.changed = self.now,
            NodeEvent::Refused { remote, reason } => {
                if !self.refusals_expected {
                    let name = &self.machine(host).config.name;
                    self.refusals.push(format!("{name} refused {remote}: {reason}"));
                }
            }
            NodeEvent::ProxyFailed { .. }
            | NodeEvent::Retrying { .. }
            | NodeEvent::Nameless(_)
            | NodeEvent::PathChanged { .. }
            | NodeEvent::InvitationAccepted { .. }
            | NodeEvent::Request { .. }
            | NodeEvent::Note(_) => {}
        }
        if self.settings.record {
            let now = self.now;
            self.machine_mut(host).events.push((now, event));
        }
    }

    /// What a datagram's fate on a link means to its sender's system.
    fn bounce(&mut self, origin: HostId, to: std::net::IpAddr, fate: &Fate) {
        if let Fate::Bounced { mtu } = *fate {
            self.plan(self.net.host(origin).link.latency, Event::Bounce { host: origin, to, mtu });
        }
    }
}
