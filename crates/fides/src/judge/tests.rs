use std::sync::Arc;

use super::oracle::Oracle;
use super::*;
use crate::testing::{Draw, NOW, ROOM, allow, allow_group, claim, key, ledger, no, rules, say, trust, word, yes};
use crate::{About, Statement};

pub(super) fn ask(topic: &str, subject: usize, args: &[&str]) -> Question {
    let args = args.iter().map(|arg| word(arg)).collect();
    Question { topic: word(topic), subject: key(subject), args, demand: Limits::default() }
}

fn decide(rules: &Rules, statements: &[Arc<Statement>], question: &Question) -> Answer {
    Judge::new(rules.clone()).decide(&ledger(statements), question, Span::at(NOW))
}

/// All kinds of questions about `keys` keys.
pub(super) fn questions(keys: usize) -> Vec<Question> {
    let mut questions = Vec::new();
    for subject in 0..keys {
        for topic in ["edit", "own", "pick", "found"] {
            questions.push(ask(topic, subject, &[]));
            questions.push(ask(topic, subject, &["a"]));
            questions.push(ask(topic, subject, &["a"]).demand(word("n"), 1));
        }
        questions.push(ask("in", subject, &["g"]));
    }
    questions
}

#[test]
fn own_word_decides_and_a_no_of_ones_own_most() {
    let rules = rules(&[1, 2], 1);
    let said = [yes(1, allow(5, "edit", &[])), yes(2, allow(5, "edit", &[])), no(0, allow(5, "edit", &[]))];
    assert_eq!(decide(&rules, &said[..2], &ask("edit", 5, &[])), Answer::Allow);
    assert_eq!(decide(&rules, &said, &ask("edit", 5, &[])), Answer::Deny, "the last operator closes his own door");
    let opened = [no(1, allow(5, "edit", &[])), yes(0, allow(5, "edit", &[]))];
    assert_eq!(decide(&rules, &opened, &ask("edit", 5, &[])), Answer::Allow);
}

#[test]
fn a_quorum_of_two_takes_two_and_a_no_takes_one_away() {
    let rules = rules(&[1, 2, 3], 2);
    let said = [yes(1, allow(5, "edit", &[])), yes(2, allow(5, "edit", &[])), no(3, allow(5, "edit", &[]))];
    assert_eq!(decide(&rules, &said[..1], &ask("edit", 5, &[])), Answer::Unknown);
    assert_eq!(decide(&rules, &said[..2], &ask("edit", 5, &[])), Answer::Allow);
    assert_eq!(decide(&rules, &said, &ask("edit", 5, &[])), Answer::Unknown);
}

#[test]
fn a_yes_covers_what_is_within_it_and_a_no_what_touches_it() {
    let rules = rules(&[1], 1);
    let wide = [yes(1, allow(5, "own", &["a"]))];
    assert_eq!(decide(&rules, &wide, &ask("own", 5, &["a", "b"])), Answer::Allow);
    assert_eq!(decide(&rules, &wide, &ask("own", 5, &[])), Answer::Unknown);
    let hole = [wide[0].clone(), no(1, allow(5, "own", &["a", "b"]))];
    assert_eq!(decide(&rules, &hole, &ask("own", 5, &["a"])), Answer::Deny, "part of it is denied");
    assert_eq!(decide(&rules, &hole, &ask("own", 5, &["a", "c"])), Answer::Allow);
}

#[test]
fn one_hands_on_what_one_has() {
    let rules = rules(&[1], 1);
    let said = [yes(1, trust(2, "own")), yes(2, allow(5, "own", &["a", "b"])), yes(1, allow(2, "own", &["a"]))];
    assert_eq!(decide(&rules, &said[..2], &ask("own", 5, &["a", "b"])), Answer::Unknown);
    assert_eq!(decide(&rules, &said, &ask("own", 5, &["a", "b"])), Answer::Allow);
    let self_service = [said[0].clone(), yes(2, allow(2, "own", &["a"])), said[1].clone()];
    assert_eq!(decide(&rules, &self_service, &ask("own", 5, &["a", "b"])), Answer::Unknown);
}

