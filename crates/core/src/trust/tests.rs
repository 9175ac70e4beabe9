use fides::{About, Sign, Subject, Word};

use super::*;
use crate::time::Instant;

const NOW_MS: u64 = 1_800_000_000_000;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// The trust of node `own` where the nodes of `founders` are founders.
fn trust(own: u8, founders: &[u8]) -> Trust {
    let founders = founders.iter().map(|&seed| key(&secret(seed).public())).collect();
    let mut trust = Trust::new(TrustConfig { founders, ..TrustConfig::default() }, &secret(own).public());
    trust.clock_mut().tell(Instant::ZERO, NOW_MS);
    trust
}

fn allow(subject: u8, topic: &str, args: &[&str], sign: Sign, serial: u64) -> Claim {
    let args = args.iter().map(|arg| Word::new(arg).unwrap()).collect();
    let about =
        About::Allow { subject: Subject::Key(key(&secret(subject).public())), topic: topics::word(topic), args };
    Claim::new(sign, about, serial, fides::Time(NOW_MS / 1_000))
}

fn said(by: u8, claim: Claim) -> String {
    claim.sign(&secret_key(&secret(by))).unwrap().to_string()
}

fn key_of(seed: u8) -> Key {
    key(&secret(seed).public())
}

#[test]
fn an_open_network_lets_everybody_in_but_for_whom_the_operator_denies() {
    let mut trust = trust(1, &[]);
    assert!(trust.may_join(key_of(2), &name("bob"), Instant::ZERO));
    trust.say(&secret(1), allow(2, topics::JOIN, &[], Sign::No, 0), Instant::ZERO).unwrap();
    assert!(!trust.may_join(key_of(2), &name("bob"), Instant::ZERO));
    assert!(trust.may_join(key_of(3), &name("carol"), Instant::ZERO));
}

#[test]
fn a_closed_network_lets_in_founders_and_whom_they_allow_by_name() {
    let mut trust = trust(2, &[1]);
    assert!(trust.may_join(key_of(1), &name("alice"), Instant::ZERO));
    assert!(!trust.may_join(key_of(3), &name("carol"), Instant::ZERO));
    let line = said(1, allow(3, topics::JOIN, &["carol"], Sign::Yes, NOW_MS));
    trust.accept(&line, None, Instant::ZERO).unwrap();
    assert!(trust.may_join(key_of(3), &name("carol"), Instant::ZERO));
    assert!(!trust.may_join(key_of(3), &name("mallory"), Instant::ZERO), "under that name only");
}

#[test]
fn a_grant_of_addresses_covers_what_is_inside() {
    let mut trust = trust(2, &[1]);
    let line = said(1, allow(3, topics::OWN, &["10.1.0.0/16"], Sign::Yes, NOW_MS));
    trust.accept(&line, None, Instant::ZERO).unwrap();
    let mut may = |text: &str| trust.may_own(key_of(3), &Subnet::parse(text).unwrap(), Instant::ZERO);
    assert!(may("10.1.2.0/24#3") && may("10.1.0.7"));
    assert!(!may("10.2.0.0/24") && !may("10.0.0.0/8"));
}

#[test]
fn what_was_kept_is_read_again() {
    let mut before = trust(1, &[1]);
    before.say(&secret(1), allow(3, topics::JOIN, &["carol"], Sign::Yes, 0), Instant::ZERO).unwrap();
    let mut after = trust(1, &[1]);
    let report = after.import(&before.lines().join("\n"), Instant::ZERO);
    assert_eq!((report.new, report.refused.len()), (1, 0));
    assert!(after.may_join(key_of(3), &name("carol"), Instant::ZERO));
}

#[test]
fn a_lease_is_renewed_when_half_of_it_is_over_and_a_guest_is_not() {
    let founders = [key(&secret(1).public())].into();
    let config = TrustConfig { founders, lease: true, ..TrustConfig::default() };
    let mut trust = Trust::new(config, &secret(1).public());
    trust.clock_mut().tell(Instant::ZERO, NOW_MS);
    let until = |subject, seconds| {
        allow(subject, topics::JOIN, &["node"], Sign::Yes, 0).until(fides::Time(NOW_MS / 1_000 + seconds))
    };
    trust.say(&secret(1), until(3, DAY), Instant::ZERO).unwrap();
    trust.say(&secret(1), until(4, 3_600), Instant::ZERO).unwrap();
    let hours = |hours: u64| Instant::from_micros(hours * 3_600_000_000);

    assert!(trust.ending_leases(hours(11)).is_empty());
    let [renewed] = &trust.ending_leases(hours(13))[..] else { panic!("one lease") };
    assert_eq!(renewed.until, Some(fides::Time(NOW_MS / 1_000 + 13 * 3_600 + DAY)));
    trust.say(&secret(1), renewed.clone(), hours(13)).unwrap();
    assert!(trust.ending_leases(hours(14)).is_empty());
    assert!(trust.may_join(key_of(3), &name("node"), hours(30)) && !trust.may_join(key_of(4), &name("node"), hours(2)));
}
