//! Which device the configuration asks for (spec: routing 2.1, 2.4).

use std::net::{SocketAddr, ToSocketAddrs};

use super::ConfigError;
use super::kind;
use super::reader::Reader;

/// What carries packets between the system and the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceType {
    /// A TUN interface: IP packets.
    Tun,
    /// A TAP interface: Ethernet frames.
    Tap,
    /// What somebody else opened: IP packets.
    Fd,
    /// Nothing: the node only relays.
    Dummy,
    /// An interface that exists: Ethernet frames.
    RawSocket,
    /// A multicast group: Ethernet frames.
    Multicast {
        /// Where datagrams go.
        group: SocketAddr,
        /// How far.
        ttl: u8,
    },
    /// A User Mode Linux machine: Ethernet frames.
    Uml,
    /// A VDE switch: Ethernet frames.
    Vde {
        /// Variable `VDEPort`; 0: any.
        port: i32,
        /// Variable `VDEGroup`.
        group: Option<String>,
    },
}

pub(super) fn device_type(reader: &mut Reader<'_>) -> Result<DeviceType, ConfigError> {
    let routes = reader.text("Mode").is_none_or(|mode| mode.eq_ignore_ascii_case("router"));
    let default = if routes { "tun" } else { "tap" };
    let word = reader.text("DeviceType").unwrap_or(default).to_ascii_lowercase();
    match word.as_str() {
        "tun" | "fd" if !routes => {
            let right = "with Mode = switch or hub it is tap: this device has no Ethernet frames".to_owned();
            Err(reader.invalid("DeviceType", "Switch mode not supported (requires TAP device)!".to_owned(), right))
        }
        "tun" => Ok(DeviceType::Tun),
        "tap" => Ok(DeviceType::Tap),
        "fd" if reader.text("Device").is_none() => {
            let right = "add Device = NUMBER or Device = PATH of a UNIX socket that hands one over".to_owned();
            Err(reader.invalid("DeviceType", "Could not read device from configuration!".to_owned(), right))
        }
        "fd" => Ok(DeviceType::Fd),
        "dummy" => Ok(DeviceType::Dummy),
        "raw_socket" => Ok(DeviceType::RawSocket),
        "multicast" => multicast(reader),
        "uml" if reader.text("Sandbox").is_some_and(|level| !level.eq_ignore_ascii_case("off")) => {
            let right = "set Sandbox = off: the machine is met when it starts, outside of the sandbox".to_owned();
            Err(reader.invalid(
                "DeviceType",
                "A User Mode Linux machine cannot be reached from a sandbox!".to_owned(),
                right,
            ))
        }
        "uml" => Ok(DeviceType::Uml),
        "vde" => {
            let port = reader.int("VDEPort").unwrap_or(0);
            Ok(DeviceType::Vde { port, group: reader.text("VDEGroup").map(str::to_owned) })
        }
        other => Err(reader.invalid(
            "DeviceType",
            format!("Unknown device type {other}!"),
            "it is tun, tap, fd, dummy, raw_socket, multicast, uml or vde".to_owned(),
        )),
    }
}

/// `Device = GROUP PORT [TTL]`.
fn multicast(reader: &Reader<'_>) -> Result<DeviceType, ConfigError> {
    let right =
        || "add Device = GROUP PORT, for example Device = 239.255.3.2 10655, and a TTL if it is not 1".to_owned();
    let Some(text) = reader.text("Device") else {
        let message = "Device variable required for multicast socket!".to_owned();
        return Err(reader.invalid("DeviceType", message, right()));
    };
    let wrong = |message: String| reader.invalid("Device", message, right());
    let mut words = text.split_whitespace();
    let (host, port) = (words.next().unwrap_or_default(), words.next());
    let Some(port) = port else { return Err(wrong("Port number required for multicast socket!".to_owned())) };
    let number = kind::port(port).filter(|port| *port != 0).ok_or_else(|| wrong("Invalid port!".to_owned()))?;
    let ttl = words.next().map_or(Ok(1), str::parse).map_err(|_| wrong("Invalid TTL!".to_owned()))?;
    if words.next().is_some() {
        return Err(wrong("Too many words!".to_owned()));
    }
    let group = (host, number).to_socket_addrs().ok().and_then(|mut found| found.find(|at| at.ip().is_multicast()));
    let group = group.ok_or_else(|| wrong(format!("Cannot join multicast group {host} {port}: it is none!")))?;
    Ok(DeviceType::Multicast { group, ttl })
}
