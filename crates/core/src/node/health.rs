//! Reports between tinmesh nodes of what arrives, and the choice between datagrams and TCP that follows from them.

use std::sync::atomic::Ordering::Relaxed;

use crate::name::PeerId;
use crate::node::Node;
use crate::node::io::Event;
use crate::peer::health::Verdict;
use crate::wire::health::{Answer, Message};
use crate::wire::hello::Feature;

impl Node {
    /// Reports to `peer` what was sent there, if that is due.
    pub(super) fn attend_health(&mut self, peer: PeerId) {
        if !self.uses(peer, Feature::Health) {
            return;
        }
        let now = self.now;
        let Some(known) = self.peer_mut(peer) else { return };
        let (straight, all) = (known.stats.straight_out.load(Relaxed), known.stats.out_packets.load(Relaxed));
        let Some(tunnel) = known.tunnel.as_deref_mut() else { return };
        let sent = match tunnel.relay.chosen() {
            _ if tunnel.confirmed => straight,
            Some(_) => all,
            None => return,
        };
        if let Some(number) = tunnel.health.report(now, sent) {
            self.send_sealed(peer, &Message::Report { number, sent }.encode());
        }
    }

    pub(super) fn on_health_message(&mut self, origin: PeerId, kind: u8, message: &[u8]) {
        if !self.uses(origin, Feature::Health) {
            return;
        }
        match Message::parse(kind, message) {
            Some(Message::Report { number, sent: _ }) => self.answer_report(origin, number),
            Some(Message::Answer(answer)) => self.on_health_answer(origin, answer),
            Some(Message::Doubt) => self.doubt(origin),
            None => {}
        }
    }

    fn answer_report(&mut self, origin: PeerId, number: u32) {
        let Some(stats) = self.peer(origin).map(|known| &known.stats) else { return };
        let (came, bytes) = (stats.straight_in.load(Relaxed), stats.in_bytes.load(Relaxed));
        self.send_sealed(origin, &Message::Answer(Answer { number, came, bytes }).encode());
    }

    fn on_health_answer(&mut self, peer: PeerId, answer: Answer) {
        // What doubts find out says more than what was lost before.
        let Some(tunnel) = self.tunnel_mut(peer).filter(|tunnel| tunnel.watch.due().is_none()) else { return };
        if !tunnel.confirmed {
            let reported = tunnel.health.reported(answer.number);
            if reported.is_some_and(|(at, sent)| tunnel.relay.on_arrivals(at, sent, answer.bytes)) {
                self.choose_relay(peer);
            }
            return;
        }
        match tunnel.health.on_answer(answer) {
            Verdict::Well => {}
            Verdict::Doubtful => self.doubt(peer),
            Verdict::Changed => {
                let direct = !tunnel.health.shuns_datagrams();
                self.touch(peer);
                let target = self.peer(peer).and_then(|known| known.udp);
                if let Some(name) = self.name_of(peer) {
                    let address = target.filter(|_| direct).map(|target| target.to);
                    self.event(Event::PathChanged { name, direct, address });
                }
            }
        }
    }

    /// Tells `peer` that something is wrong with the path between us.
    pub(super) fn tell_doubt(&mut self, peer: PeerId) {
        if self.uses(peer, Feature::Health) {
            self.send_sealed(peer, &Message::Doubt.encode());
        }
    }
}
