//! RSA keys and the two raw operations of the tinc 1.0 protocol.
//!
//! There is no padding: a block is a number below the modulus, as long as the modulus. What a block carries is random, and
//! no answer tells whether it was well formed, so that nothing is learnt from asking. The private operation takes the
//! same time for all blocks and is blinded besides. Source: spec legacy-1.0, 2 and 3.2.

mod file;
mod generate;

use std::fmt;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::rng::Rng;

/// The smallest size of a modulus, in bits.
pub const MIN_BITS: u32 = 1024;
/// The largest size of a modulus, in bits: its digits are as many as a request's key may have.
pub const MAX_BITS: u32 = 8192;
/// The exponent that goes with keys written as bare digits.
const HEX_EXPONENT: u64 = 0xffff;

/// Why something is no usable RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaKeyError {
    /// No block of the wanted kind.
    #[error("there is no block \"-----BEGIN {0}-----\"")]
    NoBlock(&'static str),
    /// A block that is damaged.
    #[error("the block \"-----BEGIN {0}-----\" is damaged")]
    BadBlock(&'static str),
    /// A private key behind a passphrase.
    #[error("the private key is protected by a passphrase; remove it with: openssl rsa -traditional")]
    Encrypted,
    /// A key of another kind, in a container for any kind.
    #[error("the key is not an RSA key")]
    OtherKind,
    /// Something else than hexadecimal digits.
    #[error("a key without PEM lines consists of hexadecimal digits only")]
    NotHex,
    /// A size that cannot be used.
    #[error("the RSA key has {0} bits; use a multiple of 8 between 1024 and 8192")]
    Size(u32),
    /// A modulus or an exponent that cannot be part of a key.
    #[error("the numbers of the RSA key are not those of a key")]
    BadNumbers,
    /// Private and public number disagree.
    #[error("private and public half do not belong together")]
    Mismatch,
}

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    modulus: BoxedMontyParams,
    bits: u32,
    exponent: u64,
}

impl PublicKey {
    /// Its modulus, first byte first, and its exponent.
    pub fn numbers(&self) -> (Box<[u8]>, u64) {
        (self.modulus.modulus().to_be_bytes(), self.exponent)
    }

    /// The key with these two numbers, first byte first.
    ///
    /// # Errors
    /// If they are not a usable key.
    pub fn from_numbers(modulus: &[u8], exponent: &[u8]) -> Result<Self, RsaKeyError> {
        let modulus = without_zeros(modulus);
        let exponent = without_zeros(exponent);
        if exponent.len() > size_of::<u64>() {
            return Err(RsaKeyError::BadNumbers);
        }
        let exponent = exponent.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        if exponent < 3 || exponent % 2 == 0 {
            return Err(RsaKeyError::BadNumbers);
        }
        let first = *modulus.first().ok_or(RsaKeyError::Size(0))?;
        let bits =
            u32::try_from(modulus.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(first.leading_zeros());
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(RsaKeyError::Size(bits));
        }
        let modulus = Odd::new(BoxedUint::from_be_slice_vartime(modulus));
        let modulus = modulus.into_option().ok_or(RsaKeyError::BadNumbers)?;
        Ok(Self { modulus: BoxedMontyParams::new_vartime(modulus), bits, exponent })
    }

    /// Reads the modulus of a `PublicKey` line; its exponent is always 65535.
    ///
    /// # Errors
    /// If it is not hexadecimal or not usable.
    pub fn parse_hex(modulus: &str) -> Result<Self, RsaKeyError> {
        Self::from_numbers(&hex_bytes(modulus)?, &HEX_EXPONENT.to_be_bytes())
    }

    /// Length of the modulus in bits.
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// Length of a block in bytes.
    pub const fn block_len(&self) -> usize {
        self.bits.div_ceil(8) as usize
    }

    /// Draws a block that this key can encrypt.
    pub fn draw_block(&self, rng: &mut Rng) -> Zeroizing<Vec<u8>> {
        let mut block = Zeroizing::new(vec![0; self.block_len()]);
        rng.fill(&mut block);
        block[0] &= 0xff_u8.checked_shr(8 * self.block_len() as u32 - self.bits + 1).unwrap_or(0);
        block
    }

    /// Encrypts a block; nothing if it is not as long as the modulus and below it.
    pub fn encrypt(&self, block: &[u8]) -> Option<Vec<u8>> {
        let block = self.number_of(block)?;
        Some(self.block_of(&self.raise_public(&block).retrieve()))
    }

