//! What becomes of each packet, for a log at tinc's level 5 (spec: configuration 8.1). While nobody listens at that level
//! it costs a worker one relaxed load per batch.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tinmesh_core::dataplane::verdict::Verdict;
use tinmesh_core::packet::Packet;
use tracing::debug;

use crate::daemon::log::PACKETS;

/// The level of these lines.
pub const LEVEL: i32 = 5;

static WANTED: AtomicBool = AtomicBool::new(false);

/// Whether lines are wanted from now on.
pub fn want(wanted: bool) {
    WANTED.store(wanted, Relaxed);
}

/// Tells of a batch, if that is wanted. The content of packets is nobody's business.
pub fn tell(packets: &[Packet], verdicts: &[Option<Verdict>]) {
    if WANTED.load(Relaxed) {
        packets.iter().zip(verdicts).for_each(|(packet, verdict)| tell_one(packet.len(), verdict.as_ref()));
    }
}

fn tell_one(len: usize, verdict: Option<&Verdict>) {
    match verdict {
        Some(Verdict::Transmit(target)) => {
            debug!(target: PACKETS, "Sending packet of {len} bytes to {} port {}", target.to.ip(), target.to.port());
        }
        Some(Verdict::Deliver) => debug!(target: PACKETS, "Writing packet of {len} bytes to the device"),
        Some(Verdict::Punt(_)) => debug!(target: PACKETS, "Packet of {len} bytes is for the node itself to decide on"),
        Some(Verdict::Drop(reason)) => debug!(target: PACKETS, "Dropping packet of {len} bytes: {}", reason.label()),
        None => {}
    }
}
