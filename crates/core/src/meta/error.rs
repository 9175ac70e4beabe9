//! Why a peer is refused or a connection ends, in protocol words.

use crate::crypto::sptps::SptpsError;
use crate::invite::InviteError;
use crate::legacy::link::LinkError;
use crate::meta::proxy::ProxyError;
use crate::wire::request::RequestError;

/// The remote's bytes are at fault, or the connection came to its end.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// A line that is no request.
    #[error("bad request: {0}")]
    Request(#[source] RequestError),
    /// The encrypted stream is broken or forged.
    #[error("encrypted stream refused: {0}")]
    Sptps(#[from] SptpsError),
    /// The invitation exchange went wrong.
    #[error("invitation refused: {0}")]
    Invite(#[from] InviteError),
    /// The proxy is of no use.
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    /// A line without end.
    #[error("line longer than {0} bytes")]
    LineTooLong(usize),
    /// Another request than the state allows.
    #[error("unexpected {got} request while expecting {expected}")]
    Unexpected {
        /// What came.
        got: &'static str,
        /// What is allowed.
        expected: &'static str,
    },
    /// A protocol other than 17.
    #[error("speaks protocol {0}, we speak 17.7")]
    Version(i32),
    /// tinc 1.0, or 1.1 without an Ed25519 key that we know, and we have no RSA key.
    #[error(
        "speaks only the protocol of tinc 1.0: upgrade that node, or give this one an RSA key with \"tinc generate-rsa-keys\""
    )]
    Legacy,
    /// tinc 1.0, although it had an Ed25519 key once.
    #[error(
        "has an Ed25519 key in its host file, but speaks the protocol of tinc 1.0: if it really went back, remove that line"
    )]
    RolledBack,
    /// A host file without RSA key.
    #[error("no RSA public key known for {0}, which speaks the protocol of tinc 1.0: add it to its host file")]
    NoRsaKey(String),
    /// The authentication of tinc 1.0 went wrong.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// Another Ed25519 key than the one we know.
    #[error("tells another Ed25519 key than the one in its host file")]
    OtherKey,
    /// Both sides know each other's Ed25519 keys now.
    #[error("Ed25519 keys exchanged, connecting again with them")]
    Upgraded,
    /// Not the name that we dialled.
    #[error("is {got}, but we wanted to reach {wanted}")]
    WrongName {
        /// Its name.
        got: String,
        /// The name we expected.
        wanted: String,
    },
    /// Statements with wrong signatures.
    #[error("sent statements with wrong signatures: it is shut out for ten minutes")]
    ForgedStatements,
    /// No member.
    #[error(
        "{name} (key {key}) may not join: let it in with \"tinmesh auth allow {name}\", or ask with \"tinmesh auth why {name} join\""
    )]
    NotMember {
        /// The name under which it comes.
        name: String,
        /// Its key, if it is known.
        key: String,
    },
    /// Our own name.
    #[error("uses our own name: give one of the two nodes another Name")]
    OwnName,
    /// No host file.
    #[error("unknown identity {0}: there is no host file for it; invite it, or import its host file")]
    UnknownIdentity(String),
    /// A host file without Ed25519 key.
    #[error("no Ed25519 public key known for {0}: add its Ed25519PublicKey line to its host file")]
    NoKey(String),
    /// No invitation key.
    #[error("wants to join, but there are no outstanding invitations")]
    NoInvitations,
    /// This node may not invite.
    #[error("wants to join, but this node may not invite: a founder can allow it (tinmesh auth allow NAME invite)")]
    MayNotInvite,
    /// The cookie of an invitation that does not exist, was used or is too old.
    #[error("invitation unknown, used or expired")]
    BadInvitation,
    /// The handshake took too long.
    #[error("did not finish the handshake in time")]
    HandshakeTimeout,
    /// No answer to a ping.
    #[error("did not answer a ping in time")]
    PingTimeout,
    /// The path takes only shorter segments than this connection has.
    #[error("its path has become narrower and says nothing of it: connecting again with shorter segments")]
    Narrow,
    /// Does not read what we send.
    #[error("does not read: {0} bytes wait to be sent")]
    Stalled(usize),
    /// Closed at the other end.
    #[error("closed by the peer")]
    Closed,
    /// The peer said good-bye.
    #[error("ended by the peer")]
    Terminated,
    /// Another connection to the same node took its place.
    #[error("replaced by another connection")]
    Replaced,
    /// More connections for packets than one node may have here, or none are agreed on.
    #[error("wants more connections for packets than it may have")]
    Surplus,
    /// Nothing of what was sent on a connection for packets arrives.
    #[error("nothing arrives any more")]
    Stuck,
    /// The operator wanted it.
    #[error("ended by the operator")]
    Operator,
    /// AutoConnect found it superfluous.
    #[error("not needed any more")]
    Superfluous,
    /// The machine slept or changed its network.
    #[error("the machine slept or changed its network")]
    Woke,
    /// More new connections than the limit.
    #[error("too many new connections")]
    Burst,
}

impl From<RequestError> for PeerError {
    fn from(error: RequestError) -> Self {
        if let RequestError::Legacy(_) = error { Self::Legacy } else { Self::Request(error) }
    }
}

impl PeerError {
    /// Whether the other end misbehaved, so that its socket is kept open, unread, for a while.
    pub const fn deserves_tarpit(&self) -> bool {
        match self {
            Self::Request(_)
            | Self::Sptps(_)
            | Self::Invite(_)
            | Self::LineTooLong(_)
            | Self::Unexpected { .. }
            | Self::Version(_)
            | Self::Legacy
            | Self::RolledBack
            | Self::NoRsaKey(_)
            | Self::Link(_)
            | Self::OtherKey
            | Self::OwnName
            | Self::ForgedStatements
            | Self::UnknownIdentity(_)
            | Self::NoKey(_)
            | Self::NoInvitations
            | Self::BadInvitation
            | Self::Burst => true,
            Self::Proxy(_)
            | Self::NotMember { .. }
            | Self::MayNotInvite
            | Self::WrongName { .. }
            | Self::Upgraded
            | Self::HandshakeTimeout
            | Self::PingTimeout
            | Self::Narrow
            | Self::Stalled(_)
            | Self::Closed
            | Self::Terminated
            | Self::Replaced
            | Self::Surplus
            | Self::Stuck
            | Self::Operator
            | Self::Superfluous
            | Self::Woke => false,
        }
    }
}
