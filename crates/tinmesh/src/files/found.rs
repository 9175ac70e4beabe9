//! A network's first node: what `tinmesh up` writes on a machine that has no configuration.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sha2::{Digest, Sha512};
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::name::NodeName;

use crate::config::kind::{Endpoint, Range};
use crate::files::addresses::{nth, overlap};
use crate::files::keys;
use crate::files::port::{self, PortChoice};
use crate::files::staging::Staging;
use crate::paths::Paths;

/// Bits of the network's IPv4 range.
const PREFIX_V4: u8 = 16;
/// Bits of the network's IPv6 range.
const PREFIX_V6: u8 = 64;
/// The first node's number in each range.
const FIRST: u32 = 1;

/// What is known before a network exists.
#[derive(Clone, Debug)]
pub struct Founding<'a> {
    /// The first node's name.
    pub name: NodeName,
    /// Ranges that this machine uses already.
    pub in_use: &'a [Range],
    /// Where others reach this machine, if the operator says so.
    pub address: Option<Endpoint>,
}

/// A network that was founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// The first node's name.
    pub name: NodeName,
    /// Its key.
    pub key: PublicKey,
    /// Its addresses, with the network's prefixes.
    pub addresses: Vec<Range>,
    /// Its port.
    pub port: PortChoice,
}

/// A node name made of a host name: without domain, and with `_` for what a name cannot have.
pub fn node_name(hostname: &str) -> NodeName {
    let host = hostname.split('.').next().unwrap_or_default();
    let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = host.chars().take(64).map(clean).collect();
    NodeName::parse(&name).unwrap_or_else(|_| NodeName::parse("node").expect("only letters"))
}

