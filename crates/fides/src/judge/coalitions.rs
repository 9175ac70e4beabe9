//! What a few cannot do, and what time and old statements cannot do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Memory;
use crate::testing::{Draw, NOW, allow, claim, key, ledger, no, rules, say, trust, word, yes};
use crate::{About, Answer, Claim, Judge, Ledger, Limits, Question, Rules, Sign, Span, Statement};

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

/// What a key says in a plot, or against one, about who may edit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Matter {
    Mallory,
    /// Whether a key's word counts, and how far it may introduce others.
    Trust(usize, u64),
    Founder(usize),
    Pardon(usize),
}

impl Matter {
    fn claim(self, sign: Sign, step: u64) -> Claim {
        match self {
            Self::Mallory => claim(sign, allow(MALLORY, "edit", &[]), step),
            Self::Trust(key, depth) if sign == Sign::Yes => claim(sign, trust(key, "edit"), step).depth(depth),
            Self::Trust(key, _) => claim(sign, trust(key, "edit"), step),
            Self::Founder(key) => claim(sign, allow(key, "found", &[]), step),
            Self::Pardon(key) => claim(sign, allow(key, "pardon", &["edit", "9999999999999"]), step),
        }
    }
}

/// Decides many small cases: judges and statements are made once, for making them takes longer than deciding.
struct Court {
    question: Question,
    judges: BTreeMap<(Vec<usize>, usize), Judge>,
    statements: HashMap<(usize, Matter, Sign, u64), Arc<Statement>>,
}

impl Court {
    fn new() -> Self {
        Self { question: ask("edit"), judges: BTreeMap::new(), statements: HashMap::new() }
    }

    fn say(&mut self, ledger: &mut Ledger, issuer: usize, matter: Matter, sign: Sign, step: u64) {
        let statement = self.statements.entry((issuer, matter, sign, step));
        ledger.insert(statement.or_insert_with(|| say(issuer, matter.claim(sign, step))), crate::testing::ROOM);
    }

    /// The answer of somebody who has not seen anything before.
    fn decide(&mut self, ledger: &Ledger, founders: &[usize], quorum: usize) -> Answer {
        let judge = self.judges.entry((founders.to_vec(), quorum));
        let judge = judge.or_insert_with(|| Judge::new(observer(founders, quorum)));
        judge.memory = Memory::default();
        judge.decide(ledger, &self.question, Span::at(NOW))
    }
}

/// Every choice of signs for a number of statements.
fn choices(statements: usize) -> impl Iterator<Item = Vec<Option<Sign>>> {
    (0..3_usize.pow(statements as u32)).map(move |number| signs(number, statements))
}

#[test]
fn whatever_a_traitor_and_the_key_it_minted_say_of_anybody_they_gain_nothing_among_six_keys() {
    let (founders, member, traitor, minted) = ([1, 2, 40], 20, 40, 50);
    let (mut court, mut denied) = (Court::new(), 0);
    for votes in choices(4) {
        let mut honest = Ledger::default();
        for (voter, sign) in [1, 2, member].into_iter().zip(&votes) {
            sign.iter().for_each(|sign| court.say(&mut honest, voter, Matter::Mallory, *sign, 0));
        }
        for founder in [1, 2] {
            votes[3].iter().for_each(|sign| court.say(&mut honest, founder, Matter::Trust(member, 1), *sign, 0));
        }
        if court.decide(&honest, &founders, 2) != Answer::Deny {
            continue;
        }
        for plot in choices(8) {
            let mut acting = honest.clone();
            for (plotter, other, signs) in [(traitor, minted, &plot[..4]), (minted, traitor, &plot[4..])] {
                let about = [Matter::Mallory, Matter::Trust(other, 3), Matter::Trust(member, 3), Matter::Trust(1, 3)];
                for (matter, sign) in about.into_iter().zip(signs) {
                    sign.iter().for_each(|sign| court.say(&mut acting, plotter, matter, *sign, 1));
                }
            }
            assert_ne!(court.decide(&acting, &founders, 2), Answer::Allow, "{votes:?} {plot:?}");
            denied += 1;
        }
    }
    assert!(denied > 50_000, "{denied}");
}

/// What honest keys say: all of one mind about whom to trust, of any mind about the question.
fn honest(court: &mut Court, draw: &mut Draw, founders: usize) -> Ledger {
    let mut said = Ledger::default();
    let members = 20..20 + draw.below(4);
    for member in members.clone().filter(|_| draw.below(4) > 0).collect::<Vec<_>>() {
        let depth = draw.below(3) as u64;
        (1..=founders).for_each(|issuer| court.say(&mut said, issuer, Matter::Trust(member, depth), Sign::Yes, 0));
    }
    for voter in (1..=founders).chain(members) {
        match draw.below(5) {
            0 => court.say(&mut said, voter, Matter::Mallory, Sign::Yes, 0),
            1..4 => court.say(&mut said, voter, Matter::Mallory, Sign::No, 0),
            _ => {}
        }
    }
    said
}

