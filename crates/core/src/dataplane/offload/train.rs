//! Joining packets of one flow for the device.
//!
//! A train is what the receiver's kernel could cut apart again into the very packets that it was made of: same addresses,
//! ports, options, acknowledgement and window; successive sequence numbers; equal lengths, only the last may be shorter;
//! all checksums right, because nobody checks them afterwards. A packet that does not fit ends the train of its flow, so
//! the packets of a flow stay in order.

use crate::dataplane::batch::BATCH;
use crate::dataplane::ip::{
    self, DF, Family, PLAIN_V4, TCP, UDP, V4_CHECKSUM, V4_FRAGMENT, V4_HEADER, V4_ID, V4_LENGTH, V4_PROTOCOL,
    V6_HEADER, V6_LENGTH, V6_NEXT,
};
use crate::dataplane::offload::{Checksum, Cut, CutKind, VnetHeader};
use crate::dataplane::transport::{
    FIN, PSH, TCP_CHECKSUM, TCP_FLAGS, TCP_HEADER, TCP_OFFSET, TCP_SEQUENCE, UDP_CHECKSUM, UDP_HEADER, UDP_LENGTH,
};

/// Flows whose trains can grow at the same time.
const OPEN: usize = 8;
/// Longest joined packet, in bytes from the IP header.
const LONGEST: usize = 65_535;
const ACK: u8 = 0x10;
const ECE: u8 = 0x40;

/// What a device takes joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joins {
    /// TCP segments.
    pub tcp: bool,
    /// UDP datagrams.
    pub udp: bool,
}

/// Where the parts of a TCP or UDP packet are, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    family: Family,
    protocol: u8,
    network: usize,
    transport: usize,
    data: usize,
    /// Where the packet ends; behind it a frame may have padding.
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct Train {
    layout: Layout,
    head: u8,
    tail: u8,
    count: u8,
    /// Bytes of data in each packet but the last.
    size: usize,
    /// Bytes of data in all.
    data: usize,
    /// Whether the last packet ends it.
    ended: bool,
    /// Flags that the last packet has and the first has not.
    flags: u8,
    /// Whether the checksum of the first packet is known to be right, which is put off until a second one comes.
    checked: bool,
}

/// What is known of the checksums of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sum {
    /// Nothing.
    Unknown,
    /// Whoever sealed it vouches for them.
    Vouched,
}

/// How a packet that may be in a train stands to one.
enum Fit {
    /// It is of another flow.
    Other,
    /// It is the next one.
    Next,
    /// It is of the same flow and ends the train.
    Breaks,
}

/// Which packets of a batch go to the device together, and in which order. Reused from batch to batch.
#[derive(Debug)]
pub struct Trains {
    joins: Joins,
    trains: [Option<Train>; BATCH],
    count: usize,
    /// Trains that may grow, as indices; a full list forgets the oldest.
    open: [Option<u8>; OPEN],
    oldest: usize,
    /// For each packet of a train the next one.
    next: [u8; BATCH],
    /// Where the data of each packet lies.
    data: [(u16, u16); BATCH],
}

impl Trains {
    /// No trains, for a device that takes `joins`.
    pub const fn new(joins: Joins) -> Self {
        Self {
            joins,
            trains: [None; BATCH],
            count: 0,
            open: [None; OPEN],
            oldest: 0,
            next: [0; BATCH],
            data: [(0, 0); BATCH],
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.count = 0;
        self.open = [None; OPEN];
        self.oldest = 0;
    }

    /// How many trains there are, those of one packet among them.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds packet number `at`, below [`BATCH`]; `packet` gives the bytes of those that were added. Its IP header is
    /// at `network`; `None`: it carries no IP.
    pub fn add<'a>(&mut self, at: usize, network: Option<usize>, packet: impl Fn(usize) -> &'a [u8]) {
        self.put(at, network, Sum::Unknown, packet);
    }

