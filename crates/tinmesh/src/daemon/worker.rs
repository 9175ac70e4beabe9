//! A worker: reads a batch, works it, sends it, then the next. Run to completion; no state of the
//! mesh, no lock, no allocation per packet.
//!
//! ```text
//!  device ─► Fib::outbound ─► UDP socket
//!  UDP socket ─► Fib::inbound ─► device, or UDP socket (relayed)
//!                     └─► punt queue ─► node
//! ```

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tinmesh_core::dataplane::batch::BATCH;
use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_core::packet::CAPACITY;
use tinmesh_core::time::Instant;
use tinmesh_os::clock;
use tinmesh_os::device::Device;
use tinmesh_os::poll::{Interest, Poller, Waker};
use tinmesh_os::udp::{Inbox, UdpSocket};
use tracing::{error, warn};

use self::faults::{Fate, Faults};
use self::intake::{Intake, Left};
use self::line::Line;
use crate::daemon::extra_sockets::Table;
use crate::daemon::lifeline::Lifeline;
use crate::daemon::shared::{FromWorker, Shared};

mod delivery;
mod faults;
mod intake;
mod line;

/// Batches read from the device before the sockets get their turn.
const TURNS: usize = 2;
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
    /// Starts worker `number`, on its queue of the device and its sockets.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn start(
        shared: Arc<Shared>,
        number: usize,
        queue: SyncSender<FromWorker>,
        lifeline: &Lifeline,
    ) -> io::Result<Self> {
        let waker = if number == 0 { shared.extra.worker().clone() } else { Waker::new()? };
        let poller = Poller::new()?;
        poller.add(waker.as_fd(), WAKE, Interest::READ)?;
        if let Some(device) = shared.intake(number) {
            poller.add(device.as_fd(), DEVICE, Interest::READ)?;
        }
        for (index, socket) in (0..).zip(shared.sockets(number)) {
            poller.add(socket.as_fd(), index, Interest::READ)?;
        }
        let beats = Arc::new(AtomicU64::new(0));
        let mut work = Work::new(Line::new(shared, number, queue), poller, (waker.clone(), Arc::clone(&beats)));
        let hold = lifeline.hold();
        let work_until_told = move || match work.run() {
            Ok(()) => hold.release(),
            Err(cause) => error!("A worker cannot wait for packets: {cause}"),
        };
        let name = if number == 0 { "worker".to_owned() } else { format!("worker {}", number + 1) };
        let thread = Builder::new().name(name).spawn(work_until_told)?;
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
    line: Line,
    poller: Poller,
    /// Wakes this worker, and counts its turns.
    pulse: (Waker, Arc<AtomicU64>),
    intake: Intake,
    faults: Faults,
    /// When the device, left alone after a failure, is to be read again.
    resting: Option<Instant>,
    inbox: Inbox,
    /// The extra sockets that are polled.
    extra: Arc<Table>,
}

fn now() -> Instant {
    Instant::from_micros(clock::now_micros())
}

