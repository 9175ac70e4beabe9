//! `RelayChoice`: which relay packets to a peer take that cannot be reached straight.
//!
//! While packets flow, some relays are asked once a second how far the peer is from them. A relay costs the sum of both
//! round trips, and 10 ms for each datagram in a hundred that is lost on one of them. The first offer counts at once, as
//! without any packets go by the next node of the graph's way; a better one only if it is a fifth and 10 ms better and the
//! last change is 5 s ago. What a relay lost when it was left is remembered, as nothing shows it while no packets go there: first
//! for a minute, and twice as long each time.
//!
//! The peer itself tells, on meta connections, how much came from here. A relay through which nothing arrives although packets
//! go there is left, whatever it offers, and not taken again for a while.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::name::PeerId;
use crate::time::Instant;
use crate::wire::relay::Offer;

/// Distance of questions.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// Distance of changes from one relay to a better one.
const CALM: Duration = Duration::from_secs(5);
/// A better relay is better by this much, and by a fifth.
const LEAST_GAIN: Duration = Duration::from_millis(10);
/// An offer that was not repeated for so long does not count.
const OFFER_LIFE: Duration = Duration::from_secs(4);
/// What one lost datagram in a thousand costs.
const LOSS_COST: Duration = Duration::from_millis(1);
/// Relays asked at a time, at most.
pub const MOST_ASKED: usize = 8;
/// So many packets through a relay in so long, and none arrives: it does not pass them on.
const UNHEARD: u64 = 10;
const UNHEARD_TIME: Duration = Duration::from_millis(1_250);
/// Such a relay is not taken again for so long.
const DISTRUST: Duration = Duration::from_secs(300);
/// A relay that lost so many of a thousand datagrams when it was left counts as if it still did so, first and at most.
const NOTABLE: u16 = 10;
const FIRST_GRUDGE: Duration = Duration::from_secs(60);
const LONGEST_GRUDGE: Duration = Duration::from_secs(960);
/// Questions of one node that are answered within a second, at most.
const MOST_ANSWERS: u8 = 32;
/// Nodes that are told of another size without being asked again, at most.
const MOST_TOLD: usize = 64;

/// What is known here of the path to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// Round-trip time.
    pub rtt: Duration,
    /// Datagrams that are lost, in a thousand.
    pub loss: u16,
}

/// Who may relay to one peer, who does, and what the peer itself says of relaying.
#[derive(Clone, Debug, Default)]
pub struct RelayChoice {
    /// When packets last went to the peer from this node.
    pub talked: Option<Instant>,
    /// Whether the peer has said that it does not relay.
    pub refuses: bool,
    asked_at: Option<Instant>,
    rounds: u32,
    offers: BTreeMap<PeerId, Option<(Offer, Instant)>>,
    chosen: Option<PeerId>,
    changed: Option<Instant>,
    answered: Option<(Instant, u8)>,
    proof: Option<Proof>,
    distrusted: BTreeMap<PeerId, Instant>,
    /// What the chosen relay loses, in a thousand, and what others lost.
    loss: u16,
    lossy: BTreeMap<PeerId, Lossy>,
    askers: VecDeque<Asker>,
    told: Option<Instant>,
}

/// What a relay lost when it was left.
#[derive(Clone, Copy, Debug)]
struct Lossy {
    loss: u16,
    until: Instant,
    time: Duration,
}

/// A node that asked lately how far the peer is.
#[derive(Clone, Copy, Debug)]
struct Asker {
    node: PeerId,
    at: Instant,
    /// The frame size that it was told, if that was measured.
    size: Option<u16>,
}

/// What had gone to the peer, and come there, when packets began to take a relay, or something last arrived.
#[derive(Clone, Copy, Debug)]
struct Proof {
    relay: PeerId,
    sent: u64,
    came: u64,
    /// When enough had gone to it since then: what goes right before a report may still be on its way.
    enough: Option<Instant>,
}

impl RelayChoice {
    /// The relay that packets take, and what it offered.
    pub fn chosen(&self) -> Option<(PeerId, Offer)> {
        let relay = self.chosen?;
        self.offers.get(&relay).copied().flatten().map(|(offer, _)| (relay, offer))
    }

    /// What a node that was asked offered, if that was lately.
    pub fn offer_of(&self, now: Instant, node: PeerId) -> Option<Offer> {
        let (offer, _) = self.offers.get(&node).copied().flatten().filter(|(_, at)| now.since(*at) <= OFFER_LIFE)?;
        Some(offer)
    }

    /// Whether relays are to be asked now; if so, the how manieth time since there is no straight path.
    pub fn ask_due(&mut self, now: Instant) -> Option<u32> {
        if self.asked_at.is_some_and(|at| now.since(at) < ASK_INTERVAL) {
            return None;
        }
        self.asked_at = Some(now);
        self.rounds = self.rounds.saturating_add(1);
        Some(self.rounds - 1)
    }

