//! `Health`: what part of the datagrams to a peer arrives, and whether TCP would carry more.
//!
//! Three times in two seconds, while packets flow, the sender tells how many datagrams it has sent; the peer answers how many have come
//! straight from it, and how many bytes of packets by whatever way. Both count from the start, so lost messages do no harm.
//!
//! ```text
//!                 a tenth is lost               TCP carries more
//!   datagrams ───────────────────────► on trial ────────────────► TCP ──┐ half a minute
//!      ▲  ▲                               │                        ▲    ▼
//!      │  └────── it carries no more ─────┘    a tenth is lost     │  datagrams, on trial
//!      └───────────────────────────────────────────────────────────┴────┘ all is well for a while
//! ```
//!
//! A report may take a longer way than datagrams, so that some are counted that were sent after it: as long as packets flow, and no
//! longer. So what is missing is taken for lost from the most that was ever missing, not from the last time.
//!
//! What fails on trial, whoever finds that out, goes back to TCP for half a minute.
//!
//! TCP that carries no more was not worth it: the network is full, or loses packets of all kinds. Then losses are no reason to
//! try it again for a minute, and twice as long with each time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;
use crate::wire::health::Answer;

/// Distance of reports.
const CALM: Duration = Duration::from_millis(650);
/// Distance of reports while something is on trial.
const TENSE: Duration = Duration::from_millis(330);
/// Losses are counted over so long at least, and at most.
const SHORTEST: Duration = Duration::from_millis(1_250);
const LONGEST: Duration = Duration::from_secs(4);
/// What part is lost of a slow flow is counted over so long at most; samples of that time are kept at this distance.
const MEMORY: Duration = Duration::from_secs(30);
const MEMORY_STEP: Duration = Duration::from_secs(2);
/// While datagrams are on trial, so long is enough.
const SHORTEST_ON_TRIAL: Duration = Duration::from_millis(600);
/// Fewer datagrams say nothing of losses.
const ENOUGH: u64 = 50;
/// One in so many may be lost.
const LOSS: u64 = 10;
/// So many are enough on trial if more than half is lost: in a slow flow the others would take long, and be lost too.
const ENOUGH_ON_TRIAL: u64 = 12;
/// Fewer datagrams are enough if none arrives.
const FEW: u64 = 3;
/// If none of so many arrives, it does not matter how soon that was seen.
const MANY: u64 = 10;
/// What TCP carries is counted from then on, and judged at that time.
const SETTLED: Duration = Duration::from_millis(2_500);
const JUDGED: Duration = Duration::from_secs(5);
/// TCP must carry so many tenths of what datagrams did.
const WORTH: u64 = 11;
/// Bytes a second of datagrams above which losses are those of a machine or a network that is full: a limit for UDP
/// alone is lower, and TCP, which is sealed and copied by one thread, hardly carries more.
const PLENTY: u64 = 25_000_000;
/// Bytes of a datagram around its packet, about.
const AROUND: u64 = 60;
/// After so long on TCP datagrams are tried again, and for how long they are on trial.
const RETRY: Duration = Duration::from_secs(30);
const TRIAL: Duration = Duration::from_secs(5);
/// Losses are no reason for so long after TCP was no better, first and at most.
const FIRST_REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(960);

/// What both sides had counted at some time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    sent: u64,
    came: u64,
    bytes: u64,
    /// The most datagrams that were missing until then, from the start.
    missing: i64,
}

impl Sample {
    /// Datagrams that were sent since another sample, and how many of them were lost.
    fn since(&self, first: &Self) -> (u64, u64) {
        let sent = self.sent - first.sent;
        let lost = u64::try_from(self.missing.saturating_sub(first.missing)).unwrap_or(0);
        (sent, lost.min(sent))
    }
}

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In datagrams, which may have been on trial since some time.
    Datagrams { trial: Option<Instant> },
    /// Over TCP, which has to carry more than `before` bytes a second if it has not shown yet that it does.
    Tcp { since: Instant, before: Option<u64> },
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Well,
    /// No datagram arrives.
    Doubtful,
    /// Packets take the other way from here on.
    Changed,
}

