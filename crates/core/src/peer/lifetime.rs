//! `Lifetime`: how long NATs and firewalls let a peer's datagrams in while nothing goes out to it, found by trying.
//!
//! ```text
//!  a spare socket ── question ──► peer       the path of the trial, as the real one
//!       3 s later ── question ──► peer       "answer now, and once more after so many seconds"
//!                 ◄── answer ────
//!                      silence
//!                 ◄── answer ────            it came: so long a silence is harmless, and a longer one is tried
//! ```
//!
//! The real path is not put at risk. What is not known for certain counts as forgotten: intervals are half of the longest
//! silence that did no harm. Source: RFC 4787, REQ-5 and 6; docs/protocol.md, "Keep-alives".

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::time::Duration;

use crate::crypto::rng::Rng;
use crate::dataplane::fib::UdpTarget;
use crate::peer::asked::Mark;
use crate::punch::memory::Silences;
use crate::time::Instant;

/// Silences that are tried, one after the other, in seconds.
const STEPS: [u64; 6] = [10, 20, 40, 80, 160, 240];
/// The shortest interval, and the longest, in seconds.
const LEAST: u64 = 5;
const MOST: u64 = 120;
/// A path is tried once it has worked for so long: a node that has just started may need the router's ports for better things.
const SETTLED: Duration = Duration::from_secs(20);
/// Some firewalls let in answers for longer once they came and went for a while (Linux: 2 s).
const WARM: Duration = Duration::from_secs(3);
/// Questions that are put until one is answered, and their distance.
const TRIES: u8 = 4;
const PACE: Duration = Duration::from_secs(1);
/// An answer that should come late may come so much later, or sooner.
const GRACE: Duration = Duration::from_secs(3);
const HASTE: Duration = Duration::from_millis(500);
/// Who looks later than this for an answer was asleep, and knows nothing.
const ASLEEP: Duration = Duration::from_secs(10);
/// A silence did harm when so many trials say so: datagrams are lost for other reasons too.
const MISSES: u8 = 2;
/// What was found is tried again after so long, and after so long what could not be tried.
const AGAIN: Duration = Duration::from_secs(3_600);
const LATER: Duration = Duration::from_secs(600);
/// Where too many paths are tried at a time the others ask again after so long.
const TURN: Duration = Duration::from_secs(15);

/// What is known of one path, and the trial under way.
#[derive(Debug, Default)]
pub struct Lifetime {
    /// The longest silence that did no harm, in seconds; 0: none was tried.
    stood: u64,
    /// The shortest that did.
    fell: Option<u64>,
    /// How often the one that is tried now did.
    misses: u8,
    /// Whether the shortest that did is tried once more, as routers are replaced by better ones too.
    again: bool,
    /// Since when the path works.
    since: Option<Instant>,
    /// No trial before.
    not_before: Instant,
    trial: Option<Trial>,
    /// After a path was lost in a silence: no longer interval, until when.
    cap: Option<(Duration, Instant)>,
    /// What that will be if the path is lost now, also where shorter ones than usual were needed.
    risk: Option<(Duration, Instant)>,
    /// The interval that the peer was told.
    pub told: Option<Duration>,
}

#[derive(Debug)]
struct Trial {
    /// From which socket to where.
    target: UdpTarget,
    /// The port of the socket; 0: not open yet.
    port: u16,
    mark: Mark,
    stage: Stage,
    next: Instant,
    tries: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was answered yet.
    Knocking,
    /// The flow must grow old until the next thing happens.
    Warming,
    /// So many seconds of silence were ordered.
    Ordering(u64),
    /// And confirmed; since when nothing went out.
    Silent(u64, Instant),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing now.
    Nothing,
    /// A socket is needed for a trial: [`Lifetime::begin`].
    Open,
    /// The peer is to write to that port of this node's address, and to answer a question from the socket.
    Knock {
        /// From which socket the question goes to where.
        target: UdpTarget,
        /// The socket's port.
        port: u16,
        /// What the answer is told apart by.
        mark: Mark,
    },
    /// It is to answer a question from the socket now, and after so many seconds.
    Order {
        /// From which socket the question goes to where.
        target: UdpTarget,
        /// The seconds.
        seconds: u64,
        /// What both answers are told apart by.
        mark: Mark,
    },
    /// The trial is over.
    Close,
}

/// What is known, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The longest silence that did no harm, in seconds; 0: none was tried.
    pub stood: u64,
    /// The shortest that did.
    pub fell: Option<u64>,
    /// Whether longer ones are still to be tried.
    pub learning: bool,
}

impl Lifetime {
    /// What is known.
    pub fn known(&self) -> Known {
        Known { stood: self.stood, fell: self.fell, learning: self.next().is_some() }
    }

