//! `UdpSocket`: many datagrams per system call.
//!
//! Receiving takes several messages at once (`recvmmsg`), each one datagram or many of one sender (`UDP_GRO`). Sending does
//! the same (`sendmmsg`): a run of equally long datagrams to one address goes as a single message that the kernel cuts up
//! late (`UDP_SEGMENT`), which is several times cheaper per datagram. Neither allocates.

mod batch;
mod inbox;
mod name;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Protocol, Socket, Type};

use self::batch::{Group, Run};
pub use self::inbox::{Inbox, Received};

/// Datagrams per system call.
pub const BATCH: usize = 64;

/// How to open a UDP socket.
#[derive(Clone, Debug, Default)]
pub struct UdpOptions {
    /// Receive buffer in bytes; 0: the system's default.
    pub rcvbuf: usize,
    /// Send buffer in bytes; 0: the system's default.
    pub sndbuf: usize,
    /// Firewall mark of what is sent; 0: none.
    pub mark: u32,
    /// Use only this interface.
    pub interface: Option<String>,
    /// Never fragment; a datagram that is too long is refused with `EMSGSIZE`.
    pub dont_fragment: bool,
    /// Do without `UDP_SEGMENT`: one message per datagram sent.
    pub one_by_one: bool,
    /// Do without `UDP_GRO`: one message per datagram received.
    pub apart: bool,
}

/// A non-blocking UDP socket. All methods take `&self`: threads can share it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    /// Whether the kernel cuts up long messages for us.
    segments: AtomicBool,
    /// Type of service or traffic class of what is sent.
    priority: AtomicU8,
}

impl UdpSocket {
    /// Binds a socket to `address`; port 0: any free one. IPv6 sockets take IPv6 only.
    pub fn bind(address: SocketAddr, options: &UdpOptions) -> io::Result<Self> {
        // No SO_REUSEADDR: with it any user could bind the same port as well and get our datagrams.
        Self::bind_as(open_for(address)?, address, options)
    }

    /// Binds another socket to the address of this one. The kernel gives all datagrams of one sender to the same of them.
    ///
    /// From then on, other programs of the same user, too, could bind the same port as this does; others can not.
    pub fn bind_beside(&self, options: &UdpOptions) -> io::Result<Self> {
        let address = self.local_addr()?;
        let beside = open_for(address)?;
        // Only now: who binds first finds out whether the port is free.
        self.socket.set_reuse_port(true)?;
        beside.set_reuse_port(true)?;
        Self::bind_as(beside, address, options)
    }

    fn bind_as(socket: Socket, address: SocketAddr, options: &UdpOptions) -> io::Result<Self> {
        socket.set_broadcast(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        configure(&socket, options)?;
        set_fragmentation(&socket, address.is_ipv6(), options.dont_fragment)?;
        socket.bind(&address.into())?;
        let segments = AtomicBool::new(!options.one_by_one && batch::can_segment(socket.as_fd()));
        if !options.apart {
            // Without it each datagram comes alone.
            batch::keep_together(socket.as_fd());
        }
        Ok(Self { socket, segments, priority: AtomicU8::new(0) })
    }

    /// Another handle of the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        let segments = AtomicBool::new(self.segments.load(Ordering::Relaxed));
        let priority = AtomicU8::new(self.priority.load(Ordering::Relaxed));
        Ok(Self { socket: self.socket.try_clone()?, segments, priority })
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The receive and send buffer that the kernel granted, in bytes as asked for (half of what it reports).
    pub fn buffer_sizes(&self) -> io::Result<(usize, usize)> {
        Ok((self.socket.recv_buffer_size()? / 2, self.socket.send_buffer_size()? / 2))
    }

    /// Replaces what is in `inbox` by what waits, IPv4-mapped addresses as IPv4. Returns how many messages that are;
    /// `WouldBlock` if there is nothing.
    pub fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        inbox.fill(self.socket.as_fd())
    }

    /// Sends `datagrams`, all of them, in groups of [`BATCH`]. One that the kernel refuses is told to `refused` with
    /// its index, and the next ones go on. Stops when the send buffer is full. Returns how many were dealt with, sent
    /// or refused: that is the index of the first one that was not tried.
    pub fn send_batch<'a>(
        &self,
        mut datagrams: impl Iterator<Item = (&'a [u8], SocketAddr)>,
        mut refused: impl FnMut(usize, io::Error),
    ) -> usize {
        let mut done = 0;
        loop {
            let group = Group::take(&mut datagrams);
            let dealt = self.send_group(&group, |index, error| refused(done + index, error));
            done += dealt;
            if dealt < BATCH {
                return done;
            }
        }
    }

