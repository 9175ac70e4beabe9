//! A packet socket on an interface that exists already: all frames that come in by it, and frames out of it (spec:
//! routing 2.4). packet(7) describes the options.
//!
//! The kernel hands over frames as it keeps them: the tag of a VLAN beside the frame, and, between interfaces of one
//! machine, without a checksum, or several segments of a connection as one frame. So a frame has the header of a device
//! with offloads in front, which tells that.

use std::io;
use std::mem::{self, offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::VNET_HEADER;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

/// Where a VLAN tag is: behind the header and both addresses.
const TAG_AT: usize = VNET_HEADER + 12;
const TAG_LEN: usize = 4;
/// The tag's type, for kernels that do not tell it.
const VLAN: u16 = 0x8100;
/// Where the header has the length of all headers, and where the checksum's bytes begin.
const OFFSETS: [std::ops::Range<usize>; 2] = [2..4, 6..8];

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

    /// Reads a header and a frame; `None` if the frame is one of this machine, or cannot be read as it is. `ENODEV` once
    /// the interface is gone.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        // SAFETY: zeros are valid in all fields of these three plain structures, null pointers included.
        let (mut control, mut message, mut from): (Control, libc::msghdr, libc::sockaddr_ll) =
            unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        let mut part = libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() };
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        // SAFETY: the message points to an address, to `space` and to a control message, with their lengths; all of them
        // live through the call.
        let len = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let Ok(len) = usize::try_from(len) else { return self.judge(io::Error::last_os_error()) };
        if message.msg_flags & libc::MSG_TRUNC != 0 || from.sll_pkttype == libc::PACKET_OUTGOING {
            return Ok(None);
        }
        Ok(vlan_tag(&control).map_or(Some(len), |tag| insert_tag(space, len, tag)))
    }

    /// What an error of reading means.
    fn judge(&self, error: io::Error) -> io::Result<Option<usize>> {
        match error.raw_os_error() {
            // The frame is of a kind of which the header cannot tell, and the kernel has dropped it.
            Some(libc::EINVAL) => Ok(None),
            // For the kernel that is the same error as one that went down, but then it stays bound.
            Some(libc::ENETDOWN) if !self.is_bound() => Err(io::Error::from_raw_os_error(libc::ENODEV)),
            Some(_) | None => Err(error),
        }
    }

    fn is_bound(&self) -> bool {
        self.socket.local_addr().is_ok_and(|address| {
            // SAFETY: the address of a packet socket is a `sockaddr_ll`, for which the storage behind the pointer has room.
            let index = unsafe { (*address.as_ptr().cast::<libc::sockaddr_ll>()).sll_ifindex };
            index > 0
        })
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Puts back the VLAN tag that the kernel took out, and corrects the header; `None` if the frame is too long then.
fn insert_tag(space: &mut [u8], len: usize, tag: [u8; TAG_LEN]) -> Option<usize> {
    if len < TAG_AT || len + TAG_LEN > space.len() {
        return None;
    }
    space.copy_within(TAG_AT..len, TAG_AT + TAG_LEN);
    space.get_mut(TAG_AT..TAG_AT + TAG_LEN)?.copy_from_slice(&tag);
    for place in OFFSETS {
        let field = space.get_mut(place)?;
        let offset = u16::from_ne_bytes([field[0], field[1]]);
        // Zero tells nothing.
        if offset != 0 {
            field.copy_from_slice(&offset.checked_add(TAG_LEN as u16)?.to_ne_bytes());
        }
    }
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
        let mut space = [0; 30];
        space[10..26].copy_from_slice(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0, 9, 9]);

        assert_eq!(insert_tag(&mut space, 26, [0x81, 0, 0, 5]), Some(30));

        assert_eq!(space[20..], [2, 2, 0x81, 0, 0, 5, 8, 0, 9, 9]);
        assert_eq!(insert_tag(&mut space, 27, [0x81, 0, 0, 5]), None);
        assert_eq!(insert_tag(&mut space, 21, [0x81, 0, 0, 5]), None);
    }

    #[test]
    fn with_a_tag_all_behind_it_begins_later() {
        let field = |value: u16| value.to_ne_bytes();
        let header = [[1, 0], field(54), field(1448), field(34), field(16)].concat();
        let mut space = [0; 80];
        space[..10].copy_from_slice(&header);

        insert_tag(&mut space, 70, [0x81, 0, 0, 5]).unwrap();

        assert_eq!(space[..10], [[1, 0], field(58), field(1448), field(38), field(16)].concat());
    }

    #[test]
    fn a_header_that_tells_nothing_stays_so() {
        let mut space = [0; 80];
        insert_tag(&mut space, 70, [0x81, 0, 0, 5]).unwrap();
        assert_eq!(space[..10], [0; 10]);
    }
}
