//! Asks the router to pass our ports on, by PCP or NAT-PMP, else by UPnP (variable `UPnP`, spec: meta-protocol 12).
//!
//! ```text
//!  when `lease` says so, and in another network:
//!   pcp ─ fails ─► upnp ─► Standing ─ channel, waker ─► control loop ─► Mapped ─► node
//! ```
//!
//! The only asynchronous part of the daemon: the libraries that do it are, and they have a thread of their own.

mod lease;
mod pcp;
mod upnp;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use tinmesh_core::wire::mapped::Mapped;
use tinmesh_os::poll::Waker;
use tinmesh_os::udp;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::config;
use lease::{CALM, Keeper, Lease, Standing};

/// How long the router may take to close the ports again.
const FAREWELL: Duration = Duration::from_secs(2);

/// The thread that speaks with the router.
pub struct Ports {
    stop: oneshot::Sender<()>,
    /// Says nothing, and ends with the thread.
    end: Receiver<()>,
    news: Receiver<Standing>,
    again: Arc<Notify>,
}

/// What is asked for, and what was granted.
struct Work {
    settings: config::Upnp,
    sockets: Vec<SocketAddr>,
    description: String,
    granted: Arc<Mutex<Vec<Granted>>>,
    news: Sender<Standing>,
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

    /// What the router passes on now, if it was asked since the last call.
    pub fn next(&self) -> Option<Mapped> {
        let standing = self.news.try_iter().last()?;
        Some(standing.told().and_then(|told| Mapped::default().with(told)).unwrap_or_default())
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
    let mut keeper = Keeper::new(work.settings.refresh_period);
    loop {
        match work.ask().await {
            Some(lease) => keeper.on_granted(lease, Instant::now()),
            None => keeper.on_failed(Instant::now(), is_ours),
        }
        if work.news.send(keeper.standing().clone()).is_ok() {
            work.waker.wake();
        }
        let wait = keeper.wait(Instant::now());
        sleep(CALM).await;
        if timeout(wait.saturating_sub(CALM), work.again.notified()).await.is_ok() {
            keeper.on_other_network();
        }
    }
}

/// Whether this machine is still where the router passes datagrams on to.
fn is_ours(lease: &Lease) -> bool {
    udp::local_address_towards(SocketAddr::new(lease.router, 9)).is_ok_and(|local| local == lease.local)
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
    async fn ask(&self) -> Option<Lease> {
        match pcp::ask(self).await {
            Some(lease) => Some(lease),
            None => upnp::ask(self).await,
        }
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

/// Whether a router can have packets for a socket: it speaks IPv4, and not with our loopback.
const fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback(),
        IpAddr::V6(_) => false,
    }
}
