//! UDP paths that die, or become narrower, while packets flow.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::dataplane::fib::UdpTarget;
use crate::meta::error::PeerError;
use crate::name::{ConnId, PeerId};
use crate::node::Node;
use crate::peer::watch::Finding;
use crate::wire::hello::Feature;
use crate::wire::probe;

/// The round-trip time of a path on which none was measured.
const UNKNOWN_RTT: Duration = Duration::from_millis(200);
/// An address that answered so long ago may still be right.
const RECENT: Duration = Duration::from_secs(5);

impl Node {
    /// Looks whether datagrams come from `peer` while they go there.
    pub(super) fn watch(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(known) = self.peer_mut(peer) else { return };
        let stats = &known.stats;
        let counts =
            (stats.straight_out.load(Relaxed), stats.straight_in.load(Relaxed), stats.in_packets.load(Relaxed));
        let Some(tunnel) = known.tunnel.as_deref_mut().filter(|tunnel| tunnel.confirmed) else { return };
        let rtt = tunnel.probing.rtt.unwrap_or(UNKNOWN_RTT);
        if tunnel.watch.look(now, counts, rtt) {
            self.attend_soon(peer);
        }
    }

    /// There is a reason to doubt that datagrams arrive at `peer`.
    pub(super) fn doubt(&mut self, peer: PeerId) {
        let Some(tunnel) = self.tunnel_mut(peer).filter(|tunnel| tunnel.confirmed) else { return };
        if tunnel.watch.doubt() {
            self.attend_soon(peer);
        }
    }

    /// Asks, in doubt, whether datagrams arrive, and draws the conclusion.
    pub(super) fn attend_doubts(&mut self, peer: PeerId) {
        let now = self.now;
        let Some(known) = self.peer_mut(peer) else { return };
        let target = known.udp;
        let Some(tunnel) = known.tunnel.as_deref_mut().filter(|tunnel| tunnel.confirmed) else { return };
        let largest = tunnel.pmtu.min();
        let rtt = tunnel.probing.rtt.unwrap_or(UNKNOWN_RTT);
        match tunnel.watch.tick(now, rtt) {
            Finding::Nothing => {}
            Finding::Ask => {
                let sizes = [Some(probe::MIN_PROBE), Some(largest).filter(|&size| size > probe::MIN_PROBE)];
                for (target, size) in target.into_iter().flat_map(|target| sizes.map(|size| (target, size))) {
                    if let Some(size) = size {
                        self.send_request(peer, target, size);
                    }
                }
            }
            Finding::Silent => self.on_silence(peer),
            // A path that is throttled loses the long ones first.
            Finding::Hole if tunnel.health.shuns_datagrams() => {}
            Finding::Hole => match tunnel.health.failed(now) {
                Some(failed) => {
                    tunnel.health = failed;
                    self.touch(peer);
                }
                None if tunnel.pmtu.on_hole(now, rtt) => {
                    tunnel.health.reset();
                    self.touch(peer);
                    self.tell_doubt(peer);
                }
                None => {}
            },
        }
    }

    /// A packet of a tinmesh node whose path worked came from another address: as when a NAT gives its ports anew. Packets
    /// follow there at once, and the doubts that begin end that soon if nothing there answers.
    pub(super) fn follow(&mut self, peer: PeerId, target: UdpTarget) -> bool {
        if !self.uses(peer, Feature::Health) || !self.is_confirmed(peer) {
            return false;
        }
        if let Some(known) = self.peer_mut(peer) {
            known.udp = Some(target);
            if let Some(tunnel) = known.tunnel.as_deref_mut() {
                tunnel.probing.source = None;
                tunnel.lifetime.forget();
            }
        }
        self.touch(peer);
        self.doubt(peer);
        true
    }

    /// Nobody confirms what was sent on a connection. If the path to that peer has become narrower, its segments are too
    /// long, and another connection has shorter ones; else the peer is asked whether it is there.
    pub(super) fn on_stuck(&mut self, id: ConnId) {
        if self.connections.get(&id).is_some_and(|conn| conn.is_stream() && conn.is_set_up()) {
            return self.terminate(id, &PeerError::Stuck);
        }
        let Some(conn) = self.connections.get(&id).filter(|conn| conn.is_active()) else { return };
        let tunnel = conn.peer.and_then(|peer| self.tunnel(peer));
        if tunnel.is_some_and(|tunnel| tunnel.pmtu.has_shrunk(self.now)) {
            self.terminate(id, &PeerError::Narrow);
        } else {
            self.hasten_ping(id);
        }
    }

    /// Datagrams do not arrive at `peer`: packets take another way, and whoever is next on it is asked at once too.
    fn on_silence(&mut self, peer: PeerId) {
        let other = self.tunnel_mut(peer).and_then(|tunnel| tunnel.probing.alternative.take());
        self.on_udp_silent(peer);
        if let Some((target, _)) = other.filter(|(_, at)| self.now.since(*at) < RECENT) {
            self.adopt(peer, target);
            self.send_request(peer, target, probe::MIN_PROBE);
        }
        self.attend_soon(peer);
        if let Some(nexthop) = self.nexthop(peer).filter(|&nexthop| nexthop != peer) {
            self.doubt(nexthop);
        }
    }
}
