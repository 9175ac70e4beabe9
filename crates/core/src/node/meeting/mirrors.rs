//! Mirrors: neighbours that tell where a connection comes from.
//!
//! ```text
//!  asker ─ sealed: token ───────────────────► neighbour
//!        ─ connection: `0 @TOKEN 17` ───────►
//!        ◄────── sealed: token, address ─────
//! ```
//!
//! The connection stays open until the attempt ends, so that the NAT keeps the port.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::meta::connection::{Connection, Phase};
use crate::meta::error::PeerError;
use crate::name::{ConnId, PeerId};
use crate::node::Node;
use crate::node::io::Output;
use crate::time::Instant;
use crate::wire::endpoint::Endpoints;
use crate::wire::hello::Feature;
use crate::wire::meet::{Message, Token};

/// Neighbours of each family that are asked in an attempt: two show whether the port depends on whom one writes to.
const ASKED: usize = 2;
/// Connections of others that are expected at a time.
const EXPECTED: usize = 32;
/// How long one may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// An own connection that is to be told where it comes from.
#[derive(Debug)]
pub(super) struct Mirror {
    /// For the attempt to reach this node.
    attempt: PeerId,
    /// The neighbour.
    at: PeerId,
    token: Token,
    /// Whether it goes there over IPv4: then it comes from an address of that kind.
    v4: bool,
    seen: Option<SocketAddr>,
}

/// A connection of another node that will come.
#[derive(Debug)]
struct Expected {
    token: Token,
    from: PeerId,
    until: Instant,
}

/// Connections of others that want to be told where they come from. Who asks for many takes nobody else's place.
#[derive(Debug, Default)]
pub(in crate::node) struct Awaited {
    /// The oldest first.
    list: VecDeque<Expected>,
}

impl Awaited {
    fn add(&mut self, now: Instant, from: PeerId, token: Token) {
        self.list.retain(|other| other.until > now);
        self.list.push_back(Expected { token, from, until: now + ON_ITS_WAY });
        if self.list.len() > EXPECTED {
            let count = |other: &Expected| self.list.iter().filter(|each| each.from == other.from).count();
            // Of several that wait for as many, the one that has waited longest.
            let most = self.list.iter().rev().max_by_key(|other| count(other)).map(|other| other.from);
            if let Some(at) = self.list.iter().position(|other| Some(other.from) == most) {
                self.list.remove(at);
            }
        }
    }

    /// Who waits for the connection with this token, which is here.
    pub(in crate::node) fn take(&mut self, now: Instant, token: Token) -> Option<PeerId> {
        let at = self.list.iter().position(|expected| expected.token == token && expected.until > now)?;
        self.list.remove(at).map(|expected| expected.from)
    }
}

impl Node {
    /// Neighbours that can be dialled, at different addresses of each family.
    pub(super) fn possible_mirrors(&self) -> Vec<(PeerId, SocketAddr)> {
        let usable = |conn: &&Connection| {
            conn.is_active() && conn.was_dialled() && conn.peer.is_some_and(|peer| self.uses(peer, Feature::Meet))
        };
        let usable: Vec<&Connection> = self.connections.values().filter(usable).collect();
        let of_family = |v4: bool| {
            let own = usable.iter().filter(|conn| conn.remote.is_ipv4() == v4);
            // Those of the own network see what nobody outside does.
            let outside = own.clone().any(|conn| !is_private(conn.remote.ip()));
            let mut found: Vec<(PeerId, SocketAddr)> = Vec::new();
            for conn in own.filter(|conn| !outside || !is_private(conn.remote.ip())) {
                let Some(peer) = conn.peer else { continue };
                let new = found.iter().all(|(_, other)| other.ip() != conn.remote.ip());
                if new && found.len() < ASKED {
                    found.push((peer, conn.remote));
                }
            }
            found
        };
        [of_family(true), of_family(false)].concat()
    }

    pub(super) fn ask_mirror(&mut self, attempt: PeerId, (at, to): (PeerId, SocketAddr), port: u16) {
        let (id, token) = (self.next_conn(), Token(self.rng.bytes()));
        let Some(name) = self.name_of(at) else { return };
        self.meetings.mirrors.insert(id, Mirror { attempt, at, token, v4: to.is_ipv4(), seen: None });
        self.send_sealed(at, &Message::Mirror(token).encode());
        self.emit(Output::Connect { conn: id, peer: name, to, from: Some(port) });
    }

    pub(in crate::node) fn on_mirror_connected(&mut self, id: ConnId) -> bool {
        let Some(mirror) = self.meetings.mirrors.get(&id) else { return false };
        let bytes = mirror.token.line().into_bytes();
        self.emit(Output::Send { conn: id, bytes });
        true
    }

