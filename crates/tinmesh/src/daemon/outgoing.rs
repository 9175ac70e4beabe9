//! How the control thread makes connections: straight, through a proxy, or through a program.
//!
//! Source: spec meta-protocol 3.2, 3.6.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use tinmesh_core::name::{ConnId, NodeName};
use tinmesh_core::node::io::Input;
use tracing::{debug, error};

use crate::daemon::control_loop::{ControlLoop, Pending};
use crate::daemon::log::CONNECTIONS;
use crate::daemon::meta_sockets::MetaEvent;
use crate::daemon::program::Program;
use crate::daemon::proxying::Way;
use crate::daemon::resolver::{Answer, Purpose};
use crate::files::reason;

impl ControlLoop {
    /// Begins to make a connection; gives what came of it if that is known already.
    pub(super) fn connect(&mut self, conn: ConnId, peer: &NodeName, to: SocketAddr) -> Option<MetaEvent> {
        let begun = match self.proxying.way(conn, peer, to) {
            Way::Straight => self.meta.connect(conn, VecDeque::from([to]), &self.poller).map(|()| None),
            Way::Through { host, port } => {
                self.resolver.ask(Purpose::Proxy(conn), host, port);
                Ok(None)
            }
            Way::Program { command, variables } => self.run_program(conn, &command, &variables).map(Some),
        };
        begun.unwrap_or_else(|cause| {
            debug!(target: CONNECTIONS, "Could not connect to {peer}: {}", reason(&cause));
            Some(MetaEvent::Closed { conn })
        })
    }

    /// The same from a port of the own, which proxies have no part in.
    pub(super) fn connect_from(
        &mut self,
        port: u16,
        conn: ConnId,
        peer: &NodeName,
        to: SocketAddr,
    ) -> Option<MetaEvent> {
        let cause = self.meta.connect_from(conn, port, to, &self.poller).err()?;
        debug!(target: CONNECTIONS, "Could not connect to {peer} from port {port}: {}", reason(&cause));
        Some(MetaEvent::Closed { conn })
    }

    fn run_program(&mut self, conn: ConnId, command: &str, variables: &[(String, String)]) -> io::Result<MetaEvent> {
        let program = Program::start(command, variables)?;
        self.meta.adopt(conn, program, &self.poller)?;
        Ok(MetaEvent::Connected { conn, local: None })
    }

    /// A name was looked up.
    pub(super) fn on_answer(&mut self, answer: Answer) {
        if let Some(failure) = &answer.failure {
            debug!(target: CONNECTIONS, "{failure}");
        }
        match answer.purpose {
            Purpose::Node(question) => self.tell(Input::Resolved { question, addresses: answer.addresses }),
            Purpose::Proxy(conn) => {
                if self.proxying.is_wanted(conn) {
                    self.connect_to_proxy(conn, answer.addresses);
                }
            }
        }
    }

    fn connect_to_proxy(&mut self, conn: ConnId, addresses: Vec<SocketAddr>) {
        if addresses.is_empty() {
            error!("Could not look up the proxy: correct its host in Proxy, or AddressFamily");
        }
        if let Err(cause) = self.meta.connect(conn, addresses.into(), &self.poller) {
            debug!(target: CONNECTIONS, "Could not connect to the proxy: {}", reason(&cause));
            self.drain(VecDeque::from([Pending::Meta(MetaEvent::Closed { conn })]));
        }
    }
}
