//! Switch mode: the stations of our own wire, learnt from their frames, told to the mesh, and forgotten when they are
//! silent or show themselves elsewhere (spec: routing 6.1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::dataplane::ethernet::Mac;
use crate::dataplane::fib::Mode;
use crate::name::PeerId;
use crate::node::Node;
use crate::node::timers::Wake;
use crate::subnet::{Address, Subnet};
use crate::time::Instant;

/// Time between looks for silent stations.
const AGEING: Duration = Duration::from_secs(10);
/// Stations that are learnt at most: a machine that makes addresses up must not fill the mesh.
const MAX_STATIONS: usize = 16_384;

impl Node {
    /// A worker met a station of our wire that nobody knew.
    pub(super) fn on_learnt(&mut self, mac: Mac) {
        let subnet = Subnet::host(Address::Mac(mac));
        let known = self.mesh.subnets.contains(&subnet, Some(PeerId::ME));
        if self.config.policy.mode != Mode::Switch || known || self.learnt.len() >= MAX_STATIONS {
            return;
        }
        Arc::make_mut(&mut self.learnt).insert(mac, Arc::new(AtomicU64::new(self.now.as_micros())));
        self.tell_subnet(PeerId::ME, subnet, true);
        self.add_subnet(PeerId::ME, subnet);
        self.timers.set_earlier(Wake::Ageing, self.now + AGEING);
    }

    /// Stations that have been silent for too long are forgotten.
    pub(super) fn on_ageing(&mut self) {
        let (now, expire) = (self.now, self.config.timing.mac_expire);
        let silent = |seen: &AtomicU64| now.since(Instant::from_micros(seen.load(Relaxed))) > expire;
        let gone: Vec<Mac> = self.learnt.iter().filter(|(_, seen)| silent(seen)).map(|(mac, _)| *mac).collect();
        gone.into_iter().for_each(|mac| self.forget_station(mac));
        if !self.learnt.is_empty() {
            self.timers.set_earlier(Wake::Ageing, now + AGEING);
        }
    }

    /// Another node announced a subnet: if it is one of our stations, that has moved there.
    pub(super) fn on_station_elsewhere(&mut self, subnet: Subnet) {
        if let Address::Mac(mac) = subnet.address()
            && self.learnt.contains_key(&mac)
        {
            self.forget_station(mac);
        }
    }

    /// The mode changed: nothing is learnt in others.
    pub(super) fn forget_stations_unless_switching(&mut self) {
        if self.config.policy.mode != Mode::Switch {
            let all: Vec<Mac> = self.learnt.keys().copied().collect();
            all.into_iter().for_each(|mac| self.forget_station(mac));
        }
    }

    fn forget_station(&mut self, mac: Mac) {
        let subnet = Subnet::host(Address::Mac(mac));
        Arc::make_mut(&mut self.learnt).remove(&mac);
        self.dirty.fib = true;
        if self.config.subnets.contains(&subnet) {
            return;
        }
        self.tell_subnet(PeerId::ME, subnet, false);
        Arc::make_mut(&mut self.mesh.subnets).remove(&subnet, Some(PeerId::ME));
    }
}