    /// What is sent from now on has this type of service (IPv4) or traffic class (IPv6). No system call if it has already.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_priority(&self, priority: u8) -> io::Result<()> {
        if self.priority.load(Ordering::Relaxed) == priority {
            return Ok(());
        }
        if self.local_addr()?.is_ipv6() {
            self.socket.set_tclass_v6(priority.into())?;
        } else {
            self.socket.set_tos_v4(priority.into())?;
        }
        self.priority.store(priority, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the index of the first datagram that was not tried.
    fn send_group(&self, group: &Group<'_>, mut refused: impl FnMut(usize, io::Error)) -> usize {
        let runs = group.runs(self.segments.load(Ordering::Relaxed));
        let mut rest = runs.as_slice();
        while let Some((run, later)) = rest.split_first() {
            match batch::send(self.socket.as_fd(), group, rest) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return run.start,
                Err(error) if run.len > 1 => {
                    let stop = self.send_singly(group, *run, &error, &mut refused);
                    if stop < run.end() {
                        return stop;
                    }
                    rest = later;
                }
                Err(error) => {
                    refused(run.start, error);
                    rest = later;
                }
            }
        }
        group.len()
    }

    /// Sends the datagrams of a run that the kernel refused as a whole with `why`.
    fn send_singly(
        &self,
        group: &Group<'_>,
        run: Run,
        why: &io::Error,
        refused: &mut impl FnMut(usize, io::Error),
    ) -> usize {
        let mut all_sent = true;
        for (index, datagram, to) in group.datagrams(run) {
            match self.send_to(datagram, to) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return index,
                Err(error) => {
                    all_sent = false;
                    refused(index, error);
                }
            }
        }
        if all_sent && batch::means_no_segments(why) {
            self.segments.store(false, Ordering::Relaxed);
        }
        run.end()
    }

    /// Sends one datagram.
    pub fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let to = to.into();
        loop {
            match self.socket.send_to(datagram, &to) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(|_| ()),
            }
        }
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open_for(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))
}

fn configure(socket: &Socket, options: &UdpOptions) -> io::Result<()> {
    // The forced form goes beyond the system's limit, but only root may use it.
    if options.rcvbuf != 0 && sockopt::set_socket_recv_buffer_size_force(socket, options.rcvbuf).is_err() {
        socket.set_recv_buffer_size(options.rcvbuf)?;
    }
    if options.sndbuf != 0 && sockopt::set_socket_send_buffer_size_force(socket, options.sndbuf).is_err() {
        socket.set_send_buffer_size(options.sndbuf)?;
    }
    if options.mark != 0 {
        socket.set_mark(options.mark)?;
    }
    if let Some(interface) = &options.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    Ok(())
}

fn set_fragmentation(socket: &Socket, ipv6: bool, dont_fragment: bool) -> io::Result<()> {
    if ipv6 {
        let mode = if dont_fragment { Ipv6PathMtuDiscovery::DO } else { Ipv6PathMtuDiscovery::DONT };
        sockopt::set_ipv6_mtu_discover(socket, mode)?;
    } else {
        let mode = if dont_fragment { Ipv4PathMtuDiscovery::DO } else { Ipv4PathMtuDiscovery::DONT };
        sockopt::set_ip_mtu_discover(socket, mode)?;
    }
    Ok(())
}

/// What the kernel believes to be the MTU of the way to an address, as the size of an IP packet.
pub fn path_mtu(to: SocketAddr) -> io::Result<u16> {
    let socket = connected(to)?;
    let mtu = if to.is_ipv6() { sockopt::ipv6_mtu(&socket)? } else { sockopt::ip_mtu(&socket)? };
    Ok(u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// The address that this machine would use towards another one.
pub fn local_address_towards(to: SocketAddr) -> io::Result<IpAddr> {
    let local = connected(to)?.local_addr()?.as_socket();
    local.map(|address| address.ip()).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// A socket that has chosen its route, and sends nothing.
fn connected(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.connect(&to.into())?;
    Ok(socket)
}
