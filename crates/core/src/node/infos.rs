//! UDP_INFO and MTU_INFO: what nodes along the way know of each other's addresses and sizes.
//!
//! Source: spec datagrams 14, 15.

use std::net::SocketAddr;
use std::time::Duration;

use crate::name::{NodeName, PeerId};
use crate::node::Node;
use crate::packet::MAX_FRAME;
use crate::time::Instant;
use crate::wire::address::WireAddress;
use crate::wire::options::Options;
use crate::wire::request::Request;

/// Smallest minor that understands UDP_INFO.
const UDP_INFO_MINOR: u8 = 5;
/// Smallest minor that understands MTU_INFO.
const MTU_INFO_MINOR: u8 = 6;
/// Smallest MTU that may be told: tinc takes a smaller one for an attack and ends the connection.
const MIN_MTU: i32 = 512;

fn is_due(last: Option<Instant>, now: Instant, interval: Duration) -> bool {
    last.is_none_or(|last| now.since(last) >= interval)
}

impl Node {
    pub(super) fn is_neighbour(&self, peer: PeerId) -> bool {
        self.peer(peer).is_some_and(|known| known.conn.is_some())
    }

    pub(super) fn is_tcp_only(&self, peer: PeerId) -> bool {
        if peer == PeerId::ME { self.config.link.tcp_only } else { self.options_of(peer).has(Options::TCP_ONLY) }
    }

    /// Tells the source of traffic where `from` is, if that may help it.
    pub(super) fn consider_udp_info(&mut self, from: PeerId, to: PeerId) {
        let Some(to) = self.relay_of(to).filter(|&to| to != PeerId::ME) else { return };
        let Some(nexthop) = self.nexthop(to) else { return };
        let now = self.now;
        if from == PeerId::ME {
            let last = self.tunnel(to).and_then(|tunnel| tunnel.info_sent.0);
            if self.is_neighbour(to) || !is_due(last, now, self.config.timing.udp_info) {
                return;
            }
        }
        let tcp_only = [PeerId::ME, from, to].into_iter().any(|peer| self.is_tcp_only(peer));
        if tcp_only || self.options_of(nexthop).minor() < UDP_INFO_MINOR {
            return;
        }
        let Some(address) = self.info_address(from, nexthop) else { return };
        let (Some(start), Some(end)) = (self.name_of(from), self.name_of(to)) else { return };
        self.send_routed(nexthop, &Request::UdpInfo { from: start, to: end, address: WireAddress::Ip(address) });
        if from == PeerId::ME
            && let Some(tunnel) = self.open_tunnel(to)
        {
            tunnel.info_sent.0 = Some(now);
        }
    }

    fn info_address(&self, from: PeerId, nexthop: PeerId) -> Option<SocketAddr> {
        if from != PeerId::ME {
            return self.peer(from)?.udp.map(|target| target.to);
        }
        let conn = self.peer(nexthop)?.conn?;
        let local = self.connections.get(&conn)?.local?;
        Some(SocketAddr::new(local.ip(), self.config.port))
    }

    pub(super) fn on_udp_info(&mut self, from: &NodeName, to: &NodeName, address: WireAddress) {
        let Some(from) = self.mesh.graph.find(from).filter(|&from| from != PeerId::ME) else { return };
        if self.route(from).is_none_or(|route| route.via != from) {
            return;
        }
        let unsure = self.peer(from).is_some_and(|known| known.conn.is_none() && !known.is_confirmed());
        if let Some(address) = address.ip().filter(|_| unsure)
            && let Some(target) = self.target(address)
        {
            self.adopt(from, target);
        }
        if let Some(to) = self.mesh.graph.find(to) {
            self.consider_udp_info(from, to);
        }
    }

    /// Tells the source of traffic how large packets for `from` may be.
    pub(super) fn consider_mtu_info(&mut self, from: PeerId, to: PeerId, mtu: i32) {
        let Some(nexthop) = self.nexthop(to).filter(|_| to != PeerId::ME) else { return };
        let now = self.now;
        if from == PeerId::ME {
            let last = self.tunnel(to).and_then(|tunnel| tunnel.info_sent.1);
            if self.is_neighbour(to) || !is_due(last, now, self.config.timing.mtu_info) {
                return;
            }
        }
        if self.options_of(nexthop).minor() < MTU_INFO_MINOR {
            return;
        }
        let mtu = self.improved_mtu(from, mtu).max(MIN_MTU);
        let (Some(start), Some(end)) = (self.name_of(from), self.name_of(to)) else { return };
        self.send_routed(nexthop, &Request::MtuInfo { from: start, to: end, mtu });
        if from == PeerId::ME
            && let Some(tunnel) = self.open_tunnel(to)
        {
            tunnel.info_sent.1 = Some(now);
        }
    }

    fn improved_mtu(&self, from: PeerId, mtu: i32) -> i32 {
        if from == PeerId::ME {
            return mtu;
        }
        let Some(route) = self.route(from) else { return mtu };
        let fixed = |peer: PeerId| self.peer(peer).and_then(crate::peer::Peer::fixed_mtu).map(i32::from);
        if route.via == PeerId::ME
            && let Some(own) = fixed(from)
        {
            return own;
        }
        let relay = if route.via == PeerId::ME { route.nexthop } else { route.via };
        let behind = self.nexthop(relay).and_then(fixed);
        fixed(relay).or(behind).map_or(mtu, |limit| mtu.min(limit))
    }

    pub(super) fn on_mtu_info(&mut self, from: &NodeName, to: &NodeName, mtu: i32) {
        let mtu = mtu.min(MAX_FRAME as i32);
        let Some(from) = self.mesh.graph.find(from).filter(|&from| from != PeerId::ME) else { return };
        let measured = self.peer(from).and_then(crate::peer::Peer::fixed_mtu).is_some();
        if let (false, Ok(provisional)) = (measured, u16::try_from(mtu))
            && let Some(known) = self.peer_mut(from).filter(|known| known.mtu != provisional)
        {
            known.mtu = provisional;
            self.touch(from);
        }
        if let Some(to) = self.mesh.graph.find(to) {
            self.consider_mtu_info(from, to, mtu);
        }
    }
}
