//! Ports that the own router passes on, told to tinmesh nodes, and those that others tell (docs/protocol.md, "Mapped ports").

use crate::name::PeerId;
use crate::node::Node;
use crate::node::io::Event;
use crate::wire::endpoint::Endpoints;
use crate::wire::hello::Feature;
use crate::wire::mapped;
use crate::wire::probe;

impl Node {
    /// The router has begun or ceased to pass datagrams on: all who may use it are told.
    pub(super) fn on_own_mapped(&mut self, mapped: Endpoints) {
        if std::mem::replace(&mut self.mapped, mapped) == mapped {
            return;
        }
        self.send_sealed_to_all(Feature::Mapped, &mapped::encode(mapped));
    }

    /// A peer that has just agreed does not know it yet.
    pub(super) fn tell_mapped(&mut self, peer: PeerId) {
        if self.mapped != Endpoints::default() && self.uses(peer, Feature::Mapped) {
            self.send_sealed(peer, &mapped::encode(self.mapped));
        }
    }

    pub(super) fn on_mapped_message(&mut self, origin: PeerId, message: &[u8]) {
        let Some(mapped) = mapped::parse(message).filter(|_| self.uses(origin, Feature::Mapped)) else { return };
        let Some(tunnel) = self.tunnel_mut(origin) else { return };
        if std::mem::replace(&mut tunnel.agreement.mapped, mapped) == mapped {
            return;
        }
        if let Some(name) = self.name_of(origin) {
            let addresses: Vec<String> = mapped.addresses().map(|address| address.to_string()).collect();
            self.event(Event::Note(format!("Routers pass datagrams on to {name}: {}", addresses.join(" "))));
        }
        self.try_mapped(origin);
    }

    /// Probes go there at once, if datagrams go straight to the peer and no address of it answers yet.
    fn try_mapped(&mut self, peer: PeerId) {
        let Some(mapped) = self.tunnel(peer).filter(|tunnel| !tunnel.confirmed).map(|tunnel| tunnel.agreement.mapped)
        else {
            return;
        };
        if !self.wants_datagrams(peer) {
            return;
        }
        for address in mapped.addresses() {
            if let Some(target) = self.target(address) {
                self.send_request(peer, target, probe::MIN_PROBE);
            }
        }
    }
}