    pub(super) fn on_mirror_closed(&mut self, id: ConnId) -> bool {
        let Some(&Mirror { attempt, seen, .. }) = self.meetings.mirrors.get(&id) else { return false };
        if seen.is_none() {
            self.meetings.mirrors.remove(&id);
            self.evaluate_if_complete(attempt);
        }
        true
    }

    pub(super) fn close_mirrors(&mut self, attempt: PeerId) {
        let own = self.meetings.mirrors.iter().filter(|(_, mirror)| mirror.attempt == attempt);
        for conn in own.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.meetings.mirrors.remove(&conn);
            self.emit(Output::Close { conn, tarpit: false });
        }
    }

    pub(super) fn on_mirror_seen(&mut self, origin: PeerId, token: Token, from: SocketAddr) {
        let mut mirrors = self.meetings.mirrors.values_mut();
        let is_own = |mirror: &&mut Mirror| mirror.token == token && mirror.at == origin && mirror.v4 == from.is_ipv4();
        let Some(mirror) = mirrors.find(is_own) else { return };
        mirror.seen = Some(from);
        let peer = mirror.attempt;
        self.evaluate_if_complete(peer);
    }

    fn evaluate_if_complete(&mut self, peer: PeerId) {
        let mut own = self.meetings.mirrors.values().filter(|mirror| mirror.attempt == peer);
        if own.all(|mirror| mirror.seen.is_some()) {
            self.evaluate_mirrors(peer);
        }
    }

    /// All have answered that will. Of a NAT that gives each connection another port the next one is not known.
    pub(super) fn evaluate_mirrors(&mut self, peer: PeerId) {
        let measuring = self.meetings.attempts.get(&peer).is_some_and(super::Attempt::is_measuring);
        let own = self.meetings.mirrors.values().filter(|mirror| mirror.attempt == peer);
        let seen: Vec<SocketAddr> = own.filter_map(|mirror| mirror.seen).collect();
        let of_family = |v4: bool| {
            let mut places = seen.iter().filter(|place| place.is_ipv4() == v4);
            let first = places.next()?;
            places.all(|other| other == first).then_some(*first)
        };
        let known = [true, false].into_iter().filter_map(of_family);
        let known = known.fold(Endpoints::default(), |all, place| all.with(place).unwrap_or(all));
        match measuring {
            true if known == Endpoints::default() => self.end_meeting(peer, Some(seen.is_empty())),
            true => self.on_meeting_measured(peer, known),
            false => {}
        }
    }

    /// A neighbour wants to know where a connection comes from, which may be here already.
    pub(super) fn expect_mirrored(&mut self, from: PeerId, token: Token) {
        let now = self.now;
        if !self.tunnel_mut(from).is_some_and(|tunnel| tunnel.questions.take(now)) {
            return;
        }
        let waits = |conn: &&Connection| matches!(conn.phase, Phase::Mirroring(waiting) if waiting == token);
        if let Some(remote) = self.connections.values().find(waits).map(|conn| conn.remote) {
            return self.send_sealed(from, &Message::Seen(token, remote).encode());
        }
        self.meetings.awaited.add(now, from, token);
    }

    /// A connection began with a token: whoever sent that is told where it comes from.
    pub(in crate::node) fn mirror(&mut self, id: ConnId, token: Token) -> Result<(), PeerError> {
        let now = self.now;
        let wanted = self.config.mesh.extensions.has(Feature::Meet);
        let Some(conn) = self.connections.get_mut(&id).filter(|conn| wanted && !conn.is_outgoing() && !conn.is_met())
        else {
            return Err(PeerError::Unexpected { got: "token", expected: "ID" });
        };
        conn.phase = Phase::Mirroring(token);
        let remote = conn.remote;
        if let Some(from) = self.meetings.awaited.take(now, token) {
            self.send_sealed(from, &Message::Seen(token, remote).encode());
        }
        Ok(())
    }
}

/// Whether an address may be of a network behind a NAT (RFC 1918, 3927, 4193, 4291).
const fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_many_connections_takes_nobody_elses_place() {
        let (mut awaited, now) = (Awaited::default(), Instant::from_micros(1_000_000));
        let (quiet, loud, late) = (PeerId(1), PeerId(2), PeerId(3));
        awaited.add(now, quiet, Token([1; 16]));
        for number in 100..200 {
            awaited.add(now, loud, Token([number; 16]));
        }
        awaited.add(now, late, Token([3; 16]));
        assert_eq!(awaited.list.len(), EXPECTED);
        assert_eq!(awaited.take(now, Token([1; 16])), Some(quiet));
        assert_eq!(awaited.take(now, Token([3; 16])), Some(late));
        assert_eq!(awaited.take(now, Token([199; 16])), Some(loud));
        assert_eq!((awaited.take(now, Token([199; 16])), awaited.take(now, Token([100; 16]))), (None, None));
        assert_eq!(awaited.take(now + ON_ITS_WAY, Token([198; 16])), None, "too late");
    }
}
