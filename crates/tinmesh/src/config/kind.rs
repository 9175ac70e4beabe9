//! What variables hold: reading values as tinc does, and printing them from what was read.
//!
//! Source: spec configuration 3.1, 3.2.

use std::net::IpAddr;

use tinmesh_core::crypto::keys::PublicKey;
use tinmesh_core::name::NodeName;
use tinmesh_core::subnet::{Address, Subnet};

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A number.
    Int,
    /// A number with bounds.
    Number {
        /// The least.
        min: i32,
        /// The greatest.
        max: i32,
    },
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// A node's name.
    Node,
    /// A subnet without host bits.
    Subnet,
    /// `HOST [PORT]`.
    Endpoint,
    /// `ADDRESS/PREFIX`, host bits and all.
    Interface,
    /// `SUBNET [GATEWAY]`.
    Route,
    /// `yes`, `no`, or a rate.
    Share,
    /// 43 characters.
    Key,
    /// Anything.
    Text,
}

/// An address range of the interface: an address and how many bits of it are the network's.
pub type Range = (IpAddr, u8);

impl Kind {
    /// The value as it is written after it was read; `None` if it is no such value.
    pub fn canonical(&self, value: &str) -> Option<String> {
        match self {
            Self::Bool => bool(value).map(|yes| if yes { "yes" } else { "no" }.to_owned()),
            Self::Int => int(value).map(|number| number.to_string()),
            Self::Number { min, max } => {
                int(value).filter(|number| (min..=max).contains(&number)).map(|number| number.to_string())
            }
            Self::Word(words) => word(words, value).map(str::to_owned),
            Self::Node => NodeName::parse(value).ok().map(|name| name.to_string()),
            Self::Subnet => subnet(value).ok().map(|subnet| subnet.to_string()),
            Self::Endpoint => Endpoint::parse(value).map(|endpoint| endpoint.to_string()),
            Self::Interface => range(value).map(|range| print_range(&range)),
            Self::Route => route(value).map(|(range, gateway)| print_route(&range, gateway)),
            Self::Share => {
                bool(value).is_some().then(|| value.to_ascii_lowercase()).or_else(|| rate(value).map(print_rate))
            }
            Self::Key => PublicKey::from_base64(value).ok().map(|key| key.to_base64()),
            Self::Text => (!value.contains(char::is_control)).then(|| value.to_owned()),
        }
    }
}

/// Reads `yes` or `no`.
pub fn bool(value: &str) -> Option<bool> {
    match () {
        () if value.eq_ignore_ascii_case("yes") => Some(true),
        () if value.eq_ignore_ascii_case("no") => Some(false),
        () => None,
    }
}

/// Units of rates, in kilobits a second.
const RATES: [(&str, u64); 4] = [("kbit", 1), ("mbit", 1_000), ("gbit", 1_000_000), ("", 1)];

/// Reads a rate in kilobits, of 1,000 bits, a second: `2000`, `2000kbit`, `2mbit`, `1gbit`.
pub fn rate(value: &str) -> Option<u64> {
    let (number, factor) = RATES.iter().find_map(|(unit, factor)| Some((value.strip_suffix(unit)?, factor)))?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(*factor)
}

fn print_rate(kbit: u64) -> String {
    format!("{kbit}kbit")
}

/// Reads a number as C does: what follows the digits does not count. Too large ones become the largest.
pub fn int(value: &str) -> Option<i32> {
    let text = value.trim_start_matches([' ', '\t']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let digits = digits.get(..end).filter(|digits| !digits.is_empty())?;
    let number = digits
        .bytes()
        .fold(0_i64, |number, digit| (number * 10 + i64::from(digit - b'0')).min(i64::from(i32::MAX) + 1));
    let number = if negative { -number } else { number.min(i64::from(i32::MAX)) };
    i32::try_from(number).ok()
}

/// The word of the list that `value` is, in any case.
pub fn word(words: &[&'static str], value: &str) -> Option<&'static str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(value))
}

/// Why a text is not a subnet for a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubnetFault {
    /// It is no subnet at all.
    Malformed,
    /// The host part is not zero.
    HostBits,
}

/// Reads a subnet whose host part is zero.
pub fn subnet(value: &str) -> Result<Subnet, SubnetFault> {
    if value.len() > 63 {
        return Err(SubnetFault::Malformed);
    }
    let subnet = Subnet::parse(value).map_err(|_| SubnetFault::Malformed)?;
    if subnet.is_canonical() { Ok(subnet) } else { Err(SubnetFault::HostBits) }
}

