//! Senders on paths that lose, and what becomes of them.

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

    /// Once datagrams were left, they were tried at least three times, never for much longer than a second.
    fn assert_short_trials(&self) {
        let trials: Vec<u64> = self.changes[1..].chunks_exact(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(trials.len() >= 3 && trials.iter().all(|&ms| ms <= 1_300), "{:?}", self.changes);
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

/// As BBR does, which finds out at which rate it is policed and sends no more.
#[test]
fn a_fast_flow_that_keeps_to_a_limit_once_it_lost_a_burst_leaves_the_path_within_three_seconds_and_a_half() {
    for ahead in 0..7 {
        let mut bench = Bench::new();
        bench.run(10, 8_000, 8_000, 8_000);
        bench.tenths(ahead, 8_000, 8_000, 8_000);
        let policed = bench.ms;
        bench.tenths(1, 2_000, 1_000, 8_000);
        bench.tenths(34, 90, 90, 8_000);
        let left = bench.changes.first().map(|&(ms, by_tcp)| (ms - policed, by_tcp));
        assert!(matches!(left, Some((0..=3_500, true))), "{:?}", bench.changes);
        bench.run(20, 8_000, 90, 8_000);
        assert_eq!(bench.changes.len(), 1);
    }
}

#[test]
fn a_flow_that_ends_with_losses_costs_a_slow_one_beside_it_one_trial_of_tcp_at_most() {
    for (at_end, beside) in [(1_000, 30), (1_000, 90), (1_000, 1_100), (1_980, 90)] {
        let mut bench = Bench::new();
        bench.run(10, 8_000, 8_000, 8_000);
        bench.tenths(1, 2_000, at_end, 8_000);
        bench.run(60, beside, beside, 8_000);
        let trial = |changes: &[(u64, bool)]| matches!(changes, [] | [(_, true), (_, false)]);
        assert!(trial(&bench.changes), "{:?}", bench.changes);
        assert!(bench.changes.is_empty() || (at_end, beside) == (1_000, 90), "{beside}: {:?}", bench.changes);
        let time = bench.changes.last().map_or(0, |last| last.0 - bench.changes[0].0);
        assert!(time <= 5_500, "{:?}", bench.changes);
    }
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
    bench.assert_short_trials();
}

#[test]
fn a_slow_flow_is_not_on_trial_for_longer() {
    let mut bench = Bench::new();
    bench.run(10, 40, 40, 40);
    bench.run(120, 40, 10, 40);
    bench.assert_short_trials();
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
