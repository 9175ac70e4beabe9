//! `Seen`: which flooded requests came lately, so that each is handled once (spec: meta-protocol 7.1).
//!
//! Texts are compared, not meanings: an edge may be announced, withdrawn and announced again
//! within a minute, with other nonces. What says nothing new is stopped where it is compared with
//! what is known.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::time::Instant;

/// Requests remembered at most, in about eight megabytes. A mesh of 10,000 nodes that all start at once has
/// fewer, and one forgotten too early only costs a look at what is known.
const CAPACITY: usize = 1 << 17;

/// The start of a text's SHA-256: nobody can make two texts that share it.
type Fingerprint = [u8; 16];

/// The texts of flooded requests that came lately.
#[derive(Debug, Default)]
pub struct Seen {
    known: BTreeSet<Fingerprint>,
    /// The same, oldest first.
    arrivals: VecDeque<(Instant, Fingerprint)>,
}

impl Seen {
    /// Remembers a request; tells whether it is new.
    pub fn insert(&mut self, text: &[u8], now: Instant) -> bool {
        let fingerprint = fingerprint(text);
        if !self.known.insert(fingerprint) {
            return false;
        }
        if self.arrivals.len() >= CAPACITY {
            self.forget_oldest();
        }
        self.arrivals.push_back((now, fingerprint));
        true
    }

    /// Forgets requests that are at least `age` old.
    pub fn expire(&mut self, now: Instant, age: Duration) {
        while self.arrivals.front().is_some_and(|&(arrival, _)| now.since(arrival) >= age) {
            self.forget_oldest();
        }
        self.arrivals.shrink_to(2 * self.arrivals.len());
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    fn forget_oldest(&mut self) {
        if let Some((_, fingerprint)) = self.arrivals.pop_front() {
            self.known.remove(&fingerprint);
        }
    }
}

fn fingerprint(text: &[u8]) -> Fingerprint {
    let hash = Sha256::digest(text);
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&hash[..16]);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_text_is_new_once() {
        let mut seen = Seen::default();
        assert!(seen.insert(b"13 1 a b", at(0)));
        assert!(!seen.insert(b"13 1 a b", at(1)));
        assert!(seen.insert(b"13 01 a b", at(1)));
    }

    #[test]
    fn each_text_ages_for_itself() {
        let mut seen = Seen::default();
        seen.insert(b"13 1 a b", at(0));
        seen.insert(b"13 2 a b", at(30));
        assert!(!seen.insert(b"13 1 a b", at(59)));

        seen.expire(at(60), AGE);

        assert!(!seen.insert(b"13 2 a b", at(60)));
        assert!(seen.insert(b"13 1 a b", at(60)));
        seen.expire(at(90), AGE);
        assert!(!seen.is_empty());
        seen.expire(at(120), AGE);
        assert!(seen.is_empty());
    }

    #[test]
    fn a_flood_pushes_out_the_oldest_and_takes_no_more_memory() {
        let mut seen = Seen::default();
        seen.insert(b"first", at(0));
        for number in 0..CAPACITY {
            assert!(seen.insert(&number.to_be_bytes(), at(1)));
        }
        assert_eq!((seen.known.len(), seen.arrivals.len()), (CAPACITY, CAPACITY));
        assert!(!seen.insert(&1_usize.to_be_bytes(), at(1)));
        assert!(seen.insert(b"first", at(1)));
    }
}
