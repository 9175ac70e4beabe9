use std::io::{ErrorKind, IoSlice};
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener};
use std::thread;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::*;
use crate::namespace::{in_namespace, is_ready, open, wait_readable};
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
            queues: false,
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
        let options = DeviceOptions { queues: false, ..several("mesh0") };
        let _first = Device::open(&options).unwrap();
        assert_eq!(Device::open(&options).unwrap_err().kind(), ErrorKind::ResourceBusy);
        assert_eq!(Device::open(&several("mesh0")).unwrap_err().kind(), ErrorKind::ResourceBusy);
    });
}

#[test]
fn a_missing_device_node_is_an_error() {
    let options = DeviceOptions {
        path: Some("/nonexistent/tun".into()),
        name: None,
        kind: Kind::Tun,
        offloads: false,
        queues: false,
    };
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

/// Both ends of a cable, open as devices.
fn cable() -> [Device; 2] {
    let script = "ip link add left type veth peer name right && ip link set left up && ip link set right up";
    let made = std::process::Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(made.success(), "this test needs `ip`, of iproute2");
    let ends = ["left", "right"].map(|name| Device::on_interface(name).unwrap());
    // The kernel notices a little later that the cable is whole; until then it drops what is sent.
    for (from, to) in [(0, 1), (1, 0)] {
        let probe = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xb6], &[0; 50]].concat();
        let mut space = [0; LARGEST];
        while !is_ready(&ends[to], std::time::Duration::from_millis(20)) || ends[to].recv(&mut space).is_err() {
            let _not_yet = ends[from].send(&probe);
        }
    }
    ends
}

/// The next frame of this type behind the addresses, without its header.
fn next_of_type(device: &Device, kind: [u8; 2]) -> Vec<u8> {
    let mut space = [0; LARGEST];
    loop {
        wait_readable(device);
        match device.recv(&mut space) {
            Ok(len) if space[VNET_HEADER + 12..VNET_HEADER + 14] == kind => return space[VNET_HEADER..len].to_vec(),
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

#[test]
fn frames_of_an_interface_are_read_with_their_vlan_tag_at_its_place() {
    in_namespace(65_536, || {
        let [left, right] = cable();
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x81, 0, 0x20, 5], &[0x88, 0xb5], &[7; 50]].concat();

        left.send(&frame).unwrap();

        assert_eq!(next_of_type(&right, [0x81, 0]), frame);
    });
}

#[test]
fn what_goes_out_by_an_interface_is_not_read_from_it() {
    in_namespace(65_536, || {
        let [left, right] = cable();
        let second = Device::on_interface("left").unwrap();
        let frame = |number| [&[0xff; 6][..], &[2, 0, 0, 0, 0, number], &[0x88, 0xb5], &[number; 50]].concat();

        left.send(&frame(1)).unwrap();
        right.send(&frame(2)).unwrap();

        assert_eq!(next_of_type(&second, [0x88, 0xb5]), frame(2));
    });
}

/// What reading tells after something was done with the interface.
fn failure_after(arguments: &'static [&'static str], expected: bool) {
    in_namespace(65_536, move || {
        let [left, _right] = cable();
        let status = std::process::Command::new("ip").args(arguments).status().unwrap();
        assert!(status.success(), "this test needs `ip`, of iproute2");
        let mut space = [0; LARGEST];
        let error = loop {
            wait_readable(&left);
            match left.recv(&mut space) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => break error,
                Ok(_) | Err(_) => {}
            }
        };
        assert_eq!(is_final(&error), expected, "{error}");
    });
}

#[test]
fn an_interface_that_is_gone_is_a_final_error_and_one_that_is_down_is_not() {
    failure_after(&["link", "del", "left"], true);
    failure_after(&["link", "set", "left", "down"], false);
}

#[test]
fn members_of_a_group_hear_each_other_and_not_themselves() {
    in_namespace(65_536, || {
        let script = "ip link set lo multicast on && ip route add 239.1.0.0/16 dev lo";
        assert!(std::process::Command::new("sh").args(["-ec", script]).status().unwrap().success());
        let [a, b] = [1, 1].map(|ttl| Device::in_group("239.1.2.3:7000".parse().unwrap(), ttl).unwrap());
        let mut space = [0; 100];

        a.send(b"from a").unwrap();
        b.send(b"from b").unwrap();

        for (member, heard) in [(&a, b"from b"), (&b, b"from a")] {
            wait_readable(member);
            let len = member.recv(&mut space).unwrap();
            assert_eq!(&space[..len], heard);
            assert_eq!(member.recv(&mut space).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    });
}

fn several(name: &str) -> DeviceOptions {
    DeviceOptions { path: None, name: Some(name.to_owned()), kind: Kind::Tun, offloads: false, queues: true }
}

#[test]
fn an_interface_with_several_queues_is_not_shared_with_another_program() {
    in_namespace(65_536, || {
        let first = Device::open(&several("mesh0")).unwrap();
        let second = first.another_queue().unwrap().expect("there can be more queues");
        assert_eq!(second.name(), "mesh0");
        Link::open().unwrap().set_up("mesh0", None).unwrap();

        for options in [several("mesh0"), DeviceOptions { queues: false, ..several("mesh0") }] {
            assert_eq!(Device::open(&options).unwrap_err().kind(), ErrorKind::ResourceBusy);
        }
    });
}

#[test]
fn an_interface_that_was_there_before_keeps_its_number_of_queues() {
    in_namespace(65_536, || {
        for queues in [false, true] {
            let made = Device::open(&DeviceOptions { queues, ..several("mesh0") }).unwrap();
            // SAFETY: TUNSETPERSIST takes a number, no pointer.
            assert_eq!(unsafe { libc::ioctl(made.as_fd().as_raw_fd(), libc::TUNSETPERSIST, 1) }, 0);
            drop(made);

            for wanted in [false, true] {
                let device = Device::open(&DeviceOptions { queues: wanted, ..several("mesh0") }).unwrap();
                assert_eq!(device.another_queue().unwrap().is_some(), queues);
            }

            let made = Device::open(&DeviceOptions { queues, ..several("mesh0") }).unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { libc::ioctl(made.as_fd().as_raw_fd(), libc::TUNSETPERSIST, 0) }, 0);
        }
    });
}

#[test]
fn a_flow_stays_in_the_queue_to_which_its_answers_are_written() {
    in_namespace(65_536, || {
        let first = Device::open(&several("mesh0")).unwrap();
        let second = first.another_queue().unwrap().unwrap();
        let mut link = Link::open().unwrap();
        link.add_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap();
        link.set_up("mesh0", Some(1_400)).unwrap();
        for _ in 0..4 {
            let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
            for queue in [&second, &first] {
                // Port 7 of 10.9.0.2 is the other end of this flow.
                queue.send(&datagram_to_10_9_0_1(socket.local_addr().unwrap().port(), b"in")).unwrap();
                for _ in 0..3 {
                    socket.send_to(b"out", "10.9.0.2:7").unwrap();
                    assert_eq!(next_ipv4(queue)[28..], *b"out");
                }
            }
        }
    });
}
