//! Nanoseconds per decision over 10,000 statements, and what the rest costs.

use std::sync::Arc;

use divan::Bencher;
use divan::black_box;
use fides::{
    About, Answer, Claim, Cover, Judge, Key, Ledger, Limits, Policy, Question, Quorum, Rule, Rules, SecretKey, Session,
    Sign, Span, Statement, StatementId, Subject, Time, Topic, Unchecked, Word,
};

const NOW: Time = Time(1_800_000_000);
const STATEMENTS: usize = 10_000;
const FOUNDERS: u8 = 5;
const MEMBERS: u8 = 100;

fn main() {
    divan::main();
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn subject(number: usize) -> Key {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Key::from_bytes(bytes)
}

fn topic() -> Word {
    Word::new("edit").expect("not empty")
}

fn grant(number: usize) -> About {
    About::Allow { subject: Subject::Key(subject(number)), topic: topic(), args: Vec::new() }
}

fn said(issuer: &SecretKey, about: About, step: usize) -> Arc<Statement> {
    let serial = NOW.0 * 1_000 + step as u64;
    Arc::new(Claim::new(Sign::Yes, about, serial, NOW).sign(issuer).expect("a short statement"))
}

/// Five founders, each of whom vouches for some of a hundred members; everybody allows this and that.
fn world() -> (Ledger, Judge) {
    let mut ledger = Ledger::default();
    let members: Vec<SecretKey> = (0..FOUNDERS + MEMBERS).map(secret).collect();
    let mut statements = Vec::new();
    for member in FOUNDERS..FOUNDERS + MEMBERS {
        for founder in [member % FOUNDERS, (member + 1) % FOUNDERS] {
            let about = About::Trust { key: members[usize::from(member)].public(), topic: topic() };
            statements.push(said(&members[usize::from(founder)], about, statements.len()));
        }
    }
    while statements.len() < STATEMENTS {
        let step = statements.len();
        statements.push(said(&members[step % members.len()], grant(step / 4), step));
    }
    for statement in &statements {
        ledger.insert(statement, STATEMENTS);
    }
    let rule = Topic { rule: Rule::Quorum, quorum: Quorum::Fixed(2), cover: Cover::Same, handed_on: false };
    let policy = Policy { topics: [(topic(), rule)].into(), introductions: 64, ..Policy::default() };
    let founders = members.iter().take(usize::from(FOUNDERS)).map(SecretKey::public).collect();
    (ledger, Judge::new(Rules { me: members[0].public(), founders, policy }))
}

fn question(number: usize) -> Question {
    Question { topic: topic(), subject: subject(number), args: Vec::new(), demand: Limits::default() }
}

/// Nothing is remembered: whose word counts is found out as well.
#[divan::bench]
fn decision_from_nothing(bencher: Bencher<'_, '_>) {
    let (ledger, judge) = world();
    let question = question(1_000);
    bencher.with_inputs(|| judge.clone()).bench_local_values(|mut judge| {
        let answer = judge.decide(&ledger, black_box(&question), Span::at(NOW));
        assert_eq!(answer, Answer::Allow);
        judge
    });
}

/// Nothing is remembered, and every member but the one who asks has spoken of it: the word of each is looked into.
#[divan::bench]
fn decision_of_a_crowd(bencher: Bencher<'_, '_>) {
    let (mut ledger, judge) = world();
    for member in 1..FOUNDERS + MEMBERS {
        let statement = said(&secret(member), grant(STATEMENTS), STATEMENTS);
        ledger.insert(&statement, STATEMENTS);
    }
    let question = question(STATEMENTS);
    bencher.with_inputs(|| judge.clone()).bench_local_values(|mut judge| {
        let answer = judge.decide(&ledger, black_box(&question), Span::at(NOW));
        assert_eq!(answer, Answer::Allow);
        judge
    });
}

/// A question that was not asked before.
#[divan::bench]
fn decision_uncached(bencher: Bencher<'_, '_>) {
    let (ledger, mut judge) = world();
    judge.decide(&ledger, &question(0), Span::at(NOW));
    bencher.with_inputs(|| judge.clone()).bench_local_values(|mut judge| {
        judge.decide(&ledger, black_box(&question(1_000)), Span::at(NOW));
        judge
    });
}

/// A question that was asked before.
#[divan::bench]
fn decision_cached(bencher: Bencher<'_, '_>) {
    let (ledger, mut judge) = world();
    let question = question(1_000);
    bencher.bench_local(|| judge.decide(&ledger, black_box(&question), Span::at(NOW)));
}

#[divan::bench]
fn read_a_line(bencher: Bencher<'_, '_>) {
    let line = said(&secret(1), grant(1), 0).to_string();
    bencher.bench_local(|| Unchecked::parse(black_box(&line)));
}

#[divan::bench]
fn read_and_verify_a_line(bencher: Bencher<'_, '_>) {
    let line = said(&secret(1), grant(1), 0).to_string();
    bencher.bench_local(|| Unchecked::parse(black_box(&line)).map(Unchecked::verify));
}

/// The first half of a reconciliation of 100,000 items: salting, sorting, hashing.
#[divan::bench(sample_count = 10)]
fn session_of_100_000(bencher: Bencher<'_, '_>) {
    let id = |number: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        StatementId(bytes)
    };
    bencher.bench_local(|| Session::new([1; 16], (0..100_000).map(id)).start());
}
