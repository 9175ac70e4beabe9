//! `generate-keys` and `generate-ed25519-keys` (spec: cli B.3).

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use tinmesh_core::crypto::keys::SecretKey;

use super::{ask, is_interactive, tell};
use crate::config;
use crate::files::{self, keys};
use crate::tinc_daemon::Tool;

pub(super) fn run(tool: &Tool<'_>) -> Result<()> {
    let paths = tool.paths;
    let public =
        config::own_name(paths).map_or_else(|_| paths.confbase.join("ed25519_key.pub"), |name| paths.host_file(&name));
    tell("Generating Ed25519 key pair:");
    let key = SecretKey::generate(&mut files::rng()?);
    tell("Done.");
    let private = choose_file(tool, "private", paths.private_key())?;
    report(keys::append_private(&private, &key), &private)?;
    let public = choose_file(tool, "public", public)?;
    report(keys::append_public(&public, &key.public()), &public)
}

fn choose_file(tool: &Tool<'_>, half: &str, usual: PathBuf) -> Result<PathBuf> {
    if !is_interactive(tool) {
        return Ok(usual);
    }
    let answer = ask(&format!("Please enter a file to save {half} Ed25519 key to [{}]: ", usual.display()))?;
    Ok(if answer.is_empty() { usual } else { std::path::absolute(answer)? })
}

fn report(appended: std::io::Result<bool>, path: &Path) -> Result<()> {
    let disabled =
        appended.map_err(|cause| anyhow!("Error opening file `{}': {}", path.display(), files::reason(&cause)))?;
    if disabled {
        tell("Warning: old key(s) found and disabled.");
    }
    Ok(())
}
