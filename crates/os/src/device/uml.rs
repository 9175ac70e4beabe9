//! The switch for a User Mode Linux machine: it connects to a socket, says where it takes frames, and learns where to
//! send its own (spec: routing 2.4).
//!
//! One machine at a time; when it hangs up, the next may connect.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::clear_the_way;
use crate::clock;

const MAGIC: u32 = 0xfeed_face;
const VERSION: u32 = 3;
const NEW_CONTROL: u32 = 0;
/// Magic, version and type.
const HEAD_LEN: usize = 12;
/// A socket's path in a `sockaddr_un`, behind the family.
const PATH_LEN: usize = 108;
const FAMILY_LEN: usize = 2;
/// Bytes of a request; what follows is padding.
pub const REQUEST_LEN: usize = HEAD_LEN + FAMILY_LEN + PATH_LEN;

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// It is shorter than a request.
    Short,
    /// It is something else than a request of version 3 for a connection.
    Foreign,
    /// The machine's socket has no usable address.
    Address,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "its request is too short",
            Self::Foreign => "it does not speak version 3 of the protocol of uml_switch",
            Self::Address => "its request has no usable address",
        })
    }
}

impl std::error::Error for RequestError {}

/// The address at which the machine that sent this request takes frames.
///
/// # Errors
/// If it is not a request.
pub fn parse_request(bytes: &[u8]) -> Result<SocketAddrUnix, RequestError> {
    let bytes = bytes.first_chunk::<REQUEST_LEN>().ok_or(RequestError::Short)?;
    let (head, address) = bytes.split_at(HEAD_LEN);
    let words: Vec<u32> =
        head.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]])).collect();
    if words != [MAGIC, VERSION, NEW_CONTROL] {
        return Err(RequestError::Foreign);
    }
    let (family, path) = address.split_at(FAMILY_LEN);
    if family != (libc::AF_UNIX as u16).to_ne_bytes() {
        return Err(RequestError::Address);
    }
    let address = match path.split_first() {
        Some((0, name)) => SocketAddrUnix::new_abstract_name(name),
        Some(_) | None => SocketAddrUnix::new(path.split(|&byte| byte == 0).next().unwrap_or_default()),
    };
    address.map_err(|_| RequestError::Address)
}

/// The socket that machines connect to, and that of the frames.
#[derive(Debug)]
pub(super) struct Uml {
    /// Readable if any of the sockets is.
    any: OwnedFd,
    listener: UnixListener,
    frames: OwnedFd,
    /// What frames are sent from, as a machine is told.
    reply: Vec<u8>,
    machine: Mutex<Option<Machine>>,
}

#[derive(Debug)]
struct Machine {
    stream: UnixStream,
    request: Vec<u8>,
    is_connected: bool,
}

