//! TCP sockets, non-blocking and closed on exec, as `std` types (spec: meta-protocol 2).

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

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
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Bytes that the system takes beyond what is on its way; the rest waits where packets can still be dropped.
const UNSENT: u32 = 128 << 10;
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

/// Begins to connect to `to`, from `local` if given. When the socket is writable, ask [`finish_connect`].
pub fn connect(to: SocketAddr, local: Option<SocketAddr>, options: &TcpOptions) -> io::Result<TcpStream> {
    let socket = open(to, options)?;
    hurry(&SockRef::from(&socket), to)?;
    if let Some(local) = local {
        socket.set_reuse_address(true)?;
        socket.bind(&local.into())?;
    }
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        Ok(()) | Err(_) => Ok(socket.into()),
    }
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
