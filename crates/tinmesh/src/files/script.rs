//! `tinc-up`: the placeholders that new nodes get, and what an invitation makes of it.
//!
//! Values are printed from what was read, so nothing of an invitation reaches a shell as it came.
//! Source: spec cli B.1, B.11, invitations 5.5.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::config::kind::{self, Range};
use crate::paths::Paths;

/// The script of `tinc init`.
pub const INIT: &str = "#!/bin/sh

echo 'Unconfigured tinc-up script, please edit '$0'!'

#ifconfig $INTERFACE <your vpn IP address> netmask <netmask of whole VPN>
";

const HEAD: &str = "#!/bin/sh\nip link set \"$INTERFACE\" up\n";
const REMINDER: &str = "#ip addr add <your vpn IP address>/<prefix of whole VPN> dev $INTERFACE

echo \"Unconfigured tinc-up script, please edit '$0'!\" >&2
";

/// A script that an invitation describes.
#[derive(Debug, Default)]
pub struct Script {
    lines: String,
}

impl Script {
    /// Adds what `Ifconfig = VALUE` stands for.
    ///
    /// # Errors
    /// tinc's words for a value that is none.
    pub fn ifconfig(&mut self, value: &str) -> Result<(), &'static str> {
        let lines = match value.to_ascii_lowercase().as_str() {
            "dhcp" => "dhclient -nw \"$INTERFACE\"\n".to_owned(),
            "dhcp6" => "dhclient -6 -nw \"$INTERFACE\"\n".to_owned(),
            "slaac" => ["accept_ra", "autoconf"]
                .map(|knob| format!("echo 1 >\"/proc/sys/net/ipv6/conf/$INTERFACE/{knob}\"\n"))
                .concat(),
            _ => {
                let range = kind::range(value).ok_or("Could not parse address in Ifconfig statement")?;
                format!("ip addr replace {} dev \"$INTERFACE\"\n", print(&range))
            }
        };
        self.lines.push_str(&lines);
        Ok(())
    }

    /// Adds what `Route = VALUE` stands for.
    ///
    /// # Errors
    /// tinc's words for a value that is none.
    pub fn route(&mut self, value: &str) -> Result<(), &'static str> {
        let subnet = value.split_ascii_whitespace().next().unwrap_or_default();
        if kind::route(subnet).is_none() {
            return Err("Could not parse subnet in Route statement");
        }
        let (destination, gateway) = kind::route(value).ok_or("Could not parse gateway in Route statement")?;
        let destination = print(&destination);
        let written = match gateway {
            None => writeln!(self.lines, "ip route add {destination} dev \"$INTERFACE\""),
            Some(gateway) => {
                writeln!(self.lines, "ip route add {destination} via {gateway} dev \"$INTERFACE\" onlink")
            }
        };
        written.map_err(|_| "Could not write the script")
    }

    /// Whether there was anything to do.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The text; without anything to do it reminds the operator.
    pub fn text(&self) -> String {
        let lines = if self.is_empty() { REMINDER } else { &self.lines };
        format!("{HEAD}{lines}")
    }
}

/// A range as tinc prints it: the prefix of a single address is left out.
fn print((address, prefix): &Range) -> String {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if *prefix == bits { address.to_string() } else { format!("{address}/{prefix}") }
}

/// Where a script waits until somebody has looked at it.
pub fn waiting(paths: &Paths) -> PathBuf {
    paths.confbase.join("tinc-up.invitation")
}

/// Makes the script of an invitation the one that is run.
///
/// # Errors
/// If it cannot be moved.
pub fn enable(paths: &Paths) -> io::Result<()> {
    let path = paths.confbase.join("tinc-up");
    fs::rename(waiting(paths), &path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_becomes_its_line() {
        let mut script = Script::default();
        for value in ["10.9.0.1/16", "fd00::1/64", "dhcp", "slaac"] {
            script.ifconfig(value).unwrap();
        }
        for value in ["10.0.0.0/8", "10.44.0.0/16 10.9.0.2"] {
            script.route(value).unwrap();
        }

        let expected = "#!/bin/sh
ip link set \"$INTERFACE\" up
ip addr replace 10.9.0.1/16 dev \"$INTERFACE\"
ip addr replace fd00::1/64 dev \"$INTERFACE\"
dhclient -nw \"$INTERFACE\"
echo 1 >\"/proc/sys/net/ipv6/conf/$INTERFACE/accept_ra\"
echo 1 >\"/proc/sys/net/ipv6/conf/$INTERFACE/autoconf\"
ip route add 10.0.0.0/8 dev \"$INTERFACE\"
ip route add 10.44.0.0/16 via 10.9.0.2 dev \"$INTERFACE\" onlink
";
        assert_eq!(script.text(), expected);
    }

    #[test]
    fn nothing_of_a_hostile_value_reaches_the_script() {
        let mut script = Script::default();
        for value in ["10.0.0.1/8; reboot", "$(reboot)", "10.0.0.1/8 dev x", "`id`", "02:00:00:00:00:01"] {
            assert!(script.ifconfig(value).is_err(), "{value}");
            assert!(script.route(value).is_err(), "{value}");
        }
        assert_eq!(script.route("10.0.0.0/8 $(reboot)"), Err("Could not parse gateway in Route statement"));
        assert!(script.is_empty() && script.text().contains("please edit"));
    }
}
