//! What the daemon does for a node: tells it what happened, and does what it wants.

use std::net::SocketAddr;
use std::time::Duration;

use tinmesh_core::name::ConnId;
use tinmesh_core::node::config::HostConfig;
use tinmesh_core::node::io::{Command, Input, Output, Persist, Reply};
use tinmesh_core::packet::Packet;

use crate::engine::Engine;
use crate::internet::HostId;
use crate::machine::Brain;
use crate::queue::Event;

/// A name server answers after so long.
const LOOK_UP: Duration = Duration::from_millis(20);
/// A system gives up on name servers that do not answer after so long.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(30);
/// Requests with so many bytes, at least, ask whether a size arrives: others have less.
const LONG: usize = 100;

/// What follows from a node's wishes at once.
#[derive(Debug)]
pub(crate) enum Feedback {
    TooBig {
        to: SocketAddr,
        datagram: Packet,
        missed: bool,
    },
    PathMtu {
        to: SocketAddr,
        mtu: u16,
    },
    Opened {
        socket: u16,
        port: u16,
    },
    Queued {
        conn: ConnId,
        bytes: usize,
    },
    Invitation {
        conn: ConnId,
        file: Option<Vec<u8>>,
    },
    /// Its device was given a packet to send.
    Device(Vec<u8>),
}

impl Engine {
    /// Tells a machine's program something and does what it wants.
    pub(crate) fn feed(&mut self, host: HostId, input: Input<'_>) {
        let now = self.now;
        let mut brain = std::mem::take(&mut self.machine_mut(host).brain);
        let wake = match &mut brain {
            Brain::Off => return,
            Brain::Node(node) => {
                node.handle(now, input);
                while let Some(output) = node.poll_output() {
                    self.perform(host, output);
                }
                node.poll_timeout()
            }
            Brain::Actor(actor) => {
                actor.handle(now, input);
                while let Some(output) = actor.poll_output() {
                    self.perform(host, output);
                }
                if actor.has_joined() {
                    self.kill(host);
                    self.start(host, Duration::from_millis(500));
                    return;
                }
                None
            }
        };
        self.machine_mut(host).brain = brain;
        self.plan_wake(host, wake);
        self.tell_queues(host);
    }

    /// Does what follows at once from what just happened, until nothing is left.
    pub(crate) fn settle(&mut self) {
        while let Some((host, feedback)) = self.pending.pop_front() {
            match feedback {
                Feedback::TooBig { to, datagram, missed } => {
                    self.feed(host, Input::TooBig { to, datagram: datagram.payload(), missed });
                }
                Feedback::PathMtu { to, mtu } => self.feed(host, Input::PathMtu { to, mtu: Some(mtu) }),
                Feedback::Opened { socket, port } => self.feed(host, Input::SocketOpened { socket, port }),
                Feedback::Queued { conn, bytes } => self.feed(host, Input::Queued { conn, bytes }),
                Feedback::Invitation { conn, file } => self.feed(host, Input::Invitation { conn, file }),
                Feedback::Device(bytes) => self.on_device_packet(host, &bytes),
            }
        }
    }

    fn tell_queues(&mut self, host: HostId) {
        let written = std::mem::take(&mut self.machine_mut(host).written);
        for conn in written {
            let bytes = self.queued(host, conn);
            self.pending.push_back((host, Feedback::Queued { conn, bytes }));
        }
    }

    fn perform(&mut self, host: HostId, output: Output) {
        match output {
            Output::Connect { conn, to, from, .. } => self.call(host, conn, to, from),
            Output::Send { conn, bytes } => self.write(host, conn, &bytes),
            Output::Room { conn, bytes } => self.keep(host, conn, bytes),
            Output::Close { conn, tarpit } => self.hang_up(host, conn, tarpit),
            Output::Transmit { target, packet } => self.transmit(host, target, packet, true),
            Output::Ask { target, packet } => {
                if packet.len() >= LONG {
                    let asked = (self.now, target.to, packet.len());
                    self.machine_mut(host).sizes_asked.push(asked);
                }
                self.transmit(host, target, packet, false);
            }
            Output::OpenSocket { socket, .. } => {
                let port = self.machine_mut(host).open_socket(socket);
                self.pending.push_back((host, Feedback::Opened { socket, port }));
            }
            Output::CloseSocket(socket) => {
                self.machine_mut(host).extra.remove(&socket);
            }
            Output::Deliver(packet) => self.deliver(host, packet.payload()),
            Output::Publish(fib) => self.machine_mut(host).fib = Some(fib),
            Output::PathMtu(to) => {
                let mtu = self.net.path_mtu(self.now, host, to.ip());
                self.pending.push_back((host, Feedback::PathMtu { to, mtu }));
            }
            Output::Resolve { question, host: name, port } => {
                let after = if self.net.host(host).dns_dead { LOOK_UP_PATIENCE } else { LOOK_UP };
                self.plan(after, Event::Resolved { host, question, name, port });
            }
            Output::Persist(persist) => self.persist(host, persist),
            Output::Redeem { conn, file_name } => {
                let file = self.machine_mut(host).invitations.remove(&file_name);
                self.pending.push_back((host, Feedback::Invitation { conn, file }));
            }
            Output::Reply { reply, .. } => self.machine_mut(host).reply = Some(reply),
            Output::Captured(_) => {}
            Output::Event(event) => self.note(host, event),
        }
    }

    /// Writes to the machine's disk, which outlives its program.
    fn persist(&mut self, host: HostId, persist: Persist) {
        let machine = self.machine_mut(host);
        let hosts = &mut machine.config.hosts;
        match persist {
            Persist::PublicKey { name, key } => hosts.entry(name).or_default().key = Some(key),
            Persist::InvitedNode { name, key } => {
                hosts.insert(name, HostConfig { key: Some(key), ..HostConfig::default() });
            }
            Persist::Addresses { name, addresses } => {
                if let Some(file) = hosts.get_mut(&name) {
                    file.cached = addresses;
                }
            }
            Persist::Statements(text) => machine.statements = text,
        }
    }

    pub(super) fn on_resolved(&mut self, host: HostId, question: u64, name: &str, port: u16) {
        let found = self.names.get(name).filter(|_| !self.net.host(host).dns_dead).map(|&other| self.net.host(other));
        let v4 = found.and_then(|place| place.v4).map(std::net::IpAddr::V4);
        let v6 = found.and_then(|place| place.v6).map(std::net::IpAddr::V6);
        let addresses = v4.into_iter().chain(v6).map(|ip| SocketAddr::new(ip, port)).collect();
        if self.is_awake(host) {
            self.feed(host, Input::Resolved { question, addresses });
        }
    }

    /// Asks a node something, as its operator would.
    pub(crate) fn command(&mut self, host: HostId, command: Command) -> Option<Reply> {
        self.machine_mut(host).reply = None;
        self.feed(host, Input::Command { id: 1, command });
        self.settle();
        self.machine_mut(host).reply.take()
    }
}
