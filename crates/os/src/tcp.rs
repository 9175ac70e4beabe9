//! TCP sockets, non-blocking and closed on exec, as `std` types (spec: meta-protocol 2).

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Options of listening and outgoing sockets.
#[derive(Clone, Debug, Default)]
pub struct TcpOptions {
    /// Firewall mark of what is sent; 0: none.
    pub mark: u32,
    /// Use only this interface.
    pub interface: Option<String>,
}

/// Listens on `address`; port 0: any free one. IPv6 sockets take IPv6 only.
pub fn listen(address: SocketAddr, options: &TcpOptions) -> io::Result<TcpListener> {
    todo!()
}

/// Takes the next connection, ready to use; `WouldBlock` if there is none. An IPv4-mapped address is told as IPv4.
pub fn accept(listener: &TcpListener, options: &TcpOptions) -> io::Result<(TcpStream, SocketAddr)> {
    todo!()
}

/// Begins to connect to `to`, from `local` if given. When the socket is writable, ask [`finish_connect`].
pub fn connect(to: SocketAddr, local: Option<SocketAddr>, options: &TcpOptions) -> io::Result<TcpStream> {
    todo!()
}

/// Whether a connection came about, once its socket has become writable: `Ok(false)` if it is still in progress.
pub fn finish_connect(stream: &TcpStream) -> io::Result<bool> {
    todo!()
}