#[test]
fn groups_stand_for_their_members() {
    let rules = rules(&[1], 1);
    let said = [yes(1, allow_group("g", "edit")), yes(1, allow(5, "in", &["g"]))];
    assert_eq!(decide(&rules, &said[..1], &ask("edit", 5, &[])), Answer::Unknown);
    assert_eq!(decide(&rules, &said, &ask("edit", 5, &[])), Answer::Allow);
    assert_eq!(decide(&rules, &said, &ask("edit", 6, &[])), Answer::Unknown);
    let grants = Judge::new(rules).grants(&ledger(&said), &word("edit"), Span::at(NOW));
    assert_eq!(grants, [Grant { subject: key(5), args: vec![], answer: Answer::Allow }]);
}

#[test]
fn limits_grant_as_much_as_a_quorum_does() {
    let rules = rules(&[1, 2, 3], 2);
    let grant = |issuer, amount| say(issuer, claim(Sign::Yes, allow(5, "edit", &[]), 0).limit(word("n"), amount));
    let said = ledger(&[grant(1, 10), grant(2, 30), grant(3, 20)]);
    let mut judge = Judge::new(rules);
    let span = Span::at(NOW);
    assert_eq!(judge.allowance(&said, &ask("edit", 5, &[]), &word("n"), span), Allowance::UpTo(20));
    assert_eq!(judge.allowance(&said, &ask("edit", 5, &[]), &word("m"), span), Allowance::Unlimited);
    assert_eq!(judge.allowance(&said, &ask("edit", 6, &[]), &word("n"), span), Allowance::Nothing);
}

#[test]
fn votes_are_counted_as_own_trusted_and_all() {
    let mut judge = Judge::new(rules(&[1], 1));
    let about = || allow(5, "edit", &[]);
    let said = ledger(&[yes(0, about()), yes(1, about()), no(7, about()), yes(8, about())]);
    let votes = judge.votes(&said, &ask("edit", 5, &[]), Span::at(NOW));
    assert_eq!((votes.own.yes, votes.trusted.yes, votes.all.yes), (1, 2, 3));
    assert_eq!((votes.own.no, votes.trusted.no, votes.all.no), (0, 0, 1));
}

#[test]
fn a_revoked_key_may_nothing_even_by_ones_own_word() {
    let rules = rules(&[1], 1);
    let said = [yes(0, allow(5, "edit", &[])), no(5, About::Revoke)];
    assert_eq!(decide(&rules, &said, &ask("edit", 5, &[])), Answer::Deny);
}

#[test]
fn without_a_clock_a_denial_does_not_end() {
    let rules = rules(&[1], 1);
    let said = ledger(&[
        yes(1, allow(5, "edit", &[])),
        say(2, claim(Sign::No, allow(5, "own", &[]), 0).until(NOW.after(60))),
        say(1, claim(Sign::No, allow(5, "own", &[]), 0).until(NOW.after(60))),
    ]);
    let mut judge = Judge::new(rules);
    let later = NOW.after(3_600);
    assert_eq!(judge.decide(&said, &ask("own", 5, &[]), Span::at(later)), Answer::Unknown);
    assert_eq!(judge.decide(&said, &ask("own", 5, &[]), Span::vouched(later)), Answer::Deny);
}

#[test]
fn the_founders_change_their_number_by_two_thirds() {
    let rules = rules(&[1, 2, 3], 1);
    let mut judge = Judge::new(rules);
    let said = [yes(1, allow(4, "found", &[])), yes(2, allow(4, "found", &[])), no(1, allow(3, "found", &[]))];
    let founders = judge.founders(&ledger(&said[..1]), Span::at(NOW));
    assert_eq!(founders, [1, 2, 3].map(key).into());
    let founders = judge.founders(&ledger(&said), Span::at(NOW));
    assert_eq!(founders, [1, 2, 3, 4].map(key).into(), "one of three cannot expel");
    let expelled = [no(1, allow(3, "found", &[])), no(2, allow(3, "found", &[]))];
    assert_eq!(judge.founders(&ledger(&expelled), Span::at(NOW)), [1, 2].map(key).into());
}

/// Sorted, so that no half of a contradiction comes after what replaced the other.
pub(super) fn in_order(mut statements: Vec<Arc<Statement>>) -> Vec<Arc<Statement>> {
    statements.sort_by_key(|statement| statement.claim().serial);
    statements
}