    /// These are asked, and nobody else's offers count.
    pub fn note_asked(&mut self, relays: &[PeerId]) {
        self.offers.retain(|relay, _| relays.contains(relay) || self.chosen == Some(*relay));
        for &relay in relays {
            self.offers.entry(relay).or_default();
        }
    }

    /// What a relay that was asked says.
    pub fn on_offer(&mut self, now: Instant, relay: PeerId, offer: Option<Offer>) {
        if let Some(place) = self.offers.get_mut(&relay) {
            *place = offer.map(|offer| (offer, now));
        }
    }

    /// `sent` packets had gone to the peer by some time, and then `came` bytes there, by whatever way. Tells whether that
    /// shows that the relay passes nothing on.
    pub fn on_arrivals(&mut self, at: Instant, sent: u64, came: u64) -> bool {
        let Some(relay) = self.chosen else { return false };
        let goes_on = |first: &&mut Proof| first.relay == relay && first.came == came && first.sent <= sent;
        let Some(first) = self.proof.as_mut().filter(goes_on) else {
            self.proof = Some(Proof { relay, sent, came, enough: None });
            return false;
        };
        if first.enough.is_none() && sent - first.sent >= UNHEARD {
            first.enough = Some(at);
        }
        let unheard = first.enough.is_some_and(|enough| at.since(enough) >= UNHEARD_TIME);
        if unheard {
            self.proof = None;
            self.distrusted.retain(|_, until| *until > at);
            self.distrusted.insert(relay, at + DISTRUST);
        }
        unheard
    }

    /// Chooses anew; `near` tells the path to a relay, if it can be used.
    pub fn choose(&mut self, now: Instant, near: impl Fn(PeerId) -> Option<Near>) {
        let fresh = self.offers.iter().filter_map(|(&relay, known)| {
            let (offer, _) = known.as_ref().filter(|(_, at)| now.since(*at) <= OFFER_LIFE)?;
            let is_trusted = self.distrusted.get(&relay).is_none_or(|until| *until <= now);
            let near = near(relay).filter(|_| is_trusted)?;
            Some((relay, near.rtt + offer.rtt, near.loss.saturating_add(offer.loss)))
        });
        let fresh: Vec<(PeerId, Duration, u16)> = fresh.collect();
        if let Some((_, _, loss)) = fresh.iter().find(|(relay, ..)| Some(*relay) == self.chosen) {
            self.loss = *loss;
        }
        let cost = |&(relay, rtt, loss): &(PeerId, Duration, u16)| {
            (rtt + LOSS_COST * u32::from(loss.max(self.remembered(now, relay))), relay)
        };
        let costs: Vec<(Duration, PeerId)> = fresh.iter().map(cost).collect();
        let best = costs.iter().min().copied();
        let current = costs.iter().find(|(_, relay)| Some(*relay) == self.chosen).copied();
        let next = match (current, best) {
            (Some((cost, relay)), Some((least, better))) => {
                let gain = (cost / 5).max(LEAST_GAIN);
                let calm = self.changed.is_none_or(|at| now.since(at) >= CALM);
                Some(if calm && least + gain <= cost { better } else { relay })
            }
            (_, best) => best.map(|(_, relay)| relay),
        };
        if next != self.chosen {
            self.leave(now);
            (self.chosen, self.changed) = (next, Some(now));
        }
    }

    /// What a relay lost when it was left, if that is not long ago.
    fn remembered(&self, now: Instant, relay: PeerId) -> u16 {
        let lossy = self.lossy.get(&relay).filter(|lossy| now < lossy.until && self.chosen != Some(relay));
        lossy.map_or(0, |lossy| lossy.loss)
    }

    /// The chosen relay is chosen no more.
    fn leave(&mut self, now: Instant) {
        let loss = std::mem::take(&mut self.loss);
        self.lossy.retain(|_, lossy| now < lossy.until + lossy.time);
        if let Some(relay) = self.chosen.filter(|_| loss >= NOTABLE) {
            let time = self.lossy.get(&relay).map_or(FIRST_GRUDGE, |lossy| (2 * lossy.time).min(LONGEST_GRUDGE));
            self.lossy.insert(relay, Lossy { loss, until: now + time, time });
        }
    }

    /// There is a straight path; tells whether that ends the use of a relay.
    pub fn end(&mut self) -> bool {
        self.offers.clear();
        self.rounds = 0;
        self.loss = 0;
        self.chosen.take().is_some()
    }

