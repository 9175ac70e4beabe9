//! Tells the operator how many packets were dropped, and why: each minute in which there were any, and at the end.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tinmesh_core::dataplane::stats::Counters;
use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_core::time::Instant;
use tracing::info;

use crate::daemon::log::STATUS;
use crate::daemon::shared::Shared;

/// Distance of two lines in the log.
const INTERVAL: Duration = Duration::from_secs(60);

/// What was told already.
#[derive(Debug, Default)]
pub struct Drops {
    told: Vec<u64>,
    next: Option<Instant>,
}

impl Drops {
    /// Tells what was dropped since the last line, if that was some time ago and there is something to tell.
    pub fn tell_now_and_then(&mut self, shared: &Shared, node: &Counters, now: Instant) {
        if self.next.is_none_or(|next| next <= now) {
            self.next = Some(now + INTERVAL);
            self.tell(shared, node);
        }
    }

    /// Tells what was dropped since the last line.
    pub fn tell(&mut self, shared: &Shared, node: &Counters) {
        let workers = shared.drops.iter().map(|drops| drops.load(Relaxed));
        let sums: Vec<u64> = workers.zip(DropReason::ALL).map(|(count, &why)| count + node.dropped(why)).collect();
        self.told.resize(sums.len(), 0);
        let news = DropReason::ALL.iter().zip(&sums).zip(&self.told).filter(|((_, sum), told)| sum > told);
        let parts: Vec<String> = news.map(|((why, sum), told)| format!("{} {}", why.label(), *sum - *told)).collect();
        if !parts.is_empty() {
            info!(target: STATUS, "Packets dropped: {}", parts.join(", "));
        }
        self.told = sums;
    }
}
