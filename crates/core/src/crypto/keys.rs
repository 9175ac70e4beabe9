//! Identity keys: Ed25519, with the private half in tinc's expanded form.
//!
//! tinc throws the seed away and keeps SHA-512 of it, with the first half clamped to be the scalar and the second half
//! as prefix for signing. Ephemeral keys have the same form. Source: spec sptps 3 to 5.

use std::fmt;

use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::base64;
use crate::crypto::rng::Rng;

/// Length of the text of a public key, in characters.
pub const TEXT_LEN: usize = 43;
/// Length of a signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// The text is not 43 base64 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Ed25519 public key consists of 43 base64 digits")]
pub struct KeyTextError;

/// A public key: whose node a signature is from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes. Whether they are a curve point shows only when the key is used.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// If `text` is not 43 base64 digits.
    pub fn from_base64(text: &str) -> Result<Self, KeyTextError> {
        let text = Some(text.as_bytes()).filter(|text| text.len() == TEXT_LEN).ok_or(KeyTextError)?;
        let bytes = base64::decode(text).ok_or(KeyTextError)?;
        bytes.try_into().map(Self).map_err(|_| KeyTextError)
    }

    /// The text form.
    pub fn to_base64(&self) -> String {
        base64::encode(&self.0)
    }

    /// Whether this key signed `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        key.verify(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_base64())
    }
}

/// A private key, wiped when dropped.
#[derive(Clone)]
pub struct SecretKey {
    expanded: Zeroizing<[u8; 64]>,
    public: VerifyingKey,
}

impl SecretKey {
    /// Draws a new key.
    pub fn generate(rng: &mut Rng) -> Self {
        Self::from_seed(&Zeroizing::new(rng.bytes()))
    }

    /// The key that belongs to a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut hash = Sha512::digest(seed);
        let mut expanded = Zeroizing::new([0; 64]);
        expanded.copy_from_slice(&hash);
        hash.as_mut_slice().zeroize();
        expanded[0] &= 0xf8;
        expanded[31] = expanded[31] & 0x3f | 0x40;
        Self::from_expanded(&expanded)
    }

    /// The key whose scalar and prefix these are.
    pub fn from_expanded(expanded: &[u8; 64]) -> Self {
        let public = VerifyingKey::from(&ExpandedSecretKey::from_bytes(expanded));
        Self { expanded: Zeroizing::new(*expanded), public }
    }

    /// Scalar and prefix, as the key file has them.
    pub fn expanded(&self) -> &[u8; 64] {
        &self.expanded
    }

    /// The scalar.
    pub(crate) fn scalar(&self) -> Zeroizing<[u8; 32]> {
        let mut scalar = Zeroizing::new([0; 32]);
        scalar.copy_from_slice(&self.expanded[..32]);
        scalar
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.public.to_bytes())
    }

    /// Signs `message`; the same message always gets the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        raw_sign::<Sha512>(&ExpandedSecretKey::from_bytes(&self.expanded), message, &self.public).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public().to_base64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_message_and_no_other() {
        let key = SecretKey::from_seed(&[7; 32]);

        let signature = key.sign(b"message");

        assert!(key.public().verify(b"message", &signature));
        assert!(!key.public().verify(b"another", &signature));
    }

    #[test]
    fn debug_output_has_no_secret_bytes() {
        let key = SecretKey::from_seed(&[7; 32]);

        let text = format!("{key:?}");

        assert_eq!(text, format!("SecretKey(of {})", key.public().to_base64()));
    }
}
