use std::io::{ErrorKind, IoSlice};
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener};
use std::thread;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::*;
use crate::namespace::{in_namespace, open, wait_readable};
use crate::netlink::Link;

/// An IPv4 packet with a UDP datagram from 10.9.0.2 port 7 to 10.9.0.1.
fn datagram_to_10_9_0_1(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1];
    packet[3] = u8::try_from(28 + payload.len()).unwrap();
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let checksum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend([0, 7]);
    packet.extend(port.to_be_bytes());
    packet.extend([0, u8::try_from(8 + payload.len()).unwrap(), 0, 0]);
    packet.extend(payload);
    packet
}

/// The next packet of IP version 4; the kernel sends some of version 6 by itself.
fn next_ipv4(device: &Device) -> Vec<u8> {
    let mut space = [0; 2_000];
    loop {
        wait_readable(device);
        let len = device.recv(&mut space).unwrap();
        if space[0] >> 4 == 4 {
            return space[..len].to_vec();
        }
    }
}

fn tun_10_9_0_1() -> Device {
    let device = open("mesh0", Kind::Tun);
    let mut link = Link::open().unwrap();
    link.add_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap();
    link.set_up("mesh0", Some(1_400)).unwrap();
    device
}

#[test]
fn packets_for_the_range_of_a_tun_interface_are_read_bare() {
    in_namespace(65_536, || {
        let device = tun_10_9_0_1();
        let socket = UdpSocket::bind("10.9.0.1:0").unwrap();

        socket.send_to(b"out", "10.9.0.2:7").unwrap();

        let packet = next_ipv4(&device);
        assert_eq!(packet.len(), 31);
        assert_eq!(packet[12..20], [10, 9, 0, 1, 10, 9, 0, 2]);
        assert_eq!(packet[28..], *b"out");
    });
}

#[test]
fn packets_written_to_a_tun_interface_reach_sockets() {
    in_namespace(65_536, || {
        let device = tun_10_9_0_1();
        let socket = UdpSocket::bind("10.9.0.1:0").unwrap();

        device.send(&datagram_to_10_9_0_1(socket.local_addr().unwrap().port(), b"in")).unwrap();

        wait_readable(&socket);
        let mut space = [0; 100];
        let (len, from) = socket.recv_from(&mut space).unwrap();
        assert_eq!((&space[..len], from), (&b"in"[..], "10.9.0.2:7".parse().unwrap()));
    });
}

#[test]
fn reading_a_silent_device_would_block() {
    in_namespace(65_536, || {
        let device = open("mesh0", Kind::Tun);
        assert_eq!(device.recv(&mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_tap_interface_carries_ethernet_frames() {
    in_namespace(65_536, || {
        let device = open("frames", Kind::Tap);
        let mut link = Link::open().unwrap();
        link.add_address("frames", "10.9.0.1".parse().unwrap(), 24).unwrap();
        link.set_up("frames", None).unwrap();

        UdpSocket::bind("10.9.0.1:0").unwrap().send_to(b"out", "10.9.0.2:7").unwrap();

        let mut space = [0; 2_000];
        loop {
            wait_readable(&device);
            let len = device.recv(&mut space).unwrap();
            if space[12..14] == [0x08, 0x06] {
                assert_eq!(space[..6], [0xFF; 6], "the question for an address goes to all");
                assert_eq!(space[38..42], [10, 9, 0, 2]);
                assert!(len >= 42);
                break;
            }
        }
    });
}

#[test]
fn the_kernel_names_what_has_no_name_and_counts_for_percent_d() {
    in_namespace(65_536, || {
        let options = |name: Option<&str>, kind| DeviceOptions {
            path: None,
            name: name.map(str::to_owned),
            kind,
            offloads: false,
        };
        let open = |name, kind| Device::open(&options(name, kind)).unwrap();
        let devices = [open(None, Kind::Tun), open(None, Kind::Tap), open(Some("vpn%d"), Kind::Tun)];
        assert_eq!(devices.each_ref().map(Device::name), ["tun0", "tap0", "vpn0"]);
    });
}

#[test]
fn a_long_name_is_cut_to_15_bytes() {
    in_namespace(65_536, || assert_eq!(open("a-very-long-name-of-a-net", Kind::Tun).name(), "a-very-long-nam"));
}

#[test]
fn an_interface_vanishes_with_its_device() {
    in_namespace(65_536, || {
        let mut link = Link::open().unwrap();
        let device = open("mesh0", Kind::Tun);
        link.index("mesh0").unwrap();

        drop(device);

        assert_eq!(link.index("mesh0").unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_name_that_is_taken_is_an_error() {
    in_namespace(65_536, || {
        let options = DeviceOptions { path: None, name: Some("mesh0".to_owned()), kind: Kind::Tun, offloads: false };
        let _first = Device::open(&options).unwrap();
        assert_eq!(Device::open(&options).unwrap_err().kind(), ErrorKind::ResourceBusy);
    });
}

#[test]
fn a_missing_device_node_is_an_error() {
    let options = DeviceOptions { path: Some("/nonexistent/tun".into()), name: None, kind: Kind::Tun, offloads: false };
    assert_eq!(Device::open(&options).unwrap_err().kind(), ErrorKind::NotFound);
}

/// Gives `fd` to whoever connects.
fn give(listener: &UnixListener, fd: &UnixDatagram) {
    let (stream, _) = listener.accept().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [fd.as_fd()];
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    rustix::net::sendmsg(&stream, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::empty()).unwrap();
}

fn check_device_from(listener: UnixListener, path: &Path) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let giver = thread::spawn(move || give(&listener, &theirs));

    let device = Device::from_socket(path).unwrap();
    giver.join().unwrap();

    device.send(b"packet").unwrap();
    let mut space = [0; 100];
    assert_eq!(ours.recv(&mut space).unwrap(), 6);
    assert_eq!(device.recv(&mut space).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(device.name().starts_with("fd/"));
}

#[test]
fn a_unix_socket_can_give_a_device() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("giver");
    check_device_from(UnixListener::bind(&path).unwrap(), &path);
}

#[test]
fn an_abstract_unix_socket_can_give_a_device() {
    let name = format!("tinmesh-os-test-{}", std::process::id());
    let address = UnixAddress::from_abstract_name(&name).unwrap();
    check_device_from(UnixListener::bind_addr(&address).unwrap(), Path::new(&format!("@{name}")));
}

#[test]
fn a_unix_socket_that_gives_nothing_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("miser");
    let listener = UnixListener::bind(&path).unwrap();
    let miser = thread::spawn(move || drop(listener.accept().unwrap()));

    assert_eq!(Device::from_socket(&path).unwrap_err().kind(), ErrorKind::InvalidData);
    miser.join().unwrap();
}
