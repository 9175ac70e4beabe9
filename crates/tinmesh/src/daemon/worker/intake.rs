//! What the device gives, cut into packets of the mesh.

use std::io;

use tinmesh_core::dataplane::batch::Batch;
use tinmesh_core::dataplane::ethernet;
use tinmesh_core::dataplane::offload::segment::Segments;
use tinmesh_core::dataplane::offload::{VNET_HEADER, VnetHeader};
use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_os::device::{Device, Kind, LARGEST};

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
    large: Box<[u8]>,
    /// Bytes of the packet in `large`, with its header.
    len: usize,
    segments: Segments,
}

impl Intake {
    pub(super) fn new(device: Option<&Device>) -> Self {
        let offloads = device.and_then(Device::offloads);
        let room = if offloads.is_some() { LARGEST } else { 0 };
        Self { large: vec![0; room].into_boxed_slice(), len: 0, segments: Segments::EMPTY }
    }

    /// Whether a packet was read whose pieces are not all taken.
    pub(super) fn is_busy(&self) -> bool {
        self.segments.left(self.len.saturating_sub(VNET_HEADER)) > 0
    }

    /// Fills `batch`; what cannot be cut is told to `dropped`.
    ///
    /// # Errors
    /// If the device is broken.
    pub(super) fn fill(
        &mut self,
        device: &Device,
        batch: &mut Batch,
        dropped: impl Fn(DropReason),
    ) -> io::Result<Left> {
        match device.offloads() {
            Some(_) => self.fill_with_pieces(device, batch, dropped),
            None => fill_with_packets(device, batch),
        }
    }

    fn fill_with_pieces(
        &mut self,
        device: &Device,
        batch: &mut Batch,
        dropped: impl Fn(DropReason),
    ) -> io::Result<Left> {
        loop {
            self.take_pieces(batch);
            if batch.is_full() {
                return Ok(Left::Perhaps);
            }
            let Some(len) = read(device, &mut self.large)? else { return Ok(Left::Nothing) };
            self.len = len;
            match self.start(device.kind()) {
                Ok(segments) => self.segments = segments,
                Err(reason) => dropped(reason),
            }
            // The pieces of a large packet are sent as one message if they are in one batch.
            if self.segments.left(len) > batch.room() && !batch.is_empty() {
                return Ok(Left::Perhaps);
            }
        }
    }

    fn take_pieces(&mut self, batch: &mut Batch) {
        let Some(packet) = self.large.get(VNET_HEADER..self.len) else { return };
        let follow = self.segments.follow_each_other(packet);
        let mut is_first = true;
        while let Some(space) = batch.space() {
            if is_first || !follow {
                if !self.segments.next_into(packet, space) {
                    return;
                }
                batch.keep(None);
            } else {
                if !self.segments.next_unsummed_into(packet, space) {
                    return;
                }
                batch.keep_follower();
            }
            is_first = false;
        }
    }

    fn start(&mut self, kind: Kind) -> Result<Segments, DropReason> {
        self.segments = Segments::EMPTY;
        let whole = self.large.get(..self.len).unwrap_or_default();
        let (header, packet) = whole.split_first_chunk::<VNET_HEADER>().ok_or(DropReason::TooShort)?;
        let header = VnetHeader::decode(header).ok_or(DropReason::BadLength)?;
        let network = match kind {
            Kind::Tun => Some(0),
            Kind::Tap | Kind::Wire => ethernet::network_offset(packet),
        };
        Segments::new(header, packet, network.unwrap_or(0))
    }
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
