//! What the control thread and the workers share: snapshot, sockets, device, and the queue of punts.

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::mpsc::{SyncSender, TrySendError};

use arc_swap::ArcSwap;
use tinmesh_core::dataplane::ethernet::Mac;
use tinmesh_core::dataplane::fib::{Fib, Frames, UdpTarget};
use tinmesh_core::dataplane::verdict::{DropReason, Punt};
use tinmesh_core::packet::Packet;
use tinmesh_os::device::{Device, Kind};
use tinmesh_os::poll::Waker;
use tinmesh_os::udp::UdpSocket;

use crate::daemon::extra_sockets::ExtraSockets;

/// Punts that may wait for the node.
pub const PUNT_QUEUE: usize = 1024;
/// Batches of frames that may wait for those who watch packets; more are not shown.
pub const CAPTURE_QUEUE: usize = 64;

/// A machine's address until it shows it (spec: routing 2.6).
const UNKNOWN_MAC: Mac = [0xfe, 0xfd, 0, 0, 0, 0];

/// Frames that entered routing while somebody watches.
pub type Captured = Vec<Box<[u8]>>;

/// A worker's word to the node.
#[derive(Debug)]
pub enum FromWorker {
    /// A packet that the data plane could not finish.
    Punt {
        /// Why, and what the payload is.
        punt: Punt,
        /// The packet's payload.
        payload: Box<[u8]>,
    },
    /// The system refused a datagram as too long.
    TooBig {
        /// Where it should have gone.
        to: SocketAddr,
        /// Its UDP payload.
        datagram: Box<[u8]>,
    },
    /// A frame of the device came from a station that nobody knows.
    Learnt(Mac),
}

/// The virtual network device, if there is one.
#[derive(Debug)]
pub enum Link {
    /// A TUN or TAP interface.
    Interface(Device),
    /// What was there before and is not ours to set up.
    Foreign(Device),
    /// `DeviceType = dummy`: gives nothing, swallows everything.
    Dummy,
}

impl Link {
    /// The interface that the kernel made for it.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::Interface(device) => Some(device.name()),
            Self::Foreign(_) | Self::Dummy => None,
        }
    }

    /// Hands a packet to the system.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        match self {
            Self::Interface(device) | Self::Foreign(device) => device.send(packet),
            Self::Dummy => Ok(()),
        }
    }

    /// What it carries; `None`: nothing.
    pub fn frames(&self) -> Option<Frames> {
        match self {
            Self::Interface(device) | Self::Foreign(device) => Some(match device.kind() {
                Kind::Tun => Frames::Ip,
                Kind::Tap => Frames::Ethernet { rewrite: Some(device.mac().unwrap_or(UNKNOWN_MAC)) },
                Kind::Wire => Frames::Ethernet { rewrite: None },
            }),
            Self::Dummy => None,
        }
    }

    /// Another queue of the interface; `None`: there is only one.
    ///
    /// # Errors
    /// What the system says.
    pub fn another_queue(&self) -> io::Result<Option<Self>> {
        match self {
            Self::Interface(device) => Ok(device.another_queue()?.map(Self::Interface)),
            Self::Foreign(_) | Self::Dummy => Ok(None),
        }
    }

    /// Where packets come from, if any do.
    pub const fn device(&self) -> Option<&Device> {
        match self {
            Self::Interface(device) | Self::Foreign(device) => Some(device),
            Self::Dummy => None,
        }
    }
}

/// What a worker has for itself, so that workers do not meet.
#[derive(Debug, Default)]
pub struct Lane {
    /// A queue of the device. `None`: the first one is written to, and only the first worker reads that.
    pub queue: Option<Link>,
    /// The UDP sockets, by index: one of those that share an address.
    pub sockets: Vec<UdpSocket>,
}

/// Whether the system refused a datagram because it is too long for its way.
pub fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

/// Whether packets move: set by workers, taken by the control thread.
#[derive(Debug, Default)]
pub struct Movement {
    news: AtomicBool,
    /// Whether the control thread looks by itself soon.
    awaited: AtomicBool,
}

impl Movement {
    /// Notes that packets moved; tells whether the control thread has to be woken for that. It need not be woken at once, and
    /// should not while a packet is on its way: both would want the same processor.
    #[must_use]
    pub fn note(&self) -> bool {
        !self.news.load(Relaxed) && !self.news.swap(true, SeqCst) && !self.awaited.load(SeqCst)
    }