    /// The same for a packet without checksum, which it gets as part of a train, or else has to get from others.
    pub fn add_unsummed<'a>(&mut self, at: usize, network: Option<usize>, packet: impl Fn(usize) -> &'a [u8]) {
        self.put(at, network, Sum::Vouched, packet);
    }

    fn put<'a>(&mut self, at: usize, network: Option<usize>, sum: Sum, packet: impl Fn(usize) -> &'a [u8]) {
        let bytes = packet(at);
        let layout = network.and_then(|network| Layout::of(bytes, network)).filter(|layout| self.takes(layout));
        let Some(layout) = layout else {
            // It may be of any flow, as a fragment is.
            self.open = [None; OPEN];
            self.start(at, None, bytes.len(), sum);
            return;
        };
        self.data[at] = (layout.data as u16, layout.end as u16);
        for slot in 0..OPEN {
            let Some(index) = self.open[slot] else { continue };
            let Some(train) = self.trains[usize::from(index)].as_mut() else { continue };
            match train.fit(&layout, packet(usize::from(train.head)), bytes, sum) {
                Fit::Other => {}
                Fit::Next => {
                    self.next[usize::from(train.tail)] = at as u8;
                    train.push(at, &layout, bytes);
                    if train.ended {
                        self.open[slot] = None;
                    }
                    return;
                }
                Fit::Breaks => self.open[slot] = None,
            }
        }
        self.start(at, Some((layout, layout.may_lead(bytes))), bytes.len(), sum);
    }

    const fn takes(&self, layout: &Layout) -> bool {
        if layout.protocol == TCP { self.joins.tcp } else { self.joins.udp }
    }

    fn start(&mut self, at: usize, layout: Option<(Layout, bool)>, len: usize, sum: Sum) {
        let whole = Layout { family: Family::V4, protocol: 0, network: 0, transport: 0, data: len, end: len };
        let (layout, may_grow) = layout.unwrap_or((whole, false));
        let size = layout.end - layout.data;
        let number = at as u8;
        let train = Train {
            layout,
            head: number,
            tail: number,
            count: 1,
            size,
            data: size,
            ended: false,
            flags: 0,
            checked: sum == Sum::Vouched,
        };
        let Some(place) = self.trains.get_mut(self.count) else { return };
        *place = Some(train);
        if may_grow {
            let free = self.open.iter().position(Option::is_none).unwrap_or_else(|| {
                self.oldest = (self.oldest + 1) % OPEN;
                self.oldest
            });
            self.open[free] = Some(self.count as u8);
        }
        self.count += 1;
    }

    /// The number of the first packet of train `index`.
    pub fn head(&self, index: usize) -> usize {
        self.trains.get(index).copied().flatten().map_or(0, |train| usize::from(train.head))
    }

    /// How many packets train `index` has.
    pub fn packets(&self, index: usize) -> usize {
        self.trains.get(index).copied().flatten().map_or(0, |train| usize::from(train.count))
    }

    /// The other packets of train `index`, each with the place of its data.
    pub fn wagons(&self, index: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let (mut at, count) =
            self.trains.get(index).copied().flatten().map_or((0, 1), |train| (usize::from(train.head), train.count));
        (1..count).map(move |_| {
            at = usize::from(self.next[at]);
            let (start, end) = self.data[at];
            (at, usize::from(start)..usize::from(end))
        })
    }

    /// Makes the headers of the first packet of train `index`, in `head`, those of the whole train. Tells what the device
    /// has to know, and how long the packet is without padding. A train of one packet is left as it is.
    pub fn couple(&self, index: usize, head: &mut [u8]) -> (VnetHeader, usize) {
        match self.trains.get(index).copied().flatten() {
            Some(train) if train.count > 1 => (train.couple(head), train.layout.end),
            _ => (VnetHeader::default(), head.len()),
        }
    }
}

