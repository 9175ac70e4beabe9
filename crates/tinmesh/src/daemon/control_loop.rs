//! The control thread: waits, tells the node what happened, does what it wants.
//!
//! ```text
//!  poll: meta TCP, control socket, signals, wakes ─► Input ─► Node ─► Output ─► sockets, files, scripts
//! ```

mod chores;
mod workers;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tinmesh_core::dataplane::fib::UdpTarget;
use tinmesh_core::name::ConnId;
use tinmesh_core::node::Node;
use tinmesh_core::node::activity::Sampler;
use tinmesh_core::node::io::{Command, Event, Input, Output, Reply};
use tinmesh_core::packet::Packet;
use tinmesh_core::time::Instant;
use tinmesh_os::netlink::Monitor;
use tinmesh_os::poll::{self, Poller};
use tinmesh_os::signals::{Signal, Signals};
use tinmesh_os::{clock, udp};
use tracing::{debug, error, info, warn};

use crate::control::encode::{self, Shown};
use crate::control::request::{ControlRequest, kind};
use crate::daemon::control_sockets::ControlSockets;
use crate::daemon::drops::Drops;
use crate::daemon::errands::Errands;
use crate::daemon::events;
use crate::daemon::hostnames::Hostnames;
use crate::daemon::lifeline::Lifeline;
use crate::daemon::log::{self, CONNECTIONS, Line, Log, NOTICE};
use crate::daemon::meta_sockets::{MetaEvent, MetaSockets};
use crate::daemon::names::Names;
use crate::daemon::network::Looking;
use crate::daemon::own_subnets::OwnSubnets;
use crate::daemon::packet_log;
use crate::daemon::ports::Ports;
use crate::daemon::proxying::Proxying;
use crate::daemon::reload::Reload;
use crate::daemon::resolver::{Purpose, Resolver};
use crate::daemon::scripts::Scripts;
use crate::daemon::service::Service;
use crate::daemon::shared::{Captured, FromWorker, Shared, is_too_big};
use crate::daemon::standby::Standby;
use crate::daemon::store::Store;
use crate::daemon::token::Token;
use crate::daemon::worker::Pulse;

/// Counters are sampled this often while packets move.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// Changes of the machine's addresses are looked at together.
const SETTLE_INTERVAL: Duration = Duration::from_millis(300);
/// Listening sockets rest for so long when the system is out of descriptors.
const REST: Duration = Duration::from_millis(100);
/// Time asleep that counts: shorter gaps are the clocks' own differences.
const SLEEP: Duration = Duration::from_secs(5);
/// Log lines that may wait for subscribers.
const LINES: usize = 1024;
/// Id of commands whose reply nobody waits for.
const NOBODY: u64 = u64::MAX;

/// Everything the control thread owns.
pub struct ControlLoop {
    pub(super) node: Node,
    pub(super) shared: Arc<Shared>,
    pub(super) poller: Poller,
    pub(super) meta: MetaSockets,
    pub(super) control: ControlSockets,
    pub(super) signals: Signals,
    pub(super) lifeline: Lifeline,
    pub(super) monitor: Option<Monitor>,
    pub(super) words: Receiver<FromWorker>,
    pub(super) captured: Receiver<Captured>,
    pub(super) resolver: Resolver,
    pub(super) proxying: Proxying,
    pub(super) hostnames: Hostnames,
    pub(super) scripts: Scripts,
    pub(super) own_subnets: OwnSubnets,
    pub(super) standby: Standby,
    pub(super) store: Store,
    pub(super) errands: Option<Arc<Errands>>,
    pub(super) names: Option<Names>,
    pub(super) reload: Reload,
    pub(super) log: Log,
    pub(super) service: Service,
    pub(super) ports: Option<Ports>,
    pub(super) pulses: Vec<Pulse>,
    pub(super) times: Times,
    pub(super) sampler: Sampler,
    pub(super) drops: Drops,
    pub(super) clients: Clients,
    pub(super) stopping: bool,
}

/// Which client waits for which command, and the lines on their way to those who follow the log.
pub struct Clients {
    next_command: u64,
    waiting: Vec<(u64, u64, ControlRequest)>,
    lines: Receiver<Line>,
    sender: SyncSender<Line>,
}

impl Default for Clients {
    fn default() -> Self {
        let (sender, lines) = sync_channel(LINES);
        Self { next_command: 0, waiting: Vec::new(), lines, sender }
    }
}

