//! What host files say of other nodes (spec: configuration 4.1, "From a peer's host file").

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use tinmesh_core::crypto::keys::PublicKey;
use tinmesh_core::invite::url::DEFAULT_PORT;
use tinmesh_core::name::NodeName;
use tinmesh_core::node::config::HostConfig;

use super::daemon::AddressFamily;
use super::kind::{self, Endpoint};
use super::legacy;
use super::reader::{self, Reader};
use super::syntax::{self, Override, Settings};
use crate::files::{self, cache, keys};
use crate::paths::Paths;

/// Every node that has a host file, except this one. A file that cannot be used is told and left out.
pub(super) fn read(
    paths: &Paths,
    overrides: &[Override],
    own: &NodeName,
    family: AddressFamily,
    warnings: &mut Vec<String>,
) -> BTreeMap<NodeName, HostConfig> {
    let mut hosts = BTreeMap::new();
    for name in names(&paths.hosts()).into_iter().filter(|name| name != own) {
        match read_host(paths, overrides, &name, family, warnings) {
            Ok(host) => drop(hosts.insert(name, host)),
            Err(text) => warnings.push(text),
        }
    }
    hosts
}

/// The names of nodes that have a host file, in order.
fn names(directory: &Path) -> Vec<NodeName> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<NodeName> =
        entries.filter_map(|entry| NodeName::parse(entry.file_name().to_str()?).ok()).collect();
    names.sort();
    names
}

fn read_host(
    paths: &Paths,
    overrides: &[Override],
    name: &NodeName,
    family: AddressFamily,
    warnings: &mut Vec<String>,
) -> Result<HostConfig, String> {
    let path = paths.host_file(name);
    let text = files::read(&path)
        .map_err(|cause| format!("Cannot open config file {}: {}", path.display(), files::reason(&cause)))?;
    let mut settings = syntax::parse(&text, &path).map_err(|error| error.to_string())?;
    settings.extend(overrides.iter().filter(|option| option.is_about(name)).map(|option| option.setting.clone()));
    let settings = Settings::new(settings);
    let mut reader = Reader::new(&settings, warnings);
    let key = key(paths, name, &text, &mut reader);
    let default_port = reader.text("Port").and_then(kind::port).unwrap_or(DEFAULT_PORT);
    let tcp_only = reader.bool("TCPOnly").unwrap_or(false);
    Ok(HostConfig {
        key,
        rsa: legacy::host_key(paths, name, &text, &mut reader),
        addresses: addresses(default_port, family, &mut reader),
        subnets: subnets(&mut reader),
        indirect: reader.bool("IndirectData").unwrap_or(false) || tcp_only,
        tcp_only,
        clamp_mss: reader.bool("ClampMSS"),
        weight: reader.int("Weight"),
        pmtu: reader.int("PMTU").map(|pmtu| u16::try_from(pmtu.max(0)).unwrap_or(u16::MAX)),
        cached: cache::read(paths, name),
    })
}

fn key(paths: &Paths, name: &NodeName, host_file: &[u8], reader: &mut Reader<'_>) -> Option<PublicKey> {
    let wanted = reader.setting("Ed25519PublicKey");
    let found = match (wanted, reader.text("Ed25519PublicKeyFile")) {
        (Some(setting), _) => PublicKey::from_base64(&setting.value).ok(),
        (None, Some(file)) => files::read(&paths.confbase.join(file)).ok().and_then(|text| keys::public_in(&text)),
        (None, None) => keys::public_in(host_file),
    };
    if let (None, Some(setting)) = (found, wanted) {
        reader.warn(format!("Not an Ed25519 public key in {}: {name} cannot connect", setting.place));
    }
    found
}

fn addresses(default_port: u16, family: AddressFamily, reader: &mut Reader<'_>) -> Vec<(String, u16)> {
    let mut found = Vec::new();
    for setting in reader.all("Address") {
        let endpoint = Endpoint::parse(&setting.value);
        let port = |endpoint: &Endpoint| endpoint.port.as_deref().map_or(Some(default_port), kind::port);
        match endpoint.and_then(|endpoint| port(&endpoint).map(|port| (endpoint.host, port))) {
            Some((host, _)) if host.parse().is_ok_and(|ip: IpAddr| !family.admits(&(ip, 0).into())) => {
                let text = format!("Address = {host} in {} is of another AddressFamily, not dialled", setting.place);
                reader.warn(text);
            }
            Some(address) => found.push(address),
            None => reader.warn(format!("Invalid Address in {}, ignored", setting.place)),
        }
    }
    found
}

fn subnets(reader: &mut Reader<'_>) -> Vec<tinmesh_core::subnet::Subnet> {
    let mut found = Vec::new();
    for setting in reader.all("Subnet") {
        match reader::subnet("Subnet", setting) {
            Ok(subnet) => found.push(subnet),
            Err(error) => reader.warn(error.to_string()),
        }
    }
    found
}