    /// Whether packets moved and nobody [took](Self::take) it yet.
    pub fn is_noted(&self) -> bool {
        self.news.load(Relaxed)
    }

    /// Whether packets moved since this was asked last. If so, it will be asked again soon.
    pub fn take(&self) -> bool {
        let moved = self.news.swap(false, SeqCst);
        self.awaited.store(moved, SeqCst);
        // A worker that saw the old value of `awaited` wakes nobody.
        moved || self.news.load(SeqCst)
    }
}

/// What the threads share. No lock: a snapshot, atomics, and objects that the kernel guards.
pub struct Shared {
    /// What packets are forwarded by.
    pub fib: ArcSwap<Fib>,
    /// What each worker has for itself; there is one at least.
    pub lanes: Vec<Lane>,
    /// UDP sockets that the node opened since; the first worker receives on them.
    pub extra: ExtraSockets,
    /// The device, or its first queue.
    pub link: Link,
    /// Drops by reason, in the order of [`DropReason::ALL`].
    pub drops: Vec<AtomicU64>,
    /// Whether packets move.
    pub movement: Movement,
    /// Whether somebody watches packets.
    pub captures: AtomicBool,
    /// Frames that entered routing while somebody watches: apart from punts, which they must not push out.
    pub captured: SyncSender<Captured>,
    /// Why the device is not read any more: beside the queue, in which there might be no room for it.
    pub failure: OnceLock<io::Error>,
    /// Tells workers to end.
    pub stop: AtomicBool,
    /// Wakes the control thread.
    pub control: Waker,
}

impl Shared {
    /// The device that worker `number` reads, if it reads one.
    pub fn intake(&self, number: usize) -> Option<&Device> {
        match self.lanes.get(number)?.queue.as_ref() {
            Some(queue) => queue.device(),
            None => self.link.device().filter(|_| number == 0),
        }
    }

    /// The queue of the device of worker `number`, to be written to by any.
    pub fn outlet(&self, number: usize) -> &Link {
        self.lanes.get(number).and_then(|lane| lane.queue.as_ref()).unwrap_or(&self.link)
    }

    /// The UDP sockets of worker `number`.
    pub fn sockets(&self, number: usize) -> &[UdpSocket] {
        self.lanes.get(number).map_or(&[], |lane| &lane.sockets)
    }

    /// Counts packets dropped for `reason`.
    pub fn count_drops(&self, reason: DropReason, count: u64) {
        if let Some(counter) = self.drops.get(reason as usize) {
            counter.fetch_add(count, Relaxed);
        }
    }

    /// Puts a word into the queue to the node, or counts that it was full.
    pub fn tell(&self, queue: &SyncSender<FromWorker>, word: FromWorker) {
        if let Err(TrySendError::Full(_)) = queue.try_send(word) {
            self.count_drops(DropReason::PuntQueueFull, 1);
        }
    }

    /// Has frames shown to those who watch packets.
    pub fn show(&self, frames: Captured) {
        // Who does not keep up misses some.
        self.captured.try_send(frames).ok();
        self.control.wake();
    }

    /// Ends the daemon: its device cannot be read any more.
    pub fn fail(&self, cause: io::Error) {
        // Only the first cause is told.
        self.failure.set(cause).ok();
        self.control.wake();
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// What the system says; also if there is no such socket.
    pub fn transmit(&self, target: UdpTarget, packet: &Packet) -> io::Result<()> {
        if let Some(socket) = self.sockets(0).get(usize::from(target.socket)) {
            return socket.send_to(packet.payload(), target.to);
        }
        let socket = self.extra.get(target.socket).ok_or(io::ErrorKind::NotFound)?;
        socket.send_to(packet.payload(), target.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_thread_is_woken_for_packets_that_it_does_not_look_for() {
        let movement = Movement::default();
        assert!(movement.note());
        assert!(!movement.note(), "it was told");
        assert!(movement.take());
        assert!(!movement.note(), "it looks again by itself");
        assert!(movement.take());
        assert!(!movement.take());
        assert!(movement.note(), "it has given up looking");
    }
}
