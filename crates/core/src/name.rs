//! Names and ids of nodes (spec: meta-protocol 1, datagrams 2).

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha512};

/// The name of a node: one or more of `A-Z a-z 0-9 _`, case sensitive, at most 2,048 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

/// Why a text is not a node name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node name consists of one or more of A-Z a-z 0-9 _")]
pub struct NameError;

impl NodeName {
    /// Longest name, in bytes: a request token holds no more.
    pub const MAX_LEN: usize = 2048;

    /// Checks `text` and makes it a name.
    ///
    /// # Errors
    /// If `text` is empty, too long or has another character than those allowed.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(valid) {
            return Err(NameError);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that stands for this name in datagrams.
    pub fn id(&self) -> NodeId {
        let hash = Sha512::digest(self.0.as_bytes());
        let mut id = [0; 6];
        id.copy_from_slice(&hash[..6]);
        NodeId(id)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first six bytes of SHA-512 of a node's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 6]);

impl NodeId {
    /// Six zero bytes: "the node this datagram is sent to".
    pub const NULL: Self = Self([0; 6]);
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A node's place in the tables of one running node; means nothing to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

impl PeerId {
    /// This node itself.
    pub const ME: Self = Self(0);

    /// The index into a table of peers.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A meta connection; numbers are given by whoever owns the sockets and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl ConnId {
    /// Bit of connections that others made to us; the node numbers its own without it.
    pub const ACCEPTED: u64 = 1 << 63;
    /// Bit of connections that both ends open at once; the node whose name is the greater one counts them as accepted.
    pub const MET: u64 = 1 << 58;

    /// The number alone.
    pub const fn number(self) -> u64 {
        self.0 & !(Self::ACCEPTED | Self::MET)
    }
}
