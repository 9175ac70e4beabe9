//! `Ceiling`: sizes that are not believed, because data of such sizes did not arrive a short time ago.
//!
//! The first time that is the size that was in use and all above it. If what a search finds below that does not arrive either,
//! within the time that the ceiling holds, probes tell nothing of data: it falls to the next of the plateaus of RFC 1191.
//! A ceiling holds for half a minute, as losses of other kinds can look alike; one that is needed again soon after it was lifted
//! comes down at once, for twice as long.

use std::time::Duration;

use crate::time::Instant;

/// How long a ceiling holds, first and at most.
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(960);
/// That it was needed is remembered for so long after it was lifted.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Usual sizes of packets on links (RFC 1191 section 7.1), the largest first.
const PLATEAUS: [u16; 2] = [1_006, 508];

/// The sizes above this are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ceiling {
    /// The largest frame that is believed, in bytes.
    pub(super) size: u16,
    since: Instant,
    rest: Duration,
}

impl Ceiling {
    /// The ceiling after data of `lost` bytes does not arrive, if this one was there before.
    pub(super) fn lower(before: Option<Self>, now: Instant, lost: u16) -> Self {
        let below = lost.saturating_sub(1);
        match before.filter(|old| old.age(now) < old.rest + REMEMBERED) {
            None => Self { size: below, since: now, rest: FIRST_REST },
            Some(old) if old.holds(now) => {
                let size = PLATEAUS.into_iter().find(|&plateau| plateau < lost).unwrap_or(below);
                Self { size, since: now, ..old }
            }
            Some(old) => Self { size: old.size.min(below), since: now, rest: (2 * old.rest).min(LONGEST_REST) },
        }
    }

    /// The largest frame that is believed now.
    pub(super) fn limit(&self, now: Instant) -> Option<u16> {
        self.holds(now).then_some(self.size)
    }

    /// Whether it was lifted after `then`.
    pub(super) fn was_lifted_since(&self, then: Instant, now: Instant) -> bool {
        then < self.since + self.rest && !self.holds(now)
    }

    /// How long ago data was lost.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.since(self.since)
    }

    fn holds(&self, now: Instant) -> bool {
        self.age(now) < self.rest
    }
}