/// What is known of how well datagrams arrive at a peer.
#[derive(Clone, Debug)]
pub struct Health {
    number: u32,
    reported: Option<(Instant, u64)>,
    samples: VecDeque<Sample>,
    /// A few that are older than those.
    older: VecDeque<Sample>,
    /// The most datagrams that were missing, from the start.
    missing: i64,
    way: Way,
    rest: Duration,
    rests_until: Option<Instant>,
    doubted: Option<Instant>,
    /// What was counted when too much was missing the last time, if it was.
    lossy: Option<Sample>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            number: 0,
            reported: None,
            samples: VecDeque::new(),
            older: VecDeque::new(),
            missing: i64::MIN,
            way: Way::Datagrams { trial: None },
            rest: FIRST_REST,
            rests_until: None,
            doubted: None,
            lossy: None,
        }
    }
}

impl Health {
    /// Whether packets go over TCP although datagrams arrive.
    pub const fn shuns_datagrams(&self) -> bool {
        matches!(self.way, Way::Tcp { .. })
    }

    /// How many of a thousand datagrams are lost, of those of the last 4 s, or of about the last 50 if these took up to half a
    /// minute; 0 if fewer went.
    pub fn loss(&self) -> u16 {
        let Some(last) = self.samples.back() else { return 0 };
        let firsts = self.samples.front().into_iter().chain(self.older.iter().rev());
        let enough = firsts.map(|first| last.since(first)).find(|(sent, _)| *sent >= ENOUGH);
        let share = enough.and_then(|(sent, lost)| (1_000 * lost).checked_div(sent)).unwrap_or(0);
        u16::try_from(share).unwrap_or(1_000)
    }

    /// Whether reports come in quick succession.
    pub fn is_tense(&self, now: Instant) -> bool {
        let on_trial = matches!(self.way, Way::Datagrams { trial: Some(_) } | Way::Tcp { before: Some(_), .. });
        on_trial || self.lossy.is_some() || self.doubted.is_some_and(|at| now.since(at) <= LONGEST)
    }

    /// Whether datagrams, left for TCP, are on trial from now on, as nobody has looked for long how they would arrive.
    pub fn relent(&mut self, now: Instant) -> bool {
        let forgotten = self.reported.is_none_or(|(at, _)| now.since(at) >= RETRY);
        let relents = self.shuns_datagrams() && forgotten;
        if relents {
            self.change(Way::Datagrams { trial: Some(now) });
        }
        relents
    }

    /// What holds after datagrams failed in another way while they were on trial, or had been left: packets stay on TCP
    /// for the usual time. `None` if they were not.
    pub fn failed(&self, now: Instant) -> Option<Self> {
        let since = match self.way {
            Way::Datagrams { trial: None } => return None,
            Way::Datagrams { trial: Some(_) } => now,
            Way::Tcp { since, .. } => since,
        };
        let way = Way::Tcp { since, before: None };
        let mut failed = Self { way, doubted: None, ..self.clone() };
        failed.forget();
        Some(failed)
    }

    /// The path is another one, or there is none.
    pub fn reset(&mut self) {
        let Self { number, missing, rest, rests_until, .. } = *self;
        *self = Self { number, missing, rest, rests_until, ..Self::default() };
    }

    /// The number of the report that is due after `sent` datagrams.
    pub fn report(&mut self, now: Instant, sent: u64) -> Option<u32> {
        let distance = if self.is_tense(now) { TENSE } else { CALM };
        if self.reported.is_some_and(|(at, _)| now.since(at) < distance) {
            return None;
        }
        self.number = self.number.wrapping_add(1);
        self.reported = Some((now, sent));
        Some(self.number)
    }

    /// When the report of this number was due, and what had been sent; `None` if it was not the last one.
    pub fn reported(&self, number: u32) -> Option<(Instant, u64)> {
        self.reported.filter(|_| number == self.number)
    }

