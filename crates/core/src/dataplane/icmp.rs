//! ICMP and ICMPv6 errors, written in place of the packet that they are about (spec: routing 8).
//!
//! The source of every error, "time exceeded" included, is the destination of that packet: the packet
//! path knows no address of this machine.

use crate::dataplane::ip::{self, Family, ICMP, ICMPV6, V4_CHECKSUM, V4_HEADER, V6_HEADER};
use crate::dataplane::verdict::DropReason;
use crate::packet::{ETHERNET_HEADER, Packet};
use crate::time::Instant;

/// Length of an ICMP header, in bytes.
const HEADER: usize = 8;
/// Where an ICMP header has its checksum.
const CHECKSUM: usize = 2;
/// No error is longer than this, in bytes from the IP header.
const MAX_ERROR: usize = 576;
/// Errors of a kind that may be sent in one second, both families together.
const PER_SECOND: u32 = 3;
/// Hops that an error may live.
const HOPS: u8 = 255;
const MICROS: u64 = 1_000_000;

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IcmpError {
    /// No subnet holds its destination.
    Unknown,
    /// The owner of its destination is not reachable.
    Unreachable,
    /// `Forwarding` or `DirectOnly` forbids it.
    Forbidden,
    /// Its frame is longer than `limit` bytes.
    TooBig {
        /// The largest frame that would pass.
        limit: u16,
    },
    /// It has been passed on too often.
    Expired,
}

impl IcmpError {
    /// The reason to count if nobody can be told.
    pub(super) const fn reason(self) -> DropReason {
        match self {
            Self::Unknown => DropReason::NoRoute,
            Self::Unreachable => DropReason::Unreachable,
            Self::Forbidden => DropReason::Forbidden,
            Self::TooBig { .. } => DropReason::TooLong,
            Self::Expired => DropReason::Expired,
        }
    }

    const fn type_and_code(self, family: Family) -> [u8; 2] {
        match (family, self) {
            (Family::V4, Self::Unknown) => [3, 6],
            (Family::V4, Self::Unreachable) => [3, 0],
            (Family::V4, Self::Forbidden) => [3, 9],
            (Family::V4, Self::TooBig { .. }) => [3, 4],
            (Family::V4, Self::Expired) => [11, 0],
            (Family::V6, Self::Unknown) => [1, 3],
            (Family::V6, Self::Unreachable) => [1, 0],
            (Family::V6, Self::Forbidden) => [1, 1],
            (Family::V6, Self::TooBig { .. }) => [2, 0],
            (Family::V6, Self::Expired) => [3, 0],
        }
    }

    /// The ICMP header without its checksum; a limit is told in bytes of IP packet.
    fn header(self, family: Family) -> [u8; HEADER] {
        let [kind, code] = self.type_and_code(family);
        let mtu = match self {
            Self::TooBig { limit } => limit.saturating_sub(ETHERNET_HEADER as u16),
            Self::Unknown | Self::Unreachable | Self::Forbidden | Self::Expired => 0,
        };
        let [high, low] = mtu.to_be_bytes();
        [kind, code, 0, 0, 0, 0, high, low]
    }
}

/// Turns a packet into the error about it; `false` if its header is not whole.
pub(super) fn rewrite(error: IcmpError, family: Family, packet: &mut Packet) -> bool {
    let header = error.header(family);
    match family {
        Family::V4 => rewrite_v4(header, packet),
        Family::V6 => rewrite_v6(header, packet),
    }
}

