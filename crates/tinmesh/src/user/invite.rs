//! `tinmesh invite`: one line with which one other machine joins.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Result, bail};
use serde::Serialize;
use tinmesh_core::name::NodeName;

use super::outside::Reach;
use super::place::Place;
use crate::cli::tinmesh::InviteOptions;

/// An invitation that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Made {
    /// What the other machine needs to know; a secret.
    pub(super) url: String,
    /// Name of the new node; `null`: it chooses.
    pub(super) name: Option<String>,
    /// The host in the URL.
    pub(super) host: String,
    /// Whether only machines of the local network reach that host.
    pub(super) local_only: bool,
}

impl Made {
    pub(super) fn new(url: String, name: Option<&NodeName>, host: &str) -> Self {
        let local_only = Reach::of_host(host) < Reach::Everywhere;
        Self { url, name: name.map(NodeName::to_string), host: host.to_owned(), local_only }
    }

    /// The line to be typed on the other machine.
    pub(super) fn line(&self) -> String {
        format!("sudo tinmesh join {}", self.url)
    }

    /// What should be known about the address, if anything.
    pub(super) fn warning(&self, place: &Place) -> Option<String> {
        self.local_only.then(|| {
            format!(
                "{} is an address of the local network: only machines there can use this line.\n\
                 If this machine can be reached from outside, say how:\n\n  {}",
                self.host,
                place.sudo("invite --address HOST[:PORT]")
            )
        })
    }
}

/// Host and perhaps port, as people write them.
pub(super) fn parse_address(text: &str) -> Result<(String, Option<u16>)> {
    let problem = || anyhow::anyhow!("`{text}' is not an address: write HOST, HOST:PORT or [IPV6]:PORT");
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(problem)?;
            let _: Ipv6Addr = host.parse().map_err(|_| problem())?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(problem)?) };
            (host, port)
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(problem)).transpose()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == ':';
    if host.is_empty() || !host.chars().all(plain) {
        return Err(problem());
    }
    Ok((host.to_owned(), port))
}

/// The name of a new node, if it is a good one.
pub(super) fn parse_name(text: &str) -> Result<NodeName> {
    match NodeName::parse(text) {
        Ok(name) => Ok(name),
        Err(_) => bail!("`{text}' is not a name for a node: use letters, digits and underscores"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let read = |text: &str| parse_address(text).unwrap();
        assert_eq!(read("vpn.example.org"), ("vpn.example.org".to_owned(), None));
        assert_eq!(read("192.0.2.7:1655"), ("192.0.2.7".to_owned(), Some(1655)));
        assert_eq!(read("fd00::1"), ("fd00::1".to_owned(), None));
        assert_eq!(read("[fd00::1]:1655"), ("fd00::1".to_owned(), Some(1655)));
        assert_eq!(read("[fd00::1]"), ("fd00::1".to_owned(), None));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", ":655", "a:0", "a:x", "a b", "[fd00::1", "[x]:1", "[fd00::1]655", "a/b", "a:1:2"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }
}
