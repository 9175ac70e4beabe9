//! SPTPS: the security layer of tinc 1.1.
//!
//! One handshake machine (`handshake`) serves both forms of records: [`stream`] for meta connections and invitations,
//! [`datagram`] for sessions between nodes. Source: spec sptps 8 to 17.

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::keys::{PublicKey, SecretKey};
use crate::name::NodeName;

pub mod control;
pub mod datagram;
mod handshake;
pub mod stream;

/// Record type of handshake messages; application records have lower types, higher ones do not exist.
pub const HANDSHAKE: u8 = 128;
/// Label of an invitation; unlike the others it has no NUL at its end.
pub const INVITATION_LABEL: &[u8] = b"tinc invitation";

/// Which side of a session we are; never changes during it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that began.
    Initiator,
    /// The other one.
    Responder,
}

/// What both sides of a session know beforehand.
#[derive(Clone, Debug)]
pub struct Params {
    /// Our role.
    pub role: Role,
    /// Our identity.
    pub key: SecretKey,
    /// The peer's identity.
    pub peer: PublicKey,
    /// What the session is for; both sides must mean the same.
    pub label: Vec<u8>,
}

/// Label of a meta connection.
pub fn meta_label(initiator: &NodeName, responder: &NodeName) -> Vec<u8> {
    format!("tinc TCP key expansion {initiator} {responder}\0").into_bytes()
}

/// Label of a session between nodes.
pub fn udp_label(initiator: &NodeName, responder: &NodeName) -> Vec<u8> {
    format!("tinc UDP key expansion {initiator} {responder}\0").into_bytes()
}

/// The key of one direction.
pub(crate) type DirectionKey = Zeroizing<[u8; 32]>;

/// The keys of both directions, for whichever cipher.
pub(crate) struct SessionKeys {
    pub(crate) sending: DirectionKey,
    pub(crate) receiving: DirectionKey,
    /// Keys for what two tinmesh nodes tell each other outside of records: sending and receiving.
    pub(crate) control: (DirectionKey, DirectionKey),
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

/// Why SPTPS refuses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SptpsError {
    /// A datagram shorter than an empty record.
    #[error("shorter than an empty record")]
    TooShort,
    /// A record longer than the format allows.
    #[error("longer than a record can be")]
    TooLong,
    /// A handshake datagram lost, repeated or out of order.
    #[error("handshake record {got} came where {expected} is due")]
    WrongNumber {
        /// Its number.
        got: u32,
        /// The number that is due.
        expected: u32,
    },
    /// Damaged, forged, or sealed with other keys.
    #[error("the tag is wrong")]
    BadTag,
    /// Seen before.
    #[error("seen before")]
    Replayed,
    /// A record type that does not exist, or not here.
    #[error("unexpected record type {0}")]
    BadType(u8),
    /// An application record before the handshake is done.
    #[error("application record before the handshake is done")]
    TooEarly,
    /// A KEX of another length or version.
    #[error("not a key exchange message")]
    BadKex,
    /// A SIG of another length, or not by the peer's key.
    #[error("the signature is wrong")]
    BadSignature,
    /// An ACK with content.
    #[error("not an acknowledgement")]
    BadAck,
    /// An ephemeral key that is no curve point or has small order.
    #[error("the ephemeral key is weak")]
    WeakKey,
    /// Keys can be renewed only after a handshake and before the next.
    #[error("a handshake is under way")]
    Busy,
    /// All numbers of a key are used up.
    #[error("the key has served for too many records")]
    Exhausted,
}
