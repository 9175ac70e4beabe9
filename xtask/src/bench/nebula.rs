//! Machines in a network of nebula: an authority, a certificate for each, and its defaults but for the MTU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::super::peers;
use super::super::shell::output;
use super::daemon::Daemon;
use super::rows::Program;
use super::wires::{Site, Wires};
use super::{MTU, Place};

const PORT: u16 = 4242;

/// Makes the authority, the certificates and the settings; nobody is a lighthouse, as everyone knows where everyone is.
pub(super) fn prepare(place: &Place<'_>, wires: &Wires) -> Result<()> {
    let dir = place.dir;
    certify(dir, &["ca", "-name", "bench"])?;
    for site in &wires.sites {
        certify(dir, &["sign", "-name", site.name, "-ip", &format!("{}/24", site.inner())])?;
        fs::write(file(dir, site), settings(dir, site, wires))?;
    }
    Ok(())
}

/// Starts the daemons.
pub(super) fn start(place: &Place<'_>, wires: &Wires) -> Result<Vec<Daemon>> {
    let start_one = |site: &Site| {
        let mut command = site.namespace.command(Program::Nebula.daemon(place.profile));
        command.arg("-config").arg(file(place.dir, site));
        Daemon::start(&mut command, &place.dir.join(format!("{}.log", site.name)))
    };
    wires.sites.iter().map(start_one).collect()
}

fn file(dir: &Path, site: &Site) -> PathBuf {
    dir.join(format!("{}.yml", site.name))
}

fn certify(dir: &Path, words: &[&str]) -> Result<()> {
    let mut command = Command::new(peers::programs("nebula").join("nebula-cert"));
    output(command.args(words).current_dir(dir)).map(|_| ())
}

fn settings(dir: &Path, site: &Site, wires: &Wires) -> String {
    let others = wires.sites.iter().filter(|other| other.name != site.name);
    let known: String =
        others.map(|other| format!("  \"{}\": [\"{}:{PORT}\"]\n", other.inner(), other.address)).collect();
    format!(
        "pki:
  ca: {dir}/ca.crt
  cert: {dir}/{name}.crt
  key: {dir}/{name}.key
static_host_map:
{known}lighthouse:
  am_lighthouse: false
listen:
  host: 0.0.0.0
  port: {PORT}
tun:
  dev: nebula
  mtu: {MTU}
logging:
  level: error
firewall:
  outbound:
    - {{ port: any, proto: any, host: any }}
  inbound:
    - {{ port: any, proto: any, host: any }}
",
        dir = dir.display(),
        name = site.name,
    )
}
