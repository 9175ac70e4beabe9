//! What the node itself uses of this node's settings (spec: configuration 4, 4.1).

use std::collections::BTreeMap;
use std::time::Duration;

use tinmesh_core::dataplane::fib::{Broadcast, Forwarding, Frames, Mode, Policy};
use tinmesh_core::dataplane::relaying::Relaying;
use tinmesh_core::name::NodeName;
use tinmesh_core::node::config::{Config, LinkPolicy, MeshPolicy, Timing};
use tinmesh_core::trust::TrustConfig;
use tinmesh_core::wire::hello::Features;

use super::ConfigError;
use super::kind;
use super::reader::{self, Reader};

/// PingInterval when it is switched off: a day.
const NO_PINGS: Duration = Duration::from_secs(86_400);

/// Without host files, invitations and proxy.
pub(super) fn config(name: NodeName, port: u16, reader: &mut Reader<'_>) -> Result<Config, ConfigError> {
    let subnets = |variable: &'static str, reader: &Reader<'_>| {
        reader.all(variable).map(|setting| reader::subnet(variable, setting)).collect::<Result<Vec<_>, _>>()
    };
    let link = link(reader);
    Ok(Config {
        port,
        sockets: Vec::new(),
        subnets: subnets("Subnet", reader)?,
        broadcast_subnets: subnets("BroadcastSubnet", reader)?,
        connect_to: connect_to(&name, reader),
        proxy: None,
        hosts: BTreeMap::new(),
        invitation_key: None,
        policy: policy(link.tcp_only, reader)?,
        link,
        mesh: mesh(reader)?,
        timing: timing(reader)?,
        legacy: None,
        trust: trust(reader)?,
        name,
    })
}

fn connect_to(own: &NodeName, reader: &mut Reader<'_>) -> Vec<NodeName> {
    let mut names: Vec<NodeName> = Vec::new();
    for setting in reader.all("ConnectTo") {
        match NodeName::parse(&setting.value) {
            Ok(name) if name == *own || names.contains(&name) => {}
            Ok(name) => names.push(name),
            Err(_) => reader.warn(format!("Invalid name for outgoing connection in {}", setting.place)),
        }
    }
    names
}

fn policy(tcp_only: bool, reader: &mut Reader<'_>) -> Result<Policy, ConfigError> {
    Ok(Policy {
        mode: mode(reader)?,
        forwarding: match reader.word("Forwarding", "Invalid forwarding mode!")? {
            Some("off") => Forwarding::Off,
            Some("kernel") => Forwarding::Kernel,
            Some(_) | None => Forwarding::Internal,
        },
        decrement_ttl: reader.bool("DecrementTTL").unwrap_or(false),
        direct_only: reader.bool("DirectOnly").unwrap_or(false),
        compression: compression(reader)?,
        tcp_only,
        broadcast: match reader.word("Broadcast", "Invalid broadcast mode!")? {
            Some("no") => Broadcast::No,
            Some("direct") => Broadcast::Direct,
            Some(_) | None => Broadcast::Mst,
        },
        relaying: relaying(reader)?,
        priority_inheritance: reader.bool("PriorityInheritance").unwrap_or(false),
        frames: Frames::Ip,
    })
}

fn relaying(reader: &Reader<'_>) -> Result<Relaying, ConfigError> {
    let Some(setting) = reader.setting("Relay") else { return Ok(Relaying::Yes) };
    match (kind::bool(&setting.value), kind::rate(&setting.value)) {
        (Some(true), _) => Ok(Relaying::Yes),
        (Some(false), _) | (None, Some(0)) => Ok(Relaying::No),
        (None, Some(kbit)) => Ok(Relaying::UpTo(kbit)),
        (None, None) => {
            let right = "it is yes, no, or a rate such as 2000 (kbit/s), 2mbit or 1gbit".to_owned();
            Err(reader.invalid("Relay", format!("`{}' is no rate!", setting.value), right))
        }
    }
}

fn mode(reader: &Reader<'_>) -> Result<Mode, ConfigError> {
    match reader.word("Mode", "Invalid routing mode!")? {
        Some("switch") => Ok(Mode::Switch),
        Some("hub") => Ok(Mode::Hub),
        Some(_) | None => Ok(Mode::Router),
    }
}

fn compression(reader: &mut Reader<'_>) -> Result<u8, ConfigError> {
    let level = reader.int("Compression").unwrap_or(0);
    u8::try_from(level).ok().filter(|level| *level <= 12).ok_or_else(|| {
        let message = format!("Bogus compression level! Compression level {level} is unrecognized by this node.");
        reader.invalid("Compression", message, "it is a number from 0 to 12".to_owned())
    })
}

fn link(reader: &mut Reader<'_>) -> LinkPolicy {
    let tcp_only = reader.bool("TCPOnly").unwrap_or(false);
    LinkPolicy {
        indirect: reader.bool("IndirectData").unwrap_or(false) || tcp_only,
        tcp_only,
        pmtu_discovery: reader.bool("PMTUDiscovery").unwrap_or(!tcp_only),
        clamp_mss: reader.bool("ClampMSS").unwrap_or(true),
        weight: reader.int("Weight"),
        pmtu: reader.int("PMTU").map(|pmtu| u16::try_from(pmtu.max(0)).unwrap_or(u16::MAX)),
    }
}

