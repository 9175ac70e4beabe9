//! What sealing and opening cost in batches, by backend.
//!
//! `cargo bench -p tinmesh-cipher`; the figures are in `docs/performance.md`. An iteration is one batch: the items per second
//! are records.

use std::iter::zip;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tinmesh_cipher::{Backend, Key, Record, TAG, gcm, open_with, seal_with};

const KEY: [u8; 32] = [7; 32];
const BATCHES: [usize; 4] = [1, 4, 16, 64];
const SIZES: [usize; 2] = [64, 1400];

fn main() {
    divan::main();
}

/// Every backend, size and batch.
fn cases() -> impl Iterator<Item = Case> {
    let sizes = Backend::all().flat_map(|backend| SIZES.map(|len| (backend, len)));
    sizes.flat_map(|(backend, len)| BATCHES.map(|batch| Case { backend, len, batch }))
}

#[derive(Clone, Copy)]
struct Case {
    backend: Backend,
    len: usize,
    batch: usize,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:4} B x {:2}", self.backend, self.len, self.batch)
    }
}

fn records<'a>(key: &'a Key, buffers: &'a mut [Vec<u8>]) -> Vec<Record<'a>> {
    let numbered = zip(1.., buffers);
    numbered.map(|(number, data)| Record::new(key, number, data)).collect()
}

#[divan::bench(args = cases())]
fn seal(bencher: Bencher<'_, '_>, case: Case) {
    let (key, mut buffers) = (Key::new(&KEY), vec![vec![0; case.len]; case.batch]);
    let mut records = records(&key, &mut buffers);
    bencher.counter(ItemsCount::new(case.batch)).bench_local(|| seal_with(case.backend, black_box(&mut records)));
}

/// Opens what was sealed, over and over: the opened data is put back, which costs 0.02 us for 1,400 bytes.
#[divan::bench(args = cases())]
fn open(bencher: Bencher<'_, '_>, case: Case) {
    let (key, mut buffers) = (Key::new(&KEY), vec![vec![0; case.len]; case.batch]);
    let mut records = records(&key, &mut buffers);
    seal_with(case.backend, &mut records);
    let sealed: Vec<(Vec<u8>, [u8; TAG])> = records.iter().map(|record| (record.data.to_vec(), record.tag)).collect();
    bencher.counter(ItemsCount::new(case.batch)).bench_local(|| {
        for (record, (data, tag)) in zip(&mut records, &sealed) {
            record.data.copy_from_slice(data);
            record.tag = *tag;
        }
        open_with(case.backend, black_box(&mut records));
    });
}

/// AES-256-GCM, one record after the other: with AVX-512 code of our own, with the others the library's.
fn aes_cases() -> impl Iterator<Item = Case> {
    let backends = [Some(Backend::PORTABLE), Backend::avx512()].into_iter().flatten();
    backends.flat_map(|backend| SIZES.map(|len| Case { backend, len, batch: 64 }))
}

#[divan::bench(args = aes_cases())]
fn seal_aes(bencher: Bencher<'_, '_>, case: Case) {
    let (key, mut buffers) = (gcm::Key::with(case.backend, &KEY), vec![vec![0; case.len + TAG]; case.batch]);
    bencher.counter(ItemsCount::new(case.batch)).bench_local(|| {
        for (number, data) in zip(1.., &mut buffers) {
            key.seal(number, black_box(data));
        }
    });
}

#[divan::bench(args = aes_cases())]
fn open_aes(bencher: Bencher<'_, '_>, case: Case) {
    let (key, mut buffers) = (gcm::Key::with(case.backend, &KEY), vec![vec![0; case.len + TAG]; case.batch]);
    zip(1.., &mut buffers).for_each(|(number, data)| key.seal(number, data));
    let sealed = buffers.clone();
    bencher.counter(ItemsCount::new(case.batch)).bench_local(|| {
        for ((number, data), sealed) in zip(1.., &mut buffers).zip(&sealed) {
            data.copy_from_slice(sealed);
            assert!(key.open(number, black_box(data)));
        }
    });
}
