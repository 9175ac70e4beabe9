//! `dump invitations` and `network` (spec: cli B.4, B.12).

use std::fs;
use std::io::Write;

use anyhow::{Result, anyhow, bail};

use super::{print, tell};
use crate::files;
use crate::files::invitations;
use crate::paths::{Netname, PathError};
use crate::tinc_daemon::Tool;

pub(super) fn invitations(tool: &Tool<'_>, out: &mut dyn Write) -> Result<()> {
    let directory = tool.paths.invitations();
    let outstanding = invitations::outstanding(tool.paths)
        .map_err(|cause| anyhow!("Cannot not read directory {}: {}", directory.display(), files::reason(&cause)))?;
    let nobody = outstanding.iter().all(|invitation| invitation.node.is_none());
    for invitation in outstanding {
        match invitation.node {
            Some(node) => print(out, format_args!("{} {node}\n", invitation.file_name))?,
            None => tell(format!("Invalid invitation file {}", directory.join(&invitation.file_name).display())),
        }
    }
    if nobody {
        tell("No outstanding invitations.");
    }
    Ok(())
}

pub(super) fn network(tool: &Tool<'_>, arguments: &[String], out: &mut dyn Write) -> Result<()> {
    match arguments {
        [] => list_networks(tool, out),
        // Only a shell could stay in a network.
        [name] if name == "." => Ok(()),
        [name] => match Netname::judge(name) {
            Netname::Invalid => Err(PathError::Netname.into()),
            Netname::Unsafe => {
                tell("Warning: unsafe character in netname!");
                Ok(())
            }
            Netname::Safe => Ok(()),
        },
        [_, _, ..] => bail!("Too many arguments!"),
    }
}

fn list_networks(tool: &Tool<'_>, out: &mut dyn Write) -> Result<()> {
    let confdir = &tool.paths.confdir;
    let unreadable = |cause| anyhow!("Could not read directory {}: {}", confdir.display(), files::reason(&cause));
    let entries = fs::read_dir(confdir).map_err(unreadable)?;
    let mut names: Vec<String> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "tinc.conf" {
            names.push(".".to_owned());
        } else if !name.starts_with('.') && fs::File::open(entry.path().join("tinc.conf")).is_ok() {
            names.push(name);
        }
    }
    names.sort();
    names.iter().try_for_each(|name| print(out, format_args!("{name}\n")))
}
