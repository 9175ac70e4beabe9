//! IPv4 packets: what a NAT reads of them, and what it writes (RFC 791, RFC 768, RFC 9293, RFC 792).

use std::net::{Ipv4Addr, SocketAddrV4};

use tinmesh_sim::Protocol;

const HEADER: usize = 20;
const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMP: u8 = 1;
/// Where the checksums of UDP and TCP are, in bytes from the start of their headers.
const UDP_CHECKSUM: usize = 6;
const TCP_CHECKSUM: usize = 16;
/// An ICMP error has so much of the packet that it is about behind the IP header.
const QUOTED: usize = 8;
const IDENTIFICATION: usize = 4;
const MORE_OR_OFFSET: u16 = 0x3fff;
const OFFSET: u16 = 0x1fff;

/// What a NAT reads of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What it carries.
    pub protocol: Protocol,
    /// Its source; the port is 0 in later fragments.
    pub from: SocketAddrV4,
    /// Its destination; the port is 0 in later fragments.
    pub to: SocketAddrV4,
    /// Length of the packet as its header says, in bytes.
    pub len: usize,
    /// The number that its fragments share.
    pub identification: u16,
    /// Whether it is a fragment.
    pub fragment: bool,
    /// Whether it is a fragment without ports.
    pub later: bool,
}

fn word(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?))
}

fn address(packet: &[u8], at: usize) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
    Some(bytes.into())
}

fn header_len(packet: &[u8]) -> usize {
    packet.first().map_or(HEADER, |first| usize::from(first & 15) * 4)
}

/// Reads a packet; `None`: not whole, or neither UDP nor TCP over IPv4.
pub fn read(packet: &[u8]) -> Option<Summary> {
    let (version, header) = (packet.first()? >> 4, header_len(packet));
    let len = usize::from(word(packet, 2)?);
    if version != 4 || header < HEADER || len > packet.len() || header > len {
        return None;
    }
    let protocol = match *packet.get(9)? {
        UDP => Protocol::Udp,
        TCP => Protocol::Tcp,
        _ => return None,
    };
    let pieces = word(packet, 6)?;
    let later = pieces & OFFSET != 0;
    let ports = if later { (0, 0) } else { (word(packet, header)?, word(packet, header + 2)?) };
    // A first piece without its checksum would be rewritten only half.
    let checksum = header + if protocol == Protocol::Udp { UDP_CHECKSUM } else { TCP_CHECKSUM };
    if !later && len < checksum + 2 {
        return None;
    }
    Some(Summary {
        protocol,
        from: SocketAddrV4::new(address(packet, 12)?, ports.0),
        to: SocketAddrV4::new(address(packet, 16)?, ports.1),
        len,
        identification: word(packet, IDENTIFICATION)?,
        fragment: pieces & MORE_OR_OFFSET != 0,
        later,
    })
}

/// Replaces source and destination of a packet that [`read`] has read; checksums are kept right (RFC 1624).
pub fn rewrite(packet: &mut [u8], summary: &Summary, from: SocketAddrV4, to: SocketAddrV4) {
    let header = header_len(packet);
    let checksum = match summary.protocol {
        _ if summary.later => None,
        // No checksum stays none.
        Protocol::Udp => Some(header + UDP_CHECKSUM).filter(|&at| word(packet, at) != Some(0)),
        Protocol::Tcp => Some(header + TCP_CHECKSUM),
    };
    for (at, new) in [(12, from.ip().octets()), (16, to.ip().octets())] {
        for (offset, pair) in [(0, [new[0], new[1]]), (2, [new[2], new[3]])] {
            let sums = [Some(10), checksum];
            replace(packet, at + offset, u16::from_be_bytes(pair), &sums);
        }
    }
    if !summary.later {
        replace(packet, header, from.port(), &[checksum]);
        replace(packet, header + 2, to.port(), &[checksum]);
    }
}

/// Replaces a word that the checksums at these places cover.
fn replace(packet: &mut [u8], at: usize, new: u16, checksums: &[Option<usize>]) {
    let Some(old) = word(packet, at) else { return };
    packet[at..at + 2].copy_from_slice(&new.to_be_bytes());
    for &place in checksums.iter().flatten() {
        let Some(before) = word(packet, place) else { continue };
        let sum = fold(u32::from(!before) + u32::from(!old) + u32::from(new));
        packet[place..place + 2].copy_from_slice(&(!sum).to_be_bytes());
    }
}

fn fold(sum: u32) -> u16 {
    let folded = (sum & 0xffff) + (sum >> 16);
    u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    !fold(words.fold(0, |sum, word| u32::from(fold(sum + word))))
}

