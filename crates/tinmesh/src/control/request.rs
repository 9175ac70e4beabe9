//! What a control client asks for, as a line (spec: cli C.2).

use std::fmt;

/// Number in front of every line after the greeting.
pub const CONTROL: u32 = 18;

/// Request types: the number after [`CONTROL`], in requests and replies.
pub mod kind {
    /// Stop the daemon.
    pub const STOP: u32 = 0;
    /// Read the configuration anew.
    pub const RELOAD: u32 = 1;
    /// List nodes.
    pub const NODES: u32 = 3;
    /// List edges.
    pub const EDGES: u32 = 4;
    /// List subnets.
    pub const SUBNETS: u32 = 5;
    /// List connections.
    pub const CONNECTIONS: u32 = 6;
    /// Forget unreachable nodes.
    pub const PURGE: u32 = 8;
    /// Change the debug level.
    pub const DEBUG: u32 = 9;
    /// Dial again at once.
    pub const RETRY: u32 = 10;
    /// Close connections with a node.
    pub const DISCONNECT: u32 = 12;
    /// List traffic counters.
    pub const TRAFFIC: u32 = 13;
    /// Stream of packets.
    pub const PCAP: u32 = 14;
    /// Stream of log lines.
    pub const LOG: u32 = 15;
    /// List statements; only tinmesh knows it.
    pub const STATEMENTS: u32 = 64;
    /// Take in a statement; only tinmesh knows it.
    pub const ACCEPT: u32 = 65;
    /// Ask other nodes where they see this one; only tinmesh knows it.
    pub const EXAMINE: u32 = 66;
    /// List why paths are not direct; only tinmesh knows it.
    pub const HINDRANCES: u32 = 67;
    /// List what routers pass on; only tinmesh knows it.
    pub const PORTS: u32 = 68;
    /// List what is known of paths; only tinmesh knows it.
    pub const PATHS: u32 = 69;
}

/// One line of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlRequest {
    /// The cookie was right: answer with [`greeting_reply`](super::server::greeting_reply).
    Greeting,
    /// Stop; the end of the connection tells when that is done.
    Stop,
    /// Read the configuration anew.
    Reload,
    /// List nodes.
    Nodes,
    /// List edges.
    Edges,
    /// List subnets.
    Subnets,
    /// List connections.
    Connections,
    /// List traffic counters.
    Traffic,
    /// Forget unreachable nodes.
    Purge,
    /// Dial again at once.
    Retry,
    /// Set the debug level, unless negative; the reply is the old one.
    Debug(i32),
    /// Close the connections with the node of this name; without a name an error is to be reported.
    Disconnect(Option<String>),
    /// Send packets from now on, each cut to so many bytes; 0: whole.
    Pcap {
        /// Bytes.
        snap_len: u32,
    },
    /// Send log lines from now on.
    Log {
        /// Debug level; -1: the daemon's own.
        level: i32,
        /// Whether with ANSI colours.
        colour: bool,
    },
    /// List statements, a line each.
    Statements,
    /// Take in a statement: its line.
    Accept(String),
    /// Ask other nodes where they see this one.
    Examine,
    /// List why paths are not direct.
    Hindrances,
    /// List what routers pass on.
    Ports,
    /// List what is known of paths.
    Paths,
    /// Something that is not implemented; the reply is `18 -1`.
    Unknown,
}

/// Why a line is not a request; its connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a control request")]
pub struct RequestError;

impl ControlRequest {
    /// Reads a line after the greeting, without its newline.
    ///
    /// # Errors
    /// If it is not a control request, or one without a number that it needs.
    pub fn parse(line: &str) -> Result<Self, RequestError> {
        let mut words = line.split_ascii_whitespace();
        if words.next().and_then(|word| word.parse().ok()) != Some(CONTROL) {
            return Err(RequestError);
        }
        let number: i64 = words.next().and_then(|word| word.parse().ok()).ok_or(RequestError)?;
        let Ok(number) = u32::try_from(number) else { return Ok(Self::Unknown) };
        let mut next_number = || words.next().and_then(|word| word.parse::<i32>().ok());
        Ok(match number {
            kind::STOP => Self::Stop,
            kind::RELOAD => Self::Reload,
            kind::NODES => Self::Nodes,
            kind::EDGES => Self::Edges,
            kind::SUBNETS => Self::Subnets,
            kind::CONNECTIONS => Self::Connections,
            kind::TRAFFIC => Self::Traffic,
            kind::PURGE => Self::Purge,
            kind::RETRY => Self::Retry,
            kind::DEBUG => Self::Debug(next_number().ok_or(RequestError)?),
            kind::DISCONNECT => Self::Disconnect(words.next().map(str::to_owned)),
            kind::PCAP => Self::Pcap { snap_len: next_number().and_then(|len| len.try_into().ok()).unwrap_or(0) },
            kind::LOG => {
                Self::Log { level: next_number().unwrap_or(0).clamp(-1, 10), colour: next_number().unwrap_or(0) != 0 }
            }
            kind::STATEMENTS => Self::Statements,
            kind::ACCEPT => Self::Accept(words.collect::<Vec<_>>().join(" ")),
            kind::EXAMINE => Self::Examine,
            kind::HINDRANCES => Self::Hindrances,
            kind::PORTS => Self::Ports,
            kind::PATHS => Self::Paths,
            _ => Self::Unknown,
        })
    }

