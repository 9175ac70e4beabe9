//! Key files: private ones with mode 0600, public ones inside host files; old keys stay as comments.
//!
//! Source: spec cli B.3, configuration 4.1.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tinmesh_core::crypto::key_file::KeyFileError;
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::config::edit;
use crate::files;
use crate::files::staging::Staging;
use crate::paths::Paths;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("Error reading Ed25519 private key file {}: {}", path.display(), files::reason(cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file holds no usable key.
    #[error("No usable Ed25519 private key in {}: {cause}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: KeyFileError,
    },
}

impl KeyError {
    /// Whether there is no file at all.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Unreadable { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The protocol of tinc 1.1.
    Ed25519,
    /// The protocol of tinc 1.0.
    Rsa,
}

impl Algorithm {
    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        }
    }

    /// The word in the first line of a key block.
    const fn mark(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => b" ED25519 ",
            Self::Rsa => b" RSA ",
        }
    }
}

/// Whether the mode of a file lets others at a private key: what `fsck` and `doctor` mind.
pub const fn is_open(mode: u32) -> bool {
    mode & 0o077 != 0
}

/// Whether it is one that a daemon warns of as tinc's does: special bits count too.
const fn is_insecure(mode: u32) -> bool {
    is_open(mode) || mode & 0o7000 != 0
}

/// Reads a private key; a mode that lets others read it is told in `warnings`.
///
/// # Errors
/// If there is no usable key.
pub fn read_private(path: &Path, warnings: &mut Vec<String>) -> Result<SecretKey, KeyError> {
    let unreadable = |cause| KeyError::Unreadable { path: path.to_owned(), cause };
    let text = files::read(path).map_err(unreadable)?;
    let mode = fs::metadata(path).map_err(unreadable)?.mode();
    if is_insecure(mode) {
        let path = path.display();
        warnings.push(format!("Warning: insecure file permissions for Ed25519 private key file '{path}'!"));
    }
    let unusable = |cause| KeyError::Unusable { path: path.to_owned(), cause };
    let text = Zeroizing::new(String::from_utf8_lossy(&text).into_owned());
    SecretKey::parse_file(&text).map_err(unusable)
}

/// Puts a private key at the end of a file, which nobody else may read if it is a new one.
///
/// The result says whether the file had a key before, which is a comment now.
///
/// # Errors
/// If the file cannot be written.
pub fn append_private(path: &Path, key: &SecretKey) -> io::Result<bool> {
    append(path, Algorithm::Ed25519, key.to_file().as_bytes(), 0o600)
}

/// Writes the private key of a configuration in the making. A key that the instance had before stays as a comment.
///
/// # Errors
/// If the file cannot be written.
pub fn stage_private(staging: &Staging, paths: &Paths, key: &SecretKey) -> io::Result<()> {
    let (old, _) = disable_keys(&files::read_or_empty(&paths.private_key())?, Algorithm::Ed25519);
    write_behind(&staging.path("ed25519_key.priv"), &old, key.to_file().as_bytes(), 0o600)
}

/// Puts a key at the end of a file that need not exist; keys of the same kind that the file has become comments, and
/// the result says whether there were any.
///
/// # Errors
/// If the file cannot be written.
pub fn append(path: &Path, algorithm: Algorithm, key: &[u8], mode_if_new: u32) -> io::Result<bool> {
    let (kept, disabled) = disable_keys(&files::read_or_empty(path)?, algorithm);
    write_behind(path, &kept, key, mode_if_new)?;
    Ok(disabled)
}

fn write_behind(path: &Path, old: &[u8], new: &[u8], mode: u32) -> io::Result<()> {
    let mut text = Zeroizing::new(Vec::with_capacity(old.len() + new.len() + 1));
    text.extend_from_slice(old);
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(new);
    files::replace(path, ".tmp", &text, mode)
}

/// The line of a host file that holds a public key.
pub fn public_line(key: &PublicKey) -> String {
    format!("Ed25519PublicKey = {}\n", key.to_base64())
}

