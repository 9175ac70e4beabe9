//! A packet socket on an interface that exists already: all frames that come in by it, and frames out of it (spec:
//! routing 2.4). packet(7) describes the options.
//!
//! The kernel hands over frames as it keeps them: the tag of a VLAN beside the frame, and, between interfaces of one
//! machine, without a checksum, or several segments of a connection as one frame. Here they become what a wire carries.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{MaybeUninit, offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

/// Where a VLAN tag is in a frame: behind both addresses.
const TAG_AT: usize = 12;
const TAG_LEN: usize = 4;
/// The tag's type, for kernels that do not tell it.
const VLAN: u16 = 0x8100;
/// Length of `struct virtio_net_hdr`.
const HEADER_LEN: usize = 10;
/// Its flag: the checksum is for the reader to finish.
const NEEDS_CHECKSUM: u8 = 1;

/// The control message about a frame.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    about: libc::tpacket_auxdata,
}
// SAFETY: the macro only computes.
const DATA_AT: usize = unsafe { libc::CMSG_LEN(0) } as usize;
const _: () = assert!(offset_of!(Control, about) == DATA_AT);

/// The frames of one interface.
#[derive(Debug)]
pub(super) struct PacketSocket {
    socket: Socket,
}

/// What came with a frame.
struct Arrival {
    len: usize,
    header: [u8; HEADER_LEN],
    tag: Option<[u8; TAG_LEN]>,
    is_outgoing: bool,
}

impl PacketSocket {
    /// Opens the interface called `name`; `ENODEV` if there is none.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let all = u16::try_from(libc::ETH_P_ALL).expect("its value is 3").to_be();
        // Without a protocol it hears nothing until it is bound to the one interface.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        let index = rustix::net::netdevice::name_to_index(&socket, name)?;
        for option in [libc::PACKET_AUXDATA, libc::PACKET_VNET_HDR] {
            enable(&socket, option)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&link_address(all, index))?;
        Ok(Self { socket })
    }

    /// Reads a frame; `None` if it is one of this machine, or longer than `space`. `ENODEV` once the interface is gone.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        let arrival = self.recv_with_header(space).map_err(|error| self.judge(error))?;
        let Some(Arrival { len, header, tag, .. }) = arrival.filter(|arrival| !arrival.is_outgoing) else {
            return Ok(None);
        };
        if !finish_checksum(&header, &mut space[..len]) {
            return Ok(None);
        }
        Ok(tag.map_or(Some(len), |tag| insert_tag(space, len, tag)))
    }

    /// `None` if the frame is longer than `space`.
    fn recv_with_header(&self, space: &mut [u8]) -> io::Result<Option<Arrival>> {
        // SAFETY: zeros are valid in all fields of these three plain structures, null pointers included.
        let (mut control, mut message, mut from): (Control, libc::msghdr, libc::sockaddr_ll) =
            unsafe { (zeroed(), zeroed(), zeroed()) };
        let mut header = [0; HEADER_LEN];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(space)];
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        message.msg_iov = parts.as_mut_ptr().cast();
        message.msg_iovlen = parts.len() as _;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        // SAFETY: the message points to an address, two pieces and a control message, which live through the call, with
        // their lengths; `IoSliceMut` is an `iovec` by contract.
        let len = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
        if message.msg_flags & libc::MSG_TRUNC != 0 {
            return Ok(None);
        }
        let tag = vlan_tag(&control);
        let is_outgoing = from.sll_pkttype == libc::PACKET_OUTGOING;
        Ok(len.checked_sub(HEADER_LEN).map(|len| Arrival { len, header, tag, is_outgoing }))
    }

    /// An interface that goes down and one that goes away are the same error; only the latter leaves no binding.
    fn judge(&self, error: io::Error) -> io::Error {
        if error.raw_os_error() == Some(libc::ENETDOWN) && !self.is_bound() {
            return io::Error::from_raw_os_error(libc::ENODEV);
        }
        error
    }

    fn is_bound(&self) -> bool {
        self.socket.local_addr().is_ok_and(|address| {
            // SAFETY: the address of a packet socket is a `sockaddr_ll`, for which the storage behind the pointer has room.
            let index = unsafe { (*address.as_ptr().cast::<libc::sockaddr_ll>()).sll_ifindex };
            index > 0
        })
    }

    /// Writes a frame.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send_vectored(&[IoSlice::new(&[0; HEADER_LEN]), IoSlice::new(frame)]).map(|_| ())
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// # Safety
/// Zeros must be valid for `T`.
unsafe fn zeroed<T>() -> T {
    // SAFETY: that is asked of the caller.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Finishes the checksum of a frame if that was left to us; `false` if the header is for several frames, or wrong.
fn finish_checksum(header: &[u8; HEADER_LEN], frame: &mut [u8]) -> bool {
    let &[flags, segmentation, _, _, _, _, start @ .., offset_a, offset_b] = header;
    if segmentation != 0 {
        return false;
    }
    if flags & NEEDS_CHECKSUM == 0 {
        return true;
    }
    let (start, offset) = (u16::from_ne_bytes(start).into(), usize::from(u16::from_ne_bytes([offset_a, offset_b])));
    let Some(covered) = frame.get_mut(start..) else { return false };
    // The place of the checksum holds the sum of the pseudo-header, so that it is counted with the rest.
    let sum = checksum(covered);
    let Some(place) = covered.get_mut(offset..offset + 2) else { return false };
    // Zero would mean that there is none; for the sum both are the same.
    place.copy_from_slice(&(if sum == 0 { u16::MAX } else { sum }).to_be_bytes());
    true
}

/// The Internet's checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let pairs = bytes.chunks(2).map(|pair| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])));
    let mut sum: u64 = pairs.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("just folded")
}

