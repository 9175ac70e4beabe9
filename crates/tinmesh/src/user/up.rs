//! `tinmesh up`: brings the network up; where there is none yet, makes one.

use std::io::Write;
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tinmesh_os::netlink::Link;
use tinmesh_os::process::hostname;

use super::invite::{self, Made, parse_address, parse_name};
use super::json::print;
use super::place::Place;
use super::status::{Status, render};
use super::{start, watch};
use crate::cli::tinmesh::UpOptions;
use crate::config::kind::{Endpoint, Range};
use crate::control::client::Client;
use crate::files;
use crate::files::found::{self, Founded, Founding};

/// What was done, and what is to be done next.
#[derive(Debug, Serialize)]
struct Report {
    /// This node's name.
    node: String,
    /// Name of the network on this machine, if it has one.
    network: Option<String>,
    /// The directory of its settings.
    config: String,
    /// Whether the network was made just now.
    founded: bool,
    /// Whether the daemon ran already.
    was_running: bool,
    /// This node's addresses.
    addresses: Vec<IpAddr>,
    /// An invitation for the second node of a new network.
    invitation: Option<Made>,
}

pub(super) fn run(place: &Place, options: &UpOptions, out: &mut dyn Write) -> Result<()> {
    place.require_root("up")?;
    let new = if place.is_configured() { None } else { Some(make_network(place, options)?) };
    let was_running = Client::connect(&place.paths).is_ok();
    if options.foreground && !was_running {
        if let Some((founded, made)) = &new {
            write!(out, "{}", founded_text(place, founded, made))?;
            out.flush()?;
        }
        return Err(place.launch(&["--no-detach"])?.command().exec()).context("Could not become the daemon");
    }
    if !was_running {
        start::daemon(place)?;
    }
    let status = watch::read(place)?;
    if options.json {
        return print(&report(place, status, was_running, new), out);
    }
    let text = match &new {
        Some((founded, made)) => founded_text(place, founded, made),
        None => up_text(place, &status, was_running),
    };
    Ok(write!(out, "{text}")?)
}

fn make_network(place: &Place, options: &UpOptions) -> Result<(Founded, Made)> {
    let name = match &options.name {
        Some(name) => parse_name(name)?,
        None => found::node_name(&hostname().to_string_lossy()),
    };
    let address = options.address.as_deref().map(parse_address).transpose()?;
    let address = address.map(|(host, port)| Endpoint { host, port: port.map(|port| port.to_string()) });
    let mut rng = files::rng().context("Could not get randomness")?;
    let in_use = ranges_in_use();
    let founded = found::found(&place.paths, &Founding { name, in_use: &in_use, address }, &mut rng)?;
    if let Some(notice) = founded.port.notice() {
        eprintln!("{notice}");
    }
    // Before the daemon starts, so that it knows the key of invitations from the beginning.
    let made = invite::make(place, None, None).context("The network is made, but not its first invitation")?;
    Ok((founded, made))
}

/// What this machine's interfaces and routes cover. Without an answer of the system, nothing is avoided.
fn ranges_in_use() -> Vec<Range> {
    let Ok(mut link) = Link::open() else { return Vec::new() };
    let addresses = link.addresses().unwrap_or_default().into_iter().map(|address| address.prefix);
    let routes = link.routes().unwrap_or_default().into_iter().map(|route| route.destination);
    addresses.chain(routes).map(|prefix| (prefix.address, prefix.len)).collect()
}

fn report(place: &Place, status: Status, was_running: bool, new: Option<(Founded, Made)>) -> Report {
    Report {
        node: status.node,
        network: status.network,
        config: place.paths.confbase.display().to_string(),
        founded: new.is_some(),
        was_running,
        addresses: status.addresses,
        invitation: new.map(|(_, made)| made),
    }
}

fn founded_text(place: &Place, founded: &Founded, made: &Made) -> String {
    let addresses: Vec<String> = founded.addresses.iter().map(|(address, len)| format!("{address}/{len}")).collect();
    let mut text = format!(
        "A new network, with this machine as its first member:\n\n  \
         name        {}\n  addresses   {}\n  settings    {}\n\n\
         To let another machine in, type there:\n\n  {}\n\n\
         The line works once, within a week. For another machine: {}\n",
        founded.name,
        addresses.join("  "),
        place.paths.confbase.display(),
        made.line(),
        place.sudo("invite"),
    );
    if let Some(warning) = made.warning(place) {
        text.push_str(&format!("\n{warning}\n"));
    }
    text
}

fn up_text(place: &Place, status: &Status, was_running: bool) -> String {
    let first = if was_running { "Already up.\n\n" } else { "" };
    let shown = render(status, tinmesh_os::clock::unix_seconds(), None, super::colour_on_stdout(place.color));
    format!("{first}{shown}\nTo let another machine in: {}\n", place.sudo("invite"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::user::invite::tests::founded_in;

    /// What is reported of a network that was made with this invitation, and of one that was there.
    pub(in crate::user) fn reports(made: &Made) -> Vec<serde_json::Value> {
        let report = |network: Option<&str>, invitation| Report {
            node: "alice".to_owned(),
            network: network.map(str::to_owned),
            config: "/etc/tinc".to_owned(),
            founded: true,
            was_running: false,
            addresses: vec![[10, 9, 0, 1].into()],
            invitation,
        };
        let reports = [report(None, Some(made.clone())), report(Some("vpn"), None)];
        reports.iter().map(|report| serde_json::to_value(report).unwrap()).collect()
    }

    #[test]
    fn a_new_network_is_described_with_the_line_for_the_next_machine() {
        let dir = tempfile::tempdir().unwrap();
        let place = founded_in(dir.path());
        let made = invite::make(&place, None, Some("192.168.1.5")).unwrap();
        let founded = Founded {
            name: parse_name("alice").unwrap(),
            key: files_key(),
            addresses: vec![("10.9.0.1".parse().unwrap(), 16), ("fd00::1".parse().unwrap(), 64)],
            port: files::port::PortChoice::Usual,
        };

        let text = founded_text(&place, &founded, &made);

        assert!(text.contains("name        alice\n  addresses   10.9.0.1/16  fd00::1/64\n"), "{text}");
        assert!(text.lines().any(|line| line == format!("  sudo tinmesh join {}", made.url)), "{text}");
        assert!(text.contains("192.168.1.5 is an address of the local network"), "{text}");
    }

    fn files_key() -> tinmesh_core::crypto::keys::PublicKey {
        tinmesh_core::crypto::keys::SecretKey::from_seed(&[1; 32]).public()
    }
}
