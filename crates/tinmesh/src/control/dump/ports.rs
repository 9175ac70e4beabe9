//! What routers pass on to this node, a line for each family of addresses, both ends of it.
//!
//! ```text
//!  ipv4 held PCP ROUTER ADDRESS port PORT UNTIL USABLE
//!  ipv6 none FAILURES
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{Line, Words};

/// How it stands with the routers of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortLine {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// What is passed on, or how often that was asked for in vain.
    pub held: Result<HeldPort, u32>,
}

/// The UDP port, outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPort {
    /// `PCP`, `NAT-PMP` or `UPnP`.
    pub protocol: String,
    /// The router.
    pub router: IpAddr,
    /// Where the port is outside, as the router says.
    pub address: SocketAddr,
    /// When that ends if it is not renewed, in seconds since 1970.
    pub until: u64,
    /// Whether others can use the address.
    pub usable: bool,
}

impl fmt::Display for PortLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.held {
            Ok(HeldPort { protocol, router, address, until, usable }) => {
                let (family, ip, port, usable) = (&self.family, address.ip(), address.port(), u8::from(*usable));
                write!(f, "{family} held {protocol} {router} {ip} port {port} {until} {usable}")
            }
            Err(failures) => write!(f, "{} none {failures}", self.family),
        }
    }
}

impl Line for PortLine {
    const WHAT: &'static str = "port";
    const KIND: u32 = crate::control::request::kind::PORTS;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let family = words.text()?;
        let held = match words.0.next()? {
            "held" => Ok(HeldPort::read(words)?),
            "none" => Err(words.number()?),
            _ => return None,
        };
        Some(Self { family, held })
    }
}

impl HeldPort {
    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (protocol, router) = (words.text()?, words.number()?);
        let (ip, port) = (words.number()?, words.0.nth(1)?.parse().ok()?);
        let (until, usable) = (words.number()?, words.0.next()? == "1");
        Some(Self { protocol, router, address: SocketAddr::new(ip, port), until, usable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_they_were_written() {
        let held = |usable| HeldPort {
            protocol: "PCP".to_owned(),
            router: "fe80::1".parse().unwrap(),
            address: "[2001:db8::1]:655".parse().unwrap(),
            until: 1_795_352_583,
            usable,
        };
        for (text, held) in [
            ("ipv6 held PCP fe80::1 2001:db8::1 port 655 1795352583 1", Ok(held(true))),
            ("ipv6 held PCP fe80::1 2001:db8::1 port 655 1795352583 0", Ok(held(false))),
            ("ipv6 none 3", Err(3)),
        ] {
            let line = PortLine { family: "ipv6".to_owned(), held };
            assert_eq!((line.to_string().as_str(), PortLine::parse(text)), (text, Ok(line)));
        }
        for wrong in
            ["", "ipv4", "ipv4 some 1", "ipv4 none", "ipv4 held PCP 192.0.2.1 192.0.2.1 port 1 1", "ipv4 none x"]
        {
            assert!(PortLine::parse(wrong).is_err(), "{wrong}");
        }
    }
}