    /// Takes the answer to the last report.
    pub fn on_answer(&mut self, answer: Answer) -> Verdict {
        let Some((at, sent)) = self.reported(answer.number) else { return Verdict::Well };
        let missing = i64::try_from(sent).unwrap_or(i64::MAX).saturating_sub_unsigned(answer.came);
        let repeated = self.samples.back().is_some_and(|last| last.at == at);
        let restarted = self.samples.back().is_some_and(|last| last.came > answer.came || last.sent > sent);
        if restarted {
            self.forget();
            self.missing = i64::MIN;
        }
        if repeated {
            return Verdict::Well;
        }
        self.missing = self.missing.max(missing);
        let sample = Sample { at, sent, came: answer.came, bytes: answer.bytes, missing: self.missing };
        self.age(at);
        self.samples.push_back(sample);
        match self.way {
            Way::Datagrams { trial } => self.judge_datagrams(sample, trial),
            Way::Tcp { since, before } => self.judge_tcp(sample, since, before),
        }
    }

    /// Takes what is too old out of what losses are counted over, and keeps a little of that.
    fn age(&mut self, now: Instant) {
        while let Some(&old) = self.samples.front().filter(|old| now.since(old.at) > LONGEST) {
            self.samples.pop_front();
            if self.older.back().is_none_or(|last| old.at.since(last.at) >= MEMORY_STEP) {
                self.older.push_back(old);
            }
        }
        self.older.retain(|old| now.since(old.at) <= MEMORY);
    }

    fn forget(&mut self) {
        self.samples.clear();
        self.older.clear();
        self.lossy = None;
    }

    fn judge_datagrams(&mut self, last: Sample, trial: Option<Instant>) -> Verdict {
        let Some(&first) = self.samples.front() else { return Verdict::Well };
        let time = last.at.since(first.at);
        let (sent, lost) = last.since(&first);
        let quiet = self.quiet_since(last);
        let unheard = last.sent - quiet.sent;
        let silent = unheard >= FEW && last.at.since(quiet.at) >= SHORTEST_ON_TRIAL || unheard >= MANY;
        if silent && trial.is_none() && self.may_doubt(last.at) {
            return Verdict::Doubtful;
        }
        let shortest = if self.is_tense(last.at) { SHORTEST_ON_TRIAL } else { SHORTEST };
        // What went right before a report may still be on its way, which takes longer than the report.
        let nothing = time >= SHORTEST_ON_TRIAL && last.came == first.came && sent >= FEW;
        let old_enough = |old: &Sample| old.sent - first.sent >= FEW && last.at.since(old.at) >= TENSE;
        let hopeless = trial.is_some()
            && (nothing && self.samples.iter().any(old_enough) || sent >= ENOUGH_ON_TRIAL && lost * 2 > sent);
        if time >= shortest && (hopeless || self.collapses(last) || sent >= ENOUGH && lost * LOSS > sent) {
            // The next time shows whether that is over, as when a flow began, or all of it is lost from some time on, as on a
            // path that has become narrower.
            let before = self.lossy.replace(last);
            let goes_on = before.map(|before| last.since(&before)).is_some_and(|(sent, lost)| lost * LOSS > sent);
            let waits = !goes_on || unheard > 0 && !silent;
            return if trial.is_none() && waits { Verdict::Well } else { self.on_loss(last, trial.is_some()) };
        }
        self.lossy = None;
        if trial.is_some_and(|since| last.at.since(since) >= TRIAL) {
            self.way = Way::Datagrams { trial: None };
        }
        Verdict::Well
    }

    /// Whether more than half is lost of what went last, which what went well before would hide for long.
    fn collapses(&self, last: Sample) -> bool {
        let first = self.samples.iter().rev().find(|old| last.at.since(old.at) >= SHORTEST);
        first.is_some_and(|first| matches!(last.since(first), (sent, lost) if sent >= ENOUGH && lost * 2 > sent))
    }

    /// The earliest sample since which nothing came, of those that are kept.
    fn quiet_since(&self, last: Sample) -> Sample {
        self.samples.iter().rev().take_while(|old| old.came == last.came).last().copied().unwrap_or(last)
    }

    fn on_loss(&mut self, last: Sample, on_trial: bool) -> Verdict {
        self.lossy = None;
        if self.rests_until.is_some_and(|until| last.at < until) {
            return Verdict::Well;
        }
        // What came before the losses began must not count, nor a moment without any if they come in bursts.
        let latest = self.samples.iter().rev().nth(1).copied().unwrap_or(last);
        let carried = rate(latest, last);
        if carried + AROUND * per_second(last.came.saturating_sub(latest.came), latest, last) >= PLENTY {
            return Verdict::Well;
        }
        let carried = self.samples.front().map_or(carried, |first| carried.min(rate(*first, last)));
        let before = if on_trial { None } else { Some(carried) };
        self.change(Way::Tcp { since: last.at, before })
    }

