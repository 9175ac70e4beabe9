//! Asks the router to pass our ports on, by PCP or NAT-PMP, else by UPnP (variable `UPnP`, spec: meta-protocol 12).
//!
//! ```text
//!  every UPnPRefreshPeriod, and in another network:
//!   pcp ─ fails ─► upnp ─► Mapped ─ channel, waker ─► control loop ─► node
//! ```
//!
//! The only asynchronous part of the daemon: the libraries that do it are, and they have a thread of their own.

mod pcp;
mod upnp;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use tinmesh_core::wire::mapped::Mapped;
use tinmesh_os::poll::Waker;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, warn};

use crate::config;
use crate::daemon::log::PROTOCOL;
use crate::user::outside::Reach;

/// How long the router may take to close the ports again.
const FAREWELL: Duration = Duration::from_secs(2);
/// Changes of the network are not followed faster than this.
const CALM: Duration = Duration::from_secs(1);

/// The thread that speaks with the router.
pub struct Ports {
    stop: oneshot::Sender<()>,
    /// Says nothing, and ends with the thread.
    end: Receiver<()>,
    news: Receiver<Mapped>,
    again: Arc<Notify>,
}

/// What is asked for, and what was granted.
struct Work {
    settings: config::Upnp,
    sockets: Vec<SocketAddr>,
    description: String,
    granted: Arc<Mutex<Vec<Granted>>>,
    news: Sender<Mapped>,
    waker: Waker,
    again: Arc<Notify>,
}

/// A port that a router passes on, to be given back.
#[derive(Clone, Debug)]
enum Granted {
    Pcp(crab_nat::PortMapping),
    Upnp(upnp::Port),
}

/// What goes through the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Udp,
    Tcp,
}

impl Ports {
    /// Begins to ask for the ports of these listening sockets, under this description; wakes `waker` with each change.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn start(
        settings: config::Upnp,
        sockets: &[SocketAddr],
        description: &str,
        waker: Waker,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let (until, end) = channel::<()>();
        let (tell, news) = channel();
        let again = Arc::new(Notify::new());
        let work = Work {
            settings,
            sockets: sockets.iter().copied().filter(|socket| is_public(socket.ip())).collect(),
            description: description.to_owned(),
            granted: Arc::default(),
            news: tell,
            waker,
            again: Arc::clone(&again),
        };
        let run = move || {
            run(&runtime, work, stopped);
            // A name that is being looked up must not hold up the daemon.
            runtime.shutdown_background();
            drop(until);
        };
        Builder::new().name("ports".to_owned()).spawn(run)?;
        Ok(Self { stop, end, news, again })
    }

    /// What the router passes on now, if that has changed.
    pub fn next(&self) -> Option<Mapped> {
        self.news.try_recv().ok()
    }

    /// Asks at once: the network is another.
    pub fn ask_again(&self) {
        self.again.notify_one();
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
fn run(runtime: &Runtime, work: Work, stopped: oneshot::Receiver<()>) {
    let granted = Arc::clone(&work.granted);
    let task = runtime.spawn(refresh(work));
    // An error means that the daemon is gone: the same.
    runtime.block_on(stopped).ok();
    task.abort();
    let granted = std::mem::take(&mut *lock(&granted));
    runtime.block_on(async { timeout(FAREWELL, give_back(granted)).await }).ok();
}

fn lock(granted: &Mutex<Vec<Granted>>) -> MutexGuard<'_, Vec<Granted>> {
    granted.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn refresh(work: Work) {
    let mut told = Mapped::default();
    loop {
        let next = Instant::now() + work.settings.refresh_period;
        let mapped = work.ask().await;
        if std::mem::replace(&mut told, mapped) != mapped && work.news.send(mapped).is_ok() {
            work.waker.wake();
        }
        sleep(CALM).await;
        // Either the time has come, or the network has changed.
        timeout_at(next, work.again.notified()).await.ok();
    }
}

async fn give_back(granted: Vec<Granted>) {
    for granted in granted {
        match granted {
            Granted::Pcp(mapping) => pcp::give_back(mapping).await,
            Granted::Upnp(port) => port.give_back().await,
        }
    }
}

impl Work {
    async fn ask(&self) -> Mapped {
        if let Some(mapped) = pcp::ask(self).await {
            return mapped;
        }
        upnp::ask(self).await.unwrap_or_default()
    }

    /// What is to be passed on to this address of ours.
    fn wanted(&self, local: IpAddr) -> Vec<(Protocol, NonZeroU16)> {
        let fits = |socket: &&SocketAddr| socket.ip().is_unspecified() || socket.ip() == local;
        let ports = self.sockets.iter().filter(fits).filter_map(|socket| NonZeroU16::new(socket.port()));
        let protocols: &[Protocol] = if self.settings.tcp { &[Protocol::Udp, Protocol::Tcp] } else { &[Protocol::Udp] };
        ports.flat_map(|port| protocols.iter().map(move |&protocol| (protocol, port))).collect()
    }

    /// How long the router is to remember, in seconds.
    fn lease(&self) -> u32 {
        u32::try_from(2 * self.settings.refresh_period.as_secs()).unwrap_or(u32::MAX)
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// The address outside, if others can use it: a router that is behind another NAT tells one that they cannot.
fn outside(ip: IpAddr, port: u16) -> Option<Mapped> {
    let usable = ip.is_ipv4() && Reach::of(ip) == Reach::Everywhere;
    let mapped = Mapped::default().with(SocketAddr::new(ip, port)).filter(|_| usable);
    if mapped.is_none() {
        debug!(target: PROTOCOL, "[upnp] The router is itself behind a NAT: its address {ip} is of no use to others");
    }
    mapped
}

/// Whether a router can have packets for a socket: it speaks IPv4, and not with our loopback.
const fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback(),
        IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_others_can_use_are_told() {
        let told = |ip: &str| outside(ip.parse().unwrap(), 655).is_some();
        assert!(told("11.0.0.1") && told("100.128.0.1"));
        for wrong in
            ["10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "127.0.0.1", "::1"]
        {
            assert!(!told(wrong), "{wrong}");
        }
    }
}
