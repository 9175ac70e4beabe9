//! The daemon: opens what it needs, starts the threads, and runs until it is told to stop.
//!
//! Source: spec configuration 6, 10, 11.

mod confine;
mod control_loop;
mod control_sockets;
mod drops;
pub mod errands;
mod events;
mod extra_sockets;
mod hostnames;
mod interface;
mod lifeline;
pub mod log;
mod meta_sockets;
mod names;
mod network;
mod opening;
mod outgoing;
mod own_subnets;
mod packet_log;
mod ports;
mod program;
mod proxying;
mod reload;
mod resolver;
mod run_files;
mod scripts;
mod service;
mod shared;
mod standby;
mod store;
mod token;
mod worker;

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock, atomic::AtomicBool};

use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_core::node::Node;
use tinmesh_core::time::Instant;
use tinmesh_os::clock;
use tinmesh_os::netlink::{Link as Netlink, Monitor};
use tinmesh_os::poll::{Interest, Poller, Waker};
use tinmesh_os::process::{self, Detached, User};
use tinmesh_os::signals::Signals;
use tracing::{error, info, warn};

use crate::config::{self, DaemonSettings, Loaded, Override, Sandbox};
use crate::daemon::confine::Confinement;
use crate::daemon::control_loop::{Clients, ControlLoop, Times};
use crate::daemon::control_sockets::ControlSockets;
use crate::daemon::errands::Errands;
use crate::daemon::extra_sockets::ExtraSockets;
use crate::daemon::hostnames::Hostnames;
use crate::daemon::lifeline::Lifeline;
use crate::daemon::log::{Log, NOTICE, Target};
use crate::daemon::meta_sockets::{MetaSockets, Outgoing};
use crate::daemon::names::Names;
use crate::daemon::opening::Opened;
use crate::daemon::own_subnets::OwnSubnets;
use crate::daemon::ports::Ports;
use crate::daemon::proxying::Proxying;
use crate::daemon::reload::Reload;
use crate::daemon::resolver::Resolver;
use crate::daemon::run_files::RunFiles;
use crate::daemon::scripts::{FAREWELL, ScriptSettings, Scripts};
use crate::daemon::service::{Inherited, Service};
use crate::daemon::shared::{CAPTURE_QUEUE, Movement, PUNT_QUEUE, Shared};
use crate::daemon::standby::Standby;
use crate::daemon::store::Store;
use crate::daemon::token::Token;
use crate::daemon::worker::Worker;
use crate::files;
use crate::paths::Paths;

/// What the command line of `tincd` says.
#[derive(Clone, Debug, Default)]
pub struct DaemonOptions {
    /// Stay in the foreground.
    pub foreground: bool,
    /// Debug level; `None`: what `LogLevel` says.
    pub debug: Option<i32>,
    /// Keep memory out of swap.
    pub lock_memory: bool,
    /// Where the log goes; `None`: standard error in the foreground, else the system log.
    pub log: Option<Target>,
    /// Change the root directory to the configuration directory.
    pub chroot: bool,
    /// Become this user.
    pub user: Option<String>,
    /// Settings from the command line.
    pub overrides: Vec<Override>,
}

