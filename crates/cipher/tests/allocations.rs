//! Sealing and opening allocate nothing.

use tinmesh_cipher::{Backend, Key, Record, open, open_with, seal, seal_with};

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1);
}

#[test]
fn batches_allocate_nothing() {
    let (key, mut buffers) = (Key::new(&[7; 32]), vec![vec![5; 1400]; 70]);
    let mut records: Vec<Record<'_>> = buffers.iter_mut().map(|data| Record::new(&key, 1, data)).collect();
    let work = || {
        seal(&mut records);
        open(&mut records);
        for backend in Backend::all() {
            seal_with(backend, &mut records);
            open_with(backend, &mut records);
        }
    };
    assert_eq!(allocations(work), 0);
    assert!(records.iter().all(|record| record.genuine));
}
