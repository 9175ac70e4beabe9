//! Asks the router to pass our ports on (variable `UPnP`, spec: meta-protocol 12).
//!
//! The only asynchronous part of the daemon: the library that does it is, and it has a thread of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{GatewayIpVersion, PortMappingProtocol, SearchOptions};
use tinmesh_os::udp;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use crate::config;
use crate::daemon::log::PROTOCOL;

/// How long the router may take to close the ports again.
const FAREWELL: Duration = Duration::from_secs(2);

/// The thread that speaks with the router.
pub struct Upnp {
    stop: oneshot::Sender<()>,
    /// Says nothing, and ends with the thread.
    end: Receiver<()>,
}

/// What is asked for.
#[derive(Clone, Debug)]
struct Wish {
    settings: config::Upnp,
    sockets: Vec<SocketAddr>,
    description: String,
    /// What the router has granted, to be given back.
    granted: Arc<Mutex<Option<Granted>>>,
}

#[derive(Clone, Debug)]
struct Granted {
    gateway: Gateway<Tokio>,
    ports: Vec<(PortMappingProtocol, u16)>,
}

impl Upnp {
    /// Begins to ask for the ports of these listening sockets, under this description.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn start(settings: config::Upnp, sockets: &[SocketAddr], description: &str) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let (until, end) = channel::<()>();
        let sockets = sockets.iter().copied().filter(|socket| is_public(socket.ip())).collect();
        let wish = Wish { settings, sockets, description: description.to_owned(), granted: Arc::default() };
        let work = move || {
            run(&runtime, &wish, stopped);
            // A name that is being looked up must not hold up the daemon.
            runtime.shutdown_background();
            drop(until);
        };
        Builder::new().name("upnp".to_owned()).spawn(work)?;
        Ok(Self { stop, end })
    }

    /// Gives the ports back, if the router answers in time.
    pub fn finish(self) {
        // If nobody listens the thread has ended.
        self.stop.send(()).ok();
        if self.end.recv_timeout(2 * FAREWELL) == Err(RecvTimeoutError::Timeout) {
            warn!("[upnp] The router does not answer: it closes the ports by itself later");
        }
    }
}

/// Until it is told to stop; work goes on only while that is waited for.
fn run(runtime: &Runtime, wish: &Wish, stopped: oneshot::Receiver<()>) {
    let work = runtime.spawn(refresh(wish.clone()));
    // An error means that the daemon is gone: the same.
    runtime.block_on(stopped).ok();
    work.abort();
    let granted = wish.granted.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(granted) = granted {
        runtime.block_on(async { timeout(FAREWELL, give_back(&granted)).await }).ok();
    }
}

async fn refresh(wish: Wish) {
    loop {
        let next = Instant::now() + wish.settings.refresh_period;
        match find(&wish).await {
            Ok((gateway, local)) => wish.ask(&gateway, local).await,
            Err(reason) => debug!(target: PROTOCOL, "[upnp] Unable to find a router that opens ports: {reason}"),
        }
        sleep_until(next).await;
    }
}

/// A router, and this machine's address towards it.
async fn find(wish: &Wish) -> Result<(Gateway<Tokio>, IpAddr), String> {
    let mut options = SearchOptions::default();
    options.timeout = Some(wish.settings.discover_wait);
    options.gateway_ip_version = GatewayIpVersion::V4;
    let gateway = search_gateway(options).await.map_err(|error| error.to_string())?;
    let local = udp::local_address_towards(gateway.addr).map_err(|error| error.to_string())?;
    Ok((gateway, local))
}

impl Wish {
    async fn ask(&self, gateway: &Gateway<Tokio>, local: IpAddr) {
        let fits = |socket: &&SocketAddr| socket.ip().is_unspecified() || socket.ip() == local;
        for port in self.sockets.iter().filter(fits).map(SocketAddr::port) {
            self.ask_for(gateway, PortMappingProtocol::UDP, SocketAddr::new(local, port)).await;
            if self.settings.tcp {
                self.ask_for(gateway, PortMappingProtocol::TCP, SocketAddr::new(local, port)).await;
            }
        }
    }

    async fn ask_for(&self, gateway: &Gateway<Tokio>, protocol: PortMappingProtocol, to: SocketAddr) {
        let lease = u32::try_from(2 * self.settings.refresh_period.as_secs()).unwrap_or(u32::MAX);
        let port = to.port();
        match gateway.add_port(protocol, port, to, lease, &self.description).await {
            Ok(()) => {
                debug!(target: PROTOCOL, "[upnp] The router at {} passes {protocol} port {port} on", gateway.addr);
                self.remember(gateway, protocol, port);
            }
            Err(error) => debug!(target: PROTOCOL, "[upnp] The router refuses {protocol} port {port}: {error}"),
        }
    }

    fn remember(&self, gateway: &Gateway<Tokio>, protocol: PortMappingProtocol, port: u16) {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let same = granted.take().filter(|granted| granted.gateway.addr == gateway.addr);
        let mut ports = same.map(|granted| granted.ports).unwrap_or_default();
        if !ports.contains(&(protocol, port)) {
            ports.push((protocol, port));
        }
        *granted = Some(Granted { gateway: gateway.clone(), ports });
    }
}

async fn give_back(granted: &Granted) {
    for &(protocol, port) in &granted.ports {
        match granted.gateway.remove_port(protocol, port).await {
            Ok(()) => debug!(target: PROTOCOL, "[upnp] The router closes {protocol} port {port}"),
            Err(error) => debug!(target: PROTOCOL, "[upnp] {protocol} port {port} is not closed: {error}"),
        }
    }
}

/// Whether a router can have packets for a socket: it speaks IPv4, and not with our loopback.
const fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback(),
        IpAddr::V6(_) => false,
    }
}
