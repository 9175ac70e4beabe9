use std::collections::BTreeSet;

use super::*;
use crate::testing::Draw;

fn id(number: usize) -> StatementId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    StatementId(bytes)
}

/// What a reconciliation cost and moved.
struct Outcome {
    round_trips: usize,
    bytes: usize,
    from_one: BTreeSet<StatementId>,
    from_other: BTreeSet<StatementId>,
}

fn reconcile(one: &[StatementId], other: &[StatementId]) -> Outcome {
    let salt = [9; 16];
    let mut sides = [Session::new(salt, one.iter().copied()), Session::new(salt, other.iter().copied())];
    let mut outcome = Outcome { round_trips: 0, bytes: 0, from_one: BTreeSet::new(), from_other: BTreeSet::new() };
    let (mut frames, mut turn, mut messages) = (sides[0].start(), 1, 1);
    while !frames.is_empty() {
        outcome.bytes += frames.iter().map(Vec::len).sum::<usize>();
        let mut next = Vec::new();
        for frame in frames {
            assert!(frame.len() <= MAX_FRAME);
            let step = sides[turn].on_frame(&frame).unwrap();
            let sent = if turn == 0 { &mut outcome.from_one } else { &mut outcome.from_other };
            assert!(step.lacking.iter().all(|id| sent.insert(*id)), "an item goes once");
            next.extend(step.frames);
        }
        (frames, turn) = (next, 1 - turn);
        messages += 1;
    }
    outcome.round_trips = messages / 2;
    outcome
}

#[test]
fn two_stores_of_100_000_with_10_differences_need_4_round_trips_and_16_kb() {
    let all: Vec<StatementId> = (0..100_005).map(id).collect();
    let outcome = reconcile(&all[..100_000], &all[5..]);
    assert_eq!(outcome.from_one, (0..5).map(id).collect());
    assert_eq!(outcome.from_other, (100_000..100_005).map(id).collect());
    let with_statements = outcome.bytes + 10 * crate::MAX_LINE;
    assert!(outcome.round_trips <= 4, "{} round trips", outcome.round_trips);
    assert!(with_statements <= 16_000, "{with_statements} bytes");
}

#[test]
fn any_two_sets_become_one() {
    for seed in 0..400 {
        let mut draw = Draw::new(seed);
        let size = *draw.one(&[0, 1, 20, 100, 2_000]);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let rarity = *draw.one(&[1, 2, 50]);
        for number in 0..size {
            match draw.below(rarity * 2) {
                0 => one.push(id(number)),
                1 => other.push(id(number)),
                _ => [&mut one, &mut other].iter_mut().for_each(|side| side.push(id(number))),
            }
        }
        let outcome = reconcile(&one, &other);
        let lacking = |have: &[StatementId], want: &[StatementId]| -> BTreeSet<StatementId> {
            want.iter().filter(|id| !have.contains(id)).copied().collect()
        };
        assert_eq!(outcome.from_one, lacking(&other, &one), "seed {seed}");
        assert_eq!(outcome.from_other, lacking(&one, &other), "seed {seed}");
    }
}

#[test]
fn equal_sets_cost_one_frame() {
    let all: Vec<StatementId> = (0..1_000).map(id).collect();
    let outcome = reconcile(&all, &all);
    assert!(outcome.bytes < 150 && outcome.from_one.is_empty() && outcome.from_other.is_empty());
}

#[test]
fn hostile_frames_cause_a_bounded_amount_of_work() {
    let mut session = Session::new([1; 16], (0..10_000).map(id));
    let mut frame = Vec::new();
    for part in Range::ALL.parts().flat_map(|range| range.parts().collect::<Vec<_>>()).take(8) {
        frame.extend(frame::encode(&Entry::Hashes { range: part, hashes: [1; 16] }));
    }
    let answered = (0..10_000).take_while(|_| session.on_frame(&frame).is_ok()).count();
    assert!(answered <= MAX_FRAMES);
    assert!(session.hashed <= PASSES * 10_000 && session.hashes.len() <= PASSES * 10_000);
    let mut greedy = Session::new([1; 16], (0..100).map(id));
    let wanted = frame::encode(&Entry::Names { range: Range::ALL, names: Vec::new() });
    let sent: usize = (0..50).map(|_| greedy.on_frame(&wanted).unwrap().lacking.len()).sum();
    assert_eq!(sent, 100, "each item once");
}
