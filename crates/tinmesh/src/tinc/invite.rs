//! `invite NODE` (spec: cli B.10, invitations 2).

use std::io::Write;
use std::net::IpAddr;

use anyhow::{Result, anyhow, bail};
use tinmesh_core::invite::url::DEFAULT_PORT;
use tinmesh_core::name::NodeName;

use super::{ask, is_interactive, print, reload, tell};
use crate::config::edit::{self, Edit};
use crate::config::kind;
use crate::control::client::Client;
use crate::files;
use crate::files::invitations::{self, NewInvitation};
use crate::paths::Paths;
use crate::tinc_daemon::Tool;
use crate::user::outside;

pub(super) fn run(tool: &Tool<'_>, arguments: &[String], out: &mut dyn Write) -> Result<()> {
    let invitee = match arguments {
        [name] => NodeName::parse(name).map_err(|_| anyhow!("Invalid name for node."))?,
        [] => bail!("Not enough arguments!"),
        [_, _, ..] => bail!("Too many arguments!"),
    };
    let paths = tool.paths;
    let own = super::own_name(paths)?;
    invitations::check_free(paths, &invitee)?;
    let mut client = Client::connect(paths).ok();
    let known = client.as_mut().map(Client::nodes).transpose()?.unwrap_or_default();
    if known.iter().any(|node| node.name == invitee.as_str()) {
        bail!("A node with name {invitee} is already known!");
    }
    let (host, port) = find_place(tool, &own, client.as_ref())?;
    let new = NewInvitation { own: &own, invitee: &invitee, lines: &[], host: &host, port };
    let made = invitations::make(paths, &new, &mut files::rng()?)?;
    if made.key_is_new && (client.is_none() || reload(paths).is_err()) {
        tell("Could not signal the tinc daemon. Please restart or reload it manually.");
    }
    if let Some(problem) = invitations::run_script(paths, &own, &invitee, &made) {
        tell(problem);
    }
    print(out, format_args!("{}\n", made.url))
}

/// Host and port for the URL.
fn find_place(tool: &Tool<'_>, own: &NodeName, client: Option<&Client>) -> Result<(String, u16)> {
    let paths = tool.paths;
    let endpoint = invitations::configured_address(paths, own);
    let port = match endpoint.as_ref().and_then(|endpoint| endpoint.port.as_deref()).and_then(kind::port) {
        Some(port) => port,
        None => own_port(paths, own, client)?,
    };
    let host = match endpoint {
        Some(endpoint) => endpoint.host,
        None => guess_host(tool, own)?,
    };
    Ok((host, port))
}

fn own_port(paths: &Paths, own: &NodeName, client: Option<&Client>) -> Result<u16> {
    if let Some(port) = invitations::configured_port(paths, own) {
        return Ok(port);
    }
    match client.and_then(|client| client.port.parse().ok()) {
        Some(port) => Ok(port),
        None if invitations::is_port_configured(paths, own) => bail!(
            "tincd is using a dynamic port and is not running. Please start tincd or set the Port option to a non-zero \
             value."
        ),
        None => Ok(DEFAULT_PORT),
    }
}

/// An address of this machine; nobody else is asked for it, except the operator.
fn guess_host(tool: &Tool<'_>, own: &NodeName) -> Result<String> {
    let guess = outside::routed().find(|address| !address.is_loopback() && !address.is_unspecified());
    let guess = guess.map(|address| address.to_string());
    if is_interactive(tool) {
        let host = ask_host(guess.as_deref())?;
        let path = tool.paths.host_file(own);
        let text = files::read(&path).map_err(|cause| super::cannot_open(&path, &cause))?;
        files::replace(&path, ".config.tmp", &edit::apply(&text, "Address", Edit::Add(&host)).text, 0o644)?;
        return Ok(host);
    }
    let host = guess
        .ok_or_else(|| anyhow!("Could not determine the external address or hostname. Please set Address manually."))?;
    tell(format!(
        "No Address is set for this node: {host}, the address of its own interface, is used. If others reach it by \
         another, set that: `{} add Address HOST', and invite again.",
        tool.program
    ));
    Ok(host)
}

fn ask_host(guess: Option<&str>) -> Result<String> {
    let default = guess.map(|guess| format!(" [{guess}]")).unwrap_or_default();
    loop {
        let answer = ask(&format!("Please enter your host's external address or hostname{default}: "))?;
        let answer = if answer.is_empty() { guess.unwrap_or_default().to_owned() } else { answer };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if answer.parse::<IpAddr>().is_ok() || (!answer.is_empty() && answer.chars().all(plain)) {
            return Ok(answer);
        }
        if answer.is_empty() {
            bail!("Could not determine the external address or hostname. Please set Address manually.");
        }
        tell("Invalid address or hostname.");
    }
}
