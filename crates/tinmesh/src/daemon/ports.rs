//! Asks routers to pass our ports on, by PCP or NAT-PMP, else by UPnP; to let them in, with IPv6, by PCP (variable `UPnP`, spec:
//! meta-protocol 12).
//!
//! ```text
//!  when `lease` says so, and in another network:
//!   IPv4: pcp ─ fails ─► upnp ─┐
//!   IPv6: pinhole ─────────────┴─► Standing ─ channel, waker ─► control loop ─► Endpoints ─► node
//! ```
//!
//! The only asynchronous part of the daemon: the libraries that do it are, and they have a thread of their own.

mod lease;
mod pcp;
mod pinhole;
mod upnp;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use tinmesh_core::wire::endpoint::Endpoints;
use tinmesh_os::netlink::{Link, Route};
use tinmesh_os::poll::Waker;
use tinmesh_os::udp;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::config;
use crate::control::dump::ports::{HeldPort, PortLine};
use lease::{CALM, Keeper, Lease, Standing};

/// How long the router may take to close the ports again.
const FAREWELL: Duration = Duration::from_secs(2);

/// The thread that speaks with the router.
pub struct Ports {
    stop: oneshot::Sender<()>,
    /// Says nothing, and ends with the thread.
    end: Receiver<()>,
    news: Receiver<(Family, Standing)>,
    standings: Vec<(Family, Standing)>,
    network: watch::Sender<()>,
}

/// What is asked for, and what was granted.
struct Work {
    settings: config::Upnp,
    sockets: Vec<SocketAddr>,
    description: String,
    granted: Mutex<Vec<Granted>>,
    news: Sender<(Family, Standing)>,
    waker: Waker,
    network: watch::Receiver<()>,
}

/// A port that a router passes on, to be given back.
#[derive(Clone, Debug)]
enum Granted {
    Pcp(crab_nat::PortMapping),
    Upnp(upnp::Port),
    Pinhole(pinhole::Hole),
}

