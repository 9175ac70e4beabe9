//! Interfaces, addresses and routes over rtnetlink: [`Link`] changes and lists them, [`Monitor`] notices changes.
//!
//! Both belong to the network namespace of the thread that opened them.

mod monitor;
mod requests;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{fmt, io};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

pub use self::monitor::Monitor;
use self::requests::{Requests, failed};

/// An address range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The address; in a route, bits behind `len` do not count.
    pub address: IpAddr,
    /// How many bits of it count.
    pub len: u8,
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The interface's index.
    pub interface: u32,
    /// The address and its on-link range.
    pub prefix: Prefix,
}

/// A unicast route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The destinations.
    pub destination: Prefix,
    /// The next router, if the destinations are not on the link.
    pub gateway: Option<IpAddr>,
    /// The index of the interface; `None`: several next hops.
    pub interface: Option<u32>,
    /// Of several for the same destinations the one with the least is used.
    pub metric: u32,
}

/// A conversation with the kernel about interfaces. Every error says what was being done.
#[derive(Debug)]
pub struct Link {
    requests: Requests,
}

impl Link {
    /// Opens the conversation.
    pub fn open() -> io::Result<Self> {
        Ok(Self { requests: Requests::open()? })
    }

    /// The index of the interface called `name`; `NotFound` if there is none.
    pub fn index(&mut self, name: &str) -> io::Result<u32> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let link = self.look_up(message).map_err(failed(|| format!("looking up interface {name}")))?;
        Ok(link.header.index)
    }

    fn look_up(&mut self, interface: LinkMessage) -> io::Result<LinkMessage> {
        let reply = self.requests.ask(RouteNetlinkMessage::GetLink(interface))?;
        let RouteNetlinkMessage::NewLink(link) = reply else { return Err(io::ErrorKind::InvalidData.into()) };
        Ok(link)
    }

    /// The MTU of an interface, in bytes of IP packet.
    pub fn mtu(&mut self, interface: u32) -> io::Result<u32> {
        let doing = || format!("looking up interface {interface}");
        let mut message = LinkMessage::default();
        message.header.index = interface;
        let link = self.look_up(message).map_err(failed(doing))?;
        let mtu = link.attributes.into_iter().find_map(|attribute| {
            let LinkAttribute::Mtu(mtu) = attribute else { return None };
            Some(mtu)
        });
        mtu.ok_or_else(|| failed(doing)(io::ErrorKind::InvalidData.into()))
    }

    /// Brings an interface up, and sets its MTU if given.
    pub fn set_up(&mut self, name: &str, mtu: Option<u32>) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.index(name)?;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        message.attributes.extend(mtu.map(LinkAttribute::Mtu));
        let doing = || match mtu {
            Some(mtu) => format!("bringing interface {name} up with MTU {mtu}"),
            None => format!("bringing interface {name} up"),
        };
        self.requests.change(RouteNetlinkMessage::SetLink(message), 0).map_err(failed(doing))
    }

    /// Limits the large packets that an interface is given (TSO, USO), to `bytes` from the IP header.
    pub fn limit_large_packets(&mut self, name: &str, bytes: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.index(name)?;
        message.attributes.push(LinkAttribute::GsoMaxSize(bytes));
        let doing = || format!("limiting large packets of interface {name} to {bytes} bytes");
        self.requests.change(RouteNetlinkMessage::SetLink(message), 0).map_err(failed(doing))
    }

    /// Takes an interface down; its routes vanish.
    pub fn set_down(&mut self, name: &str) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.index(name)?;
        message.header.change_mask = LinkFlags::Up;
        let doing = || format!("taking interface {name} down");
        self.requests.change(RouteNetlinkMessage::SetLink(message), 0).map_err(failed(doing))
    }

    /// Gives an interface an address, usable at once; no error if it has it already.
    pub fn add_address(&mut self, name: &str, address: IpAddr, prefix_len: u8) -> io::Result<()> {
        let mut message = self.address_message(name, address, prefix_len)?;
        if address.is_ipv6() {
            // Without this the address is unusable for a second or two, while the kernel asks for duplicates.
            message.header.flags |= AddressHeaderFlags::Nodad;
        }
        self.requests
            .change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(failed(|| format!("adding address {address}/{prefix_len} to {name}")))
    }

    /// Takes an address away from an interface.
    pub fn remove_address(&mut self, name: &str, address: IpAddr, prefix_len: u8) -> io::Result<()> {
        let message = self.address_message(name, address, prefix_len)?;
        self.requests
            .change(RouteNetlinkMessage::DelAddress(message), 0)
            .map_err(failed(|| format!("removing address {address}/{prefix_len} from {name}")))
    }

    fn address_message(&mut self, name: &str, address: IpAddr, prefix_len: u8) -> io::Result<AddressMessage> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix_len;
        message.header.index = self.index(name)?;
        message.attributes.extend([AddressAttribute::Local(address), AddressAttribute::Address(address)]);
        Ok(message)
    }

    /// Adds a route to the main table, or replaces the one with the same destination. The gateway need not be in a
    /// range of the interface.
    pub fn add_route(&mut self, destination: Prefix, gateway: Option<IpAddr>, name: &str) -> io::Result<()> {
        let mut message = self.route_message(destination, gateway, name)?;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = if gateway.is_some() { RouteScope::Universe } else { RouteScope::Link };
        if gateway.is_some() {
            message.header.flags |= RouteFlags::Onlink;
        }
        self.requests
            .change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(failed(|| format!("adding route {destination} through {name}")))
    }

    /// Removes a route through the interface from the main table; `gateway: None` means with any gateway.
    pub fn remove_route(&mut self, destination: Prefix, gateway: Option<IpAddr>, name: &str) -> io::Result<()> {
        let mut message = self.route_message(destination, gateway, name)?;
        message.header.scope = RouteScope::NoWhere;
        self.requests
            .change(RouteNetlinkMessage::DelRoute(message), 0)
            .map_err(failed(|| format!("removing route {destination} through {name}")))
    }

    fn route_message(&mut self, to: Prefix, gateway: Option<IpAddr>, name: &str) -> io::Result<RouteMessage> {
        let to = to.truncated();
        let mut message = RouteMessage::default();
        message.header.address_family = family(to.address);
        message.header.destination_prefix_length = to.len;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.kind = RouteType::Unicast;
        message.attributes.push(RouteAttribute::Destination(to.address.into()));
        message.attributes.push(RouteAttribute::Oif(self.index(name)?));
        message.attributes.extend(gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
        Ok(message)
    }

    /// All addresses of all interfaces.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let replies = self
            .requests
            .list(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))
            .map_err(failed(|| "listing addresses".to_owned()))?;
        let addresses = replies.iter().filter_map(|reply| {
            if let RouteNetlinkMessage::NewAddress(message) = reply { address_of(message) } else { None }
        });
        Ok(addresses.collect())
    }

    /// The route that packets to `to` take, by any table.
    pub fn route_towards(&mut self, to: IpAddr) -> io::Result<Route> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(to);
        message.header.destination_prefix_length = if to.is_ipv4() { 32 } else { 128 };
        message.attributes.push(RouteAttribute::Destination(to.into()));
        let doing = || format!("looking up the route to {to}");
        let reply = self.requests.ask(RouteNetlinkMessage::GetRoute(message)).map_err(failed(doing))?;
        let RouteNetlinkMessage::NewRoute(message) = reply else {
            return Err(failed(doing)(io::ErrorKind::InvalidData.into()));
        };
        with_attributes(&message).ok_or_else(|| failed(doing)(io::ErrorKind::InvalidData.into()))
    }

    /// The link-layer address of a neighbour, if it was found out; `NotFound` if nobody wrote to it lately.
    pub fn neighbour(&mut self, ip: IpAddr, interface: u32) -> io::Result<Option<Vec<u8>>> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(ip);
        message.header.ifindex = interface;
        message.attributes.push(NeighbourAttribute::Destination(ip.into()));
        let reply = self.requests.ask(RouteNetlinkMessage::GetNeighbour(message));
        let reply = reply.map_err(failed(|| format!("looking up neighbour {ip}")))?;
        let RouteNetlinkMessage::NewNeighbour(message) = reply else { return Ok(None) };
        Ok(message.attributes.into_iter().find_map(|attribute| {
            let NeighbourAttribute::LinkLayerAddress(address) = attribute else { return None };
            Some(address)
        }))
    }

    /// All unicast routes of the main table: which ranges are in use.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        let replies = self
            .requests
            .list(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))
            .map_err(failed(|| "listing routes".to_owned()))?;
        let routes = replies.iter().filter_map(|reply| {
            if let RouteNetlinkMessage::NewRoute(message) = reply { route_of(message) } else { None }
        });
        Ok(routes.collect())
    }
}