    /// How long the path may be silent, in whole seconds; `base` is what all paths begin with.
    pub fn interval(&self, now: Instant, base: Duration) -> Duration {
        let half = self.stood / 2;
        let found = match self.fell {
            Some(_) => Duration::from_secs(half.clamp(LEAST, MOST)),
            None => Duration::from_secs(half.min(MOST)).max(base),
        };
        let cap = self.cap.filter(|&(_, until)| now < until).map_or(found, |(cap, _)| cap);
        found.min(cap)
    }

    /// The path is another one, or may be: what was known does not count, but that short silences were needed. If a long one was
    /// allowed, that may be why.
    pub fn forget(&mut self) {
        *self = Self { told: self.told, cap: self.risk.or(self.cap), ..Self::default() };
    }

    /// This machine may be in another network, where nothing of this holds.
    pub fn forget_network(&mut self) {
        *self = Self { told: self.told, ..Self::default() };
    }

    /// What silences did to this path.
    pub const fn silences(&self) -> Silences {
        Silences { stood: self.stood, fell: self.fell }
    }

    /// What they did when this machine was here before holds again, where nothing else is known; the longest is tried anew soon.
    /// That a path was lost in a long one still counts.
    pub fn recall(&mut self, silences: Silences) {
        if self.silences() == Silences::default() && silences.stood > 0 {
            let Self { told, cap, risk, .. } = *self;
            *self = Self { stood: silences.stood, fell: silences.fell, told, cap, risk, ..Self::default() };
        }
    }

    /// Both ends leave the path silent for so long from now on.
    pub fn note_interval(&mut self, now: Instant, interval: Duration, base: Duration) {
        self.risk = match interval.cmp(&base) {
            Ordering::Greater => Some(((interval / 2).max(base), now + AGAIN)),
            // Where short ones are needed, a path is lost for one that was delayed, and needs them again.
            Ordering::Less => Some((interval, now + AGAIN)),
            Ordering::Equal => None,
        };
    }

    /// The socket of the trial under way.
    pub fn socket(&self) -> Option<u16> {
        self.trial.as_ref().map(|trial| trial.target.socket)
    }

    /// A socket was asked for, to write to the peer from there.
    pub fn begin(&mut self, now: Instant, target: UdpTarget) {
        let next = now + PACE * TRIES.into();
        self.trial = Some(Trial { target, port: 0, mark: Mark::default(), stage: Stage::Knocking, next, tries: 0 });
    }

    /// No socket could be had, or it is gone.
    pub fn give_up(&mut self, now: Instant) {
        self.trial = None;
        self.not_before = now + LATER;
    }

    /// Others are being tried.
    pub fn wait(&mut self, now: Instant) {
        self.not_before = now + TURN;
    }

    /// The socket is open.
    pub fn on_opened(&mut self, now: Instant, port: u16) {
        if let Some(trial) = &mut self.trial {
            (trial.port, trial.next) = (port, now);
        }
    }

    /// The silence to be tried next, in seconds: a longer one, or one between the longest that stood and the shortest that
    /// fell.
    fn next(&self) -> Option<u64> {
        match self.fell {
            None => STEPS.into_iter().find(|&step| step > self.stood),
            Some(fell) if self.again => Some(fell),
            Some(fell) if self.stood > 0 && 2 * fell > 3 * self.stood => Some((self.stood * fell).isqrt()),
            Some(_) => None,
        }
    }

    /// The path works: what is to be done now?
    pub fn tick(&mut self, now: Instant, rng: &mut Rng) -> Step {
        let since = *self.since.get_or_insert(now);
        // Once all is known the longest is tried again, as routers are replaced.
        let seconds = self.next().unwrap_or_else(|| self.stood.max(STEPS[0]));
        let Some(trial) = &mut self.trial else {
            let due = now.since(since) >= SETTLED && now >= self.not_before;
            return if due { Step::Open } else { Step::Nothing };
        };
        if now < trial.next {
            return Step::Nothing;
        }
        let (target, port) = (trial.target, trial.port);
        match trial.stage {
            Stage::Knocking | Stage::Ordering(_) if port == 0 || trial.tries >= TRIES => {
                self.give_up(now);
                Step::Close
            }
            Stage::Knocking => {
                trial.ask(now, rng);
                Step::Knock { target, port, mark: trial.mark }
            }
            Stage::Warming | Stage::Ordering(_) => {
                if trial.stage == Stage::Warming {
                    trial.tries = 0;
                }
                trial.ask(now, rng);
                trial.stage = Stage::Ordering(seconds);
                Step::Order { target, seconds, mark: trial.mark }
            }
            Stage::Silent(..) if now.since(trial.next) > ASLEEP => {
                self.trial = None;
                Step::Close
            }
            Stage::Silent(silence, _) => self.on_missed(now, silence),
        }
    }

