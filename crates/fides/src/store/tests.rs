use super::*;
use crate::testing::{NOW, claim, rules, word};
use crate::{Limits, Neighbour, Subject};

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// A store of key 0 with founder 1, whose topics are those of `testing::rules`.
fn store() -> Store {
    let rules = Rules { me: secret(0).public(), founders: [secret(1).public()].into(), ..rules(&[], 1) };
    Store::new(rules, Quotas::default())
}

fn about(subject: u8, args: &[&str]) -> About {
    let args = args.iter().map(|arg| word(arg)).collect();
    About::Allow { subject: Subject::Key(secret(subject).public()), topic: word("edit"), args }
}

fn vouch(subject: u8) -> About {
    About::Trust { key: secret(subject).public(), topic: word("edit") }
}

fn line(issuer: u8, sign: Sign, about: About, step: u64) -> String {
    claim(sign, about, step).sign(&secret(issuer)).unwrap().to_string()
}

/// The line with another signature of the right form.
fn forged(line: &str) -> String {
    let (unsigned, signature) = line.rsplit_once(' ').unwrap();
    let swapped: String = signature.chars().take(85).map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
    format!("{unsigned} {swapped}A")
}

#[test]
fn what_the_trusted_say_is_passed_on_and_what_strangers_say_is_not() {
    let mut store = store();
    let of_stranger = line(2, Sign::Yes, about(9, &[]), 0);
    assert_eq!(store.accept(&of_stranger, None, NOW), Ok(Accepted::Kept));
    assert!(store.items().is_empty());
    assert!(matches!(store.accept(&line(1, Sign::Yes, vouch(2), 0), None, NOW), Ok(Accepted::New(_))));
    assert_eq!(store.items().len(), 2, "it is trusted now, and what it said before counts");
}

#[test]
fn strangers_share_a_small_room_and_the_longest_known_leaves_first() {
    let mut store = store();
    for number in 10..=255 {
        for arg in ["a", "b"] {
            store.accept(&line(number, Sign::Yes, about(9, &[arg]), 0), None, NOW).unwrap();
        }
    }
    assert_eq!(store.ledger().len(), 256);
    let last = line(255, Sign::Yes, about(9, &["a"]), 0);
    assert_eq!(store.accept(&last, None, NOW), Ok(Accepted::Known));
}

#[test]
fn a_wrong_signature_convicts_the_neighbour_and_three_shut_it_out() {
    let mut store = store();
    let mut neighbour = Neighbour::new(NOW);
    for step in 0..3 {
        let line = forged(&line(1, Sign::Yes, about(9, &[]), step));
        assert_eq!(store.accept(&line, Some(&mut neighbour), NOW), Err(Refused::Signature(SignatureError)));
    }
    let genuine = line(1, Sign::Yes, about(9, &[]), 9);
    assert_eq!(store.accept(&genuine, Some(&mut neighbour), NOW), Err(Refused::ShutOut));
    assert!(neighbour.is_shut_out(NOW) && store.ledger().is_empty(), "what is refused leaves no trace");
    let mut other = Neighbour::new(NOW);
    assert!(store.accept(&genuine, Some(&mut other), NOW).is_ok(), "forgeries do not use up the issuer's budget");
}

#[test]
fn a_member_that_issues_a_million_statements_costs_its_quota_and_its_budget() {
    let mut store = store();
    store.accept(&line(1, Sign::Yes, vouch(2), 0), None, NOW).unwrap();
    let before = store.verifications();
    let mut neighbours: Vec<Neighbour> = (0..4).map(|_| Neighbour::new(NOW)).collect();
    let secret = secret(2);
    // Real ones until they are refused unread, then the last one again and again under other serials.
    let (mut offered, mut now, mut text) = (0_u64, NOW, String::new());
    while offered < 1_000_000 {
        if offered < 2_000 {
            let arg = offered.to_string();
            text = claim(Sign::Yes, about(9, &[&arg]), offered).sign(&secret).unwrap().to_string();
        }
        let from = &mut neighbours[usize::try_from(offered % 4).unwrap()];
        drop(store.accept(&text, Some(from), now));
        offered += 1;
        if offered.is_multiple_of(10_000) {
            now = now.after(1);
        }
    }
    let seconds = now.0 - NOW.0;
    assert!(store.verifications() - before <= 100 + 10 * seconds, "{}", store.verifications() - before);
    assert!(store.ledger().len() <= 257);
}

