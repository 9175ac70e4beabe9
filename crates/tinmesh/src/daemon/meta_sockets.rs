//! The TCP sockets of meta connections: bytes in, bytes out, bounded by what the node allows.
//!
//! Source: spec meta-protocol 2, 3.7.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use tinmesh_core::name::ConnId;
use tinmesh_core::time::Instant;
use tinmesh_os::poll::{Event, Interest, Poller};
use tinmesh_os::tcp::{self, TcpOptions};
use tracing::debug;

use crate::daemon::log::CONNECTIONS;
use crate::daemon::program::Program;
use crate::daemon::token::Token;
use crate::files::reason;

mod progress;

/// Sockets of strangers that are kept open, unread (spec: meta-protocol 2.3).
const TARPIT: usize = 10;
/// Bytes read from one connection before the others get their turn.
const READ_CHUNK: usize = 64 * 1024;
/// Connections accepted before the others get their turn.
const ACCEPT_TURN: usize = 16;

/// What happened on a socket.
#[derive(Debug)]
pub enum MetaEvent {
    /// A connection that we asked for is up.
    Connected { conn: ConnId, local: Option<SocketAddr> },
    /// Bytes came.
    Received { conn: ConnId, bytes: Vec<u8> },
    /// So many bytes still wait to be written.
    Queued { conn: ConnId, bytes: usize },
    /// It ended, or did not come about.
    Closed { conn: ConnId },
}

/// How outgoing sockets are made.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Mark and interface.
    pub options: TcpOptions,
    /// Local addresses to bind to, if there is exactly one of the wanted family (spec: meta-protocol 3.2).
    pub bind: Vec<SocketAddr>,
}

struct Meta {
    stream: Stream,
    connecting: bool,
    /// Where else to connect to if this fails.
    others: VecDeque<SocketAddr>,
    output: Vec<u8>,
    written: usize,
    interest: Interest,
    /// Bytes that the system may hold beyond what is on its way.
    room: usize,
    /// Whether the system repeats in vain what was sent.
    stuck: bool,
}

/// What carries a connection.
enum Stream {
    Tcp(TcpStream),
    Program(Program),
}

/// All sockets of meta connections.
pub struct MetaSockets {
    listeners: Vec<TcpListener>,
    metas: BTreeMap<ConnId, Meta>,
    tarpit: VecDeque<TcpStream>,
    unflushed: BTreeSet<ConnId>,
    outgoing: Outgoing,
    /// Until when new connections have short segments.
    narrow: Option<Instant>,
    accepted: u64,
    buffer: Vec<u8>,
}

