//! Stores that meet become alike.

use super::*;
use crate::testing::{Draw, NOW, claim, rules, word};
use crate::{Answer, Judge, Limits, MAX_FRAME, Neighbour, Policy, Question, Session, Span, Subject};

/// The key that stands for one of `testing::key`, and can sign.
fn secret(of: &Key) -> SecretKey {
    let mut seed = *of.as_bytes();
    seed[31] = 77;
    SecretKey::from_seed(&seed)
}

fn numbered(number: usize) -> SecretKey {
    secret(&crate::testing::key(number))
}

/// What a drawn statement says, among keys that can sign.
fn signed(drawn: &Statement) -> Arc<Statement> {
    let mut claim = drawn.claim().clone();
    match &mut claim.about {
        About::Allow { subject: Subject::Key(key), .. } | About::Trust { key, .. } => *key = secret(key).public(),
        About::Allow { subject: Subject::Group(_), .. } | About::Revoke => {}
    }
    Arc::new(claim.sign(&secret(drawn.issuer())).unwrap())
}

/// The store of somebody outside a group that two have founded, by the policy of `testing::rules`.
fn observer() -> Store {
    let policy: Policy = rules(&[], 1).policy;
    let founders = [1, 2].map(|number| numbered(number).public()).into();
    Store::new(Rules { me: numbered(9).public(), founders, policy }, Quotas::default())
}

fn allow(issuer: usize, subject: usize, arg: &str, sign: Sign, step: u64) -> String {
    let subject = Subject::Key(numbered(subject).public());
    let about = About::Allow { subject, topic: word("edit"), args: vec![word(arg)] };
    claim(sign, about, step).sign(&numbered(issuer)).unwrap().to_string()
}

/// A store and what it thinks of the other.
struct Side {
    store: Store,
    other: Neighbour,
}

impl Side {
    fn new(store: Store) -> Self {
        Self { store, other: Neighbour::new(NOW) }
    }

    /// Answers the frames of the other side; gives what goes there.
    fn answer(&self, session: &mut Session<Item>, frames: Vec<Vec<u8>>) -> (Vec<Vec<u8>>, Vec<String>) {
        let (mut answers, mut texts) = (Vec::new(), Vec::new());
        for frame in frames {
            assert!(frame.len() <= MAX_FRAME);
            let step = session.on_frame(&frame).unwrap();
            answers.extend(step.frames);
            texts.extend(step.lacking.iter().map(ToString::to_string));
        }
        (answers, texts)
    }
}

/// What a meeting cost.
#[derive(Debug, Default)]
struct Cost {
    messages: usize,
    frame_bytes: usize,
    items: usize,
    refused: Vec<Refused>,
}

/// One session between two stores.
fn meet(sides: &mut [Side; 2], salt: u8, now: Time) -> Cost {
    let mut sessions = [0, 1].map(|at: usize| sides[at].store.session([salt; 16]));
    let (mut frames, mut turn, mut cost) = (sessions[0].start(), 1, Cost::default());
    while !frames.is_empty() {
        cost.messages += 1;
        cost.frame_bytes += frames.iter().map(Vec::len).sum::<usize>();
        let (answers, texts) = sides[turn].answer(&mut sessions[turn], frames);
        let receiver = &mut sides[1 - turn];
        for text in &texts {
            let refused = receiver.store.accept(text, Some(&mut receiver.other), now).err();
            cost.refused.extend(refused);
        }
        cost.items += texts.len();
        (frames, turn) = (answers, 1 - turn);
    }
    cost
}

#[test]
fn two_stores_exchange_what_they_lack_evidence_and_revocations_included() {
    let mut sides = [(), ()].map(|()| Side::new(observer()));
    let everybody = (0..600).map(|step| allow(1 + step % 2, 5, &format!("common-{step}"), Sign::Yes, step as u64));
    for text in everybody {
        sides.iter_mut().for_each(|side| drop(side.store.accept(&text, None, NOW).unwrap()));
    }
    for step in 0..4 {
        sides[0].store.accept(&allow(1, 6, &format!("here-{step}"), Sign::No, step), None, NOW).unwrap();
        sides[1].store.accept(&allow(2, 6, &format!("there-{step}"), Sign::Yes, step), None, NOW).unwrap();
    }
    // Key 1 contradicts itself here, and has said something newer there.
    for sign in [Sign::Yes, Sign::No] {
        sides[0].store.accept(&allow(1, 7, "both", sign, 9), None, NOW).unwrap();
    }
    sides[1].store.accept(&allow(1, 7, "both", Sign::Yes, 10), None, NOW).unwrap();
    // Key 5, whom the common statements name, revokes itself here.
    let revocation = claim(Sign::No, About::Revoke, 0).sign(&numbered(5)).unwrap().to_string();
    sides[0].store.accept(&revocation, None, NOW).unwrap();
    assert_ne!(sides[0].store.items(), sides[1].store.items());

    let later = NOW.after(60);
    let cost = meet(&mut sides, 1, later);
    assert!(cost.refused.is_empty(), "{:?}", cost.refused);
    assert_eq!(sides[0].store.items(), sides[1].store.items());
    assert!(cost.items <= 13 && cost.messages <= 8 && cost.frame_bytes <= 8_000, "{cost:?}");
    let there = sides[1].store.ledger();
    assert!(there.is_revoked(&numbered(5).public()));
    assert!(there.evidence(&numbered(1).public(), &word("edit")).is_some());
    assert_eq!(meet(&mut sides, 2, later).items, 0, "all is known on both sides");
}

