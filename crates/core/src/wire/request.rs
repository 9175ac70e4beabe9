//! Requests: what neighbours say to each other, one line each (spec: meta-protocol 4.4, 6).
//!
//! A request is checked whole when it is read, because whoever passes a bad one on is
//! disconnected by the next node. What is passed on is the text as it came, not what is printed
//! here.

mod parse;

use std::fmt;

use crate::name::NodeName;
use crate::subnet::Subnet;
use crate::wire::address::WireAddress;
use crate::wire::options::Options;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Who is there; the only request that is never encrypted.
    Id {
        /// A node's name, `^` and a control cookie, or `?` and the key of somebody who joins.
        name: String,
        /// The protocol.
        major: u16,
        /// Its minor; tinc 1.0 names none.
        minor: Option<u16>,
    },
    /// The connection is secured.
    Ack {
        /// The sender's UDP port.
        port: String,
        /// The sender's estimate of the weight in milliseconds.
        weight: i32,
        /// Options of the connection, with the sender's minor.
        options: Options,
    },
    /// Good-bye.
    TermReq,
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// A node has a subnet.
    AddSubnet {
        /// Tells requests of the same content apart.
        nonce: u32,
        /// The node.
        owner: NodeName,
        /// The subnet.
        subnet: Subnet,
    },
    /// A node has a subnet no longer.
    DelSubnet {
        /// Tells requests of the same content apart.
        nonce: u32,
        /// The node.
        owner: NodeName,
        /// The subnet.
        subnet: Subnet,
    },
    /// A node is connected to another, or that connection has changed.
    AddEdge {
        /// Tells requests of the same content apart.
        nonce: u32,
        /// The node that says so.
        from: NodeName,
        /// The node at the other end.
        to: NodeName,
        /// Where `from` sees `to`.
        address: WireAddress,
        /// Options, with the minor of `to`.
        options: Options,
        /// Weight in milliseconds.
        weight: i32,
        /// `from`'s own address of that connection.
        local: Option<WireAddress>,
    },
    /// A node is connected to another no longer.
    DelEdge {
        /// Tells requests of the same content apart.
        nonce: u32,
        /// The node that says so.
        from: NodeName,
        /// The node at the other end.
        to: NodeName,
    },
    /// A node's legacy key is void.
    KeyChanged {
        /// Tells requests of the same content apart.
        nonce: u32,
        /// The node.
        name: NodeName,
    },
    /// A node wants something of another that has to do with keys.
    ReqKey {
        /// Who wants.
        from: NodeName,
        /// Of whom.
        to: NodeName,
        /// What.
        kind: KeyRequest,
    },
    /// An answer to that, or a message of a session handshake.
    AnsKey(AnsKey),
    /// A frame of so many bytes follows.
    Packet {
        /// Its length in bytes.
        len: u16,
    },
    /// A sealed packet follows outside the encrypted stream.
    SptpsPacket {
        /// Its length in bytes, with both ids.
        len: u16,
    },
    /// Where a node can be reached over UDP.
    UdpInfo {
        /// That node.
        from: NodeName,
        /// Whom it concerns.
        to: NodeName,
        /// Where.
        address: WireAddress,
    },
    /// Between tinmesh nodes: this connection is for packets only.
    Stream,
    /// How large packets for a node may be.
    MtuInfo {
        /// That node.
        from: NodeName,
        /// Whom it concerns.
        to: NodeName,
        /// The size, in bytes of an Ethernet frame.
        mtu: i32,
    },
}

/// What a [`Request::ReqKey`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRequest {
    /// A key of tinc 1.0 is wanted.
    Legacy,
    /// The Ed25519 key is wanted.
    PublicKeyWanted,
    /// Here is the Ed25519 key, in base64.
    PublicKey(String),
    /// First handshake message of a session, in base64.
    Start(String),
    /// A sealed packet, in base64, for ways through old nodes.
    Datagram(String),
    /// A tinmesh node asks what goes beyond tinc, in the form of [`Hello`](crate::wire::hello::Hello).
    Hello(String),
    /// The answer to that.
    HelloAnswer(String),
    /// A message sealed by [`Control`](crate::crypto::sptps::control::Control), in base64.
    Sealed(String),
    /// Something that nobody knows.
    Other(i32),
}

/// A handshake message of a session, or a key of tinc 1.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsKey {
    /// Who sends it.
    pub from: NodeName,
    /// To whom.
    pub to: NodeName,
    /// The message in base64, or the legacy key.
    pub key: String,
    /// -1, or the legacy cipher.
    pub cipher: i32,
    /// -1, or the legacy digest.
    pub digest: i32,
    /// -1, or the length of the legacy authentication code.
    pub mac_length: i32,
    /// Compression level that the sender wants to receive.
    pub compression: i32,
    /// Where a node on the way sees the sender.
    pub reflexive: Option<WireAddress>,
}

