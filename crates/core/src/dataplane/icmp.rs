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
/// Errors that may be sent in one second, both families together.
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
#[derive(Debug, Default)]
pub(super) struct ErrorBudget {
    second: u64,
    spent: u32,
}

impl ErrorBudget {
    /// Whether an error may be sent now; if so, it is counted.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let second = now.as_micros() / MICROS;
        if second != self.second {
            *self = Self { second, spent: 0 };
        }
        let allowed = self.spent < PER_SECOND;
        self.spent += u32::from(allowed);
        allowed
    }
}
