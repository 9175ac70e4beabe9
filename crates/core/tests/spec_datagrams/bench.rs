//! A node, and nodes played by hand on the other end of its wires: every byte that it says is read, every byte that it
//! hears is chosen.
//!
//! ```text
//!  carol ── bob ══ me ══ dave      bob and dave are neighbours at 192.0.2.2 and .4, carol is behind bob
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tinmesh_core::crypto::base64;
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::datagram::Datagram;
use tinmesh_core::crypto::sptps::stream::{Stream, StreamEvent};
use tinmesh_core::crypto::sptps::{Params, Role, meta_label, udp_label};
use tinmesh_core::dataplane::fib::{PeerEntry, Policy};
use tinmesh_core::dataplane::scratch::Scratch;
use tinmesh_core::dataplane::session::Session;
use tinmesh_core::dataplane::verdict::{DropReason, Verdict};
use tinmesh_core::name::{ConnId, NodeName};
use tinmesh_core::node::Node;
use tinmesh_core::node::config::{Config, HostConfig, LinkPolicy, MeshPolicy, Timing};
use tinmesh_core::node::io::{Command, Input, NodeInfo, Output, Persist, Reply};
use tinmesh_core::packet::Packet;
use tinmesh_core::subnet::Subnet;
use tinmesh_core::time::Instant;
use tinmesh_core::trust::TrustConfig;

/// Options of a node of version 17.7 with path MTU discovery and MSS clamping.
pub(crate) const USUAL: u32 = 0x0700_000c;

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

pub(crate) fn key(of: &str) -> SecretKey {
    SecretKey::from_seed(&[of.as_bytes()[0]; 32])
}

pub(crate) fn address(of: &str) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host(of)], 655))
}

fn host(of: &str) -> u8 {
    match of {
        "bob" => 2,
        "carol" => 3,
        _ => 4,
    }
}

/// The other end of a connection.
struct Wire {
    conn: ConnId,
    stream: Stream,
    pending: Vec<u8>,
    greeted: bool,
    raw: usize,
    closed: bool,
}

