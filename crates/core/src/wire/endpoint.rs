//! An address and port in binary: IPv6 address 16 (IPv4 as `::ffff:a.b.c.d`), port 2.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Length, in bytes.
pub(crate) const LEN: usize = 18;

pub(crate) fn decode(bytes: &[u8; LEN]) -> SocketAddr {
    let [ip @ .., high, low] = *bytes;
    let (ip, port): (Ipv6Addr, u16) = (Ipv6Addr::from(ip), u16::from_be_bytes([high, low]));
    SocketAddr::new(ip.to_canonical(), port)
}

pub(crate) fn encode(address: SocketAddr) -> [u8; LEN] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; LEN];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

/// Whether a node can be there.
pub(crate) fn is_a_nodes(address: SocketAddr) -> bool {
    let is_host = match address.ip() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => {
            !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none()
        }
    };
    is_host && address.port() != 0
}