/// The text with every key of a kind made a comment, and whether there was one.
fn disable_keys(text: &[u8], algorithm: Algorithm) -> (Zeroizing<Vec<u8>>, bool) {
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let mut kept = Zeroizing::new(Vec::with_capacity(text.len() + lines.len()));
    let (mut in_block, mut disabled) = (false, false);
    for line in lines {
        let mark = algorithm.mark();
        in_block |= line.starts_with(b"-----BEGIN ") && line.windows(mark.len()).any(|window| window == mark);
        let is_line = match algorithm {
            Algorithm::Ed25519 => !in_block && !edit::values(line, "Ed25519PublicKey").is_empty(),
            Algorithm::Rsa => false,
        };
        if in_block || is_line {
            kept.push(b'#');
            disabled = true;
        }
        kept.extend_from_slice(line);
        in_block &= !line.starts_with(b"-----END ");
    }
    (kept, disabled)
}

/// The public key that a host file tells, by line or by block.
pub fn public_in(text: &[u8]) -> Option<PublicKey> {
    match edit::values(text, "Ed25519PublicKey").first() {
        Some(value) => PublicKey::from_base64(value).ok(),
        None => PublicKey::parse_file(&String::from_utf8_lossy(text)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    #[test]
    fn others_must_not_get_at_a_key_and_special_bits_are_odd() {
        for (mode, open, insecure) in [
            (0o100_600, false, false),
            (0o100_700, false, false),
            (0o100_640, true, true),
            (0o100_602, true, true),
            (0o104_600, false, true),
        ] {
            assert_eq!((is_open(mode), is_insecure(mode)), (open, insecure), "{mode:o}");
        }
    }

    #[test]
    fn a_private_key_is_kept_from_others_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ed25519_key.priv");
        let mut warnings = Vec::new();

        let disabled = append_private(&path, &key(1)).unwrap();

        let read = read_private(&path, &mut warnings).unwrap();
        assert_eq!((read.public(), disabled), (key(1).public(), false));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_file_that_others_may_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        append_private(&path, &key(1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mut warnings = Vec::new();

        read_private(&path, &mut warnings).unwrap();

        let expected = format!("Warning: insecure file permissions for Ed25519 private key file '{}'!", path.display());
        assert_eq!(warnings, [expected]);
    }

    #[test]
    fn the_last_key_counts_and_older_ones_are_comments() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("key"), dir.path().join("host"));
        fs::write(&public, "Port = 1\nEd25519PublicKey=abc\n# mine").unwrap();
        append_private(&private, &key(1)).unwrap();

        assert!(append_private(&private, &key(2)).unwrap());
        let new_line = public_line(&key(2).public());
        assert!(append(&public, Algorithm::Ed25519, new_line.as_bytes(), 0o644).unwrap());

        assert_eq!(read_private(&private, &mut Vec::new()).unwrap().public(), key(2).public());
        let host = fs::read_to_string(&public).unwrap();
        let line = public_line(&key(2).public());
        assert_eq!(host, format!("Port = 1\n#Ed25519PublicKey=abc\n# mine\n{line}"));
        assert_eq!(fs::read_to_string(&private).unwrap().matches("#-----").count(), 2);
    }

    #[test]
    fn keys_of_other_kinds_stay() {
        let text = b"-----BEGIN RSA PUBLIC KEY-----\nabc\n-----END RSA PUBLIC KEY-----\n";
        let (kept, disabled) = disable_keys(text, Algorithm::Ed25519);
        assert_eq!((kept.as_slice(), disabled), (text.as_slice(), false));
        let (kept, disabled) = disable_keys(text, Algorithm::Rsa);
        let expected = b"#-----BEGIN RSA PUBLIC KEY-----\n#abc\n#-----END RSA PUBLIC KEY-----\n";
        assert_eq!((kept.as_slice(), disabled), (expected.as_slice(), true));
    }

    #[test]
    fn a_public_key_is_found_as_a_line_or_as_a_block() {
        let public = key(1).public();
        assert_eq!(public_in(public_line(&public).as_bytes()), Some(public));
        assert_eq!(public_in(format!("Port = 1\n{}", public.to_file()).as_bytes()), Some(public));
        assert_eq!(public_in(b"Ed25519PublicKey = abc\n"), None);
    }
}
