use std::io::{ErrorKind, Read, Write};

use super::*;
use crate::device::Kind;
use crate::namespace::{in_namespace, open, wait_readable, wait_writable};
use crate::netlink::Link;

/// A connection over the loopback address `address`: both ends, and what `accept` told.
fn connected(address: &str) -> (TcpStream, TcpStream, SocketAddr) {
    let options = TcpOptions::default();
    let listener = listen(address.parse().unwrap(), &options).unwrap();
    let outgoing = connect(listener.local_addr().unwrap(), None, &options).unwrap();
    wait_readable(&listener);
    let (incoming, remote) = accept(&listener, &options).unwrap();
    wait_writable(&outgoing);
    assert!(finish_connect(&outgoing).unwrap());
    (outgoing, incoming, remote)
}

#[test]
fn a_connection_carries_bytes_without_blocking() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (mut outgoing, mut incoming, remote) = connected(address);
        assert_eq!(remote, outgoing.local_addr().unwrap());
        let mut space = [0; 10];
        assert_eq!(incoming.read(&mut space).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(outgoing.read(&mut space).unwrap_err().kind(), ErrorKind::WouldBlock);

        outgoing.write_all(b"hello").unwrap();

        wait_readable(&incoming);
        assert_eq!(incoming.read(&mut space).unwrap(), 5);
    }
}

#[test]
fn both_ends_are_in_a_hurry() {
    let (outgoing, incoming, _) = connected("127.0.0.1:0");
    for end in [&outgoing, &incoming] {
        assert!(end.nodelay().unwrap());
        assert_eq!(SockRef::from(end).tos_v4().unwrap(), LOW_DELAY);
    }
    let (outgoing, incoming, _) = connected("[::1]:0");
    for end in [&outgoing, &incoming] {
        assert_eq!(SockRef::from(end).tclass_v6().unwrap(), LOW_DELAY);
    }
}

#[test]
fn accepting_would_block_when_nobody_connects() {
    let options = TcpOptions::default();
    let listener = listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    assert_eq!(accept(&listener, &options).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn ipv4_and_ipv6_can_listen_on_the_same_port() {
    in_namespace(65_536, || {
        let options = TcpOptions::default();
        let first = listen("[::]:0".parse().unwrap(), &options).unwrap();
        let port = first.local_addr().unwrap().port();
        listen(SocketAddr::from(([0, 0, 0, 0], port)), &options).unwrap();
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    in_namespace(65_536, || {
        let options = TcpOptions::default();
        let result = connect("127.0.0.1:7".parse().unwrap(), None, &options).and_then(|stream| {
            wait_writable(&stream);
            finish_connect(&stream)
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn an_unanswered_connection_is_in_progress() {
    in_namespace(65_536, || {
        let _silent = open("mesh0", Kind::Tun);
        let mut link = Link::open().unwrap();
        link.add_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap();
        link.set_up("mesh0", None).unwrap();

        let stream = connect("10.9.0.2:655".parse().unwrap(), None, &TcpOptions::default()).unwrap();

        assert!(!finish_connect(&stream).unwrap());
    });
}

#[test]
fn the_local_end_mark_and_interface_can_be_chosen() {
    in_namespace(65_536, || {
        let options = TcpOptions { mark: 7, interface: Some("lo".to_owned()), segment: None };
        let listener = listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let local = Some("127.0.0.9:0".parse().unwrap());

        let outgoing = connect(listener.local_addr().unwrap(), local, &options).unwrap();
        wait_readable(&listener);
        let (incoming, remote) = accept(&listener, &options).unwrap();

        assert_eq!(remote.ip().to_string(), "127.0.0.9");
        for end in [&outgoing, &incoming] {
            assert_eq!(SockRef::from(end).mark().unwrap(), 7);
            assert_eq!(SockRef::from(end).device().unwrap().as_deref(), Some(&b"lo"[..]));
        }
    });
}

#[test]
fn segments_are_as_short_as_either_end_wants() {
    for limited in ["listener", "caller"] {
        let (listening, calling) = if limited == "listener" { (480, None) } else { (0, Some(480)) };
        let listener = listen("127.0.0.1:0".parse().unwrap(), &TcpOptions::default()).unwrap();
        limit_segments(&listener, listening).unwrap();
        let options = TcpOptions { segment: calling, ..TcpOptions::default() };
        let outgoing = connect(listener.local_addr().unwrap(), None, &options).unwrap();
        wait_readable(&listener);
        let (incoming, _) = accept(&listener, &TcpOptions::default()).unwrap();
        wait_writable(&outgoing);
        for end in [&outgoing, &incoming] {
            let segment = SockRef::from(end).tcp_mss().unwrap();
            assert!((400..=480).contains(&segment), "{limited}: {segment}");
        }
    }
}

#[test]
fn what_is_confirmed_does_not_wait() {
    let (mut outgoing, mut incoming, _) = connected("127.0.0.1:0");
    outgoing.write_all(b"hello").unwrap();
    wait_readable(&incoming);
    assert_eq!(incoming.read(&mut [0; 10]).unwrap(), 5);
    assert_eq!(progress(&outgoing).unwrap(), Progress { waits: false, repeated: 0 });
}

#[test]
fn the_system_tells_how_much_it_has_not_sent_and_when_it_wants_more() {
    let (mut outgoing, mut incoming, _) = connected("127.0.0.1:0");
    limit_unsent(&outgoing, 8 << 10).unwrap();
    assert_eq!(unsent(&outgoing).unwrap(), 0);
    let mut written = 0;
    while let Ok(count) = outgoing.write(&[0; 4096]) {
        written += count;
    }
    let waits = unsent(&outgoing).unwrap();
    assert!((4 << 10..128 << 10).contains(&waits) && written > waits, "{waits} of {written} bytes");

    let mut space = vec![0; 1 << 16];
    let mut read = 0;
    while read < written {
        wait_readable(&incoming);
        read += incoming.read(&mut space).unwrap();
    }
    wait_writable(&outgoing);
    assert!(unsent(&outgoing).unwrap() < 4 << 10);
}
