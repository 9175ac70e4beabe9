//! Packets for the device, joined where it takes that.

use std::io::{self, IoSlice};

use tinmesh_core::dataplane::batch::BATCH;
use tinmesh_core::dataplane::ethernet;
use tinmesh_core::dataplane::offload::train::{Joins, Trains};
use tinmesh_core::dataplane::offload::unsummed;
use tinmesh_core::dataplane::steering::queue_of;
use tinmesh_core::packet::{ETHERNET_HEADER, Packet};
use tinmesh_os::device::{Device, Kind};

use crate::daemon::shared::{Link, Shared};

/// The packets of one batch that go to the device.
pub(super) struct Delivery {
    trains: Trains,
    kind: Kind,
}

impl Delivery {
    pub(super) fn new(link: &Link) -> Self {
        let device = link.device();
        let joins = device
            .and_then(Device::offloads)
            .map_or_else(Joins::default, |offloads| Joins { tcp: true, udp: offloads.udp });
        Self { trains: Trains::new(joins), kind: device.map_or(Kind::Tun, Device::kind) }
    }

    /// Packet number `at` of the batch goes to the device.
    pub(super) fn add(&mut self, at: usize, packets: &[Packet]) {
        let network = self.network(packets[at].payload());
        if packets[at].is_unsummed() {
            self.trains.add_unsummed(at, network, |at| packets[at].payload());
        } else {
            self.trains.add(at, network, |at| packets[at].payload());
        }
    }

    /// Where the IP header of a packet is, if it can be joined with others.
    fn network(&self, packet: &[u8]) -> Option<usize> {
        match self.kind {
            Kind::Tun => Some(0),
            // What a tag means for large packets differs from kernel to kernel.
            Kind::Tap | Kind::Wire => ethernet::network_offset(packet).filter(|offset| *offset == ETHERNET_HEADER),
        }
    }

    /// Sends what was added; returns how many packets the system refused.
    pub(super) fn send(&mut self, shared: &Shared, packets: &mut [Packet]) -> u64 {
        let mut refused = 0;
        let queues = shared.lanes.len();
        for index in 0..self.trains.len() {
            let queue = if queues == 1 {
                0
            } else {
                let head = packets[self.trains.head(index)].payload();
                queue_of(head, self.network(head), queues)
            };
            if self.send_train(index, shared.outlet(queue), packets).is_err() {
                refused += self.trains.packets(index) as u64;
            }
        }
        self.trains.clear();
        refused
    }

    fn send_train(&self, index: usize, link: &Link, packets: &mut [Packet]) -> io::Result<()> {
        let head = self.trains.head(index);
        let Some(device) = link.device().filter(|_| self.trains.packets(index) > 1) else {
            unsummed::complete(&mut packets[head]);
            return link.send(packets[head].payload());
        };
        let (header, len) = self.trains.couple(index, packets[head].payload_mut());
        let header = header.encode();
        let mut parts = [IoSlice::new(&[]); BATCH + 1];
        parts[0] = IoSlice::new(&header);
        parts[1] = IoSlice::new(&packets[head].payload()[..len]);
        let mut used = 2;
        for (at, data) in self.trains.wagons(index) {
            parts[used] = IoSlice::new(&packets[at].payload()[data]);
            used += 1;
        }
        device.send_parts(&parts[..used])
    }
}
