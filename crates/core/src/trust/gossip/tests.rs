use std::collections::{BTreeMap, BTreeSet};

use fides::{About, Claim, Key, Sign, Subject};

use super::*;
use crate::crypto::keys::SecretKey;
use crate::trust::{TrustConfig, key, secret_key, topics};

const NOW_MS: u64 = 1_800_000_000_000;

fn secret(number: u32) -> SecretKey {
    let mut seed = [3; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_seed(&seed)
}

fn key_of(number: u32) -> Key {
    key(&secret(number).public())
}

/// What the founder, number 0, says of somebody.
fn line(subject: u32, sign: Sign, later: u64) -> String {
    let about =
        About::Allow { subject: Subject::Key(key_of(subject)), topic: topics::word(topics::JOIN), args: vec![] };
    let claim = Claim::new(sign, about, NOW_MS + later, Time(NOW_MS / 1_000));
    claim.sign(&secret_key(&secret(0))).unwrap().to_string()
}

/// Two sides of nodes, the messages between them, and time.
struct Net {
    now: Instant,
    rng: Rng,
    nodes: Vec<(Trust, Gossip)>,
    neighbours: Vec<BTreeSet<usize>>,
    queue: BTreeMap<(Instant, u64), (usize, usize, Vec<u8>)>,
    /// When each node is to be woken.
    wakes: BTreeSet<(Instant, usize)>,
    sent: u64,
    bytes: usize,
    /// How many of a hundred messages get lost.
    loss: u64,
}

impl Net {
    fn new(count: usize, loss: u64) -> Self {
        let config = TrustConfig { founders: [key_of(0)].into(), ..TrustConfig::default() };
        let node = |number: u32| {
            let mut trust = Trust::new(config.clone(), &secret(number).public());
            trust.clock_mut().tell(Instant::ZERO, NOW_MS);
            (trust, Gossip::default())
        };
        Self {
            now: Instant::ZERO,
            rng: Rng::from_seed([9; 32]),
            nodes: (0..count).map(|number| node(u32::try_from(number).unwrap())).collect(),
            neighbours: vec![BTreeSet::new(); count],
            queue: BTreeMap::new(),
            wakes: BTreeSet::new(),
            sent: 0,
            bytes: 0,
            loss,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.rng.next_u64() % limit as u64).unwrap()
    }

    fn join(&mut self, one: usize, other: usize) {
        for (own, peer, starts) in [(one, other, true), (other, one, false)] {
            self.neighbours[own].insert(peer);
            let (trust, gossip) = &mut self.nodes[own];
            gossip.connect(peer_id(peer), starts, trust, self.now, &mut self.rng);
            self.post(own);
        }
    }

    /// Everybody gets 3 to 5 neighbours; all are connected.
    fn join_at_random(&mut self) {
        let count = self.nodes.len();
        (0..count).for_each(|node| self.join(node, (node + 1) % count));
        for node in 0..count {
            while self.neighbours[node].len() < 3 {
                let other = self.below(count);
                if other != node && !self.neighbours[node].contains(&other) && self.neighbours[other].len() < 5 {
                    self.join(node, other);
                }
            }
        }
    }

    fn accept(&mut self, node: usize, line: &str) {
        let now = self.now;
        let (trust, gossip) = &mut self.nodes[node];
        if let Accepted::New(item) = trust.accept(line, None, now).unwrap() {
            gossip.spread(&item, None, now);
        }
        self.post(node);
    }

    fn post(&mut self, node: usize) {
        for (peer, message) in self.nodes[node].1.take_messages() {
            self.sent += 1;
            self.bytes += message.len();
            let delay = Duration::from_millis(20 + self.rng.next_u64() % 80);
            if self.rng.next_u64() % 100 >= self.loss {
                self.queue.insert((self.now + delay, self.sent), (node, peer.index(), message));
            }
        }
        if let Some(at) = self.nodes[node].1.poll_timeout() {
            self.wakes.insert((at, node));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let message = self.queue.keys().next().map(|(at, _)| *at);
            let wake = self.wakes.first().map(|(at, _)| *at);
            let Some(next) = message.into_iter().chain(wake).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if message == Some(next) {
                let (_, (from, to, message)) = self.queue.pop_first().unwrap();
                self.hear(from, to, &message);
            } else {
                let (_, node) = self.wakes.pop_first().unwrap();
                let (trust, gossip) = &mut self.nodes[node];
                gossip.on_time(trust, self.now, &mut self.rng);
                self.post(node);
            }
        }
        self.now = end;
    }

    fn hear(&mut self, from: usize, to: usize, message: &[u8]) {
        let now = self.now;
        let (trust, gossip) = &mut self.nodes[to];
        let heard = gossip.on_message(trust, peer_id(from), message[0], &message[1..], now);
        for accepted in heard.accepted {
            if let Accepted::New(item) = accepted {
                gossip.spread(&item, Some(peer_id(from)), now);
            }
        }
        self.post(to);
    }

    fn knowing(&self, lines: usize) -> usize {
        self.nodes.iter().filter(|(trust, _)| trust.ledger().len() >= lines).count()
    }
}

fn peer_id(node: usize) -> PeerId {
    PeerId(u32::try_from(node).unwrap())
}

#[test]
fn what_one_side_lacks_it_gets_when_they_meet() {
    let mut net = Net::new(2, 0);
    (1..40).for_each(|number| net.accept(0, &line(number, Sign::Yes, u64::from(number))));
    net.join(0, 1);
    net.run(Duration::from_secs(1));
    assert_eq!(net.knowing(39), 2);
}

#[test]
fn a_push_goes_over_each_edge_once_and_is_confirmed() {
    let mut net = Net::new(3, 0);
    net.join(0, 1);
    net.join(1, 2);
    net.join(0, 2);
    net.run(Duration::from_secs(1));
    let before = net.sent;
    net.accept(0, &line(7, Sign::No, 1));
    net.run(Duration::from_secs(5));
    assert_eq!(net.knowing(1), 3);
    assert!(net.sent - before <= 8, "{} messages", net.sent - before);
}

/// fides, section 7 point 6: 1,000 nodes, each with 3 to 5 neighbours, 20 of 100 messages lost.
#[test]
fn a_deny_reaches_nearly_all_in_5_seconds_and_all_in_60() {
    let mut net = Net::new(1_000, 20);
    let common: Vec<String> = (1..10).map(|number| line(number, Sign::Yes, u64::from(number))).collect();
    for node in 0..1_000 {
        common.iter().for_each(|line| net.accept(node, line));
    }
    net.join_at_random();
    assert!(net.neighbours.iter().all(|peers| (3..=5).contains(&peers.len())));
    net.run(Duration::from_secs(20));

    net.accept(0, &line(99, Sign::No, 1_000));
    net.run(Duration::from_secs(5));
    let soon = net.knowing(10);
    net.run(Duration::from_secs(55));

    assert!(soon >= 990, "{soon} of 1,000 after 5 seconds");
    assert_eq!(net.knowing(10), 1_000);
}

#[test]
fn reconciliation_alone_spreads_what_pushes_missed() {
    let mut net = Net::new(20, 0);
    net.join_at_random();
    net.run(Duration::from_secs(1));
    let now = net.now;
    net.nodes[4].0.accept(&line(5, Sign::No, 1), None, now).unwrap();
    net.run(Duration::from_secs(600));
    assert_eq!(net.knowing(1), 20);
}

#[test]
fn wrong_signatures_shut_a_neighbour_out() {
    let mut net = Net::new(2, 0);
    net.join(0, 1);
    let forged = line(5, Sign::Yes, 1).replace("+ allow", "- allow");
    let message = Message::Items(vec![&forged]).encode();
    let (trust, gossip) = &mut net.nodes[0];
    let mut hear = || gossip.on_message(trust, peer_id(1), message[0], &message[1..], Instant::ZERO).is_shut_out;
    assert_eq!([hear(), hear(), hear()], [false, false, true]);
    let (trust, gossip) = &net.nodes[0];
    assert!(gossip.is_shut_out(peer_id(1), trust, Instant::ZERO));
    assert!(!gossip.is_shut_out(peer_id(1), trust, Instant::from_micros(601_000_000)));
}

#[test]
fn nonsense_changes_nothing() {
    let mut net = Net::new(2, 0);
    net.join(0, 1);
    let (trust, gossip) = &mut net.nodes[0];
    for kind in 0..=5 {
        for len in [0, 1, 8, 24, 400] {
            let heard = gossip.on_message(trust, peer_id(1), kind, &vec![kind; len], Instant::ZERO);
            assert!(heard.accepted.is_empty() && !heard.is_shut_out);
        }
    }
    assert_eq!(trust.ledger().len(), 0);
}
