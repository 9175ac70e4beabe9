//! `World`: nodes, the Internet between them and time that only runs when told to.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use tinmesh_core::invite::url::InviteUrl;
use tinmesh_core::invite::{file_name, key_hash};
use tinmesh_core::name::NodeName;
use tinmesh_core::node::io::{Command, Event, Reply};
use tinmesh_core::time::Instant;

use crate::actor::Script;
use crate::chances::{self, Chance};
use crate::engine::{Engine, Settings};
use crate::frames::Mac;
use crate::host::Host;
use crate::internet::{Cut, HostId, NatId};
use crate::machine::{Machine, Work};
use crate::nat::Nat;
use crate::oracle;
use crate::trace::Trace;
use crate::traffic::{Arrival, Carrier, Flow, FlowReport};

/// So many seconds.
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many minutes.
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// So many milliseconds.
pub const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Nothing came or went for so long: then what nodes know must be right. Connections that are stuck end after 65 seconds,
/// and some seconds later owners repeat what they said of edges that changed twice.
const QUIET: Duration = Duration::from_secs(85);
/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(50);
/// A packet that is not back after so long is lost.
const PING_PATIENCE: Duration = Duration::from_secs(5);
const PING_LEN: usize = 84;

/// What came of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// How long it took there and back; `None`: it did not come back.
    pub rtt: Option<Duration>,
}

impl Ping {
    /// Whether it came back.
    pub const fn arrives(self) -> bool {
        self.rtt.is_some()
    }
}

/// How packets get from one node to another once there is traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Path<'w> {
    /// In datagrams straight to the other node.
    Direct,
    /// In datagrams that a relay passes on unopened.
    Relayed {
        /// The first relay.
        via: Host<'w>,
    },
    /// Over meta connections, at least at the end.
    Tcp {
        /// The neighbour that brought them.
        via: Host<'w>,
    },
    /// Not at all.
    None,
}

/// All nodes, and the Internet between them.
#[derive(Debug)]
pub struct World {
    engine: RefCell<Engine>,
    seed: u64,
}

