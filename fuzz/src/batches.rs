//! Target for the cipher: all its backends make the same bytes and verdicts of any batch of records.

use tinmesh_cipher::{Backend, Key, Record, TAG, open_with, seal_with};

/// A target's body.
type Target = fn(&[u8]);

/// All targets of this module by name.
pub(crate) const TARGETS: [(&str, Target); 1] = [("batches", batches)];

/// Longest record: two passes of eight blocks, and some.
const LONGEST: usize = 1700;

/// A record as eight bytes of input describe it: key, number, length, and a bit that is changed on the way.
struct Plan {
    key: u8,
    number: u32,
    len: usize,
    changed: u8,
}

/// A record's bytes and tag, and whether it was genuine.
type Outcome = (Vec<u8>, [u8; TAG], bool);

fn batches(input: &[u8]) {
    let (pieces, _) = input.as_chunks::<8>();
    let plans: Vec<Plan> = pieces.iter().take(70).map(plan).collect();
    let plain: Vec<Outcome> = plans.iter().map(|plan| (data(plan), [0; TAG], false)).collect();
    let sealed = all_alike(&plans, &plain, seal_with);
    let mut received = sealed;
    for ((bytes, tag, _), plan) in received.iter_mut().zip(&plans).filter(|(_, plan)| plan.changed != 0) {
        let at = usize::from(plan.changed) % (bytes.len() + TAG);
        *bytes.iter_mut().chain(tag).nth(at).expect("a place within") ^= plan.changed;
    }
    let opened = all_alike(&plans, &received, open_with);
    for (at, plan) in plans.iter().enumerate() {
        let expected = if plan.changed == 0 { &plain[at].0 } else { &received[at].0 };
        assert_eq!((&opened[at].0, opened[at].2), (expected, plan.changed == 0), "record {at}");
    }
}

fn plan([key, a, b, c, d, low, high, changed]: &[u8; 8]) -> Plan {
    let len = usize::from(u16::from_le_bytes([*low, *high])) % LONGEST;
    Plan { key: *key, number: u32::from_be_bytes([*a, *b, *c, *d]), len, changed: *changed }
}

fn data(plan: &Plan) -> Vec<u8> {
    (0..plan.len).map(|at| (at as u8).wrapping_mul(7).wrapping_add(plan.key)).collect()
}

/// What every backend makes of these records; the same.
fn all_alike(plans: &[Plan], records: &[Outcome], work: fn(Backend, &mut [Record<'_>])) -> Vec<Outcome> {
    let keys: Vec<Key> = plans.iter().map(|plan| Key::new(&[plan.key; 32])).collect();
    let mut outcomes = Backend::all().map(|backend| {
        let mut outcome = records.to_vec();
        let mut records: Vec<Record<'_>> = Vec::new();
        for (((bytes, tag, _), key), plan) in outcome.iter_mut().zip(&keys).zip(plans) {
            records.push(Record { tag: *tag, ..Record::new(key, plan.number, bytes) });
        }
        work(backend, &mut records);
        let verdicts: Vec<_> = records.iter().map(|record| (record.tag, record.genuine)).collect();
        outcome.into_iter().zip(verdicts).map(|((bytes, ..), (tag, genuine))| (bytes, tag, genuine)).collect()
    });
    let first: Vec<Outcome> = outcomes.next().expect("one backend runs everywhere");
    assert!(outcomes.all(|other| other == first), "backends differ");
    first
}