    /// A node that asked how far the peer is was given this offer, or none.
    pub fn note_asker(&mut self, now: Instant, node: PeerId, offer: Option<Offer>) {
        self.askers.retain(|asker| asker.node != node && now.since(asker.at) <= OFFER_LIFE);
        if let Some(offer) = offer.filter(|_| self.askers.len() < MOST_TOLD) {
            self.askers.push_back(Asker { node, at: now, size: Some(offer.size).filter(|_| offer.settled) });
        }
    }

    /// The path to the peer was found to take frames of this size: gives those who asked lately and were told another; but
    /// once in a second, as questions come that often.
    pub fn whom_to_tell(&mut self, now: Instant, size: u16) -> Vec<PeerId> {
        let is_new = |asker: &&mut Asker| asker.size != Some(size) && now.since(asker.at) <= OFFER_LIFE;
        if self.told.is_some_and(|at| now.since(at) < ASK_INTERVAL) {
            return Vec::new();
        }
        let askers = self.askers.iter_mut().filter(is_new).map(|asker| {
            asker.size = Some(size);
            asker.node
        });
        let askers: Vec<PeerId> = askers.collect();
        if !askers.is_empty() {
            self.told = Some(now);
        }
        askers
    }

    /// Whether a question of the peer may be answered; notes that it is.
    pub fn may_answer(&mut self, now: Instant) -> bool {
        let (since, count) = self.answered.filter(|(since, _)| now.since(*since) < ASK_INTERVAL).unwrap_or((now, 0));
        self.answered = Some((since, count.saturating_add(1)));
        count < MOST_ANSWERS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEFT: PeerId = PeerId(1);
    const RIGHT: PeerId = PeerId(2);

    fn offer(millis: u64) -> Option<Offer> {
        Some(Offer { rtt: Duration::from_millis(millis), loss: 0, size: 1_400, settled: true })
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    fn near(_: PeerId) -> Option<Near> {
        Some(Near { rtt: Duration::from_millis(20), loss: 0 })
    }

    fn chosen(choice: &RelayChoice) -> Option<PeerId> {
        choice.chosen().map(|(relay, _)| relay)
    }

    fn offered(left: u64, right: u64) -> RelayChoice {
        let mut choice = RelayChoice::default();
        choice.note_asked(&[LEFT, RIGHT]);
        choice.on_offer(at(0), LEFT, offer(left));
        choice.on_offer(at(0), RIGHT, offer(right));
        choice
    }

    #[test]
    fn the_first_offer_counts_at_once_and_the_least_sum_wins() {
        let mut choice = offered(80, 60);
        choice.choose(at(0), near);
        assert_eq!(chosen(&choice), Some(RIGHT));
    }

    #[test]
    fn a_little_better_is_not_enough_and_five_seconds_pass() {
        let mut choice = offered(60, 80);
        choice.choose(at(0), near);
        choice.on_offer(at(1_000), LEFT, offer(60));
        choice.on_offer(at(1_000), RIGHT, offer(20));
        choice.choose(at(1_000), near);
        assert_eq!(chosen(&choice), Some(LEFT), "too soon");
        choice.on_offer(at(4_500), LEFT, offer(60));
        choice.on_offer(at(4_500), RIGHT, offer(45));
        choice.choose(at(5_500), near);
        assert_eq!(chosen(&choice), Some(LEFT), "15 ms of 80 are less than a fifth");
        choice.on_offer(at(5_500), RIGHT, offer(44));
        choice.choose(at(5_500), near);
        assert_eq!(chosen(&choice), Some(RIGHT));
    }

    #[test]
    fn a_relay_through_which_nothing_arrives_is_left_for_five_minutes() {
        let mut choice = offered(60, 80);
        choice.choose(at(0), near);
        assert!(!choice.on_arrivals(at(0), 100, 5_000));
        assert!(!choice.on_arrivals(at(2_000), 105, 5_000), "few packets say nothing");
        assert!(!choice.on_arrivals(at(2_500), 120, 5_001), "something arrives");
        assert!(!choice.on_arrivals(at(3_000), 140, 5_001), "too soon");
        assert!(!choice.on_arrivals(at(4_200), 160, 5_001), "too soon");
        assert!(choice.on_arrivals(at(4_300), 160, 5_001));
        let mut later = |ms: u64| {
            choice.on_offer(at(ms), LEFT, offer(10));
            choice.on_offer(at(ms), RIGHT, offer(80));
            choice.choose(at(ms), near);
            chosen(&choice)
        };
        assert_eq!(later(4_300), Some(RIGHT));
        assert_eq!(later(303_000), Some(RIGHT));
        assert_eq!(later(304_400), Some(LEFT));
    }

    #[test]
    fn a_relay_that_is_gone_is_left_at_once() {
        let mut choice = offered(60, 80);
        choice.choose(at(0), near);
        choice.on_offer(at(100), LEFT, None);
        choice.choose(at(100), near);
        assert_eq!(chosen(&choice), Some(RIGHT));
        choice.choose(at(200), |_| None);
        assert_eq!(chosen(&choice), None);
    }

    #[test]
    fn losses_cost_time() {
        let mut choice = offered(60, 90);
        let near = |relay| Some(Near { rtt: Duration::from_millis(20), loss: if relay == LEFT { 50 } else { 0 } });
        choice.choose(at(0), near);
        assert_eq!(chosen(&choice), Some(RIGHT), "5 % cost 50 ms");
    }

    #[test]
    fn what_a_relay_lost_is_remembered_for_longer_each_time() {
        let mut choice = RelayChoice::default();
        choice.note_asked(&[LEFT, RIGHT]);
        let mut changes = Vec::new();
        for second in 0..600 {
            let now = at(1_000 * second);
            // Losses show only while packets go there.
            let loss = |relay| if relay == LEFT && chosen(&choice) == Some(LEFT) { 200 } else { 0 };
            let near = [LEFT, RIGHT].map(|relay| Near { rtt: Duration::from_millis(20), loss: loss(relay) });
            choice.on_offer(now, LEFT, offer(20));
            choice.on_offer(now, RIGHT, offer(80));
            let before = chosen(&choice);
            choice.choose(now, |relay| Some(near[usize::from(relay == RIGHT)]));
            if chosen(&choice) == Some(LEFT) && before == Some(RIGHT) {
                changes.push(second);
            }
        }
        assert_eq!(changes.len(), 3, "{changes:?}");
        let pauses: Vec<u64> = changes.windows(2).map(|two| two[1] - two[0]).collect();
        assert!((120..=130).contains(&pauses[0]) && (240..=250).contains(&pauses[1]), "{pauses:?}");
    }

    #[test]
    fn offers_of_nobody_who_was_asked_and_old_ones_do_not_count() {
        let mut choice = offered(60, 80);
        choice.on_offer(at(0), PeerId(9), offer(1));
        choice.choose(at(0), near);
        assert_eq!(chosen(&choice), Some(LEFT));
        choice.choose(at(4_001), near);
        assert_eq!(chosen(&choice), None);
    }

    #[test]
    fn a_flood_of_questions_is_not_answered() {
        let mut choice = RelayChoice::default();
        let answered = (0..200).filter(|_| choice.may_answer(at(5))).count();
        assert_eq!(answered, usize::from(MOST_ANSWERS));
        assert!(choice.may_answer(at(1_005)));
    }

    #[test]
    fn who_asked_lately_is_told_once_of_each_size_that_is_measured() {
        let mut choice = RelayChoice::default();
        let of = |size, settled| Offer { rtt: Duration::ZERO, loss: 0, size, settled };
        choice.note_asker(at(0), LEFT, Some(of(1_400, true)));
        choice.note_asker(at(3_000), RIGHT, Some(of(700, false)));
        assert_eq!(choice.whom_to_tell(at(3_100), 1_400), [RIGHT]);
        assert_eq!(choice.whom_to_tell(at(3_200), 1_200), [], "too soon");
        assert_eq!(choice.whom_to_tell(at(4_100), 1_200), [RIGHT], "the other asked too long ago");
        assert_eq!(choice.whom_to_tell(at(5_200), 1_200), []);
    }

    #[test]
    fn a_crowd_that_asks_is_not_told_without_bound() {
        let mut choice = RelayChoice::default();
        let offer = Offer { rtt: Duration::ZERO, loss: 0, size: 1_400, settled: true };
        for node in 0..1_000 {
            choice.note_asker(at(0), PeerId(node), Some(offer));
        }
        assert_eq!(choice.whom_to_tell(at(0), 1_200).len(), MOST_TOLD);
        choice.note_asker(at(4_001), LEFT, Some(offer));
        assert_eq!(choice.askers.len(), 1, "old ones make room");
        choice.note_asker(at(4_002), LEFT, None);
        assert_eq!(choice.askers.len(), 0, "who was refused is told nothing");
    }

    proptest! {
        #[test]
        fn between_working_relays_changes_are_rare(costs in proptest::collection::vec((0..300_u64, 0..300_u64), 1..200)) {
            let mut choice = RelayChoice::default();
            choice.note_asked(&[LEFT, RIGHT]);
            let mut changes = Vec::new();
            for (second, (left, right)) in (0..).zip(costs) {
                let now = at(second * 1_000);
                choice.on_offer(now, LEFT, offer(left));
                choice.on_offer(now, RIGHT, offer(right));
                let before = chosen(&choice);
                choice.choose(now, near);
                if before != chosen(&choice) {
                    changes.push(now);
                }
            }
            prop_assert!(changes.windows(2).all(|two| two[1].since(two[0]) >= CALM));
        }
    }
}
