//! Datagrams between machines, and the packets of their devices.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tinmesh_core::dataplane::fib::{Mode, UdpTarget};
use tinmesh_core::dataplane::verdict::Verdict;
use tinmesh_core::name::NodeId;
use tinmesh_core::node::io::Input;
use tinmesh_core::packet::Packet;

use crate::engine::Engine;
use crate::engine::daemon::Feedback;
use crate::frames::{self, Frame, Mac};
use crate::internet::{Datagram, Fate, HostId};
use crate::machine::{Brain, SAMPLING};
use crate::queue::Event;
use crate::traffic::{self, Arrival, Carrier, Given, Stamp};

impl Engine {
    /// A machine's device has a packet for the mesh.
    pub(super) fn on_device_packet(&mut self, host: HostId, bytes: &[u8]) {
        let now = self.now;
        let machine = self.machine_mut(host);
        let Some(fib) = machine.fib.clone() else { return };
        machine.scratch.now = now;
        let mut packet = Packet::from_payload(bytes);
        let verdict = fib.outbound(&mut packet, &mut machine.scratch);
        let strangers = machine.scratch.strangers.take();
        strangers.for_each(|mac| self.feed(host, Input::Learnt(mac)));
        self.carrier = Carrier::Nothing;
        self.finish(host, verdict, packet);
    }

    fn finish(&mut self, host: HostId, verdict: Verdict, packet: Packet) {
        self.plan_sample(host);
        match verdict {
            Verdict::Transmit(target) => self.transmit(host, target, packet, true),
            Verdict::Deliver => self.deliver(host, packet.payload()),
            Verdict::Punt(punt) => self.feed(host, Input::Punt { punt, payload: packet.payload() }),
            Verdict::Drop(_) => {}
        }
    }

    fn plan_sample(&mut self, host: HostId) {
        let machine = self.machine_mut(host);
        if !std::mem::replace(&mut machine.sampling, true) {
            self.plan(SAMPLING, Event::Sample(host));
        }
    }

    /// Sends a datagram of `host`; one that is refused may be missed.
    pub(super) fn transmit(&mut self, host: HostId, target: UdpTarget, packet: Packet, missed: bool) {
        let machine = self.machine_mut(host);
        machine.work.datagrams += 1;
        let Some(port) = machine.port_of(target.socket) else { return };
        let own = machine.config.name.id();
        // Datagrams of tinc 1.0 have no ids, and are never relayed.
        let relayed = packet.payload().get(6..12).is_some_and(|origin| *origin != own.0 && self.is_id(origin));
        let Some(mut datagram) = self.net.datagram(host, port, target.to, packet) else { return };
        if relayed {
            datagram.relays = self.relays_with(host);
        }
        if !self.flows.is_empty() || !self.frames.is_empty() {
            let clear = traffic::is_clear(datagram.packet.payload());
            assert!(!clear, "a test packet is readable in a datagram of {host:?}");
        }
        self.send(datagram, missed);
    }

    fn is_id(&self, id: &[u8]) -> bool {
        self.machines.iter().any(|machine| machine.config.name.id().0 == *id)
    }

    /// The relays of a datagram that `host` passes on.
    fn relays_with(&self, host: HostId) -> Vec<HostId> {
        let mut relays = match &self.carrier {
            Carrier::Udp(relays) => relays.clone(),
            Carrier::Tcp(_) | Carrier::Nothing => Vec::new(),
        };
        assert!(!relays.contains(&host), "a datagram goes in a circle: {relays:?}, then {host:?}");
        relays.push(host);
        relays
    }

    fn send(&mut self, mut datagram: Datagram, missed: bool) {
        let (origin, to) = (datagram.parcel.origin, datagram.parcel.sent_to);
        let fate = self.net.depart(self.now, &mut datagram.parcel, &mut self.dice);
        match fate {
            Fate::TooBig => {
                self.pending.push_back((origin, Feedback::TooBig { to, datagram: datagram.packet, missed }));
            }
            Fate::Lost => {}
            Fate::Bounced { .. } => self.bounce(origin, to.ip(), &fate),
            Fate::Travels { after, twice } => {
                if twice {
                    self.plan(after, Event::Arrive(Box::new(datagram.clone())));
                }
                self.plan(after, Event::Arrive(Box::new(datagram)));
            }
        }
    }

    pub(super) fn on_arrive(&mut self, mut datagram: Box<Datagram>) {
        let Some((host, fate)) = self.net.enter(self.now, &mut datagram.parcel, &mut self.dice) else { return };
        match fate {
            Fate::TooBig | Fate::Lost => {}
            Fate::Bounced { .. } => self.bounce(datagram.parcel.origin, datagram.parcel.sent_to.ip(), &fate),
            Fate::Travels { after, twice } => {
                if twice {
                    self.plan(after, Event::Reach(host, datagram.clone()));
                }
                self.plan(after, Event::Reach(host, datagram));
            }
        }
    }

