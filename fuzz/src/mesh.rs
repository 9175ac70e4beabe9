//! Targets for what the mesh core reads from outside. None may panic, whatever the input.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::signed_file::{self, SignedFile};
use tinmesh_core::crypto::sptps::datagram::Datagram;
use tinmesh_core::crypto::sptps::stream::{Stream, StreamEvent};
use tinmesh_core::crypto::sptps::{self, Params, Role};
use tinmesh_core::dataplane::fib::{Fib, Forwarding, Mode, NodesBy, PeerEntry, Policy, UdpTarget};
use tinmesh_core::dataplane::offload::segment::Segments;
use tinmesh_core::dataplane::offload::{VNET_HEADER, VnetHeader};
use tinmesh_core::dataplane::scratch::Scratch;
use tinmesh_core::dataplane::session::Session;
use tinmesh_core::dataplane::stats::PeerStats;
use tinmesh_core::dataplane::verdict::Verdict;
use tinmesh_core::invite::inviter::Inviter;
use tinmesh_core::invite::joiner::{Joiner, JoinerEvent};
use tinmesh_core::invite::url::InviteUrl;
use tinmesh_core::invite::{invitee, key_hash, offers_name_choice};
use tinmesh_core::meta::proxy::{Prelude, Progress, Protocol};
use tinmesh_core::name::{ConnId, NodeId, NodeName, PeerId};
use tinmesh_core::node::Node;
use tinmesh_core::node::config::{Config, HostConfig, LinkPolicy, MeshPolicy, Timing};
use tinmesh_core::node::io::{Input, Output};
use tinmesh_core::packet::Packet;
use tinmesh_core::peer::pieces::Pieces;
use tinmesh_core::punch::law::Law;
use tinmesh_core::punch::plan::{Means, Plan, Side};
use tinmesh_core::subnet::{Subnet, SubnetTable};
use tinmesh_core::time::Instant;
use tinmesh_core::trust::gossip::Gossip;
use tinmesh_core::trust::gossip::message::Message;
use tinmesh_core::trust::{Trust, TrustConfig};
use tinmesh_core::wire::hello::Hello;
use tinmesh_core::wire::options::Options;
use tinmesh_core::wire::pcp::{self, Map};
use tinmesh_core::wire::probe::{self, Probe};
use tinmesh_core::wire::request::Request;
use tinmesh_core::wire::{address_cache, datagram, health, keepalive, mapped, punch, reflect, relay};

/// A target's body.
pub(crate) type Target = fn(&[u8]);

/// All targets of this module by name; `fuzz/corpus/NAME` holds the corpus of each.
pub(crate) const TARGETS: [(&str, Target); 21] = [
    ("requests", requests),
    ("subnets", subnets),
    ("signed_files", signed_files),
    ("stream", stream),
    ("stream_cuts", stream_cuts),
    ("handshake", handshake),
    ("datagrams", datagrams),
    ("probes", probes),
    ("address_cache", addresses),
    ("invitations", invitations),
    ("connection", connection),
    ("gossip", gossip),
    ("proxy", proxy),
    ("hellos", hellos),
    ("statement_messages", statement_messages),
    ("health_messages", health_messages),
    ("punch_messages", punch_messages),
    ("router_answers", router_answers),
    ("relay_messages", relay_messages),
    ("pieces", pieces),
    ("large_packets", large_packets),
];

/// A hello is read or refused, and what was read is written as it came.
fn hellos(data: &[u8]) {
    let Some(hello) = std::str::from_utf8(data).ok().and_then(Hello::decode) else { return };
    assert_eq!(Hello::decode(&hello.encode()), Some(hello));
}

/// A message of gossip is read or not; what was read and written again is the same, and hearing it stays within bounds.
fn statement_messages(data: &[u8]) {
    let Some((kind, payload)) = data.split_first() else { return };
    if let Some(message) = Message::parse(*kind, payload) {
        assert_eq!(message.encode(), data);
    }
    let (mut trust, mut gossip) = (Trust::new(TrustConfig::default(), &key(1).public()), Gossip::default());
    gossip.connect(PeerId::ME, false, &trust, Instant::ZERO, &mut Rng::from_seed([3; 32]));
    gossip.on_message(&mut trust, PeerId::ME, *kind, payload, Instant::ZERO);
    assert!(gossip.take_messages().iter().all(|(_, message)| message.len() <= 2_000));
}

