//! The seeded generator from which a node draws everything random.
//!
//! ChaCha20 with fast key erasure: each refill begins with the key of the next, and what was handed out is wiped, so that
//! a later look at the state does not reveal earlier draws.

use std::fmt;

use chacha20::cipher::StreamCipher;
use chacha20::{ChaCha20, KeyIvInit};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes generated at a time.
const POOL: usize = 256;
/// Bytes of a key.
const KEY: usize = 32;

/// A generator whose draws follow from its seed alone.
///
/// A clone draws the same numbers again: a clone must replace its original or never be drawn from.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Rng {
    key: [u8; KEY],
    pool: [u8; POOL],
    used: usize,
    recorded: Vec<u8>,
}

impl Rng {
    /// A generator for this seed.
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self { key: seed, pool: [0; POOL], used: POOL, recorded: Vec::new() }
    }

    /// A generator that first hands out `recorded`, for reproducing recorded sessions.
    pub fn from_bytes(mut recorded: Vec<u8>) -> Self {
        let seed = Sha256::digest(&recorded).into();
        recorded.reverse();
        Self { recorded, ..Self::from_seed(seed) }
    }

    /// Fills `target`.
    pub fn fill(&mut self, target: &mut [u8]) {
        for byte in target {
            *byte = self.recorded.pop().unwrap_or_else(|| self.next_byte());
        }
    }

    /// Draws `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Draws a number.
    pub fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    /// Draws a number.
    pub fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// Draws a number below `bound`, each with the same probability; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        if bound == 0 {
            return 0;
        }
        let unfair = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.next_u64();
            if drawn < unfair {
                return (drawn % bound) as usize;
            }
        }
    }

    fn next_byte(&mut self) -> u8 {
        if self.used >= POOL {
            self.refill();
        }
        let byte = std::mem::take(&mut self.pool[self.used]);
        self.used += 1;
        byte
    }

    fn refill(&mut self) {
        self.pool = [0; POOL];
        ChaCha20::new(&self.key.into(), &[0; 12].into()).apply_keystream(&mut self.pool);
        self.key.copy_from_slice(&self.pool[..KEY]);
        self.pool[..KEY].zeroize();
        self.used = KEY;
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_bytes() {
        let (mut one, mut other) = (Rng::from_seed([1; 32]), Rng::from_seed([1; 32]));
        let mut long = [0; 1000];
        one.fill(&mut long);

        let pieces: Vec<u8> = (0..250).flat_map(|_| other.bytes::<4>()).collect();

        assert_eq!(pieces, long);
        assert_ne!(Rng::from_seed([2; 32]).bytes::<32>(), Rng::from_seed([1; 32]).bytes::<32>());
    }

    #[test]
    fn bytes_handed_out_are_gone_from_the_state() {
        let mut rng = Rng::from_seed([1; 32]);

        let drawn: [u8; 100] = rng.bytes();

        assert!(!rng.pool.windows(8).any(|window| drawn.windows(8).any(|piece| piece == window)));
        assert_eq!(rng.pool[..KEY + 100], [0; KEY + 100]);
    }

    #[test]
    fn a_bound_is_kept_and_every_number_below_it_comes() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut seen = [0; 7];

        for _ in 0..7000 {
            seen[rng.below(7)] += 1;
        }

        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
        assert_eq!((rng.below(0), rng.below(1)), (0, 0));
    }

    #[test]
    fn recorded_bytes_come_first() {
        let mut rng = Rng::from_bytes(vec![1, 2, 3]);

        assert_eq!(rng.bytes::<3>(), [1, 2, 3]);
        assert_ne!(rng.bytes::<16>(), [0; 16]);
    }

    #[test]
    fn debug_output_has_no_state() {
        assert_eq!(format!("{:?}", Rng::from_seed([1; 32])), "Rng(..)");
    }
}
