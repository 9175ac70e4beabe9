//! Frames as UDP datagrams to a multicast group: a wire between daemons of one network (spec: routing 2.4).
//!
//! What is sent comes back, so that another daemon of the same machine hears it too. tinc takes every frame for such an
//! echo whose sender is that of the frame it wrote last; here each frame is remembered until its echo came, so that two
//! stations behind the tunnel do not make it mistake one's echo for news.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use rustix::net::RecvFlags;
use socket2::{Domain, Protocol, Socket, Type};

/// Frames whose echo is awaited; more do not fit into the socket's buffer anyway.
const ECHOES: usize = 1024;

/// A member of a multicast group.
#[derive(Debug)]
pub(super) struct Multicast {
    socket: Socket,
    group: SocketAddr,
    echoes: Mutex<Echoes>,
}

/// Frames on their way back to us, in the order in which they were sent.
#[derive(Debug, Default)]
struct Echoes {
    state: RandomState,
    awaited: VecDeque<u64>,
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
        Ok(Self { socket, group, echoes: Mutex::default() })
    }

    /// Reads a frame; `None` if it is the echo of our own, or longer than `space`.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        let (read, whole) = rustix::net::recv(&self.socket, &mut *space, RecvFlags::TRUNC)?;
        let frame = space.get(..whole);
        Ok(frame.filter(|frame| !self.echoes().take(frame)).map(|_| read))
    }

    /// Writes a frame.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        // Held until it is sent: another thread may read its echo at once.
        let mut echoes = self.echoes();
        self.socket.send_to(frame, &self.group.into())?;
        echoes.expect(frame);
        Ok(())
    }

    fn echoes(&self) -> std::sync::MutexGuard<'_, Echoes> {
        self.echoes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Multicast {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Echoes {
    fn expect(&mut self, frame: &[u8]) {
        if self.awaited.len() == ECHOES {
            self.awaited.pop_front();
        }
        self.awaited.push_back(self.state.hash_one(frame));
    }

    /// Whether a frame is the echo of one that was sent. Those before it are not awaited any more: they were lost.
    fn take(&mut self, frame: &[u8]) -> bool {
        if self.awaited.is_empty() {
            return false;
        }
        let hash = self.state.hash_one(frame);
        let Some(at) = self.awaited.iter().position(|&awaited| awaited == hash) else { return false };
        self.awaited.drain(..=at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_has_one_echo() {
        let mut echoes = Echoes::default();
        echoes.expect(b"a");
        echoes.expect(b"b");

        assert!(!echoes.take(b"c"), "somebody else's");
        assert!(echoes.take(b"a"));
        assert!(!echoes.take(b"a"), "somebody else sent the same");
        assert!(echoes.take(b"b"));
    }

    #[test]
    fn echoes_that_were_lost_are_forgotten_with_the_next() {
        let mut echoes = Echoes::default();
        [b"a", b"b"].iter().for_each(|frame| echoes.expect(*frame));
        assert!(echoes.take(b"b"));
        assert!(!echoes.take(b"a"));
    }

    #[test]
    fn only_so_many_echoes_are_awaited() {
        let mut echoes = Echoes::default();
        (0..=ECHOES).for_each(|number| echoes.expect(&number.to_ne_bytes()));
        assert_eq!(echoes.awaited.len(), ECHOES);
        assert!(!echoes.take(&0_usize.to_ne_bytes()));
    }
}