/// Reads `ADDRESS[/PREFIX]`; host bits may be set.
pub fn range(value: &str) -> Option<Range> {
    let (address, prefix) = match value.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (value, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
    (prefix <= bits).then_some((address, prefix))
}

/// Reads `SUBNET [GATEWAY]`; both of one family, and the subnet without host bits.
pub fn route(value: &str) -> Option<(Range, Option<IpAddr>)> {
    let mut words = value.split_ascii_whitespace();
    let subnet = subnet(words.next()?).ok()?;
    let destination = match subnet.address() {
        Address::V4(ip) => (IpAddr::V4(ip), subnet.prefix()),
        Address::V6(ip) => (IpAddr::V6(ip), subnet.prefix()),
        Address::Mac(_) => return None,
    };
    let gateway = words.next().map(|word| range(word).map(|(address, _)| address));
    let gateway = match gateway {
        Some(gateway) => Some(gateway.filter(|gateway| gateway.is_ipv4() == destination.0.is_ipv4())?),
        None => None,
    };
    words.next().is_none().then_some((destination, gateway))
}

/// `ADDRESS/PREFIX`.
pub fn print_range((address, prefix): &Range) -> String {
    format!("{address}/{prefix}")
}

/// `ADDRESS/PREFIX [GATEWAY]`.
pub fn print_route(destination: &Range, gateway: Option<IpAddr>) -> String {
    let gateway = gateway.map(|gateway| format!(" {gateway}")).unwrap_or_default();
    format!("{}{gateway}", print_range(destination))
}

/// Where something listens: a host, and a port if it names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address; `*` for every address.
    pub host: String,
    /// The port as it was written.
    pub port: Option<String>,
}

impl Endpoint {
    /// Reads `HOST [PORT]`; words after these do not count.
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let host = words.next()?;
        let plain = |word: &str| word.chars().all(|c| c.is_ascii_graphic());
        let port = words.next().map(str::to_owned);
        let valid = plain(host) && port.as_deref().is_none_or(plain);
        valid.then(|| Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.host)?;
        self.port.iter().try_for_each(|port| write!(f, " {port}"))
    }
}

/// The number of a port: a number, or the name of a TCP service that the system knows.
pub fn port(text: &str) -> Option<u16> {
    text.parse().ok().or_else(|| {
        let services = std::fs::read_to_string("/etc/services").ok()?;
        find_service(&services, text)
    })
}

fn find_service(services: &str, name: &str) -> Option<u16> {
    services.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let official = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        (official == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let cases = [("10s", Some(10)), ("0x10", Some(0)), (" -5", Some(-5)), ("+7", Some(7)), ("s", None), ("", None)];
        for (text, number) in cases {
            assert_eq!(int(text), number, "{text:?}");
        }
        assert_eq!(int("99999999999999999999"), Some(i32::MAX));
        assert_eq!(int("-99999999999999999999"), Some(i32::MIN));
    }

    #[test]
    fn values_are_printed_from_what_was_read() {
        let cases = [
            (Kind::Bool, "YES", Some("yes")),
            (Kind::Bool, "true", None),
            (Kind::Int, "12 monkeys", Some("12")),
            (Kind::Number { min: 0, max: 12 }, "13", None),
            (Kind::Word(&["mst"]), "MST", Some("mst")),
            (Kind::Subnet, "10.0.0.0/8#10", Some("10.0.0.0/8")),
            (Kind::Subnet, "1.1.1.1/0", None),
            (Kind::Endpoint, "a.example  655", Some("a.example 655")),
            (Kind::Interface, "10.9.0.1/16", Some("10.9.0.1/16")),
            (Kind::Interface, "fd00::1", Some("fd00::1/128")),
            (Kind::Interface, "10.9.0.1/33", None),
            (Kind::Route, "10.0.0.0/8", Some("10.0.0.0/8")),
            (Kind::Route, "10.44.0.0/16 10.9.0.2", Some("10.44.0.0/16 10.9.0.2")),
            (Kind::Route, "10.44.0.0/16 fd00::2", None),
            (Kind::Route, "10.44.0.0/16; reboot", None),
            (Kind::Share, "NO", Some("no")),
            (Kind::Share, "2mbit", Some("2000kbit")),
            (Kind::Share, "-2mbit", None),
            (Kind::Share, "99999999999999gbit", None),
            (Kind::Node, "bob", Some("bob")),
            (Kind::Node, "../bob", None),
            (Kind::Text, "a\u{7}b", None),
        ];
        for (kind, value, printed) in cases {
            assert_eq!(kind.canonical(value).as_deref(), printed, "{kind:?} {value:?}");
        }
    }

    #[test]
    fn ports_may_be_names_of_services() {
        let services = "ssh 22/tcp # shell\ntinc 655/tcp TINC vpn\ntinc 655/udp\n";
        assert_eq!(find_service(services, "vpn"), Some(655));
        assert_eq!(find_service(services, "shell"), None);
        assert_eq!(port("1234"), Some(1234));
    }
}
