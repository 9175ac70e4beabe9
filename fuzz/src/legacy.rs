//! Targets for what the protocol of tinc 1.0 reads from outside. None may panic, whatever the input.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::Role;
use tinmesh_core::legacy::cipher::Cipher;
use tinmesh_core::legacy::digest::Digest;
use tinmesh_core::legacy::link::{Link, Proof};
use tinmesh_core::legacy::rsa::PrivateKey;
use tinmesh_core::legacy::session::{Session, Suite};
use tinmesh_core::name::ConnId;
use tinmesh_core::node::Node;
use tinmesh_core::node::config::{Config, HostConfig, Legacy};
use tinmesh_core::node::io::Input;
use tinmesh_core::packet::Packet;
use tinmesh_core::time::Instant;

use crate::mesh::{self, Target, accepted, name, sent};

/// All targets of this module by name.
pub(crate) const TARGETS: [(&str, Target); 3] =
    [("legacy_link", link), ("legacy_packets", packets), ("legacy_gossip", gossip)];

/// Our key, and the peer's.
fn keys() -> &'static [PrivateKey; 2] {
    static KEYS: OnceLock<[PrivateKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| {
        [1, 2].map(|number| PrivateKey::generate(1024, &mut Rng::from_seed([number; 32])).expect("a proper size"))
    })
}

/// Lines of the authentication, in the clear or, if the first byte is odd, after a genuine METAKEY and encrypted by its
/// owner. They authenticate nobody: they are not made from our challenge.
fn link(data: &[u8]) {
    let Some((kind, lines)) = data.split_first() else { return };
    let [own, peer] = keys();
    for (role, other) in [(Role::Initiator, Role::Responder), (Role::Responder, Role::Initiator)] {
        let mut rng = Rng::from_seed([9; 32]);
        let proper = "the keys are long enough";
        let (mut link, _) = Link::start(role, peer.public().clone(), false, &mut rng).expect(proper);
        let (mut sender, meta_key) = Link::start(other, own.public().clone(), false, &mut rng).expect(proper);
        let mut take = |link: &mut Link, line: &[u8]| {
            link.on_request(line, Proof { key: own, weak: kind & 2 != 0, rng: &mut rng }).is_ok()
        };
        if kind & 1 != 0 {
            assert!(take(&mut link, meta_key.strip_suffix(b"\n").expect("a line")), "a genuine METAKEY is taken");
        }
        for line in lines.split(|&byte| byte == b'\n') {
            let mut line = line.to_vec();
            if link.is_encrypted() {
                let sealed = sender.seal(&line).expect("little was said");
                link.receive(&sealed).expect("little was said");
                let len = link.rest().len();
                line = link.take(len);
            }
            if !take(&mut link, &line) {
                break;
            }
        }
        assert!(!link.is_authenticated(), "nobody answered our challenge");
    }
}

/// A datagram, or a frame, under the suite that the first two bytes choose: it opens or not, and a frame that is sealed
/// opens to itself.
fn packets(data: &[u8]) {
    let [cipher, digest, rest @ ..] = data else { return };
    let ciphers: Vec<Option<Cipher>> = Cipher::all().map(Some).chain([None]).collect();
    let digests: Vec<Option<Digest>> = Digest::ALL.iter().copied().map(Some).chain([None]).collect();
    let digest = digests[usize::from(*digest) % digests.len()];
    let mac_length = digest.map_or(0, |digest| digest.size() as u8).min(cipher % 13);
    let suite = Suite { cipher: ciphers[usize::from(*cipher) % ciphers.len()], digest, mac_length, compression: 0 };
    let (receiver, key) =
        Session::default().with_own_key(suite, 16, &mut Rng::from_seed([1; 32])).expect("a proper suite");
    let sender = Session::default().with_peers_key(suite, &key).expect("its own key fits");

    let _ = receiver.is_authentic(rest);
    let rest = &rest[..rest.len().min(1600)];
    let _ = receiver.open(&mut Packet::from_payload(rest));

    let (receiver, key) =
        Session::default().with_own_key(suite, 16, &mut Rng::from_seed([1; 32])).expect("a proper suite");
    let mut packet = Packet::from_payload(rest);
    assert!(sender.seal(&mut packet), "there is room");
    assert_eq!(receiver.open(&mut packet), Ok(()), "{suite:?}");
    assert_eq!(packet.payload(), rest, "{suite:?}");
    assert!(Session::default().with_peers_key(suite, &key[1..]).is_none(), "a key that was cut");
}

/// Requests of an authenticated neighbour with tinc 1.0, one a line; time passes between them.
fn gossip(data: &[u8]) {
    let mut node = Node::new(config(), mesh::key(1), [6; 32], Instant::ZERO);
    let conn = ConnId(ConnId::ACCEPTED | 1);
    let mut link = connect(&mut node, conn).expect("a proper greeting");
    for (at, line) in data.split(|&byte| byte == b'\n').enumerate() {
        let now = Instant::from_micros(at as u64 * 100_000);
        let bytes = link.seal(&[line, b"\n"].concat()).expect("little was said");
        node.handle(now, Input::Received { conn, bytes: &bytes });
        if node.poll_timeout().is_some_and(|due| due <= now) {
            node.handle(now, Input::Timeout);
        }
        let Some(bytes) = sent(&mut node, conn) else { return };
        link.receive(&bytes).expect("little was said");
    }
}

/// The other end of an authenticated connection, `old`; nothing if the node would not have it.
fn connect(node: &mut Node, conn: ConnId) -> Option<Link> {
    let [own, peer] = keys();
    let mut rng = Rng::from_seed([7; 32]);
    let (mut link, meta_key) = Link::start(Role::Initiator, own.public().clone(), false, &mut rng)?;
    let mut prove = |link: &mut Link, line: &[u8]| {
        link.on_request(line, Proof { key: peer, weak: false, rng: &mut rng }).map(|progress| progress.send).ok()
    };
    node.handle(Instant::ZERO, accepted(conn));
    node.handle(Instant::ZERO, Input::Received { conn, bytes: b"0 old 17\n" });
    let greeting = sent(node, conn)?;
    let theirs = greeting.split(|&byte| byte == b'\n').nth(1)?;
    let challenge = prove(&mut link, theirs)?;
    node.handle(Instant::ZERO, Input::Received { conn, bytes: &[meta_key, challenge].concat() });
    link.receive(&sent(node, conn)?).ok()?;
    let challenged = take_line(&mut link)?;
    let reply = prove(&mut link, &challenged)?;
    node.handle(Instant::ZERO, Input::Received { conn, bytes: &reply });
    link.receive(&sent(node, conn)?).ok()?;
    let replied = take_line(&mut link)?;
    prove(&mut link, &replied)?;
    let ack = link.seal(b"4 655 10 c\n").ok()?;
    node.handle(Instant::ZERO, Input::Received { conn, bytes: &ack });
    Some(link)
}

fn take_line(link: &mut Link) -> Option<Vec<u8>> {
    let end = link.rest().iter().position(|&byte| byte == b'\n')?;
    let mut line = link.take(end + 1);
    line.pop();
    Some(line)
}

fn config() -> Config {
    let [own, peer] = keys();
    let suite = Suite { cipher: Cipher::by_id(427), digest: Digest::by_id(672), mac_length: 4, compression: 0 };
    let legacy = Legacy { key: Arc::new(own.clone()), suite, weak: true, only: false };
    let old = HostConfig { rsa: Some(peer.public().clone()), ..HostConfig::default() };
    Config { legacy: Some(legacy), hosts: BTreeMap::from([(name("old"), old)]), ..mesh::config() }
}
