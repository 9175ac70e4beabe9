//! RSA key files: PEM blocks, in the forms that OpenSSL writes and tinc reads.
//!
//! Read are PKCS#1 and the containers for any kind of key (PKCS#8, SubjectPublicKeyInfo); written is PKCS#1. Around a block
//! there may be other text: the configuration in a host file. Source: spec legacy-1.0, 2.1 and 2.2; RFC 7468, 8017.

use crypto_bigint::{BoxedUint, NonZero, Resize};
use pkcs1::der::asn1::UintRef;
use pkcs1::der::pem::LineEnding;
use pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey, RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

use crate::legacy::rsa::{PrivateKey, PublicKey, RsaKeyError};

const PUBLIC: &str = "RSA PUBLIC KEY";
const ANY_PUBLIC: &str = "PUBLIC KEY";
const PRIVATE: &str = "RSA PRIVATE KEY";
const ANY_PRIVATE: &str = "PRIVATE KEY";
const LOCKED_PRIVATE: &str = "ENCRYPTED PRIVATE KEY";

impl PublicKey {
    /// Reads the first RSA public key block of `text`.
    ///
    /// # Errors
    /// If there is none or it is not usable.
    pub fn parse_file(text: &str) -> Result<Self, RsaKeyError> {
        let (kind, bytes) = first_block(text, &[PUBLIC, ANY_PUBLIC])?;
        let damaged = |_| RsaKeyError::BadBlock(kind);
        if kind == PUBLIC {
            return Self::from_der(&bytes, kind);
        }
        let container = SubjectPublicKeyInfoRef::try_from(bytes.as_slice()).map_err(damaged)?;
        if container.algorithm.oid != pkcs1::ALGORITHM_OID {
            return Err(RsaKeyError::OtherKind);
        }
        Self::from_der(container.subject_public_key.as_bytes().ok_or(RsaKeyError::BadBlock(kind))?, kind)
    }

    fn from_der(bytes: &[u8], kind: &'static str) -> Result<Self, RsaKeyError> {
        let key = RsaPublicKeyRef::try_from(bytes).map_err(|_| RsaKeyError::BadBlock(kind))?;
        Self::from_numbers(key.modulus.as_bytes(), key.public_exponent.as_bytes())
    }

    /// The text of a public key file, or of the block in a host file.
    pub fn to_file(&self) -> String {
        let (modulus, exponent) = (self.modulus().to_be_bytes(), self.exponent.to_be_bytes());
        let key = RsaPublicKeyRef { modulus: number(&modulus), public_exponent: number(&exponent) };
        key.to_pkcs1_pem(LineEnding::LF).expect("two numbers can be written")
    }
}

impl PrivateKey {
    /// Reads the first RSA private key block of `text`.
    ///
    /// # Errors
    /// If there is none, or it is not usable or behind a passphrase.
    pub fn parse_file(text: &str) -> Result<Self, RsaKeyError> {
        let (kind, bytes) = first_block(text, &[PRIVATE, ANY_PRIVATE, LOCKED_PRIVATE])?;
        if kind == LOCKED_PRIVATE {
            return Err(RsaKeyError::Encrypted);
        }
        if kind == PRIVATE {
            return Self::from_der(&bytes, kind);
        }
        let damaged = |_| RsaKeyError::BadBlock(kind);
        let container = pkcs8::PrivateKeyInfoRef::try_from(bytes.as_slice()).map_err(damaged)?;
        if container.algorithm.oid != pkcs1::ALGORITHM_OID {
            return Err(RsaKeyError::OtherKind);
        }
        Self::from_der(container.private_key.as_bytes(), kind)
    }

    fn from_der(bytes: &[u8], kind: &'static str) -> Result<Self, RsaKeyError> {
        let numbers = RsaPrivateKeyRef::try_from(bytes).map_err(|_| RsaKeyError::BadBlock(kind))?;
        let public = PublicKey::from_numbers(numbers.modulus.as_bytes(), numbers.public_exponent.as_bytes())?;
        let mut key = Self::from_numbers(public, numbers.private_exponent.as_bytes())?;
        let prime = |prime: UintRef<'_>| {
            let prime = BoxedUint::from_be_slice(prime.as_bytes(), key.public.modulus.bits_precision());
            prime.map_err(|_| RsaKeyError::BadNumbers)
        };
        key.primes = Some(Zeroizing::new([prime(numbers.prime1)?, prime(numbers.prime2)?]));
        Ok(key)
    }

    /// The text of a private key file; nothing of a key that was given by its digits alone, whose primes are not known.
    pub fn to_file(&self) -> Option<Zeroizing<String>> {
        let [p, q] = &**self.primes.as_ref()?;
        let precision = self.public.modulus.bits_precision();
        let rest = |prime: &BoxedUint| {
            let order: Option<NonZero<BoxedUint>> = NonZero::new(prime.wrapping_sub(BoxedUint::one())).into_option();
            Some(Zeroizing::new(self.exponent.rem(&order?)))
        };
        let modulus_p: NonZero<BoxedUint> = NonZero::new(p.clone().resize(precision)).into_option()?;
        let coefficient = Zeroizing::new(q.clone().resize(precision).invert_mod(&modulus_p).into_option()?);
        let (rest_p, rest_q) = (rest(p)?, rest(q)?);
        let numbers = [&*self.exponent, p, q, &*rest_p, &*rest_q, &*coefficient];
        let [private, p, q, rest_p, rest_q, coefficient] = numbers.map(|n| Zeroizing::new(n.to_be_bytes().into_vec()));
        let (modulus, exponent) = (self.public.modulus().to_be_bytes(), self.public.exponent.to_be_bytes());
        let key = RsaPrivateKeyRef {
            modulus: number(&modulus),
            public_exponent: number(&exponent),
            private_exponent: number(&private),
            prime1: number(&p),
            prime2: number(&q),
            exponent1: number(&rest_p),
            exponent2: number(&rest_q),
            coefficient: number(&coefficient),
            other_prime_infos: None,
        };
        key.to_pkcs1_pem(LineEnding::LF).ok()
    }
}

fn number(bytes: &[u8]) -> UintRef<'_> {
    UintRef::new(bytes).expect("a number of a key is short enough for DER")
}

/// The bytes of the first block of one of these kinds, and its kind.
fn first_block(text: &str, kinds: &[&'static str]) -> Result<(&'static str, Zeroizing<Vec<u8>>), RsaKeyError> {
    let mut lines = text.lines().map(str::trim_end);
    let kind_of = |line: &str| {
        let name = line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        kinds.iter().copied().find(|&kind| kind == name)
    };
    let kind = lines.find_map(kind_of).ok_or(RsaKeyError::NoBlock(kinds[0]))?;
    let body: Vec<_> = lines.take_while(|line| !line.starts_with("-----END ")).collect();
    if body.first().is_some_and(|line| line.starts_with("Proc-Type:")) {
        return Err(RsaKeyError::Encrypted);
    }
    let pem = Zeroizing::new(format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", body.join("\n")));
    let (_, bytes) = pkcs1::pem::decode_vec(pem.as_bytes()).map_err(|_| RsaKeyError::BadBlock(kind))?;
    Ok((kind, Zeroizing::new(bytes)))
}