/// A message about a path's health is read or not; what was read and written again is the same.
fn health_messages(data: &[u8]) {
    let Some((kind, payload)) = data.split_first() else { return };
    if let Some(message) = health::Message::parse(*kind, payload) {
        assert_eq!(message.encode(), data);
    }
}

/// A message about relays is read or not; what was read and written again means the same.
fn relay_messages(data: &[u8]) {
    let Some((kind, payload)) = data.split_first() else { return };
    if let Some(message) = relay::Message::parse(*kind, payload) {
        assert_eq!(relay::Message::parse(*kind, &message.encode()[1..]), Some(message));
    }
}

/// What is said of NATs is read or not, and makes a plan of bounded size; reflection and keep-alives likewise.
fn punch_messages(data: &[u8]) {
    let Some((kind, payload)) = data.split_first() else { return };
    if let Some(message) = punch::Message::parse(*kind, payload) {
        assert_eq!(punch::Message::parse(*kind, &message.encode()[1..]), Some(message));
        let side = match message {
            punch::Message::Offer(terms) | punch::Message::Answer(terms) => terms.side,
            punch::Message::Heard { .. } => Side { law: Law::ANY, forgives: true, per_address: true },
        };
        let (block, means) = (Law::Range { low: 2_048, high: 2_559 }, Means { ports: 253, probes: 1_010 });
        for law in [Law::Known { port: 655 }, Law::Sequence { next: 1_024, step: -3 }, block, Law::ANY] {
            for (forgives, per_address) in [(false, false), (true, false), (false, true)] {
                let own = Side { law, forgives, per_address };
                let plan = Plan::new(own, side, true, means, &mut Rng::from_seed([1; 32]));
                assert!(plan.len() <= 2_048 && plan.sockets() <= 253);
            }
        }
    }
    if let Some(endpoints) = mapped::parse(payload) {
        assert_eq!(mapped::encode(endpoints)[1..], *payload);
    }
    if let Some(answer) = reflect::Answer::parse(data) {
        assert_eq!(reflect::Answer::parse(&answer.encode()), Some(answer));
    }
    let ask = reflect::Ask::parse(data);
    assert_eq!(ask.is_some(), data.len() == reflect::LEN);
    assert!(ask.is_none_or(|ask| reflect::Ask::parse(&ask.encode()) == Some(ask)));
    if let Some(interval) = keepalive::parse(payload) {
        assert_eq!(keepalive::encode(interval)[1..], *payload);
    }
}

/// What a router answers is read or not, and is an answer to one request at most.
fn router_answers(data: &[u8]) {
    if let Some(answer) = pcp::Answer::parse(data) {
        let asked = Map { nonce: *b"NONCENONCE12", protocol: 17, port: 655, outer: answer.map.outer };
        assert_eq!(asked.is_same(&answer.map), data[24..37] == *b"NONCENONCE12\x11" && data[40..42] == [2, 143]);
        assert_eq!(answer.map.request(Ipv6Addr::LOCALHOST, answer.lifetime)[40..], data[40..pcp::LEN]);
    }
}

/// Pieces of packets: the first byte of each says which half it is, the second its length.
fn pieces(data: &[u8]) {
    let (mut waiting, mut rest) = (Pieces::default(), data);
    while let [which, length, more @ ..] = rest {
        let (piece, left) = more.split_at(usize::from(*length).min(more.len()));
        if let Some((_, packet)) = waiting.join(Instant::ZERO, which & 1 == 1, piece) {
            assert!(packet.len() <= 2 * 255);
        }
        rest = left;
    }
}

/// A header of a device with offloads and a packet: it is cut into as many pieces as were announced.
fn large_packets(data: &[u8]) {
    let Some((header, packet)) = data.split_first_chunk::<VNET_HEADER>() else { return };
    let Some(header) = VnetHeader::decode(header) else { return };
    for network in [0, 14, 18] {
        let Ok(mut segments) = Segments::new(header, packet, network) else { continue };
        let announced = segments.left(packet.len());
        let mut piece = Packet::new();
        let cut = std::iter::from_fn(|| segments.next_into(packet, &mut piece).then_some(())).count();
        assert_eq!(cut, announced);
    }
}