impl World {
    /// An empty world in which everything is watched; the same seed makes the same world.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Settings::SMALL)
    }

    /// An empty world of another kind.
    pub fn with(seed: u64, settings: Settings) -> Self {
        Self { engine: RefCell::new(Engine::new(seed, settings)), seed }
    }

    /// What all that is random here comes from.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a node at a public IPv4 address; it starts when time next runs.
    ///
    /// # Panics
    /// If `name` is not a node name.
    pub fn node(&self, name: &str) -> Host<'_> {
        let name = NodeName::parse(name).expect("tests give nodes proper names");
        Host::new(self, self.with_engine(|engine| engine.add(name)))
    }

    /// Adds a machine whose program plays a node towards `victim`, by a script.
    ///
    /// # Panics
    /// If `name` is not a node name, or the victim has no address.
    pub fn actor(&self, name: &str, victim: Host<'_>, script: Script) -> Host<'_> {
        let host = self.node(name).trusts(victim);
        self.with_engine(|engine| engine.cast(host.id, victim.id, script));
        host
    }

    /// Lets a node invite another one, which does not exist yet; it must have been made with [`Host::invites`].
    ///
    /// # Panics
    /// If the inviter does not invite or has no address.
    pub fn invite(&self, inviter: Host<'_>, name: &str) -> InviteUrl {
        let at = inviter.address().expect("an inviter needs an address");
        self.with_engine(|engine| {
            let cookie = engine.cookie();
            let machine = engine.machine_mut(inviter.id);
            let key = machine.config.invitation_key.as_ref().expect("made with `invites`").public();
            let file = format!("Name = {name}\nConnectTo = {}\n", machine.config.name);
            machine.invitations.insert(file_name(&cookie, &key), file.into_bytes());
            InviteUrl { host: at.ip().to_string(), port: at.port(), key_hash: key_hash(&key), cookie }
        })
    }

    /// Adds a machine that joins by an invitation and then runs a node that knows the inviter.
    ///
    /// # Panics
    /// If `name` is not a node name.
    pub fn join(&self, name: &str, inviter: Host<'_>, url: InviteUrl) -> Host<'_> {
        let host = self.node(name);
        self.with_engine(|engine| {
            engine.introduce(host.id, inviter.id);
            engine.cast(host.id, inviter.id, Script::Join(url));
        });
        host
    }

    /// Puts up a NAT, to put several nodes behind.
    pub fn nat(&self, nat: Nat) -> NatId {
        self.with_engine(|engine| engine.net.put_up(nat, None))
    }

    /// Puts another NAT in the place of one behind which nobody is.
    pub fn replace_nat(&self, id: NatId, nat: Nat) {
        self.with_engine(|engine| engine.net.replace(id, nat));
    }

    /// Puts up a NAT behind another one.
    pub fn nat_behind(&self, outer: NatId, nat: Nat) -> NatId {
        self.with_engine(|engine| engine.net.put_up(nat, Some(outer)))
    }

    pub(crate) fn with_engine<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> T {
        act(&mut self.engine.borrow_mut())
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.engine.borrow().now
    }

    /// A hash of all that happened.
    pub fn trace(&self) -> Trace {
        self.engine.borrow().trace
    }

    /// Lets time run; afterwards everything that must hold is checked.
    ///
    /// # Panics
    /// If something is not as it must be.
    pub fn run_for(&self, duration: Duration) {
        self.with_engine(|engine| engine.run_until(engine.now + duration));
        self.check();
    }

    /// Lets time run until `condition` holds, at most for `limit`; tells whether it did.
    pub fn run_until(&self, limit: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let end = self.now() + limit;
        while !condition(self) {
            if self.now() >= end {
                return false;
            }
            self.with_engine(|engine| engine.run_until(engine.now + GLANCE));
        }
        self.check();
        true
    }

    /// Checks what must always hold, and if nothing came or went lately also what nodes know.
    ///
    /// # Panics
    /// If something is not as it must be.
    pub fn check(&self) {
        let seed = self.seed;
        let now = self.now();
        self.with_engine(|engine| {
            let refusals = engine.refusals.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
            assert!(refusals.is_empty(), "seed {seed}: unexpected: {refusals}");
            let is_quiet = now.since(engine.changed) > QUIET && !oracle::is_waiting(engine);
            if let Some(Err(wrong)) = is_quiet.then(|| oracle::check(engine)) {
                panic!("seed {seed}, {} us: {wrong}", now.as_micros());
            }
        });
    }

    /// Lets time run until all running nodes know each other and everything is as it must be.
    ///
    /// # Panics
    /// If that does not happen within `limit`.
    pub fn settle(&self, limit: Duration) {
        let end = self.now() + limit;
        loop {
            let verdict = self.verdict();
            if verdict.is_ok() && self.islands() == 1 && self.all_run() {
                return;
            }
            let refusal = self.engine.borrow().refusals.first().cloned();
            let islands = self.islands();
            assert!(self.now() < end, "seed {}: {islands} islands, {verdict:?}, {refusal:?}", self.seed);
            self.with_engine(|engine| engine.run_until(engine.now + secs(1)));
        }
    }

    fn all_run(&self) -> bool {
        self.engine.borrow().machines.iter().all(|machine| machine.is_running() || !machine.wanted)
    }

    /// What the oracle says now.
    ///
    /// # Errors
    /// If nodes do not know what they should; says what.
    pub fn verdict(&self) -> Result<(), String> {
        self.with_engine(oracle::check)
    }

    /// How many groups the running nodes form that are not connected with each other.
    pub fn islands(&self) -> usize {
        oracle::count_islands(&self.engine.borrow())
    }

    /// From now on nodes may refuse strangers.
    pub fn expect_refusals(&self) {
        self.with_engine(|engine| {
            engine.refusals_expected = true;
            engine.refusals.clear();
        });
    }

    /// Sends a packet to the other node's IPv4 address and waits for the answer.
    pub fn ping(&self, from: Host<'_>, to: Host<'_>) -> Ping {
        self.ping_address(from, to, Machine::inner(to.id, false))
    }

    /// Sends a packet to the other node's IPv6 address and waits for the answer.
    pub fn ping6(&self, from: Host<'_>, to: Host<'_>) -> Ping {
        self.ping_address(from, to, Machine::inner(to.id, true))
    }

    /// Sends a packet to an address that the other node owns, and waits for the answer.
    pub fn ping_address(&self, from: Host<'_>, to: Host<'_>, address: IpAddr) -> Ping {
        let addresses = (Machine::inner(from.id, address.is_ipv6()), address);
        let flow = self.start(from, to, addresses, (PING_LEN, PING_PATIENCE, 1), Some(PING_LEN));
        self.run_until(PING_PATIENCE, |world| !world.engine.borrow().flows[flow].replies.is_empty());
        let engine = self.engine.borrow();
        let flow = &engine.flows[flow];
        Ping { rtt: flow.replies.first().map(|reply| reply.at.since(flow.sent[0])) }
    }

    /// Sends a packet that claims to come from another node's address; whether it arrives within five seconds.
    pub fn forged(&self, from: Host<'_>, as_if: Host<'_>, to: Host<'_>) -> bool {
        let addresses = (Machine::inner(as_if.id, false), Machine::inner(to.id, false));
        let flow = self.start(from, to, addresses, (PING_LEN, PING_PATIENCE, 1), None);
        self.run_for(PING_PATIENCE);
        !self.engine.borrow().flows[flow].arrivals.is_empty()
    }

    fn start(
        &self,
        from: Host<'_>,
        to: Host<'_>,
        addresses: (IpAddr, IpAddr),
        (len, pace, count): (usize, Duration, u32),
        answers: Option<usize>,
    ) -> usize {
        let flow = Flow {
            from: from.id,
            to: to.id,
            addresses,
            len,
            pace,
            count,
            sent: Vec::new(),
            arrivals: Vec::new(),
            replies: Vec::new(),
            answers,
        };
        self.with_engine(|engine| engine.start_flow(flow))
    }

    /// Starts a flow of `count` packets of `len` bytes, one every `pace`, each of which is answered; its number.
    pub fn flow(&self, from: Host<'_>, to: Host<'_>, len: usize, pace: Duration, count: u32) -> usize {
        let addresses = (Machine::inner(from.id, false), Machine::inner(to.id, false));
        self.start(from, to, addresses, (len, pace, count), Some(len))
    }

    /// Starts a flow as [`World::flow`] does, without end, whose answers are as short as they may be.
    pub fn bulk(&self, from: Host<'_>, to: Host<'_>, len: usize, pace: Duration) -> usize {
        let addresses = (Machine::inner(from.id, false), Machine::inner(to.id, false));
        self.start(from, to, addresses, (len, pace, u32::MAX), Some(0))
    }

    /// A station on the wire of a switch sends a frame; on whose wires it came out within two seconds, in order of names.
    pub fn frame<'w>(&'w self, from: Host<'w>, source: Mac, destination: Mac) -> Vec<String> {
        let number = self.with_engine(|engine| engine.send_frame(from.id, source, destination));
        self.run_for(secs(2));
        let engine = self.engine.borrow();
        let arrivals = engine.frames[number].arrivals.iter();
        let mut names: Vec<String> = arrivals.map(|host| engine.machine(*host).config.name.to_string()).collect();
        names.sort();
        names
    }

    /// What has become of a flow so far, there and (second) back.
    pub fn report(&self, flow: usize) -> FlowReport {
        FlowReport::of(&self.engine.borrow().flows[flow])
    }

    /// How many answers of a flow came back.
    pub fn replies(&self, flow: usize) -> usize {
        self.engine.borrow().flows[flow].replies.len()
    }

    /// From when on a flow went straight there and back, counting what arrived from `since` on.
    pub fn direct_since(&self, flow: usize, since: Instant) -> Option<Instant> {
        self.engine.borrow().flows[flow].direct_from(since)
    }

    /// The longest time from `since` to now in which nothing of a flow arrived, at either end.
    pub fn silence_since(&self, flow: usize, since: Instant) -> Duration {
        let engine = self.engine.borrow();
        engine.flows[flow].silence(since, engine.now)
    }

    /// How many packets of a flow that were sent between two times have been answered, in per cent.
    pub fn answered(&self, flow: usize, since: Instant, until: Instant) -> f64 {
        self.engine.borrow().flows[flow].answered(since, until)
    }

    /// How many packets of a flow, and answers to them, came by a relay from `since` on.
    pub fn count_by(&self, flow: usize, relay: Host<'_>, since: Instant) -> [usize; 2] {
        let engine = self.engine.borrow();
        let Flow { arrivals, replies, .. } = &engine.flows[flow];
        let by = |arrival: &&Arrival| arrival.at >= since && arrival.is_relayed_by(relay.id);
        [arrivals, replies].map(|list| list.iter().filter(by).count())
    }

    /// How often a packet of a flow came by another relay than the one before, from `since` on.
    pub fn relay_changes(&self, flow: usize, since: Instant) -> usize {
        let engine = self.engine.borrow();
        let later: Vec<&Arrival> = engine.flows[flow].arrivals.iter().filter(|arrival| arrival.at >= since).collect();
        later.windows(2).filter(|pair| pair[0].carrier != pair[1].carrier).count()
    }

    /// The most hops that a packet of a flow, or an answer, took from `since` on; `None`: not all came in datagrams.
    pub fn most_hops(&self, flow: usize, since: Instant) -> Option<usize> {
        self.hops(flow, since).into_iter().collect::<Option<Vec<usize>>>()?.into_iter().max()
    }

    /// The most hops of those packets and answers that came in datagrams; `None`: none did.
    pub fn most_hops_of_datagrams(&self, flow: usize, since: Instant) -> Option<usize> {
        self.hops(flow, since).into_iter().flatten().max()
    }

    /// The hops of each packet and answer of a flow from `since` on; `None`: it did not come in a datagram.
    fn hops(&self, flow: usize, since: Instant) -> Vec<Option<usize>> {
        let engine = self.engine.borrow();
        let Flow { arrivals, replies, .. } = &engine.flows[flow];
        arrivals.iter().chain(replies).filter(|arrival| arrival.at >= since).map(Arrival::hops).collect()
    }

    /// When the first answer of a flow came back.
    pub fn first_reply(&self, flow: usize) -> Option<Instant> {
        self.engine.borrow().flows[flow].replies.first().map(|reply| reply.at)
    }

    /// Whether two hosts could exchange datagrams without a third, by what is between them at the moment.
    pub fn chance(&self, a: Host<'_>, b: Host<'_>) -> Chance {
        chances::direct(&self.engine.borrow().net, a.id, b.id)
    }

    /// The pairs of running nodes that members could join, at the moment.
    pub fn joined_pairs(&self) -> Vec<(Host<'_>, Host<'_>)> {
        let pairs = chances::joined(&self.engine.borrow());
        pairs.into_iter().map(|(a, b)| (Host::new(self, a), Host::new(self, b))).collect()
    }

    /// Two nodes talk for a while.
    pub fn talk(&self, from: Host<'_>, to: Host<'_>, duration: Duration) -> FlowReport {
        let count = u32::try_from(duration.as_millis() / 100).unwrap_or(u32::MAX);
        let flow = self.flow(from, to, PING_LEN, millis(100), count);
        self.run_for(duration + secs(1));
        self.report(flow)
    }

    /// Two nodes talk for a while; how their packets went in the end.
    pub fn path<'w>(&'w self, from: Host<'w>, to: Host<'w>) -> Path<'w> {
        let flow = self.flow(from, to, PING_LEN, millis(100), 100);
        self.run_for(secs(12));
        let engine = self.engine.borrow();
        let arrivals = &engine.flows[flow].arrivals;
        match arrivals.last().filter(|last| last.number + 10 > engine.flows[flow].count).map(|last| &last.carrier) {
            None | Some(Carrier::Nothing) => Path::None,
            Some(Carrier::Tcp(host)) => Path::Tcp { via: Host::new(self, *host) },
            Some(Carrier::Udp(relays)) => {
                relays.first().map_or(Path::Direct, |&relay| Path::Relayed { via: Host::new(self, relay) })
            }
        }
    }

    /// Cuts these nodes, with each other, off from all others.
    pub fn partition(&self, hosts: &[Host<'_>]) {
        self.with_engine(|engine| {
            engine.net.all_mut().for_each(|place| place.zone = 0);
            hosts.iter().for_each(|host| engine.net.host_mut(host.id).zone = 1);
            engine.changed = engine.now;
        });
    }

    /// Ends a partition.
    pub fn heal(&self) {
        self.partition(&[]);
    }

    /// Cuts two nodes off from each other, or (`None`) lets them hear each other again.
    pub fn cut(&self, a: Host<'_>, b: Host<'_>, cut: Option<Cut>) {
        self.with_engine(|engine| {
            engine.net.cut(a.id, b.id, cut);
            engine.changed = engine.now;
        });
    }

    /// From now on so many of 1,000 datagrams are lost that one node sends to the other.
    pub fn lose(&self, from: Host<'_>, to: Host<'_>, loss: u16) {
        self.with_engine(|engine| engine.net.lose(from.id, to.id, loss));
    }

    /// What all programs together have done so far.
    pub fn work(&self) -> Work {
        let engine = self.engine.borrow();
        engine.machines.iter().fold(Work::default(), |sum, machine| Work {
            meta_sent: sum.meta_sent + machine.work.meta_sent,
            meta_bytes: sum.meta_bytes + machine.work.meta_bytes,
            datagrams: sum.datagrams + machine.work.datagrams,
        })
    }

    /// Asks a node something, as its operator would.
    pub fn command(&self, host: Host<'_>, command: Command) -> Option<Reply> {
        self.with_engine(|engine| engine.command(host.id, command))
    }

    /// What a node has reported so far, and when.
    pub fn events(&self, host: Host<'_>) -> Vec<(Instant, Event)> {
        self.engine.borrow().machine(host.id).events.clone()
    }

    pub(crate) fn machine<T>(&self, host: HostId, look: impl FnOnce(&Machine) -> T) -> T {
        look(self.engine.borrow().machine(host))
    }
}