#[test]
fn what_came_too_fast_is_offered_again_until_both_are_alike() {
    let mut sides = [(), ()].map(|()| Side::new(observer()));
    for step in 0..250 {
        sides[0].store.accept(&allow(1, 5, &step.to_string(), Sign::Yes, step), None, NOW).unwrap();
    }
    let refused = [0, 10, 20].map(|seconds| meet(&mut sides, 1, NOW.after(seconds)).refused);
    assert_eq!(refused.map(|refused| refused.iter().filter(|why| **why == Refused::TooFast).count()), [150, 50, 0]);
    assert_eq!(sides[0].store.items(), sides[1].store.items());
}

#[test]
fn forged_items_shut_a_neighbour_out_and_leave_no_trace() {
    let mut sides = [(), ()].map(|()| Side::new(observer()));
    let genuine = allow(1, 5, "a", Sign::Yes, 0);
    let receiver = &mut sides[0];
    for step in 0..3 {
        let other = allow(1, 5, "a", Sign::Yes, 1 + step);
        let (claim, signature) = (genuine.rsplit_once(' ').unwrap().0, other.rsplit_once(' ').unwrap().1);
        let text = format!("{claim} {signature}");
        assert!(receiver.store.accept(&text, Some(&mut receiver.other), NOW).is_err());
    }
    sides[1].store.accept(&genuine, None, NOW).unwrap();
    assert_eq!(meet(&mut sides, 1, NOW).refused, [Refused::ShutOut]);
    assert!(sides[0].store.items().is_empty());
    assert!(meet(&mut sides, 2, NOW.after(600)).refused.is_empty(), "ten minutes later");
    assert_eq!(sides[0].store.items(), sides[1].store.items());
}

/// All answers about some of the keys.
fn answers(store: &Store, subjects: &[Key]) -> Vec<Answer> {
    let mut judge = Judge::new(store.rules().clone());
    let questions = subjects.iter().flat_map(|subject| ["edit", "own", "pick", "in"].map(|topic| (*subject, topic)));
    let answers = questions.map(|(subject, topic)| {
        let args = vec![word(if topic == "in" { "g" } else { "a" })];
        let question = Question { topic: word(topic), subject, args, demand: Limits::default() };
        judge.decide(store.ledger(), &question, Span::at(NOW))
    });
    answers.collect()
}

#[test]
fn after_a_partition_all_who_meet_decide_alike() {
    let (mut moved, mut met) = (0, 0);
    for seed in 0..200 {
        let mut draw = Draw::new(seed);
        let count = 10 + draw.below(40);
        let said: Vec<_> = draw.statements(count, 6).iter().map(|drawn| signed(drawn)).collect();
        let mut stores = vec![observer(), observer(), observer()];
        for store in &mut stores {
            let mut heard: Vec<_> = said.iter().filter(|_| draw.below(3) > 0).collect();
            heard.extend(said.iter().filter(|_| draw.below(4) == 0));
            draw.shuffle(&mut heard);
            heard.into_iter().for_each(|statement| drop(store.accept(&statement.to_string(), None, NOW)));
        }
        // Each meets each, more than once: what one brings may have others heard who were strangers before.
        for (round, (one, other)) in [(0, 1), (1, 2), (2, 0)].into_iter().cycle().take(12).enumerate() {
            let mut sides = [one, other].map(|at| Side::new(stores[at].clone()));
            moved += meet(&mut sides, round as u8, NOW.after(60 * round as u64)).items;
            met += 1;
            let [here, there] = sides;
            (stores[one], stores[other]) = (here.store, there.store);
        }
        let ids = |store: &Store| store.items().iter().map(Item::id).collect::<BTreeSet<_>>();
        // That a stranger whom nobody has named revokes itself is kept, but not passed on: it may nothing either way.
        let is_kept = |store: &Store, key: &Key| {
            store.ledger().revocation(key).is_some_and(|revocation| !ids(store).contains(&revocation.id()))
        };
        let mut subjects: Vec<Key> = (0..6).map(|number| numbered(number).public()).collect();
        subjects.retain(|key| !stores.iter().any(|store| is_kept(store, key)));
        for store in &stores[1..] {
            assert_eq!(ids(store), ids(&stores[0]), "seed {seed}");
            assert_eq!(answers(store, &subjects), answers(&stores[0], &subjects), "seed {seed}");
        }
    }
    assert!(moved > 500, "{moved} items in {met} meetings");
}