/// What a proxy says is read or refused, the first byte chooses its kind; it never counts for more than came.
fn proxy(data: &[u8]) {
    let Some((kind, mut rest)) = data.split_first() else { return };
    let login = Some(("user".to_owned(), "secret".to_owned()));
    let protocol = match kind % 4 {
        0 => Protocol::Socks4 { user: String::new() },
        1 => Protocol::Socks5 { login: None },
        2 => Protocol::Socks5 { login },
        _ => Protocol::Http,
    };
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, 655));
    let Ok(mut prelude) = Prelude::new(&protocol, target) else { return };
    loop {
        prelude.take_output();
        match prelude.feed(rest) {
            Ok(Progress::Step(len)) => rest = &rest[len..],
            Ok(Progress::Open(len)) => return assert!(len <= rest.len()),
            Ok(Progress::Waiting) | Err(_) => return,
        }
    }
}

/// A line is a request or an error; a request reads back as itself.
fn requests(data: &[u8]) {
    for line in data.split(|&byte| byte == b'\n') {
        if let Ok(request) = Request::parse(line) {
            let printed = request.to_string();
            assert_eq!(Request::parse(printed.as_bytes()).as_ref(), Ok(&request), "{printed:?} reads back");
        }
    }
}

/// A text is a subnet or an error; a subnet reads back as itself, and covers its own address.
fn subnets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(subnet) = Subnet::parse(text) {
        assert_eq!(Subnet::parse(&subnet.to_string()), Ok(subnet), "{subnet} reads back");
        assert!(subnet.covers(&subnet.address()));
    }
}

/// A file is taken apart or refused; what this signs anew verifies, and nothing that a stranger wrote does.
fn signed_files(data: &[u8]) {
    let Ok(parsed) = SignedFile::parse(data) else { return };
    let key = SecretKey::from_seed(&[0x51; 32]);
    assert!(!parsed.verify(&key.public()), "nobody else has this key");
    let signed = signed_file::sign(parsed.body, &parsed.signer, parsed.time, &key);
    assert!(SignedFile::parse(&signed).is_ok_and(|again| again.body == parsed.body && again.verify(&key.public())));
}

/// Bytes that are no handshake end a stream with an error, and consume no more than there is.
fn stream(data: &[u8]) {
    for role in [Role::Initiator, Role::Responder] {
        let mut rng = Rng::from_seed([1; 32]);
        let (mut stream, _) = Stream::new(params(role), &mut rng);
        let mut rest = data;
        while let Ok((consumed @ 1.., _)) = stream.feed(rest, &mut rng) {
            rest = &rest[consumed..];
        }
    }
}

/// Records arrive whole and in order, however the bytes are cut; the input says where.
fn stream_cuts(data: &[u8]) {
    let mut rng = Rng::from_seed([2; 32]);
    let (mut sender, mut receiver) = streams(&mut rng);
    let records: Vec<Vec<u8>> = data.chunks(97).map(<[u8]>::to_vec).collect();
    let sealed: Vec<u8> = records.iter().flat_map(|record| sender.seal(0, record).expect("short enough")).collect();
    let (mut rest, mut got, mut cuts) = (sealed.as_slice(), Vec::new(), data.iter().cycle());
    while !rest.is_empty() {
        let len = cuts.next().map_or(1, |&cut| usize::from(cut) + 1).min(rest.len());
        let (consumed, event) = receiver.feed(&rest[..len], &mut rng).expect("the bytes are genuine");
        rest = &rest[consumed..];
        if let Some(StreamEvent::Record { data, .. }) = event {
            got.push(data);
        }
    }
    assert_eq!(got, records);
}

/// Handshake datagrams from a stranger lead to an error or to an answer.
fn handshake(data: &[u8]) {
    for role in [Role::Initiator, Role::Responder] {
        let mut rng = Rng::from_seed([3; 32]);
        let (mut machine, _) = Datagram::start(params(role), 32, &mut rng);
        for piece in data.split(|&byte| byte == b'\n') {
            let _ = machine.on_handshake(piece, &mut rng);
        }
        let mut established = sessions().0;
        let _ = established.on_handshake(data, &mut rng);
        let _ = established.on_record(data, &mut rng);
    }
}

/// Datagrams from the network, records from a peer and packets from the device, by the first byte.
fn datagrams(data: &[u8]) {
    let Some((&way, data)) = data.split_first() else { return };
    let (fib, theirs) = fib();
    let mut scratch = Scratch::new();
    let from = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1 + (way >> 6)), 655));
    let mut packet = Packet::from_payload(data);
    match way % 4 {
        0 => {
            fib.inbound(from, &mut packet, &mut scratch);
        }
        1 => {
            if theirs.seal((way >> 2) & 7, &mut packet) {
                let ids = datagram::ids(NodeId::NULL, name("bob").id());
                let mut datagram = Packet::from_payload(&[&ids, packet.payload()].concat());
                fib.inbound(from, &mut datagram, &mut scratch);
            }
        }
        2 => {
            fib.outbound(&mut packet, &mut scratch);
        }
        _ => {
            let ids = datagram::ids(name("carol").id(), name("bob").id());
            let mut datagram = Packet::from_payload(&[&ids, data].concat());
            let verdict = fib.inbound(from, &mut datagram, &mut scratch);
            assert_ne!(verdict, Verdict::Deliver, "a packet for somebody else is not ours");
        }
    }
}

