//! Extra sockets: each is another inside endpoint for the NAT, and so gets outer ports of its own.

use std::collections::BTreeSet;

use crate::dataplane::fib::UdpTarget;
use crate::name::PeerId;
use crate::node::Node;
use crate::node::io::Output;
use crate::node::punching::Attempt;
use crate::wire::hello::Feature;

/// Most extra sockets at a time.
const LIMIT: usize = 300;
/// Paths on which silences are tried at a time.
const TRIALS: usize = 8;

/// The extra sockets that are open, by index.
#[derive(Debug, Default)]
pub(super) struct ExtraSockets {
    open: BTreeSet<u16>,
}

impl Node {
    /// Opens extra sockets until the attempt has `count`, as far as there may be so many.
    pub(super) fn open_extra_sockets(&mut self, count: usize) {
        while self.punching.attempt.as_ref().is_some_and(|attempt| attempt.extra.len() < count) {
            let Some(socket) = self.open_extra_socket(true) else { return };
            if let Some(attempt) = &mut self.punching.attempt {
                attempt.extra.push(socket);
            }
        }
    }

    fn open_extra_socket(&mut self, v4: bool) -> Option<u16> {
        let beside = self.socket_for(v4)?;
        let base = u16::try_from(self.config.sockets.len()).ok()?;
        let open = &mut self.punching.sockets.open;
        if open.len() >= LIMIT {
            return None;
        }
        let socket = (base..).find(|index| !open.contains(index))?;
        open.insert(socket);
        self.emit(Output::OpenSocket { socket, beside });
        Some(socket)
    }

    /// The socket for IPv4 that the node listens on.
    pub(super) fn main_socket(&self) -> Option<u16> {
        self.socket_for(true)
    }

    /// Opens the socket from which questions for reflection are answered a second time, before there are any.
    pub(in crate::node) fn prepare_reflecting(&mut self, peer: PeerId) {
        if self.punching.reflecting.is_none() && self.uses(peer, Feature::Punch) {
            self.punching.reflecting = self.open_extra_socket(true);
        }
    }

    pub(in crate::node) fn on_socket_opened(&mut self, socket: u16, port: u16) {
        if self.punching.reflecting == Some(socket) {
            self.punching.other_port = port;
        }
        let (now, peer) = (self.now, self.punching.trials.get(&socket).copied());
        if let Some(tunnel) = peer.and_then(|peer| self.tunnel_mut(peer)) {
            tunnel.lifetime.on_opened(now, port);
        }
    }

    /// Opens a socket on which silences of the path to `peer` are tried.
    pub(in crate::node) fn begin_trial(&mut self, peer: PeerId, target: UdpTarget) {
        let now = self.now;
        self.close_extra_sockets();
        let free = self.punching.trials.len() < TRIALS && self.takes_port(now);
        let socket = if free { self.open_extra_socket(target.to.is_ipv4()) } else { None };
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        match socket {
            Some(socket) => {
                tunnel.lifetime.begin(now, UdpTarget { socket, ..target });
                self.punching.trials.insert(socket, peer);
            }
            None => tunnel.lifetime.wait(now),
        }
    }

    /// Trials whose path is lost or no longer looked after are over.
    pub(in crate::node) fn end_lost_trials(&mut self) {
        if self.punching.trials.iter().any(|(&socket, &peer)| !self.is_tried(socket, peer)) {
            self.close_extra_sockets();
        }
    }

    fn is_tried(&self, socket: u16, peer: PeerId) -> bool {
        let goes_on = self.is_neighbour(peer) && self.is_confirmed(peer);
        self.tunnel(peer).is_some_and(|tunnel| goes_on && tunnel.lifetime.socket() == Some(socket))
    }

    fn forget_old_trials(&mut self) {
        let mut trials = std::mem::take(&mut self.punching.trials);
        trials.retain(|&socket, &mut peer| self.is_tried(socket, peer));
        self.punching.trials = trials;
    }

    /// Closes those that nothing uses any more.
    pub(in crate::node) fn close_extra_sockets(&mut self) {
        self.forget_old_trials();
        let trials = &self.punching.trials;
        let used: BTreeSet<u16> = self.peers.iter().flatten().filter_map(|peer| Some(peer.udp?.socket)).collect();
        let attempted = self.punching.attempt.as_ref().map_or(&[][..], |attempt: &Attempt| &attempt.extra);
        let reflecting = self.punching.reflecting;
        let keeps = |socket: &u16| {
            let needed = attempted.contains(socket) || trials.contains_key(socket) || reflecting == Some(*socket);
            needed || used.contains(socket)
        };
        let (kept, closed): (BTreeSet<u16>, BTreeSet<u16>) =
            std::mem::take(&mut self.punching.sockets.open).into_iter().partition(keeps);
        self.punching.sockets.open = kept;
        for socket in closed {
            self.emit(Output::CloseSocket(socket));
        }
    }
}