/// Founds a network: writes configuration, keys and host file of its first node.
///
/// # Errors
/// If there is a configuration, or the files cannot be written.
pub fn found(paths: &Paths, founding: &Founding<'_>, rng: &mut Rng) -> io::Result<Founded> {
    let main = paths.tinc_conf();
    if main.exists() {
        let text = format!("Configuration file {} already exists!", main.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let key = SecretKey::generate(rng);
    let public = key.public();
    let ranges = [range_v4(founding.in_use, rng), Some(range_v6(&public))];
    let addresses: Vec<Range> = ranges.into_iter().flatten().map(|range| (nth(&range, FIRST), range.1)).collect();
    let port = port::choose(rng);
    let staging = Staging::begin(paths, rng)?;
    staging.write("tinc.conf", tinc_conf(&founding.name, &addresses).as_bytes(), 0o644)?;
    let host_file = host_file(founding, &addresses, port, &public);
    staging.write(&format!("hosts/{}", founding.name), host_file.as_bytes(), 0o644)?;
    keys::stage_private(&staging, paths, &key)?;
    staging.commit()?;
    Ok(Founded { name: founding.name.clone(), key: public, addresses, port })
}

/// A /16 that does not overlap what is in use, if there is one. Those that people like to give to networks by hand, or
/// that other programs take, come last.
fn range_v4(in_use: &[Range], rng: &mut Rng) -> Option<Range> {
    let first: Vec<[u8; 2]> = (16..=254).map(|second| [10, second]).collect();
    let later = (16..=31).map(|second| [172, second]).chain((64..=127).map(|second| [100, second]));
    let start = rng.below(first.len());
    let (front, back) = first.split_at(start);
    let mut candidates = back.iter().chain(front).copied().chain(later);
    let range = |[one, two]: [u8; 2]| (IpAddr::V4(Ipv4Addr::new(one, two, 0, 0)), PREFIX_V4);
    // A default route overlaps everything and says nothing.
    let specific = |used: &&Range| used.1 > 0;
    candidates.find(|bytes| !in_use.iter().filter(specific).any(|used| overlap(used, &range(*bytes)))).map(range)
}

/// The unique local range that follows from the founder's key: 40 bits of its hash (RFC 4193).
fn range_v6(key: &PublicKey) -> Range {
    let hash = Sha512::digest(key.to_base64().as_bytes());
    let mut address = [0; 16];
    address[0] = 0xfd;
    address[1..6].copy_from_slice(&hash[..5]);
    (IpAddr::V6(Ipv6Addr::from(address)), PREFIX_V6)
}

fn tinc_conf(name: &NodeName, addresses: &[Range]) -> String {
    let mut text = format!(
        "# Settings of this node. Each line is `Variable = value`; a line that begins with # is a comment.
# After a change: tinmesh reload

# The name by which the other nodes know this one.
Name = {name}

# The addresses of this node inside the network, and the size of the network. New members get theirs from the same
# ranges.
"
    );
    for (address, prefix) in addresses {
        text.push_str(&format!("Ifconfig = {address}/{prefix}\n"));
    }
    text.push_str(
        "
# The largest IP packet that goes into the network: with what tinmesh adds, it fits an ordinary Internet path.
InterfaceMTU = 1400

# Names of members work like host names: they are kept in /etc/hosts while the network is up.
HostsFile = yes

# The router, if it can do so, is asked to pass the ports of this node on, so that others reach it directly.
UPnP = udponly

# Connections are made as needed. To keep one to a certain node:
#ConnectTo = NAME
",
    );
    text
}

fn host_file(founding: &Founding<'_>, addresses: &[Range], port: PortChoice, key: &PublicKey) -> String {
    let name = &founding.name;
    let mut text = format!("# What other nodes may know about {name}.\n");
    match &founding.address {
        Some(address) => text.push_str(&format!("Address = {address}\n")),
        None => text.push_str("# Where to reach it from outside:\n#Address = HOST\n"),
    }
    text.push_str(&port.line());
    for (address, _) in addresses {
        text.push_str(&format!("Subnet = {address}\n"));
    }
    text.push_str(&keys::public_line(key));
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::config::{self, kind};
    use crate::paths::PathOptions;

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().map(|text| kind::range(text).unwrap()).collect()
    }

    #[test]
    fn host_names_become_node_names() {
        let cases =
            [("alpha.example.org", "alpha"), ("a-b", "a_b"), ("", "node"), (".x", "node"), ("ä", "_"), ("A1", "A1")];
        for (hostname, name) in cases {
            assert_eq!(node_name(hostname).as_str(), name, "{hostname:?}");
        }
    }

    #[test]
    fn a_founded_network_loads_without_warnings() {
        let dir = tempfile::tempdir().unwrap();
        let options = PathOptions { config: Some(dir.path().join("net")), ..PathOptions::default() };
        let paths = Paths::for_control(&options).unwrap();
        let address = Endpoint::parse("vpn.example 700");
        let founding = Founding { name: node_name("alpha"), in_use: &[], address };

        let founded = found(&paths, &founding, &mut Rng::from_seed([1; 32])).unwrap();

        let loaded = config::load(&paths, &[]).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        assert_eq!(loaded.key.public(), founded.key);
        assert_eq!(loaded.daemon.ifconfig, founded.addresses);
        assert!(loaded.daemon.hosts_file);
        let subnets: Vec<String> = loaded.node.subnets.iter().map(ToString::to_string).collect();
        let own: Vec<String> = founded.addresses.iter().map(|(address, _)| address.to_string()).collect();
        assert_eq!(subnets, own);
        assert_eq!(fs::metadata(paths.private_key()).unwrap().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(paths.host_file(&founded.name)).unwrap().contains("Address = vpn.example 700\n"));
    }

    #[test]
    fn a_network_is_not_founded_twice() {
        let dir = tempfile::tempdir().unwrap();
        let options = PathOptions { config: Some(dir.path().to_owned()), ..PathOptions::default() };
        let paths = Paths::for_control(&options).unwrap();
        let founding = Founding { name: node_name("alpha"), in_use: &[], address: None };
        let rng = &mut Rng::from_seed([1; 32]);
        found(&paths, &founding, rng).unwrap();
        let before = fs::read(paths.tinc_conf()).unwrap();

        let error = found(&paths, &founding, rng).unwrap_err();

        assert!(error.to_string().ends_with("already exists!"));
        assert_eq!(fs::read(paths.tinc_conf()).unwrap(), before);
    }

    #[test]
    fn ranges_in_use_are_avoided_as_long_as_there_is_another() {
        let rng = &mut Rng::from_seed([1; 32]);
        for _ in 0..50 {
            let used = ranges(&["0.0.0.0/0", "10.0.0.0/9", "10.128.0.0/10"]);
            let chosen = range_v4(&used, rng).unwrap();
            assert!(!used[1..].iter().any(|used| overlap(used, &chosen)), "{chosen:?}");
        }
        assert_eq!(range_v4(&ranges(&["10.0.0.0/8"]), rng), Some(ranges(&["172.16.0.0/16"])[0]));
        assert_eq!(range_v4(&ranges(&["10.0.0.0/8", "172.16.0.0/12", "100.64.0.0/10"]), rng), None);
    }

    #[test]
    fn the_local_range_follows_from_the_key() {
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let (address, prefix) = range_v6(&key(1));
        let IpAddr::V6(address) = address else { panic!("{address}") };
        assert_eq!((address.octets()[0], &address.octets()[6..], prefix), (0xfd, [0; 10].as_slice(), 64));
        assert_eq!(range_v6(&key(1)), (IpAddr::V6(address), 64));
        assert_ne!(range_v6(&key(2)), range_v6(&key(1)));
    }
}
