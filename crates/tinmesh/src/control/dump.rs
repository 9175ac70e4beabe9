//! Lists of the daemon, line by line, as a client reads them; ours and tinc's alike (spec: cli B.4, C.3).

pub mod paths;
pub mod ports;

use std::str::SplitAsciiWhitespace;
use std::time::Duration;

/// Bits of a node's status word.
pub mod status {
    /// There are keys for packets.
    pub const VALID_KEY: u32 = 0x2;
    /// The graph search saw it.
    pub const VISITED: u32 = 0x8;
    /// The graph reaches it.
    pub const REACHABLE: u32 = 0x10;
    /// Only with a static relay.
    pub const INDIRECT: u32 = 0x20;
    /// It speaks the protocol of 1.1.
    pub const SPTPS: u32 = 0x40;
    /// Direct UDP works both ways.
    pub const UDP_CONFIRMED: u32 = 0x80;
    /// Of a connection: it is a control client's.
    pub const CONTROL: u32 = 0x200;
}

/// OpenSSL's number of AES-256-GCM, which tinc 1.0 cannot have as a cipher.
pub const AES_256_GCM: i32 = 901;

/// Why a list could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unable to parse {0} dump from tincd.")]
pub struct DumpError(pub &'static str);

/// A kind of line in a list.
pub trait Line: Sized {
    /// What the list is a list of, for messages.
    const WHAT: &'static str;
    /// Type of the request for it, which each line repeats.
    const KIND: u32;
    /// Reads the words after the type.
    fn read(words: &mut Words<'_>) -> Option<Self>;

    /// Reads the words after the type; what follows the known ones is ignored.
    ///
    /// # Errors
    /// If a word is missing or has another form.
    fn parse(text: &str) -> Result<Self, DumpError> {
        Self::read(&mut Words(text.split_ascii_whitespace())).ok_or(DumpError(Self::WHAT))
    }
}

/// The words of a line that are still to be read.
pub struct Words<'a>(SplitAsciiWhitespace<'a>);

impl Words<'_> {
    fn text(&mut self) -> Option<String> {
        self.0.next().map(str::to_owned)
    }

    fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    /// A number, or a dash for none.
    fn number_or_dash<T: std::str::FromStr>(&mut self) -> Option<Option<T>> {
        match self.0.next()? {
            "-" => Some(None),
            word => word.parse().ok().map(Some),
        }
    }

    fn hex(&mut self) -> Option<u32> {
        u32::from_str_radix(self.0.next()?, 16).ok()
    }

    fn endpoint(&mut self) -> Option<Endpoint> {
        let host = self.text()?;
        let _ = self.0.next().filter(|word| *word == "port")?;
        Some(Endpoint { host, port: self.text()? })
    }
}

/// An address and a port as text; `unknown`, `unspec`, `MYSELF` stand for no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address.
    pub host: String,
    /// Port.
    pub port: String,
}

impl std::fmt::Display for Endpoint {
    /// As tinc prints it: `HOST port PORT`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} port {}", self.host, self.port)
    }
}

impl Endpoint {
    /// `HOST:PORT`, or nothing if it is not known.
    pub fn joined(&self) -> Option<String> {
        match self.host.as_str() {
            "unknown" | "unspec" | "MYSELF" => None,
            host if host.contains(':') => Some(format!("[{host}]:{}", self.port)),
            host => Some(format!("{host}:{}", self.port)),
        }
    }
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets from the node.
    pub in_packets: u64,
    /// Their bytes.
    pub in_bytes: u64,
    /// Packets to the node.
    pub out_packets: u64,
    /// Their bytes.
    pub out_bytes: u64,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLine {
    /// Name.
    pub name: String,
    /// Id: twelve hexadecimal digits.
    pub id: String,
    /// Where UDP goes; host `MYSELF` for the daemon's own node.
    pub endpoint: Endpoint,
    /// Numbers of the legacy cipher and digest, and the digest's length. The cipher is [`AES_256_GCM`] for a tinmesh node that
    /// is spoken to under that.
    pub legacy: [i32; 3],
    /// Compression level towards it.
    pub compression: i32,
    /// Options of the path.
    pub options: u32,
    /// Status bits.
    pub status: u32,
    /// Next neighbour on the path, or `-`.
    pub nexthop: String,
    /// Static relay or the node itself, or `-`.
    pub via: String,
    /// Hops; -1: unreachable.
    pub distance: i32,
    /// Largest frame, with 14 bytes of Ethernet header.
    pub mtu: i32,
    /// Largest frame known to arrive.
    pub min_mtu: i32,
    /// Largest frame believed possible.
    pub max_mtu: i32,
    /// When it became reachable or unreachable, in seconds since 1970; 0: never.
    pub changed: u64,
    /// UDP round-trip time.
    pub rtt: Option<Duration>,
    /// Traffic.
    pub traffic: Traffic,
}

impl NodeLine {
    /// Whether it is the daemon's own node.
    pub fn is_me(&self) -> bool {
        self.endpoint.host == "MYSELF"
    }