    /// An answer came to the socket of the trial. A NAT may have given the peer another port for it, at which to ask then.
    pub fn on_answer(&mut self, now: Instant, mark: Mark, from: SocketAddr) -> Step {
        let Some(trial) = &mut self.trial else { return Step::Nothing };
        if trial.stage == Stage::Knocking {
            trial.target.to = from;
        }
        if trial.mark != mark {
            return Step::Nothing;
        }
        match trial.stage {
            Stage::Knocking => {
                (trial.stage, trial.next) = (Stage::Warming, now + WARM);
                Step::Nothing
            }
            Stage::Ordering(seconds) => {
                let silence = Duration::from_secs(seconds);
                trial.stage = Stage::Silent(seconds, now);
                trial.next = now + silence + GRACE;
                Step::Nothing
            }
            Stage::Silent(seconds, since) if now.since(since) + HASTE >= Duration::from_secs(seconds) => {
                self.on_stood(now, seconds)
            }
            Stage::Warming | Stage::Silent(..) => Step::Nothing,
        }
    }

    fn on_stood(&mut self, now: Instant, seconds: u64) -> Step {
        let known = seconds <= self.stood;
        self.stood = self.stood.max(seconds);
        self.fell = self.fell.filter(|&fell| fell > self.stood);
        self.again = known && self.fell.is_some();
        self.misses = 0;
        self.go_on(now, Stage::Warming)
    }

    fn on_missed(&mut self, now: Instant, seconds: u64) -> Step {
        self.misses += 1;
        if self.misses >= MISSES {
            (self.misses, self.again) = (0, false);
            if seconds <= self.stood {
                // It stood before: the network has changed.
                (self.stood, self.fell) = (0, None);
            } else {
                self.fell = Some(seconds);
            }
        }
        self.go_on(now, Stage::Knocking)
    }

    /// Another silence with the same socket, if there is more to find out.
    fn go_on(&mut self, now: Instant, stage: Stage) -> Step {
        let more = self.next().is_some() || self.misses > 0;
        match &mut self.trial {
            Some(trial) if more => {
                (trial.stage, trial.next, trial.tries) = (stage, now, 0);
                Step::Nothing
            }
            Some(_) | None => {
                self.trial = None;
                self.not_before = now + AGAIN;
                Step::Close
            }
        }
    }
}

