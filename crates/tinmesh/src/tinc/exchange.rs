//! `export`, `export-all`, `import` and both together (spec: cli B.9).

use std::fs;
use std::io::{self, BufRead, Read, Write};

use anyhow::{Context, Result, bail};
use tinmesh_core::name::NodeName;

use super::{cannot_open, is_interactive, print, tell};
use crate::config::syntax;
use crate::files;
use crate::files::invitations::SEPARATOR;
use crate::tinc_daemon::Tool;

/// Longest input, in bytes.
const MAX_INPUT: u64 = 16 << 20;

pub(super) fn export(tool: &Tool<'_>, out: &mut dyn Write) -> Result<()> {
    export_one(tool, &super::own_name(tool.paths)?, out)?;
    end_output(tool, out)
}

/// Two that exchange their files through pipes would wait for each other's end for ever, so the output ends here. For
/// what a script's later commands print there is no place any more; tinc does the same.
fn end_output(tool: &Tool<'_>, out: &mut dyn Write) -> Result<()> {
    out.flush()?;
    if is_interactive(tool) {
        return Ok(());
    }
    let nowhere = fs::OpenOptions::new().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(&nowhere)?)
}

pub(super) fn export_all(tool: &Tool<'_>, out: &mut dyn Write) -> Result<()> {
    let directory = tool.paths.hosts();
    let entries = fs::read_dir(&directory).map_err(|cause| {
        anyhow::anyhow!(
            "Could not open host configuration directory {}: {}",
            directory.display(),
            files::reason(&cause)
        )
    })?;
    let entries = entries.filter_map(io::Result::ok);
    let mut names: Vec<NodeName> =
        entries.filter_map(|entry| NodeName::parse(entry.file_name().to_str()?).ok()).collect();
    names.sort();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            print(out, format_args!("\n{SEPARATOR}\n"))?;
        }
        export_one(tool, name, out)?;
    }
    end_output(tool, out)
}

fn export_one(tool: &Tool<'_>, name: &NodeName, out: &mut dyn Write) -> Result<()> {
    let path = tool.paths.host_file(name);
    let text = files::read(&path).map_err(|cause| cannot_open(&path, &cause))?;
    print(out, format_args!("Name = {name}\n"))?;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if syntax::split(&String::from_utf8_lossy(line)).0 != "Name" {
            out.write_all(line)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(out.flush()?)
}

/// A host file that is being read.
struct Incoming {
    name: NodeName,
    text: Vec<u8>,
}

pub(super) fn import(tool: &Tool<'_>) -> Result<()> {
    let mut input = io::stdin().lock().take(MAX_INPUT);
    let (mut host, mut imported, mut junk) = (None::<Incoming>, 0_usize, false);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let bare = line.strip_suffix(b"\n").unwrap_or(&line);
        match name_in(bare) {
            Some(name) => {
                imported += host.take().map_or(Ok(0), |host| write(tool, host))?;
                let name = NodeName::parse(&name).ok().context("Invalid Name in input!")?;
                host = Some(Incoming { name, text: Vec::new() });
            }
            None if bare == SEPARATOR.as_bytes() => {}
            None => match &mut host {
                Some(host) => host.text.extend([bare, b"\n"].concat()),
                None if !std::mem::replace(&mut junk, true) => {
                    tell("Junk at the beginning of the input, ignoring.");
                }
                None => {}
            },
        }
        line.clear();
    }
    imported += host.map_or(Ok(0), |host| write(tool, host))?;
    if imported == 0 {
        bail!("No host configuration files imported.");
    }
    tell(format!("Imported {imported} host configuration files."));
    Ok(())
}

/// The word after `Name =`, in exactly this spelling.
fn name_in(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("Name")?.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    rest.split_ascii_whitespace().next().map(str::to_owned)
}

/// Writes a host file; gives the number of files that were written.
fn write(tool: &Tool<'_>, host: Incoming) -> Result<usize> {
    let path = tool.paths.host_file(&host.name);
    if path.exists() && !tool.options.force {
        tell(format!("Host configuration file {} already exists, skipping.", path.display()));
        return Ok(0);
    }
    files::replace(&path, ".tmp", &host.text, 0o644)
        .map_err(|cause| anyhow::anyhow!("Error creating file {}: {}", path.display(), files::reason(&cause)))?;
    Ok(1)
}