/// Whose routers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
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
        let (network, changes) = watch::channel(());
        let sockets: Vec<SocketAddr> = sockets.iter().copied().filter(|socket| !socket.ip().is_loopback()).collect();
        let mut families = vec![Family::V4, Family::V6];
        families.retain(|family| sockets.iter().any(|socket| family.has(socket.ip())));
        let standings = families.iter().map(|family| (*family, Standing::default())).collect();
        let work = Work {
            settings,
            sockets,
            description: description.to_owned(),
            granted: Mutex::default(),
            news: tell,
            waker,
            network: changes,
        };
        let run = move || {
            run(&runtime, &Arc::new(work), &families, stopped);
            // A name that is being looked up must not hold up the daemon.
            runtime.shutdown_background();
            drop(until);
        };
        Builder::new().name("ports".to_owned()).spawn(run)?;
        Ok(Self { stop, end, news, standings, network })
    }

    /// What the router passes on now, if it was asked since the last call.
    pub fn next(&mut self) -> Option<Endpoints> {
        let (family, standing) = self.news.try_recv().ok()?;
        let known = self.standings.iter_mut().find(|(known, _)| *known == family)?;
        known.1 = standing;
        let told = self.standings.iter().filter_map(|(_, standing)| standing.told());
        Some(told.fold(Endpoints::default(), |mapped, address| mapped.with(address).unwrap_or(mapped)))
    }

    /// The same in lines for control clients, at this time in seconds since 1970.
    pub fn lines(&self, unix_seconds: u64) -> Vec<PortLine> {
        let now = Instant::now();
        let line = |(family, standing): &(Family, Standing)| {
            let held = standing.held.as_ref().map(|(lease, until)| HeldPort {
                protocol: lease.by.name().to_owned(),
                router: lease.router,
                address: lease.outer,
                until: unix_seconds + until.saturating_duration_since(now).as_secs(),
                usable: lease.told().is_some(),
            });
            PortLine { family: family.name().to_owned(), held: held.ok_or(standing.failures) }
        };
        self.standings.iter().map(line).collect()
    }

    /// Asks at once: the network is another.
    pub fn ask_again(&self) {
        self.network.send_replace(());
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
fn run(runtime: &Runtime, work: &Arc<Work>, families: &[Family], stopped: oneshot::Receiver<()>) {
    let tasks: Vec<_> = families.iter().map(|&family| runtime.spawn(refresh(Arc::clone(work), family))).collect();
    // An error means that the daemon is gone: the same.
    runtime.block_on(stopped).ok();
    tasks.iter().for_each(JoinHandle::abort);
    let granted = std::mem::take(&mut *lock(&work.granted));
    runtime.block_on(async { timeout(FAREWELL, give_back(granted)).await }).ok();
}

fn lock(granted: &Mutex<Vec<Granted>>) -> MutexGuard<'_, Vec<Granted>> {
    granted.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn refresh(work: Arc<Work>, family: Family) {
    let mut keeper = Keeper::new(work.settings.refresh_period);
    let mut network = work.network.clone();
    loop {
        match work.ask(family).await {
            Some(lease) => keeper.on_granted(lease, Instant::now()),
            None => keeper.on_failed(Instant::now(), is_ours),
        }
        if work.news.send((family, keeper.standing().clone())).is_ok() {
            work.waker.wake();
        }
        let wait = keeper.wait(Instant::now());
        sleep(CALM).await;
        if timeout(wait.saturating_sub(CALM), network.changed()).await.is_ok() {
            keeper.on_other_network();
        }
    }
}

/// Whether this machine is still where the router passes datagrams on to.
fn is_ours(lease: &Lease) -> bool {
    match lease.router {
        IpAddr::V4(_) => {
            udp::local_address_towards(SocketAddr::new(lease.router, 9)).is_ok_and(|local| local == lease.local)
        }
        IpAddr::V6(_) => pinhole::own_address().is_some_and(|own| own == lease.local),
    }
}

/// The default route that packets take to addresses of this kind.
fn default_route(is_wanted: fn(&IpAddr) -> bool) -> Option<Route> {
    let routes = Link::open().and_then(|mut link| link.routes()).ok()?;
    let is_default = |route: &&Route| route.destination.len == 0 && route.gateway.as_ref().is_some_and(is_wanted);
    routes.iter().filter(is_default).min_by_key(|route| (route.metric, route.gateway)).copied()
}

/// All at once: a router that is silent does not keep others from hearing it.
async fn give_back(granted: Vec<Granted>) {
    let mut tasks = JoinSet::new();
    for granted in granted {
        tasks.spawn(async {
            match granted {
                Granted::Pcp(mapping) => pcp::give_back(mapping).await,
                Granted::Upnp(port) => port.give_back().await,
                Granted::Pinhole(hole) => hole.give_back().await,
            }
        });
    }
    tasks.join_all().await;
}

impl Work {
    async fn ask(&self, family: Family) -> Option<Lease> {
        match family {
            Family::V4 => match pcp::ask(self).await {
                Some(lease) => Some(lease),
                None => upnp::ask(self).await,
            },
            Family::V6 => pinhole::ask(self).await,
        }
    }

    /// What is to be passed on to this address of ours.
    fn wanted(&self, local: IpAddr) -> Vec<(Protocol, NonZeroU16)> {
        let any = |ip: IpAddr| ip.is_unspecified() && ip.is_ipv4() == local.is_ipv4();
        let fits = |socket: &&SocketAddr| any(socket.ip()) || socket.ip() == local;
        let ports = self.sockets.iter().filter(fits).filter_map(|socket| NonZeroU16::new(socket.port()));
        let protocols: &[Protocol] = if self.settings.tcp { &[Protocol::Udp, Protocol::Tcp] } else { &[Protocol::Udp] };
        ports.flat_map(|port| protocols.iter().map(move |&protocol| (protocol, port))).collect()
    }

    /// How long the router is to remember, in seconds.
    fn lease(&self) -> u32 {
        u32::try_from(2 * self.settings.refresh_period.as_secs()).unwrap_or(u32::MAX)
    }
}

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    const fn has(self, ip: IpAddr) -> bool {
        match self {
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
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
