//! Large packets, as kernels pass them to and from a device: cut here into packets of the mesh, and put together again.
//!
//! ```text
//! device ─► VnetHeader ─► Segments ─► packets ─► Fib::outbound
//! Fib::inbound ─► packets ─► Trains ─► VnetHeader ─► device
//! ```
//!
//! What comes out at the other end is what would have come without it: packets of one flow stay in order, and none is
//! joined that the receiver's kernel could not cut apart into the same packets.
//!
//! Source: virtio 1.2, section 5.1.6 (the header); RFC 9293 and 768 (what is cut); RFC 6864 (IPv4 ids).

pub mod segment;
pub mod train;
pub mod unsummed;

/// Length of the header in front of each packet of a device with offloads, in bytes.
pub const VNET_HEADER: usize = 10;

/// Longest large packet that the device should give, in bytes from the IP header. A few more would fit into a packet, but its
/// pieces, each with what sealing adds, not into one UDP message (65,507 bytes): they would leave, come and be joined as two.
/// Right for pieces of IPv4 from 1,161 bytes on, with timestamps in TCP; of smaller ones, and of IPv6, some sizes still need a
/// second message, which only costs time.
pub const LONGEST_LARGE: u32 = 61_000;

const NEEDS_CHECKSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCP_V4: u8 = 1;
const GSO_TCP_V6: u8 = 4;
const GSO_UDP: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What the device's other side leaves to us, or we to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// How the packet is to be cut.
    pub cut: Option<Cut>,
    /// The checksum that is to be filled in.
    pub checksum: Option<Checksum>,
}

/// A packet that stands for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What is inside.
    pub kind: CutKind,
    /// Bytes of data in each piece but the last, not 0.
    pub size: u16,
    /// Bytes in front of the data.
    pub headers: u16,
}

/// What may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams of equal length, one behind the other.
    Udp,
}

/// A checksum that is half made: its field holds the sum of the pseudo header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Where the bytes that it covers begin; they reach to the end.
    pub start: u16,
    /// Where its field is, from there.
    pub offset: u16,
}

impl VnetHeader {
    /// Reads a header; `None` if it asks for something that nobody offered.
    pub fn decode(bytes: &[u8; VNET_HEADER]) -> Option<Self> {
        let [flags, gso, h0, h1, s0, s1, c0, c1, o0, o1] = *bytes;
        let [headers, size, start, offset] = [[h0, h1], [s0, s1], [c0, c1], [o0, o1]].map(u16::from_ne_bytes);
        let kind = match gso & !GSO_ECN {
            GSO_NONE => None,
            GSO_TCP_V4 => Some(CutKind::TcpV4),
            GSO_TCP_V6 => Some(CutKind::TcpV6),
            GSO_UDP => Some(CutKind::Udp),
            _ => return None,
        };
        if kind.is_some() && size == 0 {
            return None;
        }
        let checksum = (flags & NEEDS_CHECKSUM != 0).then_some(Checksum { start, offset });
        Some(Self { cut: kind.map(|kind| Cut { kind, size, headers }), checksum })
    }

    /// The bytes of the header.
    pub fn encode(&self) -> [u8; VNET_HEADER] {
        let (gso, size, headers) = match self.cut {
            None => (GSO_NONE, 0, 0),
            Some(Cut { kind, size, headers }) => {
                let gso = match kind {
                    CutKind::TcpV4 => GSO_TCP_V4,
                    CutKind::TcpV6 => GSO_TCP_V6,
                    CutKind::Udp => GSO_UDP,
                };
                (gso, size, headers)
            }
        };
        let (flags, start, offset) = self.checksum.map_or((0, 0, 0), |it| (NEEDS_CHECKSUM, it.start, it.offset));
        let [[h0, h1], [s0, s1], [c0, c1], [o0, o1]] = [headers, size, start, offset].map(u16::to_ne_bytes);
        [flags, gso, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_way_there_and_back() {
        for kind in [CutKind::TcpV4, CutKind::TcpV6, CutKind::Udp] {
            let header = VnetHeader {
                cut: Some(Cut { kind, size: 1360, headers: 52 }),
                checksum: Some(Checksum { start: 20, offset: 16 }),
            };
            assert_eq!(VnetHeader::decode(&header.encode()), Some(header));
        }
        assert_eq!(VnetHeader::decode(&[0; VNET_HEADER]), Some(VnetHeader::default()));
    }

    #[test]
    fn what_was_not_offered_is_refused() {
        let uncut = |gso, size| VnetHeader::decode(&[0, gso, 0, 0, size, size, 0, 0, 0, 0]);
        assert_eq!(uncut(3, 1), None, "fragmentation offload");
        assert_eq!(uncut(GSO_TCP_V4, 0), None, "pieces without data");
        assert!(uncut(GSO_TCP_V4 | GSO_ECN, 1).is_some());
    }
}
