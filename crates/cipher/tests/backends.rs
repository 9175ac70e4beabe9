//! Every backend makes the bytes of tinc, and those of the plainest use of other crates, whatever stands beside a record.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::iter::zip;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use proptest::prelude::*;
use serde_json::Value;
use tinmesh_cipher::{Backend, Key, Record, TAG, open_with, seal_with};

const VECTORS: &str = include_str!("../../core/tests/golden/vectors/chacha_poly1305.json");

/// A record as it is before and after.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    key: u8,
    number: u32,
    data: Vec<u8>,
}

/// The construction, word for word: one key stream, 64 bytes of it in front of the data.
fn sealed_plainly(key: &[u8; 32], number: u32, data: &[u8]) -> (Vec<u8>, [u8; TAG]) {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&number.to_be_bytes());
    let mut bytes = [&[0; 64], data].concat();
    ChaCha20::new(key.into(), &nonce.into()).apply_keystream(&mut bytes);
    let ciphertext = bytes.split_off(64);
    let one_time = poly1305::Key::try_from(&bytes[..32]).unwrap();
    let tag = Poly1305::new(&one_time).compute_unpadded(&ciphertext);
    (ciphertext, tag.into())
}

/// Distinct keys whose bytes and words all differ.
fn key_bytes(index: u8) -> [u8; 32] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ index.wrapping_mul(101).wrapping_add(at as u8))
}

fn keys() -> Vec<Key> {
    (0..=255).map(|index| Key::new(&key_bytes(index))).collect()
}

/// Seals all with one call.
fn sealed(backend: Backend, plans: &[Plan]) -> Vec<(Vec<u8>, [u8; TAG])> {
    let keys = keys();
    let mut buffers: Vec<Vec<u8>> = plans.iter().map(|plan| plan.data.clone()).collect();
    let mut records: Vec<Record<'_>> = zip(plans, &mut buffers)
        .map(|(plan, data)| Record::new(&keys[usize::from(plan.key)], plan.number, data))
        .collect();
    seal_with(backend, &mut records);
    let tags: Vec<[u8; TAG]> = records.iter().map(|record| record.tag).collect();
    zip(buffers, tags).collect()
}

/// Opens all with one call.
fn opened(backend: Backend, plans: &[Plan], sealed: &[(Vec<u8>, [u8; TAG])]) -> Vec<(Vec<u8>, bool)> {
    let keys = keys();
    let mut buffers: Vec<Vec<u8>> = sealed.iter().map(|(data, _)| data.clone()).collect();
    let mut records: Vec<Record<'_>> = zip(zip(plans, sealed), &mut buffers)
        .map(|((plan, (_, tag)), data)| Record {
            tag: *tag,
            ..Record::new(&keys[usize::from(plan.key)], plan.number, data)
        })
        .collect();
    open_with(backend, &mut records);
    let verdicts: Vec<bool> = records.iter().map(|record| record.genuine).collect();
    zip(buffers, verdicts).collect()
}

fn assert_right(backend: Backend, plans: &[Plan]) {
    let sealed = sealed(backend, plans);
    for (at, (plan, found)) in zip(plans, &sealed).enumerate() {
        let expected = sealed_plainly(&key_bytes(plan.key), plan.number, &plan.data);
        assert_eq!(*found, expected, "{backend:?}: record {at} of {}, {} bytes", plans.len(), plan.data.len());
    }
    for (at, (plan, found)) in zip(plans, opened(backend, plans, &sealed)).enumerate() {
        assert_eq!(found, (plan.data.clone(), true), "{backend:?}: record {at} of {}", plans.len());
    }
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + seed * 13 + (at >> 8)) as u8).collect()
}

fn plans(count: usize, len: impl Fn(usize) -> usize) -> Vec<Plan> {
    let plan = |at| Plan { key: at as u8, number: at as u32 ^ 0x8000_00ff, data: pattern(len(at), at) };
    (0..count).map(plan).collect()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A key is given by its bytes, or by a name.
fn vector_key(file: &Value, case: &Value) -> Key {
    let named = &file["keys"][case["key"].as_str().unwrap()];
    let bytes = hex(if named.is_null() { &case["key"] } else { named });
    Key::new(bytes.first_chunk().unwrap())
}

#[test]
fn records_have_the_bytes_of_tinc_together_and_alone() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = file["vectors"].as_array().unwrap();
    let keys: Vec<Key> = cases.iter().map(|case| vector_key(&file, case)).collect();
    for backend in Backend::all() {
        for together in [1, 3, 8, cases.len()] {
            for (cases, keys) in zip(cases.chunks(together), keys.chunks(together)) {
                let mut buffers: Vec<Vec<u8>> = cases
                    .iter()
                    .map(|case| (0..case["length"].as_u64().unwrap()).map(|at| (7 * at + 3) as u8).collect())
                    .collect();
                let mut records: Vec<Record<'_>> = zip(zip(cases, keys), &mut buffers)
                    .map(|((case, key), data)| Record::new(key, case["seqno"].as_u64().unwrap() as u32, data))
                    .collect();
                seal_with(backend, &mut records);
                for (case, record) in zip(cases, &records) {
                    assert_eq!([&*record.data, &record.tag].concat(), hex(&case["ciphertext_and_tag"]), "{case}");
                }
            }
        }
    }
}

