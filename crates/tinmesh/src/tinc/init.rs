//! `init` (spec: cli B.1).

use anyhow::{Result, anyhow, bail};
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::name::NodeName;

use super::{ask, is_interactive, tell};
use crate::files::staging::Staging;
use crate::files::{self, keys, port, script};
use crate::tinc_daemon::Tool;

pub(super) fn run(tool: &Tool<'_>, arguments: &[String]) -> Result<()> {
    let paths = tool.paths;
    let main = paths.tinc_conf();
    if main.exists() {
        bail!("Configuration file {} already exists!", main.display());
    }
    let name = choose_name(tool, arguments)?;
    let mut rng = files::rng()?;
    let staging = Staging::begin(paths, &mut rng)?;
    staging.write("tinc.conf", format!("Name = {name}\n").as_bytes(), 0o644)?;
    tell("Generating Ed25519 key pair:");
    let key = SecretKey::generate(&mut rng);
    keys::stage_private(&staging, paths, &key)?;
    tell("Done.");
    let port = port::choose(&mut rng);
    let host_file = format!("{}{}", keys::public_line(&key.public()), port.line());
    staging.write(&format!("hosts/{name}"), host_file.as_bytes(), 0o644)?;
    if !paths.confbase.join("tinc-up").exists() {
        staging.write("tinc-up", script::INIT.as_bytes(), 0o755)?;
    }
    staging.commit()?;
    port.notice().iter().for_each(tell);
    Ok(())
}

fn choose_name(tool: &Tool<'_>, arguments: &[String]) -> Result<NodeName> {
    let name = match arguments {
        [] if is_interactive(tool) => {
            let answer = ask("Enter the Name you want your tinc node to have: ")?;
            if answer.is_empty() {
                bail!("No name given!");
            }
            answer
        }
        [name] if !name.is_empty() => name.clone(),
        [] | [_] => bail!("No Name given!"),
        [_, _, ..] => bail!("Too many arguments!"),
    };
    NodeName::parse(&name).map_err(|_| anyhow!("Invalid Name! Only a-z, A-Z, 0-9 and _ are allowed characters."))
}
