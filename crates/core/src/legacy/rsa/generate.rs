//! Making of key pairs: two primes of half the length each, with both highest bits set, so that their product has the
//! wanted length. Source: FIPS 186-5, A.1.3; spec legacy-1.0, 2.3.

use std::convert::Infallible;

use crypto_bigint::{BoxedUint, ConcatenatingMul, Limb, NonZero, Resize};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use crate::crypto::rng::Rng;
use crate::legacy::rsa::{MAX_BITS, MIN_BITS, PrivateKey, PublicKey, RsaKeyError};

/// The public exponent of new keys, a prime.
const EXPONENT: u32 = 65537;

impl PrivateKey {
    /// Draws a new key; its size is a multiple of 8 from 1024 to 8192 bits.
    ///
    /// # Errors
    /// For other sizes.
    pub fn generate(bits: u32, rng: &mut Rng) -> Result<Self, RsaKeyError> {
        if !bits.is_multiple_of(8) || !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(RsaKeyError::Size(bits));
        }
        loop {
            let (p, q) = (draw_prime(bits / 2, rng), draw_prime(bits / 2, rng));
            if let Some(key) = from_primes(p, q) {
                return Ok(key);
            }
        }
    }
}

/// A prime that goes with the exponent.
fn draw_prime(bits: u32, rng: &mut Rng) -> BoxedUint {
    let exponent: NonZero<Limb> = NonZero::new(Limb::from(EXPONENT)).expect("the exponent is not zero");
    let fits = |_: &mut Source<'_>, candidate: &BoxedUint| {
        candidate.rem_limb(exponent) != Limb::ONE && is_prime(Flavor::Any, candidate)
    };
    let sieve = SmallFactorsSieveFactory::new(Flavor::Any, bits, SetBits::TwoMsb);
    let sieve = sieve.expect("numbers of this size can be prime");
    let found = sieve_and_find(&mut Source(rng), sieve, fits);
    found.expect("numbers of any size can be drawn").expect("the search goes on until it finds")
}

/// The key of two primes; nothing if they are equal.
fn from_primes(p: BoxedUint, q: BoxedUint) -> Option<PrivateKey> {
    let primes = Zeroizing::new([p, q]);
    let modulus = primes[0].concatenating_mul(&primes[1]);
    let one = BoxedUint::one();
    let order = Zeroizing::new(primes[0].wrapping_sub(&one).concatenating_mul(primes[1].wrapping_sub(&one)));
    let order: NonZero<BoxedUint> = NonZero::new((*order).clone()).into_option()?;
    let exponent = BoxedUint::from(EXPONENT).resize(order.bits_precision());
    let exponent = Zeroizing::new(exponent.invert_mod(&order).into_option()?);
    let public = PublicKey::from_numbers(&modulus.to_be_bytes(), &EXPONENT.to_be_bytes()).ok()?;
    let exponent = Zeroizing::new((*exponent).clone().resize(public.modulus.bits_precision()));
    let key = PrivateKey { public, exponent, primes: Some(primes) };
    (key.numbers_differ() && key.undoes_public()).then_some(key)
}

impl PrivateKey {
    fn numbers_differ(&self) -> bool {
        self.primes.as_ref().is_some_and(|primes| primes[0] != primes[1])
    }
}

/// Our generator, as the search for primes wants it.
struct Source<'a>(&'a mut Rng);

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(target);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}
