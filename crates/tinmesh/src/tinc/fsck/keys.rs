//! Keys: whether there are any, who may read them, and whether their halves belong together.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::process::getuid;
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::legacy::rsa::{self, RsaKeyError};
use zeroize::Zeroizing;

use super::{Check, command};
use crate::config::syntax::Setting;
use crate::files;
use crate::files::keys::{self, Algorithm};

/// What is the matter with a pair of keys.
#[derive(Clone, Copy)]
enum Pair {
    /// Nothing, or there is none.
    Sound,
    NoPrivate,
    NoPublic,
    Lengths,
    Mismatch,
}

/// Why a private key file is of no use.
enum Fault {
    Unusable,
    /// Its numbers do not belong together.
    DoesNotWork,
}

pub(super) fn check(check: &mut Check<'_>, own: &[Setting]) {
    let rsa = private_key(check, own, Algorithm::Rsa, parse_rsa);
    let ed25519 =
        private_key(check, own, Algorithm::Ed25519, |text| SecretKey::parse_file(text).map_err(|_| Fault::Unusable));
    if rsa.is_none() && ed25519.is_none() && !check.failed {
        check.report.error("Neither RSA or Ed25519 private key found.");
        check.report.note(format_args!("You can generate new keys with:\n\n{}", command(check.tool, "generate-keys")));
        check.failed = true;
        return;
    }
    let host_file = check.tool.paths.host_file(&check.name);
    let text = files::read(&host_file);
    if text.is_err() {
        check.report.warning(format_args!("cannot read {}", host_file.display()));
    }
    let text = text.unwrap_or_default();
    check_rsa(check, own, rsa.as_ref(), &text);
    check_ed25519(check, own, ed25519.as_ref(), &text);
}

fn parse_rsa(text: &str) -> Result<rsa::PrivateKey, Fault> {
    rsa::PrivateKey::parse_file(text).map_err(|error| match error {
        RsaKeyError::Mismatch => Fault::DoesNotWork,
        RsaKeyError::NoBlock(_)
        | RsaKeyError::BadBlock(_)
        | RsaKeyError::Encrypted
        | RsaKeyError::OtherKind
        | RsaKeyError::NotHex
        | RsaKeyError::Size(_)
        | RsaKeyError::BadNumbers => Fault::Unusable,
    })
}

fn check_rsa(check: &mut Check<'_>, own: &[Setting], private: Option<&rsa::PrivateKey>, host_file: &[u8]) {
    let parse = |text: &[u8]| rsa::PublicKey::parse_file(&String::from_utf8_lossy(text)).ok();
    let public = match (value(own, "PublicKey"), other_file(check, own, "PublicKeyFile")) {
        (Some(digits), _) => rsa::PublicKey::parse_hex(digits).ok(),
        (None, Some(text)) => parse(&text),
        (None, None) => parse(host_file),
    };
    let pair = match (private, public) {
        (None, None) => Pair::Sound,
        (None, Some(_)) => Pair::NoPrivate,
        (Some(_), None) => Pair::NoPublic,
        (Some(private), Some(public)) if *private.public() == public => Pair::Sound,
        (Some(private), Some(public)) if private.public().bits() != public.bits() => Pair::Lengths,
        (Some(_), Some(_)) => Pair::Mismatch,
    };
    judge(check, Algorithm::Rsa, pair, private.map(|key| key.public().to_file()));
}

fn check_ed25519(check: &mut Check<'_>, own: &[Setting], private: Option<&SecretKey>, host_file: &[u8]) {
    let public = match other_file(check, own, "Ed25519PublicKeyFile") {
        Some(text) => keys::public_in(&text),
        None => keys::public_in(host_file),
    };
    let pair = match (private, public) {
        (None, None) => Pair::Sound,
        (None, Some(_)) => Pair::NoPrivate,
        (Some(_), None) => Pair::NoPublic,
        (Some(private), Some(public)) if private.public() == public => Pair::Sound,
        (Some(_), Some(_)) => Pair::Mismatch,
    };
    judge(check, Algorithm::Ed25519, pair, private.map(|key| key.public().to_file()));
}

fn value<'a>(own: &'a [Setting], variable: &str) -> Option<&'a str> {
    own.iter().find(|setting| setting.is(variable)).map(|setting| setting.value.as_str())
}

/// The text of a file that a variable names.
fn other_file(check: &Check<'_>, own: &[Setting], variable: &str) -> Option<Zeroizing<Vec<u8>>> {
    files::read(&check.tool.paths.confbase.join(value(own, variable)?)).ok()
}

