use super::*;
use crate::judge::tests::{ask, in_order, questions};
use crate::testing::{Draw, NOW, allow, allow_group, claim, key, ledger, no, rules, say, trust, word, yes};
use crate::{About, Regard, Rules};

fn explain(rules: &Rules, said: &[Arc<Statement>], question: &Question) -> Explanation {
    Judge::new(rules.clone()).explain(&ledger(said), question, Span::at(NOW))
}

fn keys(numbers: &[usize]) -> BTreeSet<Key> {
    numbers.iter().map(|number| key(*number)).collect()
}

#[test]
fn a_vote_is_explained_with_its_voices_and_how_they_came_to_be_heard() {
    let rules = rules(&[1, 2], 2);
    let vouches = [say(1, claim(Sign::Yes, trust(3, "edit"), 0).depth(1)), yes(2, trust(3, "edit"))];
    let votes = [yes(1, allow(5, "edit", &[])), yes(3, allow(5, "edit", &[])), yes(9, allow(5, "edit", &[]))];
    let said = [&vouches[..], &votes].concat();
    let why = explain(&rules, &said, &ask("edit", 5, &[]));

    assert_eq!(why.answer, Answer::Allow);
    let tally = Tally { rule: Rule::Quorum, quorum: 2, founders: 2, yes: keys(&[1, 3]), no: keys(&[]) };
    assert_eq!(why.reason, Reason::Votes(tally));
    let of = |voter| why.statements.iter().find(|weighed| *weighed.statement.issuer() == key(voter)).unwrap().weight;
    assert_eq!(of(3), Ok(Weight { sign: Sign::Yes, voice: key(3) }));
    assert_eq!(of(9), Err(Ignored::Untrusted));

    let third = why.introduction(&key(3)).unwrap();
    assert_eq!(third.regard, Regard::Trusted { level: 1, depth: 0 });
    assert_eq!(third.vouching, vouches);
    assert_eq!(why.introduction(&key(1)).unwrap().regard, Regard::Root);
    assert_eq!(why.chain(&key(3)), [&vouches[0]]);
    assert!(why.chain(&key(1)).is_empty());
    assert_eq!(why.missing, None);
    assert_eq!(why.proof.len(), 4, "both votes, and both who vouch: {:#?}", why.proof);
}

#[test]
fn a_chain_leads_over_several_levels_to_a_root() {
    let vouch = |issuer, key, depth| say(issuer, claim(Sign::Yes, trust(key, "edit"), 0).depth(depth));
    let chain = [vouch(3, 4, 0), vouch(2, 3, 1), vouch(1, 2, 2)];
    let said = [&chain[..], &[yes(4, allow(5, "edit", &[]))]].concat();
    let why = explain(&rules(&[1], 1), &said, &ask("edit", 5, &[]));
    assert_eq!(why.chain(&key(4)), chain.iter().collect::<Vec<_>>());
    assert_eq!(why.introduction(&key(4)).unwrap().voice, Some(key(1)), "it speaks in the voice of the only root");
    assert_eq!(why.proof.len(), 4);
}

#[test]
fn ones_own_word_and_a_revocation_are_reasons_of_their_own() {
    let own = no(0, allow(5, "edit", &[]));
    let said = [yes(1, allow(5, "edit", &[])), own.clone()];
    let why = explain(&rules(&[1], 1), &said, &ask("edit", 5, &[]));
    assert_eq!(why.reason, Reason::OwnWord(own.clone()));
    assert_eq!(why.proof, std::slice::from_ref(&own));
    let missing = why.missing.unwrap();
    assert_eq!((missing.withdrawals, missing.voices), (vec![own], 0), "the vote of 1 suffices then");

    let revocation = no(5, About::Revoke);
    let why = explain(&rules(&[1], 1), &[said[0].clone(), revocation.clone()], &ask("edit", 5, &[]));
    assert_eq!((why.answer, why.missing), (Answer::Deny, None), "for ever");
    assert_eq!((why.reason, why.proof), (Reason::Revoked(revocation.clone()), vec![revocation]));
}

#[test]
fn what_is_missing_is_named_with_the_voices_that_could_say_it() {
    let rules = rules(&[1, 2, 3], 2);
    let said = [yes(1, allow(5, "edit", &[])), yes(2, trust(7, "edit")), yes(3, trust(7, "edit"))];
    let why = explain(&rules, &said, &ask("edit", 5, &[]));
    let missing = why.missing.unwrap();
    assert_eq!((why.answer, missing.voices), (Answer::Unknown, 1));
    assert_eq!(missing.of, [0, 2, 3, 7].map(|number| (key(number), keys(&[number]))).into());
    assert!(why.proof.is_empty());

    let why = explain(&rules, &[], &ask("pick", 5, &[]));
    assert!(matches!(why.reason, Reason::Silence(Tally { quorum: 1, .. })));
    let denials = [no(1, allow(5, "own", &[])), no(2, allow(5, "own", &["a"]))];
    let why = explain(&rules, &denials, &ask("own", 5, &["a"]));
    let missing = why.missing.unwrap();
    assert_eq!((missing.withdrawals, missing.voices), (denials.to_vec(), 1));
}

