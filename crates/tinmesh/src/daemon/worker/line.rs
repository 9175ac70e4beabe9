//! The line of a worker: a batch, and all that its packets pass.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tinmesh_core::dataplane::batch::{BATCH, Batch};
use tinmesh_core::dataplane::fib::UdpTarget;
use tinmesh_core::dataplane::scratch::Scratch;
use tinmesh_core::dataplane::verdict::{DropReason, Verdict};
use tinmesh_core::time::Instant;
use tinmesh_os::clock;
use tinmesh_os::udp::UdpSocket;

use super::delivery::Delivery;
use crate::daemon::packet_log;
use crate::daemon::shared::{FromWorker, Shared, is_too_big};

/// How long after the first packet the control thread learns that packets move: when the answer of a peer nearby was here.
const NEWS_DELAY: Duration = Duration::from_millis(20);

/// A batch on its way, and where its packets go.
pub(super) struct Line {
    pub(super) shared: Arc<Shared>,
    /// The number of this worker.
    pub(super) number: usize,
    pub(super) queue: SyncSender<FromWorker>,
    pub(super) batch: Batch,
    scratch: Scratch,
    delivery: Delivery,
    /// When the control thread is to be woken, because packets move again.
    pub(super) news: Option<Instant>,
}

impl Line {
    pub(super) fn new(shared: Arc<Shared>, number: usize, queue: SyncSender<FromWorker>) -> Self {
        let delivery = Delivery::new(&shared.link);
        Self { shared, number, queue, batch: Batch::new(), scratch: Scratch::new(), delivery, news: None }
    }

    /// The datagrams that come now were taken by this socket.
    pub(super) const fn receives_on(&mut self, socket: u16) {
        self.scratch.socket = socket;
    }

    /// Works a batch of the device, and empties it.
    pub(super) fn work_outbound(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.scratch.now = Instant::from_micros(clock::now_micros());
        self.shared.fib.load().outbound_batch(&mut self.batch, &mut self.scratch);
        self.tell_strangers();
        self.finish();
    }

    /// Works a batch of datagrams, and empties it.
    pub(super) fn work_inbound(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.scratch.now = Instant::from_micros(clock::now_micros());
        self.shared.fib.load().inbound_batch(&mut self.batch, &mut self.scratch);
        self.finish();
    }

    fn tell_captured(&mut self) {
        let frames = self.scratch.capture.take();
        if !frames.is_empty() {
            self.shared.show(frames);
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

    /// Carries out the verdicts of the batch.
    fn finish(&mut self) {
        self.tell_captured();
        packet_log::tell(&self.batch);
        let (mut punted, mut moved) = (false, false);
        let listening = self.shared.sockets(self.number).len();
        let (mut transmits, mut extra) = (0_u64, false);
        for (at, outcome) in self.batch.outcomes().iter().enumerate() {
            let Some(outcome) = outcome else { continue };
            moved |= outcome.verdict.is_of_packet();
            match outcome.verdict {
                Verdict::Transmit(target) if usize::from(target.socket) >= listening => extra = true,
                Verdict::Transmit(target) => transmits |= 1 << (target.socket & 63),
                Verdict::Deliver => self.delivery.add(at, self.batch.packets()),
                Verdict::Punt(punt) => {
                    let payload = self.batch.packets()[at].payload().into();
                    self.shared.tell(&self.queue, FromWorker::Punt { punt, payload });
                    punted = true;
                }
                Verdict::Drop(reason) => self.shared.count_drops(reason, 1),
            }
        }
        let refused = self.delivery.send(&self.shared, self.batch.packets_mut());
        if refused > 0 {
            self.shared.count_drops(DropReason::SendFailed, refused);
        }
        if transmits != 0 {
            punted |= self.transmit(transmits);
        }
        if extra {
            punted |= self.transmit_extra();
        }
        if punted {
            self.shared.control.wake();
        }
        // Of probes there is nothing to tell: the node has them.
        if moved && self.shared.movement.note() {
            self.news = Some(self.scratch.now + NEWS_DELAY);
        }
        self.batch.clear();
    }

    /// Where packet number `at` goes, if it is sent.
    fn target(&self, at: usize) -> Option<UdpTarget> {
        match self.batch.outcomes().get(at).copied().flatten()?.verdict {
            Verdict::Transmit(target) => Some(target),
            Verdict::Deliver | Verdict::Punt(_) | Verdict::Drop(_) => None,
        }
    }

    fn priority(&self, at: usize) -> u8 {
        self.batch.outcomes().get(at).copied().flatten().map_or(0, |outcome| outcome.priority)
    }

    /// Sends what is to be sent, socket by socket; tells whether the node has to be woken.
    fn transmit(&self, sockets: u64) -> bool {
        let mut told = false;
        let own = self.shared.sockets(self.number).iter().enumerate();
        for (index, socket) in own.filter(|(index, _)| sockets >> index & 1 == 1) {
            told |= self.transmit_by(index, socket);
        }
        told
    }

    /// The same for sockets that were opened later.
    fn transmit_extra(&self) -> bool {
        let table = self.shared.extra.table();
        table.iter().fold(false, |told, (&index, socket)| self.transmit_by(usize::from(index), socket) || told)
    }

    fn transmit_by(&self, index: usize, socket: &UdpSocket) -> bool {
        let chosen = |at: &usize| self.target(*at).is_some_and(|target| usize::from(target.socket) == index);
        let mut places = [0_usize; BATCH];
        let mut used = 0;
        for at in (0..self.batch.len()).filter(chosen) {
            places[used] = at;
            used += 1;
        }
        let mut told = false;
        for alike in places[..used].chunk_by(|&a, &b| self.priority(a) == self.priority(b)) {
            // Without it the packets go all the same.
            socket.set_priority(self.priority(alike[0])).ok();
            told |= self.send_alike(socket, alike);
        }
        told
    }

    /// Sends the packets at these places, which have the same priority; tells whether the node has to be woken.
    fn send_alike(&self, socket: &UdpSocket, places: &[usize]) -> bool {
        let mut told = false;
        let datagrams = places.iter().filter_map(|&at| Some((self.batch.datagram(at), self.target(at)?.to)));
        socket.send_batch(datagrams, |nth, error| told |= self.on_refused(places[nth], &error));
        told
    }

    fn on_refused(&self, at: usize, error: &io::Error) -> bool {
        let Some(target) = self.target(at) else { return false };
        let too_big = is_too_big(error);
        if too_big {
            let datagram = self.batch.datagram(at).into();
            self.shared.tell(&self.queue, FromWorker::TooBig { to: target.to, datagram });
        } else {
            self.shared.count_drops(DropReason::SendFailed, 1);
        }
        too_big
    }
}
