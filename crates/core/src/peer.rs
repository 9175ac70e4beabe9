//! `Peer`: another node as seen from here.

pub mod agreement;
pub mod asked;
pub mod health;
pub mod lifetime;
pub mod pieces;
pub mod pmtu;
pub mod relay;
pub mod streams;
pub mod tunnel;
pub mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::crypto::keys::PublicKey;
use crate::dataplane::fib::UdpTarget;
use crate::dataplane::stats::PeerStats;
use crate::name::{ConnId, NodeId, NodeName};
use crate::packet::MAX_FRAME;
use crate::peer::streams::Streams;
use crate::peer::tunnel::Tunnel;
use crate::time::Instant;

/// Most addresses kept of a node that worked before.
const CACHED_ADDRESSES: usize = 8;

/// What is known of one node.
#[derive(Debug)]
pub struct Peer {
    /// Its name.
    pub name: NodeName,
    /// Its id.
    pub node_id: NodeId,
    /// Its identity key, from a host file or asked for.
    pub key: Option<PublicKey>,
    /// The active connection to it.
    pub conn: Option<ConnId>,
    /// Connections that carry packets beside it; exists once packets went over it.
    pub streams: Option<Box<Streams>>,
    /// Whether the graph reached it when last looked.
    pub reachable: bool,
    /// When that changed.
    pub changed: Option<Instant>,
    /// Where to send UDP.
    pub udp: Option<UdpTarget>,
    /// Frame size told by others or by configuration, in bytes.
    pub mtu: u16,
    /// Keys, UDP path and MTU; exists once there is traffic.
    pub tunnel: Option<Box<Tunnel>>,
    /// Addresses that worked, best first.
    pub cached: Vec<SocketAddr>,
    /// Counters, shared with the packet path.
    pub stats: Arc<PeerStats>,
}

impl Peer {
    /// A node of which only the name is known.
    pub fn new(name: NodeName) -> Self {
        Self {
            node_id: name.id(),
            name,
            key: None,
            conn: None,
            streams: None,
            reachable: false,
            changed: None,
            udp: None,
            mtu: MAX_FRAME as u16,
            tunnel: None,
            cached: Vec::new(),
            stats: Arc::default(),
        }
    }

    /// Whether UDP works both ways.
    pub fn is_confirmed(&self) -> bool {
        self.tunnel.as_ref().is_some_and(|tunnel| tunnel.confirmed)
    }

    /// Whether its datagrams come from `address`, though ours go elsewhere.
    pub fn is_source(&self, address: SocketAddr) -> bool {
        self.tunnel.as_ref().is_some_and(|tunnel| tunnel.probing.source == Some(address))
    }

    /// Largest frame known to arrive over UDP, in bytes; 0: none.
    pub fn min_mtu(&self) -> u16 {
        self.tunnel.as_ref().map_or(0, |tunnel| tunnel.pmtu.min())
    }

    /// Its measured frame size, if the search has ended.
    pub fn fixed_mtu(&self) -> Option<u16> {
        let tunnel = self.tunnel.as_ref()?;
        (tunnel.pmtu.min() == tunnel.pmtu.max()).then(|| tunnel.pmtu.min())
    }

    /// Puts `address` first among those that worked; tells whether the list changed.
    pub fn remember(&mut self, address: SocketAddr) -> bool {
        if self.cached.first() == Some(&address) {
            return false;
        }
        self.cached.retain(|&known| known != address);
        self.cached.insert(0, address);
        self.cached.truncate(CACHED_ADDRESSES);
        true
    }
}