/// The private key of a kind, if there is a usable one.
fn private_key<K>(
    check: &mut Check<'_>,
    own: &[Setting],
    algorithm: Algorithm,
    parse: impl Fn(&str) -> Result<K, Fault>,
) -> Option<K> {
    let (variable, usual) = match algorithm {
        Algorithm::Rsa => ("PrivateKeyFile", "rsa_key.priv"),
        Algorithm::Ed25519 => ("Ed25519PrivateKeyFile", "ed25519_key.priv"),
    };
    let path = check.tool.paths.confbase.join(value(own, variable).unwrap_or(usual));
    let text = read_private(check, &path)?;
    let key = parse(&Zeroizing::new(String::from_utf8_lossy(&text).into_owned()));
    match &key {
        Ok(_) => return key.ok(),
        Err(Fault::Unusable) => check.report.error(format_args!("No key or unusable key found in {}.", path.display())),
        Err(Fault::DoesNotWork) => check.report.error(format_args!("private {} key does not work.", algorithm.name())),
    }
    hint(check, algorithm);
    check.failed = true;
    None
}

/// Reads a private key file, if there is one; others should not be able to.
fn read_private(check: &mut Check<'_>, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let read = files::read(path).and_then(|text| Ok((text, fs::metadata(path)?)));
    let (text, status) = match read {
        Ok(read) => read,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return None,
        Err(cause) => {
            check.report.error(format_args!("could not open {}: {}", path.display(), files::reason(&cause)));
            check.failed = true;
            return None;
        }
    };
    if keys::is_open(status.mode()) {
        check.report.warning(format_args!("unsafe file permissions on {}.", path.display()));
        if status.uid() != getuid().as_raw() {
            let program = check.tool.program;
            check.report.note(format_args!("You are not running {program} as the same uid as {}.", path.display()));
        } else if check.may_fix() {
            fix_mode(check, path, status.mode() & 0o7700);
        }
    }
    Some(text)
}

fn fix_mode(check: &mut Check<'_>, path: &Path, mode: u32) {
    match fs::set_permissions(path, fs::Permissions::from_mode(mode)) {
        Ok(()) => check.report.note(format_args!("Fixed permissions of {}.", path.display())),
        Err(cause) => {
            check.report.note(format_args!(
                "Could not fix permissions of {}: {}",
                path.display(),
                files::reason(&cause)
            ));
        }
    }
}

fn hint(check: &mut Check<'_>, algorithm: Algorithm) {
    let word = match algorithm {
        Algorithm::Rsa => "generate-rsa-keys",
        Algorithm::Ed25519 => "generate-ed25519-keys",
    };
    let name = algorithm.name();
    check.report.note(format_args!("You can generate a new {name} key with:\n\n{}", command(check.tool, word)));
}

/// Says what is wrong with a pair of keys; `block` is the public half of the private one, to mend it with.
fn judge(check: &mut Check<'_>, algorithm: Algorithm, pair: Pair, block: Option<String>) {
    let name = algorithm.name();
    match pair {
        Pair::Sound => return,
        Pair::NoPrivate => {
            check.report.warning(format_args!("A public {name} key was found but no private key is known."));
            if algorithm == Algorithm::Ed25519 {
                hint(check, algorithm);
            }
            return;
        }
        Pair::Lengths => {
            check.report.error(format_args!("public and private {name} key lengths do not match."));
            check.failed = true;
            return;
        }
        Pair::Mismatch => check.report.error(format_args!("public and private {name} keys do not match.")),
        Pair::NoPublic => check.report.warning(format_args!("No (usable) public {name} key found.")),
    }
    if let (Some(block), true) = (block, check.may_fix()) {
        write_public(check, algorithm, &block);
    }
}

fn write_public(check: &mut Check<'_>, algorithm: Algorithm, block: &str) {
    let path = check.tool.paths.host_file(&check.name);
    match keys::append(&path, algorithm, block.as_bytes(), 0o644) {
        Ok(disabled) => {
            if disabled {
                check.report.note("Warning: old key(s) found and disabled.");
            }
            check.report.note(format_args!("Wrote {} public key to {}.", algorithm.name(), path.display()));
        }
        Err(cause) => {
            check.report.note(format_args!("Could not write to {}: {}", path.display(), files::reason(&cause)));
            check.failed = true;
        }
    }
}
