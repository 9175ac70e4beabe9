//! Extra sockets: each is another inside endpoint for the NAT, and so gets outer ports of its own.

use std::collections::BTreeSet;

use crate::name::PeerId;
use crate::node::Node;
use crate::node::io::Output;
use crate::node::punching::Attempt;
use crate::wire::hello::Feature;

/// Most extra sockets at a time.
const LIMIT: usize = 300;

/// The extra sockets that are open, by index.
#[derive(Debug, Default)]
pub(super) struct ExtraSockets {
    open: BTreeSet<u16>,
}

impl Node {
    /// Opens extra sockets until the attempt has `count`, as far as there may be so many.
    pub(super) fn open_extra_sockets(&mut self, count: usize) {
        while self.punching.attempt.as_ref().is_some_and(|attempt| attempt.extra.len() < count) {
            let Some(socket) = self.open_extra_socket() else { return };
            if let Some(attempt) = &mut self.punching.attempt {
                attempt.extra.push(socket);
            }
        }
    }

    fn open_extra_socket(&mut self) -> Option<u16> {
        let beside = self.main_socket()?;
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
            self.punching.reflecting = self.open_extra_socket();
        }
    }

    pub(in crate::node) fn on_socket_opened(&mut self, socket: u16, port: u16) {
        if self.punching.reflecting == Some(socket) {
            self.punching.other_port = port;
        }
    }

    /// Closes those that nothing uses any more.
    pub(super) fn close_extra_sockets(&mut self) {
        let used: BTreeSet<u16> = self.peers.iter().flatten().filter_map(|peer| Some(peer.udp?.socket)).collect();
        let attempted = self.punching.attempt.as_ref().map_or(&[][..], |attempt: &Attempt| &attempt.extra);
        let reflecting = self.punching.reflecting;
        let keeps = |socket: &u16| used.contains(socket) || attempted.contains(socket) || reflecting == Some(*socket);
        let (kept, closed): (BTreeSet<u16>, BTreeSet<u16>) =
            std::mem::take(&mut self.punching.sockets.open).into_iter().partition(keeps);
        self.punching.sockets.open = kept;
        for socket in closed {
            self.emit(Output::CloseSocket(socket));
        }
    }
}