impl MetaSockets {
    /// Waits for connections on `listeners`.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn new(listeners: Vec<TcpListener>, outgoing: Outgoing, poller: &Poller) -> io::Result<Self> {
        for (index, listener) in listeners.iter().enumerate() {
            poller.add(listener, Token::Listener(index).into(), Interest::READ)?;
        }
        Ok(Self {
            listeners,
            metas: BTreeMap::new(),
            tarpit: VecDeque::new(),
            unflushed: BTreeSet::new(),
            outgoing,
            narrow: None,
            accepted: 0,
            buffer: vec![0; READ_CHUNK],
        })
    }

    /// Takes waiting connections of a listener: their numbers, and both addresses.
    ///
    /// # Errors
    /// If the system has no more descriptors; the listener should be left alone for a moment.
    pub fn accept(&mut self, index: usize, poller: &Poller) -> io::Result<Vec<(ConnId, SocketAddr, SocketAddr)>> {
        let mut accepted = Vec::new();
        for _ in 0..ACCEPT_TURN {
            let Some(listener) = self.listeners.get(index) else { break };
            let (stream, remote) = match tcp::accept(listener, &self.outgoing.options) {
                Ok(new) => new,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) if accepted.is_empty() => return Err(error),
                Err(_) => break,
            };
            let Ok(local) = stream.local_addr() else { continue };
            let conn = ConnId(ConnId::ACCEPTED | self.accepted);
            self.accepted += 1;
            if self.insert(conn, Stream::Tcp(stream), false, poller).is_ok() {
                accepted.push((conn, remote, canonical(local)));
            }
        }
        Ok(accepted)
    }

    /// Stops or goes on waiting for new connections.
    pub fn listen(&self, on: bool, poller: &Poller) {
        let interest = if on { Interest::READ } else { Interest::NONE };
        for (index, listener) in self.listeners.iter().enumerate() {
            // The listener was added when this was made, so this cannot fail.
            poller.modify(listener, Token::Listener(index).into(), interest).ok();
        }
    }

    fn insert(&mut self, conn: ConnId, stream: Stream, connecting: bool, poller: &Poller) -> io::Result<()> {
        let interest = if connecting { Interest::WRITE } else { Interest::READ };
        poller.add(&stream, Token::Meta(conn).into(), interest)?;
        let others = VecDeque::new();
        let (output, room) = (Vec::new(), tcp::UNSENT as usize);
        let meta = Meta { stream, connecting, others, output, written: 0, interest, room, stuck: false };
        self.metas.insert(conn, meta);
        Ok(())
    }

    /// Begins to connect to the first of these addresses that answers.
    ///
    /// # Errors
    /// If that fails at once.
    pub fn connect(&mut self, conn: ConnId, mut to: VecDeque<SocketAddr>, poller: &Poller) -> io::Result<()> {
        let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
        while let Some(address) = to.pop_front() {
            result = self.connect_one(conn, address, poller);
            if result.is_ok() {
                if let Some(meta) = self.metas.get_mut(&conn) {
                    meta.others = to;
                }
                break;
            }
        }
        result
    }

    /// Begins to connect from a port that several connections share.
    ///
    /// # Errors
    /// If that fails at once.
    pub fn connect_from(&mut self, conn: ConnId, port: u16, to: SocketAddr, poller: &Poller) -> io::Result<()> {
        let any = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let ip = self.local(to).unwrap_or(any);
        let stream = tcp::connect(to, Some(SocketAddr::new(ip, port)), &self.outgoing.options)?;
        self.insert(conn, Stream::Tcp(stream), true, poller)
    }

    /// Takes a program that stands for the other end.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn adopt(&mut self, conn: ConnId, program: Program, poller: &Poller) -> io::Result<()> {
        self.insert(conn, Stream::Program(program), false, poller)
    }

    fn connect_one(&mut self, conn: ConnId, to: SocketAddr, poller: &Poller) -> io::Result<()> {
        let local = self.local(to).map(|ip| SocketAddr::new(ip, 0));
        let stream = tcp::connect(to, local, &self.outgoing.options)?;
        self.insert(conn, Stream::Tcp(stream), true, poller)
    }

    /// The address that connections to `to` are to come from, if that was told.
    fn local(&self, to: SocketAddr) -> Option<IpAddr> {
        let mut fitting = self.outgoing.bind.iter().filter(|local| local.is_ipv4() == to.is_ipv4());
        let local = fitting.next().filter(|_| fitting.next().is_none())?;
        Some(local.ip()).filter(|ip| !ip.is_unspecified())
    }

    /// Queues bytes; they are written by [`MetaSockets::flush`].
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(meta) = self.metas.get_mut(&conn) {
            meta.output.extend_from_slice(bytes);
            self.unflushed.insert(conn);
        }
    }

    /// Lets the system hold no more than so many bytes that are not on their way: what waits there cannot be dropped.
    pub fn limit_unsent(&mut self, conn: ConnId, bytes: usize) {
        let Some(meta) = self.metas.get_mut(&conn) else { return };
        meta.room = bytes;
        if let Stream::Tcp(stream) = &meta.stream {
            // A system that cannot do this holds more.
            tcp::limit_unsent(stream, u32::try_from(bytes).unwrap_or(u32::MAX)).ok();
        }
    }

    /// Ends a connection after one more attempt to write what waits.
    pub fn close(&mut self, conn: ConnId, tarpit: bool, poller: &Poller) {
        self.limit_unsent(conn, usize::MAX);
        let Some(mut meta) = self.metas.remove(&conn) else { return };
        // Whatever cannot be written now is lost with the connection.
        meta.write().ok();
        poller.remove(&meta.stream).ok();
        if let (true, Stream::Tcp(stream)) = (meta.stuck, &meta.stream) {
            // The other end would not hear of an orderly end. If this fails, it finds out later.
            tcp::abandon(stream).ok();
        }
        if let (true, Stream::Tcp(stream)) = (tarpit, meta.stream) {
            self.tarpit.push_back(stream);
            if self.tarpit.len() > TARPIT {
                self.tarpit.pop_front();
            }
        }
    }

    /// Writes what was queued since the last time.
    pub fn flush(&mut self, poller: &Poller, events: &mut Vec<MetaEvent>) {
        for conn in std::mem::take(&mut self.unflushed) {
            self.write(conn, poller, events);
        }
    }

    fn write(&mut self, conn: ConnId, poller: &Poller, events: &mut Vec<MetaEvent>) {
        let Some(meta) = self.metas.get_mut(&conn).filter(|meta| !meta.connecting) else { return };
        if meta.write().is_err() {
            self.fail(conn, poller, events);
            return;
        }
        meta.watch(conn, poller);
        events.push(MetaEvent::Queued { conn, bytes: meta.waiting() });
    }

    fn fail(&mut self, conn: ConnId, poller: &Poller, events: &mut Vec<MetaEvent>) {
        if let Some(meta) = self.metas.remove(&conn) {
            poller.remove(&meta.stream).ok();
            events.push(MetaEvent::Closed { conn });
        }
    }

    /// Serves a socket that is ready.
    pub fn on_ready(&mut self, conn: ConnId, event: Event, poller: &Poller, events: &mut Vec<MetaEvent>) {
        let Some(meta) = self.metas.get_mut(&conn) else { return };
        if let (true, Stream::Tcp(stream)) = (meta.connecting, &meta.stream) {
            match tcp::finish_connect(stream) {
                Ok(false) => {}
                Ok(true) => {
                    let local = stream.local_addr().ok().map(canonical);
                    meta.connecting = false;
                    meta.watch(conn, poller);
                    events.push(MetaEvent::Connected { conn, local });
                }
                Err(cause) => self.on_unconnected(conn, &cause, poller, events),
            }
            return;
        }
        if event.writable {
            self.write(conn, poller, events);
        }
        if event.readable || event.hangup {
            self.read(conn, poller, events);
        }
    }

    /// Tries the next address, if there is one.
    fn on_unconnected(&mut self, conn: ConnId, cause: &io::Error, poller: &Poller, events: &mut Vec<MetaEvent>) {
        debug!(target: CONNECTIONS, "Could not connect: {}", reason(cause));
        let Some(meta) = self.metas.remove(&conn) else { return };
        poller.remove(&meta.stream).ok();
        if self.connect(conn, meta.others, poller).is_err() {
            events.push(MetaEvent::Closed { conn });
        }
    }

    fn read(&mut self, conn: ConnId, poller: &Poller, events: &mut Vec<MetaEvent>) {
        let Some(meta) = self.metas.get_mut(&conn) else { return };
        match meta.stream.read(&mut self.buffer) {
            Ok(0) => self.fail(conn, poller, events),
            Ok(count) => {
                let bytes = self.buffer.get(..count).unwrap_or_default().to_vec();
                events.push(MetaEvent::Received { conn, bytes });
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => self.fail(conn, poller, events),
        }
    }
}

