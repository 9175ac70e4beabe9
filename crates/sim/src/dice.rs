//! `Dice`: the chance of the simulated world.
//!
//! A generator of its own (SplitMix64, in the public domain) instead of the core's: chance of the world then
//! does not depend on how the nodes make random numbers, and a throw costs next to nothing.

/// A deterministic source of chance.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall in the same way for the same `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Sixty-four random bits.
    pub const fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; 0 if that is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.throw() % bound }
    }

    /// True in `permille` of 1,000 cases.
    pub const fn chance(&mut self, permille: u16) -> bool {
        permille > 0 && self.below(1000) < permille as u64
    }

    /// Thirty-two random bytes, for seeds and keys.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for part in seed.chunks_exact_mut(8) {
            part.copy_from_slice(&self.throw().to_le_bytes());
        }
        seed
    }
}

/// Spreads every bit of `value` over the result.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_throws() {
        let mut first = Dice::new(7);
        let mut second = Dice::new(7);
        assert_eq!(first.seed(), second.seed());
        assert_ne!(Dice::new(8).seed(), Dice::new(7).seed());
    }

    #[test]
    fn a_chance_of_a_tenth_comes_true_about_every_tenth_time() {
        let mut dice = Dice::new(1);
        let hits = (0..10_000).filter(|_| dice.chance(100)).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| !dice.chance(0)));
    }
}