impl Trial {
    fn ask(&mut self, now: Instant, rng: &mut Rng) {
        self.tries += 1;
        self.next = now + PACE;
        self.mark = rng.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn target() -> UdpTarget {
        UdpTarget { to: ([192, 0, 2, 1], 655).into(), socket: 7 }
    }

    /// What trials of a path find out whose NAT forgets after so many seconds; every `lossy`th late answer is lost.
    struct Path {
        lifetime: Lifetime,
        rng: Rng,
        forgets: u64,
        lossy: u64,
        late: Option<(u64, u64, Mark)>,
        answers: u64,
        asked: u64,
    }

    impl Path {
        fn new(forgets: u64, lossy: u64) -> Self {
            let rng = Rng::from_seed([1; 32]);
            Self { lifetime: Lifetime::default(), rng, forgets, lossy, late: None, answers: 0, asked: 0 }
        }

        fn run(&mut self, seconds: std::ops::Range<u64>) -> &Self {
            for second in seconds {
                if let Some((due, silence, mark)) = self.late.filter(|&(due, ..)| due <= second) {
                    self.late = None;
                    self.answers += 1;
                    if silence < self.forgets && !self.answers.is_multiple_of(self.lossy) {
                        self.lifetime.on_answer(at(due), mark, target().to);
                    }
                }
                match self.lifetime.tick(at(second), &mut self.rng) {
                    Step::Nothing | Step::Close => {}
                    Step::Open => {
                        self.lifetime.begin(at(second), target());
                        self.lifetime.on_opened(at(second), 4_000);
                    }
                    Step::Knock { mark, .. } => {
                        self.asked += 1;
                        self.lifetime.on_answer(at(second), mark, target().to);
                    }
                    Step::Order { seconds, mark, .. } => {
                        self.asked += 1;
                        self.late = Some((second + seconds, seconds, mark));
                        self.lifetime.on_answer(at(second), mark, target().to);
                    }
                }
            }
            self
        }

        fn interval(&self, second: u64) -> u64 {
            self.lifetime.interval(at(second), BASE).as_secs()
        }
    }

    #[test]
    fn intervals_are_half_of_what_stood_and_below_what_fell() {
        for (forgets, interval) in
            [(4, 5), (8, 5), (12, 5), (15, 7), (20, 7), (25, 10), (30, 14), (60, 28), (120, 56), (180, 80), (300, 120)]
        {
            let mut path = Path::new(forgets, u64::MAX);
            path.run(0..1_500);
            assert_eq!(path.interval(1_500), interval, "{forgets}");
            assert!(interval == LEAST || 2 * interval < forgets, "{forgets}");
            assert!(!path.lifetime.known().learning && path.lifetime.socket().is_none());
            assert!(path.asked < 40, "{forgets}: {}", path.asked);
        }
    }

    #[test]
    fn an_interval_is_never_longer_than_half_of_what_was_tried_before() {
        let mut path = Path::new(300, u64::MAX);
        for second in 0..1_000 {
            path.run(second..second + 1);
            assert!(path.interval(second) <= BASE.as_secs().max(second / 2));
        }
    }

    #[test]
    fn one_answer_that_was_lost_is_not_believed() {
        assert_eq!(Path::new(300, 3).run(0..2_000).interval(2_000), 120);
    }

    #[test]
    fn a_router_that_was_replaced_is_found_out_within_the_hour() {
        let mut path = Path::new(300, u64::MAX);
        assert_eq!(path.run(0..2_000).interval(2_000), 120);
        path.forgets = 30;
        assert_eq!(path.run(2_000..6_500).interval(6_500), 14);
    }

    #[test]
    fn a_router_that_was_replaced_by_a_better_one_is_found_out_too() {
        let mut path = Path::new(30, u64::MAX);
        assert_eq!(path.run(0..2_000).interval(2_000), 14);
        assert_eq!(path.run(2_000..9_000).interval(9_000), 14, "what fell falls again");
        assert!(!path.lifetime.known().learning && path.asked < 60, "{}", path.asked);
        path.forgets = 300;
        assert_eq!(path.run(9_000..14_000).interval(14_000), 120);
    }

    #[test]
    fn without_answers_all_stays_as_it_was() {
        let (mut lifetime, mut rng, mut asked) = (Lifetime::default(), Rng::from_seed([1; 32]), 0);
        for second in 0..1_200 {
            match lifetime.tick(at(second), &mut rng) {
                Step::Open => lifetime.begin(at(second), target()),
                Step::Knock { .. } => asked += 1,
                Step::Order { .. } => unreachable!("nothing was answered"),
                Step::Nothing | Step::Close => {}
            }
            if second % 2 == 0 && lifetime.socket().is_some() && second < 600 {
                lifetime.on_opened(at(second), 4_000);
            }
        }
        assert_eq!(asked, u32::from(TRIES), "and a socket that does not open is given up too");
        assert_eq!(lifetime.interval(at(1_200), BASE), BASE);
    }

    #[test]
    fn a_path_lost_in_a_silence_gets_shorter_ones() {
        let mut path = Path::new(300, u64::MAX);
        path.run(0..2_000);
        path.lifetime.note_interval(at(2_000), Duration::from_secs(120), BASE);
        path.lifetime.forget();
        assert_eq!(path.interval(2_000), 10);
        assert_eq!(path.run(2_000..3_000).interval(3_000), 60);
        assert_eq!(path.interval(5_601), 120, "for an hour");
        path.lifetime.forget_network();
        assert_eq!(path.interval(5_601), 10);
    }

    #[test]
    fn what_is_recalled_does_not_undo_that_a_path_was_lost_in_a_silence() {
        let mut path = Path::new(300, u64::MAX);
        path.run(0..2_000);
        let silences = path.lifetime.silences();
        path.lifetime.note_interval(at(2_000), Duration::from_secs(120), BASE);
        path.lifetime.forget();
        path.lifetime.recall(silences);
        assert_eq!(path.interval(2_001), 60);
        path.lifetime.forget_network();
        path.lifetime.recall(silences);
        assert_eq!(path.interval(2_001), 120, "in another network that is no reason");
    }

    #[test]
    fn a_path_that_needs_short_silences_gets_them_also_after_it_was_lost() {
        let mut path = Path::new(8, u64::MAX);
        path.run(0..200);
        assert_eq!(path.interval(200), 5);
        path.lifetime.note_interval(at(200), Duration::from_secs(5), BASE);
        path.lifetime.forget();
        assert_eq!((path.interval(201), path.interval(3_799)), (5, 5));
        assert_eq!(path.interval(3_801), 10, "after an hour it is found out again");
    }

    #[test]
    fn whoever_slept_draws_no_conclusion() {
        let mut path = Path::new(300, u64::MAX);
        path.run(0..40);
        assert!(matches!(path.lifetime.trial.as_ref().unwrap().stage, Stage::Silent(20, _)));
        assert_eq!(path.lifetime.tick(at(4_000), &mut path.rng), Step::Close);
        assert_eq!(path.lifetime.known(), Known { stood: 10, fell: None, learning: true });
    }
}