#[test]
fn a_full_room_keeps_what_is_newest() {
    let mut store = Store::new(store().rules().clone(), Quotas { root: 4, ..Quotas::default() });
    let lines: Vec<String> = (0..10).map(|step| line(1, Sign::Yes, about(9, &[&step.to_string()]), step)).collect();
    for text in lines.iter().rev() {
        store.accept(text, None, NOW).unwrap();
    }
    assert_eq!(store.ledger().len(), 4);
    assert_eq!(store.accept(&lines[9], None, NOW), Ok(Accepted::Known));
    assert_eq!(store.accept(&lines[0], None, NOW), Ok(Accepted::Outdated));
}

#[test]
fn a_yes_that_is_dated_ahead_waits_and_a_no_does_not() {
    let mut store = store();
    let ahead = |sign, arg| {
        let mut claim = claim(sign, about(9, &[arg]), 0);
        claim.from = NOW.after(3_600);
        claim.sign(&secret(1)).unwrap().to_string()
    };
    assert_eq!(store.accept(&ahead(Sign::Yes, "a"), None, NOW), Ok(Accepted::Waiting));
    assert!(matches!(store.accept(&ahead(Sign::No, "b"), None, NOW), Ok(Accepted::New(_))));
    assert!(store.tick(NOW.after(2_999)).is_empty());
    assert_eq!(store.tick(NOW.after(3_000)).len(), 1, "ten minutes before it begins");
}

#[test]
fn what_is_over_is_forgotten_and_cannot_come_back() {
    let mut store = store();
    let text = line(1, Sign::Yes, about(9, &[]), 0);
    store.accept(&text, None, NOW).unwrap();
    store.tick(NOW.after(200 * crate::DAY));
    assert_eq!(store.ledger().len(), 1, "an older yes could still be played back");
    store.tick(NOW.after(401 * crate::DAY));
    assert!(store.ledger().is_empty());
    assert_eq!(store.accept(&text, None, NOW.after(401 * crate::DAY)), Err(Refused::Past));
}

#[test]
fn a_contradiction_is_passed_on_as_a_pair() {
    let (mut one, mut other) = (store(), store());
    one.accept(&line(1, Sign::Yes, about(9, &[]), 5), None, NOW).unwrap();
    let accepted = one.accept(&line(1, Sign::No, about(9, &[]), 5), None, NOW);
    let Ok(Accepted::New(proof @ Item::Evidence(_))) = accepted else { panic!("{accepted:?}") };
    other.accept(&line(1, Sign::Yes, about(9, &[]), 6), None, NOW).unwrap();
    let mut neighbour = Neighbour::new(NOW);
    assert_eq!(other.accept(&proof.to_string(), Some(&mut neighbour), NOW), Ok(Accepted::New(proof.clone())));
    assert_eq!(other.accept(&proof.to_string(), Some(&mut neighbour), NOW), Ok(Accepted::Known));
}

#[test]
fn an_export_is_imported_whole_whatever_the_order() {
    let mut store = store();
    store.accept(&line(1, Sign::Yes, vouch(2), 3), None, NOW).unwrap();
    for arg in 0..20_u64 {
        store.accept(&line(2, Sign::Yes, about(9, &[&arg.to_string()]), arg), None, NOW).unwrap();
    }
    let text = store.export();
    let backwards: Vec<&str> = text.lines().rev().collect();
    let mut copy = Store::new(store.rules().clone(), Quotas::default());
    let report = copy.import(&format!("# saved\n\n{}\nnonsense", backwards.join("\n")), NOW);
    assert_eq!((report.new, report.known), (21, 0));
    assert!(matches!(report.refused.as_slice(), [(24, Refused::Form(_))]), "{:?}", report.refused);
    assert_eq!(copy.export(), text);
    assert!(copy.check().is_empty());
}

#[test]
fn what_one_says_oneself_gets_the_next_serial_and_is_found() {
    let mut store = store();
    let say = |store: &mut Store, sign, arg| store.say(&secret(0), claim(sign, about(9, &[arg]), 0), NOW).unwrap();
    let (one, two) = (say(&mut store, Sign::Yes, "a"), say(&mut store, Sign::No, "b"));
    let serial = |item: &Item| match item {
        Item::Statement(statement) => statement.claim().serial,
        Item::Evidence(_) => panic!("no contradiction"),
    };
    assert!(serial(&two) > serial(&one));
    let found = |pattern: &str| store.find(&pattern.parse().unwrap()).len();
    assert_eq!((found("* + allow * edit"), found("* * allow * edit"), found("* + trust")), (1, 2, 0));
    assert_eq!(found("* * allow * edit a b"), 0, "more words than there are");
}

