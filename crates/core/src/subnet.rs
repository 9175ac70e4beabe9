//! Subnets: address ranges and MACs that nodes own, and who owns an address.
//!
//! Source: spec meta-protocol 8, routing 3.

mod table;
mod text;
mod trie;

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use table::{Owner, SubnetTable};
pub use text::SubnetError;

/// What a packet can be addressed to, and where a subnet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A station, in switch mode.
    Mac([u8; 6]),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl Address {
    /// Bits of an address of this kind.
    pub const fn bits(&self) -> u8 {
        match self {
            Self::Mac(_) => 48,
            Self::V4(_) => 32,
            Self::V6(_) => 128,
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Mac(_) => 0,
            Self::V4(_) => 1,
            Self::V6(_) => 2,
        }
    }

    /// The address as the leading bits of a number, so that all kinds compare alike.
    const fn leading(&self) -> u128 {
        match self {
            Self::Mac([a, b, c, d, e, f]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, 0, 0]) as u128) << 64,
            Self::V4(ip) => (ip.to_bits() as u128) << 96,
            Self::V6(ip) => ip.to_bits(),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

/// A range of addresses that a node owns; the lower the weight, the more it is preferred.
///
/// The host part of the address need not be zero. Subnets differ if any of their parts does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    address: Address,
    prefix: u8,
    weight: i32,
}

impl Subnet {
    /// The weight of a subnet that does not name one.
    pub const DEFAULT_WEIGHT: i32 = 10;

    /// The subnet of the addresses that agree with `address` in the first `prefix` bits.
    ///
    /// `None` if there are not so many bits, or if it is not all bits of a MAC.
    pub fn new(address: Address, prefix: u8, weight: i32) -> Option<Self> {
        let valid = match address {
            Address::Mac(_) => prefix == address.bits(),
            Address::V4(_) | Address::V6(_) => prefix <= address.bits(),
        };
        valid.then_some(Self { address, prefix, weight })
    }

    /// The subnet of one address.
    pub const fn host(address: Address) -> Self {
        Self { address, prefix: address.bits(), weight: Self::DEFAULT_WEIGHT }
    }

    /// The subnets that mean "everyone" in every mesh.
    pub const fn broadcast_defaults() -> [Self; 4] {
        [
            Self::host(Address::Mac([0xff; 6])),
            Self::host(Address::V4(Ipv4Addr::BROADCAST)),
            Self { prefix: 4, ..Self::host(Address::V4(Ipv4Addr::new(224, 0, 0, 0))) },
            Self { prefix: 8, ..Self::host(Address::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0))) },
        ]
    }

    /// The address as it was written, host part included.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// How many leading bits are fixed.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// How much it is preferred; lower is more.
    pub const fn weight(&self) -> i32 {
        self.weight
    }

    /// The same range with another weight.
    #[must_use]
    pub const fn with_weight(self, weight: i32) -> Self {
        Self { weight, ..self }
    }

    /// Whether `address` lies in the range.
    pub fn covers(&self, address: &Address) -> bool {
        self.address.kind() == address.kind() && (self.address.leading() ^ address.leading()) & self.mask() == 0
    }

    /// Whether the host part is zero, as it must be in configuration files.
    pub const fn is_canonical(&self) -> bool {
        self.address.leading() & !self.mask() == 0
    }

    const fn mask(&self) -> u128 {
        match self.prefix {
            0 => 0,
            prefix => u128::MAX << (128 - prefix as u32),
        }
    }

    fn order(&self) -> (u8, Reverse<u8>, Address, i32) {
        (self.address.kind(), Reverse(self.prefix), self.address, self.weight)
    }
}

/// MACs, IPv4, IPv6; longer prefixes first; then by address and weight.
impl Ord for Subnet {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Subnet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