/// `no`, `yes`, or the names of those that are wanted.
fn extensions(reader: &Reader<'_>) -> Result<Features, ConfigError> {
    let Some(setting) = reader.setting("Extensions") else { return Ok(Features::all()) };
    match setting.value.to_ascii_lowercase().as_str() {
        "yes" => Ok(Features::all()),
        "no" => Ok(Features::NONE),
        names => {
            let known = |name: &&str| Features::parse(name).is_empty();
            match names.split_ascii_whitespace().find(known) {
                None => Ok(Features::parse(names)),
                Some(name) => {
                    let message = format!("There is no extension {name}!");
                    Err(reader.invalid(
                        "Extensions",
                        message,
                        format!("it is yes, no, or some of: {}", Features::all()),
                    ))
                }
            }
        }
    }
}

fn mesh(reader: &mut Reader<'_>) -> Result<MeshPolicy, ConfigError> {
    let default = MeshPolicy::default();
    let tunnel_server = reader.bool("TunnelServer").unwrap_or(default.tunnel_server);
    let window = reader.count("ReplayWindow")?;
    let burst = reader.int("MaxConnectionBurst");
    let burst = match burst.map(u32::try_from) {
        None => default.max_connection_burst,
        Some(Ok(burst)) if burst > 0 => burst,
        Some(_) => {
            let (message, right) = ("MaxConnectionBurst cannot be negative!", "it is a number from 1");
            return Err(reader.invalid("MaxConnectionBurst", message.to_owned(), right.to_owned()));
        }
    };
    Ok(MeshPolicy {
        extensions: extensions(reader)?,
        auto_connect: reader.bool("AutoConnect").unwrap_or(default.auto_connect),
        strict_subnets: reader.bool("StrictSubnets").unwrap_or(default.strict_subnets) || tunnel_server,
        tunnel_server,
        udp_discovery: reader.bool("UDPDiscovery").unwrap_or(default.udp_discovery),
        local_discovery: reader.bool("LocalDiscovery").unwrap_or(default.local_discovery),
        replay_window: window.map_or(default.replay_window, |bytes| u16::try_from(bytes).unwrap_or(u16::MAX)),
        max_connection_burst: burst,
        max_output_buffer: reader.count("MaxOutputBufferSize")?.map(|bytes| bytes as usize),
    })
}

fn trust(reader: &mut Reader<'_>) -> Result<TrustConfig, ConfigError> {
    let founders = reader.all("Founder").map(|setting| {
        setting.value.parse::<fides::Key>().map_err(|error| ConfigError::Invalid {
            message: format!("{} is no key of a founder!", setting.value),
            variable: "Founder",
            value: setting.value.clone(),
            place: setting.place.clone(),
            right: error.to_string(),
        })
    });
    Ok(TrustConfig {
        founders: founders.collect::<Result<_, _>>()?,
        lease: reader.bool("Lease").unwrap_or(false),
        quorum: reader.count("Quorum")?.map(|voices| usize::try_from(voices).unwrap_or(usize::MAX).max(1)),
        clock_error: reader.count("ClockError")?.map_or(0, u64::from),
    })
}

fn timing(reader: &mut Reader<'_>) -> Result<Timing, ConfigError> {
    let default = Timing::default();
    let interval = reader.int("PingInterval").map(|seconds| u64::try_from(seconds).unwrap_or(0));
    let ping_interval = match interval {
        None => default.ping_interval,
        Some(0) => NO_PINGS,
        Some(seconds) => Duration::from_secs(seconds),
    };
    let timeout = reader.int("PingTimeout").map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    let timeout = timeout.unwrap_or(default.ping_timeout);
    let usable = !timeout.is_zero() && timeout <= ping_interval;
    if reader.int("MaxTimeout").is_some_and(|seconds| seconds <= 0) {
        let right = "it is a number of seconds from 1".to_owned();
        return Err(reader.invalid("MaxTimeout", "Bogus maximum timeout!".to_owned(), right));
    }
    Ok(Timing {
        ping_interval,
        ping_timeout: if usable { timeout } else { ping_interval },
        max_timeout: reader.seconds("MaxTimeout", default.max_timeout),
        key_expire: reader.seconds("KeyExpire", default.key_expire),
        udp_interval: reader.seconds("UDPDiscoveryInterval", default.udp_interval),
        udp_keepalive: reader.seconds_if_set("UDPDiscoveryKeepaliveInterval"),
        udp_timeout: reader.seconds("UDPDiscoveryTimeout", default.udp_timeout),
        udp_info: reader.seconds("UDPInfoInterval", default.udp_info),
        mtu_info: reader.seconds("MTUInfoInterval", default.mtu_info),
        mac_expire: reader.seconds("MACExpire", default.mac_expire),
    })
}
