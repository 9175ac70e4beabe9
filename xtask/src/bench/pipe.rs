//! Two machines with a mere pipe between them (`crates/os/examples/pipe.rs`): what the system calls alone allow.

use anyhow::Result;

use super::Place;
use super::daemon::Daemon;
use super::rows::{Program, Row};
use super::wires::Wires;

const PORT: u16 = 7000;
const INTERFACE: &str = "pipe";
/// The pipe's limit for a packet with its header, less a bit, in bytes.
const LONGEST: u32 = 63_000;

/// Starts both ends.
pub(super) fn start(place: &Place<'_>, row: &Row, wires: &Wires) -> Result<Vec<Daemon>> {
    let mut daemons = Vec::new();
    for (at, site) in wires.sites.iter().enumerate() {
        let peer = &wires.sites[1 - at];
        let mut command = row.command(site, Program::Pipe.daemon(place.profile))?;
        command.args([INTERFACE, &format!("{}:{PORT}", site.address), &format!("{}:{PORT}", peer.address)]);
        daemons.push(Daemon::start(&mut command, &place.dir.join(format!("{}.log", site.name)))?);
        let made = format!("until ip link show {INTERFACE} 2> /dev/null; do sleep 0.01; done");
        site.namespace.shell(&format!(
            "timeout 5 sh -c '{made}'
             ip link set {INTERFACE} gso_max_size {LONGEST}
             {}",
            row.interface_up(site, INTERFACE)
        ));
    }
    Ok(daemons)
}
