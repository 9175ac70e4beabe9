//! What the loop does beside its sockets: the time of day, kept statements, names of members, sockets for the node.

use std::time::Duration;

use tinmesh_core::node::io::Input;
use tinmesh_core::time::Instant;
use tinmesh_os::clock;
use tracing::{debug, error, info, warn};

use super::{ControlLoop, Pending, now};
use crate::control::dump::ports::PortLine;
use crate::control::server::greeting_reply;
use crate::daemon::log::CONNECTIONS;
use crate::daemon::network::{self, Looking};
use crate::daemon::ports::Ports;

/// The node is told what time it is when this has passed.
pub(super) const CLOCK_INTERVAL: Duration = Duration::from_secs(60);

/// So long after something was sent on a connection it is looked whether that was confirmed.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_millis(300);
/// Names of members are written no more often.
const NAMES_INTERVAL: Duration = Duration::from_millis(500);

impl ControlLoop {
    /// Tells the node of connections that are stuck; goes on looking while anything waits to be confirmed.
    pub(super) fn look_at_connections(&mut self, time: Instant) {
        let progress = self.meta.look(time);
        self.times.progress = progress.waits.then(|| time + PROGRESS_INTERVAL);
        // Of a stream it is more likely that the path loses packets; if it is too narrow, the meta connection shows it next.
        if progress.stuck.iter().any(|&conn| !self.node.is_stream(conn)) {
            debug!(target: CONNECTIONS, "What was sent on a connection is repeated in vain: new ones have short segments");
            self.meta.be_cautious(time);
        }
        for conn in progress.stuck {
            self.tell(Input::Stuck { conn });
        }
    }

    /// Addresses of this machine changed, and have settled.
    pub(super) fn on_other_network(&mut self) {
        self.times.settle = None;
        info!("Addresses of this machine changed");
        self.tell(Input::NetworkChanged);
        self.look_for_network(now());
        self.ports.iter().for_each(Ports::ask_again);
    }

    /// Tells the node in which network it is, now or as soon as that is known.
    pub(super) fn look_for_network(&mut self, time: Instant) {
        self.times.network = Some(Looking::for_network(time));
        self.look_again(time);
    }

    /// Looks once more, if it is time.
    pub(super) fn look_again(&mut self, time: Instant) {
        let Some(looking) = self.times.network.filter(|looking| looking.at <= time) else { return };
        match network::identify(looking.is_last()) {
            Some(id) => {
                self.times.network = None;
                self.tell(Input::Network(id));
            }
            None => self.times.network = looking.next(time),
        }
    }

    /// Tells the node what the router passes on.
    pub(super) fn hear_router(&mut self) {
        while let Some(mapped) = self.ports.as_mut().and_then(Ports::next) {
            self.tell(Input::Mapped(mapped));
        }
    }

    /// What the router passes on, for a control client.
    pub(super) fn port_lines(&self) -> Vec<PortLine> {
        self.ports.iter().flat_map(|ports| ports.lines(clock::unix_seconds())).collect()
    }

    /// The first line to a control client.
    pub(super) fn greeting(&self) -> String {
        greeting_reply(self.reload.name(), std::process::id())
    }

    /// Opens a socket that the node wants.
    pub(super) fn open_socket(&self, socket: u16, beside: u16) -> Option<Pending> {
        let opened = self.shared.extra.open(socket, beside);
        let opened =
            opened.inspect_err(|cause| debug!(target: CONNECTIONS, "Could not open another UDP socket: {cause}"));
        opened.ok().map(|port| Pending::Opened(socket, port))
    }

    /// Tells the node what time it is, unless the machine does not know it itself.
    pub(super) fn tell_clock(&mut self, time: Instant) {
        self.times.clock = Some(time);
        let unix_ms = clock::unix_millis();
        if unix_ms >= clock::EARLIEST {
            self.tell(Input::Clock { unix_ms });
        }
    }

    /// Hands the node the statements that are kept.
    pub(super) fn read_statements(&mut self) {
        match self.store.kept_statements() {
            Ok(text) => self.tell(Input::Statements(&text)),
            Err(cause) => error!("Could not read {cause}"),
        }
    }

    /// Writes names of members, but not as often as members may change them.
    pub(super) fn write_names(&mut self, time: Instant) {
        let Some(names) = self.names.as_mut().filter(|names| names.is_dirty()) else { return };
        let due = *self.times.names.get_or_insert(time);
        if due > time {
            return;
        }
        self.times.names = Some(time + NAMES_INTERVAL);
        if let Err(cause) = names.write() {
            warn!("Could not write names of members: {cause}");
            self.names = None;
        }
    }
}
