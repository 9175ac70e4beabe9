//! What the daemon around the node uses: device, interface, sockets, scripts (spec: configuration 4, 4.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use tinmesh_core::invite::url::DEFAULT_PORT;

use super::ConfigError;
use super::device::{self, DeviceType};
use super::kind::{self, Endpoint, Range};
use super::proxy::{self, Proxy};
use super::reader::Reader;
use super::syntax::Setting;
use super::upnp::{self, Upnp};

use crate::files;

const SEND_BUFFER: u32 = 1 << 20;
/// What waits in it delays all that comes after: at 8 Gbit/s, a full one by half a millisecond.
const RECEIVE_BUFFER: u32 = 512 << 10;
/// What so many send at once fits into the window of a tinmesh node.
const MAX_WORKERS: usize = 16;
const DEFAULT_INVITATION_EXPIRE: u64 = 604_800;

/// How much the daemon takes rights away from itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// Not at all.
    #[default]
    Off,
    /// Files and system calls are limited; scripts run outside.
    Normal,
    /// As before, and no script runs once the daemon is ready.
    High,
}

impl std::fmt::Display for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Normal => "normal",
            Self::High => "high",
        })
    }
}

/// Which addresses are used outside the mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// All.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl AddressFamily {
    /// Whether an address may be used.
    pub const fn admits(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Settings of the daemon around the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonSettings {
    /// Variable `DeviceType`.
    pub device_type: DeviceType,
    /// Variable `Device`.
    pub device: Option<PathBuf>,
    /// Variable `Interface`.
    pub interface: Option<String>,
    /// Variables `DeviceOffload`, `SendOffload`, `ReceiveOffload`.
    pub offloads: Offloads,
    /// Variable `Workers`: threads that carry packets; `None`: as many as suit the machine.
    pub workers: Option<NonZeroUsize>,
    /// Variable `DeviceStandby`.
    pub device_standby: bool,
    /// Variable `Ifconfig`.
    pub ifconfig: Vec<Range>,
    /// Variable `Route`.
    pub routes: Vec<(Range, Option<IpAddr>)>,
    /// Variable `InterfaceMTU`.
    pub interface_mtu: Option<u32>,
    /// Variable `HostsFile`.
    pub hosts_file: bool,
    /// Variable `Port`; 0: any.
    pub port: u16,
    /// Variable `AddressFamily`.
    pub address_family: AddressFamily,
    /// Variable `Proxy`.
    pub proxy: Option<Proxy>,
    /// Variables `UPnP`, `UPnPDiscoverWait`, `UPnPRefreshPeriod`.
    pub upnp: Option<Upnp>,
    /// Variable `Hostnames`.
    pub hostnames: bool,
    /// Variable `UDPRcvBuf`.
    pub udp_rcvbuf: Buffer,
    /// Variable `UDPSndBuf`.
    pub udp_sndbuf: Buffer,
    /// Variable `FWMark`.
    pub fwmark: u32,
    /// Variable `BindToInterface`.
    pub bind_to_interface: Option<String>,
    /// Variable `ScriptsExtension`.
    pub scripts_extension: String,
    /// Variable `ScriptsInterpreter`.
    pub scripts_interpreter: Option<String>,
    /// Variable `ProcessPriority`, as a nice value.
    pub process_priority: Option<i32>,
    /// Variable `Sandbox`.
    pub sandbox: Sandbox,
    /// Variable `LogLevel`.
    pub log_level: i32,
    /// Variable `InvitationExpire`.
    pub invitation_expire: Duration,
    /// Variables `BindToAddress` and `ListenAddress`, or everywhere.
    pub listen: Vec<Listen>,
}

/// What may be left to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// Large packets of the device.
    pub device: bool,
    /// Several datagrams in one send.
    pub send: bool,
    /// Several datagrams in one receive.
    pub receive: bool,
}

/// The size of a socket's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// In bytes; 0: the system's choice.
    pub size: usize,
    /// Whether the operator asked for it.
    pub asked: bool,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port; port 0 means any.
    pub address: SocketAddr,
    /// Whether outgoing connections may come from it: `BindToAddress`.
    pub dials: bool,
}

