//! Opens the device and the sockets, as the configuration says (spec: meta-protocol 2.1,
//! datagrams 21, routing 2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use tinmesh_core::dataplane::offload::LONGEST_LARGE;
use tinmesh_os::device::{Device, DeviceOptions, Kind, VdeOptions};
use tinmesh_os::netlink;
use tinmesh_os::tcp::{self, TcpOptions};
use tinmesh_os::udp::{UdpOptions, UdpSocket};
use tracing::{debug, info, warn};

use crate::config::{DaemonSettings, DeviceType, Listen};
use crate::daemon::log::CONNECTIONS;
use crate::daemon::shared::{Lane, Link};
use crate::files;
use crate::paths::Paths;

/// Listening address pairs at most (spec: meta-protocol 1).
const MAX_SOCKETS: usize = 8;
/// Attempts to find a port that is free for both TCP and UDP.
const PORT_ATTEMPTS: usize = 20;

/// Workers, at most, if nobody says how many. Of what more send at once tinc may refuse some: each works 64 packets at a time, and
/// what is late by more than 128 does not fit into its window.
const WORKERS: usize = 2;

/// How many workers there are to be; if nobody says, as many as suit the machine: the programs whose packets they carry need
/// processors, too.
fn workers(settings: &DaemonSettings) -> usize {
    settings.workers.map_or_else(
        || (std::thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2).clamp(1, WORKERS),
        NonZeroUsize::get,
    )
}

/// What the daemon has open before it gives up rights.
pub struct Opened {
    /// The device.
    pub link: Link,
    /// Its device node or descriptor, for scripts.
    pub device: String,
    /// Its interface, for scripts.
    pub interface: String,
    /// Listening TCP sockets.
    pub listeners: Vec<TcpListener>,
    /// UDP sockets, by index, and queues of the device, for each worker.
    pub lanes: Vec<Lane>,
    /// Their local addresses.
    pub addresses: Vec<SocketAddr>,
    /// Those that outgoing connections may come from.
    pub outgoing: Vec<SocketAddr>,
    /// The port to announce.
    pub port: u16,
}

impl Opened {
    /// Opens everything.
    ///
    /// # Errors
    /// What could not be opened, and what to do.
    pub fn open(settings: &DaemonSettings, paths: &Paths, inherited: Vec<TcpListener>) -> Result<Self> {
        let (link, device, interface) = open_link(settings, paths)?;
        let mut opened = Self {
            link,
            device,
            interface,
            listeners: Vec::new(),
            lanes: vec![Lane::default()],
            addresses: Vec::new(),
            outgoing: Vec::new(),
            port: settings.port,
        };
        for listener in inherited {
            opened.adopt(listener, settings)?;
        }
        let configured = if opened.listeners.is_empty() { settings.listen.as_slice() } else { &[] };
        for &(mut entry) in configured {
            if entry.address.port() == 0 && !opened.addresses.is_empty() {
                entry.address.set_port(opened.port);
            }
            opened.listen(entry, settings)?;
        }
        if opened.listeners.is_empty() {
            bail!("Unable to create any listening socket! Is another program using port {}?", settings.port);
        }
        opened.open_lanes(workers(settings), &udp_options(settings));
        Ok(opened)
    }

    /// Opens what `workers` workers need beside what the first one has.
    fn open_lanes(&mut self, workers: usize, options: &UdpOptions) {
        for _ in 1..workers {
            match self.another_lane(options) {
                Ok(lane) => self.lanes.push(lane),
                Err(cause) => {
                    let count = self.lanes.len();
                    return warn!("No more than {count} of {workers} workers can carry packets: {cause}");
                }
            }
        }
        if self.lanes.len() > 1 {
            debug!("{} workers carry packets", self.lanes.len());
        }
    }

    fn another_lane(&self, options: &UdpOptions) -> std::io::Result<Lane> {
        let beside = |socket: &UdpSocket| socket.bind_beside(options);
        let sockets = self.lanes[0].sockets.iter().map(beside).collect::<Result<_, _>>()?;
        Ok(Lane { queue: self.link.another_queue()?, sockets })
    }

    /// Uses a socket that the service manager has opened, and opens the one for UDP beside it.
    fn adopt(&mut self, listener: TcpListener, settings: &DaemonSettings) -> Result<()> {
        let address = listener.local_addr().context("Could not read the address of a socket")?;
        let socket = open_udp(address, settings)
            .with_context(|| format!("Can't bind to {} port {}/udp", address.ip(), address.port()))?;
        debug!(target: CONNECTIONS, "Listening on {} port {}", address.ip(), address.port());
        if self.listeners.is_empty() {
            self.port = address.port();
        }
        self.listeners.push(listener);
        self.lanes[0].sockets.push(socket);
        self.addresses.push(address);
        Ok(())
    }

