use proptest::prelude::*;
use serde_json::Value;

use super::*;

const VECTORS: &str = include_str!("../../../tests/golden/vectors/mtu_probes.json");

fn vectors(list: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    all[list].as_array().unwrap().clone()
}

fn number(value: &Value) -> u16 {
    u16::try_from(value.as_u64().unwrap()).unwrap()
}

/// A tunnel on an invented path, looked after like a real one.
struct Bench {
    pmtu: Pmtu,
    now: Instant,
    path: u16,
    initial: Option<u16>,
    search: Search,
}

impl Bench {
    /// A tunnel over a path that takes `path` bytes, of which the system believes `initial`.
    fn new(path: u16, initial: Option<u16>) -> Self {
        Self { pmtu: Pmtu::new(), now: Instant::ZERO, path, initial, search: Search::AsTinc }
    }

    /// The same towards a node of tinmesh, with so long a round trip.
    fn halving(path: u16, initial: Option<u16>, rtt: Duration) -> Self {
        Self { search: Search::Halving(Some(rtt)), ..Self::new(path, initial) }
    }

    fn tick(&mut self) -> Vec<u16> {
        self.pmtu.on_tick(self.now, true, self.initial, self.search)
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// One turn on a path that answers at once; gives what was probed and whether it arrived.
    fn turn(&mut self) -> Vec<(u16, bool)> {
        let probed: Vec<(u16, bool)> = self.tick().into_iter().map(|size| (size, size <= self.path)).collect();
        for &(size, _) in probed.iter().filter(|(_, arrived)| *arrived) {
            self.pmtu.on_reply(self.now, size);
        }
        if probed.is_empty() {
            self.wait(PROBE_TIMEOUT);
        }
        probed
    }

    /// Looks after the tunnel until its size is fixed; gives the time that took.
    fn run_until_fixed(&mut self) -> Duration {
        let start = self.now;
        while self.pmtu.is_searching() {
            assert!(self.now.since(start) < Duration::from_secs(30), "no end: {:?}", self.pmtu);
            self.turn();
        }
        self.now.since(start)
    }

    fn fixed(path: u16) -> Self {
        let mut bench = Self::new(path, Some(path));
        bench.run_until_fixed();
        bench
    }
}

#[test]
fn sizes_are_those_of_tinc() {
    for vector in vectors("sizes") {
        let [min, max, probes] = ["minmtu", "maxmtu", "mtuprobes"].map(|field| number(&vector[field]));
        let size = probe_size(min, max, u8::try_from(probes).unwrap());
        assert_eq!(size, number(&vector["probe_size"]), "{vector}");
    }
}

#[test]
fn the_first_twenty_probes_are_those_of_tinc() {
    for vector in vectors("simulations") {
        let mut bench = Bench::new(number(&vector["path_accepts_up_to"]), Some(number(&vector["initial_maxmtu"])));
        let expected: Vec<(u16, bool)> = vector["probes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|probe| (number(&probe[0]), probe[1].as_bool().unwrap()))
            .collect();
        let mut probed = Vec::new();
        while probed.len() < expected.len() {
            probed.extend(bench.turn());
        }
        assert_eq!(probed, expected);
        assert_eq!(bench.pmtu.min(), number(&vector["fixed_mtu"]), "{vector}");
    }
}

#[test]
fn the_result_is_exact_where_that_of_tinc_is_a_little_short() {
    for vector in vectors("simulations") {
        let (path, initial) = (number(&vector["path_accepts_up_to"]), number(&vector["initial_maxmtu"]));
        let mut bench = Bench::new(path, Some(initial));
        bench.pmtu.on_reply(bench.now, MIN_PROBE);
        let time = bench.run_until_fixed();
        let found = (bench.pmtu.min(), bench.pmtu.max(), bench.pmtu.mtu());
        let exact = if path > SMALLEST { path.min(initial) } else { MIN_PROBE };
        assert_eq!(found, (exact, exact, exact), "{vector}");
        assert!(time < Duration::from_secs(8), "{path} of {initial} took {time:?}");
    }
}

#[test]
fn one_probe_is_enough_if_the_system_knows_the_path() {
    let mut bench = Bench::new(1439, Some(1439));
    assert_eq!(bench.turn(), [(1439, true)]);
    assert!(!bench.pmtu.is_searching());
    assert_eq!(bench.now, Instant::ZERO);
}

#[test]
fn the_next_probe_goes_out_with_the_answer_or_after_a_third_of_a_second() {
    let mut bench = Bench::new(1330, None);
    assert_eq!(bench.tick(), [1330]);
    bench.wait(PROBE_TIMEOUT - Duration::from_micros(1));
    assert_eq!(bench.tick(), [0; 0]);
    bench.pmtu.on_reply(bench.now, 1330);
    assert_eq!(bench.tick(), [1408]);
    bench.wait(PROBE_TIMEOUT);
    assert_eq!(bench.tick(), [1368]);
}

#[test]
fn nothing_is_probed_before_udp_is_confirmed() {
    let mut bench = Bench::fixed(1439);
    assert_eq!(bench.pmtu.on_tick(bench.now, false, None, Search::AsTinc), [0; 0]);
    assert_eq!((bench.pmtu.min(), bench.pmtu.max(), bench.pmtu.mtu()), (0, 1518, 1439));
    assert!(bench.pmtu.is_searching());
}

#[test]
fn a_fixed_size_is_verified_every_minute() {
    let mut bench = Bench::fixed(1439);
    bench.wait(VERIFY_INTERVAL - Duration::from_micros(1));
    assert_eq!(bench.turn(), []);
    assert_eq!(bench.turn(), [(1439, true), (1440, false)]);
    assert_eq!(bench.pmtu.phase, Phase::Fixed);
    bench.wait(REPEAT_INTERVAL);
    assert_eq!(bench.turn(), []);
}

#[test]
fn the_largest_size_is_verified_alone() {
    let mut bench = Bench::fixed(1518);
    bench.wait(VERIFY_INTERVAL);
    assert_eq!(bench.tick(), [1518]);
}

#[test]
fn three_lost_verifications_start_the_search_again() {
    let mut bench = Bench::fixed(1439);
    bench.path = 1000;
    bench.wait(VERIFY_INTERVAL);
    for expected in [&[1439, 1440][..], &[1439], &[1439]] {
        assert_eq!(bench.tick(), expected);
        assert_eq!(bench.pmtu.min(), 1439);
        bench.wait(REPEAT_INTERVAL);
    }
    assert_eq!(bench.turn(), [(1439, false)]);
    assert_eq!(bench.pmtu.min(), 0);
    bench.run_until_fixed();
    assert_eq!(bench.pmtu.min(), 1000);
}

#[test]
fn a_path_that_takes_more_is_noticed() {
    let mut bench = Bench::fixed(1300);
    bench.path = 1439;
    bench.initial = Some(1439);
    bench.wait(VERIFY_INTERVAL);
    bench.turn();
    assert!(bench.pmtu.is_searching());
    bench.run_until_fixed();
    assert_eq!(bench.pmtu.min(), 1439);
}

#[test]
fn no_reply_promises_more_than_can_be_sent() {
    let mut bench = Bench::new(1518, None);
    bench.tick();
    bench.pmtu.on_reply(bench.now, u16::MAX);
    assert_eq!((bench.pmtu.min(), bench.pmtu.max()), (1518, 1518));
}

#[test]
fn a_size_that_the_system_refuses_is_replaced_at_once() {
    let mut bench = Bench::new(1200, Some(1439));
    assert_eq!(bench.tick(), [1439]);
    bench.pmtu.on_too_big(1439);
    assert_eq!(bench.tick(), [1438]);
    bench.pmtu.on_too_big(1438);
    assert_eq!((bench.pmtu.max(), bench.pmtu.mtu()), (1437, 1437));
    bench.run_until_fixed();
    assert_eq!(bench.pmtu.min(), 1200);
}

/// The system believes more than it sends, as with IPsec.
#[test]
fn what_the_system_refused_is_not_tried_again_though_it_still_believes_in_it() {
    let mut bench = Bench::halving(1000, Some(1439), Duration::from_millis(20));
    bench.run_until_fixed();
    bench.pmtu.on_reply(bench.now, 1100);
    let mut refused = Vec::new();
    while bench.pmtu.is_searching() {
        let sizes = bench.tick();
        if sizes.is_empty() {
            bench.wait(PROBE_TIMEOUT);
        }
        for size in sizes {
            if size <= 1300 {
                bench.pmtu.on_reply(bench.now, size);
            } else {
                assert!(!refused.contains(&size), "{size} again");
                refused.push(size);
                bench.pmtu.on_too_big(size);
            }
        }
    }
    assert_eq!(bench.pmtu.min(), 1300);
}

#[test]
fn a_refused_verification_of_more_changes_nothing() {
    let mut bench = Bench::fixed(1439);
    bench.wait(VERIFY_INTERVAL);
    assert_eq!(bench.tick(), [1439, 1440]);
    bench.pmtu.on_too_big(1440);
    assert_eq!((bench.pmtu.min(), bench.pmtu.max(), bench.pmtu.mtu()), (1439, 1439, 1439));
    assert!(!bench.pmtu.is_searching());
}

#[test]
fn data_that_the_system_refuses_starts_the_search_again() {
    let mut bench = Bench::fixed(1439);
    bench.pmtu.on_too_big(1400);
    assert_eq!((bench.pmtu.min(), bench.pmtu.mtu()), (0, 1399));
    bench.path = 1219;
    bench.initial = Some(1219);
    bench.run_until_fixed();
    assert_eq!((bench.pmtu.min(), bench.pmtu.mtu()), (1219, 1219));
}

#[test]
fn the_limit_of_the_system_is_never_below_512() {
    let mut bench = Bench::new(600, None);
    bench.tick();
    bench.pmtu.on_too_big(0);
    assert_eq!((bench.pmtu.max(), bench.pmtu.mtu()), (512, 512));
}

/// Probes and time until less than eight bytes are in doubt, after a path has become narrower without a word.
fn closes_in(path: u16) -> (usize, Duration) {
    let mut bench = Bench::new(1439, Some(1439));
    bench.run_until_fixed();
    bench.path = path;
    let start = bench.now;
    bench.pmtu.on_hole(bench.now, Duration::from_millis(100));
    let mut sizes = Vec::new();
    while bench.pmtu.believed() - bench.pmtu.min() >= 8 {
        let probed = bench.turn();
        sizes.extend(probed.iter().map(|(size, _)| *size));
    }
    (sizes.len(), bench.now.since(start))
}

#[test]
fn eight_probes_find_the_size_of_a_black_hole_within_eight_bytes() {
    for path in [515, 600, 1219, 1280, 1300, 1438] {
        let (probes, time) = closes_in(path);
        assert!(probes <= 8 && time <= Duration::from_secs(5), "{path}: {probes} probes in {time:?}");
    }
}

#[test]
fn eight_probes_of_a_new_path_find_its_size_within_eight_bytes() {
    for path in 512..=1_439 {
        let mut bench = Bench::halving(path, Some(1_439), Duration::from_millis(100));
        bench.pmtu.on_reply(bench.now, MIN_PROBE);
        let mut probes = 0;
        while bench.pmtu.is_searching() && probes < 8 {
            probes += bench.turn().len();
        }
        let error = path.checked_sub(bench.pmtu.min());
        assert!(error.is_some_and(|error| error < 8), "{path}: {error:?} after {probes} probes");
        assert!(bench.now.since(Instant::ZERO) <= Duration::from_secs(3), "{path}: {:?}", bench.now);
        bench.run_until_fixed();
        assert_eq!((bench.pmtu.min(), bench.pmtu.max()), (path, path));
    }
}

#[test]
fn halving_finds_what_is_too_narrow_for_the_first_range_too() {
    for (path, initial) in [(100, Some(1_439)), (480, None), (511, Some(511)), (1_517, None)] {
        let mut bench = Bench::halving(path, initial, Duration::from_millis(100));
        bench.pmtu.on_reply(bench.now, MIN_PROBE);
        bench.run_until_fixed();
        assert_eq!(bench.pmtu.min(), path, "{initial:?}");
    }
}

#[test]
fn a_lost_probe_is_made_up_for_at_once() {
    for lost in 1..8 {
        let mut bench = Bench::halving(1_300, Some(1_439), Duration::from_millis(20));
        let path = bench.path;
        for turn in 0..60 {
            bench.path = if turn == lost { 0 } else { path };
            bench.turn();
        }
        assert_eq!((bench.pmtu.min(), bench.pmtu.max()), (1_300, 1_300), "{lost}");
    }
}

#[test]
fn a_lost_first_probe_costs_a_few_more() {
    let mut bench = Bench::halving(1_439, Some(1_439), Duration::from_millis(100));
    bench.pmtu.on_reply(bench.now, MIN_PROBE);
    assert_eq!(bench.tick(), [1_439]);
    bench.wait(PROBE_TIMEOUT);
    while bench.pmtu.min() < 1_439 || bench.pmtu.is_searching() {
        bench.turn();
    }
    assert!(bench.now.since(Instant::ZERO) < 2 * PROBE_TIMEOUT, "{:?}", bench.now);
}

#[test]
fn a_path_that_grew_to_what_the_system_believes_is_known_after_one_more_probe() {
    let mut bench = Bench::halving(1_300, Some(1_439), Duration::from_millis(100));
    bench.run_until_fixed();
    bench.path = 1_439;
    bench.wait(VERIFY_INTERVAL);
    assert_eq!(bench.turn(), [(1_300, true), (1_301, true)]);
    assert_eq!(bench.turn(), [(1_439, true)]);
    assert_eq!((bench.pmtu.min(), bench.pmtu.max()), (1_439, 1_439));
}

#[test]
fn what_a_peer_received_before_a_path_became_narrower_says_nothing() {
    let mut bench = Bench::new(1439, Some(1439));
    bench.run_until_fixed();
    bench.path = 1239;
    bench.pmtu.on_hole(bench.now, Duration::from_millis(100));
    bench.run_until_fixed();
    bench.pmtu.on_told(bench.now, 1400);
    assert_eq!((bench.pmtu.min(), bench.pmtu.max()), (1239, 1239));

    bench.wait(STALE);
    bench.pmtu.on_told(bench.now, 1400);

    assert_eq!(bench.pmtu.min(), 1400);
}

/// Probes find what they found before, as the path is narrow only while data loads it.
#[test]
fn what_data_does_not_arrive_with_is_not_believed_whatever_probes_say() {
    let mut bench = Bench::halving(1_439, Some(1_439), Duration::from_millis(20));
    bench.run_until_fixed();
    let mut found = Vec::new();
    for _ in 0..3 {
        assert!(bench.pmtu.on_hole(bench.now, Duration::from_millis(20)));
        bench.run_until_fixed();
        bench.pmtu.on_reply(bench.now, 1_439);
        found.push(bench.pmtu.min());
    }
    assert_eq!(found, [1_438, 1_006, 508]);
    assert!(!bench.pmtu.on_hole(bench.now, Duration::from_millis(20)), "it is not for the size");
    assert_eq!(bench.pmtu.min(), 508);

    bench.wait(Duration::from_secs(30));
    assert_eq!(bench.turn(), [(508, true), (513, true)]);
    bench.run_until_fixed();
    assert_eq!(bench.pmtu.min(), 1_439, "half a minute later");

    assert!(bench.pmtu.on_hole(bench.now, Duration::from_millis(20)));
    bench.run_until_fixed();
    assert_eq!(bench.pmtu.min(), 508, "at once");
    bench.wait(Duration::from_secs(59));
    assert_eq!(bench.turn(), [], "for twice as long");
    bench.wait(Duration::from_secs(1));
    bench.turn();
    bench.run_until_fixed();
    assert_eq!(bench.pmtu.min(), 1_439);
}

proptest! {
    #[test]
    fn the_mtu_of_the_path_is_found_even_if_probes_get_lost_or_late(
        path in 513u16..=1518,
        guess in prop::option::of(513u16..=1518),
        loss in 0u32..25,
        delay in 0u64..320_000,
        rtt in prop::option::of(0u64..400),
        seed: u64,
    ) {
        let mut bench = Bench::new(path, guess.filter(|&guess| guess >= path));
        if let Some(rtt) = rtt {
            bench.search = Search::Halving(Some(rtt).filter(|&rtt| rtt > 0).map(Duration::from_millis));
        }
        let mut random = seed | 1;
        let mut answers: Vec<(Instant, u16)> = Vec::new();
        let deadline = Instant::ZERO + Duration::from_secs(3600);
        let mut settled = 0;
        // Verification mends what loss spoilt: the size counts when it stays for two of them.
        while settled < 3 {
            prop_assert!(bench.now < deadline, "no end: {:?}", bench.pmtu);
            let fixed_before = bench.pmtu.phase == Phase::Fixed;
            for size in bench.tick() {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                if size <= path && u32::try_from(random % 100).unwrap() >= loss {
                    answers.push((bench.now + Duration::from_micros(delay), size));
                }
            }
            if fixed_before && bench.pmtu.phase != Phase::Fixed {
                settled = if bench.pmtu.min() == path { settled + 1 } else { 0 };
            }
            bench.wait(Duration::from_micros(50_000));
            let now = bench.now;
            answers.retain(|&(at, size)| {
                if at <= now {
                    bench.pmtu.on_reply(now, size);
                }
                at > now
            });
        }
        prop_assert_eq!((bench.pmtu.min(), bench.pmtu.mtu()), (path, path));
    }

    #[test]
    fn no_order_of_events_breaks_the_bounds(
        events in prop::collection::vec((0u8..7, any::<u16>(), 0u64..70_000_000), 0..200),
        halves: bool,
    ) {
        let search = if halves { Search::Halving(Some(Duration::from_millis(50))) } else { Search::AsTinc };
        let mut pmtu = Pmtu::new();
        let mut now = Instant::ZERO;
        for (event, value, wait) in events {
            now = now + Duration::from_micros(wait);
            match event {
                0 => pmtu.on_reply(now, value),
                1 => pmtu.on_reply(now, value % 1600),
                2 => pmtu.on_too_big(value),
                5 => pmtu.on_told(now, value % 1600),
                6 => _ = pmtu.on_hole(now, Duration::from_millis(u64::from(value % 500))),
                _ => {
                    let initial = Some(value % 2000).filter(|_| value % 3 != 0);
                    for size in pmtu.on_tick(now, event == 3 || value % 8 != 0, initial, search) {
                        prop_assert!((MIN_PROBE..=MAX_PROBE).contains(&size) || size == pmtu.max());
                    }
                }
            }
            prop_assert!(pmtu.max() <= MAX_PROBE && pmtu.mtu() <= MAX_PROBE && pmtu.min() <= MAX_PROBE);
            prop_assert!(pmtu.is_searching() || pmtu.min() == pmtu.max(), "{:?}", pmtu);
        }
    }
}