pub(super) fn settings(reader: &mut Reader<'_>) -> Result<DaemonSettings, ConfigError> {
    let port = port(reader)?;
    let address_family = address_family(reader)?;
    let bound = endpoints(reader, "BindToAddress", port, address_family)?;
    let also = endpoints(reader, "ListenAddress", port, address_family)?;
    let owned = |reader: &Reader<'_>, variable: &str| reader.text(variable).map(str::to_owned);
    let buffer =
        |count: Option<u32>, default| Buffer { size: count.unwrap_or(default) as usize, asked: count.is_some() };
    let expire = reader.int("InvitationExpire").map(|seconds| u64::try_from(seconds).unwrap_or(0));
    Ok(DaemonSettings {
        device_type: device::device_type(reader)?,
        device: reader.text("Device").map(PathBuf::from),
        interface: owned(reader, "Interface"),
        offloads: Offloads {
            device: reader.bool("DeviceOffload").unwrap_or(true),
            send: reader.bool("SendOffload").unwrap_or(true),
            receive: reader.bool("ReceiveOffload").unwrap_or(true),
        },
        workers: workers(reader)?,
        device_standby: reader.bool("DeviceStandby").unwrap_or(false),
        ifconfig: reader.all("Ifconfig").map(interface_address).collect::<Result<_, _>>()?,
        routes: reader.all("Route").map(route).collect::<Result<_, _>>()?,
        interface_mtu: interface_mtu(reader)?,
        hosts_file: reader.bool("HostsFile").unwrap_or(false),
        port,
        address_family,
        proxy: proxy::read(reader)?,
        upnp: upnp::read(reader),
        hostnames: reader.bool("Hostnames").unwrap_or(false),
        udp_rcvbuf: buffer(reader.count("UDPRcvBuf")?, RECEIVE_BUFFER),
        udp_sndbuf: buffer(reader.count("UDPSndBuf")?, SEND_BUFFER),
        fwmark: reader.int("FWMark").map_or(0, i32::cast_unsigned),
        bind_to_interface: owned(reader, "BindToInterface"),
        scripts_extension: owned(reader, "ScriptsExtension").unwrap_or_default(),
        scripts_interpreter: owned(reader, "ScriptsInterpreter"),
        process_priority: process_priority(reader)?,
        sandbox: sandbox(reader)?,
        log_level: reader.int("LogLevel").unwrap_or(0),
        invitation_expire: Duration::from_secs(expire.unwrap_or(DEFAULT_INVITATION_EXPIRE)),
        listen: listen(&bound, &also, port, address_family),
    })
}

fn port(reader: &Reader<'_>) -> Result<u16, ConfigError> {
    let Some(text) = reader.text("Port") else { return Ok(DEFAULT_PORT) };
    let right = "it is a number from 0 to 65535 or the name of a TCP service".to_owned();
    kind::port(text).ok_or_else(|| reader.invalid("Port", "Invalid port!".to_owned(), right))
}

fn address_family(reader: &Reader<'_>) -> Result<AddressFamily, ConfigError> {
    Ok(match reader.word("AddressFamily", "Invalid address family!")? {
        Some("ipv4") => AddressFamily::V4,
        Some("ipv6") => AddressFamily::V6,
        Some(_) | None => AddressFamily::Any,
    })
}

fn sandbox(reader: &Reader<'_>) -> Result<Sandbox, ConfigError> {
    let value = reader.text("Sandbox").unwrap_or_default();
    Ok(match reader.word("Sandbox", &format!("Bad sandbox value {value}!"))? {
        Some("normal") => Sandbox::Normal,
        Some("high") => Sandbox::High,
        Some(_) | None => Sandbox::Off,
    })
}

fn process_priority(reader: &Reader<'_>) -> Result<Option<i32>, ConfigError> {
    let value = reader.text("ProcessPriority").unwrap_or_default();
    let word = reader.word("ProcessPriority", &format!("Invalid priority `{value}`!"))?;
    Ok(word.map(|word| match word {
        "low" => 10,
        "high" => -10,
        _ => 0,
    }))
}