/// A probe is read or not; an answer to it is one.
fn probes(data: &[u8]) {
    let Some(Probe::Request { .. }) = Probe::parse(data) else { return };
    for minor in [2, 3, 7] {
        let reply = probe::encode_reply(data, minor);
        assert!(matches!(Probe::parse(&reply), Some(Probe::Reply { .. })), "{reply:?} is a reply");
    }
}

/// A cache file is read or empty; what was read and written again is the same.
fn addresses(data: &[u8]) {
    let read = address_cache::decode(data);
    assert_eq!(address_cache::decode(&address_cache::encode(&read)), read);
}

/// The input is a URL, the greeting of an inviter, what a joiner says, and a file that is handed over.
fn invitations(data: &[u8]) {
    if let Some(url) = std::str::from_utf8(data).ok().and_then(|text| InviteUrl::parse(text).ok()) {
        assert_eq!(InviteUrl::parse(&url.to_string()), Ok(url));
    }
    let mut rng = Rng::from_seed([4; 32]);
    let invitation = key(7);
    let url =
        InviteUrl { host: "192.0.2.1".into(), port: 655, key_hash: key_hash(&invitation.public()), cookie: [5; 18] };
    let _ = Joiner::new(&url, key(8)).feed(data, &mut rng);
    let _ = Inviter::new(invitation.clone(), key(8).public(), &mut rng).0.feed(data, &mut rng);
    if invitee(data).is_ok() {
        hand_over(data, &url, &invitation, &mut rng);
    }
}

/// A whole exchange in which the file arrives as it was sent.
fn hand_over(file: &[u8], url: &InviteUrl, invitation: &SecretKey, rng: &mut Rng) {
    let mut joiner = Joiner::new(url, key(8));
    joiner.take_output();
    let (mut inviter, kex) = Inviter::new(invitation.clone(), key(8).public(), rng);
    let greeting = format!("0 alice 17.7\n4 {}\n", invitation.public().to_base64());
    joiner.feed(&[greeting.as_bytes(), &kex].concat(), rng).expect("a proper greeting");
    for _ in 0..3 {
        inviter.feed(&joiner.take_output(), rng).expect("a proper joiner");
        joiner.feed(&inviter.take_output(), rng).expect("a proper inviter");
    }
    let Ok(sealed) = inviter.deliver(file) else { return };
    let events = joiner.feed(&sealed, rng).expect("a proper inviter");
    let expected = JoinerEvent::FileReceived { file: file.to_vec(), name_choice: offers_name_choice(file) };
    assert_eq!(events, [expected]);
}

/// Bytes on a connection that somebody made to us, cut at each NUL.
fn connection(data: &[u8]) {
    let mut node = Node::new(config(), key(1), [5; 32], Instant::ZERO);
    let conn = ConnId(ConnId::ACCEPTED | 1);
    node.handle(Instant::ZERO, accepted(conn));
    for bytes in data.split_inclusive(|&byte| byte == 0) {
        node.handle(Instant::ZERO, Input::Received { conn, bytes });
        while node.poll_output().is_some() {}
    }
}

/// Requests of an authenticated neighbour, one a line; time passes between them.
fn gossip(data: &[u8]) {
    let mut node = Node::new(config(), key(1), [6; 32], Instant::ZERO);
    let conn = ConnId(ConnId::ACCEPTED | 1);
    let mut neighbour = Neighbour::connect(&mut node, conn).expect("a proper greeting");
    for (at, line) in data.split(|&byte| byte == b'\n').enumerate() {
        let now = Instant::from_micros(at as u64 * 100_000);
        let record = [line, b"\n"].concat();
        let Ok(bytes) = neighbour.stream.seal(0, &record) else { return };
        node.handle(now, Input::Received { conn, bytes: &bytes });
        if node.poll_timeout().is_some_and(|due| due <= now) {
            node.handle(now, Input::Timeout);
        }
        if neighbour.is_refused(&mut node, conn) {
            return;
        }
    }
}

