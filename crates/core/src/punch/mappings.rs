//! `Mappings`: how many ports of the router attempts have taken lately.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// Ports that all attempts may hold at a time. Some providers give a subscriber no more than 512.
pub const LIMIT: u16 = 256;
/// A router keeps a port that is not used for so long, or less (RFC 4787, REQ-5: at least two minutes).
const LIFETIME: Duration = Duration::from_secs(150);

/// Ports taken.
#[derive(Debug, Default)]
pub struct Mappings {
    taken: VecDeque<Instant>,
}

impl Mappings {
    /// Notes that a probe took one.
    pub fn note(&mut self, now: Instant) {
        self.taken.push_back(now);
    }

    /// How many are held.
    pub fn held(&mut self, now: Instant) -> u16 {
        while self.taken.front().is_some_and(|&at| now.since(at) >= LIFETIME) {
            self.taken.pop_front();
        }
        u16::try_from(self.taken.len()).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_again_when_the_router_has_forgotten_them() {
        let mut mappings = Mappings::default();
        (0..3).for_each(|second| mappings.note(Instant::ZERO + Duration::from_secs(second)));
        assert_eq!(mappings.held(Instant::ZERO + Duration::from_secs(100)), 3);
        assert_eq!(mappings.held(Instant::ZERO + Duration::from_secs(151)), 1);
    }
}
