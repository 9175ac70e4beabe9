//! What becomes of each packet, for a log at tinc's level 5 (spec: configuration 8.1). While nobody listens at that level
//! it costs a worker one relaxed load per batch.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tinmesh_core::dataplane::batch::Batch;
use tinmesh_core::dataplane::verdict::Verdict;
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
pub fn tell(batch: &Batch) {
    if WANTED.load(Relaxed) {
        let ends = batch.packets().iter().zip(batch.outcomes());
        ends.filter_map(|(packet, outcome)| Some((packet.len(), outcome.as_ref()?.verdict)))
            .for_each(|(len, verdict)| tell_one(len, &verdict));
    }
}

fn tell_one(len: usize, verdict: &Verdict) {
    match verdict {
        Verdict::Transmit(target) => {
            debug!(target: PACKETS, "Sending packet of {len} bytes to {} port {}", target.to.ip(), target.to.port());
        }
        Verdict::Deliver => debug!(target: PACKETS, "Writing packet of {len} bytes to the device"),
        Verdict::Punt(_) => debug!(target: PACKETS, "Packet of {len} bytes is for the node itself to decide on"),
        Verdict::Drop(reason) => debug!(target: PACKETS, "Dropping packet of {len} bytes: {}", reason.label()),
    }
}
