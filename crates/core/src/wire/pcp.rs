//! Requests to let packets for a port in, of the Port Control Protocol over IPv6, and their answers (RFC 6887, 7 and 11.1).
//!
//! ```text
//!  request  2 · 1 · 0 0 · lifetime 4 · client's address 16 · MAP
//!  answer   2 · 129 · 0 · result 1 · lifetime 4 · epoch 4 · reserved 12 · MAP
//!  MAP      nonce 12 · protocol 1 · 0 0 0 · port 2 · outer port 2 · outer address 16
//! ```

use std::net::{Ipv6Addr, SocketAddrV6};

/// Length of a request, and the least of an answer, in bytes.
pub const LEN: usize = 60;

const VERSION: u8 = 2;
const MAP: u8 = 1;
const ANSWER: u8 = 0x80;

/// A port and where it is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// Known only to the client and the router.
    pub nonce: [u8; 12],
    /// The number of the protocol in IP.
    pub protocol: u8,
    /// The client's port.
    pub port: u16,
    /// Where it is outside: a wish in requests, a fact in answers.
    pub outer: SocketAddrV6,
}

/// What a router says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 0: granted.
    pub result: u8,
    /// How long that holds, in seconds.
    pub lifetime: u32,
    /// Of what.
    pub map: Map,
}

impl Map {
    /// The request of `client` for `lifetime` seconds; 0 gives the port back.
    pub fn request(&self, client: Ipv6Addr, lifetime: u32) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..2].copy_from_slice(&[VERSION, MAP]);
        bytes[4..8].copy_from_slice(&lifetime.to_be_bytes());
        bytes[8..24].copy_from_slice(&client.octets());
        bytes[24..36].copy_from_slice(&self.nonce);
        bytes[36] = self.protocol;
        bytes[40..42].copy_from_slice(&self.port.to_be_bytes());
        bytes[42..44].copy_from_slice(&self.outer.port().to_be_bytes());
        bytes[44..].copy_from_slice(&self.outer.ip().octets());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk::<12>()?;
        let ([protocol, _, _, _, p0, p1, o0, o1], rest) = rest.split_first_chunk::<8>()?;
        let (ip, _options) = rest.split_first_chunk::<16>()?;
        let outer = SocketAddrV6::new(Ipv6Addr::from(*ip), u16::from_be_bytes([*o0, *o1]), 0, 0);
        Some(Self { nonce: *nonce, protocol: *protocol, port: u16::from_be_bytes([*p0, *p1]), outer })
    }

    /// Whether `other` is of the same port and client.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.nonce, self.protocol, self.port) == (other.nonce, other.protocol, other.port)
    }
}

impl Answer {
    /// Reads a datagram; `None` if it is no answer to a request for a port. Options are not looked at.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<24>()?;
        let [version, opcode, _, result, l0, l1, l2, l3, ..] = *head;
        let answer = Self { result, lifetime: u32::from_be_bytes([l0, l1, l2, l3]), map: Map::parse(rest)? };
        (version == VERSION && opcode == ANSWER | MAP).then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian's miniupnpd 2.3.1 lets UDP port 655 of 2001:db8:1::100 in.
    const ANSWERED: &str = "0281000000000078000003e80000000000000000000000004e4f4e43454e4f4e43453132\
                            11000000028f028f20010db8000100000000000000000100";

    fn bytes(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn map() -> Map {
        let outer = "[2001:db8:1::100]:655".parse().unwrap();
        Map { nonce: *b"NONCENONCE12", protocol: 17, port: 655, outer }
    }

    #[test]
    fn answers_have_the_layout_of_the_rfc() {
        let answer = Answer { result: 0, lifetime: 120, map: map() };
        let answered = bytes(ANSWERED);
        assert_eq!(Answer::parse(&answered), Some(answer));
        assert_eq!(Answer::parse(&[&answered[..], &[1, 0, 0, 0]].concat()), Some(answer), "an option");
        assert_eq!(Answer::parse(&answered[..59]), None, "cut");
        for (at, byte) in [(0, 0), (0, 1), (1, 1), (1, 0x82)] {
            let mut wrong = answered.clone();
            wrong[at] = byte;
            assert_eq!(Answer::parse(&wrong), None, "byte {at}");
        }
    }

    #[test]
    fn requests_have_the_layout_of_the_rfc() {
        let request = map().request("2001:db8:1::100".parse().unwrap(), 120);
        let head = bytes("020100000000007820010db8000100000000000000000100");
        assert_eq!(request[..], [&head[..], &bytes(ANSWERED)[24..]].concat());
    }

    #[test]
    fn an_answer_belongs_to_the_request_with_its_nonce_protocol_and_port() {
        let wish = Map { outer: "[::]:1".parse().unwrap(), ..map() };
        assert!(wish.is_same(&map()));
        for other in [Map { nonce: [0; 12], ..map() }, Map { protocol: 6, ..map() }, Map { port: 656, ..map() }] {
            assert!(!wish.is_same(&other), "{other:?}");
        }
    }
}