/// Runs the daemon; returns when it has stopped.
///
/// # Errors
/// What kept it from starting, or made it stop, unless standard error tells that already.
pub fn run(paths: &Paths, options: &DaemonOptions) -> Result<ExitCode> {
    std::env::set_current_dir(&paths.confbase).with_context(|| {
        format!(
            "Could not change to configuration directory {}; make a configuration with `tinmesh up` or `tinc init`",
            paths.confbase.display()
        )
    })?;
    let umbilical = take_umbilical();
    let inherited = Inherited::from_environment();
    let loaded = config::load(paths, &options.overrides)?;
    let user = options.user.as_deref().map(find_user).transpose()?;
    // A process that was given sockets by its number has to keep that.
    let options = &DaemonOptions { foreground: options.foreground || inherited.are_ours(), ..options.clone() };
    let inherited = if options.foreground { inherited } else { Inherited::default() };
    if !options.foreground && process::detach().context("Could not detach from the terminal")? == Detached::Parent {
        return Ok(ExitCode::SUCCESS);
    }
    let log = start_log(paths, options, &loaded.daemon, umbilical);
    let result = Startup { paths, options, user, log }.run(loaded, &inherited);
    if let Err(cause) = &result {
        error!("{cause:#}");
    }
    info!(target: NOTICE, "Terminating");
    match result {
        Err(cause) if target(options) != Target::Stderr => Err(cause),
        Err(_) => Ok(ExitCode::FAILURE),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

fn find_user(name: &str) -> Result<User> {
    User::find(name).with_context(|| format!("unknown user `{name}'"))
}

/// Where the log is to go.
fn target(options: &DaemonOptions) -> Target {
    options.log.clone().unwrap_or(if options.foreground { Target::Stderr } else { Target::Syslog })
}

/// The descriptor on which the process that started this one listens (spec: configuration 11).
fn take_umbilical() -> Option<(File, bool)> {
    let text = std::env::var("TINC_UMBILICAL").ok()?;
    let mut words = text.split_whitespace();
    let fd: RawFd = words.next()?.parse().ok()?;
    let colour = words.next() == Some("1");
    Some((process::adopt_fd(fd).ok()?.into(), colour))
}

fn start_log(
    paths: &Paths,
    options: &DaemonOptions,
    settings: &DaemonSettings,
    umbilical: Option<(File, bool)>,
) -> Log {
    let level = options.debug.unwrap_or(settings.log_level);
    let log = Log::install(&paths.ident, level);
    // Standard error may be /dev/null.
    panic::set_hook(Box::new(|panic| error!("This is a bug of tinmesh: {panic}")));
    if let Some((file, colour)) = umbilical {
        log.set_umbilical(file, colour);
    }
    open_log(&log, &target(options), paths);
    let version = env!("CARGO_PKG_VERSION");
    info!(target: NOTICE, "tincd {version} (tinmesh) starting, debug level {level}");
    log
}

/// Sends the log where it was asked for. Like tinc, a daemon goes on without a log rather than not at all.
fn open_log(log: &Log, wanted: &Target, paths: &Paths) {
    let Err(cause) = log.redirect(wanted) else { return };
    let reason = files::reason(&cause);
    match wanted {
        Target::Stderr => {}
        Target::File(path) => {
            error!("Could not open log file {}: {reason}", path.display());
            log.silence();
        }
        Target::Syslog if log.redirect(&Target::File(paths.log_file.clone())).is_ok() => {
            info!("The system log cannot be reached ({reason}): the log is here");
        }
        Target::Syslog => warn!("Could not open the system log ({reason}), nor {}", paths.log_file.display()),
    }
}

/// The steps from a read configuration to a running daemon.
struct Startup<'a> {
    paths: &'a Paths,
    options: &'a DaemonOptions,
    user: Option<User>,
    log: Log,
}

impl Startup<'_> {
    fn run(self, mut loaded: Loaded, inherited: &Inherited) -> Result<()> {
        let service = Service::from_environment();
        for notice in &self.paths.notices {
            if notice.starts_with("Could not") { warn!("{notice}") } else { info!("{notice}") }
        }
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        if self.options.lock_memory {
            process::lock_memory().context("Could not lock memory: mlockall")?;
        }
        // Only a debugger of the same user is kept out by this, so failure is harmless.
        process::forbid_dumps().ok();
        let files = RunFiles::claim(self.paths)?;
        let opened = Opened::open(&loaded.daemon, self.paths, inherited.listeners()?)?;
        loaded.node.port = opened.port;
        loaded.node.sockets.clone_from(&opened.addresses);
        loaded.node.policy.frames = opened.link.frames().unwrap_or_default();
        let files = files.create(&opened)?;
        let names = self.open_names(&loaded);
        let loses_rights = self.user.is_some() || self.options.chroot || loaded.daemon.sandbox != Sandbox::Off;
        let guard = files.guard(loses_rights)?;
        let scripts = self.script_settings(&loaded, &opened);
        let standby = Standby::new(opened.link.interface(), &loaded.daemon);
        standby.start(&scripts)?;
        let own_subnets = OwnSubnets::bring_up(loaded.node.name.as_str(), &loaded.node.subnets, &scripts);
        if let Some(nice) = loaded.daemon.process_priority {
            process::set_priority(nice).context("Could not set ProcessPriority")?;
        }
        let monitor = open_monitor(&opened);
        let confinement = Confinement { user: self.user.as_ref(), chroot: self.options.chroot, log: self.log.path() };
        let (scripts, result) = match confine::confine(confinement, &loaded.daemon, &scripts) {
            Ok((scripts, errands)) => {
                let started =
                    Started { files: &files, service, names, own_subnets, standby: standby.clone(), monitor, errands };
                let serving = AssertUnwindSafe(|| self.serve(loaded, opened, started, scripts.clone()));
                let result = panic::catch_unwind(serving).unwrap_or_else(|_| bail!("the control thread panicked"));
                (scripts, result)
            }
            Err(cause) => (scripts, Err(cause)),
        };
        standby.finish(&scripts);
        drop(guard);
        result
    }

    fn open_names(&self, loaded: &Loaded) -> Option<Names> {
        if !loaded.daemon.hosts_file {
            return None;
        }
        let network = self.paths.netname.clone().unwrap_or_else(|| "tinmesh".to_owned());
        let ranges = loaded.daemon.ifconfig.clone();
        Names::new(names::HOSTS_FILE.as_ref(), &network, ranges)
            .inspect_err(|cause| warn!("Names of members will not be known here: {}: {cause}", names::HOSTS_FILE))
            .ok()
    }

    fn script_settings(&self, loaded: &Loaded, opened: &Opened) -> ScriptSettings {
        let mut environment = vec![("NAME".to_owned(), loaded.node.name.to_string())];
        if let Some(netname) = &self.paths.netname {
            environment.push(("NETNAME".to_owned(), netname.clone()));
        }
        environment.push(("DEVICE".to_owned(), opened.device.clone()));
        environment.push(("INTERFACE".to_owned(), opened.interface.clone()));
        if self.log.level() >= 0 {
            environment.push(("DEBUG".to_owned(), self.log.level().to_string()));
        }
        ScriptSettings {
            confbase: self.paths.confbase.clone(),
            errands: None,
            extension: loaded.daemon.scripts_extension.clone(),
            interpreter: loaded.daemon.scripts_interpreter.clone(),
            environment,
        }
    }

    /// Starts threads, and runs the control loop.
    fn serve(
        &self,
        loaded: Loaded,
        opened: Opened,
        started: Started<'_>,
        script_settings: ScriptSettings,
    ) -> Result<()> {
        let Started { files, service, names, own_subnets, standby, monitor, errands } = started;
        let confbase = script_settings.confbase.clone();
        let signals = Signals::block().context("Could not block signals")?;
        let waker = Waker::new().context("Could not make a waker")?;
        let poller = make_poller(&waker, &signals, monitor.as_ref())?;
        let paths = Paths { confbase: confbase.clone(), ..self.paths.clone() };
        let reload = Reload::new(paths, self.options.overrides.clone(), &loaded, opened.link.frames());
        let extra = extra_sockets(&opened, &loaded)?;
        let outgoing = Outgoing { options: opened.tcp_options(&loaded.daemon), bind: opened.outgoing };
        let ports = self.start_ports(&loaded, &opened.addresses, &waker);
        let meta = MetaSockets::new(opened.listeners, outgoing, &poller)?;
        let control = ControlSockets::new(files.listener()?, files.cookie(), &poller)?;
        let lifeline = Lifeline::new(waker.clone());
        let resolver = Resolver::start(waker.clone(), loaded.daemon.address_family, &lifeline)?;
        let proxying = Proxying::new(loaded.daemon.proxy.clone(), names_of(&script_settings));
        let mut hostnames = Hostnames::default();
        hostnames.change(loaded.daemon.hostnames, &lifeline)?;
        let scripts = Scripts::start(script_settings, &lifeline)?;
        let (node, fib) = make_node(loaded)?;
        let (captured, shown) = sync_channel(CAPTURE_QUEUE);
        let shared = Arc::new(Shared {
            fib: ArcSwap::new(fib),
            lanes: opened.lanes,
            extra,
            link: opened.link,
            drops: DropReason::ALL.iter().map(|_| Default::default()).collect(),
            movement: Movement::default(),
            captures: AtomicBool::new(false),
            captured,
            failure: OnceLock::new(),
            stop: AtomicBool::new(false),
            control: waker,
        });
        let (words, heard) = sync_channel(PUNT_QUEUE);
        let workers: Vec<Worker> = (0..shared.lanes.len())
            .map(|number| Worker::start(Arc::clone(&shared), number, words.clone(), &lifeline))
            .collect::<Result<_, _>>()?;
        // The workers' ends are the only ones: they tell when all are gone.
        drop(words);
        info!(target: NOTICE, "Ready");
        self.log.cut_umbilical();
        let mut control_loop = ControlLoop {
            node,
            shared: Arc::clone(&shared),
            poller,
            meta,
            control,
            signals,
            lifeline,
            monitor,
            words: heard,
            captured: shown,
            resolver,
            proxying,
            hostnames,
            scripts,
            own_subnets,
            standby,
            store: Store::new(confbase),
            errands,
            names,
            reload,
            log: self.log.clone(),
            service,
            ports,
            pulses: workers.iter().map(Worker::pulse).collect(),
            times: Times::default(),
            sampler: Default::default(),
            drops: Default::default(),
            clients: Clients::default(),
            stopping: false,
        };
        let result = control_loop.run().context("the daemon cannot go on");
        shared.stop.store(true, Relaxed);
        workers.into_iter().for_each(Worker::join);
        control_loop.scripts.finish(FAREWELL);
        if let Some(ports) = control_loop.ports.take() {
            ports.finish();
        }
        files.keep_waiting(control_loop.control.release());
        result
    }

    fn start_ports(&self, loaded: &Loaded, sockets: &[SocketAddr], waker: &Waker) -> Option<Ports> {
        let started = Ports::start(loaded.daemon.upnp?, sockets, &self.paths.ident, waker.clone());
        started.inspect_err(|cause| warn!("[upnp] No router will be asked to open ports: {cause}")).ok()
    }
}