impl Stream {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).read(buffer),
            Self::Program(program) => (&mut &*program).read(buffer),
        }
    }

    /// How many bytes it should take at present; none from where it no longer counts as writable.
    fn free(&self, room: usize) -> usize {
        let Self::Tcp(stream) = self else { return usize::MAX };
        let unsent = tcp::unsent(stream).unwrap_or(0);
        if unsent > room / 2 { 0 } else { room - unsent }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write(bytes),
            Self::Program(program) => (&mut &*program).write(bytes),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Program(program) => program.as_fd(),
        }
    }
}

impl Meta {
    fn waiting(&self) -> usize {
        self.output.len() - self.written
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            let free = self.stream.free(self.room);
            if free == 0 {
                break;
            }
            let end = self.output.len().min(self.written.saturating_add(free));
            match self.stream.write(self.output.get(self.written..end).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if is_passing(&error) => break,
                Err(error) => return Err(error),
            }
        }
        if self.waiting() == 0 {
            self.output.clear();
            self.output.shrink_to(READ_CHUNK);
            self.written = 0;
        } else if self.written > READ_CHUNK {
            self.output.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    fn watch(&mut self, conn: ConnId, poller: &Poller) {
        let interest = if self.waiting() == 0 { Interest::READ } else { Interest::BOTH };
        if interest != self.interest && poller.modify(&self.stream, Token::Meta(conn).into(), interest).is_ok() {
            self.interest = interest;
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Errors of `accept` that concern one connection which went away again, and not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
