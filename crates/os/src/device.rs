//! `Device`: a TUN or TAP interface, a descriptor of one that somebody else opened, or a port of a network that is there
//! already (spec: routing 2).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType,
    socket_with,
};

use self::multicast::Multicast;
use self::packet_socket::PacketSocket;
use self::port::Port;
use self::uml::Uml;
use self::vde::Vde;
pub use self::vde::VdeOptions;
use crate::process;

mod multicast;
mod packet_socket;
mod port;
#[cfg(test)]
mod tests;
pub mod uml;
mod vde;

/// UDP over IPv4 and IPv6 in large packets, as `linux/if_tun.h` numbers them.
const TUN_F_USO4: libc::c_uint = 0x20;
const TUN_F_USO6: libc::c_uint = 0x40;
/// Longest name of an interface.
const NAME_LEN: usize = libc::IFNAMSIZ - 1;

/// What a device carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bare IP packets.
    Tun,
    /// Ethernet frames of one machine.
    Tap,
    /// Ethernet frames of a network of machines.
    Wire,
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
    /// Whether to ask the kernel for large packets (see [`Offloads`]).
    pub offloads: bool,
    /// Whether to ask for [more queues](Device::another_queue) than one.
    pub queues: bool,
}

/// Length of the header of a device with offloads, in bytes (virtio 1.2, 5.1.6).
pub const VNET_HEADER: usize = 10;
/// Longest packet or frame of a device with offloads, with its header, in bytes.
pub const LARGEST: usize = VNET_HEADER + 14 + 4 + 65_535;

/// What a kernel and its device leave to each other. All packets and frames then have a [`VNET_HEADER`] in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// Large UDP packets, that are several datagrams, both ways (Linux 6.2); those of TCP always go.
    pub udp: bool,
}

/// How a device node is opened.
const OPEN: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// Frames that are skipped before others than the device get their turn.
const SKIPS: usize = 64;

/// An open device. A TUN or TAP interface vanishes when its last descriptor is closed.
#[derive(Debug)]
pub struct Device {
    port: Port,
    name: String,
    kind: Kind,
    offloads: Option<Offloads>,
    /// The device node, if there can be more queues.
    node: Option<PathBuf>,
}

impl Device {
    /// Makes the interface. It is neither up nor has it an address.
    pub fn open(options: &DeviceOptions) -> io::Result<Self> {
        let path = options.path.as_deref().unwrap_or_else(|| Path::new("/dev/net/tun"));
        let fd = rustix::fs::open(path, OPEN, Mode::empty())?;
        let name = options.name.as_deref().unwrap_or("");
        let interface = Interface { name, kind: options.kind, header: options.offloads };
        let (name, several) = interface.attach_first(&fd, options.queues)?;
        let offloads = if options.offloads { Some(set_offloads(&fd)) } else { None };
        let node = several.then(|| path.to_owned());
        Ok(Self { port: Port::File { fd, ends: false }, name, kind: options.kind, offloads, node })
    }

    /// Another queue of the same interface; `None` if this device has one only. The kernel gives a flow to one of the queues,
    /// always the same: that to which packets of its other direction were written last.
    ///
    /// # Errors
    /// If the system refuses more queues.
    pub fn another_queue(&self) -> io::Result<Option<Self>> {
        let Some(node) = &self.node else { return Ok(None) };
        let fd = rustix::fs::open(node, OPEN, Mode::empty())?;
        let header = self.offloads.is_some();
        Interface { name: &self.name, kind: self.kind, header }.attach(&fd, libc::IFF_MULTI_QUEUE)?;
        let port = Port::File { fd, ends: false };
        Ok(Some(Self { port, name: self.name.clone(), kind: self.kind, offloads: self.offloads, node: None }))
    }

    /// Takes part in the network of the interface called `name`, which exists.
    pub fn on_interface(name: &str) -> io::Result<Self> {
        let port = Port::Packets(PacketSocket::open(name)?);
        // What comes is large in any case; of what goes, the oldest kernels know this.
        let offloads = Some(Offloads { udp: false });
        Ok(Self { port, name: name.to_owned(), kind: Kind::Wire, offloads, node: None })
    }

