//! `generate-keys`, `generate-rsa-keys` and `generate-ed25519-keys` (spec: cli B.3).

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::legacy::rsa::{self, MAX_BITS, MIN_BITS};

use super::{ask, is_interactive, tell};
use crate::cli::tincd::lenient_number;
use crate::config;
use crate::files;
use crate::files::keys::{self, Algorithm};
use crate::tinc_daemon::Tool;

/// Size of RSA keys in bits, unless the user wants another.
const USUAL_BITS: u32 = 2048;

/// Makes keys of both kinds.
pub(super) fn both(tool: &Tool<'_>, arguments: &[String]) -> Result<()> {
    rsa(tool, arguments)?;
    ed25519(tool)
}

/// Makes a pair for the protocol of tinc 1.1.
pub(super) fn ed25519(tool: &Tool<'_>) -> Result<()> {
    tell("Generating Ed25519 key pair:");
    let key = SecretKey::generate(&mut files::rng()?);
    tell("Done.");
    store(tool, Algorithm::Ed25519, &key.to_file(), &keys::public_line(&key.public()))
}

/// Makes a pair for the protocol of tinc 1.0.
pub(super) fn rsa(tool: &Tool<'_>, arguments: &[String]) -> Result<()> {
    let bits = match arguments {
        [] => USUAL_BITS,
        [bits] => size(bits)?,
        _ => bail!("Too many arguments!"),
    };
    if bits < USUAL_BITS {
        tell(format_args!(
            "WARNING: generating a weak {bits} bits RSA key! {USUAL_BITS} or more bits are recommended."
        ));
    }
    tell(format_args!("Generating {bits} bits keys:"));
    let key = rsa::PrivateKey::generate(bits, &mut files::rng()?)?;
    tell("Done.");
    let private = key.to_file().context("The new key cannot be written")?;
    store(tool, Algorithm::Rsa, &private, &key.public().to_file())
}

/// The size that a word means: whole bytes, within bounds.
fn size(word: &str) -> Result<u32> {
    let wanted = lenient_number(word) & !7;
    let bits = u32::try_from(wanted).ok().filter(|bits| (MIN_BITS..=MAX_BITS).contains(bits));
    bits.ok_or_else(|| {
        anyhow!("Invalid key size {wanted} specified! It should be between {MIN_BITS} and {MAX_BITS} bits.")
    })
}

/// Puts both halves where the user wants them.
fn store(tool: &Tool<'_>, algorithm: Algorithm, private: &str, public: &str) -> Result<()> {
    let paths = tool.paths;
    let (usual_private, usual_public) = match algorithm {
        Algorithm::Rsa => (paths.confbase.join("rsa_key.priv"), "rsa_key.pub"),
        Algorithm::Ed25519 => (paths.private_key(), "ed25519_key.pub"),
    };
    let own = config::own_name(paths).map(|name| paths.host_file(&name));
    let usual_public = own.unwrap_or_else(|_| paths.confbase.join(usual_public));
    for (half, usual, text, mode) in
        [("private", usual_private, private, 0o600), ("public", usual_public, public, 0o644)]
    {
        let path = choose_file(tool, half, algorithm, usual)?;
        let disabled = keys::append(&path, algorithm, text.as_bytes(), mode)
            .map_err(|cause| anyhow!("Error opening file `{}': {}", path.display(), files::reason(&cause)))?;
        if disabled {
            tell("Warning: old key(s) found and disabled.");
        }
    }
    Ok(())
}

fn choose_file(tool: &Tool<'_>, half: &str, algorithm: Algorithm, usual: PathBuf) -> Result<PathBuf> {
    if !is_interactive(tool) {
        return Ok(usual);
    }
    let kind = algorithm.name();
    let answer = ask(&format!("Please enter a file to save {half} {kind} key to [{}]: ", usual.display()))?;
    Ok(if answer.is_empty() { usual } else { std::path::absolute(answer)? })
}