    /// Whether a status bit is set.
    pub const fn has(&self, bit: u32) -> bool {
        self.status & bit != 0
    }

    /// Whether the graph reaches it.
    pub const fn is_reachable(&self) -> bool {
        self.has(status::REACHABLE)
    }
}

impl Line for NodeLine {
    const WHAT: &'static str = "node";
    const KIND: u32 = super::request::kind::NODES;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self {
            name: words.text()?,
            id: words.text()?,
            endpoint: words.endpoint()?,
            legacy: [words.number()?, words.number()?, words.number()?],
            compression: words.number()?,
            options: words.hex()?,
            status: words.hex()?,
            nexthop: words.text()?,
            via: words.text()?,
            distance: words.number()?,
            mtu: words.number()?,
            min_mtu: words.number()?,
            max_mtu: words.number()?,
            changed: words.number()?,
            rtt: words.number::<i64>()?.try_into().ok().map(Duration::from_micros),
            traffic: read_traffic(words)?,
        })
    }
}

/// The counters of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficLine {
    /// Its name.
    pub name: String,
    /// What came from it and went to it.
    pub traffic: Traffic,
}

impl Line for TrafficLine {
    const WHAT: &'static str = "traffic";
    const KIND: u32 = super::request::kind::TRAFFIC;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self { name: words.text()?, traffic: read_traffic(words)? })
    }
}

fn read_traffic(words: &mut Words<'_>) -> Option<Traffic> {
    Some(Traffic {
        in_packets: words.number()?,
        in_bytes: words.number()?,
        out_packets: words.number()?,
        out_bytes: words.number()?,
    })
}

/// One edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeLine {
    /// Who announces it.
    pub from: String,
    /// Who is there.
    pub to: String,
    /// Where `from` reaches `to`.
    pub endpoint: Endpoint,
    /// `from`'s own address of that connection.
    pub local: Endpoint,
    /// Options.
    pub options: u32,
    /// Weight in milliseconds.
    pub weight: i32,
}

impl Line for EdgeLine {
    const WHAT: &'static str = "edge";
    const KIND: u32 = super::request::kind::EDGES;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self {
            from: words.text()?,
            to: words.text()?,
            endpoint: words.endpoint()?,
            local: words.endpoint()?,
            options: words.hex()?,
            weight: words.number()?,
        })
    }
}

/// One subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetLine {
    /// The subnet, with `#WEIGHT` unless that is 10.
    pub subnet: String,
    /// Whose it is, or `(broadcast)`.
    pub owner: String,
}

impl SubnetLine {
    /// The address of a subnet of one address.
    pub fn single_address(&self) -> Option<std::net::IpAddr> {
        let (address, length) = match self.range().split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (self.range(), None),
        };
        let address: std::net::IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { "32" } else { "128" };
        length.is_none_or(|length| length == whole).then_some(address)
    }

    /// The subnet without its weight.
    pub fn range(&self) -> &str {
        self.subnet.split('#').next().unwrap_or_default()
    }
}

impl Line for SubnetLine {
    const WHAT: &'static str = "subnet";
    const KIND: u32 = super::request::kind::SUBNETS;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self { subnet: words.text()?, owner: words.text()? })
    }
}

/// One statement: its whole line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine(pub String);

impl Line for StatementLine {
    const WHAT: &'static str = "statement";
    const KIND: u32 = super::request::kind::STATEMENTS;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let words: Vec<&str> = words.0.by_ref().collect();
        (!words.is_empty()).then(|| Self(words.join(" ")))
    }
}

/// Why packets for a node do not go straight by UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HindranceLine {
    /// The node.
    pub node: String,
    /// Why, in one word.
    pub word: String,
    /// What the word counts, and seconds until the next attempt.
    pub numbers: [u64; 2],
}

impl Line for HindranceLine {
    const WHAT: &'static str = "hindrance";
    const KIND: u32 = super::request::kind::HINDRANCES;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (node, word) = (words.0.next()?.to_owned(), words.0.next()?.to_owned());
        let mut number = || words.0.next()?.parse().ok();
        Some(Self { node, word, numbers: [number()?, number()?] })
    }
}

/// What others see of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExaminationLine {
    /// One saw it there.
    Seen {
        /// Who.
        node: String,
        /// Where.
        address: std::net::SocketAddr,
    },
    /// How many were asked, and whether the filter lets in other ports than those written to.
    Asked(u32, bool),
}

