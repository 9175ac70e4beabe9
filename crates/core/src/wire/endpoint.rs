//! An address and port in binary, or several: IPv6 address 16 (IPv4 as `::ffff:a.b.c.d`), port 2.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

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

/// Addresses and ports of one node: one of each family at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Of IPv4.
    pub v4: Option<SocketAddrV4>,
    /// Of IPv6.
    pub v6: Option<SocketAddrV6>,
}

impl Endpoints {
    /// Both, as far as there are any.
    pub fn addresses(self) -> impl Iterator<Item = SocketAddr> {
        self.v4.map(SocketAddr::V4).into_iter().chain(self.v6.map(SocketAddr::V6))
    }

    /// With `address` in its place; `None` if no node can be there.
    #[must_use]
    pub fn with(self, address: SocketAddr) -> Option<Self> {
        match address {
            _ if !is_a_nodes(address) => None,
            SocketAddr::V4(v4) => Some(Self { v4: Some(v4), ..self }),
            SocketAddr::V6(v6) => Some(Self { v6: Some(v6), ..self }),
        }
    }

    /// Reads one entry behind the other; `None` if they are none: IPv4 comes first, and no family twice.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (entries, []) = bytes.as_chunks::<LEN>() else { return None };
        let read = entries.iter().try_fold(Self::default(), |read, entry| read.with(decode(entry)))?;
        (read.addresses().map(encode).eq(entries.iter().copied())).then_some(read)
    }

    /// Their bytes.
    pub fn encode(self) -> Vec<u8> {
        self.addresses().flat_map(encode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_family_there_is_one_and_ipv4_comes_first() {
        let (v4, v6) = ("192.0.2.1:655".parse().unwrap(), "[2001:db8::1]:656".parse().unwrap());
        let both = Endpoints { v4: Some(v4), v6: Some(v6) };
        let bytes = both.encode();
        assert_eq!(bytes, [encode(v4.into()), encode(v6.into())].concat());
        assert_eq!(Endpoints::parse(&bytes), Some(both));
        assert_eq!(Endpoints::parse(&bytes[..LEN]), Some(Endpoints { v6: None, ..both }));
        assert_eq!(Endpoints::parse(&bytes[LEN..]), Some(Endpoints { v4: None, ..both }));
        assert_eq!(Endpoints::parse(&bytes[..LEN + 1]), None, "cut");
        assert_eq!(Endpoints::parse(&[&bytes[LEN..], &bytes[..LEN]].concat()), None, "in another order");
        assert_eq!(Endpoints::parse(&[&bytes[..LEN], &bytes[..LEN]].concat()), None, "twice");
        assert_eq!(Endpoints::parse(&[]), Some(Endpoints::default()));
    }

    #[test]
    fn places_where_no_node_can_be_are_refused() {
        for wrong in
            ["0.0.0.0:1", "127.0.0.1:1", "224.0.0.1:1", "255.255.255.255:1", "192.0.2.1:0", "[::1]:1", "[ff02::1]:1"]
        {
            assert_eq!(Endpoints::default().with(wrong.parse().unwrap()), None, "{wrong}");
        }
    }
}
