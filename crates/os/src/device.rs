//! `Device`: a TUN or TAP interface, or a descriptor of one that somebody else opened (spec: routing 2).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// What a device carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bare IP packets.
    Tun,
    /// Ethernet frames.
    Tap,
}

/// How to open a device.
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// The device node; `None`: `/dev/net/tun`.
    pub path: Option<PathBuf>,
    /// The interface's name, cut to 15 bytes; `None`: the kernel chooses one.
    pub name: Option<String>,
    /// Packets or frames.
    pub kind: Kind,
}

/// An open TUN or TAP interface. It vanishes when its last descriptor is closed.
#[derive(Debug)]
pub struct Device {
    fd: OwnedFd,
    name: String,
}

impl Device {
    /// Makes the interface. It is neither up nor has it an address.
    pub fn open(options: &DeviceOptions) -> io::Result<Self> {
        todo!()
    }

    /// Takes a device that was passed to this process as descriptor number `fd`.
    pub fn from_fd(fd: RawFd) -> io::Result<Self> {
        todo!()
    }

    /// Asks the UNIX socket at `path` (`@name`: abstract) for a device's descriptor.
    pub fn from_socket(path: &Path) -> io::Result<Self> {
        todo!()
    }

    /// The name of the interface, as the kernel gave it; `fd/N` for a descriptor that is no interface of ours.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one packet or frame; what does not fit into `space` is lost. `WouldBlock` if there is none.
    pub fn recv(&self, space: &mut [u8]) -> io::Result<usize> {
        todo!()
    }

    /// Writes one packet or frame.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        todo!()
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