    fn listen(&mut self, Listen { address, dials }: Listen, settings: &DaemonSettings) -> Result<()> {
        if self.listeners.len() == MAX_SOCKETS {
            bail!("Too many listening sockets: at most {MAX_SOCKETS} addresses can be listened on");
        }
        let pair = if address.port() == 0 {
            (0..PORT_ATTEMPTS)
                .find_map(|_| open_pair(address, settings).ok())
                .ok_or_else(|| ("tcp", Errno::ADDRINUSE.into()))
        } else {
            open_pair(address, settings)
        };
        match pair {
            Ok((listener, socket)) => {
                let bound = socket.local_addr().context("Could not read the address of a socket")?;
                debug!(target: CONNECTIONS, "Listening on {} port {}", bound.ip(), bound.port());
                if self.listeners.is_empty() && (address.port() == 0 || settings.port == 0) {
                    self.port = bound.port();
                }
                self.listeners.push(listener);
                self.lanes[0].sockets.push(socket);
                self.addresses.push(bound);
                if dials {
                    self.outgoing.push(bound);
                }
            }
            Err((_, cause)) if address.is_ipv6() && cause.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => {
                info!("This machine has no IPv6: port {} is open on IPv4 only", address.port());
            }
            Err((protocol, cause)) => {
                let (ip, reason) = (address.ip(), files::reason(&cause));
                warn!("Can't bind to {ip} port {}/{protocol}: {reason}", address.port());
            }
        }
        Ok(())
    }

    /// The address of the first listening socket, with a wildcard replaced by loopback.
    pub fn first_address(&self) -> SocketAddr {
        let address = self.addresses.first().copied().unwrap_or_else(|| (Ipv4Addr::LOCALHOST, self.port).into());
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        SocketAddr::new(ip, address.port())
    }

    /// Options of UDP sockets.
    pub fn udp_options(&self, settings: &DaemonSettings) -> UdpOptions {
        udp_options(settings)
    }

    /// Options of TCP sockets.
    pub fn tcp_options(&self, settings: &DaemonSettings) -> TcpOptions {
        tcp_options(settings)
    }
}

fn tcp_options(settings: &DaemonSettings) -> TcpOptions {
    TcpOptions { mark: settings.fwmark, interface: settings.bind_to_interface.clone(), segment: None }
}

/// Two sockets of the same number, or what kind of them failed, and why.
fn open_pair(
    address: SocketAddr,
    settings: &DaemonSettings,
) -> Result<(TcpListener, UdpSocket), (&'static str, std::io::Error)> {
    let tcp = |cause| ("tcp", cause);
    let listener = tcp::listen(address, &tcp_options(settings)).map_err(tcp)?;
    let port = listener.local_addr().map_err(tcp)?.port();
    let socket = open_udp(SocketAddr::new(address.ip(), port), settings).map_err(|cause| ("udp", cause))?;
    Ok((listener, socket))
}

/// Options of UDP sockets.
fn udp_options(settings: &DaemonSettings) -> UdpOptions {
    UdpOptions {
        rcvbuf: settings.udp_rcvbuf.size,
        sndbuf: settings.udp_sndbuf.size,
        mark: settings.fwmark,
        interface: settings.bind_to_interface.clone(),
        dont_fragment: true,
        one_by_one: !settings.offloads.send,
        apart: !settings.offloads.receive,
    }
}

fn open_udp(address: SocketAddr, settings: &DaemonSettings) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address, &udp_options(settings))?;
    let (received, sent) = socket.buffer_sizes()?;
    for (name, wanted, granted) in
        [("SO_RCVBUF", settings.udp_rcvbuf, received), ("SO_SNDBUF", settings.udp_sndbuf, sent)]
    {
        if wanted.asked && granted < wanted.size {
            warn!("Can't set UDP {name} to {}, the system set it to {granted} instead", wanted.size);
        }
    }
    Ok(socket)
}

fn open_link(settings: &DaemonSettings, paths: &Paths) -> Result<(Link, String, String)> {
    match &settings.device_type {
        DeviceType::Dummy => {
            info!("dummy (dummy) is a dummy device");
            Ok((Link::Dummy, "dummy".to_owned(), "dummy".to_owned()))
        }
        DeviceType::Tun => open_interface(Kind::Tun, settings, paths),
        DeviceType::Tap => open_interface(Kind::Tap, settings, paths),
        DeviceType::Fd => open_descriptor(settings),
        DeviceType::RawSocket => open_packet_socket(settings),
        DeviceType::Multicast { group, ttl } => join_group(*group, *ttl, settings),
        DeviceType::Uml => wait_for_machine(settings, paths),
        DeviceType::Vde { port, group } => plug_in(*port, group.clone(), settings, paths),
    }
}