#[test]
fn a_grant_by_group_is_proven_with_the_membership_and_what_is_handed_on_with_the_grant() {
    let said = [yes(1, allow_group("g", "edit")), yes(1, allow(5, "in", &["g"])), yes(1, allow(5, "in", &["h"]))];
    let why = explain(&rules(&[1], 1), &said, &ask("edit", 5, &[]));
    assert_eq!(why.proof.iter().map(|s| s.id()).collect::<BTreeSet<_>>(), said[..2].iter().map(|s| s.id()).collect());
    let why = explain(&rules(&[1], 1), &said, &ask("edit", 6, &[]));
    assert_eq!(why.statements, [Weighed { statement: said[0].clone(), weight: Err(Ignored::NotMember) }]);

    let said = [yes(1, trust(2, "own")), yes(2, allow(5, "own", &["a", "b"])), yes(1, allow(2, "own", &["a"]))];
    let why = explain(&rules(&[1], 1), &said, &ask("own", 5, &["a", "b"]));
    assert_eq!((why.answer, why.proof.len()), (Answer::Allow, 3));
    let why = explain(&rules(&[1], 1), &said[..2], &ask("own", 5, &["a", "b"]));
    assert_eq!(why.statements[0].weight, Err(Ignored::NotTheirs));
}

#[test]
fn a_span_is_explained_at_the_moment_that_restricts_most() {
    let end = NOW.after(600);
    let said = [say(1, claim(Sign::Yes, allow(5, "edit", &[]), 0).until(end))];
    let why = Judge::new(rules(&[1], 1)).explain(&ledger(&said), &ask("edit", 5, &[]), Span::around(NOW, 3_600));
    assert_eq!((why.answer, why.at), (Answer::Unknown, end));
    assert_eq!(why.statements[0].weight, Err(Ignored::Over));
}

#[test]
fn an_answer_that_hangs_on_who_was_heard_when_is_proven_too() {
    let mut rules = rules(&[1, 2, 3], 1);
    rules.policy.topics.insert(word("big"), crate::testing::topic(Rule::TwoThirds, 1));
    let of_three = [yes(3, allow(8, "found", &[])), no(3, allow(8, "found", &[])), yes(3, allow(6, "found", &[]))];
    let serial = of_three[0].claim().serial.to_string();
    let founding = [yes(1, allow(4, "found", &[])), yes(2, allow(4, "found", &[]))];
    let pardon = [yes(4, allow(3, "pardon", &["found", &serial])), yes(1, allow(6, "found", &[]))];
    let votes = [1, 2, 4].map(|voter| yes(voter, allow(5, "big", &[])));
    let said = [&of_three[..], &founding, &pardon, &votes].concat();
    // When 4 had become a founder and pardoned 3, it was too late for 3 to make 6 the fifth founder.
    let why = explain(&rules, &said, &ask("big", 5, &[]));
    assert_eq!(why.answer, Answer::Allow);
    // Who has not heard of the fourth founder needs but two of three.
    let proof: BTreeSet<_> = why.proof.iter().map(|statement| statement.id()).collect();
    assert_eq!(proof, votes[..2].iter().map(|statement| statement.id()).collect());
}

/// Statements of nine keys who mostly vouch for each other and allow things to each other.
fn of_friends(draw: &mut Draw) -> Vec<Arc<Statement>> {
    let statement = |draw: &mut Draw| {
        let (issuer, subject, topic) = (draw.below(9), draw.below(9), *draw.one(&["edit", "own", "pick"]));
        let sign = *draw.one(&[Sign::Yes, Sign::Yes, Sign::Yes, Sign::Yes, Sign::Yes, Sign::No]);
        let step = draw.below(1_000) as u64;
        let about = match draw.below(10) {
            0..6 => trust(subject, topic),
            6..8 => allow(draw.below(6), topic, [&[][..], &["a"], &["b"]][draw.below(3)]),
            8 => allow_group("g", topic),
            _ => allow(draw.below(6), "in", &["g"]),
        };
        let is_introduction = sign == Sign::Yes && matches!(about, About::Trust { .. });
        let mut claim = claim(sign, about, step);
        claim.until = claim.until.map(|_| NOW.after(900 * draw.below(40) as u64));
        say(issuer, if is_introduction { claim.depth(draw.below(4) as u64) } else { claim })
    };
    let count = 20 + draw.below(100);
    (0..count).map(|_| statement(draw)).collect()
}

