//! `Table`: which flows were seen lately. A fixed number of places in atomic numbers, so that workers share it without a
//! lock and nothing is allocated per packet; where there is no room, the one that was longest silent goes.
//!
//! A place holds a part of a flow's hash and the time of its last packet. The hash is strongly universal and its keys are
//! secret, so nobody finds two flows that look alike: a packet of an unknown flow passes for a known one once in 10^12.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::crypto::rng::Rng;
use crate::time::Instant;

/// Words that identify a flow.
pub(super) const WORDS: usize = 6;
/// Time counts in units of 2^24 microseconds, of 17 seconds; it comes round after 200 days.
const TIME_UNIT: u32 = 24;
const TIME_BITS: u32 = 20;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// A hash: multilinear, by pairs (Lemire and Kaser, "Strongly universal string hashing is fast").
#[derive(Debug)]
pub(super) struct Hash {
    start: u128,
    keys: [u128; WORDS],
}

impl Hash {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut key = || u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        Self { start: key(), keys: std::array::from_fn(|_| key()) }
    }

    pub(super) fn of(&self, words: &[u64; WORDS]) -> u64 {
        let pairs = words.as_chunks::<2>().0.iter().zip(self.keys.as_chunks::<2>().0);
        let sum = pairs.fold(self.start, |sum, ([a, b], [k, l])| {
            sum.wrapping_add(k.wrapping_add(u128::from(*a)).wrapping_mul(l.wrapping_add(u128::from(*b))))
        });
        (sum >> 64) as u64
    }
}

/// Places in sets; a flow is in one of the places of its set.
#[derive(Debug)]
pub(super) struct Table {
    places: Box<[AtomicU64]>,
    ways: usize,
}

impl Table {
    /// `2^bits` sets of `ways` places.
    pub(super) fn new(bits: u32, ways: usize) -> Self {
        let places = (0..ways << bits).map(|_| AtomicU64::new(0)).collect();
        Self { places, ways }
    }

    fn set(&self, hash: u64) -> &[AtomicU64] {
        let sets = (self.places.len() / self.ways) as u64;
        // The tag is made of the upper bits, the set of the lower ones.
        let at = (hash % sets) as usize * self.ways;
        self.places.get(at..at + self.ways).unwrap_or_default()
    }

    /// Whether a flow had a packet within `limit`.
    pub(super) fn has(&self, hash: u64, now: Instant, limit: Duration) -> bool {
        self.find(hash, now, limit).is_some()
    }

    /// The same; if so, it has one now.
    pub(super) fn renew(&self, hash: u64, now: Instant, limit: Duration) -> bool {
        let Some(place) = self.find(hash, now, limit) else { return false };
        let entry = entry(hash, now);
        if place.load(Relaxed) != entry {
            place.store(entry, Relaxed);
        }
        true
    }

    /// A flow has a packet now.
    pub(super) fn note(&self, hash: u64, now: Instant, limit: Duration) {
        if self.renew(hash, now, limit) {
            return;
        }
        let age = |place: &&AtomicU64| match place.load(Relaxed) {
            0 => u64::MAX,
            entry if is_of(entry, hash) => u64::MAX,
            entry => units_since(entry, now),
        };
        if let Some(place) = self.set(hash).iter().max_by_key(age) {
            place.store(entry(hash, now), Relaxed);
        }
    }

    fn find(&self, hash: u64, now: Instant, limit: Duration) -> Option<&AtomicU64> {
        let limit = units(limit);
        self.set(hash).iter().find(|place| {
            let entry = place.load(Relaxed);
            entry != 0 && is_of(entry, hash) && units_since(entry, now) <= limit
        })
    }
}

const fn entry(hash: u64, now: Instant) -> u64 {
    // An entry of zeros would be an empty place.
    let tag = if hash >> TIME_BITS == 0 { 1 << TIME_BITS } else { hash & !TIME };
    tag | now.as_micros() >> TIME_UNIT & TIME
}

const fn is_of(entry: u64, hash: u64) -> bool {
    (entry ^ self::entry(hash, Instant::ZERO)) & !TIME == 0
}

const fn units_since(entry: u64, now: Instant) -> u64 {
    (now.as_micros() >> TIME_UNIT).wrapping_sub(entry) & TIME
}

fn units(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX) >> TIME_UNIT
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn hashes(count: u64) -> Vec<u64> {
        let hash = Hash::new(&mut Rng::from_seed([7; 32]));
        (0..count).map(|number| hash.of(&[1, 2, 3, 4, 5, number])).collect()
    }

    #[test]
    fn flows_are_known_until_they_were_silent_for_so_long() {
        let table = Table::new(4, 2);
        let [one, other] = hashes(2)[..] else { panic!("two") };
        table.note(one, at(1_000), LIMIT);
        assert!(table.has(one, at(1_280), LIMIT) && !table.has(other, at(1_280), LIMIT));
        assert!(!table.has(one, at(1_340), LIMIT));
        assert!(!table.renew(one, at(1_340), LIMIT), "too late");
        table.note(one, at(1_340), LIMIT);
        assert!(table.renew(one, at(1_600), LIMIT) && table.has(one, at(1_860), LIMIT));
    }

    #[test]
    fn the_longest_silent_gives_way() {
        let table = Table::new(0, 3);
        let flows = hashes(4);
        for (flow, time) in flows.iter().zip([0, 100, 50, 200]) {
            table.note(*flow, at(1_000 + time), LIMIT);
        }
        let known: Vec<bool> = flows.iter().map(|flow| table.has(*flow, at(1_200), LIMIT)).collect();
        assert_eq!(known, [false, true, true, true]);
    }

    #[test]
    fn as_many_are_known_as_there_is_room_for() {
        let table = Table::new(12, 8);
        let flows = hashes(16_384);
        flows.iter().for_each(|flow| table.note(*flow, at(1_000), LIMIT));
        let known = flows.iter().filter(|flow| table.has(**flow, at(1_000), LIMIT)).count();
        assert!(known >= 16_300, "half full: {known}");
    }

    #[test]
    fn words_that_differ_anywhere_hash_differently() {
        let hash = Hash::new(&mut Rng::from_seed([9; 32]));
        let all: BTreeSet<u64> = (0..WORDS)
            .flat_map(|place| (0..64).map(move |bit| (place, bit)))
            .map(|(place, bit)| {
                let mut words = [0; WORDS];
                words[place] = 1 << bit;
                hash.of(&words)
            })
            .chain([hash.of(&[0; WORDS])])
            .collect();
        assert_eq!(all.len(), WORDS * 64 + 1);
    }
}
