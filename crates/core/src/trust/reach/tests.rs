use fides::{About, Claim, Sign};
use proptest::prelude::*;

use super::*;
use crate::crypto::keys::SecretKey;
use crate::trust::{TrustConfig, key, secret_key};

const NOW_MS: u64 = 1_800_000_000_000;

fn words(text: &str) -> Vec<Word> {
    text.split_whitespace().map(topics::word).collect()
}

#[test]
fn a_scope_covers_what_is_narrower() {
    for (wide, narrow) in [
        ("", "servers tcp 22"),
        ("servers", "servers"),
        ("servers", "servers udp 1-9"),
        ("servers any", "servers icmp"),
        ("servers tcp", "servers tcp 80"),
        ("servers tcp 1-100", "servers tcp 80-100"),
        ("servers any 22", "servers tcp 22"),
        ("servers any 22", "servers udp 22"),
        ("servers any", "servers any 22"),
    ] {
        assert!(covers(&words(wide), &words(narrow)), "{wide} > {narrow}");
    }
    for (wide, narrow) in [
        ("servers tcp 22", ""),
        ("servers tcp 22", "servers tcp"),
        ("servers", "printers"),
        ("servers tcp", "servers udp"),
        ("servers tcp 80-100", "servers tcp 79-100"),
        ("servers any 22", "servers icmp"),
        ("servers icmp 22", "servers icmp"),
        ("servers tcp +22", "servers tcp 22"),
        ("servers tcp 9-1", "servers tcp 5"),
        ("servers tcp 70000", "servers tcp 5"),
        ("servers sctp", "servers other"),
        ("servers tcp 22 now", "servers tcp 22"),
    ] {
        assert!(!covers(&words(wide), &words(narrow)), "{wide} > {narrow}");
    }
}

/// The founder's node, of whom and of others it says things.
struct Bench {
    trust: Trust,
    serial: u64,
}

const ME: u8 = 1;
const BOB: u8 = 2;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn key_of(seed: u8) -> Key {
    key(&secret(seed).public())
}

impl Bench {
    fn new() -> Self {
        let config = TrustConfig { founders: [key_of(ME)].into(), ..TrustConfig::default() };
        let mut trust = Trust::new(config, &secret(ME).public());
        trust.clock_mut().tell(Instant::ZERO, NOW_MS);
        Self { trust, serial: NOW_MS }
    }

    fn says(&mut self, sign: Sign, subject: Subject, text: &str) {
        let mut args = words(text);
        let about = About::Allow { subject, topic: args.remove(0), args };
        self.serial += 1;
        let line = Claim::new(sign, about, self.serial, fides::Time(NOW_MS / 1_000)).sign(&secret_key(&secret(ME)));
        self.trust.accept(&line.unwrap().to_string(), None, Instant::ZERO).unwrap();
    }

    fn allows(&mut self, subject: u8, text: &str) {
        self.says(Sign::Yes, Subject::Key(key_of(subject)), text);
    }

    fn reach(&mut self, of: u8) -> Reach {
        let laws = self.trust.laws(Instant::ZERO);
        let reaching = self.trust.reaching(&laws, Instant::ZERO);
        self.trust.reach(key_of(of), &reaching, Instant::ZERO)
    }
}

#[test]
fn until_somebody_allows_anything_everything_is_open() {
    let mut bench = Bench::new();
    assert_eq!(bench.reach(BOB), Reach::everything());
    bench.says(Sign::No, Subject::Key(key_of(3)), "reach servers");
    assert_eq!(bench.reach(BOB), Reach::everything(), "a denial concerns only whom it names");
    bench.allows(3, "reach printers");
    assert_eq!(bench.reach(BOB), Reach::default());
}

#[test]
fn what_is_allowed_towards_own_groups_is_open() {
    let mut bench = Bench::new();
    bench.allows(ME, "tag servers");
    bench.allows(BOB, "reach servers tcp 22");
    bench.allows(BOB, "reach servers tcp 20-30");
    bench.allows(BOB, "reach servers tcp 31");
    bench.allows(BOB, "reach servers any 53");
    bench.allows(BOB, "reach servers icmp");
    bench.allows(BOB, "reach printers udp");
    let expected = Reach { tcp: [(20, 31), (53, 53)].into(), udp: [(53, 53)].into(), icmp: true, other: false };
    assert_eq!(bench.reach(BOB), expected);
    assert_eq!(bench.reach(3), Reach::default());
}

#[test]
fn a_group_may_begin_and_a_denial_makes_a_hole() {
    let mut bench = Bench::new();
    bench.allows(ME, "tag servers");
    bench.allows(BOB, "tag staff");
    bench.says(Sign::Yes, Subject::Group(topics::word("staff")), "reach servers tcp");
    bench.says(Sign::No, Subject::Key(key_of(BOB)), "reach servers tcp 25");
    let tcp = [(0, 24), (26, u16::MAX)].into();
    assert_eq!(bench.reach(BOB), Reach { tcp, ..Reach::default() });
    assert_eq!(bench.reach(3), Reach::default(), "not of the staff");
}

#[test]
fn a_denial_counts_also_where_everything_is_open() {
    let mut bench = Bench::new();
    bench.says(Sign::No, Subject::Key(key_of(BOB)), "reach");
    assert_eq!(bench.reach(BOB), Reach::default());
}

#[test]
fn a_grant_without_group_is_for_every_node() {
    let mut bench = Bench::new();
    bench.allows(BOB, "reach");
    assert_eq!(bench.reach(BOB), Reach::everything());
}

#[test]
fn too_many_scopes_close_everything() {
    let mut bench = Bench::new();
    bench.allows(ME, "tag servers");
    for port in 0..=256 {
        bench.allows(BOB, &format!("reach servers tcp {port}"));
    }
    assert_eq!(bench.reach(BOB), Reach::default());
}

proptest! {
    #[test]
    fn any_words_are_a_scope_or_none(args in proptest::collection::vec("[ -~]{1,6}", 0..5)) {
        let args: Vec<Word> = args.iter().map(|arg| topics::word(arg)).collect();
        let _ = Scope::parse(&args);
    }

    #[test]
    fn open_ports_are_those_that_some_grant_covers(
        grants in proptest::collection::vec((0..50_u16, 0..50_u16), 1..6),
        denied in proptest::option::of((0..50_u16, 0..50_u16)),
    ) {
        let order = |(a, b): (u16, u16)| (a.min(b), a.max(b));
        let mut bench = Bench::new();
        bench.allows(ME, "tag servers");
        for (low, high) in grants.iter().copied().map(order) {
            bench.allows(BOB, &format!("reach servers tcp {low}-{high}"));
        }
        if let Some((low, high)) = denied.map(order) {
            bench.says(Sign::No, Subject::Key(key_of(BOB)), &format!("reach servers tcp {low}-{high}"));
        }
        let reach = bench.reach(BOB);
        let within = |port: u16, (low, high): (u16, u16)| low <= port && port <= high;
        // The last word of the same signer about the same scope counts, and where nobody allows anything, nothing is closed.
        let grants: Vec<_> = grants.into_iter().map(order).filter(|range| denied.map(order) != Some(*range)).collect();
        for port in 0..60 {
            let granted = grants.is_empty() || grants.iter().any(|range| within(port, *range));
            let expected = granted && !denied.map(order).is_some_and(|range| within(port, range));
            prop_assert_eq!(reach.tcp.iter().any(|range| within(port, *range)), expected, "{}", port);
        }
    }
}
