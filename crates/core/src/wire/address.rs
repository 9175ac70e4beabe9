//! Addresses in requests: an address token and a port token (spec: meta-protocol 6.3).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address and port as they stand in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum WireAddress {
    /// `unspec unspec`: no address.
    #[default]
    Unspecified,
    /// Numeric address and port.
    Ip(SocketAddr),
    /// Any other text: passed on unchanged, never used.
    Text(Box<(String, String)>),
}

impl WireAddress {
    /// Reads the two tokens; every text is an address of some kind.
    pub fn parse(host: &str, port: &str) -> Self {
        if host == "unspec" && port == "unspec" {
            return Self::Unspecified;
        }
        let bare = host.split('%').next().unwrap_or(host);
        match (bare.parse::<IpAddr>(), port.parse::<u16>()) {
            (Ok(ip), Ok(port)) => Self::Ip(SocketAddr::new(ip.to_canonical(), port)),
            _ => Self::Text(Box::new((host.to_owned(), port.to_owned()))),
        }
    }

    /// The usable address, if it is one.
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unspecified | Self::Text(_) => None,
        }
    }
}

impl fmt::Display for WireAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => f.write_str("unspec unspec"),
            Self::Ip(address) => write!(f, "{} {}", address.ip(), address.port()),
            Self::Text(text) => write!(f, "{} {}", text.0, text.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_prints_as_it_was_read() {
        for (host, port) in [("10.0.0.1", "655"), ("fd00::1", "1"), ("unspec", "unspec"), ("a.example", "http")] {
            assert_eq!(WireAddress::parse(host, port).to_string(), format!("{host} {port}"));
        }
    }

    #[test]
    fn only_a_numeric_address_with_a_numeric_port_is_usable() {
        let ip = |host, port| WireAddress::parse(host, port).ip().map(|address| address.to_string());
        assert_eq!(ip("::ffff:10.0.0.1", "655").as_deref(), Some("10.0.0.1:655"));
        assert_eq!(ip("fe80::1%eth0", "655").as_deref(), Some("[fe80::1]:655"));
        for (host, port) in [("unspec", "unspec"), ("unspec", "655"), ("10.0.0.1", "http"), ("10.0.0.1", "65536")] {
            assert_eq!(ip(host, port), None, "{host} {port}");
        }
    }
}
