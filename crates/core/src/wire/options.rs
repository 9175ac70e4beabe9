//! The option word of edges and ACK requests (spec: meta-protocol 5.4).

use std::fmt;

/// 32 bits: flags, and the protocol minor in the top byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Options(pub u32);

impl Options {
    /// The node is only reachable through the node that announces the edge.
    pub const INDIRECT: u32 = 0x1;
    /// Only the meta connection may be used.
    pub const TCP_ONLY: u32 = 0x2;
    /// Path MTU discovery is wanted.
    pub const PMTU_DISCOVERY: u32 = 0x4;
    /// TCP's MSS is to be clamped.
    pub const CLAMP_MSS: u32 = 0x8;

    /// The node is tinmesh, and understands what goes beyond tinc.
    pub const TINMESH: u32 = 0x100;
    /// Smallest minor that puts ids in front of datagrams, and so can relay.
    const IDS_MINOR: u8 = 4;

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: u32) -> bool {
        self.0 & flags == flags
    }

    /// The protocol minor.
    pub const fn minor(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Whether datagrams to and from the node have ids in front.
    pub const fn has_ids(self) -> bool {
        self.minor() >= Self::IDS_MINOR
    }

    /// The same flags with another protocol minor.
    #[must_use]
    pub const fn with_minor(self, minor: u8) -> Self {
        Self(self.0 & 0x00ff_ffff | (minor as u32) << 24)
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_minor_share_the_word() {
        let options = Options(Options::PMTU_DISCOVERY | Options::CLAMP_MSS).with_minor(7);
        assert_eq!(options.to_string(), "700000c");
        assert_eq!(options.minor(), 7);
        assert!(options.has(Options::PMTU_DISCOVERY | Options::CLAMP_MSS));
        assert!(!options.has(Options::PMTU_DISCOVERY | Options::INDIRECT));
        assert_eq!(Options(0xff00_000c).with_minor(7), options);
    }
}
