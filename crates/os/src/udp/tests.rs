use std::io::ErrorKind;
use std::os::fd::AsRawFd;

use proptest::prelude::*;

use super::*;
use crate::device::Kind;
use crate::namespace::{in_namespace, open, wait_readable};
use crate::netlink::Link;

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

fn bind(address: &str) -> UdpSocket {
    let options = UdpOptions { dont_fragment: true, rcvbuf: 1 << 20, ..UdpOptions::default() };
    UdpSocket::bind(address.parse().unwrap(), &options).unwrap()
}

/// All datagrams that wait, and where they came from.
fn receive_all(socket: &UdpSocket) -> Vec<(Vec<u8>, SocketAddr)> {
    let mut all = Vec::new();
    let mut inbox = Inbox::new();
    loop {
        match socket.receive(&mut inbox) {
            Ok(count) => assert_ne!(count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return all,
            Err(error) => panic!("{error}"),
        }
        all.extend(inbox.datagrams().map(|(from, datagram)| (datagram.to_vec(), from)));
    }
}

#[test]
fn nobody_else_can_bind_a_port_that_is_bound() {
    for address in LOOPBACKS {
        let ours = bind(address);
        let address = ours.local_addr().unwrap();
        let thief = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).unwrap();
        thief.set_reuse_address(true).unwrap();

        assert_eq!(thief.bind(&address.into()).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}

fn no_refusal(index: usize, error: io::Error) {
    panic!("datagram {index} was refused: {error}");
}

/// Datagrams of the given lengths, all different.
fn datagrams(lens: &[usize]) -> Vec<Vec<u8>> {
    (0_u8..).zip(lens).map(|(number, len)| (0..*len).map(|at| number ^ at.to_le_bytes()[0]).collect()).collect()
}

fn check_delivery(sender: &UdpSocket, receiver: &UdpSocket, lens: &[usize]) {
    let to = receiver.local_addr().unwrap();
    let sent = datagrams(lens);

    let dealt = sender.send_batch(sent.iter().map(|datagram| (datagram.as_slice(), to)), no_refusal);

    assert_eq!(dealt, sent.len());
    let (received, from): (Vec<_>, Vec<_>) = receive_all(receiver).into_iter().unzip();
    assert_eq!(received, sent);
    assert!(from.iter().all(|from| *from == sender.local_addr().unwrap()));
}

#[test]
fn batches_of_any_lengths_arrive_whole_and_in_order() {
    let mut mixed: Vec<usize> = vec![1_400; 150];
    mixed.extend([1_399, 1_400, 0, 0, 5, 5, 5, 6, 9_000, 9_000, 9_000, 9_000, 9_000, 9_000, 9_000, 9_000, 1]);
    for address in LOOPBACKS {
        for lens in [&mixed[..], &[], &[0], &[1_000; BATCH], &[1_000; BATCH + 1]] {
            check_delivery(&bind(address), &bind(address), lens);
        }
    }
}

#[test]
fn datagrams_of_one_batch_can_go_to_different_addresses() {
    for address in LOOPBACKS {
        let (sender, receivers) = (bind(address), [bind(address), bind(address)]);
        let to = receivers.each_ref().map(|receiver| receiver.local_addr().unwrap());
        let sent = datagrams(&[500; 90]);
        let targets = [to[0], to[0], to[1]].into_iter().cycle();

        assert_eq!(sender.send_batch(sent.iter().map(Vec::as_slice).zip(targets), no_refusal), 90);

        let received = receivers.each_ref().map(receive_all);
        let of =
            |wanted: usize| sent.iter().enumerate().filter(move |(index, _)| usize::from(index % 3 == 2) == wanted);
        for (wanted, received) in received.iter().enumerate() {
            let datagrams: Vec<_> = received.iter().map(|(datagram, _)| datagram).collect();
            assert_eq!(datagrams, of(wanted).map(|(_, datagram)| datagram).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_run_goes_as_one_message() {
    let (sender, receiver) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    assert!(sender.segments.load(Ordering::Relaxed), "this kernel knows UDP_SEGMENT");
    let sent = datagrams(&[100; 10]);
    let to = receiver.local_addr().unwrap();
    let group = Group::take(&mut sent.iter().map(|datagram| (datagram.as_slice(), to)));

    let runs = group.runs(true);
    assert_eq!(runs.as_slice(), [Run { start: 0, len: 10 }]);
    assert_eq!(batch::send(sender.as_fd(), &group, runs.as_slice()).unwrap(), 1);

    assert_eq!(receive_all(&receiver).len(), 10);
}

#[test]
fn datagrams_that_lie_side_by_side_are_told_as_one_part_and_arrive_as_they_are() {
    let bytes: Vec<u8> = (0..2_000).map(|at: usize| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
    let (near, far) = bytes.split_at(1_000);
    let sent: Vec<&[u8]> = near.chunks(100).chain(far[10..].chunks(100)).collect();
    let parts: Vec<_> = sent.iter().map(|datagram| io::IoSlice::new(datagram)).collect();
    let lens = |parts: &[io::IoSlice<'_>]| {
        let mut places = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let used = batch::join(parts, &mut places);
        places[..used].iter().map(|place| place.iov_len).collect::<Vec<_>>()
    };
    assert_eq!(lens(&parts), [1_000, 990]);
    assert_eq!(lens(&[parts[1], parts[0], parts[2]]), [100; 3]);

    for address in LOOPBACKS {
        let (sender, receiver) = (bind(address), bind(address));
        let to = receiver.local_addr().unwrap();
        assert_eq!(sender.send_batch(sent.iter().map(|datagram| (*datagram, to)), no_refusal), sent.len());
        assert!(receive_all(&receiver).iter().map(|(datagram, _)| datagram.as_slice()).eq(sent.iter().copied()));
    }
}

#[test]
fn a_socket_that_cannot_cut_up_messages_sends_one_by_one() {
    let (sender, receiver) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let on: libc::c_int = 1;
    // Without checksums the kernel refuses UDP_SEGMENT with EINVAL.
    // SAFETY: the pointer is to one `c_int`, whose size is given.
    let result = unsafe {
        let len = size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(sender.as_fd().as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const on).cast(), len)
    };
    assert_eq!(result, 0);

    check_delivery(&sender, &receiver, &[100; 150]);

    assert!(!sender.segments.load(Ordering::Relaxed));
    assert!(!sender.try_clone().unwrap().segments.load(Ordering::Relaxed));
}

#[test]
fn a_run_is_received_as_one_message_unless_that_is_not_wanted() {
    for (apart, messages) in [(false, 1), (true, 10)] {
        let options = UdpOptions { apart, ..UdpOptions::default() };
        let receiver = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let sender = bind("127.0.0.1:0");
        let to = receiver.local_addr().unwrap();
        let mut sent = datagrams(&[1_000; 10]);
        sent[9].truncate(77);
        sender.send_batch(sent.iter().map(|datagram| (datagram.as_slice(), to)), no_refusal);

        let mut inbox = Inbox::new();
        assert_eq!(receiver.receive(&mut inbox).unwrap(), messages);
        assert!(inbox.datagrams().map(|(_, datagram)| datagram).eq(sent.iter().map(Vec::as_slice)));
        let counts: Vec<_> = inbox.messages().map(|message| (message.count(), message.datagrams().count())).collect();
        assert_eq!(counts, vec![(10 / messages, 10 / messages); messages]);
    }
}

#[test]
fn a_socket_told_so_sends_one_by_one() {
    let options = UdpOptions { one_by_one: true, ..UdpOptions::default() };
    let sender = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    assert!(!sender.segments.load(Ordering::Relaxed));
    check_delivery(&sender, &bind("127.0.0.1:0"), &[100; 150]);
}

#[test]
fn what_does_not_fit_the_path_is_refused_and_the_rest_is_sent() {
    in_namespace(1_280, || {
        for (address, longest) in LOOPBACKS.into_iter().zip([1_252, 1_232]) {
            let (sender, receiver) = (bind(address), bind(address));
            let to = receiver.local_addr().unwrap();
            let sent = datagrams(&[longest, longest + 1, longest + 1, longest + 1, 7, longest]);

            let mut refused = Vec::new();
            let dealt = sender.send_batch(sent.iter().map(|datagram| (datagram.as_slice(), to)), |index, error| {
                refused.push((index, error.raw_os_error()));
            });

            assert_eq!(dealt, 6);
            assert_eq!(refused, [1, 2, 3].map(|index| (index, Some(libc::EMSGSIZE))));
            let received: Vec<_> = receive_all(&receiver).into_iter().map(|(datagram, _)| datagram.len()).collect();
            assert_eq!(received, [longest, 7, longest]);
            assert!(sender.segments.load(Ordering::Relaxed), "a long datagram is no reason to stop cutting up");
            assert_eq!(sender.send_to(&sent[1], to).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        }
    });
}

#[test]
fn fragmentation_can_be_allowed() {
    in_namespace(1_280, || {
        for address in LOOPBACKS {
            let sender = UdpSocket::bind(address.parse().unwrap(), &UdpOptions::default()).unwrap();
            check_delivery(&sender, &bind(address), &[2_000, 2_000, 2_000, 100]);
        }
    });
}

#[test]
fn a_full_send_buffer_stops_the_batch_and_tells_where() {
    in_namespace(65_536, || {
        // Datagrams wait for an answer to the question for the neighbour's MAC, which never comes.
        let _silent = open("mesh0", Kind::Tap);
        let mut link = Link::open().unwrap();
        link.add_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap();
        link.set_up("mesh0", None).unwrap();
        let options = UdpOptions { sndbuf: 8_192, ..UdpOptions::default() };
        let sender = UdpSocket::bind("10.9.0.1:0".parse().unwrap(), &options).unwrap();
        let sent: Vec<Vec<u8>> = datagrams(&(0..150).map(|index| 500 + index).collect::<Vec<_>>());
        let to = "10.9.0.2:7".parse().unwrap();

        let dealt = sender.send_batch(sent.iter().map(|datagram| (datagram.as_slice(), to)), no_refusal);

        assert!((1..64).contains(&dealt), "{dealt}");
        assert_eq!(sender.send_to(b"one more", to).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_wrong_family_is_refused_and_does_not_stop_the_batch() {
    let (sender, receiver) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let targets = ["[::1]:7".parse().unwrap(), receiver.local_addr().unwrap()];
    let mut refused = Vec::new();

    let dealt = sender.send_batch(targets.iter().map(|to| (&b"x"[..], *to)), |index, _| refused.push(index));

    assert_eq!((dealt, refused), (2, vec![0]));
    assert_eq!(receive_all(&receiver).len(), 1);
}

#[test]
fn receiving_from_a_silent_socket_would_block() {
    let mut inbox = Inbox::new();
    let error = bind("127.0.0.1:0").receive(&mut inbox).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(inbox.datagrams().count(), 0);
}

#[test]
fn a_clone_is_the_same_socket() {
    let (sender, receiver) = (bind("[::1]:0"), bind("[::1]:0"));
    let clone = receiver.try_clone().unwrap();
    assert_eq!(clone.local_addr().unwrap(), receiver.local_addr().unwrap());
    sender.send_to(b"x", receiver.local_addr().unwrap()).unwrap();
    wait_readable(&clone);
    assert_eq!(receive_all(&clone).len(), 1);
}

#[test]
fn ipv4_and_ipv6_can_share_a_port() {
    in_namespace(65_536, || {
        let first = bind("[::]:0");
        let port = first.local_addr().unwrap().port();
        bind(&format!("0.0.0.0:{port}"));
    });
}

#[test]
fn buffers_beyond_the_system_limit_are_granted_to_root() {
    let options = UdpOptions { rcvbuf: 30_000_000, sndbuf: 20_000_000, ..UdpOptions::default() };
    let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    assert_eq!(socket.buffer_sizes().unwrap(), (30_000_000, 20_000_000), "this test needs root");
}

#[test]
fn mark_and_interface_can_be_chosen() {
    in_namespace(65_536, || {
        let options = UdpOptions { mark: 7, interface: Some("lo".to_owned()), ..UdpOptions::default() };
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        assert_eq!(socket.socket.mark().unwrap(), 7);
        assert_eq!(socket.socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
        let options = UdpOptions { interface: Some("nowhere".to_owned()), ..UdpOptions::default() };
        assert!(UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).is_err());
    });
}

#[test]
fn the_way_to_an_address_has_an_mtu_and_a_local_address() {
    in_namespace(1_300, || {
        for (to, local) in [("127.0.0.5:7", "127.0.0.1"), ("[::1]:7", "::1")] {
            let to = to.parse().unwrap();
            assert_eq!(path_mtu(to).unwrap(), 1_300);
            assert_eq!(local_address_towards(to).unwrap().to_string(), local);
        }
        assert_eq!(path_mtu("192.0.2.1:7".parse().unwrap()).unwrap_err().kind(), ErrorKind::NetworkUnreachable);
    });
}

#[test]
fn sockets_of_one_port_divide_the_senders_and_keep_others_out() {
    in_namespace(65_536, || {
        let options = UdpOptions::default();
        let first = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let to = first.local_addr().unwrap();
        let second = first.bind_beside(&options).unwrap();
        assert_eq!(second.local_addr().unwrap(), to);
        assert_eq!(UdpSocket::bind(to, &options).unwrap_err().kind(), ErrorKind::AddrInUse);

        let mut of = [0, 0];
        for _ in 0..64 {
            let sender = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
            for text in [b"one", b"two"] {
                sender.send_to(text, to).unwrap();
            }
            let mut inbox = Inbox::new();
            let got = [&first, &second].map(|socket| {
                let mut texts = Vec::new();
                while socket.receive(&mut inbox).is_ok() {
                    texts.extend(inbox.datagrams().map(|(_, text)| text.to_vec()));
                }
                texts
            });
            let at = got.iter().position(|texts| !texts.is_empty()).expect("a socket got something");
            assert_eq!((got[at].concat().as_slice(), got[1 - at].len()), (&b"onetwo"[..], 0));
            of[at] += 1;
        }
        assert!(of.iter().all(|senders| *senders > 8), "{of:?}");
    });
}

#[test]
fn mapped_sources_are_told_as_ipv4() {
    let mapped = "[::ffff:192.0.2.1]:655".parse().unwrap();
    let (name, _) = name::Name::encode(mapped);
    assert_eq!(name.decode(), Some("192.0.2.1:655".parse().unwrap()));
}

proptest! {
    #[test]
    fn addresses_survive_the_kernel_form(v6: bool, ip: [u8; 16], port: u16, flow: u32, scope: u32) {
        let ip6 = std::net::Ipv6Addr::from(ip);
        let [a, b, c, d, ..] = ip;
        prop_assume!(ip6.to_ipv4_mapped().is_none());
        let address = if v6 {
            std::net::SocketAddrV6::new(ip6, port, flow, scope).into()
        } else {
            SocketAddr::from(([a, b, c, d], port))
        };
        prop_assert_eq!(name::Name::encode(address).0.decode(), Some(address));
    }

    #[test]
    fn runs_divide_a_group_and_keep_the_rules_of_the_kernel(
        shapes in prop::collection::vec((prop::sample::select(vec![0, 1, 1_399, 1_400, 30_000]), 1_u16..3), 0..80),
    ) {
        let sent: Vec<_> = shapes.iter().map(|(len, port)| (vec![0; *len], SocketAddr::from(([127, 0, 0, 1], *port)))).collect();
        let group = Group::take(&mut sent.iter().map(|(datagram, to)| (datagram.as_slice(), *to)));
        let runs = group.runs(true);
        let mut next = 0;
        for run in runs.as_slice() {
            prop_assert_eq!(run.start, next);
            prop_assert!(run.len >= 1);
            next = run.end();
            let parts: Vec<_> = group.datagrams(*run).collect();
            let size = parts[0].1.len();
            let (last, others) = parts.split_last().unwrap();
            prop_assert!(others.iter().all(|(_, part, _)| part.len() == size));
            prop_assert!(last.1.len() <= size && (run.len == 1 || !last.1.is_empty()));
            prop_assert!(parts.iter().all(|(_, _, to)| *to == parts[0].2));
            prop_assert!(run.len == 1 || parts.iter().map(|(_, part, _)| part.len()).sum::<usize>() <= 65_000);
        }
        prop_assert_eq!(next, shapes.len().min(BATCH));
        prop_assert_eq!(group.runs(false).as_slice().len(), next);
    }
}