pub(crate) struct Bench {
    node: Node,
    pub(crate) now: Instant,
    wires: BTreeMap<String, Wire>,
    rng: Rng,
    /// Requests that came to each neighbour, in order; raw and binary parts as `<length>`.
    heard: BTreeMap<String, Vec<String>>,
    /// Raw bytes behind SPTPS_PACKET.
    pub(crate) raw: Vec<Vec<u8>>,
    /// Datagrams of the node's own and of the data plane.
    pub(crate) sent: Vec<(SocketAddr, Vec<u8>)>,
    pub(crate) delivered: Vec<Vec<u8>>,
    pub(crate) kept: Vec<Persist>,
    scratch: Scratch,
    replies: Vec<Reply>,
    /// What the system says of every path, in bytes of IP packet.
    pub(crate) path_mtu: u16,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// `me`, who knows the keys of bob and dave, with these changes to its configuration.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let known = |of: &str| (name(of), HostConfig { key: Some(key(of).public()), ..HostConfig::default() });
        let mut config = Config {
            name: name("me"),
            port: 655,
            sockets: vec!["0.0.0.0:655".parse().unwrap()],
            subnets: vec![Subnet::parse("10.1.0.0/16").unwrap()],
            broadcast_subnets: Vec::new(),
            connect_to: Vec::new(),
            hosts: BTreeMap::from([known("bob"), known("dave")]),
            invitation_key: None,
            proxy: None,
            policy: Policy::default(),
            link: LinkPolicy::default(),
            mesh: MeshPolicy { auto_connect: false, ..MeshPolicy::default() },
            timing: Timing::default(),
            legacy: None,
            trust: TrustConfig::default(),
        };
        change(&mut config);
        let now = Instant::from_micros(1_000_000);
        Self {
            node: Node::new(config, key("me"), [1; 32], now),
            now,
            wires: BTreeMap::new(),
            rng: Rng::from_seed([2; 32]),
            heard: BTreeMap::new(),
            raw: Vec::new(),
            sent: Vec::new(),
            delivered: Vec::new(),
            kept: Vec::new(),
            scratch: Scratch::new(),
            replies: Vec::new(),
            path_mtu: 1500,
        }
    }

    /// `of` connects, logs in and announces one subnet.
    pub(crate) fn neighbour(mut self, of: &str, options: u32) -> Self {
        let conn = ConnId(ConnId::ACCEPTED | (self.wires.len() as u64 + 1));
        let params = Params {
            role: Role::Initiator,
            key: key(of),
            peer: key("me").public(),
            label: meta_label(&name(of), &name("me")),
        };
        let (stream, kex) = Stream::new(params, &mut self.rng);
        let wire = Wire { conn, stream, pending: Vec::new(), greeted: false, raw: 0, closed: false };
        self.wires.insert(of.to_owned(), wire);
        let remote = SocketAddr::new(address(of).ip(), 40_000);
        self.handle(Input::Accepted { conn, remote, local: "192.0.2.1:655".parse().unwrap() });
        let id = format!("0 {of} 17.{}\n", options >> 24);
        self.handle(Input::Received { conn, bytes: &[id.as_bytes(), &kex].concat() });
        self.say(of, &format!("4 655 10 {options:x}"));
        let number = host(of);
        self.say(of, &format!("12 1{number} {of} me 192.0.2.1 655 {:x} 10", USUAL));
        self.say(of, &format!("10 2{number} {of} {}", subnet(of)));
        self
    }

    /// Node `of` is behind the neighbour `hop`.
    pub(crate) fn behind(mut self, hop: &str, of: &str) -> Self {
        let number = host(of);
        self.say(hop, &format!("12 3{number} {hop} {of} {} 655 {USUAL:x} 10", address(of).ip()));
        self.say(hop, &format!("12 4{number} {of} {hop} {} 655 {USUAL:x} 10", address(hop).ip()));
        self.say(hop, &format!("10 5{number} {of} {}", subnet(of)));
        self
    }

    /// The same again, in other words: requests that were seen are not looked at twice.
    pub(crate) fn behind_again(mut self, hop: &str, of: &str) -> Self {
        let number = host(of);
        self.say(hop, &format!("12 6{number} {hop} {of} {} 655 {USUAL:x} 10", address(of).ip()));
        self.say(hop, &format!("12 7{number} {of} {hop} {} 655 {USUAL:x} 10", address(hop).ip()));
        self
    }

    /// A neighbour says a request.
    pub(crate) fn say(&mut self, from: &str, request: &str) {
        self.say_bytes(from, format!("{request}\n").as_bytes(), &[]);
    }

    /// A neighbour says a request that bytes follow outside of any record.
    pub(crate) fn say_raw(&mut self, from: &str, bytes: &[u8]) {
        self.say_bytes(from, format!("21 {}\n", bytes.len()).as_bytes(), bytes);
    }

    /// A neighbour says a record that is no request.
    pub(crate) fn say_frame(&mut self, from: &str, frame: &[u8]) {
        self.say_bytes(from, frame, &[]);
    }

    fn say_bytes(&mut self, from: &str, request: &[u8], raw: &[u8]) {
        let wire = self.wires.get_mut(from).unwrap();
        let conn = wire.conn;
        let record = wire.stream.seal(0, request).unwrap();
        self.handle(Input::Received { conn, bytes: &[&record, raw].concat() });
    }

    /// A datagram arrives; the data plane has it first.
    pub(crate) fn datagram(&mut self, from: SocketAddr, payload: &[u8]) -> Verdict {
        let mut packet = Packet::from_payload(payload);
        self.scratch.now = self.now;
        let verdict = self.node.fib().inbound(from, &mut packet, &mut self.scratch);
        self.carry_out(verdict, packet);
        verdict
    }

    /// The device has an IPv4 packet for a node's network.
    pub(crate) fn packet_to(&mut self, to: &str, len: usize) -> Verdict {
        let mut bytes = vec![0; len];
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        bytes[8] = 64;
        bytes[12..16].copy_from_slice(&[10, 1, 0, 1]);
        bytes[16..20].copy_from_slice(&[10, host(to), 0, 1]);
        let mut packet = Packet::from_payload(&bytes);
        self.scratch.now = self.now;
        let verdict = self.node.fib().outbound(&mut packet, &mut self.scratch);
        self.carry_out(verdict, packet);
        self.tell_activity(to);
        verdict
    }

    fn tell_activity(&mut self, to: &str) {
        let peer = self.entry(to).peer;
        let activity = tinmesh_core::node::io::Activity {
            peer,
            sent: true,
            relayed: false,
            came_relayed: false,
            max_recent_len: 0,
            refused: false,
        };
        self.handle(Input::Activity(&[activity]));
    }

    fn carry_out(&mut self, verdict: Verdict, packet: Packet) {
        match verdict {
            Verdict::Transmit(target) => self.sent.push((target.to, packet.payload().to_vec())),
            Verdict::Deliver => self.delivered.push(packet.payload().to_vec()),
            Verdict::Punt(punt) => self.handle(Input::Punt { punt, payload: packet.payload() }),
            Verdict::Drop(_) => {}
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.handle(Input::Timeout);
        }
        self.now = end;
        self.handle(Input::Timeout);
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) {
        self.node.handle(self.now, input);
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Send { conn, bytes } => self.hear(conn, &bytes),
                Output::Close { conn, .. } => {
                    self.wires.values_mut().filter(|wire| wire.conn == conn).for_each(|wire| wire.closed = true);
                }
                Output::Transmit { target, packet } | Output::Ask { target, packet } => {
                    self.sent.push((target.to, packet.payload().to_vec()))
                }
                Output::Deliver(packet) => self.delivered.push(packet.payload().to_vec()),
                Output::PathMtu(to) => self.node.handle(self.now, Input::PathMtu { to, mtu: Some(self.path_mtu) }),
                Output::Persist(persist) => self.kept.push(persist),
                Output::Reply { reply, .. } => self.replies.push(reply),
                Output::Publish(_)
                | Output::Room { .. }
                | Output::Connect { .. }
                | Output::Resolve { .. }
                | Output::OpenSocket { .. }
                | Output::CloseSocket(_)
                | Output::Redeem { .. }
                | Output::Captured(_)
                | Output::Event(_) => {}
            }
        }
    }

    fn hear(&mut self, conn: ConnId, bytes: &[u8]) {
        let (of, wire) = self.wires.iter_mut().find(|(_, wire)| wire.conn == conn).unwrap();
        let of = of.clone();
        wire.pending.extend_from_slice(bytes);
        if !wire.greeted {
            let Some(end) = wire.pending.iter().position(|byte| *byte == b'\n') else { return };
            wire.pending.drain(..=end);
            wire.greeted = true;
        }
        let (mut answer, mut requests) = (Vec::new(), Vec::new());
        while !wire.pending.is_empty() {
            if wire.raw > 0 {
                if wire.pending.len() < wire.raw {
                    break;
                }
                self.raw.push(wire.pending.drain(..wire.raw).collect());
                wire.raw = 0;
                continue;
            }
            let (used, event) = wire.stream.feed(&wire.pending, &mut self.rng).unwrap();
            wire.pending.drain(..used);
            answer.extend(wire.stream.take_output());
            if let Some(StreamEvent::Record { data, .. }) = event {
                let text = String::from_utf8(data).unwrap_or_else(|bad| format!("<{}>", bad.as_bytes().len()));
                let text = text.trim_end_matches('\n').to_owned();
                wire.raw = text.strip_prefix("21 ").map_or(0, |len| len.parse().unwrap());
                requests.push(text);
            }
        }
        self.heard.entry(of).or_default().extend(requests);
        if !answer.is_empty() {
            self.handle(Input::Received { conn, bytes: &answer });
        }
    }

    /// What a neighbour heard since the last time it was asked, of one kind of request.
    pub(crate) fn heard(&mut self, of: &str, number: &str) -> Vec<String> {
        let all = self.heard.remove(of).unwrap_or_default();
        all.into_iter().filter(|request| request.split(' ').next() == Some(number)).collect()
    }

    pub(crate) fn forget(&mut self) {
        self.heard.clear();
        self.sent.clear();
        self.raw.clear();
        self.delivered.clear();
    }

    pub(crate) fn conn(&self, of: &str) -> ConnId {
        self.wires[of].conn
    }

    pub(crate) fn is_closed(&self, of: &str) -> bool {
        self.wires[of].closed
    }

    /// How many packets the node has dropped for `reason`.
    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.node.counters().dropped(reason)
    }

    pub(crate) fn info(&mut self, of: &str) -> NodeInfo {
        self.handle(Input::Command { id: 1, command: Command::Nodes });
        let Some(Reply::Nodes(nodes)) = self.replies.pop() else { panic!("nodes were asked for") };
        nodes.into_iter().find(|node| node.name == name(of)).unwrap()
    }

    pub(crate) fn entry(&self, of: &str) -> Arc<PeerEntry> {
        Arc::clone(self.node.fib().peers.iter().flatten().find(|entry| entry.name == name(of)).unwrap())
    }

    /// A session of `of`, through the neighbour `hop`; gives its end. Who has begun is answered, else `of` begins.
    pub(crate) fn session(&mut self, of: &str, hop: &str) -> Arc<Session> {
        let start = format!("15 me {of} 15 ");
        let begun =
            self.heard(hop, "15").into_iter().rev().find_map(|line| Some(line.strip_prefix(&start)?.to_owned()));
        let theirs = match begun {
            Some(kex) => self.answered_session(of, hop, &base64::decode(kex.as_bytes()).unwrap()),
            None => self.begun_session(of, hop),
        };
        theirs.session().unwrap()
    }

    fn answered_session(&mut self, of: &str, hop: &str, kex: &[u8]) -> Datagram {
        let (mut theirs, own) = Datagram::start(Self::params(Role::Responder, of), 16, &mut self.rng);
        theirs.on_handshake(kex, &mut self.rng).unwrap();
        self.say(hop, &format!("16 {of} me {} -1 -1 -1 0", base64::encode(&own)));
        let signature = self.answer_key(hop);
        let done = theirs.on_handshake(&signature, &mut self.rng).unwrap();
        assert!(done.established);
        self.say(hop, &format!("16 {of} me {} -1 -1 -1 0", base64::encode(&done.send[0])));
        theirs
    }

    fn begun_session(&mut self, of: &str, hop: &str) -> Datagram {
        let (mut theirs, kex) = Datagram::start(Self::params(Role::Initiator, of), 16, &mut self.rng);
        self.say(hop, &format!("15 {of} me 15 {}", base64::encode(&kex)));
        let kex = self.answer_key(hop);
        let signature = theirs.on_handshake(&kex, &mut self.rng).unwrap().send.remove(0);
        self.say(hop, &format!("16 {of} me {} -1 -1 -1 0", base64::encode(&signature)));
        let signature = self.answer_key(hop);
        assert!(theirs.on_handshake(&signature, &mut self.rng).unwrap().established);
        theirs
    }

    fn params(role: Role, of: &str) -> Params {
        let label = match role {
            Role::Initiator => udp_label(&name(of), &name("me")),
            Role::Responder => udp_label(&name("me"), &name(of)),
        };
        Params { role, key: key(of), peer: key("me").public(), label }
    }

    fn answer_key(&mut self, hop: &str) -> Vec<u8> {
        let answers = self.heard(hop, "16");
        base64::decode(answers[0].split(' ').nth(3).unwrap().as_bytes()).unwrap()
    }

    /// A datagram of `of` for `to` (nobody: whoever gets it), sealed in its session.
    pub(crate) fn sealed(session: &Session, to: Option<&str>, of: &str, kind: u8, data: &[u8]) -> Vec<u8> {
        let mut packet = Packet::from_payload(data);
        assert!(session.seal(kind, &mut packet));
        let destination = to.map_or([0; 6], |to| name(to).id().0);
        [&destination, &name(of).id().0, packet.payload()].concat()
    }

    /// What the node sent to an address, opened: type and data of each datagram.
    pub(crate) fn opened(&self, session: &Session, to: SocketAddr) -> Vec<(u8, Vec<u8>)> {
        let datagrams = self.sent.iter().filter(|(at, _)| *at == to);
        let opened = datagrams.filter_map(|(_, payload)| {
            let mut packet = Packet::from_payload(&payload[12..]);
            let kind = session.open(&mut packet).ok()?;
            Some((kind, packet.payload().to_vec()))
        });
        opened.collect()
    }

    /// A neighbour's session, and its answer to a probe, so that UDP with it is confirmed.
    pub(crate) fn confirmed(&mut self, of: &str) -> Arc<Session> {
        let session = self.session(of, of);
        let reply = Self::sealed(&session, None, of, 4, &reply(18));
        self.datagram(address(of), &reply);
        session
    }
}

/// A reply of type 2 that announces `len`.
pub(crate) fn reply(len: u16) -> Vec<u8> {
    let mut data = vec![0; 18];
    data[0] = 2;
    data[1..3].copy_from_slice(&len.to_be_bytes());
    data
}

fn subnet(of: &str) -> String {
    format!("10.{}.0.0/16", host(of))
}
