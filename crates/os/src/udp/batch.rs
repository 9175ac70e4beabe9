//! The system calls for many datagrams, on arrays of the stack.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::BATCH;
use super::name::Name;

/// Longest message that the kernel is asked to cut up, in bytes of payload.
const MAX_RUN: usize = 65_000;
/// Room for one control message that holds a `u16`, aligned as control messages are.
type Control = [u64; 3];
// SAFETY: the macro only computes.
const CONTROL_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<u16>() as u32) } as usize;
// SAFETY: the macro only computes.
const CONTROL_LEN: usize = unsafe { libc::CMSG_LEN(size_of::<u16>() as u32) } as usize;
const _: () = assert!(CONTROL_SPACE <= size_of::<Control>() && align_of::<libc::cmsghdr>() <= align_of::<Control>());

pub(super) const EMPTY_HEADER: libc::mmsghdr = {
    // SAFETY: null pointers and zeros are valid in all fields.
    unsafe { MaybeUninit::zeroed().assume_init() }
};

/// Up to [`BATCH`] datagrams that are about to be sent.
pub(super) struct Group<'a> {
    datagrams: [IoSlice<'a>; BATCH],
    to: [SocketAddr; BATCH],
    len: usize,
}

/// Successive datagrams of a [`Group`] that go as one message: to one address, equally long, the last may be shorter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// The index of the first datagram.
    pub(super) start: usize,
    /// How many they are.
    pub(super) len: usize,
}

impl Run {
    /// The index behind the last datagram.
    pub(super) const fn end(self) -> usize {
        self.start + self.len
    }
}

/// The runs of a group, in order.
pub(super) struct Runs {
    runs: [Run; BATCH],
    len: usize,
}

impl Runs {
    pub(super) fn as_slice(&self) -> &[Run] {
        &self.runs[..self.len]
    }
}

impl<'a> Group<'a> {
    /// Takes the next datagrams.
    pub(super) fn take(datagrams: &mut impl Iterator<Item = (&'a [u8], SocketAddr)>) -> Self {
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let mut group = Self { datagrams: [IoSlice::new(&[]); BATCH], to: [nowhere; BATCH], len: 0 };
        for (datagram, to) in datagrams.take(BATCH) {
            group.datagrams[group.len] = IoSlice::new(datagram);
            group.to[group.len] = to;
            group.len += 1;
        }
        group
    }

    /// How many datagrams there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The datagrams of a run, with their indices.
    pub(super) fn datagrams(&self, run: Run) -> impl Iterator<Item = (usize, &[u8], SocketAddr)> {
        (run.start..run.end()).map(|index| (index, &*self.datagrams[index], self.to[index]))
    }

    /// Divides the group into messages; one datagram each without `segments`.
    pub(super) fn runs(&self, segments: bool) -> Runs {
        let mut runs = Runs { runs: [Run::default(); BATCH], len: 0 };
        let mut start = 0;
        while start < self.len {
            let len = if segments { self.run_length(start) } else { 1 };
            runs.runs[runs.len] = Run { start, len };
            runs.len += 1;
            start += len;
        }
        runs
    }

    fn run_length(&self, start: usize) -> usize {
        let size = self.datagrams[start].len();
        let mut total = size;
        let mut next = start + 1;
        while next < self.len && size > 0 {
            let len = self.datagrams[next].len();
            total += len;
            if self.to[next] != self.to[start] || len == 0 || len > size || total > MAX_RUN {
                break;
            }
            next += 1;
            if len < size {
                break;
            }
        }
        next - start
    }
}

/// Sends one message per run, as many as the kernel takes; returns how many. The error is that of the first.
pub(super) fn send(fd: BorrowedFd<'_>, group: &Group<'_>, runs: &[Run]) -> io::Result<usize> {
    let mut names = [Name::EMPTY; BATCH];
    let mut controls: [Control; BATCH] = [[0; 3]; BATCH];
    let mut headers = [EMPTY_HEADER; BATCH];
    let mut joined = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut free = joined.as_mut_slice();
    for (((header, name), control), run) in headers.iter_mut().zip(&mut names).zip(&mut controls).zip(runs) {
        let header = &mut header.msg_hdr;
        let parts = &group.datagrams[run.start..run.end()];
        let (encoded, name_len) = Name::encode(group.to[run.start]);
        *name = encoded;
        header.msg_name = ptr::from_mut(name).cast();
        header.msg_namelen = name_len;
        let used = join(parts, free);
        let (own, rest) = std::mem::take(&mut free).split_at_mut(used);
        free = rest;
        header.msg_iov = own.as_mut_ptr();
        header.msg_iovlen = own.len() as _;
        if run.len > 1 {
            // A run is below `MAX_RUN`, so each part fits.
            *control = segment_size(parts[0].len() as u16);
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_SPACE as _;
        }
    }
    let count = runs.len().min(BATCH) as libc::c_uint;
    // SAFETY: the first `count` headers are filled in; names, controls and datagrams live through the call.
    let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Describes `parts` in the first of `places`, those that lie one right behind the other as one; returns how many it took.
pub(super) fn join(parts: &[IoSlice<'_>], places: &mut [libc::iovec]) -> usize {
    let mut used = 0;
    for part in parts {
        let last = places[..used].last_mut();
        match last.filter(|last| ptr::eq(last.iov_base.cast::<u8>().wrapping_add(last.iov_len), part.as_ptr())) {
            Some(last) => last.iov_len += part.len(),
            None => {
                // Sending does not write through it.
                places[used] = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
                used += 1;
            }
        }
    }
    used
}

/// The control message that asks the kernel to cut a message into datagrams of `size` bytes.
fn segment_size(size: u16) -> Control {
    let mut control: Control = [0; 3];
    let header = ptr::from_mut(&mut control).cast::<libc::cmsghdr>();
    // SAFETY: `Control` is aligned for a header, and has room for it and two bytes of data (asserted above).
    unsafe {
        (*header).cmsg_len = CONTROL_LEN as _;
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        libc::CMSG_DATA(header).cast::<u16>().write_unaligned(size);
    }
    control
}

/// Whether the kernel knows `UDP_SEGMENT`.
pub(super) fn can_segment(fd: BorrowedFd<'_>) -> bool {
    let off: libc::c_int = 0;
    let len = size_of_val(&off) as libc::socklen_t;
    // SAFETY: the pointer is to one `c_int`, and `len` is its size.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, ptr::from_ref(&off).cast(), len) };
    result == 0
}

/// Asks the kernel to keep datagrams of one sender together; whether it does.
pub(super) fn keep_together(fd: BorrowedFd<'_>) -> bool {
    let on: libc::c_int = 1;
    let len = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the pointer is to one `c_int`, and `len` is its size.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, ptr::from_ref(&on).cast(), len) };
    result == 0
}

/// Whether an error for a long message can mean that this device or kernel cannot cut it up.
pub(super) fn means_no_segments(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::ENOPROTOOPT | libc::EOPNOTSUPP))
}
