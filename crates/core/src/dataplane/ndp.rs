//! Answers to neighbour solicitations: ARP's part for IPv6 (spec: routing 5.4; RFC 4861, 4.3 and 4.4).

use std::net::Ipv6Addr;

use crate::dataplane::ethernet::{self, Mac, fake};
use crate::dataplane::fib::Fib;
use crate::dataplane::icmp::IcmpError;
use crate::dataplane::ip::{self, Family, ICMPV6, V6_HEADER, V6_HOPS, V6_NEXT};
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::{DropReason, Verdict};
use crate::name::PeerId;
use crate::packet::{ETHERNET_HEADER, Packet};
use crate::subnet::Address;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Type, code, checksum, flags, target.
const MESSAGE: usize = 24;
/// A link-layer address with its type and length.
const OPTION: usize = 8;
const SOURCE_OPTION: u8 = 1;
const TARGET_OPTION: u8 = 2;
/// "You asked for this."
const SOLICITED: u8 = 0x40;
const V6_TYPE: [u8; 2] = [0x86, 0xdd];
/// Longest answer, with its Ethernet header.
const LONGEST: usize = ETHERNET_HEADER + V6_HEADER + MESSAGE + OPTION;

/// A question for the owner of an address.
#[derive(Clone, Copy, Debug)]
struct Solicitation {
    asker: Mac,
    source: Ipv6Addr,
    target: Ipv6Addr,
    hops: u8,
    /// Whether the asker told its address, and so is told one.
    with_option: bool,
}

/// Whether an IPv6 frame is a neighbour solicitation, whole or not.
pub(super) fn is_solicitation(frame: &[u8]) -> bool {
    ip::byte(frame, ETHERNET_HEADER + V6_NEXT) == Some(ICMPV6)
        && ip::byte(frame, ETHERNET_HEADER + V6_HEADER) == Some(SOLICITATION)
}

impl Solicitation {
    fn parse(frame: &[u8]) -> Result<Self, DropReason> {
        let ip = frame.get(ETHERNET_HEADER..).ok_or(DropReason::TooShort)?;
        let header = ip.first_chunk::<V6_HEADER>().ok_or(DropReason::TooShort)?;
        let len = usize::from(ip::word(header, 4).unwrap_or(0));
        let message = ip.get(V6_HEADER..V6_HEADER + len).ok_or(DropReason::BadLength)?;
        let (fixed, options) = message.split_first_chunk::<MESSAGE>().ok_or(DropReason::TooShort)?;
        let [.., high, low] = (len as u16).to_be_bytes();
        if ip::checksum(&[&header[8..], &[0, 0, high, low, 0, 0, 0, ICMPV6], message]) != 0 {
            return Err(DropReason::BadLength);
        }
        let mac = frame.get(6..12).and_then(<[u8]>::first_chunk).ok_or(DropReason::TooShort)?;
        let address = |bytes: &[u8]| bytes.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes));
        Ok(Self {
            asker: *mac,
            source: address(&header[8..]).ok_or(DropReason::TooShort)?,
            target: address(&fixed[8..]).ok_or(DropReason::TooShort)?,
            hops: header[V6_HOPS],
            with_option: has_source_option(options)?,
        })
    }

    /// The answer, and its length.
    fn answer(&self, hops: u8) -> ([u8; LONGEST], usize) {
        let (mut frame, mac) = ([0; LONGEST], fake(self.asker));
        let body = MESSAGE + if self.with_option { OPTION } else { 0 };
        let mut message = [0; MESSAGE + OPTION];
        message[0] = ADVERTISEMENT;
        message[4] = SOLICITED;
        message[8..MESSAGE].copy_from_slice(&self.target.octets());
        if self.with_option {
            message[MESSAGE..MESSAGE + 2].copy_from_slice(&[TARGET_OPTION, 1]);
            message[MESSAGE + 2..].copy_from_slice(&mac);
        }
        let [high, low] = (body as u16).to_be_bytes();
        let (from, to) = (self.target.octets(), self.source.octets());
        let checksum = ip::checksum(&[&from, &to, &[0, 0, high, low, 0, 0, 0, ICMPV6], &message[..body]]);
        ip::set_word(&mut message, 2, checksum);
        frame[..ETHERNET_HEADER].copy_from_slice(&ethernet::header(self.asker, mac, V6_TYPE));
        let ip = &mut frame[ETHERNET_HEADER..];
        ip[..8].copy_from_slice(&[0x60, 0, 0, 0, high, low, ICMPV6, hops]);
        ip[8..24].copy_from_slice(&from);
        ip[24..V6_HEADER].copy_from_slice(&to);
        ip[V6_HEADER..].copy_from_slice(&message);
        (frame, ETHERNET_HEADER + V6_HEADER + body)
    }
}

/// Looks through all options, as others than the asker's address may be there (nonces, RFC 7527).
fn has_source_option(mut options: &[u8]) -> Result<bool, DropReason> {
    let mut found = false;
    while let Some(&[kind, units]) = options.first_chunk() {
        let len = usize::from(units) * OPTION;
        options = options.get(len..).filter(|_| len > 0).ok_or(DropReason::BadLength)?;
        found |= kind == SOURCE_OPTION && len == OPTION;
    }
    if options.is_empty() { Ok(found) } else { Err(DropReason::BadLength) }
}

impl Fib {
    /// Turns a question from the device into its answer.
    pub(super) fn answer_solicitation(&self, packet: &mut Packet, scratch: &mut Scratch) -> Verdict {
        if let Some(mac) = packet.payload().get(6..12).and_then(<[u8]>::first_chunk) {
            self.note_asker(*mac);
        }
        let question = match Solicitation::parse(packet.payload()) {
            Ok(question) => question,
            Err(reason) => return Verdict::Drop(reason),
        };
        if question.source.is_unspecified() {
            // Somebody looks whether an address is free: a wide range that we answer for is no other owner of it.
            return Verdict::Drop(DropReason::LoopBack);
        }
        let owner = self.subnets.lookup(&Address::V6(question.target), |peer| self.is_reachable(peer));
        if let Some(reason) = ethernet::silence(owner) {
            return Verdict::Drop(reason);
        }
        if self.policy.decrement_ttl && question.hops <= 1 {
            packet.drop_front(ETHERNET_HEADER);
            return self.refuse(PeerId::ME, IcmpError::Expired, Family::V6, packet, scratch);
        }
        let (frame, len) = question.answer(question.hops);
        packet.fill(&frame[..len]);
        self.deliver_answer(len, scratch)
    }
}
