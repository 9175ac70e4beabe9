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
/// A flow of which so small a part goes on after a burst of losses is held back.
const FALL: u64 = 8;
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
        if trial.is_none() && self.starves(last) {
            return self.on_loss(last, false);
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

    /// Whether next to nothing comes since a burst was lost, as where a system sees that it is policed and keeps to the limit:
    /// then hardly anything is lost any more.
    fn starves(&self, last: Sample) -> bool {
        let Some(at) = self.samples.iter().rposition(|old| last.at.since(old.at) >= SHORTEST) else { return false };
        let burst = self.samples[at];
        let carried = rate(burst, last);
        let before = self.samples.iter().zip(self.samples.iter().skip(1)).take(at);
        let mut fallen = before.filter(|(one, next)| {
            let once = rate(**one, **next);
            once < PLENTY && once >= carried.saturating_mul(FALL) && burst.since(one).1 >= ENOUGH_ON_TRIAL
        });
        last.sent - burst.sent >= ENOUGH && fallen.next().is_some()
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
mod tests;
