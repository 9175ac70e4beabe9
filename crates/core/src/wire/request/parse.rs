//! Text → [`Request`].

use super::{AnsKey, KeyRequest, Request, RequestError};
use crate::name::NodeName;
use crate::subnet::Subnet;
use crate::wire::address::WireAddress;
use crate::wire::number::{decimal, hexadecimal, int};
use crate::wire::options::Options;

/// Longest word of a request, in bytes.
const MAX_WORD: usize = 2048;
/// Digits of the protocol number that count.
const MAJOR_DIGITS: usize = 2;
/// Digits of its minor that count.
const MINOR_DIGITS: usize = 3;
/// Smallest packet size that MTU_INFO may tell.
const MIN_MTU: i32 = 512;

impl Request {
    /// Reads a request, given without its line end.
    ///
    /// # Errors
    /// If `text` is none, or none that a node of the mesh may send.
    pub fn parse(text: &[u8]) -> Result<Self, RequestError> {
        if text.is_empty() {
            return Err(RequestError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(RequestError::TooLong(text.len()));
        }
        if text.iter().any(|byte| matches!(byte, b'\n' | 0)) {
            return Err(RequestError::Broken);
        }
        // Text that is not UTF-8 can only stand where any text may, and is not looked at there.
        let text = String::from_utf8_lossy(text);
        let number = request_number(&text).ok_or(RequestError::NoNumber)?;
        let mut words = text.split(is_blank).filter(|word| !word.is_empty());
        words.next();
        parse_numbered(number, words)
    }
}

fn parse_numbered<'a>(number: i64, words: impl Iterator<Item = &'a str>) -> Result<Request, RequestError> {
    let words = |request| Words { request, words };
    match number {
        0 => words("ID").id(),
        1 => Err(RequestError::Legacy("METAKEY")),
        2 => Err(RequestError::Legacy("CHALLENGE")),
        3 => Err(RequestError::Legacy("CHAL_REPLY")),
        4 => words("ACK").ack(),
        7 => Ok(Request::TermReq),
        8 => Ok(Request::Ping),
        9 => Ok(Request::Pong),
        10 => words("ADD_SUBNET").subnet().map(|(nonce, owner, subnet)| Request::AddSubnet { nonce, owner, subnet }),
        11 => words("DEL_SUBNET").subnet().map(|(nonce, owner, subnet)| Request::DelSubnet { nonce, owner, subnet }),
        12 => words("ADD_EDGE").add_edge(),
        13 => words("DEL_EDGE").edge_ends().map(|(nonce, from, to)| Request::DelEdge { nonce, from, to }),
        14 => words("KEY_CHANGED").key_changed(),
        15 => words("REQ_KEY").req_key(),
        16 => words("ANS_KEY").ans_key(),
        17 => words("PACKET").len().map(|len| Request::Packet { len }),
        18 => Err(RequestError::Control),
        21 => words("SPTPS_PACKET").len().map(|len| Request::SptpsPacket { len }),
        22 => words("UDP_INFO").udp_info(),
        23 => words("MTU_INFO").mtu_info(),
        100 => Ok(Request::Stream),
        unknown => Err(RequestError::Unknown(unknown)),
    }
}

/// White space as in C.
const fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// The number in front; where there is none, it counts as zero, which must really stand there.
fn request_number(text: &str) -> Option<i64> {
    let line = text.trim_start_matches(is_blank);
    let unsigned = line.strip_prefix(['+', '-']).unwrap_or(line);
    let digits = unsigned.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(unsigned.len());
    let number = decimal(&line[..line.len() - unsigned.len() + digits]).unwrap_or(0);
    (number != 0 || text.starts_with('0')).then_some(number)
}

/// The words of a request behind its number.
struct Words<I> {
    request: &'static str,
    words: I,
}

impl<'a, I: Iterator<Item = &'a str>> Words<I> {
    const fn wrong(&self, field: &'static str) -> RequestError {
        RequestError::Field { request: self.request, field }
    }

