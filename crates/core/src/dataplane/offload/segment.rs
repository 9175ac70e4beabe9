//! Cutting a large packet of the device into packets of the mesh.
//!
//! Each piece has the headers of the whole, with its own length, IPv4 id, sequence number, flags and checksums: FIN and PSH
//! belong to the last one, CWR to the first (RFC 3168).

use crate::dataplane::ip::{self, Family, V4_CHECKSUM, V4_HEADER, V4_ID, V4_LENGTH, V6_HEADER, V6_LENGTH};
use crate::dataplane::offload::{Checksum, Cut, CutKind, VnetHeader, unsummed};
use crate::dataplane::transport::{
    FIN, PSH, SYN, TCP_CHECKSUM, TCP_FLAGS, TCP_HEADER, TCP_OFFSET, TCP_SEQUENCE, UDP_CHECKSUM, UDP_HEADER, UDP_LENGTH,
};
use crate::dataplane::verdict::DropReason;
use crate::packet::Packet;

const CWR: u8 = 0x80;
/// Most bytes in front of the data of a packet that is cut: Ethernet with one tag, IP with options, TCP with options.
const MAX_HEADERS: usize = 512;

/// The pieces of one packet of the device, taken one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Segments(Shape);

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Nothing is left.
    Empty,
    /// One packet, perhaps without its checksum.
    Whole(Option<Checksum>),
    /// Several.
    Pieces(Pieces),
}

#[derive(Clone, Copy, Debug)]
struct Pieces {
    family: Family,
    tcp: bool,
    /// Where the IP header begins, in bytes from the start of the packet.
    network: usize,
    /// Where the TCP or UDP header begins.
    transport: usize,
    /// Where the data begins.
    data: usize,
    size: usize,
    /// Where the data of the next piece begins.
    next: usize,
    /// Its number.
    index: u32,
    /// Whether nothing but TCP or UDP is right behind the IP header, so that its checksum is found again.
    plain: bool,
}

/// Who sums up a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sum {
    /// Whoever cuts it.
    Made,
    /// Somebody else.
    Left,
}

impl Segments {
    /// No pieces.
    pub const EMPTY: Self = Self(Shape::Empty);

    /// The pieces of `packet`, whose IP header is at `network`.
    ///
    /// # Errors
    /// If the packet is not what the header says.
    pub fn new(header: VnetHeader, packet: &[u8], network: usize) -> Result<Self, DropReason> {
        match header.cut {
            None => Ok(Self(Shape::Whole(header.checksum))),
            Some(cut) => {
                let checksum = header.checksum.ok_or(DropReason::BadLength)?;
                Ok(Self(Shape::Pieces(Pieces::new(cut, checksum, packet, network).ok_or(DropReason::BadLength)?)))
            }
        }
    }

    /// How many pieces are left of a packet of `len` bytes.
    pub fn left(&self, len: usize) -> usize {
        match &self.0 {
            Shape::Empty => 0,
            Shape::Whole(_) => 1,
            Shape::Pieces(pieces) => len.saturating_sub(pieces.next).div_ceil(pieces.size),
        }
    }

    /// Whether what follows a piece of `packet` goes where that went. Not if a connection begins with them: the first is told
    /// another segment size.
    pub fn follow_each_other(&self, packet: &[u8]) -> bool {
        match &self.0 {
            Shape::Empty | Shape::Whole(_) => false,
            Shape::Pieces(pieces) => {
                !pieces.tcp || ip::byte(packet, pieces.transport + TCP_FLAGS).is_some_and(|flags| flags & SYN == 0)
            }
        }
    }

    /// Makes `piece` the next one of `packet`; `false` if there is none.
    pub fn next_into(&mut self, packet: &[u8], piece: &mut Packet) -> bool {
        self.next(packet, piece, Sum::Made)
    }