impl Layout {
    /// The layout of a TCP or UDP packet without IP options or extension headers that is not a fragment.
    fn of(packet: &[u8], network: usize) -> Option<Self> {
        let ip = packet.get(network..)?;
        let family = Family::of(ip)?;
        let (protocol, header, len) = match family {
            Family::V4 => {
                let whole = *ip.first()? == PLAIN_V4 && ip::word(ip, V4_FRAGMENT)? & !DF == 0;
                (whole.then_some(*ip.get(V4_PROTOCOL)?)?, V4_HEADER, usize::from(ip::word(ip, V4_LENGTH)?))
            }
            Family::V6 => (*ip.get(V6_NEXT)?, V6_HEADER, V6_HEADER + usize::from(ip::word(ip, V6_LENGTH)?)),
        };
        let ip = ip.get(..len)?;
        let own = match protocol {
            TCP => usize::from(*ip.get(header + TCP_OFFSET)? >> 4) * 4,
            UDP if usize::from(ip::word(ip, header + UDP_LENGTH)?) == len - header => UDP_HEADER,
            _ => return None,
        };
        let shortest = if protocol == TCP { TCP_HEADER } else { UDP_HEADER };
        (own >= shortest && header + own <= len).then_some(Self {
            family,
            protocol,
            network,
            transport: network + header,
            data: network + header + own,
            end: network + len,
        })
    }

    /// Whether others may follow a packet: it has data, and nothing in it ends a train.
    fn may_lead(&self, packet: &[u8]) -> bool {
        let data = self.end > self.data;
        match self.protocol {
            TCP => data && packet[self.transport + TCP_FLAGS] & !ECE == ACK,
            _ => data && ip::word(packet, self.transport + UDP_CHECKSUM) != Some(0),
        }
    }

    /// Whether both are of one flow.
    fn same_flow(&self, own: &[u8], other: &Self, others: &[u8]) -> bool {
        let addresses = match self.family {
            Family::V4 => 12..20,
            Family::V6 => 8..40,
        };
        let (from, to) = (self.network + addresses.start, self.network + addresses.end);
        (self.family, self.protocol, self.network) == (other.family, other.protocol, other.network)
            && own[from..to] == others[from..to]
            && own[self.transport..self.transport + 4] == others[self.transport..self.transport + 4]
    }

    /// Whether the IP headers (and what is before them) differ in nothing but length, id and checksum.
    fn same_network(&self, own: &[u8], others: &[u8]) -> bool {
        let at = self.network;
        own[..at] == others[..at]
            && match self.family {
                Family::V4 => own[at..at + 2] == others[at..at + 2] && own[at + 6..at + 10] == others[at + 6..at + 10],
                Family::V6 => own[at..at + 4] == others[at..at + 4] && own[at + 7] == others[at + 7],
            }
    }

    /// The checksums of the packet are right.
    fn is_genuine(&self, packet: &[u8]) -> bool {
        let header_is_right =
            self.family == Family::V6 || ip::folded_sum(&packet[self.network..self.transport]) == u16::MAX;
        let covered = &packet[self.transport..self.end];
        let sum = u64::from(ip::folded_sum(covered)) + self.pseudo(packet, covered.len());
        header_is_right && ip::folded(sum) == u16::MAX
    }

    /// The sum of the pseudo header.
    fn pseudo(&self, packet: &[u8], len: usize) -> u64 {
        let addresses = match self.family {
            Family::V4 => &packet[self.network + 12..self.network + 20],
            Family::V6 => &packet[self.network + 8..self.network + 40],
        };
        u64::from(ip::folded_sum(addresses)) + u64::from(self.protocol) + len as u64
    }

    /// IPv4 ids tell nothing of a packet that may not be fragmented; else they must count up (RFC 6864).
    fn id_follows(&self, head: &[u8], packet: &[u8], count: u8) -> bool {
        let at = self.network;
        let counts = || {
            let id = |bytes: &[u8]| ip::word(bytes, at + V4_ID).unwrap_or(0);
            id(head).wrapping_add(u16::from(count)) == id(packet)
        };
        self.family == Family::V6 || ip::word(head, at + 6).is_some_and(|word| word & DF != 0) || counts()
    }
}

impl Train {
    fn fit(&mut self, layout: &Layout, head: &[u8], packet: &[u8], sum: Sum) -> Fit {
        if !self.layout.same_flow(head, layout, packet) {
            return Fit::Other;
        }
        let len = layout.end - layout.data;
        let grows = len > 0
            && len <= self.size
            && self.layout.data == layout.data
            && self.layout.data - self.layout.network + self.data + len <= LONGEST
            && self.layout.same_network(head, packet)
            && self.layout.id_follows(head, packet, self.count)
            && self.continues(head, packet)
            && (sum == Sum::Vouched || layout.is_genuine(packet))
            && (self.checked || self.layout.is_genuine(head));
        if !grows {
            return Fit::Breaks;
        }
        self.checked = true;
        Fit::Next
    }

