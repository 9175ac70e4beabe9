//! The machines and the cables between them: two machines on one cable, and two machines that see only a third.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::super::lab::namespace::Namespace;
use super::super::shell::output;

/// A machine.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) namespace: Arc<Namespace>,
    pub(super) name: &'static str,
    /// The last byte of its address in the private network.
    pub(super) number: u8,
    /// Its address on the cable by which others call it.
    pub(super) address: &'static str,
}

impl Site {
    fn new(name: &'static str, number: u8, address: &'static str) -> Self {
        Self { namespace: Namespace::new(name), name, number, address }
    }

    /// Its address in the private network.
    pub(super) fn inner(&self) -> String {
        format!("10.9.0.{}", self.number)
    }
}

/// Machines; all but the last call the last, and no other has a way to another.
#[derive(Debug)]
pub(super) struct Wires {
    pub(super) sites: Vec<Site>,
}

impl Wires {
    /// a and b on one cable.
    pub(super) fn pair(is_plain_card: bool) -> Self {
        let sites = vec![Site::new("a", 1, "192.0.2.1"), Site::new("b", 2, "192.0.2.2")];
        cable(&sites[0], "192.0.2.1/24", &sites[1], "192.0.2.2/24", is_plain_card);
        Self { sites }
    }

    /// a and b, each on a cable to r, which forwards nothing by itself.
    pub(super) fn relay(is_plain_card: bool) -> Self {
        let [left, right] = ["192.0.2.3", "198.51.100.3"];
        let sites = vec![Site::new("a", 1, "192.0.2.1"), Site::new("b", 2, "198.51.100.2"), Site::new("r", 3, left)];
        cable(&sites[0], "192.0.2.1/24", &sites[2], &format!("{left}/24"), is_plain_card);
        cable(&sites[1], "198.51.100.2/24", &sites[2], &format!("{right}/24"), is_plain_card);
        // Both call r by one address; nothing else of the other side is within reach.
        sites[1].namespace.shell(&format!("ip route add {left} via {right}"));
        sites[2].namespace.shell("echo 0 > /proc/sys/net/ipv4/ip_forward");
        Self { sites }
    }

    pub(super) fn a(&self) -> &Site {
        &self.sites[0]
    }

    pub(super) fn b(&self) -> &Site {
        &self.sites[1]
    }

    /// The one that the others call.
    pub(super) fn called(&self) -> &Site {
        &self.sites[self.sites.len() - 1]
    }

    /// What the cable does to bursts, as the system tells it.
    pub(super) fn offloads(&self) -> Result<String> {
        let device = cable_name(self.a());
        let text = output(self.a().namespace.command("ethtool").args(["-k", &device]))?;
        let state = |feature: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(feature)?.strip_prefix(": "));
            line.map(|state| format!("{feature} {state}")).with_context(|| format!("ethtool knows no {feature}"))
        };
        let features =
            ["tx-checksumming", "tcp-segmentation-offload", "tx-udp-segmentation", "generic-receive-offload"];
        Ok(features.into_iter().map(state).collect::<Result<Vec<_>>>()?.join(", "))
    }
}

fn cable_name(site: &Site) -> String {
    format!("wire-{}", site.name)
}

/// A cable of 1,500 bytes between two machines.
fn cable(one: &Site, one_address: &str, other: &Site, other_address: &str, is_plain_card: bool) {
    // r has two: each is named after the machine at its other end.
    let far = if other.name == "r" { format!("wire-{}{}", other.name, one.name) } else { cable_name(other) };
    one.namespace.shell(&format!(
        "ip link add {near} type veth peer name {far} netns {space}
         ip link set {near} up
         ip address add {one_address} dev {near}",
        near = cable_name(one),
        space = other.namespace.name(),
    ));
    other.namespace.shell(&format!("ip link set {far} up && ip address add {other_address} dev {far}"));
    if is_plain_card {
        for (site, device) in [(one, cable_name(one)), (other, far)] {
            site.namespace.shell(&format!("ethtool -K {device} gro on tso off tx-udp-segmentation off"));
        }
    }
}