impl Uml {
    /// Waits for a machine at `path`.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        clear_the_way(path)?;
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let name = data_name();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let frames = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        rustix::net::bind(&frames, &SocketAddrUnix::new_abstract_name(&name)?)?;
        let any = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&any, &listener, EventData::new_u64(0), EventFlags::IN)?;
        epoll::add(&any, &frames, EventData::new_u64(0), EventFlags::IN)?;
        let reply = [&(libc::AF_UNIX as u16).to_ne_bytes()[..], &[0], &name].concat();
        Ok(Self { any, listener, frames, reply, machine: Mutex::new(None) })
    }

    /// Reads a frame; `None` if it is longer than `space`. `InvalidData` if somebody connected who is no machine.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::net::recv(&self.frames, &mut *space, RecvFlags::TRUNC) {
            Ok((read, whole)) => return Ok((whole <= space.len()).then_some(read)),
            // It tells that a frame did not arrive, as its reader has gone; the stream tells that too.
            Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::CONNRESET) => {}
            Err(error) if error == rustix::io::Errno::AGAIN => {}
            Err(error) => return Err(error.into()),
        }
        self.attend()?;
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Writes a frame; lost while there is no machine.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        Ok(rustix::net::send(&self.frames, frame, rustix::net::SendFlags::NOSIGNAL).map(|_| ())?)
    }

    /// Lets machines come and go.
    fn attend(&self) -> io::Result<()> {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = machine.as_mut() else {
            *machine = self.accept()?;
            return Ok(());
        };
        match known.hear(self) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Ok(()) => Ok(()),
            Err(error) => {
                *machine = None;
                rustix::net::connect_unspec(&self.frames)?;
                epoll::add(&self.any, &self.listener, EventData::new_u64(0), EventFlags::IN)?;
                if error.kind() == io::ErrorKind::UnexpectedEof { Ok(()) } else { Err(error) }
            }
        }
    }

    fn accept(&self) -> io::Result<Option<Machine>> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        epoll::add(&self.any, &stream, EventData::new_u64(0), EventFlags::IN)?;
        // Others wait until this one has hung up.
        epoll::delete(&self.any, &self.listener)?;
        Ok(Some(Machine { stream, request: Vec::with_capacity(REQUEST_LEN), is_connected: false }))
    }

    /// Exchanges frames with the socket of `request` and with no other.
    fn connect(&self, request: &[u8]) -> io::Result<()> {
        let invalid = |error: RequestError| io::Error::new(io::ErrorKind::InvalidData, error);
        let address = parse_request(request).map_err(invalid)?;
        let unusable = |_| invalid(RequestError::Address);
        rustix::net::connect(&self.frames, &address).map_err(unusable)
    }
}

impl Machine {
    /// Reads what the machine says; `UnexpectedEof` once it has hung up.
    fn hear(&mut self, switch: &Uml) -> io::Result<()> {
        let mut space = [0; REQUEST_LEN];
        let count = rustix::io::read(&self.stream, &mut space)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let missing = REQUEST_LEN.saturating_sub(self.request.len()).min(count);
        self.request.extend_from_slice(space.get(..missing).unwrap_or_default());
        if self.request.len() == REQUEST_LEN && !self.is_connected {
            switch.connect(&self.request)?;
            // The stream is fresh, so the answer fits into its buffer.
            rustix::net::send(&self.stream, &switch.reply, rustix::net::SendFlags::NOSIGNAL)?;
            self.is_connected = true;
        }
        Ok(())
    }
}

impl AsFd for Uml {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.any.as_fd()
    }
}

/// The abstract name of the data socket behind its NUL, as long as an address can be: process and microseconds.
fn data_name() -> [u8; PATH_LEN - 1] {
    let mut name = [0; PATH_LEN - 1];
    let micros = (clock::now_micros() % 1_000_000) as u32;
    name[3..7].copy_from_slice(&std::process::id().to_ne_bytes());
    name[7..11].copy_from_slice(&micros.to_ne_bytes());
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(path: &[u8]) -> Vec<u8> {
        let words = [MAGIC, VERSION, NEW_CONTROL];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend((libc::AF_UNIX as u16).to_ne_bytes());
        bytes.extend(path);
        bytes.resize(REQUEST_LEN, 0);
        bytes
    }

    #[test]
    fn a_request_has_a_path_or_an_abstract_name() {
        assert_eq!(parse_request(&request(b"/tmp/uml")).unwrap().path_bytes(), Some(&b"/tmp/uml"[..]));
        let named = parse_request(&request(b"\0\0\0\0\x07")).unwrap();
        assert_eq!(named.abstract_name().map(<[u8]>::len), Some(PATH_LEN - 1));
    }

    #[test]
    fn other_versions_and_short_requests_are_refused() {
        let mut other = request(b"/tmp/uml");
        other[4] ^= 1;
        assert_eq!(parse_request(&other), Err(RequestError::Foreign));
        assert_eq!(parse_request(&other[..REQUEST_LEN - 1]), Err(RequestError::Short));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(bytes in proptest::collection::vec(any::<u8>(), 0..200), path: Vec<u8>) {
            let _ = parse_request(&bytes);
            let mut bytes = request(&[]);
            let len = path.len().min(PATH_LEN);
            bytes[HEAD_LEN + FAMILY_LEN..][..len].copy_from_slice(&path[..len]);
            let _ = parse_request(&bytes);
        }
    }
}
