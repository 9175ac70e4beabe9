//! A worker: reads a batch, works it, sends it, then the next. Run to completion; no state of the
//! mesh, no lock, no allocation per packet.
//!
//! ```text
//!  device ─► Fib::outbound ─► UDP socket
//!  UDP socket ─► Fib::inbound ─► device, or UDP socket (relayed)
//!                     └─► punt queue ─► node
//! ```

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::thread::{Builder, JoinHandle};

use tinmesh_core::dataplane::scratch::Scratch;
use tinmesh_core::dataplane::verdict::{DropReason, Verdict};
use tinmesh_core::packet::Packet;
use tinmesh_core::time::Instant;
use tinmesh_os::clock;
use tinmesh_os::poll::{Interest, Poller, Waker};
use tinmesh_os::udp::UdpSocket;
use tracing::error;

use crate::daemon::lifeline::Lifeline;
use crate::daemon::packet_log;
use crate::daemon::shared::{FromWorker, Shared, is_too_big};

/// Packets worked together.
const BATCH: usize = 64;
/// Batches read from one source before the others get their turn.
const TURNS: usize = 4;
const DEVICE: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

/// A running worker.
pub struct Worker {
    thread: JoinHandle<()>,
    waker: Waker,
    beats: Arc<AtomicU64>,
}

/// How it is found out that a worker moves.
#[derive(Debug)]
pub struct Pulse {
    beats: Arc<AtomicU64>,
    waker: Waker,
    last: Option<u64>,
}

impl Pulse {
    /// Whether the worker has moved since it was last asked; asks it again.
    pub fn ask(&mut self) -> bool {
        let beats = self.beats.load(Relaxed);
        let moved = self.last.replace(beats) != Some(beats);
        self.waker.wake();
        moved
    }

    /// A pulse without a worker, and what a worker would do.
    #[cfg(test)]
    pub fn pair_for_test() -> (Self, impl Fn()) {
        let beats = Arc::new(AtomicU64::new(0));
        let waker = Waker::new().expect("a descriptor is free");
        (Self { beats: Arc::clone(&beats), waker, last: None }, move || beats.store(beats.load(Relaxed) + 1, Relaxed))
    }
}

impl Worker {
    /// Starts a worker on the device and all sockets of `shared`.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn start(shared: Arc<Shared>, queue: SyncSender<FromWorker>, lifeline: &Lifeline) -> io::Result<Self> {
        let waker = Waker::new()?;
        let poller = Poller::new()?;
        poller.add(waker.as_fd(), WAKE, Interest::READ)?;
        if let Some(device) = shared.link.device() {
            poller.add(device.as_fd(), DEVICE, Interest::READ)?;
        }
        for (index, socket) in (0..).zip(&shared.sockets) {
            poller.add(socket.as_fd(), index, Interest::READ)?;
        }
        let beats = Arc::new(AtomicU64::new(0));
        let mut work = Work::new(shared, queue, poller, (waker.clone(), Arc::clone(&beats)));
        let hold = lifeline.hold();
        let work_until_told = move || match work.run() {
            Ok(()) => hold.release(),
            Err(cause) => error!("A worker cannot wait for packets: {cause}"),
        };
        let thread = Builder::new().name("worker".to_owned()).spawn(work_until_told)?;
        Ok(Self { thread, waker, beats })
    }

    /// How it is found out that this worker moves.
    pub fn pulse(&self) -> Pulse {
        Pulse { beats: Arc::clone(&self.beats), waker: self.waker.clone(), last: None }
    }

    /// Ends the worker; [`Shared::stop`] must be set.
    pub fn join(self) {
        self.waker.wake();
        // A panic was logged when it happened, and cut the lifeline.
        self.thread.join().ok();
    }
}

struct Work {
    shared: Arc<Shared>,
    queue: SyncSender<FromWorker>,
    poller: Poller,
    /// Wakes this worker, and counts its turns.
    pulse: (Waker, Arc<AtomicU64>),
    scratch: Scratch,
    packets: Vec<Packet>,
    sources: [Option<SocketAddr>; BATCH],
    verdicts: [Option<Verdict>; BATCH],
    /// Types of service that the packets are to have outside.
    priorities: [u8; BATCH],
}

