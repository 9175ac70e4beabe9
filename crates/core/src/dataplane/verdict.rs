//! What the packet path decided: every packet ends in exactly one [`Verdict`].

use crate::dataplane::fib::UdpTarget;
use crate::dataplane::record::{FIRST_PIECE, LAST_PIECE};
use crate::name::PeerId;

/// The end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sealed: put the payload on the wire.
    Transmit(UdpTarget),
    /// Plain: give the payload to the device.
    Deliver,
    /// The node must see it.
    Punt(Punt),
    /// Gone, and counted.
    Drop(DropReason),
}

/// Why a packet goes to the node, and what its payload is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Punt {
    /// Plain packet for a peer without a session or that must go over TCP.
    Plain {
        /// Who owns the destination.
        owner: PeerId,
        /// Who sent it into the mesh.
        source: PeerId,
    },
    /// Plain IPv4 packet without DF, larger than its owner's MTU.
    Fragment {
        /// Who owns the destination.
        owner: PeerId,
        /// Who sent it into the mesh.
        source: PeerId,
    },
    /// Plain packet of our own that is larger than its owner's MTU, may not be cut, and goes in two records.
    Oversized {
        /// Who owns the destination.
        owner: PeerId,
    },
    /// Plain packet for everyone.
    Broadcast {
        /// Who sent it into the mesh.
        source: PeerId,
    },
    /// SPTPS datagram between two others (ids removed) that must not go over UDP.
    Relay {
        /// Who sealed it.
        origin: PeerId,
        /// Who can open it.
        destination: PeerId,
    },
    /// Opened record that is not a packet: probe or handshake.
    Record {
        /// Who sealed it.
        origin: PeerId,
        /// Its type.
        kind: u8,
        /// Whether it came without a relay.
        direct: bool,
        /// Where the datagram came from, and the socket that took it.
        from: UdpTarget,
    },
    /// Datagram as it came (with ids): sender or address not known, or no session.
    Datagram {
        /// Where it came from, and the socket that took it.
        from: UdpTarget,
    },
}

impl Verdict {
    /// Whether it may be that of a packet of a user, or of part of one.
    pub const fn is_of_packet(&self) -> bool {
        match self {
            Self::Punt(punt) => punt.is_packet(),
            Self::Transmit(_) | Self::Deliver | Self::Drop(_) => true,
        }
    }
}

impl Punt {
    /// Whether it may be a packet of a user, or part of one; else it is about the path only, as a probe is.
    pub const fn is_packet(&self) -> bool {
        match *self {
            Self::Record { kind, .. } => matches!(kind, FIRST_PIECE | LAST_PIECE),
            Self::Plain { .. }
            | Self::Fragment { .. }
            | Self::Oversized { .. }
            | Self::Broadcast { .. }
            | Self::Relay { .. }
            | Self::Datagram { .. } => true,
        }
    }
}

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)+) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum DropReason { $($(#[$doc])* $name,)+ }

        impl DropReason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// A short name for counters, in lower case with underscores.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

drop_reasons! {
    /// Shorter than its headers.
    TooShort => "too_short",
    /// Longer than a packet may be.
    TooLong => "too_long",
    /// Its header tells another length than it has.
    BadLength => "bad_length",
    /// Neither IPv4 nor IPv6, or a type that the mode does not carry.
    UnknownProtocol => "unknown_protocol",
    /// No subnet holds the destination, and no ICMP error could be made.
    NoRoute => "no_route",
    /// The owner is not reachable, and no ICMP error could be made.
    Unreachable => "unreachable",
    /// Source and owner are the same node.
    LoopBack => "loop_back",
    /// The next node would be the one it came from.
    RoutingLoop => "routing_loop",
    /// Forwarding or DirectOnly forbids it.
    Forbidden => "forbidden",
    /// It has been passed on too often, and no ICMP error could be made.
    Expired => "expired",
    /// An ICMP error was due but the rate limit was reached.
    IcmpLimited => "icmp_limited",
    /// Datagram from or for a node id that is not known.
    UnknownId => "unknown_id",
    /// The tag is wrong.
    BadTag => "bad_tag",
    /// Number seen before, or too old.
    Replayed => "replayed",
    /// Record type that nobody sends.
    BadRecord => "bad_record",
    /// Compressed data that cannot be undone.
    BadCompression => "bad_compression",
    /// To be relayed, but not from a confirmed address.
    UnconfirmedRelay => "unconfirmed_relay",
    /// The peer has no address to send to.
    NoAddress => "no_address",
    /// The queue to the node is full.
    PuntQueueFull => "punt_queue_full",
    /// Too much waited for a connection: `MaxOutputBufferSize`.
    QueueFull => "queue_full",
    /// Others came while it waited long for its turn on a connection.
    TooLate => "too_late",
    /// No keys yet.
    NoKey => "no_key",
    /// The operating system refused it.
    SendFailed => "send_failed",
    /// Broadcast is switched off.
    NoBroadcast => "no_broadcast",
    /// From an address, or a station, that does not belong to whoever sent it.
    ForeignSource => "foreign_source",
    /// Faster than whoever sent it may send.
    OverRate => "over_rate",
    /// To be relayed for, by or through a node that may not relay.
    RelayDenied => "relay_denied",
    /// More than this node relays: variable `Relay`.
    OverRelayRate => "over_relay_rate",
    /// More than is relayed in one day for whoever sent it.
    OverVolume => "over_volume",
    /// Begins what whoever sent it may not begin with this node.
    Filtered => "filtered",
}