    /// The same, and leaves its checksum to whoever knows where it goes, if that is possible.
    pub fn next_unsummed_into(&mut self, packet: &[u8], piece: &mut Packet) -> bool {
        self.next(packet, piece, Sum::Left)
    }

    fn next(&mut self, packet: &[u8], piece: &mut Packet, sum: Sum) -> bool {
        match &mut self.0 {
            Shape::Empty => false,
            Shape::Whole(checksum) => {
                piece.fill(packet);
                if let Some(checksum) = checksum {
                    unsummed::fill_in(piece.payload_mut(), *checksum);
                }
                self.0 = Shape::Empty;
                true
            }
            Shape::Pieces(pieces) => pieces.next_into(packet, piece, sum),
        }
    }
}

impl Pieces {
    fn new(cut: Cut, checksum: Checksum, packet: &[u8], network: usize) -> Option<Self> {
        let transport = usize::from(checksum.start);
        let tcp = matches!(cut.kind, CutKind::TcpV4 | CutKind::TcpV6);
        let family = Family::of(packet.get(network..)?)?;
        let ip_header = match family {
            Family::V4 => V4_HEADER,
            Family::V6 => V6_HEADER,
        };
        let header = packet.get(transport..)?;
        let (len, field) = if tcp {
            (usize::from(*header.get(TCP_OFFSET)? >> 4) * 4, TCP_CHECKSUM)
        } else {
            (UDP_HEADER, UDP_CHECKSUM)
        };
        let shortest = if tcp { TCP_HEADER } else { UDP_HEADER };
        let data = transport + len;
        let sound = len >= shortest
            && transport >= network + ip_header
            && usize::from(checksum.offset) == field
            && data <= MAX_HEADERS
            && data < packet.len()
            && match cut.kind {
                CutKind::TcpV4 => family == Family::V4,
                CutKind::TcpV6 => family == Family::V6,
                CutKind::Udp => true,
            };
        sound.then_some(Self {
            family,
            tcp,
            network,
            transport,
            data,
            size: usize::from(cut.size),
            next: data,
            index: 0,
            plain: network == 0 && unsummed::place_in(packet) == Some(checksum),
        })
    }

    fn next_into(&mut self, packet: &[u8], piece: &mut Packet, sum: Sum) -> bool {
        let Some(rest) = packet.get(self.next..).filter(|rest| !rest.is_empty()) else { return false };
        let Some(headers) = packet.get(..self.data) else { return false };
        let last = rest.len() <= self.size;
        let data = &rest[..rest.len().min(self.size)];
        let space = piece.space();
        let len = headers.len() + data.len();
        // A piece longer than any frame of the mesh; it is counted where all too long packets are.
        let kept = data.len().min(space.len().saturating_sub(headers.len()));
        space[..headers.len()].copy_from_slice(headers);
        space[headers.len()..headers.len() + kept].copy_from_slice(&data[..kept]);
        piece.set_len(len);
        let left = self.plain && sum == Sum::Left && kept == data.len();
        self.patch(piece.payload_mut(), (packet.len() - self.transport) as u32, last, left);
        piece.set_unsummed(left);
        self.next += data.len();
        self.index += 1;
        true
    }

    /// Turns the headers of the whole into those of the piece; `whole`: bytes from the transport header on, before the cut;
    /// `unsummed`: only the pseudo header is summed up.
    fn patch(&self, piece: &mut [u8], whole: u32, last: bool, unsummed: bool) {
        let behind_ip = piece.len() - self.transport;
        let (network, transport) = piece.split_at_mut(self.transport);
        self.patch_ip(&mut network[self.network..], behind_ip);
        let field = if self.tcp {
            self.patch_tcp(transport, last);
            TCP_CHECKSUM
        } else {
            ip::set_word(transport, UDP_LENGTH, behind_ip as u16);
            UDP_CHECKSUM
        };
        let pseudo = u64::from(ip::word(transport, field).unwrap_or(0));
        // The sum of the pseudo header holds the length of the whole.
        let pseudo = pseudo + u64::from(!ip::folded(u64::from(whole))) + behind_ip as u64;
        if unsummed {
            ip::set_word(transport, field, ip::folded(pseudo));
            return;
        }
        ip::set_word(transport, field, 0);
        let sum = !ip::folded(pseudo + u64::from(ip::folded_sum(transport)));
        ip::set_word(transport, field, if sum == 0 && !self.tcp { 0xffff } else { sum });
    }

