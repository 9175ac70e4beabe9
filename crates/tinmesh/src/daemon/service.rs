//! The service manager that started the daemon: readiness, the watchdog, inherited sockets (spec: configuration 11).
//!
//! The socket for notices is connected once, at the start: after `-R` its path would lead nowhere.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tinmesh_core::time::Instant;
use tinmesh_os::{clock, process, tcp};
use tracing::{info, warn};

use crate::daemon::worker::Pulse;

/// The first inherited descriptor.
const FIRST_FD: i32 = 3;
/// Sockets that may be inherited.
const MAX_SOCKETS: i32 = 8;
/// A shorter period leaves no room for a slow disk or a busy machine.
const SHORT_PERIOD: Duration = Duration::from_secs(2);

/// A number in the environment, which is taken away.
fn take_number<T: std::str::FromStr>(name: &str) -> Option<T> {
    process::take_variable(name)?.to_str()?.parse().ok()
}

/// Listening sockets that this process was started with.
#[derive(Debug, Default)]
pub struct Inherited {
    count: i32,
    meant: bool,
}

impl Inherited {
    /// What the environment says of them.
    pub fn from_environment() -> Self {
        let pid: Option<u32> = take_number("LISTEN_PID");
        let count = take_number("LISTEN_FDS").unwrap_or(0);
        process::take_variable("LISTEN_FDNAMES");
        // Meant for another process that happened to pass its environment on.
        let others = pid.is_some_and(|pid| pid != std::process::id());
        Self { count: if others { 0 } else { count }, meant: pid.is_some() && !others }
    }

    /// Whether they are meant for this very process, which then has to keep its number.
    pub const fn are_ours(&self) -> bool {
        self.meant
    }

    /// Takes the sockets.
    ///
    /// # Errors
    /// If there are too many, or one is no listening TCP socket.
    pub fn listeners(&self) -> Result<Vec<TcpListener>> {
        if self.count > MAX_SOCKETS {
            bail!("Too many listening sockets: {} were inherited, {MAX_SOCKETS} can be used", self.count);
        }
        let adopt = |fd| {
            process::adopt_fd(fd)
                .and_then(tcp::adopt_listener)
                .with_context(|| format!("Inherited descriptor {fd}: name TCP sockets only (ListenStream=)"))
        };
        (FIRST_FD..FIRST_FD.saturating_add(self.count)).map(adopt).collect()
    }
}

/// The service manager, if there is one that listens.
#[derive(Debug, Default)]
pub struct Service {
    socket: Option<UnixDatagram>,
    watchdog: Option<Watchdog>,
    /// Nodes that can be reached, for the status line.
    reachable: usize,
}

/// Who expects a sign of life.
#[derive(Debug)]
struct Watchdog {
    /// Time between two signs: half of the period.
    every: Duration,
    next: Instant,
    pulses: Vec<Pulse>,
}

impl Service {
    /// Connects to the one that the environment names.
    pub fn from_environment() -> Self {
        let path = process::take_variable("NOTIFY_SOCKET");
        let usec: Option<u64> = take_number("WATCHDOG_USEC");
        let pid: Option<u32> = take_number("WATCHDOG_PID");
        let socket = path.as_ref().and_then(|path| connect(path.as_encoded_bytes()).ok());
        let ours = pid.is_none_or(|pid| pid == std::process::id());
        let watchdog = usec.filter(|&usec| usec > 0 && ours && socket.is_some()).map(|usec| Watchdog {
            every: Duration::from_micros(usec) / 2,
            next: Instant::from_micros(0),
            pulses: Vec::new(),
        });
        Self { socket, watchdog, reachable: 0 }
    }

    /// The daemon is in its loop; `pulses` are those of the threads that have to live.
    pub fn ready(&mut self, pulses: Vec<Pulse>) {
        self.tell("READY=1");
        if self.socket.is_none() {
            return;
        }
        let Some(watchdog) = self.watchdog.as_mut() else { return info!("Watchdog is disabled") };
        watchdog.pulses = pulses;
        if watchdog.every * 2 < SHORT_PERIOD {
            warn!("Watchdog period {} ms is short: a busy machine may miss it", (watchdog.every * 2).as_millis());
        }
        info!("Watchdog started");
    }

    /// The configuration is about to be read anew.
    pub fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::now_micros()));
    }

    /// The configuration was read, or is as it was.
    pub fn reloaded(&self) {
        self.tell("READY=1");
    }

    /// The daemon ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// A node came or went.
    pub fn count_node(&mut self, up: bool) {
        self.reachable = if up { self.reachable + 1 } else { self.reachable.saturating_sub(1) };
        self.tell(&format!("STATUS={} nodes can be reached", self.reachable));
    }

    /// When a sign of life is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.watchdog.as_ref().map(|watchdog| watchdog.next)
    }

    /// Gives the sign of life if it is due and every worker has moved since it was last asked to.
    pub fn on_time(&mut self, time: Instant) {
        let Some(watchdog) = self.watchdog.as_mut().filter(|watchdog| watchdog.next <= time) else { return };
        watchdog.next = time + watchdog.every;
        // All are asked again, whatever the first one says.
        let lively = watchdog.pulses.iter_mut().map(Pulse::ask).fold(true, |all, one| all & one);
        if lively {
            self.tell("WATCHDOG=1");
        } else {
            warn!("A worker does not answer: the service manager's watchdog gets no sign of life");
        }
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // Whoever does not listen any more is not waited for.
            socket.send(text.as_bytes()).ok();
        }
    }
}

/// A path, or a name without file if it begins with `@`.
fn connect(path: &[u8]) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match path.strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => {
            use std::os::unix::ffi::OsStrExt as _;
            socket.connect(std::ffi::OsStr::from_bytes(path))?;
        }
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Service, UnixDatagram) {
        let (socket, manager) = UnixDatagram::pair().unwrap();
        manager.set_nonblocking(true).unwrap();
        (Service { socket: Some(socket), ..Service::default() }, manager)
    }

    fn heard(manager: &UnixDatagram) -> Vec<String> {
        let mut space = [0; 256];
        std::iter::from_fn(|| {
            manager.recv(&mut space).ok().map(|len| String::from_utf8_lossy(&space[..len]).into_owned())
        })
        .collect()
    }

    #[test]
    fn a_worker_that_hangs_stops_the_signs_of_life() {
        let (mut service, manager) = pair();
        let every = Duration::from_secs(5);
        let (pulse, beat) = Pulse::pair_for_test();
        service.watchdog = Some(Watchdog { every, next: Instant::from_micros(0), pulses: vec![pulse] });
        let at = |seconds: u64| Instant::from_micros(seconds * 1_000_000);

        service.on_time(at(1));
        assert_eq!(heard(&manager), ["WATCHDOG=1"], "nobody was asked before");
        beat();
        service.on_time(at(6));
        assert_eq!(heard(&manager), ["WATCHDOG=1"]);
        service.on_time(at(7));
        assert!(heard(&manager).is_empty(), "not due");
        service.on_time(at(11));
        assert!(heard(&manager).is_empty(), "the worker did not move");
        beat();
        service.on_time(at(16));
        assert_eq!(heard(&manager), ["WATCHDOG=1"]);
    }

    #[test]
    fn the_status_counts_nodes() {
        let (mut service, manager) = pair();
        service.count_node(true);
        service.count_node(true);
        service.count_node(false);
        assert_eq!(heard(&manager).last().unwrap(), "STATUS=1 nodes can be reached");
    }
}
