//! What the operator wants, in the form the node uses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::keys::{PublicKey, SecretKey};
use crate::dataplane::fib::Policy;
use crate::legacy::rsa;
use crate::legacy::session::Suite;
use crate::meta::proxy::Protocol;
use crate::name::NodeName;
use crate::subnet::Subnet;
use crate::trust::TrustConfig;
use crate::wire::hello::Features;

/// Settings of this node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub name: NodeName,
    /// UDP and TCP port that it announces.
    pub port: u16,
    /// Its UDP sockets' local addresses, in the order of socket indices.
    pub sockets: Vec<SocketAddr>,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Extra broadcast subnets.
    pub broadcast_subnets: Vec<Subnet>,
    /// Nodes to keep connected to.
    pub connect_to: Vec<NodeName>,
    /// How to speak with the proxy through which connections are made, if there is one.
    pub proxy: Option<Protocol>,
    /// What the host files say, by node. A node with an entry is an accepted identity.
    pub hosts: BTreeMap<NodeName, HostConfig>,
    /// The key of invitations, if there are any.
    pub invitation_key: Option<SecretKey>,
    /// How packets are treated.
    pub policy: Policy,
    /// What this node says of itself on every edge.
    pub link: LinkPolicy,
    /// What the mesh may do by itself.
    pub mesh: MeshPolicy,
    /// Times.
    pub timing: Timing,
    /// The protocol of tinc 1.0, if it is to be spoken.
    pub legacy: Option<Legacy>,
    /// Who decides what members may do.
    pub trust: TrustConfig,
}

/// How the protocol of tinc 1.0 is spoken.
#[derive(Clone, Debug)]
pub struct Legacy {
    /// This node's RSA key.
    pub key: Arc<rsa::PrivateKey>,
    /// How packets to this node are protected: variables `Cipher`, `Digest`, `MACLength`, `Compression`.
    pub suite: Suite,
    /// Variable `LegacyWeakCiphers`.
    pub weak: bool,
    /// Whether no other protocol is spoken, with anyone: variable `ExperimentalProtocol`, or there is no other key.
    pub only: bool,
}

/// What a node announces on its edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPolicy {
    /// Variable `IndirectData`.
    pub indirect: bool,
    /// Variable `TCPOnly`.
    pub tcp_only: bool,
    /// Variable `PMTUDiscovery`.
    pub pmtu_discovery: bool,
    /// Variable `ClampMSS`.
    pub clamp_mss: bool,
    /// Variable `Weight`; measured without it.
    pub weight: Option<i32>,
    /// Variable `PMTU`.
    pub pmtu: Option<u16>,
}

impl Default for LinkPolicy {
    fn default() -> Self {
        Self { indirect: false, tcp_only: false, pmtu_discovery: true, clamp_mss: true, weight: None, pmtu: None }
    }
}

/// What the mesh may do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshPolicy {
    /// Variable `AutoConnect`.
    pub auto_connect: bool,
    /// Variable `StrictSubnets`.
    pub strict_subnets: bool,
    /// Variable `TunnelServer`.
    pub tunnel_server: bool,
    /// Variable `UDPDiscovery`.
    pub udp_discovery: bool,
    /// Variable `LocalDiscovery`.
    pub local_discovery: bool,
    /// What may be agreed on with tinmesh nodes: variable `Extensions`.
    pub extensions: Features,
    /// Variable `ReplayWindow`, in bytes.
    pub replay_window: u16,
    /// Variable `MaxConnectionBurst`.
    pub max_connection_burst: u32,
    /// Variable `MaxOutputBufferSize`, in bytes: packets that may wait for a connection.
    pub max_output_buffer: Option<usize>,
}

impl Default for MeshPolicy {
    fn default() -> Self {
        Self {
            auto_connect: true,
            strict_subnets: false,
            tunnel_server: false,
            udp_discovery: true,
            local_discovery: true,
            extensions: Features::all(),
            replay_window: 16,
            max_connection_burst: 10,
            max_output_buffer: None,
        }
    }
}

/// Times, with tinc's defaults (spec: configuration 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Variable `PingInterval`.
    pub ping_interval: Duration,
    /// Variable `PingTimeout`.
    pub ping_timeout: Duration,
    /// Variable `MaxTimeout`.
    pub max_timeout: Duration,
    /// Variable `KeyExpire`.
    pub key_expire: Duration,
    /// Variable `UDPDiscoveryInterval`.
    pub udp_interval: Duration,
    /// Variable `UDPDiscoveryKeepaliveInterval`; without it, what was learnt of the path.
    pub udp_keepalive: Option<Duration>,
    /// Variable `UDPDiscoveryTimeout`.
    pub udp_timeout: Duration,
    /// Variable `UDPInfoInterval`.
    pub udp_info: Duration,
    /// Variable `MTUInfoInterval`.
    pub mtu_info: Duration,
    /// Variable `MACExpire`.
    pub mac_expire: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            ping_interval: secs(60),
            ping_timeout: secs(5),
            max_timeout: secs(900),
            key_expire: secs(3600),
            udp_interval: secs(2),
            udp_keepalive: None,
            udp_timeout: secs(30),
            udp_info: secs(5),
            mtu_info: secs(5),
            mac_expire: secs(600),
        }
    }
}

/// What a host file says of another node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// Its key, if known.
    pub key: Option<PublicKey>,
    /// Its RSA key, for the protocol of tinc 1.0.
    pub rsa: Option<rsa::PublicKey>,
    /// Where to dial it: host and port.
    pub addresses: Vec<(String, u16)>,
    /// Its subnets, for `StrictSubnets`.
    pub subnets: Vec<Subnet>,
    /// `IndirectData` for this peer.
    pub indirect: bool,
    /// `TCPOnly` for this peer.
    pub tcp_only: bool,
    /// `ClampMSS` for this peer.
    pub clamp_mss: Option<bool>,
    /// `Weight` for this peer.
    pub weight: Option<i32>,
    /// `PMTU` for this peer.
    pub pmtu: Option<u16>,
    /// Addresses that worked before, best first.
    pub cached: Vec<SocketAddr>,
}
