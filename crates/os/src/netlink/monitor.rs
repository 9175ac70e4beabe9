//! `Monitor`: notices that the machine's place in the network changed.
//!
//! The kernel reports more than that: addresses are announced again with each router advertisement, and scripts add
//! routes to single hosts all the time. So the monitor remembers the addresses, and of the routes only the default ones
//! count.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::requests::{BUFFER, messages, receive};
use super::{Link, local_address, route_of};

/// `RTNLGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV6_IFADDR`, `_IPV6_ROUTE`.
const GROUPS: [u32; 5] = [1, 5, 7, 9, 11];
/// Datagrams read by one [`Monitor::drain`] at most, so that a storm of reports cannot hold up the caller.
const DRAIN: usize = 256;

/// Notices changes of addresses, links and default routes.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    ignored: Option<u32>,
    addresses: BTreeSet<(u32, IpAddr)>,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Begins to listen; changes of the interface with index `ignored` (this program's own) do not count.
    pub fn open(ignored: Option<u32>) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        let addresses = known_addresses()?;
        Ok(Self { socket, ignored, addresses, buffer: vec![0; BUFFER] })
    }

    /// Reads the pending reports; `true` if any of them was a change: an address or a default route came or went, or a
    /// link went up or down.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut changed = false;
        for _ in 0..DRAIN {
            match receive(&self.socket, &mut self.buffer) {
                Ok(len) => changed |= self.on_reports(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => changed |= self.on_lost_reports()?,
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }

    fn on_reports(&mut self, len: usize) -> bool {
        let datagram = self.buffer.get(..len).unwrap_or_default();
        let reports: Vec<_> = messages(datagram).map(|(_, payload)| payload).collect();
        let mut changed = false;
        for report in reports {
            if let NetlinkPayload::InnerMessage(report) = report {
                changed |= self.on_report(&report);
            }
        }
        changed
    }

    /// The kernel had more reports than room.
    fn on_lost_reports(&mut self) -> io::Result<bool> {
        self.addresses = known_addresses()?;
        Ok(true)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the library knows many kinds of reports, and the kernel more")]
    fn on_report(&mut self, report: &RouteNetlinkMessage) -> bool {
        match report {
            RouteNetlinkMessage::NewAddress(message) => self.on_new_address(message),
            RouteNetlinkMessage::DelAddress(message) => {
                let interface = message.header.index;
                let known = local_address(message).is_some_and(|address| self.addresses.remove(&(interface, address)));
                known && !self.ignores(Some(interface))
            }
            RouteNetlinkMessage::NewLink(message) => self.on_new_link(message),
            RouteNetlinkMessage::DelLink(message) => !self.ignores(Some(message.header.index)),
            RouteNetlinkMessage::NewRoute(message) | RouteNetlinkMessage::DelRoute(message) => {
                route_of(message).is_some_and(|route| route.destination.len == 0 && !self.ignores(route.interface))
            }
            _ => false,
        }
    }

    fn on_new_address(&mut self, message: &AddressMessage) -> bool {
        let Some(address) = local_address(message) else { return false };
        // A tentative address cannot be used yet; it is announced again when it can.
        let interface = message.header.index;
        let usable = !message.header.flags.contains(AddressHeaderFlags::Tentative);
        usable && self.addresses.insert((interface, address)) && !self.ignores(Some(interface))
    }

    fn on_new_link(&self, message: &LinkMessage) -> bool {
        let header = &message.header;
        header.change_mask.intersects(LinkFlags::Up | LinkFlags::LowerUp) && !self.ignores(Some(header.index))
    }

    fn ignores(&self, interface: Option<u32>) -> bool {
        interface.is_some() && interface == self.ignored
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn known_addresses() -> io::Result<BTreeSet<(u32, IpAddr)>> {
    let addresses = Link::open()?.addresses()?;
    Ok(addresses.into_iter().map(|known| (known.interface, known.prefix.address)).collect())
}
