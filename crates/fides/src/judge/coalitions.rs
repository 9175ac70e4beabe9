//! What a few cannot do, and what time and old statements cannot do.

use std::sync::Arc;

use crate::testing::{Draw, NOW, allow, claim, key, ledger, no, rules, say, trust, word, yes};
use crate::{About, Answer, Judge, Limits, Question, Rules, Sign, Span, Statement};

/// The one that is denied, and wants in.
const MALLORY: usize = 90;

fn ask(topic: &str) -> Question {
    Question { topic: word(topic), subject: key(MALLORY), args: Vec::new(), demand: Limits::default() }
}

fn decide(rules: &Rules, statements: &[Arc<Statement>], question: &Question) -> Answer {
    Judge::new(rules.clone()).decide(&ledger(statements), question, Span::at(NOW))
}

/// Signs written as the digits of a number to the base of three.
fn signs(mut number: usize, voters: usize) -> Vec<Option<Sign>> {
    let digits = [None, Some(Sign::Yes), Some(Sign::No)];
    (0..voters)
        .map(|_| {
            let sign = digits[number % 3];
            number /= 3;
            sign
        })
        .collect()
}

/// A judge who is none of the voters.
fn observer(founders: &[usize], quorum: usize) -> Rules {
    Rules { me: key(99), ..rules(founders, quorum) }
}