impl Work {
    fn new(line: Line, poller: Poller, pulse: (Waker, Arc<AtomicU64>)) -> Self {
        let intake = Intake::new(line.shared.intake(line.number));
        Self {
            line,
            poller,
            pulse,
            intake,
            faults: Faults::default(),
            resting: None,
            inbox: Inbox::new(),
            extra: Arc::default(),
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(BATCH);
        while !self.line.shared.stop.load(Relaxed) {
            let patience = self.patience();
            self.poller.wait(patience, &mut events)?;
            self.end_rest()?;
            self.tell_news();
            self.pulse.1.fetch_add(1, Relaxed);
            let mut device = self.intake.is_busy();
            for event in &events {
                match event.token {
                    WAKE => {
                        self.pulse.0.drain();
                        self.follow_extra_sockets();
                    }
                    DEVICE => device = true,
                    index => self.serve_socket(u16::try_from(index).unwrap_or(u16::MAX)),
                }
            }
            if device {
                self.serve_device();
            }
        }
        Ok(())
    }

    /// How long to wait for packets, at most.
    fn patience(&self) -> Option<Duration> {
        // The kernel does not tell again of packets that were read and wait here.
        if self.intake.is_busy() {
            return Some(Duration::ZERO);
        }
        let until = self.resting.into_iter().chain(self.line.news).min()?;
        Some(until.since(now()))
    }

    /// Wakes the control thread if that is due.
    fn tell_news(&mut self) {
        if self.line.news.is_some_and(|due| due <= now()) {
            self.line.news = None;
            self.line.shared.control.wake();
        }
    }

    /// Polls the extra sockets that are there now, and no others.
    fn follow_extra_sockets(&mut self) {
        if self.line.number != 0 {
            return;
        }
        let table = self.line.shared.extra.table();
        if Arc::ptr_eq(&table, &self.extra) {
            return;
        }
        for (_, socket) in self.extra.iter().filter(|(index, _)| !table.contains_key(index)) {
            // It is closed soon, which ends this too.
            self.poller.remove(socket.as_fd()).ok();
        }
        for (&index, socket) in table.iter().filter(|(index, _)| !self.extra.contains_key(index)) {
            if let Err(cause) = self.poller.add(socket.as_fd(), index.into(), Interest::READ) {
                warn!("Cannot wait for datagrams of another socket: {cause}");
            }
        }
        self.extra = table;
    }

    fn end_rest(&mut self) -> io::Result<()> {
        if self.resting.is_some_and(|until| until <= now()) {
            self.resting = None;
            if let Some(device) = self.line.shared.intake(self.line.number) {
                self.poller.add(device.as_fd(), DEVICE, Interest::READ)?;
            }
        }
        Ok(())
    }

    fn serve_device(&mut self) {
        let shared = Arc::clone(&self.line.shared);
        let Some(device) = shared.intake(self.line.number) else { return };
        for _ in 0..TURNS {
            let left = self.intake.fill(device, &mut self.line.batch, |reason| shared.count_drops(reason, 1));
            if !self.line.batch.is_empty() {
                self.faults.on_packet();
            }
            self.line.work_outbound();
            match left {
                Ok(Left::Perhaps) => {}
                Ok(Left::Nothing) => return,
                Err(error) => return self.on_failure(device, error),
            }
        }
    }

    /// Leaves the device alone, for a while or for good: a broken one is always ready.
    fn on_failure(&mut self, device: &Device, error: io::Error) {
        let fate = self.faults.on_failure(&error);
        if fate == Fate::Rest(Duration::ZERO) {
            return warn!("Error while reading from {}: {error}", device.name());
        }
        if let Err(cause) = self.poller.remove(device.as_fd()) {
            warn!("Could not leave {} alone: {cause}", device.name());
        }
        match fate {
            Fate::Rest(rest) => {
                warn!("Error while reading from {}: {error}", device.name());
                self.resting = Some(now() + rest);
            }
            Fate::GiveUp => {
                error!("Too many errors from {}, or it is gone: {error}", device.name());
                self.line.shared.fail(error);
            }
        }
    }

    /// Works what one call receives: not more, so that what waits elsewhere does not wait long.
    fn serve_socket(&mut self, index: u16) {
        let shared = Arc::clone(&self.line.shared);
        match shared.sockets(self.line.number).get(usize::from(index)) {
            Some(socket) => self.receive(&shared, index, socket),
            None => {
                if let Some(socket) = self.extra.get(&index).cloned() {
                    self.receive(&shared, index, &socket);
                }
            }
        }
    }

    fn receive(&mut self, shared: &Shared, index: u16, socket: &UdpSocket) {
        self.line.receives_on(index);
        // An error of a datagram socket tells of an earlier datagram, not of this read.
        if socket.receive(&mut self.inbox).is_err() {
            return;
        }
        for message in self.inbox.messages() {
            // What came together leaves together if it is in one batch.
            if message.count() > self.line.batch.room() {
                self.line.work_inbound();
            }
            for datagram in message.datagrams() {
                if datagram.len() > CAPACITY {
                    shared.count_drops(DropReason::TooLong, 1);
                    continue;
                }
                if let Some(packet) = self.line.batch.space() {
                    packet.fill(datagram);
                    self.line.batch.keep(Some(message.from));
                }
                if self.line.batch.is_full() {
                    self.line.work_inbound();
                }
            }
        }
        self.line.work_inbound();
    }
}
