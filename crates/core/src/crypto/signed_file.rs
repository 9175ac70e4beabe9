//! Signed files: a `Signature = NODE TIME SIGNATURE` line in front of any content.
//!
//! Source: spec sptps 4.1, cli B.14.

use crate::crypto::base64;
use crate::crypto::keys::{PublicKey, SIGNATURE_LEN, SecretKey};
use crate::name::NodeName;

const PREFIX: &[u8] = b"Signature = ";
/// Base64 digits of a signature.
const SIGNATURE_DIGITS: usize = 86;

/// The first line is not `Signature = NODE TIME SIGNATURE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the first line is not \"Signature = NODE TIME SIGNATURE\"")]
pub struct SignedFileError;

/// A signed file, taken apart but not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedFile<'a> {
    /// Who claims to have signed it.
    pub signer: NodeName,
    /// When, in seconds since 1970.
    pub time: u64,
    /// What was signed.
    pub body: &'a [u8],
    signature: [u8; SIGNATURE_LEN],
}

/// `body` with the line in front that says that `signer` signed it at `time` (seconds since 1970).
pub fn sign(body: &[u8], signer: &NodeName, time: u64, key: &SecretKey) -> Vec<u8> {
    let signature = base64::encode(&key.sign(&signed_bytes(body, signer, time)));
    let mut file = PREFIX.to_vec();
    file.extend_from_slice(format!("{signer} {time} {signature}\n").as_bytes());
    file.extend_from_slice(body);
    file
}

impl<'a> SignedFile<'a> {
    /// Takes a signed file apart.
    ///
    /// # Errors
    /// If the first line does not have the right form.
    pub fn parse(file: &'a [u8]) -> Result<Self, SignedFileError> {
        let end = file.iter().position(|&byte| byte == b'\n').ok_or(SignedFileError)?;
        let (line, body) = (&file[..end], &file[end + 1..]);
        let line = line.strip_prefix(PREFIX).and_then(|rest| std::str::from_utf8(rest).ok()).ok_or(SignedFileError)?;
        let mut words = line.split(' ');
        let (Some(name), Some(time), Some(digits), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(SignedFileError);
        };
        let signer = NodeName::parse(name).map_err(|_| SignedFileError)?;
        let time = time.parse().ok().filter(|&time| time != 0).ok_or(SignedFileError)?;
        let signature = Some(digits.as_bytes()).filter(|digits| digits.len() == SIGNATURE_DIGITS);
        let signature = signature.and_then(base64::decode).and_then(|bytes| bytes.try_into().ok());
        Ok(Self { signer, time, body, signature: signature.ok_or(SignedFileError)? })
    }

    /// Whether the owner of `key` signed it.
    pub fn verify(&self, key: &PublicKey) -> bool {
        key.verify(&signed_bytes(self.body, &self.signer, self.time), &self.signature)
    }
}

fn signed_bytes(body: &[u8], signer: &NodeName, time: u64) -> Vec<u8> {
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(format!(" {signer} {time}").as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_signed_in_anothers_name_does_not_verify() {
        let key = SecretKey::from_seed(&[1; 32]);
        let file = sign(b"body", &NodeName::parse("alice").unwrap(), 1, &key);
        let forged = String::from_utf8(file).unwrap().replace("alice", "mallo").into_bytes();

        let parsed = SignedFile::parse(&forged).unwrap();

        assert!(!parsed.verify(&key.public()));
    }

    #[test]
    fn other_first_lines_are_refused() {
        for text in ["", "\n", "Signature = a 1\n", "Signature = a 0 x\n", "Signature = a b c d\n", "hello\nworld\n"] {
            assert_eq!(SignedFile::parse(text.as_bytes()), Err(SignedFileError), "{text:?}");
        }
    }
}
