//! What the tasks need from the system, and its installation by apt.

use anyhow::{Result, bail};

use crate::shell::{command, found, is_root, run, say};

/// A program, or the path of a file, and the Debian package that brings it.
pub(crate) type Tool = (&'static str, &'static str);

/// What namespaces, NATs, pings and leases need.
pub(crate) const LAB: &[Tool] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("ping", "iputils-ping"),
    ("busybox", "busybox-static"),
    ("ethtool", "ethtool"),
    ("vde_switch", "vde2"),
];

/// Makes sure that all `tools` are there: installs the missing ones, or says how to.
pub(crate) fn need(tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|(program, _)| !found(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    if !found("apt-get") || !is_root() {
        bail!("install these Debian packages (or what your system calls them) first: {}", packages.join(" "));
    }
    say(&format!("installing {}", packages.join(", ")));
    run(&mut command("apt-get", &["update", "-qq"]))?;
    let mut install = command("apt-get", &["install", "-y", "-qq", "--no-install-recommends"]);
    run(install.args(&packages).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Fails unless the user is root and the kernel has TUN devices.
pub(crate) fn need_root() -> Result<()> {
    if !is_root() {
        bail!("network namespaces need root: start this with sudo");
    }
    if !std::path::Path::new("/dev/net/tun").exists() {
        bail!("/dev/net/tun is missing: load the kernel module tun, or give the container that device");
    }
    Ok(())
}