fn rewrite_v4(mut icmp: [u8; HEADER], packet: &mut Packet) -> bool {
    let Some(offender) = packet.payload().first_chunk::<V4_HEADER>() else { return false };
    let [.., a, b, c, d, e, f, g, h] = *offender;
    packet.truncate(MAX_ERROR - V4_HEADER - HEADER);
    let len = (V4_HEADER + HEADER + packet.len()) as u16;
    let checksum = ip::checksum(&[&icmp, packet.payload()]);
    ip::set_word(&mut icmp, CHECKSUM, checksum);
    let mut header = [0x45, 0, 0, 0, 0, 0, 0, 0, HOPS, ICMP, 0, 0, e, f, g, h, a, b, c, d];
    ip::set_word(&mut header, ip::V4_LENGTH, len);
    let checksum = ip::checksum(&[&header]);
    ip::set_word(&mut header, V4_CHECKSUM, checksum);
    packet.push_front(&icmp) && packet.push_front(&header)
}

fn rewrite_v6(mut icmp: [u8; HEADER], packet: &mut Packet) -> bool {
    let Some(offender) = packet.payload().first_chunk::<V6_HEADER>() else { return false };
    let (_, addresses) = offender.split_at(8);
    let mut header = [0; V6_HEADER];
    let (fixed, swapped) = header.split_at_mut(8);
    let (source, destination) = addresses.split_at(16);
    let (to_source, to_destination) = swapped.split_at_mut(16);
    to_source.copy_from_slice(destination);
    to_destination.copy_from_slice(source);
    packet.truncate(MAX_ERROR - V6_HEADER - HEADER);
    let [high, low] = ((HEADER + packet.len()) as u16).to_be_bytes();
    fixed.copy_from_slice(&[0x60, 0, 0, 0, high, low, ICMPV6, HOPS]);
    let pseudo = [0, 0, high, low, 0, 0, 0, ICMPV6];
    let checksum = ip::checksum(&[swapped, &pseudo, &icmp, packet.payload()]);
    ip::set_word(&mut icmp, CHECKSUM, checksum);
    packet.push_front(&icmp) && packet.push_front(&header)
}

/// How many errors may still be sent. Each worker has its own.
///
/// Those that tell a size are counted for themselves: who writes to addresses that do not exist cannot use them up.
#[derive(Debug, Default)]
pub(super) struct ErrorBudget {
    second: u64,
    sizes: u32,
    others: u32,
}

impl ErrorBudget {
    /// Whether this error may be sent now; if so, it is counted.
    pub(super) fn take(&mut self, error: IcmpError, now: Instant) -> bool {
        let second = now.as_micros() / MICROS;
        if second != self.second {
            *self = Self { second, ..Self::default() };
        }
        let spent = match error {
            IcmpError::TooBig { .. } => &mut self.sizes,
            IcmpError::Unknown | IcmpError::Unreachable | IcmpError::Forbidden | IcmpError::Expired => &mut self.others,
        };
        let allowed = *spent < PER_SECOND;
        *spent += u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use etherparse::{Icmpv4Slice, Icmpv6Slice, Ipv4HeaderSlice, Ipv6HeaderSlice, PacketBuilder};

    use super::*;

    const A: [u8; 4] = [10, 1, 0, 1];
    const B: [u8; 4] = [10, 2, 0, 5];
    const C: [u8; 16] = [0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const D: [u8; 16] = [0xfd, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];

    fn v4(len: usize) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(A, B, 64).udp(1, 2).write(&mut packet, &vec![7; len - 28]).unwrap();
        packet
    }

    fn v6(len: usize) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv6(C, D, 64).udp(1, 2).write(&mut packet, &vec![7; len - 48]).unwrap();
        packet
    }

    fn error_about(offender: &[u8], error: IcmpError) -> Vec<u8> {
        let mut packet = Packet::from_payload(offender);
        assert!(rewrite(error, Family::of(offender).unwrap(), &mut packet));
        packet.payload().to_vec()
    }