/// Puts back the VLAN tag that the kernel took out; `None` if the frame is too long then.
fn insert_tag(space: &mut [u8], len: usize, tag: [u8; TAG_LEN]) -> Option<usize> {
    if len < TAG_AT || len + TAG_LEN > space.len() {
        return None;
    }
    space.copy_within(TAG_AT..len, TAG_AT + TAG_LEN);
    space.get_mut(TAG_AT..TAG_AT + TAG_LEN)?.copy_from_slice(&tag);
    Some(len + TAG_LEN)
}

/// The tag that the kernel took out of a frame.
fn vlan_tag(control: &Control) -> Option<[u8; TAG_LEN]> {
    let Control { header, about } = control;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
        return None;
    }
    if about.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let kind = if about.tp_status & libc::TP_STATUS_VLAN_TPID_VALID == 0 { VLAN } else { about.tp_vlan_tpid };
    let ([a, b], [c, d]) = (kind.to_be_bytes(), about.tp_vlan_tci.to_be_bytes());
    Some([a, b, c, d])
}

fn enable(socket: &Socket, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is an `int` that lives through the call, and `len` is its length.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, (&raw const on).cast(), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The address that binds to one interface. `protocol` is in network order.
fn link_address(protocol: u16, index: u32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is a socket address, so the storage has room for it; all its bit patterns are valid.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = protocol;
    address.sll_ifindex = index.cast_signed();
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the family says that it is a `sockaddr_ll`, which is filled in, and `len` is its length.
    unsafe { SockAddr::new(storage, len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_back_behind_the_addresses_if_there_is_room() {
        let mut space = [0; 20];
        space[..16].copy_from_slice(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0, 9, 9]);

        assert_eq!(insert_tag(&mut space, 16, [0x81, 0, 0, 5]), Some(20));

        assert_eq!(space[10..], [2, 2, 0x81, 0, 0, 5, 8, 0, 9, 9]);
        assert_eq!(insert_tag(&mut space, 17, [0x81, 0, 0, 5]), None);
        assert_eq!(insert_tag(&mut space, 11, [0x81, 0, 0, 5]), None);
    }

    fn header(flags: u8, segmentation: u8, start: u16, offset: u16) -> [u8; HEADER_LEN] {
        let [a, b] = start.to_ne_bytes();
        let [c, d] = offset.to_ne_bytes();
        [flags, segmentation, 0, 0, 0, 0, a, b, c, d]
    }

    #[test]
    fn a_checksum_that_was_left_open_is_finished() {
        let mut frame = [9, 9, 0x12, 0x34, 0x00, 0x11, 0x56];

        assert!(finish_checksum(&header(NEEDS_CHECKSUM, 0, 2, 2), &mut frame));

        assert_eq!(frame, [9, 9, 0x12, 0x34, 0x97, 0xba, 0x56]);
    }

    #[test]
    fn a_frame_with_a_checksum_stays_as_it_is() {
        let mut frame = [1, 2, 3, 4];
        assert!(finish_checksum(&header(0, 0, 0, 0), &mut frame));
        assert_eq!(frame, [1, 2, 3, 4]);
    }

    #[test]
    fn headers_that_point_behind_the_frame_or_tell_of_several_are_refused() {
        let mut frame = [0; 20];
        for wrong in [
            header(1, 0, 21, 0),
            header(1, 0, 10, 9),
            header(1, 0, 0, u16::MAX),
            header(0, 1, 0, 0),
            header(1, 4, 0, 0),
        ] {
            assert!(!finish_checksum(&wrong, &mut frame), "{wrong:?}");
        }
    }
}
