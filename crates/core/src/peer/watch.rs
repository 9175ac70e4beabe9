//! `Watch`: notices while packets flow that datagrams no longer arrive, or only the small ones.
//!
//! Datagrams go out and none comes in: that is a reason to doubt, and so is what the peer reports of its side. In doubt
//! two requests are sent, a short one and one of the largest size that is known to arrive, up to three times:
//!
//! | answered | what it means |
//! | --- | --- |
//! | both | datagrams arrive |
//! | the short one | the path has become narrower and does not say so: a black hole |
//! | the short one, of two pairs at least, before both | the same, while the path is loaded |
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
/// When of so many pairs only the short request was answered, that is no chance.
const UNEVEN: u8 = 2;
/// If the last such pair is not older than this.
const REMEMBERED: Duration = Duration::from_secs(5);
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
    /// Datagrams that had come in, and gone out when the last of them came, and packets that had come by whatever way then.
    came: u64,
    went: u64,
    packets: u64,
    /// Whether packets have come since, so by another way.
    elsewhere: bool,
    /// Since when they go out and none comes in.
    since: Option<Instant>,
    /// When doubts were last dispelled.
    calm: Option<Instant>,
    doubt: Option<Doubt>,
    /// Pairs of doubts that were dispelled of which only the short request was answered, and when the last of these doubts was.
    uneven: Option<(u8, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Doubt {
    left: u8,
    next: Option<Instant>,
    /// Short requests that were answered.
    short: u8,
    /// Whether the peer has left datagrams, so that their absence says nothing of ours.
    left_alone: bool,
}

impl Watch {
    /// Takes the counters of datagrams straight to the peer and from it, and of packets that came by whatever way; tells
    /// whether that makes doubts.
    pub fn look(&mut self, now: Instant, (went, came, packets): (u64, u64, u64), rtt: Duration) -> bool {
        if came != self.came || went < self.went {
            (self.came, self.went, self.packets, self.since) = (came, went, packets, None);
            self.elsewhere = false;
            return false;
        }
        self.elsewhere |= packets > self.packets;
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
        self.doubt = Some(Doubt { left: ROUNDS, next: None, short: 0, left_alone: self.elsewhere });
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
        let short = doubt.short;
        self.dispel(now);
        if short == 0 {
            return Finding::Silent;
        }
        // The size that is found now may not be the right one either.
        (self.calm, self.uneven) = (None, None);
        Finding::Hole
    }

    /// A request of `len` bytes was answered; `largest` is the size that should arrive. Tells whether that ended doubts.
    pub fn on_reply(&mut self, now: Instant, len: u16, largest: u16) -> bool {
        let Some(doubt) = &mut self.doubt else { return false };
        if len < largest {
            doubt.short += 1;
            return false;
        }
        // The short one of the same pair came first, most often. Short ones are asked for other reasons too.
        let asked = ROUNDS.saturating_sub(doubt.left);
        let counts = !doubt.left_alone && !self.elsewhere;
        let alone = if counts { doubt.short.min(asked).saturating_sub(1) } else { 0 };
        if alone == 0 {
            self.dispel(now);
            return true;
        }
        let recent = self.uneven.filter(|(_, at)| now.since(*at) < REMEMBERED);
        let uneven = recent.map_or(0, |(before, _)| before).saturating_add(alone);
        self.uneven = Some((uneven, now));
        if uneven >= UNEVEN {
            self.doubt = Some(Doubt { left: 0, next: Some(now), short: alone, left_alone: false });
            return false;
        }
        self.dispel(now);
        true
    }

    const fn dispel(&mut self, now: Instant) {
        self.doubt = None;
        self.since = None;
        self.calm = Some(now);
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
        assert!(!watch.look(at(0), (10, 10, 10), RTT));
        assert!(!watch.look(at(100), (11, 10, 10), RTT));
        assert!(!watch.look(at(590), (13, 10, 10), RTT));
        assert!(watch.look(at(700), (14, 10, 10), RTT));
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
        assert!(!watch.look(at(1_500), (20, 10, 10), RTT) && !watch.look(at(2_600), (30, 10, 10), RTT));
        assert!(watch.look(at(2_800), (40, 10, 10), RTT));
    }

    /// A path that long packets pass for a moment every now and then.
    #[test]
    fn long_ones_that_arrive_only_now_and_then_are_a_black_hole_at_the_second_time() {
        let mut watch = doubting();
        let unevenly = |watch: &mut Watch, now: u64| {
            assert_eq!(watch.tick(at(now), RTT), Finding::Ask);
            assert!(!watch.on_reply(at(now + 40), 64, 1_400));
            assert_eq!(watch.tick(at(now + 150), RTT), Finding::Ask);
            assert!(!watch.on_reply(at(now + 190), 64, 1_400));
            watch.on_reply(at(now + 191), 1_400, 1_400)
        };
        assert!(unevenly(&mut watch, 700));
        assert!(watch.look(at(2_500), (20, 10, 10), RTT) || watch.look(at(3_000), (30, 10, 10), RTT));

        assert!(!unevenly(&mut watch, 3_000));

        assert_eq!(watch.tick(at(3_200), RTT), Finding::Hole);
    }

    #[test]
    fn short_ones_that_were_asked_for_other_reasons_say_nothing() {
        let mut watch = doubting();
        for second in 1..20 {
            watch.doubt();
            assert_eq!(watch.tick(at(1_000 * second), RTT), Finding::Ask);
            assert!((0..3).all(|_| !watch.on_reply(at(1_000 * second + 20), 64, 1_400)));
            assert!(watch.on_reply(at(1_000 * second + 40), 1_400, 1_400), "{second}");
        }
    }

    #[test]
    fn long_ones_that_are_lost_seldom_are_no_black_hole() {
        let mut watch = doubting();
        for second in (1..40).step_by(6) {
            let now = 1_000 * second;
            watch.doubt();
            for ms in [0, 150] {
                assert_eq!(watch.tick(at(now + ms), RTT), Finding::Ask);
                assert!(!watch.on_reply(at(now + ms + 40), 64, 1_400));
            }
            assert!(watch.on_reply(at(now + 191), 1_400, 1_400), "{second}");
        }
    }

    /// A peer that has left datagrams is silent for that reason.
    #[test]
    fn losses_towards_a_peer_whose_packets_come_by_another_way_are_no_black_hole() {
        let mut watch = Watch::default();
        for (ms, packets) in [(0, 10), (100, 20), (700, 80)] {
            watch.look(at(ms), (ms, 10, packets), RTT);
        }
        for ms in [700, 850] {
            assert_eq!(watch.tick(at(ms), RTT), Finding::Ask);
            assert!(!watch.on_reply(at(ms + 20), 64, 1_400));
        }
        assert!(watch.on_reply(at(871), 1_400, 1_400));
        assert_eq!(watch.uneven, None);
    }

    #[test]
    fn traffic_both_ways_and_idleness_make_no_doubts() {
        let mut watch = Watch::default();
        for tenth in 0..100 {
            assert!(!watch.look(at(100 * tenth), (3 * tenth, tenth, tenth), RTT), "{tenth}");
        }
        for tenth in 100..200 {
            assert!(!watch.look(at(100 * tenth), (298, 99, 99), RTT), "{tenth}");
        }
    }

    #[test]
    fn a_long_way_is_given_time() {
        let mut watch = Watch::default();
        let satellite = Duration::from_millis(700);
        for tenth in 0..15 {
            assert!(!watch.look(at(100 * tenth), (tenth, 0, 0), satellite));
        }
    }
}
