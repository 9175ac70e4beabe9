//! What is behind a device: where its packets and frames come from and go to.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::multicast::Multicast;
use super::packet_socket::PacketSocket;
use super::uml::Uml;
use super::vde::Vde;

/// The kinds of devices, as far as reading and writing differ.
#[derive(Debug)]
pub(super) enum Port {
    /// A file with one packet or frame per read and write.
    File {
        /// Its descriptor.
        fd: OwnedFd,
        /// Whether reading nothing means that the other end is gone.
        ends: bool,
    },
    /// An interface that exists.
    Packets(PacketSocket),
    /// A multicast group.
    Group(Multicast),
    /// A User Mode Linux machine.
    Machine(Uml),
    /// A VDE switch.
    Plug(Vde),
}

impl Port {
    /// Reads one packet or frame; `None` if it is not for us, or too long.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::File { fd, ends } => match rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *space))? {
                0 if *ends => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its other end was closed")),
                len => Ok(Some(len)),
            },
            Self::Packets(socket) => socket.recv(space),
            Self::Group(group) => group.recv(space),
            Self::Machine(machine) => machine.recv(space),
            Self::Plug(plug) => plug.recv(space),
        }
    }

    /// Writes one packet or frame.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        match self {
            Self::File { fd, .. } => Ok(rustix::io::retry_on_intr(|| rustix::io::write(fd, packet)).map(|_| ())?),
            // It takes what a file takes.
            Self::Packets(socket) => Ok(rustix::io::retry_on_intr(|| rustix::io::write(socket, packet)).map(|_| ())?),
            Self::Group(group) => group.send(packet),
            Self::Machine(machine) => machine.send(packet),
            Self::Plug(plug) => plug.send(packet),
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::File { fd, .. } => fd.as_fd(),
            Self::Packets(socket) => socket.as_fd(),
            Self::Group(group) => group.as_fd(),
            Self::Machine(machine) => machine.as_fd(),
            Self::Plug(plug) => plug.as_fd(),
        }
    }
}