    fn patch_ip(&self, header: &mut [u8], behind: usize) {
        match self.family {
            Family::V4 => {
                let len = header.len() + behind;
                ip::set_word(header, V4_LENGTH, len as u16);
                let id = ip::word(header, V4_ID).unwrap_or(0).wrapping_add(self.index as u16);
                ip::set_word(header, V4_ID, id);
                ip::set_word(header, V4_CHECKSUM, 0);
                let own = ip::v4_header_len(header).unwrap_or(V4_HEADER);
                let sum = ip::checksum(&[&header[..own]]);
                ip::set_word(header, V4_CHECKSUM, sum);
            }
            Family::V6 => ip::set_word(header, V6_LENGTH, (header.len() - V6_HEADER + behind) as u16),
        }
    }

    fn patch_tcp(&self, header: &mut [u8], last: bool) {
        if let Some(sequence) = header.get_mut(TCP_SEQUENCE..).and_then(<[u8]>::first_chunk_mut::<4>) {
            let passed = (self.next - self.data) as u32;
            *sequence = u32::from_be_bytes(*sequence).wrapping_add(passed).to_be_bytes();
        }
        let mut not_here = 0;
        if !last {
            not_here |= FIN | PSH;
        }
        if self.index > 0 {
            not_here |= CWR;
        }
        if let Some(flags) = header.get_mut(TCP_FLAGS) {
            *flags &= !not_here;
        }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    use super::*;
    use crate::dataplane::offload::VNET_HEADER;

    /// A TCP packet as a kernel leaves it: the checksum field holds the sum of the pseudo header.
    fn large_tcp(v6: bool, flags: u8, data: &[u8]) -> (VnetHeader, Vec<u8>) {
        let mut packet = Vec::new();
        let transport = if v6 {
            let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64);
            builder.tcp(1, 2, u32::MAX - 100, 9).ack(5).write(&mut packet, data).unwrap();
            40
        } else {
            let options = [1, 1, 1, 0].as_slice().try_into().unwrap();
            let ip = etherparse::Ipv4Header { options, ..Default::default() };
            let mut ip = etherparse::Ipv4Header { source: [10, 0, 0, 1], destination: [10, 0, 0, 2], ..ip };
            ip.time_to_live = 64;
            ip.identification = u16::MAX;
            let builder = PacketBuilder::ip(etherparse::IpHeaders::Ipv4(ip, Default::default()));
            builder.tcp(1, 2, u32::MAX - 100, 9).ack(5).write(&mut packet, data).unwrap();
            24
        };
        packet[transport + TCP_FLAGS] = flags;
        let pseudo = if v6 { ip::folded_sum(&packet[8..40]) } else { ip::folded_sum(&packet[12..20]) };
        let pseudo = u64::from(pseudo) + 6 + (packet.len() - transport) as u64;
        ip::set_word(&mut packet, transport + TCP_CHECKSUM, ip::folded(pseudo));
        let kind = if v6 { CutKind::TcpV6 } else { CutKind::TcpV4 };
        let header = VnetHeader {
            cut: Some(Cut { kind, size: 100, headers: transport as u16 + 20 }),
            checksum: Some(Checksum { start: transport as u16, offset: TCP_CHECKSUM as u16 }),
        };
        (header, packet)
    }

    fn pieces(header: VnetHeader, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut segments = Segments::new(header, packet, 0).unwrap();
        let mut piece = Packet::new();
        std::iter::from_fn(|| segments.next_into(packet, &mut piece).then(|| piece.payload().to_vec())).collect()
    }