/// What a proxy program is told of this node.
fn names_of(scripts: &ScriptSettings) -> Vec<(String, String)> {
    let named = |(key, _): &&(String, String)| ["NAME", "NETNAME"].contains(&key.as_str());
    scripts.environment.iter().filter(named).cloned().collect()
}

/// What is there before rights are given up.
struct Started<'a> {
    files: &'a run_files::Created,
    service: Service,
    names: Option<Names>,
    own_subnets: OwnSubnets,
    standby: Standby,
    monitor: Option<Monitor>,
    errands: Option<Arc<Errands>>,
}

/// Changes of addresses are noticed if the system tells them; without it, timeouts notice.
fn open_monitor(opened: &Opened) -> Option<Monitor> {
    let own = opened.link.interface().and_then(|name| Netlink::open().and_then(|mut link| link.index(name)).ok());
    Monitor::open(own).ok()
}

/// What the control thread waits for from the start.
fn make_poller(waker: &Waker, signals: &Signals, monitor: Option<&Monitor>) -> Result<Poller> {
    let poller = Poller::new().context("Could not make a poller")?;
    poller.add(waker, Token::Waker.into(), Interest::READ)?;
    poller.add(signals, Token::Signals.into(), Interest::READ)?;
    if let Some(monitor) = monitor {
        poller.add(monitor, Token::Monitor.into(), Interest::READ)?;
    }
    Ok(poller)
}

/// Sockets that the node may open later, like those that it has.
fn extra_sockets(opened: &Opened, loaded: &Loaded) -> Result<ExtraSockets> {
    ExtraSockets::new(opened.udp_options(&loaded.daemon), opened.addresses.clone()).context("Could not make a waker")
}

/// The node, and its first snapshot.
fn make_node(loaded: Loaded) -> Result<(Node, Arc<tinmesh_core::dataplane::fib::Fib>)> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    process::random_bytes(seed.as_mut()).context("Could not get randomness")?;
    let now = Instant::from_micros(clock::now_micros());
    let node = Node::new(loaded.node, loaded.key, *seed, now);
    let fib = node.fib();
    if fib.peers.is_empty() {
        bail!("the node made no forwarding table");
    }
    Ok((node, fib))
}