/// Deadlines and clocks of the loop itself.
#[derive(Debug, Default)]
pub struct Times {
    sample: Option<Instant>,
    settle: Option<Instant>,
    /// When to look in which network this machine is.
    network: Option<Looking>,
    rest: Option<Instant>,
    /// When to look how what was sent on connections gets on.
    progress: Option<Instant>,
    /// When names of members may be written again.
    names: Option<Instant>,
    /// When the node was last told what time it is.
    clock: Option<Instant>,
    /// Time asleep since boot, in microseconds, when last looked at.
    asleep: u64,
}

/// Something for the node that came while its outputs were carried out.
pub(super) enum Pending {
    Meta(MetaEvent),
    PathMtu(std::net::SocketAddr),
    /// Where a datagram should have gone, the datagram, whether somebody misses it.
    TooBig(std::net::SocketAddr, Packet, bool),
    Opened(u16, u16),
    Invitation(ConnId, Option<Vec<u8>>),
}

fn now() -> Instant {
    Instant::from_micros(clock::now_micros())
}

fn asleep() -> u64 {
    clock::boot_micros().saturating_sub(clock::now_micros())
}

impl ControlLoop {
    /// Runs until the daemon is told to stop.
    ///
    /// # Errors
    /// If waiting for events fails, or the device, or another thread.
    pub fn run(&mut self) -> io::Result<()> {
        let result = self.run_until_told();
        self.stop();
        result
    }

    fn run_until_told(&mut self) -> io::Result<()> {
        self.times.asleep = asleep();
        self.service.ready(std::mem::take(&mut self.pulses));
        self.trace();
        self.tell_clock(now());
        self.read_statements();
        self.look_for_network(now());
        let mut events = Vec::new();
        self.drain(VecDeque::new());
        while !self.stopping {
            self.poller.wait(self.patience(), &mut events)?;
            if self.lifeline.is_cut() {
                return Err(io::Error::other("one of its threads has ended"));
            }
            self.notice_sleep();
            for &event in &events {
                self.on_ready(event);
            }
            self.hear_workers()?;
            self.on_time();
            self.publish_lines();
        }
        Ok(())
    }

    fn patience(&self) -> Option<Duration> {
        let names = self.names.as_ref().filter(|names| names.is_dirty()).and(self.times.names);
        let (node, watchdog) = (self.node.poll_timeout(), self.service.deadline());
        let Times { sample, settle, network, rest, progress, .. } = self.times;
        let network = network.map(|looking| looking.at);
        let times = [node, watchdog, sample, settle, network, rest, progress, names];
        times.into_iter().flatten().min().map(|at| at.since(now()))
    }

    fn notice_sleep(&mut self) {
        let total = asleep();
        let slept = Duration::from_micros(total.saturating_sub(self.times.asleep));
        self.times.asleep = total;
        if slept >= SLEEP {
            info!("Awake after {} seconds of sleep: connecting anew", slept.as_secs());
            self.tell_clock(now());
            self.tell(Input::Woke(slept));
            self.look_for_network(now());
        }
    }

