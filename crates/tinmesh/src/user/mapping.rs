//! `PortMapping`: what routers pass on to this machine, as `status` and `doctor` show it.

use serde::Serialize;

use super::units;
use crate::control::dump::ports::{HeldPort, PortLine};

/// How it stands with the routers of one family of addresses that are asked for the UDP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortMapping {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// How the router was asked; `null`, as all of the following: none grants the port.
    pub protocol: Option<String>,
    /// The router.
    pub router: Option<String>,
    /// Where the port is outside.
    pub address: Option<String>,
    /// Whether others can use that address.
    pub usable: Option<bool>,
    /// When it ends if it is not renewed, in seconds since 1970.
    pub until: Option<u64>,
    /// How often routers were asked in vain since one granted the port.
    pub failures: u32,
}

impl From<&PortLine> for PortMapping {
    fn from(line: &PortLine) -> Self {
        let (held, family) = (line.held.as_ref(), line.family.clone());
        let of = |what: fn(&HeldPort) -> String| held.ok().map(what);
        Self {
            family,
            protocol: of(|held| held.protocol.clone()),
            router: of(|held| held.router.to_string()),
            address: of(|held| held.address.to_string()),
            usable: held.ok().map(|held| held.usable),
            until: held.ok().map(|held| held.until),
            failures: held.err().copied().unwrap_or(0),
        }
    }
}

impl PortMapping {
    /// `ADDRESS by PROTOCOL from ROUTER, for TIME`, if a router passes the port on; `now` is in seconds since 1970.
    pub(super) fn says(&self, now: u64) -> Option<String> {
        let (address, protocol, router) = (self.address.as_ref()?, self.protocol.as_ref()?, self.router.as_ref()?);
        let left = units::roughly(self.until?.saturating_sub(now));
        Some(format!("{address} by {protocol} from {router}, for {left}"))
    }
}
