//! Where a node's router passes datagrams on to it, told to other nodes (docs/protocol.md, "Sealed messages").
//!
//! ```text
//!  8 · for each address: IPv6 address 16 (IPv4 as ::ffff:a.b.c.d), port 2
//! ```

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::wire::endpoint;

/// The kind of the message.
pub const MAPPED: u8 = 8;

/// Addresses outside that lead to a node's UDP port: one of each family at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The IPv4 address and port that a router passes on.
    pub v4: Option<SocketAddrV4>,
    /// The IPv6 address and port for which a firewall has a hole.
    pub v6: Option<SocketAddrV6>,
}

impl Mapped {
    /// Both addresses, as far as there are any.
    pub fn addresses(self) -> impl Iterator<Item = SocketAddr> {
        self.v4.map(SocketAddr::V4).into_iter().chain(self.v6.map(SocketAddr::V6))
    }

    /// With `address` in its place; `None` if no node can be there.
    #[must_use]
    pub fn with(self, address: SocketAddr) -> Option<Self> {
        match address {
            _ if !endpoint::is_a_nodes(address) => None,
            SocketAddr::V4(v4) => Some(Self { v4: Some(v4), ..self }),
            SocketAddr::V6(v6) => Some(Self { v6: Some(v6), ..self }),
        }
    }

    /// Reads what follows the kind; `None` if it is no message: IPv4 comes first, and none twice.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (entries, []) = payload.as_chunks::<{ endpoint::LEN }>() else { return None };
        let mapped = entries.iter().try_fold(Self::default(), |mapped, entry| mapped.with(endpoint::decode(entry)))?;
        (mapped.addresses().map(endpoint::encode).eq(entries.iter().copied())).then_some(mapped)
    }

    /// Its bytes, kind included.
    pub fn encode(self) -> Vec<u8> {
        std::iter::once(MAPPED).chain(self.addresses().flat_map(endpoint::encode)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(v4: Option<&str>, v6: Option<&str>) -> Mapped {
        Mapped { v4: v4.map(|text| text.parse().unwrap()), v6: v6.map(|text| text.parse().unwrap()) }
    }

    #[test]
    fn messages_have_the_layout_of_the_table() {
        let both = mapped(Some("192.0.2.1:655"), Some("[2001:db8::1]:656"));
        let bytes = [
            &[8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1, 2, 143][..],
            &[32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 144],
        ]
        .concat();
        assert_eq!(both.encode(), bytes);
        assert_eq!(Mapped::parse(&bytes[1..]), Some(both));
        assert_eq!(Mapped::parse(&bytes[1..36]), None, "cut");
        assert_eq!(Mapped::parse(&[&bytes[19..], &bytes[1..19]].concat()), None, "in another order");
        assert_eq!(Mapped::parse(&[&bytes[1..19], &bytes[1..19]].concat()), None, "twice");
        assert_eq!(Mapped::parse(&[]), Some(Mapped::default()));
    }

    #[test]
    fn places_where_no_node_can_be_are_refused() {
        for wrong in
            ["0.0.0.0:1", "127.0.0.1:1", "224.0.0.1:1", "255.255.255.255:1", "192.0.2.1:0", "[::1]:1", "[ff02::1]:1"]
        {
            assert_eq!(Mapped::default().with(wrong.parse().unwrap()), None, "{wrong}");
        }
    }
}