    pub(super) fn on_reach(&mut self, host: HostId, datagram: Datagram) {
        let now = self.now;
        self.trace.bytes(datagram.packet.payload());
        let machine = &mut self.machines[host.index()];
        let listening = matches!(machine.brain, Brain::Node(_)) && self.net.host(host).up;
        let Some(fib) = machine.fib.clone().filter(|_| listening) else { return };
        let Some(socket) = machine.socket_at(datagram.parcel.to) else { return };
        let destination = datagram.packet.payload().first_chunk().map(|id| NodeId(*id));
        machine.scratch.now = now;
        machine.scratch.socket = socket;
        let mut packet = datagram.packet;
        let verdict = fib.inbound(datagram.parcel.from, &mut packet, &mut machine.scratch);
        let other = destination.filter(|id| machine.lies && *id != machine.config.name.id());
        if let Some(other) = other.and_then(|id| fib.peer(*fib.by_id.get(&id)?)) {
            // What it passes on neither goes out nor counts as lost on its own path.
            other.stats.straight_out.fetch_sub(1, Relaxed);
            return;
        }
        self.carrier = Carrier::Udp(datagram.relays);
        self.finish(host, verdict, packet);
    }

    /// A machine's device is given a packet.
    pub(super) fn deliver(&mut self, host: HostId, packet: &[u8]) {
        if self.machine(host).config.policy.mode != Mode::Router {
            return self.deliver_frame(host, packet);
        }
        match traffic::decode(packet) {
            Given::Test(stamp) => self.account(host, stamp),
            Given::Damaged => panic!("{host:?} was given a damaged packet of {} bytes", packet.len()),
            Given::TooBig(mtu) => self.machine_mut(host).told_too_big.push(mtu),
            Given::Unreachable | Given::Other => {}
        }
    }

    fn deliver_frame(&mut self, host: HostId, bytes: &[u8]) {
        let Some(number) = frames::number(bytes) else { return };
        let Some(frame) = self.frames.get_mut(number as usize) else {
            panic!("{host:?} was given a frame that nobody sent");
        };
        frame.arrive(number, host, bytes);
    }

    fn account(&mut self, host: HostId, stamp: Stamp) {
        let arrival = Arrival { number: stamp.number, at: self.now, carrier: self.carrier.clone() };
        let Some(flow) = self.flows.get_mut(stamp.flow as usize) else {
            panic!("{host:?} was given a packet of a flow that does not exist");
        };
        let expected = if stamp.reply { flow.from } else { flow.to };
        assert_eq!(host, expected, "a packet of flow {} was given to the wrong host", stamp.flow);
        assert!(!flow.has(stamp), "packet {} of flow {} was delivered twice", stamp.number, stamp.flow);
        if stamp.reply {
            flow.replies.push(arrival);
            return;
        }
        flow.arrivals.push(arrival);
        if let Some(len) = flow.answers {
            let (from, to) = flow.addresses;
            let answer = traffic::encode(to, from, Stamp { reply: true, ..stamp }, len);
            self.pending.push_back((host, Feedback::Device(answer)));
        }
    }

    pub(super) fn on_flow(&mut self, index: usize) {
        let now = self.now;
        let flow = &mut self.flows[index];
        let number = u32::try_from(flow.sent.len()).unwrap_or(u32::MAX);
        if number >= flow.count {
            return;
        }
        flow.sent.push(now);
        let (from, pace) = (flow.from, flow.pace);
        let stamp = Stamp { flow: u32::try_from(index).unwrap_or(u32::MAX), number, reply: false };
        let packet = traffic::encode(flow.addresses.0, flow.addresses.1, stamp, flow.len);
        if number + 1 < flow.count {
            self.plan(pace, Event::Flow(index));
        }
        if self.is_awake(from) {
            self.on_device_packet(from, &packet);
        }
    }

    /// A station on a machine's wire sends a frame; its number.
    pub(crate) fn send_frame(&mut self, from: HostId, source: Mac, destination: Mac) -> usize {
        let number = self.frames.len();
        let frame = Frame::new(from, source, destination);
        let bytes = frame.encode(u32::try_from(number).unwrap_or(u32::MAX));
        self.frames.push(frame);
        self.pending.push_back((from, Feedback::Device(bytes)));
        self.settle();
        number
    }

    /// Starts a flow; its number.
    pub(crate) fn start_flow(&mut self, flow: traffic::Flow) -> usize {
        self.flows.push(flow);
        self.plan(Duration::ZERO, Event::Flow(self.flows.len() - 1));
        self.flows.len() - 1
    }
}