    fn on_time(&mut self) {
        let time = now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= time);
        if self.times.clock.is_none_or(|told| time.since(told) >= chores::CLOCK_INTERVAL) {
            self.tell_clock(time);
        }
        if self.node.poll_timeout().is_some_and(|at| at <= time) {
            self.tell(Input::Timeout);
        }
        if due(self.times.sample) || self.times.sample.is_none() && self.shared.movement.is_noted() {
            self.sample(time);
        }
        if due(self.times.settle) {
            self.on_other_network();
        }
        self.look_again(time);
        if due(self.times.rest) {
            self.times.rest = None;
            self.meta.listen(true, &self.poller);
        }
        if due(self.times.progress) {
            self.look_at_connections(time);
        }
        self.write_names(time);
        self.service.on_time(time);
        self.drops.tell_now_and_then(&self.shared, self.node.counters(), time);
    }

    /// Samples counters; goes on doing so while packets move.
    fn sample(&mut self, time: Instant) {
        let moved = self.shared.movement.take();
        self.times.sample = moved.then(|| time + SAMPLE_INTERVAL);
        let fib = self.shared.fib.load_full();
        let mut sampler = std::mem::take(&mut self.sampler);
        let activity = sampler.sample(&fib);
        if !activity.is_empty() {
            self.tell(Input::Activity(activity));
        }
        self.sampler = sampler;
    }

    fn on_ready(&mut self, event: poll::Event) {
        match Token::parse(event.token) {
            Some(Token::Waker) => {
                self.shared.control.drain();
                while let Some(answer) = self.resolver.next() {
                    self.on_answer(answer);
                }
                self.hear_router();
            }
            Some(Token::Signals) => self.on_signals(),
            Some(Token::Monitor) => self.on_monitor(),
            Some(Token::Listener(index)) => self.on_connections(index),
            Some(Token::Meta(conn)) => {
                let mut happened = Vec::new();
                self.meta.on_ready(conn, event, &self.poller, &mut happened);
                self.drain(happened.into_iter().map(Pending::Meta).collect());
            }
            Some(Token::ControlListener) => self.control.accept(&self.poller),
            Some(Token::ControlClient(number)) => {
                for request in self.control.on_ready(number, event, &self.poller) {
                    self.on_request(number, request);
                }
            }
            None => {}
        }
    }

    fn on_monitor(&mut self) {
        if self.monitor.as_mut().is_some_and(|monitor| monitor.drain().unwrap_or(false)) {
            self.times.settle = Some(now() + SETTLE_INTERVAL);
        }
    }

    fn on_connections(&mut self, index: usize) {
        match self.meta.accept(index, &self.poller) {
            Ok(accepted) => {
                for (conn, remote, local) in accepted {
                    debug!(target: CONNECTIONS, "Connection from {}", self.hostnames.text(remote));
                    self.tell(Input::Accepted { conn, remote, local });
                }
            }
            Err(cause) => {
                warn!("Could not accept a connection: {cause}");
                self.meta.listen(false, &self.poller);
                self.times.rest = Some(now() + REST);
            }
        }
    }

    fn on_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.next() {
            match signal {
                Signal::Terminate | Signal::Interrupt | Signal::Quit => {
                    info!(target: NOTICE, "Got {} signal", signal.description());
                    self.stopping = true;
                }
                Signal::HangUp => {
                    info!(target: NOTICE, "Got {} signal", signal.description());
                    self.log.reopen(|path| match &self.errands {
                        Some(errands) => errands.open_log(),
                        None => log::open(path),
                    });
                    self.read_configuration();
                }
                Signal::Alarm => {
                    info!(target: NOTICE, "Got {} signal", signal.description());
                    self.tell(Input::Command { id: NOBODY, command: Command::Retry });
                }
            }
        }
    }

    /// Reads the configuration anew; on an error the old one stays in force.
    pub(super) fn read_configuration(&mut self) -> bool {
        self.service.reloading();
        let read = self.reload.read();
        self.service.reloaded();
        match read {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    warn!("{warning}");
                }
                if let Err(cause) = self.hostnames.change(loaded.daemon.hostnames, &self.lifeline) {
                    warn!("Addresses cannot be shown by name: {cause}");
                }
                self.resolver.change(loaded.daemon.address_family);
                self.proxying.change(loaded.daemon.proxy.clone());
                self.scripts.change(self.reload.script_settings(&self.scripts.settings(), &loaded.daemon));
                self.tell(Input::Reconfigure(Box::new(loaded.node)));
                self.read_statements();
                true
            }
            Err(cause) => {
                error!("Unable to reread configuration file, the old one stays in force: {cause}");
                false
            }
        }
    }

    fn on_request(&mut self, client: u64, request: ControlRequest) {
        let command = match &request {
            ControlRequest::Nodes | ControlRequest::Traffic => Command::Nodes,
            ControlRequest::Edges => Command::Edges,
            ControlRequest::Subnets => Command::Subnets,
            ControlRequest::Connections => Command::Connections,
            ControlRequest::Purge => Command::Purge,
            ControlRequest::Retry => Command::Retry,
            ControlRequest::Statements => Command::Statements,
            ControlRequest::Examine => Command::Examine,
            ControlRequest::Hindrances => Command::Hindrances,
            ControlRequest::Paths => Command::Paths,
            ControlRequest::Accept(line) => Command::Accept(vec![line.clone()]),
            ControlRequest::Disconnect(name) => match name.as_deref().map(tinmesh_core::name::NodeName::parse) {
                Some(Ok(name)) => Command::Disconnect(name),
                Some(Err(_)) => return self.answer(client, encode::done(kind::DISCONNECT, -2).as_bytes()),
                None => return self.answer(client, encode::done(kind::DISCONNECT, -1).as_bytes()),
            },
            ControlRequest::Ports => return self.answer(client, encode::ports(&self.port_lines()).as_bytes()),
            ControlRequest::Greeting => return self.answer(client, self.greeting().as_bytes()),
            ControlRequest::Stop => return self.stopping = true,
            ControlRequest::Reload => return self.on_reload(client),
            ControlRequest::Debug(level) => return self.on_debug(client, *level),
            ControlRequest::Log { level, colour } => {
                self.control.follow_log(client, *level, *colour);
                return self.follow_log();
            }
            ControlRequest::Pcap { snap_len } => {
                self.control.follow_packets(client, usize::try_from(*snap_len).unwrap_or(0));
                return self.follow_packets();
            }
            ControlRequest::Unknown => {
                return self.answer(client, encode::unknown().as_bytes());
            }
        };
        let id = self.clients.next_command;
        self.clients.next_command += 1;
        self.clients.waiting.push((id, client, request));
        self.tell(Input::Command { id, command });
    }

    fn on_reload(&mut self, client: u64) {
        let result = if self.read_configuration() { 0 } else { rustix::io::Errno::INVAL.raw_os_error() };
        self.answer(client, encode::done(kind::RELOAD, result).as_bytes());
    }

    fn on_debug(&mut self, client: u64, level: i32) {
        self.answer(client, encode::done(kind::DEBUG, self.log.level()).as_bytes());
        if level >= 0 {
            self.log.set_level(level);
            self.scripts.change(self.scripts.settings().at_debug_level(level));
            self.trace();
        }
    }

    /// Has requests and packets told one by one if anybody wants to see them.
    fn trace(&mut self) {
        packet_log::want(self.log.audible() >= packet_log::LEVEL);
        self.tell(Input::Trace(self.log.audible() >= log::REQUESTS_LEVEL));
    }

    fn follow_log(&mut self) {
        let level = self.control.log_level(self.log.level());
        self.log.set_subscribers(level.map(|_| self.clients.sender.clone()), level.unwrap_or(0));
        self.trace();
    }

    fn publish_lines(&mut self) {
        let mut any = false;
        while let Ok(line) = self.clients.lines.try_recv() {
            self.control.publish(&line, self.log.level(), &self.poller);
            any = true;
        }
        if any {
            self.follow_log();
            self.follow_packets();
        }
    }

    fn answer(&mut self, client: u64, bytes: &[u8]) {
        self.control.reply(client, bytes, &self.poller);
    }

    /// Tells the node, and does what it wants.
    pub(super) fn tell(&mut self, input: Input<'_>) {
        self.node.handle(now(), input);
        self.drain(VecDeque::new());
    }

    /// Carries out outputs, and tells the node what came of them, until nothing is left.
    pub(super) fn drain(&mut self, mut pending: VecDeque<Pending>) {
        loop {
            while let Some(output) = self.node.poll_output() {
                self.on_output(output, &mut pending);
            }
            let Some(next) = pending.pop_front() else {
                let mut happened = Vec::new();
                self.meta.flush(&self.poller, &mut happened);
                if happened.is_empty() {
                    if !self.stopping {
                        self.standby.follow(&self.scripts);
                    }
                    return;
                }
                self.times.progress.get_or_insert_with(|| now() + chores::PROGRESS_INTERVAL);
                pending.extend(happened.into_iter().map(Pending::Meta));
                continue;
            };
            self.tell_pending(next);
        }
    }

    fn tell_pending(&mut self, pending: Pending) {
        let time = now();
        match pending {
            Pending::Meta(MetaEvent::Connected { conn, local }) => {
                self.node.handle(time, Input::Connected { conn, local })
            }
            Pending::Meta(MetaEvent::Received { conn, bytes }) => {
                self.node.handle(time, Input::Received { conn, bytes: &bytes });
            }
            Pending::Meta(MetaEvent::Queued { conn, bytes }) => self.node.handle(time, Input::Queued { conn, bytes }),
            Pending::Meta(MetaEvent::Closed { conn }) => self.node.handle(time, Input::Closed { conn }),
            Pending::PathMtu(to) => self.node.handle(time, Input::PathMtu { to, mtu: udp::path_mtu(to).ok() }),
            Pending::TooBig(to, packet, missed) => {
                self.node.handle(time, Input::TooBig { to, datagram: packet.payload(), missed });
            }
            Pending::Opened(socket, port) => self.node.handle(time, Input::SocketOpened { socket, port }),
            Pending::Invitation(conn, file) => self.node.handle(time, Input::Invitation { conn, file }),
        }
    }

    fn on_output(&mut self, output: Output, pending: &mut VecDeque<Pending>) {
        match output {
            Output::Connect { conn, peer, to, from } => {
                debug!(target: CONNECTIONS, "Trying to connect to {peer} ({})", self.hostnames.text(to));
                let known = match from {
                    None => self.connect(conn, &peer, to),
                    Some(port) => self.connect_from(port, conn, &peer, to),
                };
                pending.extend(known.map(Pending::Meta));
            }
            Output::Send { conn, bytes } => self.meta.send(conn, &bytes),
            Output::Room { conn, bytes } => self.meta.limit_unsent(conn, bytes),
            Output::Close { conn, tarpit } => {
                self.proxying.is_wanted(conn);
                self.meta.close(conn, tarpit, &self.poller);
            }
            Output::Transmit { target, packet } => pending.extend(self.transmit(target, packet, true)),
            Output::Ask { target, packet } => pending.extend(self.transmit(target, packet, false)),
            Output::OpenSocket { socket, beside } => pending.extend(self.open_socket(socket, beside)),
            Output::CloseSocket(socket) => self.shared.extra.close(socket),
            Output::Deliver(packet) => {
                // A packet that the system does not want is lost, as on any network.
                self.shared.link.send(packet.payload()).ok();
            }
            Output::Publish(fib) => self.shared.fib.store(fib),
            Output::PathMtu(to) => pending.push_back(Pending::PathMtu(to)),
            Output::Resolve { question, host, port } => self.resolver.ask(Purpose::Node(question), host, port),
            Output::Persist(persist) => {
                let outside = self.errands.as_ref().and_then(|errands| errands.keep(&persist));
                if let Err(cause) = outside.unwrap_or_else(|| self.store.keep(&persist)) {
                    error!("Could not write {cause}");
                }
            }
            Output::Redeem { conn, file_name } => {
                let file = self.store.redeem(&file_name, self.reload.invitation_expire());
                pending.push_back(Pending::Invitation(conn, file));
            }
            Output::Captured(frames) => self.show(&frames),
            Output::Reply { id, reply } => self.on_reply(id, &reply),
            Output::Event(event) => self.on_event(&event),
        }
    }

    /// Sends a datagram; one that is too long comes back.
    fn transmit(&self, target: UdpTarget, packet: Packet, missed: bool) -> Option<Pending> {
        let cause = self.shared.transmit(target, &packet).err()?;
        is_too_big(&cause).then_some(Pending::TooBig(target.to, packet, missed))
    }

    fn on_event(&mut self, event: &Event) {
        events::log(event, &self.hostnames);
        let up = matches!(event, Event::NodeUp { .. });
        if up || matches!(event, Event::NodeDown { .. }) {
            self.service.count_node(up);
        }
        self.standby.note(event);
        if !self.own_subnets.note(event) {
            events::run_scripts(event, self.reload.name(), &self.scripts);
        }
        if let Some(names) = self.names.as_mut() {
            events::keep_names(event, names);
        }
    }

    fn on_reply(&mut self, id: u64, reply: &Reply) {
        let Some(at) = self.clients.waiting.iter().position(|(waiting, ..)| *waiting == id) else { return };
        let (_, client, request) = self.clients.waiting.swap_remove(at);
        let shown: Shown<'_> = &|address| self.hostnames.text(address);
        let text = match (reply, request) {
            (Reply::Nodes(nodes), ControlRequest::Traffic) => encode::traffic(nodes),
            (Reply::Nodes(nodes), _) => {
                let unix_seconds = |at: Instant| clock::unix_seconds().saturating_sub(now().since(at).as_secs());
                let port = self.reload.port();
                encode::nodes(nodes, &encode::Local { port, unix_seconds: &unix_seconds, shown })
            }
            (Reply::Edges(edges), _) => encode::edges(edges, shown),
            (Reply::Subnets(subnets), _) => encode::subnets(subnets),
            (Reply::Connections(connections), _) => encode::connections(connections, &self.control.list(), shown),
            (Reply::Done, ControlRequest::Purge) => encode::done(kind::PURGE, 0),
            (Reply::Done, ControlRequest::Retry) => encode::done(kind::RETRY, 0),
            (Reply::Done, _) => encode::done(kind::DISCONNECT, 0),
            (Reply::NotFound, _) => encode::done(kind::DISCONNECT, -2),
            (Reply::Hindrances(hindrances), _) => encode::hindrances(hindrances),
            (Reply::Paths(paths), _) => encode::paths(paths),
            (Reply::Examined(examination), _) => encode::examination(examination),
            (Reply::Statements(lines), _) => encode::statements(lines),
            (Reply::Accepted(outcomes), _) => encode::accepted(outcomes),
        };
        self.answer(client, text.as_bytes());
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.service.stopping();
        self.drops.tell(&self.shared, self.node.counters());
        self.tell(Input::Command { id: NOBODY, command: Command::Shutdown });
        self.own_subnets.farewell().into_iter().for_each(|script| self.scripts.queue(script));
        if let Some(names) = self.names.as_mut()
            && let Err(cause) = names.clear()
        {
            warn!("Could not remove names of members: {cause}");
        }
    }
}