#[test]
fn the_judge_agrees_with_the_definitions() {
    let mut answers = [0; 3];
    for seed in 0..400 {
        let mut draw = Draw::new(seed);
        let rules = rules(&[1, 2, 3][..draw.below(4)], 1 + draw.below(2));
        let count = 5 + draw.below(45);
        let said = in_order(draw.statements(count, 6));
        let (acting, mut judge) = (ledger(&said), Judge::new(rules.clone()));
        let now = NOW.before(3_600).after(600 * draw.below(12) as u64);
        let denials_end = draw.below(4) > 0;
        let span = if denials_end { Span::at(now) } else { Span::vouched(now) };
        let oracle = Oracle::new(&rules, &said, now, denials_end);
        for question in questions(6) {
            let answer = judge.decide(&acting, &question, span);
            assert_eq!(answer, oracle.answer(&question), "seed {seed}, {question:?}: {said:#?}");
            answers[answer as usize] += 1;
        }
    }
    assert!(answers.iter().all(|count| *count > 300), "each answer is met: {answers:?}");
}

#[test]
fn a_span_is_answered_as_its_most_restrictive_moment() {
    let mut differ = 0;
    for seed in 0..60 {
        let mut draw = Draw::new(seed);
        let rules = rules(&[1, 2], 1);
        let said = in_order(draw.statements(30, 6));
        let (acting, mut judge) = (ledger(&said), Judge::new(rules.clone()));
        let moments = (0..=7_200).step_by(200).map(|at| NOW.before(3_600).after(at));
        let oracles: Vec<Oracle<'_>> = moments.map(|now| Oracle::new(&rules, &said, now, true)).collect();
        for question in questions(6).iter().step_by(5) {
            let wide = judge.decide(&acting, question, Span::around(NOW, 3_600));
            let narrow: Vec<Answer> = oracles.iter().map(|oracle| oracle.answer(question)).collect();
            assert!(narrow.iter().all(|answer| *answer <= wide), "seed {seed}, {question:?}");
            differ += usize::from(narrow.iter().any(|answer| *answer < wide));
        }
    }
    assert!(differ > 10, "the margin matters: {differ}");
}

#[test]
fn what_a_judge_remembers_it_would_find_again() {
    for seed in 0..200 {
        let mut draw = Draw::new(seed);
        let (mut judge, mut acting) = (Judge::new(rules(&[1, 2], 1)), Ledger::default());
        let mut now = NOW.before(7_200);
        for _ in 0..60 {
            match draw.below(3) {
                0 => {
                    acting.insert(&draw.statement(6), ROOM);
                }
                1 => now = now.after(draw.below(700) as u64),
                _ => {}
            }
            let question = draw.one(&questions(6)).clone();
            let span = *draw.one(&[Span::at(now), Span::around(now, 900), Span::vouched(now)]);
            let fresh = Judge::new(judge.rules().clone()).decide(&acting, &question, span);
            assert_eq!(judge.decide(&acting, &question, span), fresh);
        }
    }
}

#[test]
fn before_the_next_change_no_answer_changes_by_itself() {
    let mut changed = 0;
    for seed in 0..150 {
        let mut draw = Draw::new(seed);
        let acting = ledger(&in_order(draw.statements(30, 6)));
        let mut now = NOW.before(7_200);
        let spans: [fn(Time) -> Span; 3] = [Span::at, |now| Span::around(now, 900), Span::vouched];
        let span = *draw.one(&spans);
        let answers = |now: Time| {
            let mut judge = Judge::new(rules(&[1, 2], 1));
            questions(6).iter().step_by(3).map(|question| judge.decide(&acting, question, span(now))).collect()
        };
        let mut before: Vec<Answer> = answers(now);
        while let Some(next) = Judge::next_change(&acting, span(now)).filter(|next| *next < NOW.after(30_000)) {
            assert!(next > now);
            assert_eq!(answers(next.before(1)), before, "seed {seed}");
            let after = answers(next);
            changed += usize::from(after != before);
            (now, before) = (next, after);
        }
    }
    assert!(changed > 300, "something does change then: {changed}");
}

#[test]
fn where_nothing_begins_or_ends_there_is_no_next_change() {
    let said = [no(1, allow(5, "edit", &[])), no(2, About::Revoke)];
    assert_eq!(Judge::next_change(&ledger(&said), Span::at(NOW)), None);
    let said = [say(1, claim(Sign::No, allow(5, "edit", &[]), 0).until(NOW.after(60)))];
    assert_eq!(Judge::next_change(&ledger(&said), Span::at(NOW)), Some(NOW.after(60)));
    assert_eq!(Judge::next_change(&ledger(&said), Span::around(NOW, 20)), Some(NOW.after(40)), "the clock may be slow");
    assert_eq!(Judge::next_change(&ledger(&said), Span::around(NOW.after(50), 20)), Some(NOW.after(80)));
}