    fn word(&mut self, field: &'static str) -> Result<&'a str, RequestError> {
        let word = self.words.next().filter(|word| word.len() <= MAX_WORD);
        word.ok_or_else(|| self.wrong(field))
    }

    fn name(&mut self, field: &'static str) -> Result<NodeName, RequestError> {
        let word = self.word(field)?;
        NodeName::parse(word).map_err(|_| self.wrong(field))
    }

    fn int(&mut self, field: &'static str) -> Result<i32, RequestError> {
        let word = self.word(field)?;
        int(word).ok_or_else(|| self.wrong(field))
    }

    fn hexadecimal(&mut self, field: &'static str) -> Result<u32, RequestError> {
        let word = self.word(field)?;
        hexadecimal(word).ok_or_else(|| self.wrong(field))
    }

    fn address(&mut self, field: &'static str) -> Result<WireAddress, RequestError> {
        let host = self.word(field)?;
        Ok(WireAddress::parse(host, self.word(field)?))
    }

    fn id(mut self) -> Result<Request, RequestError> {
        let name = self.word("name")?.to_owned();
        let version = self.word("version")?;
        let (major, rest) = leading_digits(version, MAJOR_DIGITS);
        let major = major.ok_or_else(|| self.wrong("version"))?;
        let minor = rest.strip_prefix('.').and_then(|rest| leading_digits(rest, MINOR_DIGITS).0);
        Ok(Request::Id { name, major, minor })
    }

    fn ack(mut self) -> Result<Request, RequestError> {
        let port = self.word("port")?.to_owned();
        let weight = self.int("weight")?;
        Ok(Request::Ack { port, weight, options: Options(self.hexadecimal("options")?) })
    }

    fn subnet(mut self) -> Result<(u32, NodeName, Subnet), RequestError> {
        let nonce = self.hexadecimal("nonce")?;
        let owner = self.name("owner")?;
        let text = self.word("subnet")?;
        Ok((nonce, owner, Subnet::parse(text).map_err(|_| self.wrong("subnet"))?))
    }

    fn edge_ends(&mut self) -> Result<(u32, NodeName, NodeName), RequestError> {
        let nonce = self.hexadecimal("nonce")?;
        let (from, to) = self.both_ends()?;
        if from == to {
            return Err(RequestError::Loop(self.request));
        }
        Ok((nonce, from, to))
    }

    fn both_ends(&mut self) -> Result<(NodeName, NodeName), RequestError> {
        let from = self.name("from")?;
        Ok((from, self.name("to")?))
    }

    fn add_edge(mut self) -> Result<Request, RequestError> {
        let (nonce, from, to) = self.edge_ends()?;
        let address = self.address("address")?;
        let options = Options(self.hexadecimal("options")?);
        let weight = self.int("weight")?;
        let local = match self.words.next() {
            None => None,
            Some(host) => Some(WireAddress::parse(host, self.word("local address")?)),
        };
        Ok(Request::AddEdge { nonce, from, to, address, options, weight, local })
    }

    fn key_changed(mut self) -> Result<Request, RequestError> {
        let nonce = self.hexadecimal("nonce")?;
        Ok(Request::KeyChanged { nonce, name: self.name("name")? })
    }

    fn req_key(mut self) -> Result<Request, RequestError> {
        let (from, to) = self.both_ends()?;
        let number = self.words.next().and_then(int).unwrap_or(0);
        // The datagram of a frame with VLAN tag is four digits longer than the longest word.
        let text = self.words.next().map(str::to_owned);
        let kind = match (number, text) {
            (0, _) => KeyRequest::Legacy,
            (15, Some(text)) => KeyRequest::Start(text),
            (19, _) => KeyRequest::PublicKeyWanted,
            (20, Some(text)) => KeyRequest::PublicKey(text),
            (21, Some(text)) => KeyRequest::Datagram(text),
            (100, Some(text)) => KeyRequest::Hello(text),
            (101, Some(text)) => KeyRequest::HelloAnswer(text),
            (102, Some(text)) => KeyRequest::Sealed(text),
            (number, _) => KeyRequest::Other(number),
        };
        Ok(Request::ReqKey { from, to, kind })
    }

    fn ans_key(mut self) -> Result<Request, RequestError> {
        let (from, to) = self.both_ends()?;
        let key = self.word("key")?.to_owned();
        let cipher = self.int("cipher")?;
        let digest = self.int("digest")?;
        let mac_length = self.int("MAC length")?;
        let compression = self.int("compression")?;
        let reflexive = self.words.next().and_then(|host| Some(WireAddress::parse(host, self.words.next()?)));
        Ok(Request::AnsKey(AnsKey { from, to, key, cipher, digest, mac_length, compression, reflexive }))
    }

    /// A signed 16-bit number, which must not be negative.
    fn len(mut self) -> Result<u16, RequestError> {
        let word = self.word("length")?;
        let len = decimal(word).and_then(|len| u16::try_from(len as i16).ok());
        len.ok_or_else(|| self.wrong("length"))
    }

    fn udp_info(mut self) -> Result<Request, RequestError> {
        let (from, to) = self.both_ends()?;
        Ok(Request::UdpInfo { from, to, address: self.address("address")? })
    }

    fn mtu_info(mut self) -> Result<Request, RequestError> {
        let (from, to) = self.both_ends()?;
        let mtu = self.int("MTU")?;
        if mtu < MIN_MTU {
            return Err(self.wrong("MTU"));
        }
        Ok(Request::MtuInfo { from, to, mtu })
    }
}

/// The number that the first digits make, at most `max` of them, and what follows.
fn leading_digits(text: &str, max: usize) -> (Option<u16>, &str) {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(count);
    (digits.parse().ok(), rest)
}