    /// Joins a multicast group as if it was a wire; datagrams get no further than `ttl` routers minus one.
    pub fn in_group(group: SocketAddr, ttl: u8) -> io::Result<Self> {
        let port = Port::Group(Multicast::join(group, ttl)?);
        Ok(Self { port, name: group.to_string(), kind: Kind::Wire, offloads: None, node: None })
    }

    /// Waits at the UNIX socket `path` for a User Mode Linux machine.
    pub fn for_machine(path: &Path) -> io::Result<Self> {
        let port = Port::Machine(Uml::listen(path)?);
        Ok(Self { port, name: path.display().to_string(), kind: Kind::Tap, offloads: None, node: None })
    }

    /// Plugs into the VDE switch whose directory or socket is `path`.
    pub fn in_switch(path: &Path, options: &VdeOptions) -> io::Result<Self> {
        let port = Port::Plug(Vde::plug(path, options)?);
        Ok(Self { port, name: path.display().to_string(), kind: Kind::Tap, offloads: None, node: None })
    }

    /// Takes over a device that was passed to this process as descriptor number `fd`.
    pub fn from_fd(fd: RawFd) -> io::Result<Self> {
        Self::adopt(process::adopt_fd(fd)?, format!("fd/{fd}"))
    }

    /// Asks the UNIX socket at `path` (`@name`: abstract) for a device: one byte with one descriptor.
    pub fn from_socket(path: &Path) -> io::Result<Self> {
        let address = match path.as_os_str().as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddrUnix::new_abstract_name(name)?,
            None => SocketAddrUnix::new(path)?,
        };
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        rustix::net::connect(&socket, &address)?;
        let fd = receive_descriptor(socket.as_fd())?;
        let name = format!("fd/{}", fd.as_raw_fd());
        Self::adopt(fd, name)
    }

    fn adopt(fd: OwnedFd, name: String) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        let ends = !matches!(rustix::net::sockopt::socket_type(&fd), Ok(SocketType::DGRAM));
        Ok(Self { port: Port::File { fd, ends }, name, kind: Kind::Tun, offloads: None, node: None })
    }

    /// What it carries; what somebody else opened carries packets.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What is left to each other; `None`: nothing, and packets and frames have no header in front.
    pub const fn offloads(&self) -> Option<Offloads> {
        self.offloads
    }

    /// The Ethernet address of a TAP interface.
    ///
    /// # Errors
    /// What the system says; a TUN interface has none.
    pub fn mac(&self) -> io::Result<[u8; 6]> {
        let mut request = empty_request();
        // SAFETY: SIOCGIFHWADDR on a TAP descriptor writes one `ifreq`, which lives through the call.
        let result = unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so the kernel has filled in this member of the union; it is plain bytes anyway.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        let mut mac = [0; 6];
        for (to, from) in mac.iter_mut().zip(address.sa_data) {
            [*to] = from.to_ne_bytes();
        }
        Ok(mac)
    }

    /// The name of the interface, as the kernel gave it; `fd/N` for a descriptor that somebody else opened, the address
    /// of a group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one packet or frame, with its header if it has one; what does not fit into `space` is lost. `WouldBlock` if
    /// there is none, or if there were many that are not for us; of the other errors, see [`is_final`].
    pub fn recv(&self, space: &mut [u8]) -> io::Result<usize> {
        for _ in 0..SKIPS {
            if let Some(len) = self.port.recv(space)? {
                return Ok(len);
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Writes one packet or frame that is whole.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        if self.offloads.is_some() {
            return self.send_parts(&[IoSlice::new(&[0; VNET_HEADER]), IoSlice::new(packet)]);
        }
        self.port.send(packet)
    }

    /// Writes one packet or frame, with its header if it has one, that lies in pieces.
    pub fn send_parts(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        rustix::io::retry_on_intr(|| rustix::io::writev(&self.port, parts))?;
        Ok(())
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }
}

/// Whether an error of reading means that the device is gone: there is no use in reading again.
pub fn is_final(error: &io::Error) -> bool {
    let gone = [libc::EBADFD, libc::EBADF, libc::ENODEV];
    error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error().is_some_and(|code| gone.contains(&code))
}

/// What an open device node is to become a queue of.
struct Interface<'a> {
    /// Empty: the kernel chooses one.
    name: &'a str,
    kind: Kind,
    /// Whether packets have a [`VNET_HEADER`].
    header: bool,
}

