//! What stands between this node and direct paths: for `tinmesh doctor`, and the reasons in `tinmesh status`.

use std::time::Duration;

use crate::name::{NodeName, PeerId};
use crate::node::Node;
use crate::node::io::{Examination, Hindrance, Output, PathInfo, PathSizes, Reply};
use crate::node::punching::Asking;
use crate::node::timers::Wake;
use crate::node::udp::headers;
use crate::peer::tunnel::Tunnel;
use crate::time::Instant;
use crate::wire::options::Options;
use crate::wire::probe;

/// How long answers of others may take.
const ANSWERS: Duration = Duration::from_millis(1_000);

/// Any length of UDP payload with a frame in it: what is around the frame is always equally long.
const SAMPLE: usize = 1_000;

/// Questions to others on behalf of an operator.
#[derive(Debug)]
pub(super) struct Examining {
    /// The commands that wait.
    commands: Vec<u64>,
    pub(super) asking: Asking,
}

impl Node {
    /// Why packets for each node do not go straight by UDP, where they do not.
    pub(super) fn hindrances(&self) -> Vec<(NodeName, Hindrance)> {
        let others = self.mesh.graph.ids().into_iter().filter(|&peer| peer != PeerId::ME);
        others.filter_map(|peer| Some((self.name_of(peer)?, self.hindrance(peer)?))).collect()
    }

    /// What is known of the paths to others.
    pub(super) fn paths(&self) -> Vec<PathInfo> {
        self.mesh.graph.ids().into_iter().filter_map(|peer| self.path_info(peer)).collect()
    }

    fn path_info(&self, peer: PeerId) -> Option<PathInfo> {
        let tunnel = self.tunnel(peer)?;
        let learns = self.learns_keepalive(peer);
        Some(PathInfo {
            name: self.name_of(peer)?,
            direct: tunnel.confirmed,
            keepalive: self.keepalive(peer),
            lifetime: learns.then(|| tunnel.lifetime.known()),
            sizes: self.path_sizes(peer, tunnel),
            clock_ahead: tunnel.clock.and_then(|(told, at)| self.ahead(told, at)),
        })
    }

    fn path_sizes(&self, peer: PeerId, tunnel: &Tunnel) -> PathSizes {
        let (told, narrowed) = (tunnel.probing.path_mtu, tunnel.probing.narrowed);
        let Some(known) = self.peer(peer).filter(|known| known.is_confirmed()) else { return PathSizes::default() };
        let found = known.udp.zip(known.fixed_mtu().filter(|&frame| frame > 0));
        let believed = known.udp.and_then(|target| self.initial_mtu(peer, target));
        PathSizes {
            told,
            narrowed,
            found: found.and_then(|(target, frame)| {
                let sealed = SAMPLE - self.frame_in(peer, SAMPLE);
                u16::try_from(usize::from(frame) + sealed + headers(target.to)).ok()
            }),
            untold: found.zip(believed).is_some_and(|((_, frame), believed)| frame < believed.min(probe::MAX_PROBE)),
        }
    }

    /// By how many seconds a clock is ahead of this one's that showed `told` at a moment.
    fn ahead(&self, told: fides::Time, at: Instant) -> Option<i64> {
        let own = self.trust.told_time(self.now)?;
        i64::try_from(i128::from(told.after(self.now.since(at).as_secs()).0) - i128::from(own.0)).ok()
    }

    fn hindrance(&self, peer: PeerId) -> Option<Hindrance> {
        let route = self.packet_route(peer)?;
        if self.config.link.tcp_only {
            return Some(Hindrance::TcpOnlyHere);
        }
        if route.options.has(Options::TCP_ONLY) {
            return Some(Hindrance::TcpOnlyThere);
        }
        if route.via != peer && route.via != PeerId::ME {
            return Some(Hindrance::Indirect);
        }
        let known = self.peer(peer)?;
        let Some(tunnel) = known.tunnel.as_deref() else { return Some(Hindrance::Idle) };
        if tunnel.confirmed {
            return tunnel.health.shuns_datagrams().then_some(Hindrance::Lossy);
        }
        if !tunnel.has_keys() {
            return Some(Hindrance::NoKeys);
        }
        Some(self.hindrance_of_unconfirmed(peer, tunnel))
    }

    fn hindrance_of_unconfirmed(&self, peer: PeerId, tunnel: &Tunnel) -> Hindrance {
        if self.is_guessing(peer) {
            return Hindrance::Guessing;
        }
        if tunnel.retries.failures > 0 {
            let wait = tunnel.retries.not_before.since(self.now);
            return Hindrance::Guessed { failures: tunnel.retries.failures, wait };
        }
        if self.peer(peer).and_then(|known| known.udp).is_none() && self.announced_addresses(peer).is_empty() {
            return Hindrance::NoAddress;
        }
        if !tunnel.is_used(self.now) && !self.is_neighbour(peer) {
            return Hindrance::Idle;
        }
        Hindrance::NoAnswer { probes: tunnel.probing.unanswered }
    }

    /// Asks others where they see this node; the reply comes when they have answered, or did not.
    pub(super) fn examine(&mut self, id: u64) {
        if let Some(examining) = &mut self.punching.examining {
            examining.commands.push(id);
            return;
        }
        let (until, asking) = (self.now + ANSWERS, self.ask_for_operator());
        self.punching.examining = Some(Examining { commands: vec![id], asking });
        self.timers.set(Wake::Examined, until);
        self.finish_examination_if_complete();
    }

    pub(super) fn finish_examination_if_complete(&mut self) {
        if self.punching.examining.as_ref().is_some_and(|examining| examining.asking.is_complete()) {
            self.finish_examination();
        }
    }

    pub(super) fn finish_examination(&mut self) {
        let Some(Examining { commands, asking }) = self.punching.examining.take() else { return };
        self.timers.cancel(Wake::Examined);
        let (asked, seen, forgives) = asking.results();
        let asked = u32::try_from(asked).unwrap_or(u32::MAX);
        let seen = seen.filter_map(|(peer, seen)| Some((self.name_of(peer)?, seen.into()))).collect();
        let examination = Examination { asked, seen, forgives };
        for id in commands {
            self.emit(Output::Reply { id, reply: Reply::Examined(examination.clone()) });
        }
    }
}
