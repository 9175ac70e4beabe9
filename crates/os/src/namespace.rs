//! Tests that touch interfaces run in a network namespace of their own.

use std::io;
use std::os::fd::AsFd;
use std::panic;
use std::thread;
use std::time::Duration;

use crate::device::{Device, DeviceOptions, Kind};
use crate::netlink::Link;
use crate::poll::{Interest, Poller};

/// Runs `test` on a thread in a fresh network namespace, which has nothing but `lo`, up, with an MTU of `lo_mtu`.
pub(crate) fn in_namespace(lo_mtu: u32, test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(move || {
        // SAFETY: only this thread moves to another namespace; no memory is involved.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "this test needs root, for a network namespace: {}", io::Error::last_os_error());
        Link::open().unwrap().set_up("lo", Some(lo_mtu)).unwrap();
        test();
    });
    if let Err(panic) = thread.join() {
        panic::resume_unwind(panic);
    }
}

/// A new interface.
pub(crate) fn open(name: &str, kind: Kind) -> Device {
    Device::open(&DeviceOptions { path: None, name: Some(name.to_owned()), kind, offloads: false, queues: false })
        .unwrap()
}

/// Waits until there is something to read; fails after five seconds.
pub(crate) fn wait_readable(fd: impl AsFd) {
    assert!(becomes_ready(fd, Interest::READ), "nothing to read");
}

/// Waits until there is room to write, or the connection failed; fails after five seconds.
pub(crate) fn wait_writable(fd: impl AsFd) {
    assert!(becomes_ready(fd, Interest::WRITE), "no room to write");
}

/// Whether there is something to read within this time.
pub(crate) fn is_ready(fd: impl AsFd, limit: Duration) -> bool {
    becomes_ready_within(fd, Interest::READ, limit)
}

fn becomes_ready(fd: impl AsFd, interest: Interest) -> bool {
    becomes_ready_within(fd, interest, Duration::from_secs(5))
}

fn becomes_ready_within(fd: impl AsFd, interest: Interest, limit: Duration) -> bool {
    let mut poller = Poller::new().unwrap();
    poller.add(fd, 0, interest).unwrap();
    let mut events = Vec::new();
    poller.wait(Some(limit), &mut events).unwrap();
    !events.is_empty()
}
