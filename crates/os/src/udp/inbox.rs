//! What one call receives: messages, each one datagram or several of one sender that the kernel kept together (`UDP_GRO`).

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::batch::EMPTY_HEADER;
use super::name::Name;

/// Most messages of one call.
const MESSAGES: usize = 16;
/// Fewest messages of one call.
const FEWEST: usize = 2;
/// Bytes of one call above which the next one takes fewer messages: whatever else the caller has to do waits meanwhile.
const PLENTY: usize = 256 * 1024;
/// Room for each, in bytes: no datagram is longer, and the kernel keeps no more together.
const ROOM: usize = 65_536;
/// Room for one control message that holds an `int`, aligned as control messages are.
type Control = [u64; 4];
// SAFETY: the macro only computes.
const CONTROL_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::c_int>() as u32) } as usize;
const _: () = assert!(CONTROL_SPACE <= size_of::<Control>() && align_of::<libc::cmsghdr>() <= align_of::<Control>());

/// Room for messages, used again and again. Of its memory only what was once filled is ever touched.
pub struct Inbox {
    bytes: Box<[u8]>,
    messages: [Message; MESSAGES],
    count: usize,
    /// Messages that the next call takes.
    wanted: usize,
}

#[derive(Clone, Copy)]
struct Message {
    /// `None`: an address that is no IP address.
    from: Option<SocketAddr>,
    len: usize,
    /// Bytes of each of its datagrams but the last, which may be shorter; 0: it is one datagram.
    segment: usize,
}

/// One message: a datagram, or several of one sender.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Where it came from.
    pub from: SocketAddr,
    bytes: &'a [u8],
    /// Bytes of each datagram but the last, which may be shorter; not 0.
    size: usize,
}

impl<'a> Received<'a> {
    /// How many datagrams it is; at least one.
    pub fn count(&self) -> usize {
        self.bytes.len().div_ceil(self.size).max(1)
    }

    /// Its datagrams, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // A message of no bytes is one datagram all the same.
        let empty = self.bytes.is_empty().then_some(self.bytes);
        empty.into_iter().chain(self.bytes.chunks(self.size))
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; MESSAGES * ROOM].into_boxed_slice(),
            messages: [Message { from: None, len: 0, segment: 0 }; MESSAGES],
            count: 0,
            wanted: MESSAGES,
        }
    }

    /// What was received last, in order.
    pub fn messages(&self) -> impl Iterator<Item = Received<'_>> {
        let messages = self.messages.iter().zip(self.bytes.chunks_exact(ROOM)).take(self.count);
        messages.filter_map(|(message, bytes)| {
            let size = if message.segment == 0 { message.len.max(1) } else { message.segment };
            Some(Received { from: message.from?, bytes: &bytes[..message.len], size })
        })
    }

    /// Each datagram that was received last, in order, with the address that it came from.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.messages().flat_map(|message| message.datagrams().map(move |datagram| (message.from, datagram)))
    }

    /// Replaces what is in it by what waits at a socket; returns the number of messages.
    pub(super) fn fill(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        self.count = 0;
        let mut names = [Name::EMPTY; MESSAGES];
        let mut controls: [Control; MESSAGES] = [[0; 4]; MESSAGES];
        let mut parts = [const { MaybeUninit::<IoSliceMut<'_>>::uninit() }; MESSAGES];
        let mut headers = [EMPTY_HEADER; MESSAGES];
        let rooms = self.bytes.chunks_exact_mut(ROOM).zip(&mut parts);
        for ((header, (room, part)), (name, control)) in
            headers.iter_mut().zip(rooms).zip(names.iter_mut().zip(&mut controls)).take(self.wanted)
        {
            let header = &mut header.msg_hdr;
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_namelen = size_of::<Name>() as libc::socklen_t;
            // `IoSliceMut` has the layout of `iovec`.
            header.msg_iov = ptr::from_mut(part.write(IoSliceMut::new(room))).cast();
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_SPACE as _;
        }
        let received = receive(fd, &mut headers[..self.wanted])?;
        for ((header, name), message) in headers.iter().zip(&names).zip(&mut self.messages).take(received) {
            let from = name.decode();
            *message = Message { from, len: header.msg_len as usize, segment: segment_size(&header.msg_hdr) };
        }
        self.count = received;
        let bytes: usize = self.messages[..received].iter().map(|message| message.len).sum();
        self.wanted = if bytes > PLENTY { (self.wanted / 2).max(FEWEST) } else { (self.wanted * 2).min(MESSAGES) };
        Ok(received)
    }
}

/// The length of the datagrams that a message consists of; 0 if the kernel says nothing of it.
fn segment_size(header: &libc::msghdr) -> usize {
    // SAFETY: the header describes a control buffer that outlives this call, and the kernel set its length.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: `control` is one of the whole control messages in the buffer, as the macros check.
        unsafe {
            if (*control).cmsg_level == libc::SOL_UDP && (*control).cmsg_type == libc::UDP_GRO {
                let size = libc::CMSG_DATA(control).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(size).unwrap_or(0);
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    0
}

fn receive(fd: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    let count = headers.len() as libc::c_uint;
    loop {
        // SAFETY: the caller filled in all headers with pointers to names, controls and rooms that outlive this call.
        let received =
            unsafe { libc::recvmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, ptr::null_mut()) };
        match usize::try_from(received) {
            Ok(received) => return Ok(received),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
