//! How often paths are kept alive: found out for each neighbour, and agreed on with it (docs/protocol.md, "Keep-alives").

use std::net::SocketAddr;
use std::time::Duration;

use crate::dataplane::fib::UdpTarget;
use crate::dataplane::record::REFLECTION_ASKED;
use crate::name::PeerId;
use crate::node::Node;
use crate::node::timers::Wake;
use crate::packet::Packet;
use crate::peer::lifetime::Step;
use crate::peer::tunnel::Tunnel;
use crate::wire::hello::Feature;
use crate::wire::keepalive;
use crate::wire::reflect::Ask;

/// The interval of a path of which nothing is known, as with tinc.
const BASE: Duration = Duration::from_secs(10);

impl Node {
    /// The interval that all paths begin with.
    pub(super) fn keepalive_base(&self) -> Duration {
        self.config.timing.udp_keepalive.unwrap_or(BASE)
    }

    /// How often the path to `peer` is kept alive: what both ends can do with.
    pub(super) fn keepalive(&self, peer: PeerId) -> Duration {
        let base = self.keepalive_base();
        let Some(tunnel) = self.tunnel(peer).filter(|_| self.uses(peer, Feature::Keepalive)) else { return base };
        self.own_keepalive(tunnel).min(tunnel.agreement.keepalive.unwrap_or(base))
    }

    /// How often this end wants that.
    fn own_keepalive(&self, tunnel: &Tunnel) -> Duration {
        let configured = self.config.timing.udp_keepalive;
        configured.unwrap_or_else(|| tunnel.lifetime.interval(self.now, BASE))
    }

    /// How long a path may be silent until it is given up: as long as the variable says beyond the usual interval.
    pub(super) fn longest_silence(&self, peer: PeerId) -> Duration {
        self.config.timing.udp_timeout + self.keepalive(peer).saturating_sub(self.keepalive_base())
    }

    /// What one of both ends wants has changed, perhaps: the peer is told, and the silence counts anew.
    pub(super) fn settle_keepalive(&mut self, peer: PeerId, before: Duration) {
        let (now, base, interval) = (self.now, self.keepalive_base(), self.keepalive(peer));
        let silence = self.longest_silence(peer);
        let agreed = self.uses(peer, Feature::Keepalive);
        let Some(own) = self.tunnel(peer).map(|tunnel| self.own_keepalive(tunnel)) else { return };
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        let confirmed = tunnel.confirmed;
        if confirmed {
            tunnel.lifetime.note_interval(now, interval, base);
        }
        let heard = tunnel.probing.heard.filter(|_| confirmed && interval != before);
        let news = agreed && tunnel.lifetime.told.replace(own) != Some(own);
        if let Some(heard) = heard.filter(|_| self.timers.is_set(Wake::UdpSilent(peer))) {
            self.timers.set(Wake::UdpSilent(peer), now.max(heard + silence));
        }
        if news {
            self.send_sealed(peer, &keepalive::encode(own));
        }
    }

    /// A peer that has just agreed knows nothing.
    pub(super) fn tell_keepalive(&mut self, peer: PeerId) {
        let before = self.keepalive(peer);
        if let Some(tunnel) = self.tunnel_mut(peer) {
            tunnel.lifetime.told = None;
        }
        self.recall_silences(peer);
        self.settle_keepalive(peer, before);
    }

    pub(super) fn on_keepalive_message(&mut self, origin: PeerId, message: &[u8]) {
        let Some(told) = keepalive::parse(message).filter(|_| self.uses(origin, Feature::Keepalive)) else { return };
        let before = self.keepalive(origin);
        let base = self.keepalive_base();
        let Some(tunnel) = self.tunnel_mut(origin) else { return };
        tunnel.agreement.keepalive = Some(told);
        if told <= base && before > base {
            // It lost the path, perhaps because it was silent for too long.
            tunnel.lifetime.forget();
        }
        self.settle_keepalive(origin, before);
    }

