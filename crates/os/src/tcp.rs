//! TCP sockets, non-blocking and closed on exec, as `std` types (spec: meta-protocol 2).

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

#[cfg(test)]
mod tests;

/// Options of listening and outgoing sockets.
#[derive(Clone, Debug, Default)]
pub struct TcpOptions {
    /// Firewall mark of what is sent; 0: none.
    pub mark: u32,
    /// Use only this interface.
    pub interface: Option<String>,
    /// Largest segment in bytes, in both directions, if it is to be shorter than the interface allows.
    pub segment: Option<u32>,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Bytes that the system takes beyond what is on its way, at first; the rest waits where packets can still be dropped.
pub const UNSENT: u32 = 8 << 10;
/// `SIOCOUTQNSD` of `linux/sockios.h`, which the `libc` crate lacks.
const SIOCOUTQNSD: libc::Ioctl = 0x894B as libc::Ioctl;
/// `IPTOS_LOWDELAY`.
const LOW_DELAY: u32 = 0x10;

/// Listens on `address`; port 0: any free one. IPv6 sockets take IPv6 only.
pub fn listen(address: SocketAddr, options: &TcpOptions) -> io::Result<TcpListener> {
    let socket = open(address, options)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes over a socket that was opened, bound and made to listen by whoever started this process.
pub fn adopt_listener(socket: OwnedFd) -> io::Result<TcpListener> {
    let listens = rustix::net::sockopt::socket_acceptconn(&socket).unwrap_or(false);
    let listener = TcpListener::from(socket);
    if !listens || listener.local_addr().is_err() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a listening TCP socket"));
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes the next connection, ready to use; `WouldBlock` if there is none. An IPv4-mapped address is told as IPv4.
pub fn accept(listener: &TcpListener, options: &TcpOptions) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, remote) = listener.accept()?;
    stream.set_nonblocking(true)?;
    let socket = SockRef::from(&stream);
    if options.mark != 0 {
        socket.set_mark(options.mark)?;
    }
    hurry(&socket, remote)?;
    Ok((stream, SocketAddr::new(remote.ip().to_canonical(), remote.port())))
}

/// Begins to connect to `to`, from `local` if given; its port, if it is not 0, may serve other connections at the same time
/// (`SO_REUSEPORT`). When the socket is writable, ask [`finish_connect`].
pub fn connect(to: SocketAddr, local: Option<SocketAddr>, options: &TcpOptions) -> io::Result<TcpStream> {
    let socket = open(to, options)?;
    hurry(&SockRef::from(&socket), to)?;
    if let Some(local) = local {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(local.port() != 0)?;
        socket.bind(&local.into())?;
    }
    if let Some(segment) = options.segment {
        socket.set_tcp_mss(segment)?;
    }
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        Ok(()) | Err(_) => Ok(socket.into()),
    }
}

/// Lets connections that are accepted from now on have segments of at most so many bytes, in both directions; 0: no limit.
pub fn limit_segments(listener: &TcpListener, segment: u32) -> io::Result<()> {
    SockRef::from(listener).set_tcp_mss(segment)
}

/// Lets the connection end at once when it is closed, whatever waits to be sent: the other end is told.
pub fn abandon(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// From now on the connection counts as writable while less than half of so many bytes are not on their way.
pub fn limit_unsent(stream: &TcpStream, bytes: u32) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(bytes)
}

/// Bytes that the system has taken and not sent yet.
pub fn unsent(stream: &TcpStream) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open; the kernel writes one integer, which `bytes` is.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), SIOCOUTQNSD, &raw mut bytes) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// How what was sent on a connection gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether some of it is not confirmed.
    pub waits: bool,
    /// How often it was sent again in vain since anything was confirmed (RFC 6298).
    pub repeated: u8,
}

/// Asks the system how what was sent gets on.
pub fn progress(stream: &TcpStream) -> io::Result<Progress> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is open; the kernel writes at most `len` bytes, all of which belong to `info`.
    let result = unsafe {
        libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut len)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all fields are integers, for which zeros and whatever the kernel wrote are values.
    let info = unsafe { info.assume_init() };
    Ok(Progress { waits: info.tcpi_unacked > 0, repeated: info.tcpi_retransmits })
}

/// Whether a connection came about, once its socket has become writable: `Ok(false)` if it is still in progress.
pub fn finish_connect(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

fn open(address: SocketAddr, options: &TcpOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if options.mark != 0 {
        socket.set_mark(options.mark)?;
    }
    if let Some(interface) = &options.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    Ok(socket)
}

/// Small messages go out at once, and ahead of bulk traffic.
fn hurry(socket: &SockRef<'_>, remote: SocketAddr) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    if remote.is_ipv6() { socket.set_tclass_v6(LOW_DELAY) } else { socket.set_tos_v4(LOW_DELAY) }
}