/// Why a text is no request, in the protocol's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nothing.
    #[error("empty request")]
    Empty,
    /// More than any node may send.
    #[error("request of {0} bytes, more than {max}", max = Request::MAX_LEN)]
    TooLong(usize),
    /// Two lines in one, or binary data.
    #[error("line break or NUL inside a request")]
    Broken,
    /// No number in front.
    #[error("does not start with a request number")]
    NoNumber,
    /// A number that no request has.
    #[error("unknown request number {0}")]
    Unknown(i64),
    /// A request of tinc 1.0's key exchange.
    #[error("{0} belongs to the key exchange of tinc 1.0")]
    Legacy(&'static str),
    /// A request of control connections.
    #[error("CONTROL outside of a control connection")]
    Control,
    /// A field that is absent or wrong.
    #[error("{request} without valid {field}")]
    Field {
        /// The request.
        request: &'static str,
        /// The field.
        field: &'static str,
    },
    /// An edge from a node to itself.
    #[error("{0} from a node to itself")]
    Loop(&'static str),
}

impl Request {
    /// Longest request, in bytes without its line end: what tinc takes.
    pub const MAX_LEN: usize = 2175;

    /// Who sends a request to whom, if it is passed from node to node towards one of them.
    pub const fn ends(&self) -> Option<(&NodeName, &NodeName)> {
        match self {
            Self::ReqKey { from, to, .. } | Self::UdpInfo { from, to, .. } | Self::MtuInfo { from, to, .. } => {
                Some((from, to))
            }
            Self::AnsKey(answer) => Some((&answer.from, &answer.to)),
            Self::Id { .. }
            | Self::Ack { .. }
            | Self::TermReq
            | Self::Ping
            | Self::Pong
            | Self::AddSubnet { .. }
            | Self::DelSubnet { .. }
            | Self::AddEdge { .. }
            | Self::DelEdge { .. }
            | Self::KeyChanged { .. }
            | Self::Packet { .. }
            | Self::SptpsPacket { .. }
            | Self::Stream => None,
        }
    }

    /// What the protocol calls it.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Id { .. } => "ID",
            Self::Ack { .. } => "ACK",
            Self::TermReq => "TERMREQ",
            Self::Ping => "PING",
            Self::Pong => "PONG",
            Self::AddSubnet { .. } => "ADD_SUBNET",
            Self::DelSubnet { .. } => "DEL_SUBNET",
            Self::AddEdge { .. } => "ADD_EDGE",
            Self::DelEdge { .. } => "DEL_EDGE",
            Self::KeyChanged { .. } => "KEY_CHANGED",
            Self::ReqKey { .. } => "REQ_KEY",
            Self::AnsKey(_) => "ANS_KEY",
            Self::Packet { .. } => "PACKET",
            Self::SptpsPacket { .. } => "SPTPS_PACKET",
            Self::UdpInfo { .. } => "UDP_INFO",
            Self::MtuInfo { .. } => "MTU_INFO",
            Self::Stream => "STREAM",
        }
    }
}

/// The text, without a line end.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id { name, major, minor: Some(minor) } => write!(f, "0 {name} {major}.{minor}"),
            Self::Id { name, major, minor: None } => write!(f, "0 {name} {major}"),
            Self::Ack { port, weight, options } => write!(f, "4 {port} {weight} {options}"),
            Self::TermReq => f.write_str("7"),
            Self::Ping => f.write_str("8"),
            Self::Pong => f.write_str("9"),
            Self::AddSubnet { nonce, owner, subnet } => write!(f, "10 {nonce:x} {owner} {subnet}"),
            Self::DelSubnet { nonce, owner, subnet } => write!(f, "11 {nonce:x} {owner} {subnet}"),
            Self::AddEdge { nonce, from, to, address, options, weight, local } => {
                write!(f, "12 {nonce:x} {from} {to} {address} {options} {weight}")?;
                local.as_ref().map_or(Ok(()), |local| write!(f, " {local}"))
            }
            Self::DelEdge { nonce, from, to } => write!(f, "13 {nonce:x} {from} {to}"),
            Self::KeyChanged { nonce, name } => write!(f, "14 {nonce:x} {name}"),
            Self::ReqKey { from, to, kind } => write!(f, "15 {from} {to}{kind}"),
            Self::AnsKey(answer) => write!(f, "16 {answer}"),
            Self::Packet { len } => write!(f, "17 {len}"),
            Self::SptpsPacket { len } => write!(f, "21 {len}"),
            Self::UdpInfo { from, to, address } => write!(f, "22 {from} {to} {address}"),
            Self::MtuInfo { from, to, mtu } => write!(f, "23 {from} {to} {mtu}"),
            Self::Stream => f.write_str("100"),
        }
    }
}

/// What follows the names, with the blank in front of it.
impl fmt::Display for KeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy => Ok(()),
            Self::PublicKeyWanted => f.write_str(" 19"),
            Self::PublicKey(text) => write!(f, " 20 {text}"),
            Self::Start(text) => write!(f, " 15 {text}"),
            Self::Datagram(text) => write!(f, " 21 {text}"),
            Self::Hello(text) => write!(f, " 100 {text}"),
            Self::HelloAnswer(text) => write!(f, " 101 {text}"),
            Self::Sealed(text) => write!(f, " 102 {text}"),
            Self::Other(number) => write!(f, " {number}"),
        }
    }
}

impl fmt::Display for AnsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, key, cipher, digest, mac_length, compression, reflexive } = self;
        write!(f, "{from} {to} {key} {cipher} {digest} {mac_length} {compression}")?;
        reflexive.as_ref().map_or(Ok(()), |address| write!(f, " {address}"))
    }
}

#[cfg(test)]
mod tests;
