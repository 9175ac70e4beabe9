//! Targets for what the gate of the packet path reads: packets of members, and scopes of the topic `reach`.

use std::sync::Arc;

use fides::Word;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::dataplane::gate::{Filter, Gate, Reach, Relay, Rights};
use tinmesh_core::dataplane::scratch::Scratch;
use tinmesh_core::dataplane::verdict::Verdict;
use tinmesh_core::name::PeerId;
use tinmesh_core::packet::Packet;
use tinmesh_core::time::Instant;
use tinmesh_core::trust::topics;

use crate::mesh::{self, Target};

/// All targets of this module by name.
pub(crate) const TARGETS: [(&str, Target); 2] = [("gate", gate), ("reach_scopes", reach_scopes)];

const BOB: PeerId = PeerId(1);
/// What bob sends from, in IPv4.
const BOBS: [u8; 3] = [10, 0, 0];
const OPEN: (u16, u16) = (53, 53);

/// Packets of the device and of a neighbour in turn, each behind its length: what comes in is the neighbour's own, and
/// if it is UDP that nobody here has asked for, then to an open port.
fn gate(mut data: &[u8]) {
    let mut fib = mesh::fib().0;
    let reach = Arc::new(Reach { udp: [OPEN].into(), icmp: true, ..Reach::default() });
    let rights = Arc::new(Rights { relay: Relay::Yes, reach, ..Rights::default() });
    fib.gate = Some(Arc::new(Gate {
        checks_sources: true,
        filter: Some(Arc::new(Filter::new(&mut Rng::from_seed([4; 32])))),
        rights: vec![Some(rights); fib.peers.len()],
        ..Gate::default()
    }));
    let mut scratch = Scratch::new();
    let mut has_sent = false;
    for turn in 0..64_u64 {
        scratch.now = Instant::from_micros(turn * 20_000_000);
        let Some((&len, rest)) = data.split_first() else { return };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(len)));
        data = rest;
        let mut packet = Packet::from_payload(bytes);
        if turn % 2 == 0 {
            has_sent |= !bytes.is_empty();
            fib.outbound(&mut packet, &mut scratch);
        } else if fib.accept_record(BOB, 0, &mut packet, &mut scratch) == Verdict::Deliver && bytes[0] >> 4 == 4 {
            assert_eq!(bytes[12..15], BOBS, "from bob's addresses");
            let header = usize::from(bytes[0] & 15) * 4;
            let is_whole = bytes[6] & 0x3f == 0 && bytes[7] == 0;
            if bytes[9] == 17 && is_whole && !has_sent {
                assert_eq!(bytes[header + 2..header + 4], OPEN.0.to_be_bytes(), "an open port");
            }
        }
    }
}

/// Two lines of words: a scope covers itself, and what covers a scope covers what that covers.
fn reach_scopes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let scopes: Vec<Vec<Word>> =
        text.lines().take(3).map(|line| line.split(' ').filter_map(|word| Word::new(word).ok()).collect()).collect();
    let policy = topics::policy(None);
    let cover = policy.topic(&topics::word(topics::REACH)).cover;
    for scope in &scopes {
        assert!(cover.covers(scope, scope), "{scope:?}");
    }
    if let [wide, middle, narrow] = &scopes[..]
        && cover.covers(wide, middle)
        && cover.covers(middle, narrow)
    {
        assert!(cover.covers(wide, narrow), "{scopes:?}");
    }
}
