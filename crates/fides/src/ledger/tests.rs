use std::sync::Arc;

use super::*;
use crate::testing::{Draw, NOW, ROOM, allow, claim, key, ledger, no, rules, say, yes};
use crate::{Judge, Limits, Question, Sign, Span};

fn acting(ledger: &Ledger) -> Vec<StatementId> {
    let mut ids: Vec<StatementId> = ledger.statements().map(|statement| statement.id()).collect();
    ids.extend(ledger.all_evidence().flat_map(|evidence| evidence.statements()).map(|statement| statement.id()));
    ids.sort_unstable();
    ids
}

/// All answers about six keys.
fn answers(ledger: &Ledger) -> Vec<crate::Answer> {
    let mut judge = Judge::new(rules(&[1, 2], 1));
    let mut answers = Vec::new();
    for (subject, topic) in (0..6).flat_map(|subject| ["edit", "own", "pick", "in"].map(|topic| (subject, topic))) {
        let args = vec![crate::testing::word(if topic == "in" { "g" } else { "a" })];
        let topic = crate::testing::word(topic);
        let question = Question { topic, subject: key(subject), args, demand: Limits::default() };
        answers.push(judge.decide(ledger, &question, Span::at(NOW)));
    }
    answers
}

/// Passes all that one knows to another, evidence included.
fn pass_on(from: &Ledger, to: &mut Ledger) {
    for statement in from.statements() {
        to.insert(statement, ROOM);
    }
    for evidence in from.all_evidence() {
        to.insert_evidence(evidence, ROOM);
    }
}

#[test]
fn in_a_slot_the_newest_counts_and_then_the_most_restrictive() {
    let old = say(1, claim(Sign::No, allow(5, "edit", &[]), 1));
    let new = say(1, claim(Sign::Yes, allow(5, "edit", &[]), 2));
    let other = say(1, claim(Sign::DontCare, allow(5, "edit", &[]), 2));
    assert_eq!(acting(&ledger([&old, &new])), [new.id()]);
    assert_eq!(acting(&ledger([&new, &old])), [new.id()]);
    let clash = ledger([&new, &other]);
    let standing = clash.voices[&key(1)].slots.values().next().unwrap();
    assert_eq!((standing.acting.id(), standing.contradiction.as_ref().map(|c| c.id())), (other.id(), Some(new.id())));
}

#[test]
fn evidence_stays_when_the_slot_moves_on() {
    let one = yes(1, allow(5, "edit", &[]));
    let other = no(1, allow(5, "edit", &[]));
    let later = say(1, claim(Sign::Yes, allow(5, "edit", &[]), 9));
    let ledger = ledger([&one, &other, &later]);
    assert!(ledger.evidence(&key(1), &crate::testing::word("edit")).is_some());
    assert_eq!(ledger.statements().count(), 1);
}

#[test]
fn a_revocation_is_for_ever_and_takes_all_with_it() {
    let said =
        [yes(1, allow(5, "edit", &[])), no(1, About::Revoke), say(1, claim(Sign::Yes, allow(6, "edit", &[]), 9))];
    let mut draw = Draw::new(1);
    for _ in 0..10 {
        let mut shuffled = said.to_vec();
        draw.shuffle(&mut shuffled);
        assert_eq!(acting(&ledger(&shuffled)), [said[1].id()]);
    }
}

#[test]
fn what_falls_out_of_a_full_room_never_comes_back_past_what_replaced_it() {
    for seed in 0..300 {
        let mut draw = Draw::new(seed);
        let subjects = 1 + draw.below(8);
        let said: Vec<Arc<Statement>> = (0..30)
            .map(|_| {
                let sign = *draw.one(&[Sign::Yes, Sign::No]);
                say(1, claim(sign, allow(draw.below(subjects), "edit", &[]), draw.below(1_000) as u64))
            })
            .collect();
        let fill = |order: &[Arc<Statement>]| {
            let mut ledger = Ledger::default();
            for statement in order {
                ledger.insert(statement, 4);
            }
            ledger
        };
        let (one, mut shuffled) = (fill(&said), said.clone());
        draw.shuffle(&mut shuffled);
        let mut other = fill(&shuffled);
        let slots = |ledger: &Ledger| ledger.voices[&key(1)].slots.clone();
        assert_eq!(slots(&one), slots(&other), "seed {seed}");
        for statement in &said {
            other.insert(statement, 4);
        }
        assert_eq!(slots(&one), slots(&other), "played back");
    }
}

#[test]
fn whoever_holds_the_same_decides_alike_after_any_order_partition_and_repetition() {
    for seed in 0..2_000 {
        let mut draw = Draw::new(seed);
        let count = 5 + draw.below(40);
        let said = draw.statements(count, 6);
        let mut ledgers: Vec<Ledger> = (0..3)
            .map(|_| {
                let mut heard: Vec<_> = said.iter().filter(|_| draw.below(3) > 0).cloned().collect();
                heard.extend(said.iter().filter(|_| draw.below(4) == 0).cloned());
                draw.shuffle(&mut heard);
                ledger(&heard)
            })
            .collect();
        let mut all = said.clone();
        draw.shuffle(&mut all);
        ledgers.push(ledger(&all));
        for _ in 0..2 {
            for (from, to) in [(3, 0), (0, 1), (1, 2), (2, 3), (3, 0), (0, 1), (1, 2), (2, 3)] {
                let from = ledgers[from].clone();
                pass_on(&from, &mut ledgers[to]);
            }
        }
        let (first, expected) = (acting(&ledgers[0]), answers(&ledgers[0]));
        for other in &ledgers[1..] {
            assert_eq!(acting(other), first, "seed {seed}");
            assert_eq!(answers(other), expected, "seed {seed}");
        }
    }
}

#[test]
fn the_indexes_agree_with_the_statements() {
    for seed in 0..300 {
        let mut draw = Draw::new(seed);
        let mut ledger = Ledger::default();
        for _ in 0..80 {
            match draw.below(12) {
                0 => ledger.trim(&key(draw.below(6)), draw.below(6)),
                1 => ledger.forget_issuer(&key(draw.below(6))),
                2 => ledger.forget_past(NOW.after(draw.below(500) as u64 * crate::DAY)),
                _ => {
                    ledger.insert(&draw.statement(6), 3 + draw.below(20));
                }
            }
            let indexed = ledger.allow.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum::<usize>()
                + ledger.trust.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum::<usize>();
            let slots: usize = ledger.voices.values().map(|voice| voice.slots.len()).sum();
            assert_eq!(indexed, slots);
            let pairs = |index: &BTreeMap<Word, BTreeMap<Key, BTreeMap<Key, Standing>>>, is_turned: bool| {
                let mut pairs = Vec::new();
                for (topic, outer) in index {
                    for (one, (other, standing)) in
                        outer.iter().flat_map(|(one, said)| said.iter().map(move |s| (one, s)))
                    {
                        let pair = if is_turned { (*other, *one) } else { (*one, *other) };
                        pairs.push((topic.clone(), pair, standing.acting.id()));
                    }
                }
                pairs.sort_unstable();
                pairs
            };
            assert_eq!(pairs(&ledger.trust, false), pairs(&ledger.introduced, true));
            assert_eq!(ledger.len(), ledger.statements().count());
            let ends: usize = ledger.boundaries.values().map(|count| *count as usize).sum();
            let acting = ledger.voices.values().flat_map(|voice| voice.slots.values());
            assert_eq!(ends, acting.map(|standing| boundaries(&standing.acting).count()).sum::<usize>());
        }
    }
}
