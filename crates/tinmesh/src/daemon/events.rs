//! What follows from the node's events: a line in the log, a script, a name in the hosts file.

use std::net::{IpAddr, SocketAddr};

use tinmesh_core::node::io::Event;
use tinmesh_core::subnet::{Address, Subnet};
use tracing::{debug, error, warn};

use crate::daemon::hostnames::Hostnames;
use crate::daemon::log::{CONNECTIONS, PROTOCOL, REQUESTS};
use crate::daemon::names::Names;
use crate::daemon::scripts::{Script, Scripts};

/// Writes the log line of an event.
pub fn log(event: &Event, names: &Hostnames) {
    let port_text = |address: Option<SocketAddr>| {
        address.map_or_else(|| "unknown address".to_owned(), |address| names.text(address))
    };
    match event {
        Event::NodeUp { name, address } => {
            debug!(target: CONNECTIONS, "Node {name} ({}) became reachable", port_text(*address));
        }
        Event::NodeDown { name, address } => {
            debug!(target: CONNECTIONS, "Node {name} ({}) became unreachable", port_text(*address));
        }
        Event::SubnetUp { owner, subnet, .. } => debug!(target: PROTOCOL, "Subnet {subnet} of {owner} is up"),
        Event::SubnetDown { owner, subnet, .. } => debug!(target: PROTOCOL, "Subnet {subnet} of {owner} is down"),
        Event::Activated { name, remote } => {
            debug!(target: CONNECTIONS, "Connection with {name} ({}) activated", port_text(Some(*remote)));
        }
        Event::Disconnected { name, remote, reason } => {
            let name = name.as_ref().map_or("<unknown>", |name| name.as_str());
            let remote = port_text(Some(*remote));
            debug!(target: CONNECTIONS, "Closing connection with {name} ({remote}): {reason}");
        }
        Event::Refused { remote, reason } => warn!("Refused {}: {reason}", port_text(Some(*remote))),
        Event::ProxyFailed { name, remote, reason } => {
            error!("Could not reach {name} ({}) through the proxy: {reason}", port_text(Some(*remote)));
        }
        Event::Retrying { name, after } => {
            let seconds = after.as_secs();
            debug!(target: CONNECTIONS, "Trying to re-establish outgoing connection to {name} in {seconds} seconds");
        }
        Event::Nameless(names) => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            debug!(target: CONNECTIONS, "Not to be found by their names: {}", names.join(", "));
        }
        Event::PathChanged { name, direct: true, address } => {
            debug!(target: CONNECTIONS, "Direct UDP path to {name} ({}) works", port_text(*address));
        }
        Event::PathChanged { name, direct: false, .. } => {
            debug!(target: CONNECTIONS, "Direct UDP path to {name} was lost");
        }
        Event::InvitationAccepted { name, remote } => {
            debug!(target: CONNECTIONS, "{name} ({}) accepted its invitation", port_text(Some(*remote)));
        }
        Event::Request { name, remote, sent, label, text } => {
            let name = name.as_ref().map_or("<unknown>", |name| name.as_str());
            let way = if *sent { format!("Sending {label} to") } else { format!("Got {label} from") };
            debug!(target: REQUESTS, "{way} {name} ({}): {text}", port_text(Some(*remote)));
        }
        Event::Note(text) => debug!(target: CONNECTIONS, "{text}"),
    }
}

/// Queues the scripts of an event (spec: configuration 9.2).
pub fn run_scripts(event: &Event, own_name: &str, scripts: &Scripts) {
    match event {
        Event::NodeUp { name, address } => queue_host(scripts, name.as_str(), *address, "up"),
        Event::NodeDown { name, address } => queue_host(scripts, name.as_str(), *address, "down"),
        Event::SubnetUp { owner, address, subnet } => {
            scripts.queue(subnet_script("subnet-up", owner.as_str(), own_name, *address, subnet));
        }
        Event::SubnetDown { owner, address, subnet } => {
            scripts.queue(subnet_script("subnet-down", owner.as_str(), own_name, *address, subnet));
        }
        Event::InvitationAccepted { name, remote } => {
            let mut script = Script::about("invitation-accepted", name.as_str(), Some(*remote));
            script.variables.retain(|(key, _)| key != "REMOTEPORT");
            scripts.queue(script);
        }
        Event::Activated { .. }
        | Event::Disconnected { .. }
        | Event::Refused { .. }
        | Event::ProxyFailed { .. }
        | Event::Retrying { .. }
        | Event::Nameless(_)
        | Event::PathChanged { .. }
        | Event::Request { .. }
        | Event::Note(_) => {}
    }
}

fn queue_host(scripts: &Scripts, name: &str, address: Option<SocketAddr>, way: &str) {
    scripts.queue(Script::about(&format!("host-{way}"), name, address));
    scripts.queue(Script::about(&format!("hosts/{name}-{way}"), name, address));
}

/// The script of a subnet: without the owner's address if the owner is this node.
pub fn subnet_script(name: &str, owner: &str, own_name: &str, address: Option<SocketAddr>, subnet: &Subnet) -> Script {
    let mut script = Script::about(name, owner, address);
    if owner == own_name {
        script.variables.truncate(1);
    }
    let weight = if subnet.weight() == Subnet::DEFAULT_WEIGHT { String::new() } else { subnet.weight().to_string() };
    script.with("SUBNET", subnet.range().to_string()).with("WEIGHT", weight)
}

/// Keeps the names of members up to date.
pub fn keep_names(event: &Event, names: &mut Names) {
    match event {
        Event::SubnetUp { owner, subnet, .. } => {
            if let Some(address) = single_address(subnet) {
                names.insert(address, owner.as_str());
            }
        }
        Event::SubnetDown { owner, subnet, .. } => {
            if let Some(address) = single_address(subnet) {
                names.remove(address, owner.as_str());
            }
        }
        Event::Nameless(nameless) => names.hide(nameless.iter().map(ToString::to_string).collect()),
        Event::NodeUp { .. }
        | Event::NodeDown { .. }
        | Event::Activated { .. }
        | Event::Disconnected { .. }
        | Event::Refused { .. }
        | Event::ProxyFailed { .. }
        | Event::Retrying { .. }
        | Event::PathChanged { .. }
        | Event::InvitationAccepted { .. }
        | Event::Request { .. }
        | Event::Note(_) => {}
    }
}

/// The address of a subnet that holds just one.
fn single_address(subnet: &Subnet) -> Option<IpAddr> {
    match subnet.address() {
        Address::V4(ip) if subnet.prefix() == 32 => Some(IpAddr::V4(ip)),
        Address::V6(ip) if subnet.prefix() == 128 => Some(IpAddr::V6(ip)),
        Address::Mac(_) | Address::V4(_) | Address::V6(_) => None,
    }
}