/// A ledger, a question and a time, drawn at random.
struct Case {
    rules: Rules,
    said: Vec<Arc<Statement>>,
    span: Span,
}

impl Case {
    fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let rules = rules(&[1, 2, 3][..draw.below(4)], 1 + draw.below(2));
        let count = 5 + draw.below(60);
        let said = if draw.below(2) == 0 { of_friends(&mut draw) } else { draw.statements(count, 6) };
        let said = in_order(said);
        let now = NOW.before(3_600).after(600 * draw.below(12) as u64);
        let span = *draw.one(&[Span::at(now), Span::at(now), Span::vouched(now), Span::around(now, 900)]);
        Self { rules, said, span }
    }

    fn answer(&self, said: &[Arc<Statement>], question: &Question) -> Answer {
        Judge::new(self.rules.clone()).decide(&ledger(said), question, self.span)
    }
}

#[test]
fn a_proof_convinces_whoever_has_the_same_rules_and_nothing_in_it_is_needless() {
    let (mut sizes, mut answers) = ([0; 32], [0; 3]);
    for seed in 0..1_500 {
        let case = Case::draw(seed);
        let (acting, mut judge) = (ledger(&case.said), Judge::new(case.rules.clone()));
        for question in questions(6).iter().skip(seed as usize % 7).step_by(7) {
            let why = judge.explain(&acting, question, case.span);
            assert_eq!(why.answer, judge.decide(&acting, question, case.span));
            assert_eq!(case.answer(&why.proof, question), why.answer, "seed {seed}, {question:?}: {:#?}", why.proof);
            for left_out in 0..why.proof.len() {
                let mut rest = why.proof.clone();
                rest.remove(left_out);
                assert_ne!(
                    case.answer(&rest, question),
                    why.answer,
                    "seed {seed}, {question:?}: {left_out} is needless"
                );
            }
            assert!(why.proof.iter().all(|statement| case.said.contains(statement)), "nothing is made up");
            sizes[why.proof.len()] += 1;
            answers[why.answer as usize] += 1;
        }
    }
    assert!(answers.iter().all(|count| *count > 300), "each answer is met: {answers:?}");
    assert!(sizes[2..].iter().sum::<usize>() > 800, "many proofs take more than one statement: {sizes:?}");
}

#[test]
fn what_is_missing_suffices_and_one_voice_less_does_not() {
    let (mut tried, mut enough) = (0, 0);
    for seed in 0..1_500 {
        let mut case = Case::draw(seed);
        case.span = Span::at(case.span.earliest());
        let (acting, mut judge) = (ledger(&case.said), Judge::new(case.rules.clone()));
        // A vote on founders would change who they are, and a member's own grant what it may hand on.
        for question in questions(6).iter().filter(|question| question.topic != word("found")).step_by(5) {
            let Some(missing) = judge.explain(&acting, question, case.span).missing else { continue };
            tried += 1;
            let about = |statement: &Statement| statement.claim().about.clone();
            let later = |issuer: Key, sign: Sign, about: About| {
                let mut claim = claim(sign, about, if sign == Sign::Yes { 2_001 } else { 2_000 });
                (claim.from, claim.until) = (case.span.earliest().before(60), Some(case.span.earliest().after(60)));
                Statement::unsigned(issuer, claim)
            };
            let mut said = case.said.clone();
            said.extend(missing.withdrawals.iter().map(|s| later(*s.issuer(), Sign::DontCare, about(s))));
            let asked = About::Allow {
                subject: crate::Subject::Key(question.subject),
                topic: question.topic.clone(),
                args: question.args.clone(),
            };
            let me = case.rules.me;
            let voices = missing.of.values().map(|keys| *keys.first().unwrap()).filter(|key| *key != me);
            let votes: Vec<_> = voices.take(missing.voices).map(|key| later(key, Sign::Yes, asked.clone())).collect();
            if votes.len() < missing.voices {
                continue;
            }
            enough += 1;
            let with = |votes: &[Arc<Statement>]| case.answer(&[&said[..], votes].concat(), question);
            assert_eq!(with(&votes), Answer::Allow, "seed {seed}, {question:?}: {missing:#?}");
            if let Some((_, fewer)) = votes.split_last() {
                assert_ne!(with(fewer), Answer::Allow, "seed {seed}, {question:?}: {missing:#?}");
            }
        }
    }
    assert!(tried > 10_000 && enough > 3_000, "{tried}, {enough}");
}