impl Work {
    fn new(shared: Arc<Shared>, queue: SyncSender<FromWorker>, poller: Poller, pulse: (Waker, Arc<AtomicU64>)) -> Self {
        let packets = (0..BATCH).map(|_| Packet::new()).collect();
        let scratch = Scratch::new();
        Self {
            shared,
            queue,
            poller,
            pulse,
            scratch,
            packets,
            sources: [None; BATCH],
            verdicts: [None; BATCH],
            priorities: [0; BATCH],
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(BATCH);
        while !self.shared.stop.load(Relaxed) {
            self.poller.wait(None, &mut events)?;
            self.pulse.1.fetch_add(1, Relaxed);
            for event in &events {
                match event.token {
                    WAKE => {
                        self.pulse.0.drain();
                    }
                    DEVICE => self.serve_device(),
                    index => self.serve_socket(usize::try_from(index).unwrap_or(usize::MAX)),
                }
            }
        }
        Ok(())
    }

    fn serve_device(&mut self) {
        let shared = Arc::clone(&self.shared);
        for _ in 0..TURNS {
            let count = self.read_device();
            if count == 0 {
                return;
            }
            self.scratch.now = Instant::from_micros(clock::now_micros());
            let fib = shared.fib.load();
            let results = self.verdicts.iter_mut().zip(&mut self.priorities);
            for (packet, (verdict, priority)) in self.packets.iter_mut().zip(results).take(count) {
                *verdict = Some(fib.outbound(packet, &mut self.scratch));
                *priority = self.scratch.priority;
            }
            self.tell_strangers();
            self.tell_captured();
            self.finish(count);
            if count < BATCH {
                return;
            }
        }
    }

    fn tell_captured(&mut self) {
        let frames = self.scratch.capture.take();
        if !frames.is_empty() {
            self.shared.tell(&self.queue, FromWorker::Captured(frames));
            self.shared.control.wake();
        }
        self.scratch.capture.want(self.shared.captures.load(Relaxed));
    }

    fn tell_strangers(&mut self) {
        if self.scratch.strangers.is_empty() {
            return;
        }
        for mac in self.scratch.strangers.take() {
            self.shared.tell(&self.queue, FromWorker::Learnt(mac));
        }
        self.shared.control.wake();
    }

    fn read_device(&mut self) -> usize {
        let Some(device) = self.shared.link.device() else { return 0 };
        for (at, packet) in self.packets.iter_mut().enumerate() {
            match device.recv(packet.space()) {
                Ok(len) => packet.set_len(len),
                Err(error) => {
                    let fatal = !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                    if fatal {
                        self.shared.tell(&self.queue, FromWorker::DeviceFailed(error));
                        self.shared.control.wake();
                    }
                    return at;
                }
            }
        }
        self.packets.len()
    }

    fn serve_socket(&mut self, index: usize) {
        let shared = Arc::clone(&self.shared);
        let Some(socket) = shared.sockets.get(index) else { return };
        for _ in 0..TURNS {
            let mut lens = [0; BATCH];
            self.sources = [None; BATCH];
            let sources = &mut self.sources;
            let spaces = self.packets.iter_mut().map(Packet::space);
            // An error of a datagram socket tells of an earlier datagram, not of this read.
            let count = socket
                .recv_batch(spaces, |at, len, from| {
                    lens[at] = len;
                    sources[at] = Some(from);
                })
                .unwrap_or(0);
            if count == 0 {
                return;
            }
            self.scratch.now = Instant::from_micros(clock::now_micros());
            let fib = shared.fib.load();
            let results = self.verdicts.iter_mut().zip(&mut self.priorities);
            let received = self.packets.iter_mut().zip(results).zip(lens.iter().zip(&self.sources));
            for ((packet, (verdict, priority)), (&len, source)) in received.take(count) {
                packet.set_len(len);
                *verdict = source.map(|from| fib.inbound(from, packet, &mut self.scratch));
                *priority = self.scratch.priority;
            }
            self.tell_captured();
            self.finish(count);
            if count < BATCH {
                return;
            }
        }
    }

    /// Carries out the verdicts of the first `count` packets.
    fn finish(&self, count: usize) {
        packet_log::tell(&self.packets[..count], &self.verdicts[..count]);
        let mut punted = false;
        let mut transmits = 0_u64;
        for at in 0..count {
            let Some(verdict) = self.verdicts[at] else { continue };
            match verdict {
                Verdict::Transmit(target) => transmits |= 1 << (target.socket & 63),
                Verdict::Deliver => {
                    if self.shared.link.send(self.packets[at].payload()).is_err() {
                        self.shared.count_drops(DropReason::SendFailed, 1);
                    }
                }
                Verdict::Punt(punt) => {
                    let payload = self.packets[at].payload().into();
                    self.shared.tell(&self.queue, FromWorker::Punt { punt, payload });
                    punted = true;
                }
                Verdict::Drop(reason) => self.shared.count_drops(reason, 1),
            }
        }
        if transmits != 0 {
            punted |= self.transmit(count, transmits);
        }
        if punted {
            self.shared.control.wake();
        }
        self.shared.note_activity();
    }

    /// Sends what is to be sent, socket by socket; tells whether the node has to be woken.
    fn transmit(&self, count: usize, sockets: u64) -> bool {
        let mut told = false;
        for (index, socket) in self.shared.sockets.iter().enumerate().filter(|(index, _)| sockets >> index & 1 == 1) {
            let chosen = |at: &usize| match self.verdicts[*at] {
                Some(Verdict::Transmit(target)) => usize::from(target.socket) == index,
                Some(Verdict::Deliver | Verdict::Punt(_) | Verdict::Drop(_)) | None => false,
            };
            let mut places = [0_usize; BATCH];
            let mut used = 0;
            for at in (0..count).filter(chosen) {
                places[used] = at;
                used += 1;
            }
            for alike in places[..used].chunk_by(|&a, &b| self.priorities[a] == self.priorities[b]) {
                // Without it the packets go all the same.
                socket.set_priority(self.priorities[alike[0]]).ok();
                told |= self.send_alike(socket, alike);
            }
        }
        told
    }

    /// Sends the packets at these places, which have the same priority; tells whether the node has to be woken.
    fn send_alike(&self, socket: &UdpSocket, places: &[usize]) -> bool {
        let mut told = false;
        let datagrams = places.iter().filter_map(|&at| match self.verdicts[at] {
            Some(Verdict::Transmit(target)) => Some((self.packets[at].payload(), target.to)),
            Some(Verdict::Deliver | Verdict::Punt(_) | Verdict::Drop(_)) | None => None,
        });
        socket.send_batch(datagrams, |nth, error| told |= self.on_refused(places[nth], &error));
        told
    }

    fn on_refused(&self, at: usize, error: &io::Error) -> bool {
        let Some(Verdict::Transmit(target)) = self.verdicts[at] else { return false };
        self.shared.count_drops(DropReason::SendFailed, 1);
        let too_big = is_too_big(error);
        if too_big {
            let len = self.packets[at].len();
            self.shared.tell(&self.queue, FromWorker::TooBig { to: target.to, len });
        }
        too_big
    }
}
