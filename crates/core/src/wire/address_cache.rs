//! tinc's file of addresses that worked (spec: meta-protocol 14; layout of 64-bit Linux).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const VERSION: u32 = 1;
const ENTRIES: usize = 8;
const ENTRY: usize = 32;
const HEADER: usize = 8;
/// Size of the file in bytes.
pub const FILE_LEN: usize = HEADER + ENTRIES * ENTRY;
const FAMILY_V4: u16 = 2;
const FAMILY_V6: u16 = 10;

/// The addresses in a file, best first; a file of another size or version holds none.
pub fn decode(bytes: &[u8]) -> Vec<SocketAddr> {
    let Some((header, entries)) = bytes.split_first_chunk::<HEADER>() else { return Vec::new() };
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let used = word(4) as usize;
    if bytes.len() != FILE_LEN || word(0) != VERSION || used > ENTRIES {
        return Vec::new();
    }
    entries.as_chunks::<ENTRY>().0.iter().take(used).filter_map(decode_entry).collect()
}

fn decode_entry(entry: &[u8; ENTRY]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes([entry[2], entry[3]]);
    let ip = match u16::from_ne_bytes([entry[0], entry[1]]) {
        FAMILY_V4 => IpAddr::V4(Ipv4Addr::new(entry[4], entry[5], entry[6], entry[7])),
        FAMILY_V6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&entry[8..24]).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The file for `addresses`, of which the first eight count.
pub fn encode(addresses: &[SocketAddr]) -> [u8; FILE_LEN] {
    let mut file = [0; FILE_LEN];
    let used = addresses.len().min(ENTRIES);
    file[..4].copy_from_slice(&VERSION.to_ne_bytes());
    file[4..8].copy_from_slice(&u32::try_from(used).unwrap_or(0).to_ne_bytes());
    for (entry, address) in file[HEADER..].as_chunks_mut::<ENTRY>().0.iter_mut().zip(addresses) {
        entry[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => {
                entry[..2].copy_from_slice(&FAMILY_V4.to_ne_bytes());
                entry[4..8].copy_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                entry[..2].copy_from_slice(&FAMILY_V6.to_ne_bytes());
                entry[8..24].copy_from_slice(&ip.octets());
            }
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_back_what_was_put_in_and_foreign_files_give_nothing() {
        let addresses: Vec<SocketAddr> = vec!["10.99.0.2:655".parse().unwrap(), "[fd00::1]:656".parse().unwrap()];
        let file = encode(&addresses);
        assert_eq!(decode(&file), addresses);
        assert_eq!(&file[8..16], &[2, 0, 0x02, 0x8f, 0x0a, 0x63, 0, 2]);
        assert!(decode(&file[1..]).is_empty());
        assert!(decode(&[0xff; FILE_LEN]).is_empty());
    }
}