/// What becomes of a record with an IPv4 packet for this node, sealed by its neighbour.
#[cfg(test)]
pub(crate) fn genuine_record() -> Verdict {
    let (fib, theirs) = fib();
    let mut header = [0; 20];
    header[..4].copy_from_slice(&[0x45, 0, 0, 20]);
    header[8..].copy_from_slice(&[64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1]);
    let mut packet = Packet::from_payload(&header);
    assert!(theirs.seal(0, &mut packet));
    let ids = datagram::ids(NodeId::NULL, name("bob").id());
    let mut datagram = Packet::from_payload(&[&ids, packet.payload()].concat());
    let from = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 655));
    fib.inbound(from, &mut datagram, &mut Scratch::new())
}

/// The other end of an authenticated connection: bob.
struct Neighbour {
    stream: Stream,
    rng: Rng,
}

impl Neighbour {
    /// Connects, greets and gets as far as ACK; `None` if the node would not have it.
    fn connect(node: &mut Node, conn: ConnId) -> Option<Self> {
        let mut rng = Rng::from_seed([7; 32]);
        let label = sptps::meta_label(&name("bob"), &name("alice"));
        let params = Params { role: Role::Initiator, key: key(2), peer: key(1).public(), label };
        let (stream, kex) = Stream::new(params, &mut rng);
        let mut neighbour = Self { stream, rng };
        node.handle(Instant::ZERO, accepted(conn));
        let greeting = [b"0 bob 17.7\n", kex.as_slice()].concat();
        node.handle(Instant::ZERO, Input::Received { conn, bytes: &greeting });
        let answer = sent(node, conn)?;
        let end = answer.iter().position(|&byte| byte == b'\n')? + 1;
        neighbour.read(answer.get(end..)?)?;
        let sig = neighbour.stream.take_output();
        node.handle(Instant::ZERO, Input::Received { conn, bytes: &sig });
        let answer = sent(node, conn)?;
        neighbour.read(&answer)?;
        let ack = neighbour.stream.seal(0, b"4 655 10 700000c\n").ok()?;
        node.handle(Instant::ZERO, Input::Received { conn, bytes: &ack });
        Some(neighbour)
    }

    fn read(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let (consumed, _) = self.stream.feed(bytes, &mut self.rng).ok()?;
            bytes = bytes.get(consumed..)?;
        }
        Some(())
    }

    /// Reads what the node says; true if it closed the connection.
    fn is_refused(&mut self, node: &mut Node, conn: ConnId) -> bool {
        let Some(bytes) = sent(node, conn) else { return true };
        self.read(&bytes).expect("the node seals what it sends");
        false
    }
}

/// All that the node writes on a connection; `None` if it closes it.
pub(crate) fn sent(node: &mut Node, conn: ConnId) -> Option<Vec<u8>> {
    let mut written = Some(Vec::new());
    while let Some(output) = node.poll_output() {
        if let Output::Send { conn: to, bytes } = &output
            && *to == conn
        {
            written.iter_mut().for_each(|all| all.extend(bytes));
        } else if matches!(output, Output::Close { conn: to, .. } if to == conn) {
            written = None;
        }
    }
    written
}

pub(crate) fn accepted(conn: ConnId) -> Input<'static> {
    let remote = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 2), 40_000));
    Input::Accepted { conn, remote, local: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 655)) }
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("a name")
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// One side of a stream between keys 1 and 2.
fn params(role: Role) -> Params {
    let (own, other) = match role {
        Role::Initiator => (1, 2),
        Role::Responder => (2, 1),
    };
    Params { role, key: key(own), peer: key(other).public(), label: b"fuzz".to_vec() }
}

/// Both sides of a stream after the handshake.
fn streams(rng: &mut Rng) -> (Stream, Stream) {
    let (mut one, mut for_two) = Stream::new(params(Role::Initiator), rng);
    let (mut two, mut for_one) = Stream::new(params(Role::Responder), rng);
    for _ in 0..3 {
        pour(&for_one, &mut one, rng);
        pour(&for_two, &mut two, rng);
        (for_one, for_two) = (two.take_output(), one.take_output());
    }
    (one, two)
}

fn pour(mut bytes: &[u8], into: &mut Stream, rng: &mut Rng) {
    while !bytes.is_empty() {
        let (consumed, _) = into.feed(bytes, rng).expect("a proper handshake");
        bytes = &bytes[consumed..];
    }
}

