//! Keys: whether there are any, who may read them, and whether their halves belong together.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::getuid;
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};

use super::{Check, command, error, tell, warning};
use crate::config::syntax::Setting;
use crate::files::{self, keys};

pub(super) fn check(check: &mut Check<'_>, own: &[Setting]) {
    let private = private_key(check, own);
    if private.is_none() && !check.failed {
        error("Neither RSA or Ed25519 private key found.");
        tell(format_args!("You can generate new keys with:\n\n{}", command(check.tool, "generate-keys")));
        check.failed = true;
        return;
    }
    let host_file = check.tool.paths.host_file(&check.name);
    let text = files::read(&host_file);
    if text.is_err() {
        warning(format_args!("cannot read {}", host_file.display()));
    }
    let public = keys::public_in(&text.unwrap_or_default());
    check_pair(check, private.as_ref(), public.as_ref(), &host_file);
}

/// The private key, if there is a usable one.
fn private_key(check: &mut Check<'_>, own: &[Setting]) -> Option<SecretKey> {
    let path = key_file(check, own, "Ed25519PrivateKeyFile", "ed25519_key.priv");
    if !check_private_file(check, &path) {
        return None;
    }
    let key = keys::read_private(&path, &mut Vec::new());
    if key.is_err() {
        error(format_args!("No key or unusable key found in {}.", path.display()));
        hint(check, "Ed25519", "generate-ed25519-keys");
        check.failed = true;
    }
    key.ok()
}

/// Where a private key is: where a variable says, or where it usually is.
fn key_file(check: &Check<'_>, own: &[Setting], variable: &str, usual: &str) -> PathBuf {
    let told = own.iter().find(|setting| setting.is(variable)).map_or(usual, |setting| &setting.value);
    check.tool.paths.confbase.join(told)
}

/// Whether a private key file is there and can be read; others should not be able to.
fn check_private_file(check: &mut Check<'_>, path: &Path) -> bool {
    let opened = fs::File::open(path).and_then(|file| file.metadata());
    let status = match opened {
        Ok(status) => status,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return false,
        Err(cause) => {
            error(format_args!("could not open {}: {}", path.display(), files::reason(&cause)));
            check.failed = true;
            return false;
        }
    };
    if status.mode() & 0o077 != 0 {
        warning(format_args!("unsafe file permissions on {}.", path.display()));
        if status.uid() != getuid().as_raw() {
            let program = check.tool.program;
            tell(format_args!("You are not running {program} as the same uid as {}.", path.display()));
        } else if check.may_fix() {
            let mode = fs::Permissions::from_mode(status.mode() & 0o7700);
            match fs::set_permissions(path, mode) {
                Ok(()) => tell(format_args!("Fixed permissions of {}.", path.display())),
                Err(cause) => {
                    tell(format_args!("Could not fix permissions of {}: {}", path.display(), files::reason(&cause)));
                }
            }
        }
    }
    true
}

fn hint(check: &Check<'_>, kind: &str, word: &str) {
    tell(format_args!("You can generate a new {kind} key with:\n\n{}", command(check.tool, word)));
}

fn check_pair(check: &mut Check<'_>, private: Option<&SecretKey>, public: Option<&PublicKey>, host_file: &Path) {
    match (private, public) {
        (None, None) => return,
        (None, Some(_)) => {
            warning("A public Ed25519 key was found but no private key is known.");
            return hint(check, "Ed25519", "generate-ed25519-keys");
        }
        (Some(private), Some(public)) if private.public() == *public => return,
        (Some(_), Some(_)) => error("public and private Ed25519 keys do not match."),
        (Some(_), None) => warning("No (usable) public Ed25519 key found."),
    }
    if let (Some(private), true) = (private, check.may_fix()) {
        let written = keys::append(host_file, keys::Algorithm::Ed25519, private.public().to_file().as_bytes(), 0o644);
        report_written(check, "Ed25519", host_file, written);
    }
}

fn report_written(check: &mut Check<'_>, kind: &str, path: &Path, written: std::io::Result<bool>) {
    match written {
        Ok(disabled) => {
            if disabled {
                tell("Warning: old key(s) found and disabled.");
            }
            tell(format_args!("Wrote {kind} public key to {}.", path.display()));
        }
        Err(cause) => {
            tell(format_args!("Could not write to {}: {}", path.display(), files::reason(&cause)));
            check.failed = true;
        }
    }
}