#[test]
fn a_known_key_can_always_revoke_itself() {
    let mut store = store();
    let revoke = line(9, Sign::No, About::Revoke, 0);
    assert_eq!(store.accept(&revoke, None, NOW), Ok(Accepted::Kept), "nobody knows it");
    store.accept(&line(1, Sign::Yes, about(9, &[]), 0), None, NOW).unwrap();
    assert_eq!(store.items().len(), 2);
    let unrelated =
        crate::Question { demand: Limits::default(), ..crate::Question::new(word("edit"), secret(9).public()) };
    let answer = crate::Judge::new(store.rules().clone()).decide(store.ledger(), &unrelated, crate::Span::at(NOW));
    assert_eq!(answer, crate::Answer::Deny);
}

#[test]
fn the_revocation_of_a_founder_is_passed_on_even_if_no_statement_names_it() {
    let mut store = store();
    let revoke = store.accept(&line(1, Sign::No, About::Revoke, 0), None, NOW);
    assert!(matches!(revoke, Ok(Accepted::New(_))), "{revoke:?}");
    assert_eq!(store.items().len(), 1);
    for number in 10..=255 {
        for arg in ["a", "b"] {
            store.accept(&line(number, Sign::Yes, about(9, &[arg]), 0), None, NOW).unwrap();
        }
    }
    assert_eq!(store.items().len(), 1, "strangers do not push it out");
}

#[test]
fn what_strangers_say_of_a_key_does_not_have_its_revocation_passed_on() {
    let mut store = store();
    store.accept(&line(8, Sign::Yes, about(9, &[]), 0), None, NOW).unwrap();
    assert_eq!(store.accept(&line(9, Sign::No, About::Revoke, 0), None, NOW), Ok(Accepted::Kept));
    store.accept(&line(1, Sign::Yes, about(9, &["a"]), 0), None, NOW).unwrap();
    assert_eq!(store.items().len(), 2, "a founder knows it");
}

#[test]
fn who_contradicts_itself_no_longer_has_others_passed_on_whatever_came_first() {
    let said = [
        line(1, Sign::Yes, vouch(2), 0),
        line(2, Sign::Yes, about(9, &[]), 0),
        line(1, Sign::Yes, about(9, &["a"]), 5),
        line(1, Sign::No, about(9, &["a"]), 5),
    ];
    let fill = |order: [usize; 4]| {
        let mut store = store();
        order.into_iter().for_each(|at| drop(store.accept(&said[at], None, NOW).unwrap()));
        store.items()
    };
    let items = fill([2, 3, 0, 1]);
    assert!(items.iter().all(|item| !item.to_string().contains(&said[1])), "nobody whose word counts vouches for 2");
    assert_eq!(fill([0, 1, 2, 3]), items);
}

#[test]
fn the_vote_of_a_founder_who_was_voted_out_is_passed_on_for_it_was_counted() {
    let founders = [1, 2, 3].map(|number| secret(number).public()).into();
    let mut store = Store::new(Rules { founders, ..store().rules().clone() }, Quotas::default());
    let founder = About::Allow { subject: Subject::Key(secret(3).public()), topic: word("found"), args: vec![] };
    for voter in [1, 3] {
        let accepted = store.accept(&line(voter, Sign::No, founder.clone(), 0), None, NOW);
        assert!(matches!(accepted, Ok(Accepted::New(_))), "{accepted:?}");
    }
    assert_eq!(store.items().len(), 2, "who has only one of them does not know that 3 is out");
}

#[test]
fn those_whom_somebody_introduced_before_do_not_crowd_out_those_who_count_by_now() {
    let mut store = store();
    for subject in 20..23 {
        let brief = claim(Sign::Yes, vouch(subject), 0).until(NOW.after(60)).sign(&secret(1)).unwrap();
        store.accept(&brief.to_string(), None, NOW).unwrap();
    }
    let later = NOW.after(3_600);
    store.accept(&line(1, Sign::Yes, vouch(2), 9), None, later).unwrap();
    let accepted = store.accept(&line(2, Sign::Yes, about(9, &[]), 0), None, later);
    assert!(matches!(accepted, Ok(Accepted::New(_))), "three at once are allowed, and three are over: {accepted:?}");
    let mut waits = self::store();
    for text in [line(1, Sign::Yes, vouch(2), 9), line(2, Sign::Yes, about(9, &[]), 0)] {
        waits.accept(&text, None, NOW).unwrap();
    }
    assert_eq!(waits.items().len(), 2);
}
