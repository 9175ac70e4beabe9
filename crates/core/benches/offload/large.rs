//! Large packets, and batches that become large packets.

use std::fmt;

use etherparse::PacketBuilder;
use tinmesh_core::dataplane::batch::BATCH;
use tinmesh_core::dataplane::offload::segment::Segments;
use tinmesh_core::dataplane::offload::train::{Joins, Trains};
use tinmesh_core::dataplane::offload::{Checksum, Cut, CutKind, VnetHeader};
use tinmesh_core::packet::Packet;

/// Bytes of data in a piece.
const DATA: usize = 1_348;
/// Pieces of a large packet: what the device gives at most.
pub(crate) const PIECES: usize = 45;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    TcpV4,
    TcpV6,
    UdpV4,
    UdpV6,
}

impl Carries {
    pub(crate) const ALL: [Self; 4] = [Self::TcpV4, Self::TcpV6, Self::UdpV4, Self::UdpV6];

    const fn is_tcp(self) -> bool {
        matches!(self, Self::TcpV4 | Self::TcpV6)
    }

    const fn is_v4(self) -> bool {
        matches!(self, Self::TcpV4 | Self::UdpV4)
    }

    const fn transport(self) -> usize {
        if self.is_v4() { 20 } else { 40 }
    }

    /// A packet with right checksums; `sequence` counts for TCP only.
    fn packet(self, flow: u16, sequence: u32, data: &[u8]) -> Vec<u8> {
        let builder = if self.is_v4() {
            PacketBuilder::ipv4([10, 0, 0, 1], [10, 1, 0, 1], 64)
        } else {
            PacketBuilder::ipv6([1; 16], [2; 16], 64)
        };
        let mut packet = Vec::new();
        let written = if self.is_tcp() {
            builder.tcp(1_000 + flow, 80, sequence, 500).ack(7).write(&mut packet, data)
        } else {
            builder.udp(1_000 + flow, 53).write(&mut packet, data)
        };
        written.expect("memory does not fail");
        packet
    }
}

impl fmt::Display for Carries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TcpV4 => "tcp-v4",
            Self::TcpV6 => "tcp-v6",
            Self::UdpV4 => "udp-v4",
            Self::UdpV6 => "udp-v6",
        })
    }
}

/// A packet of the device that stands for [`PIECES`].
pub(crate) struct Large {
    header: VnetHeader,
    bytes: Vec<u8>,
    piece: Packet,
}

impl Large {
    pub(crate) fn new(carries: Carries) -> Self {
        let bytes = carries.packet(0, 1, &[0x55; DATA * PIECES]);
        let start = carries.transport();
        let (kind, offset) = match carries {
            Carries::TcpV4 => (CutKind::TcpV4, 16),
            Carries::TcpV6 => (CutKind::TcpV6, 16),
            Carries::UdpV4 | Carries::UdpV6 => (CutKind::Udp, 6),
        };
        let cut = Cut { kind, size: DATA as u16, headers: (bytes.len() - DATA * PIECES) as u16 };
        let checksum = Checksum { start: start as u16, offset };
        Self { header: VnetHeader { cut: Some(cut), checksum: Some(checksum) }, bytes, piece: Packet::new() }
    }

    /// Cuts it up; tells the number of pieces.
    pub(crate) fn cut(&mut self) -> usize {
        let mut segments = Segments::new(self.header, &self.bytes, 0).expect("the header is right");
        let mut count = 0;
        while segments.next_into(&self.bytes, &mut self.piece) {
            count += 1;
        }
        assert_eq!(count, PIECES);
        count
    }
}

/// A batch of packets that follow each other.
pub(crate) struct Joined {
    packets: Vec<Vec<u8>>,
    trains: Trains,
    /// How many trains come of it.
    wanted: usize,
}

impl Joined {
    pub(crate) fn new(carries: Carries, flows: usize) -> Self {
        // A packet of the device has at most 65,535 bytes: 48 of these.
        let packets = (0..BATCH.min(48 * flows)).map(|at| {
            let (flow, turn) = (at % flows, at / flows);
            carries.packet(flow as u16, 1 + (turn * DATA) as u32, &[0x55; DATA])
        });
        Self { packets: packets.collect(), trains: Trains::new(Joins { tcp: true, udp: true }), wanted: flows }
    }

    /// Packets of the batch.
    pub(crate) fn packets(&self) -> usize {
        self.packets.len()
    }

    /// Joins them; tells the number of trains. The heads stay as they were made, so that it can be done again.
    pub(crate) fn join(&mut self) -> usize {
        let packets = &self.packets;
        (0..packets.len()).for_each(|at| self.trains.add(at, Some(0), |at| &packets[at]));
        let mut head = [0; 80];
        for index in 0..self.trains.len() {
            head.copy_from_slice(&packets[self.trains.head(index)][..80]);
            std::hint::black_box(self.trains.couple(index, &mut head));
        }
        let count = self.trains.len();
        assert_eq!(count, self.wanted);
        self.trains.clear();
        count
    }
}
