//! Frames as UDP datagrams to a multicast group: a wire between daemons of one network (spec: routing 2.4).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::net::RecvFlags;
use socket2::{Domain, Protocol, Socket, Type};

/// Where a frame has the address of its source.
const SOURCE: std::ops::Range<usize> = 6..12;

/// A member of a multicast group.
#[derive(Debug)]
pub(super) struct Multicast {
    socket: Socket,
    group: SocketAddr,
    /// The source of the frame written last; more than 48 bits: none.
    last: AtomicU64,
}

impl Multicast {
    /// Joins a group.
    pub(super) fn join(group: SocketAddr, ttl: u8) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&group.into())?;
        match group.ip() {
            IpAddr::V4(ip) => {
                socket.join_multicast_v4(&ip, &Ipv4Addr::UNSPECIFIED)?;
                socket.set_multicast_loop_v4(true)?;
                socket.set_multicast_ttl_v4(ttl.into())?;
            }
            IpAddr::V6(ip) => {
                socket.join_multicast_v6(&ip, 0)?;
                socket.set_multicast_loop_v6(true)?;
                socket.set_multicast_hops_v6(ttl.into())?;
            }
        }
        socket.set_nonblocking(true)?;
        Ok(Self { socket, group, last: AtomicU64::new(u64::MAX) })
    }

    /// Reads a frame; `None` if it is the echo of our own, or longer than `space`.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        let (read, whole) = rustix::net::recv(&self.socket, &mut *space, RecvFlags::TRUNC)?;
        let echo = source_of(&space[..read]).is_some_and(|source| source == self.last.load(Relaxed));
        Ok(if echo || whole > space.len() { None } else { Some(read) })
    }

    /// Writes a frame.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        // Before it is sent: its echo may be read at once.
        self.last.store(source_of(frame).unwrap_or(u64::MAX), Relaxed);
        self.socket.send_to(frame, &self.group.into()).map(|_| ())
    }
}

impl AsFd for Multicast {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn source_of(frame: &[u8]) -> Option<u64> {
    let source = frame.get(SOURCE)?;
    Some(source.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}