fn interface_address(setting: &Setting) -> Result<Range, ConfigError> {
    kind::range(&setting.value)
        .ok_or_else(|| invalid_setting("Ifconfig", setting, "it looks like 10.1.2.3/16 or fd00:1::3/64"))
}

fn route(setting: &Setting) -> Result<(Range, Option<IpAddr>), ConfigError> {
    let right = "it looks like 10.1.0.0/16, or 10.1.0.0/16 10.2.0.1 with a gateway";
    kind::route(&setting.value).ok_or_else(|| invalid_setting("Route", setting, right))
}

fn invalid_setting(variable: &'static str, setting: &Setting, right: &str) -> ConfigError {
    ConfigError::Invalid {
        message: format!("Invalid {variable}!"),
        variable,
        value: setting.value.clone(),
        place: setting.place.clone(),
        right: right.to_owned(),
    }
}

fn interface_mtu(reader: &mut Reader<'_>) -> Result<Option<u32>, ConfigError> {
    let Some(mtu) = reader.count("InterfaceMTU")? else { return Ok(None) };
    if (576..=65_535).contains(&mtu) {
        return Ok(Some(mtu));
    }
    let right = "it is a number from 576 to 65535".to_owned();
    Err(reader.invalid("InterfaceMTU", "Invalid InterfaceMTU!".to_owned(), right))
}

fn workers(reader: &mut Reader<'_>) -> Result<Option<NonZeroUsize>, ConfigError> {
    let Some(count) = reader.count("Workers")? else { return Ok(None) };
    let workers = NonZeroUsize::new(count as usize).filter(|workers| workers.get() <= MAX_WORKERS);
    let right = || format!("it is a number from 1 to {MAX_WORKERS}");
    workers.map(Some).ok_or_else(|| reader.invalid("Workers", "Invalid Workers!".to_owned(), right()))
}

/// The addresses of all values of a variable.
fn endpoints(
    reader: &Reader<'_>,
    variable: &'static str,
    port: u16,
    family: AddressFamily,
) -> Result<Vec<SocketAddr>, ConfigError> {
    let mut found = Vec::new();
    for setting in reader.all(variable) {
        let right = "it is an address or a host name, and a port if it is not that of Port";
        let wrong = || invalid_setting(variable, setting, right);
        let endpoint = Endpoint::parse(&setting.value).ok_or_else(wrong)?;
        let port = endpoint.port.as_deref().map_or(Some(port), kind::port).ok_or_else(wrong)?;
        if endpoint.host == "*" {
            found.extend(wildcards(port, family));
            continue;
        }
        let unusable = |message: String| ConfigError::Invalid {
            message,
            variable,
            value: setting.value.clone(),
            place: setting.place.clone(),
            right: right.to_owned(),
        };
        let resolved = (endpoint.host.as_str(), port).to_socket_addrs();
        let resolved =
            resolved.map_err(|cause| unusable(format!("Could not look up the address: {}!", files::reason(&cause))))?;
        let before = found.len();
        found.extend(resolved.filter(|address| family.admits(address)));
        // Without any address all of them would be listened on, which is the contrary of what was asked for.
        if found.len() == before {
            return Err(unusable("It has no address of the AddressFamily!".to_owned()));
        }
    }
    Ok(found)
}

fn wildcards(port: u16, family: AddressFamily) -> impl Iterator<Item = SocketAddr> {
    let all = [SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))];
    all.into_iter().filter(move |address| family.admits(address))
}

/// Where to listen: what was asked for, without duplicates, or everywhere.
fn listen(bound: &[SocketAddr], also: &[SocketAddr], port: u16, family: AddressFamily) -> Vec<Listen> {
    let entries = |addresses: &[SocketAddr], dials: bool| -> Vec<Listen> {
        addresses.iter().map(|&address| Listen { address, dials }).collect()
    };
    let mut found: Vec<Listen> = Vec::new();
    for entry in entries(bound, true).into_iter().chain(entries(also, false)) {
        if !found.iter().any(|known| known.address == entry.address) {
            found.push(entry);
        }
    }
    if found.is_empty() {
        found = wildcards(port, family).map(|address| Listen { address, dials: false }).collect();
    }
    found
}
