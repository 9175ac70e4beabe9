//! Machines that start, end, sleep and move.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tinmesh_core::name::ConnId;
use tinmesh_core::node::Node;
use tinmesh_core::node::config::Config;
use tinmesh_core::node::io::Input;
use tinmesh_core::punch::memory::NetworkId;
use tinmesh_core::wire::endpoint::Endpoints;

use crate::actor::{Actor, Part, Script};
use crate::engine::Engine;
use crate::internet::{HostId, RealmId};
use crate::machine::{Brain, Whereabouts, sockets};
use crate::queue::Event;
use crate::stream::Holding;

/// What time it is when a simulation begins, in milliseconds since 1970.
pub(crate) const EPOCH_MS: u64 = 1_800_000_000_000;

impl Engine {
    pub(super) fn boot(&mut self, host: HostId) {
        let machine = self.machine(host);
        if machine.is_running() || !machine.wanted {
            return;
        }
        if let Some(actor) = self.machine_mut(host).actor.take() {
            self.machine_mut(host).brain = Brain::Actor(actor);
            self.feed(host, Input::Timeout);
            return;
        }
        let config = self.config_of(host);
        let seed = self.dice.seed();
        let now = self.now;
        let machine = self.machine_mut(host);
        machine.config.sockets.clone_from(&config.sockets);
        machine.brain = Brain::Node(Box::new(Node::new(config, machine.key.clone(), seed, now)));
        let statements = machine.statements.clone();
        let ahead = machine.clock_ahead * 1_000;
        self.feed(host, Input::Clock { unix_ms: (EPOCH_MS + now.as_micros() / 1_000).saturating_add_signed(ahead) });
        self.feed(host, Input::Statements(&statements));
        self.tell_network(host);
        self.feed(host, Input::Timeout);
    }

    /// Makes a machine run an actor instead of a node.
    pub(crate) fn cast(&mut self, host: HostId, victim: HostId, script: Script) {
        let to = self.address_of(victim).expect("an actor needs a victim with an address");
        let part = Part {
            name: self.machine(host).config.name.clone(),
            key: self.machine(host).key.clone(),
            victim: self.machine(victim).config.name.clone(),
            victim_key: self.machine(victim).key.public(),
            to,
        };
        let actor = Actor::new(part, script, self.dice.seed());
        self.machine_mut(host).actor = Some(Box::new(actor));
    }

    /// What the machine's files say.
    pub(crate) fn config_of(&self, host: HostId) -> Config {
        let machine = self.machine(host);
        let mut config = machine.config.clone();
        let place = self.net.host(host);
        config.sockets = sockets(place.v4.is_some(), place.v6.is_some(), config.port);
        for (&other, &whereabouts) in &machine.whereabouts {
            let name = self.machine(other).config.name.clone();
            let addresses = self.addresses_in_file(other, whereabouts);
            config.hosts.entry(name).or_default().addresses = addresses;
        }
        config
    }

    fn addresses_in_file(&self, of: HostId, whereabouts: Whereabouts) -> Vec<(String, u16)> {
        let place = self.net.host(of);
        let (name, port) = (&self.machine(of).config.name, self.machine(of).config.port);
        let numeric = [place.v4.map(IpAddr::V4), place.v6.map(IpAddr::V6)];
        match whereabouts {
            Whereabouts::Numeric => numeric.iter().flatten().map(|ip| (ip.to_string(), port)).collect(),
            Whereabouts::Named => vec![(format!("{name}.example"), port)],
            Whereabouts::Unknown => Vec::new(),
        }
    }

    /// The program dies; the system closes its connections.
    pub(crate) fn kill(&mut self, host: HostId) {
        let conns: Vec<ConnId> = self.machine(host).conns.keys().copied().collect();
        for conn in conns {
            self.hang_up(host, conn, false);
        }
        self.machine_mut(host).wanted = false;
        self.machine_mut(host).forget();
        self.changed = self.now;
    }

    /// The machine goes dark: nobody is told.
    pub(crate) fn power_off(&mut self, host: HostId) {
        let conns = std::mem::take(&mut self.machine_mut(host).conns);
        for (id, side) in conns.into_values() {
            if let Some(stream) = self.streams.find(id) {
                stream.end_mut(side).holding = Holding::Closed;
                self.streams.sweep(id);
            }
        }
        self.machine_mut(host).wanted = false;
        self.machine_mut(host).forget();
        self.net.host_mut(host).up = false;
        self.changed = self.now;
    }

    pub(crate) fn start(&mut self, host: HostId, after: Duration) {
        self.net.host_mut(host).up = true;
        self.machine_mut(host).wanted = true;
        self.changed = self.now + after;
        self.plan(after, Event::Boot(host));
    }

    /// The machine is suspended.
    pub(crate) fn suspend(&mut self, host: HostId) {
        self.net.host_mut(host).up = false;
        let now = self.now;
        self.machine_mut(host).slept_at = Some(now);
    }

    /// It goes on.
    pub(crate) fn resume(&mut self, host: HostId) {
        self.net.host_mut(host).up = true;
        let now = self.now;
        if let Some(since) = self.machine_mut(host).slept_at.take() {
            self.feed(host, Input::Woke(now.since(since)));
            self.tell_network(host);
            self.feed(host, Input::Timeout);
            self.settle();
        }
    }

    /// The machine gets another address; its program is told.
    pub(crate) fn relocate(&mut self, host: HostId, realm: RealmId) {
        self.net.move_to(host, realm);
        self.changed = self.now;
        if self.is_awake(host) {
            self.feed(host, Input::NetworkChanged);
            self.tell_network(host);
            self.settle();
        }
    }

    /// A machine knows its network by the router.
    fn tell_network(&mut self, host: HostId) {
        let network = self.net.host(host).realm.number();
        self.feed(host, Input::Network(NetworkId(network)));
    }

    /// The router of a machine passes a port on to it; its program is told.
    pub(crate) fn map_port(&mut self, host: HostId, outside: u16) {
        let address = self.net.forward(host, self.machine(host).config.port, outside);
        if let Some(mapped) = address.and_then(|address| Endpoints::default().with(address)) {
            self.feed(host, Input::Mapped(mapped));
            self.settle();
        }
    }

    /// Some address of a machine, to tell where a packet came from.
    pub(crate) fn address_of(&self, host: HostId) -> Option<SocketAddr> {
        let place = self.net.host(host);
        let ip = place.v4.map(IpAddr::V4).or_else(|| place.v6.map(IpAddr::V6))?;
        Some(SocketAddr::new(ip, self.machine(host).config.port))
    }
}