impl Line for ExaminationLine {
    const WHAT: &'static str = "examination";
    const KIND: u32 = super::request::kind::EXAMINE;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        match words.0.next()? {
            "seen" => {
                let (node, ip) = (words.0.next()?.to_owned(), words.0.next()?.parse().ok()?);
                let port = words.0.nth(1)?.parse().ok()?;
                Some(Self::Seen { node, address: std::net::SocketAddr::new(ip, port) })
            }
            "asked" => Some(Self::Asked(words.0.next()?.parse().ok()?, words.0.next()? == "1")),
            _ => None,
        }
    }
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLine {
    /// Who is there; `<control>` or `<unknown>`.
    pub name: String,
    /// The other end's address.
    pub endpoint: Endpoint,
    /// Options.
    pub options: u32,
    /// Number of its socket.
    pub socket: i32,
    /// Status bits.
    pub status: u32,
}

impl Line for ConnectionLine {
    const WHAT: &'static str = "connection";
    const KIND: u32 = super::request::kind::CONNECTIONS;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self {
            name: words.text()?,
            endpoint: words.endpoint()?,
            options: words.hex()?,
            socket: words.number()?,
            status: words.hex()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALICE: &str = "alice 408b27d3097e MYSELF port 6001 0 0 0 0 700000c 50 alice alice 0 1518 0 1518 1795352583 \
                         -1 0 0 0 0";

    #[test]
    fn a_recorded_node_line_is_understood() {
        let alice = NodeLine::parse(ALICE).unwrap();

        assert!(alice.is_me() && alice.is_reachable());
        assert_eq!((alice.name.as_str(), alice.id.as_str(), alice.options), ("alice", "408b27d3097e", 0x0700_000c));
        assert_eq!((alice.distance, alice.mtu, alice.min_mtu, alice.max_mtu), (0, 1518, 0, 1518));
        assert_eq!((alice.changed, alice.rtt), (1_795_352_583, None));
    }

    #[test]
    fn a_node_with_traffic_and_round_trip_time_is_understood() {
        let line = "bob 0416a26ba554 10.0.0.2 port 655 0 0 0 11 700000c da bob bob 1 1239 1239 1239 1795352583 247 \
                    30 4260 31 4261";

        let bob = NodeLine::parse(line).unwrap();

        assert_eq!(bob.rtt, Some(Duration::from_micros(247)));
        assert_eq!(bob.traffic, Traffic { in_packets: 30, in_bytes: 4260, out_packets: 31, out_bytes: 4261 });
        assert_eq!(bob.endpoint.joined().as_deref(), Some("10.0.0.2:655"));
        assert!(bob.has(status::UDP_CONFIRMED));
    }

    #[test]
    fn recorded_edges_subnets_and_connections_are_understood() {
        let edge = EdgeLine::parse("alice bob fd00::2 port 6002 unspec port unspec 700000c 1").unwrap();
        assert_eq!(edge.endpoint.joined().as_deref(), Some("[fd00::2]:6002"));
        assert_eq!((edge.local.joined(), edge.weight), (None, 1));

        let subnet = SubnetLine::parse("10.1.2.3#5 alice").unwrap();
        assert_eq!((subnet.range(), subnet.owner.as_str()), ("10.1.2.3", "alice"));

        let control = ConnectionLine::parse("<control> localhost port unix 0 14 200").unwrap();
        assert_eq!((control.socket, control.status), (14, status::CONTROL));
    }

    #[test]
    fn only_subnets_of_one_address_have_an_address() {
        let address =
            |subnet: &str| SubnetLine { subnet: subnet.to_owned(), owner: "alice".to_owned() }.single_address();
        assert_eq!(address("10.1.2.3#5"), "10.1.2.3".parse().ok());
        assert_eq!(address("fd00::1/128"), "fd00::1".parse().ok());
        assert_eq!(address("10.1.0.0/16"), None);
        assert_eq!(address("02:00:00:00:00:01"), None);
    }

    #[test]
    fn every_line_that_is_cut_short_is_refused() {
        let words: Vec<&str> = ALICE.split_ascii_whitespace().collect();
        for count in 0..words.len() {
            assert_eq!(NodeLine::parse(&words[..count].join(" ")), Err(DumpError("node")), "{count}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in ".*") {
            let _ = NodeLine::parse(&text);
            let _ = EdgeLine::parse(&text);
            let _ = ConnectionLine::parse(&text);
            if let Ok(subnet) = SubnetLine::parse(&text) {
                let _ = subnet.single_address();
            }
        }

        #[test]
        fn no_damaged_word_makes_the_node_parser_panic(at in 0_usize..24, word in "[^ ]{0,30}") {
            let mut words: Vec<&str> = ALICE.split_ascii_whitespace().collect();
            words[at.min(22)] = &word;
            let _ = NodeLine::parse(&words.join(" "));
        }
    }
}