    fn raise_public(&self, number: &BoxedUint) -> BoxedMontyForm {
        BoxedMontyForm::new(number.clone(), &self.modulus)
            .pow_bounded_exp(&BoxedUint::from(self.exponent), u64::BITS - self.exponent.leading_zeros())
    }

    fn modulus(&self) -> &BoxedUint {
        self.modulus.modulus().as_ref()
    }

    fn number_of(&self, block: &[u8]) -> Option<BoxedUint> {
        if block.len() != self.block_len() {
            return None;
        }
        let number = BoxedUint::from_be_slice(block, self.modulus.bits_precision()).ok()?;
        (number < *self.modulus()).then_some(number)
    }

    fn block_of(&self, number: &BoxedUint) -> Vec<u8> {
        let bytes = Zeroizing::new(number.to_be_bytes().into_vec());
        bytes[bytes.len() - self.block_len()..].to_vec()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rsa::PublicKey({} bits)", self.bits)
    }
}

/// A private key, wiped when dropped.
#[derive(Clone)]
pub struct PrivateKey {
    public: PublicKey,
    exponent: Zeroizing<BoxedUint>,
    /// Not known of a key given by its digits alone.
    primes: Option<Zeroizing<[BoxedUint; 2]>>,
}

impl PrivateKey {
    /// The key with these numbers, first byte first.
    ///
    /// # Errors
    /// If they do not belong together.
    fn from_numbers(public: PublicKey, exponent: &[u8]) -> Result<Self, RsaKeyError> {
        let exponent = BoxedUint::from_be_slice(without_zeros(exponent), public.modulus.bits_precision());
        let exponent = Zeroizing::new(exponent.map_err(|_| RsaKeyError::BadNumbers)?);
        let key = Self { public, exponent, primes: None };
        if key.undoes_public() { Ok(key) } else { Err(RsaKeyError::Mismatch) }
    }

    /// Reads the digits of a `PrivateKey` and a `PublicKey` line.
    ///
    /// # Errors
    /// If they are not hexadecimal, not usable or do not belong together.
    pub fn parse_hex(private: &str, modulus: &str) -> Result<Self, RsaKeyError> {
        Self::from_numbers(PublicKey::parse_hex(modulus)?, &Zeroizing::new(hex_bytes(private)?))
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Decrypts a block; nothing if it is not as long as the modulus and below it.
    pub fn decrypt(&self, block: &[u8], rng: &mut Rng) -> Option<Zeroizing<Vec<u8>>> {
        let block = BoxedMontyForm::new(self.public.number_of(block)?, &self.public.modulus);
        let (mask, unmask) = self.draw_mask(rng)?;
        let mut masked = block.mul(&mask).pow(&self.exponent);
        let mut number = masked.mul(&unmask).retrieve();
        let bytes = Zeroizing::new(self.public.block_of(&number));
        masked.as_montgomery_mut().zeroize();
        number.zeroize();
        Some(bytes)
    }

    /// A random number to the public power, and its inverse.
    fn draw_mask(&self, rng: &mut Rng) -> Option<(BoxedMontyForm, BoxedMontyForm)> {
        let drawn = self.public.number_of(&self.public.draw_block(rng))?;
        let unmask = BoxedMontyForm::new(drawn.clone(), &self.public.modulus).invert().into_option()?;
        Some((self.public.raise_public(&drawn), unmask))
    }

    /// Whether the private operation gives back what the public one was given.
    fn undoes_public(&self) -> bool {
        let two = BoxedUint::from(2_u8).resize(self.public.modulus.bits_precision());
        self.public.raise_public(&two).pow(&self.exponent).retrieve() == two
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rsa::PrivateKey({} bits)", self.public.bits)
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[zeros..]
}

/// The bytes of a number written in hexadecimal; a digit may be missing in front.
fn hex_bytes(digits: &str) -> Result<Vec<u8>, RsaKeyError> {
    if digits.is_empty() || digits.len() > 2 * MAX_BITS as usize {
        return Err(RsaKeyError::NotHex);
    }
    let digit = |&byte: &u8| char::from(byte).to_digit(16).ok_or(RsaKeyError::NotHex);
    let mut bytes = Vec::with_capacity(digits.len().div_ceil(2));
    for pair in digits.as_bytes().rchunks(2).rev() {
        let mut byte = 0;
        for piece in pair {
            byte = byte << 4 | digit(piece)? as u8;
        }
        bytes.push(byte);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
