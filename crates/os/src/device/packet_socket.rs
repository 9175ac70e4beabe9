//! A packet socket on an interface that exists already: all its frames, and frames into it (spec: routing 2.4).

use std::io;
use std::mem::{MaybeUninit, offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

/// Where a VLAN tag is in a frame: behind both addresses.
const TAG_AT: usize = 12;
const TAG_LEN: usize = 4;
/// The tag's type, for kernels that do not tell it.
const VLAN: u16 = 0x8100;
/// The control message about a frame.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    about: libc::tpacket_auxdata,
}
// SAFETY: the macro only computes.
const DATA_AT: usize = unsafe { libc::CMSG_LEN(0) } as usize;
const _: () = assert!(offset_of!(Control, about) == DATA_AT);

/// All frames of one interface.
#[derive(Debug)]
pub(super) struct PacketSocket {
    socket: Socket,
}

impl PacketSocket {
    /// Opens the interface called `name`; `ENODEV` if there is none.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let all = (libc::ETH_P_ALL as u16).to_be();
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(all))))?;
        let index = rustix::net::netdevice::name_to_index(&socket, name)?;
        enable_auxdata(&socket)?;
        socket.bind(&link_address(all, index))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Reads a frame; `None` if it is longer than `space`.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        // SAFETY: zeros are valid in all fields.
        let mut control: Control = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut part = libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() };
        // SAFETY: null pointers and zeros are valid in all fields.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = size_of::<Control>() as _;
        // SAFETY: the header points to `space` and `control`, which live through the call, with their lengths.
        let len = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, 0) };
        let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
        if header.msg_flags & libc::MSG_TRUNC != 0 {
            return Ok(None);
        }
        let tag = vlan_tag(&control);
        Ok(tag.map_or(Some(len), |tag| insert_tag(space, len, tag)))
    }

    /// Writes a frame.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(|_| ())
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
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

/// Asks the kernel to tell what it took out of frames.
fn enable_auxdata(socket: &Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is an `int` that lives through the call, and `len` is its length.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_AUXDATA,
            (&raw const on).cast(),
            len,
        )
    };
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
}
