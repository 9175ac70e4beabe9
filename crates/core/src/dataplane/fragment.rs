//! Cutting an IPv4 packet without DF that is larger than its way allows (spec: routing 10).

use crate::dataplane::ip::{self, Family, MF, OFFSET, V4_CHECKSUM, V4_FRAGMENT, V4_HEADER, V4_LENGTH};
use crate::dataplane::verdict::DropReason;
use crate::packet::Packet;

/// Fragments start at multiples of so many bytes.
const UNIT: usize = 8;

/// Whether a packet can be cut: IPv4, no options, and as long as it says.
pub(super) fn check(packet: &[u8]) -> Result<(), DropReason> {
    if Family::of(packet) != Some(Family::V4) || ip::v4_header_len(packet) != Some(V4_HEADER) {
        return Err(DropReason::TooLong);
    }
    if ip::word(packet, V4_LENGTH).map(usize::from) != Some(packet.len()) {
        return Err(DropReason::BadLength);
    }
    Ok(())
}

/// Cuts an IPv4 packet into fragments of at most `max_ip_len` bytes, headers included.
///
/// None come of a packet that cannot be cut: with options, or with another length than it says.
pub(crate) fn split(packet: &[u8], max_ip_len: usize) -> impl Iterator<Item = Packet> {
    let room = max_ip_len.saturating_sub(V4_HEADER) / UNIT * UNIT;
    let data = match packet.split_at_checked(V4_HEADER) {
        Some((_, data)) if room > 0 && check(packet).is_ok() => data,
        Some(_) | None => &[],
    };
    let header = packet.first_chunk::<V4_HEADER>().copied().unwrap_or_default();
    data.chunks(room.max(UNIT)).enumerate().filter_map(move |(index, part)| {
        let start = index * room;
        fragment(header, part, start, start + part.len() == data.len())
    })
}

fn fragment(mut header: [u8; V4_HEADER], part: &[u8], start: usize, last: bool) -> Option<Packet> {
    let word = ip::word(&header, V4_FRAGMENT)?;
    let offset = usize::from(word & OFFSET) + start / UNIT;
    let offset = u16::try_from(offset).ok().filter(|&offset| offset <= OFFSET)?;
    let more = if last { 0 } else { MF };
    ip::set_word(&mut header, V4_LENGTH, (V4_HEADER + part.len()) as u16);
    ip::set_word(&mut header, V4_FRAGMENT, word & !OFFSET | more | offset);
    ip::set_word(&mut header, V4_CHECKSUM, 0);
    let checksum = ip::checksum(&[&header]);
    ip::set_word(&mut header, V4_CHECKSUM, checksum);
    let mut packet = Packet::from_payload(part);
    packet.push_front(&header).then_some(packet)
}