#[test]
fn records_open_when_tinc_opens_them() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    for case in file["open_cases"].as_array().unwrap() {
        for backend in Backend::all() {
            let mut data = hex(&case["ciphertext_and_tag"]);
            let (body, tag) = data.split_last_chunk_mut().unwrap();
            let key = vector_key(&file, case);
            let mut record = Record { tag: *tag, ..Record::new(&key, case["seqno"].as_u64().unwrap() as u32, body) };
            open_with(backend, std::slice::from_mut(&mut record));
            assert_eq!(record.genuine, case["opens"].as_bool().unwrap(), "{backend:?}: {}", case["description"]);
        }
    }
}

#[test]
fn every_length_is_right_alone_and_in_a_batch() {
    for backend in Backend::all() {
        for len in 0..=1700 {
            assert_right(backend, &plans(1, |_| len));
        }
        for len in (0..=1700).step_by(16) {
            assert_right(backend, &plans(16, |at| len + at));
        }
        for len in [4096, 8999, 9000, 65_535, 65_536] {
            assert_right(backend, &plans(1, |_| len));
            assert_right(backend, &plans(5, |at| len - at));
        }
    }
}

#[test]
fn every_size_of_a_batch_is_right() {
    for backend in Backend::all() {
        for count in 0..=70 {
            for len in [0, 1, 16, 64, 100, 448, 500, 1400] {
                assert_right(backend, &plans(count, |_| len));
            }
            assert_right(backend, &plans(count, |at| (at * 97 + count * 41) % 1500));
        }
    }
}

#[test]
fn one_record_of_many_that_is_forged_is_refused_and_unchanged() {
    for backend in Backend::all() {
        for count in [1, 2, 5, 8, 17, 64] {
            let plans = plans(count, |at| [1400, 0, 64, 300][at % 4]);
            let honest = sealed(backend, &plans);
            for forged in 0..count {
                let mut records = honest.clone();
                records[forged].1[forged % TAG] ^= 1 << (forged % 8);
                for (at, (found, verdict)) in opened(backend, &plans, &records).into_iter().enumerate() {
                    let expected = if at == forged { &records[at].0 } else { &plans[at].data };
                    assert_eq!((&found, verdict), (expected, at != forged), "{backend:?}: {at} of {count}");
                }
            }
        }
    }
}

#[test]
fn verifying_tells_the_genuine() {
    let (key, mut data) = (Key::new(&[7; 32]), pattern(333, 1));
    let mut tag = key.seal(9, &mut data);
    assert!(key.verify(9, &data, &tag) && !key.verify(10, &data, &tag) && !key.verify(9, &data[1..], &tag));
    tag[0] ^= 1;
    assert!(!key.verify(9, &data, &tag));
}

#[test]
fn single_records_are_sealed_and_opened_by_their_key() {
    let (key, mut data) = (Key::new(&key_bytes(5)), pattern(333, 1));
    let tag = key.seal(9, &mut data);
    assert_eq!((data.clone(), tag), sealed_plainly(&key_bytes(5), 9, &pattern(333, 1)));

    assert!(!key.open(8, &mut data, &tag));
    assert!(key.open(9, &mut data, &tag));
    assert_eq!(data, pattern(333, 1));
}

#[test]
fn a_key_is_not_shown() {
    assert_eq!(format!("{:?}", Key::new(&[7; 32])), "Key(..)");
}

fn plan() -> impl Strategy<Value = Plan> {
    let number = prop_oneof![any::<u32>(), 0..2_u32, u32::MAX - 1..=u32::MAX];
    let len = prop_oneof![4 => 0..1700_usize, 2 => 0..80_usize, 1 => 1700..9000_usize];
    (0..4_u8, number, len, any::<u8>()).prop_map(|(key, number, len, seed)| Plan {
        key,
        number,
        data: pattern(len, usize::from(seed)),
    })
}

proptest! {
    #[test]
    fn mixed_batches_are_right(plans in prop::collection::vec(plan(), 1..=70)) {
        for backend in Backend::all() {
            assert_right(backend, &plans);
        }
    }

    #[test]
    fn a_changed_bit_is_refused_and_nothing_is_decrypted(
        plans in prop::collection::vec(plan(), 1..=20),
        which: prop::sample::Index,
        bit: prop::sample::Index,
    ) {
        for backend in Backend::all() {
            let mut records = sealed(backend, &plans);
            let forged = which.index(plans.len());
            let (data, tag) = &mut records[forged];
            let at = bit.index((data.len() + TAG) * 8);
            *data.iter_mut().chain(tag).nth(at / 8).unwrap() ^= 1 << (at % 8);

            for (at, (found, verdict)) in opened(backend, &plans, &records).into_iter().enumerate() {
                let expected = if at == forged { &records[at].0 } else { &plans[at].data };
                prop_assert_eq!((&found, verdict), (expected, at != forged));
            }
        }
    }
}
