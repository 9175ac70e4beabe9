//! `tinmesh invite`: one line with which one other machine joins.

pub(super) mod rights;

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::invite::url::DEFAULT_PORT;
use tinmesh_core::name::NodeName;
use tinmesh_core::subnet::Subnet;

use super::json::print;
use super::outside::{self, Reach};
use super::place::Place;
use crate::cli::tinmesh::{InviteOptions, InviteRights};
use crate::config::kind::{self, Range};
use crate::config::{self, edit};
use crate::control::client::Client;
use crate::control::request::ControlRequest;
use crate::files;
use crate::files::addresses::{self, Taken};
use crate::files::invitations::{self, NewInvitation};

/// An invitation that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Made {
    /// What the other machine needs to know; a secret.
    pub(super) url: String,
    /// Name of the new node; `null`: it chooses.
    pub(super) name: Option<String>,
    /// The host in the URL.
    pub(super) host: String,
    /// Whether only machines of the local network reach that host.
    pub(super) local_only: bool,
    /// Addresses that the new node gets.
    pub(super) addresses: Vec<IpAddr>,
}

impl Made {
    /// The line to be typed on the other machine.
    pub(super) fn line(&self) -> String {
        format!("sudo tinmesh join {}", self.url)
    }

    /// What should be known about the address, if anything.
    pub(super) fn warning(&self, place: &Place) -> Option<String> {
        self.local_only.then(|| {
            format!(
                "{} is an address of the local network: only machines there can use this line.\n\
                 If this machine can be reached from outside, say how:\n\n  {}",
                self.host,
                place.sudo("invite --address HOST[:PORT]")
            )
        })
    }
}

/// Makes an invitation and prints it: the line on `out`, what is to be known about it beside.
pub(super) fn run(place: &Place, options: &InviteOptions, out: &mut dyn Write) -> Result<()> {
    if !place.is_configured() {
        place.connect()?;
    }
    place.require_root("invite")?;
    let made = make_with(place, options.name.as_deref(), options.address.as_deref(), &options.rights)?;
    if options.json {
        return print(&made, out);
    }
    let who = made.name.as_ref().map_or_else(|| "one other machine".to_owned(), |name| format!("the new node {name}"));
    eprintln!("On {who}, type this; it works once, within a week:\n");
    writeln!(out, "{}", made.line())?;
    out.flush()?;
    if let Some(warning) = made.warning(place) {
        eprintln!("\n{warning}");
    }
    if Client::connect(&place.paths).is_err() {
        eprintln!("\nThe daemon does not run here, so nobody can join yet. Start it: {}", place.sudo("up"));
    }
    Ok(())
}

/// Makes an invitation. Without a name the joining machine chooses one.
pub(super) fn make(place: &Place, name: Option<&str>, address: Option<&str>) -> Result<Made> {
    make_with(place, name, address, &InviteRights::default())
}

/// Makes an invitation that says what the new node may do.
fn make_with(place: &Place, name: Option<&str>, address: Option<&str>, rights: &InviteRights) -> Result<Made> {
    let paths = &place.paths;
    let own = config::own_name(paths)?;
    let mut client = Client::connect(paths).ok();
    let mut rng = files::rng().context("Could not get randomness")?;
    let wanted = name.map(parse_name).transpose()?;
    if let Some(wanted) = &wanted {
        refuse_known(wanted, &own, client.as_mut())?;
    }
    let invitee = wanted.clone().map_or_else(|| placeholder(&mut rng), Ok)?;
    let ranges = own_ranges(place)?;
    let (host, port) = find_place(place, &own, address, client.as_ref(), &ranges)?;
    let chosen = choose_addresses(place, &ranges, client.as_mut(), &mut rng)?;
    let mut lines = lines_for(place, &chosen, wanted.is_none())?;
    let addresses: Vec<String> = chosen.iter().map(|(address, _)| address.to_string()).collect();
    lines.extend(rights::lines(place, rights, &addresses)?);
    let new = NewInvitation { own: &own, invitee: &invitee, lines: &lines, host: &host, port };
    let made = invitations::make(paths, &new, &mut rng)?;
    if let Some(problem) = invitations::run_script(paths, &own, &invitee, &made) {
        eprintln!("{problem}");
    }
    if let Some(client) = client.as_mut().filter(|_| made.key_is_new) {
        reload(place, client);
    }
    Ok(Made {
        url: made.url.to_string(),
        name: wanted.map(|name| name.to_string()),
        local_only: Reach::of_host(&host) < Reach::Everywhere,
        host,
        addresses: chosen.into_iter().map(|(address, _)| address).collect(),
    })
}

