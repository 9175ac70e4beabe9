//! `Net`: nodes, wires between them, and a clock.
//!
//! Every member has an IPv4 and an IPv6 address, and one subnet 10.N.0.0/16. Connections and
//! datagrams take one latency and are never lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::crypto::keys::SecretKey;
use crate::dataplane::fib::Policy;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::Verdict;
use crate::meta::connection::Connection;
use crate::name::{ConnId, NodeName, PeerId};
use crate::node::Node;
use crate::node::activity::Sampler;
use crate::node::config::{Config, HostConfig, LinkPolicy, MeshPolicy, Timing};
use crate::node::io::{Event, Input, Output};
use crate::packet::Packet;
use crate::time::Instant;
use crate::trust::TrustConfig;

pub(super) fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("a name")
}

/// One node and what surrounds it.
pub(super) struct Member {
    pub(super) node: Node,
    /// Where it can be reached.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) events: Vec<Event>,
    /// Packets that its device got.
    pub(super) delivered: usize,
    /// Connections: whose the other end is, and its number there.
    wires: BTreeMap<ConnId, (String, ConnId)>,
    sampler: Sampler,
    scratch: Scratch,
}

/// Something that is under way.
enum Arrival {
    Call { conn: ConnId, from: String, remote: SocketAddr, local: SocketAddr },
    Answer { conn: ConnId, local: SocketAddr },
    Bytes { conn: ConnId, bytes: Vec<u8> },
    End { conn: ConnId },
    Written { conn: ConnId },
    Datagram { from: SocketAddr, packet: Packet },
}

pub(super) struct Net {
    pub(super) now: Instant,
    /// How many datagrams were sent.
    pub(super) datagrams: u64,
    /// Where connections were begun to.
    pub(super) calls: Vec<SocketAddr>,
    /// Numbers of the questions for addresses of names, which nobody answers.
    pub(super) questions: Vec<u64>,
    latency: Duration,
    /// How much sooner ends of connections are noticed than what was sent on others at that time.
    hurry: Duration,
    members: BTreeMap<String, Member>,
    queue: BTreeMap<(Instant, u64), (String, Arrival)>,
    /// When what was last sent on a connection arrives at this end of it: nothing overtakes it.
    last: BTreeMap<(String, ConnId), Instant>,
    serial: u64,
}

impl Net {
    pub(super) fn new(latency: Duration) -> Self {
        Self {
            now: Instant::from_micros(1_000_000),
            datagrams: 0,
            calls: Vec::new(),
            questions: Vec::new(),
            latency,
            hurry: Duration::ZERO,
            members: BTreeMap::new(),
            queue: BTreeMap::new(),
            last: BTreeMap::new(),
            serial: 0,
        }
    }

    /// A configuration in which everyone knows everyone's key, and AutoConnect is off.
    pub(super) fn config(number: u8, own: &str) -> Config {
        Config {
            name: name(own),
            port: 655,
            sockets: vec!["0.0.0.0:655".parse().expect("v4"), "[::]:655".parse().expect("v6")],
            subnets: vec![crate::subnet::Subnet::parse(&format!("10.{number}.0.0/16")).expect("a subnet")],
            broadcast_subnets: Vec::new(),
            connect_to: Vec::new(),
            hosts: BTreeMap::new(),
            proxy: None,
            invitation_key: None,
            policy: Policy::default(),
            link: LinkPolicy::default(),
            mesh: MeshPolicy { auto_connect: false, ..MeshPolicy::default() },
            timing: Timing::default(),
            legacy: None,
            trust: TrustConfig::default(),
        }
    }

    /// A new member.
    pub(super) fn add(&mut self, own: &str) {
        self.add_with(own, |_| {});
    }

    /// A new member that wants to be connected to `wanted`, the member after or before it.
    pub(super) fn add_dialling(&mut self, own: &str, wanted: &str, number: u8) {
        self.add_with(own, |config| {
            config.connect_to.push(name(wanted));
            let host = config.hosts.entry(name(wanted)).or_default();
            host.addresses.push((format!("192.0.2.{number}"), 655));
        });
    }

    /// A new member with other settings than the usual.
    pub(super) fn add_with(&mut self, own: &str, change: impl FnOnce(&mut Config)) {
        let number = u8::try_from(self.members.len() + 1).expect("few members");
        let mut config = Self::config(number, own);
        for other in ["a", "b", "c", "d", "v4", "v6"].iter().filter(|&&other| other != own) {
            let key = Some(key_of(other).public());
            config.hosts.insert(name(other), HostConfig { key, ..HostConfig::default() });
        }
        change(&mut config);
        let node = Node::new(config, key_of(own), [number; 32], self.now);
        let member = Member {
            node,
            addresses: addresses(number),
            events: Vec::new(),
            delivered: 0,
            wires: BTreeMap::new(),
            sampler: Sampler::default(),
            scratch: Scratch::new(),
        };
        self.members.insert(own.to_owned(), member);
        self.drain(own);
    }

    pub(super) fn node(&mut self, of: &str) -> &mut Member {
        self.members.get_mut(of).expect("a member")
    }