    /// Whether the transport header is that of the next packet.
    fn continues(&self, head: &[u8], packet: &[u8]) -> bool {
        let at = self.layout.transport;
        if self.layout.protocol == UDP {
            return ip::word(packet, at + UDP_CHECKSUM) != Some(0);
        }
        let sequence = |bytes: &[u8]| {
            bytes.get(at + TCP_SEQUENCE..).and_then(<[u8]>::first_chunk::<4>).map(|bytes| u32::from_be_bytes(*bytes))
        };
        let due = sequence(head).map(|first| first.wrapping_add(self.data as u32));
        let flags = at + TCP_FLAGS;
        due == sequence(packet)
            && head[at + 8..flags] == packet[at + 8..flags]
            && head[flags] & !PSH == packet[flags] & !(PSH | FIN)
            && head[flags + 1..flags + 3] == packet[flags + 1..flags + 3]
            && head[at + 18..self.layout.data] == packet[at + 18..self.layout.data]
    }

    fn push(&mut self, at: usize, layout: &Layout, packet: &[u8]) {
        let len = layout.end - layout.data;
        self.tail = at as u8;
        self.count += 1;
        self.data += len;
        if self.layout.protocol == TCP {
            self.flags = packet[layout.transport + TCP_FLAGS] & (PSH | FIN);
        }
        self.ended = len < self.size || self.flags != 0;
    }

