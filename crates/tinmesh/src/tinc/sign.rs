//! `sign` and `verify`: files with a signature in front (spec: cli B.14).

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use tinmesh_core::crypto::signed_file::{self, SignedFile};
use tinmesh_core::name::NodeName;

use super::own_name;
use crate::files::{self, keys};
use crate::tinc_daemon::Tool;

/// Longest file, in bytes: a signature covers all of it, so it is held in memory.
const MAX_FILE: u64 = 256 << 20;
/// Longest first line, in bytes.
const MAX_HEAD: usize = 2048;

pub(super) fn sign(tool: &Tool<'_>, arguments: &[String], out: &mut dyn Write) -> Result<()> {
    let file = match arguments {
        [] => None,
        [file] => Some(file),
        _ => bail!("Too many arguments!"),
    };
    let name = own_name(tool.paths)?;
    let path = tool.paths.private_key();
    File::open(&path).map_err(|cause| could_not_open(&path, &cause))?;
    let key = keys::read_private(&path, &mut Vec::new())
        .map_err(|_| anyhow!("Could not read private key from {}", path.display()))?;
    let content = read(file)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("The clock is before 1970")?;
    out.write_all(&signed_file::sign(&content, &name, now.as_secs(), &key))?;
    Ok(())
}

/// Who must have signed.
enum Wanted {
    Anyone,
    Node(NodeName),
}

pub(super) fn verify(tool: &Tool<'_>, arguments: &[String], out: &mut dyn Write) -> Result<()> {
    let (node, file) = match arguments {
        [] => bail!("Not enough arguments!"),
        [node] => (node, None),
        [node, file] => (node, Some(file)),
        _ => bail!("Too many arguments!"),
    };
    let wanted = match node.as_str() {
        "*" => Wanted::Anyone,
        "." => Wanted::Node(own_name(tool.paths)?),
        name => Wanted::Node(NodeName::parse(name).map_err(|_| anyhow!("Invalid node name"))?),
    };
    let content = read(file)?;
    let head = content.iter().position(|&byte| byte == b'\n').filter(|length| *length <= MAX_HEAD);
    let signed = head.and_then(|_| SignedFile::parse(&content).ok()).context("Invalid input")?;
    if let Wanted::Node(name) = wanted
        && name != signed.signer
    {
        bail!("Signature is not made by {name}");
    }
    let path = tool.paths.host_file(&signed.signer);
    let text = files::read(&path).map_err(|cause| could_not_open(&path, &cause))?;
    let key = keys::public_in(&text).ok_or_else(|| anyhow!("Could not read public key from {}", path.display()))?;
    if !signed.verify(&key) {
        bail!("Invalid signature");
    }
    Ok(out.write_all(signed.body)?)
}

/// A whole file, or all of standard input.
fn read(file: Option<&String>) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    match file {
        Some(name) => {
            let opened = File::open(name).map_err(|cause| could_not_open(Path::new(name), &cause))?;
            read_all(opened, &mut content).with_context(|| format!("Error reading {name}"))?;
        }
        None => read_all(io::stdin().lock(), &mut content).context("Error reading standard input")?,
    }
    Ok(content)
}

fn read_all(source: impl Read, content: &mut Vec<u8>) -> Result<()> {
    source.take(MAX_FILE + 1).read_to_end(content)?;
    if content.len() as u64 > MAX_FILE {
        bail!("it is longer than {} MiB, the most that can be signed", MAX_FILE >> 20);
    }
    Ok(())
}

fn could_not_open(path: &Path, cause: &io::Error) -> anyhow::Error {
    anyhow!("Could not open {}: {}", path.display(), files::reason(cause))
}