fn reload(place: &Place, client: &mut Client) {
    if !matches!(client.ask(&ControlRequest::Reload), Ok(0)) {
        eprintln!("The daemon did not take the new key of invitations. Do so by hand: {}", place.sudo("reload"));
    }
}

fn refuse_known(name: &NodeName, own: &NodeName, client: Option<&mut Client>) -> Result<()> {
    let known = client.map(Client::nodes).transpose()?.unwrap_or_default();
    if name == own || known.iter().any(|node| node.name == name.as_str()) {
        bail!("There is a node called {name} already: choose another name");
    }
    Ok(())
}

/// The name of somebody who has not chosen one yet; a tinc node keeps it.
fn placeholder(rng: &mut Rng) -> Result<NodeName> {
    Ok(NodeName::parse(&files::unique("node_", rng))?)
}

/// The addresses of this node's interface, with the network's prefixes.
fn own_ranges(place: &Place) -> Result<Vec<Range>> {
    let settings = files::read(&place.paths.tinc_conf())?;
    Ok(edit::values(&settings, "Ifconfig").iter().filter_map(|value| kind::range(value)).collect())
}

/// Host and port by which the new node reaches this one.
fn find_place(
    place: &Place,
    own: &NodeName,
    address: Option<&str>,
    client: Option<&Client>,
    ranges: &[Range],
) -> Result<(String, u16)> {
    let running = client.and_then(|client| client.port.parse().ok());
    let own_port =
        || invitations::configured_port(&place.paths, own).or(running).filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
    if let Some(address) = address {
        let (host, port) = parse_address(address)?;
        return Ok((host, port.unwrap_or_else(own_port)));
    }
    if let Some(endpoint) = invitations::configured_address(&place.paths, own).filter(|endpoint| endpoint.host != "*") {
        let port = endpoint.port.and_then(|port| port.parse().ok());
        return Ok((endpoint.host, port.unwrap_or_else(own_port)));
    }
    let inside: Vec<IpAddr> = ranges.iter().map(|(address, _)| *address).collect();
    let Some(address) = outside::guess(&inside) else {
        bail!(
            "This machine has no address that others could reach. Say one:\n\n  {}",
            place.sudo("invite --address HOST")
        )
    };
    Ok((address.to_string(), own_port()))
}

/// A free address in each of the network's ranges; none in a network that leaves addresses to scripts.
fn choose_addresses(place: &Place, ranges: &[Range], client: Option<&mut Client>, rng: &mut Rng) -> Result<Vec<Range>> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let known = client.map(Client::subnets).transpose()?.unwrap_or_default();
    let mut subnets: Vec<Subnet> = known.iter().filter_map(|line| Subnet::parse(&line.subnet).ok()).collect();
    let hosts = std::fs::read_dir(place.paths.hosts())?.flatten().filter_map(|entry| files::read(&entry.path()).ok());
    for host in hosts {
        subnets.extend(edit::values(&host, "Subnet").iter().filter_map(|value| Subnet::parse(value).ok()));
    }
    let taken = Taken::new(subnets, &invitations::outstanding(&place.paths)?);
    addresses::choose(ranges, &taken, rng).context("Every address of the network is taken")
}

/// Lines about the new node.
fn lines_for(place: &Place, chosen: &[Range], name_choice: bool) -> Result<Vec<(&'static str, String)>> {
    let mut lines = Vec::new();
    if name_choice {
        lines.push(("NameChoice", "yes".to_owned()));
    }
    for (address, prefix) in chosen {
        lines.push(("Ifconfig", format!("{address}/{prefix}")));
        lines.push(("Subnet", address.to_string()));
    }
    let settings = files::read(&place.paths.tinc_conf())?;
    for variable in ["HostsFile", "InterfaceMTU"] {
        lines.extend(edit::values(&settings, variable).into_iter().map(|value| (variable, value)));
    }
    Ok(lines)
}

/// Host and perhaps port, as people write them.
pub(super) fn parse_address(text: &str) -> Result<(String, Option<u16>)> {
    let problem = || anyhow::anyhow!("`{text}' is not an address: write HOST, HOST:PORT or [IPV6]:PORT");
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(problem)?;
            let _: Ipv6Addr = host.parse().map_err(|_| problem())?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(problem)?) };
            (host, port)
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(problem)).transpose()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == ':';
    if host.is_empty() || !host.chars().all(plain) {
        return Err(problem());
    }
    Ok((host.to_owned(), port))
}

/// The name of a new node, if it is a good one.
pub(super) fn parse_name(text: &str) -> Result<NodeName> {
    match NodeName::parse(text) {
        Ok(name) => Ok(name),
        Err(_) => bail!("`{text}' is not a name for a node: use letters, digits and underscores"),
    }
}

#[cfg(test)]
pub(super) mod tests;