    /// Whether it is to be found out how long the path to `peer` may be silent.
    pub(super) fn learns_keepalive(&self, peer: PeerId) -> bool {
        let wanted = self.config.timing.udp_keepalive.is_none() && self.config.mesh.udp_discovery;
        wanted && self.is_neighbour(peer) && self.uses(peer, Feature::Keepalive)
    }

    /// Tries, beside a path to a neighbour, how long it may be silent.
    pub(super) fn learn_keepalive(&mut self, peer: PeerId) {
        let now = self.now;
        let before = self.keepalive(peer);
        let target = self.peer(peer).filter(|known| known.is_confirmed()).and_then(|known| known.udp);
        if let Some(target) = target.filter(|_| self.learns_keepalive(peer))
            && let Some((tunnel, rng)) = self.tunnel_and_rng(peer)
        {
            let known = tunnel.lifetime.silences();
            let step = tunnel.lifetime.tick(now, rng);
            self.remember_silences(peer, known);
            self.take_step(peer, target, step);
        }
        self.settle_keepalive(peer, before);
    }

    fn take_step(&mut self, peer: PeerId, target: UdpTarget, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Open => self.begin_trial(peer, target),
            Step::Knock { target: trial, port, mark } => {
                let other = self.rng.bytes();
                self.ask_in_trial(peer, target, Ask { opens: port, ..Ask::new(other) });
                self.ask_in_trial(peer, trial, Ask::new(mark));
            }
            Step::Order { target, seconds, mark } => {
                let later = u16::try_from(seconds).unwrap_or(u16::MAX);
                self.ask_in_trial(peer, target, Ask { later, ..Ask::new(mark) });
            }
            Step::Close => self.close_extra_sockets(),
        }
    }

    fn ask_in_trial(&mut self, peer: PeerId, target: UdpTarget, ask: Ask) {
        self.send_straight(peer, target, REFLECTION_ASKED, Packet::from_payload(&ask.encode()));
    }

    /// An answer of reflection came from `peer`; those of trials come to their own sockets.
    pub(super) fn on_answer_in_trial(&mut self, peer: PeerId, mark: [u8; 4], from: UdpTarget) {
        let now = self.now;
        let before = self.keepalive(peer);
        let Some(target) = self.peer(peer).and_then(|known| known.udp) else { return };
        let Some(tunnel) = self.tunnel_mut(peer) else { return };
        if tunnel.lifetime.socket() != Some(from.socket) {
            return;
        }
        let known = tunnel.lifetime.silences();
        let step = tunnel.lifetime.on_answer(now, mark, from.to);
        self.remember_silences(peer, known);
        self.take_step(peer, target, step);
        self.settle_keepalive(peer, before);
    }

    /// The peer wants to hear the answer once more later, or first at another port.
    pub(super) fn note_orders(&mut self, peer: PeerId, ask: &Ask, from: UdpTarget) -> Option<UdpTarget> {
        let now = self.now;
        let tunnel = self.tunnel_mut(peer)?;
        if let Some(due) = keepalive::delay(ask.later) {
            tunnel.late.order = Some((ask.mark, from));
            self.timers.set(Wake::Late(peer), now + due);
        }
        let tunnel = self.tunnel_mut(peer)?;
        let rested = tunnel.late.opened.is_none_or(|at| now.since(at) >= keepalive::REST);
        if ask.opens == 0 || !rested || !self.takes_port(now) {
            return None;
        }
        self.tunnel_mut(peer)?.late.opened = Some(now);
        Some(UdpTarget { to: SocketAddr::new(from.to.ip(), ask.opens), ..from })
    }

    pub(super) fn on_late_time(&mut self, peer: PeerId) {
        let order = self.tunnel_mut(peer).and_then(|tunnel| tunnel.late.order.take());
        if let Some((mark, from)) = order {
            self.answer_reflection(peer, mark, from);
        }
    }
}
