//! Interfaces, addresses and routes over rtnetlink: [`Link`] changes and lists them, [`Monitor`] notices changes.
//!
//! Both belong to the network namespace of the thread that opened them.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// An address range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The address; bits behind `len` are ignored in routes.
    pub address: IpAddr,
    /// How many bits of it count.
    pub len: u8,
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
}

/// A conversation with the kernel about interfaces. Every error says what was being done.
#[derive(Debug)]
pub struct Link {}

impl Link {
    /// Opens the conversation.
    pub fn open() -> io::Result<Self> {
        todo!()
    }

    /// The index of the interface called `name`.
    pub fn index(&mut self, name: &str) -> io::Result<u32> {
        todo!()
    }

    /// Brings an interface up, and sets its MTU if given.
    pub fn set_up(&mut self, name: &str, mtu: Option<u32>) -> io::Result<()> {
        todo!()
    }

    /// Gives an interface an address, usable at once; no error if it has it already.
    pub fn add_address(&mut self, name: &str, address: IpAddr, prefix_len: u8) -> io::Result<()> {
        todo!()
    }

    /// Takes an address away from an interface.
    pub fn remove_address(&mut self, name: &str, address: IpAddr, prefix_len: u8) -> io::Result<()> {
        todo!()
    }

    /// Adds a route to the main table, or replaces the one with the same destination. The gateway need not be in a
    /// range of the interface.
    pub fn add_route(&mut self, destination: Prefix, gateway: Option<IpAddr>, name: &str) -> io::Result<()> {
        todo!()
    }

    /// Removes a route through the interface from the main table.
    pub fn remove_route(&mut self, destination: Prefix, gateway: Option<IpAddr>, name: &str) -> io::Result<()> {
        todo!()
    }

    /// All addresses of all interfaces.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        todo!()
    }

    /// All unicast routes of the main table: which ranges are in use.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        todo!()
    }
}

/// Notices changes of addresses, links and routes.
#[derive(Debug)]
pub struct Monitor {}

impl Monitor {
    /// Begins to listen; changes of the interface with index `ignored` (this program's own) do not count.
    pub fn open(ignored: Option<u32>) -> io::Result<Self> {
        todo!()
    }

    /// Reads all pending reports; `true` if any of them was a change: an address or a default route came or went, or
    /// a link went up or down.
    pub fn drain(&mut self) -> io::Result<bool> {
        todo!()
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        todo!()
    }
}