    pub(super) fn peer(&self, of: &str, other: &str) -> PeerId {
        self.members[of].node.mesh.graph.find(&name(other)).expect("known")
    }

    pub(super) fn known(&self, of: &str, other: &str) -> &crate::peer::Peer {
        self.members[of].node.peer(self.peer(of, other)).expect("known")
    }

    pub(super) fn confirmed(&self, of: &str, other: &str) -> bool {
        self.known(of, other).is_confirmed()
    }

    pub(super) fn connections(&self, of: &str) -> usize {
        self.members[of].node.connections.len()
    }

    pub(super) fn reaches(&self, of: &str, other: &str) -> bool {
        self.members[of].node.is_reachable(self.peer(of, other))
    }

    /// `from` dials `to` once, without a standing wish to be connected.
    pub(super) fn connect(&mut self, from: &str, to: &str) {
        let remote = self.members[to].addresses[0];
        let now = self.now;
        let node = &mut self.node(from).node;
        let peer = node.intern(&name(to));
        node.now = now;
        node.connect(peer, name(to), remote, None);
        self.drain(from);
    }

    /// Both have just opened a connection to each other, which counts as made by `from`.
    pub(super) fn meet(&mut self, from: &str, to: &str) {
        let now = self.now;
        let mut id = |own: &str, bits| {
            let node = &mut self.node(own).node;
            (own.to_owned(), ConnId(node.next_conn().0 | ConnId::MET | bits))
        };
        let ends = [id(from, 0), id(to, ConnId::ACCEPTED)];
        for ((own, conn), (other, theirs)) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
            let remote = self.members[other].addresses[0];
            let member = self.node(own);
            member.wires.insert(*conn, (other.clone(), *theirs));
            member.node.connections.insert(*conn, Connection::new(*conn, remote, Some(name(other)), now));
        }
        for (own, conn) in ends {
            self.tell(&own, Input::Connected { conn, local: None });
        }
    }

    /// What is sent from now on takes so long.
    pub(super) const fn slow_down(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Ends of connections are noticed so much sooner than what is sent on other connections at that time.
    pub(super) const fn hurry_ends(&mut self, by: Duration) {
        self.hurry = by;
    }

    pub(super) fn tell(&mut self, who: &str, input: Input<'_>) {
        let now = self.now;
        self.node(who).node.handle(now, input);
        self.drain(who);
    }

    /// `from` tells `to` something, sealed.
    pub(super) fn say(&mut self, from: &str, to: &str, message: &[u8]) {
        let (peer, now) = (self.peer(from, to), self.now);
        let node = &mut self.node(from).node;
        node.now = now;
        node.send_sealed(peer, message);
        self.drain(from);
    }

    /// A small packet from the device of `from` to a subnet of `to`.
    pub(super) fn ping(&mut self, from: &str, to: &str) {
        let source = self.members[from].addresses[0].ip().to_string();
        let target = self.members[to].addresses[0].ip().to_string();
        let last = |text: &str| text.rsplit('.').next().and_then(|octet| octet.parse::<u8>().ok()).expect("v4");
        let mut bytes =
            vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 99, 0, 0, 10, last(&source), 0, 1, 10, last(&target), 0, 1];
        bytes.resize(40, 0);
        let mut packet = Packet::from_payload(&bytes);
        let now = self.now;
        let member = self.node(from);
        member.scratch.now = now;
        let verdict = member.node.fib().outbound(&mut packet, &mut member.scratch);
        self.carry_out(from, verdict, packet);
        self.sample(from);
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for steps in 0_u64.. {
            assert!(steps < 1_000_000, "the network never rests");
            let arrival = self.queue.keys().next().map(|&(at, _)| at);
            let timer = self.members.values().filter_map(|member| member.node.poll_timeout()).min();
            let Some(next) = arrival.into_iter().chain(timer).min().filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                self.arrive();
            } else {
                let due = |member: &Member| member.node.poll_timeout().is_some_and(|at| at <= next);
                let names: Vec<String> =
                    self.members.iter().filter(|(_, member)| due(member)).map(|(own, _)| own.clone()).collect();
                for own in names {
                    self.tell(&own, Input::Timeout);
                }
            }
        }
        self.now = end;
    }

    fn arrive(&mut self) {
        let Some((_, (to, arrival))) = self.queue.pop_first() else { return };
        if !self.members.contains_key(&to) {
            return;
        }
        match arrival {
            Arrival::Call { conn, from, remote, local } => {
                let accepted = ConnId(ConnId::ACCEPTED | self.serial);
                self.node(&to).wires.insert(accepted, (from.clone(), conn));
                self.tell(&to, Input::Accepted { conn: accepted, remote, local });
                self.node(&from).wires.insert(conn, (to, accepted));
                self.send(&from, Arrival::Answer { conn, local: remote });
            }
            Arrival::Answer { conn, local } => self.tell(&to, Input::Connected { conn, local: Some(local) }),
            Arrival::Bytes { conn, bytes } => {
                if self.node(&to).wires.contains_key(&conn) {
                    self.tell(&to, Input::Received { conn, bytes: &bytes });
                }
            }
            Arrival::End { conn } => {
                self.node(&to).wires.remove(&conn);
                self.tell(&to, Input::Closed { conn });
            }
            Arrival::Written { conn } => self.tell(&to, Input::Queued { conn, bytes: 0 }),
            Arrival::Datagram { from, packet } => self.on_datagram(&to, from, packet),
        }
    }

    fn on_datagram(&mut self, to: &str, from: SocketAddr, mut packet: Packet) {
        let now = self.now;
        let member = self.node(to);
        member.scratch.now = now;
        member.scratch.socket = if from.is_ipv4() { 0 } else { 1 };
        let verdict = member.node.fib().inbound(from, &mut packet, &mut member.scratch);
        self.carry_out(to, verdict, packet);
        self.sample(to);
    }

    fn sample(&mut self, who: &str) {
        let member = self.node(who);
        let fib = member.node.fib();
        let activity = member.sampler.sample(&fib).to_vec();
        if !activity.is_empty() {
            self.tell(who, Input::Activity(&activity));
        }
    }

    fn carry_out(&mut self, who: &str, verdict: Verdict, packet: Packet) {
        match verdict {
            Verdict::Transmit(target) => self.transmit(who, target.to, packet),
            Verdict::Deliver => self.node(who).delivered += 1,
            Verdict::Punt(punt) => self.tell(who, Input::Punt { punt, payload: packet.payload() }),
            Verdict::Drop(_) => {}
        }
    }

    fn transmit(&mut self, who: &str, to: SocketAddr, packet: Packet) {
        self.datagrams += 1;
        let same = |address: &&SocketAddr| address.is_ipv4() == to.is_ipv4();
        let Some(&from) = self.members[who].addresses.iter().find(same) else { return };
        let Some(receiver) = self.owner(to) else { return };
        self.send(&receiver, Arrival::Datagram { from, packet });
    }

    fn owner(&self, address: SocketAddr) -> Option<String> {
        self.members.iter().find(|(_, member)| member.addresses.contains(&address)).map(|(own, _)| own.clone())
    }

    fn send(&mut self, to: &str, arrival: Arrival) {
        self.serial += 1;
        let ends = matches!(arrival, Arrival::End { .. });
        let mut at = self.now + if ends { self.latency.saturating_sub(self.hurry) } else { self.latency };
        if let Arrival::Bytes { conn, .. } | Arrival::End { conn } = arrival {
            let last = self.last.entry((to.to_owned(), conn)).or_insert(at);
            at = at.max(*last);
            *last = at;
        }
        self.queue.insert((at, self.serial), (to.to_owned(), arrival));
    }

    fn drain(&mut self, who: &str) {
        while let Some(output) = self.node(who).node.poll_output() {
            match output {
                Output::Connect { conn, to, .. } => self.call(who, conn, to),
                Output::Send { conn, bytes } => self.write(who, conn, bytes),
                Output::Close { conn, .. } => {
                    if let Some((other, theirs)) = self.node(who).wires.remove(&conn) {
                        self.send(&other, Arrival::End { conn: theirs });
                    }
                }
                Output::Transmit { target, packet } | Output::Ask { target, packet } => {
                    self.transmit(who, target.to, packet)
                }
                Output::Deliver(_) => self.node(who).delivered += 1,
                Output::PathMtu(to) => self.tell(who, Input::PathMtu { to, mtu: Some(1500) }),
                Output::Event(event) => self.node(who).events.push(event),
                Output::Resolve { question, .. } => self.questions.push(question),
                Output::Publish(_)
                | Output::Room { .. }
                | Output::Persist(_)
                | Output::Redeem { .. }
                | Output::OpenSocket { .. }
                | Output::CloseSocket(_)
                | Output::Captured(_)
                | Output::Reply { .. } => {}
            }
        }
    }

    fn call(&mut self, who: &str, conn: ConnId, to: SocketAddr) {
        self.calls.push(to);
        let same = |address: &&SocketAddr| address.is_ipv4() == to.is_ipv4();
        let from = self.members[who].addresses.iter().find(same).copied();
        match (self.owner(to), from) {
            (Some(owner), Some(remote)) => {
                self.send(&owner, Arrival::Call { conn, from: who.to_owned(), remote, local: to });
            }
            _ => self.send(who, Arrival::End { conn }),
        }
    }

    fn write(&mut self, who: &str, conn: ConnId, bytes: Vec<u8>) {
        let Some((other, theirs)) = self.node(who).wires.get(&conn).cloned() else { return };
        self.send(&other, Arrival::Bytes { conn: theirs, bytes });
        self.serial += 1;
        self.queue.insert((self.now, self.serial), (who.to_owned(), Arrival::Written { conn }));
    }
}

fn addresses(number: u8) -> Vec<SocketAddr> {
    let v4 = format!("192.0.2.{number}:655");
    let v6 = format!("[2001:db8::{number}]:655");
    [v4, v6].iter().map(|text| text.parse().expect("an address")).collect()
}

pub(super) fn key_of(own: &str) -> SecretKey {
    let mut seed = [7; 32];
    seed[..own.len()].copy_from_slice(own.as_bytes());
    SecretKey::from_seed(&seed)
}