/// The answer of a router at `router` to a packet that is longer than `mtu` (RFC 1191); `None`: too short to quote.
pub fn too_long(packet: &[u8], router: Ipv4Addr, mtu: u16) -> Option<Vec<u8>> {
    let quoted = packet.get(..header_len(packet) + QUOTED)?;
    let mut body = vec![3, 4, 0, 0, 0, 0];
    body.extend_from_slice(&mtu.to_be_bytes());
    body.extend_from_slice(quoted);
    let sum = checksum(&body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let len = u16::try_from(HEADER + body.len()).ok()?.to_be_bytes();
    let mut answer = vec![0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, ICMP, 0, 0];
    answer.extend_from_slice(&router.octets());
    answer.extend_from_slice(&address(packet, 12)?.octets());
    let sum = checksum(&answer);
    answer[10..12].copy_from_slice(&sum.to_be_bytes());
    answer.extend_from_slice(&body);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().expect("an address")
    }

    /// A packet of either protocol with right checksums.
    fn packet(protocol: u8, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
        let mut body: Vec<u8> = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
        let place = if protocol == UDP { UDP_CHECKSUM } else { TCP_CHECKSUM };
        if protocol == UDP {
            body.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
            body.extend_from_slice(&[0, 0]);
        } else {
            body.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        }
        body.extend_from_slice(payload);
        let sum = transport_sum(protocol, from, to, &body);
        body[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        let len = (HEADER as u16 + body.len() as u16).to_be_bytes();
        let mut packet = vec![0x45, 0, len[0], len[1], 0, 7, 0x40, 0, 64, protocol, 0, 0];
        packet.extend_from_slice(&from.ip().octets());
        packet.extend_from_slice(&to.ip().octets());
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(&body);
        packet
    }

    fn transport_sum(protocol: u8, from: SocketAddrV4, to: SocketAddrV4, body: &[u8]) -> u16 {
        let mut whole = [from.ip().octets(), to.ip().octets()].concat();
        whole.extend_from_slice(&[0, protocol]);
        whole.extend_from_slice(&(body.len() as u16).to_be_bytes());
        whole.extend_from_slice(body);
        checksum(&whole)
    }

    const INSIDE: &str = "192.168.0.2:655";
    const OUTER: &str = "198.18.0.9:41000";
    const REMOTE: &str = "198.18.0.1:443";

    #[test]
    fn a_rewritten_packet_is_what_its_new_sender_would_have_sent() {
        for protocol in [UDP, TCP] {
            for payload in [&b"odd"[..], b"even", b""] {
                let mut got = packet(protocol, at(INSIDE), at(REMOTE), payload);
                let summary = read(&got).expect("a proper packet");
                assert_eq!((summary.from, summary.to, summary.len), (at(INSIDE), at(REMOTE), got.len()));
                rewrite(&mut got, &summary, at(OUTER), at(REMOTE));
                assert_eq!(got, packet(protocol, at(OUTER), at(REMOTE), payload));
            }
        }
    }

    #[test]
    fn a_datagram_without_checksum_gets_none() {
        let mut got = packet(UDP, at(INSIDE), at(REMOTE), b"text");
        got[26..28].copy_from_slice(&[0, 0]);
        let summary = read(&got).expect("a proper packet");
        rewrite(&mut got, &summary, at(OUTER), at(REMOTE));
        assert_eq!(got[26..28], [0, 0]);
    }

    #[test]
    fn later_fragments_have_no_ports_and_only_their_addresses_change() {
        let mut got = packet(UDP, at(INSIDE), at(REMOTE), b"payload");
        got[6..8].copy_from_slice(&[0, 9]);
        let summary = read(&got).expect("a proper packet");
        assert!(summary.fragment && summary.later && summary.from.port() == 0);
        let before = got[HEADER..].to_vec();
        rewrite(&mut got, &summary, at(OUTER), at(REMOTE));
        assert_eq!((&got[12..16], &got[HEADER..]), (&at(OUTER).ip().octets()[..], &before[..]));
    }

    #[test]
    fn a_router_quotes_what_was_too_long() {
        let long = packet(UDP, at(INSIDE), at(REMOTE), &[7; 1400]);
        let answer = too_long(&long, [198, 18, 255, 1].into(), 1280).expect("long enough");
        assert_eq!(answer.len(), HEADER + 8 + HEADER + QUOTED);
        assert_eq!((checksum(&answer[..HEADER]), checksum(&answer[HEADER..])), (0, 0));
        assert_eq!((&answer[16..20], &answer[26..28]), (&[192, 168, 0, 2][..], &1280_u16.to_be_bytes()[..]));
        assert_eq!(too_long(&[0x45], [0; 4].into(), 1280), None);
    }

    #[test]
    fn whatever_comes_is_read_or_refused() {
        let good = packet(TCP, at(INSIDE), at(REMOTE), b"payload");
        for len in 0..good.len() {
            assert!(read(&good[..len]).is_none(), "{len}");
        }
        let mut dice = tinmesh_sim::Dice::new(1);
        for _ in 0..20_000 {
            let mut bad = good.clone();
            for _ in 0..3 {
                let at = usize::try_from(dice.below(bad.len() as u64)).expect("is small");
                bad[at] = dice.throw().to_le_bytes()[0];
            }
            if let Some(summary) = read(&bad) {
                rewrite(&mut bad, &summary, at(OUTER), at(REMOTE));
            }
            let _ = too_long(&bad, [0; 4].into(), 1280);
        }
    }
}