/// Both sides of a datagram session after the handshake.
fn sessions() -> (Datagram, Datagram) {
    let mut rng = Rng::from_seed([8; 32]);
    let (mut one, for_two) = Datagram::start(params(Role::Initiator), 32, &mut rng);
    let (mut two, for_one) = Datagram::start(params(Role::Responder), 32, &mut rng);
    let (mut for_one, mut for_two) = (vec![for_one], vec![for_two]);
    for _ in 0..3 {
        let next: Vec<Vec<u8>> = take(&mut for_one, &mut one, &mut rng);
        for_one = take(&mut for_two, &mut two, &mut rng);
        for_two = next;
    }
    (one, two)
}

fn take(datagrams: &mut Vec<Vec<u8>>, into: &mut Datagram, rng: &mut Rng) -> Vec<Vec<u8>> {
    let progress = datagrams.drain(..).map(|one| into.on_handshake(&one, rng).expect("a proper handshake"));
    progress.flat_map(|progress| progress.send).collect()
}

/// The snapshot of a node with a neighbour, bob, and one behind it, carol; and bob's session with us.
pub(crate) fn fib() -> (Fib, Arc<Session>) {
    let (ours, theirs) = sessions();
    let members = [("alice", "10.0.0.1/32"), ("bob", "10.0.0.0/24"), ("carol", "fd00::/8")];
    let mut subnets = SubnetTable::default();
    let (mut by_id, mut by_addr, mut peers) = (NodesBy::default(), NodesBy::default(), Vec::new());
    for (at, (text, subnet)) in members.into_iter().enumerate() {
        let (peer, name) = (PeerId(at as u32), name(text));
        subnets.insert(Subnet::parse(subnet).expect("a subnet"), Some(peer), &name);
        by_id.insert(name.id(), peer);
        let entry = entry(peer, name, (peer == PeerId(1)).then(|| ours.session().expect("established")));
        by_addr.extend(entry.udp.filter(|_| entry.udp_confirmed).map(|target| (target.to, peer)));
        peers.push(Some(Arc::new(entry)));
    }
    let fib = Fib {
        policy: Arc::new(policy()),
        subnets: Arc::new(subnets),
        peers,
        by_id: Arc::new(by_id),
        by_addr: Arc::new(by_addr),
        tree: Arc::from([PeerId(1)]),
        branches: Arc::from([None, Some(PeerId(1)), Some(PeerId(1))]),
        legacy: Arc::from([]),
        station: Arc::default(),
        learnt: Arc::default(),
        relay_pace: None,
        gate: None,
    };
    (fib, theirs.session().expect("established"))
}

fn entry(peer: PeerId, name: NodeName, session: Option<Arc<Session>>) -> PeerEntry {
    let to = SocketAddr::from((Ipv4Addr::new(192, 0, 2, peer.0 as u8), 655));
    PeerEntry {
        peer,
        node_id: name.id(),
        name,
        reachable: true,
        nexthop: if peer == PeerId::ME { peer } else { PeerId(1) },
        via: peer,
        relay: None,
        options: Options(0x0700_000c),
        neighbour: peer == PeerId(1),
        udp: (peer != PeerId::ME).then_some(UdpTarget { to, socket: 0 }),
        udp_confirmed: peer != PeerId::ME,
        source: None,
        legacy: None,
        relays_for_us: peer != PeerId::ME,
        by_tcp: false,
        joins: false,
        sums: true,
        mtu: 1400,
        min_mtu: 1400,
        session,
        compression: 9,
        clamp_mss: true,
        stats: Arc::new(PeerStats::default()),
    }
}

fn policy() -> Policy {
    Policy {
        mode: Mode::Router,
        forwarding: Forwarding::Internal,
        decrement_ttl: true,
        compression: 9,
        priority_inheritance: true,
        ..Policy::default()
    }
}

pub(crate) fn config() -> Config {
    let host = |key: Option<PublicKey>| HostConfig { key, ..HostConfig::default() };
    Config {
        legacy: None,
        trust: TrustConfig::default(),
        name: name("alice"),
        port: 655,
        sockets: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 655))],
        subnets: vec![Subnet::parse("10.0.0.1").expect("a subnet")],
        broadcast_subnets: Vec::new(),
        connect_to: Vec::new(),
        hosts: BTreeMap::from([(name("bob"), host(Some(key(2).public()))), (name("carol"), host(None))]),
        proxy: None,
        invitation_key: Some(key(7)),
        policy: policy(),
        link: LinkPolicy::default(),
        mesh: MeshPolicy::default(),
        timing: Timing::default(),
    }
}