/// A descriptor that this process was started with, or that a UNIX socket hands over (spec: routing 2.4).
fn open_descriptor(settings: &DaemonSettings) -> Result<(Link, String, String)> {
    let path = settings.device.clone().unwrap_or_default();
    let text = path.display().to_string();
    let device = match text.parse() {
        Ok(number) => Device::from_fd(number).with_context(|| {
            format!("Could not open device {text}: this program was not started with that descriptor")
        })?,
        Err(_) => Device::from_socket(&path).with_context(|| format!("Could not get a device from socket {text}"))?,
    };
    info!("{} adapter set up.", device.name());
    Ok((Link::Foreign(device), text.clone(), text))
}

/// The frames of an interface that exists.
fn open_packet_socket(settings: &DaemonSettings) -> Result<(Link, String, String)> {
    let interface = settings.interface.clone().unwrap_or_else(|| "eth0".to_owned());
    let device = settings.device.as_ref().map_or_else(|| interface.clone(), |path| path.display().to_string());
    let link = Device::on_interface(&interface).with_context(|| {
        format!("Can't find interface {interface}: set Interface to one that `ip link` lists, and start this as root")
    })?;
    info!("{device} is a raw_socket");
    Ok((Link::Foreign(link), device, interface))
}

/// The socket at which a User Mode Linux machine connects; what the configuration calls interface is for scripts.
fn wait_for_machine(settings: &DaemonSettings, paths: &Paths) -> Result<(Link, String, String)> {
    let path = settings.device.clone().unwrap_or_else(|| Paths::run_time(&format!("{}.umlsocket", paths.ident)));
    let device = path.display().to_string();
    let link = Device::for_machine(&path).with_context(|| {
        format!("Could not open UML network socket {device}: set Device to a path that can be used")
    })?;
    info!("{device} is a UML network socket device");
    Ok((Link::Foreign(link), device, settings.interface.clone().unwrap_or_default()))
}

/// A port of a VDE switch.
fn plug_in(
    port: i32,
    group: Option<String>,
    settings: &DaemonSettings,
    paths: &Paths,
) -> Result<(Link, String, String)> {
    let path = settings.device.clone().unwrap_or_else(|| Paths::run_time("vde.ctl"));
    let device = path.display().to_string();
    let options = VdeOptions { description: paths.ident.clone(), port, group };
    let link = Device::in_switch(&path, &options)
        .with_context(|| format!("Could not open VDE socket {device}: is a vde_switch running there?"))?;
    info!("{device} is a VDE socket");
    Ok((Link::Foreign(link), device, settings.interface.clone().unwrap_or_default()))
}

/// A multicast group. There is no interface; what the configuration calls so is for scripts.
fn join_group(group: SocketAddr, ttl: u8, settings: &DaemonSettings) -> Result<(Link, String, String)> {
    let device = settings.device.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let link = Device::in_group(group, ttl).with_context(|| {
        let (ip, port) = (group.ip(), group.port());
        format!("Cannot join multicast group {ip} {port}: is there a route to it, and no other program on that port?")
    })?;
    info!("{device} is a multicast socket");
    Ok((Link::Foreign(link), device, settings.interface.clone().unwrap_or_default()))
}

fn open_interface(kind: Kind, settings: &DaemonSettings, paths: &Paths) -> Result<(Link, String, String)> {
    let path = settings.device.clone().unwrap_or_else(|| "/dev/net/tun".into());
    let name = settings.interface.clone().or_else(|| paths.netname.clone());
    let queues = workers(settings) > 1;
    let options = DeviceOptions { path: Some(path.clone()), name, kind, offloads: settings.offloads.device, queues };
    let device = Device::open(&options).with_context(|| {
        format!("Could not create a tun/tap interface from {}; it needs root and the kernel module tun", path.display())
    })?;
    let interface = device.name().to_owned();
    if device.offloads().is_some()
        && let Err(cause) =
            netlink::Link::open().and_then(|mut link| link.limit_large_packets(&interface, LONGEST_LARGE))
    {
        // Large packets then go as two messages: slower, and right.
        debug!("Could not limit the large packets of {interface}: {cause}");
    }
    let mode = if kind == Kind::Tun { "tun" } else { "tap" };
    info!("{} is a Linux tun/tap device ({mode} mode)", path.display());
    Ok((Link::Interface(device), path.display().to_string(), interface))
}
