//! Addresses, routes and MTU of the interface, from the variables `Ifconfig`, `Route` and
//! `InterfaceMTU`; no `ip` program is needed.

use std::io;

use tinmesh_os::netlink::{Link, Prefix};

use crate::config::DaemonSettings;

/// Sets up the interface called `name`, if the configuration says how.
///
/// # Errors
/// What the kernel refused, with what was being done.
pub fn set_up(name: &str, settings: &DaemonSettings) -> io::Result<()> {
    if is_left_alone(settings) {
        return Ok(());
    }
    let mut link = Link::open()?;
    for &(address, len) in &settings.ifconfig {
        link.add_address(name, address, len)?;
    }
    link.set_up(name, settings.interface_mtu)?;
    for &((address, len), gateway) in &settings.routes {
        link.add_route(Prefix { address, len }, gateway, name)?;
    }
    Ok(())
}

/// Takes the interface called `name` down, if the configuration says how to set it up. Its routes go with that.
///
/// # Errors
/// What the kernel refused, with what was being done.
pub fn set_down(name: &str, settings: &DaemonSettings) -> io::Result<()> {
    if is_left_alone(settings) { Ok(()) } else { Link::open()?.set_down(name) }
}

/// Whether setting it up is left to `tinc-up`.
fn is_left_alone(settings: &DaemonSettings) -> bool {
    settings.ifconfig.is_empty() && settings.routes.is_empty() && settings.interface_mtu.is_none()
}
