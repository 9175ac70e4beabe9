//! Networks of tinmesh, tinc 1.1 and tinc 1.0: the same files for all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::super::shell::output;
use super::Place;
use super::daemon::Daemon;
use super::rows::{Program, Row};
use super::wires::{Site, Wires};

/// Writes everyone's files.
pub(super) fn prepare(place: &Place<'_>, row: &Row, wires: &Wires) -> Result<()> {
    let base = |site: &Site| place.dir.join(site.name);
    for site in &wires.sites {
        write_files(place, row, site, wires)?;
        if program(row, site) == Program::Tinmesh {
            append(&base(site).join("tinc.conf"), &row.settings.join("\n"))?;
        }
    }
    introduce(wires, &base)
}

/// Starts one daemon on each machine, the one that is called first.
pub(super) fn start(place: &Place<'_>, row: &Row, wires: &Wires) -> Result<Vec<Daemon>> {
    let order = wires.sites.iter().rev();
    order.map(|site| start_one(place, row, site, &place.dir.join(site.name))).collect()
}

/// The first of the row's programs is on a, the second on all others.
fn program(row: &Row, site: &Site) -> Program {
    row.ends[usize::from(site.name != "a")]
}

/// Keys, settings and the script that sets the interface up.
fn write_files(place: &Place<'_>, row: &Row, site: &Site, wires: &Wires) -> Result<()> {
    let base = &place.dir.join(site.name);
    let has_rsa = row.ends.contains(&Program::Tinc10);
    let tinmesh = Program::Tinmesh.daemon(place.profile);
    if has_rsa {
        fs::create_dir_all(base.join("hosts"))?;
        fs::write(base.join("tinc.conf"), format!("Name = {}\n", site.name))?;
        output(Command::new(Program::Tinc10.daemon(place.profile)).arg("-c").arg(base).arg("-K2048"))?;
    } else {
        output(Command::new(tinmesh_as_tinc(place, &tinmesh)?).arg("-c").arg(base).args(["-b", "init", site.name]))?;
    }
    let calls = if site.name == wires.called().name { String::new() } else { connect_to(wires.called()) };
    let auto = if has_rsa { "" } else { "AutoConnect = no\n" };
    fs::write(base.join("tinc.conf"), format!("Name = {}\n{calls}{auto}", site.name))?;
    append(&base.join("hosts").join(site.name), &format!("Subnet = {}\nAddress = {}", site.inner(), site.address))?;
    let script = base.join("tinc-up");
    fs::write(&script, format!("#!/bin/sh\n{}", row.interface_up(site, "$INTERFACE")))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn connect_to(site: &Site) -> String {
    format!("ConnectTo = {}\n", site.name)
}

fn append(path: &Path, lines: &str) -> Result<()> {
    let known = fs::read_to_string(path)?;
    Ok(fs::write(path, format!("{known}{lines}\n"))?)
}

/// Everyone has everyone's host file.
fn introduce(wires: &Wires, base: &impl Fn(&Site) -> PathBuf) -> Result<()> {
    for known in &wires.sites {
        for knows in wires.sites.iter().filter(|site| site.name != known.name) {
            let file = Path::new("hosts").join(known.name);
            fs::copy(base(known).join(&file), base(knows).join(&file))?;
        }
    }
    Ok(())
}

/// tinmesh under the name by which it takes tinc's commands, or tincd's.
fn tinmesh_as_tinc(place: &Place<'_>, tinmesh: &Path) -> Result<PathBuf> {
    let dir = place.dir.join("bin");
    fs::create_dir_all(&dir)?;
    for name in ["tinc", "tincd"] {
        if !dir.join(name).exists() {
            std::os::unix::fs::symlink(tinmesh, dir.join(name))?;
        }
    }
    Ok(dir.join("tinc"))
}

fn start_one(place: &Place<'_>, row: &Row, site: &Site, base: &Path) -> Result<Daemon> {
    let program = program(row, site);
    let mut file = program.daemon(place.profile);
    if program == Program::Tinmesh {
        file = tinmesh_as_tinc(place, &file)?.with_file_name("tincd");
    }
    let mut command = row.command(site, file)?;
    command.envs(row.environment.iter().copied()).arg("-c").arg(base).arg("-D");
    command.arg(format!("--pidfile={}", base.with_extension("pid").display()));
    Daemon::start(&mut command, &base.with_extension("log"))
}
