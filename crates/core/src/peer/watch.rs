//! `Watch`: notices while packets flow that datagrams no longer arrive, or only the small ones.
//!
//! Datagrams go out and none comes in: that is a reason to doubt, and so is what the peer reports of its side. In doubt
//! two requests are sent, a short one and one of the largest size that is known to arrive, up to three times:
//!
//! | answered | what it means |
//! | --- | --- |
//! | both | datagrams arrive |
//! | the short one | the path has become narrower and does not say so: a black hole |
//! | none | UDP is blocked, or the peer has moved |

use std::time::Duration;

use crate::time::Instant;

/// Datagrams go out and none comes in for so long: doubt.
const SILENCE: Duration = Duration::from_millis(500);
/// One-way traffic is no reason to doubt again for so long.
const CALM: Duration = Duration::from_secs(2);
/// So many datagrams must have gone out.
const ENOUGH: u64 = 2;
/// Pairs of requests in doubt.
const ROUNDS: u8 = 3;
/// Shortest distance between them.
const PACE: Duration = Duration::from_millis(150);

/// What follows from what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing, or nothing new.
    Nothing,
    /// A short request and one of the largest size are due.
    Ask,
    /// Nothing arrives.
    Silent,
    /// Short datagrams arrive and long ones do not.
    Hole,
}

/// What is watched of the datagrams to and from one peer.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Datagrams that had come in, and gone out when the last of them came.
    came: u64,
    went: u64,
    /// Since when they go out and none comes in.
    since: Option<Instant>,
    /// When doubts were last dispelled.
    calm: Option<Instant>,
    doubt: Option<Doubt>,
}

#[derive(Clone, Copy, Debug)]
struct Doubt {
    left: u8,
    next: Option<Instant>,
    short: bool,
    long: bool,
}

impl Watch {
    /// Takes the counters of datagrams straight to the peer and from it; tells whether that makes doubts.
    pub fn look(&mut self, now: Instant, went: u64, came: u64, rtt: Duration) -> bool {
        if came != self.came || went < self.went {
            (self.came, self.went, self.since) = (came, went, None);
            return false;
        }
        if went == self.went {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let long_enough = now.since(since) >= SILENCE.max(2 * rtt);
        let calm = self.calm.is_some_and(|calm| now.since(calm) < CALM);
        let doubts = long_enough && !calm && went - self.went >= ENOUGH;
        doubts && self.doubt()
    }

    /// There is a reason to doubt; tells whether it is new.
    pub const fn doubt(&mut self) -> bool {
        if self.doubt.is_some() {
            return false;
        }
        self.doubt = Some(Doubt { left: ROUNDS, next: None, short: false, long: false });
        true
    }

    /// When to look again, if there are doubts.
    pub fn due(&self) -> Option<Instant> {
        self.doubt.as_ref().and_then(|doubt| doubt.next)
    }

    /// What is due, or has become clear.
    pub fn tick(&mut self, now: Instant, rtt: Duration) -> Finding {
        let Some(doubt) = &mut self.doubt else { return Finding::Nothing };
        if doubt.next.is_some_and(|next| now < next) {
            return Finding::Nothing;
        }
        if doubt.left > 0 {
            doubt.left -= 1;
            doubt.next = Some(now + PACE.max(rtt + rtt / 2));
            return Finding::Ask;
        }
        let finding = if doubt.short { Finding::Hole } else { Finding::Silent };
        self.doubt = None;
        self.since = None;
        self.calm = Some(now);
        finding
    }

    /// A request of `len` bytes was answered; `largest` is the size that should arrive. Tells whether that ended doubts.
    pub fn on_reply(&mut self, now: Instant, len: u16, largest: u16) -> bool {
        let Some(doubt) = &mut self.doubt else { return false };
        doubt.short = true;
        doubt.long |= len >= largest;
        let ended = doubt.long;
        if ended {
            self.doubt = None;
            self.since = None;
            self.calm = Some(now);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(40);

    fn at(ms: u64) -> Instant {
        Instant::from_micros(1_000 * ms)
    }

    /// A watch that has begun to doubt at 700 ms.
    fn doubting() -> Watch {
        let mut watch = Watch::default();
        assert!(!watch.look(at(0), 10, 10, RTT));
        assert!(!watch.look(at(100), 11, 10, RTT));
        assert!(!watch.look(at(590), 13, 10, RTT));
        assert!(watch.look(at(700), 14, 10, RTT));
        watch
    }

    fn find(watch: &mut Watch, mut answer: impl FnMut(&mut Watch, Instant)) -> (Finding, u64) {
        for ms in (700..).step_by(50) {
            match watch.tick(at(ms), RTT) {
                Finding::Nothing => {}
                Finding::Ask => answer(watch, at(ms)),
                finding @ (Finding::Silent | Finding::Hole) => return (finding, ms),
            }
            if watch.doubt.is_none() {
                return (Finding::Nothing, ms);
            }
        }
        unreachable!("every doubt ends");
    }

    #[test]
    fn silence_is_found_within_two_seconds() {
        assert_eq!(find(&mut doubting(), |_, _| {}), (Finding::Silent, 1_150));
    }

    #[test]
    fn a_path_that_only_short_packets_pass_is_a_black_hole() {
        let short_only = |watch: &mut Watch, now| assert!(!watch.on_reply(now, 64, 1_400));
        assert_eq!(find(&mut doubting(), short_only), (Finding::Hole, 1_150));
    }

    #[test]
    fn one_answer_of_the_largest_size_ends_the_doubts_for_a_while() {
        let mut watch = doubting();
        assert_eq!(find(&mut watch, |watch, now| assert!(watch.on_reply(now, 1_400, 1_400))), (Finding::Nothing, 700));
        assert!(!watch.look(at(1_500), 20, 10, RTT) && !watch.look(at(2_600), 30, 10, RTT));
        assert!(watch.look(at(2_800), 40, 10, RTT));
    }

    #[test]
    fn traffic_both_ways_and_idleness_make_no_doubts() {
        let mut watch = Watch::default();
        for tenth in 0..100 {
            assert!(!watch.look(at(100 * tenth), 3 * tenth, tenth, RTT), "{tenth}");
        }
        for tenth in 100..200 {
            assert!(!watch.look(at(100 * tenth), 298, 99, RTT), "{tenth}");
        }
    }

    #[test]
    fn a_long_way_is_given_time() {
        let mut watch = Watch::default();
        let satellite = Duration::from_millis(700);
        for tenth in 0..15 {
            assert!(!watch.look(at(100 * tenth), tenth, 0, satellite));
        }
    }
}
