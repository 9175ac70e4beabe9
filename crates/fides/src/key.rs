//! Keys: who says something, and whom it is about.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::base64;

/// Length of a signature, in bytes.
pub(crate) const SIGNATURE_LEN: usize = 64;

/// The text is not that of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 43 characters of A-Z a-z 0-9 - _, as `list` and `export` print it")]
pub struct KeyError;

/// An Ed25519 public key.
///
/// ```
/// let key = fides::SecretKey::from_seed(&[7; 32]).public();
/// assert_eq!(key.to_string().parse(), Ok(key));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key with these bytes. Whether they are a key at all shows when a signature is verified.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this key signed `message`; strictly: no other signature of the same message would do.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        base64::decode(text).map(Self).ok_or(KeyError)
    }
}

/// The private half of a key, wiped when dropped.
///
/// It is made of 32 bytes of chance that the caller brings, or of the 64-byte expanded form that some programs store.
#[derive(Clone)]
pub struct SecretKey {
    expanded: Zeroizing<[u8; 64]>,
    public: VerifyingKey,
}

impl SecretKey {
    /// The key that belongs to a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut hash = Sha512::digest(seed);
        let mut expanded = Zeroizing::new([0; 64]);
        expanded.copy_from_slice(&hash);
        hash.as_mut_slice().zeroize();
        expanded[0] &= 0xf8;
        expanded[31] = expanded[31] & 0x3f | 0x40;
        Self::from_expanded(&expanded)
    }

    /// The key with this scalar and prefix.
    pub fn from_expanded(expanded: &[u8; 64]) -> Self {
        let public = VerifyingKey::from(&ExpandedSecretKey::from_bytes(expanded));
        Self { expanded: Zeroizing::new(*expanded), public }
    }

    /// The public half.
    pub fn public(&self) -> Key {
        Key(self.public.to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        raw_sign::<Sha512>(&ExpandedSecretKey::from_bytes(&self.expanded), message, &self.public).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_belongs_to_one_message_and_one_key() {
        let (alice, bob) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let signature = alice.sign(b"yes");
        assert!(alice.public().verify(b"yes", &signature));
        assert!(!alice.public().verify(b"no", &signature));
        assert!(!bob.public().verify(b"yes", &signature));
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; SIGNATURE_LEN];
        signature[0] = 1;
        assert!(!Key::from_bytes(identity).verify(b"anything", &signature));
    }
}