    /// The type number that the reply carries, if there is one.
    pub const fn kind(&self) -> Option<u32> {
        Some(match self {
            Self::Stop => kind::STOP,
            Self::Reload => kind::RELOAD,
            Self::Nodes => kind::NODES,
            Self::Edges => kind::EDGES,
            Self::Subnets => kind::SUBNETS,
            Self::Connections => kind::CONNECTIONS,
            Self::Traffic => kind::TRAFFIC,
            Self::Purge => kind::PURGE,
            Self::Retry => kind::RETRY,
            Self::Debug(_) => kind::DEBUG,
            Self::Disconnect(_) => kind::DISCONNECT,
            Self::Pcap { .. } => kind::PCAP,
            Self::Log { .. } => kind::LOG,
            Self::Statements => kind::STATEMENTS,
            Self::Accept(_) => kind::ACCEPT,
            Self::Examine => kind::EXAMINE,
            Self::Hindrances => kind::HINDRANCES,
            Self::Ports => kind::PORTS,
            Self::Paths => kind::PATHS,
            Self::Greeting | Self::Unknown => return None,
        })
    }
}

impl fmt::Display for ControlRequest {
    /// The line that a client sends, without newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(kind) = self.kind() else { return write!(f, "{CONTROL} -1") };
        write!(f, "{CONTROL} {kind}")?;
        match self {
            Self::Debug(level) => write!(f, " {level}"),
            Self::Disconnect(Some(text)) | Self::Accept(text) => write!(f, " {text}"),
            Self::Pcap { snap_len } => write!(f, " {snap_len}"),
            Self::Log { level, colour } => write!(f, " {level} {}", u8::from(*colour)),
            Self::Greeting
            | Self::Stop
            | Self::Reload
            | Self::Nodes
            | Self::Edges
            | Self::Subnets
            | Self::Connections
            | Self::Traffic
            | Self::Purge
            | Self::Retry
            | Self::Disconnect(None)
            | Self::Statements
            | Self::Examine
            | Self::Hindrances
            | Self::Ports
            | Self::Paths
            | Self::Unknown => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_reads_as_it_was_written() {
        let requests = [
            ControlRequest::Stop,
            ControlRequest::Reload,
            ControlRequest::Nodes,
            ControlRequest::Edges,
            ControlRequest::Subnets,
            ControlRequest::Connections,
            ControlRequest::Traffic,
            ControlRequest::Purge,
            ControlRequest::Retry,
            ControlRequest::Debug(5),
            ControlRequest::Disconnect(Some("bob".to_owned())),
            ControlRequest::Disconnect(None),
            ControlRequest::Pcap { snap_len: 96 },
            ControlRequest::Log { level: -1, colour: true },
            ControlRequest::Statements,
            ControlRequest::Examine,
            ControlRequest::Hindrances,
            ControlRequest::Ports,
            ControlRequest::Paths,
            ControlRequest::Accept("fides1 KEY 1 2 - - revoke SIGNATURE".to_owned()),
            ControlRequest::Unknown,
        ];
        for request in requests {
            assert_eq!(ControlRequest::parse(&request.to_string()), Ok(request));
        }
    }

    #[test]
    fn numbers_that_nobody_implements_are_unknown() {
        for line in ["18 2", "18 7", "18 11 bob", "18 99", "18 -5"] {
            assert_eq!(ControlRequest::parse(line), Ok(ControlRequest::Unknown), "{line}");
        }
    }

    #[test]
    fn lines_that_are_no_requests_are_refused() {
        for line in ["", "18", "18 x", "17 3", "x", "18 9", "18 9 high"] {
            assert_eq!(ControlRequest::parse(line), Err(RequestError), "{line}");
        }
    }

    #[test]
    fn a_stream_without_its_numbers_takes_the_defaults() {
        assert_eq!(ControlRequest::parse("18 15"), Ok(ControlRequest::Log { level: 0, colour: false }));
        assert_eq!(ControlRequest::parse("18 15 77"), Ok(ControlRequest::Log { level: 10, colour: false }));
        assert_eq!(ControlRequest::parse("18 14"), Ok(ControlRequest::Pcap { snap_len: 0 }));
    }
}