    fn couple(&self, head: &mut [u8]) -> VnetHeader {
        let Layout { family, protocol, network, transport, data, .. } = self.layout;
        let behind_ip = data - transport + self.data;
        match family {
            Family::V4 => {
                ip::set_word(head, network + V4_LENGTH, (transport - network + behind_ip) as u16);
                ip::set_word(head, network + V4_CHECKSUM, 0);
                let sum = ip::checksum(&[&head[network..transport]]);
                ip::set_word(head, network + V4_CHECKSUM, sum);
            }
            Family::V6 => ip::set_word(head, network + V6_LENGTH, behind_ip as u16),
        }
        let pseudo = ip::folded(self.layout.pseudo(head, behind_ip));
        let (kind, field) = if protocol == TCP {
            head[transport + TCP_FLAGS] |= self.flags;
            (if family == Family::V4 { CutKind::TcpV4 } else { CutKind::TcpV6 }, TCP_CHECKSUM)
        } else {
            ip::set_word(head, transport + UDP_LENGTH, behind_ip as u16);
            (CutKind::Udp, UDP_CHECKSUM)
        };
        ip::set_word(head, transport + field, pseudo);
        VnetHeader {
            cut: Some(Cut { kind, size: self.size as u16, headers: data as u16 }),
            checksum: Some(Checksum { start: transport as u16, offset: field as u16 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::dataplane::offload::segment::Segments;
    use crate::packet::Packet;

    const ALL: Joins = Joins { tcp: true, udp: true };

    /// A packet to be made: everything that decides whether it may join.
    #[derive(Clone, Debug)]
    struct Plan {
        v6: bool,
        udp: bool,
        port: u16,
        len: usize,
        flags: u8,
        jump: bool,
        tos: u8,
        dont_fragment: bool,
        odd_id: bool,
        options: bool,
        damage: Option<prop::sample::Index>,
    }

    fn plan() -> impl Strategy<Value = Plan> {
        let rare = |one_in: u32| prop::bool::weighted(1.0 / f64::from(one_in));
        let len = prop_oneof![6 => Just(100_usize), 1 => Just(60), 1 => Just(0), 1 => 1..1400_usize];
        let flags = prop_oneof![12 => Just(ACK), 2 => Just(ACK | PSH), 1 => Just(ACK | FIN), 1 => any::<u8>()];
        let tos = prop_oneof![9 => Just(0_u8), 1 => any::<u8>()];
        let damage = prop::option::weighted(0.04, any::<prop::sample::Index>());
        let one = (any::<bool>(), rare(4), 1..3_u16, len, flags, rare(15));
        let other = (tos, rare(3), rare(15), rare(10), damage);
        (one, other).prop_map(|((v6, udp, port, len, flags, jump), (tos, df, odd_id, options, damage))| Plan {
            v6,
            udp,
            port,
            len,
            flags,
            jump,
            tos,
            dont_fragment: !df,
            odd_id,
            options,
            damage,
        })
    }

    /// Makes packets; each flow counts its own sequence numbers and ids.
    fn packets(plans: &[Plan]) -> Vec<Vec<u8>> {
        let mut sequences = std::collections::BTreeMap::new();
        let mut id = 7_u16;
        plans
            .iter()
            .map(|plan| {
                let (sequence, count) =
                    sequences.entry((plan.v6, plan.udp, plan.port)).or_insert((u32::MAX - 500, 0_u8));
                if plan.jump {
                    *sequence = sequence.wrapping_add(10);
                }
                id = id.wrapping_add(if plan.odd_id { 9 } else { 1 });
                *count = count.wrapping_add(1);
                let data = vec![*count; plan.len];
                let packet = plan.build(*sequence, id, &data);
                *sequence = sequence.wrapping_add(plan.len as u32);
                packet
            })
            .collect()
    }

    impl Plan {
        fn build(&self, sequence: u32, id: u16, data: &[u8]) -> Vec<u8> {
            let mut packet = Vec::new();
            let transport = if self.v6 { 40 } else { 20 };
            let builder = if self.v6 {
                PacketBuilder::ipv6([1; 16], [2; 16], 64)
            } else {
                PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            };
            if self.udp {
                builder.udp(self.port, 9).write(&mut packet, data).unwrap();
            } else {
                let tcp = builder.tcp(self.port, 9, sequence, 100).ack(77);
                let tcp = if self.options { tcp.options_raw(&[1, 1, 1, 1]).unwrap() } else { tcp };
                tcp.write(&mut packet, data).unwrap();
                packet[transport + TCP_FLAGS] = self.flags;
            }
            if self.v6 {
                packet[1] = self.tos;
            } else {
                packet[1] = self.tos;
                ip::set_word(&mut packet, 4, id);
                ip::set_word(&mut packet, 6, if self.dont_fragment { DF } else { 0 });
                ip::set_word(&mut packet, V4_CHECKSUM, 0);
                let sum = ip::checksum(&[&packet[..20]]);
                ip::set_word(&mut packet, V4_CHECKSUM, sum);
            }
            self.finish(&mut packet, transport);
            packet
        }

        fn finish(&self, packet: &mut [u8], transport: usize) {
            let field = transport + if self.udp { UDP_CHECKSUM } else { TCP_CHECKSUM };
            ip::set_word(packet, field, 0);
            let layout = Layout::of(packet, 0).unwrap();
            let sum = u64::from(ip::folded_sum(&packet[transport..])) + layout.pseudo(packet, packet.len() - transport);
            ip::set_word(packet, field, !ip::folded(sum));
            if let Some(place) = self.damage {
                let at = place.index(packet.len());
                packet[at] ^= 0x10;
            }
        }
    }

    /// What the device gets, cut apart again as its kernel would do it.
    fn through_device(packets: &[Vec<u8>]) -> (Vec<Vec<u8>>, usize) {
        let mut trains = Trains::new(ALL);
        for at in 0..packets.len() {
            trains.add(at, Some(0), |at| &packets[at]);
        }
        let mut out = Vec::new();
        for index in 0..trains.len() {
            let mut whole = packets[trains.head(index)].clone();
            let (header, len) = trains.couple(index, &mut whole);
            whole.truncate(len);
            for (at, range) in trains.wagons(index) {
                whole.extend_from_slice(&packets[at][range]);
            }
            let mut segments = Segments::new(header, &whole, 0).unwrap();
            let mut piece = Packet::new();
            let announced = segments.left(whole.len());
            let before = out.len();
            while segments.next_into(&whole, &mut piece) {
                out.push(piece.payload().to_vec());
            }
            assert_eq!((announced, trains.packets(index)), (out.len() - before, out.len() - before));
        }
        (out, trains.len())
    }

    /// Ids of packets that may not be fragmented mean nothing.
    fn without_idle_id(mut packet: Vec<u8>) -> Vec<u8> {
        if packet[0] >> 4 == 4 && ip::word(&packet, 6) == Some(DF) {
            ip::set_word(&mut packet, 4, 0);
            ip::set_word(&mut packet, V4_CHECKSUM, 0);
        }
        packet
    }

    fn flow(packet: &[u8]) -> Vec<u8> {
        let (addresses, protocol) = if packet[0] >> 4 == 6 { (8..40, packet[6]) } else { (12..20, packet[9]) };
        let ports = addresses.end..addresses.end + 4;
        [&[packet[0] >> 4, protocol], &packet[addresses], &packet[ports]].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn what_is_joined_comes_apart_into_the_same_packets_in_the_same_order(
            plans in prop::collection::vec(plan(), 1..=BATCH),
        ) {
            let packets = packets(&plans);
            let (out, _) = through_device(&packets);

            prop_assert_eq!(out.len(), packets.len());
            for packet in &packets {
                let same_flow = |all: &[Vec<u8>]| {
                    all.iter().filter(|other| flow(other) == flow(packet)).cloned().map(without_idle_id).collect::<Vec<_>>()
                };
                prop_assert_eq!(same_flow(&packets), same_flow(&out));
            }
        }

        #[test]
        fn any_bytes_are_taken(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..=BATCH),
            kind in 0_usize..3,
        ) {
            let mut packets = packets;
            for packet in &mut packets {
                if let Some(first) = packet.first_mut() {
                    *first = [0x45, 0x60, *first][kind];
                }
            }
            let (out, _) = through_device(&packets);
            prop_assert_eq!(out.len(), packets.len());
        }
    }

    fn steady(count: usize) -> Vec<Plan> {
        let plan = Plan {
            v6: false,
            udp: false,
            port: 1,
            len: 100,
            flags: ACK,
            jump: false,
            tos: 0,
            dont_fragment: true,
            odd_id: false,
            options: true,
            damage: None,
        };
        vec![plan; count]
    }

    #[test]
    fn a_steady_flow_is_one_train_and_two_flows_are_two() {
        for (v6, udp) in [(false, false), (true, false), (false, true), (true, true)] {
            let plans: Vec<Plan> = steady(40).into_iter().map(|plan| Plan { v6, udp, ..plan }).collect();
            assert_eq!(through_device(&packets(&plans)).1, 1);
            let mixed: Vec<Plan> =
                plans.into_iter().zip([1, 2].into_iter().cycle()).map(|(plan, port)| Plan { port, ..plan }).collect();
            assert_eq!(through_device(&packets(&mixed)).1, 2);
        }
    }

    #[test]
    fn what_differs_in_anything_that_matters_starts_anew() {
        let changes: [fn(&mut Plan); 6] = [
            |plan| plan.flags = ACK | PSH,
            |plan| plan.jump = true,
            |plan| plan.tos = 3,
            |plan| plan.options = false,
            |plan| plan.len = 0,
            |plan| plan.damage = Some(some_place()),
        ];
        for (nth, change) in changes.iter().enumerate() {
            let mut plans = steady(9);
            change(&mut plans[4]);
            let (out, trains) = through_device(&packets(&plans));
            assert_eq!(out.len(), 9);
            assert!(trains == 2 || trains == 3, "change {nth}: {trains} trains");
        }
    }

    fn some_place() -> prop::sample::Index {
        use proptest::strategy::ValueTree;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        any::<prop::sample::Index>().new_tree(&mut runner).unwrap().current()
    }

    #[test]
    fn a_device_that_takes_nothing_joined_gets_nothing_joined() {
        let packets = packets(&steady(5));
        let mut trains = Trains::new(Joins::default());
        (0..5).for_each(|at| trains.add(at, Some(0), |at| &packets[at]));
        assert_eq!(trains.len(), 5);
    }
}