    /// That nothing arrives is first a reason to look whether a path has become narrower; if it stays so, to leave it.
    fn may_doubt(&mut self, now: Instant) -> bool {
        let due = self.doubted.is_none_or(|at| now.since(at) > LONGEST);
        if due {
            self.doubted = Some(now);
        }
        due
    }

    fn judge_tcp(&mut self, last: Sample, since: Instant, before: Option<u64>) -> Verdict {
        let time = last.at.since(since);
        let Some(before) = before else {
            if time < RETRY {
                return Verdict::Well;
            }
            let verdict = self.change(Way::Datagrams { trial: Some(last.at) });
            // What is sent from now on is on trial.
            self.samples.push_back(last);
            return verdict;
        };
        if time < JUDGED {
            return Verdict::Well;
        }
        let first = self.samples.iter().find(|sample| sample.at.since(since) >= SETTLED).copied().unwrap_or(last);
        if rate(first, last).saturating_mul(10) >= before.saturating_mul(WORTH) {
            self.way = Way::Tcp { since, before: None };
            self.rest = FIRST_REST;
            return Verdict::Well;
        }
        self.rests_until = Some(last.at + self.rest);
        self.rest = (2 * self.rest).min(LONGEST_REST);
        self.change(Way::Datagrams { trial: None })
    }

    fn change(&mut self, way: Way) -> Verdict {
        self.way = way;
        self.forget();
        Verdict::Changed
    }
}

/// Bytes of packets that came in a second.
fn rate(first: Sample, last: Sample) -> u64 {
    per_second(last.bytes.saturating_sub(first.bytes), first, last)
}