    fn check_v4(offender: &[u8], error: IcmpError, kind: [u8; 2], rest: [u8; 4]) {
        let packet = error_about(offender, error);
        let header = Ipv4HeaderSlice::from_slice(&packet).unwrap().to_header();
        assert_eq!((header.source, header.destination), (B, A));
        assert_eq!((header.time_to_live, header.identification, header.dont_fragment), (255, 0, false));
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert_eq!(usize::from(header.total_len), packet.len());
        let icmp = Icmpv4Slice::from_slice(&packet[20..]).unwrap();
        assert_eq!([icmp.type_u8(), icmp.code_u8()], kind);
        assert_eq!(ip::checksum(&[&packet[20..]]), 0);
        assert_eq!(packet[24..28], rest);
        let quote = offender.len().min(548);
        assert_eq!(packet[28..], offender[..quote]);
    }

    fn check_v6(offender: &[u8], error: IcmpError, kind: [u8; 2], rest: [u8; 4]) {
        let packet = error_about(offender, error);
        let header = Ipv6HeaderSlice::from_slice(&packet).unwrap().to_header();
        assert_eq!((header.source, header.destination), (D, C));
        assert_eq!((header.hop_limit, header.next_header.0, header.traffic_class), (255, 58, 0));
        assert_eq!(usize::from(header.payload_length), packet.len() - 40);
        let icmp = Icmpv6Slice::from_slice(&packet[40..]).unwrap();
        assert_eq!([icmp.type_u8(), icmp.code_u8()], kind);
        assert!(icmp.is_checksum_valid(D, C));
        assert_eq!(packet[44..48], rest);
        let quote = offender.len().min(528);
        assert_eq!(packet[48..], offender[..quote]);
    }

    #[test]
    fn ipv4_errors_have_the_layout_of_the_table() {
        check_v4(&v4(100), IcmpError::Unknown, [3, 6], [0; 4]);
        check_v4(&v4(101), IcmpError::Unreachable, [3, 0], [0; 4]);
        check_v4(&v4(548), IcmpError::Forbidden, [3, 9], [0; 4]);
        check_v4(&v4(549), IcmpError::Expired, [11, 0], [0; 4]);
        check_v4(&v4(1500), IcmpError::TooBig { limit: 1239 }, [3, 4], [0, 0, 0x04, 0xc9]);
        assert_eq!(error_about(&v4(1500), IcmpError::Unknown).len(), 576);
    }

    #[test]
    fn ipv6_errors_have_the_layout_of_the_table() {
        check_v6(&v6(100), IcmpError::Unknown, [1, 3], [0; 4]);
        check_v6(&v6(101), IcmpError::Unreachable, [1, 0], [0; 4]);
        check_v6(&v6(528), IcmpError::Forbidden, [1, 1], [0; 4]);
        check_v6(&v6(529), IcmpError::Expired, [3, 0], [0; 4]);
        check_v6(&v6(1500), IcmpError::TooBig { limit: 1294 }, [2, 0], [0, 0, 0x05, 0x00]);
        assert_eq!(error_about(&v6(1500), IcmpError::Unknown).len(), 576);
    }

    #[test]
    fn there_is_no_error_about_half_a_header() {
        assert!(!rewrite(IcmpError::Unknown, Family::V4, &mut Packet::from_payload(&[0x45; 19])));
        assert!(!rewrite(IcmpError::Unknown, Family::V6, &mut Packet::from_payload(&[0x60; 39])));
    }

    #[test]
    fn three_errors_of_a_kind_go_out_in_a_second() {
        let mut budget = ErrorBudget::default();
        let start = Instant::from_micros(5_000_000);
        for (error, other) in [
            (IcmpError::Unknown, IcmpError::Expired),
            (IcmpError::TooBig { limit: 1_239 }, IcmpError::TooBig { limit: 1_439 }),
        ] {
            let at = |tenth: u64| start + Duration::from_millis(100 * tenth);
            let taken: Vec<bool> = (0..5).map(|tenth| budget.take(error, at(tenth))).collect();
            assert_eq!(taken, [true, true, true, false, false]);
            assert!(!budget.take(other, Instant::from_micros(5_999_999)));
        }
        assert!(budget.take(IcmpError::Unreachable, Instant::from_micros(6_000_000)));
    }
}