    #[test]
    fn a_large_tcp_packet_becomes_segments_with_right_headers_and_checksums() {
        for v6 in [false, true] {
            let data: Vec<u8> = (0..=250).collect();
            let (header, packet) = large_tcp(v6, CWR | PSH | FIN | 0x10, &data);
            let pieces = pieces(header, &packet);

            let mut joined = Vec::new();
            let mut seen = Vec::new();
            for piece in &pieces {
                let sliced = SlicedPacket::from_ip(piece).unwrap();
                let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("no TCP") };
                let own = tcp.to_header();
                let sum = match sliced.net.unwrap() {
                    etherparse::NetSlice::Ipv4(net) => {
                        let ip = net.header().to_header();
                        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                        assert_eq!(ip.identification, u16::MAX.wrapping_add(seen.len() as u16));
                        own.calc_checksum_ipv4(&ip, tcp.payload())
                    }
                    etherparse::NetSlice::Ipv6(net) => own.calc_checksum_ipv6(&net.header().to_header(), tcp.payload()),
                    other => panic!("{other:?}"),
                };
                assert_eq!(own.checksum, sum.unwrap());
                assert_eq!(own.sequence_number, (u32::MAX - 100).wrapping_add(joined.len() as u32));
                seen.push((own.cwr, own.psh, own.fin, own.ack));
                joined.extend_from_slice(tcp.payload());
            }
            assert_eq!(joined, data);
            assert_eq!(seen, [(true, false, false, true), (false, false, false, true), (false, true, true, true)]);
        }
    }

    #[test]
    fn a_checksum_left_to_us_is_filled_in() {
        let (header, mut packet) = large_tcp(true, 0x10, b"some data");
        let alone = VnetHeader { cut: None, ..header };
        let piece = &pieces(alone, &packet)[0];
        let (_, len) = packet.split_at(40);
        let sum =
            u64::from(ip::folded_sum(&piece[40..])) + u64::from(ip::folded_sum(&piece[8..40])) + 6 + len.len() as u64;
        assert_eq!(ip::folded(sum), u16::MAX);

        packet.truncate(30);
        assert_eq!(pieces(alone, &packet), [packet], "a checksum beyond the end is left alone");
    }

    #[test]
    fn headers_that_do_not_agree_with_the_packet_are_refused() {
        let (header, packet) = large_tcp(true, 0x10, &[1; 300]);
        let refused = |header, packet: &[u8]| Segments::new(header, packet, 0).is_err();
        let v4 = header.cut.map(|cut| Cut { kind: CutKind::TcpV4, ..cut });
        assert!(!refused(header, &packet));
        assert!(refused(header, &packet[..60]), "no data");
        assert!(refused(VnetHeader { checksum: None, ..header }, &packet));
        assert!(refused(VnetHeader { cut: v4, ..header }, &packet));
        assert!(refused(VnetHeader { checksum: Some(Checksum { start: 30, offset: 16 }), ..header }, &packet));
        assert!(refused(VnetHeader { checksum: Some(Checksum { start: 40, offset: 6 }), ..header }, &packet));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(
            header: [u8; VNET_HEADER],
            kind in prop::sample::select(vec![0_u8, 1, 4, 5]),
            start in 0_u8..60,
            packet in prop::collection::vec(any::<u8>(), 0..400),
            network in 0_usize..20,
        ) {
            let mut header = header;
            header[1] = kind;
            header[6..10].copy_from_slice(&[start, 0, 16, 0]);
            let Some(header) = VnetHeader::decode(&header) else { return Ok(()) };
            let Ok(mut segments) = Segments::new(header, &packet, network) else { return Ok(()) };
            let announced = segments.left(packet.len());
            let mut piece = Packet::new();
            let mut count = 0;
            while segments.next_into(&packet, &mut piece) {
                count += 1;
            }
            prop_assert_eq!(count, announced);
        }
    }
}