#[test]
fn no_coalition_of_founders_below_the_quorum_turns_a_deny_into_an_allow() {
    let mut tried = 0;
    for voters in 1..=6 {
        let founders: Vec<usize> = (1..=voters).collect();
        for quorum in 1..=voters {
            let rules = observer(&founders, quorum);
            let answer = |votes: &[Option<Sign>]| {
                let said = founders.iter().zip(votes).filter_map(|(issuer, sign)| {
                    sign.map(|sign| say(*issuer, claim(sign, allow(MALLORY, "edit", &[]), 0)))
                });
                decide(&rules, &said.collect::<Vec<_>>(), &ask("edit"))
            };
            let answers: Vec<Answer> = (0..3_usize.pow(voters as u32)).map(|n| answer(&signs(n, voters))).collect();
            for (before, denied) in answers.iter().enumerate().filter(|(_, answer)| **answer == Answer::Deny) {
                for (after, allowed) in answers.iter().enumerate() {
                    let (old, new) = (signs(before, voters), signs(after, voters));
                    let turncoats = old.iter().zip(&new).filter(|(old, new)| old != new).count();
                    assert!(turncoats >= quorum || *allowed != Answer::Allow, "{denied:?} {old:?} {new:?}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 400_000, "{tried}");
}

/// What honest keys say: all of one mind about whom to trust, of any mind about the question.
fn honest(draw: &mut Draw, founders: usize, members: usize) -> Vec<Arc<Statement>> {
    let mut said = Vec::new();
    for member in 0..members {
        let member = 20 + member;
        if draw.below(4) > 0 {
            let depth = draw.below(3) as u64;
            let vouch = |issuer| say(issuer, claim(Sign::Yes, trust(member, "edit"), 0).depth(depth));
            said.extend((1..=founders).map(vouch));
        }
    }
    for voter in (1..=founders).chain(20..20 + members) {
        match draw.below(5) {
            0 => said.push(yes(voter, allow(MALLORY, "edit", &[]))),
            1..4 => said.push(no(voter, allow(MALLORY, "edit", &[]))),
            _ => {}
        }
    }
    said
}

/// Anything that members of a coalition may say: about the question, each other, the honest, and keys they minted.
fn plot(draw: &mut Draw, coalition: &[usize]) -> Vec<Arc<Statement>> {
    let minted: Vec<usize> = (50..54).collect();
    let plotters: Vec<usize> = coalition.iter().chain(&minted).copied().chain([MALLORY]).collect();
    let mut said = Vec::new();
    for _ in 0..4 + draw.below(16) {
        let issuer = *draw.one(&plotters);
        let target = *draw.one(&[1, 2, 3, 20, 21, 22, 50, 51, 52, 53, MALLORY]);
        let sign = *draw.one(&[Sign::Yes, Sign::Yes, Sign::No, Sign::DontCare]);
        let about = match draw.below(8) {
            0..3 => allow(MALLORY, "edit", &[]),
            3..6 => trust(target, "edit"),
            6 => allow(target, "found", &[]),
            _ => allow(target, "pardon", &["edit", "9999999999999"]),
        };
        let claim = claim(sign, about, draw.below(3) as u64);
        let is_trust = sign == Sign::Yes && matches!(claim.about, About::Trust { .. });
        said.push(say(issuer, if is_trust { claim.depth(3) } else { claim }));
    }
    said
}

/// Honest members decide; then a coalition below the quorum, some of them founders, says what it likes.
fn nothing_is_gained(seed: u64) -> bool {
    let mut draw = Draw::new(seed);
    let quorum = 2 + draw.below(2);
    let (honest_founders, traitors) = (quorum + draw.below(3), draw.below(quorum));
    let coalition: Vec<usize> = (40..40 + traitors).collect();
    let founders: Vec<usize> = (1..=honest_founders).chain(coalition.iter().copied()).collect();
    let rules = observer(&founders, quorum);
    let members = draw.below(4);
    let mut said = honest(&mut draw, honest_founders, members);
    let before = decide(&rules, &said, &ask("edit"));
    said.extend(plot(&mut draw, &coalition));
    let after = decide(&rules, &said, &ask("edit"));
    assert!(before != Answer::Deny || after != Answer::Allow, "seed {seed}: {said:#?}");
    before == Answer::Deny
}

#[test]
fn a_coalition_below_the_quorum_gains_nothing_by_any_statements() {
    let denied = (0..100_000).filter(|seed| nothing_is_gained(*seed)).count();
    assert!(denied > 20_000, "{denied}");
}

#[test]
#[ignore = "a million cases take a minute: cargo test -p fides --release -- --ignored"]
fn a_coalition_below_the_quorum_gains_nothing_in_a_million_denials() {
    let mut denied = 0;
    for seed in 100_000.. {
        denied += usize::from(nothing_is_gained(seed));
        if denied >= 1_000_000 {
            return;
        }
    }
}

#[test]
fn minted_keys_share_the_voice_of_who_minted_them() {
    let rules = observer(&[1, 2, 3], 1);
    let mut said = vec![no(1, allow(MALLORY, "pick", &[])), no(2, allow(MALLORY, "pick", &[]))];
    for minted in 50..53 {
        said.push(yes(3, trust(minted, "pick")));
        said.push(yes(minted, allow(MALLORY, "pick", &[])));
    }
    said.push(yes(3, allow(MALLORY, "pick", &[])));
    assert_eq!(decide(&rules, &said, &ask("pick")), Answer::Deny, "two voices against one");
}

#[test]
fn a_key_introduces_a_bounded_number_of_others_the_oldest_first() {
    let rules = observer(&[1], 1);
    let vouch = |minted: usize| say(1, claim(Sign::Yes, trust(50 + minted, "edit"), minted as u64));
    let said: Vec<_> = (0..10).rev().map(vouch).collect();
    let heard = Judge::new(rules).heard(&ledger(&said), &word("edit"), Span::at(NOW));
    let introduced: Vec<_> = heard.into_keys().filter(|known| *known != key(1) && *known != key(99)).collect();
    assert_eq!(introduced, [50, 51, 52].map(key), "three, as the policy says");
}

#[test]
fn who_lacks_a_quorum_does_not_silence_an_objector() {
    let rules = observer(&[1, 2, 3, 4, 5], 2);
    let mut said = vec![yes(3, allow(MALLORY, "edit", &[]))];
    for objector in 20..23 {
        said.extend([yes(1, trust(objector, "edit")), yes(2, trust(objector, "edit"))]);
        said.push(no(objector, allow(MALLORY, "edit", &[])));
    }
    assert_eq!(decide(&rules, &said, &ask("edit")), Answer::Deny);
    said.extend((20..23).map(|objector| no(5, trust(objector, "edit"))));
    assert_eq!(decide(&rules, &said, &ask("edit")), Answer::Deny, "one of five warns of them");
}

#[test]
fn what_is_revoked_stays_so_whatever_is_said_when_and_in_which_order() {
    for seed in 0..2_000 {
        let mut draw = Draw::new(seed);
        let rules = rules(&[1, 2], 1);
        let mut said = draw.statements(30, 6);
        let revoked = draw.below(6);
        let without: Vec<_> = said.iter().filter(|s| *s.issuer() != key(revoked)).cloned().collect();
        said.push(no(revoked, About::Revoke));
        draw.shuffle(&mut said);
        let (mut one, mut other) = (Judge::new(rules.clone()), Judge::new(rules.clone()));
        let (with, without) = (ledger(&said), ledger(&without));
        let now = NOW.before(3_600).after(600 * draw.below(12) as u64);
        for (topic, subject) in ["edit", "own", "pick"].into_iter().flat_map(|topic| (0..6).map(move |n| (topic, n))) {
            let question = Question { subject: key(subject), ..ask(topic) };
            let answer = one.decide(&with, &question, Span::at(now));
            if subject == revoked {
                assert_eq!(answer, Answer::Deny);
            } else if revoked > 2 {
                assert_eq!(answer, other.decide(&without, &question, Span::at(now)), "as if it had never spoken");
            }
        }
    }
}

#[test]
fn statements_that_are_played_back_change_nothing() {
    for seed in 0..1_000 {
        let mut draw = Draw::new(seed);
        let said = draw.statements(40, 6);
        let mut acting = ledger(&said);
        let before: Vec<_> = acting.statements().map(|statement| statement.id()).collect();
        let mut again: Vec<_> = said.iter().filter(|_| draw.below(2) == 0).cloned().collect();
        draw.shuffle(&mut again);
        for statement in &again {
            acting.insert(statement, crate::testing::ROOM);
        }
        let after: Vec<_> = acting.statements().map(|statement| statement.id()).collect();
        assert_eq!(before, after, "seed {seed}");
    }
}

#[test]
fn a_clock_that_is_wrong_by_an_hour_widens_nothing() {
    let mut narrower = 0;
    for seed in 0..1_000 {
        let mut draw = Draw::new(seed);
        let (said, rules) = (draw.statements(30, 6), rules(&[1, 2], 1));
        let acting = ledger(&said);
        let wrong = NOW.before(3_600).after(600 * draw.below(13) as u64);
        let (mut right, mut skewed) = (Judge::new(rules.clone()), Judge::new(rules));
        for (topic, subject) in ["edit", "own", "pick"].into_iter().flat_map(|topic| (0..6).map(move |n| (topic, n))) {
            let question = Question { subject: key(subject), ..ask(topic) };
            let truth = right.decide(&acting, &question, Span::at(NOW));
            let answer = skewed.decide(&acting, &question, Span::around(wrong, 3_600));
            assert!(answer >= truth, "seed {seed}: {answer:?} instead of {truth:?}");
            narrower += usize::from(answer > truth);
        }
    }
    assert!(narrower > 50, "{narrower}");
}
