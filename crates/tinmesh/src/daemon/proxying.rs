//! The way that outgoing connections take: straight, through a proxy, or through a program (spec: configuration 4.2).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tinmesh_core::name::{ConnId, NodeName};

use crate::config::Proxy;

/// What is to be done to make a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// Connect to the node itself.
    Straight,
    /// Look up the proxy, then connect to it.
    Through {
        /// Its name.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Run a program with these variables.
    Program {
        /// A line for the shell.
        command: String,
        /// Which connection this is.
        variables: Vec<(String, String)>,
    },
}

/// Chooses the way, and remembers which connections wait for the proxy's address.
#[derive(Debug)]
pub struct Proxying {
    proxy: Option<Proxy>,
    /// `NAME`, and `NETNAME` if there is one.
    environment: Vec<(String, String)>,
    waiting: BTreeSet<ConnId>,
}

impl Proxying {
    /// For a node with these variables.
    pub const fn new(proxy: Option<Proxy>, environment: Vec<(String, String)>) -> Self {
        Self { proxy, environment, waiting: BTreeSet::new() }
    }

    /// From now on connections go through `proxy`.
    pub fn change(&mut self, proxy: Option<Proxy>) {
        self.proxy = proxy;
    }

    /// The way to a node.
    pub fn way(&mut self, conn: ConnId, peer: &NodeName, to: SocketAddr) -> Way {
        match &self.proxy {
            None => Way::Straight,
            Some(Proxy::Server { host, port, .. }) => {
                self.waiting.insert(conn);
                Way::Through { host: host.clone(), port: *port }
            }
            Some(Proxy::Program { command }) => {
                let (address, port) = (to.ip().to_string(), to.port().to_string());
                let about = [("NODE", peer.to_string()), ("REMOTEADDRESS", address), ("REMOTEPORT", port)];
                let about = about.map(|(key, value)| (key.to_owned(), value));
                let variables = self.environment.iter().cloned().chain(about).collect();
                Way::Program { command: command.clone(), variables }
            }
        }
    }

    /// Whether the proxy's address is still wanted for a connection; it is not asked for twice.
    pub fn is_wanted(&mut self, conn: ConnId) -> bool {
        self.waiting.remove(&conn)
    }
}
