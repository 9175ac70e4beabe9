//! Digests by the names and numbers that OpenSSL gives them, and authentication codes made with them.
//!
//! Source: spec legacy-1.0, 3.4, 6 and 7.1; RFC 2104.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac as _, SimpleHmac};
use sha2::Digest as _;
use subtle::ConstantTimeEq;

/// Longest digest, in bytes.
const MAX_LEN: usize = 64;

/// Makes the enums of digests and of codes, and what is the same for each.
macro_rules! digests {
    ($($name:ident $hash:ty, $hmac:ident, $id:literal, $text:literal, $len:literal, $doc:literal;)*) => {
        /// A digest.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Digest {
            $(#[doc = $doc] $name,)*
        }

        /// An authentication code with its key.
        #[derive(Clone)]
        enum Keyed {
            $($name($hmac<$hash>),)*
        }

        impl Digest {
            /// All that there are.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// OpenSSL's number.
            pub const fn id(self) -> i32 {
                match self { $(Self::$name => $id,)* }
            }

            const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Its length in bytes.
            pub const fn size(self) -> usize {
                match self { $(Self::$name => $len,)* }
            }

            /// The digest of `data`.
            pub fn hash(self, data: &[u8]) -> Vec<u8> {
                match self { $(Self::$name => <$hash>::digest(data).to_vec(),)* }
            }

            fn keyed(self, key: &[u8]) -> Option<Keyed> {
                Some(match self { $(Self::$name => Keyed::$name($hmac::new_from_slice(key).ok()?),)* })
            }
        }

        impl Keyed {
            fn compute(&self, data: &[u8], code: &mut [u8; MAX_LEN]) {
                match self {
                    $(Self::$name(keyed) => {
                        let mut keyed = keyed.clone();
                        keyed.update(data);
                        code[..$len].copy_from_slice(&keyed.finalize().into_bytes());
                    })*
                }
            }
        }
    };
}

digests! {
    Md5 md5::Md5, Hmac, 4, "md5", 16, "MD5.";
    Sha1 sha1::Sha1, Hmac, 64, "sha1", 20, "SHA-1.";
    Ripemd160 ripemd::Ripemd160, Hmac, 117, "ripemd160", 20, "RIPEMD-160.";
    Sha224 sha2::Sha224, Hmac, 675, "sha224", 28, "SHA-224.";
    Sha256 sha2::Sha256, Hmac, 672, "sha256", 32, "SHA-256.";
    Sha384 sha2::Sha384, Hmac, 673, "sha384", 48, "SHA-384.";
    Sha512 sha2::Sha512, Hmac, 674, "sha512", 64, "SHA-512.";
    Sha512To224 sha2::Sha512_224, Hmac, 1094, "sha512-224", 28, "SHA-512/224.";
    Sha512To256 sha2::Sha512_256, Hmac, 1095, "sha512-256", 32, "SHA-512/256.";
    Sha3Of224 sha3::Sha3_224, SimpleHmac, 1096, "sha3-224", 28, "SHA3-224.";
    Sha3Of256 sha3::Sha3_256, SimpleHmac, 1097, "sha3-256", 32, "SHA3-256.";
    Sha3Of384 sha3::Sha3_384, SimpleHmac, 1098, "sha3-384", 48, "SHA3-384.";
    Sha3Of512 sha3::Sha3_512, SimpleHmac, 1099, "sha3-512", 64, "SHA3-512.";
    Blake2b blake2::Blake2b512, SimpleHmac, 1056, "blake2b512", 64, "BLAKE2b.";
    Blake2s blake2::Blake2s256, SimpleHmac, 1057, "blake2s256", 32, "BLAKE2s.";
    Sm3 sm3::Sm3, Hmac, 1143, "sm3", 32, "SM3.";
}

impl Digest {
    /// The digest with OpenSSL's number `id`.
    pub fn by_id(id: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|digest| digest.id() == id)
    }

    /// The digest that OpenSSL calls `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let full = match name.as_str() {
            "sha-1" | "ssl3-sha1" => "sha1",
            "sha-224" | "sha2-224" => "sha224",
            "sha-256" | "sha2-256" => "sha256",
            "sha-384" | "sha2-384" => "sha384",
            "sha-512" | "sha2-512" => "sha512",
            "ripemd" | "rmd160" => "ripemd160",
            other => other,
        };
        Self::ALL.iter().copied().find(|digest| digest.name() == full)
    }

    /// Whether codes made with it are badly protected.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Md5)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes and checks authentication codes of one key, cut to a length.
#[derive(Clone)]
pub struct Mac {
    keyed: Keyed,
    len: usize,
}

impl Mac {
    /// Codes of `len` bytes; nothing if the digest has fewer.
    pub fn new(digest: Digest, key: &[u8], len: usize) -> Option<Self> {
        Some(Self { keyed: digest.keyed(key).filter(|_| len <= digest.size())?, len })
    }

    /// Length of a code in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether codes are empty, so that they protect nothing.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The code of `data`, and how many of these bytes it has.
    pub fn compute(&self, data: &[u8]) -> ([u8; MAX_LEN], usize) {
        let mut code = [0; MAX_LEN];
        self.keyed.compute(data, &mut code);
        (code, self.len)
    }

    /// Whether `code` belongs to `data`; takes the same time wherever they differ.
    pub fn verify(&self, data: &[u8], code: &[u8]) -> bool {
        let (own, len) = self.compute(data);
        own[..len].ct_eq(code).into()
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mac").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_and_its_codes_are_those_of_openssl() {
        let text: Vec<u8> = (0..150_u8).map(|index| index.wrapping_mul(7).wrapping_add(3)).collect();
        let key: Vec<u8> = (0..48).collect();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let lines: Vec<&str> = include_str!("digest/openssl.tsv").lines().skip(1).collect();
        assert_eq!(lines.len(), Digest::ALL.len());
        for line in lines {
            let fields: Vec<&str> = line.split('\t').collect();
            let digest = Digest::by_name(fields[0]).unwrap();

            let mac = Mac::new(digest, &key, digest.size()).unwrap();

            assert_eq!((digest.id().to_string().as_str(), Digest::by_id(digest.id())), (fields[1], Some(digest)));
            assert_eq!((hex(&digest.hash(&text)).as_str(), digest.size() * 2), (fields[2], fields[2].len()));
            let (code, len) = mac.compute(&text);
            assert_eq!(hex(&code[..len]), fields[3], "{digest}");
        }
    }

    #[test]
    fn a_cut_code_fits_its_text_and_key_only() {
        let mac = Mac::new(Digest::Sha256, b"key", 4).unwrap();
        let (code, len) = mac.compute(b"text");
        let code = &code[..len];

        assert!(mac.verify(b"text", code));
        assert!(!mac.verify(b"tekst", code) && !mac.verify(b"text", &code[..3]) && !mac.verify(b"text", &[]));
        assert!(!Mac::new(Digest::Sha256, b"kez", 4).unwrap().verify(b"text", code));
        assert!(Mac::new(Digest::Sha1, b"key", 21).is_none());
    }
}
