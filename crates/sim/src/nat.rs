//! NATs, described in the words of RFC 4787: mapping, filtering, port assignment, lifetime, refresh, hairpinning.
//!
//! The same tables translate datagrams in virtual time and real packets in the laboratory: time and chance come in.

mod ports;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use table::NatTable;

/// RFC 4787 (REQ-5) asks for at least two minutes; many devices of homes keep UDP for less.
const LIFETIME: Duration = Duration::from_secs(120);

/// What a mapping, or a permission to send inwards, depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependence {
    /// On nothing but the inside endpoint.
    Endpoint,
    /// Also on the address of the other side.
    Address,
    /// Also on the address and port of the other side.
    AddressAndPort,
}

impl Dependence {
    /// All three, from the friendliest on.
    pub const ALL: [Self; 3] = [Self::Endpoint, Self::Address, Self::AddressAndPort];
}

/// How the outer port of a new mapping is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ports {
    /// The inside port if it is free, else a random one. Mappings to different endpoints may share an outer port.
    Preserving,
    /// One after the other, `step` further each time.
    Sequential {
        /// The distance; may be negative.
        step: i16,
    },
    /// Unpredictable, in the whole range.
    Random,
    /// Unpredictable in a block of so many ports that belongs to the inside address; no mapping when it is full.
    Block(u16),
}

/// Which packets keep a mapping alive (RFC 4787, REQ-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// Only those from the inside.
    Outward,
    /// Those from either side.
    BothWays,
}

/// The behaviour of a NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// When an inside endpoint gets another outer port.
    pub mapping: Dependence,
    /// Who may send inwards through a mapping.
    pub filtering: Dependence,
    /// How outer ports are chosen.
    pub ports: Ports,
    /// How long a mapping lives without packets that keep it alive.
    pub lifetime: Duration,
    /// Whose packets keep it alive.
    pub refresh: Refresh,
    /// Whether insiders reach each other by outer addresses.
    pub hairpin: bool,
    /// How many live mappings one inside address may have; `None`: as many as there are ports.
    pub limit: Option<u32>,
    /// Whether it refuses connections that it does not let in, instead of keeping quiet.
    pub resets: bool,
}

impl Nat {
    /// A NAT with hairpinning whose mappings live for two minutes after the last packet from the inside.
    pub const fn new(mapping: Dependence, filtering: Dependence, ports: Ports) -> Self {
        Self {
            mapping,
            filtering,
            ports,
            lifetime: LIFETIME,
            refresh: Refresh::Outward,
            hairpin: true,
            limit: None,
            resets: false,
        }
    }

    /// One outer port for all, open to all.
    pub const fn full_cone() -> Self {
        Self::new(Dependence::Endpoint, Dependence::Endpoint, Ports::Preserving)
    }

    /// One outer port for all, open to hosts that were written to.
    pub const fn restricted_cone() -> Self {
        Self::new(Dependence::Endpoint, Dependence::Address, Ports::Preserving)
    }

    /// One outer port for all, open to endpoints that were written to.
    pub const fn port_restricted_cone() -> Self {
        Self::new(Dependence::Endpoint, Dependence::AddressAndPort, Ports::Preserving)
    }

    /// Another, unpredictable outer port for every endpoint written to.
    pub const fn symmetric() -> Self {
        Self::new(Dependence::AddressAndPort, Dependence::AddressAndPort, Ports::Random)
    }

    /// As Linux does it: mappings of their own for every endpoint, but with the port of the inside while no other
    /// insider uses it towards the same endpoint.
    pub const fn linux() -> Self {
        Self::new(Dependence::AddressAndPort, Dependence::AddressAndPort, Ports::Preserving)
    }

    /// The same with other outer ports.
    #[must_use]
    pub const fn with_ports(self, ports: Ports) -> Self {
        Self { ports, ..self }
    }

    /// The same with another lifetime of mappings.
    #[must_use]
    pub const fn with_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// The same without hairpinning.
    #[must_use]
    pub const fn without_hairpin(self) -> Self {
        Self { hairpin: false, ..self }
    }

    /// The same with mappings that other packets keep alive.
    #[must_use]
    pub const fn with_refresh(self, refresh: Refresh) -> Self {
        Self { refresh, ..self }
    }

    /// The same, but it refuses connections that it does not let in.
    #[must_use]
    pub const fn with_resets(self) -> Self {
        Self { resets: true, ..self }
    }

    /// The same with so many live mappings for an inside address, at most.
    #[must_use]
    pub const fn with_limit(self, limit: u32) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

/// What a NAT has done for one inside address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mappings {
    /// Entries made: one for each part of the other side's endpoint that counts.
    pub made: u64,
    /// Outer ports taken. A NAT that keeps ports has many entries with one, so that nobody else goes without.
    pub ports: u64,
    /// Mappings that it did not get, because of a limit or for want of ports.
    pub refused: u64,
}
