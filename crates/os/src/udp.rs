//! `UdpSocket`: many datagrams per system call.
//!
//! Receiving takes up to [`BATCH`] datagrams at once (`recvmmsg`). Sending does the same (`sendmmsg`), and a run of
//! equally long datagrams to one address goes as a single message that the kernel cuts up late (`UDP_SEGMENT`), which
//! is several times cheaper per datagram. Neither allocates.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

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
}

/// A non-blocking UDP socket. All methods take `&self`: threads can share it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: socket2::Socket,
}

impl UdpSocket {
    /// Binds a socket to `address`; port 0: any free one. IPv6 sockets take IPv6 only.
    pub fn bind(address: SocketAddr, options: &UdpOptions) -> io::Result<Self> {
        todo!()
    }

    /// Another handle of the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        todo!()
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        todo!()
    }

    /// The receive and send buffer that the kernel granted, in bytes as asked for (half of what it reports).
    pub fn buffer_sizes(&self) -> io::Result<(usize, usize)> {
        todo!()
    }

    /// Receives up to [`BATCH`] datagrams, one into each of `spaces`, and tells `each` the index of the space, the
    /// datagram's length and where it came from (IPv4-mapped addresses as IPv4). A datagram longer than its space is
    /// dropped and not told. Returns how many were received; `WouldBlock` if there are none.
    pub fn recv_batch<'a>(
        &self,
        spaces: impl Iterator<Item = &'a mut [u8]>,
        each: impl FnMut(usize, usize, SocketAddr),
    ) -> io::Result<usize> {
        todo!()
    }

    /// Sends `datagrams`, all of them, in groups of [`BATCH`]. One that the kernel refuses is told to `refused` with
    /// its index, and the next ones go on. Stops when the send buffer is full. Returns how many were dealt with, sent
    /// or refused: that is the index of the first one that was not tried.
    pub fn send_batch<'a>(
        &self,
        datagrams: impl Iterator<Item = (&'a [u8], SocketAddr)>,
        refused: impl FnMut(usize, io::Error),
    ) -> usize {
        todo!()
    }

    /// Sends one datagram.
    pub fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        todo!()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What the kernel believes to be the MTU of the way to an address, as the size of an IP packet.
pub fn path_mtu(to: SocketAddr) -> io::Result<u16> {
    todo!()
}

/// The address that this machine would use towards another one.
pub fn local_address_towards(to: SocketAddr) -> io::Result<IpAddr> {
    todo!()
}