impl Prefix {
    /// With the bits behind the length set to zero, as the kernel wants it.
    fn truncated(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.len.into())).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.len.into())).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        };
        Self { address, len: self.len }
    }
}

const fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn address_of(message: &AddressMessage) -> Option<Address> {
    let prefix = Prefix { address: local_address(message)?, len: message.header.prefix_len };
    Some(Address { interface: message.header.index, prefix })
}

/// The interface's own address; on point-to-point links `Address` is the other end's.
fn local_address(message: &AddressMessage) -> Option<IpAddr> {
    let mut found = None;
    for attribute in &message.attributes {
        if let AddressAttribute::Local(address) = attribute {
            return Some(*address);
        }
        if let AddressAttribute::Address(address) = attribute {
            found = Some(*address);
        }
    }
    found
}

fn route_of(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let ordinary = header.kind == RouteType::Unicast && !header.flags.contains(RouteFlags::Cloned);
    if !ordinary || header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    with_attributes(message)
}

fn with_attributes(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let everywhere: IpAddr = if header.address_family == AddressFamily::Inet {
        Ipv4Addr::UNSPECIFIED.into()
    } else if header.address_family == AddressFamily::Inet6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        return None;
    };
    let mut route = Route {
        destination: Prefix { address: everywhere, len: header.destination_prefix_length },
        gateway: None,
        interface: None,
        metric: 0,
    };
    for attribute in &message.attributes {
        if let RouteAttribute::Destination(address) = attribute {
            route.destination.address = ip(address)?;
        } else if let RouteAttribute::Gateway(address) = attribute {
            route.gateway = ip(address);
        } else if let RouteAttribute::Oif(interface) = attribute {
            route.interface = Some(*interface);
        } else if let RouteAttribute::Priority(metric) = attribute {
            route.metric = *metric;
        }
    }
    Some(route)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(address) = address {
        return Some((*address).into());
    }
    if let RouteAddress::Inet6(address) = address { Some((*address).into()) } else { None }
}
