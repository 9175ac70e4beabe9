//! What the device gives, cut into packets of the mesh.
//!
//! A device without offloads is read packet by packet, straight into the batch. One with offloads is emptied quickly, because its
//! own queue is long and knows no flows; its packets wait in a [`FairQueue`] instead.

use std::io;

use tinmesh_core::dataplane::batch::Batch;
use tinmesh_core::dataplane::ethernet;
use tinmesh_core::dataplane::fair_queue::{self, FairQueue, Next, PLACES};
use tinmesh_core::dataplane::offload::segment::Segments;
use tinmesh_core::dataplane::offload::{VNET_HEADER, VnetHeader};
use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_core::time::Instant;
use tinmesh_os::device::{Device, Kind, LARGEST};

use crate::daemon::shared::Link;

/// Large packets taken from the device in one go.
const READS: usize = 8;
/// Small packets taken from the device in one go, while there are no large ones.
const SMALL_READS: usize = PLACES;
/// A packet below that is small, in bytes.
const SMALL: usize = 2048;

/// Whether a device has more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It was not asked to the end.
    Perhaps,
    /// Not now.
    Nothing,
}

/// Reads packets. One that is large is read whole, and cut as room for its pieces becomes free.
pub(super) struct Intake {
    /// Room for a packet at each place of the queue.
    large: Box<[u8]>,
    /// Bytes of the packet at each place, with its header.
    lens: [usize; PLACES],
    queue: FairQueue,
    /// The packet that is being cut, and its pieces.
    current: Option<(u8, Segments)>,
}

impl Intake {
    pub(super) fn new(link: &Link) -> Self {
        let offloads = link.device().and_then(Device::offloads);
        let room = if offloads.is_some() { LARGEST * PLACES } else { 0 };
        Self { large: vec![0; room].into_boxed_slice(), lens: [0; PLACES], queue: FairQueue::new(), current: None }
    }

    /// Whether packets were read that are not all in a batch yet.
    pub(super) const fn is_busy(&self) -> bool {
        self.current.is_some() || !self.queue.is_empty()
    }

    /// Fills `batch`; what is lost is told to `dropped`.
    ///
    /// # Errors
    /// If the device is broken.
    pub(super) fn fill(
        &mut self,
        device: &Device,
        batch: &mut Batch,
        now: Instant,
        dropped: impl Fn(DropReason),
    ) -> io::Result<Left> {
        if device.offloads().is_none() {
            return fill_with_packets(device, batch);
        }
        let left = self.empty(device, now)?;
        self.fill_with_pieces(device.kind(), batch, now, dropped);
        Ok(if self.is_busy() { Left::Perhaps } else { left })
    }

    /// Takes out what waits in the device, as far as there are places.
    fn empty(&mut self, device: &Device, now: Instant) -> io::Result<Left> {
        let mut large = 0;
        for _ in 0..SMALL_READS {
            let Some(place) = self.queue.free_place().filter(|_| large < READS) else { return Ok(Left::Perhaps) };
            let space = room_mut(&mut self.large, place);
            let Some(len) = read(device, space)? else { return Ok(Left::Nothing) };
            let packet = space.get(VNET_HEADER..len).unwrap_or_default();
            let flow = fair_queue::flow(packet, network(device.kind(), packet));
            if let Some(kept) = self.lens.get_mut(usize::from(place)) {
                *kept = len;
            }
            large += usize::from(len > SMALL);
            self.queue.push(flow, len, now);
        }
        Ok(Left::Perhaps)
    }

    fn fill_with_pieces(&mut self, kind: Kind, batch: &mut Batch, now: Instant, dropped: impl Fn(DropReason)) {
        loop {
            if let Some((place, mut segments)) = self.current.take() {
                let (_, packet) = self.packet(place);
                if !take_pieces(&mut segments, packet, batch) {
                    self.current = Some((place, segments));
                    return;
                }
                self.queue.release(place);
            }
            match self.queue.pop(now) {
                None => return,
                Some(Next::Dropped(place)) => {
                    self.queue.release(place);
                    dropped(DropReason::TooFast);
                }
                Some(Next::Goes(place)) => {
                    let (header, packet) = self.packet(place);
                    let segments = header.and_then(|header| Segments::new(header, packet, network(kind, packet)));
                    let pieces = segments.as_ref().map_or(0, |segments| segments.left(packet.len()));
                    self.current = Some((place, segments.unwrap_or_else(|reason| lost(reason, &dropped))));
                    // The pieces of a large packet are sent as one message if they are in one batch.
                    if pieces > batch.room() && !batch.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Header and content of the packet at a place.
    fn packet(&self, place: u8) -> (Result<VnetHeader, DropReason>, &[u8]) {
        let len = self.lens.get(usize::from(place)).copied().unwrap_or(0);
        let at = usize::from(place) * LARGEST;
        let whole = self.large.get(at..at + len).unwrap_or_default();
        match whole.split_first_chunk::<VNET_HEADER>() {
            Some((header, packet)) => (VnetHeader::decode(header).ok_or(DropReason::BadLength), packet),
            None => (Err(DropReason::TooShort), &[]),
        }
    }
}

fn lost(reason: DropReason, dropped: impl Fn(DropReason)) -> Segments {
    dropped(reason);
    Segments::EMPTY
}

fn room_mut(large: &mut [u8], place: u8) -> &mut [u8] {
    let at = usize::from(place) * LARGEST;
    large.get_mut(at..at + LARGEST).unwrap_or_default()
}

/// Where the IP header of a packet of the device begins.
fn network(kind: Kind, packet: &[u8]) -> usize {
    match kind {
        Kind::Tun => 0,
        Kind::Tap => ethernet::network_offset(packet).unwrap_or(0),
    }
}

/// Moves pieces of `packet` into the batch; whether it took all.
fn take_pieces(segments: &mut Segments, packet: &[u8], batch: &mut Batch) -> bool {
    while segments.left(packet.len()) > 0 {
        let Some(space) = batch.space() else { return false };
        if !segments.next_into(packet, space) {
            break;
        }
        batch.keep(None);
    }
    true
}

fn fill_with_packets(device: &Device, batch: &mut Batch) -> io::Result<Left> {
    while let Some(packet) = batch.space() {
        let Some(len) = read(device, packet.space())? else { return Ok(Left::Nothing) };
        packet.set_len(len);
        batch.keep(None);
    }
    Ok(Left::Perhaps)
}

/// Reads one packet, if there is one.
fn read(device: &Device, space: &mut [u8]) -> io::Result<Option<usize>> {
    match device.recv(space) {
        Ok(len) => Ok(Some(len)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
