//! What sealing and opening one packet costs, beside the plainest use of the same crates.
//!
//! `cargo bench -p tinmesh-core --bench cipher`; the figures are in `docs/performance.md`.
#![expect(clippy::unwrap_used, reason = "a benchmark ends where its set-up fails")]

use std::sync::Arc;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use tinmesh_core::crypto::aead::Cipher;
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::datagram::Datagram;
use tinmesh_core::crypto::sptps::{Params, Role};
use tinmesh_core::dataplane::session::Session;
use tinmesh_core::packet::Packet;

const SIZES: [usize; 2] = [64, 1400];
const KEY: [u8; 32] = [7; 32];

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn seal(bencher: Bencher<'_, '_>, len: usize) {
    let (cipher, mut data, mut number) = (Cipher::new(&KEY), vec![0; len], 0);
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        number += 1;
        cipher.seal(number, black_box(&mut data))
    });
}

#[divan::bench(args = SIZES)]
fn open(bencher: Bencher<'_, '_>, len: usize) {
    let (cipher, mut sealed) = (Cipher::new(&KEY), vec![0; len]);
    let tag = cipher.seal(1, &mut sealed);
    let mut data = sealed.clone();
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        data.copy_from_slice(&sealed);
        cipher.open(1, black_box(&mut data), &tag)
    });
}

/// One call for the one-time key, one for the data, one for the tag.
fn seal_in_three_calls(number: u32, data: &mut [u8]) -> [u8; 16] {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&number.to_be_bytes());
    let mut stream = ChaCha20::new(&KEY.into(), &nonce.into());
    let mut one_time = poly1305::Key::default();
    stream.apply_keystream(&mut one_time);
    stream.seek(64_u64);
    stream.apply_keystream(data);
    Poly1305::new(&one_time).compute_unpadded(data).into()
}

#[divan::bench(args = SIZES)]
fn seal_with_the_crates_as_they_come(bencher: Bencher<'_, '_>, len: usize) {
    let (mut data, mut number) = (vec![0; len], 0);
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        number += 1;
        seal_in_three_calls(number, black_box(&mut data))
    });
}

#[divan::bench(args = SIZES)]
fn tag_alone(bencher: Bencher<'_, '_>, len: usize) {
    let (key, data) = (poly1305::Key::from([7; 32]), vec![0; len]);
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| Poly1305::new(black_box(&key)).compute_unpadded(black_box(&data)));
}

fn sessions() -> (Arc<Session>, Arc<Session>) {
    let mut rng = Rng::from_seed([1; 32]);
    let (key, peer) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let params = |role, key: &SecretKey, peer: &SecretKey| Params {
        role,
        key: key.clone(),
        peer: peer.public(),
        label: b"bench".to_vec(),
    };
    let (mut one, kex) = Datagram::start(params(Role::Initiator, &key, &peer), 16, &mut rng);
    let (mut other, answer) = Datagram::start(params(Role::Responder, &peer, &key), 16, &mut rng);
    other.on_handshake(&kex, &mut rng).unwrap();
    let sig = one.on_handshake(&answer, &mut rng).unwrap().send;
    let sig = other.on_handshake(&sig[0], &mut rng).unwrap().send;
    one.on_handshake(&sig[0], &mut rng).unwrap();
    (one.session().unwrap(), other.session().unwrap())
}

/// Numbers, replay window and both directions: all that a packet needs on its way through two nodes.
#[divan::bench(args = SIZES)]
fn session_seal_and_open(bencher: Bencher<'_, '_>, len: usize) {
    let (one, other) = sessions();
    let mut packet = Packet::from_payload(&vec![0; len]);
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        assert!(one.seal(0, black_box(&mut packet)));
        other.open(&mut packet).unwrap()
    });
}