/// Anything that members of a coalition may say: about the question, each other, the honest, and keys they minted; each
/// for itself, or all in concert.
fn plot(court: &mut Court, draw: &mut Draw, coalition: &[usize], said: &mut Ledger) {
    let plotters: Vec<usize> = coalition.iter().copied().chain([50, 51, 52, 53, MALLORY]).collect();
    let in_concert = draw.below(3) == 0;
    for _ in 0..4 + draw.below(if in_concert { 3 } else { 16 }) {
        let issuers = if in_concert { plotters.clone() } else { vec![*draw.one(&plotters)] };
        let target = *draw.one(&[1, 2, 3, 20, 21, 22, 50, 51, 52, 53, MALLORY]);
        let sign = *draw.one(&[Sign::Yes, Sign::Yes, Sign::No, Sign::DontCare]);
        let matter = match draw.below(8) {
            0..3 => Matter::Mallory,
            3..6 => Matter::Trust(target, 3),
            6 => Matter::Founder(target),
            _ => Matter::Pardon(target),
        };
        let step = draw.below(3) as u64;
        issuers.into_iter().for_each(|issuer| court.say(said, issuer, matter, sign, step));
    }
}

/// Plots against what the same honest keys have decided.
const PLOTS: usize = 4;

/// Honest members decide; if they deny, coalitions of so many founders say what they like. Gives the answers then.
fn after_plots(court: &mut Court, quorum: usize, traitors: usize, seed: u64) -> Vec<Answer> {
    let mut draw = Draw::new(seed);
    let honest_founders = quorum + draw.below(3);
    let coalition: Vec<usize> = (40..40 + traitors).collect();
    let founders: Vec<usize> = (1..=honest_founders).chain(coalition.iter().copied()).collect();
    let honest = honest(court, &mut draw, honest_founders);
    if court.decide(&honest, &founders, quorum) != Answer::Deny {
        return Vec::new();
    }
    let plots = (0..PLOTS).map(|_| {
        let mut acting = honest.clone();
        plot(court, &mut draw, &coalition, &mut acting);
        court.decide(&acting, &founders, quorum)
    });
    plots.collect()
}

fn half_a_million_denials(quorum: usize) {
    let (mut court, mut met) = (Court::new(), 0);
    for seed in 0.. {
        let traitors = seed as usize % quorum;
        let answers = after_plots(&mut court, quorum, traitors, seed);
        assert!(!answers.contains(&Answer::Allow), "seed {seed}, quorum {quorum}: {answers:?}");
        met += answers.len();
        if met >= 500_000 {
            return;
        }
    }
}

#[test]
fn a_coalition_as_large_as_the_quorum_does_gain_something_now_and_then() {
    let mut court = Court::new();
    let answers: Vec<Answer> = (0..20_000).flat_map(|seed| after_plots(&mut court, 2, 2, seed)).collect();
    let won = answers.iter().filter(|answer| **answer == Answer::Allow).count();
    assert!(won > 10, "the plots are worth something: {won} of {}", answers.len());
}

#[test]
fn a_coalition_below_a_quorum_of_two_gains_nothing_in_half_a_million_denials() {
    half_a_million_denials(2);
}

#[test]
fn a_coalition_below_a_quorum_of_three_gains_nothing_in_half_a_million_denials() {
    half_a_million_denials(3);
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

#[test]
fn without_a_clock_nothing_is_allowed_that_a_clock_would_not_allow() {
    let mut narrower = 0;
    for seed in 0..4_000 {
        let mut draw = Draw::new(seed);
        let (said, rules) = (draw.statements(40, 6), rules(&[1, 2], 1 + draw.below(2)));
        let (acting, now) = (ledger(&said), NOW.before(3_600).after(600 * draw.below(13) as u64));
        let (mut right, mut clockless) = (Judge::new(rules.clone()), Judge::new(rules));
        for (topic, subject) in ["edit", "own", "pick"].into_iter().flat_map(|topic| (0..6).map(move |n| (topic, n))) {
            let question = Question { subject: key(subject), ..ask(topic) };
            let truth = right.decide(&acting, &question, Span::at(now));
            let answer = clockless.decide(&acting, &question, Span::vouched(now));
            assert!(answer != Answer::Allow || truth == Answer::Allow, "seed {seed}, {question:?}: {truth:?}");
            narrower += usize::from(answer > truth);
        }
    }
    assert!(narrower > 50, "{narrower}");
}

#[test]
fn without_a_clock_a_warning_that_is_over_does_not_silence_an_objector() {
    let rules = observer(&[1, 2, 3], 1);
    let warn = |issuer| say(issuer, claim(Sign::No, trust(20, "edit"), 0).until(NOW.after(60)));
    let said = [
        yes(1, trust(20, "edit")),
        warn(2),
        warn(3),
        no(20, allow(MALLORY, "edit", &[])),
        yes(2, allow(MALLORY, "edit", &[])),
    ];
    let (acting, later) = (ledger(&said), NOW.after(3_600));
    let answer = |span| Judge::new(rules.clone()).decide(&acting, &ask("edit"), span);
    assert_eq!(answer(Span::at(NOW)), Answer::Allow, "20 is distrusted");
    assert_eq!(answer(Span::at(later)), Answer::Unknown);
    assert_eq!(answer(Span::vouched(later)), Answer::Unknown);
}
