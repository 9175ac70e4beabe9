//! Key files: a block between `-----BEGIN …` and `-----END …` lines, in tinc's base64.
//!
//! Source: spec sptps 3.2 to 3.4. Beyond tinc, the two halves of a private key file must belong together: tinc accepts
//! any public half, and then nobody accepts its signatures.

use zeroize::{Zeroize, Zeroizing};

use crate::crypto::base64;
use crate::crypto::keys::{PublicKey, SecretKey};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const PRIVATE: &str = "ED25519 PRIVATE KEY";
const PUBLIC: &str = "ED25519 PUBLIC KEY";
/// Bytes per line of a file.
const LINE: usize = 48;

/// Why a text has no usable key block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// No line begins a block of the wanted kind.
    #[error("there is no line \"-----BEGIN {0}-----\"")]
    NoBlock(&'static str),
    /// A line of the block that is not base64.
    #[error("line {0} is not base64")]
    BadLine(usize),
    /// The block is too short or too long.
    #[error("the key block does not hold {0} bytes")]
    WrongLength(usize),
    /// The private half does not make the public half.
    #[error("private and public half do not belong together")]
    Mismatch,
}

impl SecretKey {
    /// Reads the first private key block of `text`.
    ///
    /// # Errors
    /// If there is none or it is damaged.
    pub fn parse_file(text: &str) -> Result<Self, KeyFileError> {
        let bytes = read_block(text, PRIVATE, 96)?;
        let (private, public) = bytes.split_at(64);
        let private = Zeroizing::new(<[u8; 64]>::try_from(private).map_err(|_| KeyFileError::WrongLength(96))?);
        let key = Self::from_expanded(&private);
        if key.public().as_bytes() != public {
            return Err(KeyFileError::Mismatch);
        }
        Ok(key)
    }

    /// The text of a private key file.
    pub fn to_file(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([self.expanded().as_slice(), self.public().as_bytes()].concat());
        Zeroizing::new(write_block(PRIVATE, &bytes))
    }
}

impl PublicKey {
    /// Reads the first public key block of `text`.
    ///
    /// # Errors
    /// If there is none or it is damaged.
    pub fn parse_file(text: &str) -> Result<Self, KeyFileError> {
        let bytes = read_block(text, PUBLIC, 32)?;
        <[u8; 32]>::try_from(bytes.as_slice()).map(Self::from_bytes).map_err(|_| KeyFileError::WrongLength(32))
    }

    /// The text of a public key file.
    pub fn to_file(&self) -> String {
        write_block(PUBLIC, self.as_bytes())
    }
}

fn read_block(text: &str, kind: &'static str, wanted: usize) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let mut lines = text.lines().enumerate();
    let begins = |line: &str| line.strip_prefix(BEGIN).is_some_and(|rest| rest.starts_with(kind));
    lines.find(|(_, line)| begins(line)).ok_or(KeyFileError::NoBlock(kind))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(wanted));
    for (index, line) in lines {
        if line.starts_with(END) || bytes.len() == wanted {
            break;
        }
        let line = line.split('\r').next().unwrap_or_default();
        let piece = Zeroizing::new(base64::decode(line.as_bytes()).ok_or(KeyFileError::BadLine(index + 1))?);
        if bytes.len() + piece.len() > wanted {
            return Err(KeyFileError::WrongLength(wanted));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.len() < wanted { Err(KeyFileError::WrongLength(wanted)) } else { Ok(bytes) }
}

fn write_block(kind: &str, bytes: &[u8]) -> String {
    let size = BEGIN.len() + END.len() + 2 * kind.len() + 12 + (bytes.len() * 4).div_ceil(3) + bytes.len() / LINE + 1;
    let mut text = String::with_capacity(size);
    text.extend([BEGIN, kind, "-----\n"]);
    for line in bytes.chunks(LINE) {
        let mut digits = base64::encode(line);
        text.extend([&digits, "\n"]);
        digits.zeroize();
    }
    text.extend([END, kind, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_that_do_not_belong_together_are_refused() {
        let (one, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let bytes = [one.expanded().as_slice(), other.public().as_bytes()].concat();

        let read = SecretKey::parse_file(&write_block(PRIVATE, &bytes));

        assert_eq!(read.err(), Some(KeyFileError::Mismatch));
    }

    #[test]
    fn a_file_that_was_written_reads_back() {
        let key = SecretKey::from_seed(&[3; 32]);

        let read = SecretKey::parse_file(&key.to_file()).unwrap();

        assert_eq!(read.expanded(), key.expanded());
        assert_eq!(PublicKey::parse_file(&key.public().to_file()), Ok(key.public()));
    }
}