/// A count from one sample to another, for a second.
fn per_second(count: u64, first: Sample, last: Sample) -> u64 {
    let time = last.at.since(first.at).as_millis() as u64;
    count.saturating_mul(1_000).checked_div(time).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender that offers some datagrams in a second to a path that takes fewer.
    struct Bench {
        health: Health,
        ms: u64,
        sent: u64,
        came: u64,
        bytes: u64,
        /// Bytes of a packet.
        length: u64,
        /// Datagrams that arrive before a report that was sent before them, at the full rate.
        late: u64,
        told: u64,
        changes: Vec<(u64, bool)>,
        doubts: u32,
    }

    impl Bench {
        fn new() -> Self {
            let health = Health::default();
            let (changes, length) = (Vec::new(), 1_000);
            Self { health, ms: 0, sent: 0, came: 0, bytes: 0, length, late: 0, told: 0, changes, doubts: 0 }
        }

        fn run(&mut self, seconds: u64, offered: u64, taken: u64, by_tcp: u64) {
            self.tenths(10 * seconds, offered, taken, by_tcp);
        }

        fn tenths(&mut self, count: u64, offered: u64, taken: u64, by_tcp: u64) {
            for _ in 0..count {
                self.ms += 100;
                if self.health.shuns_datagrams() {
                    self.bytes += self.length / 10 * by_tcp.min(offered);
                } else {
                    self.sent += offered / 10;
                    self.came += taken.min(offered) / 10;
                    self.bytes += self.length / 10 * taken.min(offered);
                }
                let Some(number) = self.health.report(Instant::from_micros(1_000 * self.ms), self.sent) else {
                    continue;
                };
                self.told = self.told.max(self.came + self.late * taken.min(offered) / 1_000);
                match self.health.on_answer(Answer { number, came: self.told, bytes: self.bytes }) {
                    Verdict::Well => {}
                    Verdict::Doubtful => self.doubts += 1,
                    Verdict::Changed => self.changes.push((self.ms, self.health.shuns_datagrams())),
                }
            }
        }
    }

    #[test]
    fn a_policed_path_is_left_within_five_seconds_and_found_again_within_a_minute() {
        let mut bench = Bench::new();
        bench.run(30, 1_000, 1_000, 900);
        assert_eq!(bench.changes, []);
        bench.run(20, 1_000, 100, 900);
        assert!(matches!(bench.changes[..], [(30_000..=35_000, true)]), "{:?}", bench.changes);

        bench.run(60, 1_000, 1_000, 900);

        assert!(matches!(bench.changes[1..], [(50_000..=110_000, false)]), "{:?}", bench.changes);
    }

    #[test]
    fn a_path_that_carries_plenty_is_not_left_for_its_losses() {
        let mut bench = Bench::new();
        bench.run(30, 100_000, 60_000, 50_000);
        assert_eq!(bench.changes, []);
    }

    #[test]
    fn a_fast_flow_that_is_policed_leaves_the_path_within_three_seconds() {
        let mut bench = Bench::new();
        bench.run(10, 8_000, 8_000, 8_000);
        [(5, 1_200), (25, 200)].into_iter().for_each(|(tenths, offered)| bench.tenths(tenths, offered, 90, 8_000));
        assert!(matches!(bench.changes[..], [(10_000..=13_000, true)]), "{:?}", bench.changes);
    }

    #[test]
    fn a_path_that_carries_very_many_short_packets_is_not_left_for_its_losses() {
        let mut bench = Bench { length: 64, ..Bench::new() };
        bench.run(30, 400_000, 300_000, 250_000);
        assert_eq!(bench.changes, []);
        bench.run(20, 100_000, 60_000, 90_000);
        assert!(bench.changes.len() == 1, "{:?}", bench.changes);
    }

    /// What a flow sends first fills a queue, and the report at that time speaks of little but that.
    #[test]
    fn a_fast_flow_that_begins_with_losses_is_no_reason_to_leave_a_path() {
        let cases = [100, 650, 2_000].into_iter().flat_map(|pause| [(pause, 4_000, 4_000), (pause, 200_000, 194_000)]);
        for (pause, sent, came) in cases {
            let mut bench = Bench::new();
            let mut tell = |ms: u64, sent: u64, came: u64| {
                bench.ms += ms;
                (bench.sent, bench.came) = (bench.sent + sent, bench.came + came);
                bench.bytes += 1_000 * came;
                let number = bench.health.report(Instant::from_micros(1_000 * bench.ms), bench.sent);
                let answer = number.map(|number| Answer { number, came: bench.came, bytes: bench.bytes });
                answer.map_or(Verdict::Well, |answer| bench.health.on_answer(answer))
            };
            let mut verdicts = vec![tell(1_000, 3, 3), tell(1_000, 3, 3), tell(pause, 9_000, 6_500)];
            verdicts.extend((0..20).map(|_| tell(330, sent, came)));
            assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Well), "{pause}, {sent}: {verdicts:?}");
        }
    }

    #[test]
    fn a_path_that_stays_policed_is_tried_for_little_more_than_a_second_every_half_minute() {
        let mut bench = Bench::new();
        bench.run(10, 1_000, 1_000, 900);
        bench.run(120, 1_000, 100, 900);
        let trials: Vec<u64> = bench.changes[1..].chunks_exact(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(trials.len() >= 3 && trials.iter().all(|&ms| ms <= 1_300), "{:?}", bench.changes);
    }

    #[test]
    fn a_slow_flow_is_not_on_trial_for_longer() {
        let mut bench = Bench::new();
        bench.run(10, 40, 40, 40);
        bench.run(120, 40, 10, 40);
        let trials: Vec<u64> = bench.changes[1..].chunks_exact(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(trials.len() >= 3 && trials.iter().all(|&ms| ms <= 1_300), "{:?}", bench.changes);
    }

    #[test]
    fn what_fails_on_trial_stays_on_tcp_and_what_never_failed_does_not() {
        let mut bench = Bench::new();
        bench.run(10, 1_000, 1_000, 900);
        let now = Instant::from_micros(1_000 * bench.ms);
        assert!(bench.health.failed(now).is_none());
        bench.run(5, 1_000, 100, 900);
        assert!(bench.health.failed(now).is_some_and(|health| health.shuns_datagrams()));
        while bench.health.shuns_datagrams() {
            bench.run(1, 1_000, 1_000, 900);
        }
        let failed = bench.health.failed(Instant::from_micros(1_000 * bench.ms)).expect("it was on trial");
        bench.health = failed;
        bench.changes.clear();
        bench.run(25, 1_000, 1_000, 900);
        assert_eq!(bench.changes, []);
        bench.run(10, 1_000, 1_000, 900);
        assert!(!bench.health.shuns_datagrams());
    }

    #[test]
    fn a_path_that_nobody_uses_is_not_left_for_ever() {
        let mut bench = Bench::new();
        bench.run(10, 1_000, 1_000, 900);
        bench.run(5, 1_000, 100, 900);
        assert!(bench.health.shuns_datagrams());
        let after = |seconds: u64| Instant::from_micros(1_000 * bench.ms + 1_000_000 * seconds);
        assert!(!bench.health.relent(after(20)));
        assert!(bench.health.relent(after(31)));
        assert!(!bench.health.shuns_datagrams());
    }

    #[test]
    fn a_full_network_on_which_tcp_carries_no_more_is_left_less_and_less() {
        let mut bench = Bench::new();
        bench.run(600, 1_000, 500, 500);
        let left = bench.changes.iter().filter(|(_, shuns)| *shuns).count();
        assert!((1..=4).contains(&left), "{:?}", bench.changes);
    }

    #[test]
    fn that_nothing_arrives_is_first_a_reason_to_doubt() {
        let mut bench = Bench::new();
        bench.run(1, 1_000, 0, 900);
        assert_eq!((bench.doubts, bench.changes.len()), (1, 0));
    }

    /// A path that has become narrower while most packets are long.
    #[test]
    fn that_nothing_arrives_any_more_is_a_reason_to_doubt_within_two_seconds_and_no_loss() {
        for (offered, ahead) in [(1_000, 0), (50, 1), (50, 2), (50, 3), (50, 4), (20, 5), (10, 6)] {
            let mut bench = Bench::new();
            bench.run(10, offered, offered, 900);
            bench.tenths(ahead, offered, offered, 900);
            assert_eq!(bench.doubts, 0);

            let doubts = (0..18).any(|_| {
                bench.tenths(1, offered, 0, 900);
                bench.doubts > 0
            });

            assert!(doubts, "{offered} a second");
            assert_eq!(bench.changes, [], "{offered} a second");
        }
    }

    #[test]
    fn what_a_slow_flow_loses_is_known_within_half_a_minute_and_forgotten_when_it_is_over() {
        let mut bench = Bench::new();
        bench.run(30, 10, 10, 900);
        assert_eq!(bench.health.loss(), 0);
        for _ in 0..20 {
            bench.tenths(4, 10, 10, 900);
            bench.tenths(1, 10, 0, 900);
        }
        assert!((150..=250).contains(&bench.health.loss()), "{}", bench.health.loss());
        bench.run(10, 10, 10, 900);
        assert_eq!(bench.health.loss(), 0);
        bench.run(60, 0, 0, 900);
        assert!(bench.health.older.len() <= 16, "{}", bench.health.older.len());
    }

    /// Reports that take a longer way than datagrams find some that were sent after them.
    #[test]
    fn the_end_of_a_flow_is_no_loss_where_reports_are_slower_than_datagrams() {
        for late in [20, 100, 300] {
            let mut bench = Bench { late, ..Bench::new() };
            bench.run(1, 10, 10, 900);
            for _ in 0..3 {
                bench.run(20, 1_000, 1_000, 900);
                assert!(bench.health.loss() == 0);
                bench.run(3, 100, 100, 900);
                bench.run(10, 0, 0, 900);
            }
            assert_eq!(bench.changes, [], "{late} of them");
            bench.run(20, 1_000, 700, 900);
            assert!(matches!(bench.changes[0], (100_000..=106_000, true)), "{late}: {:?}", bench.changes);
        }
    }

    #[test]
    fn answers_to_other_reports_and_a_peer_that_counts_anew_say_nothing() {
        let mut health = Health::default();
        let number = health.report(Instant::from_micros(0), 1_000).unwrap();
        let answer = |number, came| Answer { number, came, bytes: 0 };
        assert_eq!(health.on_answer(answer(number + 1, 0)), Verdict::Well);
        assert_eq!(health.on_answer(answer(number, 900)), Verdict::Well);
        let number = health.report(Instant::from_micros(3_000_000), 2_000).unwrap();
        assert_eq!(health.on_answer(answer(number, 10)), Verdict::Well);
        assert_eq!(health.samples.len(), 1);
    }
}