impl Interface<'_> {
    /// Makes `fd` the first queue; returns the name of the interface, and whether it can have more.
    fn attach_first(&self, fd: &OwnedFd, several: bool) -> io::Result<(String, bool)> {
        let is = |error: &io::Error, code| error.raw_os_error() == Some(code);
        if several {
            match self.attach(fd, libc::IFF_MULTI_QUEUE | libc::IFF_TUN_EXCL) {
                Err(error) if is(&error, libc::EBUSY) => {}
                result => return Ok((result?, true)),
            }
        }
        // Who made it before decided how many queues it has.
        match self.attach(fd, 0) {
            // Nothing keeps two programs from having queues of one interface.
            Err(error) if is(&error, libc::EINVAL) && self.is_running() => {
                Err(io::Error::from_raw_os_error(libc::EBUSY))
            }
            Err(error) if is(&error, libc::EINVAL) => {
                self.attach(fd, libc::IFF_MULTI_QUEUE).map(|name| (name, true)).map_err(|_| error)
            }
            result => result.map(|name| (name, false)),
        }
    }

    /// Whether it is up, and some program has it open.
    fn is_running(&self) -> bool {
        let Ok(socket) = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None) else {
            return false;
        };
        let mut request = self.request();
        // SAFETY: SIOCGIFFLAGS reads and writes one `ifreq`, which lives through the call.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
        // SAFETY: the call succeeded, so the kernel has filled in this member of the union; it is a plain number anyway.
        result == 0 && libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags }) & libc::IFF_RUNNING != 0
    }

    fn request(&self) -> libc::ifreq {
        let mut request = empty_request();
        for (to, from) in request.ifr_name.iter_mut().zip(self.name.bytes().take(NAME_LEN)) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        request
    }

    /// Makes `fd` a queue, and the interface if there is none; returns the name that it got.
    fn attach(&self, fd: &OwnedFd, queues: libc::c_int) -> io::Result<String> {
        let mode = match self.kind {
            Kind::Tun => libc::IFF_TUN,
            Kind::Tap | Kind::Wire => libc::IFF_TAP,
        };
        let header = if self.header { libc::IFF_VNET_HDR } else { 0 };
        let mut request = self.request();
        // The highest of these flags is the sign of the number.
        request.ifr_ifru.ifru_flags = (mode | libc::IFF_NO_PI | header | queues) as libc::c_short;
        // SAFETY: TUNSETIFF reads and writes one `ifreq`, which lives through the call.
        let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        let given: Vec<u8> =
            request.ifr_name.iter().flat_map(|byte| byte.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
        Ok(String::from_utf8_lossy(&given).into_owned())
    }
}

/// Asks for as much as the kernel knows; the header is there in any case.
fn set_offloads(fd: &OwnedFd) -> Offloads {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let udp = TUN_F_USO4 | TUN_F_USO6;
    for wanted in [tcp | udp, tcp] {
        // SAFETY: TUNSETOFFLOAD takes a number, no pointer.
        if unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(wanted)) } == 0 {
            return Offloads { udp: wanted & udp != 0 };
        }
    }
    Offloads { udp: false }
}

/// Removes the socket at `path` if nobody listens there any more.
fn clear_the_way(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something that is no socket"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
        Err(_) => std::fs::remove_file(path),
    }
}

fn empty_request() -> libc::ifreq {
    // SAFETY: `ifreq` is plain numbers, for which zeros are valid.
    unsafe { std::mem::zeroed() }
}

fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message
            && let Some(fd) = descriptors.next()
        {
            return Ok(fd);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the socket sent no descriptor"))
}
